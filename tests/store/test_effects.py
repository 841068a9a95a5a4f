"""Effects happen under a unique key, survive crashes, and end in quarantine when they cannot be done (P0)."""

from __future__ import annotations

from datetime import datetime, timedelta

from tests.store.conftest import count
from transport.store import effects
from transport.store.store import Store
from transport.store.values import EffectClaim


def add(store: Store, at: datetime, cause: str = "inbox:1", kind: str = "status-01") -> bool:
    return store.do(lambda unit: effects.add(unit, cause=cause, kind=kind, facts={"code": "01"}, now=at))


def claim(store: Store, at: datetime) -> EffectClaim | None:
    return store.do(lambda unit: effects.claim(unit, now=at, owner="worker"))


def test_a_cause_calls_for_an_effect_once(store: Store, at: datetime) -> None:
    assert [add(store, at), add(store, at), add(store, at, kind="checks")] == [True, False, True]


def test_an_effect_is_done_once_and_a_worker_that_lost_it_takes_back(store: Store, at: datetime) -> None:
    add(store, at)
    first = claim(store, at)
    assert first is not None
    assert first.facts == {"code": "01"}
    assert claim(store, at) is None
    second = claim(store, at + timedelta(seconds=61))
    assert second is not None
    assert not store.do(lambda unit: effects.finish(unit, first, now=at))
    assert store.do(lambda unit: effects.finish(unit, second, now=at))
    assert claim(store, at + timedelta(days=1)) is None
    assert store.read(effects.counts) == {"done": 1}


def test_a_handler_that_fails_five_times_is_quarantined_and_others_go_on(store: Store, at: datetime) -> None:
    add(store, at)
    now, tried = at, 0
    while (one := claim(store, now)) is not None:
        tried += 1
        store.do(lambda unit, one=one, now=now: effects.fail(unit, one, now=now, error="EDOC-XML-001"))  # type: ignore[misc]
        assert claim(store, now) is None
        now += timedelta(hours=1)
    assert tried == 5
    assert store.read(lambda connection: effects.state_of(connection, "inbox:1", "status-01")) == "quarantined"
    add(store, now, cause="inbox:2")
    assert claim(store, now) is not None


def test_a_handler_that_twice_takes_the_process_down_is_quarantined(store: Store, at: datetime) -> None:
    add(store, at)
    assert claim(store, at) is not None
    assert claim(store, at + timedelta(minutes=2)) is not None
    assert claim(store, at + timedelta(minutes=4)) is None
    assert count(store, "SELECT count(*) FROM effect WHERE state = 'quarantined' AND crashes = 2") == 1
