"""The fault matrix, F10: a mutant of every claim, settle and insert statement is noticed (exchange.md 16)."""

from __future__ import annotations

import ast
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from tests.lab.lab import LONG
from tests.lab.mutantrun import Tally, all_mutants, attempt, look
from tests.lab.mutants import MODULES, SHOWN, Mutant, Seen, mutants_of
from tests.lab.scenarios import SCENES
from tests.postgres import Server
from tests.store.conftest import fresh
from transport import store as package
from transport.store.store import Store

pytestmark = pytest.mark.timeout(3600)
Record = Callable[[str, object], None]

SHORT = ("claims._lease", "outbox.outcome", "outbox.renew", "outbox.settle", "effects.finish", "effects.claim")
"""Functions whose mutants are tried in every run; ``make chaos`` tries all."""

_HELD = "the row was read in the same transaction, which nobody else can change it in (SQLite writes one at a time, "
_HELD += "PostgreSQL holds it FOR UPDATE): the condition is a second lock"
_LOOKED = "only says which partners are looked at; what is due there is asked again by claims._first"
_CARRIED = "the rows asked for are carried, so a condition about waiting ones never holds of them"
_EQUAL = "both branches give the same value where the two sides are equal"
_WAITING = "the rows asked for wait, by the condition before it"
_TWICE = "the select and the update of one transaction ask the same; either alone is enough"

EQUIVALENT: dict[str, str] = {
    "circuit.waited_for: without «( EXISTS (SELECT 1 FROM dispatch d WHERE d.recipient = partner.agency AND d.state IN "
    "('queued', 'unknown') AND d.next_at <= :now) OR EXISTS (SELECT 1 FROM dispatch d WHERE d.recipient = "
    "partner.agency AND d.state = 'carrying' AND d.lease_until <= :now))»": _LOOKED,
    "circuit.waited_for: without «d.recipient = partner.agency»": _LOOKED,
    "circuit.waited_for: without «d.state IN ('queued', 'unknown')»": _LOOKED,
    "circuit.waited_for: without «d.next_at <= :now»": _LOOKED,
    "circuit.waited_for: without «d.recipient = partner.agency» (at 298)": _LOOKED,
    "circuit.waited_for: without «d.state = 'carrying'»": _LOOKED,
    "circuit.waited_for: without «d.lease_until <= :now»": _LOOKED,
    "claims._first #1: without «NOT (final_try AND deadline <= :now AND state IN ('queued', 'unknown'))»": _CARRIED,
    "claims._first #1: without «final_try»": _CARRIED,
    "claims._first #1: without «deadline <= :now»": _CARRIED,
    "claims._first #1: boundary «deadline < :now»": _CARRIED,
    "claims._first #1: not in list: 'queued' after «owest AND NOT (final_try AND deadline <= :now AND state IN (»": (
        _CARRIED
    ),
    "claims._first #1: not in list: 'unknown' after « NOT (final_try AND deadline <= :now AND state IN ('queued',»": (
        _CARRIED
    ),
    "claims._first #2: without «lane = 3»": "lanes 1 and 2 are asked for by themselves, and come in the same order",
    "claims._first #2: without «state IN ('queued', 'unknown')» (at 219)": _WAITING,
    "claims._first #3: without «state IN ('queued', 'unknown')» (at 197)": _WAITING,
    "claims._heal_clock: boundary «next_at >= :at»": _EQUAL,
    "claims._heal_clock: boundary «lease_until >= :at»": _EQUAL,
    "claims._lease #2: without «state = :state»": _HELD,
    "claims._lease #2: without «attempt = :attempt»": _HELD,
    "effects.claim #1: without «crashes = 0»": "those with a crash were looked for first, and there are none",
    "inbox.set_state #2: without «state = :before»": _HELD,
    "outbox.expire_due #1: without «d.state IN ('queued', 'unknown')»": _TWICE,
    "outbox.expire_due #2: without «state IN ('queued', 'unknown')»": _TWICE,
    "outbox.outcome: boundary «deadline <= :now»": _EQUAL,
    "outbox.outcome: boundary «:next <= :now»": _EQUAL,
    "outbox.outcome: boundary «:next >= deadline»": _EQUAL,
    "outbox.renew: boundary «lease_until >= :lease»": _EQUAL,
    "outbox.settle #2: without «state = :before»": _HELD,
    "outbox.settle #2: without «NOT by_receipt»": _HELD,
    "takeback.ask #1: without «dispatch.state = ?»": _HELD,
    "takeback.ask #2: without «dispatch.state = ?»": _HELD,
    "takeback.hand_out: without «dispatch.state = ?»": _HELD,
    "takeback.requeue #2: without «dispatch.state = ?»": _HELD,
}
"""Mutants that change nothing anyone could see, each with its reason."""

