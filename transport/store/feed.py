"""What a recipient that fetches still has to fetch (exchange.md 7, P1): no cursor of ours, no lease.

What has no receipt is listed again, by lane and then by age. Whose take-back has been asked for is not listed: no body
leaves any more.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, tuple_

from transport.dispatch import Key
from transport.store.paging import cursor, position
from transport.store.records import Record, number, text
from transport.store.statements import Connection
from transport.store.tables import blob, dispatch, message
from transport.store.times import moment


@dataclass(frozen=True, slots=True)
class FeedItem:
    """One message that waits for its recipient; ``position`` is the place after it, for ``after``."""

    key: Key
    sha256: str
    size: int
    lane: int
    submitted_at: datetime
    deadline: datetime
    position: str


_FEED = (
    select(
        message.c.sender,
        dispatch.c.recipient,
        message.c.message_id,
        message.c.sha256,
        message.c.size,
        dispatch.c.lane,
        dispatch.c.submitted_at,
        dispatch.c.deadline,
        dispatch.c.id,
    )
    .join(message, message.c.id == dispatch.c.message)
    .where(dispatch.c.state.in_(("queued", "unknown")), dispatch.c.recall_requested.is_(False))
    .order_by(dispatch.c.lane, dispatch.c.submitted_at, dispatch.c.id)
)


def waiting(connection: Connection, recipient: str, *, limit: int, after: str | None = None) -> tuple[FeedItem, ...]:
    """Return what waits for a recipient, at most ``limit``, behind a position if one is given.

    Raises:
        TransportError: EDOC-STO-014, ``after`` is not a position of ours.
    """
    question = _FEED.where(dispatch.c.recipient == recipient).limit(limit)
    if after is not None:
        place = tuple_(dispatch.c.lane, dispatch.c.submitted_at, dispatch.c.id)
        question = question.where(place > position(after))
    return tuple(_item(row) for row in connection.execute(question))


def _item(row: Record) -> FeedItem:
    lane, submitted, row_id = number(row[5]), number(row[6]), number(row[8])
    return FeedItem(
        key=Key(text(row[0]), text(row[1]), text(row[2])),
        sha256=text(row[3]),
        size=number(row[4]),
        lane=lane,
        submitted_at=moment(submitted),
        deadline=moment(number(row[7])),
        position=cursor((lane, submitted, row_id)),
    )


def known_blob(connection: Connection, digest: str) -> bool:
    """Say whether bytes of a digest are recorded."""
    return connection.execute(select(blob.c.digest).where(blob.c.digest == digest)).first() is not None
