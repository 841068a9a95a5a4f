"""The steps of the schema make exactly the tables the program declares (exchange.md 9)."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlmodel import SQLModel

from tests.store.conftest import POSTGRESQL, SQLITE, count
from transport.settings import Settings
from transport.store import schema, tables
from transport.store.engine import revision_of
from transport.store.store import Store, migrate


def test_a_migrated_database_has_the_declared_tables_and_nothing_else(store: Store) -> None:
    def differences(connection) -> list[object]:  # type: ignore[no-untyped-def]  # as the store hands it over
        seen = MigrationContext.configure(connection, opts={"include_object": declared})
        return list(compare_metadata(seen, SQLModel.metadata))

    assert store.read(differences) == []


def declared(_: object, name: str | None, kind: str, _reflected: bool, _other: object) -> bool:
    """Leave out what only PostgreSQL has: leaves that wait for their place (ledger.md 12)."""
    return (kind, name) != ("table", "ledger_pending")


@POSTGRESQL
def test_partial_indexes_and_checks_hold_on_postgresql_too(store: Store) -> None:
    def made(connection) -> tuple[set[str], set[str]]:  # type: ignore[no-untyped-def]  # as the store hands it over
        indexes = connection.exec_driver_sql("SELECT indexname FROM pg_indexes WHERE indexdef LIKE '% WHERE %'")
        checks = connection.exec_driver_sql("SELECT conname FROM pg_constraint WHERE contype = 'c'")
        return set(indexes.scalars()), set(checks.scalars())

    indexes, checks = store.read(made)
    for table in SQLModel.metadata.tables.values():
        for index in table.indexes:
            partial = index.dialect_options["postgresql"]["where"] is not None
            assert (str(index.name) in indexes) == partial
        for constraint in table.constraints:
            assert getattr(constraint, "sqltext", None) is None or str(constraint.name) in checks


@POSTGRESQL
def test_texts_are_ordered_by_their_bytes_whatever_the_language_of_the_database(store: Store) -> None:
    other = (
        "SELECT count(*) FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> "
        "'alembic_version' AND data_type = 'character varying' AND collation_name IS DISTINCT FROM 'C'"
    )
    assert count(store, other) == 0


@POSTGRESQL
def test_starred_tables_have_the_same_triggers_on_postgresql(store: Store) -> None:
    asked = "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal"
    triggers = store.read(lambda connection: set(connection.exec_driver_sql(asked).scalars()))
    assert triggers == {f"{table}_no_{act}" for table in tables.STARRED for act in ("update", "delete")}


@SQLITE
def test_constraints_and_partial_indexes_are_those_declared(store: Store) -> None:
    """What the comparison above does not look at: checks and the conditions of indexes."""
    made = sqlite3.connect(store.home / "edoc.db")
    sql = {name: re.sub(r"\s+", " ", text or "") for name, text in made.execute("SELECT name, sql FROM sqlite_master")}
    for table in SQLModel.metadata.tables.values():
        for constraint in table.constraints:
            condition = getattr(constraint, "sqltext", None)
            assert condition is None or str(condition) in sql[table.name]
        for index in table.indexes:
            condition = index.dialect_options["sqlite"]["where"]
            assert condition is None or f"WHERE {condition}" in sql[str(index.name)]


@SQLITE
def test_starred_tables_have_triggers_against_change_and_removal(store: Store) -> None:
    made = sqlite3.connect(store.home / "edoc.db")
    triggers = {name for (name,) in made.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")}
    assert triggers == {f"{table}_no_{act}" for table in tables.STARRED for act in ("update", "delete")}


def test_the_newest_step_is_the_revision_the_program_wants() -> None:
    steps = sorted(path.name[:4] for path in (Path(schema.__file__).parent / "migrations" / "versions").glob("0*.py"))
    assert steps[-1] == schema.REVISION


def test_migrating_what_is_up_to_date_changes_nothing(settings: Settings) -> None:
    Store.create(settings).close()
    migrate(settings)
    with Store.open(settings) as store:
        assert store.read(revision_of) == schema.REVISION


def test_opening_a_store_does_not_load_alembic(settings: Settings) -> None:
    Store.create(settings).close()
    program = (
        "import sys; from pathlib import Path; from transport.settings import load; "
        "from transport.store.store import Store; "
        f"Store.open(load(home=Path({str(settings.home)!r}), config=None, environ={{}}, overrides={{}})).close(); "
        "print('alembic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
