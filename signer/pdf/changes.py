"""What was changed after a signature, and was it allowed? (signing.md 4.3)

Reachability is compared by pyHanko's difference analysis, which explains every changed object or calls the change
suspect; on top stand rules of ours for what it lets pass: an earlier signature or its picture altered, a filled field
replaced, an overlay exchanged or over-large, an unsigned field that paints, a field that acts, defaults of the form
by which its fields would be drawn differently. In doubt a change is suspect. A change undone later still counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.pdf_utils.rw_common import PdfHandler
from pyhanko.sign.diff_analysis import DiffResult, ModificationLevel
from pyhanko.sign.fields import FieldMDPSpec, MDPPerm

from signer.pdf.objects import dictionary_of, entry, follow, is_name, items_of
from signer.pdf.opening import READING_FAULTS
from signer.pdf.page import Field, PageView, fields, pages
from signer.pdf.painting import acts, draws_a_frame_at_most, draws_nothing, is_a_plain_widget
from signer.pdf.policy import POLICY
from signer.pdf.refusals import docmdp_of
from signer.report import Change

VALUES_MAX = 2_000_000
"""Values compared in one file (signing.md 4.3, budgets)."""


@dataclass(frozen=True, slots=True)
class State:
    """The document as of one revision: its form and the boxes of its pages."""

    revision: int  # 1 = first
    handler: PdfHandler
    fields: tuple[Field, ...]
    pages: tuple[PageView, ...]

    def named(self, name: str) -> Field | None:
        """Return the field of that full name."""
        return next((field for field in self.fields if field.name == name), None)


def states(reader: PdfFileReader) -> dict[int, State]:
    """Read the state after each revision; the latest must be readable.

    One section of a linearised file is no document by itself and has no state, nor has one that was damaged and then
    replaced; a signature that ends there does not cover a complete document and is broken for that (4.2, C4).
    """
    last = int(reader.xrefs.total_revisions)
    known = {last: _state(reader, last)}
    for number in range(1, last):
        with suppress(*READING_FAULTS):
            known[number] = _state(reader, number)
    return known


def _state(reader: PdfFileReader, number: int) -> State:
    last = int(reader.xrefs.total_revisions)
    handler: PdfHandler = reader if number >= last else reader.get_historical_resolver(number - 1)
    views = pages(handler)
    return State(number, handler, tuple(fields(handler, views)), tuple(views))


def compare(
    reader: PdfFileReader, before: State, after: State, *, signature: Field, between: Sequence[State] = ()
) -> tuple[Change, ...]:
    """Return the changes between the state a signature covers and the latest one.

    Of the states ``between`` only what is not allowed is reported.
    """
    if before.revision >= after.revision:
        return ()
    changes = [
        Change(after.revision, "other", False, {"change": text}) for text in _analysed(reader, before, signature)
    ]
    permission = _permission(signature, before)
    for state in between:
        passing = (*_form_changes(before, state), *_field_changes(before, state, permission))
        changes += [change for change in passing if not change.allowed]
    changes += _form_changes(before, after)
    changes += _field_changes(before, after, permission)
    changes += _document_changes(before, after)
    return tuple(changes)


def _analysed(reader: PdfFileReader, before: State, signature: Field) -> list[str]:
    """Return what pyHanko's analysis objects to; nothing if it explains every change."""
    try:
        value = dictionary_of(signature.value)
        doc_mdp = docmdp_of(value)
        spec = _field_mdp(value)
        result = POLICY.review_file(
            reader,
            before.revision - 1,
            field_mdp_spec=spec,
            doc_mdp=MDPPerm(doc_mdp) if doc_mdp else None,
        )
        if not isinstance(result, DiffResult):
            return [str(result)[:200] or "suspicious"]
        level = result.modification_level
        allowed = level is not ModificationLevel.OTHER and (doc_mdp is None or level.value <= doc_mdp)
        return [] if allowed else ["beyond the permission"]
    except READING_FAULTS as error:
        return [f"not comparable: {type(error).__name__}"]


def _field_mdp(value: generic.DictionaryObject | None) -> FieldMDPSpec | None:
    for item in items_of(entry(value, "/Reference")):
        found = dictionary_of(item)
        if is_name(entry(found, "/TransformMethod"), "/FieldMDP"):
            return FieldMDPSpec.from_pdf_object(entry(found, "/TransformParams"))
    return None


