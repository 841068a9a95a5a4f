"""Writing on PostgreSQL (exchange.md 9): a short transaction per unit, several at once, group commit by the server.

A unit that appends leaves is answered when they have their places in the log, which the sequencer of any process gives
(``sequencer``), or after two seconds without: then its tickets have no index yet. A unit that met a deadlock, or whose
connection broke before COMMIT was sent, is taken back by the database and runs again; for that reason a unit must do
nothing but statements.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from transport.errors import StoreError
from transport.store import pgfaults
from transport.store.faults import translated
from transport.store.jobs import Job, Waiting
from transport.store.postgres import WRITERS
from transport.store.sequencer import Sequencer
from transport.store.standing import Standing
from transport.store.unit import Unit

T = TypeVar("T")

TRIES = 5
"""How often a unit runs that deadlocks or loses its connection before COMMIT."""

log = logging.getLogger("edoc.store")


class _Unclear(Exception):
    """COMMIT was sent and its answer never came."""


class PgWriter:
    """Threads that each run one unit at a time in a transaction of its own."""

    def __init__(self, engine: Engine, sequencer: Sequencer | None) -> None:
        self._engine = engine
        self._sequencer = sequencer
        self._queue: queue.SimpleQueue[Waiting | None] = queue.SimpleQueue()
        self._closing = False
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._idle = threading.Semaphore(0)

    def submit(self, function: Callable[[Unit], T]) -> Future[T]:
        """Queue a unit; the future answers after the commit, or with the error that kept the unit from being stored.

        Raises:
            RuntimeError: called from inside a unit, which would wait for itself.
            StoreError: the store is closing.
        """
        if threading.current_thread() in self._threads:
            raise RuntimeError("a unit may not wait for another unit")
        job = Job(function)
        with self._lock:
            if self._closing:
                raise StoreError("EDOC-STO-011", "the store is closing")
            self._queue.put(job)
            if not self._idle.acquire(blocking=False) and len(self._threads) < WRITERS:
                self._start()
        return job.future

    def close(self) -> None:
        """Write what waits, then end the threads; may be called twice."""
        with self._lock:
            first, self._closing = not self._closing, True
            threads = list(self._threads)
        if first:
            for _ in threads:
                self._queue.put(None)
        for thread in threads:
            thread.join()
        if self._sequencer is not None:
            self._sequencer.close()

    def _start(self) -> None:
        thread = threading.Thread(target=self._work, name=f"edoc-writer-{len(self._threads)}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work(self) -> None:
        standing = Standing(self._engine)
        while (job := self._queue.get()) is not None:
            if job.take():
                self._serve(job, standing)
            self._idle.release()
        standing.drop()

    def _serve(self, job: Waiting, standing: Standing) -> None:
        for left in reversed(range(TRIES)):
            try:
                unit = self._once(job, standing)
            except _Unclear as unclear:
                problem = translated(_cause(unclear), "committing")
                problem.facts["unclear"] = True
                job.fail(problem)
            except DBAPIError as error:
                if left and _may_run_again(error):
                    continue
                job.fail(translated(error, "writing"))
            except BaseException as error:
                job.fail(error)
            else:
                self._answer(job, unit)
            return

    def _once(self, job: Waiting, standing: Standing) -> Unit:
        """Run a unit in a transaction of its own; returns after the commit."""
        with standing.connect() as connection:
            unit = Unit(connection, appends=self._sequencer is not None)
            job.run(unit)
            try:
                connection.commit()
            except DBAPIError as error:
                if pgfaults.outcome_unclear(error.orig):
                    raise _Unclear from error
                raise
        return unit

    def _answer(self, job: Waiting, unit: Unit) -> None:
        if unit.tickets and self._sequencer is not None:
            self._sequencer.expect(unit.tickets, job.answer)
        else:
            job.answer()


def _cause(unclear: _Unclear) -> DBAPIError:
    cause = unclear.__cause__
    assert isinstance(cause, DBAPIError)
    return cause


def _may_run_again(error: DBAPIError) -> bool:
    """Say whether nothing was stored for a reason that a second run need not meet."""
    return error.connection_invalidated or pgfaults.state_of(error.orig) in pgfaults.RETRYABLE
