"""Visible forms are where they should be, as large as they should be, and readable (signing.md 3.3; R39 to R42)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import pypdfium2
import pytest

from signer.errors import InputRefused
from signer.pdf import update
from signer.pdf.appearance import painted
from signer.pdf.dictionary import Stated, blank
from signer.pdf.layout import Layout, Line
from signer.pdf.opening import open_pdf
from signer.pdf.page import MM, pages
from signer.pdf.png import Picture, read_png, write_png
from signer.pdf.sign import SignedPdf, Visible
from signer.pdf.target import Target
from signer.pdf.typeface import serif
from signer.pdf.values import Reference
from signer.pdf.verify import inspect_pdf
from signer.report import SignatureReport, Verdict
from signer.trust import Context, Limits
from tests.signer_pdf.files import Office, build, run, simple
from transport.demo.letter import LETTER, sample

DPI = 300
TRICKY = "Ẵ ỡ ữ Đ ằ"
Box = tuple[float, float, float, float]


def picture(width: int, height: int, colour: tuple[int, int, int] = (255, 0, 0)) -> bytes:
    """Return a PNG of one colour."""
    return write_png(Picture(width, height, False, bytes(colour) * (width * height), b"\xff" * (width * height)))


def page_of(*, media: str = "0 0 595.276 841.89", extra: str = "") -> bytes:
    """Return a PDF of one empty page."""
    page = f"<< /Type /Page /Parent 2 0 R /MediaBox [{media}] /Resources << >> {extra} >>".encode()
    return build([b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>", page])


def rendered(data: bytes) -> pypdfium2.PdfBitmap:
    """Render page 1 with widgets at 300 dpi by PDFium."""
    document = pypdfium2.PdfDocument(data)
    document.init_forms()
    return document[0].render(scale=DPI / 72, may_draw_forms=True)


def inked(data: bytes, *, red: bool = False) -> Box:
    """Return the box in mm of everything that is not white, or of what is red."""
    bitmap = rendered(data)
    pixels, stride, step = bytes(bitmap.buffer), bitmap.stride, bitmap.n_channels
    rows = [y for y in range(bitmap.height) if _dark(pixels[y * stride : y * stride + bitmap.width * step], step, red)]
    columns = [
        x
        for x in range(bitmap.width)
        if _dark(b"".join(pixels[y * stride + x * step : y * stride + (x + 1) * step] for y in rows), step, red)
    ]
    scale = 25.4 / DPI
    return (
        columns[0] * scale,
        rows[0] * scale,
        (columns[-1] - columns[0] + 1) * scale,
        (rows[-1] - rows[0] + 1) * scale,
    )


def _dark(line: bytes, step: int, red: bool) -> bool:
    blue_part, green_part, red_part = line[::step], line[1::step], line[2::step]
    if not red:
        return min(green_part) < 160
    return any(r > 140 and g < 110 for r, g in zip(red_part, green_part, strict=True)) and min(blue_part) < 130


def near(found: Sequence[float], wanted: Sequence[float], tolerance: float = 0.13) -> bool:
    """Say whether boxes agree within a tenth of a millimetre (and the width of a pixel)."""
    return all(abs(a - b) <= tolerance for a, b in zip(found, wanted, strict=True))


PAGES = {
    "A4": (page_of(), (210.0, 297.0)),
    "rotated 90": (page_of(extra="/Rotate 90"), (297.0, 210.0)),
    "rotated 180": (page_of(extra="/Rotate 180"), (210.0, 297.0)),
    "rotated 270": (page_of(extra="/Rotate 270"), (297.0, 210.0)),
    "cropped": (page_of(media="-50 -80 800 1000", extra="/CropBox [20 30 615.276 871.89]"), (210.0, 297.0)),
    "cropped and rotated": (
        page_of(media="0 0 800 1000", extra="/CropBox [20 30 615.276 871.89] /Rotate 270"),
        (297.0, 210.0),
    ),
    "user unit 2": (page_of(media="0 0 297.638 420.945", extra="/UserUnit 2"), (210.0, 297.0)),
}


@pytest.mark.parametrize("name", PAGES)
def test_a_picture_is_where_it_was_asked_for_on_every_kind_of_page(name: str, office: Office, context: Context) -> None:
    """Millimetres count from the upper left corner of the page as displayed, to ± 0.1 mm."""
    data, _ = PAGES[name]
    box = (120.0, 30.0, 50.0, 25.0)
    signed = office.by_person(data, Visible("signature", box_mm=box, image=picture(100, 50)), level="b")
    found = inked(signed.data)
    assert near(found, box) if name != "user unit 2" else near([2 * v for v in found], box, 0.26)
    appearance = inspect_pdf(signed.data, context=context).signatures[0].appearance
    assert appearance is not None
    assert near(appearance.box_mm, box, 0.02)


def test_a_picture_keeps_its_proportions(office: Office) -> None:
    """A square picture in a box of 50 × 25 is 25 × 25, centred."""
    visible = Visible("signature", box_mm=(100.0, 100.0, 50.0, 25.0), image=picture(60, 60))
    assert near(inked(office.by_person(page_of(), visible, level="b").data), (112.5, 100.0, 25.0, 25.0))


def test_the_seal_covers_one_third_of_the_signature_from_the_left(office: Office, context: Context) -> None:
    """R40: right edge at x + w/3, centres level, true size."""
    leader = office.by_person(page_of(), Visible("signature", box_mm=(120.0, 200.0, 50.0, 25.0), image=picture(2, 1)))
    sealed = office.by_agency(leader.data, Visible("seal", image=picture(10, 10), diameter_mm=36.0), level="b")
    report = inspect_pdf(sealed.data, context=context)
    appearance = report.signatures[1].appearance
    assert appearance is not None
    x, y, w, h = appearance.box_mm
    assert near((x + w, y + h / 2, w, h), (120 + 50 / 3, 212.5, 36.0, 36.0), 0.02)
    assert report.verdict is Verdict.VALID


def test_the_seal_on_the_letter_is_true_to_size_and_off_the_name(steps: tuple[SignedPdf, ...]) -> None:
    """36 mm of red at one third of the signature, and no red on the lines of the signer's name."""
    x, y, w, h = LETTER.signature
    found = inked(steps[-1].data, red=True)
    assert near(found, (x + w / 3 - 36, y + h / 2 - 18, 36.0, 36.0), 0.35)
    bitmap = rendered(steps[-1].data)
    pixels, stride, step = bytes(bitmap.buffer), bitmap.stride, bitmap.n_channels
    top = round((y + h + 2.8) / 25.4 * DPI)
    for row in range(top, top + round(6 / 25.4 * DPI)):
        line = [pixels[row * stride + column * step : row * stride + column * step + 3] for column in range(1400, 2200)]
        dark = [i for i, (b, g, r) in enumerate(line) if max(b, g, r) < 90]
        red = [i for i, (b, g, r) in enumerate(line) if r > 140 and g < 120 and b < 130]
        assert not dark or not red or min(dark) > max(red)


