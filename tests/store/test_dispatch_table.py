"""The table of a dispatch: any sequence of events keeps to it (exchange.md 6)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transport.dispatch import (
    BACKOFF_CAP,
    CLASS_OF_PROBLEM,
    FINAL,
    TRANSITIONS,
    Answer,
    Class,
    Ended,
    Event,
    Lane,
    NotAllowed,
    Situation,
    State,
    apply,
    backoff,
    circuit_pause,
    deadline_for,
    decide,
    lane_of,
)

EVENTS = st.sampled_from(list(Event))


def walk(events: list[Event]) -> list[tuple[Situation, Event, Situation]]:
    """Feed events to a dispatch, leaving out those the table forbids."""
    situation = apply(Situation(None), Event.SUBMIT)
    steps = []
    for event in events:
        try:
            after = apply(situation, event)
        except NotAllowed:
            continue
        steps.append((situation, event, after))
        situation = after
    return steps


@given(st.lists(EVENTS, max_size=60))
def test_only_a_receipt_or_a_final_problem_ends_a_dispatch_as_delivered_or_refused(events: list[Event]) -> None:
    for _, event, after in walk(events):
        if after.state is State.DELIVERED:
            assert event is Event.ACCEPTANCE
        if after.state is State.REFUSED:
            assert event in (Event.REJECTION, Event.FINAL_PROBLEM)


@given(st.lists(EVENTS, max_size=60))
def test_delivered_and_refused_by_receipt_are_never_left(events: list[Event]) -> None:
    for before, _, after in walk(events):
        assert before.state is not State.DELIVERED
        assert not (before.state is State.REFUSED and before.by_receipt)
        assert after.state is not None


@given(st.lists(EVENTS, max_size=60))
def test_a_dispatch_that_was_exposed_stays_exposed_and_is_never_simply_queued_again_by_a_setback(
    events: list[Event],
) -> None:
    for before, event, after in walk(events):
        assert after.exposed or not before.exposed
        if event is Event.SETBACK and before.exposed:
            assert after.state is State.UNKNOWN


@given(st.lists(EVENTS, max_size=60))
def test_what_was_exposed_is_recalled_only_after_the_recipient_twice_knew_nothing(events: list[Event]) -> None:
    for before, event, after in walk(events):
        if after.state is State.RECALLED:
            assert event is Event.GONE if before.exposed else event in (Event.TAKE_BACK, Event.GONE)


@given(st.lists(EVENTS, max_size=60))
def test_every_step_is_a_row_of_the_table(events: list[Event]) -> None:
    rows = {(source, move.event, move.to) for move in TRANSITIONS for source in move.sources}
    for before, event, after in walk(events):
        assert (before.state, event, after.state) in rows or (before.state, event, None) in rows


def test_a_claim_of_a_lapsed_lease_counts_as_exposed() -> None:
    """Nobody knows how far the worker came that held the lease."""
    assert apply(Situation(State.CARRYING), Event.CLAIM).exposed
    assert not apply(Situation(State.QUEUED), Event.CLAIM).exposed


@pytest.mark.parametrize("state", sorted(FINAL))
def test_no_final_state_can_be_claimed(state: State) -> None:
    with pytest.raises(NotAllowed):
        apply(Situation(state), Event.CLAIM)


@pytest.mark.parametrize("by_receipt", [False, True])
def test_a_refusal_is_requeued_only_if_a_problem_made_it(by_receipt: bool) -> None:
    situation = Situation(State.REFUSED, by_receipt=by_receipt)
    if by_receipt:
        with pytest.raises(NotAllowed):
            apply(situation, Event.REQUEUE)
    else:
        assert apply(situation, Event.REQUEUE).state is State.QUEUED


@given(
    st.sampled_from(list(Answer)),
    st.sampled_from([*CLASS_OF_PROBLEM, "never-registered", None]),
    st.booleans(),
    st.booleans(),
    st.none() | st.floats(0, 10**6),
    st.integers(1, 100),
    st.sampled_from(list(Lane)),
)
def test_what_follows_from_an_answer_is_proof_only(
    answer: Answer,
    problem: str | None,
    before: bool,
    exposed: bool,
    retry_after: float | None,
    failures: int,
    lane: Lane,
) -> None:
    """I10: final only by a receipt or a registered F problem; and never sooner than Retry-After."""
    ended = Ended(answer, lane, failures, before, exposed, problem if answer is Answer.PROBLEM else None, retry_after)
    result = decide(ended, lambda low, high: low)
    final_problem = answer is Answer.PROBLEM and CLASS_OF_PROBLEM.get(problem or "") is Class.FINAL
    assert (result.to in FINAL) == (answer in (Answer.ACCEPTANCE, Answer.REJECTION) or final_problem)
    assert (result.pause is None) == (result.to in FINAL)
    if result.pause is not None:
        assert result.pause >= timedelta(seconds=retry_after or 0)
    if before:
        assert result.exposed
        assert result.to is not State.QUEUED


def test_a_proxy_page_after_the_first_byte_leaves_the_dispatch_unknown() -> None:
    result = decide(Ended(Answer.NOTHING, Lane.ORDINARY, 1, False, exposed=True), lambda low, high: high)
    assert (result.to, result.exposed) == (State.UNKNOWN, True)


def test_a_refused_connection_keeps_the_dispatch_queued_and_counts_for_the_circuit() -> None:
    result = decide(Ended(Answer.UNREACHABLE, Lane.FLASH, 1, False), lambda low, high: high)
    assert (result.to, result.pause, result.transport_failure) == (State.QUEUED, timedelta(seconds=5), True)


def test_wrong_credentials_are_retried_slowly_and_alarm() -> None:
    result = decide(Ended(Answer.PROBLEM, Lane.FLASH, 1, False, True, "forbidden"), lambda low, high: high)
    assert (result.to, result.pause, result.alarm) == (State.QUEUED, timedelta(minutes=5), True)


def test_a_503_with_retry_after_opens_the_circuit() -> None:
    result = decide(Ended(Answer.PROBLEM, Lane.URGENT, 1, False, False, "overloaded", 40.0), lambda low, high: low)
    assert result.opens_circuit == timedelta(seconds=40)
    assert not result.answered


@given(st.sampled_from(list(Lane)), st.integers(1, 10_000), st.floats(0, 1))
def test_the_pause_lies_between_half_and_the_whole_and_below_the_cap(lane: Lane, n: int, share: float) -> None:
    pause = backoff(lane, n, lambda low, high: low + (high - low) * share)
    whole = min(BACKOFF_CAP[lane], timedelta(seconds=5) * 2 ** min(n - 1, 20))
    assert whole / 2 <= pause <= whole


def test_the_circuit_doubles_to_ten_minutes_and_stays_short_while_flash_waits() -> None:
    pause, seen = timedelta(0), []
    for _ in range(7):
        pause = circuit_pause(pause, flash_waits=False)
        seen.append(pause.total_seconds())
    assert seen == [30, 60, 120, 240, 480, 600, 600]
    assert circuit_pause(timedelta(minutes=8), flash_waits=True) == timedelta(seconds=60)


@pytest.mark.parametrize(
    ("kind", "priority", "code", "document", "lane"),
    [
        ("edoc", 0, None, None, 3),
        ("edoc", 1, None, None, 2),
        ("edoc", 2, None, None, 2),
        ("edoc", 3, None, None, 1),
        ("edoc", 4, None, None, 1),
        ("status", 0, "13", 3, 2),
        ("status", 0, "03", 1, 1),
        ("status", 0, "01", None, 3),
    ],
)
def test_lanes_follow_urgency(kind: str, priority: int, code: str | None, document: int | None, lane: int) -> None:
    assert lane_of(kind, priority, code, document) == lane


def test_deadlines_are_72_hours_and_seven_days() -> None:
    start = datetime(2026, 11, 20, tzinfo=UTC)
    assert deadline_for("edoc", start) - start == timedelta(hours=72)
    assert deadline_for("status", start) - start == timedelta(days=7)
