"""Who gives leaves their places on PostgreSQL (ledger.md 5): any process, one at a time, in ticket order.

Units commit their leaves with a row in ``ledger_pending``, in parallel. A round takes an advisory lock that ends with
its transaction, gives the next pending tickets their indices, signs the head, removes the pending rows and commits. A
process that does not get the lock waits: another carries its rows along. There is no leader: rows left behind by a
process that died are placed by whoever comes next. The lock is for speed; that no index is given twice is kept by the
head's compare-and-set and by the primary key.

A notice (``NOTIFY``) with the new size goes out after each round. Notices are hints; a look every 50 ms while somebody
waits, and every second otherwise, carries correctness.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from transport.errors import TransportError
from transport.store.dialect import LOCKS
from transport.store.standing import Standing
from transport.store.statements import Connection
from transport.store.values import Ticket

Place = Callable[[Connection, Sequence[Ticket]], object]
Published = Callable[[object], None]

CHANNEL = "edoc_placed"
ROUND_TICKETS = 2_000
"""Pending tickets that one round places at most (ledger.md 5)."""
WAIT_SECONDS = 2.0
"""How long an answer waits for its leaf's index; then it goes without (exchange.md 3.1, S12)."""
TICK_SECONDS = 0.05
IDLE_SECONDS = 1.0

_PENDING = """
    SELECT p.ticket, f.leaf, f.data FROM ledger_pending p JOIN ledger_leaf f ON f.ticket = p.ticket
    ORDER BY p.ticket LIMIT ?
"""
_PLACED = "WITH gone AS (DELETE FROM ledger_pending WHERE ticket = ANY(?)) SELECT pg_notify(?, ?)"
"""Whoever listens hears it after the commit."""

log = logging.getLogger("edoc.ledger")


@dataclass(slots=True)
class _Expected:
    """Tickets of one committed unit, and who waits for their indices."""

    tickets: list[Ticket]
    answer: Callable[[], None]
    until: float


class Sequencer:
    """A thread that places pending leaves while its process has the log's key."""

    def __init__(self, engine: Engine, place: Place, published: Published | None = None) -> None:
        self._place = place
        self._published = published
        self._wake = threading.Condition()
        self._expected: list[_Expected] = []
        self._hinted = True  # whatever an earlier process left behind
        self._closing = False
        self._standing = Standing(engine)
        self._thread = threading.Thread(target=self._work, name="edoc-sequencer", daemon=True)
        self._thread.start()

    def expect(self, tickets: list[Ticket], answer: Callable[[], None]) -> None:
        """Call ``answer`` when these committed tickets have their indices, or after two seconds without."""
        with self._wake:
            self._expected.append(_Expected(tickets, answer, time.monotonic() + WAIT_SECONDS))
            self._wake.notify()

    def hint(self) -> None:
        """Look now: another process has placed leaves, or left some."""
        with self._wake:
            self._hinted = True
            self._wake.notify()

    def close(self) -> None:
        """Answer who still waits, then end; may be called twice."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join()

    def _work(self) -> None:
        while self._something_to_do():
            try:
                placed = self._round()
            except (DBAPIError, TransportError) as error:  # frozen, database away, lost race: the rows stay pending
                log.warning("ledger.round-failed", extra={"error": getattr(error, "code", type(error).__name__)})
                placed = None
            self._settle(placed or {})
            if not placed:
                self._pause()
        self._standing.drop()

    def _something_to_do(self) -> bool:
        with self._wake:
            if not self._expected and not self._hinted and not self._closing:
                self._wake.wait(IDLE_SECONDS)
            self._hinted = False
            return bool(self._expected) or not self._closing

    def _pause(self) -> None:
        """Nothing could be placed: wait for a notice, at most until the next look."""
        with self._wake:
            if self._expected and not self._hinted:
                self._wake.wait(TICK_SECONDS)

    def _round(self) -> dict[int, int]:
        """Place what is pending; return the index of each ticket placed, none when another process is at it."""
        with self._standing.connect() as connection:
            if not connection.exec_driver_sql("SELECT pg_try_advisory_xact_lock(?, 1)", (LOCKS,)).scalar_one():
                connection.commit()
                return {}
            rows = connection.exec_driver_sql(_PENDING, (ROUND_TICKETS,)).all()
            if not rows:
                connection.commit()
                return {}
            tickets = [Ticket(int(row[0]), bytes(row[1]), bytes(row[2])) for row in rows]
            head = self._place(connection, tickets)
            numbers = [ticket.id for ticket in tickets]
            size = max(ticket.index or 0 for ticket in tickets) + 1
            connection.exec_driver_sql(_PLACED, (numbers, CHANNEL, str(size))).all()
            connection.commit()
            if self._published is not None:
                self._published(head)
            self._hinted = self._hinted or len(rows) == ROUND_TICKETS
        return {ticket.id: ticket.index for ticket in tickets if ticket.index is not None}

    def _settle(self, placed: dict[int, int]) -> None:
        """Answer who waited for tickets that are placed by now, by us or by others, and who has waited long enough."""
        with self._wake:
            expected = list(self._expected)
        missing = [t.id for one in expected for t in one.tickets if t.id not in placed]
        found = {**placed, **self._look(missing)} if missing else placed
        done = [one for one in expected if self._ready(one, found)]
        with self._wake:
            self._expected = [one for one in self._expected if one not in done]
        for one in done:
            one.answer()

    def _ready(self, one: _Expected, found: dict[int, int]) -> bool:
        for ticket in one.tickets:
            ticket.index = found.get(ticket.id, ticket.index)
        placed = all(ticket.index is not None for ticket in one.tickets)
        return placed or time.monotonic() >= one.until

    def _look(self, missing: list[int]) -> dict[int, int]:
        try:
            with self._standing.connect() as connection:
                rows = connection.exec_driver_sql(
                    "SELECT ticket, idx FROM ledger_entry WHERE ticket = ANY(?)", (missing,)
                )
                found = {int(ticket): int(index) for ticket, index in rows}
                connection.commit()
                return found
        except DBAPIError:
            return {}
