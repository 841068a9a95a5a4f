"""The place of the leader's signature is found by what is printed there, or refused; never guessed (signing.md 3.3)."""

from __future__ import annotations

import math
import struct
import unicodedata
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from signer.errors import InputRefused
from signer.pdf import anchors, pictures
from signer.pdf.anchors import aimed, folded
from signer.pdf.geometry import Box
from signer.pdf.letters import _told, lines_of_pages
from signer.pdf.measures import Geometry
from signer.pdf.options import Visible
from signer.pdf.typeface import serif
from signer.pdf.verify import inspect_pdf
from signer.report import Code, Integrity
from signer.trust import Context
from tests.signer_pdf.files import Office, build
from tests.signer_pdf.measuring import by_pdfium
from tests.signer_pdf.papers import A4, PAPERS, Paper, Print, centred, printed
from transport.demo.letter import LETTER, sample
from transport.present import catalogue

pytestmark = pytest.mark.skipif(not pictures.is_possible(), reason="the extra preview is not installed")

NAME = "Nguyễn Văn Mẫu"
LOOK = Visible("signature", image=sample("signature.png"))
BODY = Print(30.0, 60.0, "Giao ông Nguyễn Văn Mẫu, Phó Chủ tịch, thực hiện.")


def block(name: str = NAME, *, middle: float = 150.0, baseline: float = 250.0) -> tuple[Print, ...]:
    """The block of a signature: capacity, position, room, name; to its left the line of the addressees."""
    return (
        BODY,
        centred("KT. CHỦ TỊCH", middle, baseline - 45),
        centred("PHÓ CHỦ TỊCH", middle, baseline - 39),
        Print(30.0, baseline, "- Lưu: VT, VP.", 11.0),
        centred(name, middle, baseline),
    )


def place(data: bytes, *, name: str | None = NAME, position: str | None = None) -> tuple[int, Box]:
    """Return page and box that are found."""
    found = aimed(data, LOOK, name=name, position=position)
    assert found.box_mm is not None
    return found.page, found.box_mm


def refused(data: bytes, *, name: str | None = NAME, position: str | None = None) -> InputRefused:
    """Return the refusal."""
    with pytest.raises(InputRefused) as caught:
        place(data, name=name, position=position)
    return caught.value


@pytest.mark.parametrize("kind", PAPERS)
def test_the_signature_stands_two_millimetres_above_the_name_and_in_its_middle(kind: str) -> None:
    """On every kind of page, whatever turns, crops or scales it: 50 x 25, to a tenth of a millimetre."""
    paper = PAPERS[kind]
    middle, baseline = paper.sheet.size[0] - 60, paper.sheet.size[1] - 40
    page, box = place(printed(block(middle=middle, baseline=baseline), paper=paper))
    top = baseline - serif("bold").ascent_of(NAME) * 13 / 1000 * 25.4 / 72
    assert page == 1
    assert box[2:] == (50.0, 25.0)
    assert abs(box[0] + 25 - middle) < 0.4  # the ink begins behind the side bearing
    assert abs(box[1] + 25 + 2 - top) < 0.15


def test_the_place_on_the_sample_letter_is_where_its_maker_left_room() -> None:
    """Found by name, and by position, it is the same place."""
    page, box = place(sample("letter.pdf"), name=LETTER.signer)
    assert page == 1
    assert all(abs(a - b) < 1 for a, b in zip(box, LETTER.signature, strict=True))
    assert place(sample("letter.pdf"), name=None, position="KT. GIÁM ĐỐC") == (page, box)
    assert place(sample("letter.pdf"), name=None, position="phó giám đốc") == (page, box)


