"""Copies by the agency at the console: directions, quality of scans, marks (R42, R47, R48, R50)."""

import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from signer.credential import Role
from signer.devpki import DevPki, Subject, pem
from signer.pdf.formtree import text_of
from signer.pdf.reading.file import PdfFile
from tests.console.conftest import Edoc, Ran
from tests.console.schema import problems
from tests.signer_pdf.files import simple
from tests.signer_pdf.test_pdf_scans import scan
from tests.signer_pdf.test_pdf_visible import picture
from tests.store.conftest import new_message
from transport import settings
from transport.desk.authorising import account_at_desk
from transport.store import outbox
from transport.store.store import Store


@pytest.fixture(scope="module")
def world() -> DevPki:
    return DevPki.create(at=datetime.now(UTC) - timedelta(days=30))


@pytest.fixture
def desk(edoc: Edoc, world: DevPki) -> Edoc:
    """A desk without a node: the agency's key, a leader's, the root, and scans."""
    subject = Subject("Sở Mẫu A", organization="Sở Mẫu A", tax_number="0100000001")
    files = {
        "agency.pem": world.issue(Role.AGENCY, subject).pem,
        "leader.pem": world.issue(Role.PERSON, Subject("Nguyễn Văn Mẫu", organization="Sở Mẫu A")).pem,
        "root.pem": pem(world.root.certificate),
        "quet.pdf": scan(200),
        "go.pdf": simple(),
        "x.xml": b"<a>x</a>",
    }
    for name, data in files.items():
        (edoc.folder / name).write_bytes(data)
    return edoc.here()


@pytest.fixture
def node(desk: Edoc) -> Edoc:
    """The same desk at a node of H99.01, at which somebody with an account sits."""
    Store.create(settings.load(home=desk.home, config=None, environ={}, overrides={})).close()
    (desk.home / "edoc.toml").write_text('[agency]\ncode = "H99.01"\nname = "Sở Mẫu A"\n', "utf-8")
    assert desk("user", "add", account_at_desk(), "--name", "Trần Thị Mẫu", "--role", "clerk").code == 0
    return desk


def copied(desk: Edoc, name: str, form: str, *words: str) -> Ran:
    line = ("sign", name, "--as", "agency", "--copy", form, "--key", "agency.pem", "--trust", "root.pem")
    return desk(*line, "--level", "b", *words, "--json")


def signed(desk: Edoc, name: str, output: str) -> None:
    line = ("sign", name, "--key", "leader.pem", "--trust", "root.pem", "--level", "b", "-o", output)
    assert desk(*line).code == 0


def refusal(ran: Ran) -> dict[str, Any]:
    assert problems(ran.json) == []
    error: dict[str, Any] = ran.json["files"][0]["error"]
    return error


def remarks(ran: Ran) -> list[str]:
    """Return what was remarked on the copy itself."""
    return [text for text in ran.json["files"][0]["warnings"] if text.startswith("trang ")]


def reasons(data: bytes) -> str:
    """Return the reason of the last signature of a PDF, as its dictionary has it."""
    state = PdfFile(data).latest
    found = [state.resolve(one) for one in state.references()]
    return text_of(next(one["Reason"] for one in found if isinstance(one, Mapping) and "Reason" in one))


@pytest.mark.parametrize(
    ("form", "words"), [("sy", "SAO Y; Sở Mẫu A"), ("sl", "SAO LỤC; Sở Mẫu A"), ("trs", "TRÍCH SAO; Sở Mẫu A")]
)
def test_a_scan_becomes_a_copy_with_its_line(desk: Edoc, form: str, words: str) -> None:
    ran = copied(desk, "quet.pdf", form)
    assert (ran.code, ran.json["files"][0]["visible"], remarks(ran)) == (0, "t2", [])
    found = desk("verify", "quet.signed.pdf", "--trust", "root.pem", "--json").json["files"][0]
    assert found["signatures"][0]["appearance"]["text"].startswith(words)


