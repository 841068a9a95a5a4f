"""A log in a real database, and leaves to put into it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from tests.postgres import Server
from transport.ledger import event
from transport.ledger.note import LogKey
from transport.store.log import Head, Log
from transport.store.store import Store, Ticket

ORIGIN = "sob.example/edoc-ledger/2026"
START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Home:
    """What a store needs of the settings."""

    home: Path
    database_url: str | None = None


@dataclass(slots=True)
class Book:
    """A store with its log; ``add`` appends leaves in one transaction."""

    store: Store
    log: Log
    key: LogKey

    def add(self, *leaves: bytes) -> list[Ticket]:
        return self.store.do(lambda unit: [unit.append(leaf) for leaf in leaves])

    def head(self) -> Head:
        return self.store.read(self.log.head)


def hexed(text: str) -> str:
    """SHA-256 of a word, as the examples of ledger.md 4.6 use it."""
    return sha256(text.encode()).hexdigest()


def operation(number: int = 0, *, at: datetime | None = None) -> bytes:
    """A small leaf without dispatch."""
    fields: dict[str, event.Value] = {"at": at or START + timedelta(milliseconds=number), "auto": True}
    fields |= {"action": f"test.{number}", "result": "ok", "receipt": hexed(f"record {number}"), "rtype": "record"}
    return event.build("operation", {**fields, "nonce": hexed(f"nonce {number}")[:32]})


@pytest.fixture
def log_key() -> LogKey:
    """The log key of the examples."""
    return LogKey.from_seed(ORIGIN, bytes(range(32)))


SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what is told of the one writer; everything else of a log holds on both databases."""


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """Address of an empty database; ``None`` is SQLite in the home."""
    if request.param == "sqlite":
        yield None
        return
    server: Server = request.getfixturevalue("postgres")
    name = server.create()
    yield server.url(name)
    server.drop(name)


@pytest.fixture
def book(tmp_path: Path, log_key: LogKey, database_url: str | None) -> Iterator[Book]:
    """A node's store whose log was just opened: one leaf."""
    log = Log(log_key)
    with Store.create(Home(tmp_path / "home", database_url), log) as store:
        store.do(lambda unit: log.open_first(unit.connection, statement_sha256=hexed("keys.xml"), at=START))
        yield Book(store, log, log_key)


@pytest.fixture
def make_operation() -> Callable[[int], bytes]:
    """Leaves by number."""
    return operation
