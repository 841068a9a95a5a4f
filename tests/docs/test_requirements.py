"""The list of requirements is whole: one row for each of R1 to R109, and every path in it exists."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "requirements.md"
STATES = {"built", "partly", "not yet"}


def rows() -> list[list[str]]:
    """Return the cells of every row about a requirement."""
    lines = [line for line in PAGE.read_text("utf-8").splitlines() if re.match(r"\| R\d", line)]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_requirement_has_exactly_one_row_in_order() -> None:
    assert [row[0] for row in rows()] == [f"R{number}" for number in range(1, 110)]


def test_every_row_is_complete() -> None:
    for number, asks, state, where, missing in rows():
        assert asks, number
        assert state in STATES, number
        assert (where != "–") or state == "not yet", f"{number}: built, but where?"
        assert (missing == "–") == (state == "built") or state == "not yet" or missing, number
        assert state != "partly" or missing != "–", f"{number}: partly, but what is missing?"


def test_every_path_named_exists() -> None:
    for number, _, _, where, _ in rows():
        for path in re.findall(r"`([^`]+)`", where):
            assert (ROOT / path).is_file(), f"{number}: {path}"


def test_the_counts_at_the_top_are_those_of_the_rows() -> None:
    said = dict(re.findall(r"^\| (built|partly|not yet) \| (\d+) \|$", PAGE.read_text("utf-8"), re.MULTILINE))
    assert {state: int(count) for state, count in said.items()} == Counter(row[2] for row in rows())