def test_a_key_that_hides_its_certificate_names_the_agency_in_the_line_too(desk: Edoc, world: DevPki) -> None:
    agency = world.issue(Role.AGENCY, Subject("Sở Mẫu A", organization="Sở Mẫu A"))
    (desk.folder / "agency.p12").write_bytes(agency.pkcs12(b"1234"))
    (desk.folder / "pin").write_text("1234\n", "utf-8")
    assert copied(desk, "quet.pdf", "sy", "--key", "agency.p12", "--pin-file", "pin").code == 0
    found = desk("verify", "quet.signed.pdf", "--trust", "root.pem", "--json").json["files"][0]
    assert found["signatures"][0]["appearance"]["text"].startswith("SAO Y; Sở Mẫu A; ")


def test_the_line_of_an_appendix_begins_with_its_number(desk: Edoc) -> None:
    signed(desk, "go.pdf", "chinh.pdf")
    (desk.folder / "pl.pdf").write_bytes(simple())
    line = ("sign", "pl.pdf", "--as", "agency", "--attachment", "--of", "chinh.pdf", "--key", "agency.pem")
    ran = desk(*line, "--trust", "root.pem", "--level", "b", "--text", "120/SMA-VP", "--json")
    assert ran.code == 0, ran.out
    found = desk("verify", "pl.signed.pdf", "--trust", "root.pem", "--json").json["files"][0]
    assert found["signatures"][0]["appearance"]["text"].startswith("Số: 120/SMA-VP; ")


def test_an_appendix_without_its_document_is_asked_for_it(desk: Edoc) -> None:
    ran = desk("sign", "go.pdf", "--as", "agency", "--attachment", "--key", "agency.pem", "--json")
    error = ran.json["error"]
    assert (ran.code, error["code"], error["message"]) == (2, "EDOC-USE-003", "thiếu --of")


def test_a_form_without_place_is_named_with_its_file_in_the_words_of_the_office(desk: Edoc) -> None:
    (desk.folder / "dau.png").write_bytes(picture(360, 360))
    line = ("sign", "go.pdf", "--key", "leader.pem", "--trust", "root.pem", "--level", "b", "--image", "dau.png")
    ran = desk(*line, "--visible", "seal", "--json")
    error = refusal(ran)
    assert (ran.code, error["detail"]["form"]) == (2, "seal")
    assert error["message"] == "chưa biết đặt con dấu ở đâu trên «go.pdf»"


@pytest.mark.parametrize(("form", "words"), [("sy", "SAO Y"), ("sl", "SAO LỤC")])
def test_there_is_no_copy_from_file_to_file_but_an_extract(desk: Edoc, form: str, words: str) -> None:
    signed(desk, "go.pdf", "goc.pdf")
    ran = copied(desk, "goc.pdf", form)
    error = refusal(ran)
    assert (ran.code, error["code"]) == (1, "EDOC-DOC-085")
    assert words in error["message"]
    assert "từ điện tử sang điện tử" in error["why"]
    assert not (desk.folder / "goc.signed.pdf").exists()
    assert copied(desk, "goc.pdf", "trs").code == 0


def test_the_direction_is_asked_in_two_steps_too(desk: Edoc) -> None:
    signed(desk, "go.pdf", "goc.pdf")
    ran = copied(desk, "goc.pdf", "sy", "--prepare", "-o", "p.bin")
    assert (ran.code, ran.json["error"]["code"]) == (1, "EDOC-DOC-085")
    assert not (desk.folder / "p.bin").exists()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (scan(150), "trang 1: 150 dpi"),
        (scan(200, space=b"/DeviceGray"), "không có màu"),
        (scan(200).replace(b"%PDF-1.7", b"%PDF-1.3"), "phiên bản PDF 1.3"),
    ],
    ids=["coarse", "grey", "old"],
)
@pytest.mark.parametrize("form", ["sy", "trs"])
def test_a_scan_that_is_not_good_enough_is_refused_with_its_value(desk: Edoc, data: bytes, why: str, form: str) -> None:
    (desk.folder / "kem.pdf").write_bytes(data)
    ran = copied(desk, "kem.pdf", form, "--dry-run")
    error = refusal(ran)
    assert (ran.code, error["code"]) == (1, "EDOC-DOC-086")
    assert why in error["why"]


