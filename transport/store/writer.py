"""The one writer of a process on SQLite (exchange.md 9): what waits when a commit returns is the next batch.

Each unit has its own savepoint; one that fails rolls back alone. At the end of a batch the leaves of its units get
their places in the log, in the same transaction (ledger.md 5). A future is answered only after the commit. There is no
timer: waiting would only add delay, the flush itself gathers the next batch.

Disk full and I/O errors take the whole transaction away, not just the savepoint. So after every failed unit the writer
looks whether the transaction is still there; if it is gone, nothing of the batch is stored and its units run again,
each in a transaction of its own. For that reason a unit must do nothing but statements.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TypeVar

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from transport.errors import StoreError
from transport.store.faults import FULL, primary_code, translated
from transport.store.jobs import Job, Waiting
from transport.store.statements import Connection, SqliteConnection
from transport.store.unit import Unit
from transport.store.values import Ticket

__all__ = ["Place", "Unit", "Writer"]

T = TypeVar("T")

BATCH_UNITS = 1000
BATCH_LEAVES = 1000
"""Leaves after which a batch takes no further unit (exchange.md 9)."""
BATCH_BYTES = 8 * 1024 * 1024
"""Bytes of blobs in rows after which a batch takes no further unit (exchange.md 9)."""

_ROLLED_BACK = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_CONSTRAINT}
"""Failures of COMMIT after which it is certain that nothing was committed."""

Place = Callable[[Connection, Sequence[Ticket]], object]
"""What gives leaves their places in the log at the end of a batch: ``Log.place``."""
Published = Callable[[object], None]
"""What is told the new head after the commit: ``Log.published``."""


class _Gone(Exception):
    """The batch's transaction is gone and nothing of it stored; ``error`` is what a unit run alone would answer."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error


