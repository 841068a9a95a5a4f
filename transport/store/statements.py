"""Statements on a connection that is kept, straight to the driver (exchange.md 9; dependencies.md 1, SQLAlchemy).

What a statement costs through SQLAlchemy is four to five times what the driver itself costs. So SQLAlchemy opens the
connections, makes the schema and composes the questions that are put together from conditions (``execute``); every
statement that is a text goes to the driver's cursor. Promised either way: a driver's error comes as SQLAlchemy's
``DBAPIError`` without values in it (I8), and on SQLite nothing is written outside a transaction.
"""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, cast

import sqlalchemy
from sqlalchemy import CursorResult, Executable
from sqlalchemy.exc import DBAPIError, MultipleResultsFound, NoResultFound

from transport.errors import StoreError
from transport.store.dialect import for_postgres
from transport.store.refusals import FAILED

if TYPE_CHECKING:
    import psycopg

FETCHED_AT_ONCE = 1000
"""Rows of a server's answer that are made values of at once; larger answers are read row by row."""

Column: TypeAlias = Any
"""A column as the driver gives it; ``records`` says what it must be."""
Row: TypeAlias = "tuple[Column, ...]"
Values: TypeAlias = "Sequence[object] | Mapping[str, object]"
"""Parameters of a statement: by place, by name, or a list of rows for the same statement."""


class Cursor(Protocol):
    """What is needed of a driver's cursor."""

    @property
    def rowcount(self) -> int: ...
    @property
    def description(self) -> Sequence[Sequence[object]] | None: ...
    def fetchone(self) -> Row | None: ...
    def fetchall(self) -> list[Row]: ...
    def close(self) -> None: ...


class Answer:
    """The rows of one statement, read from the driver as they are asked for."""

    __slots__ = ("_connection", "_cursor")

    def __init__(self, connection: Connection, cursor: Cursor) -> None:
        self._connection = connection
        self._cursor = cursor

    @property
    def rowcount(self) -> int:
        """How many rows the statement changed."""
        return self._cursor.rowcount

    def first(self) -> Row | None:
        """Return the first row, ``None`` without one; the others are not read."""
        try:
            row = self._cursor.fetchone()
            self._cursor.close()
        except self._connection.errors as error:
            raise self._connection.failed(error) from error
        return row

    def one_or_none(self) -> Row | None:
        """Return the only row, ``None`` without one. Raises ``MultipleResultsFound`` when there are more."""
        rows = self.all()
        if len(rows) > 1:
            raise MultipleResultsFound("there is more than one row")
        return rows[0] if rows else None

    def one(self) -> Row:
        """Return the only row. Raises ``NoResultFound`` without one, ``MultipleResultsFound`` when there are more."""
        row = self.one_or_none()
        if row is None:
            raise NoResultFound("there is no row")
        return row

    def scalar(self) -> Column:
        """Return the first column of the first row, ``None`` without one."""
        row = self.first()
        return None if row is None else row[0]

    def scalar_one(self) -> Column:
        """Return the first column of the only row. Raises as :meth:`one`."""
        return self.one()[0]

    def scalar_one_or_none(self) -> Column:
        """Return the first column of the only row, ``None`` without one. Raises as :meth:`one_or_none`."""
        row = self.one_or_none()
        return None if row is None else row[0]

    def all(self) -> list[Row]:
        """Return all rows."""
        try:
            return self._cursor.fetchall()
        except self._connection.errors as error:
            raise self._connection.failed(error) from error

    def scalars(self) -> Scalars:
        """Return the first column of each row."""
        return Scalars(self)

    def mappings(self) -> Iterator[dict[str, Column]]:
        """Return each row by the names of its columns."""
        names = [str(one[0]) for one in self._cursor.description or ()]
        return (dict(zip(names, row, strict=True)) for row in self)

    def __iter__(self) -> Iterator[Row]:
        while True:
            try:
                row = self._cursor.fetchone()
            except self._connection.errors as error:
                raise self._connection.failed(error) from error
            if row is None:
                return
            yield row


