"""Every visible form on every kind of page, drawn by two renderers and measured (signing.md 3.3, 10, A6; R39 to R42).

Each page carries all forms at once: marks, a signature, a number, a date, the stamp of arrival, T1, and a seal over the
signature of a leader; T2 stands where T1 does, so it has a page of its own. A tenth of a millimetre is 1.2 pixels.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from signer.errors import InputRefused
from signer.pdf.geometry import Box
from signer.pdf.marks import MARKS, mark_pdf, size_of
from signer.pdf.measures import Geometry
from signer.pdf.options import PdfOptions, Visible
from signer.pdf.png import Picture, write_png
from signer.pdf.sign import sign_pdf
from signer.pdf.verify import inspect_pdf
from signer.report import Integrity, LaterChanges
from signer.trust import Context
from tests.signer_pdf.files import Office, allowed, build, simple
from tests.signer_pdf.measuring import (
    RENDERERS,
    Drawn,
    colours_by_pdfium,
    colours_by_poppler,
    ink_of,
    text_by_pdfium,
    text_by_poppler,
    width_of,
)
from tests.signer_pdf.papers import PAPERS, Paper, printed

TENTH = 0.1
HALF_A_PIXEL = 25.4 / 300 / 2
"""What the edge of a letter may be measured wrong by: renderers move letters to parts of a pixel."""
T1 = "Số: 15/QĐ-UBND; 20/11/2026; 09:30:00 +07:00"
T2 = "SAO Y; Sở Mẫu A; 20/11/2026; 09:30:00 +07:00"
DATE = "ngày 20 tháng 11 năm 2026"
RECEIVED = "Sở Mẫu B; 45; 21/11/2026; Văn phòng; 15/QĐ-UBND"
TRICKY = "Ẵ ỡ ữ Đ ằ"


def square(side: int, *, opacity: int = 255, height: int | None = None) -> bytes:
    """Return a PNG of one colour, black or clear."""
    count = side * (height or side)
    return write_png(Picture(side, height or side, True, bytes(count), bytes([opacity]) * count))


@dataclass(frozen=True)
class Spread:
    """Where things stand on a page, as far to the lower right as an A5 page's worth of forms goes."""

    right: float
    down: float

    @classmethod
    def on(cls, paper: Paper) -> Spread:
        """Return the places for a page."""
        width, height = paper.sheet.size
        return cls(width - 148, height - 210)

    def box(self, x: float, y: float, width: float, height: float) -> Box:
        """Return a box of the A5 page moved to this page."""
        return x + self.right, y + self.down, width, height

    @property
    def marks(self) -> dict[str, Box]:
        """The three stamps of urgency."""
        return {
            "HỎA TỐC": self.box(10, 20, 30, 8),
            "THƯỢNG KHẨN": self.box(45, 20, 40, 8),
            "KHẨN": self.box(90, 20, 20, 8),
        }

    @property
    def number(self) -> Box:
        """Of the number."""
        return self.box(10, 35, 20, 8)

    @property
    def date(self) -> Box:
        """Of the date."""
        return self.box(40, 35, 60, 8)

    @property
    def drafter(self) -> Box:
        """A signature that nothing covers."""
        return self.box(10, 50, 50, 25)

    @property
    def received(self) -> Box:
        """The stamp of arrival."""
        return self.box(105, 45, 35, 50)

    @property
    def leader(self) -> Box:
        """The signature that the seal covers."""
        return self.box(80, 120, 50, 25)


def everything(office: Office, paper: Paper) -> bytes:
    """Return a page with all forms but T2."""
    at = Spread.on(paper)
    data = printed((), paper=paper)
    for mark, box in at.marks.items():
        data = mark_pdf(data, mark, box_mm=box)
    hands = (
        Visible("signature", box_mm=at.drafter, image=square(100, height=50)),
        Visible("signature", box_mm=at.leader, image=square(2, opacity=0)),
    )
    for visible in hands:
        data = office.by_person(data, visible, level="b").data
    acts = (
        Visible("number", box_mm=at.number, text="120"),
        Visible("date", box_mm=at.date, text=DATE),
        Visible("seal", image=square(426)),
        Visible("t1", text="Số: 15/QĐ-UBND"),
        Visible("received", box_mm=at.received, text=RECEIVED),
    )
    for visible in acts:
        data = office.by_agency(data, visible, level="b").data
    return data


