"""Empty text fields that were there when the leader signed, filled in the update of a later signature (R35).

Number and date go into their fields this way; the field keeps everything but its value and its appearance. A field that
is not empty, not for text, or asks for another way of writing is refused, never emptied or replaced.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import NoReturn

from signer.errors import InputRefused
from signer.pdf.appearance import painted
from signer.pdf.forms import TEXT_MAX, value_line
from signer.pdf.layout import Layout
from signer.pdf.objects import entry, integer_of
from signer.pdf.options import PdfOptions
from signer.pdf.page import Field, PageView, page_at
from signer.pdf.target import Filling
from signer.pdf.values import Reference

READ_ONLY, PASSWORD, FILE_SELECT, COMB, RICH_TEXT = 1, 1 << 13, 1 << 20, 1 << 24, 1 << 25
"""Bits of ``/Ff`` of a text field (ISO 32000-2, 12.7.5.3)."""
_REFUSED = READ_ONLY | PASSWORD | FILE_SELECT | COMB | RICH_TEXT


def wanted_fillings(options: PdfOptions) -> tuple[tuple[str, str, str], ...]:
    """Return what is to be filled in as (field, text, form): ``fill``, and a number or date put into a named field."""
    named = tuple((name, text, "number") for name, text in options.fill)
    visible = options.visible
    if visible is None or visible.form not in ("number", "date") or options.field is None:
        return named
    return (*named, (options.field, visible.text or "", visible.form))


def fillings_for(options: PdfOptions, views: Sequence[PageView], known: Sequence[Field]) -> tuple[Filling, ...]:
    """Return the text fields that are filled in the update of the signature.

    Raises:
        InputRefused: a field is not there, not empty, not for text, or the text does not fit it.
    """
    found: list[Filling] = []
    for name, text, form in wanted_fillings(options):
        field = next((one for one in known if one.name == name), None)
        if field is None:
            raise InputRefused("EDOC-PDF-053", "no such field", field=name, why="-")
        if field.kind == "/Sig" and name == options.field:
            continue  # the number is drawn in the signature field itself
        size = options.visible.geometry.value_size if options.visible else 13.0
        found.append(_filling(field, views, text=text, form=form, size=size))
    if len({one.field for one in found}) != len(found):
        raise InputRefused("EDOC-PDF-053", "filled twice", field=found[0].name, why="2 x")
    return tuple(found)


def _filling(field: Field, views: Sequence[PageView], *, text: str, form: str, size: float) -> Filling:
    text = unicodedata.normalize("NFC", text).strip()
    if not text or len(text) > TEXT_MAX:
        raise InputRefused("EDOC-PDF-020", "text missing or too long", form=form, text=text[:40])
    if field.kind != "/Tx" or field.reference is None or len(field.holders) != 1:
        _refuse(field, "/Tx")
    if field.value is not None and str(field.value):
        _refuse(field, "/V")
    if (integer_of(entry(field.dictionary, "/Ff")) or 0) & _REFUSED:
        _refuse(field, "/Ff")
    most = integer_of(entry(field.dictionary, "/MaxLen"))
    if most is not None and len(text) > most:
        _refuse(field, f"/MaxLen {most}")
    page, box = field.widgets[0]
    form = "date" if form == "date" else "number"
    layout = Layout(page_at(views, page), box, lines=(value_line(text, box, size=size, form=form),))
    held, widget = (Reference(one.idnum, one.generation) for one in (field.reference, field.holders[0]))
    return Filling(held, widget, text, painted(layout), field.name)


def _refuse(field: Field, why: str) -> NoReturn:
    raise InputRefused("EDOC-PDF-053", "the text field cannot be filled", field=field.name, why=why)
