"""Fields before and after a step: signed, filled, altered, added, removed (signing.md 4.3).

A field that was signed stays as it is. One that was there, empty, may be signed or filled; a button may move to a state
it has. New are only fields of signatures, and what they draw stays within their rectangle and a quarter of the page.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from signer.pdf.comparing.equality import Equality
from signer.pdf.comparing.painting import (
    area_within,
    draws_a_frame_at_most,
    draws_nothing,
    is_seen,
    leaves_its_rectangle,
    octets_of,
    shown_text,
)
from signer.pdf.comparing.step import Need, Pair, Step
from signer.pdf.comparing.view import Dictionary, Field, View, Widget, appearance_streams, text_of
from signer.pdf.values import Name, String, Value

_FIELD = ("FT", "Ff", "V", "DV", "DA", "Q", "MaxLen", "Opt")  # in force by inheritance
_FRAME = frozenset({*_FIELD, "T", "Kids", "P"})  # compared in another way
_IGNORED = frozenset({"M", "NM", "StructParent", "Type"})  # when, which, where in the structure tree
_ACTIONS = frozenset({"A", "AA", "PA", "Dest"})
_SIGNING = frozenset({"V", "AP", "AS", "MK", "F", "DA", "BS", "Border", "H", "C", "Q", "RD", "DR"})
_FILLING = frozenset({"V", "AP", "AS", "RV", "I", "TI"})
_MOVING = frozenset({"V", "AS"})
READ_ONLY = 1
_CARD = 20_000.0
"""Square units (25 cm²) that a place made for a signature may take on any page."""


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
    from signer.pdf.comparing.graph import references_in

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
    elif keys - _FILLING:
        step.add("form-structure", Need.FORBIDDEN, field=pair.after, key=_named(keys - _FILLING))
    else:
        _filled(step, equal, pair, keys)


def _named(keys: Iterable[str]) -> str:
    return ", ".join(sorted(keys)[:5])


def _differing(step: Step, equal: Equality, pair: Pair) -> set[str]:
    """Return the keys by which field and widgets differ, as far as they mean something."""
    one, other = pair.before, pair.after
    held = ("FT", "Ff", "V") if one.kind == other.kind == "Sig" else _FIELD  # signatures are not drawn from defaults
    keys = {key for key in held if not equal.same(one.inherited.get(key), other.inherited.get(key))}
    if "Ff" in keys and _locked_in_this_step(step, pair):
        keys.discard("Ff")
    sides = [(one.entries, other.entries)]
    if not (one.merged and other.merged):
        sides = [] if one.merged != other.merged else sides  # split or joined: what the widgets hold is compared
        sides += [(left.entries, right.entries) for left, right in pair.widgets]
    for left, right in sides:
        for key in {*left, *right} - _FRAME - _IGNORED - (set() if one.merged == other.merged else {"Parent"}):
            if not equal.same(left.get(key), right.get(key)):
                keys.add(key)
        if step.before.type_of(left, "Annot") != step.after.type_of(right, "Annot"):
            keys.add("Type")
    return keys


def _locked_in_this_step(step: Step, pair: Pair) -> bool:
    """Say whether only the read-only flag was set, as programs do for fields that a signature of this step locks."""
    former = step.before.integer(pair.before.inherited.get("Ff"))
    return bool(step.signed) and step.after.integer(pair.after.inherited.get("Ff")) == former | READ_ONLY


def _placing(step: Step, pair: Pair) -> set[str]:
    """Say whether the form leads to a field no more, and whether widgets were taken away, added, or shown elsewhere."""
    placed = {"widget"} if pair.gone or pair.new else set()
    if pair.before.listed and not pair.after.listed:
        placed.add("form")
    for left, right in pair.widgets:
        if left.pages == right.pages:
            continue
        seen = is_seen(step.before, left.entries) or is_seen(step.after, right.entries)
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
        _signed_now(step, pair.after, made=any(is_seen(step.before, one.entries) for one in pair.before.widgets))
    elif all(draws_nothing(step.after, widget.entries) for widget in pair.after.widgets):
        step.add("empty-field", Need.NO_LOCK, field=pair.after)
    else:
        step.add("overlay", Need.FORBIDDEN, field=pair.after)


def _signed_now(step: Step, field: Field, *, made: bool = False) -> None:
    """A field is signed in this step; only an intact signature may paint. ``made`` says that it was there, empty."""
    seen = [widget for widget in field.widgets if widget.pages and is_seen(step.after, widget.entries)]
    value = step.after.dictionary(field.inherited.get("V"))
    painted = any(not draws_nothing(step.after, widget.entries) for widget in seen)
    stamp = step.signed.get(field.name)
    if not value:
        step.add("form-structure", Need.FORBIDDEN, field=field, key="V")
    elif painted and (stamp is None or over_large(step.after, field, made=made) or _leaves(step, field)):
        step.add("overlay", Need.FORBIDDEN, field=field)
    elif stamp and not seen:
        step.add("timestamp", Need.NOTHING, field=field)
    else:
        step.add("signature", Need.NO_LOCK, field=field)


def _leaves(step: Step, field: Field) -> bool:
    return any(leaves_its_rectangle(step.after, widget.entries) for widget in field.widgets)


def over_large(view: View, field: Field, *, made: bool = False) -> bool:
    """Say whether the widgets of a field together take more than a quarter of a page.

    On a page as small as a card, a place that was ``made`` for a signature before may take up to a half.
    """
    return any(area > _allowance(view, page, made=made) for page, area in _areas(view, field).items())


def _allowance(view: View, page: int, *, made: bool) -> float:
    size = _size(view, page)
    return max(size / 4, min(size / 2, _CARD)) if made else size / 4


def _areas(view: View, field: Field) -> dict[int, float]:
    areas: dict[int, float] = {}
    for widget in field.widgets:
        box = view.rectangle(widget.entries.get("Rect"))
        if box is None or not is_seen(view, widget.entries):
            continue
        for page in widget.pages:
            areas[page] = areas.get(page, 0.0) + area_within(box, view.pages[page - 1].box)
    return areas


def _size(view: View, page: int) -> float:
    left, bottom, right, top = view.pages[page - 1].box
    return (right - left) * (top - bottom)


def _total_area(step: Step) -> None:
    """What all new fields of one step paint counts together."""
    areas: dict[int, float] = {}
    for field in step.new:
        if any(not draws_nothing(step.after, widget.entries) for widget in field.widgets):
            for page, area in _areas(step.after, field).items():
                areas[page] = areas.get(page, 0.0) + area
    for page, area in areas.items():
        if area > _size(step.after, page) / 4 and len(step.new) > 1:
            step.add("overlay", Need.FORBIDDEN, page=page, key="together")


def _new(step: Step, field: Field) -> None:
    """A field that was not there: only one for a signature, a plain widget that does nothing."""
    view = step.after
    holders = [field.entries, *(widget.entries for widget in field.widgets)]
    keys = {key for entries in holders for key in entries}
    kinds = {view.document.resolve(entries.get("Subtype")) for entries in holders} - {None, Name("Widget")}
    if keys & _ACTIONS:
        step.add("action", Need.FORBIDDEN, field=field, key=_named(keys & _ACTIONS))
    elif kinds:
        step.add("annotation", Need.FORBIDDEN, field=field, key=str(next(iter(kinds))))
    elif "OC" in keys:
        step.add("layer", Need.FORBIDDEN, field=field, key="OC")
    elif keys & {"AF", "FS"}:
        step.add("attachment", Need.FORBIDDEN, field=field)
    elif field.kind != "Sig":
        step.add("form-structure", Need.FORBIDDEN, field=field, key="new")
    elif _reused(step, field):
        step.add("signature-altered", Need.FORBIDDEN, field=field, key="V")
    elif is_signed(view, field):
        _signed_now(step, field)
    elif all(draws_nothing(view, widget.entries) for widget in field.widgets):
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


def _filled(step: Step, equal: Equality, pair: Pair, keys: set[str]) -> None:
    """A field that is no signature's was filled or altered."""
    field = pair.after
    if _enlarges(step, pair):
        step.add("overlay", Need.FORBIDDEN, field=field)
    elif field.kind == "Btn":
        moved = not keys - _MOVING and _state_exists(step, pair)
        step.add("form-fill" if moved else "form-change", Need.NO_LOCK if moved else Need.WRITTEN, field=field)
    elif is_blank(step.before, pair.before) or (field.kind == "Ch" and _chosen(step, pair)):
        step.add("form-fill", Need.NO_LOCK, field=field)
    else:
        step.refillable(field, pair.before.key)


