"""A database opened for one quick question, without SQLAlchemy (dependencies.md 5): ``sqlite3`` or psycopg alone.

The address is the setting ``database.url`` as the environment or a file says it; nothing else of the settings is read.
"""

from __future__ import annotations

import os
import sqlite3
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from transport.errors import SettingsError, StoreError

DATABASE = "edoc.db"


class Answer(Protocol):
    """What a question brings."""

    def fetchall(self) -> Sequence[Sequence[Any]]: ...  # the columns are the question's
    def fetchone(self) -> Sequence[Any] | None: ...


class Asked(Protocol):
    """A connection for questions; ``mark`` stands for a parameter."""

    mark: str

    def ask(self, question: str, values: Sequence[object] = ()) -> Answer: ...
    def has(self, table: str) -> bool: ...


class _Sqlite:
    mark = "?"

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def ask(self, question: str, values: Sequence[object] = ()) -> Answer:
        return self._connection.execute(question, tuple(values))

    def has(self, table: str) -> bool:
        asked = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
        return self._connection.execute(asked, (table,)).fetchone() is not None


class _Postgres:
    mark = "%s"

    def __init__(self, connection: Any) -> None:  # psycopg is an extra, and loaded only where it is used
        self._connection = connection

    def ask(self, question: str, values: Sequence[object] = ()) -> Answer:
        found: Answer = self._connection.execute(question.encode("utf-8"), tuple(values))
        return found

    def has(self, table: str) -> bool:
        row = self.ask("SELECT to_regclass(%s) IS NOT NULL", (table,)).fetchone()
        return bool(row and row[0])


@contextmanager
def reading(home: Path) -> Iterator[Asked | None]:
    """Open the home's database for reading, ``None`` when there is none.

    Raises:
        StoreError: it is there and cannot be read (EDOC-STO-001), or is damaged (EDOC-STO-007).
        SettingsError: it is a PostgreSQL database and the extra is missing.
    """
    url = _url(home)
    if url is not None and url.startswith("postgres"):
        with _postgres(url) as asked:
            yield asked
        return
    path = Path(unquote(urlsplit(url).path)[1:]) if url else home / DATABASE
    if not path.is_file():
        yield None
        return
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5.0)) as connection:
            yield _Sqlite(connection)
    except sqlite3.DatabaseError as error:
        damaged = getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
        code = "EDOC-STO-007" if damaged else "EDOC-STO-001"
        raise _unreadable(code, str(path), str(error)) from error


def on_server(home: Path) -> bool:
    """Say whether the home's database is PostgreSQL's."""
    return (_url(home) or "").startswith("postgres")


def _unreadable(code: str, path: str, reason: str) -> StoreError:
    return StoreError(code, "cannot read the database", doing="reading", path=path, reason=reason)


@contextmanager
def _postgres(url: str) -> Iterator[Asked]:
    try:
        import psycopg
    except ImportError:
        raise SettingsError("EDOC-CFG-013", "psycopg is not installed", extra="postgres") from None
    address = "postgresql://" + url.partition("://")[2]
    try:
        with psycopg.connect(address, connect_timeout=5, password=credential()) as connection:
            connection.read_only = True
            yield _Postgres(connection)
    except psycopg.Error as error:
        reason = str(error.diag.message_primary or error).partition("\n")[0]
        raise _unreadable("EDOC-STO-001", "PostgreSQL", reason) from None


def credential() -> str | None:
    """Return the database's password from the service's credentials (``edoc-database``), if there is one."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    path = Path(folder, "edoc-database") if folder else None
    try:
        return path.read_text("utf-8").strip() if path is not None and path.is_file() else None
    except OSError:
        return None


def _url(home: Path) -> str | None:
    """Return ``database.url`` as environment and files have it; what cannot be read is judged where settings are."""
    if named := os.environ.get("EDOC_DATABASE__URL"):
        return named
    files = [Path(os.environ["EDOC_CONFIG"])] if os.environ.get("EDOC_CONFIG") else []
    for path in (*files, home / "edoc.toml"):
        try:
            found = tomllib.loads(path.read_text("utf-8")).get("database", {}).get("url")
        except (OSError, ValueError, AttributeError):
            continue
        if isinstance(found, str) and found:
            return found
    return None
