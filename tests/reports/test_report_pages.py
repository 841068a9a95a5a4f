"""The report for people: the same content in HTML and PDF, safe whatever the files are called (signing.md 8, R67)."""

import base64
import hashlib
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.reports.conftest import AT, HOSTILE, checked, context, judgement
from transport.present.errors import CommandError
from transport.present.reports import blocks, content, html, pdf, svg, words
from transport.present.reports.blocks import Answers, Banner, Grid, Heading, Page, Picture
from transport.present.text import sanitise
from transport.present.verify import Checked, Judgement

Files = tuple[list[Checked], Judgement]
ALLOWED = {
    "html", "head", "meta", "title", "style", "body", "header", "main", "footer", "h1", "h2", "h3", "h4", "p", "div",
    "strong", "span", "b", "dl", "dt", "dd", "table", "thead", "tbody", "tr", "th", "td", "code", "wbr", "ul", "li",
    "figure", "svg", "rect", "text", "path",
}  # fmt: skip


class Reader(HTMLParser):
    """Notes the elements, the attributes that lead somewhere, and the text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[tuple[str, str | None]] = []
        self.text = ""
        self.lang: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag == "html":
            self.lang = dict(attrs).get("lang")
        self.links += [(name, value) for name, value in attrs if name in {"href", "src", "style", "action", "data"}]
        self.links += [(name, value) for name, value in attrs if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.text += data


def read(page: Page) -> Reader:
    """Render a page and read it as a browser does."""
    found = Reader()
    found.feed(html.render(page).decode("utf-8"))
    return found


def test_a_page_loads_and_runs_nothing(files: Files) -> None:
    """No script, link, picture, font or style from elsewhere; a policy in the file forbids them all the same."""
    page = content.page(*files, "vi")
    found = read(page)
    assert found.tags <= ALLOWED
    assert found.links == []
    text = html.render(page).decode("utf-8")
    assert not re.search(r"(?:https?:)?//(?!www\.w3\.org/2000/svg)", text.replace("OFL", ""))
    digest = base64.b64encode(hashlib.sha256(html.STYLE.encode()).digest()).decode()
    policy = f"default-src &#x27;none&#x27;; style-src &#x27;sha256-{digest}&#x27;"
    assert policy in text
    assert f"<style>{html.STYLE}</style>" in text
    assert "url(" not in html.STYLE
    assert "@import" not in html.STYLE


def test_hostile_names_are_shown_and_never_obeyed(files: Files) -> None:
    text = html.render(content.page(*files, "vi")).decode("utf-8")
    assert "<script" not in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\\u001b[31m\\u202efdp." in text
    assert all(char.isprintable() or char == "\n" for char in text)


@pytest.mark.parametrize("lang", ["vi", "en"])
def test_every_verdict_is_one_sentence_with_sign_and_word(files: Files, lang: str) -> None:
    page = content.page(*files, lang)
    banners = [block for block in page.blocks if isinstance(block, Banner)]
    assert [banner.tone for banner in banners] == [
        "good",
        "bad",
        "open",
        "good",
        "good",
        "good",
        "good",
        "open",
        "open",
    ]
    assert {banner.word[0] for banner in banners} == {"✔", "✘", "?"}
    for banner in banners:
        assert banner.sentence.endswith(".")
        assert "{" not in banner.sentence
    assert read(page).lang == lang


def test_three_questions_are_answered_apart_for_every_signature(files: Files) -> None:
    """An intact letter of an unknown signer is green in the first answer and open in the second."""
    page = content.page(*files, "vi")
    signatures = [block for block in page.blocks if isinstance(block, Heading) and block.level == 3]
    answers = [block for block in page.blocks if isinstance(block, Answers)]
    assert len(signatures) == len(answers) > 10
    assert all(len(block.rows) == 3 for block in answers)
    tones = [tuple(row[1] for row in block.rows) for block in answers]
    assert tones[0] == ("good", "good", "good")
    assert tones[4] == ("bad", "open", "good")
    assert tones[8] == ("good", "open", "open")


def test_integrity_only_says_that_the_signer_was_not_judged() -> None:
    how = context(policy="integrity-only")
    page = content.page([checked("letter.signed.pdf", how)], judgement(how), "vi")
    answers = [block for block in page.blocks if isinstance(block, Answers)]
    assert [row[1] for row in answers[0].rows][:2] == ["good", "open"]
    assert "Chưa xét" in answers[0].rows[1][2]


def test_what_a_court_asks_for_is_on_the_page(files: Files) -> None:
    """File, size, digest, times, changes, path, status with source and time, algorithms, policy, anchors, version."""
    text = read(content.page(*files, "vi")).text
    data = files[0][0].report
    assert data is not None
    for said in (
        "letter.signed.pdf", str(data.sha256), f"{data.size} byte", "Nguyễn Văn Mẫu, Phó Giám đốc",
        "Diễn biến theo thời gian", "20/11/2026 09:05:00 +07:00", "Thay đổi sau chữ ký này", "được phép",
        "Đường dẫn chứng thư", "gốc được tin cậy", "không bị thu hồi", "CRL, người kiểm tra đưa",
        "RSASSA-PKCS1-v1_5, SHA-256, RSA 2048", "interop", "edoc built-in · 2026-11", "edoc 0.1.0",
        "20/11/2026 12:00:00 +07:00", "Phụ lục: lý do và cảnh báo", "NO_CERTIFICATE_CHAIN_FOUND", "EDOC-USE-008",
        files[1].anchors_sha256, "không mở kết nối nào", "120", "H99.01",
    ):  # fmt: skip
        assert said in text, said


def test_the_appendix_names_every_code_of_the_answer(files: Files) -> None:
    page = content.page(*files, "en")
    table = page.blocks[-1]
    assert isinstance(table, Grid)
    codes = {row[1] for row in table.rows}
    reports = [file.report for file in files[0] if file.report is not None]
    expected = {reason.code.value for report in reports for reason in (*report.reasons, *report.warnings)}
    expected |= {w.code.value for report in reports for one in report.signatures for w in one.warnings}
    assert expected <= codes


def test_the_same_files_give_the_same_page_byte_for_byte(files: Files) -> None:
    assert html.render(content.page(*files, "vi")) == html.render(content.page(*files, "vi"))


def test_the_picture_of_a_path_is_plain_svg_from_root_to_signer(files: Files) -> None:
    pictures = [block for block in content.page(*files, "vi").blocks if isinstance(block, Picture)]
    assert [node.name for node in pictures[0].nodes] == [
        "Root CA THỬ NGHIỆM", "Issuing CA THỬ NGHIỆM", "Nguyễn Văn Mẫu",
    ]  # fmt: skip
    drawn = svg.draw(pictures[0])
    assert drawn.startswith("<svg ")
    assert "Root CA THỬ NGHIỆM → Issuing CA THỬ NGHIỆM → Nguyễn Văn Mẫu" in drawn
    hostile = svg.draw(Picture((blocks.node("a", HOSTILE, [HOSTILE], "bad"),), sanitise(HOSTILE)))
    assert "<script" not in hostile
    assert "\u202e" not in hostile


def test_a_path_without_a_root_says_so_in_the_picture() -> None:
    how = context(trusted=False)
    page = content.page([checked("letter.signed.pdf", how)], judgement(how), "en")
    picture = next(block for block in page.blocks if isinstance(block, Picture))
    assert picture.nodes[0].name == "no path to a trusted root was found"
    assert picture.nodes[0].tone == "open"


def test_every_word_of_the_report_is_there_in_both_languages_with_the_same_facts() -> None:
    for name, texts in words.table().items():
        assert set(texts) == {"vi", "en"}, name
        assert sorted(re.findall(r"\{\w+\}", texts["vi"])) == sorted(re.findall(r"\{\w+\}", texts["en"])), name


# --- PDF -------------------------------------------------------------------------------------------------------------

needs_typst = pytest.mark.skipif(not pdf.is_possible(), reason="the extra report (typst) is not installed")


def test_without_the_extra_the_error_names_how_to_install_it(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "typst", None)
    with pytest.raises(CommandError) as caught:
        pdf.render(content.page(*files, "vi"))
    assert (caught.value.code, caught.value.facts["extra"]) == ("EDOC-USE-026", "report")


def test_the_typesetter_gets_plain_values_with_nothing_invisible(files: Files) -> None:
    def texts(value: object) -> list[str]:
        if isinstance(value, str):
            return [value]
        if isinstance(value, dict):
            return [text for item in value.values() for text in texts(item)]
        return [text for item in value for text in texts(item)] if isinstance(value, (list, tuple)) else []

    found = texts(pdf.as_values(content.page(*files, "vi")))
    assert len(found) > 500
    assert all(sanitise(text) == text for text in found if "<svg" not in text)


@needs_typst
def test_the_pdf_is_tagged_says_the_same_and_comes_out_equal_twice(files: Files, tmp_path: Path) -> None:
    page = content.page(*files, "vi")
    data = pdf.render(page)
    assert data == pdf.render(page)
    assert data.startswith(b"%PDF-1.")
    assert b"pdfaid" in data
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext is not installed")
    (tmp_path / "a.pdf").write_bytes(data)
    done = subprocess.run(["pdftotext", "-layout", tmp_path / "a.pdf", "-"], capture_output=True, check=True)
    text = done.stdout.decode("utf-8").replace("\u200b", "")
    for said in ("Báo cáo kiểm tra chữ ký số", "HỢP LỆ", "KHÔNG HỢP LỆ", "Nguyễn Văn Mẫu", "<script>alert(1)</script>"):
        assert said in text, said
    info = subprocess.run(["pdfinfo", tmp_path / "a.pdf"], capture_output=True, check=True).stdout.decode("utf-8")
    assert re.search(r"Tagged:\s+yes", info)
    assert re.search(r"JavaScript:\s+no", info)


@needs_typst
def test_a_page_made_of_one_file_of_each_verdict_fits_the_typesetter_in_english() -> None:
    how = context()
    for file in (checked("letter.signed.pdf", how, flip=3000), Checked("a", None)):
        assert pdf.render(content.page([file], replace(judgement(how), generated_at=AT), "en"))


def test_a_verdict_of_nothing_is_still_a_page() -> None:
    how = context()
    page = content.page([], judgement(how), "vi")
    assert "0 tệp" in read(page).text
    assert [block.text for block in page.blocks if isinstance(block, Heading) and block.level == 2] == [
        "Đã kiểm tra thế nào"
    ]