def test_a_size_that_is_no_paper_and_a_page_that_is_no_scan_are_remarked_on(desk: Edoc) -> None:
    (desk.folder / "nho.pdf").write_bytes(scan(200, size=(283.5, 400)))
    (small,) = remarks(copied(desk, "nho.pdf", "sy"))
    assert "100 %" in small
    (typed,) = remarks(copied(desk, "go.pdf", "sy"))
    assert "không phải ảnh quét" in typed
    assert remarks(copied(desk, "go.pdf", "trs", "-o", "trich.pdf")) == []


def test_a_copy_that_cannot_carry_its_line_is_refused(desk: Edoc) -> None:
    error = refusal(copied(desk, "x.xml", "sy"))
    assert (error["code"], "phải là PDF" in error["why"]) == ("EDOC-DOC-088", True)


def test_a_conversion_is_marked_in_the_file_with_time_and_person(node: Edoc) -> None:
    assert copied(node, "quet.pdf", "sy").code == 0
    data = (node.folder / "quet.signed.pdf").read_bytes()
    reason = "Chuyển đổi từ bản giấy; Trần Thị Mẫu; "
    assert reason in reasons(data)
    with sqlite3.connect(node.home / "edoc.db") as made:
        rows = made.execute("SELECT form, direction, person, document, number FROM conversion").fetchall()
    assert rows == [("sy", "paper-to-file", "Trần Thị Mẫu", "quet.pdf", None)]


def test_the_mark_stands_behind_a_reason_that_is_given(node: Edoc) -> None:
    assert copied(node, "quet.pdf", "sy", "--reason", "Bản lưu").code == 0
    data = (node.folder / "quet.signed.pdf").read_bytes()
    assert "Bản lưu; Chuyển đổi từ bản giấy" in reasons(data)


def test_a_conversion_signed_in_two_steps_is_kept_too(node: Edoc) -> None:
    assert copied(node, "quet.pdf", "sy", "--prepare", "-o", "p.bin").code == 0
    with sqlite3.connect(node.home / "edoc.db") as made:
        assert made.execute("SELECT form, sha256_out FROM conversion").fetchall() == [("sy", None)]


def test_an_extract_that_was_typed_is_no_conversion(node: Edoc) -> None:
    assert copied(node, "go.pdf", "trs").code == 0
    assert copied(node, "quet.pdf", "sy", "--dry-run").code == 0
    with sqlite3.connect(node.home / "edoc.db") as made:
        assert made.execute("SELECT count(*) FROM conversion").fetchone() == (0,)


def test_a_copy_of_a_document_the_node_does_not_hold_may_be_scanned(node: Edoc) -> None:
    assert copied(node, "quet.pdf", "sy", "--of", "99/SMA-VP").code == 0


@pytest.mark.parametrize("reference", ["120/SMA-VP", "H99.01,2026/11/20,120/SMA-VP"])
def test_a_scan_of_a_document_held_as_a_signed_original_is_refused(node: Edoc, reference: str) -> None:
    at = datetime.now(UTC)
    with Store.open(settings.load(home=node.home, config=None, environ={}, overrides={})) as store:
        digest = store.do(lambda unit: unit.keep(b"sealed"))
        held = new_message(at, sha256=digest, legal_class="original", date=at.date())
        store.do(lambda unit: outbox.submit(unit, held, ["H99.02"]))
    ran = copied(node, "quet.pdf", "sy", "--of", reference)
    error = refusal(ran)
    assert (ran.code, error["code"]) == (1, "EDOC-DOC-087")
    assert reference in error["why"]
    assert f"edoc show {reference}" in error["next"]
    assert copied(node, "go.pdf", "trs", "--of", reference).code == 0  # an extract is typed, not scanned
