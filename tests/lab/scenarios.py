"""Short scenes of a store that must notice a changed statement: stale leases, two workers, doubles, acts, ends (F10).

Each scene gets a fresh store and holds it to what exchange.md 6 and 7 say, column by column where a row is made. They
are run as they are, and must hold; then with one mutant in place of its statement, and one of them must not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from tests.store.conftest import ACCEPTANCE, REJECTION, new_arrival, new_message, new_receipt
from transport.dispatch import TAKE_BACK_APART, Answer, Ended, Key, NotAllowed, State, Transition, decide
from transport.errors import Refused
from transport.store import circuit, claims, effects, feed, inbox, outbox, registers, statuses, takeback
from transport.store.outlist import dispatch_for
from transport.store.store import Conflict, Store, Unit
from transport.store.takeback import Act
from transport.store.values import (
    AttemptEnd,
    Claim,
    EffectClaim,
    NewMessage,
    NewReceipt,
    NewStatus,
    RefusedFacts,
    Settled,
)

A, B, C = "H99.01", "H99.02", "H99.03"
AT = datetime(2026, 11, 20, 2, 30, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
ACT = Act("Lê Văn Mẫu", "sent-by-mistake", "nhầm")
Scene = Callable[[Store], None]
SCENES: list[Scene] = []


def scene(function: Scene) -> Scene:
    """Enter a scene."""
    SCENES.append(function)
    return function


# --- what the scenes are made of -------------------------------------------------------------------------------------


def ms(at: datetime) -> int:
    """Whole milliseconds since 1970."""
    return round(at.timestamp() * 1000)


def submit(store: Store, message: NewMessage, *recipients: str) -> tuple[int, ...]:
    """Submit with one leaf per recipient."""

    def work(unit: Unit) -> tuple[int, ...]:
        tickets = [unit.append(f"sent {message.message_id} {name}".encode()) for name in recipients]
        return outbox.submit(unit, message, recipients, tickets)

    return store.do(work)


def queued(store: Store, at: datetime = AT, to: str = B, **facts: object) -> Key:
    """Queue a letter."""
    message = new_message(at, **facts)
    submit(store, message, to)
    return Key(message.sender, to, message.message_id)


def claim(store: Store, at: datetime, owner: str = "one", limit: int = 1) -> list[Claim]:
    """Claim what is due."""
    return store.do(lambda unit: outbox.claim_due(unit, now=at, owner=owner, limit=limit))


def one(store: Store, at: datetime, owner: str = "one") -> Claim:
    """Claim exactly one."""
    (found,) = claim(store, at, owner)
    return found


def transition(claimed: Claim, answer: Answer, problem: str | None = None, wait: float | None = None) -> Transition:
    """Say what follows from an answer."""
    ended = Ended(answer, claimed.lane, claimed.failures, claimed.exposed, False, problem, wait)
    return decide(ended, lambda low, high: high)


def end(
    store: Store, claimed: Claim, at: datetime, answer: Answer = Answer.NOTHING, problem: str | None = None
) -> bool:
    """End an attempt without a receipt."""
    facts = AttemptEnd("ended", 503, problem, b"bytes", "192.0.2.1:443")
    return store.do(lambda unit: outbox.outcome(unit, claimed, transition(claimed, answer, problem), now=at, end=facts))


def settle(store: Store, key: Key, at: datetime, state: State = State.DELIVERED) -> Settled:
    """Bring a receipt; one that changes nothing writes nothing."""
    receipt = new_receipt(key, at - SECOND, event=ACCEPTANCE if state is State.DELIVERED else REJECTION)
    return bring(store, receipt, at, state)


def bring(store: Store, receipt: NewReceipt, at: datetime, state: State = State.DELIVERED) -> Settled:
    """Apply a receipt with its leaf."""

    def work(unit: Unit) -> Settled:
        ticket = unit.append(receipt.data)
        return outbox.settle(unit, receipt.key, state=state, receipt=receipt, ticket=ticket, now=at)

    return store.do(work)


def ask(store: Store, question: str, *values: object) -> list[tuple[object, ...]]:
    """Read rows past the program's own questions."""
    return store.read(lambda connection: [tuple(row) for row in connection.exec_driver_sql(question, values)])


def row(store: Store, table: str, where: str = "1 = 1", *values: object) -> dict[str, object]:
    """Return the one row of a table that fits, by column name."""

    def read(connection: object) -> list[dict[str, object]]:
        found = connection.exec_driver_sql(f"SELECT * FROM {table} WHERE {where}", values)  # type: ignore[attr-defined]
        return [dict(one) for one in found.mappings()]

    (found,) = store.read(read)
    return found