def agree(found: Box, wanted: Box, tolerance: float = TENTH) -> None:
    """Hold two boxes together, edge by edge."""
    edges = [(one[0], one[1], one[0] + one[2], one[1] + one[3]) for one in (found, wanted)]
    off = [round(a - b, 3) for a, b in zip(*edges, strict=True)]
    assert max(map(abs, off)) <= tolerance, (found, wanted, off)


def around(box: Box, room: float = 2.0) -> Box:
    """Return a box with room around it."""
    return box[0] - room, box[1] - room, box[2] + 2 * room, box[3] + 2 * room


def check_line(drawn: Drawn, text: str, paper: Paper) -> None:
    """T1 and T2: right edge 10 from the page's, baseline 12 from its top, 10 pt."""
    x = paper.sheet.size[0] - 10 - width_of(text, size=10)
    agree(drawn.ink((x - 2, 6, 200, 9)), ink_of(text, size=10, x=x, baseline=12.0), TENTH + HALF_A_PIXEL)


@pytest.mark.parametrize("renderer", RENDERERS)
@pytest.mark.parametrize("kind", PAPERS)
@pytest.mark.tool("pdftoppm")
def test_every_form_is_where_it_belongs_to_a_tenth_of_a_millimetre(
    kind: str, renderer: str, forms: dict[str, bytes], tmp_path: Path
) -> None:
    """Position, size, baseline and right edge, on the picture."""
    paper = PAPERS[kind]
    at, drawn = Spread.on(paper), RENDERERS[renderer](forms[kind], paper.sheet.size, tmp_path)
    for box in (*at.marks.values(), at.drafter, at.received):
        agree(drawn.ink(around(box)), box)
    x, y, w, h = at.leader
    agree(drawn.ink((x - 25, y - 8, 45, 41)), (x + w / 3 - 36, y + h / 2 - 18, 36.0, 36.0))
    x, y, w, h = at.number
    start = x + (w - width_of("120", size=13)) / 2
    wanted = ink_of("120", size=13, x=start, baseline=y + h * 3 / 4)
    agree(drawn.ink(at.number), wanted, TENTH + HALF_A_PIXEL)
    x, y, w, h = at.date
    start = x + (w - width_of(DATE, size=13, style="Italic")) / 2
    wanted = ink_of(DATE, size=13, x=start, baseline=y + h * 3 / 4, style="Italic")
    agree(drawn.ink(at.date), wanted, TENTH + HALF_A_PIXEL)
    check_line(drawn, T1, paper)


@pytest.mark.parametrize("renderer", RENDERERS)
@pytest.mark.parametrize("kind", PAPERS)
@pytest.mark.tool("pdftoppm")
def test_the_line_of_a_copy_is_where_it_belongs(kind: str, renderer: str, office: Office, tmp_path: Path) -> None:
    """T2 on page 1 of a copy (R42)."""
    paper = PAPERS[kind]
    signed = office.by_agency(printed((), paper=paper), Visible("t2", text="SAO Y; Sở Mẫu A"), level="b")
    check_line(RENDERERS[renderer](signed.data, paper.sheet.size, tmp_path), T2, paper)


@pytest.mark.parametrize("kind", PAPERS)
@pytest.mark.tool("pdftotext")
def test_what_is_shown_can_be_read_as_text(kind: str, forms: dict[str, bytes], tmp_path: Path) -> None:
    """By two readers, letter by letter, on every kind of page."""
    shown = ["HỎA TỐC", "THƯỢNG KHẨN", "KHẨN", "120", DATE, T1, "SỞ MẪU B", "ĐẾN", "45", "Văn phòng", "15/QĐ-UBND"]
    for text in (text_by_pdfium(forms[kind]), text_by_poppler(forms[kind], tmp_path)):
        together = "".join(text.split())
        for part in shown:
            assert part.replace(" ", "") in together, (part, text)


