"""The query table of the ledger: what leaves say, derived in sorted batches (ledger.md 12, ``ledger_event``).

The append path never touches it, so that appending stays as fast in a large log as in a small one. A question reads the
derived rows and, beyond them, the newest leaves themselves: its answer is always complete.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, insert, select

from transport.ledger import event
from transport.ledger.canonical import Json
from transport.ledger.event import Leaf, leaf_hash
from transport.store import tables
from transport.store.chains import Chain, Chains
from transport.store.dialect import LOCKS, hold, is_postgres
from transport.store.log_rows import OpenLog, as_bytes, open_log
from transport.store.statements import Connection
from transport.store.times import millis

TAIL = 2_000
"""Leaves that may wait before a writer that looks for ``prev`` derives them itself."""


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """A leaf in its place: origin of the log, index, the leaf."""

    origin: str
    index: int
    leaf: Leaf


@dataclass(frozen=True, slots=True)
class EventFilter:
    """What is asked for; every condition that is given must hold. ``after`` is an index, ``limit`` a number of rows."""

    msg: str | None = None
    doc: str | None = None
    kind: str | None = None
    sender: str | None = None
    recipient: str | None = None
    side: str | None = None
    env: str | None = None
    receipt: str | None = None
    leaf: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    after: int = -1
    limit: int | None = None

    def fits(self, index: int, leaf: Leaf) -> bool:
        """Tell whether a leaf fits the conditions (``limit`` apart)."""
        wanted = {
            "msg": self.msg,
            "doc": self.doc,
            "kind": self.kind,
            "from": self.sender,
            "to": self.recipient,
            "side": self.side,
            "env": self.env,
            "receipt": self.receipt,
        }
        if index <= self.after or self.leaf not in (None, leaf.sha256):
            return False
        if any(value is not None and leaf.text(name) != value for name, value in wanted.items()):
            return False
        return (self.since is None or leaf.at >= self.since) and (self.until is None or leaf.at < self.until)


def query(connection: Connection, log: OpenLog, wanted: EventFilter) -> tuple[LoggedEvent, ...]:
    """Return the leaves of a log that fit, in order."""
    found = [LoggedEvent(log.origin, index, event.parse(data)) for index, data in _derived(connection, log, wanted)]
    for index, data in _tail(connection, log, _derived_to(connection, log)):
        if wanted.limit is not None and len(found) >= wanted.limit:
            break
        leaf = event.parse(data)
        if wanted.fits(index, leaf):
            found.append(LoggedEvent(log.origin, index, leaf))
    return tuple(found)


def derive(connection: Connection, log: OpenLog, *, limit: int) -> int:
    """Add up to ``limit`` leaves that are not yet in the query table; return how many."""
    if not _alone(connection):
        return 0
    start = _derived_to(connection, log)
    waiting = _tail(connection, log, start, limit=limit)
    rows = [row_of(log.id, index, leaf_hash(data), json.loads(data)) for index, data in waiting]
    if rows:
        connection.execute(insert(tables.ledger_event), rows)
    return len(rows)


def last_of(connection: Connection, chain: Chain, recent: Chains) -> str | None:
    """Return the hash of the newest leaf of a dispatch and side, unplaced leaves of this transaction included.

    ``recent`` is what the process remembers of the leaves it has committed (SQLite).
    On PostgreSQL the chain is this transaction's until it ends, so that tickets of one dispatch are in order.
    """
    if is_postgres(connection):
        hold(connection, "chain " + " ".join(chain))
        return _newest_waiting(connection, chain) or _last_derived(connection, chain)
    to = 2**62
    if recent.top:
        found = _newest_between(connection, chain, recent.top, to) or recent.newest(chain)
        if found is not None:
            return found
        to = recent.base
    ticket = _last_derived_ticket(connection)
    if (recent.base if recent.top else _newest_ticket(connection)) - ticket > TAIL:
        _catch_up(connection)
        ticket = _last_derived_ticket(connection)
    older = _newest_between(connection, chain, ticket, to) if ticket < to else None
    return older or _last_derived(connection, chain)


def _newest_between(connection: Connection, chain: Chain, after: int, to: int) -> str | None:
    """Return the hash of the newest leaf of a chain with a ticket above ``after``, up to ``to``."""
    rows = connection.exec_driver_sql(
        "SELECT data FROM ledger_leaf WHERE ticket > ? AND ticket <= ? AND instr(data, ?) > 0 ORDER BY ticket DESC",
        (after, to, json.dumps(chain[2]).encode("ascii")),
    )
    for (data,) in rows:
        leaf = event.parse(as_bytes(data))
        if leaf.chain == chain:
            return leaf.sha256
    return None


_WAITING = """
    WITH g AS (
        SELECT h.log, h.size, coalesce((SELECT max(v.idx) + 1 FROM ledger_event v WHERE v.log = h.log), 0) AS derived
        FROM ledger_log l JOIN ledger_head h ON h.log = l.id ORDER BY l.state = 'open' DESC, l.id DESC LIMIT 1)
    SELECT NULL AS ticket, g.size - g.derived AS many, NULL AS data FROM g
    UNION ALL SELECT w.ticket, 0, w.data FROM g CROSS JOIN LATERAL (
        SELECT f.ticket, f.data FROM ledger_pending p JOIN ledger_leaf f ON f.ticket = p.ticket
        UNION ALL SELECT f.ticket, f.data FROM ledger_entry e JOIN ledger_leaf f ON f.ticket = e.ticket
            WHERE e.log = g.log AND e.idx >= g.derived) w
    WHERE instr(w.data, :message) > 0
    ORDER BY ticket DESC NULLS FIRST