def test_a_letter_signed_at_the_place_found_is_sealed_beside_the_name(office: Office, context: Context) -> None:
    """Leader by name, seal by the leader's widget; half a millimetre higher it stays off the name, and this is said."""
    leader = office.by_person(sample("letter.pdf"), aimed(sample("letter.pdf"), LOOK, name=LETTER.signer), level="b")
    seal = aimed(leader.data, Visible("seal", image=sample("seal.png")), name=LETTER.signer)
    sealed = office.by_agency(leader.data, seal, level="b")
    assert [(one.code, one.facts["mm"]) for one in sealed.warnings] == [(Code.SEAL_RAISED, "0.5")]
    first, second = inspect_pdf(sealed.data, context=context).signatures
    assert (first.integrity, second.integrity) == (Integrity.INTACT, Integrity.INTACT)
    assert first.appearance is not None
    assert second.appearance is not None
    (x, y, w, h), (left, top, across, down) = first.appearance.box_mm, second.appearance.box_mm
    assert left + across == pytest.approx(x + w / 3, abs=0.02)
    assert top + down / 2 == pytest.approx(y + h / 2 - 0.5, abs=0.02)


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize(
    "name",
    [
        "NGUYỄN VĂN MẪU",
        "nguyễn  văn mẫu",
        unicodedata.normalize("NFD", NAME),
        "Nguyễn Văn Mẫu (THỬ NGHIỆM)",
        "\tNguyễn\u00a0Văn Mẫu ",
    ],
)
def test_capitals_spaces_and_ways_of_writing_make_no_difference(form: str, name: str) -> None:
    """NFC or NFD in the file or in the certificate, and a note in brackets behind the certificate's name."""
    assert place(printed(block(), form=form), name=name) == place(printed(block()))


@pytest.mark.parametrize(("old", "new"), [("Hoà", "Hòa"), ("Khoẻ", "Khỏe"), ("Thuý", "Thúy"), ("Đoá", "đóa")])
def test_both_places_of_a_tone_mark_are_one_name(old: str, new: str) -> None:
    """Certificates and letters do not always follow the same rule of spelling."""
    assert folded(old) == folded(new)
    assert folded("Hoa") != folded(new)


@pytest.mark.parametrize("title", ["Thượng tá ", "Đại úy ", "TS. ", "GS.TS. ", "PGS. TS ", "ThS ", "BS.CKII. "])
def test_a_rank_or_degree_may_stand_before_the_name(title: str) -> None:
    """NĐ30 allows them in some bodies; they count as part of the line whose middle is taken."""
    assert place(printed(block(title + NAME)))[1][0] + 25 == pytest.approx(150, abs=0.5)


@pytest.mark.parametrize("line", ["Người lập: Nguyễn Văn Mẫu", "Lê Nguyễn Văn Mẫu", "Nguyễn Văn Mẫu, Trần Thị Mẫu"])
def test_a_name_inside_another_line_is_no_place(line: str) -> None:
    """Only a line of its own counts."""
    found = refused(printed((BODY, centred(line, 130, 250))))
    assert (found.code, found.facts["name"], found.facts["pages"]) == ("EDOC-PDF-055", NAME, 1)


def test_the_last_page_with_the_name_counts() -> None:
    """An appendix behind it has no such line; a page before it has one, too."""
    data = printed(block(middle=100), block(middle=140), (Print(30, 40, "PHỤ LỤC"),))
    page, box = place(data)
    assert page == 2
    assert box[0] + 25 == pytest.approx(140, abs=0.4)


def test_two_places_on_one_page_are_refused_unless_the_position_tells_them_apart() -> None:
    """A list of members above, the block below."""
    listed = centred(NAME, 80, 100)
    data = printed((*block(), listed))
    found = refused(data)
    assert (found.code, found.facts["page"]) == ("EDOC-PDF-056", 1)
    assert str(found.facts["places"]).count(";") == 1
    assert place(data, position="Kt. Chủ tịch") == place(printed(block()))
    assert refused(data, position="GIÁM ĐỐC").code == "EDOC-PDF-056"


def test_a_line_printed_over_itself_is_one_line() -> None:
    """Some programs make bold letters so."""
    lines = block()
    assert place(printed((*lines, replace(lines[-1], x=lines[-1].x + 0.1)))) == place(printed(lines))


def test_where_no_name_is_printed_the_position_leads_to_the_place_beneath_it() -> None:
    """Two millimetres under the last line of the position, in its middle."""
    data = printed(block()[:-1])
    page, box = place(data, name=None, position="KT. CHỦ TỊCH")
    assert page == 1
    assert box[0] + 25 == pytest.approx(150, abs=0.4)
    assert 211 + 2 <= box[1] <= 211 + 3.5


def test_a_position_never_leads_to_the_name_of_somebody_else() -> None:
    """The certificate says another name than the letter: refused, though the position is there."""
    assert refused(printed(block("Trần Thị Mẫu")), position="KT. CHỦ TỊCH").code == "EDOC-PDF-055"
    assert refused(printed(block()), name=None).code == "EDOC-PDF-017"
    assert refused(printed(block()), name=None, position="TRƯỞNG PHÒNG").code == "EDOC-PDF-055"
    assert refused(printed((*block(), *block(middle=70))), name=None, position="KT. CHỦ TỊCH").code == "EDOC-PDF-056"


