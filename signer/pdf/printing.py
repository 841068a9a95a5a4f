"""A rendition of a PDF for paper: lines at the foot of every page that say what the sheet is (R51; LGDĐT 12(2)).

The lines are stamps of an incremental update over a copy: what the pages show is not touched, pictures of signatures
and seals included. The rendition is no signed document any more, and whoever checks it as a file is told so: stamps are
changes no signer allowed.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

from signer.errors import InputRefused
from signer.pdf.appearance import painted
from signer.pdf.geometry import MM
from signer.pdf.layout import BLACK, Frame, Layout, Line
from signer.pdf.opening import open_pdf, reading, split_trailing
from signer.pdf.page import PageView, pages
from signer.pdf.typeface import Typeface, serif
from signer.pdf.update import Raw, Writer, identify, paint, pointer, section
from signer.pdf.values import Name, Reference, Value
from signer.pdf.writing import encode, text_string
from signer.trust import Limits

SIZE, SIZE_LEAST = 8.0, 4.0
"""Points of the lines: as large as the page allows."""

SIDE, FOOT, STEP, PAD = 10.0, 4.0, 3.4, 1.0
"""Millimetres: from the sides and the foot of the page, between lines, between frame and text."""

LINES_MAX = 6
PRINTED_AND_LOCKED = 4 | 64 | 128


def print_pdf(data: bytes, lines: Sequence[str], *, limits: Limits | None = None) -> bytes:
    """Return the PDF with these lines in a frame at the foot of every page; it begins with the input.

    Raises:
        ValueError: there is no line, or there are more than ``LINES_MAX``.
        InputRefused: no PDF, encrypted or damaged, or a page is too narrow; LimitExceeded: it is over a limit.
    """
    if not 0 < len(lines) <= LINES_MAX:
        raise ValueError(f"1 to {LINES_MAX} lines")
    if split_trailing(data)[1]:
        raise InputRefused("EDOC-PDF-005", "bytes behind the end of the file", where="%%EOF")
    reader = open_pdf(data, limits=limits or Limits())
    with reading("pages"):
        views = pages(reader)
    layouts = [_laid_out(view, lines) for view in views]
    with reading("update"):
        writer = Writer(BytesIO(data), strict=True)
        bodies = [_stamp(writer, layout) for layout in layouts]
        identify(writer, data, b"".join(bodies))
        for layout, body in zip(layouts, bodies, strict=True):
            writer.register_annotation(pointer(writer, _page(layout)), writer.add_object(Raw(body)))  # type: ignore[no-untyped-call]
        return data + bytes(section(writer, data))


def _laid_out(page: PageView, lines: Sequence[str]) -> Layout:
    face = serif()
    wide, high = page.size
    room = wide - 2 * SIDE - 2 * PAD
    size = _size(face, lines, room)
    if size is None:
        raise InputRefused(
            "EDOC-PDF-052", "the page is too narrow", form="print", size=f"{room:.0f}", box=f"{wide:.0f}"
        )
    step = STEP * size / SIZE
    height = step * len(lines) + 2 * PAD
    box = SIDE, high - FOOT - height, wide - 2 * SIDE, height
    placed = tuple(Line(PAD, PAD + step * (n + 0.8), text, size, face, BLACK) for n, text in enumerate(lines))
    return Layout(page, box, lines=placed, frames=(Frame((0.0, 0.0, box[2], box[3]), 0.2, BLACK),))


def _size(face: Typeface, lines: Sequence[str], room: float) -> float | None:
    size = SIZE
    while size >= SIZE_LEAST:
        if all(face.width(text, size) / MM <= room for text in lines):
            return size
        size -= 0.25
    return None


def _page(layout: Layout) -> Reference:
    return Reference(layout.page.reference.idnum, layout.page.reference.generation)


def _stamp(writer: Writer, layout: Layout) -> bytes:
    stamp: dict[str, Value] = {
        "Type": Name("Annot"),
        "Subtype": Name("Stamp"),
        "Rect": tuple(round(corner, 3) for corner in layout.page.rectangle(layout.box)),
        "F": PRINTED_AND_LOCKED,
        "P": _page(layout),
        "Contents": text_string(layout.text or ""),
        "AP": {"N": paint(writer, painted(layout))},
    }
    return encode(stamp)