@pytest.mark.parametrize("kind", PAPERS)
def test_ten_hands_on_one_page_leave_one_another_intact(kind: str, forms: dict[str, bytes], context: Context) -> None:
    """Seven signatures over three marks: every earlier one is intact, what came later is allowed."""
    report = inspect_pdf(forms[kind], context=context)
    assert len(report.signatures) == 7
    assert {one.integrity for one in report.signatures} == {Integrity.INTACT}
    assert {one.later_changes for one in report.signatures} <= {LaterChanges.ALLOWED, LaterChanges.NONE}


@pytest.fixture(scope="module")
def forms(office: Office) -> dict[str, bytes]:
    """Every kind of page with all its forms."""
    return {kind: everything(office, paper) for kind, paper in PAPERS.items()}


@pytest.mark.parametrize("renderer", RENDERERS)
@pytest.mark.parametrize("size", [8, 10, 13])
@pytest.mark.tool("pdftoppm")
def test_letters_with_two_marks_are_as_wide_as_the_font_says(
    size: int, renderer: str, office: Office, tmp_path: Path
) -> None:
    """«Ẵ ỡ ữ Đ ằ» at 8 and 10 pt in a line, at 13 pt in a box 6 mm high: not spread and not clipped."""
    if size == 13:
        look = Visible("number", box_mm=(100.0, 100.0, 60.0, 6.0), text=TRICKY)
        x, baseline = 130 - width_of(TRICKY, size=size) / 2, 104.5
    else:
        look = Visible("t2", text=TRICKY, geometry=Geometry(line_size=float(size), line_size_least=8.0))
        x, baseline = 200 - width_of(f"{TRICKY}; 20/11/2026; 09:30:00 +07:00", size=size), 12.0
    signed = office.by_agency(printed(()), look, level="b")
    wanted = ink_of(TRICKY, size=size, x=x, baseline=baseline)
    found = RENDERERS[renderer](signed.data, (210.0, 297.0), tmp_path).ink(around(wanted, 0.2))
    agree(found, wanted, TENTH + HALF_A_PIXEL)
    assert TRICKY.replace(" ", "") in text_by_pdfium(signed.data).replace(" ", "")


@pytest.mark.parametrize("mark", MARKS)
def test_a_mark_keeps_its_size_and_its_colour(mark: str, tmp_path: Path) -> None:
    """8 mm high; urgency has the width of the decree and is red, circulation is as wide as its text (NĐ30)."""
    width, height = size_of(mark)
    data = mark_pdf(printed(()), mark.lower(), box_mm=(20.0, 60.0, 80.0, 20.0))
    drawn = RENDERERS["pdfium"](data, (210.0, 297.0), tmp_path)
    agree(drawn.ink((10, 50, 100, 40)), (20 + (80 - width) / 2, 60 + 6, width, height))
    assert height == 8
    assert data.startswith(printed(()))
    assert mark in text_by_pdfium(data)
    wanted = {"HỎA TỐC": 30.0, "THƯỢNG KHẨN": 40.0, "KHẨN": 20.0}
    assert width == wanted.get(mark, width)


@pytest.mark.parametrize("mark", MARKS)
@pytest.mark.tool("pdftoppm")
def test_urgency_is_bright_red_and_circulation_black(mark: str, tmp_path: Path) -> None:
    """The frame, by both renderers."""
    data = mark_pdf(printed(()), mark, box_mm=(20.0, 60.0, 80.0, 8.0))
    red = mark in ("HỎA TỐC", "THƯỢNG KHẨN", "KHẨN")
    for colours in (colours_by_pdfium(data), colours_by_poppler(data, tmp_path)):
        (r, g, b), _ = Counter(colours).most_common(2)[1]  # white is the first
        assert max(g, b) < 40
        assert (r > 240) == red


