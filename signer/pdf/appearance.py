"""Painting a visible form: its own form XObject with embedded subset and picture (ISO 32000-2, 12.5.5; signing.md 3.3).

Everything an appearance needs is inside it, so nothing it depends on can change later. It is painted upright as the
page is displayed, whatever ``/Rotate`` says. A picture becomes an image with its opacity as soft mask.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.generic import pdf_name

from signer.pdf.objects import dictionary, number, numbers
from signer.pdf.page import MM
from signer.pdf.placement import Layout
from signer.pdf.png import Picture
from signer.pdf.typeface import Embedded

Add = Callable[[generic.PdfObject], generic.IndirectObject]
"""Adds an object to the update and returns the reference to it."""

_UPRIGHT = {0: (1, 0, 0, 1, 0, 0), 90: (0, 1, -1, 0, 0, 0), 180: (-1, 0, 0, -1, 0, 0), 270: (0, -1, 1, 0, 0, 0)}
"""Matrices that turn an appearance against the rotation of its page."""


def paint(layout: Layout, add: Add) -> generic.IndirectObject:
    """Add the appearance stream of a layout and return the reference to it."""
    width, height = layout.box[2] * MM, layout.box[3] * MM
    resources, operators = dictionary({}), []
    if layout.picture is not None and layout.frame is not None:
        x, y, w, h = (value * MM for value in layout.frame)
        operators.append(f"q {w:.3f} 0 0 {h:.3f} {x:.3f} {height - y - h:.3f} cm /Im Do Q")
        resources[pdf_name("/XObject")] = dictionary({"Im": _image(layout.picture, add)})
    if layout.lines and layout.face is not None:
        font = layout.face.embed(line.text for line in layout.lines)
        resources[pdf_name("/Font")] = dictionary({"F": add_font(font, add)})
        for line in layout.lines:
            place = f"{line.x * MM:.3f} {height - line.baseline * MM:.3f}"
            operators.append(
                f"BT 0 g /F {line.size:g} Tf 1 0 0 1 {place} Tm <{font.encode(line.text).hex().upper()}> Tj ET"
            )
    stream = _stream("\n".join(operators).encode("ascii"), compress=False)
    stream[pdf_name("/Type")] = pdf_name("/XObject")
    stream[pdf_name("/Subtype")] = pdf_name("/Form")
    stream[pdf_name("/BBox")] = numbers(0, 0, width, height)
    stream[pdf_name("/Matrix")] = numbers(*_UPRIGHT[layout.page.rotation])
    stream[pdf_name("/Resources")] = resources
    return add(stream)


def _stream(data: bytes, *, compress: bool = True) -> generic.StreamObject:
    if not compress:
        return generic.StreamObject(stream_data=data)
    packed = generic.StreamObject(encoded_data=zlib.compress(data, 9))
    packed[pdf_name("/Filter")] = pdf_name("/FlateDecode")
    return packed


def _image(picture: Picture, add: Add) -> generic.IndirectObject:
    image = _pixels(picture, picture.colour, "/DeviceGray" if picture.grey else "/DeviceRGB")
    if picture.opacity is not None:
        image[pdf_name("/SMask")] = add(_pixels(picture, picture.opacity, "/DeviceGray"))
    return add(image)


def _pixels(picture: Picture, data: bytes, space: str) -> generic.StreamObject:
    image = _stream(data)
    image[pdf_name("/Type")] = pdf_name("/XObject")
    image[pdf_name("/Subtype")] = pdf_name("/Image")
    image[pdf_name("/Width")] = number(picture.width)
    image[pdf_name("/Height")] = number(picture.height)
    image[pdf_name("/ColorSpace")] = pdf_name(space)
    image[pdf_name("/BitsPerComponent")] = number(8)
    return image


def add_font(font: Embedded, add: Add) -> generic.IndirectObject:
    """Add a Type 0 font with Identity-H encoding, widths and ToUnicode (ISO 32000-2, 9.7)."""
    file = _stream(font.file)
    file[pdf_name("/Length1")] = number(len(font.file))
    name = pdf_name(f"/{font.name}")
    descriptor = dictionary(
        {
            "Type": pdf_name("/FontDescriptor"),
            "FontName": name,
            "Flags": number(6 | (64 if font.italic_angle else 0)),  # serif, symbolic
            "FontBBox": numbers(*font.box),
            "ItalicAngle": number(font.italic_angle),
            "Ascent": number(font.ascent),
            "Descent": number(font.descent),
            "CapHeight": number(font.cap_height),
            "StemV": number(140 if font.bold else 80),
            "FontFile2": add(file),
        }
    )
    widths = generic.ArrayObject()
    for _, glyph, advance in sorted(font.glyphs, key=lambda one: one[1]):
        widths += [number(glyph), generic.ArrayObject([number(advance)])]
    system = dictionary(
        {
            "Registry": generic.TextStringObject("Adobe"),
            "Ordering": generic.TextStringObject("Identity"),
            "Supplement": number(0),
        }
    )
    descendant = dictionary(
        {
            "Type": pdf_name("/Font"),
            "Subtype": pdf_name("/CIDFontType2"),
            "BaseFont": name,
            "CIDSystemInfo": system,
            "CIDToGIDMap": pdf_name("/Identity"),
            "DW": number(1000),
            "W": widths,
            "FontDescriptor": add(descriptor),
        }
    )
    return add(
        dictionary(
            {
                "Type": pdf_name("/Font"),
                "Subtype": pdf_name("/Type0"),
                "BaseFont": name,
                "Encoding": pdf_name("/Identity-H"),
                "DescendantFonts": generic.ArrayObject([add(descendant)]),
                "ToUnicode": add(_stream(font.to_unicode())),
            }
        )
    )
