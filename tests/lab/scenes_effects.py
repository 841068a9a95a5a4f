"""Scenes of effects (exchange.md 7 P0; ``scenarios``)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from tests.lab.scenemaking import (
    AT,
    HOUR,
    MINUTE,
    SECOND,
    has,
    ms,
    row,
    scene,
    tamper,
    unchanged,
)
from transport.store import effects
from transport.store.store import Store
from transport.store.values import (
    EffectClaim,
)


def call(store: Store, cause: str = "in:1", at: datetime = AT, kind: str = "check") -> bool:
    """Call for an effect."""
    return store.do(lambda unit: effects.add(unit, cause=cause, kind=kind, facts={"inbox": "1"}, now=at))


def take(store: Store, at: datetime = AT, owner: str = "one") -> EffectClaim | None:
    """Claim an effect."""
    found = store.do(lambda unit: effects.claim(unit, now=at, owner=owner))
    return found[0] if found else None


def taken(store: Store, at: datetime = AT, owner: str = "one") -> EffectClaim:
    """Claim the effect that is due."""
    found = take(store, at, owner)
    assert found is not None
    return found


def finish(store: Store, found: EffectClaim, at: datetime = AT) -> bool:
    """End an effect."""
    return store.do(lambda unit: effects.finish(unit, found, now=at))


def fail(store: Store, found: EffectClaim, at: datetime = AT) -> bool:
    """Let an effect's handler fail."""
    return store.do(lambda unit: effects.fail(unit, found, now=at, error="KeyError"))


def renew(store: Store, found: EffectClaim, at: datetime) -> bool:
    """Prolong the lease of an effect."""
    return store.do(lambda unit: effects.renew(unit, found, now=at))


def give_up(store: Store, found: EffectClaim, at: datetime) -> bool:
    """Take an effect from a handler that does not end."""
    return store.do(lambda unit: effects.give_up(unit, found, now=at))


@scene
def an_effect_is_called_for_once_and_claimed_in_order(store: Store) -> None:
    assert [call(store), call(store), call(store, kind="status-01"), call(store, "in:2", AT - SECOND)] == [1, 0, 1, 1]
    start = {
        "starts": 0,
        "failures": 0,
        "crashes": 0,
        "next_at": ms(AT),
        "created_at": ms(AT),
        "facts": '{"inbox": "1"}',
    }
    has(row(store, "effect", "id = 1"), cause="in:1", kind="check", state="waiting", **start)
    assert take(store, AT - MINUTE) is None
    orders = [taken(store, AT) for _ in range(3)]
    assert [(one.cause, one.kind, one.starts) for one in orders] == [
        ("in:2", "check", 1),
        ("in:1", "check", 1),
        ("in:1", "status-01", 1),
    ]
    assert take(store, AT + 29 * SECOND, "two") is None
    has(row(store, "effect", "id = 1"), state="running", owner="one", lease_until=ms(AT + 30 * SECOND), starts=1)
    now = AT + SECOND
    assert finish(store, orders[1], now)
    over = {"owner": None, "lease_until": None, "ended_at": ms(now)}
    has(row(store, "effect", "id = 1"), state="done", **over)
    has(row(store, "effect", "cause = 'in:2'"), state="running", ended_at=None)
    assert not finish(store, orders[1], now)
    assert not fail(store, orders[1], now)
    found = store.read(effects.counts)
    assert found == {"done": 1, "running": 2}
    assert store.read(lambda connection: effects.state_of(connection, "in:1", "check")) == "done"
    assert store.read(lambda connection: effects.state_of(connection, "in:2", "check")) == "running"
    assert store.read(lambda connection: effects.state_of(connection, "in:1", "status-01")) == "running"


@scene
def the_fence_of_an_effect_counts_part_by_part(store: Store) -> None:
    call(store)
    call(store, "in:2")
    first, second = taken(store), taken(store)
    for change, back in (
        ("state = 'waiting'", "state = 'running'"),
        ("owner = 'two'", "owner = 'one'"),
        ("starts = 2", "starts = 1"),
    ):
        tamper(store, f"UPDATE effect SET {change} WHERE id = ?", first.effect_id)
        check = unchanged(store, "effect")
        assert not finish(store, first), change
        assert not fail(store, first), change
        assert not renew(store, first, AT + SECOND), change
        assert not give_up(store, first, AT), change
        check()
        tamper(store, f"UPDATE effect SET {back} WHERE id = ?", first.effect_id)
    assert renew(store, first, AT + SECOND)
    has(row(store, "effect", "id = ?", first.effect_id), lease_until=ms(AT + 31 * SECOND), state="running")
    has(row(store, "effect", "id = ?", second.effect_id), lease_until=ms(AT + 30 * SECOND))
    assert fail(store, first, AT)
    has(row(store, "effect", "id = ?", second.effect_id), state="running", failures=0)
    wait = {
        "owner": None,
        "lease_until": None,
        "last_error": "KeyError",
        "ended_at": None,
        "next_at": ms(AT + 5 * SECOND),
    }
    has(row(store, "effect", "id = ?", first.effect_id), state="waiting", failures=1, **wait)


