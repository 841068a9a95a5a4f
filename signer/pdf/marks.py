"""Urgency stamps and circulation marks on a letter that nobody has signed yet (regulations.md 6; NĐ30, App. I.III.2).

HỎA TỐC, THƯỢNG KHẨN and KHẨN stand in a single frame of bright red, under the number; XEM XONG TRẢ LẠI and LƯU HÀNH
NỘI BỘ in a frame of black. A mark is put on by an incremental update, as a stamp that is printed and cannot be moved;
what the page shows is not touched. A signed file is refused: only signatures and their fields may be added to it.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from io import BytesIO

from signer.errors import InputRefused
from signer.pdf.appearance import painted
from signer.pdf.forms import FRAME, ROUNDING
from signer.pdf.geometry import MM, Box
from signer.pdf.layout import BLACK, RED, Colour, Frame, Layout, Line
from signer.pdf.objects import dictionary_of, entry, is_name, items_of
from signer.pdf.opening import bounded, has_signature, open_pdf, reading, split_trailing
from signer.pdf.page import Field, PageView, fields, is_shared, overlap, page_at, pages, rectangle_of
from signer.pdf.refusals import refuse_unsignable
from signer.pdf.typeface import serif
from signer.pdf.update import Raw, Writer, annotate, identify, paint, pointer, section
from signer.pdf.values import Name, Reference, Value
from signer.pdf.writing import encode, text_string
from signer.trust import Limits

HEIGHT = 8.0
SIZES = (14.0, 13.0)
MARGIN = 1.0
"""Least room between a frame and its letters, in mm."""
PRINTED_AND_LOCKED = 4 | 64 | 128


@dataclass(frozen=True, slots=True)
class Mark:
    """A mark: its text, width in mm (``None`` is as wide as the text asks for), and colour; 8 mm high."""

    text: str
    width: float | None
    colour: Colour


MARKS = {
    one.text: one
    for one in (
        Mark("HỎA TỐC", 30.0, RED),
        Mark("THƯỢNG KHẨN", 40.0, RED),
        Mark("KHẨN", 20.0, RED),
        Mark("XEM XONG TRẢ LẠI", None, BLACK),
        Mark("LƯU HÀNH NỘI BỘ", None, BLACK),
    )
}


def size_of(mark: str) -> tuple[float, float]:
    """Return width and height of a mark in mm.

    Raises:
        ValueError: no such mark.
    """
    found = _mark(mark)
    return found.width or serif("bold").width(found.text, SIZES[0]) / MM + 6.0, HEIGHT


def mark_pdf(data: bytes, mark: str, *, box_mm: Box, page: int = 1, limits: Limits | None = None) -> bytes:
    """Put a mark on an unsigned PDF; the result begins with the input, byte for byte.

    ``mark`` is a key of ``MARKS``, ``page`` 1…n or -1 for the last, ``box_mm`` (x, y, width, height) in mm from the
    upper left corner of the page as displayed: the mark keeps its size and stands in the middle.

    Raises:
        ValueError: no such mark.
        InputRefused: the file is signed, cannot be changed, or the box is off the page, too small or over something.
        LimitExceeded: the file is over a limit.
    """
    found, bounds = _mark(mark), limits or Limits()
    if has_signature(data):
        raise InputRefused("EDOC-PDF-051", "the file is signed", mark=found.text)
    if split_trailing(data)[1]:
        raise InputRefused("EDOC-PDF-005", "bytes behind the end of the file", where="%%EOF")
    bounded(data, limits=bounds)
    reader = open_pdf(data, limits=bounds)
    with reading("pages and fields"):
        refuse_unsignable(reader, limits=bounds)
        views = pages(reader)
        known = fields(reader, views)
    if any(one.filled_signature for one in known):
        raise InputRefused("EDOC-PDF-051", "the file is signed", mark=found.text)
    layout = _laid_out(found, page_at(views, page), box_mm)
    with reading("update"):
        apart = is_shared(reader, views, _page_of(layout))
        writer = Writer(BytesIO(data), strict=True)
        _check_free(layout, known, writer)
        return data + _updated(writer, data, layout, apart=apart)


def _mark(text: str) -> Mark:
    found = MARKS.get(unicodedata.normalize("NFC", text).strip().upper())
    if found is None:
        raise ValueError(f"no mark {text!r}")
    return found


def _laid_out(mark: Mark, page: PageView, given: Box) -> Layout:
    width, height = size_of(mark.text)
    shown = ", ".join(f"{value:.1f}" for value in given)
    if given[2] < width - ROUNDING or given[3] < height - ROUNDING:
        least = f"{width:g} × {height:g}"
        raise InputRefused("EDOC-PDF-052", "the box is too small", form=mark.text, size=least, box=shown)
    box = given[0] + (given[2] - width) / 2, given[1] + (given[3] - height) / 2, width, height
    if not page.holds(box):
        raise InputRefused("EDOC-PDF-013", "the box is off the page", box=shown, page=page.number)
    face = serif("bold")
    size = next(one for one in SIZES if face.width(mark.text, one) / MM <= width - 2 * (MARGIN + FRAME))
    start = (width - face.width(mark.text, size) / MM) / 2
    baseline = height / 2 + face.cap_height * size / 2000 / MM
    line = Line(start, baseline, mark.text, size, face, mark.colour)
    return Layout(page, box, lines=(line,), frames=(Frame((0.0, 0.0, width, height), FRAME, mark.colour),))


def _check_free(layout: Layout, known: list[Field], writer: Writer) -> None:
    """Refuse a mark over a field or another mark."""
    number = layout.page.number
    taken = [(one.name, box) for one in known for page, box in one.widgets if page == number]
    page = dictionary_of(pointer(writer, _page_of(layout)))
    for item in items_of(entry(page, "/Annots")):
        held = dictionary_of(item)
        rectangle = rectangle_of(entry(held, "/Rect"))
        if rectangle is not None and is_name(entry(held, "/Subtype"), "/Stamp"):
            taken.append((str(entry(held, "/Contents") or "/Stamp"), layout.page.box(rectangle)))
    for name, box in taken:
        if overlap(box, layout.box):
            raise InputRefused("EDOC-PDF-014", "the mark covers something", field=name, page=number)


def _page_of(layout: Layout) -> Reference:
    return Reference(layout.page.reference.idnum, layout.page.reference.generation)


def _updated(writer: Writer, data: bytes, layout: Layout, *, apart: bool) -> bytes:
    page = _page_of(layout)
    stamp: dict[str, Value] = {
        "Type": Name("Annot"),
        "Subtype": Name("Stamp"),
        "Rect": tuple(round(corner, 3) for corner in layout.page.rectangle(layout.box)),
        "F": PRINTED_AND_LOCKED,
        "P": page,
        "Contents": text_string(layout.text or ""),
        "AP": {"N": paint(writer, painted(layout))},
    }
    body = encode(stamp)
    identify(writer, data, body)
    added = writer.add_object(Raw(body))
    annotate(writer, page, added, apart=apart)
    return bytes(section(writer, data))
