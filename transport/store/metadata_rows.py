"""Partners' metadata with its history, when they were last heard, and the heads of their logs (exchange.md 8)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update

from transport.metadata import Metadata
from transport.store.records import data, number, number_or_none, text
from transport.store.statements import Connection
from transport.store.tables import partner_metadata, partner_seen, peer_head
from transport.store.times import millis, moment, moment_or_none
from transport.store.writer import Unit


@dataclass(frozen=True, slots=True)
class Held:
    """A version of a partner's metadata as kept: ``state`` waiting, active, past or refused."""

    agency: str
    sha256: str
    data: bytes
    keyid: str
    state: str
    issued_at: datetime


@dataclass(frozen=True, slots=True)
class Seen:
    """When a partner was asked and answered, and how far its clock is from ours (positive: ahead), in seconds."""

    agency: str
    pinged_at: datetime | None
    answered_at: datetime | None
    fetched_at: datetime | None
    offset: float | None


@dataclass(frozen=True, slots=True)
class PeerHead:
    """The newest head of another log that was named to us."""

    origin: str
    agency: str
    size: int
    root: str
    at: datetime


def held(connection: Connection, agency: str) -> Held | None:
    """Return the version in force, ``None`` before the first was confirmed."""
    rows = versions(connection, agency)
    return next((one for one in rows if one.state == "active"), None)


def versions(connection: Connection, agency: str) -> tuple[Held, ...]:
    """Return every version of a partner's metadata, the newest first."""
    table = partner_metadata.c
    rows = connection.execute(
        select(table.agency, table.sha256, table.data, table.keyid, table.state, table.issued_at)
        .where(table.agency == agency)
        .order_by(table.id.desc())
    )
    return tuple(
        Held(text(row[0]), text(row[1]), data(row[2]), text(row[3]), text(row[4]), moment(number(row[5])))
        for row in rows
    )


def keep(unit: Unit, agency: str, found: Metadata, *, keyid: str, state: str, now: datetime) -> None:
    """Keep a version; one that takes effect ends the one in force. The same bytes again change only their state."""
    table = partner_metadata
    unit.hold(f"metadata {agency}")
    if state == "active":
        unit.connection.execute(
            update(table).where(table.c.agency == agency, table.c.state == "active").values(state="past")
        )
    values = {
        "keyid": keyid,
        "state": state,
        "issued_at": millis(found.issued_at),
        "expires_at": millis(found.expires_at),
        "fetched_at": millis(now),
    }
    known = table.c.agency == agency, table.c.sha256 == found.sha256
    if unit.connection.execute(update(table).where(*known).values(**values)).rowcount == 0:
        unit.connection.execute(table.insert().values(agency=agency, sha256=found.sha256, data=found.data, **values))


def note_seen(
    unit: Unit, agency: str, *, asked_at: datetime, answered: bool, fetched: bool, offset: float | None
) -> None:
    """Remember that a partner was asked, and what came of it."""
    unit.hold(f"seen {agency}")
    values: dict[str, int] = {"pinged_at": millis(asked_at)}
    if answered:
        values["answered_at"] = millis(asked_at)
    if fetched:
        values["fetched_at"] = millis(asked_at)
    if offset is not None:
        values["offset_ms"] = round(offset * 1000)
    where = partner_seen.c.agency == agency
    if unit.connection.execute(update(partner_seen).where(where).values(**values)).rowcount == 0:
        unit.connection.execute(partner_seen.insert().values(agency=agency, **values))


def seen(connection: Connection) -> tuple[Seen, ...]:
    """Return when each partner was last heard."""
    table = partner_seen.c
    rows = connection.execute(
        select(table.agency, table.pinged_at, table.answered_at, table.fetched_at, table.offset_ms).order_by(
            table.agency
        )
    )
    return tuple(
        Seen(
            text(row[0]),
            moment_or_none(number_or_none(row[1])),
            moment_or_none(number_or_none(row[2])),
            moment_or_none(number_or_none(row[3])),
            None if row[4] is None else number(row[4]) / 1000,
        )
        for row in rows
    )


def note_head(unit: Unit, head: PeerHead) -> PeerHead | None:
    """Keep a head that is newer than the one known; return a known one of the same size with another root: a fork?"""
    table = peer_head.c
    unit.hold(f"head {head.origin}")
    row = unit.connection.execute(
        select(table.agency, table.size, table.root, table.at).where(table.origin == head.origin)
    ).one_or_none()
    values = {"agency": head.agency, "size": head.size, "root": head.root, "at": millis(head.at)}
    if row is None:
        unit.connection.execute(peer_head.insert().values(origin=head.origin, **values))
        return None
    known = PeerHead(head.origin, text(row[0]), number(row[1]), text(row[2]), moment(number(row[3])))
    if known.size == head.size:
        return known if known.root != head.root else None
    if known.size < head.size:
        unit.connection.execute(update(peer_head).where(table.origin == head.origin).values(**values))
    return None


def heads(connection: Connection) -> tuple[PeerHead, ...]:
    """Return the newest heads named to us, one for each log."""
    table = peer_head.c
    rows = connection.execute(select(table.origin, table.agency, table.size, table.root, table.at))
    return tuple(
        PeerHead(text(row[0]), text(row[1]), number(row[2]), text(row[3]), moment(number(row[4]))) for row in rows
    )
