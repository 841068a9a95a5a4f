"""A small PDF writer for the sample documents: pages of A4 set in ``Edoc Serif``, deterministic to the byte.

Positions are millimetres from the upper left corner, sizes points, as in Decree 30/2020 Appendix I.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from signer.pdf.typeface import Embedded, Typeface

MM = 72 / 25.4
WIDTH, HEIGHT = 210.0, 297.0
FONTS = Path(__file__).resolve().parent / "fonts"
SHIPPED = Path(__file__).resolve().parent.parent / "signer" / "pdf" / "fonts"
FACES = {
    "R": SHIPPED / "EdocSerif-Regular.ttf",
    "I": SHIPPED / "EdocSerif-Italic.ttf",
    "B": SHIPPED / "EdocSerif-Bold.ttf",
    "BI": FONTS / "EdocSerif-BoldItalic.ttf",
}


@dataclass(slots=True)
class Page:
    """One page: text and rules in the order they are drawn."""

    faces: dict[str, Typeface] = field(
        default_factory=lambda: {name: Typeface(path.read_bytes()) for name, path in FACES.items()}
    )
    items: list[tuple[float, float, str, str, float, float]] = field(
        default_factory=list
    )  # x, y, face, text, size, gap
    rules: list[tuple[float, float, float, float, float]] = field(default_factory=list)

    def width(self, text: str, face: str, size: float) -> float:
        """Return the width of a line in mm."""
        return self.faces[face].width(text, size) / MM

    def text(self, x: float, baseline: float, text: str, *, face: str = "R", size: float = 13, gap: float = 0) -> float:
        """Draw a line from ``x``; ``gap`` widens each space (points). Returns where it ends, in mm."""
        self.items.append((x, baseline, face, self.faces[face].checked(text), size, gap))
        return x + self.width(text, face, size) + gap * text.count(" ") / MM

    def centred(self, middle: float, baseline: float, text: str, *, face: str = "R", size: float = 13) -> float:
        """Draw a line centred on ``middle``. Returns its width in mm."""
        width = self.width(text, face, size)
        self.text(middle - width / 2, baseline, text, face=face, size=size)
        return width

    def rule(self, x1: float, y1: float, x2: float, y2: float, *, weight: float = 0.6) -> None:
        """Draw a line; ``weight`` in points."""
        self.rules.append((x1, y1, x2, y2, weight))

    def paragraph(
        self, left: float, right: float, baseline: float, text: str, *, size: float = 14, indent: float = 0, step: float
    ) -> float:
        """Set a justified paragraph. Returns the baseline of the line after it, in mm."""
        lines = self._broken(text, size, [right - left - indent, right - left])
        for number, line in enumerate(lines):
            x = left + (indent if number == 0 else 0)
            spare = (right - x - self.width(line, "R", size)) * MM
            gap = 0 if number == len(lines) - 1 else spare / max(1, line.count(" "))
            self.text(x, baseline, line, size=size, gap=gap)
            baseline += step
        return baseline

    def _broken(self, text: str, size: float, widths: Sequence[float]) -> list[str]:
        lines: list[str] = []
        line = ""
        for word in text.split(" "):
            longer = f"{line} {word}" if line else word
            if line and self.width(longer, "R", size) > widths[min(len(lines), 1)]:
                lines.append(line)
                line = word
            else:
                line = longer
        return [*lines, line]

    def content(self, fonts: dict[str, Embedded]) -> bytes:
        """Return the content stream."""
        out = [
            f"{w:g} w {x1 * MM:.3f} {(HEIGHT - y1) * MM:.3f} m {x2 * MM:.3f} {(HEIGHT - y2) * MM:.3f} l S"
            for x1, y1, x2, y2, w in self.rules
        ]
        for x, y, face, text, size, gap in self.items:
            place = f"{x * MM:.3f} {(HEIGHT - y) * MM:.3f}"
            shown = _show(fonts[face], text, gap, size)
            out.append(f"BT /{face} {size:g} Tf 1 0 0 1 {place} Tm {shown} ET")
        return "\n".join(out).encode("ascii")


def _show(font: Embedded, text: str, gap: float, size: float) -> str:
    """Return the operator that shows a text; word spacing does not reach two-byte codes, so gaps are kerned."""
    if not gap:
        return f"<{font.encode(text).hex().upper()}> Tj"
    kern = f" {-gap * 1000 / size:.2f} "
    words = text.split(" ")
    parts = [
        f"<{font.encode(word + (' ' if i < len(words) - 1 else '')).hex().upper()}>" for i, word in enumerate(words)
    ]
    return f"[{kern.join(parts)}] TJ"


def build(page: Page, *, title: str, date: str) -> bytes:
    """Return a PDF of one page; ``date`` is a PDF date."""
    texts: dict[str, list[str]] = {}
    for _, _, face, text, _, _ in page.items:
        texts.setdefault(face, []).append(text)
    fonts = {face: page.faces[face].embed(texts[face]) for face in sorted(texts)}
    objects: list[bytes] = []

    def add(data: bytes) -> int:
        objects.append(data)
        return len(objects)

    for _ in range(3):
        add(b"")
    names = {face: add_font(add, font) for face, font in fonts.items()}
    resources = " ".join(f"/{face} {number} 0 R" for face, number in names.items())
    content = add(_stream(page.content(fonts)))
    hexed = "FEFF" + title.encode("utf-16-be").hex().upper()
    info = add(
        f"<< /Title <{hexed}> /Producer (edoc samples) /CreationDate ({date}) /ModDate ({date}) >>".encode("ascii")
    )
    objects[0] = b"<< /Type /Catalog /Pages 2 0 R /Lang (vi-VN) /ViewerPreferences << /DisplayDocTitle true >> >>"
    objects[1] = b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>"
    objects[2] = (
        f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {WIDTH * MM:.2f} {HEIGHT * MM:.2f}] "
        f"/Resources << /Font << {resources} >> >> /Contents {content} 0 R >>"
    ).encode("ascii")
    return _file(objects, info)


def add_font(add: Callable[[bytes], int], font: Embedded) -> int:
    """Add a Type 0 font (ISO 32000-2, 9.7) by ``add(bytes) -> number``; return the number of its dictionary."""
    file = add(_stream(font.file, f" /Length1 {len(font.file)}"))
    flags = 4 | (64 if font.italic_angle else 0) | 2
    descriptor = add(
        (
            f"<< /Type /FontDescriptor /FontName /{font.name} /Flags {flags} "
            f"/FontBBox [{' '.join(map(str, font.box))}] /ItalicAngle {font.italic_angle} "
            f"/Ascent {font.ascent} /Descent {font.descent} /CapHeight {font.cap_height} "
            f"/StemV {140 if font.bold else 80} /FontFile2 {file} 0 R >>"
        ).encode("ascii")
    )
    widths = " ".join(f"{number} [{advance}]" for _, number, advance in sorted(font.glyphs, key=lambda one: one[1]))
    descendant = add(
        (
            f"<< /Type /Font /Subtype /CIDFontType2 /BaseFont /{font.name} /CIDToGIDMap /Identity /DW 1000 "
            f"/W [{widths}] /CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >> "
            f"/FontDescriptor {descriptor} 0 R >>"
        ).encode("ascii")
    )
    unicode_map = add(_stream(font.to_unicode()))
    return add(
        (
            f"<< /Type /Font /Subtype /Type0 /BaseFont /{font.name} /Encoding /Identity-H "
            f"/DescendantFonts [{descendant} 0 R] /ToUnicode {unicode_map} 0 R >>"
        ).encode("ascii")
    )


def _stream(data: bytes, extra: str = "") -> bytes:
    packed = zlib.compress(data, 9)
    head = f"<< /Length {len(packed)} /Filter /FlateDecode{extra} >>\nstream\n".encode("ascii")
    return head + packed + b"\nendstream"


def _file(objects: Sequence[bytes], info: int) -> bytes:
    out = bytearray(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n".encode("ascii") + body + b"\nendobj\n"
    start = len(out)
    table = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    identity = hashlib.sha256(bytes(out)).hexdigest()[:32].upper()
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}".encode("ascii")
    trailer = f"/Size {len(objects) + 1} /Root 1 0 R /Info {info} 0 R /ID [<{identity}> <{identity}>]"
    out += f"trailer\n<< {trailer} >>\n".encode("ascii")
    return bytes(out + f"startxref\n{start}\n%%EOF\n".encode("ascii"))
