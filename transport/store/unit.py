"""One act of the store: the statements that are committed together or not at all, whatever the database."""

from __future__ import annotations

import hashlib

from transport.errors import LedgerError
from transport.store import blobs
from transport.store.dialect import hold, is_postgres
from transport.store.statements import Connection
from transport.store.values import Ticket

_LEAF = "INSERT INTO ledger_leaf (leaf, data) VALUES (?, ?) RETURNING ticket"
_PENDING_LEAF = """
    WITH made AS (INSERT INTO ledger_leaf (leaf, data) VALUES (?, ?) RETURNING ticket)
    INSERT INTO ledger_pending (ticket, log) SELECT made.ticket, g.id FROM made, ledger_log g WHERE g.state = 'open'
    RETURNING ticket
"""
"""The leaf waits for whoever gives the places next (ledger.md 5); a log that is not open takes none."""


class Unit:
    """One act of the store: statements that are committed together or not at all."""

    __slots__ = ("_appends", "bytes", "connection", "tickets")

    def __init__(self, connection: Connection, *, appends: bool) -> None:
        self.connection = connection
        self.tickets: list[Ticket] = []
        self.bytes = 0
        self._appends = appends

    def append(self, leaf: bytes) -> Ticket:
        """Add a leaf (its canonical bytes, at most 4096) to the log; its index is known when the future answers.

        On PostgreSQL the index may still be unknown then, if no node could place the leaf within two seconds.

        Raises:
            RuntimeError: the store was opened without a log.
            LedgerError: no log is open here (PostgreSQL says it now, SQLite when the batch is placed).
        """
        if not self._appends:
            raise RuntimeError("this store was opened without a log")
        digest = hashlib.sha256(b"\x00" + leaf).digest()  # leaf hash of RFC 6962 2.1
        statement = _PENDING_LEAF if is_postgres(self.connection) else _LEAF
        number = self.connection.exec_driver_sql(statement, (digest, leaf)).scalar_one_or_none()
        if number is None:
            raise _not_open(self.connection)
        ticket = Ticket(int(number), digest, leaf)
        self.tickets.append(ticket)
        return ticket

    def keep(self, blob: blobs.Staged | bytes) -> str:
        """Record a blob and return its digest; bytes are put into the row, so they must be small or staged before.

        Raises:
            ValueError: bare bytes above 64 KiB.
        """
        if isinstance(blob, bytes):
            if len(blob) > blobs.ROW_MAX:
                raise ValueError("bytes above 64 KiB are staged before the transaction")
            blob = blobs.Staged(hashlib.sha256(blob).hexdigest(), len(blob), blob)
        self.bytes += blob.size if blob.data is not None else 0
        return blobs.keep(self.connection, blob)

    def hold(self, name: str) -> None:
        """Let no other unit that holds this name, in whatever process, go on before this one has ended.

        For decisions that rest on a question no row and no unique key guards.
        """
        hold(self.connection, name)


def _not_open(connection: Connection) -> LedgerError:
    """Return why the log takes no leaf: there is none, or it is frozen."""
    row = connection.exec_driver_sql("SELECT origin, state, reason FROM ledger_log ORDER BY id DESC LIMIT 1").first()
    if row is None:
        return LedgerError("EDOC-LED-020", "there is no such log in this database")
    return LedgerError("EDOC-LED-023", "the log is frozen", origin=str(row[0]), reason=row[2])
