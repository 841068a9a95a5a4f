"""``edoc mark`` stamps what nobody has signed yet, on a copy beside it (regulations.md 6; signing.md 3.3)."""

import hashlib

import pytest

from signer.pdf.marks import MARKS, size_of
from tests.console.conftest import Edoc
from tests.console.schema import problems
from tests.signer_pdf.files import simple
from transport.demo.letter import sample
from transport.desk.marking import NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_copy_carries_the_mark_and_the_input_stays(edoc: Edoc, name: str) -> None:
    desk = edoc.here()
    (desk.folder / "a.pdf").write_bytes(simple())
    ran = desk("mark", "a.pdf", "--mark", name, "--box", "20,60,80,10", "--json")
    assert (ran.code, problems(ran.json)) == (0, [])
    made = (desk.folder / "a.marked.pdf").read_bytes()
    assert (ran.json["output"], ran.json["mark"]) == ("a.marked.pdf", NAMES[name])
    assert ran.json["sha256"] == hashlib.sha256(made).hexdigest()
    assert made.startswith(simple())
    assert (desk.folder / "a.pdf").read_bytes() == simple()


def test_every_mark_has_a_name_without_marks_and_a_size() -> None:
    assert set(NAMES.values()) == set(MARKS)
    assert all(name.isascii() and size_of(text)[1] == 8 for name, text in NAMES.items())


def test_what_cannot_be_marked_is_said(edoc: Edoc) -> None:
    desk = edoc.here()
    (desk.folder / "a.pdf").write_bytes(simple())
    (desk.folder / "signed.pdf").write_bytes(sample("letter.pdf") + b"\n% /ByteRange [0 1 2 3]\n")
    cases = (
        (("a.pdf", "--mark", "mat", "--box", "20,60,80,10"), 2, "EDOC-USE-004"),
        (("a.pdf", "--mark", "khan"), 2, "EDOC-USE-003"),
        (("a.pdf", "--mark", "khan", "--box", "20,60,10,8"), 1, "EDOC-PDF-052"),
        (("a.pdf", "--mark", "khan", "--box", "200,60,20,8"), 1, "EDOC-PDF-013"),
        (("a.pdf", "--mark", "khan", "--box", "20,60,20,8", "--page", "2"), 1, "EDOC-PDF-016"),
        (("signed.pdf", "--mark", "khan", "--box", "20,60,20,8"), 1, "EDOC-PDF-051"),
        (("gone.pdf", "--mark", "khan", "--box", "20,60,20,8"), 2, None),
    )
    for line, code, reason in cases:
        ran = desk("mark", *line, "--json")
        assert ran.code == code, line
        assert reason is None or reason in ran.out + ran.err, line
        assert f"«{line[0]}»" in ran.json["error"]["message"] or code == 2, line
        assert not list(desk.folder.glob("*.marked.pdf"))
