"""Connections that stay open: one the server ended takes the others with it, and work goes on."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from tests.postgres import Server
from tests.store.conftest import POSTGRESQL, SQLITE, count
from transport.errors import StoreError
from transport.store import tables
from transport.store.statements import Connection
from transport.store.store import Conflict, Store, Unit


def nested(store: Store, depth: int) -> int:
    """Read inside a read, so that several connections are open at once."""

    def look(connection: Connection) -> int:
        found = int(connection.exec_driver_sql("SELECT count(*) FROM ledger_log").scalar_one())
        return found if depth == 1 else nested(store, depth - 1)

    return store.read(look)


@POSTGRESQL
def test_when_the_server_ends_all_connections_one_question_fails_and_no_unit(store: Store, database: Server) -> None:
    assert nested(store, 4) == 1
    store.do(lambda unit: unit.keep(b"before"))
    name = str(store.url.database)
    database.run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
    store.do(lambda unit: unit.keep(b"after"))  # its connection broke before COMMIT: it runs again
    with pytest.raises(StoreError):
        store.ask("SELECT 1")
    assert nested(store, 4) == 1
    assert count(store, "SELECT count(*) FROM blob") == 2


def test_a_question_sees_one_state_however_many_statements_it_has(store: Store) -> None:
    def look(connection: Connection) -> tuple[int, int]:
        before = int(connection.exec_driver_sql("SELECT count(*) FROM blob").scalar_one())
        store.do(lambda unit: unit.keep(b"meanwhile"))
        return before, int(connection.exec_driver_sql("SELECT count(*) FROM blob").scalar_one())

    assert store.read(look) == (0, 0)
    assert store.ask("SELECT count(*) FROM blob") == (1,)


def test_a_failed_question_leaves_nothing_behind(store: Store) -> None:
    with pytest.raises(StoreError):
        store.ask("SELECT nothing FROM nowhere")
    with pytest.raises(StoreError):
        store.read(lambda connection: connection.exec_driver_sql("SELECT nothing FROM nowhere"))
    with pytest.raises(StoreError):
        store.ask("DELETE FROM blob RETURNING digest")
    assert store.ask("SELECT count(*) FROM ledger_log WHERE id = ?", (1,)) == (1,)
    assert store.ask("SELECT id FROM ledger_log WHERE id = ?", (2,)) is None


def test_a_composed_statement_is_part_of_the_unit(store: Store) -> None:
    """What SQLAlchemy composes and what is written as text are committed, or taken back, together."""
    from sqlalchemy import insert

    from transport.store.tables import blob

    def work(unit: Unit, fails: bool) -> None:
        unit.connection.exec_driver_sql("INSERT INTO blob (digest, size, place) VALUES ('a', 1, 'file')")
        unit.connection.execute(insert(blob).values(digest="b", size=1, place="file"))
        if fails:
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        store.do(lambda unit: work(unit, True))
    assert count(store, "SELECT count(*) FROM blob") == 0
    store.do(lambda unit: work(unit, False))
    assert count(store, "SELECT count(*) FROM blob") == 2


@SQLITE
def test_after_a_commit_that_failed_composed_statements_work_again(store: Store) -> None:
    """A full disk may fail a commit; what SQLAlchemy then knows of the transaction must go with it."""
    tables_of = select(tables.partner.c.agency)

    def broken(unit: Unit) -> None:
        unit.connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
        unit.connection.execute(tables_of)
        unit.connection.exec_driver_sql(
            "INSERT INTO agency_certificate (agency, use, sha256, data, added_at) VALUES ('nobody', 'x', 'x', x'00', 0)"
        )

    for _ in range(2):
        with pytest.raises((StoreError, Conflict)):
            store.do(broken)
        assert store.do(lambda unit: unit.connection.execute(tables_of).all()) == []
