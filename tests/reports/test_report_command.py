"""``edoc verify --report``: where a report goes, and what is refused before anything is judged (console.md 4.2)."""

import shutil
import sys
from pathlib import Path

import pytest
from lxml import etree

from tests.console.conftest import Edoc
from transport.present.reports import pdf

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
TRUST = (
    "--trust", str(SAMPLES / "trust"), "--revocation", str(SAMPLES / "trust"), "--at", "2026-11-20T12:00:00+07:00",
)  # fmt: skip


@pytest.fixture
def desk(tmp_path: Path) -> Edoc:
    """A desk with the sample letter."""
    shutil.copy(SAMPLES / "letter.signed.pdf", tmp_path)
    return Edoc(tmp_path, inside=True)


def test_a_page_goes_to_standard_output_or_into_a_file_beside_the_usual_answer(desk: Edoc) -> None:
    printed = desk("verify", "letter.signed.pdf", *TRUST, "--report", "html")
    assert (printed.code, printed.out[:15]) == (0, "<!DOCTYPE html>")
    written = desk("verify", "letter.signed.pdf", *TRUST, "--report", "html", "-o", "a.verify.html", "--json")
    assert (written.code, written.json["files"][0]["verdict"]) == (0, "valid")
    page = (desk.folder / "a.verify.html").read_text("utf-8")
    assert page.splitlines()[1:] != []
    assert "Báo cáo kiểm tra chữ ký số" in page
    english = desk("verify", "letter.signed.pdf", *TRUST, "--report", "html", "--lang", "en")
    assert '<html lang="en">' in english.out


def test_a_report_keeps_the_exit_code_of_the_verdict(desk: Edoc) -> None:
    (desk.folder / "none.txt").write_bytes(b"words")
    assert desk("verify", "none.txt", "--report", "html").code == 3
    assert desk("verify", "gone.pdf", "--report", "xml").code == 2


def test_the_xml_report_is_well_formed_and_complete(desk: Edoc) -> None:
    ran = desk("verify", "letter.signed.pdf", *TRUST, "--report", "xml")
    root = etree.fromstring(ran.out.encode("utf-8"))
    assert root.tag == "{http://uri.etsi.org/19102/v1.2.1#}ValidationReport"
    assert len(root.findall("{*}SignatureValidationReport")) == 4


@pytest.mark.parametrize(
    ("line", "code", "exit_code"),
    [
        (("--report", "docx"), "EDOC-USE-004", 2),
        (("-o", "a.html"), "EDOC-USE-003", 2),
        (("--report", "html", "-o", "no/such/folder.html"), "EDOC-USE-010", 2),
        (("--report", "html", "-o", "letter.signed.pdf"), "EDOC-USE-022", 2),
        (("--report", "html", "-o", "taken.html"), "EDOC-USE-009", 2),
    ],
)
def test_what_cannot_be_written_is_refused_first(desk: Edoc, line: tuple[str, ...], code: str, exit_code: int) -> None:
    (desk.folder / "taken.html").write_bytes(b"mine")
    ran = desk("verify", "letter.signed.pdf", *line, "--json")
    assert (ran.code, ran.json["error"]["code"]) == (exit_code, code)
    assert (desk.folder / "taken.html").read_bytes() == b"mine"
    assert desk("verify", "letter.signed.pdf", "--report", "html", "-o", "taken.html", "--force").code == 3
    assert (desk.folder / "taken.html").read_bytes() != b"mine"


def test_pdf_without_the_extra_is_a_fault_of_the_set_up(desk: Edoc, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "typst", None)
    monkeypatch.setattr("transport.desk.reporting.is_installed", lambda: False)
    ran = desk("verify", "letter.signed.pdf", "--report", "pdf", "-o", "a.pdf", "--json")
    assert (ran.code, ran.json["error"]["code"]) == (6, "EDOC-USE-026")
    assert "edoc-exchange[report]" in ran.json["error"]["next"]
    assert not (desk.folder / "a.pdf").exists()


@pytest.mark.skipif(not pdf.is_possible(), reason="the extra report (typst) is not installed")
def test_pdf_goes_into_a_file_or_a_pipe(desk: Edoc) -> None:
    assert desk("verify", "letter.signed.pdf", *TRUST, "--report", "pdf", "-o", "a.verify.pdf").code == 0
    piped = desk("verify", "letter.signed.pdf", *TRUST, "--report", "pdf")
    assert piped.raw.startswith(b"%PDF-")
    assert (desk.folder / "a.verify.pdf").read_bytes().startswith(b"%PDF-")


def test_the_fixed_time_of_builds_makes_equal_reports(desk: Edoc) -> None:
    line = ("verify", "letter.signed.pdf", *TRUST, "--report", "html")
    fixed = {"SOURCE_DATE_EPOCH": "1795000000"}
    assert desk(*line, env=fixed).raw == desk(*line, env=fixed).raw