def rows(store: Store, table: str) -> list[dict[str, object]]:
    """Return all rows of a table in the order of their numbers."""
    return store.read(
        lambda connection: [
            dict(one) for one in connection.exec_driver_sql(f"SELECT * FROM {table} ORDER BY 1").mappings()
        ]
    )


def tamper(store: Store, statement: str, *values: object) -> None:
    """Change rows behind the program's back."""
    store.do(lambda unit: unit.connection.exec_driver_sql(statement, values) and None)


def has(found: dict[str, object], **wanted: object) -> None:
    """Hold a row to values by column."""
    got = {name: bool(found[name]) if isinstance(value, bool) else found[name] for name, value in wanted.items()}
    assert got == wanted, f"{got} instead of {wanted}"


def state(store: Store, key: Key) -> State:
    """State of a dispatch."""
    found = store.read(lambda connection: dispatch_for(connection, key))
    assert found is not None
    return found.state


def refused(function: Callable[[], object], kind: type[Exception] = NotAllowed) -> None:
    """See that something is not allowed."""
    try:
        function()
    except kind:
        return
    raise AssertionError("it was allowed")


def unchanged(store: Store, *tables: str) -> Callable[[], None]:
    """Remember tables; the answer checks that they are what they were."""
    before = {name: rows(store, name) for name in tables}

    def check() -> None:
        for name, found in before.items():
            assert rows(store, name) == found, name

    return check


# --- submit ----------------------------------------------------------------------------------------------------------


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


# --- claim, lease, fence ---------------------------------------------------------------------------------------------


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


# --- clocks ----------------------------------------------------------------------------------------------------------


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


# --- circuits --------------------------------------------------------------------------------------------------------


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


# --- settle ----------------------------------------------------------------------------------------------------------


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


# --- acts of people, pull --------------------------------------------------------------------------------------------


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


# --- inbox -----------------------------------------------------------------------------------------------------------


def arrive(store: Store, key: Key, **facts: object) -> tuple[int, NewReceipt]:
    """Accept a message."""
    receipt = new_receipt(key, AT, direction="out")
    arrival = new_arrival(AT, **facts)
    return store.do(lambda unit: inbox.accept(unit, key, arrival, receipt, unit.append(receipt.data))), receipt


@scene
def every_column_of_an_acceptance_and_a_double_meets_it(store: Store) -> None:
    key = Key(A, B, "6f1d2c9a-8f57-4f0e-b0a5-90d3c1b7e2f4")
    facts: dict[str, object] = {
        "kind": "status",
        "sha256": "a" * 64,
        "size": 77,
        "arrived_at": AT + SECOND,
        "lane": 2,
        "date": date(2026, 11, 20),
        "type": "Công văn",
        "priority": 2,
        "attachments": 3,
        "due": date(2026, 11, 25),
        "status_code": "03",
    }
    number, receipt = arrive(store, key, **facts)
    row_of = {
        **facts,
        "arrived_at": ms(AT + SECOND),
        "received_at": ms(AT),
        "date": "2026-11-20",
        "due": "2026-11-25",
        "document_id": "H99.01,2026/11/20,120/SMA-VP",
        "number": "120",
        "notation": "SMA-VP",
        "subject": "Về việc mẫu",
        "sender_name": "Sở Mẫu A",
    }
    where = {"sender": A, "recipient": B, "message_id": key.message_id, "state": "arrived", "receipt": 1}
    has(row(store, "inbox"), id=number, **where, **row_of)
    has(row(store, "blob"), digest="a" * 64, size=77, place="file")
    about = {"direction": "out", "message_sha256": "a" * 64, "message_size": 77, "data": receipt.data, "ticket": 1}
    has(row(store, "receipt"), received_at=ms(AT), issued_at=ms(AT), sha256=receipt.sha256, **about)
    check = unchanged(store, "inbox", "receipt", "ledger_leaf")
    refused(lambda: arrive(store, key), Conflict)
    check()
    others = [Key("H99.09", B, key.message_id), Key(A, C, key.message_id), Key(A, B, "another")]
    for n, other in enumerate(others):
        arrive(store, other, sha256="a" * 64, size=n)
    incoming = new_receipt(key, AT + HOUR)
    tamper(store, "INSERT INTO blob (digest, size, place) VALUES (?, 1, 'file')", "b" * 64)
    facts_ = RefusedFacts("b" * 64, 1, "limits")
    store.do(lambda unit: inbox.refuse(unit, key, incoming, unit.append(b"in"), facts_))
    known = store.read(lambda connection: inbox.known(connection, key))
    assert known is not None
    assert (known.state, known.size, known.sha256, known.receipt.data) == ("accepted", 77, "a" * 64, receipt.data)
    for n, other in enumerate(others):
        found = store.read(lambda connection, other=other: inbox.known(connection, other))  # type: ignore[misc]
        assert found is not None
        assert found.size == n
        view = store.read(lambda connection, other=other: inbox.by_key(connection, other))  # type: ignore[misc]
        assert view is not None
        assert view.key == other
    assert store.read(lambda connection: inbox.known(connection, Key(A, B, "none"))) is None
    view = store.read(lambda connection: inbox.by_id(connection, number))
    assert view is not None
    assert view.key == key


