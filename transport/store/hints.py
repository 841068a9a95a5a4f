"""Listening to PostgreSQL's notices (exchange.md 6, wake-up): hints only, a poll carries correctness."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import cast

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from transport.store.sequencer import CHANNEL

AGAIN_SECONDS = 5.0
"""Pause before a broken connection is opened again."""
_LOOK_SECONDS = 1.0

log = logging.getLogger("edoc.store")


class Hints:
    """A thread with a connection of its own that calls ``heard`` for each batch of notices."""

    def __init__(self, engine: Engine, heard: Callable[[], None]) -> None:
        self._engine = engine
        self._heard = heard
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="edoc-hints", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening; may be called twice."""
        self._stop.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._stop.is_set():
            try:
                self._listen()
            except DBAPIError as error:
                log.info("store.listening-ended", extra={"error": type(error).__name__})
            self._stop.wait(AGAIN_SECONDS)

    def _listen(self) -> None:
        """Listen on a connection outside the pool until told to stop or the connection ends."""
        import psycopg

        with self._engine.connect() as connection:
            driver = cast("psycopg.Connection[object]", connection.connection.driver_connection)
            connection.detach()
            connection.exec_driver_sql(f"LISTEN {CHANNEL}")
            connection.commit()
            try:
                driver.autocommit = True
                while not self._stop.is_set():
                    if list(driver.notifies(timeout=_LOOK_SECONDS, stop_after=1)):
                        self._heard()
            except psycopg.Error as error:
                log.info("store.listening-ended", extra={"error": type(error).__name__})
