"""Fields before and after a step: signed, filled, altered, added, removed (signing.md 4.3).

A field that was signed stays as it is. One that was there, empty, may be signed or filled; a button may move to a state
it has. New are only fields of signatures, and what they draw stays within their rectangle and a quarter of the page.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from signer.pdf.comparing.covering import areas_of, leaves, over_large, size_of
from signer.pdf.comparing.equality import Equality
from signer.pdf.comparing.filling import FILLING, compare_filled
from signer.pdf.comparing.graph import references_in
from signer.pdf.comparing.painting import draws_nothing, is_seen
from signer.pdf.comparing.step import Need, Pair, Step
from signer.pdf.comparing.view import Dictionary, Field, View, is_aside
from signer.pdf.values import String, Value

_FIELD = ("FT", "Ff", "V", "DV", "DA", "Q", "MaxLen", "Opt")  # in force by inheritance
_FRAME = frozenset({*_FIELD, "T", "Kids", "P"})  # compared in another way
_IGNORED = frozenset({"M", "NM", "StructParent", "Type"})  # when, which, where in the structure tree
_ACTIONS = frozenset({"A", "AA", "PA", "Dest"})
_SIGNING = frozenset({"V", "AP", "AS", "MK", "F", "DA", "BS", "Border", "H", "C", "Q", "RD", "DR"})
_USUAL = b"/Helv 0 Tf 0 g"
_READ_ONLY = 1


def compare_fields(step: Step, equal: Equality) -> None:
    """Note what a step did to fields."""
    for pair in step.fields:
        if _untouched(step, pair):
            continue
        _compare(step, equal, pair)
    for one in step.gone:
        kind = "signature-altered" if is_signed(step.before, one) else "form-structure"
        step.add(kind, Need.FORBIDDEN, field=one, key="removed")
    for one in step.new:
        _new(step, one)
    _total_area(step)


def is_signed(view: View, field: Field) -> bool:
    """Say whether a field is a signature field with something in it."""
    return field.kind == "Sig" and view.document.resolve(field.inherited.get("V")) is not None


def _untouched(step: Step, pair: Pair) -> bool:
    """Say whether nothing of a field was redefined; what it inherits is compared by value."""
    one, other = pair.before, pair.after
    if one.reference != other.reference or step.touched(one.reference) or pair.gone or pair.new:
        return False
    if one.listed != other.listed:
        return False
    if any(left.reference != right.reference or step.touched(left.reference) for left, right in pair.widgets):
        return False
    if [left.pages for left, _ in pair.widgets] != [right.pages for _, right in pair.widgets]:
        return False
    return one.inherited == other.inherited and not _leads_to_change(step, one)


def _leads_to_change(step: Step, field: Field) -> bool:
    """Say whether a value that is inherited leads to something redefined."""
    own = [value for key, value in field.inherited.items() if key not in field.entries]
    return any(step.touched(reference) for reference in references_in(tuple(own)))


def _compare(step: Step, equal: Equality, pair: Pair) -> None:
    keys = _differing(step, equal, pair)
    placed = _placing(step, pair)
    if not keys and not placed:
        return
    before, after = is_signed(step.before, pair.before), is_signed(step.after, pair.after)
    if before:
        step.add("signature-altered", Need.FORBIDDEN, field=pair.before, key=_named(keys | placed))
    elif keys & _ACTIONS:
        step.add("action", Need.FORBIDDEN, field=pair.after, key=_named(keys & _ACTIONS))
    elif "OC" in keys:
        step.add("layer", Need.FORBIDDEN, field=pair.after, key="OC")
    elif placed - ({"shown"} if after else frozenset()):
        step.add("form-structure", Need.FORBIDDEN, field=pair.after, key=_named(placed))
    elif pair.before.kind == "Sig":
        _signature_field(step, equal, pair, keys=keys, signed=after)
    elif keys - FILLING:
        step.add("form-structure", Need.FORBIDDEN, field=pair.after, key=_named(keys - FILLING))
    else:
        compare_filled(step, equal, pair, keys)


def _named(keys: Iterable[str]) -> str:
    return ", ".join(sorted(keys)[:5])


def _differing(step: Step, equal: Equality, pair: Pair) -> set[str]:
    """Return the keys by which field and widgets differ, as far as they mean something."""
    one, other = pair.before, pair.after
    held = ("FT", "Ff", "V") if one.kind == other.kind == "Sig" else _FIELD  # signatures are not drawn from defaults
    keys = {key for key in held if not equal.same(one.inherited.get(key), other.inherited.get(key))}
    if "Ff" in keys and _locked_in_this_step(step, pair):
        keys.discard("Ff")
    if "DA" in keys and _default_at_last(step, pair):
        keys.discard("DA")
    sides = [(one.entries, other.entries)]
    if not (one.merged and other.merged):
        sides = [] if one.merged != other.merged else sides  # split or joined: what the widgets hold is compared
        sides += [(left.entries, right.entries) for left, right in pair.widgets]
    for left, right in sides:
        asides = _asides(step, left, right) | (set() if one.merged == other.merged else {"Parent"})
        for key in {*left, *right} - asides:
            if key == "MK" and not step.before.dictionary(left.get(key)) and not step.after.dictionary(right.get(key)):
                continue  # characteristics without any are none
            if not equal.same(left.get(key), right.get(key)):
                keys.add(key)
        if step.before.type_of(left, "Annot") != step.after.type_of(right, "Annot"):
            keys.add("Type")
    return keys


def _asides(step: Step, left: Dictionary, right: Dictionary) -> set[str]:
    """Return the keys that are compared in another way or say nothing, if that is what they hold."""
    found = {*_FIELD, "Type"}
    for key in (_FRAME | _IGNORED) - found:
        if is_aside(step.before, left.get(key)) and is_aside(step.after, right.get(key)):
            found.add(key)
    if _are_kids(step.before, left.get("Kids")) and _are_kids(step.after, right.get("Kids")):
        found.add("Kids")
    return found


def _are_kids(view: View, value: Value) -> bool:
    found = view.document.resolve(value)
    return found is None or (isinstance(found, tuple) and all(view.dictionary(item) for item in found))


def _locked_in_this_step(step: Step, pair: Pair) -> bool:
    """Say whether only the read-only flag was set, as programs do for fields that a signature of this step locks."""
    former = step.before.integer(pair.before.inherited.get("Ff"))
    return bool(step.signed) and step.after.integer(pair.after.inherited.get("Ff")) == former | _READ_ONLY


def _default_at_last(step: Step, pair: Pair) -> bool:
    """Say whether a field that had no default appearance gets the one that programs write into every form."""
    former, now = (view.document.resolve(one.inherited.get("DA")) for view, one in _sides(step, pair))
    return not former and "DA" not in pair.after.entries and isinstance(now, String) and now.strip() == _USUAL


def _sides(step: Step, pair: Pair) -> tuple[tuple[View, Field], tuple[View, Field]]:
    return (step.before, pair.before), (step.after, pair.after)


def _placing(step: Step, pair: Pair) -> set[str]:
    """Say whether the form leads to a field no more, and whether widgets were taken away, added, or shown elsewhere."""
    placed = {"widget"} if pair.gone or pair.new else set()
    if pair.before.listed and not pair.after.listed:
        placed.add("form")
    for left, right in pair.widgets:
        if left.pages == right.pages:
            continue
        seen = is_seen(step.before, left) or is_seen(step.after, right)
        if left.pages and seen:
            placed.add("page")
        elif seen:
            placed.add("shown")
    return placed


def _signature_field(step: Step, equal: Equality, pair: Pair, *, keys: set[str], signed: bool) -> None:
    """A signature field that was empty: it is signed now, or still empty and then draws nothing."""
    if "Lock" in keys and signed and not any("Lock" in entries for entries in (pair.before.entries,)):
        keys = keys - {"Lock"}
    if keys - _SIGNING:
        step.add("form-structure", Need.FORBIDDEN, field=pair.after, key=_named(keys - _SIGNING))
    elif signed:
        _signed_now(step, pair.after, made=any(is_seen(step.before, one) for one in pair.before.widgets))
    elif not _paints(step.after, pair.after):
        step.add("empty-field", Need.NO_LOCK, field=pair.after)
    else:
        step.add("overlay", Need.FORBIDDEN, field=pair.after)


def _signed_now(step: Step, field: Field, *, made: bool = False) -> None:
    """A field is signed in this step; only an intact signature may paint. ``made`` says that it was there, empty."""
    value = step.after.dictionary(field.inherited.get("V"))
    painted = _paints(step.after, field)
    stamp = step.signed.get(field.name)
    if not value:
        step.add("form-structure", Need.FORBIDDEN, field=field, key="V")
    elif painted and (stamp is None or over_large(step.after, field, made=made) or leaves(step.after, field)):
        step.add("overlay", Need.FORBIDDEN, field=field)
    elif stamp and not any(is_seen(step.after, widget) for widget in field.widgets):
        step.add("timestamp", Need.NOTHING, field=field)
    else:
        step.add("signature", Need.NO_LOCK, field=field)


def _paints(view: View, field: Field) -> bool:
    """Say whether a field shows ink of its own on a page."""
    return any(is_seen(view, widget) and not draws_nothing(view, widget.entries) for widget in field.widgets)


def _total_area(step: Step) -> None:
    """What all new fields of one step paint counts together."""
    areas: dict[int, float] = {}
    for field in step.new:
        if _paints(step.after, field):
            for page, area in areas_of(step.after, field).items():
                areas[page] = areas.get(page, 0.0) + area
    for page, area in areas.items():
        if area > size_of(step.after, page) / 4 and len(step.new) > 1:
            step.add("overlay", Need.FORBIDDEN, page=page, key="together")


def _new(step: Step, field: Field) -> None:
    """A field that was not there: only one for a signature, a plain widget that does nothing."""
    view = step.after
    holders = [field.entries, *(widget.entries for widget in field.widgets)]
    keys = {key for entries in holders for key in entries}
    kinds = {view.name(entries["Subtype"]) for entries in holders if "Subtype" in entries} - {"Widget"}
    if keys & _ACTIONS:
        step.add("action", Need.FORBIDDEN, field=field, key=_named(keys & _ACTIONS))
    elif kinds:
        step.add("annotation", Need.FORBIDDEN, field=field, key=min(kinds))
    elif "OC" in keys:
        step.add("layer", Need.FORBIDDEN, field=field, key="OC")
    elif keys & {"AF", "FS"}:
        step.add("attachment", Need.FORBIDDEN, field=field)
    elif field.kind != "Sig" or any(view.name(entries.get("FT")) not in ("", "Sig") for entries in holders):
        step.add("form-structure", Need.FORBIDDEN, field=field, key="new")
    elif _reused(step, field):
        step.add("signature-altered", Need.FORBIDDEN, field=field, key="V")
    elif is_signed(view, field):
        _signed_now(step, field)
    elif not _paints(view, field):
        step.add("empty-field", Need.NO_LOCK, field=field)
    else:
        step.add("overlay", Need.FORBIDDEN, field=field)


def _reused(step: Step, field: Field) -> bool:
    """Say whether a new field points at the dictionary of an earlier signature."""
    value = field.inherited.get("V")
    return value is not None and any(
        value == one.inherited.get("V") and not isinstance(value, Mapping)
        for one in step.before.fields.values()
        if one.kind == "Sig"
    )
