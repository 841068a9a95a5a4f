"""The typeface of visible forms: measuring text and embedding just the letters used (signing.md 3.3, fonts).

``Edoc Serif`` has 1000 units per em, so widths are what PDF counts in and nothing is rounded on the way. A subset is a
Type 0 font with Identity-H encoding, its own widths and a ToUnicode map, so that text stays searchable. Text is NFC. A
font of the system is never used.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from io import BytesIO
from typing import cast

from fontTools import subset
from fontTools.ttLib import TTFont

from signer.errors import InputRefused

UNITS = 1000
"""Units per em of every face used here."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """A subset ready to be written: font file, and what its dictionaries say (units of 1/1000 em)."""

    name: str
    file: bytes
    glyphs: tuple[tuple[str, int, int], ...]  # letter, glyph number in the subset, advance
    box: tuple[int, int, int, int]
    ascent: int
    descent: int
    cap_height: int
    italic_angle: int
    bold: bool
    glyph_count: int

    def encode(self, text: str) -> bytes:
        """Return the text as the bytes of a PDF string: two per glyph."""
        numbers = {letter: number for letter, number, _ in self.glyphs}
        return b"".join(numbers[letter].to_bytes(2, "big") for letter in unicodedata.normalize("NFC", text))

    def to_unicode(self) -> bytes:
        """Return the ToUnicode character map (ISO 32000-2, 9.10.3)."""
        lines = [
            f"<{number:04X}> <{letter.encode('utf-16-be').hex().upper()}>"
            for number, letter in sorted((number, letter) for letter, number, _ in self.glyphs)
        ]
        blocks = [lines[i : i + 100] for i in range(0, len(lines), 100)]
        body = "\n".join(f"{len(block)} beginbfchar\n" + "\n".join(block) + "\nendbfchar" for block in blocks)
        return (
            "/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n"
            "/CIDSystemInfo << /Registry (Adobe) /Ordering (UCS) /Supplement 0 >> def\n"
            "/CMapName /Adobe-Identity-UCS def\n/CMapType 2 def\n"
            "1 begincodespacerange\n<0000> <FFFF>\nendcodespacerange\n"
            f"{body}\nendcmap\nCMapName currentdict /CMap defineresource pop\nend\nend\n"
        ).encode("ascii")


@dataclass(frozen=True)
class Typeface:
    """One face: its file (TrueType, 1000 units per em)."""

    data: bytes

    @cached_property
    def _font(self) -> TTFont:
        font = TTFont(BytesIO(self.data), lazy=True)
        assert font["head"].unitsPerEm == UNITS
        return font

    @cached_property
    def _advances(self) -> dict[str, int]:
        metrics = self._font["hmtx"].metrics
        return {chr(code): metrics[name][0] for code, name in self._font.getBestCmap().items()}

    def width(self, text: str, size: float) -> float:
        """Return the width of a line in points at ``size`` points.

        Raises:
            InputRefused: a letter the face does not have.
        """
        return sum(self._advances[letter] for letter in self.checked(text)) * size / UNITS

    def checked(self, text: str) -> str:
        """Return the text as NFC.

        Raises:
            InputRefused: a letter the face does not have.
        """
        normal = unicodedata.normalize("NFC", text)
        for letter in normal:
            if letter not in self._advances:
                raise InputRefused("EDOC-PDF-012", "the typeface lacks a letter", letter=f"U+{ord(letter):04X}")
        return normal

    def ascent_of(self, text: str) -> int:
        """Return how far the highest letter of a text rises above the baseline, in units."""
        glyf, codes = self._font["glyf"], self._font.getBestCmap()
        return max((int(getattr(glyf[codes[ord(one)]], "yMax", 0)) for one in self.checked(text)), default=0)

    @property
    def cap_height(self) -> int:
        """Height of capital letters, in units."""
        return int(getattr(self._font["OS/2"], "sCapHeight", 0)) or 662

    def embed(self, texts: Iterable[str]) -> Embedded:
        """Return a subset with the letters of ``texts``; same letters, same bytes."""
        return _embed(self.data, "".join(sorted({letter for text in texts for letter in self.checked(text)})))


@cache
def serif(style: str = "regular") -> Typeface:
    """Return a face that ships with the package: ``regular``, ``italic`` (the date line, NĐ30, App. I.II.4), ``bold``
    (stamps and marks)."""
    name = f"EdocSerif-{style.capitalize()}.ttf"
    return Typeface(resources.files("signer.pdf").joinpath("fonts", name).read_bytes())


@cache
def _embed(data: bytes, letters: str) -> Embedded:
    font = TTFont(BytesIO(data), recalcTimestamp=False)
    full_name = str(font["name"].getDebugName(6))
    options = subset.Options(hinting=False, layout_features=[], notdef_outline=True, name_IDs=[], glyph_names=False)
    options.drop_tables += ["OS/2", "name", "post"]  # PDF asks for none of them (ISO 32000-2, 9.9)
    bold = bool(font["head"].macStyle & 1)
    angle, cap = int(font["post"].italicAngle), int(getattr(font["OS/2"], "sCapHeight", 0)) or 662
    codes = font.getBestCmap()
    worker = subset.Subsetter(options)
    worker.populate(unicodes=[ord(letter) for letter in letters])
    worker.subset(font)
    metrics = font["hmtx"].metrics
    glyphs = tuple((one, font.getGlyphID(codes[ord(one)]), metrics[codes[ord(one)]][0]) for one in letters)
    head, hhea = font["head"], font["hhea"]
    out = BytesIO()
    font.save(out)
    tag = hashlib.sha256(f"{full_name}\0{letters}".encode()).digest()
    prefix = "".join(chr(65 + byte % 26) for byte in tag[:6])
    count = len(font.getGlyphOrder())
    box = cast("tuple[int, int, int, int]", (head.xMin, head.yMin, head.xMax, head.yMax))
    return Embedded(
        f"{prefix}+{full_name}", out.getvalue(), glyphs, box, hhea.ascent, hhea.descent, cap, angle, bold, count
    )
