"""Effects of a server: several at once, none of which waits for one that hangs (exchange.md 7 P0, 16 F10)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from tests.world import World, letter
from transport.node import effectwork, following
from transport.node.effectwork import EffectWork
from transport.node.following import Done
from transport.node.office import Office
from transport.store import effects
from transport.store.values import EffectClaim

A, B = "H99.01", "H99.02"


def until(what: str, holds: Callable[[], bool]) -> None:
    """Wait for a condition."""
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end, f"not in time: {what}"
        threading.Event().wait(0.01)


def call(office: Office, *causes: str, at: datetime) -> None:
    """Call for one effect after another."""
    for cause in causes:
        office.store.do(lambda unit, cause=cause: effects.add(unit, cause=cause, kind="check", facts={}, now=at))  # type: ignore[misc]


def states(office: Office) -> dict[str, str]:
    """Return how each effect stands."""
    found = office.store.read(lambda c: c.exec_driver_sql("SELECT cause, state FROM effect").all())
    return {str(cause): str(state) for cause, state in found}


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Effects whose cause begins with ``hang`` wait for it; the others are done at once."""
    opened = threading.Event()

    def handle(_office: Office, effect: EffectClaim, _now: datetime) -> Done:
        if effect.cause.startswith("hang"):
            opened.wait()
        return Done(lambda unit: None, lambda: None)

    monkeypatch.setitem(following.HANDLERS, "check", handle)
    monkeypatch.setattr(effectwork, "PATIENCE", 0.2)
    return opened


def test_what_was_claimed_beside_one_that_hangs_is_done_and_that_one_too_when_it_comes_back(
    world: World, gate: threading.Event
) -> None:
    office, clock = world.nodes[B].office, world.clock
    call(office, "first", "hang", "third", "fourth", "fifth", at=clock.now)
    work = EffectWork(office, clock=clock, owner="w")
    assert work.turn() >= 3
    until("all but one are done", lambda: list(states(office).values()).count("done") == 4)
    assert states(office)["hang"] == "running"
    gate.set()
    until("it came back", lambda: states(office)["hang"] == "done")
    work.close(10)


def test_when_no_more_may_hang_beside_each_other_the_rest_is_given_back_not_begun(
    world: World, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(effectwork, "ASIDE_MAX", 2)
    office, clock = world.nodes[B].office, world.clock
    call(office, "hang 1", "hang 2", "third", at=clock.now)
    work = EffectWork(office, clock=clock, owner="w")
    work.turn()
    assert states(office) == {"hang 1": "running", "hang 2": "running", "third": "waiting"}
    crashes = "SELECT sum(crashes) FROM effect"
    assert office.store.read(lambda c: c.exec_driver_sql(crashes).scalar_one()) == 0
    gate.set()
    until("both came back", lambda: list(states(office).values()).count("done") == 2)
    work.turn()
    assert states(office)["third"] == "done"


def test_a_letter_is_judged_once_where_its_check_follows_at_once_and_again_where_it_comes_late(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The judgement at arrival stands for a minute, in the process that made it; nothing depends on it."""
    judged: list[str] = []
    real = following.judge_arrival

    def counted(office: Office, data: bytes, now: datetime) -> object:
        judged.append("again")
        return real(office, data, now)

    monkeypatch.setattr(following, "judge_arrival", counted)
    for late in (False, True):
        packed = letter("1" if late else "2", at=world.clock.now)
        world.nodes[A].send(packed, now=world.clock.now, allow_information_only=True)
        world.carry_once(A)
        if late:
            world.clock.turn(timedelta(minutes=2))
        world.nodes[B].follow(now=world.clock.now)
        assert judged == (["again"] if late else [])