def test_a_seal_needs_a_leader_or_a_box(office: Office, small: bytes) -> None:
    """A place is never guessed."""
    with pytest.raises(InputRefused) as refused:
        office.by_agency(small, Visible("seal", image=picture(10, 10)))
    assert refused.value.code == "EDOC-PDF-017"


def test_a_seal_never_touches_the_name_of_the_state(office: Office, small: bytes) -> None:
    """The Quốc hiệu on page 1 is kept out of."""
    with pytest.raises(InputRefused) as refused:
        office.by_agency(small, Visible("seal", box_mm=(120.0, 10.0, 36.0, 36.0), image=picture(10, 10)))
    assert refused.value.code == "EDOC-PDF-014"


@pytest.mark.parametrize("size", [8, 10, 13])
@pytest.mark.tool("pdftotext")
def test_tricky_letters_have_the_right_width_and_can_be_read(size: int, office: Office, tmp_path: Path) -> None:
    """Two renderers agree on the width, and the text comes out again as it went in (R39 to R42, fonts)."""
    data = one_line(office, TRICKY, size)
    (tmp_path / "line.pdf").write_bytes(data)
    expected = serif().width(TRICKY, size) / MM
    assert abs(inked(data)[2] - expected) < 0.5  # side bearings of first and last letter
    document = pypdfium2.PdfDocument(data)
    document.init_forms()
    document[0].flatten()
    flat = BytesIO()
    document.save(flat)
    read = pypdfium2.PdfDocument(flat.getvalue())[0].get_textpage().get_text_range()
    assert read.strip() == TRICKY
    told = run("pdftotext", str(tmp_path / "line.pdf"), "-").stdout.decode().strip()
    assert told == TRICKY.replace(" ", "")  # poppler takes single letters with gaps for one spaced-out word
    assert run("pdftoppm", "-r", "300", "-gray", str(tmp_path / "line.pdf"), str(tmp_path / "line")).returncode == 0
    (image,) = tmp_path.glob("*.pgm")
    assert abs(poppler_width(image.read_bytes()) - expected) < 0.5


def one_line(office: Office, text: str, size: int) -> bytes:
    """Return a page with a line of text in a widget at the upper right, in a size of its own."""
    view = pages(open_pdf(page_of(), limits=Limits()))[0]
    width = serif().width(text, size) / MM
    box = (view.size[0] - 10 - width, 8.2, width, 5.0)
    layout = Layout(view, box, lines=(Line(0.0, 3.8, text, float(size), serif()),))
    place = Reference(view.reference.idnum, view.reference.generation)
    target = Target("Signature1", place, rectangle=view.rectangle(layout.box), painted=painted(layout))
    return update.write(page_of(), target, blank(Stated(office.now), 16)).whole()


def poppler_width(pgm: bytes) -> float:
    """Return the width in mm of what is dark on a grey picture."""
    match = re.match(rb"P5\s+(\d+)\s+(\d+)\s+255\s", pgm)
    assert match is not None
    width, pixels = int(match[1]), pgm[match.end() :]
    dark = [x for x in range(width) if min(pixels[x::width]) < 160]
    return (dark[-1] - dark[0] + 1) * 25.4 / DPI


