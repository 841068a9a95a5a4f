"""One envelope on its way to one office: states, events, transitions, next attempt (exchange.md 6).

Everything a dispatch may do is in ``TRANSITIONS``; what is not there is an error. ``decide`` says what follows from an
event, the store applies it as one compare-and-set statement. Nothing here reads a clock or draws a random number by
itself: both are arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum

from transport.names import Key as Key


class State(StrEnum):
    """States of a dispatch; the last four are final."""

    QUEUED = "queued"
    CARRYING = "carrying"
    UNKNOWN = "unknown"
    DELIVERED = "delivered"
    REFUSED = "refused"
    EXPIRED = "expired"
    RECALLED = "recalled"


FINAL = frozenset({State.DELIVERED, State.REFUSED, State.EXPIRED, State.RECALLED})
"""States no worker leaves by itself; a verified receipt still wins over three of them (T7)."""


class Event(StrEnum):
    """What can happen to a dispatch."""

    SUBMIT = "submit"
    CLAIM = "claim"
    SETBACK = "setback"  # R or S problem, or failure before the first body byte
    NO_PROOF = "no-proof"  # cut, time-out, foreign answer, receipt that does not verify
    FINAL_PROBLEM = "final-problem"
    DEADLINE = "deadline"
    ACCEPTANCE = "acceptance"
    REJECTION = "rejection"
    TAKE_BACK = "take-back"
    GONE = "gone"  # two 404 answers after a take-back request, at least ten minutes apart
    REQUEUE = "requeue"
    HAND_OUT = "hand-out"  # pull: the recipient fetched the content


@dataclass(frozen=True, slots=True)
class Move:
    """A row of the table: its number in exchange.md 6, the states it leaves, and where it leads.

    ``to`` None keeps the state; ``exposed`` limits the row to dispatches whose bytes may (True) or cannot (False) have
    reached the recipient; ``by_problem`` limits it to refusals without receipt, ``recalling`` to dispatches whose
    take-back has been asked for.
    """

    rule: str
    event: Event
    sources: frozenset[State | None]
    to: State | None
    exposed: bool | None = None
    by_problem: bool = False
    recalling: bool = False


def _from(*states: State | None) -> frozenset[State | None]:
    return frozenset(states)


_WAITING = _from(State.QUEUED, State.UNKNOWN)
_OPEN = _from(State.QUEUED, State.CARRYING, State.UNKNOWN)
_NOT_DELIVERED = _from(State.QUEUED, State.CARRYING, State.UNKNOWN, State.EXPIRED, State.RECALLED)

TRANSITIONS: tuple[Move, ...] = (
    Move("T1", Event.SUBMIT, _from(None), State.QUEUED),
    Move("T2", Event.CLAIM, _OPEN, State.CARRYING),
    Move("T3", Event.SETBACK, _from(State.CARRYING), State.QUEUED, exposed=False),
    Move("T3", Event.SETBACK, _from(State.CARRYING), State.UNKNOWN, exposed=True),
    Move("T4", Event.NO_PROOF, _from(State.CARRYING), State.UNKNOWN),
    Move("T5", Event.FINAL_PROBLEM, _from(State.CARRYING), State.REFUSED),
    Move("T6", Event.DEADLINE, _WAITING, State.EXPIRED),
    Move("T7", Event.ACCEPTANCE, _NOT_DELIVERED, State.DELIVERED),
    Move("T7", Event.ACCEPTANCE, _from(State.REFUSED), State.DELIVERED, by_problem=True),
    Move("T7", Event.REJECTION, _NOT_DELIVERED, State.REFUSED),
    Move("T7", Event.REJECTION, _from(State.REFUSED), State.REFUSED, by_problem=True),
    Move("T8", Event.TAKE_BACK, _from(State.QUEUED), State.RECALLED, exposed=False),
    Move("T9", Event.TAKE_BACK, _from(State.QUEUED), None, exposed=True),
    Move("T9", Event.TAKE_BACK, _from(State.CARRYING, State.UNKNOWN), None),
    Move("T9", Event.GONE, _OPEN, State.RECALLED, recalling=True),
    Move("T10", Event.REQUEUE, _from(State.EXPIRED), State.QUEUED),
    Move("T10", Event.REQUEUE, _from(State.REFUSED), State.QUEUED, by_problem=True),
    Move("T11", Event.HAND_OUT, _WAITING, State.UNKNOWN),
)
"""The whole life of a dispatch; what is not here is not allowed."""


class NotAllowed(ValueError):
    """An event met a dispatch in a state the table has no row for."""


@dataclass(frozen=True, slots=True)
class Situation:
    """What the table looks at: the state, whether bytes may have left, and whether a receipt refused it."""

    state: State | None
    exposed: bool = False
    by_receipt: bool = False
    recall_requested: bool = False


def apply(situation: Situation, event: Event) -> Situation:
    """Return the situation after an event.

    Raises:
        NotAllowed: the table has no such row.
    """
    move = find(situation, event)
    state = situation.state if move.to is None else move.to
    fresh = event in (Event.SUBMIT, Event.REQUEUE)
    lapsed = event is Event.CLAIM and situation.state is State.CARRYING  # nobody knows how far its worker came
    return Situation(
        state,
        exposed=situation.exposed or lapsed or event in (Event.NO_PROOF, Event.HAND_OUT),
        by_receipt=event in (Event.ACCEPTANCE, Event.REJECTION),
        recall_requested=not fresh and (situation.recall_requested or move.rule == "T9"),
    )


def find(situation: Situation, event: Event) -> Move:
    """Return the row of the table for an event.

    Raises:
        NotAllowed: there is none.
    """
    for move in TRANSITIONS:
        if move.event is not event or situation.state not in move.sources:
            continue
        if move.exposed is not None and move.exposed is not situation.exposed:
            continue
        if move.by_problem and situation.by_receipt:
            continue
        if move.recalling and not situation.recall_requested:
            continue
        return move
    raise NotAllowed(f"{event} is not allowed in state {situation.state}")


class Lane(IntEnum):
    """How urgent a dispatch is (M7)."""

    FLASH = 1
    URGENT = 2
    ORDINARY = 3


def lane_of(kind: str, priority: int, status_code: str | None = None, document_lane: int | None = None) -> Lane:
    """Return the lane of a message (M7).

    ``document_lane`` is the lane of the document a status message is about; unknown, its priority digit decides.
    """
    if kind == "status":
        if status_code == "13":
            return Lane.URGENT
        if document_lane is not None:
            return Lane(document_lane)
    if priority >= 3:
        return Lane.FLASH
    return Lane.URGENT if priority >= 1 else Lane.ORDINARY


BACKOFF_FIRST = timedelta(seconds=5)
BACKOFF_CAP = {
    Lane.FLASH: timedelta(minutes=5),
    Lane.URGENT: timedelta(minutes=15),
    Lane.ORDINARY: timedelta(hours=1),
}
SLOWLY = timedelta(minutes=5)
"""Least pause after a class S problem: credentials, clock or configuration are at fault."""
DEADLINE = {"edoc": timedelta(hours=72), "status": timedelta(days=7)}
GRACE = timedelta(seconds=30)
"""After the deadline one more attempt may be claimed within this time."""
ALARM = {Lane.FLASH: timedelta(minutes=2), Lane.URGENT: timedelta(minutes=15), Lane.ORDINARY: timedelta(hours=4)}
LEASE = timedelta(seconds=30)
RENEW_EVERY = timedelta(seconds=10)
TAKE_BACK_APART = timedelta(minutes=10)
"""Least time between the two answers "not known" that end a take-back: request signatures are dead by then (T9)."""
CIRCUIT_FAILURES = 5
CIRCUIT_FIRST = timedelta(seconds=30)
CIRCUIT_CAP = timedelta(minutes=10)
CIRCUIT_CAP_FLASH = timedelta(seconds=60)
PARTNER_CAP = 4
"""Requests at once to one partner; one of them is kept for lane 1."""
AGEING = timedelta(minutes=15)
"""Lane 3 rows that have waited longer rank as lane 2."""
ASK_FIRST_BYTES = 1024 * 1024
"""``unknown`` and larger than this: ask (E3) before sending the bytes again."""


def deadline_for(kind: str, submitted_at: datetime) -> datetime:
    """Return when a dispatch expires: by time, never by count; status messages get longer."""
    return submitted_at + DEADLINE[kind]


def backoff(lane: int, n: int, rng: Callable[[float, float], float], retry_after: float | None = None) -> timedelta:
    """Return the pause after the n-th failed attempt (n from 1): ``uniform(d/2, d)``, never below Retry-After seconds.

    ``rng(low, high)`` draws a number of seconds, as ``random.uniform`` does.
    """
    cap = BACKOFF_CAP[Lane(lane)].total_seconds()
    doubled = BACKOFF_FIRST.total_seconds() * 2.0 ** min(max(n, 1) - 1, 30)
    pause = rng(min(cap, doubled) / 2, min(cap, doubled))
    return timedelta(seconds=max(pause, retry_after or 0.0))


def circuit_pause(previous: timedelta, *, flash_waits: bool) -> timedelta:
    """Return how long a circuit stays open: 30 s doubling to 10 minutes, at most 60 s while lane 1 waits."""
    doubled = max(CIRCUIT_FIRST, min(previous * 2, CIRCUIT_CAP))
    return min(doubled, CIRCUIT_CAP_FLASH) if flash_waits else doubled


class Class(StrEnum):
    """What the sender does with a problem: retry, retry slowly and alarm, end it; or nothing (E2, E3 only)."""

    RETRY = "R"
    SLOW = "S"
    FINAL = "F"
    NONE = "-"


CLASS_OF_PROBLEM: dict[str, Class] = {
    "bad-request": Class.SLOW,
    "unsupported-media-type": Class.SLOW,
    "unauthenticated": Class.SLOW,
    "forbidden": Class.SLOW,
    "digest-mismatch": Class.RETRY,
    "timeout": Class.RETRY,
    "unknown-recipient": Class.FINAL,
    "recipient-moved": Class.FINAL,
    "unknown-message": Class.NONE,
    "message-id-conflict": Class.FINAL,
    "too-large": Class.FINAL,
    "in-progress": Class.RETRY,
    "too-many-requests": Class.RETRY,
    "overloaded": Class.RETRY,
    "unavailable": Class.RETRY,
    "storage-low": Class.RETRY,
    "internal": Class.RETRY,
    "trust-unavailable": Class.RETRY,
    "receipt-unavailable": Class.RETRY,
    "clock-disagreement": Class.SLOW,
}
"""Registered problems (exchange.md 3.2); names outside this table end nothing and are retried."""


PENDING_SOON = 10
"""Attempts within which a 202 is asked again at once; a partner that says nothing else is asked with back-off."""


class Answer(StrEnum):
    """How an attempt ended, as the courier sees it."""

    ACCEPTANCE = "acceptance"  # verified RelayAcceptance
    REJECTION = "rejection"  # verified RelayRejection
    PROBLEM = "problem"  # a registered problem
    NOTHING = "nothing"  # foreign answer, cut, time-out, receipt that does not verify
    PENDING = "pending"  # 202: committed there, ask E3 after Retry-After
    UNREACHABLE = "unreachable"  # no connection, or it failed before the first body byte
    REDIRECT = "redirect"  # 3xx, never followed
    ABSENT = "absent"  # E3 said 404 where only asking was allowed (take-back)


@dataclass(frozen=True, slots=True)
class Ended:
    """The facts of an ended attempt. ``exposed``: at least one body byte left in it. ``retry_after`` in seconds.

    ``failures`` counts attempts since submit or requeue, this one included. ``once_more`` asks for one more attempt
    before a final problem counts (3.2, ``unknown-recipient``).
    """

    answer: Answer
    lane: int
    failures: int
    exposed_before: bool
    exposed: bool = False
    problem: str | None = None
    retry_after: float | None = None
    once_more: bool = False


@dataclass(frozen=True, slots=True)
class Transition:
    """What follows from an ended attempt: event and state; ``pause`` until the next attempt, None when it is final.

    ``alarm`` asks for a person. For the partner's circuit: ``transport_failure`` counts towards it, ``opens_circuit``
    opens it for at least so long, ``answered`` (a registered answer) closes it.
    """

    event: Event
    to: State
    exposed: bool
    pause: timedelta | None = None
    problem: str | None = None
    alarm: bool = False
    transport_failure: bool = False
    opens_circuit: timedelta | None = None
    answered: bool = False


def decide(ended: Ended, rng: Callable[[float, float], float]) -> Transition:
    """Say what an ended attempt means for its dispatch (T3, T4, T5, T7); pure, the store applies it."""
    event = _event_of(ended)
    after = apply(Situation(State.CARRYING, exposed=ended.exposed_before), event)
    assert after.state is not None
    answered = ended.answer in (Answer.ACCEPTANCE, Answer.REJECTION, Answer.ABSENT) or _registered(ended)
    if after.state in FINAL:
        alarm = ended.problem == "message-id-conflict"
        return Transition(event, after.state, after.exposed, problem=ended.problem, alarm=alarm, answered=answered)
    slow = _is_slow(ended)
    overloaded = _registered(ended) and ended.problem in _STATUS_503 and ended.retry_after is not None
    return Transition(
        event,
        after.state,
        after.exposed,
        pause=_pause(ended, rng, slow=slow),
        problem=ended.problem,
        alarm=slow,
        transport_failure=ended.answer in (Answer.UNREACHABLE, Answer.NOTHING, Answer.REDIRECT),
        opens_circuit=timedelta(seconds=ended.retry_after or 0) if overloaded else None,
        answered=answered and not overloaded,
    )


_STATUS_503 = frozenset({"overloaded", "unavailable", "trust-unavailable", "receipt-unavailable", "clock-disagreement"})
"""Problems that come with status 503: with a Retry-After they open the partner's circuit."""


