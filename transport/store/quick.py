"""The few reads that must not cost a library: anchors, directory, keys and head with the driver alone.

``verify``, ``sign`` and ``status`` start within a third of a second (dependencies.md 5), so they do not load SQLModel.
All connections here are read-only; a home without a node reads as empty.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from edoc.agencies import Agency, AgencyCertificate, Directory
from transport.store.quickly import DATABASE, reading
from transport.store.times import day_or_none, moment, moment_or_none
from transport.store.values import KeyEntry

if TYPE_CHECKING:
    from edoc.authorities import AuthorityTable

__all__ = ["DATABASE", "QuickHead", "anchors", "authority_table", "directory", "head", "keys", "revocations"]


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
    with reading(home) as connection:
        if connection is None:
            return []
        rows = connection.ask("SELECT data, use FROM anchor WHERE removed_at IS NULL ORDER BY id").fetchall()
    return [(bytes(data), str(use)) for data, use in rows]


def revocations(home: Path) -> list[tuple[str, bytes]]:
    """Return the CRLs and OCSP responses kept, newest first, as kind and bytes; at most a hundred."""
    with reading(home) as connection:
        if connection is None:
            return []
        rows = connection.ask("SELECT kind, data FROM revocation ORDER BY fetched_at DESC LIMIT 100").fetchall()
    return [(str(kind), bytes(data)) for kind, data in rows]


def directory(home: Path) -> Directory:
    """Return the agencies the node knows, with their certificates."""
    with reading(home) as connection:
        if connection is None:
            return Directory(())
        agencies = connection.ask(
            "SELECT code, name, address, email, old_codes, former_names, aliases, valid_from, valid_to, successor "
            "FROM agency ORDER BY code"
        ).fetchall()
        found = connection.ask(
            "SELECT agency, use, data, sha256, valid_from, valid_to FROM agency_certificate ORDER BY id"
        ).fetchall()
    certificates: dict[str, list[AgencyCertificate]] = {}
    for agency, use, data, sha256, start, end in found:
        entry = AgencyCertificate(use, bytes(data), sha256, day_or_none(start), day_or_none(end))
        certificates.setdefault(agency, []).append(entry)
    return Directory(tuple(_agency(row, tuple(certificates.get(row[0], ()))) for row in agencies))


def _agency(row: Sequence[str], certificates: tuple[AgencyCertificate, ...]) -> Agency:
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
    with reading(home) as connection:
        if connection is None:
            return []
        rows = connection.ask(
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

    with reading(home) as connection:
        if connection is None or not connection.has("authority"):
            return AuthorityTable()
        return people_rows.authority_table(lambda sql: connection.ask(sql).fetchall())


def head(home: Path) -> QuickHead | None:
    """Return the newest head of the open log, None when there is no node or no log yet."""
    with reading(home) as connection:
        if connection is None:
            return None
        row = connection.ask(
            "SELECT l.origin, h.size, h.root, h.at, h.note FROM ledger_head h JOIN ledger_log l ON l.id = h.log "
            "ORDER BY l.state = 'open' DESC, l.id DESC LIMIT 1"
        ).fetchone()
    return None if row is None else QuickHead(row[0], row[1], bytes(row[2]).hex(), moment(row[3]), row[4])