def _permission(signature: Field, state: State) -> int | None:
    """Return the written permission in force: of the certification or of this signature."""
    permissions = entry(state.handler.root, "/Perms")
    certified = docmdp_of(entry(permissions, "/DocMDP")) if isinstance(permissions, generic.DictionaryObject) else None
    found = [one for one in (certified, docmdp_of(dictionary_of(signature.value))) if one is not None]
    return min(found, default=None)


def _field_changes(before: State, after: State, permission: int | None) -> list[Change]:
    changes = []
    for field in after.fields:
        former = before.named(field.name)
        if former is None:
            changes.append(_new_field(field, after))
        elif former.filled_signature:
            if not _same_signature(former, field, before, after):
                changes.append(_change(after, "signature-altered", field, allowed=False))
        elif former.kind == "/Sig" and field.filled_signature:
            changes.append(_signed_later(field, after))
        elif not _same(former, field, before, after):
            changes.append(_filled(former, field, after, permission))
    names = {field.name for field in after.fields}
    gone = [field for field in before.fields if field.name not in names]
    changes += [_change(after, "signature-altered", field, allowed=False) for field in gone if field.filled_signature]
    changes += [_change(after, "form-structure", field, allowed=False) for field in gone if not field.filled_signature]
    return changes


def _filled(former: Field, field: Field, state: State, permission: int | None) -> Change:
    """A field that was there is filled or altered; an empty signature field may only stay empty."""
    if _over_large(field, state) or (field.kind == "/Sig" and not draws_nothing(field.dictionary)):
        return _change(state, "overlay", field, allowed=False)
    if _is_blank(former):
        return _change(state, "form-fill", field, allowed=True)
    return _change(state, "form-change", field, allowed=permission in (2, 3))


def _change(state: State, kind: str, field: Field, *, allowed: bool) -> Change:
    page = str(field.widgets[0][0]) if field.widgets else "-"
    return Change(state.revision, kind, allowed, {"field": field.name, "page": page, "change": kind})


def _new_field(field: Field, state: State) -> Change:
    if field.kind != "/Sig":
        return _change(state, "form-structure", field, allowed=False)
    if acts(field.dictionary):
        return _change(state, "action", field, allowed=False)
    if not is_a_plain_widget(field.dictionary):
        return _change(state, "annotation", field, allowed=False)
    if field.filled_signature:
        return _signed_later(field, state)
    if not draws_nothing(field.dictionary):
        return _change(state, "overlay", field, allowed=False)
    return _change(state, "empty-field", field, allowed=True)


def _signed_later(field: Field, state: State) -> Change:
    value = dictionary_of(field.value)
    if value is None or "/Contents" not in value:
        return _change(state, "form-structure", field, allowed=False)  # nobody signed it
    if _over_large(field, state):
        return _change(state, "overlay", field, allowed=False)
    kind = "timestamp" if is_name(entry(value, "/SubFilter"), "/ETSI.RFC3161") else "signature"
    return _change(state, kind, field, allowed=True)


def _over_large(field: Field, state: State) -> bool:
    """Say whether the widgets of a field together take more than a quarter of a page."""
    areas: dict[int, float] = {}
    for page, box in field.widgets:
        areas[page] = areas.get(page, 0.0) + box[2] * box[3]
    sizes = {page: state.pages[page - 1].size for page in areas}
    return any(area > sizes[page][0] * sizes[page][1] / 4 for page, area in areas.items())


def _form_changes(before: State, after: State) -> list[Change]:
    """What the form says for all its fields may grow, but not change: they would be drawn anew, and otherwise."""
    former, now = entry(before.handler.root, "/AcroForm"), entry(after.handler.root, "/AcroForm")
    if not isinstance(former, generic.DictionaryObject) or not isinstance(now, generic.DictionaryObject):
        return []
    drawn = any(field.kind != "/Sig" for field in before.fields)
    kept = [key for key in ("/DA", "/Q") if key in former or drawn]
    wrong = [key for key in kept if str(entry(former, key)) != str(entry(now, key))]
    if _asks_to_redraw(now) and not _asks_to_redraw(former):
        wrong.append("/NeedAppearances")
    if not _kept(entry(former, "/DR"), entry(now, "/DR"), before.handler, after.handler):
        wrong.append("/DR")
    facts = {"field": "/AcroForm", "page": "-", "change": "form-structure"}
    return [Change(after.revision, "form-structure", False, {**facts, "key": key}) for key in wrong]