@scene
def a_refusal_is_the_receipt_alone_and_old_codes_are_the_same_agency(store: Store) -> None:
    key = Key(A, B, "6f1d2c9a-8f57-4f0e-b0a5-90d3c1b7e2f4")
    receipt = new_receipt(key, AT, direction="out", event=REJECTION)
    facts = RefusedFacts("b" * 64, 9, "wrong-addressee")
    arrive(store, Key("G99", B, "another"))
    incoming = new_receipt(Key("G09", B, key.message_id), AT)
    store.do(lambda unit: inbox.refuse(unit, incoming.key, incoming, unit.append(b"in"), facts))
    store.do(lambda unit: inbox.refuse(unit, key, receipt, unit.append(b"r"), facts))
    about = {"event": REJECTION, "reason": "wrong-addressee", "message_sha256": "b" * 64, "message_size": 9}
    has(row(store, "receipt", "id = 3"), direction="out", **about)
    assert [one["message_id"] for one in rows(store, "inbox")] == ["another"]
    refused(lambda: arrive(store, key), Conflict)
    arrive(store, Key("G99", B, key.message_id))
    same: Callable[[str, str], bool] = lambda one, other: {one, other} <= {A, "G09", "G99"} or one == other  # noqa: E731
    asked = Key("G09", B, key.message_id)
    known = store.read(lambda connection: inbox.known_to_be(connection, asked, same))
    assert known is not None
    assert (known.key, known.state) == (key, "refused")
    none = Key("G09", B, "third")
    assert store.read(lambda connection: inbox.known_to_be(connection, none, same)) is None
    only_in = Key("H99.08", B, "fourth")
    store.do(lambda unit: inbox.refuse(unit, only_in, new_receipt(only_in, AT), unit.append(b"in"), facts))
    assert store.read(lambda connection: inbox.known_to_be(connection, only_in, same)) is None


@scene
def the_clerks_moves_are_of_one_entry_and_from_its_state(store: Store) -> None:
    first, _ = arrive(store, Key(A, B, "one"), due=date(2026, 11, 25))
    second, _ = arrive(store, Key(A, C, "two"))
    now = AT + MINUTE
    move: Callable[..., None] = lambda number, state, **facts: store.do(  # noqa: E731
        lambda unit: inbox.set_state(unit, number, state, now=now, **facts)
    )
    before = row(store, "inbox", "id = ?", second)
    number = store.do(lambda unit: inbox.accept_document(unit, first, year=2026, now=now, by="van-thu"))
    done = {
        "arrival_year": 2026,
        "arrival_number": 1,
        "accepted_at": ms(now),
        "decided_by": "van-thu",
        "due": "2026-11-25",
    }
    has(row(store, "inbox", "id = ?", first), state="accepted", **done)
    assert number == 1
    assert row(store, "inbox", "id = ?", second) == before
    has(row(store, "register_number"), agency=B, series="den", year=2026, number=1, holder=f"in:{first}", at=ms(now))
    refused(lambda: store.do(lambda unit: inbox.accept_document(unit, first, year=2026, now=now, by="x")), Refused)
    move(first, "recall-asked", by="truong-phong", reason="r", note="n")
    told = {"decided_by": "truong-phong", "reason": "r", "note": "n"}
    has(row(store, "inbox", "id = ?", first), state="recall-asked", earlier_state="accepted", **told)
    refused(lambda: move(first, "finished"), Refused)
    move(first, "accepted")
    has(row(store, "inbox", "id = ?", first), state="accepted", earlier_state=None, **told)
    due = date(2026, 12, 1)
    store.do(lambda unit: inbox.accept_document(unit, second, year=2026, now=now, by="b", due=due))
    has(row(store, "inbox", "id = ?", second), due="2026-12-01", arrival_number=1)
    keep: Callable[[str], bool] = lambda verdict: store.do(  # noqa: E731
        lambda unit: inbox.record_verification(unit, first, verdict=verdict, legal_class="original", verification=b"{}")
    )
    assert (keep("valid"), keep("invalid")) == (True, False)
    has(row(store, "inbox", "id = ?", first), verdict="valid", legal_class="original", verification=b"{}")
    has(row(store, "inbox", "id = ?", second), verdict=None)


