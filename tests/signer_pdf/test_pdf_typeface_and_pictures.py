"""The typeface has every Vietnamese letter, pictures are read exactly, the sample letter is what its script makes."""

from __future__ import annotations

import struct
import subprocess
import sys
import unicodedata
import zlib
from io import BytesIO
from pathlib import Path

import pypdfium2
import pytest
from fontTools.ttLib import TTFont
from hypothesis import given
from hypothesis import strategies as st

from signer.errors import InputRefused, LimitExceeded
from signer.pdf.png import SIGNATURE, Picture, read_png, write_png
from signer.pdf.typeface import Typeface, serif
from transport.demo.letter import LETTER, sample

ROOT = Path(__file__).resolve().parents[2]
BASES = "aăâeêioôơuưy"
TONES = ("", "\u0300", "\u0301", "\u0303", "\u0309", "\u0323")
VIETNAMESE = [
    unicodedata.normalize("NFC", case(base) + tone)
    for base in BASES
    for tone in TONES
    for case in (str.lower, str.upper)
] + ["đ", "Đ"]
FACES = sorted([*(ROOT / "signer/pdf/fonts").glob("*.ttf"), *(ROOT / "samples/fonts").glob("*.ttf")])


@pytest.mark.parametrize("path", FACES, ids=[path.stem for path in FACES])
def test_every_tone_and_vowel_has_an_outline_in_every_face(path: Path) -> None:
    """134 letters with their tones, 1000 units per em, a family name of its own, the licence beside it."""
    font = TTFont(path)
    glyphs = font["glyf"]
    for letter in VIETNAMESE:
        name = font.getBestCmap()[ord(letter)]
        assert glyphs[name].numberOfContours != 0, letter
    assert font["head"].unitsPerEm == 1000
    assert str(font["name"].getDebugName(1)) == "Edoc Serif"
    assert "Tinos" not in str(font["name"].getDebugName(4))
    assert "SIL OPEN FONT LICENSE" in (path.parent / "OFL.txt").read_text("utf-8")
    assert len(FACES) == 4


def test_combined_and_decomposed_text_measure_the_same() -> None:
    """Text is NFC before it is drawn."""
    text = "Ẵ ỡ ữ Đ ằ"
    assert serif().width(unicodedata.normalize("NFD", text), 13) == serif().width(text, 13)


def test_a_subset_has_the_letters_used_and_no_others() -> None:
    """Same letters, same bytes; encoding gives two bytes a letter, and the map leads back to the text."""
    first, again = serif().embed(["Số: 15"]), serif().embed(["15 :ốS"])
    assert first == again
    assert len(first.file) < 4000
    assert len(TTFont(BytesIO(first.file)).getGlyphOrder()) <= 12  # with the parts of composed letters
    assert len(first.encode("Số")) == 4
    assert b"<1ED1>" in first.to_unicode()


def test_a_letter_the_face_lacks_is_named() -> None:
    """It is never drawn as an empty box."""
    with pytest.raises(InputRefused) as refused:
        serif().width("số 漢", 10)
    assert refused.value.facts["letter"] == "U+6F22"


def test_italics_are_another_face() -> None:
    """The date line is set in italics."""
    assert serif("italic").embed(["ngày"]).italic_angle < 0
    assert isinstance(serif(), Typeface)


pictures = st.builds(
    lambda w, h, grey, alpha, seed: Picture(
        w,
        h,
        grey,
        bytes((seed * 7 + i * 31) % 256 for i in range(w * h * (1 if grey else 3))),
        bytes((seed + i * 17) % 256 for i in range(w * h)) if alpha else None,
    ),
    st.integers(1, 12),
    st.integers(1, 12),
    st.booleans(),
    st.booleans(),
    st.integers(0, 255),
)


@given(pictures)
def test_reading_is_the_inverse_of_writing(picture: Picture) -> None:
    """A picture written and read is the same picture."""
    assert read_png(write_png(picture)) == picture


