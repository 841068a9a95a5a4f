"""The few reads that must not cost a library: anchors, directory, keys and head with ``sqlite3`` alone.

``verify``, ``sign`` and ``status`` start within a third of a second (dependencies.md 5), so they do not load SQLModel.
All connections here are read-only; a home without a node reads as empty.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from edoc.agencies import Agency, AgencyCertificate, Directory
from transport.errors import StoreError
from transport.store.times import day_or_none, moment, moment_or_none
from transport.store.values import KeyEntry

if TYPE_CHECKING:
    from edoc.authorities import AuthorityTable

DATABASE = "edoc.db"


@dataclass(frozen=True, slots=True)
class QuickHead:
    """The newest signed state of the open log: its size, root (hexadecimal), time and note."""

    origin: str
    size: int
    root: str
    at: datetime
    note: str


def anchors(home: Path) -> list[tuple[bytes, str]]:
    """Return the trusted certificates (DER), each with one of its uses."""
    with _reading(home) as connection:
        if connection is None:
            return []
        rows = connection.execute("SELECT data, use FROM anchor WHERE removed_at IS NULL ORDER BY id").fetchall()
    return [(bytes(data), str(use)) for data, use in rows]


def revocations(home: Path) -> list[tuple[str, bytes]]:
    """Return the CRLs and OCSP responses kept, newest first, as kind and bytes; at most a hundred."""
    with _reading(home) as connection:
        if connection is None:
            return []
        rows = connection.execute("SELECT kind, data FROM revocation ORDER BY fetched_at DESC LIMIT 100").fetchall()
    return [(str(kind), bytes(data)) for kind, data in rows]


def directory(home: Path) -> Directory:
    """Return the agencies the node knows, with their certificates."""
    with _reading(home) as connection:
        if connection is None:
            return Directory(())
        agencies = connection.execute(
            "SELECT code, name, address, email, old_codes, former_names, aliases, valid_from, valid_to, successor "
            "FROM agency ORDER BY code"
        ).fetchall()
        found = connection.execute(
            "SELECT agency, use, data, sha256, valid_from, valid_to FROM agency_certificate ORDER BY id"
        ).fetchall()
    certificates: dict[str, list[AgencyCertificate]] = {}
    for agency, use, data, sha256, start, end in found:
        entry = AgencyCertificate(use, bytes(data), sha256, day_or_none(start), day_or_none(end))
        certificates.setdefault(agency, []).append(entry)
    return Directory(tuple(_agency(row, tuple(certificates.get(row[0], ()))) for row in agencies))


def _agency(row: tuple[str, ...], certificates: tuple[AgencyCertificate, ...]) -> Agency:
    code, name, address, email, old_codes, former_names, aliases, start, end, successor = row
    return Agency(
        code=code,
        name=name,
        address=address,
        email=email,
        old_codes=tuple(json.loads(old_codes)),
        former_names=tuple(json.loads(former_names)),
        aliases=tuple(json.loads(aliases)),
        valid_from=day_or_none(start),
        valid_to=day_or_none(end),
        successor=successor,
        certificates=certificates,
    )


def keys(home: Path) -> list[KeyEntry]:
    """Return the keys of the node; the keys themselves lie in files."""
    with _reading(home) as connection:
        if connection is None:
            return []
        rows = connection.execute(
            "SELECT name, role, file, sha256, subject, agency, public, not_before, not_after, added_at FROM key "
            "ORDER BY name"
        ).fetchall()
    return [
        KeyEntry(
            name=row[0],
            role=row[1],
            file=row[2],
            sha256=row[3],
            subject=row[4],
            agency=row[5],
            public=bytes(row[6]),
            not_before=moment_or_none(row[7]),
            not_after=moment_or_none(row[8]),
            added_at=moment(row[9]),
        )
        for row in rows
    ]


def authority_table(home: Path) -> AuthorityTable:
    """Return the authority table of the node; empty without a node, or one from before there was a table."""
    from edoc.authorities import AuthorityTable
    from transport.store import people_rows

    with _reading(home) as connection:
        if connection is None or not _has(connection, "authority"):
            return AuthorityTable()
        return people_rows.authority_table(lambda sql: connection.execute(sql).fetchall())


def _has(connection: sqlite3.Connection, table: str) -> bool:
    found = connection.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (table,))
    return found.fetchone() is not None


def head(home: Path) -> QuickHead | None:
    """Return the newest head of the open log, None when there is no node or no log yet."""
    with _reading(home) as connection:
        if connection is None:
            return None
        row = connection.execute(
            "SELECT l.origin, h.size, h.root, h.at, h.note FROM ledger_head h JOIN ledger_log l ON l.id = h.log "
            "ORDER BY l.state = 'open' DESC, l.id DESC LIMIT 1"
        ).fetchone()
    return None if row is None else QuickHead(row[0], row[1], bytes(row[2]).hex(), moment(row[3]), row[4])


@contextmanager
def _reading(home: Path) -> Iterator[sqlite3.Connection | None]:
    """Open the home's database for reading, None when there is none.

    Raises:
        StoreError: it is there and cannot be read (EDOC-STO-001), or is damaged (EDOC-STO-007).
    """
    path = home / DATABASE
    if not path.is_file():
        yield None
        return
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5.0)) as connection:
            yield connection
    except sqlite3.DatabaseError as error:
        damaged = getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
        code = "EDOC-STO-007" if damaged else "EDOC-STO-001"
        raise StoreError(
            code, "cannot read the database", doing="reading", path=str(path), reason=str(error)
        ) from error