def test_a_box_given_and_other_forms_are_left_as_they_are() -> None:
    """Nothing is looked for where the place is said."""
    for visible in (replace(LOOK, box_mm=(1.0, 2.0, 50.0, 25.0)), Visible("t1", text="Số: 1"), Visible("number")):
        assert aimed(b"no PDF", visible, name=NAME) == visible


def test_the_measures_of_the_agency_are_those_used() -> None:
    """40 x 20, 3 mm above."""
    look = replace(LOOK, geometry=Geometry(signature_width=40.0, signature_height=20.0, signature_gap=3.0))
    found = aimed(printed(block()), look, name=NAME).box_mm
    usual = place(printed(block()))[1]
    assert found is not None
    assert found == pytest.approx((usual[0] + 5, usual[1] + 5 - 1, 40.0, 20.0))


def test_a_seal_is_kept_off_the_letters_of_the_name_and_of_the_state(office: Office) -> None:
    """On page 1, where alone the state's name is looked for, on the page given, and on those of signatures."""
    state = (Print(100, 25, "CỘNG HOÀ XÃ HỘI CHỦ NGHĨA VIỆT NAM"), BODY)
    data = printed(state, block())
    assert {page for page, _ in aimed(data, Visible("seal"), name=NAME).keep_out} == {1}, "no signature on page 2"
    kept = aimed(data, Visible("seal", page=2), name=NAME).keep_out
    assert kept == aimed(data, Visible("seal", page=-1), name=NAME).keep_out
    leader = office.by_person(data, aimed(data, LOOK, name=NAME), level="b").data
    assert kept == aimed(leader, Visible("seal"), name=NAME).keep_out
    assert {page for page, _ in kept} == {1, 2}
    assert len([box for page, box in kept if page == 2]) == len(NAME.replace(" ", ""))
    assert all(20 < box[1] < 26 for page, box in kept if page == 1)
    assert aimed(printed((BODY,)), Visible("seal"), name=NAME).keep_out == ()
    assert aimed(b"%PDF-1.7 no file", Visible("seal"), name=NAME).keep_out == ()


def test_a_seal_over_a_long_name_is_raised_or_refused(office: Office) -> None:
    """R40 names its place, and that it touches no name. Where an agency wants no seal raised, --box is proposed."""
    name = "Nguyễn Phạm Thị Phương Thảo Mẫu"
    data = printed(block(name))
    leader = office.by_person(data, aimed(data, LOOK, name=name), level="b")
    look = Visible("seal", image=sample("seal.png"))
    (told,) = office.by_agency(leader.data, aimed(leader.data, look, name=name), level="b").warnings
    assert 3.0 < float(str(told.facts["mm"])) <= 4.0
    look = replace(look, geometry=Geometry(seal_rise=0.0))
    with pytest.raises(InputRefused) as caught:
        office.by_agency(leader.data, aimed(leader.data, look, name=name), level="b")
    assert caught.value.code == "EDOC-PDF-057"
    box = tuple(float(part) for part in str(caught.value.facts["box"]).split(","))
    assert len(box) == 4
    again = aimed(leader.data, replace(look, box_mm=box), name=name)
    assert office.by_agency(leader.data, again, level="b").page == 1


def test_without_the_extra_it_is_said_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """The place can still be given; a seal is not hindered."""
    monkeypatch.setattr(anchors, "is_possible", lambda: False)
    found = refused(printed(block()))
    assert found.code == "EDOC-PDF-050"
    assert aimed(printed(block()), Visible("seal"), name=NAME).keep_out == ()


@pytest.mark.parametrize("code", ["EDOC-PDF-017", "EDOC-PDF-050", "EDOC-PDF-055", "EDOC-PDF-056"])
def test_every_refusal_names_the_ways_and_ends_with_2(code: str) -> None:
    """--box and --field, in both languages."""
    entry = catalogue.find(code)
    assert entry is not None
    assert entry.exit == 2
    for language in ("vi", "en"):
        assert "--box" in entry.texts[language]["next"]
        assert "--field" in entry.texts[language]["next"]


@given(st.binary(max_size=400), st.integers(0, 3))
def test_whatever_a_worker_says_makes_lines_or_none(said: bytes, count: int) -> None:
    """A worker that a file has taken over may write anything: numbers of no place, letters that are none."""
    told = struct.pack("<I", count) + said
    for number, lines in _told(BytesIO(told), [(1, A4.sheet), (2, A4.sheet)]):
        assert number in (1, 2)
        assert all(math.isfinite(value) for line in lines for value in line.box)
        assert all(ord(one.text) > 32 for line in lines for one in line.letters)