class Scalars:
    """The first column of each row of an answer."""

    __slots__ = ("_answer",)

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def all(self) -> list[Column]:
        """Return them all."""
        return [row[0] for row in self._answer.all()]

    def __iter__(self) -> Iterator[Column]:
        return (row[0] for row in self._answer)


class Connection(ABC):
    """A connection of the store, used by one thread at a time; ``composing`` is the same one as SQLAlchemy has it."""

    errors: tuple[type[Exception], ...]
    """The driver's errors."""
    shared = False
    """Whether it leads to PostgreSQL, where several processes write at once."""

    def __init__(self, composing: sqlalchemy.Connection, *, reading: bool) -> None:
        self.composing = composing
        self.reading = reading

    @abstractmethod
    def exec_driver_sql(self, statement: str, parameters: Values = ()) -> Answer:
        """Run a statement written as text; a list of rows as parameters runs it for each of them.

        Raises:
            DBAPIError: the database refuses it.
            StoreError: on SQLite, the transaction was taken away by the database.
        """

    def execute(self, statement: Executable, parameters: Values | None = None) -> CursorResult[*tuple[Column, ...]]:
        """Run a statement that was composed with SQLAlchemy, in the same transaction. Raises as SQLAlchemy does."""
        return self.composing.execute(statement, cast("list[dict[str, object]] | None", parameters))

    @abstractmethod
    def copy_in(self, table: str, columns: Sequence[str], rows: Sequence[tuple[object, ...]]) -> None:
        """Fill a table in the way the database has for many rows. Raises ``DBAPIError``."""

    @property
    @abstractmethod
    def broken(self) -> bool:
        """Whether the connection has ended."""

    @abstractmethod
    def begin(self) -> None:
        """Begin a transaction. Raises ``DBAPIError``."""

    def commit(self) -> None:
        """Commit the transaction. Raises ``DBAPIError``."""
        try:
            if self.composing.in_transaction():  # SQLAlchemy counts for itself, and commits the driver's transaction
                self.composing.commit()
            else:
                self._commit()
        except self.errors as error:
            raise self.failed(error) from error

    def rollback(self) -> None:
        """Take the transaction back. Raises ``DBAPIError``."""
        try:
            if (
                self.composing.get_transaction() is not None
            ):  # also one whose commit failed, which is not active any more
                self.composing.rollback()
            if not self.broken:
                self._rollback()
        except self.errors as error:
            raise self.failed(error) from error

    def drop(self) -> None:
        """End the connection and whatever it had begun; nothing of it is used again."""
        with suppress(DBAPIError, *self.errors):
            self.composing.invalidate()
        self.composing.close()

    def failed(self, error: Exception) -> DBAPIError:
        """Return a driver's error as the rest of the store takes it; the values of the statement are left out."""
        return DBAPIError(None, None, error, hide_parameters=True, connection_invalidated=self.broken)

    @abstractmethod
    def _commit(self) -> None: ...
    @abstractmethod
    def _rollback(self) -> None: ...


