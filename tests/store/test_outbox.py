"""Dispatches in the store: claims, leases, fences, settlement, circuits (exchange.md 6)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from tests.store.conftest import ACCEPTANCE, REJECTION, count, new_message, new_receipt
from transport.dispatch import Answer, Ended, Key, State, Transition, decide
from transport.errors import TransportError
from transport.store import effects, outbox
from transport.store.circuit import circuit
from transport.store.claims import heal_clock
from transport.store.outlist import dispatch_for, receipts_of
from transport.store.store import Conflict, Store, Unit
from transport.store.values import AttemptEnd, Claim, NewMessage, RowFilter

MINUTE = timedelta(minutes=1)


def submit(store: Store, message: NewMessage, *recipients: str) -> tuple[int, ...]:
    """Submit with one leaf ``sent`` per recipient."""

    def unit(unit: Unit) -> tuple[int, ...]:
        tickets = [unit.append(f"sent {message.message_id} {name}".encode()) for name in recipients]
        return outbox.submit(unit, message, recipients, tickets)

    return store.do(unit)


def claim(store: Store, now: datetime, owner: str = "worker", limit: int = 1) -> list[Claim]:
    return store.do(lambda unit: outbox.claim_due(unit, now=now, owner=owner, limit=limit))


def high(low: float, high: float) -> float:
    return high


def after(claimed: Claim, answer: Answer, problem: str | None = None, retry_after: float | None = None) -> Transition:
    ended = Ended(answer, claimed.lane, claimed.failures, claimed.exposed, False, problem, retry_after)
    return decide(ended, high)


def end(store: Store, claimed: Claim, transition: Transition, now: datetime) -> bool:
    return store.do(lambda unit: outbox.outcome(unit, claimed, transition, now=now, end=AttemptEnd("problem")))


def settle(store: Store, key: Key, now: datetime, state: State = State.DELIVERED) -> bool:
    event = ACCEPTANCE if state is State.DELIVERED else REJECTION
    receipt = new_receipt(key, now, event=event)

    def unit(unit: Unit) -> bool:
        ticket = unit.append(receipt.data)
        settled = outbox.settle(unit, key, state=state, receipt=receipt, ticket=ticket, now=now)
        if not settled.first:
            raise LookupError("settled before")
        return True

    try:
        return store.do(unit)
    except LookupError:
        return False


def state_of(store: Store, key: Key) -> State:
    view = store.read(lambda connection: dispatch_for(connection, key))
    assert view is not None
    return view.state


def test_a_submitted_message_has_one_queued_dispatch_per_recipient_with_its_leaf(store: Store, at: datetime) -> None:
    message = new_message(at)
    submit(store, message, "H99.02", "H99.03")
    claims = claim(store, at, limit=5)
    assert [one.key.recipient for one in claims] == ["H99.02", "H99.03"]
    assert [one.sent.index for one in claims if one.sent] == [0, 1]
    assert len({one.trace for one in claims}) == 1


def test_the_same_message_id_cannot_be_submitted_twice(store: Store, at: datetime) -> None:
    message = new_message(at)
    submit(store, message, "H99.02")
    with pytest.raises(Conflict) as error:
        submit(store, message, "H99.03")
    assert error.value.table == "message"
    assert count(store, "SELECT count(*) FROM dispatch") == 1
    assert count(store, "SELECT count(*) FROM ledger_leaf") == 1


def test_a_claimed_dispatch_is_nobody_elses_until_its_lease_has_lapsed(store: Store, at: datetime) -> None:
    submit(store, new_message(at), "H99.02")
    (first,) = claim(store, at, "one")
    assert claim(store, at + timedelta(seconds=29), "two") == []
    (second,) = claim(store, at + timedelta(seconds=31), "two")
    assert (second.attempt, second.exposed, second.came_from) == (2, True, State.CARRYING)
    assert not end(store, first, after(first, Answer.UNREACHABLE), at + MINUTE)
    assert not store.do(lambda unit: outbox.renew(unit, first, now=at + MINUTE))
    log = store.read(lambda connection: outbox.attempts(connection, first.dispatch_id))
    assert [(one.n, one.outcome) for one in log] == [(1, "lease-lost"), (2, None)]


def test_a_renewed_lease_holds_on(store: Store, at: datetime) -> None:
    submit(store, new_message(at), "H99.02")
    (first,) = claim(store, at)
    later = at + timedelta(seconds=20)
    assert store.do(lambda unit: outbox.renew(unit, first, now=later))
    assert claim(store, at + timedelta(seconds=40), "two") == []


def test_a_setback_waits_for_its_pause_and_is_claimed_again(store: Store, at: datetime) -> None:
    submit(store, new_message(at), "H99.02")
    (first,) = claim(store, at)
    assert end(store, first, after(first, Answer.PROBLEM, "storage-low"), at)
    assert claim(store, at + timedelta(seconds=4)) == []
    (second,) = claim(store, at + timedelta(seconds=5))
    assert (second.attempt, second.failures, second.exposed) == (2, 2, False)


def test_no_proof_leaves_the_dispatch_unknown_and_exposed_for_ever(store: Store, at: datetime) -> None:
    submit(store, new_message(at), "H99.02")
    (first,) = claim(store, at)
    end(store, first, after(first, Answer.NOTHING), at)
    assert state_of(store, first.key) is State.UNKNOWN
    (second,) = claim(store, at + MINUTE)
    end(store, second, after(second, Answer.UNREACHABLE), at + MINUTE)
    assert state_of(store, first.key) is State.UNKNOWN


def test_a_final_problem_refuses_and_a_receipt_that_comes_late_still_wins_once(store: Store, at: datetime) -> None:
    submit(store, new_message(at), "H99.02")
    (first,) = claim(store, at)
    end(store, first, after(first, Answer.PROBLEM, "unknown-recipient"), at)
    assert state_of(store, first.key) is State.REFUSED
    assert settle(store, first.key, at + MINUTE)
    assert state_of(store, first.key) is State.DELIVERED
    assert not settle(store, first.key, at + MINUTE, State.REFUSED)
    assert count(store, "SELECT count(*) FROM receipt") == 1
    assert count(store, "SELECT count(*) FROM ledger_leaf") == 2


def test_a_receipt_settles_whoever_brings_it_and_its_facts_are_shown(store: Store, at: datetime) -> None:
    message = new_message(at)
    submit(store, message, "H99.02")
    key = Key("H99.01", "H99.02", message.message_id)
    (first,) = claim(store, at)
    assert settle(store, key, at + MINUTE)
    assert not end(store, first, after(first, Answer.NOTHING), at + MINUTE)
    (view,) = store.read(lambda connection: outbox.dispatches(connection, message.message_id))
    assert (view.state, view.sent_at, view.settled_at) == (State.DELIVERED, at + MINUTE, at + MINUTE)
    assert view.receipt is not None
    assert view.receipt.ledger is not None
    assert view.receipt.ledger.index == 1
    assert store.read(lambda connection: receipts_of(connection, message.message_id)) == (view.receipt,)
    assert claim(store, at + timedelta(days=1)) == []


def test_a_refusal_by_receipt_is_final(store: Store, at: datetime) -> None:
    message = new_message(at)
    submit(store, message, "H99.02")
    key = Key("H99.01", "H99.02", message.message_id)
    assert settle(store, key, at, State.REFUSED)
    assert not settle(store, key, at, State.DELIVERED)
    assert state_of(store, key) is State.REFUSED


def test_after_the_deadline_there_is_exactly_one_more_attempt(store: Store, at: datetime) -> None:
    message = new_message(at)
    submit(store, message, "H99.02")
    late = message.deadline + timedelta(seconds=1)
    assert store.do(lambda unit: outbox.expire_due(unit, now=late)) == []
    (last,) = claim(store, late)
    end(store, last, after(last, Answer.UNREACHABLE), late)
    assert claim(store, late + timedelta(hours=2)) == []
    assert store.do(lambda unit: outbox.expire_due(unit, now=late)) == [last.key]
    assert state_of(store, last.key) is State.EXPIRED
    assert settle(store, last.key, late + MINUTE)


def test_the_next_attempt_never_lies_beyond_the_deadline(store: Store, at: datetime) -> None:
    message = new_message(at)
    submit(store, message, "H99.02")
    (first,) = claim(store, at)
    end(store, first, after(first, Answer.PROBLEM, "storage-low", retry_after=10**7), at)
    (view,) = store.read(lambda connection: outbox.dispatches(connection, message.message_id))
    assert view.next_at == message.deadline


def test_an_open_circuit_lets_a_dispatch_expire_without_the_attempt(store: Store, at: datetime) -> None:
    message = new_message(at)
    submit(store, message, "H99.02")
    late = message.deadline + timedelta(seconds=31)
    (first,) = claim(store, at)
    end(store, first, after(first, Answer.PROBLEM, "overloaded", retry_after=10**7), at)
    assert claim(store, late) == []
    assert store.do(lambda unit: outbox.expire_due(unit, now=late)) == [first.key]


def test_flash_overtakes_and_keeps_one_slot_of_each_partner(store: Store, at: datetime) -> None:
    for number in range(6):
        submit(store, new_message(at + number * timedelta(milliseconds=1), lane=3), "H99.02")
    ordinary = claim(store, at + MINUTE, limit=10)
    assert [one.lane for one in ordinary] == [3, 3, 3]
    submit(store, new_message(at, lane=1), "H99.02")
    assert [one.lane for one in claim(store, at + MINUTE, limit=10)] == [1]
    submit(store, new_message(at, lane=1), "H99.02")
    assert claim(store, at + MINUTE, limit=10) == []


def test_within_a_partner_the_lane_decides_then_the_time_and_old_ordinary_letters_age(
    store: Store, at: datetime
) -> None:
    now = at + timedelta(minutes=20)
    for lane, sent in ((3, now), (2, now - MINUTE), (3, at), (1, now)):
        submit(store, new_message(sent, lane=lane), "H99.02")
    order: list[tuple[int, datetime]] = []
    for _ in range(4):
        (one,) = claim(store, now)
        order.append((one.lane, one.submitted_at))
        settle(store, one.key, now)
    assert order == [(1, now), (3, at), (2, now - MINUTE), (3, now)]


def test_the_partner_served_longest_ago_comes_first(store: Store, at: datetime) -> None:
    for name in ("H99.02", "H99.03", "H99.02", "H99.03"):
        submit(store, new_message(at), name)
    assert [one.key.recipient for one in claim(store, at, limit=4)] == ["H99.02", "H99.03", "H99.02", "H99.03"]


def fail_until_open(store: Store, now: datetime) -> datetime:
    """Let five attempts fail before the first byte; the circuit is open then."""
    for _ in range(5):
        (one,) = claim(store, now)
        end(store, one, after(one, Answer.UNREACHABLE), now)
        now += timedelta(minutes=20)
    return now - timedelta(minutes=20)


def test_five_failures_open_the_circuit_and_it_costs_no_attempt(store: Store, at: datetime) -> None:
    submit(store, new_message(at), "H99.02")
    submit(store, new_message(at), "H99.02")
    opened = fail_until_open(store, at)
    state = store.read(lambda connection: circuit(connection, "H99.02"))
    assert (state.closed, state.open_until) == (False, opened + timedelta(seconds=30))
    assert claim(store, opened + timedelta(seconds=29)) == []


def test_a_half_open_circuit_sends_one_dispatch_and_an_answer_closes_it_with_cap_one(
    store: Store, at: datetime
) -> None:
    for size in (900, 100, 500, 700):
        submit(store, new_message(at, size=size), "H99.02")
    opened = fail_until_open(store, at)
    now = opened + timedelta(hours=2)
    claims = claim(store, now, limit=5)
    assert [one.size for one in claims] == [100]
    settle(store, claims[0].key, now)
    assert store.read(lambda connection: circuit(connection, "H99.02")).cap == 1
    (one,) = claim(store, now, limit=5)
    settle(store, one.key, now)
    assert store.read(lambda connection: circuit(connection, "H99.02")).cap == 2


def test_a_failure_in_half_open_opens_it_for_twice_as_long(store: Store, at: datetime) -> None:
    submit(store, new_message(at), "H99.02")
    now = fail_until_open(store, at) + timedelta(hours=1)
    (one,) = claim(store, now)
    end(store, one, after(one, Answer.UNREACHABLE), now)
    assert store.read(lambda connection: circuit(connection, "H99.02")).open_until == now + MINUTE


def test_a_clock_set_back_by_a_day_keeps_nothing_waiting(store: Store, at: datetime) -> None:
    submit(store, new_message(at), "H99.02")
    (first,) = claim(store, at)
    end(store, first, after(first, Answer.UNREACHABLE), at)
    (again,) = claim(store, at - timedelta(days=1))
    assert again.attempt == 2
    assert claim(store, at - timedelta(days=2)) != []


def test_clocks_of_two_processes_a_little_apart_do_not_steal_a_lease(store: Store, at: datetime) -> None:
    submit(store, new_message(at), "H99.02")
    assert claim(store, at + timedelta(seconds=1), "one") != []
    assert claim(store, at, "two") == []


def test_alarms_come_once_per_dispatch_after_the_time_of_its_lane(store: Store, at: datetime) -> None:
    for lane in (1, 2, 3):
        submit(store, new_message(at, lane=lane), "H99.02")
    ask: Callable[[timedelta], list[int]] = lambda after: sorted(  # noqa: E731
        int(lane) for _, lane in store.do(lambda unit: outbox.alarms_due(unit, now=at + after))
    )
    assert [ask(MINUTE * n) for n in (1, 2, 3, 20, 239, 240, 600)] == [[], [1], [], [2], [], [3], []]


def test_a_document_shows_the_worst_state_of_its_dispatches(store: Store, at: datetime) -> None:
    message = new_message(at)
    submit(store, message, "H99.02", "H99.03", "H99.04")
    shown = []
    for recipient, state in (("H99.02", State.DELIVERED), ("H99.03", State.REFUSED), ("H99.04", State.DELIVERED)):
        settle(store, Key("H99.01", recipient, message.message_id), at, state)
        page = store.read(lambda connection: outbox.rows(connection, RowFilter()))
        shown.append(page.rows[0].state)
    assert shown == ["queued", "refused", "refused"]


def test_the_list_pages_by_key_through_every_document_once_even_while_others_come(store: Store, at: datetime) -> None:
    ids = []
    for number in range(23):
        message = new_message(at + timedelta(seconds=number % 7), priority=number % 3, subject=f"Việc {number}")
        submit(store, message, "H99.02")
        ids.append(message.message_id)
    seen: list[str] = []
    cursor: str | None = None
    for _ in range(10):
        page = store.read(lambda connection, c=cursor: outbox.rows(connection, RowFilter(limit=5, after=c)))  # type: ignore[misc]
        seen += [row.message_id for row in page.rows]
        submit(store, new_message(at + timedelta(days=1), priority=4), "H99.02")
        cursor = page.next
        if cursor is None:
            break
    assert sorted(seen) == sorted(ids)
    assert page.counts["queued"] >= 23


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (RowFilter(search="TRIỆU TẬP"), [1]),
        (RowFilter(search="121/sma"), [1]),
        (RowFilter(state="delivered"), [0]),
        (RowFilter(state="nonsense"), []),
        (RowFilter(agency="H99.03"), [1]),
        (RowFilter(search="%"), []),
    ],
)
def test_the_list_is_filtered(store: Store, at: datetime, asked: RowFilter, found: list[int]) -> None:
    messages = [new_message(at), new_message(at, number="121", subject="Giấy triệu tập")]
    submit(store, messages[0], "H99.02")
    submit(store, messages[1], "H99.03")
    settle(store, Key("H99.01", "H99.02", messages[0].message_id), at)
    page = store.read(lambda connection: outbox.rows(connection, asked))
    assert [row.message_id for row in page.rows] == [messages[n].message_id for n in found]


def test_a_document_is_found_by_id_number_and_beginning_of_its_message_id(store: Store, at: datetime) -> None:
    message = new_message(at, date=at.date(), source_sha256="5" * 64)
    submit(store, message, "H99.02")
    for ref in (message.document_id, "120/SMA-VP", "120/SMA-VP@2026", f"msg:{message.message_id[:8]}"):
        found = store.read(lambda connection, r=ref: outbox.find(connection, r, year=2026))  # type: ignore[misc]
        assert found.message_id == message.message_id
    by_source = store.read(lambda connection: outbox.by_source(connection, "5" * 64))
    assert by_source is not None
    assert by_source.message_id == message.message_id
    with pytest.raises(Exception, match="no such document"):
        store.read(lambda connection: outbox.find(connection, "120/SMA-VP@2025", year=2026))
    submit(store, new_message(at, date=at.date()), "H99.02")
    with pytest.raises(Exception, match="several documents"):
        store.read(lambda connection: outbox.find(connection, "120/SMA-VP", year=2026))


def test_the_late_answer_of_a_workers_own_lapsed_attempt_changes_nothing(store: Store, at: datetime) -> None:
    """The attempt's number is the fence, not only the worker's token."""
    submit(store, new_message(at), "H99.02")
    (first,) = claim(store, at, "one")
    (second,) = claim(store, at + MINUTE, "one")
    assert second.attempt == first.attempt + 1
    assert not end(store, first, after(first, Answer.UNREACHABLE), at + MINUTE)
    assert not store.do(lambda unit: outbox.renew(unit, first, now=at + MINUTE))
    assert state_of(store, first.key) is State.CARRYING


def test_an_attempt_keeps_the_end_it_had_when_a_receipt_comes_late(store: Store, at: datetime) -> None:
    submit(store, new_message(at), "H99.02")
    (first,) = claim(store, at)
    end(store, first, after(first, Answer.NOTHING), at)
    assert settle(store, first.key, at + MINUTE)
    (attempt,) = store.read(lambda connection: outbox.attempts(connection, first.dispatch_id))
    assert (attempt.outcome, attempt.ended_at) == ("problem", at)


def test_sent_is_when_the_last_byte_arrived_there_not_when_we_heard_of_it(store: Store, at: datetime) -> None:
    """R8: the sender's time of sending is ReceivedAt of the receipt."""
    message = new_message(at)
    submit(store, message, "H99.02")
    key = Key("H99.01", "H99.02", message.message_id)
    receipt = new_receipt(key, at + timedelta(seconds=2))

    def unit(unit: Unit) -> None:
        ticket = unit.append(receipt.data)
        outbox.settle(unit, key, state=State.DELIVERED, receipt=receipt, ticket=ticket, now=at + MINUTE)

    store.do(unit)
    view = store.read(lambda connection: dispatch_for(connection, key))
    assert view is not None
    assert (view.sent_at, view.settled_at) == (at + timedelta(seconds=2), at + MINUTE)


