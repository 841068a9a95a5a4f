"""The time leases and due dates are measured by (exchange.md 6, wake-up and clock).

On PostgreSQL the database's clock, so that processes whose own clocks differ agree: it is asked every half minute and
carried on by the system's steady counter in between, which nobody can set. On SQLite the wall clock, that never runs
back within the process.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from transport.errors import TransportError

ASK_SECONDS = 30.0

Clock = Callable[[], datetime]


def never_back(wall: Clock) -> Clock:
    """Return a clock that stands still where ``wall`` runs back."""
    lock, newest = threading.Lock(), [wall()]

    def now() -> datetime:
        with lock:
            newest[0] = max(newest[0], wall())
            return newest[0]

    return now


def of_database(ask: Clock, steady: Callable[[], float] = time.monotonic) -> Clock:
    """Return a clock that follows another one, asked every half minute; between the questions it costs nothing.

    When the database is away, the answer once had is carried on; without one its error is raised.
    """
    lock = threading.Lock()
    known: list[tuple[datetime, float]] = []

    def now() -> datetime:
        with lock:
            if not known or steady() - known[0][1] >= ASK_SECONDS:
                _ask_again()
            at, counter = known[0]
            return at + timedelta(seconds=steady() - counter)

    def _ask_again() -> None:
        before = steady()
        try:
            answer = ask()
        except TransportError:
            if not known:
                raise
            at, counter = known[0]
            known[0] = (at + timedelta(seconds=before - counter), before)
            return
        known[:] = [(answer, (before + steady()) / 2)]

    return now
