"""Accounts, the authority table and conversions of a node: rows ⇄ values, with history (R26, R29, R37, R49, R50).

Every change keeps the account as it then was in ``account_history``; entries end, none is removed.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import date, datetime

from edoc.authorities import AuthorityTable, KeyRight
from edoc.capacities import Authority
from transport.store import people_rows, registers
from transport.store.people_rows import AccountEntry
from transport.store.records import number, text
from transport.store.statements import Connection
from transport.store.times import day_text, millis
from transport.store.writer import Unit

COPIES_SERIES = "sao"
"""The one yearly series of copies made on paper, whatever their form (R49)."""


@dataclass(frozen=True, slots=True)
class Change:
    """Who changes an account, when, and what the change is called in history and ledger."""

    action: str
    actor: str
    at: datetime


@dataclass(frozen=True, slots=True)
class OwnCertificate:
    """A certificate (DER) that is a person's: serial in upper-case hexadecimal, issuer as reports write it (R37)."""

    serial: str
    issuer: str
    sha256: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Conversion:
    """A document converted between paper and file (R50): form ``sy``, ``sl``, ``trs`` or ``print``, and by whom."""

    agency: str
    form: str
    direction: str
    person: str
    document: str
    at: datetime
    sha256_in: str | None = None
    sha256_out: str | None = None


def accounts(connection: Connection) -> tuple[AccountEntry, ...]:
    """Return all accounts, closed ones too."""
    return people_rows.accounts(lambda sql: list(connection.exec_driver_sql(sql)))


def load(connection: Connection) -> AuthorityTable:
    """Return the whole authority table as one frozen value."""
    return people_rows.authority_table(lambda sql: list(connection.exec_driver_sql(sql)))


def add(unit: Unit, name: str, full_name: str, roles: tuple[str, ...], *, change: Change) -> None:
    """Open an account.

    Raises:
        Conflict: there is one of this name.
    """
    unit.connection.exec_driver_sql(
        "INSERT INTO account (name, full_name, added_at) VALUES (?, ?, ?)", (name, full_name, millis(change.at))
    )
    _put_roles(unit, name, roles, change)
    keep_history(unit, name, change)


def set_roles(unit: Unit, name: str, roles: tuple[str, ...], *, change: Change) -> None:
    """Give an account these roles and no others."""
    unit.connection.exec_driver_sql("DELETE FROM account_role WHERE account = ?", (name,))
    _put_roles(unit, name, roles, change)
    keep_history(unit, name, change)


def _put_roles(unit: Unit, name: str, roles: tuple[str, ...], change: Change) -> None:
    for role in roles:
        unit.connection.exec_driver_sql(
            "INSERT INTO account_role (account, role, since) VALUES (?, ?, ?)", (name, role, millis(change.at))
        )


def disable(unit: Unit, name: str, *, change: Change) -> bool:
    """Close an account; false when it is closed already."""
    done = unit.connection.exec_driver_sql(
        "UPDATE account SET disabled_at = ? WHERE name = ? AND disabled_at IS NULL", (millis(change.at), name)
    )
    keep_history(unit, name, change)
    return done.rowcount == 1


def link(unit: Unit, name: str, certificate: OwnCertificate, *, change: Change) -> None:
    """Enter a certificate as a person's.

    Raises:
        Conflict: a certificate of this serial and issuer is somebody's already.
    """
    unit.connection.exec_driver_sql(
        "INSERT INTO account_certificate (account, serial, issuer, sha256, data, added_at) VALUES (?, ?, ?, ?, ?, ?)",
        (name, certificate.serial, certificate.issuer, certificate.sha256, certificate.data, millis(change.at)),
    )
    keep_history(unit, name, change)


def owner_of(connection: Connection, certificate: OwnCertificate) -> str | None:
    """Return whose certificate it is, ``None`` if nobody's."""
    found = connection.exec_driver_sql(
        "SELECT account FROM account_certificate WHERE serial = ? AND issuer = ?",
        (certificate.serial, certificate.issuer),
    ).scalar_one_or_none()
    return None if found is None else text(found)


def grant(unit: Unit, entry: Authority, *, change: Change) -> int:
    """Enter an authority and return its number; ``entry.id`` is not looked at. The rules are the caller's to ask."""
    row = unit.connection.exec_driver_sql(
        "INSERT INTO authority (account, agency, capacity, position, types, areas, valid_from, valid_to, basis, "
        "source, added_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
        (
            entry.person,
            entry.agency,
            entry.capacity.value,
            entry.position,
            _json(entry.types),
            _json(entry.areas),
            day_text(entry.valid_from),
            day_text(entry.valid_to),
            entry.basis,
            entry.source,
            millis(change.at),
        ),
    ).scalar_one()
    keep_history(unit, entry.person, change)
    return number(row)


def grant_key(unit: Unit, right: KeyRight, *, change: Change) -> int:
    """Enter a clerk's right to the agency's key and return its number."""
    row = unit.connection.exec_driver_sql(
        "INSERT INTO key_right (account, agency, certificate, valid_from, valid_to, basis, added_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id",
        (
            right.clerk,
            right.agency,
            right.certificate_sha256,
            day_text(right.valid_from),
            day_text(right.valid_to),
            right.basis,
            millis(change.at),
        ),
    ).scalar_one()
    keep_history(unit, right.clerk, change)
    return number(row)


def end(unit: Unit, table: str, entry: int, last_day: date, *, person: str, change: Change) -> None:
    """Take an entry of ``authority`` or ``key_right`` back; its last day may only come nearer."""
    assert table in {"authority", "key_right"}
    unit.connection.exec_driver_sql(
        f"UPDATE {table} SET ended_on = ? WHERE id = ? AND (ended_on IS NULL OR ended_on > ?)",  # noqa: S608 - two words
        (last_day.isoformat(), entry, last_day.isoformat()),
    )
    keep_history(unit, person, change)


def keep_history(unit: Unit, name: str, change: Change) -> None:
    """Keep the account as it is now, with who changed it."""
    rows = unit.connection
    entry = next((asdict(one) for one in accounts(rows) if one.name == name), {})
    table = load(rows)
    person = table.account(name)
    entry["certificates"] = [asdict(one) for one in person.certificates] if person else []
    entry["authorities"] = [asdict(one) for one in table.entries if one.person == name]
    entry["key_rights"] = [asdict(one) for one in table.rights if one.clerk == name]
    rows.exec_driver_sql(
        "INSERT INTO account_history (account, at, actor, action, entry) VALUES (?, ?, ?, ?, ?)",
        (name, millis(change.at), change.actor, change.action, _json(entry)),
    )


def history(connection: Connection, name: str) -> tuple[tuple[str, str, str], ...]:
    """Return action, actor and JSON of every change of an account, oldest first."""
    found = connection.exec_driver_sql(
        "SELECT action, actor, entry FROM account_history WHERE account = ? ORDER BY id", (name,)
    )
    return tuple((text(row[0]), text(row[1]), text(row[2])) for row in found)


def keep_conversion(unit: Unit, made: Conversion, *, year: int | None = None) -> int | None:
    """Keep the mark of a conversion; with ``year`` it takes the next number of the copies of that year (R49)."""
    taken = None if year is None else registers.take(unit, made.agency, COPIES_SERIES, year)
    unit.connection.exec_driver_sql(
        "INSERT INTO conversion (agency, form, direction, at, person, document, sha256_in, sha256_out, year, number) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            made.agency,
            made.form,
            made.direction,
            millis(made.at),
            made.person,
            made.document,
            made.sha256_in,
            made.sha256_out,
            year,
            taken,
        ),
    )
    return taken


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str)
