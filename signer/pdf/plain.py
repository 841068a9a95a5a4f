"""An appearance as plain objects, made once and used for every file of a batch (signing.md 3.3, 3.4)."""

from __future__ import annotations

from functools import lru_cache

from pyhanko.pdf_utils import generic

from signer.pdf.appearance import paint
from signer.pdf.geometry import Box
from signer.pdf.placement import Layout, Line
from signer.pdf.png import Picture
from signer.pdf.target import Painted
from signer.pdf.typeface import Typeface
from signer.pdf.values import Name, Reference, Stream, String, Value


def painted(layout: Layout) -> Painted:
    """Return the appearance of a layout; equal forms of equal size are painted once."""
    size = (0.0, 0.0, round(layout.box[2], 6), round(layout.box[3], 6))
    return _painted(_Held(layout), size, layout.page.rotation, layout.picture, layout.frame, layout.face, layout.lines)


class _Held:
    """A layout that is no part of the key it is remembered by."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Held)

    def __hash__(self) -> int:
        return 0


@lru_cache(maxsize=64)
def _painted(
    held: _Held,
    size: Box,
    rotation: int,
    picture: Picture | None,
    frame: Box | None,
    face: Typeface | None,
    lines: tuple[Line, ...],
) -> Painted:
    objects: list[Value] = []

    def add(value: generic.PdfObject) -> generic.IndirectObject:
        objects.append(_plain(value))
        return generic.IndirectObject(len(objects) - 1, 0, None)  # type: ignore[no-untyped-call]

    root = paint(held.layout, add)
    return Painted(root.idnum, tuple(objects))


def _plain(value: generic.PdfObject) -> Value:
    if isinstance(value, generic.IndirectObject):
        return Reference(value.idnum, value.generation)
    if isinstance(value, generic.DictionaryObject):
        entries = {str(key)[1:]: _plain(value.raw_get(key)) for key in value}
        return Stream(entries, bytes(value.encoded_data)) if isinstance(value, generic.StreamObject) else entries
    if isinstance(value, generic.ArrayObject):
        return tuple(_plain(value.raw_get(index)) for index in range(len(value)))
    return _scalar(value)


def _scalar(value: generic.PdfObject) -> Value:
    if isinstance(value, generic.NameObject):
        return Name(str(value)[1:])
    if isinstance(value, generic.NumberObject):
        return int(value)
    if isinstance(value, generic.FloatObject):
        return float(value)
    if isinstance(value, generic.TextStringObject):
        return String(str(value).encode("ascii"))
    raise TypeError(f"not part of an appearance: {type(value).__name__}")