def _registered(ended: Ended) -> bool:
    return ended.answer is Answer.PROBLEM and ended.problem in CLASS_OF_PROBLEM


def _event_of(ended: Ended) -> Event:
    """Name what happened; whatever is no receipt and no registered problem proves nothing once bytes have left."""
    if ended.answer is Answer.ACCEPTANCE:
        return Event.ACCEPTANCE
    if ended.answer is Answer.REJECTION:
        return Event.REJECTION
    if _registered(ended):
        final = CLASS_OF_PROBLEM[ended.problem or ""] is Class.FINAL
        return Event.FINAL_PROBLEM if final and not ended.once_more else Event.SETBACK
    if ended.answer is Answer.ABSENT:
        return Event.SETBACK
    if ended.answer in (Answer.UNREACHABLE, Answer.REDIRECT) and not ended.exposed:
        return Event.SETBACK
    return Event.NO_PROOF


def _is_slow(ended: Ended) -> bool:
    if ended.answer is Answer.REDIRECT:
        return True
    return _registered(ended) and CLASS_OF_PROBLEM[ended.problem or ""] is Class.SLOW


def _pause(ended: Ended, rng: Callable[[float, float], float], *, slow: bool) -> timedelta:
    if ended.answer is Answer.PENDING and ended.failures <= PENDING_SOON:
        return timedelta(seconds=max(1.0, ended.retry_after or 0.0))
    if ended.answer is Answer.ABSENT:
        return max(TAKE_BACK_APART, timedelta(seconds=ended.retry_after or 0.0))
    pause = backoff(ended.lane, ended.failures, rng, ended.retry_after)
    return max(pause, SLOWLY) if slow else pause
