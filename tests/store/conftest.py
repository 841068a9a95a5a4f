"""A store in a temporary home, with the simplest log that places leaves in ticket order."""

from __future__ import annotations

import hashlib
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest

from tests.postgres import Server
from transport.dispatch import Key, deadline_for
from transport.settings import Settings, load
from transport.store.statements import Connection
from transport.store.store import Store, Ticket
from transport.store.values import NewArrival, NewMessage, NewReceipt

ACCEPTANCE = "http://uri.etsi.org/19522/Event/RelayAcceptance"
REJECTION = "http://uri.etsi.org/19522/Event/RelayRejection"


class PlainLog:
    """Gives indices in ticket order and signs nothing: what the writer needs of a log."""

    def place(self, connection: Connection, tickets: Sequence[Ticket]) -> None:
        first = connection.exec_driver_sql("SELECT count(*) FROM ledger_entry").scalar_one()
        for offset, ticket in enumerate(tickets):
            ticket.index = first + offset
            connection.exec_driver_sql(
                "INSERT INTO ledger_entry (log, idx, ticket) VALUES (1, ?, ?)", (ticket.index, ticket.id)
            )


def all_placed(store: Store, seconds: float = 10.0) -> None:
    """Wait until no leaf waits for its place: on PostgreSQL whoever has the store open places them."""
    until = time.monotonic() + seconds
    while store.shared and count(store, "SELECT count(*) FROM ledger_pending"):
        assert time.monotonic() < until, "leaves are still pending"
        threading.Event().wait(0.02)


def open_log(store: Store) -> None:
    """Enter the one log of a test store."""
    store.do(
        lambda unit: unit.connection.exec_driver_sql(
            "INSERT INTO ledger_log (id, origin, shard, vkey, state, min_index, opened_at) "
            "VALUES (1, 'a.example/edoc-ledger/2026', '2026', 'vkey', 'open', 0, 0)"
        )
    )


SQLITE = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
"""For what is told of a file or of the one writer; everything else of a store holds on both databases."""
POSTGRESQL = pytest.mark.parametrize("database", ["postgresql"], indirect=True)


@cache
def _template(server: Server) -> str:
    """Name of a fresh database with an open log, of which each test gets a copy."""
    name = server.create()
    with tempfile.TemporaryDirectory() as folder:
        settings = settings_of(Path(folder) / "home", server.url(name))
        with Store.create(settings, PlainLog()) as made:
            open_log(made)
    return name


def settings_of(home: Path, url: str | None = None) -> Settings:
    """Settings of a home; with the address of a database they stand in the home's file, for other processes."""
    if url is not None:
        home.mkdir(mode=0o700, exist_ok=True)
        (home / "edoc.toml").write_text(f'[database]\nurl = "{url}"\n', "utf-8")
    return load(home=home, config=None, environ={}, overrides={})


@cache
def _made_once() -> bytes:
    """Bytes of a fresh database with an open log, so that the steps of the schema run once per process."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        with Store.create(load(home=home, config=None, environ={}, overrides={}), PlainLog()) as made:
            open_log(made)
        return (home / "edoc.db").read_bytes()


def fresh(home: Path, server: Server | None = None) -> Store:
    """Open a store in a home that does not exist yet: SQLite, or a new database of a server."""
    home.mkdir(mode=0o700)
    if server is not None:
        return Store.open(settings_of(home, server.url(server.create(_template(server)))), log=PlainLog())
    (home / "edoc.db").write_bytes(_made_once())
    (home / "edoc.db").chmod(0o600)
    return Store.open(settings_of(home), log=PlainLog())


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Server | None:
    """Which database a test runs on: ``None`` is SQLite, else a server."""
    return request.getfixturevalue("postgres") if request.param == "postgresql" else None


@pytest.fixture
def settings(tmp_path: Path, database: Server | None) -> Iterator[Settings]:
    """Settings of a home without a node, and of an empty database."""
    if database is None:
        yield settings_of(tmp_path / "home")
        return
    name = database.create()
    yield settings_of(tmp_path / "home", database.url(name))
    database.drop(name)


@pytest.fixture
def store(tmp_path: Path, database: Server | None) -> Iterator[Store]:
    """A fresh store with an open log."""
    made = fresh(tmp_path / "store", database)
    yield made
    made.close()
    if database is not None:
        database.drop(str(made.url.database))


@pytest.fixture
def at() -> datetime:
    """The moment at which the tests of the store begin."""
    return datetime(2026, 11, 20, 2, 30, tzinfo=UTC)


def new_message(at: datetime, **changes: object) -> NewMessage:
    """A letter of H99.01, with changes."""
    message_id = str(uuid.uuid4())
    facts: dict[str, object] = {
        "message_id": message_id,
        "sender": "H99.01",
        "kind": "edoc",
        "sha256": hashlib.sha256(message_id.encode()).hexdigest(),
        "size": 1000,
        "lane": 3,
        "submitted_at": at,
        "deadline": deadline_for("edoc", at),
        "document_id": "H99.01,2026/11/20,120/SMA-VP",
        "number": "120",
        "notation": "SMA-VP",
        "subject": "Về việc mẫu",
        **changes,
    }
    return NewMessage(**facts)  # type: ignore[arg-type]  # the facts are those of the class


def new_receipt(key: Key, at: datetime, *, direction: str = "in", event: str = ACCEPTANCE) -> NewReceipt:
    """A receipt for a dispatch; its bytes are not looked at here."""
    data = f"<Receipt>{uuid.uuid4()}</Receipt>".encode()
    digest = hashlib.sha256(data).hexdigest()
    return NewReceipt(direction, key, str(uuid.uuid4()), event, digest, data, at, at)


def new_arrival(at: datetime, **changes: object) -> NewArrival:
    """A letter that arrived, with changes."""
    facts: dict[str, object] = {
        "kind": "edoc",
        "sha256": hashlib.sha256(uuid.uuid4().bytes).hexdigest(),
        "size": 1000,
        "received_at": at,
        "arrived_at": at,
        "lane": 3,
        "document_id": "H99.01,2026/11/20,120/SMA-VP",
        "number": "120",
        "notation": "SMA-VP",
        "subject": "Về việc mẫu",
        "sender_name": "Sở Mẫu A",
        **changes,
    }
    return NewArrival(**facts)  # type: ignore[arg-type]  # the facts are those of the class


def count(store: Store, question: str) -> int:
    """Answer a question that has a number as answer."""
    ask: Callable[[Connection], int] = lambda connection: int(connection.exec_driver_sql(question).scalar_one())  # noqa: E731
    return store.read(ask)
