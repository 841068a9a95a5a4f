"""What the form says for all its fields: it may grow, but not change what is drawn (signing.md 4.3).

Alignment and default appearance are compared in each field, where they hold. Resources of the form may be added;
those by which an old field could be drawn anew stay.
"""

from __future__ import annotations

from signer.pdf.comparing.equality import Equality
from signer.pdf.comparing.painting import is_standard_font, names_in, octets_of, shown_text
from signer.pdf.comparing.step import Need, Step
from signer.pdf.comparing.view import EMPTY, Dictionary, Field, View, appearance_streams, text_of
from signer.pdf.values import String, Value

_DONE = frozenset({"Fields", "SigFlags", "DR", "DA", "Q", "NeedAppearances", "Type"})
_NODE = frozenset({"T", "Kids", "Parent", "FT", "Ff", "V", "DV", "DA", "Q", "MaxLen", "Opt"})


def compare_form(step: Step, equal: Equality) -> None:
    """Note what a step did to the form as a whole."""
    before, after = step.before.form, step.after.form
    for key in {*before, *after} - _DONE:
        if not equal.same(before.get(key), after.get(key)):
            step.add("form-structure", Need.FORBIDDEN, key=key)
    if step.before.integer(before.get("SigFlags")) & ~step.after.integer(after.get("SigFlags")):
        step.add("form-structure", Need.FORBIDDEN, key="SigFlags")
    if not _resources_kept(step, equal, before.get("DR"), after.get("DR")):
        step.add("form-structure", Need.FORBIDDEN, key="DR")
    if not _drawn_as_before(step, before, after):
        step.add("form-structure", Need.FORBIDDEN, key="NeedAppearances")
    _compare_nodes(step, equal)


def _compare_nodes(step: Step, equal: Equality) -> None:
    """Inner nodes give names and what is inherited; actions and all else on them stay."""
    for name, node in step.after.nodes.items():
        old = step.before.nodes.get(name)
        former = old.entries if old else EMPTY
        for key in {*node.entries, *former} - _NODE:
            if not equal.same(former.get(key), node.entries.get(key)):
                kind = "action" if key in ("A", "AA") else "form-structure"
                step.add(kind, Need.FORBIDDEN, key=key)


def _variable(view: View) -> list[Field]:
    """Return the fields that a reader could draw anew."""
    return [one for one in view.fields.values() if one.kind != "Sig"]


def _resources_kept(step: Step, equal: Equality, one: Value, other: Value) -> bool:
    """Say whether the resources an old field could be drawn with are there under their names, and the same."""
    if equal.same(one, other):
        return True
    fields = list(step.before.fields.values())
    if not _variable(step.before) and not any(_leans_on_form(step.before, field) for field in fields):
        return True
    left, right = step.before.dictionary(one), step.after.dictionary(other)
    for kind in {*left, *right} - {"ProcSet"}:
        former, now = step.before.dictionary(left.get(kind)), step.after.dictionary(right.get(kind))
        if any(not equal.same(former[name], now.get(name)) for name in former):
            return False
        added = {name for name in now if name not in former}
        if added and any(
            name in added and not is_standard_font(step.after, now[name]) for name in _asked_for(step.before)
        ):
            return False
    return True


def _asked_for(view: View) -> set[str]:
    """Return the names that default appearances of fields use."""
    found: set[str] = set()
    for field in view.fields.values():
        for entries in (field.inherited, *(widget.entries for widget in field.widgets)):
            value = view.document.resolve(entries.get("DA"))
            if isinstance(value, String):
                found |= names_in(bytes(value))
    return found


def _leans_on_form(view: View, field: Field) -> bool:
    """Say whether an appearance has no resources of its own."""
    return any(
        "Resources" not in stream.dictionary and (data := octets_of(view, stream)) is not None and b"/" in data
        for widget in field.widgets
        for stream in appearance_streams(view, widget.entries)
    )


def _drawn_as_before(step: Step, before: Dictionary, after: Dictionary) -> bool:
    """Decide by what is visible whether readers may draw fields anew, or may no longer.

    Asking for it is taken only from a step that fills a field, and while nothing else is filled; no longer asking, if
    what the appearances show is what the values say.
    """
    asked = step.before.document.resolve(before.get("NeedAppearances")) is True
    asks = step.after.document.resolve(after.get("NeedAppearances")) is True
    if asked == asks:
        return True
    filled = [one for one in _variable(step.before) if _has_value(step.before, one)]
    if asks:
        return not filled and any(_has_value(step.after, one) for one in _variable(step.after))
    return all(_shows_its_value(step.before, one) for one in filled)


def _has_value(view: View, field: Field) -> bool:
    value = view.document.resolve(field.inherited.get("V"))
    return field.kind != "Btn" and (bool(value) if isinstance(value, String | tuple) else value is not None)


def _shows_its_value(view: View, field: Field) -> bool:
    text = text_of(view.document.resolve(field.inherited.get("V")))
    shown = [
        shown_text(data).decode("latin-1")
        for widget in field.widgets
        for stream in appearance_streams(view, widget.entries)
        if (data := octets_of(view, stream)) is not None
    ]
    return bool(shown) and all(one == text for one in shown)
