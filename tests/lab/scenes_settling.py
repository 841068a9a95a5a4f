"""Scenes of clocks, circuits, settlements, acts of people and pull (exchange.md 6, 7; ``scenarios``)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from tests.lab.scenemaking import (
    ACT,
    AT,
    HOUR,
    MINUTE,
    SECOND,
    A,
    B,
    C,
    ask,
    bring,
    claim,
    end,
    has,
    ms,
    one,
    queued,
    refused,
    row,
    rows,
    scene,
    settle,
    state,
    submit,
    tamper,
    transition,
    unchanged,
)
from tests.store.conftest import ACCEPTANCE, new_message, new_receipt
from transport.dispatch import TAKE_BACK_APART, Answer, Key, State
from transport.store import circuit, claims, effects, feed, outbox, takeback
from transport.store.store import Store
from transport.store.takeback import Act
from transport.store.values import (
    Settled,
)


@scene
def a_clock_set_back_makes_everything_due(store: Store) -> None:
    day = timedelta(days=1)
    for n in range(2):
        queued(store, AT + n * SECOND)
    waits, leased = claim(store, AT + day, limit=2)
    end(store, waits, AT + day)
    tamper(store, "UPDATE dispatch SET last_at = ?", ms(AT + MINUTE))
    assert claim(store, AT) == [], "a minute ahead is no clock set back"
    tamper(store, "UPDATE dispatch SET last_at = ?", ms(AT + day))
    claims_ = claim(store, AT, limit=2)
    assert sorted((one.dispatch_id, one.attempt) for one in claims_) == [(1, 2), (2, 2)], leased
    has(row(store, "dispatch", "id = 1"), last_at=ms(AT))
    tamper(store, "UPDATE dispatch SET last_at = ?, lease_until = 7, next_at = 7", ms(AT + day))
    tamper(store, "UPDATE dispatch SET state = 'delivered' WHERE id = 2")
    tamper(store, "UPDATE partner SET delivery = 'pull'")
    before = row(store, "dispatch", "id = 2")
    assert claim(store, AT) == []
    has(row(store, "dispatch", "id = 1"), lease_until=7, next_at=7, last_at=ms(AT))
    assert row(store, "dispatch", "id = 2") == before, "a settled one keeps its times"
    tamper(store, "UPDATE dispatch SET state = 'unknown', next_at = ?, last_at = ? WHERE id = 2", *[ms(AT + day)] * 2)
    claim(store, AT)
    has(row(store, "dispatch", "id = 2"), next_at=ms(AT), last_at=ms(AT))
    tamper(store, "UPDATE dispatch SET state = 'queued', next_at = ?, last_at = ? WHERE id = 2", *[ms(AT + day)] * 2)
    claim(store, AT)
    has(row(store, "dispatch", "id = 2"), next_at=ms(AT))


@scene
def what_was_never_tried_and_effects_are_healed_apart(store: Store) -> None:
    ahead = AT + MINUTE + SECOND
    for _ in range(5):
        queued(store, ahead)
    tamper(store, "UPDATE dispatch SET state = 'unknown' WHERE id = 2")
    tamper(store, "UPDATE dispatch SET last_at = 5 WHERE id = 3")
    tamper(store, "UPDATE dispatch SET submitted_at = ? WHERE id = 4", ms(AT + MINUTE))
    tamper(store, "UPDATE dispatch SET next_at = ? WHERE id = 5", ms(AT))
    far = AT + 10 * MINUTE
    for n in range(6):
        store.do(lambda unit, n=n: effects.add(unit, cause=f"c{n}", kind="k", facts={}, now=far + SECOND))  # type: ignore[misc]
    tamper(store, "UPDATE effect SET next_at = ? WHERE id = 2", ms(far))
    tamper(store, "UPDATE effect SET state = 'done' WHERE id = 3")
    tamper(store, "UPDATE effect SET state = 'running', lease_until = ? WHERE id = 4", ms(far))
    tamper(store, "UPDATE effect SET state = 'running', lease_until = ? WHERE id = 5", ms(far + SECOND))
    tamper(store, "UPDATE effect SET state = 'done', lease_until = ? WHERE id = 6", ms(far + SECOND))
    assert store.do(lambda unit: claims.heal_clock(unit, AT)) == 3
    assert [one["next_at"] for one in rows(store, "dispatch")] == [ms(AT), *[ms(ahead)] * 3, ms(AT)]
    assert [one["next_at"] for one in rows(store, "effect")][:3] == [ms(AT), ms(far), ms(far + SECOND)]
    assert [one["lease_until"] for one in rows(store, "effect")][3:] == [ms(far), ms(AT), ms(far + SECOND)]


@scene
def five_failures_open_a_circuit_half_open_sends_the_smallest_and_an_answer_closes_it(store: Store) -> None:
    other = queued(store, AT, C)
    for size in (900, 100, 500):
        queued(store, AT, size=size)
    now = AT
    for n in range(1, 6):
        (claimed,) = [one for one in claim(store, now, limit=2) if one.key.recipient == B][:1]
        for more in ask(store, "SELECT id FROM dispatch WHERE state = 'carrying' AND recipient = ?", B)[1:]:
            tamper(store, "UPDATE dispatch SET state = 'queued', next_at = 0 WHERE id = ?", more[0])
        end(store, claimed, now, Answer.UNREACHABLE)
        has(row(store, "partner", "agency = ?", B), failures=n, open_for=30000 if n == 5 else 0)
        has(row(store, "partner", "agency = ?", C), failures=0, open_for=0, open_until=None)
        tamper(store, "UPDATE dispatch SET state = 'queued', next_at = 0 WHERE recipient = ?", B)
        settle(store, other, now) if n == 1 else None
        now += MINUTE
    opened = now - MINUTE
    has(row(store, "partner", "agency = ?", B), open_until=ms(opened + 30 * SECOND))
    assert claim(store, opened + 29 * SECOND, limit=5) == []
    half = opened + 30 * SECOND
    urgent = queued(store, half, lane=2, size=700)
    (first,) = claim(store, half, limit=5)
    assert (first.lane, first.key) == (2, urgent), "the highest lane first, and one alone"
    settle(store, urgent, half)
    has(row(store, "partner", "agency = ?", B), cap=1, failures=0, open_until=None, open_for=0)
    tamper(store, "UPDATE partner SET open_until = 0, open_for = 30000, cap = 3 WHERE agency = ?", B)
    (small,) = claim(store, half, limit=5)
    assert small.size == 100
    end(store, small, half, Answer.UNREACHABLE)
    has(row(store, "partner", "agency = ?", B), open_until=ms(half + MINUTE), open_for=60000, cap=3)
    settle(store, small.key, half)
    for slots in (1, 2, 3, 4, 4):
        has(row(store, "partner", "agency = ?", B), cap=slots)
        key = queued(store, half)
        settle(store, key, half)
    has(row(store, "partner", "agency = ?", C), cap=4, failures=0)


@scene
def half_open_takes_only_what_is_due_waiting_and_not_spent(store: Store) -> None:
    made = [queued(store, AT, size=size) for size in (100, 200, 300, 400, 500)]
    foreign = queued(store, AT, C, size=1)
    tamper(store, "UPDATE partner SET open_until = 5, open_for = 30000")
    tamper(store, "UPDATE partner SET served_at = 9999999999999 WHERE agency = ?", C)
    tamper(store, "UPDATE dispatch SET state = 'delivered' WHERE id = 1")
    tamper(store, "UPDATE dispatch SET next_at = ? WHERE id = 2", ms(AT + SECOND))
    tamper(store, "UPDATE dispatch SET final_try = TRUE, deadline = ? WHERE id = 3", ms(AT))
    tamper(store, "UPDATE dispatch SET state = 'unknown' WHERE id = 4")
    assert one(store, AT).key == made[3]
    settle(store, made[3], AT)
    tamper(store, "UPDATE partner SET open_until = 5, open_for = 30000")
    tamper(store, "UPDATE dispatch SET deadline = ? WHERE id = 3", ms(AT + SECOND))
    assert one(store, AT).key == made[2], "the attempt at another deadline, which is not yet"
    settle(store, made[2], AT)
    tamper(store, "UPDATE partner SET open_until = 5, open_for = 30000")
    tamper(store, "UPDATE dispatch SET final_try = FALSE, deadline = ? WHERE id = 5", ms(AT))
    assert one(store, AT).key == made[4]
    assert one(store, AT).key == foreign


@scene
def a_circuit_opens_for_as_long_as_told_at_most_a_minute_while_flash_waits(store: Store) -> None:
    queued(store)
    end_with = transition(one(store, AT), Answer.PROBLEM, "overloaded", 100.0)
    assert end_with.opens_circuit == 100 * SECOND
    store.do(lambda unit: circuit.open_circuit(unit.connection, B, AT, 100 * SECOND))
    has(row(store, "partner"), open_until=ms(AT + 100 * SECOND), open_for=100000)
    store.do(lambda unit: circuit.open_circuit(unit.connection, B, AT))
    has(row(store, "partner"), open_for=200000)
    for change, pause in (
        ("lane = 1, recipient = 'H99.03', state = 'queued'", 400000),
        ("lane = 1, recipient = 'H99.02', state = 'carrying'", 600000),
        ("state = 'queued'", 60000),
        ("state = 'unknown'", 60000),
        ("state = 'queued', lane = 2", 120000),
    ):
        tamper(store, f"UPDATE dispatch SET {change}")
        store.do(lambda unit: circuit.open_circuit(unit.connection, B, AT))
        has(row(store, "partner"), open_for=pause)
    state_ = store.read(lambda connection: circuit.circuit(connection, B))
    assert (state_.agency, state_.open_for, state_.open_until) == (B, 120 * SECOND, AT + 120 * SECOND)
    queued(store, AT, C)
    has(row(store, "partner", "agency = ?", C), open_for=0)
    for name, pause in ((B, 120), (C, 0)):
        found = store.read(lambda connection, name=name: circuit.circuit(connection, name))  # type: ignore[misc]
        assert (found.agency, found.open_for) == (name, pause * SECOND)
    store.do(lambda unit: circuit.note_answer(unit.connection, B, success=False))
    has(row(store, "partner", "agency = ?", B), cap=1, failures=0, open_for=0, open_until=None)
    tamper(store, "UPDATE partner SET failures = 2, cap = 3")
    store.do(lambda unit: circuit.note_answer(unit.connection, B, success=True))
    has(row(store, "partner", "agency = ?", B), cap=3, failures=0)
    has(row(store, "partner", "agency = ?", C), cap=3, failures=2)
    store.do(lambda unit: circuit.note_answer(unit.connection, B, success=True))
    has(row(store, "partner", "agency = ?", B), cap=4)
    has(row(store, "partner", "agency = ?", C), cap=3)


@scene
def slots_count_living_leases_of_this_partner_alone(store: Store) -> None:
    """A half-open circuit lets one through while no lease to this partner lives."""
    for to in (B, B, C):
        queued(store, AT, to)
    tamper(store, "UPDATE dispatch SET state = 'carrying', owner = 'x', lease_until = ?", ms(AT + SECOND))
    tamper(store, "UPDATE dispatch SET state = 'queued', owner = NULL, lease_until = NULL WHERE id = 2")
    tamper(store, "UPDATE partner SET open_until = 5, open_for = 30000")
    assert claim(store, AT, limit=5) == []
    (late,) = claim(store, AT + SECOND, limit=1)
    assert (late.dispatch_id, late.came_from) == (1, State.CARRYING)
    assert claim(store, AT + SECOND, limit=5)[0].key.recipient == C
    tamper(store, "UPDATE dispatch SET state = 'unknown', next_at = ? WHERE id = 1", ms(AT + HOUR))
    assert one(store, AT + 2 * SECOND).dispatch_id == 2, "only what is carried takes a slot"


@scene
def every_column_of_a_settlement(store: Store) -> None:
    key = queued(store)
    twin = Key("H99.09", B, key.message_id)
    submit(store, new_message(AT, sender="H99.09", message_id=key.message_id), B)
    both = new_message(AT)
    submit(store, both, B, C)
    claimed = one(store, AT)
    assert claimed.key == key
    now = AT + MINUTE
    before = [one for one in rows(store, "dispatch") if one["id"] != claimed.dispatch_id]
    receipt = new_receipt(key, now - SECOND)
    assert bring(store, receipt, now) == Settled(True, State.CARRYING)
    over = {
        "owner": None,
        "lease_until": None,
        "next_at": None,
        "settled_at": ms(now),
        "last_at": ms(now),
        "by_receipt": False,
    }
    has(row(store, "dispatch", "id = 1"), state="delivered", sent_at=ms(now - SECOND), receipt=1, **over)
    assert [one for one in rows(store, "dispatch") if one["id"] != claimed.dispatch_id] == before
    has(row(store, "attempt"), outcome="delivered", ended_at=ms(now))
    sha = row(store, "message", "id = 1")["sha256"]
    has(
        row(store, "receipt"),
        direction="in",
        sender=A,
        recipient=B,
        message_id=key.message_id,
        receipt_id=receipt.receipt_id,
        event=ACCEPTANCE,
        sha256=receipt.sha256,
        data=receipt.data,
        message_sha256=sha,
        message_size=1000,
        received_at=ms(now - SECOND),
        issued_at=ms(now - SECOND),
        ticket=5,
        reason=None,
    )
    check = unchanged(store, "dispatch", "receipt", "attempt")
    assert bring(store, new_receipt(key, now), now) == Settled(False, State.DELIVERED)
    assert not end(store, claimed, now), "the worker comes late"
    check()
    assert state(store, twin) is State.QUEUED
    assert settle(store, Key(A, C, both.message_id), now, State.REFUSED).first
    has(row(store, "dispatch", "id = 4"), state="refused", by_receipt=True)
    has(row(store, "dispatch", "id = 3"), state="queued")
    assert not settle(store, Key(A, C, both.message_id), now).first
    for wanted, found in ((key, State.DELIVERED), (twin, State.QUEUED), (Key(A, C, both.message_id), State.REFUSED)):
        asked = store.read(lambda connection, wanted=wanted: outbox.situation(connection, wanted))  # type: ignore[misc]
        assert asked is not None
        assert asked.state is found
        again = store.do(lambda unit, wanted=wanted: outbox.situation(unit.connection, wanted))  # type: ignore[misc]
        assert again == asked


@scene
def a_late_receipt_wins_over_a_problem_and_the_attempts_keep_their_ends(store: Store) -> None:
    keys = [queued(store), queued(store)]
    first, second = claim(store, AT, limit=2)
    end(store, first, AT, Answer.PROBLEM, "unknown-recipient")
    assert settle(store, first.key, AT + MINUTE).came_from is State.REFUSED
    has(row(store, "attempt", "dispatch = ?", first.dispatch_id), outcome="ended", ended_at=ms(AT))
    has(row(store, "attempt", "dispatch = ?", second.dispatch_id), outcome=None)
    again = one(store, AT + HOUR, "two")
    assert again.dispatch_id == second.dispatch_id
    tamper(store, "UPDATE attempt SET ended_at = NULL WHERE n = 1 AND dispatch = ?", again.dispatch_id)
    settle(store, again.key, AT + HOUR)
    ends = ask(store, "SELECT n, outcome FROM attempt WHERE dispatch = ? ORDER BY n", again.dispatch_id)
    assert ends == [(1, "lease-lost"), (2, "delivered")]
    assert {state(store, key) for key in keys} == {State.DELIVERED}


@scene
def taken_back_before_it_left(store: Store) -> None:
    key, other = queued(store), queued(store)
    twin = Key("H99.09", B, key.message_id)
    submit(store, new_message(AT, sender="H99.09", message_id=key.message_id), B, C)
    now = AT + MINUTE
    before = [one for one in rows(store, "dispatch") if one["id"] != 1]
    assert store.do(lambda unit: takeback.ask(unit, key, ACT, now=now)).situation.state is State.RECALLED
    has(row(store, "dispatch", "id = 1"), state="recalled", next_at=None, settled_at=ms(now), last_at=ms(now))
    assert [one for one in rows(store, "dispatch") if one["id"] != 1] == before
    assert rows(store, "take_back") == []
    refused(lambda: store.do(lambda unit: takeback.ask(unit, key, ACT, now=now)))
    assert store.do(lambda unit: takeback.found(unit.connection, twin)).situation.state is State.QUEUED
    assert store.do(lambda unit: takeback.found(unit.connection, other)).dispatch_id == 2
    assert store.read(lambda connection: takeback.timing(connection, other)) == (3, AT)
    found = store.do(lambda unit: takeback.found(unit.connection, Key("H99.09", C, key.message_id)))
    assert found.dispatch_id == 4
    submit(store, new_message(AT + SECOND, lane=1, message_id=other.message_id, sender="H99.09"), B, C)
    assert store.read(lambda connection: takeback.timing(connection, other)) == (3, AT)
    twin = Key("H99.09", C, other.message_id)
    assert store.read(lambda connection: takeback.timing(connection, twin)) == (1, AT + SECOND)


@scene
def taken_back_after_it_may_have_left(store: Store) -> None:
    key, other = queued(store), queued(store)
    first, second = claim(store, AT, limit=2)
    for claimed in (first, second):
        end(store, claimed, AT)
    now = AT + SECOND
    found = store.do(lambda unit: takeback.ask(unit, key, ACT, now=now))
    assert (found.situation.state, found.situation.recall_requested) == (State.UNKNOWN, True)
    has(row(store, "dispatch", "id = 1"), state="unknown", recall_requested=True, next_at=ms(now))
    has(row(store, "dispatch", "id = 2"), recall_requested=False, next_at=ms(AT + 5 * SECOND))
    asked = {"person": ACT.person, "reason": ACT.reason, "note": ACT.note, "asked_at": ms(now), "absent_at": None}
    has(row(store, "take_back"), dispatch=1, **asked)
    again = Act("Trần Thị Mẫu", "other", "x")
    store.do(lambda unit: takeback.ask(unit, other, again, now=now))
    store.do(lambda unit: takeback.ask(unit, key, again, now=now + SECOND))
    has(row(store, "take_back", "dispatch = 1"), **asked)
    claimed = one(store, now + SECOND)
    assert claimed.recall_requested
    end(store, claimed, now + SECOND, Answer.ABSENT, "unknown-message")
    gone: Callable[[datetime], Act | None] = lambda at: store.do(lambda unit: takeback.absent(unit, claimed, now=at))  # noqa: E731
    mine = row(store, "take_back", "dispatch = ?", claimed.dispatch_id)
    assert gone(now) is None
    absent = ask(store, "SELECT dispatch FROM take_back WHERE absent_at = ?", ms(now))
    assert absent == [(claimed.dispatch_id,)]
    assert store.read(lambda connection: takeback.pending(connection, claimed.dispatch_id)) == now
    assert store.read(lambda connection: takeback.pending(connection, 3 - claimed.dispatch_id)) is None
    assert gone(now + TAKE_BACK_APART - SECOND) is None
    has(row(store, "take_back", "absent_at IS NOT NULL"), absent_at=ms(now))
    over = now + TAKE_BACK_APART
    assert gone(over) == Act(str(mine["person"]), str(mine["reason"]), str(mine["note"]))
    ended = {"state": "recalled", "next_at": None, "settled_at": ms(over), "problem": None}
    has(row(store, "dispatch", "id = ?", claimed.dispatch_id), **ended)
    has(row(store, "dispatch", "id <> ?", claimed.dispatch_id), state="unknown")
    assert gone(over + HOUR) is None, "once"


@scene
def a_take_back_is_remembered_of_its_dispatch(store: Store) -> None:
    queued(store, AT + HOUR)
    key = queued(store)
    end(store, one(store, AT), AT)
    store.do(lambda unit: takeback.ask(unit, key, ACT, now=AT))
    has(row(store, "take_back"), dispatch=2)


@scene
def only_a_waiting_dispatch_that_is_to_be_taken_back_ends_so(store: Store) -> None:
    queued(store)
    claimed = one(store, AT)
    tamper(
        store,
        "INSERT INTO take_back (dispatch, person, reason, note, asked_at, absent_at) VALUES (1, 'p', 'r', 'n', 0, 0)",
    )
    gone: Callable[[], Act | None] = lambda: store.do(lambda unit: takeback.absent(unit, claimed, now=AT))  # noqa: E731
    tamper(store, "UPDATE dispatch SET recall_requested = TRUE")
    assert gone() is None, "it is carried"
    tamper(store, "UPDATE dispatch SET state = 'delivered'")
    assert gone() is None
    tamper(store, "UPDATE dispatch SET state = 'queued', recall_requested = FALSE")
    assert gone() is None, "nobody asked"
    tamper(store, "UPDATE dispatch SET recall_requested = TRUE")
    assert gone() is not None
    tamper(store, "UPDATE dispatch SET state = 'unknown'")
    assert gone() is not None


@scene
def hurried_are_waiting_ones_alone(store: Store) -> None:
    key, other = queued(store, AT + HOUR), queued(store, AT + HOUR)
    store.do(lambda unit: takeback.retry(unit, key, now=AT))
    assert [one["next_at"] for one in rows(store, "dispatch")] == [ms(AT), ms(AT + HOUR)]
    end(store, one(store, AT), AT)
    store.do(lambda unit: takeback.retry(unit, key, now=AT))
    has(row(store, "dispatch", "id = 1"), state="unknown", next_at=ms(AT))
    tamper(store, "UPDATE dispatch SET next_at = 7 WHERE id = 1")
    assert one(store, AT).dispatch_id == 1
    store.do(lambda unit: takeback.ask(unit, key, ACT, now=AT))
    has(row(store, "dispatch", "id = 1"), state="carrying", next_at=7, recall_requested=True)
    assert state(store, other) is State.QUEUED


@scene
def handed_out_once_and_never_after_a_take_back(store: Store) -> None:
    key, other = queued(store), queued(store)
    found = store.do(lambda unit: takeback.hand_out(unit, key, now=AT + SECOND))
    assert (found.situation.state, found.situation.exposed) == (State.UNKNOWN, True)
    has(row(store, "dispatch", "id = 1"), state="unknown", exposed=True, last_at=ms(AT + SECOND))
    has(row(store, "dispatch", "id = 2"), state="queued", exposed=False)
    store.do(lambda unit: takeback.hand_out(unit, key, now=AT + MINUTE))
    has(row(store, "dispatch", "id = 1"), last_at=ms(AT + SECOND))
    store.do(lambda unit: takeback.ask(unit, key, ACT, now=AT))
    refused(lambda: store.do(lambda unit: takeback.hand_out(unit, key, now=AT)))
    assert state(store, other) is State.QUEUED


@scene
def the_feed_lists_what_waits_for_this_recipient(store: Store) -> None:
    late, early = queued(store, AT + SECOND), queued(store, AT)
    urgent = queued(store, AT + MINUTE, lane=1)
    same = queued(store, AT)
    urgent_2 = queued(store, AT + HOUR, lane=2)
    queued(store, AT, C)
    for n, change in enumerate(("recall_requested = TRUE", "state = 'carrying'", "state = 'delivered'")):
        queued(store, AT)
        tamper(store, f"UPDATE dispatch SET {change} WHERE id = ?", 7 + n)
    tamper(store, "UPDATE dispatch SET state = 'unknown' WHERE id = 2")
    listed: Callable[[str | None], list[Key]] = lambda after: [  # noqa: E731
        one.key for one in store.read(lambda connection: feed.waiting(connection, B, limit=10, after=after))
    ]
    assert listed(None) == [urgent, urgent_2, early, same, late]
    first = store.read(lambda connection: feed.waiting(connection, B, limit=3))
    assert listed(first[0].position) == [urgent_2, early, same, late]
    assert listed(first[2].position) == [same, late]
    digest = row(store, "message", "id = 1")["sha256"]
    assert store.read(lambda connection: feed.known_blob(connection, str(digest)))
    assert not store.read(lambda connection: feed.known_blob(connection, "f" * 64))