def test_a_marked_letter_is_signed_like_any_other(office: Office, context: Context) -> None:
    """The mark is part of what is signed."""
    marked = mark_pdf(simple(), "KHẨN", box_mm=(20.0, 60.0, 20.0, 8.0))
    signed = office.by_person(marked, level="b").data
    (one,) = inspect_pdf(signed, context=context).signatures
    assert one.integrity is Integrity.INTACT
    broken = signed.replace(b"/Subtype /Stamp", b"/Subtype /Stamq") if b"/Subtype /Stamp" in signed else signed
    assert broken != signed
    assert inspect_pdf(broken, context=context).signatures[0].integrity is Integrity.BROKEN


def test_a_mark_that_may_not_be_put_on_is_refused(office: Office, small: bytes) -> None:
    """On a signed file, off the page, in too small a box, over another mark or a field, an unknown one."""
    once = mark_pdf(simple(), "KHẨN", box_mm=(20.0, 60.0, 20.0, 8.0))
    cases = {
        "EDOC-PDF-051": (small, "KHẨN", (20.0, 60.0, 20.0, 8.0)),
        "EDOC-PDF-013": (simple(), "KHẨN", (200.0, 60.0, 20.0, 8.0)),
        "EDOC-PDF-052": (simple(), "HỎA TỐC", (20.0, 60.0, 29.0, 8.0)),
        "EDOC-PDF-014": (once, "HỎA TỐC", (35.0, 60.0, 30.0, 8.0)),
        "EDOC-PDF-003": (b"", "KHẨN", (20.0, 60.0, 20.0, 8.0)),
    }
    for code, (data, mark, box) in cases.items():
        with pytest.raises(InputRefused) as refused:
            mark_pdf(data, mark, box_mm=box)
        assert refused.value.code == code
    with pytest.raises(ValueError, match="no mark"):
        mark_pdf(simple(), "MẬT", box_mm=(20.0, 60.0, 20.0, 8.0))
    with pytest.raises(InputRefused) as refused:
        mark_pdf(simple(), "KHẨN", box_mm=(20.0, 60.0, 20.0, 8.0), page=2)
    assert refused.value.code == "EDOC-PDF-016"


@pytest.mark.parametrize(("width", "height"), [(35.0, 50.0), (50.0, 35.0)])
@pytest.mark.parametrize(
    "text", ["Sở Mẫu B", "Ủy ban nhân dân tỉnh Mẫu; 1234; 21/11/2026; Phòng Hành chính; 15/QĐ-UBND"]
)
def test_the_stamp_of_arrival_has_its_five_parts_upright_and_lying(
    width: float, height: float, text: str, office: Office, tmp_path: Path
) -> None:
    """Agency, Số, Ngày, Chuyển, Số và ký hiệu HS, filled or dotted; nothing reaches the frame."""
    look = Visible("received", box_mm=(20.0, 100.0, width, height), text=text)
    signed = office.by_agency(printed(()), look, level="b")
    drawn = RENDERERS["pdfium"](signed.data, (210.0, 297.0), tmp_path)
    agree(drawn.ink((10, 90, 80, 80)), (20, 100, width, height))
    side = drawn.ink((19.0, 100.0 + height - 3.0, 2.5, 0.5))
    assert side[2] == pytest.approx(0.5, abs=TENTH), "weight of the frame"
    x, y, w, h = drawn.ink((20.7, 100.7, width - 1.4, height - 1.4))
    assert min(x - 20.5, y - 100.5, 20 + width - 0.5 - x - w, 100 + height - 0.5 - y - h) > 0.8
    read = "".join(text_by_pdfium(signed.data).split())
    parts = [part.strip() for part in text.split(";")]
    for part in (parts[0].upper(), "ĐẾN", "Số:", "Ngày:", "Chuyển:", "Số và ký hiệu HS:", *parts[1:]):
        assert part.replace(" ", "") in read
    assert ("......" in read) == (len(parts) == 1)


