"""Pages drawn by two renderers at 300 dots per inch, and what is measured on them in mm (signing.md 10, A6)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from io import BytesIO
from pathlib import Path

import pypdfium2
import pypdfium2.raw as raw
from fontTools.ttLib import TTFont

from signer.pdf.geometry import Box
from tests.signer_pdf.files import run

DPI = 300
DARK = 128
"""Half covered: an edge is found to half a pixel, 0.04 mm."""


@dataclass(frozen=True)
class Drawn:
    """A page as a picture of one octet a pixel (0 is ink), and how many of them make a millimetre, across and down."""

    width: int
    height: int
    pixels: bytes
    scale: tuple[float, float]

    def ink(self, within: Box) -> Box:
        """Return the box in mm of all ink inside a box."""
        across, down = self.scale
        left, top = max(0, round(within[0] * across)), max(0, round(within[1] * down))
        right, bottom = round((within[0] + within[2]) * across), round((within[1] + within[3]) * down)
        rows = {
            y: self.pixels[y * self.width + left : y * self.width + min(self.width, right)]
            for y in range(top, min(self.height, bottom))
        }
        dark = [y for y, row in rows.items() if min(row) < DARK]
        assert dark, "nothing is drawn here"
        columns = [min(column) for column in zip(*(rows[y] for y in dark), strict=True)]
        inked = [x for x, value in enumerate(columns) if value < DARK]
        x, y = left + inked[0], dark[0]
        return x / across, y / down, (inked[-1] - inked[0] + 1) / across, (dark[-1] - y + 1) / down


def by_pdfium(data: bytes, size: tuple[float, float], folder: Path) -> Drawn:
    """Draw page 1 with PDFium, which knows no user unit."""
    document = pypdfium2.PdfDocument(data)
    document.init_forms()
    page = document[0]
    bitmap = page.render(scale=DPI * size[0] / 25.4 / page.get_width(), may_draw_forms=True, grayscale=True)
    rows = bytes(bitmap.buffer)
    pixels = b"".join(rows[y * bitmap.stride : y * bitmap.stride + bitmap.width] for y in range(bitmap.height))
    scale = bitmap.width / size[0], bitmap.height / size[1]  # it makes the page as large as the picture
    return Drawn(bitmap.width, bitmap.height, pixels, scale)


def by_poppler(data: bytes, size: tuple[float, float], folder: Path) -> Drawn:
    """Draw page 1 with poppler, which knows no user unit either."""
    (folder / "page.pdf").write_bytes(data)
    wide = pypdfium2.PdfDocument(data)[0].get_width()
    resolution = f"{DPI * size[0] / 25.4 * 72 / wide:.4f}"
    done = run("pdftoppm", "-r", resolution, "-gray", "-cropbox", "-f", "1", "-l", "1", str(folder / "page.pdf"))
    match = re.match(rb"P5\s+(\d+)\s+(\d+)\s+255\s", done.stdout)
    assert match is not None, done.stderr
    return Drawn(int(match[1]), int(match[2]), done.stdout[match.end() :], (DPI / 25.4, DPI / 25.4))


RENDERERS: dict[str, Callable[[bytes, tuple[float, float], Path], Drawn]] = {
    "pdfium": by_pdfium,
    "poppler": by_poppler,
}


@cache
def _font(style: str) -> TTFont:
    return TTFont(BytesIO(resources.files("signer.pdf").joinpath("fonts", f"EdocSerif-{style}.ttf").read_bytes()))


def ink_of(text: str, *, size: float, x: float, baseline: float, style: str = "Regular") -> Box:
    """Return the box in mm that the outlines of a line fill, taken from the font file: begin and baseline in mm."""
    font = _font(style)
    glyphs, names, advances = font["glyf"], font.getBestCmap(), font["hmtx"].metrics
    at, boxes = 0, []
    for letter in text:
        name = names[ord(letter)]
        outline = glyphs[name]
        if outline.numberOfContours:
            boxes.append((at + outline.xMin, outline.yMin, at + outline.xMax, outline.yMax))
        at += advances[name][0]
    unit = size / 1000 * 25.4 / 72
    left, low = min(b[0] for b in boxes) * unit, min(b[1] for b in boxes) * unit
    right, high = max(b[2] for b in boxes) * unit, max(b[3] for b in boxes) * unit
    return x + left, baseline - high, right - left, high - low


def width_of(text: str, *, size: float, style: str = "Regular") -> float:
    """Return the sum of advances of a line in mm, taken from the font file."""
    font = _font(style)
    units = sum(int(font["hmtx"].metrics[font.getBestCmap()[ord(one)]][0]) for one in text)
    return units * size / 1000 * 25.4 / 72


def text_by_pdfium(data: bytes) -> str:
    """Return the text of page 1 with everything its widgets and stamps show, as PDFium reads it."""
    document = pypdfium2.PdfDocument(data)
    document.init_forms()
    page = document[0]
    raw.FPDFPage_Flatten(page.raw, raw.FLAT_NORMALDISPLAY)
    flat = BytesIO()
    document.save(flat)
    return str(pypdfium2.PdfDocument(flat.getvalue())[0].get_textpage().get_text_range())


def text_by_poppler(data: bytes, folder: Path) -> str:
    """Return the text of page 1, as poppler reads it."""
    (folder / "text.pdf").write_bytes(data)
    return run("pdftotext", "-raw", str(folder / "text.pdf"), "-").stdout.decode()


Colour = tuple[int, int, int]


def colours_by_pdfium(data: bytes) -> list[Colour]:
    """Return the colours of the pixels of page 1 (red, green, blue) at 100 dots per inch."""
    document = pypdfium2.PdfDocument(data)
    document.init_forms()
    bitmap = document[0].render(scale=100 / 72, may_draw_forms=True, rev_byteorder=True)
    rows, step = bytes(bitmap.buffer), bitmap.n_channels
    lines = [rows[y * bitmap.stride : y * bitmap.stride + bitmap.width * step] for y in range(bitmap.height)]
    return [one for line in lines for one in zip(line[::step], line[1::step], line[2::step], strict=True)]


def colours_by_poppler(data: bytes, folder: Path) -> list[Colour]:
    """Return the colours of the pixels of page 1 (red, green, blue) at 100 dots per inch."""
    (folder / "colours.pdf").write_bytes(data)
    done = run("pdftoppm", "-r", "100", "-f", "1", "-l", "1", str(folder / "colours.pdf"))
    match = re.match(rb"P6\s+(\d+)\s+(\d+)\s+255\s", done.stdout)
    assert match is not None, done.stderr
    pixels = done.stdout[match.end() :]
    return list(zip(pixels[::3], pixels[1::3], pixels[2::3], strict=True))