def _asks_to_redraw(form: generic.DictionaryObject) -> bool:
    return str(entry(form, "/NeedAppearances")) == "True"


def _kept(
    one: generic.PdfObject | None, other: generic.PdfObject | None, before: PdfHandler, after: PdfHandler
) -> bool:
    """Say whether every resource of the form is still there under its name, and the same."""
    if not isinstance(one, generic.DictionaryObject):
        return True
    if not isinstance(other, generic.DictionaryObject):
        return False
    for kind in one:
        left, right = entry(one, kind), entry(other, kind)
        if isinstance(left, generic.DictionaryObject) and isinstance(right, generic.DictionaryObject):
            names = [name for name in left if name not in right]
            pairs = [(left.raw_get(name), right.raw_get(name)) for name in left if name in right]
            if names or not all(_equal(old, new, before, after) for old, new in pairs):
                return False
        elif not _equal(left, right, before, after):
            return False
    return True


def _same_signature(former: Field, now: Field, before: State, after: State) -> bool:
    """An earlier signature keeps its dictionary, place and appearance."""
    if not isinstance(former.value, type(now.value)) or former.widgets != now.widgets:
        return False
    return _equal(former.value, now.value, before.handler, after.handler) and _same(former, now, before, after)


def _same(former: Field, now: Field, before: State, after: State) -> bool:
    ours, theirs = former.dictionary, now.dictionary
    keys = (
        "/AP",
        "/V",
        "/DV",
        "/Rect",
        "/F",
        "/FT",
        "/Ff",
        "/MK",
        "/DA",
        "/Q",
        "/AS",
        "/Lock",
        "/A",
        "/AA",
        "/OC",
        "/Kids",
    )
    return all(
        (key in ours) == (key in theirs)
        and (key not in ours or _equal(ours.raw_get(key), theirs.raw_get(key), before.handler, after.handler))
        for key in keys
    )


def _equal(one: object, other: object, before: PdfHandler, after: PdfHandler) -> bool:
    """Compare two values by meaning, references followed each in its own state."""
    seen: set[tuple[object, object]] = set()
    stack, count = [(one, other)], 0
    while stack:
        left, right = stack.pop()
        count += 1
        if count > VALUES_MAX:
            return False
        if isinstance(left, generic.IndirectObject) and isinstance(right, generic.IndirectObject):
            pair = (left.reference, right.reference)
            if pair in seen:
                continue
            seen.add(pair)
        left = before.get_object(left.reference) if isinstance(left, generic.IndirectObject) else left
        right = after.get_object(right.reference) if isinstance(right, generic.IndirectObject) else right
        if isinstance(left, generic.DictionaryObject) and isinstance(right, generic.DictionaryObject):
            keys = set(left) - {"/P", "/Parent"}
            if keys != set(right) - {"/P", "/Parent"}:
                return False
            if isinstance(left, generic.StreamObject) != isinstance(right, generic.StreamObject):
                return False
            if (
                isinstance(left, generic.StreamObject)
                and isinstance(right, generic.StreamObject)
                and left.data != right.data
            ):
                return False
            stack += [(left.raw_get(key), right.raw_get(key)) for key in keys if key != "/Length"]
        elif isinstance(left, generic.ArrayObject) and isinstance(right, generic.ArrayObject):
            if len(left) != len(right):
                return False
            stack += [(left.raw_get(i), right.raw_get(i)) for i in range(len(left))]
        elif type(left) is not type(right) or left != right:
            return False
    return True


def _is_blank(field: Field) -> bool:
    """Blank: no value, and an appearance without text, picture or path but a border or background."""
    value = follow(field.value)
    if value is not None and not isinstance(value, generic.NullObject) and str(value) not in ("", "b''", "/Off"):
        return False
    return draws_a_frame_at_most(field.dictionary)


def _document_changes(before: State, after: State) -> list[Change]:
    """Name what is always allowed, so that the report says what was added."""
    changes = []
    for key, kind in (("/DSS", "validation-data"), ("/Metadata", "metadata")):
        left = before.handler.root.raw_get(key) if key in before.handler.root else None
        right = after.handler.root.raw_get(key) if key in after.handler.root else None
        if (left is None) != (right is None) or not _equal(left, right, before.handler, after.handler):
            changes.append(Change(after.revision, kind, True, {"change": kind}))
    return changes