SET_BY_ANOTHER = {
    "columns": "#grid(columns: (1fr, 1fr), [*Nơi nhận:*], align(center)[*KT. CHỦ TỊCH* #v(25mm) *Nguyễn Văn Mẫu*])",
    "spaced out": "#align(right)[#text(tracking: 2pt)[Nguyễn Văn Mẫu]]",
    "decomposed": f"#align(center)[{unicodedata.normalize('NFD', NAME)}]",
    "underlined": "#align(center)[#underline[Nguyễn] #strike[Văn] Mẫu]",
    "mixed": "#align(center)[*Nguyễn* _Văn_ #text(size: 18pt)[Mẫu]]",
    "turned sheet": "#set page(flipped: true)\n#align(right)[Nguyễn Văn Mẫu]",
}


@pytest.mark.parametrize("kind", SET_BY_ANOTHER)
def test_the_name_is_found_in_what_another_program_has_set(kind: str) -> None:
    """Typst kerns, splits and justifies in its own way; the ink found is in the middle of the box."""
    typst = pytest.importorskip("typst", reason="the extra report (typst) is not installed")
    fonts = str(Path(anchors.__file__).with_name("fonts"))
    source = f'#set page(paper: "a4", margin: 40mm)\n#set text(font: "Edoc Serif", size: 14pt)\n{SET_BY_ANOTHER[kind]}'
    data = typst.compile(source.encode(), font_paths=[fonts], ignore_system_fonts=True)
    page, (x, y, w, h) = place(data)
    ink = by_pdfium(data, A4.sheet.size if kind != "turned sheet" else (297.0, 210.0), Path()).ink((x, y + h, w, 8.0))
    assert page == 1
    assert ink[0] + ink[2] / 2 == pytest.approx(x + w / 2, abs=0.3)
    assert ink[1] == pytest.approx(y + h + 2, abs=0.2)


HOSTILE = {
    "no pages": b"%PDF-1.7\n1 0 obj << /Type /Catalog >> endobj\ntrailer << /Root 1 0 R >>\n%%EOF",
    "cut off": printed(block())[:900],
    "counts two pages, has one": printed(block()).replace(b"/Count 1", b"/Count 2"),
    "empty": b"%PDF-1.7\n",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_damaged_file_is_refused_never_a_crash(kind: str) -> None:
    """What the worker cannot read is not found."""
    assert refused(HOSTILE[kind]).code.startswith("EDOC-PDF-")


def test_a_page_that_takes_for_ever_ends_the_search() -> None:
    """Forms in forms, ten in each: the worker is stopped, and nothing is concluded from the pages before that one."""
    catalog, tree = b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [3 0 R 4 0 R] /Count 2 >>"
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /XObject << /X 6 0 R >> >> %s >>"
    content = b"<< /Length 5 >>\nstream\n/X Do\nendstream"
    inner = b"/X Do " * 10
    forms = [
        b"<< /Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /X %d 0 R >> >> /Length 60 >>\n"
        b"stream\n%s\nendstream" % (number + 1, inner)
        for number in range(6, 20)
    ]
    last = b"<< /Type /XObject /Subtype /Form /BBox [0 0 9 9] /Length 13 >>\nstream\n0 0 9 9 re f \nendstream"
    data = build([catalog, tree, page % b"", page % b"/Contents 5 0 R", content, *forms, last])
    assert list(lines_of_pages(data, [(2, A4.sheet), (1, A4.sheet)], total=2, seconds=1)) == []


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(sorted(PAPERS)),
    st.floats(0.25, 0.75),
    st.floats(0.3, 0.9),
    st.sampled_from([NAME, "Lê Văn Mẫu", "TRẦN THỊ MẪU"]),
)
def test_wherever_the_name_is_the_box_is_above_it(kind: str, across: float, down: float, name: str) -> None:
    """The middle and the distance hold for every place on every page."""
    paper: Paper = PAPERS[kind]
    width, height = paper.sheet.size
    line = centred(name, width * across, height * down)
    _, box = place(printed((line,), paper=paper), name=name)
    assert abs(box[0] + 25 - width * across) < 0.5
    assert 2.0 <= height * down - (box[1] + 25) - 13 * 25.4 / 72 * 0.6 <= 4.1
