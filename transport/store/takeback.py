"""What a person does with a dispatch, and what pull does: T8 to T11 (exchange.md 6), each one compare-and-set.

A take-back of what may have left is remembered in a row of its own: from then on claims only ask, and two answers "not
known", at least ten minutes apart, end it. A requeue keeps id and bytes and gives a new deadline.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, select, update

from transport.dispatch import (
    TAKE_BACK_APART,
    Event,
    Key,
    NotAllowed,
    Situation,
    State,
    apply,
    deadline_for,
)
from transport.errors import TransportError
from transport.store.records import number, text
from transport.store.statements import Connection
from transport.store.tables import dispatch, message, take_back
from transport.store.times import millis, moment
from transport.store.values import Claim
from transport.store.writer import Unit

__all__ = ["Act", "Found", "absent", "ask", "found", "hand_out", "pending", "requeue", "retry", "timing"]


@dataclass(frozen=True, slots=True)
class Act:
    """Who acts on a dispatch and why: ``reason`` is a code of ledger.md 4.5, ``note`` its words."""

    person: str
    reason: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """A dispatch as the acts on it see it: row number, situation, digest and size of its message, its kind."""

    dispatch_id: int
    situation: Situation
    sha256: str
    size: int
    kind: str


def found(connection: Connection, key: Key) -> Found:
    """Return the dispatch of a key, locked against other processes where the database can.

    Raises:
        TransportError: EDOC-STO-013, there is none.
    """
    row = connection.execute(
        select(
            dispatch.c.id,
            dispatch.c.state,
            dispatch.c.exposed,
            dispatch.c.by_receipt,
            dispatch.c.recall_requested,
            message.c.sha256,
            message.c.size,
            message.c.kind,
        )
        .join(message, message.c.id == dispatch.c.message)
        .where(message.c.sender == key.sender, message.c.message_id == key.message_id)
        .where(dispatch.c.recipient == key.recipient)
        .with_for_update(of=dispatch)
    ).one_or_none()
    if row is None:
        raise TransportError("EDOC-STO-013", "there is no such dispatch", ref=f"msg:{key.message_id}")
    situation = Situation(State(text(row[1])), bool(row[2]), bool(row[3]), bool(row[4]))
    return Found(number(row[0]), situation, text(row[5]), number(row[6]), text(row[7]))


def timing(connection: Connection, key: Key) -> tuple[int, datetime]:
    """Return lane and time of submit of a dispatch.

    Raises:
        TransportError: EDOC-STO-013, there is none.
    """
    row = connection.exec_driver_sql(
        "SELECT d.lane, d.submitted_at FROM dispatch d JOIN message m ON m.id = d.message "
        "WHERE m.sender = ? AND m.message_id = ? AND d.recipient = ?",
        (key.sender, key.message_id, key.recipient),
    ).one_or_none()
    if row is None:
        raise TransportError("EDOC-STO-013", "there is no such dispatch", ref=f"msg:{key.message_id}")
    return number(row[0]), moment(number(row[1]))


def ask(unit: Unit, key: Key, act: Act, *, now: datetime) -> Found:
    """T8, T9: take back what has never left at once; of what may have left, remember that it is to be taken back.

    Returns the dispatch as it is afterwards: ``recalled``, or its state of before with ``recall_requested``.

    Raises:
        NotAllowed: it is final.
        TransportError: EDOC-STO-013, there is no such dispatch.
    """
    before = found(unit.connection, key)
    after = apply(before.situation, Event.TAKE_BACK)
    changed = dispatch.update().where(dispatch.c.id == before.dispatch_id, _still(before.situation))
    if after.state is State.RECALLED:
        result = unit.connection.execute(
            changed.values(state="recalled", next_at=None, settled_at=millis(now), last_at=millis(now))
        )
    else:
        result = unit.connection.execute(changed.values(recall_requested=True))
        _hurry(unit.connection, before.dispatch_id, now)
        _remember(unit.connection, before.dispatch_id, act, now)
    _changed_one(result.rowcount)
    return _after(before, after)


def _remember(connection: Connection, dispatch_id: int, act: Act, now: datetime) -> None:
    known = connection.execute(select(take_back.c.dispatch).where(take_back.c.dispatch == dispatch_id)).first()
    if known is None:
        values = {"person": act.person, "reason": act.reason, "note": act.note}
        connection.execute(take_back.insert().values(dispatch=dispatch_id, asked_at=millis(now), **values))


def absent(unit: Unit, claim: Claim, *, now: datetime) -> Act | None:
    """Note that the recipient knows nothing of a dispatch that is to be taken back; return the act it completes.

    The first such answer is remembered, and counts because a claim that only asks begins after the last lease that may
    have carried bytes. A second one, at least ten minutes later, ends the dispatch as ``recalled`` (T9, ``GONE``); the
    caller writes the leaf. ``None`` while it is too early.
    """
    row = unit.connection.execute(
        select(take_back.c.person, take_back.c.reason, take_back.c.note, take_back.c.absent_at).where(
            take_back.c.dispatch == claim.dispatch_id
        )
    ).one_or_none()
    if row is None:
        return None
    first = None if row[3] is None else moment(number(row[3]))
    if first is None or first > now:  # the clock was set back: begin again
        unit.connection.execute(
            update(take_back).where(take_back.c.dispatch == claim.dispatch_id).values(absent_at=millis(now))
        )
        return None
    if now - first < TAKE_BACK_APART:
        return None
    changed = unit.connection.execute(
        dispatch.update()
        .where(dispatch.c.id == claim.dispatch_id, dispatch.c.recall_requested)
        .where(dispatch.c.state.in_(("queued", "unknown")))
        .values(state="recalled", next_at=None, settled_at=millis(now), problem=None)
    ).rowcount
    return Act(text(row[0]), text(row[1]), text(row[2])) if changed == 1 else None


def pending(connection: Connection, dispatch_id: int) -> datetime | None:
    """Return when the first "not known" of a take-back was had, ``None`` without one."""
    value = connection.execute(
        select(take_back.c.absent_at).where(take_back.c.dispatch == dispatch_id)
    ).scalar_one_or_none()
    return None if value is None else moment(number(value))


def requeue(unit: Unit, key: Key, *, now: datetime) -> Found:
    """T10: the same id and bytes with a new deadline; what was asked to be taken back is so no more.

    Raises:
        NotAllowed: it is neither expired nor refused by a problem.
        TransportError: EDOC-STO-013, there is no such dispatch.
    """
    before = found(unit.connection, key)
    after = apply(before.situation, Event.REQUEUE)
    result = unit.connection.execute(
        dispatch.update()
        .where(dispatch.c.id == before.dispatch_id, _still(before.situation))
        .values(
            state="queued",
            recall_requested=False,
            failures=0,
            final_try=False,
            next_at=millis(now),
            deadline=millis(deadline_for(before.kind, now)),
            settled_at=None,
            alarmed_at=None,
            problem=None,
            problem_status=None,
        )
    )
    _changed_one(result.rowcount)
    unit.connection.execute(take_back.delete().where(take_back.c.dispatch == before.dispatch_id))
    return _after(before, after)


def retry(unit: Unit, key: Key, *, now: datetime) -> Found:
    """Make a waiting dispatch due now.

    Raises:
        NotAllowed: it does not wait.
        TransportError: EDOC-STO-013, there is no such dispatch.
    """
    before = found(unit.connection, key)
    if before.situation.state not in (State.QUEUED, State.UNKNOWN):
        raise NotAllowed(f"a dispatch that is {before.situation.state} does not wait")
    _hurry(unit.connection, before.dispatch_id, now)
    return before


def hand_out(unit: Unit, key: Key, *, now: datetime) -> Found:
    """T11: the content is about to be handed to the recipient, who may hold it from now on.

    Raises:
        NotAllowed: it is final, under way, or to be taken back: no body leaves any more.
        TransportError: EDOC-STO-013, there is no such dispatch.
    """
    before = found(unit.connection, key)
    if before.situation.recall_requested:
        raise NotAllowed("a dispatch that is to be taken back leaves no more")
    after = apply(before.situation, Event.HAND_OUT)
    if after == before.situation:
        return before
    result = unit.connection.execute(
        dispatch.update()
        .where(dispatch.c.id == before.dispatch_id, _still(before.situation))
        .values(state="unknown", exposed=True, last_at=millis(now))
    )
    _changed_one(result.rowcount)
    return _after(before, after)


def _hurry(connection: Connection, dispatch_id: int, now: datetime) -> None:
    connection.execute(
        dispatch.update()
        .where(dispatch.c.id == dispatch_id, dispatch.c.state.in_(("queued", "unknown")))
        .values(next_at=millis(now))
    )


def _still(situation: Situation) -> ColumnElement[bool]:
    state = situation.state
    assert state is not None
    return dispatch.c.state == state.value


def _changed_one(rows: int) -> None:
    if rows != 1:
        raise NotAllowed("the dispatch has changed in the meantime")


def _after(before: Found, situation: Situation) -> Found:
    return Found(before.dispatch_id, situation, before.sha256, before.size, before.kind)
