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
    """Claim one."""
    found = store.do(lambda unit: effects.claim(unit, now=at, owner="worker"))
    return found[0] if found else None


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


def test_several_are_claimed_at_once_in_the_order_of_their_calls(store: Store, at: datetime) -> None:
    for number in range(5):
        add(store, at + timedelta(milliseconds=number), cause=f"c{number}")
    later = at + timedelta(seconds=1)
    first = store.do(lambda unit: effects.claim(unit, now=later, owner="worker", limit=3))
    second = store.do(lambda unit: effects.claim(unit, now=later, owner="worker", limit=3))
    assert [[one.cause for one in some] for some in (first, second)] == [["c0", "c1", "c2"], ["c3", "c4"]]


def test_who_was_claimed_beside_one_that_takes_the_process_down_is_not_quarantined_with_it(
    store: Store, at: datetime
) -> None:
    """After the first crash each is handed out alone, so only the culprit is there when the process ends again."""
    for cause in ("culprit", "innocent", "other"):
        add(store, at, cause=cause)
    assert len(store.do(lambda unit: effects.claim(unit, now=at, owner="worker", limit=16))) == 3
    now = at + timedelta(minutes=1)  # the process has ended, and all three leases with it
    (again,) = store.do(lambda unit: effects.claim(unit, now=now, owner="worker", limit=16))
    assert again.cause == "culprit"
    now += timedelta(minutes=1)  # it ended again
    done = []
    while some := store.do(lambda unit, now=now: effects.claim(unit, now=now, owner="worker", limit=16)):  # type: ignore[misc]
        done += [one.cause for one in some]
        for one in some:
            assert store.do(lambda unit, one=one: effects.finish(unit, one, now=now))  # type: ignore[misc]
    assert done == ["innocent", "other"]
    assert store.read(effects.counts) == {"done": 2, "quarantined": 1}


def test_nobody_claims_where_nothing_is_due(store: Store, at: datetime) -> None:
    def due(now: datetime) -> bool:
        return store.read(lambda connection: effects.due(connection, now=now))

    assert not due(at)
    add(store, at)
    assert (due(at - timedelta(seconds=1)), due(at)) == (False, True)
    assert claim(store, at) is not None
    assert (due(at), due(at + timedelta(minutes=1))) == (False, True)
