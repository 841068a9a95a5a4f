"""Painting a visible form: its own form XObject with embedded subset and picture (ISO 32000-2, 12.5.5; signing.md 3.3).

Everything an appearance needs is inside it, so nothing it depends on can change later. It is painted upright as the
page is displayed, whatever ``/Rotate`` says. A picture becomes an image with its opacity as soft mask. What comes out
are plain objects, which both writers take; a picture or the letters of a text are packed once and used for every file.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from functools import lru_cache

from signer.pdf.geometry import MM, Box
from signer.pdf.layout import BLACK, Colour, Frame, Image, Layout, Line
from signer.pdf.png import Picture
from signer.pdf.target import Painted
from signer.pdf.typeface import Embedded, Typeface
from signer.pdf.values import Name, Reference, Stream, String, Value

_UPRIGHT = {0: (1, 0, 0, 1, 0, 0), 90: (0, 1, -1, 0, 0, 0), 180: (-1, 0, 0, -1, 0, 0), 270: (0, -1, 1, 0, 0, 0)}
"""Matrices that turn an appearance against the rotation of its page."""
_WHITE = (0.9505, 1, 1.089)
_SRGB = (0.4124, 0.2126, 0.0193, 0.3576, 0.7152, 0.1192, 0.1805, 0.0722, 0.9505)
_COLOURS: Value = {
    "DefaultGray": (Name("CalGray"), {"WhitePoint": _WHITE, "Gamma": 2.2}),
    "DefaultRGB": (Name("CalRGB"), {"WhitePoint": _WHITE, "Gamma": (2.2, 2.2, 2.2), "Matrix": _SRGB}),
}
"""What grey and red mean, whatever output the file is meant for: PDF/A asks for it (ISO 19005-2, 6.2.4.3)."""
COMMON = "0123456789/:;+-., "
"""Letters that stand in every subset: number, date and time change from file to file, the subset does not."""
PAINTED_MAX, PACKED_MAX = 64, 32


def painted(layout: Layout) -> Painted:
    """Return the appearance of a layout; equal ones of equal size are the same object."""
    size = (round(layout.box[2], 6), round(layout.box[3], 6))
    return _painted(size, layout.page.rotation, layout.image, layout.lines, layout.frames)


@lru_cache(maxsize=PAINTED_MAX)
def _painted(
    size: tuple[float, float],
    rotation: int,
    image: Image | None,
    lines: tuple[Line, ...],
    frames: tuple[Frame, ...],
) -> Painted:
    width, height = size[0] * MM, size[1] * MM
    objects: list[Value] = []
    resources: dict[str, Value] = {"ColorSpace": _COLOURS}
    operators = [_drawn_frame(frame, height) for frame in frames]
    if image is not None:
        operators.append(_drawn_image(image.box, height))
        resources["XObject"] = {"Im": _add_image(objects, image.picture)}
    fonts = _fonts(lines)
    if fonts:
        resources["Font"] = {key: _add_font(objects, font) for key, font in fonts.values()}
        operators += [_drawn_line(line, *fonts[line.face], height=height) for line in lines]
    head: dict[str, Value] = {
        "Type": Name("XObject"),
        "Subtype": Name("Form"),
        "BBox": (0, 0, round(width, 3), round(height, 3)),
        "Matrix": _UPRIGHT[rotation],
        "Resources": resources,
    }
    objects.append(Stream(head, "\n".join(operators).encode("ascii")))
    return Painted(len(objects) - 1, tuple(objects))


def _drawn_image(box: Box, height: float) -> str:
    x, y, w, h = (value * MM for value in box)
    return f"q {w:.3f} 0 0 {h:.3f} {x:.3f} {height - y - h:.3f} cm /Im Do Q"


def _drawn_frame(frame: Frame, height: float) -> str:
    """Return a frame as the area between two rectangles: a line would be moved to whole pixels by some renderers."""
    x, y, w, h = (value * MM for value in frame.box)
    weight = frame.weight * MM
    outer = f"{x:.3f} {height - y - h:.3f} {w:.3f} {h:.3f} re"
    inner = f"{x + weight:.3f} {height - y - h + weight:.3f} {w - 2 * weight:.3f} {h - 2 * weight:.3f} re"
    return f"q {_colour(frame.colour, 'rg')} {outer} {inner} f* Q"


def _drawn_line(line: Line, key: str, font: Embedded, *, height: float) -> str:
    place = f"{line.x * MM:.3f} {height - line.baseline * MM:.3f}"
    shown = font.encode(line.text).hex().upper()
    return f"BT {_colour(line.colour, 'rg')} /{key} {line.size:g} Tf 1 0 0 1 {place} Tm <{shown}> Tj ET"


def _colour(colour: Colour, operator: str) -> str:
    if colour == BLACK:
        return "0 g" if operator == "rg" else "0 G"
    return " ".join(f"{part:g}" for part in colour) + f" {operator}"


def _fonts(lines: Sequence[Line]) -> dict[Typeface, tuple[str, Embedded]]:
    """Return a name and a subset for each face."""
    texts: dict[Typeface, list[str]] = {}
    for line in lines:
        texts.setdefault(line.face, [COMMON]).append(line.text)
    return {
        face: (f"F{number}" if number else "F", face.embed(held)) for number, (face, held) in enumerate(texts.items())
    }


def _add(objects: list[Value], value: Value) -> Reference:
    objects.append(value)
    return Reference(len(objects) - 1, 0)


def _add_image(objects: list[Value], picture: Picture) -> Reference:
    colour, opacity = _packed_picture(picture)
    if opacity is None:
        return _add(objects, colour)
    mask = _add(objects, opacity)
    return _add(objects, Stream({**colour.dictionary, "SMask": mask}, colour.raw))


@lru_cache(maxsize=PACKED_MAX)
def _packed_picture(picture: Picture) -> tuple[Stream, Stream | None]:
    space = "DeviceGray" if picture.grey else "DeviceRGB"
    opacity = None if picture.opacity is None else _pixels(picture, picture.opacity, "DeviceGray")
    return _pixels(picture, picture.colour, space), opacity


def _pixels(picture: Picture, data: bytes, space: str) -> Stream:
    head: dict[str, Value] = {
        "Type": Name("XObject"),
        "Subtype": Name("Image"),
        "Width": picture.width,
        "Height": picture.height,
        "ColorSpace": Name(space),
        "BitsPerComponent": 8,
    }
    return _packed(data, head)


def _packed(data: bytes, head: dict[str, Value]) -> Stream:
    return Stream({**head, "Filter": Name("FlateDecode")}, zlib.compress(data, 9))


@lru_cache(maxsize=PACKED_MAX)
def _packed_font(font: Embedded) -> tuple[Stream, Stream, Stream]:
    """Return font file, ToUnicode and the set of glyphs, packed."""
    present = bytearray((font.glyph_count + 7) // 8)
    for glyph in range(font.glyph_count):
        present[glyph // 8] |= 0x80 >> glyph % 8
    file = _packed(font.file, {"Length1": len(font.file)})
    return file, _packed(font.to_unicode(), {}), _packed(bytes(present), {})


def _add_font(objects: list[Value], font: Embedded) -> Reference:
    """Add a Type 0 font with Identity-H encoding, widths and ToUnicode (ISO 32000-2, 9.7)."""
    file, to_unicode, present = _packed_font(font)
    descendant = _add(objects, _descendant(font, _add(objects, _descriptor(objects, font, file, present))))
    entries: dict[str, Value] = {
        "Type": Name("Font"),
        "Subtype": Name("Type0"),
        "BaseFont": Name(font.name),
        "Encoding": Name("Identity-H"),
        "DescendantFonts": (descendant,),
        "ToUnicode": _add(objects, to_unicode),
    }
    return _add(objects, entries)


def _descriptor(objects: list[Value], font: Embedded, file: Stream, present: Stream) -> dict[str, Value]:
    return {
        "Type": Name("FontDescriptor"),
        "FontName": Name(font.name),
        "Flags": 6 | (64 if font.italic_angle else 0),  # serif, symbolic
        "FontBBox": font.box,
        "ItalicAngle": font.italic_angle,
        "Ascent": font.ascent,
        "Descent": font.descent,
        "CapHeight": font.cap_height,
        "StemV": 140 if font.bold else 80,
        "FontFile2": _add(objects, file),
        "CIDSet": _add(objects, present),  # PDF/A-1 asks for it (ISO 19005-1, 6.3.5)
    }


def _descendant(font: Embedded, descriptor: Reference) -> dict[str, Value]:
    widths: list[Value] = []
    for _, glyph, advance in sorted(font.glyphs, key=lambda one: one[1]):
        widths += [glyph, (advance,)]
    return {
        "Type": Name("Font"),
        "Subtype": Name("CIDFontType2"),
        "BaseFont": Name(font.name),
        "CIDSystemInfo": {"Registry": String(b"Adobe"), "Ordering": String(b"Identity"), "Supplement": 0},
        "CIDToGIDMap": Name("Identity"),
        "DW": 1000,
        "W": tuple(widths),
        "FontDescriptor": descriptor,
    }
