"""Make the ``Edoc Serif`` fonts from Tinos (signing.md 3.3; SIL Open Font License 1.1).

Usage: ``python samples/make_font.py FOLDER`` with a folder that holds ``Tinos-Regular.ttf``, ``-Bold``, ``-Italic``
and ``-BoldItalic`` (Debian package fonts-croscore). The letters kept are Latin with everything Vietnamese needs. The
outlines are rescaled from 2048 to 1000 units per em, hints and layout tables are dropped, and the family gets a new
name, as fonts that were changed should have. Regular, italic and bold ship with the program (``signer/pdf/fonts``),
bold italic serves the sample letter alone (``samples/fonts``). Same input, same bytes.
"""

from __future__ import annotations

import sys
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont
from fontTools.ttLib.scaleUpem import scale_upem

HERE = Path(__file__).resolve().parent
FAMILY = "Edoc Serif"
FACES = {
    "Regular": HERE.parent / "signer" / "pdf" / "fonts",
    "Bold": HERE.parent / "signer" / "pdf" / "fonts",
    "Italic": HERE.parent / "signer" / "pdf" / "fonts",
    "BoldItalic": HERE / "fonts",
}
LETTERS: tuple[int, ...] = (
    *range(0x20, 0x7F),
    *range(0xA0, 0x180),  # Latin-1, Latin Extended-A: Đ đ Ă ă Ĩ ĩ Ũ ũ
    *(0x1A0, 0x1A1, 0x1AF, 0x1B0),  # Ơ ơ Ư ư
    *(0x300, 0x301, 0x302, 0x303, 0x306, 0x309, 0x31B, 0x323),  # tone marks standing alone
    *range(0x1EA0, 0x1EFA),  # Ạ … ỹ
    *(0x2010, 0x2011, 0x2012, 0x2013, 0x2014, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2026, 0x2032, 0x2033, 0x20AB),
)


def make(source: bytes, face: str) -> bytes:
    """Return the changed font for one face of Tinos."""
    from io import BytesIO

    font = TTFont(BytesIO(source), recalcTimestamp=False)
    licence = {name_id: font["name"].getDebugName(name_id) for name_id in (0, 13, 14)}
    options = subset.Options(hinting=False, layout_features=[], notdef_outline=True, name_IDs=[0], glyph_names=False)
    options.drop_tables += ["GPOS", "GSUB", "GDEF", "DSIG", "GlyphOrder", "gasp"]
    worker = subset.Subsetter(options)
    worker.populate(unicodes=LETTERS)
    worker.subset(font)
    scale_upem(font, 1000)
    _rename(font, face, licence)
    out = BytesIO()
    font.save(out, reorderTables=True)
    return out.getvalue()


def _rename(font: TTFont, face: str, licence: dict[int, str]) -> None:
    style = {"BoldItalic": "Bold Italic"}.get(face, face)
    names = {
        0: licence[0],
        1: FAMILY,
        2: style,
        3: f"edoc: {FAMILY} {style}",
        4: f"{FAMILY} {style}",
        5: "Version 1.000; from Tinos 1.33",
        6: f"EdocSerif-{face}",
        13: licence[13],
        14: licence[14],
    }
    font["name"].names = []
    for name_id, text in names.items():
        font["name"].setName(text, name_id, 3, 1, 0x409)


def main(folder: Path) -> None:
    """Write all faces."""
    for face, target in FACES.items():
        data = make((folder / f"Tinos-{face}.ttf").read_bytes(), face)
        target.mkdir(parents=True, exist_ok=True)
        (target / f"EdocSerif-{face}.ttf").write_bytes(data)
        print(f"{target / f'EdocSerif-{face}.ttf'}: {len(data)} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
