"""Dispatches as a person looks at them: lists by state, recipient and lane, with every attempt (exchange.md 6).

Newest first, by keyset paging. Dead letters are what ended without the recipient's word: expired, or refused by a
problem; both can be queued again (T10).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, and_, or_, select

from transport.dispatch import Key
from transport.store.outlist import attempts, dispatch_for
from transport.store.paging import LIMIT_MAX, cursor, position
from transport.store.records import Record, number, number_or_none, text, text_or_none
from transport.store.statements import Connection
from transport.store.tables import dispatch, message, partner, take_back
from transport.store.times import millis, moment_or_none
from transport.store.values import AttemptView, DispatchView


@dataclass(frozen=True, slots=True)
class Asked:
    """What a list of dispatches asks: agencies as directory codes, ``after`` the cursor of an earlier page."""

    state: str | None = None
    recipient: str | None = None
    lane: int | None = None
    message_id: str | None = None
    dead: bool = False
    limit: int = 50
    after: str | None = None


@dataclass(frozen=True, slots=True)
class Detail:
    """One dispatch with what explains it: how the partner is reached, attempts, take-back, circuit."""

    view: DispatchView
    mode: str  # push, pull
    owner: str | None
    first_at: datetime | None
    last_at: datetime | None
    recall_requested: bool
    absent_at: datetime | None
    circuit_until: datetime | None
    attempts: tuple[AttemptView, ...]


@dataclass(frozen=True, slots=True)
class DispatchPage:
    """Dispatches, newest first, and the cursor of the next page."""

    items: tuple[Detail, ...]
    next: str | None = None


_COLUMNS = (
    dispatch.c.id,
    message.c.sender,
    dispatch.c.recipient,
    message.c.message_id,
    partner.c.delivery,
    dispatch.c.owner,
    dispatch.c.first_at,
    dispatch.c.last_at,
    dispatch.c.recall_requested,
    take_back.c.absent_at,
    partner.c.open_until,
)


def dispatches(connection: Connection, asked: Asked, *, now: datetime) -> DispatchPage:
    """Return a page of dispatches.

    Raises:
        TransportError: EDOC-STO-014, ``after`` is not a cursor of ours.
    """
    limit = max(1, min(asked.limit, LIMIT_MAX))
    found = connection.execute(_conditions(asked).order_by(dispatch.c.id.desc()).limit(limit + 1)).all()
    items = tuple(_detail(connection, row, now) for row in found[:limit])
    following = cursor((0, 0, number(found[limit - 1][0]))) if len(found) > limit else None
    return DispatchPage(items, following)


def detail(connection: Connection, key: Key, *, now: datetime) -> Detail | None:
    """Return one dispatch, ``None`` if there is none."""
    row = connection.execute(
        _joined().where(
            message.c.sender == key.sender,
            message.c.message_id == key.message_id,
            dispatch.c.recipient == key.recipient,
        )
    ).one_or_none()
    return None if row is None else _detail(connection, row, now)


def _joined() -> Select[tuple[object, ...]]:
    return select(*_COLUMNS).select_from(
        dispatch.join(message, message.c.id == dispatch.c.message)
        .outerjoin(partner, partner.c.agency == dispatch.c.recipient)
        .outerjoin(take_back, take_back.c.dispatch == dispatch.c.id)
    )


def _conditions(asked: Asked) -> Select[tuple[object, ...]]:
    question = _joined()
    if asked.state is not None:
        question = question.where(dispatch.c.state == asked.state)
    if asked.recipient is not None:
        question = question.where(dispatch.c.recipient == asked.recipient)
    if asked.lane is not None:
        question = question.where(dispatch.c.lane == asked.lane)
    if asked.message_id is not None:
        question = question.where(message.c.message_id == asked.message_id)
    if asked.dead:
        by_problem = and_(dispatch.c.state == "refused", dispatch.c.by_receipt.is_(False))
        question = question.where(or_(dispatch.c.state == "expired", by_problem))
    if asked.after is not None:
        question = question.where(dispatch.c.id < position(asked.after)[2])
    return question


def _detail(connection: Connection, row: Record, now: datetime) -> Detail:
    key = Key(text(row[1]), text(row[2]), text(row[3]))
    view = dispatch_for(connection, key)
    assert view is not None
    until = number_or_none(row[10])
    return Detail(
        view=view,
        mode=text_or_none(row[4]) or "push",
        owner=text_or_none(row[5]),
        first_at=moment_or_none(number_or_none(row[6])),
        last_at=moment_or_none(number_or_none(row[7])),
        recall_requested=bool(row[8]),
        absent_at=moment_or_none(number_or_none(row[9])),
        circuit_until=moment_or_none(until) if until is not None and until > millis(now) else None,
        attempts=attempts(connection, number(row[0])),
    )