ELSEWHERE = {
    "unit._not_open": "words of an error",
    "unit.keep": "blobs: tests/store/test_blobs.py",
    "unit.hold": "an advisory lock of PostgreSQL",
}
"""Functions that run statements and are not tried here."""


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Store]:
    """Makes fresh stores on SQLite."""
    folder, numbers = tmp_path_factory.mktemp("mutants"), count()
    return lambda: fresh(folder / f"store-{next(numbers)}")


@pytest.fixture(scope="module")
def seen(stores: Callable[[], Store]) -> Seen:
    """What the scenes do to the database as they are; all of them hold."""
    return look(SCENES, stores)


def test_the_scenes_reach_every_statement_of_claims_settlements_and_inserts(seen: Seen) -> None:
    """A function of these modules that runs a statement is run by some scene, or is named with a reason."""
    folder = Path(package.__file__ or "").parent
    reached = seen.reached | SHOWN | set(ELSEWHERE)
    missing = []
    for module in MODULES:
        tree = ast.parse((folder / f"{module}.py").read_text("utf-8"))
        for function in (one for one in ast.walk(tree) if isinstance(one, ast.FunctionDef)):
            calls = {one.attr for one in ast.walk(function) if isinstance(one, ast.Attribute)}
            name = f"{module}.{function.name}"
            if calls & {"exec_driver_sql", "execute"} and name not in reached:
                missing.append(name)
    assert not [one for one in missing if one != "circuit.held"], "circuit.held asks on PostgreSQL alone"


def test_f10_mutants_of_every_claim_settle_and_insert_statement(
    stores: Callable[[], Store], seen: Seen, record_property: Record
) -> None:
    """Each changed statement is noticed by a scene; those that nobody can notice are named, with the reason."""
    mutants = list(all_mutants(seen))
    chosen = mutants if LONG else [one for one in mutants if one.where.partition(" #")[0] in SHORT]
    _hold(attempt(chosen, seen, SCENES, stores))
    assert {one.name for one in mutants} >= set(EQUIVALENT), "an equivalent mutant that is none any more"
    assert len(mutants) > 500
    record_property("cases", len(chosen))


def _hold(tally: Tally) -> None:
    assert not tally.no_sql, [(one.name, why) for one, why in tally.no_sql]
    survived = {one.name for one in tally.survived}
    tried = survived | {one.name for one in tally.killed}
    assert survived == set(EQUIVALENT) & tried, _difference(survived, tried)


def _difference(survived: set[str], tried: set[str]) -> str:
    alive = sorted(survived - set(EQUIVALENT))
    dead = sorted((set(EQUIVALENT) & tried) - survived)
    return f"survived: {alive}; said to be equivalent, and noticed all the same: {dead}"


@pytest.mark.skipif(not LONG, reason="makes a database for each scene and mutant; `make chaos` does")
def test_f10_mutants_of_the_fenced_statements_on_postgresql(
    postgres: Server, tmp_path: Path, record_property: Record
) -> None:
    """The scenes hold on PostgreSQL too, and notice the same changes there."""
    numbers = count()

    def make() -> Store:
        return fresh(tmp_path / f"store-{next(numbers)}", postgres)

    known = look(SCENES, make)
    chosen = [one for one in all_mutants(known) if one.where.partition(" #")[0] in SHORT]
    tally = attempt(chosen, known, SCENES, make)
    survived = {one.name for one in tally.survived}
    assert survived <= set(EQUIVALENT), sorted(survived - set(EQUIVALENT))
    assert len(tally.killed) > 80
    record_property("cases", len(chosen))


def test_a_mutant_is_one_change_and_keeps_the_parameters() -> None:
    statement = "UPDATE t SET a = ?, b = :b WHERE c = ? AND (d < :d OR e IN ('x', 'y')) ORDER BY f LIMIT 1"
    found: dict[str, Mutant] = {one.what: one for one in mutants_of("m.f", statement)}
    assert found["without «c = ?»"].changed == statement.replace("c = ?", "(c = ? OR 1=1)")
    assert found["never «d < :d»"].changed == statement.replace("d < :d", "(d < :d AND 1=0)")
    assert found["boundary «d <= :d»"].changed == statement.replace("<", "<=")
    assert found["not set «b»"].changed == statement.replace("= :b", "= CASE WHEN 1=1 THEN b ELSE :b END")
    assert found["order turned «f»"].changed == statement.replace("BY f", "BY f DESC")
    assert sum("not in list" in what for what in found) == 2
    for one in found.values():
        assert (one.changed.count("?"), one.changed.count(":")) == (2, 2)
