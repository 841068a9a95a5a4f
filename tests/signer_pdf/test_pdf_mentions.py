"""Which objects refer to a number, told from the bytes: never less than a walk of all objects would find (4.3, 4.4)."""

from __future__ import annotations

import pytest

from signer.pdf.reading import PdfFile, mentions
from tests.signer_pdf.attackforge import FONT, OBJECTS, Paper, stream


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let small files be looked through as large ones are."""
    monkeypatch.setattr(mentions, "ROWS_MIN", 0)


def holders(paper: Paper, *numbers: int) -> frozenset[int] | None:
    """Return what the latest state answers."""
    return PdfFile(paper.data).latest.holders(numbers)


def spelled(body: bytes) -> Paper:
    """Return the document with an object 90 more."""
    return Paper.new({**OBJECTS, 90: body})


def test_every_object_that_refers_to_a_number_is_found() -> None:
    """Form, resources, page and appearance hold the font."""
    assert holders(Paper.new(), FONT) == frozenset({4, 7, 10, 24})
    assert holders(Paper.new(), 77) == frozenset()
    assert holders(Paper.new(), 22, 23) == frozenset({10, 1})


@pytest.mark.parametrize(
    "spelling",
    [b"77 0 R", b"077 00 R", b"0000077\n0\tR", b"77 % so\n 0 %\r R", b"[77 0 R]", b"<</A 77 0 R>>", b"(77 0 R)"],
)
def test_a_reference_is_found_however_it_is_spelled(spelling: bytes) -> None:
    """Zeros, white space and comments hide nothing; a string that looks like a reference may be taken for one."""
    assert holders(spelled(spelling), 77) == frozenset({90})


@pytest.mark.parametrize("spelling", [b"177 0 R", b"770 0 R", b"77 0 r", b"77 0", b"7 7 0 R"])
def test_other_numbers_are_not_taken_for_it(spelling: bytes) -> None:
    """Only whole numbers count."""
    assert holders(spelled(spelling), 77) == frozenset()


def test_references_in_object_streams_are_left_to_a_walk() -> None:
    """They are found, but not to whom they belong."""
    packed = Paper.new().packed({90: b"[77 0 R]", 91: b"[78 0 R]"})
    assert holders(packed, 77) is None
    assert holders(packed, 79) == frozenset()


def test_what_stands_where_no_object_should_is_left_to_a_walk() -> None:
    """An object that the table gives another place might be the one that holds the reference."""
    paper = spelled(b"[77 0 R]")
    data = paper.data
    offset = data.index(b"90 0 obj")
    moved = data.replace(b"%010d 00000 n" % offset, b"%010d 00000 n" % (offset - 40))
    assert moved != data
    assert PdfFile(moved).latest.holders([77]) is None


def test_many_numbers_and_much_work_are_left_to_a_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bytes are looked through a bounded number of times."""
    assert PdfFile(Paper.new().data).latest.holders(range(100, 200)) is None
    monkeypatch.setattr(mentions, "WORK_MAX", 3 * len(Paper.new().data))
    state = PdfFile(Paper.new().data).latest
    assert [state.holders([77]) is None for _ in range(5)] == [False, False, False, True, True]


def test_an_object_stream_that_is_replaced_moves_what_it_holds() -> None:
    """Objects whose rows name a stream are redefined when that stream is, though their own rows stay."""
    packed = Paper.new().packed({90: b"(mot)", 91: b"(hai)"})
    holder = packed.size - 2
    replaced = packed.update({holder: stream(b"90 0 91 6 (ba) (bon)", b"/Type /ObjStm /N 2 /First 10")})
    latest = PdfFile(replaced.data).latest
    assert {reference.number for reference in latest.redefined()} == frozenset({90, 91, holder})


def test_a_table_with_a_subsection_for_every_object_is_read_in_time() -> None:
    """Rows are found by number, however many subsections there are: the first that has the number counts."""
    data = Paper.new({**OBJECTS, **dict.fromkeys(range(100, 20100, 2), b"(x)")}).data
    state = PdfFile(data).latest
    assert sum(state.resolve(reference) == b"x" for reference in state.references()) == 10_000