def _enlarges(step: Step, pair: Pair) -> bool:
    field = pair.after
    painted = any(not draws_nothing(step.after, widget.entries) for widget in field.widgets)
    return over_large(step.after, field) or (painted and _leaves(step, field))


def is_blank(view: View, field: Field) -> bool:
    """Blank: no value, and an appearance without text, picture or path but a border or background."""
    value = view.document.resolve(field.inherited.get("V"))
    empty = value is None or (isinstance(value, String) and not text_of(value).strip()) or value in ((), Name("Off"))
    return empty and all(draws_a_frame_at_most(view, widget.entries) for widget in field.widgets)


def _state_exists(step: Step, pair: Pair) -> bool:
    """Say whether a button moved to states that it had: each widget shows one of its appearances, or none."""
    states: set[str] = {"Off"}
    for left, right in pair.widgets:
        known = set(step.before.dictionary(step.before.dictionary(left.entries.get("AP")).get("N")))
        shown = step.after.document.resolve(right.entries.get("AS"))
        if shown is not None and (not isinstance(shown, Name) or str(shown) not in known | {"Off"}):
            return False
        states |= known
    value = step.after.document.resolve(pair.after.inherited.get("V"))
    return value is None or (isinstance(value, Name) and str(value) in states) or _is_option(step, pair, value)


