"""What a person asks of the node: lists, one document in full, how a document stands with each recipient."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from edoc.envelopes import Envelope
from transport.courier import HELD_MAX
from transport.errors import TransportError
from transport.intake import vietnam_day
from transport.node.following import looked_at, message_of
from transport.node.office import Office
from transport.store import inlist, outbox, outlist, statuses
from transport.store.log import EventFilter, LoggedEvent
from transport.store.refs import RefError
from transport.store.values import ArrivalView, DispatchView, Page, ReceiptView, Row, RowFilter, SentMessage, StatusView


@dataclass(frozen=True, slots=True)
class Shown:
    """One document in full: its row, files, verification as kept at arrival, timeline, receipts, dispatches."""

    direction: str  # in, out
    row: Row
    sha256: str
    size: int
    files: tuple[tuple[str, int, str, str], ...]  # name, size, sha256, content type
    verification: Mapping[str, object] | None
    timeline: tuple[LoggedEvent, ...]
    receipts: tuple[ReceiptView, ...]
    dispatches: tuple[DispatchView, ...]
    statuses: tuple[StatusView, ...]


@dataclass(frozen=True, slots=True)
class Screen:
    """The node at a glance: counts of both books, what is overdue, the ledger."""

    agency: str
    counts: Mapping[str, int]
    overdue: tuple[Row, ...]
    ledger_size: int


def inbox(office: Office, asked: RowFilter) -> Page:
    """Return a page of documents that arrived, urgent ones on top."""
    return office.store.read(lambda connection: inlist.rows(connection, asked))


def outbox_rows(office: Office, asked: RowFilter) -> Page:
    """Return a page of documents that were sent."""
    return office.store.read(lambda connection: outlist.rows(connection, asked))


def find(office: Office, ref: str, now: datetime) -> ArrivalView | SentMessage:
    """Return the document a person names: one that arrived, else one that was sent.

    Raises:
        RefError: nothing fits, or several do.
    """
    year = vietnam_day(now).year
    try:
        return office.store.read(lambda connection: inlist.find(connection, ref, year=year))
    except RefError as missing:
        if missing.code != "EDOC-STO-013":
            raise
    return office.store.read(lambda connection: outbox.find(connection, ref, year=year))


def show(office: Office, ref: str, now: datetime) -> Shown:
    """Return a document in full.

    Raises:
        RefError: nothing fits, or several do.
    """
    found = find(office, ref, now)
    if isinstance(found, SentMessage):
        return _sent(office, found)
    return _arrived(office, found)


def _sent(office: Office, found: SentMessage) -> Shown:
    return Shown(
        direction="out",
        row=found.row,
        sha256=found.sha256,
        size=found.size,
        files=_files(office, found.sha256, found.size),
        verification=None,
        timeline=_timeline(office, found.message_id),
        receipts=tuple(one.receipt for one in found.dispatches if one.receipt),
        dispatches=found.dispatches,
        statuses=office.store.read(lambda connection: statuses.statuses(connection, found.message_id)),
    )


def _arrived(office: Office, found: ArrivalView) -> Shown:
    from transport.store import inbox as inboxes

    key = found.key
    known = office.store.read(lambda connection: inboxes.known(connection, key))
    return Shown(
        direction="in",
        row=found.row,
        sha256=found.sha256,
        size=found.size,
        files=_files(office, found.sha256, found.size),
        verification=json.loads(found.verification) if found.verification else None,
        timeline=_timeline(office, key.message_id),
        receipts=(known.receipt,) if known else (),
        dispatches=(),
        statuses=office.store.read(lambda connection: statuses.statuses(connection, key.message_id, key.recipient)),
    )


def _files(office: Office, sha256: str, size: int) -> tuple[tuple[str, int, str, str], ...]:
    import hashlib

    if size > HELD_MAX:
        looked = looked_at(office, sha256)
        types = [one.content_type for one in looked.message.attachments] if isinstance(looked.message, Envelope) else []
        found = zip(looked.attachments, types, strict=True)
        return tuple((one.name, one.size, one.sha256, kind) for one, kind in found)
    message = message_of(office, sha256)
    if not isinstance(message, Envelope):
        return ()
    return tuple(
        (one.name, len(one.content), hashlib.sha256(one.content).hexdigest(), one.content_type)
        for one in message.attachments
    )


def file_of(office: Office, ref: str, number: int, now: datetime) -> tuple[str, bytes]:
    """Return one file of a document by its number from 1, as exchanged.

    Raises:
        RefError: nothing fits, or several do.
        TransportError: there is no such file.
    """
    message = message_of(office, find(office, ref, now).sha256)
    files = message.attachments if isinstance(message, Envelope) else ()
    if not 1 <= number <= len(files):
        raise TransportError("EDOC-EXC-053", "no such file", number=number, count=len(files), ref=ref)
    return files[number - 1].name, files[number - 1].content


def _timeline(office: Office, message_id: str) -> tuple[LoggedEvent, ...]:
    return office.store.read(lambda connection: office.log.events(connection, EventFilter(msg=message_id)))


def status_of(office: Office, ref: str, now: datetime) -> Shown:
    """Return how a document stands with each of its recipients."""
    return show(office, ref, now)


def screen(office: Office, now: datetime) -> Screen:
    """Return the node at a glance."""
    incoming = office.store.read(inlist.counts)
    outgoing = office.store.read(outlist.counts)
    late = inbox(office, RowFilter(overdue=True, now=now)).rows
    counts = {**{f"in_{name}": many for name, many in incoming.items()}, **{f"out_{n}": m for n, m in outgoing.items()}}
    head = office.store.read(office.log.head)
    return Screen(office.code, counts, late, head.size)