class SqliteConnection(Connection):
    """A connection to a file."""

    errors = (sqlite3.Error,)

    def __init__(self, composing: sqlalchemy.Connection, *, reading: bool) -> None:
        super().__init__(composing, reading=reading)
        self._dropped = False
        self.driver = cast("sqlite3.Connection", composing.connection.driver_connection)

    def exec_driver_sql(self, statement: str, parameters: Values = ()) -> Answer:
        driver = self.driver
        if (
            not self.reading and not driver.in_transaction
        ):  # a unit that goes on after that would commit each statement by itself
            raise taken_away()
        try:
            if isinstance(parameters, list):
                return Answer(self, driver.executemany(statement, parameters))
            return Answer(self, driver.execute(statement, cast("Sequence[str]", parameters)))
        except sqlite3.Error as error:
            raise self.failed(error) from error

    def copy_in(self, table: str, columns: Sequence[str], rows: Sequence[tuple[object, ...]]) -> None:
        names, marks = ", ".join(columns), ", ".join("?" * len(columns))
        self.exec_driver_sql(f"INSERT INTO {table} ({names}) VALUES ({marks})", list(rows))  # noqa: S608

    @property
    def broken(self) -> bool:
        return self._dropped

    @property
    def in_transaction(self) -> bool:
        """Whether the database still has our transaction: disk full and I/O errors take it away as a whole."""
        return self.driver.in_transaction

    def drop(self) -> None:
        self._dropped = True
        super().drop()

    def begin(self) -> None:
        try:
            self.driver.execute("BEGIN" if self.reading else "BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            raise self.failed(error) from error

    def _commit(self) -> None:
        self.driver.commit()

    def _rollback(self) -> None:
        self.driver.rollback()


class Fetched:
    """Rows that were fetched from a cursor, which serves the next statement meanwhile."""

    __slots__ = ("_at", "_result", "_rows", "rowcount")

    def __init__(self, result: psycopg.pq.abc.PGresult, rowcount: int, rows: list[Row]) -> None:
        self._result = result
        self._rows = rows
        self._at = 0
        self.rowcount = rowcount

    @property
    def description(self) -> Sequence[Sequence[object]] | None:
        """The columns' names, each in a tuple."""
        names = (self._result.fname(number) or b"" for number in range(self._result.nfields))
        return [(name.decode(),) for name in names]

    def fetchone(self) -> Row | None:
        """Return the next row, ``None`` after the last."""
        if self._at == len(self._rows):
            return None
        self._at += 1
        return self._rows[self._at - 1]

    def fetchall(self) -> list[Row]:
        """Return the rows that are left."""
        rest, self._at = self._rows[self._at :], len(self._rows)
        return rest

    def close(self) -> None:
        """Nothing is held."""


class PostgresConnection(Connection):
    """A connection to a server; a transaction that writes begins with its first statement."""

    shared = True

    def __init__(self, composing: sqlalchemy.Connection, *, reading: bool) -> None:
        import psycopg

        super().__init__(composing, reading=reading)
        self.errors = (psycopg.Error,)
        self.driver = cast("psycopg.Connection[Row]", composing.connection.driver_connection)
        self._cursor = self.driver.cursor()  # making one for each statement costs a third of the statement

    def exec_driver_sql(self, statement: str, parameters: Values = ()) -> Answer:
        query, cursor = for_postgres(statement), self._cursor
        try:
            if isinstance(parameters, list):
                cursor.executemany(query, parameters)
            else:
                cursor.execute(query, parameters)
            result = cursor.pgresult
            if result is None or result.ntuples > FETCHED_AT_ONCE:  # the cursor stays with the answer
                self._cursor = self.driver.cursor()
                return Answer(self, cursor)
            return Answer(self, Fetched(result, cursor.rowcount, cursor.fetchall() if result.nfields else []))
        except self.errors as error:
            raise self.failed(error) from error

    def copy_in(self, table: str, columns: Sequence[str], rows: Sequence[tuple[object, ...]]) -> None:
        statement = f"COPY {table} ({', '.join(columns)}) FROM STDIN"
        try:
            with self.driver.cursor() as cursor, cursor.copy(statement.encode("ascii")) as copy:
                for row in rows:
                    copy.write_row(row)
        except self.errors as error:
            raise self.failed(error) from error

    @property
    def broken(self) -> bool:
        return self.driver.closed

    def begin(self) -> None:
        if not self.reading:
            return  # the driver begins with the first statement
        try:
            self.driver.execute("BEGIN")
        except self.errors as error:
            raise self.failed(error) from error

    def _commit(self) -> None:
        self.driver.commit()

    def _rollback(self) -> None:
        self.driver.rollback()


def over(composing: sqlalchemy.Connection, *, reading: bool = False) -> Connection:
    """Return a connection of SQLAlchemy as the store uses it."""
    kind = PostgresConnection if composing.dialect.name == "postgresql" else SqliteConnection
    return kind(composing, reading=reading)


def taken_away() -> StoreError:
    """Return the error for a unit that goes on after the database has rolled its transaction back."""
    return StoreError(FAILED, "the transaction was taken away by the database", doing="writing", reason="rolled back")
