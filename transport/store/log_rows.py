"""Rows of the ledger as the log reads them: the log with its head, leaves, tiles (ledger.md 12).

Columns of bytes are cast, so that a row changed by hand is bytes that do not hold instead of an error of the driver.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transport.ledger.merkle import HASH_SIZE
from transport.ledger.tiles import WIDTH, split_hashes
from transport.store.statements import Connection


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
    "SELECT l.id, l.origin, l.vkey, l.state, l.reason, l.min_index, h.size,"
    " CAST(h.root AS BLOB), CAST(h.edge AS BLOB), h.at, CAST(h.note AS BLOB)"
    " FROM ledger_log l JOIN ledger_head h ON h.log = l.id"
)


def as_bytes(value: object) -> bytes:
    """Return a column's bytes; what is no BLOB (somebody changed the row) becomes bytes that hash to something else."""
    if isinstance(value, bytes):
        return value
    return value.encode() if isinstance(value, str) else b""


def open_log(connection: Connection, shard: str | None = None) -> OpenLog | None:
    """Return the log that is written (the newest, if none is open), or the shard named; ``None`` if there is none."""
    if shard is None:
        found = connection.exec_driver_sql(f"{_LOG} ORDER BY l.state = 'open' DESC, l.id DESC LIMIT 1")
    else:
        found = connection.exec_driver_sql(f"{_LOG} WHERE l.shard = ?", (shard,))
    row = found.one_or_none()
    if row is None:
        return None
    number, origin, vkey, state, reason, least, size, root, edge, at, note = row
    state = (str(origin), str(vkey), str(state), reason)
    return OpenLog(
        int(number),
        *state,
        int(least),
        int(size),
        as_bytes(root),
        as_bytes(edge),
        int(at),
        as_bytes(note).decode("utf-8", "replace"),
    )


def leaf_at(connection: Connection, log: int, index: int) -> bytes | None:
    """Return a leaf's bytes; ``None`` when there is no such leaf or its bytes were pruned."""
    row = connection.exec_driver_sql(
        "SELECT CAST(f.data AS BLOB) FROM ledger_entry e JOIN ledger_leaf f ON f.ticket = e.ticket"
        " WHERE e.log = ? AND e.idx = ?",
        (log, index),
    ).one_or_none()
    return None if row is None or row[0] is None else as_bytes(row[0])


def read_tile(connection: Connection, log: int, level: int, n: int, width: int) -> Sequence[bytes]:
    """Return at least the first ``width`` hashes of a tile: stored when full, else from rows; fewer if they lack."""
    row = connection.exec_driver_sql(
        "SELECT CAST(data AS BLOB) FROM ledger_tile WHERE log = ? AND level = ? AND n = ?", (log, level, n)
    ).one_or_none()
    if row is not None:
        return split_hashes(as_bytes(row[0])[: WIDTH * HASH_SIZE])
    bounds = (n * WIDTH, n * WIDTH + width)
    if level == 0:
        rows = connection.exec_driver_sql(
            "SELECT CAST(f.leaf AS BLOB) FROM ledger_entry e JOIN ledger_leaf f ON f.ticket = e.ticket"
            " WHERE e.log = ? AND e.idx >= ? AND e.idx < ? ORDER BY e.idx",
            (log, *bounds),
        )
    else:
        rows = connection.exec_driver_sql(
            "SELECT CAST(root AS BLOB) FROM ledger_tile WHERE log = ? AND level = ? AND n >= ? AND n < ? ORDER BY n",
            (log, level - 1, *bounds),
        )
    return [as_bytes(row[0]) for row in rows]
