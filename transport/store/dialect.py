"""One text of every statement for both databases (exchange.md 9: one script, one code).

Statements are written in what SQLite and PostgreSQL have in common, with SQLite's marks for parameters (``?`` and
``:name``). Before one goes to PostgreSQL its marks are rewritten to the driver's, ``CAST(x AS BLOB)`` becomes plain
``x`` (a strict database needs no cast), and what stands in a comment ``/*pg … */`` comes into force: row locks, which
SQLite does not need, because there one transaction writes at a time.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transport.store.statements import Connection

_TOKEN = re.compile(
    r"""
      (?P<quoted>'(?:[^']|'')*' | "[^"]*" | ::\w+)
    | /\*pg\ (?P<hint>.*?)\*/
    | CAST\((?P<cast>\w+(?:\.\w+)?)\ AS\ BLOB\)
    | :(?P<name>[A-Za-z_]\w*)
    | (?P<mark>\?)
    | (?P<percent>%)
    """,
    re.VERBOSE | re.DOTALL,
)


def is_postgres(connection: Connection) -> bool:
    """Say whether this connection leads to PostgreSQL."""
    return connection.shared


def is_reading(connection: Connection) -> bool:
    """Say whether this connection belongs to a reader, which may lock nothing."""
    return connection.reading


LOCKS = 0x65646F63
"""First half of the names of our advisory locks ("edoc"): 1 places leaves, 2 fills the query table."""


@lru_cache(maxsize=4096)
def for_postgres(statement: str) -> str:
    """Return a statement as psycopg takes it."""
    return _TOKEN.sub(_rewritten, statement)


def _rewritten(found: re.Match[str]) -> str:
    if (quoted := found["quoted"]) is not None:
        return quoted.replace("%", "%%")
    if (hint := found["hint"]) is not None:
        return for_postgres(hint)
    if (cast := found["cast"]) is not None:
        return cast
    if (name := found["name"]) is not None:
        return f"%({name})s"
    return "%s" if found["mark"] else "%%"


def insert_rows(connection: Connection, table: str, columns: Sequence[str], rows: Sequence[tuple[object, ...]]) -> None:
    """Insert many rows at once: by COPY on PostgreSQL (ledger.md 5, step 3). Names are the program's own."""
    if len(rows) == 1:
        names, marks = ", ".join(columns), ", ".join("?" * len(columns))
        connection.exec_driver_sql(f"INSERT INTO {table} ({names}) VALUES ({marks})", rows[0])  # noqa: S608
    else:
        connection.copy_in(table, columns, rows)


def hold(connection: Connection, name: str) -> None:
    """Let no other transaction that holds the same name go on beside this one; SQLite lets none write anyway."""
    if is_postgres(connection):
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtextextended(?, 0))", (name,))
