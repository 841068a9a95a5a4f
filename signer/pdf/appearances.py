"""Where a signature is drawn, and what text its picture holds as far as this package wrote it (console.md 5.2)."""

from __future__ import annotations

import re

from signer.errors import InputRefused, LimitExceeded
from signer.pdf.formtree import FormField, mapping, resolved
from signer.pdf.reading import State
from signer.pdf.values import Stream, Value
from signer.report import Appearance

TEXT_MAX = 65_536
"""Octets of a picture, and of its table of letters, that are looked at for text."""


def appearance_of(field: FormField, state: State) -> Appearance | None:
    """Return where a field is drawn, and the text of an appearance in the form this package writes.

    Raises:
        LimitExceeded: a budget is used up.
    """
    for page, box in field.widgets:
        if min(box[2:]) > 0:
            x, y, w, h = (round(value, 2) for value in box)
            return Appearance(page, (x, y, w, h), _text(field, state))
    return None


def _text(field: FormField, state: State) -> str | None:
    stream = resolved(state, mapping(state, field.dictionary.get("AP")).get("N"))
    if not isinstance(stream, Stream) or len(stream.raw) > TEXT_MAX:
        return None
    fonts = mapping(state, mapping(state, stream.dictionary.get("Resources")).get("Font"))
    shown = _octets(state, stream)
    if shown is None:
        return None
    tables = {key: _table(state, fonts.get(key)) for key in ("F", "F1", "F2")}
    lines = [
        "".join(tables[font.decode()].get(code, "\ufffd") for code in re.findall(rb"[0-9A-F]{4}", line))
        for font, line in re.findall(rb"/(F[12]?) [\d.]+ Tf [-\d. ]+ Tm <([0-9A-F]+)> Tj", shown)
        if tables[font.decode()]
    ]
    return " ".join(lines) or None


def _table(state: State, font: Value) -> dict[bytes, str]:
    """Return the letters of a font by their codes, if it is as this package writes it."""
    letters = _octets(state, mapping(state, font).get("ToUnicode"))
    return {
        code: bytes.fromhex(text.decode()).decode("utf-16-be", "replace")
        for code, text in re.findall(rb"<([0-9A-F]{4})> <((?:[0-9A-F]{4}){1,2})>\n", letters or b"")
    }


def _octets(state: State, value: Value) -> bytes | None:
    stream = resolved(state, value)
    if not isinstance(stream, Stream):
        return None
    try:
        octets = state.decoded(stream)
    except LimitExceeded:
        raise
    except InputRefused:
        return None
    return octets if len(octets) <= TEXT_MAX else None
