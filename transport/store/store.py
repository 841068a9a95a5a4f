"""The store of a node: writing, reading, and blobs (exchange.md 9; architecture.md, rule 7).

    store.do(lambda unit: outbox.submit(unit, message, recipients))     # answers after the commit
    store.read(lambda connection: outbox.dispatches(connection, message_id))

Several processes may have the same store open. On SQLite each has its own writer, and one transaction goes through at
a time; on PostgreSQL units run in parallel, in every process. The functions of ``outbox``, ``inbox``, ``statuses``,
``directory`` and ``registers`` take the unit or the connection.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Protocol, TypeVar

import sqlalchemy
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from transport.errors import SettingsError, StoreError
from transport.store import blobs
from transport.store.ballast import Ballast
from transport.store.blobs import Blobs, Place, Staged
from transport.store.clock import Clock, never_back, of_database
from transport.store.engine import database_url, is_file, now_of, reader_engine, revision_of, writer_engine
from transport.store.faults import Conflict, from_disk, translated
from transport.store.hints import Hints
from transport.store.lock import ServerLock
from transport.store.pgwriter import PgWriter
from transport.store.schema import Steps, check_revision, steps, upgrade
from transport.store.sequencer import Sequencer
from transport.store.standing import Readers
from transport.store.statements import Connection, Row, Values, over
from transport.store.values import Ticket
from transport.store.writer import Place as Placed
from transport.store.writer import Published, Unit, Writer

__all__ = ["Conflict", "ServerLock", "Staged", "Store", "Ticket", "Unit"]

T = TypeVar("T")


class Home(Protocol):
    """What the store needs of the settings."""

    @property
    def home(self) -> Path: ...
    @property
    def database_url(self) -> str | None: ...


class Placing(Protocol):
    """The log, as the writer sees it."""

    def place(self, connection: Connection, tickets: Sequence[Ticket]) -> object: ...


class Store:
    """Rows and blobs of one node, opened by one process."""

    def __init__(self, home: Path, url: URL, *, log: Placing | None, read_only: bool) -> None:
        self.home = home
        self.blobs: Place = Blobs(home / "blobs")
        self.url = url
        self._readers = Readers(reader_engine(url))
        self._writing = None if read_only else writer_engine(url)
        self._hints: Hints | None = None
        self._sequencer: Sequencer | None = None
        self._writer = self._start(None if log is None else log.place, getattr(log, "published", None))

    def _start(self, place: Placed | None, published: Published | None) -> Writer | PgWriter | None:
        if self._writing is None:
            return None
        if not self.shared:
            writer = Writer(self._writing, place, published)
            writer.make_room = Ballast(self.home).give_up
            return writer
        if place is not None:
            self._sequencer = Sequencer(self._writing, place, published)
        return PgWriter(self._writing, self._sequencer)

    @property
    def shared(self) -> bool:
        """Whether the database is one that several servers may work on at once: PostgreSQL."""
        return self.url.get_backend_name() == "postgresql"

    @classmethod
    def create(cls, settings: Home, log: Placing | None = None) -> Store:
        """Make home, database and tables, and open them.

        Raises:
            SettingsError: EDOC-CFG-011, there is a database already.
            StoreError: the folder cannot be made or written.
        """
        url = database_url(settings.database_url, settings.home)
        try:
            settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
            (settings.home / "blobs").mkdir(mode=0o700, exist_ok=True)
            if is_file(url):
                _touch_private(Path(str(url.database)))
        except OSError as error:
            raise from_disk(error, "making the home", settings.home) from error
        _make_tables(url)
        return cls.open(settings, log=log)

    @classmethod
    def open(
        cls, settings: Home, *, log: Placing | None = None, read_only: bool = False, any_step: bool = False
    ) -> Store:
        """Open the store of a home. Without ``log`` no unit can append leaves; read-only starts no writer.

        ``any_step`` reads a database of whatever step of the schema, for backups and their check.

        Raises:
            SettingsError: no database here (EDOC-CFG-005), not migrated (-008), of a newer program (-009).
            StoreError: the database cannot be read.
        """
        url = database_url(settings.database_url, settings.home)
        _need_database(url, settings.home)
        store = cls(settings.home, url, log=log, read_only=read_only)
        try:
            if not any_step:
                store.read(check_revision)
            store.blobs = _place(settings, store.blobs)
        except BaseException:
            store.close()
            raise
        return store

    def write(self, function: Callable[[Unit], T]) -> Future[T]:
        """Queue a unit of statements; the future answers only after the commit.

        The function may be run twice (see ``writer``), so it must do nothing but statements.

        Raises:
            RuntimeError: the store was opened read-only, or the call comes from inside a unit.
            StoreError: the store is closing.
        """
        if self._writer is None:
            raise RuntimeError("this store was opened for reading")
        return self._writer.submit(function)

    def do(self, function: Callable[[Unit], T]) -> T:
        """Write and wait for the commit.

        Raises:
            Conflict: a unique key was taken.
            StoreError: nothing was stored, or, with ``unclear`` in its facts, nobody knows; look again.
        """
        return self.write(function).result()

    def read(self, function: Callable[[Connection], T]) -> T:
        """Run a question on a snapshot of the database.

        Raises:
            StoreError: the database cannot be read.
        """
        try:
            with self._readers.connect() as connection:
                return function(connection)
        except DBAPIError as error:
            raise translated(error, "reading the database") from error

    def ask(self, statement: str, parameters: Values = ()) -> Row | None:
        """Return the first row of a question that is one statement, ``None`` without one.

        Raises:
            StoreError: the database cannot be read.
        """
        try:
            return self._readers.ask(statement, parameters)
        except DBAPIError as error:
            raise translated(error, "reading the database") from error

    def without_standby(self) -> bool:
        """Say that the server has no synchronous standby: a failover could lose messages whose receipts are out."""
        if not self.shared:
            return False
        return not self.read(lambda connection: connection.exec_driver_sql("SHOW synchronous_standby_names").scalar())

    def clock(self, wall: Clock) -> Clock:
        """Return the time that leases and due dates go by: the database's if several nodes share it (exchange.md 6)."""
        return of_database(lambda: self.read(now_of)) if self.shared else never_back(wall)

    def listen(self, heard: Callable[[], None]) -> None:
        """Call ``heard`` when another process may have made work; a hint, and only where processes share a database."""
        if self.shared and self._writing is not None and self._hints is None:
            self._hints = Hints(self._writing, lambda: self._heard(heard))

    def _heard(self, heard: Callable[[], None]) -> None:
        if self._sequencer is not None:
            self._sequencer.hint()
        heard()

    def stage(self, data: bytes) -> Staged:
        """Get bytes ready for ``unit.keep``: large ones are durable in the blob folder when this returns.

        Raises:
            StoreError: the disk is full or failed; nothing was stored.
        """
        return blobs.stage(self.blobs, data)

    def stage_file(self, path: Path, sha256: str, size: int) -> Staged:
        """Make a file of the spool durable under its digest, for ``unit.keep``; the file is moved, not copied.

        Raises:
            StoreError: the bytes have another digest, or the disk is full or failed; nothing was stored.
        """
        self.blobs.put_file(path, sha256)
        return Staged(sha256, size, None, lambda: self.blobs.has(sha256))

    @contextmanager
    def reading(self, digest: str) -> Iterator[BinaryIO]:
        """Open the bytes of a digest for reading in pieces; whoever reads them hashes them.

        Raises:
            StoreError: missing (EDOC-STO-008) or unreadable.
        """
        data = blobs.in_row(self.ask, digest)
        if data is not None:
            yield BytesIO(data)
            return
        with self.blobs.opened(digest) as file:
            yield file

    def fetch(self, digest: str) -> bytes:
        """Return the bytes of a digest from row or file, hashed again.

        Raises:
            StoreError: missing (EDOC-STO-008), damaged (EDOC-STO-006) or unreadable.
        """
        return blobs.read(self.ask, self.blobs, digest)

    def check_blob(self, digest: str) -> None:
        """Read all bytes of a digest and hash them again, a piece at a time.

        Raises:
            StoreError: missing (EDOC-STO-008), damaged (EDOC-STO-006) or unreadable.
        """
        hashed = hashlib.sha256()
        with self.reading(digest) as file:
            while chunk := file.read(blobs.CHUNK):
                hashed.update(chunk)
        if hashed.hexdigest() != digest:
            raise StoreError("EDOC-STO-006", "stored bytes were changed or damaged", digest=digest, path=digest)

    def measured_by(self, measure: Callable[[int, float], None]) -> None:
        """Call this after each commit of the one writer, with the number of its units and the commit's seconds."""
        if isinstance(self._writer, Writer):
            self._writer.measure = measure

    def close(self) -> None:
        """Write what waits and let go of the database; may be called twice."""
        if self._hints is not None:
            self._hints.close()
        if self._writer is not None:
            self._writer.close()
        if self._writing is not None:
            self._writing.dispose()
        self._readers.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _place(settings: Home, files: Place) -> Place:
    """Return where large blobs are kept by the settings."""
    url = getattr(settings, "blob_store", None)
    if not url or not isinstance(files, Blobs):
        return files
    from transport.store.objects import open_objects

    endpoint, region = getattr(settings, "blob_endpoint", None), getattr(settings, "blob_region", None)
    return open_objects(url, files, endpoint=endpoint, region=region)