def test_successes_never_raise_a_partners_slots_above_four(store: Store, at: datetime) -> None:
    for _ in range(6):
        submit(store, new_message(at), "H99.02")
        (one,) = claim(store, at)
        settle(store, one.key, at)
    assert store.read(lambda connection: circuit(connection, "H99.02")).cap == 4


def test_a_receipt_for_a_dispatch_that_does_not_exist_is_an_error(store: Store, at: datetime) -> None:
    with pytest.raises(TransportError, match="no such dispatch"):
        settle(store, Key("H99.01", "H99.02", "none"), at)
    assert count(store, "SELECT count(*) FROM ledger_leaf") == 0


def test_what_was_queued_and_called_for_while_the_clock_was_ahead_is_due_once_it_is_right(
    store: Store, at: datetime
) -> None:
    """exchange.md 6, wake-up and clock: further ahead than its maximum counts as due (F11)."""
    ahead = at + timedelta(days=1)
    store.do(lambda unit: outbox.submit(unit, new_message(ahead), ("H99.02",)))
    store.do(lambda unit: effects.add(unit, cause="c", kind="check", facts={}, now=ahead))
    assert store.do(lambda unit: outbox.claim_due(unit, now=at, owner="w")) == []
    assert store.do(lambda unit: heal_clock(unit, at)) == 2
    assert store.do(lambda unit: heal_clock(unit, at)) == 0
    assert len(store.do(lambda unit: outbox.claim_due(unit, now=at, owner="w"))) == 1
    assert store.do(lambda unit: effects.claim(unit, now=at, owner="w"))
