"""Connections that stay open: the readers' (a stack of them), and the one of a writing thread.

Opening a connection, and giving it back to a pool after each use, costs more than most questions. A connection that
met an error of the database is not used again; when a server ended one, the others that wait are dropped as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from transport.store.statements import Connection, Row, Values, over

READERS = 8
"""Connections kept for reading; more are opened when asked for and closed afterwards."""


class Readers:
    """Connections for reading, of all threads of a process."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._idle: list[Connection] = []  # the one used last is used next: its statements are prepared
        self._closed = False

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """Give a connection with a snapshot of its own, which ends with the block.

        Raises:
            DBAPIError: there is no connection to be had.
        """
        connection = self._take()
        try:
            connection.begin()
            yield connection
            connection.commit()  # nothing was written; what a server has prepared outlives a commit only
        except DBAPIError:
            self._drop(connection)
            raise
        except BaseException:
            self._end(connection)
            raise
        self._back(connection)

    def ask(self, statement: str, parameters: Values = ()) -> Row | None:
        """Return the first row of one statement, which is a snapshot by itself and needs no transaction.

        Raises:
            DBAPIError: the database cannot be read.
        """
        connection = self._take()
        try:
            row = connection.exec_driver_sql(statement, parameters).first()
        except BaseException:
            self._drop(connection)
            raise
        self._back(connection)
        return row

    def close(self) -> None:
        """Close what is not in use; what is, is closed when it comes back."""
        self._closed = True
        self._clear()
        self._engine.dispose()

    def _take(self) -> Connection:
        try:
            return self._idle.pop()
        except IndexError:
            return over(self._engine.connect(), reading=True)

    def _back(self, connection: Connection) -> None:
        if self._closed or len(self._idle) >= READERS:
            connection.drop()
        else:
            self._idle.append(connection)

    def _end(self, connection: Connection) -> None:
        try:
            connection.rollback()
        except DBAPIError:
            self._drop(connection)
        else:
            self._back(connection)

    def _drop(self, connection: Connection) -> None:
        if connection.broken:
            self._clear()
        connection.drop()

    def _clear(self) -> None:
        while True:
            try:
                self._idle.pop().drop()
            except IndexError:
                return


class Standing:
    """The connection of one thread, opened when it is needed and again after it broke."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Connection | None = None

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """Give the connection; what the block does not commit is rolled back.

        Raises:
            DBAPIError: it cannot be opened.
        """
        if self._connection is None:
            self._connection = over(self._engine.connect())
        try:
            yield self._connection
            self._connection.rollback()
        except BaseException:
            self._after_error(self._connection)
            raise

    def drop(self) -> None:
        """Close it; the next use opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.drop()

    def _after_error(self, connection: Connection) -> None:
        try:
            connection.rollback()
        except DBAPIError:
            self.drop()
        else:
            if connection.broken:
                self.drop()
