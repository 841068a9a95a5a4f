"""Pages with printed lines, made by hand: any size, turned, cropped, in another unit."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from signer.pdf.geometry import Sheet
from signer.pdf.typeface import Embedded, serif
from tests.signer_pdf.files import build


@dataclass(frozen=True)
class Print:
    """A printed line: where it begins and its baseline in mm of the page as displayed, its text, size in points."""

    x: float
    baseline: float
    text: str
    size: float = 13.0


@dataclass(frozen=True)
class Paper:
    """A kind of page: its media box and what else its dictionary says; its size as displayed in mm; pixels that one
    millimetre is longer on a renderer that knows no ``/UserUnit``."""

    media: tuple[float, float, float, float] = (0.0, 0.0, 595.276, 841.89)
    crop: tuple[float, float, float, float] | None = None
    rotation: int = 0
    unit: float = 1.0

    @property
    def sheet(self) -> Sheet:
        """Its geometry."""
        return Sheet(*(self.crop or self.media), self.rotation, self.unit)

    @property
    def entries(self) -> bytes:
        """What its dictionary says."""
        parts = [f"/MediaBox [{_numbers(self.media)}]"]
        parts += [f"/CropBox [{_numbers(self.crop)}]"] if self.crop else []
        parts += [f"/Rotate {self.rotation}"] if self.rotation else []
        parts += [f"/UserUnit {self.unit:g}"] if self.unit != 1 else []
        return " ".join(parts).encode()


def _numbers(values: Sequence[float]) -> str:
    return " ".join(f"{value:g}" for value in values)


def _scaled(paper: Paper, unit: float) -> Paper:
    return Paper(tuple(v / unit for v in paper.media), None, paper.rotation, unit)  # type: ignore[arg-type]


A4 = Paper()
PAPERS = {
    "A4": A4,
    "A5": Paper((0.0, 0.0, 419.528, 595.276)),
    "A3 landscape": Paper((0.0, 0.0, 1190.551, 841.89)),
    "A4 rotated 90": Paper(rotation=90),
    "A4 rotated 180": Paper(rotation=180),
    "A4 rotated 270": Paper(rotation=270),
    "A4 offset crop box": Paper((-50.0, -80.0, 800.0, 1000.0), (20.0, 30.0, 615.276, 871.89)),
    "A4 crop box, rotated 270": Paper((0.0, 0.0, 800.0, 1000.0), (20.0, 30.0, 615.276, 871.89), 270),
    "A4 user unit 2": Paper((0.0, 0.0, 297.638, 420.945), unit=2.0),
    "A4 user unit 2, rotated 90": Paper((0.0, 0.0, 297.638, 420.945), rotation=90, unit=2.0),
}


def printed(*pages: Sequence[Print], paper: Paper = A4, form: str = "NFC", extra: bytes = b"") -> bytes:
    """Return a PDF of pages with these lines; ``form`` is how its text says letters with two marks (NFC, NFD)."""
    font = serif("bold").embed(["".join(line.text for page in pages for line in page) + " "])
    kids = b" ".join(b"%d 0 R" % (8 + 2 * index) for index in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [%s] /Count %d >>" % (kids, len(pages)),
        *_font_objects(font, form),
    ]
    for index, lines in enumerate(pages):
        body = _content(lines, font, paper)
        objects.append(
            b"<< /Type /Page /Parent 2 0 R %s /Resources << /Font << /P 3 0 R >> >> /Contents %d 0 R %s >>"
            % (paper.entries, 9 + 2 * index, extra)
        )
        objects.append(b"<< /Length %d >>\nstream\n" % len(body) + body + b"\nendstream")
    return build(objects)


def _font_objects(font: Embedded, form: str) -> list[bytes]:
    """Return objects 3 to 7: font, descendant, descriptor, file, map to text."""
    widths = b" ".join(b"%d [%d]" % (number, advance) for _, number, advance in font.glyphs)
    rows = [
        f"<{number:04X}> <{unicodedata.normalize(form, letter).encode('utf-16-be').hex().upper()}>".encode()  # type: ignore[arg-type]
        for letter, number, _ in font.glyphs
    ]
    table = b"1 begincodespacerange\n<0000> <FFFF>\nendcodespacerange\n"
    table += b"%d beginbfchar\n" % len(rows) + b"\n".join(rows) + b"\nendbfchar"
    cmap = b"begincmap\n/CMapName /X def /CMapType 2 def\n" + table + b"\nendcmap\n"
    name = font.name.encode()
    box = b" ".join(b"%d" % value for value in font.box)
    return [
        b"<< /Type /Font /Subtype /Type0 /BaseFont /%s /Encoding /Identity-H /DescendantFonts [4 0 R]"
        b" /ToUnicode 7 0 R >>" % name,
        b"<< /Type /Font /Subtype /CIDFontType2 /BaseFont /%s /CIDSystemInfo << /Registry (Adobe) /Ordering (Identity)"
        b" /Supplement 0 >> /CIDToGIDMap /Identity /W [%s] /FontDescriptor 5 0 R >>" % (name, widths),
        b"<< /Type /FontDescriptor /FontName /%s /Flags 4 /FontBBox [%s] /ItalicAngle 0 /Ascent %d /Descent %d"
        b" /CapHeight %d /StemV 140 /FontFile2 6 0 R >>" % (name, box, font.ascent, font.descent, font.cap_height),
        b"<< /Length %d /Length1 %d >>\nstream\n" % (len(font.file), len(font.file)) + font.file + b"\nendstream",
        b"<< /Length %d >>\nstream\n" % len(cmap) + cmap + b"\nendstream",
    ]


def _content(lines: Sequence[Print], font: Embedded, paper: Paper) -> bytes:
    sheet = paper.sheet
    zero, right, down = sheet.to_user(0, 0), sheet.to_user(1, 0), sheet.to_user(0, 1)
    across = right[0] - zero[0], right[1] - zero[1]
    up = zero[0] - down[0], zero[1] - down[1]
    found = []
    for line in lines:
        x, y = sheet.to_user(line.x, line.baseline)
        size = line.size * 25.4 / 72  # the matrix counts in millimetres
        matrix = _numbers((*across, *up, x, y))
        shown = font.encode(line.text).hex()
        found.append(f"BT /P {size:.5f} Tf {matrix} Tm <{shown}> Tj ET")
    return "\n".join(found).encode()


def width_of(text: str, size: float = 13.0) -> float:
    """Return the width of a printed line in mm."""
    return serif("bold").width(text, size) * 25.4 / 72


def centred(text: str, middle: float, baseline: float, size: float = 13.0) -> Print:
    """Return a line in the middle of a column."""
    return Print(middle - width_of(text, size) / 2, baseline, text, size)