def _is_option(step: Step, pair: Pair, value: Value) -> bool:
    return isinstance(value, String) and text_of(value) in _options(step.before, pair.before)


def _options(view: View, field: Field) -> dict[str, str]:
    """Return what a choice offers: export value and what is displayed."""
    found = {}
    for item in view.items(field.inherited.get("Opt")):
        value = view.document.resolve(item)
        both = [view.document.resolve(one) for one in value] if isinstance(value, tuple) else [value, value]
        if len(both) == 2:
            found[text_of(both[0])] = text_of(both[1])
    return found


def _chosen(step: Step, pair: Pair) -> bool:
    """Say whether a choice moved to one of its options and shows just that."""
    value = step.after.document.resolve(pair.after.inherited.get("V"))
    values = value if isinstance(value, tuple) else (value,)
    options = _options(step.before, pair.before)
    chosen = [text_of(step.after.document.resolve(one)) for one in values]
    if not all(one in options for one in chosen):
        return False
    wanted = "".join(options[one] for one in chosen)
    return all(_shows(step.after, widget, wanted) for widget in pair.after.widgets)


def _shows(view: View, widget: Widget, wanted: str) -> bool:
    """Say whether the appearance of a widget shows this text in literal strings, and no picture."""
    for stream in appearance_streams(view, widget.entries):
        data = octets_of(view, stream)
        if data is None or shown_text(data).decode("latin-1") != wanted or b"<" in data.replace(b"<<", b""):
            return False
        if b" Do" in data or b"BI" in data:
            return False
    return True


def entries_of(field: Field) -> Iterable[Dictionary]:
    """Go through the entries of a field and its widgets."""
    yield field.entries
    yield from (widget.entries for widget in field.widgets)