@scene
def numbers_without_gaps_by_agency_series_and_year(store: Store) -> None:
    asked = [(A, "di", 2026), (A, "di", 2026), (A, "di", 2027), (A, "qd", 2026), (B, "di", 2026), (A, "di", 2026)]
    assert store.do(lambda unit: [registers.take(unit, *one) for one in asked]) == [1, 2, 1, 1, 1, 3]
    for wanted, last in (((A, "di", 2026), 3), ((A, "di", 2027), 1), ((B, "di", 2026), 1), ((A, "qd", 2026), 1)):
        assert store.read(lambda connection, wanted=wanted: registers.last(connection, *wanted)) == last  # type: ignore[misc]


@scene
def a_status_is_recorded_once_and_shown_at_its_dispatch_alone(store: Store) -> None:
    key = queued(store)
    twin = Key("H99.09", B, key.message_id)
    submit(store, new_message(AT, sender="H99.09", message_id=key.message_id), B, C)
    queued(store, AT)
    now = AT + MINUTE
    told = NewStatus("in", "carrier", "03", AT, "reason", "note", "unit", "person")
    assert store.do(lambda unit: statuses.record(unit, key, told, now=now))
    said = {
        "direction": "in",
        "carrier": "carrier",
        "code": "03",
        "at": ms(AT),
        "reason": "reason",
        "note": "note",
        "unit": "unit",
    }
    where = {"sender": A, "recipient": B, "message_id": key.message_id, "recorded_at": ms(now), "person": "person"}
    has(row(store, "status"), applied=True, **said, **where)
    assert [one["last_status"] for one in rows(store, "dispatch")] == ["03", None, None, None]
    assert not store.do(lambda unit: statuses.record(unit, twin, told, now=now))
    assert [one["last_status"] for one in rows(store, "dispatch")] == ["03", None, None, None]
    older = NewStatus("in", "later", "01", AT)
    assert store.do(lambda unit: statuses.record(unit, key, older, now=now, applied=False))
    has(row(store, "dispatch", "id = 1"), last_status="03")
    store.do(lambda unit: statuses.record(unit, key, NewStatus("in", "third", "04", AT), now=now))
    store.do(lambda unit: statuses.record(unit, key, NewStatus("out", "fourth", "05", AT), now=now))
    store.do(lambda unit: statuses.record(unit, twin, NewStatus("in", "fifth", "06", AT), now=now))
    other = Key("H99.09", C, key.message_id)
    store.do(lambda unit: statuses.record(unit, other, NewStatus("in", "sixth", "02", AT), now=now))
    store.do(lambda unit: statuses.record(unit, Key(A, B, "x"), NewStatus("in", "seventh", "02", AT), now=now))
    assert [one["last_status"] for one in rows(store, "dispatch")] == ["04", "06", "02", None]
    store.do(lambda unit: statuses.record(unit, Key(A, C, key.message_id), NewStatus("in", "ninth", "16", AT), now=now))
    latest = store.read(lambda connection: statuses.latest(connection, key, "in"))
    assert latest is not None
    assert latest.status.code == "04"
    back = NewStatus("in", "eighth", "01", AT)
    store.do(lambda unit: statuses.record(unit, key, back, now=now, applied=False))
    latest = store.read(lambda connection: statuses.latest(connection, key, "in"))
    assert latest is not None
    assert latest.status.code == "04"
    codes = [one.status.code for one in store.read(lambda c: statuses.statuses(c, key.message_id, B))]
    assert codes == ["03", "01", "04", "05", "06", "01"]
    assert len(store.read(lambda c: statuses.statuses(c, key.message_id))) == 8


# --- effects ---------------------------------------------------------------------------------------------------------


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
