"""Fields that are no signatures: blank ones are filled, filled ones altered, buttons moved (signing.md 4.3).

Blank is what has no value and shows no text, picture or path but a border or background. What is filled may be altered
only where it is written; a button or a choice may move to a state that it has, and must show it.
"""

from __future__ import annotations

from collections.abc import Mapping

from signer.pdf.comparing.covering import leaves, over_large
from signer.pdf.comparing.equality import Equality
from signer.pdf.comparing.painting import (
    draws_a_frame_at_most,
    draws_nothing,
    is_plain_text,
    is_standard_font,
    octets_of,
    shown_text,
)
from signer.pdf.comparing.step import Need, Pair, Step
from signer.pdf.comparing.view import Field, View, Widget, appearance_streams, text_of
from signer.pdf.values import Name, String, Value

FILLING = frozenset({"V", "AP", "AS", "RV", "I", "TI"})
"""Entries by which a field is filled."""
_MOVING = frozenset({"V", "AS"})


def compare_filled(step: Step, equal: Equality, pair: Pair, keys: set[str]) -> None:
    """A field that is no signature's was filled or altered."""
    field = pair.after
    if _enlarges(step, pair):
        step.add("overlay", Need.FORBIDDEN, field=field)
    elif field.kind == "Btn":
        moved = not keys - _MOVING and _state_exists(step, pair)
        step.add("form-fill" if moved else "form-change", Need.NO_LOCK if moved else Need.WRITTEN, field=field)
    elif is_blank(step.before, pair.before) or (field.kind == "Ch" and "V" in keys and _chosen(step, equal, pair)):
        step.add("form-fill", Need.NO_LOCK, field=field)
    elif keys != {"AP"} or not _drawn_at_last(step, equal, pair):
        step.refillable(field, pair.before.key)


def _drawn_at_last(step: Step, equal: Equality, pair: Pair) -> bool:
    """Say whether a value that readers had to draw themselves gets an appearance that shows it, and nothing else."""
    if any("AP" in widget.entries for widget in pair.before.widgets):
        return False
    return _openly_shown(step, equal, pair, text_of(step.after.document.resolve(pair.after.inherited.get("V"))))


def _openly_shown(step: Step, equal: Equality, pair: Pair, text: str) -> bool:
    """Say whether the appearances show a text and nothing else, in fonts that the form had or every reader has."""
    fonts = step.before.dictionary(step.before.get(step.before.form.get("DR"), "Font"))
    for widget in pair.after.widgets:
        if not _shows(step.after, widget, text):
            return False
        for stream in appearance_streams(step.after, widget.entries):
            data = octets_of(step.after, stream)
            if data is None or not is_plain_text(data):
                return False
            used = step.after.dictionary(step.after.get(stream.dictionary.get("Resources"), "Font"))
            for name, font in used.items():
                if not is_standard_font(step.after, font) and not equal.same(fonts.get(name), font):
                    return False
    return True


def _enlarges(step: Step, pair: Pair) -> bool:
    field = pair.after
    painted = any(not draws_nothing(step.after, widget.entries) for widget in field.widgets)
    return over_large(step.after, field) or (painted and leaves(step.after, field))


def is_blank(view: View, field: Field) -> bool:
    """Blank: no value, and an appearance without text, picture or path but a border or background."""
    value = view.document.resolve(field.inherited.get("V"))
    empty = value is None or (isinstance(value, String) and not text_of(value).strip()) or value in ((), Name("Off"))
    return empty and all(draws_a_frame_at_most(view, widget.entries) for widget in field.widgets)


def _state_exists(step: Step, pair: Pair) -> bool:
    """Say whether a button moved to states that it had: each widget shows one of its appearances, or none."""
    states: set[str] = {"Off"}
    for left, right in pair.widgets:
        known = set(_states(step.before, left))
        shown = step.after.document.resolve(right.entries.get("AS"))
        if shown is not None and (not isinstance(shown, Name) or str(shown) not in known | {"Off"}):
            return False
        states |= known
    value = step.after.document.resolve(pair.after.inherited.get("V"))
    return value is None or (isinstance(value, Name) and str(value) in states) or _is_option(step, pair, value)


def _states(view: View, widget: Widget) -> Mapping[str, Value]:
    """Return the appearances of a button by state; none if it has just one."""
    found = view.get(widget.entries.get("AP"), "N")
    return found if isinstance(found, Mapping) else {}


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


def _chosen(step: Step, equal: Equality, pair: Pair) -> bool:
    """Say whether a choice moved to one of its options and shows just that."""
    value = step.after.document.resolve(pair.after.inherited.get("V"))
    values = value if isinstance(value, tuple) else (value,)
    options = _options(step.before, pair.before)
    chosen = [text_of(step.after.document.resolve(one)) for one in values]
    if not all(one in options for one in chosen):
        return False
    wanted = "".join(options[one] for one in chosen)
    return _openly_shown(step, equal, pair, wanted)


def _shows(view: View, widget: Widget, wanted: str) -> bool:
    """Say whether the appearance of a widget shows this text in literal strings, and no picture."""
    for stream in appearance_streams(view, widget.entries):
        data = octets_of(view, stream)
        if data is None or shown_text(data).decode("latin-1") != wanted or b"<" in data.replace(b"<<", b""):
            return False
        if b" Do" in data or b"BI" in data:
            return False
    return True