"""
"""How many leaves are not yet in the query table, then those of them that name a message, the newest ticket first.

A ticket's place may come after that of a later ticket.
"""


def _newest_waiting(connection: Connection, chain: Chain) -> str | None:
    values = {"message": json.dumps(chain[2]).encode("ascii")}
    rows = connection.exec_driver_sql(_WAITING, values).all()
    if rows and rows[0][1] > TAIL:
        _catch_up(connection)
        rows = connection.exec_driver_sql(_WAITING, values).all()
    for _, _, data in rows[1:]:
        leaf = event.parse(as_bytes(data))
        if leaf.chain == chain:
            return leaf.sha256
    return None


def _alone(connection: Connection) -> bool:
    """Take the right to fill the query table until the transaction ends; false when another process has it."""
    if not is_postgres(connection):
        return True
    return bool(connection.exec_driver_sql("SELECT pg_try_advisory_xact_lock(?, 2)", (LOCKS,)).scalar_one())


def row_of(log: int, index: int, digest: bytes, fields: Mapping[str, Json]) -> dict[str, object]:
    """Return the row of the query table for a leaf: its hash (32 bytes) and its fields as JSON gave them.

    The leaf's form is not checked again here: it was when the leaf was built. Raises ``ValueError`` or ``TypeError``
    for times that cannot be read.
    """
    peer, ref, cited, target = (_member(fields, name) for name in ("peer", "ref", "log", "target"))
    return {
        "log": log,
        "idx": index,
        "leaf": digest,
        "at": _millis(fields.get("at")),
        "kind": fields.get("kind"),
        "auto": fields.get("auto") is True,
        "from_org": fields.get("from"),
        "to_org": fields.get("to"),
        "legal_class": fields.get("class"),
        "clock": _millis(fields.get("clock")),
        "due": _millis(fields.get("due")),
        "peer_origin": peer.get("origin"),
        "peer_index": peer.get("index"),
        "peer_leaf": peer.get("leaf"),
        "ref_rel": ref.get("rel"),
        "ref_doc": ref.get("doc"),
        "ref_msg": ref.get("msg"),
        "log_origin": cited.get("origin"),
        "log_size": cited.get("size"),
        "log_root": cited.get("root"),
        "target_leaf": target.get("leaf"),
        "target_field": target.get("field"),
        **{name: fields.get(name) for name in _PLAIN},
    }


_PLAIN = (
    "side",
    "msg",
    "doc",
    "env",
    "receipt",
    "rtype",
    "prev",
    "status",
    "reason",
    "medium",
    "dtype",
    "unit",
    "prio",
    "basis",
    "action",
    "result",
)
_NO_MEMBERS: Mapping[str, Json] = {}


def _member(fields: Mapping[str, Json], name: str) -> Mapping[str, Json]:
    value = fields.get(name)
    return value if isinstance(value, dict) else _NO_MEMBERS


def _millis(value: Json | None) -> int | None:
    return millis(event.read_time(value)) if isinstance(value, str) else None


# --- rows ------------------------------------------------------------------------------------------------------------


def _derived_to(connection: Connection, log: OpenLog) -> int:
    """Return the first index that is not in the query table."""
    top = connection.exec_driver_sql("SELECT max(idx) FROM ledger_event WHERE log = ?", (log.id,)).scalar_one()
    return 0 if top is None else int(top) + 1


def _tail(connection: Connection, log: OpenLog, start: int, *, limit: int | None = None) -> Iterator[tuple[int, bytes]]:
    rows = connection.exec_driver_sql(
        "SELECT e.idx, f.data FROM ledger_entry e JOIN ledger_leaf f ON f.ticket = e.ticket"
        " WHERE e.log = ? AND e.idx >= ? AND f.data IS NOT NULL ORDER BY e.idx LIMIT ?",
        (log.id, start, 2**62 if limit is None else limit),
    )
    return ((int(index), as_bytes(data)) for index, data in rows)


def _derived(connection: Connection, log: OpenLog, wanted: EventFilter) -> Iterator[tuple[int, bytes]]:
    rows, entry, leaf = tables.ledger_event, tables.ledger_entry, tables.ledger_leaf
    joined = rows.join(entry, and_(entry.c.log == rows.c.log, entry.c.idx == rows.c.idx))
    statement = (
        select(rows.c.idx, leaf.c.data)
        .select_from(joined.join(leaf, leaf.c.ticket == entry.c.ticket))
        .where(rows.c.log == log.id, leaf.c.data.is_not(None), *_conditions(wanted))
        .order_by(rows.c.idx)
    )
    if wanted.limit is not None:
        statement = statement.limit(wanted.limit)
    return ((int(index), as_bytes(data)) for index, data in connection.execute(statement))


def _conditions(wanted: EventFilter) -> list[ColumnElement[bool]]:
    row = tables.ledger_event.c
    pairs = (
        (row.msg, wanted.msg),
        (row.doc, wanted.doc),
        (row.kind, wanted.kind),
        (row.from_org, wanted.sender),
        (row.to_org, wanted.recipient),
        (row.side, wanted.side),
        (row.env, wanted.env),
        (row.receipt, wanted.receipt),
        (row.leaf, None if wanted.leaf is None else bytes.fromhex(wanted.leaf)),
    )
    conditions = [column == value for column, value in pairs if value is not None]
    if wanted.after >= 0:
        conditions.append(row.idx > wanted.after)
    if wanted.since is not None:
        conditions.append(row.at >= millis(wanted.since))
    if wanted.until is not None:
        conditions.append(row.at < millis(wanted.until))
    return conditions


def _last_derived_ticket(connection: Connection) -> int:
    row = connection.exec_driver_sql(
        "SELECT e.ticket FROM ledger_entry e WHERE (e.log, e.idx) ="
        " (SELECT v.log, v.idx FROM ledger_event v ORDER BY v.log DESC, v.idx DESC LIMIT 1)"
    ).one_or_none()
    return 0 if row is None else int(row[0])


def _newest_ticket(connection: Connection) -> int:
    return connection.exec_driver_sql("SELECT max(ticket) FROM ledger_leaf").scalar_one() or 0


def _last_derived(connection: Connection, chain: Chain) -> str | None:
    sender, recipient, message, side = chain
    row = connection.exec_driver_sql(
        "SELECT leaf FROM ledger_event WHERE msg = ? AND from_org = ? AND to_org = ? AND side = ?"
        " ORDER BY log DESC, idx DESC LIMIT 1",
        (message, sender, recipient, side),
    ).one_or_none()
    return None if row is None else as_bytes(row[0]).hex()


def _catch_up(connection: Connection) -> None:
    log = open_log(connection)
    while log is not None and derive(connection, log, limit=TAIL):
        pass
