"""From situation to answer: every row of console.md 5.3 and signing.md 4.4, as ``edoc verify --json`` prints it.

The command is asked itself: its exit code, its one JSON document, an empty standard error. So are all vectors of the
reason codes that the command line has words for.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime

import pytest

from tests.console.conftest import Edoc, edoc
from tests.vectors.verification.byte_vectors import BYTES
from tests.vectors.verification.console import EXIT, asked, can_be_asked, codes, line_of
from tests.vectors.verification.house import House, Vector
from tests.vectors.verification.situations import ROWS, SITUATIONS, Situation
from tests.vectors.verification.trust_vectors import TRUST

__all__ = ["edoc"]

UNASKED = {
    "CRYPTO_CONSTRAINTS_FAILURE_NO_POE: an algorithm that ended yesterday",  # a setting, not an option
    "IDENTITY_MISMATCH: another signer than expected",  # an argument of the library
    "LIMIT_EXCEEDED: PDF: larger than is read",  # asked below with a file that large
}
"""Vectors judged with something the command line has no words for."""
FAILED = {"FORMAT_FAILURE", "HASH_FAILURE", "SIG_CRYPTO_FAILURE", "REVOKED", "EXPIRED", "NOT_YET_VALID"}


@pytest.fixture(scope="module")
def house(now: datetime) -> House:
    """Who signs, and whom the files are judged by."""
    return House.build(now)


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda situation: situation.id)
def test_a_situation_has_its_answer(situation: Situation, house: House, edoc: Edoc) -> None:
    """The whole line, what must be said of it, and the exit code that belongs to the verdict."""
    code, entry, err = asked(edoc.here(), situation.make(house))
    assert line_of(entry, situation.signature) == situation.line, entry["reasons"]
    assert {one.value for one in situation.says} <= codes(entry, "reasons") | codes(entry, "warnings")
    assert (code, err) == (EXIT[entry["verdict"]], "")
    assert (entry["reasons"] == []) == (entry["verdict"] == "valid")
    for signature in entry["signatures"]:
        sub, indication = signature["sub_indication"], signature["indication"]
        assert (indication == "TOTAL-FAILED") == (sub in FAILED)
        assert sub is None or signature["reasons"][0]["code"] == sub


@pytest.mark.parametrize(
    "vector", [one for one in (*BYTES, *TRUST) if one.id not in UNASKED], ids=lambda vector: vector.id
)
def test_the_command_says_of_a_vector_what_the_verifier_says(vector: Vector, house: House, edoc: Edoc) -> None:
    case = vector.make(house)
    assert can_be_asked(case)
    code, entry, err = asked(edoc.here(), case)
    assert line_of(entry, vector.signature) == vector.line
    assert vector.code.value in codes(entry, vector.where)
    assert (code, err) == (EXIT[entry["verdict"]], "")


def test_a_real_process_returns_the_same(house: House, edoc: Edoc) -> None:
    """One of each verdict, by the program itself."""
    wanted = {"valid": 0, "invalid": 1, "indeterminate": 3}
    for verdict, exit_code in wanted.items():
        situation = next(one for one in SITUATIONS if one.line.verdict == verdict and one.line.integrity != "-")
        code, entry, err = asked(edoc, situation.make(house))
        assert (code, entry["verdict"], err) == (exit_code, verdict, "")


@pytest.mark.parametrize(
    ("names", "code"),
    [
        (("good", "open", "bad", "gone"), 1),
        (("good", "open", "gone"), 2),
        (("good", "open"), 3),
        (("good", "good2"), 0),
    ],
)
def test_of_several_files_the_worst_decides_in_the_order_of_the_console(
    names: tuple[str, ...], code: int, house: House, edoc: Edoc
) -> None:
    """1 before 2 before 3 before 0, never 4; a path that cannot be read still has its entry (console.md 4.2)."""
    files = {"good": house.xml(), "good2": house.small, "open": b"<a/>", "bad": house.xml().replace(b"noi", b"nol")}
    desk = edoc.here()
    for name in names:
        if name in files:
            (desk.folder / name).write_bytes(files[name])
    from tests.vectors.verification.console import options

    ran = desk("verify", *names, "--json", *options(house.context(), desk.folder))
    assert ran.code == code
    assert [entry["path"] for entry in ran.json["files"]] == list(names)
    if "gone" in names:
        entry = ran.json["files"][-1]
        assert (entry["verdict"], entry["sha256"], entry["size"]) == ("indeterminate", None, None)
        assert entry["error"]["exit_code"] == 2
        assert entry["reasons"][0]["code"] == "UNREADABLE"


def test_every_row_has_a_situation_and_no_two_have_one_name() -> None:
    listed = {row for rows in ROWS.values() for row in rows}
    assert {situation.row for situation in SITUATIONS} == listed
    assert max(Counter(situation.id for situation in SITUATIONS).values()) == 1