def png(
    kind: int, depth: int, rows: bytes, *, width: int, height: int, extra: bytes = b"", interlaced: int = 0
) -> bytes:
    """Return a PNG with these raw rows."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, interlaced)
    return SIGNATURE + chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_every_row_filter_is_undone() -> None:
    """None, Sub, Up, Average, Paeth (ISO/IEC 15948, 9): rows of the same grey values, each filtered another way."""
    row = [10, 20, 40, 80]
    average = [5, 20 - 15, 40 - 30, 80 - 60]
    rows = [
        bytes([0, *row]),
        bytes([1, 10, 10, 20, 40]),
        bytes([2, 0, 0, 0, 0]),
        bytes([3, *[v % 256 for v in average]]),
        bytes([4, 0, 0, 0, 0]),
    ]
    assert read_png(png(0, 8, b"".join(rows), width=4, height=5)).colour == bytes(row) * 5


def test_palettes_with_transparency_are_read() -> None:
    """Two bits a pixel: colours by number, the first one clear."""
    plte = struct.pack(">I", 6) + b"PLTE" + b"\xff\0\0\0\0\xff"
    trns = struct.pack(">I", 1) + b"tRNS" + b"\0"
    extra = b"".join(part + struct.pack(">I", zlib.crc32(part[4:])) for part in (plte, trns))
    picture = read_png(png(3, 2, b"\0" + bytes([0b00010100]), width=3, height=1, extra=extra))
    assert picture.colour == b"\xff\0\0\0\0\xff\0\0\xff"
    assert picture.opacity == b"\0\xff\xff"


BAD_PICTURES = {
    "cut off": write_png(Picture(4, 4, True, bytes(16), None))[:-20],
    "flipped": write_png(Picture(4, 4, True, bytes(16), None)).replace(b"IDATx", b"IDATy"),
    "interlaced": png(0, 8, b"\0\0", width=1, height=1, interlaced=1),
    "16 bits": png(0, 16, b"\0\0\0", width=1, height=1),
    "too few pixels": png(0, 8, b"\0\0", width=2, height=1),
    "too many pixels inside": png(0, 8, b"\0" * 500, width=1, height=1),
    "colour without palette": png(3, 8, b"\0\5", width=1, height=1),
    "unknown filter": png(0, 8, b"\7\0", width=1, height=1),
    "no size": png(0, 8, b"", width=0, height=1),
}


@pytest.mark.parametrize("name", BAD_PICTURES)
def test_a_bad_picture_is_refused(name: str) -> None:
    """Damage and unusual forms are told, never drawn."""
    with pytest.raises(InputRefused):
        read_png(BAD_PICTURES[name])


def test_a_huge_picture_is_refused_before_it_is_unpacked() -> None:
    """A few bytes may claim a billion pixels."""
    with pytest.raises(LimitExceeded):
        read_png(png(0, 8, b"", width=40_000, height=40_000))


def test_the_files_of_the_sample_letter_are_what_their_script_makes() -> None:
    """``samples/make_letter.py --check`` finds nothing to change."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "samples" / "make_letter.py"), "--check"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_the_letter_has_the_parts_the_decree_asks_for() -> None:
    """Quốc hiệu, Tiêu ngữ, agency, notation, place, subject, addressee, signer: readable as text, A4, one page."""
    document = pypdfium2.PdfDocument(sample("letter.pdf"))
    assert len(document) == 1
    assert [round(v * 25.4 / 72) for v in document[0].get_size()] == [210, 297]
    text = document[0].get_textpage().get_text_bounded()
    for part in (
        "CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM",
        "Độc lập - Tự do - Hạnh phúc",
        "SỞ MẪU A",
        f"/{LETTER.notation}",
        f"{LETTER.place},",
        "V/v phối hợp thử nghiệm",
        "Kính gửi: Sở Mẫu B",
        "Nơi nhận:",
        "KT. GIÁM ĐỐC",
        "PHÓ GIÁM ĐỐC",
        LETTER.signer,
    ):
        assert part in text, part


def test_days_and_early_months_get_a_zero() -> None:
    """NĐ30, App. I.II.4: 05 and 02, but month 3 without."""
    assert LETTER.date_text(5, 2, 2026) == "ngày 05 tháng 02 năm 2026"
    assert LETTER.date_text(20, 3, 2026) == "ngày 20 tháng 3 năm 2026"
