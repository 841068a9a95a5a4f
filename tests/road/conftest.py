"""Two offices as real processes on loopback, each test with its own folders, keys, databases and ports."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.road.pairs import Pair, make_pair


@pytest.fixture
def pairs(tmp_path: Path) -> Iterator[Callable[[], Pair]]:
    """Make pairs of offices; their processes are ended with the test."""
    made: list[Pair] = []
    numbers = itertools.count()

    def make() -> Pair:
        made.append(make_pair(tmp_path / f"pair-{next(numbers)}"))
        return made[-1]

    yield make
    for pair in made:
        pair.a.kill()
        pair.b.kill()