class Writer:
    """A thread that owns the only writing connection of the process."""

    def __init__(self, engine: Engine, place: Place | None, published: Published | None = None) -> None:
        self._engine = engine
        self._place = place
        self._published = published
        self._queue: deque[Waiting] = deque()
        self.make_room: Callable[[], bool] | None = None  # when the disk is full; false: there is none to make
        self.measure: Callable[[int, float], None] = lambda units, seconds: None  # after each commit
        self._wake = threading.Condition()
        self._closing = False
        self._connection: SqliteConnection | None = None
        self._thread = threading.Thread(target=self._work, name="edoc-writer", daemon=True)
        self._thread.start()

    def submit(self, function: Callable[[Unit], T]) -> Future[T]:
        """Queue a unit; the future answers after the commit, or with the error that kept the unit from being stored.

        Raises:
            StoreError: EDOC-STO-011, the store is closing.
            RuntimeError: called from inside a unit, which would wait for itself.
        """
        if threading.current_thread() is self._thread:
            raise RuntimeError("a unit cannot wait for another unit")
        job = Job(function)
        with self._wake:
            if self._closing:
                raise StoreError("EDOC-STO-011", "the store is closing")
            self._queue.append(job)
            self._wake.notify()
        return job.future

    def close(self) -> None:
        """Write what waits, then end the thread; may be called twice."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join()

    def _work(self) -> None:
        while jobs := self._next():
            taken = [job for job in jobs if job.take()]
            while taken:
                taken = self._serve(taken)
        self._drop_connection()

    def _next(self) -> list[Waiting]:
        """Wait for work and take all of it, up to the limit; empty when closing and nothing waits."""
        with self._wake:
            while not self._queue and not self._closing:
                self._wake.wait()
            return [self._queue.popleft() for _ in range(min(len(self._queue), BATCH_UNITS))]

    def _serve(self, jobs: list[Waiting]) -> list[Waiting]:
        """Commit one batch and answer its units; return those that did not fit into it."""
        try:
            count, failed = self._batch(jobs)
        except _Gone as gone:
            self._alone(jobs, gone.error)
            return []
        except BaseException as error:
            self._drop_connection()
            problem = translated(error, "writing") if isinstance(error, DBAPIError) else error
            for job in jobs:
                job.fail(problem)
            return []
        for job in jobs[:count]:
            if (reason := failed.get(id(job))) is not None:
                job.fail(reason)
            else:
                job.answer()
        return jobs[count:]

    def _alone(self, jobs: list[Waiting], error: BaseException) -> None:
        """Answer a unit whose own transaction failed; run the units of a larger batch again, one by one.

        One that fails alone because the disk is full runs once more if the ballast could be given up.
        """
        if len(jobs) == 1:
            full = isinstance(error, StoreError) and error.code == FULL
            if full and self.make_room is not None and self.make_room():
                self._serve(jobs)
                return
            jobs[0].fail(error)
            return
        for job in jobs:
            self._serve([job])

    def _batch(self, jobs: list[Waiting]) -> tuple[int, dict[int, BaseException]]:
        """Run units in one transaction and commit; return how many were run, and the errors of those that failed."""
        connection = self._connected()
        failed: dict[int, BaseException] = {}
        tickets: list[Ticket] = []
        count = size = 0
        with _begun(connection):
            for job in jobs:
                unit = Unit(connection, appends=self._place is not None)
                error = _run(job, unit, connection)
                if not connection.in_transaction:
                    raise _Gone(error or StoreError("EDOC-STO-004", "the transaction was taken away", doing="writing"))
                if error is not None:
                    failed[id(job)] = error
                else:
                    tickets += unit.tickets
                    size += unit.bytes
                count += 1
                if len(tickets) >= BATCH_LEAVES or size >= BATCH_BYTES:
                    break
            head = self._place_all(connection, tickets)
            began = time.perf_counter()
            _commit(connection)
        self.measure(count, time.perf_counter() - began)
        if self._published is not None and head is not None:
            self._published(head)
        return count, failed

    def _place_all(self, connection: Connection, tickets: list[Ticket]) -> object:
        if not tickets or self._place is None:
            return None
        try:
            return self._place(connection, tickets)
        except DBAPIError as error:
            raise _Gone(translated(error, "placing leaves in the log")) from error
        except BaseException as error:
            raise _Gone(error) from error

    def _connected(self) -> SqliteConnection:
        if self._connection is None or self._connection.broken:
            try:
                self._connection = SqliteConnection(self._engine.connect(), reading=False)
            except DBAPIError as error:
                raise translated(error, "opening the database") from error
        return self._connection

    def _drop_connection(self) -> None:
        """Give the connection back; the next batch opens a new one, so no half-known state is carried on."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.drop()


class _begun:  # noqa: N801 - reads as a phrase: with _begun(connection)
    """A transaction that is rolled back unless it was committed inside."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        try:
            self._connection.begin()
        except DBAPIError as error:
            self._connection.rollback()
            raise translated(error, "beginning to write") from error

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            try:
                self._connection.rollback()
            except DBAPIError:
                self._connection.drop()  # closing it rolls back as well; what failed first is what is told


def _run(job: Waiting, unit: Unit, connection: SqliteConnection) -> BaseException | None:
    """Run one unit in its savepoint; return what made it fail, after taking back what it had done."""
    connection.exec_driver_sql("SAVEPOINT unit")
    try:
        job.run(unit)
    except BaseException as error:
        if connection.in_transaction:
            connection.exec_driver_sql("ROLLBACK TO unit")
            connection.exec_driver_sql("RELEASE unit")
        return translated(error, "writing") if isinstance(error, DBAPIError) else error
    if connection.in_transaction:
        connection.exec_driver_sql("RELEASE unit")
    return None


def _commit(connection: Connection) -> None:
    """Commit the batch.

    Raises:
        _Gone: it is certain that nothing was committed.
        StoreError: with ``unclear=True`` in its facts when the outcome is unknown (exchange.md 3.1, commit unclear).
    """
    try:
        connection.commit()
    except DBAPIError as error:
        problem = translated(error, "committing")
        if primary_code(error) in _ROLLED_BACK:
            raise _Gone(problem) from error
        problem.facts["unclear"] = True
        raise problem from error