@scene
def a_failing_handler_is_quarantined_the_fifth_time(store: Store) -> None:
    call(store)
    call(store, "in:2", AT + 9 * HOUR)
    now = AT
    for n in range(1, 6):
        found = taken(store, now)
        assert fail(store, found, now)
        last = n == 5
        pause = ms(now + 5 * SECOND * 2 ** (n - 1))
        end_ = ms(now) if last else None
        state_ = "quarantined" if last else "waiting"
        has(row(store, "effect", "id = 1"), failures=n, next_at=pause, state=state_, ended_at=end_)
        now += HOUR
    assert take(store, now + HOUR) is None
    assert taken(store, AT + 9 * HOUR).cause == "in:2", "others go on"


@scene
def a_worker_that_vanished_counts_as_a_crash_the_second_is_the_last(store: Store) -> None:
    for cause in ("in:1", "in:2", "in:3"):
        call(store, cause)
    tamper(store, "UPDATE effect SET next_at = ? WHERE id = 3", ms(AT + timedelta(days=9)))
    assert taken(store, AT).cause == "in:1"
    tamper(store, "UPDATE effect SET state = 'done', lease_until = 5 WHERE id = 2")
    now = AT + 30 * SECOND
    again = taken(store, now, "two")
    assert (again.cause, again.starts, again.owner) == ("in:1", 2, "two")
    has(row(store, "effect", "id = 1"), crashes=1, last_error="process ended", ended_at=None, state="running")
    has(row(store, "effect", "id = 2"), crashes=0, state="done", lease_until=5)
    later = now + 30 * SECOND
    assert take(store, later - SECOND) is None
    assert take(store, later) is None
    over = {"owner": None, "lease_until": None, "ended_at": ms(later), "last_error": "process ended"}
    has(row(store, "effect", "id = 1"), crashes=2, state="quarantined", **over)
    assert not finish(store, again, later)


@scene
def a_handler_that_does_not_end_is_given_up_twice(store: Store) -> None:
    call(store)
    call(store, "in:2")
    first, other = taken(store), taken(store)
    now = AT + SECOND
    assert give_up(store, first, now)
    free = {"owner": None, "lease_until": None, "last_error": "does not end"}
    has(row(store, "effect", "id = 1"), state="waiting", crashes=1, ended_at=None, failures=0, **free)
    has(row(store, "effect", "id = 2"), state="running", crashes=0)
    again = taken(store, now, "two")
    assert not give_up(store, first, now)
    assert give_up(store, again, now)
    has(row(store, "effect", "id = 1"), state="quarantined", crashes=2, ended_at=ms(now), **free)
    assert finish(store, other, now)


@scene
def effects_whose_process_ended_are_handed_out_alone_in_order_and_those_beside_them_later(store: Store) -> None:
    for number in range(3):
        call(store, f"in:{number}", AT + number * SECOND)
    at = AT + MINUTE
    together = store.do(lambda unit: effects.claim(unit, now=at, owner="one", limit=2))
    assert [one.cause for one in together] == ["in:0", "in:1"]
    later = at + MINUTE  # both leases have lapsed; the third was never claimed
    call(store, "in:9", later)
    alone = [store.do(lambda unit: effects.claim(unit, now=later, owner="two", limit=9)) for _ in range(3)]
    assert [[one.cause for one in some] for some in alone] == [["in:0"], ["in:1"], ["in:2", "in:9"]]


@scene
def an_effect_that_ended_its_process_waits_for_its_time_and_is_taken_by_its_number(store: Store) -> None:
    call(store, "in:1")
    call(store, "in:2")
    assert [one.cause for one in store.do(lambda unit: effects.claim(unit, now=AT, owner="one", limit=2))]
    due = AT + MINUTE
    store.do(lambda unit: unit.connection.exec_driver_sql("UPDATE effect SET next_at = ?", (ms(due + SECOND),)))
    assert take(store, due) is None
    assert taken(store, due + SECOND).cause == "in:1"


@scene
def what_was_claimed_and_not_begun_is_given_back_by_its_worker_alone(store: Store) -> None:
    call(store)
    call(store, "in:2", AT + HOUR)
    found = taken(store)
    other = replace(found, owner="other")
    again = replace(found, starts=found.starts + 1)
    assert [release(store, one) for one in (other, again, found, found)] == [0, 0, 1, 0]
    has(row(store, "effect", "id = 1"), state="waiting", owner=None, lease_until=None, crashes=0)
    has(row(store, "effect", "id = 2"), state="waiting", owner=None, starts=0)
    second = taken(store)
    assert second.starts == 2
    assert finish(store, second)
    assert not release(store, second)


@scene
def something_is_due_when_it_waits_for_its_time_or_a_lease_has_lapsed(store: Store) -> None:
    def due(at: datetime) -> bool:
        return store.read(lambda connection: effects.due(connection, now=at))

    assert not due(AT)
    call(store)
    assert (due(AT - SECOND), due(AT)) == (False, True)
    found = taken(store)
    assert (due(AT + 29 * SECOND), due(AT + 30 * SECOND)) == (False, True)
    assert finish(store, found)
    assert not due(AT + HOUR)


def release(store: Store, found: EffectClaim) -> bool:
    """Give back an effect that was not begun."""
    return store.do(lambda unit: effects.release(unit, found))