def migrate(settings: Home) -> None:
    """Bring an existing database to this program's revision.

    Raises:
        SettingsError: there is no database, or it comes from a newer program.
        StoreError: the database cannot be written.
    """
    url = database_url(settings.database_url, settings.home)
    _need_database(url, settings.home)
    _run_schema(url, upgrade)


def missing_steps(settings: Home) -> Steps:
    """Return where an existing database is and which steps of the schema it lacks.

    Raises:
        SettingsError: there is no database, or it comes from a newer program.
        StoreError: the database cannot be read.
    """
    url = database_url(settings.database_url, settings.home)
    _need_database(url, settings.home)
    engine = reader_engine(url)
    try:
        with Readers(engine).connect() as connection:
            return steps(connection)
    except DBAPIError as error:
        raise translated(error, "reading the database") from None
    finally:
        engine.dispose()


def _need_database(url: URL, home: Path) -> None:
    if is_file(url) and not Path(str(url.database)).is_file():
        raise SettingsError("EDOC-CFG-005", "there is no node in this home", home=str(home))


def _make_tables(url: URL) -> None:
    def make(connection: sqlalchemy.Connection) -> None:
        if revision_of(over(connection)) is not None:
            raise SettingsError("EDOC-CFG-011", "there is a database already", path=url.render_as_string())
        upgrade(connection)

    _run_schema(url, make)


def _run_schema(url: URL, function: Callable[[sqlalchemy.Connection], None]) -> None:
    engine = writer_engine(url)
    try:
        with engine.begin() as connection:
            function(connection)
    except DBAPIError as error:
        raise translated(error, "making the tables") from error
    finally:
        engine.dispose()


def _touch_private(path: Path) -> None:
    """Make the database file readable by its owner alone before SQLite makes it with wider rights."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
