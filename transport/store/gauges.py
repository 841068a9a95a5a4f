"""What a node measures of its own rows (exchange.md 13): queues by state and lane, circuits, ages; one look each."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import func, select

from transport.dispatch import ALARM, Lane
from transport.store.records import number, number_or_none, text
from transport.store.statements import Connection
from transport.store.tables import blob, dispatch, key, partner, partner_seen, revocation
from transport.store.times import millis, moment, moment_or_none

_OPEN = ("queued", "carrying", "unknown")


@dataclass(frozen=True, slots=True)
class Measures:
    """The figures of one look. Ages in seconds; circuits: 0 closed, 1 half-open, 2 open."""

    dispatches: dict[tuple[str, int], int] = field(default_factory=dict)
    oldest: dict[int, float] = field(default_factory=dict)
    overdue: dict[int, int] = field(default_factory=dict)
    circuits: dict[str, int] = field(default_factory=dict)
    orphans: int = 0
    certificate_days: dict[str, float] = field(default_factory=dict)
    revocation_age: float | None = None
    clock_offset: float | None = None


def measures(connection: Connection, *, now: datetime) -> Measures:
    """Return the figures as they stand now."""
    at = millis(now)
    counted = connection.execute(
        select(dispatch.c.state, dispatch.c.lane, func.count()).group_by(dispatch.c.state, dispatch.c.lane)
    )
    oldest = connection.execute(
        select(dispatch.c.lane, func.min(dispatch.c.submitted_at))
        .where(dispatch.c.state.in_(_OPEN))
        .group_by(dispatch.c.lane)
    )
    fetched = number_or_none(connection.execute(select(func.max(revocation.c.fetched_at))).scalar())
    return Measures(
        dispatches={(text(state), number(lane)): number(many) for state, lane, many in counted},
        oldest={number(lane): max(0.0, (now - moment(number(since))).total_seconds()) for lane, since in oldest},
        overdue={int(lane): _overdue(connection, lane, now) for lane in Lane},
        circuits=_circuits(connection, at),
        orphans=number(
            connection.execute(
                select(func.count()).select_from(blob).where(blob.c.condemned_since.is_not(None))
            ).scalar()
        ),
        certificate_days=_certificates(connection, now),
        revocation_age=None if fetched is None else (now - moment(fetched)).total_seconds(),
        clock_offset=clock_offset(connection),
    )


def _overdue(connection: Connection, lane: Lane, now: datetime) -> int:
    """Dispatches without receipt for their lane's alarm time."""
    since = millis(now - ALARM[lane])
    question = select(func.count()).where(
        dispatch.c.state.in_(_OPEN), dispatch.c.lane == int(lane), dispatch.c.submitted_at <= since
    )
    return number(connection.execute(question).scalar())


def _circuits(connection: Connection, at: int) -> dict[str, int]:
    rows = connection.execute(select(partner.c.agency, partner.c.open_for, partner.c.open_until))
    found = {}
    for agency, open_for, until in rows:
        waiting = until is not None and number(until) > at
        found[text(agency)] = 0 if not number(open_for) else 2 if waiting else 1
    return found


def _certificates(connection: Connection, now: datetime) -> dict[str, float]:
    rows = connection.execute(select(key.c.name, key.c.not_after).where(key.c.not_after.is_not(None)))
    found = {}
    for name, ends in rows:
        until = moment_or_none(number_or_none(ends))
        if until is not None:
            found[text(name)] = (until - now).total_seconds() / 86400
    return found


def clock_offset(connection: Connection) -> float | None:
    """How far partners' clocks are ahead of ours, in seconds: the middle one of those that answered a ping."""
    rows = connection.execute(select(partner_seen.c.offset_ms).where(partner_seen.c.offset_ms.is_not(None)))
    offsets = sorted(number(row[0]) for row in rows)
    return offsets[len(offsets) // 2] / 1000 if offsets else None
