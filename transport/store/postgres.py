"""The two engines of a PostgreSQL store (exchange.md 9): one that writes in short transactions, one for reading.

Read committed for writing, a read-only snapshot for reading, both on the primary. ``synchronous_commit`` is on for
every session, whatever the server's default: a commit that returned is on the disk. A session that is idle inside a
transaction, or whose peer is gone, is ended by the server soon, so that nobody waits for a process that was stopped.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, ExecutionContext
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from transport.errors import SettingsError
from transport.store.dialect import for_postgres
from transport.store.quickly import credential

if TYPE_CHECKING:
    import psycopg

OLDEST_SERVER = 140000
"""Oldest server's version number: PostgreSQL 14."""

WRITERS = 8
"""Transactions that one process may have open at once."""

_READERS = 8
_SESSION = "SET synchronous_commit = on; SET idle_in_transaction_session_timeout = '10s'; SET lock_timeout = '5s'"
_READING = "SET default_transaction_isolation = 'repeatable read'; SET default_transaction_read_only = on"
_CONNECT = {
    "connect_timeout": "5",
    "keepalives": "1",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "15000",
    "target_session_attrs": "read-write",
    "application_name": "edoc",
    "client_encoding": "UTF8",
}


def complete(url: URL) -> URL:
    """Return the address with driver and, from the service's credentials (``edoc-database``), its password.

    Raises:
        SettingsError: EDOC-CFG-013, the extra ``postgres`` is not installed.
    """
    if find_spec("psycopg") is None:
        raise SettingsError("EDOC-CFG-013", "psycopg is not installed", extra="postgres")
    url = url.set(drivername="postgresql+psycopg")
    secret = credential()
    return url if url.password or secret is None else url.set(password=secret)


def writer_engine(url: URL) -> Engine:
    """Return the engine for writing: read committed, one connection for each transaction at once."""
    engine = _engine(url, WRITERS + 2)  # and one for the sequencer, one to spare
    event.listen(engine, "connect", _prepare_writer)
    return engine


def reader_engine(url: URL) -> Engine:
    """Return the engine for reading: each question sees one snapshot, and nothing can be changed."""
    engine = _engine(url, _READERS)
    event.listen(engine, "connect", _prepare_reader)
    return engine


def _engine(url: URL, size: int) -> Engine:
    wanted = {name: value for name, value in _CONNECT.items() if name not in url.query}
    engine = create_engine(
        url,
        poolclass=QueuePool,
        pool_size=size,
        max_overflow=-1,
        pool_use_lifo=True,
        hide_parameters=True,  # values are content, and content does not go into tracebacks (I8)
        connect_args=wanted,
    )
    event.listen(engine, "before_cursor_execute", _rewrite, retval=True)
    return engine


def _prepare_writer(connection: psycopg.Connection[object], _entry: ConnectionPoolEntry) -> None:
    if connection.info.server_version < OLDEST_SERVER:
        raise SettingsError(
            "EDOC-CFG-014", "PostgreSQL is too old", found=connection.info.server_version // 10000, wanted=14
        )
    connection.execute(_SESSION)
    connection.commit()


def _prepare_reader(connection: psycopg.Connection[object], _entry: ConnectionPoolEntry) -> None:
    connection.autocommit = True  # transactions are begun where a question has several statements
    connection.execute(_READING)


def _rewrite(
    _connection: Connection,
    _cursor: object,
    statement: str,
    parameters: object,
    context: ExecutionContext | None,
    _many: bool,
) -> tuple[str, object]:
    """Rewrite what was written as text; what SQLAlchemy compiled is right already."""
    if context is not None and getattr(context, "compiled", None) is not None:
        return statement, parameters
    return for_postgres(statement), parameters
