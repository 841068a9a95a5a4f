"""Rows of the ledger as the log reads them: the log with its head, leaves, tiles (ledger.md 12)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from transport.ledger.tiles import WIDTH, split_hashes


@dataclass(frozen=True, slots=True)
class OpenLog:
    """A log and its head as stored; ``at`` in milliseconds since 1970."""

    id: int
    origin: str
    vkey: str
    state: str
    reason: str | None
    min_index: int
    size: int
    root: bytes
    edge: bytes
    at: int
    note: str


_LOG = (
    "SELECT l.id, l.origin, l.vkey, l.state, l.reason, l.min_index, h.size, h.root, h.edge, h.at, h.note"
    " FROM ledger_log l JOIN ledger_head h ON h.log = l.id"
)


def open_log(connection: Connection, shard: str | None = None) -> OpenLog | None:
    """Return the log that is written (the newest, if none is open), or the shard named; ``None`` if there is none."""
    if shard is None:
        found = connection.exec_driver_sql(f"{_LOG} ORDER BY l.state = 'open' DESC, l.id DESC LIMIT 1")
    else:
        found = connection.exec_driver_sql(f"{_LOG} WHERE l.shard = ?", (shard,))
    row = found.one_or_none()
    return None if row is None else OpenLog(*row)


def leaf_at(connection: Connection, log: int, index: int) -> bytes | None:
    """Return a leaf's bytes; ``None`` when there is no such leaf or its bytes were pruned."""
    row = connection.exec_driver_sql(
        "SELECT f.data FROM ledger_entry e JOIN ledger_leaf f ON f.ticket = e.ticket WHERE e.log = ? AND e.idx = ?",
        (log, index),
    ).one_or_none()
    return None if row is None or row[0] is None else bytes(row[0])


def read_tile(connection: Connection, log: int, level: int, n: int, width: int) -> Sequence[bytes]:
    """Return at least the first ``width`` hashes of a tile: stored when full, else from rows; fewer if they lack."""
    row = connection.exec_driver_sql(
        "SELECT data FROM ledger_tile WHERE log = ? AND level = ? AND n = ?", (log, level, n)
    ).one_or_none()
    if row is not None:
        return split_hashes(row[0])
    bounds = (n * WIDTH, n * WIDTH + width)
    if level == 0:
        rows = connection.exec_driver_sql(
            "SELECT f.leaf FROM ledger_entry e JOIN ledger_leaf f ON f.ticket = e.ticket"
            " WHERE e.log = ? AND e.idx >= ? AND e.idx < ? ORDER BY e.idx",
            (log, *bounds),
        )
    else:
        rows = connection.exec_driver_sql(
            "SELECT root FROM ledger_tile WHERE log = ? AND level = ? AND n >= ? AND n < ? ORDER BY n",
            (log, level - 1, *bounds),
        )
    return [bytes(row[0]) for row in rows]
