"""Scenes of submits, claims, leases and expiries (exchange.md 6; ``scenarios``)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import date, datetime, timedelta

from tests.lab.scenemaking import (
    AT,
    HOUR,
    MINUTE,
    SECOND,
    A,
    B,
    C,
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
from tests.store.conftest import new_message
from transport.dispatch import Answer, Key, State, Transition
from transport.store import outbox, takeback
from transport.store.store import Conflict, Store
from transport.store.values import (
    AttemptEnd,
)


@scene
def every_column_of_a_submitted_letter(store: Store) -> None:
    facts: dict[str, object] = {
        "date": date(2026, 11, 20),
        "type": "Công văn",
        "priority": 2,
        "attachments": 3,
        "due": date(2026, 11, 25),
        "legal_class": "original",
        "status_code": "03",
        "cause": "in:7",
        "source_sha256": "5" * 64,
        "lane": 2,
        "kind": "status",
    }
    message = new_message(AT, **facts)
    numbers = submit(store, message, B, C)
    has(row(store, "blob"), digest=message.sha256, size=1000, place="file", data=None)
    has(
        row(store, "message"),
        sender=A,
        message_id=message.message_id,
        sha256=message.sha256,
        size=1000,
        submitted_at=ms(AT),
        deadline=ms(message.deadline),
        document_id=message.document_id,
        number="120",
        notation="SMA-VP",
        subject="Về việc mẫu",
        **{**facts, "date": "2026-11-20", "due": "2026-11-25"},
    )
    made = rows(store, "dispatch")
    assert [(one["id"], one["recipient"], one["sent_ticket"]) for one in made] == [
        (numbers[0], B, 1),
        (numbers[1], C, 2),
    ]
    for found in made:
        start = {
            "exposed": False,
            "recall_requested": False,
            "final_try": False,
            "by_receipt": False,
            "attempt": 0,
            "failures": 0,
        }
        times = {"next_at": ms(AT), "submitted_at": ms(AT), "deadline": ms(message.deadline)}
        has(found, state="queued", lane=2, message=1, owner=None, lease_until=None, **start, **times)
        assert found["trace"] == made[0]["trace"] is not None
    start_of_partner = {
        "delivery": "push",
        "auth": "signature",
        "cap": 4,
        "served_at": 0,
        "failures": 0,
        "open_for": 0,
        "updated_at": 0,
    }
    for found, name in zip(rows(store, "partner"), (B, C), strict=True):
        has(found, agency=name, url=None, open_until=None, **start_of_partner)
    leaf = rows(store, "ledger_leaf")[0]
    data = f"sent {message.message_id} {B}".encode()
    has(leaf, leaf=hashlib.sha256(b"\x00" + data).digest(), data=data)


@scene
def the_same_packed_file_is_one_message_and_a_known_partner_or_blob_stays(store: Store) -> None:
    first = new_message(AT, source_sha256="5" * 64)
    submit(store, first, B)
    tamper(store, "UPDATE partner SET cap = 2")
    submit(store, new_message(AT, sha256=first.sha256), B)
    has(row(store, "partner"), cap=2)
    check = unchanged(store, "message", "dispatch")
    refused(lambda: submit(store, new_message(AT, source_sha256="5" * 64), B), Conflict)
    refused(lambda: submit(store, new_message(AT, message_id=first.message_id), B), Conflict)
    check()


@scene
def a_claim_writes_lease_fence_and_attempt(store: Store) -> None:
    key = queued(store)
    other = queued(store, AT + HOUR, C)
    now = AT + SECOND
    found = one(store, now, "one")
    assert (found.key, found.owner, found.attempt, found.failures, found.exposed) == (key, "one", 1, 1, False)
    assert (found.came_from, found.recall_requested, found.lane, found.size) == (State.QUEUED, False, 3, 1000)
    assert found.sent is not None
    assert (found.sent.index, found.last_problem) == (0, None)
    lease = {"owner": "one", "lease_until": ms(now + 30 * SECOND), "attempt": 1, "failures": 1}
    has(row(store, "dispatch", "recipient = ?", B), state="carrying", exposed=False, final_try=False, **lease)
    has(row(store, "dispatch", "recipient = ?", B), first_at=ms(now), last_at=ms(now))
    has(row(store, "attempt"), dispatch=1, n=1, owner="one", started_at=ms(now), ended_at=None, outcome=None)
    has(row(store, "partner", "agency = ?", B), served_at=ms(now))
    has(row(store, "partner", "agency = ?", C), served_at=0)
    assert claim(store, now, "two", limit=5) == [], "it is carried, and the other is not due"
    assert state(store, other) is State.QUEUED


@scene
def a_stale_worker_changes_nothing(store: Store) -> None:
    """Its lease lapsed; another carries: neither renewal nor outcome of the first counts, whoever of the two it is."""
    queued(store)
    first = one(store, AT, "one")
    assert claim(store, AT + 30 * SECOND - SECOND, "two") == []
    second = one(store, AT + 30 * SECOND, "two")
    assert (second.attempt, second.exposed, second.came_from) == (2, True, State.CARRYING)
    has(row(store, "attempt", "n = 1"), outcome="lease-lost", ended_at=ms(AT + 30 * SECOND))
    has(row(store, "dispatch"), first_at=ms(AT))
    check = unchanged(store, "dispatch", "attempt", "partner")
    later = AT + 31 * SECOND
    assert not end(store, first, later)
    assert not store.do(lambda unit: outbox.renew(unit, first, now=later))
    check()
    third = one(store, AT + HOUR, "two")
    check = unchanged(store, "dispatch", "attempt", "partner")
    assert not end(store, second, AT + HOUR), "its own earlier attempt"
    assert not store.do(lambda unit: outbox.renew(unit, second, now=AT + HOUR))
    check()
    assert end(store, third, AT + HOUR)
    assert not end(store, third, AT + HOUR), "once"
    has(row(store, "attempt", "n = 2"), outcome="lease-lost")


@scene
def each_part_of_the_fence_counts_by_itself(store: Store) -> None:
    """Rows that agree in two of state, owner and attempt, and not in the third."""
    queued(store)
    queued(store)
    first, second = claim(store, AT, "one", 2)
    for change, back in (
        ("state = 'unknown'", "state = 'carrying'"),
        ("owner = 'two'", "owner = 'one'"),
        ("attempt = attempt + 1", "attempt = attempt - 1"),
    ):
        tamper(store, f"UPDATE dispatch SET {change} WHERE id = ?", first.dispatch_id)
        check = unchanged(store, "dispatch", "attempt")
        assert not store.do(lambda unit: outbox.renew(unit, first, now=AT + SECOND)), change
        assert not end(store, first, AT + SECOND), change
        check()
        tamper(store, f"UPDATE dispatch SET {back} WHERE id = ?", first.dispatch_id)
    assert store.do(lambda unit: outbox.renew(unit, first, now=AT + SECOND))
    has(row(store, "dispatch", "id = ?", first.dispatch_id), lease_until=ms(AT + 31 * SECOND), last_at=ms(AT + SECOND))
    has(row(store, "dispatch", "id = ?", second.dispatch_id), lease_until=ms(AT + 30 * SECOND), last_at=ms(AT))
    assert store.do(lambda unit: outbox.renew(unit, first, now=AT - SECOND)), "an earlier clock"
    has(row(store, "dispatch", "id = ?", first.dispatch_id), lease_until=ms(AT + 31 * SECOND))
    assert end(store, first, AT + SECOND)
    has(row(store, "dispatch", "id = ?", second.dispatch_id), state="carrying", owner="one")


@scene
def what_an_attempt_without_proof_leaves(store: Store) -> None:
    queued(store)
    claimed = one(store, AT)
    now = AT + 2 * SECOND
    assert end(store, claimed, now, Answer.NOTHING, "odd")
    free = {"owner": None, "lease_until": None, "settled_at": None, "last_at": ms(now), "next_at": ms(now + 5 * SECOND)}
    has(row(store, "dispatch"), state="unknown", exposed=True, problem="odd", problem_status=503, attempt=1, **free)
    how = {
        "outcome": "ended",
        "status": 503,
        "problem": "odd",
        "body": b"bytes",
        "peer": "192.0.2.1:443",
        "ended_at": ms(now),
    }
    has(row(store, "attempt"), **how)
    again = one(store, now + 5 * SECOND)
    assert end(store, again, now + 6 * SECOND, Answer.UNREACHABLE)
    has(row(store, "dispatch"), state="unknown", exposed=True)
    has(row(store, "attempt", "n = 1"), **how)


@scene
def a_final_problem_ends_it_and_is_queued_again_with_a_new_deadline(store: Store) -> None:
    key = queued(store)
    queued(store, AT + HOUR)
    claimed = one(store, AT)
    assert end(store, claimed, AT, Answer.PROBLEM, "too-large")
    over = {
        "owner": None,
        "lease_until": None,
        "next_at": None,
        "settled_at": ms(AT),
        "problem": "too-large",
        "exposed": False,
    }
    has(row(store, "dispatch", "id = 1"), state="refused", by_receipt=False, **over)
    tamper(store, "UPDATE dispatch SET recall_requested = TRUE, final_try = TRUE, alarmed_at = 5")
    tamper(store, "INSERT INTO take_back (dispatch, person, reason, note, asked_at) VALUES (1, 'x', 'y', 'z', 0)")
    tamper(store, "INSERT INTO take_back (dispatch, person, reason, note, asked_at) VALUES (2, 'x', 'y', 'z', 0)")
    tamper(store, "UPDATE dispatch SET state = 'refused' WHERE id = 2")
    before = row(store, "dispatch", "id = 2")
    now = AT + HOUR
    found = store.do(lambda unit: takeback.requeue(unit, key, now=now))
    assert (found.situation.state, found.dispatch_id, found.sha256) == (
        State.QUEUED,
        1,
        row(store, "message", "id = 1")["sha256"],
    )
    new = {
        "next_at": ms(now),
        "deadline": ms(now + timedelta(hours=72)),
        "settled_at": None,
        "alarmed_at": None,
        "failures": 0,
    }
    fresh = {"recall_requested": False, "final_try": False, "problem": None, "problem_status": None, "attempt": 1}
    has(row(store, "dispatch", "id = 1"), state="queued", **new, **fresh)
    assert row(store, "dispatch", "id = 2") == before
    assert [one["dispatch"] for one in rows(store, "take_back")] == [2]
    refused(lambda: store.do(lambda unit: takeback.requeue(unit, key, now=now)))


@scene
def the_next_attempt_lies_between_now_and_the_deadline(store: Store) -> None:
    message = new_message(AT)
    submit(store, message, B)

    def ended(now: datetime, wait: float) -> int:
        claimed = one(store, now)
        change = transition(claimed, Answer.PROBLEM, "storage-low", wait)
        store.do(lambda unit: outbox.outcome(unit, claimed, change, now=now, end=AttemptEnd("problem")))
        return int(str(row(store, "dispatch")["next_at"]))

    assert ended(AT, 60) == ms(AT + MINUTE)
    assert ended(AT + MINUTE, 10.0**7) == ms(message.deadline)
    late = message.deadline + SECOND
    assert ended(late, 60) == ms(late), "past the deadline nothing is put off"
    tamper(store, "UPDATE dispatch SET final_try = FALSE, deadline = ?", ms(late + HOUR))
    claimed = one(store, late)
    back = Transition(transition(claimed, Answer.NOTHING).event, State.UNKNOWN, True, -HOUR)
    store.do(lambda unit: outbox.outcome(unit, claimed, back, now=late, end=AttemptEnd("x")))
    has(row(store, "dispatch"), next_at=ms(late))


@scene
def lanes_slots_and_order_of_claims(store: Store) -> None:
    ordinary = [queued(store, AT + n * SECOND) for n in range(5)]
    now = AT + MINUTE
    assert [one.key for one in claim(store, now, limit=9)] == ordinary[:3], "one slot is kept for lane 1"
    urgent = queued(store, AT, lane=2)
    assert claim(store, now, limit=9) == []
    flash = queued(store, now, lane=1)
    later = queued(store, now, lane=1)
    assert [one.key for one in claim(store, now, limit=9)] == [flash]
    assert claim(store, now, limit=9) == []
    settle(store, ordinary[0], now)
    assert [one.key for one in claim(store, now, limit=9)] == [later]
    settle(store, flash, now)
    settle(store, later, now)
    assert [one.key for one in claim(store, now, limit=1)] == [urgent]
    settle(store, urgent, now)
    assert [one.key for one in claim(store, now + 20 * SECOND, limit=1)] == [ordinary[3]]


@scene
def a_lapsed_lease_frees_its_slot_and_comes_first(store: Store) -> None:
    first = [queued(store, AT + n * SECOND) for n in range(3)]
    assert [one.key for one in claim(store, AT + 3 * SECOND, limit=3)] == first
    urgent = queued(store, AT, lane=2)
    queued(store, AT, C)
    tamper(store, "UPDATE partner SET served_at = 9999999999999 WHERE agency = ?", C)
    now = AT + 33 * SECOND
    assert [one.key for one in claim(store, now, "two", limit=3)] == first, "lapsed at this very moment"
    assert [one.key.recipient for one in claim(store, now, "two", limit=3)] == [C]
    assert state(store, urgent) is State.QUEUED
    for key in first:
        settle(store, key, now)
    assert one(store, now).key == urgent


@scene
def lapsed_ones_by_lane_then_time_and_the_reserved_slot_is_for_flash(store: Store) -> None:
    third = queued(store, AT, lane=3)
    second = queued(store, AT + SECOND, lane=2)
    early = queued(store, AT + 2 * SECOND, lane=2)
    tamper(store, "UPDATE dispatch SET next_at = ? WHERE id = 3", ms(AT))
    assert len(claim(store, AT + 2 * SECOND, limit=3)) == 3
    now = AT + HOUR
    assert [one.key for one in claim(store, now, limit=3)] == [early, second, third]
    tamper(store, "UPDATE partner SET cap = 2")
    tamper(store, "UPDATE dispatch SET lease_until = ? WHERE id IN (1, 2)", ms(now - SECOND))
    assert claim(store, now, limit=3) == [], "the last slot is not for ordinary ones, lapsed or not"
    flash = queued(store, now, lane=1)
    assert [one.key for one in claim(store, now, limit=3)] == [flash]


@scene
def old_ordinary_letters_rank_as_urgent_by_their_time(store: Store) -> None:
    now = AT + 20 * MINUTE
    young = queued(store, now - 15 * MINUTE + SECOND, lane=3)
    urgent = queued(store, now - MINUTE, lane=2)
    aged = queued(store, now - 15 * MINUTE, lane=3)
    assert [one.key for one in claim(store, now, limit=3)] == [aged, urgent, young]
    for key in (young, urgent, aged):
        settle(store, key, now)
    waits = queued(store, AT, lane=3)
    tamper(store, "UPDATE dispatch SET next_at = ? WHERE state = 'queued'", ms(now + MINUTE))
    urgent = queued(store, now, lane=2)
    assert [one.key for one in claim(store, now, limit=3)] == [urgent], "aged, and not due"
    settle(store, urgent, now)
    over = now + MINUTE
    settle(store, waits, over)
    late = [queued(store, AT + n * SECOND, lane=3) for n in (1, 0)]
    elsewhere = queued(store, AT - HOUR, C, lane=3)
    tamper(store, "UPDATE partner SET served_at = 9999999999999 WHERE agency = ?", C)
    assert [one.key for one in claim(store, over, limit=3)] == [late[1], late[0], elsewhere]


@scene
def an_open_circuit_keeps_its_lapsed_and_its_waiting_ones(store: Store) -> None:
    for lane in (3, 2, 1, 3):
        queued(store, AT, C, lane=lane)
    tamper(store, "UPDATE dispatch SET state = 'carrying', owner = 'x', lease_until = 5 WHERE id = 1")
    tamper(store, "UPDATE partner SET open_until = ?, open_for = 30000", ms(AT + HOUR + SECOND))
    free = queued(store, AT + HOUR, B)
    assert [one.key for one in claim(store, AT + HOUR, limit=9)] == [free]


@scene
def aged_ones_only_when_due_and_not_spent(store: Store) -> None:
    now = AT + HOUR

    def order(change: str) -> list[int]:
        tamper(store, "DELETE FROM attempt")
        tamper(store, "UPDATE dispatch SET state = 'queued', owner = NULL, lease_until = NULL, final_try = FALSE")
        tamper(store, "UPDATE dispatch SET next_at = submitted_at, last_at = NULL, deadline = ?", ms(now + HOUR))
        tamper(store, f"UPDATE dispatch SET {change} WHERE id = 1")
        return [one.dispatch_id for one in claim(store, now, limit=3)]

    queued(store, AT, lane=3)  # aged
    queued(store, now - MINUTE, lane=3)  # young
    queued(store, now, lane=2)
    assert order("attempt = 0") == [1, 3, 2]
    assert order("state = 'unknown'") == [1, 3, 2]
    assert order("final_try = TRUE") == [1, 3, 2], "the attempt at an earlier deadline does not count"
    assert order(f"final_try = TRUE, deadline = {ms(now)}") == [3, 2]
    assert order(f"final_try = TRUE, state = 'unknown', deadline = {ms(now)}") == [3, 2]
    assert order(f"deadline = {ms(now)}") == [1, 3, 2], "its last attempt is due"
    assert order(f"next_at = {ms(now + SECOND)}") == [3, 2]
    settle_row = "UPDATE dispatch SET state = 'delivered', owner = NULL, lease_until = NULL WHERE id = 3"
    tamper(store, settle_row)
    tamper(store, "UPDATE dispatch SET submitted_at = ? WHERE id = 3", ms(now + HOUR))
    assert order(f"next_at = {ms(now)}")[:2] == [1, 2], "due at this very moment"


@scene
def urgent_ones_only_when_due_and_not_spent(store: Store) -> None:
    now = AT + MINUTE

    def order(change: str) -> list[int]:
        tamper(store, "DELETE FROM attempt")
        tamper(store, "UPDATE dispatch SET state = 'queued', owner = NULL, lease_until = NULL, final_try = FALSE")
        tamper(store, "UPDATE dispatch SET next_at = submitted_at, last_at = NULL, deadline = ?", ms(now + HOUR))
        tamper(store, f"UPDATE dispatch SET {change} WHERE id = 1")
        return [one.dispatch_id for one in claim(store, now, limit=3)]

    queued(store, AT, lane=2)
    queued(store, AT, lane=3)
    for change in ("attempt = 0", "state = 'unknown'", "final_try = TRUE", f"deadline = {ms(now)}"):
        assert order(change) == [1, 2], change
    assert order(f"next_at = {ms(now)}") == [1, 2]
    assert order(f"next_at = {ms(now + SECOND)}") == [2]
    for state_ in ("queued", "unknown"):
        assert order(f"state = '{state_}', final_try = TRUE, deadline = {ms(now)}") == [2]


@scene
def unknown_ones_are_claimed_too_and_settled_ones_never(store: Store) -> None:
    keys = [queued(store, AT + n * SECOND) for n in range(3)]
    claims_ = claim(store, AT + 3 * SECOND, limit=3)
    now = AT + HOUR
    for claimed in claims_[:2]:
        end(store, claimed, AT + 3 * SECOND)
    settle(store, keys[2], AT + 4 * SECOND)
    assert [one.key for one in claim(store, now, limit=9)] == keys[:2]
    assert claim(store, now + timedelta(days=1), limit=9)[0].key == keys[0]
    for key in keys[:2]:
        settle(store, key, now)
    tamper(store, "UPDATE dispatch SET next_at = 0, lease_until = 0")
    assert claim(store, now + timedelta(days=2), limit=9) == []


@scene
def partners_take_turns_and_those_who_fetch_have_none(store: Store) -> None:
    keys = [queued(store, AT, to) for to in (C, B, C, B)]
    assert [one.key.recipient for one in claim(store, AT, limit=4)] == [B, C, B, C]
    assert [one["served_at"] for one in rows(store, "partner")] == [ms(AT) + 1] * 2, "two turns in one moment"
    for key in keys:
        settle(store, key, AT)
    keys = [queued(store, AT, to) for to in (B, C)]
    tamper(store, "UPDATE partner SET served_at = ? WHERE agency = ?", ms(AT - HOUR), C)
    tamper(store, "UPDATE partner SET served_at = ? WHERE agency = ?", ms(AT - MINUTE), B)
    assert one(store, AT).key.recipient == C
    settle(store, keys[1], AT)
    fetching = queued(store, AT, C)
    tamper(store, "UPDATE partner SET delivery = 'pull' WHERE agency = ?", C)
    assert [one.key.recipient for one in claim(store, AT, limit=4)] == [B]
    assert state(store, fetching) is State.QUEUED
    tamper(store, "UPDATE partner SET delivery = 'push', served_at = ?", ms(AT + HOUR))
    assert one(store, AT).key == fetching
    has(row(store, "partner", "agency = ?", C), served_at=ms(AT + HOUR) + 1)


@scene
def once_past_the_deadline_then_expired(store: Store) -> None:
    message = new_message(AT)
    submit(store, message, B)
    key = Key(A, B, message.message_id)
    submit(store, new_message(AT + HOUR, deadline=message.deadline + HOUR), B)
    expire: Callable[[datetime], list[Key]] = lambda now: store.do(lambda unit: outbox.expire_due(unit, now=now))  # noqa: E731
    late = message.deadline
    assert expire(late + MINUTE) == [], "the attempt at it is still due"
    last = one(store, late)
    has(row(store, "dispatch", "id = 1"), final_try=True)
    end(store, last, late, Answer.NOTHING)
    other = one(store, late)
    has(row(store, "dispatch", "id = 2"), final_try=False)
    assert other.key != key
    assert expire(late - SECOND) == []
    assert expire(late) == [key]
    has(row(store, "dispatch", "id = 1"), state="expired", next_at=None, settled_at=ms(late), problem="no-answer")
    assert expire(late + SECOND) == []
    assert settle(store, key, late + MINUTE).first
    has(row(store, "dispatch", "id = 1"), state="delivered", receipt=1)


@scene
def spent_ones_are_not_claimed_again_lapsed_ones_are(store: Store) -> None:
    message = new_message(AT)
    submit(store, message, B)
    at = message.deadline
    last = one(store, at)
    has(row(store, "dispatch"), final_try=True)
    again = one(store, at + HOUR, "two")
    assert again.attempt == last.attempt + 1, "a worker that vanished has not made the attempt"
    end(store, again, at + HOUR, Answer.NOTHING, "kept")
    assert claim(store, at + 5 * HOUR, limit=5) == []
    tamper(store, "UPDATE dispatch SET deadline = ?", ms(at + 9 * HOUR))
    assert one(store, at + 5 * HOUR).key == last.key, "requeued or put off, it goes on"
    end(store, one(store, at + 6 * HOUR), at + 6 * HOUR, Answer.NOTHING, "kept")
    tamper(store, "UPDATE dispatch SET deadline = ?", ms(at))
    store.do(lambda unit: outbox.expire_due(unit, now=at + 7 * HOUR))
    has(row(store, "dispatch"), state="expired", problem="kept")


@scene
def expiry_without_the_attempt_only_where_none_can_be_made(store: Store) -> None:
    message = new_message(AT)
    submit(store, message, B)
    submit(store, new_message(AT, deadline=message.deadline), C)
    expire: Callable[[datetime], list[str]] = lambda now: [  # noqa: E731
        key.recipient for key in store.do(lambda unit: outbox.expire_due(unit, now=now))
    ]
    grace = message.deadline + 30 * SECOND
    assert expire(grace + HOUR) == []
    tamper(store, "UPDATE partner SET open_until = ?, open_for = 30000 WHERE agency = ?", ms(grace), B)
    assert expire(grace) == [], "the circuit is half-open now: an attempt can be made"
    tamper(store, "UPDATE partner SET open_until = ? WHERE agency = ?", ms(grace + HOUR), B)
    assert expire(grace - SECOND) == []
    assert expire(grace) == [B]
    tamper(store, "UPDATE partner SET delivery = 'pull' WHERE agency = ?", C)
    assert expire(message.deadline - SECOND) == []
    assert expire(message.deadline) == [C]


@scene
def only_waiting_ones_expire_the_oldest_first(store: Store) -> None:
    made = [queued(store, AT + n * SECOND, deadline=AT + HOUR - n * SECOND) for n in range(4)]
    tamper(store, "UPDATE dispatch SET final_try = TRUE")
    tamper(store, "UPDATE dispatch SET state = 'unknown' WHERE id = 2")
    tamper(store, "UPDATE dispatch SET state = 'carrying', owner = 'x', lease_until = 0 WHERE id = 3")
    tamper(store, "UPDATE dispatch SET state = 'recalled' WHERE id = 4")
    found = store.do(lambda unit: outbox.expire_due(unit, now=AT + HOUR))
    assert found == [made[1], made[0]]
    assert [state(store, key).value for key in made] == ["expired", "expired", "carrying", "recalled"]


@scene
def alarms_once_per_lane_and_open_dispatch(store: Store) -> None:
    keys = [queued(store, AT, lane=lane) for lane in (1, 2, 3)]
    settled = queued(store, AT, lane=1)
    settle(store, settled, AT)
    carried, waits = queued(store, AT, lane=1), queued(store, AT, lane=1)
    tamper(store, "UPDATE dispatch SET state = 'carrying' WHERE id = 5")
    tamper(store, "UPDATE dispatch SET state = 'unknown' WHERE id = 6")
    ask_: Callable[[timedelta], list[tuple[Key, int]]] = lambda after: sorted(  # noqa: E731
        ((key, int(lane)) for key, lane in store.do(lambda unit: outbox.alarms_due(unit, now=AT + after))),
        key=lambda found: [keys[0], carried, waits, keys[1], keys[2]].index(found[0]),
    )
    assert ask_(2 * MINUTE - SECOND) == []
    assert ask_(2 * MINUTE) == [(keys[0], 1), (carried, 1), (waits, 1)]
    assert ask_(3 * MINUTE) == []
    assert ask_(15 * MINUTE) == [(keys[1], 2)]
    assert ask_(4 * HOUR) == [(keys[2], 3)]
    assert ask_(9 * HOUR) == []
