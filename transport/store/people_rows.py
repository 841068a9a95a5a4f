"""Rows of accounts and of the authority table as values: one set of questions for SQLAlchemy and for ``sqlite3``.

SQLAlchemy is not loaded here: ``edoc verify`` and ``sign`` read the table too (dependencies.md 5).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from edoc.authorities import AuthorityTable, CertificateId, KeyRight, Person
from edoc.capacities import Authority, Capacity
from edoc.values import vietnam_day
from transport.store.times import day_or_none, moment, moment_or_none

Asking = Callable[[str], Iterable[Sequence[object]]]
"""Runs a question and returns its rows."""

_ACCOUNTS = "SELECT name, full_name, added_at, disabled_at, last_login FROM account ORDER BY name"
_ROLES = "SELECT account, role FROM account_role ORDER BY account, role"
_CERTIFICATES = "SELECT account, serial, issuer, sha256 FROM account_certificate ORDER BY id"
_ENTRIES = """
    SELECT id, account, agency, capacity, position, valid_from, valid_to, types, areas, basis, source, ended_on
    FROM authority ORDER BY id
"""
_RIGHTS = """
    SELECT id, account, agency, valid_from, valid_to, basis, certificate, ended_on FROM key_right ORDER BY id
"""


@dataclass(frozen=True, slots=True)
class AccountEntry:
    """An account of the node with its roles."""

    name: str
    full_name: str
    roles: tuple[str, ...]
    added_at: datetime
    disabled_at: datetime | None = None
    last_login: datetime | None = None

    @property
    def active(self) -> bool:
        """Whether the account is open."""
        return self.disabled_at is None


def accounts(ask: Asking) -> tuple[AccountEntry, ...]:
    """Return all accounts, closed ones too."""
    roles: dict[str, list[str]] = {}
    for row in ask(_ROLES):
        roles.setdefault(_text(row[0]), []).append(_text(row[1]))
    return tuple(
        AccountEntry(
            _text(row[0]),
            _text(row[1]),
            tuple(roles.get(_text(row[0]), ())),
            moment(_number(row[2])),
            moment_or_none(_number_or_none(row[3])),
            moment_or_none(_number_or_none(row[4])),
        )
        for row in ask(_ACCOUNTS)
    )


def authority_table(ask: Asking) -> AuthorityTable:
    """Return the whole authority table, ended entries too."""
    certificates: dict[str, list[CertificateId]] = {}
    for row in ask(_CERTIFICATES):
        certificates.setdefault(_text(row[0]), []).append(CertificateId(_text(row[1]), _text(row[2]), _text(row[3])))
    persons = tuple(
        Person(
            one.name,
            one.full_name,
            tuple(certificates.get(one.name, ())),
            vietnam_day(one.disabled_at) if one.disabled_at else None,
        )
        for one in accounts(ask)
    )
    return AuthorityTable(
        persons, tuple(_entry(row) for row in ask(_ENTRIES)), tuple(_right(row) for row in ask(_RIGHTS))
    )


def _entry(row: Sequence[object]) -> Authority:
    return Authority(
        id=_number(row[0]),
        person=_text(row[1]),
        agency=_text(row[2]),
        capacity=Capacity(_text(row[3])),
        position=_text(row[4]),
        valid_from=_day(row[5]),
        valid_to=day_or_none(_text_or_none(row[6])),
        types=_list(row[7]),
        areas=_list(row[8]),
        basis=_text(row[9]),
        source=_number_or_none(row[10]),
        ended_on=day_or_none(_text_or_none(row[11])),
    )


def _right(row: Sequence[object]) -> KeyRight:
    return KeyRight(
        id=_number(row[0]),
        clerk=_text(row[1]),
        agency=_text(row[2]),
        valid_from=_day(row[3]),
        valid_to=day_or_none(_text_or_none(row[4])),
        basis=_text(row[5]),
        certificate_sha256=_text_or_none(row[6]),
        ended_on=day_or_none(_text_or_none(row[7])),
    )


def _day(value: object) -> date:
    return date.fromisoformat(_text(value))


def _list(value: object) -> tuple[str, ...]:
    return tuple(str(item) for item in json.loads(_text(value)))


def _text(value: object) -> str:
    assert isinstance(value, str)
    return value


def _number(value: object) -> int:
    assert isinstance(value, int)
    return value


def _text_or_none(value: object) -> str | None:
    return None if value is None else _text(value)


def _number_or_none(value: object) -> int | None:
    return None if value is None else _number(value)
