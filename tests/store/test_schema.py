"""The steps of the schema make exactly the tables the program declares (exchange.md 9)."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlmodel import SQLModel

from tests.store.conftest import POSTGRESQL, SQLITE, PlainLog, count, new_message, settings_of
from transport.errors import SettingsError
from transport.settings import Settings
from transport.store import outbox, schema, tables
from transport.store.engine import revision_of
from transport.store.store import Store, Unit, migrate

NOW = datetime(2026, 11, 20, tzinfo=UTC)
KNOWN: tuple[str, ...] = (
    "account",
    "account_certificate",
    "account_role",
    "agency",
    "agency_certificate",
    "anchor",
    "authority",
)
KNOWN += ("key_right", "partner", "revocation")
TRIGGERS = {f"{table}_no_{act}" for table in tables.STARRED for act in ("update", "delete")} | {
    f"{table}_known_{act}" for table in KNOWN for act in ("insert", "update", "delete")
}


def test_a_migrated_database_has_the_declared_tables_and_nothing_else(store: Store) -> None:
    def differences(connection) -> list[object]:  # type: ignore[no-untyped-def]  # as the store hands it over
        seen = MigrationContext.configure(connection.composing, opts={"include_object": declared})
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
def test_tables_have_the_same_triggers_on_postgresql(store: Store) -> None:
    asked = "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal"
    triggers = store.read(lambda connection: set(connection.exec_driver_sql(asked).scalars()))
    assert triggers == TRIGGERS


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
def test_starred_tables_refuse_change_and_removal_and_what_is_known_is_numbered(store: Store) -> None:
    made = sqlite3.connect(store.home / "edoc.db")
    triggers = {name for (name,) in made.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")}
    assert triggers == TRIGGERS


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


@pytest.mark.parametrize(("oldest", "works"), [(schema.REVISION, True), ("0001", True), ("9999", False), (None, False)])
def test_a_newer_database_is_worked_on_only_if_its_step_names_this_program(
    settings: Settings, oldest: str | None, works: bool
) -> None:
    """N beside N-1 (exchange.md 9): the step of the next version says which program may still work after it."""
    with Store.create(settings) as store:
        store.do(lambda unit: unit.connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'"))
        if oldest is not None:
            insert = "INSERT INTO schema_step (revision, oldest) VALUES ('9999', ?)"
            store.do(lambda unit: unit.connection.exec_driver_sql(insert, (oldest,)))
    if works:
        with Store.open(settings) as again:
            again.do(lambda unit: unit.keep(b"as before"))
        return
    with pytest.raises(SettingsError) as caught:
        Store.open(settings)
    assert caught.value.code == "EDOC-CFG-009"


@POSTGRESQL
def test_two_versions_work_on_one_database_while_it_moves(store: Store) -> None:
    """F20: the older program is at work, the step is taken under it, it is started anew, and both write."""
    older = Store.open(settings_of(store.home), log=PlainLog())
    older.do(lambda unit: outbox.submit(unit, new_message(NOW), ("H99.02", "H99.03")))

    def step(unit: Unit) -> None:  # as a step of the next version expands: a new table, a new column that may be empty
        for statement in (
            "CREATE TABLE of_the_next (id BIGINT PRIMARY KEY)",
            "ALTER TABLE dispatch ADD COLUMN of_the_next VARCHAR",
            f"INSERT INTO schema_step (revision, oldest) VALUES ('0999', '{schema.REVISION}')",
            "UPDATE alembic_version SET version_num = '0999'",
        ):
            unit.connection.exec_driver_sql(statement)

    store.do(step)
    (claim,) = older.do(lambda unit: outbox.claim_due(unit, now=NOW, owner="older"))
    older.close()
    with Store.open(settings_of(store.home), log=PlainLog()) as again:
        (other,) = store.do(lambda unit: outbox.claim_due(unit, now=NOW, owner="newer"))
        assert claim.dispatch_id != other.dispatch_id
        assert again.do(lambda unit: outbox.renew(unit, claim, now=NOW))
        tickets = [one.do(lambda unit: unit.append(b"leaf")) for one in (again, store, again)]
    assert [ticket.index for ticket in tickets] == [0, 1, 2]
