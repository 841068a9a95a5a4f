"""A short campaign of changed files: no false acceptance, no error that escapes, no hang (signing.md 10, A4 and A5).

The long one is ``make fuzz``. This one stops after some CPU seconds for each form, having tried some hundreds at least.
"""

from __future__ import annotations

import time
from random import Random

import pytest

from tests.fuzz.campaign import Tally, judged, run
from tests.fuzz.mutations import mutate
from tests.fuzz.oracles import Case, objection
from tests.fuzz.seeds import MAKERS, Seed, seeds

CPU_SECONDS = 6.0
STEP = 40


@pytest.fixture(scope="module")
def made() -> dict[str, list[Seed]]:
    """The seeds of every form."""
    return {kind: seeds(kind) for kind in MAKERS}


@pytest.mark.parametrize("kind", sorted(MAKERS))
def test_no_changed_file_is_called_intact_and_none_ends_the_program(kind: str, made: dict[str, list[Seed]]) -> None:
    tally, first, start = Tally(), 0, time.process_time()
    while time.process_time() - start < CPU_SECONDS or tally.cases < 200:
        for seed in made[kind]:
            tally.add(run(seed, first, STEP))
        first += STEP
    assert [(name, why) for name, why, _ in tally.found] == []
    assert sum(tally.answers.values()) == tally.cases, "every file got its answer"
    assert any(not answer.startswith("valid") for answer in tally.answers), "changes were noticed"


@pytest.mark.parametrize("kind", sorted(MAKERS))
def test_what_the_campaign_starts_from_is_intact(kind: str, made: dict[str, list[Seed]]) -> None:
    for seed in made[kind]:
        report = judged(seed.data, seed)
        assert {one.integrity.value for one in report.signatures} == {"intact"}, seed.name


@pytest.mark.parametrize("kind", ["pdf", "xml", "zip"])
def test_the_oracle_objects_when_a_changed_file_is_called_what_the_seed_was(
    kind: str, made: dict[str, list[Seed]]
) -> None:
    """A verifier that said of every file what is true of the seed would be caught at once."""
    seed = made[kind][0]
    before = judged(seed.data, seed)
    changed = (mutate(seed.data, kind, Random(f"oracle/{number}")) for number in range(60))
    assert any(objection(Case(seed, data, before, before)) for data in changed if data != seed.data)
