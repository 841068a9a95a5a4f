"""The two engines of a store, and those of SQLite (exchange.md 9; dependencies.md 1, SQLAlchemy).

Those of PostgreSQL are in ``postgres``. On SQLite the writer's engine sends ``BEGIN IMMEDIATE`` itself, because with
the driver's own transaction control a savepoint opens no transaction and outlives the outer rollback. Readers are a
second engine that cannot write and does not wait for the writer. Both work on the same file in WAL mode with
``synchronous=FULL``: a commit that returned is on the disk.
"""

from __future__ import annotations

import sqlite3
import unicodedata
from datetime import datetime
from pathlib import Path

import sqlalchemy
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from transport.errors import SettingsError
from transport.store import postgres
from transport.store.dialect import is_postgres
from transport.store.statements import Connection, taken_away
from transport.store.times import moment

BUSY_SECONDS = 5.0
"""How long a statement waits for another process's transaction before it gives up (exchange.md 9)."""

OLDEST_SQLITE = (3, 40, 0)

_CHECKPOINT_PAGES = 4000
"""Pages (of 4 KiB) in the write-ahead log after which a commit copies them into the database, two more flushes: the
letters of some seconds under load. A page that was changed often meanwhile is copied once."""
_CACHE_KB = 16 * 1024
"""Memory for the writer's pages: indexes of a large database are searched without asking the system for each page."""
_STATEMENTS = 512
"""Statements that a connection keeps prepared: more than the program has."""


def database_url(url: str | None, home: Path) -> URL:
    """Return where the database is: the setting, or ``edoc.db`` in the home.

    Raises:
        SettingsError: the setting is no URL, or names a database this version does not keep.
    """
    if not url:
        return URL.create("sqlite+pysqlite", database=str(home / "edoc.db"))
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise SettingsError("EDOC-CFG-006", "database.url is not a URL", key="database.url") from error
    if parsed.get_backend_name() == "postgresql" and parsed.database:
        return postgres.complete(parsed)
    if parsed.get_backend_name() != "sqlite" or not parsed.database or parsed.database == ":memory:":
        raise SettingsError(
            "EDOC-CFG-006", "only SQLite files and PostgreSQL are kept", key="database.url", kind=parsed.drivername
        )
    return parsed.set(drivername="sqlite+pysqlite")


def writer_engine(url: URL) -> Engine:
    """Return the engine that writes: on SQLite every transaction takes the write lock at its beginning."""
    if url.get_backend_name() == "postgresql":
        return postgres.writer_engine(url)
    _check_version()
    engine = _engine(url)
    event.listen(engine, "connect", _prepare_writer)
    event.listen(engine, "begin", _begin_immediate)
    event.listen(engine, "before_cursor_execute", _refuse_outside)
    return engine


def reader_engine(url: URL) -> Engine:
    """Return the engine of readers: snapshots, and no statement of it can change anything."""
    if url.get_backend_name() == "postgresql":
        return postgres.reader_engine(url)
    _check_version()
    engine = _engine(url)
    event.listen(engine, "connect", _prepare_reader)
    return engine


def _engine(url: URL) -> Engine:
    return create_engine(
        url,
        poolclass=NullPool,  # connections that are kept are kept by the store (``standing``)
        hide_parameters=True,  # values are content, and content does not go into tracebacks (I8)
        connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False, "cached_statements": _STATEMENTS},
    )


def is_file(url: URL) -> bool:
    """Say whether the database is a file of this machine."""
    return url.get_backend_name() == "sqlite"


def now_of(connection: Connection) -> datetime:
    """Return the clock of a database server."""
    found = connection.exec_driver_sql("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint").scalar_one()
    return moment(int(found))


def revision_of(connection: Connection) -> str | None:
    """Return the revision the database is at, None if it has never been made."""
    if is_postgres(connection):
        there = "SELECT to_regclass('alembic_version') IS NOT NULL"
    else:
        there = "SELECT count(*) FROM sqlite_master WHERE name = 'alembic_version'"
    if not connection.exec_driver_sql(there).scalar_one():
        return None
    found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one_or_none()
    return None if found is None else str(found)


def _check_version() -> None:
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise SettingsError(
            "EDOC-CFG-007", "SQLite is too old", found=sqlite3.sqlite_version, wanted=".".join(map(str, OLDEST_SQLITE))
        )


def _prepare_writer(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "recursive_triggers=ON",  # so that INSERT OR REPLACE, too, meets the triggers that refuse deletion
        "trusted_schema=OFF",
        f"wal_autocheckpoint={_CHECKPOINT_PAGES}",
        f"cache_size=-{_CACHE_KB}",
        "temp_store=MEMORY",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _prepare_reader(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None
    connection.create_function("folded", 1, _folded, deterministic=True)
    connection.execute("PRAGMA query_only=ON")
    connection.execute("PRAGMA trusted_schema=OFF")


def _folded(text: str | None) -> str:
    """Search without regard to letter case; SQLite by itself knows only the case of A to Z."""
    return unicodedata.normalize("NFC", text or "").casefold()


def _begin_immediate(connection: sqlalchemy.Connection) -> None:
    """Begin where SQLAlchemy begins: making the schema; the writer's transaction has begun already."""
    if not _in_transaction(connection):
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _refuse_outside(
    connection: sqlalchemy.Connection,
    _cursor: object,
    statement: str,
    _parameters: object,
    _context: object,
    _many: bool,
) -> None:
    """Stop a unit that goes on after the database took its transaction away: the statement would commit by itself."""
    if not _in_transaction(connection) and not statement.startswith("BEGIN"):
        raise taken_away()


def _in_transaction(connection: sqlalchemy.Connection) -> bool:
    driver = connection.connection.driver_connection
    return isinstance(driver, sqlite3.Connection) and driver.in_transaction
