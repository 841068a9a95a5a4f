"""The rows of a PostgreSQL store as files, one per table, and back: for backups (exchange.md 9).

Written in one snapshot, in PostgreSQL's own text form with the columns named, so that a later step of the schema can
still take it. The schema itself is not written: it is made by the numbered steps.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from transport.errors import StoreError
from transport.store.statements import Connection, PostgresConnection, Row

if TYPE_CHECKING:
    import psycopg

_TABLES = """
    SELECT table_name FROM information_schema.tables
    WHERE table_schema = current_schema() AND table_type = 'BASE TABLE'
        AND table_name NOT IN ('alembic_version', 'schema_step', 'knowledge')
"""
_COLUMNS = """
    SELECT column_name FROM information_schema.columns
    WHERE table_schema = current_schema() AND table_name = ? ORDER BY ordinal_position
"""
_REFERENCES = """
    SELECT c.conrelid::regclass::text, c.confrelid::regclass::text FROM pg_constraint c
    WHERE c.contype = 'f' AND c.conrelid <> c.confrelid AND c.connamespace = current_schema()::regnamespace
"""
_SEQUENCES = """
    SELECT table_name, column_name, pg_get_serial_sequence(quote_ident(table_name), column_name)
    FROM information_schema.columns
    WHERE table_schema = current_schema() AND pg_get_serial_sequence(quote_ident(table_name), column_name) IS NOT NULL
"""
_CHUNK = 1024 * 1024


def write(connection: Connection, folder: Path) -> None:
    """Write every table into a file of a folder, in the order in which they can be read back."""
    driver = _driver(connection)
    for number, table in enumerate(_in_order(connection)):
        columns = [str(one) for one in connection.exec_driver_sql(_COLUMNS, (table,)).scalars()]
        names = ", ".join(f'"{column}"' for column in columns)
        path = folder / f"{number:03}-{table}.copy"
        with path.open("xb") as file, driver.cursor() as cursor:
            file.write(names.encode("ascii") + b"\n")
            with cursor.copy(f'COPY "{table}" ({names}) TO STDOUT'.encode("ascii")) as copy:
                for chunk in copy:
                    file.write(chunk)


def read(connection: Connection, folder: Path) -> None:
    """Fill empty tables from the files of a folder, in the transaction of the connection.

    Raises:
        StoreError: a file is not of this form.
    """
    driver = _driver(connection)
    known = set(connection.exec_driver_sql(_TABLES).scalars())
    for path in sorted(folder.glob("*.copy")):
        table = path.stem.partition("-")[2]
        if table not in known:
            raise StoreError("EDOC-STO-021", "a table is unknown", path=str(path), detail=table)
        with path.open("rb") as file, driver.cursor() as cursor:
            names = file.readline().rstrip(b"\n")
            if not names.replace(b'"', b"").replace(b", ", b"").replace(b"_", b"").isalnum():
                raise StoreError("EDOC-STO-021", "the columns cannot be read", path=str(path), detail=table)
            with cursor.copy(b'COPY "' + table.encode("ascii") + b'" (' + names + b") FROM STDIN") as copy:
                while chunk := file.read(_CHUNK):
                    copy.write(chunk)
    for table, column, sequence in connection.exec_driver_sql(_SEQUENCES).all():
        following = f'coalesce((SELECT max("{column}") FROM "{table}"), 0) + 1'  # noqa: S608 - the database's own names
        connection.exec_driver_sql(f"SELECT setval(?, {following}, FALSE)", (sequence,))


def _in_order(connection: Connection) -> list[str]:
    """Return the tables, each after those it refers to."""
    tables = sorted(str(one) for one in connection.exec_driver_sql(_TABLES).scalars())
    needs: dict[str, set[str]] = {table: set() for table in tables}
    for table, other in connection.exec_driver_sql(_REFERENCES):
        needs[str(table).strip('"')].add(str(other).strip('"'))
    ordered: list[str] = []
    while len(ordered) < len(tables):
        ready = [table for table in tables if table not in ordered and needs[table] <= set(ordered)]
        assert ready, "tables refer to each other in a circle"
        ordered += ready
    return ordered


def _driver(connection: Connection) -> psycopg.Connection[Row]:
    assert isinstance(connection, PostgresConnection)
    return connection.driver