def test_t1_and_t2_stand_at_the_upper_right(office: Office, context: Context) -> None:
    """Right edge 10 mm from the page edge, baseline 12 mm from the top, the box as wide as the text (R41, R42)."""
    signed = office.by_person(page_of(), Visible("t1", text="Số: 15/QĐ-UBND"), level="b")
    line = "Số: 15/QĐ-UBND; 20/11/2026; 09:30:00 +07:00"
    appearance = inspect_pdf(signed.data, context=context).signatures[0].appearance
    assert appearance is not None
    assert appearance.text == line
    width = serif().width(line, 10) / MM
    assert near(appearance.box_mm, (200 - width, 8.2, width, 5.0), 0.02)
    x, y, w, h = inked(signed.data)
    assert abs(x + w - 200) < 0.4
    assert abs(y + h - 12.0) < 0.9  # the comma and the Q reach below the baseline
    assert y > 8.2


def test_a_long_line_shrinks_and_then_breaks(office: Office, context: Context) -> None:
    """10 pt down to 8 pt in steps of a half, then two lines of 8 pt, 4 mm apart (R41)."""
    short = "SAO Y; Ủy ban nhân dân tỉnh Mẫu, Sở Mẫu A, Văn phòng Sở"
    long = "SAO Y; Ủy ban nhân dân tỉnh Mẫu, Sở Mẫu A, Văn phòng Sở, Phòng Hành chính - Tổ chức"
    heights = []
    for text in (short, long):
        signed = office.by_person(page_of(), Visible("t2", text=text), level="b")
        appearance = inspect_pdf(signed.data, context=context).signatures[0].appearance
        assert appearance is not None
        assert appearance.box_mm[2] <= 120.01
        assert appearance.text is not None
        assert appearance.text.startswith(text)
        heights.append(appearance.box_mm[3])
    assert heights == [5.0, 9.0]


def test_number_and_date_are_read_back_from_the_report(steps: tuple[SignedPdf, ...], context: Context) -> None:
    """What a widget of ours says stands in the report (R46)."""
    texts = [appearance(one)[1] for one in inspect_pdf(steps[-1].data, context=context).signatures]
    assert texts == [None, "120", "ngày 20 tháng 11 năm 2026", None]


def appearance(one: SignatureReport) -> tuple[Box, str | None]:
    """Return box and text of a signature that is drawn."""
    assert one.appearance is not None
    return one.appearance.box_mm, one.appearance.text


BAD_PLACES: tuple[tuple[str, Visible, str], ...] = (
    ("off the page", Visible("signature", box_mm=(180.0, 10.0, 50.0, 25.0), image=picture(2, 1)), "EDOC-PDF-013"),
    ("no such page", Visible("signature", page=2, box_mm=(1.0, 1.0, 5.0, 5.0), image=picture(2, 1)), "EDOC-PDF-016"),
    ("no place", Visible("signature", image=picture(2, 1)), "EDOC-PDF-017"),
    ("no picture", Visible("signature", box_mm=(1.0, 1.0, 50.0, 25.0)), "EDOC-PDF-011"),
    ("no number", Visible("number", box_mm=(1.0, 1.0, 20.0, 8.0)), "EDOC-PDF-020"),
    ("number too low", Visible("number", box_mm=(1.0, 1.0, 20.0, 5.0), text="120"), "EDOC-PDF-020"),
    ("number too wide", Visible("number", box_mm=(1.0, 1.0, 5.0, 8.0), text="120"), "EDOC-PDF-020"),
    ("letter unknown", Visible("number", box_mm=(1.0, 1.0, 20.0, 8.0), text="漢"), "EDOC-PDF-012"),
    ("over another field", Visible("number", box_mm=(20.0, 200.0, 60.0, 60.0), text="120"), "EDOC-PDF-014"),
    ("line without end", Visible("t1", text="Số: 15" * 60), "EDOC-PDF-020"),
    ("no PNG", Visible("signature", box_mm=(1.0, 1.0, 9.0, 9.0), image=b"GIF89a"), "EDOC-PDF-011"),
)


@pytest.mark.parametrize(("visible", "code"), [one[1:] for one in BAD_PLACES], ids=[one[0] for one in BAD_PLACES])
def test_a_form_without_a_proper_place_is_refused(visible: Visible, code: str, office: Office) -> None:
    """Nothing is guessed, covered or cut off."""
    widget = b"<< /Type /Annot /Subtype /Widget /FT /Tx /T (Ghi chu) /Rect [100 150 200 250] /P 3 0 R >>"
    data = simple(catalog=b"/AcroForm << /Fields [5 0 R] >>", page=b"/Annots [5 0 R]", more=[widget])
    with pytest.raises(InputRefused) as refused:
        office.by_person(data, visible, level="b")
    assert refused.value.code == code


def test_the_picture_of_the_seal_has_300_dots_per_inch_at_true_size() -> None:
    """R40: enough for print at 36 mm."""
    seal = read_png(sample("seal.png"))
    assert (seal.width, seal.height) == (425, 425)
    assert seal.opacity is not None
    assert seal.opacity[0] == 0
