"""Making and moving the schema: numbered Alembic steps, forward only (exchange.md 9).

A node refuses a database whose revision it does not know and never migrates by itself; only ``edoc init`` and ``edoc
migrate`` come here, because Alembic alone costs a third of a second to import.

Steps expand first and contract a version later, so that this version runs beside the next one while nodes are upgraded
one after another. A step says in ``schema_step`` which program is the oldest that may work after it; a program that
finds a step it does not know asks there, and works on if its own step is named or an earlier one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import sqlalchemy

from transport.errors import SettingsError
from transport.store.dialect import is_postgres
from transport.store.engine import revision_of
from transport.store.statements import Connection

REVISION = "0005"
"""The revision this program works with."""


@dataclass(frozen=True, slots=True)
class Steps:
    """Where a database is, where this program wants it, and the steps between (``edoc migrate``)."""

    found: str | None
    wanted: str
    missing: tuple[str, ...]


def check_revision(connection: Connection) -> None:
    """Refuse a database that was never made, is older, or comes from a newer program that this one cannot run beside.

    Raises:
        SettingsError: EDOC-CFG-005 (no tables), EDOC-CFG-008 (older: migrate), EDOC-CFG-009 (newer than this program).
    """
    found = revision_of(connection)
    if found is None and is_postgres(connection):
        raise SettingsError("EDOC-CFG-005", "there is no node in this database", home="PostgreSQL")
    if found == REVISION or (found is not None and found > REVISION and _may_work_on(connection, found)):
        return
    code = "EDOC-CFG-009" if found is not None and found > REVISION else "EDOC-CFG-008"
    raise SettingsError(code, "the database has another revision", found=found or "-", wanted=REVISION)


def _may_work_on(connection: Connection, found: str) -> bool:
    oldest = connection.exec_driver_sql("SELECT oldest FROM schema_step WHERE revision = ?", (found,))
    named = oldest.scalar_one_or_none()
    return named is not None and str(named) <= REVISION


def steps(connection: Connection) -> Steps:
    """Return which steps are missing.

    Raises:
        SettingsError: EDOC-CFG-009, the database is newer than this program.
    """
    found = revision_of(connection)
    if found is not None and found > REVISION:
        raise SettingsError("EDOC-CFG-009", "the database is newer", found=found, wanted=REVISION)
    known = sorted(path.name[:4] for path in (_scripts() / "versions").glob("[0-9]*.py"))
    return Steps(found, REVISION, tuple(step for step in known if (found or "") < step <= REVISION))


def upgrade(connection: sqlalchemy.Connection) -> None:
    """Bring the database to this program's revision, in the transaction of the given connection."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_scripts()).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, REVISION)
    if connection.dialect.name == "postgresql":
        _order_by_bytes(connection)


def _scripts() -> Path:
    return Path(__file__).with_name("migrations")


_OTHER_ORDER = """
    SELECT table_name, column_name FROM information_schema.columns
    WHERE table_schema = current_schema() AND data_type = 'character varying' AND table_name <> 'alembic_version'
        AND (collation_name IS NULL OR collation_name <> 'C')
"""


def _order_by_bytes(connection: sqlalchemy.Connection) -> None:
    """Compare and order texts by their bytes, as SQLite does, whatever the language of the database is."""
    for table, column in connection.exec_driver_sql(_OTHER_ORDER).all():
        connection.exec_driver_sql(f'ALTER TABLE "{table}" ALTER COLUMN "{column}" TYPE varchar COLLATE "C"')
