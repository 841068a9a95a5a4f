"""A document of the node on paper: ``edoc show --print`` (R49, R50, R51)."""

import sqlite3
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from edoc.documents import Attachment, Document, SignerInfo
from edoc.envelopes import Envelope, Hop
from edoc.seal import packed
from signer.pdf.page import describe
from tests.console.conftest import Edoc, Ran
from tests.console.schema import problems
from tests.edoc.conftest import RECIPIENT, SENDER
from tests.signer_pdf.files import run, simple
from tests.store.conftest import new_message
from transport import settings
from transport.desk.authorising import account_at_desk
from transport.store import outbox
from transport.store.store import Store

TODAY = (datetime.now(UTC) + timedelta(hours=7)).date()
CODE = "H99.01,2026/11/19,120/SMA-VP"


def letter(*attachments: tuple[str, bytes, str]) -> bytes:
    """Return a packed message with these files."""
    kept = tuple(
        Attachment(name, data, media, content_id=f"cid:7d4c6f0e-1f6b-4c38-9a58-0c6f0d9f1a0{n}")
        for n, (name, data, media) in enumerate(attachments, 1)
    )
    document = Document(
        "120",
        "SMA-VP",
        date(2026, 11, 19),
        "Công văn",
        "V/v thử nghiệm",
        content="V/v thử nghiệm",
        place="Thử Nghiệm",
        signer=SignerInfo("KT. GIÁM ĐỐC", "Phó Giám đốc", "Nguyễn Văn Mẫu"),
        document_id=CODE,
    )
    hop = Hop("H99.01", datetime(2026, 11, 20, 2, 30, tzinfo=UTC))
    return packed(Envelope(SENDER, (RECIPIENT,), document, kept, trace=(hop,)))


def held(home: Path, legal_class: str) -> None:
    """Make a node of H99.01 that has sent a letter of this class."""
    found = settings.load(home=home, config=None, environ={}, overrides={})
    data = letter(("120-SMA-VP.pdf", simple(), "application/pdf"), ("so-lieu.txt", b"a b c", "text/plain"))
    with Store.create(found) as store:
        digest = store.do(lambda unit: unit.keep(data))
        message = new_message(
            datetime.now(UTC), sha256=digest, size=len(data), legal_class=legal_class, date=TODAY, document_id=CODE
        )
        store.do(lambda unit: outbox.submit(unit, message, ["H99.02"]))
    (home / "edoc.toml").write_text('[agency]\ncode = "H99.01"\nname = "Sở Mẫu A"\n', "utf-8")


@pytest.fixture
def node(edoc: Edoc) -> Edoc:
    held(edoc.home, "original")
    desk = edoc.here()
    assert desk("user", "add", account_at_desk(), "--name", "Trần Thị Mẫu", "--role", "clerk").code == 0
    return desk


def printed(node: Edoc, *words: str, output: str = "in.pdf") -> Ran:
    return node("show", CODE, *words, "-o", output)


def text(node: Edoc, name: str) -> str:
    """Return what the stamps of a file say."""
    return run("pdftotext", "-layout", str(node.folder / name), "-").stdout.decode("utf-8")


def kept(node: Edoc) -> list[tuple[Any, ...]]:
    with sqlite3.connect(node.home / "edoc.db") as made:
        return made.execute("SELECT form, direction, person, document, year, number FROM conversion").fetchall()


def test_an_ordinary_print_says_that_it_has_no_legal_value(node: Edoc) -> None:
    assert printed(node, "--print", "plain").code == 0
    said = text(node, "in.pdf")
    assert "Bản in không có giá trị pháp lý" in said
    assert CODE in said
    assert kept(node) == []


def test_a_certified_print_names_system_owner_code_time_and_person(node: Edoc) -> None:
    assert printed(node, "--print", "certified").code == 0
    said = text(node, "in.pdf")
    for part in ("edoc của Sở Mẫu A (H99.01)", CODE, "SHA-256", "Đã chuyển sang bản giấy lúc", "Trần Thị Mẫu"):
        assert part in said
    assert f"{TODAY:%d/%m/%Y}" in said
    assert kept(node) == [("print", "file-to-paper", "Trần Thị Mẫu", CODE, None, None)]


def test_what_the_pages_show_is_not_touched(node: Edoc) -> None:
    assert printed(node, "--print", "certified").code == 0
    data = (node.folder / "in.pdf").read_bytes()
    assert data.startswith(simple())
    assert describe(data).pages == 1


def test_copies_on_paper_of_all_forms_share_the_numbers_of_the_year(node: Edoc) -> None:
    for number, (form, words) in enumerate((("sy", "SAO Y"), ("trs", "TRÍCH SAO"), ("sl", "SAO LỤC")), 1):
        assert printed(node, "--print", "certified", "--copy", form, output=f"{form}.pdf").code == 0
        mark = {"sy": "SY", "trs": "TrS", "sl": "SL"}[form]
        assert f"{words}; Sở Mẫu A; Số: 0{number}/{mark}-H99.01" in text(node, f"{form}.pdf")
    assert [(form, year, number) for form, _, _, _, year, number in kept(node)] == [
        ("sy", TODAY.year, 1),
        ("trs", TODAY.year, 2),
        ("sl", TODAY.year, 3),
    ]


def test_what_cannot_be_written_takes_no_number(node: Edoc) -> None:
    (node.folder / "in.pdf").write_bytes(b"there")
    assert printed(node, "--print", "certified", "--copy", "sy").code == 1 or kept(node) == []
    assert kept(node) == []
    assert (node.folder / "in.pdf").read_bytes() == b"there"


def test_a_copy_of_what_is_no_original_is_refused(edoc: Edoc) -> None:
    held(edoc.home, "information-only")
    ran = edoc.here()("show", CODE, "--print", "certified", "--copy", "sy", "-o", "in.pdf", "--json")
    assert problems(ran.json) == []
    assert (ran.code, ran.json["error"]["code"]) == (1, "EDOC-DOC-090")
    assert "không giữ bản gốc" in ran.json["error"]["why"]
    assert not (edoc.folder / "in.pdf").exists()


def test_only_pdf_is_printed(node: Edoc) -> None:
    ran = node("show", CODE, "--print", "plain", "--file", "2", "-o", "in.pdf", "--json")
    assert (ran.code, ran.json["error"]["code"]) == (1, "EDOC-DOC-089")
    assert "PDF" in ran.json["error"]["why"]


@pytest.mark.parametrize("words", [("--print", "fancy"), ("--print", "plain", "--copy", "sy"), ("--copy", "xx")])
def test_words_that_do_not_go_together_are_refused(node: Edoc, words: tuple[str, ...]) -> None:
    ran = node("show", CODE, *words, "-o", "in.pdf", "--json")
    assert (ran.code, ran.json["error"]["code"]) == (2, "EDOC-USE-004")
