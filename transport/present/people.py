"""The people of a node and their rights, as JSON and as lines (console.md 4.6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from transport.present import catalogue
from transport.present.screen import Screen, table
from transport.present.text import json_time, person_time


class Dated(Protocol):
    """Something given to a person of an agency for a while, on a basis."""

    @property
    def id(self) -> int: ...
    @property
    def agency(self) -> str: ...
    @property
    def valid_from(self) -> date: ...
    @property
    def valid_to(self) -> date | None: ...
    @property
    def ended_on(self) -> date | None: ...
    @property
    def basis(self) -> str: ...
    def within_days(self, day: date) -> bool: ...


class AuthorityLike(Dated, Protocol):
    """An entry of the authority table."""

    @property
    def capacity(self) -> str: ...
    @property
    def position(self) -> str: ...
    @property
    def types(self) -> tuple[str, ...]: ...
    @property
    def areas(self) -> tuple[str, ...]: ...
    @property
    def source(self) -> int | None: ...


class RightLike(Dated, Protocol):
    """A clerk's right to the agency's key."""

    @property
    def certificate_sha256(self) -> str | None: ...


class CertificateLike(Protocol):
    """A certificate that is a person's."""

    @property
    def serial(self) -> str: ...
    @property
    def issuer(self) -> str: ...
    @property
    def sha256(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class UserRow:
    """An account as it is shown."""

    name: str
    full_name: str
    roles: tuple[str, ...]
    active: bool
    last_login: datetime | None = None
    authorities: Sequence[AuthorityLike] = ()
    rights: Sequence[RightLike] = ()
    certificates: Sequence[CertificateLike] = ()


def user_document(users: Sequence[UserRow], *, today: date) -> dict[str, object]:
    """Return ``edoc.user/1``."""
    return {"schema": "edoc.user/1", "users": [_user(item, today) for item in users]}


def _user(item: UserRow, today: date) -> dict[str, object]:
    grants = [_authority(one, today) for one in item.authorities] + [_right(one, today) for one in item.rights]
    return {
        "name": item.name,
        "full_name": item.full_name,
        "roles": list(item.roles),
        "active": item.active,
        "grants": grants,
        "certificates": [
            {"serial": one.serial, "issuer": one.issuer, "sha256": one.sha256} for one in item.certificates
        ],
        "last_login": json_time(item.last_login) if item.last_login else None,
    }


def _authority(item: AuthorityLike, today: date) -> dict[str, object]:
    return {
        "id": item.id,
        "kind": "authority",
        "agency": item.agency,
        "capacity": str(item.capacity),
        "position": item.position,
        "types": list(item.types),
        "areas": list(item.areas),
        "source": item.source,
        "key": None,
        **_period(item, today),
    }


def _right(item: RightLike, today: date) -> dict[str, object]:
    return {
        "id": item.id,
        "kind": "agency-key",
        "agency": item.agency,
        "capacity": None,
        "position": None,
        "types": [],
        "areas": [],
        "source": None,
        "key": item.certificate_sha256,
        **_period(item, today),
    }


def _period(item: AuthorityLike | RightLike, today: date) -> dict[str, object]:
    return {
        "valid_from": item.valid_from.isoformat(),
        "valid_to": item.valid_to.isoformat() if item.valid_to else None,
        "ended_on": item.ended_on.isoformat() if item.ended_on else None,
        "basis": item.basis,
        "holds": item.within_days(today),
    }


def user_lines(users: Sequence[UserRow], screen: Screen, *, today: date) -> list[str]:
    """Return one line per account and one per right of it, each with its number."""
    names = ("name", "full_name", "role", "status", "note")
    headings = [catalogue.word(f"column.{name}", screen.lang) for name in names]
    return table(headings, [row for item in users for row in _rows(item, screen.lang, today)], screen)


def _rows(item: UserRow, lang: str, today: date) -> list[list[str]]:
    state = catalogue.word("user.active" if item.active else "user.closed", lang)
    seen = person_time(item.last_login) if item.last_login else ""
    rows = [[item.name, item.full_name, ", ".join(item.roles), state, seen]]
    for entry in item.authorities:
        what = f"{entry.id}. {f'{entry.capacity} {entry.position}'.strip()} ({entry.agency})"
        scope = "; ".join((*entry.types, *entry.areas))
        rows.append([item.name, what, scope, _state(entry, lang, today), entry.basis])
    for right in item.rights:
        what = f"{right.id}. {catalogue.word('user.agency_key', lang)} ({right.agency})"
        rows.append([item.name, what, (right.certificate_sha256 or "")[:16], _state(right, lang, today), right.basis])
    return rows


def _state(item: AuthorityLike | RightLike, lang: str, today: date) -> str:
    ends = [day for day in (item.valid_to, item.ended_on) if day is not None]
    until = min(ends).strftime("%d/%m/%Y") if ends else "…"
    word = catalogue.word("user.holds" if item.within_days(today) else "user.not_now", lang)
    return f"{item.valid_from:%d/%m/%Y}–{until} {word}"