@pytest.mark.tool("pdftoppm")
def test_the_pictures_of_the_documentation_can_be_drawn_again(tmp_path: Path) -> None:
    """``samples/pictures.py`` signs the sample letter in every form; each picture is a small PNG."""
    if shutil.which("pdftoppm") is None:
        pytest.skip("pdftoppm is not installed")
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, str(root / "samples/pictures.py"), str(tmp_path)], capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
    drawn = {path.name for path in tmp_path.glob("*.png")}
    assert drawn == {path.name for path in (root / "docs/pictures").glob("*.png")}
    assert all(2_000 < path.stat().st_size < 150_000 for path in tmp_path.glob("*.png"))


def with_fields(paper: Paper, boxes: dict[str, tuple[str, Box]]) -> bytes:
    """Return a page with empty fields (name: type and box in mm), as a form designer leaves them."""
    widgets = [
        b"<< /Type /Annot /Subtype /Widget /FT /%s /T (%s) /Rect [%s] /F 4 /P 3 0 R >>"
        % (kind.encode(), name.encode(), " ".join(f"{v:.3f}" for v in paper.sheet.rectangle(box)).encode())
        for name, (kind, box) in boxes.items()
    ]
    listed = b" ".join(b"%d 0 R" % (4 + index) for index in range(len(widgets)))
    page = b"<< /Type /Page /Parent 2 0 R %s /Resources << >> /Annots [%s] >>" % (paper.entries, listed)
    root = b"<< /Type /Catalog /Pages 2 0 R /AcroForm << /Fields [%s] >> >>" % listed
    return build([root, b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>", page, *widgets])


@pytest.mark.parametrize("renderer", RENDERERS)
@pytest.mark.parametrize("kind", PAPERS)
@pytest.mark.tool("pdftoppm")
def test_fields_that_were_there_are_filled_where_they_are(
    kind: str, renderer: str, office: Office, context: Context, tmp_path: Path
) -> None:
    """R35: leader and seal in fields of signatures, number and date in fields for text, on every kind of page."""
    paper = PAPERS[kind]
    at = Spread.on(paper)
    seal = at.box(10, 100, 40, 38)
    data = with_fields(
        paper, {"Ld": ("Sig", at.leader), "So": ("Tx", at.number), "Ngay": ("Tx", at.date), "Dau": ("Sig", seal)}
    )
    data = office.by_person(data, Visible("signature", image=square(100, height=50)), level="b", field="Ld").data
    data = by_field(office, data, Visible("number", text="120"), "So")
    data = by_field(office, data, Visible("date", text=DATE), "Ngay")
    data = by_field(office, data, Visible("seal", image=square(426)), "Dau")
    report = inspect_pdf(data, context=context)
    assert [one.integrity for one in report.signatures] == [Integrity.INTACT] * 4
    drawn = RENDERERS[renderer](data, paper.sheet.size, tmp_path)
    agree(drawn.ink(around(at.leader)), at.leader)
    agree(drawn.ink(around(seal)), (seal[0] + 2, seal[1] + 1, 36, 36))
    for box, text, style in ((at.number, "120", "Regular"), (at.date, DATE, "Italic")):
        x, y, w, h = box
        start = x + (w - width_of(text, size=13, style=style)) / 2
        wanted = ink_of(text, size=13, x=start, baseline=y + h * 3 / 4, style=style)
        agree(drawn.ink(box), wanted, TENTH + HALF_A_PIXEL)


def by_field(office: Office, data: bytes, visible: Visible, field: str) -> bytes:
    """The agency signs into, or fills, a field."""
    return sign_pdf(
        data,
        credential=office.agency.credential,
        options=PdfOptions(at=office.now, level="b", visible=visible, field=field),
        precondition=allowed,
        context=office.context,
    ).data
