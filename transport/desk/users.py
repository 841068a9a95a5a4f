"""``edoc user``: accounts, roles, the authority table, the clerk's right to the agency's key (console.md 4.6).

Promises: what the rules of capacities do not allow is refused before anything is written (R26, R29); every change is
one transaction with its history and its entry in the ledger (R88); an account or a right ends, none is ever removed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from transport.desk import nodes, tables
from transport.desk.files import read_input
from transport.present.errors import CommandError
from transport.present.people import UserRow

if TYPE_CHECKING:
    from edoc.authorities import AuthorityTable, KeyRight
    from edoc.capacities import Authority
    from transport.desk.console import Console
    from transport.node.office import Office
    from transport.store.people import Change, OwnCertificate
    from transport.store.people_rows import AccountEntry
    from transport.store.store import Unit

ROLES = ("clerk", "leader", "auditor", "admin")
NAME_MAX = 64
EVERY_KEY = "all"
"""Word of ``--agency-key`` for every signing key of the agency."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Grant:
    """What ``user grant`` was given, as typed; days already read. ``agency_key`` makes it a clerk's right (R29)."""

    name: str
    capacity: str = ""
    position: str = ""
    agency: str | None = None
    types: tuple[str, ...] = ()
    areas: tuple[str, ...] = ()
    start: date | None = None
    last: date | None = None
    basis: str = ""
    source: int | None = None
    agency_key: str | None = None
    end: int | None = None
    certs: tuple[str, ...] = ()


def add(
    console: Console, name: str, full_name: str, *, roles: Iterable[str], certs: Iterable[str], now: datetime
) -> UserRow:
    """Open an account, with the certificates that are the person's.

    Raises:
        CommandError: the name is taken or not usable, a role is none, a certificate is somebody else's.
    """
    from transport.store import people

    wanted, own = checked_roles(roles), _own(console, certs)
    _check_text("NAME", name)
    _check_text("--name", full_name)
    with tables.changing(console) as office:
        if any(one.name == name for one in office.store.read(people.accounts)):
            raise CommandError("EDOC-USE-071", name=name)
        _refuse_taken(office, name, own)

        def work(unit: Unit, change: Change) -> None:
            people.add(unit, name, full_name, wanted, change=change)
            for item in own:
                people.link(unit, name, item, change=change)

        _changed(office, work, action="user.add", subject=name, now=now)
        return _row(office, name)


def set_roles(console: Console, name: str, *, roles: Iterable[str], now: datetime) -> UserRow:
    """Give an account these roles and no others.

    Raises:
        CommandError: there is no such account, or a role is none.
    """
    from transport.store import people

    wanted = checked_roles(roles)
    with tables.changing(console) as office:
        _known(office, name)
        _changed(
            office,
            lambda unit, change: people.set_roles(unit, name, wanted, change=change),
            action="user.role",
            subject=name,
            now=now,
            note=" ".join(wanted),
        )
        return _row(office, name)


def disable(console: Console, name: str, *, now: datetime) -> UserRow:
    """Close an account: from today on it authorises nobody; what was signed before stays as it was.

    Raises:
        CommandError: there is no such account.
    """
    from transport.store import people

    with tables.changing(console) as office:
        _known(office, name)
        _changed(
            office,
            lambda unit, change: people.disable(unit, name, change=change),
            action="user.disable",
            subject=name,
            now=now,
        )
        return _row(office, name)


def grant(console: Console, given: Grant, *, now: datetime) -> UserRow:
    """Enter an authority or a clerk's right to the agency's key, or take one back (R26, R29).

    Raises:
        CommandError, GrantRefused: there is no such account or entry, or the rules do not allow it.
    """
    if given.end is None and not (given.capacity or given.position or given.agency_key or given.certs):
        raise CommandError("EDOC-USE-074")
    own = _own(console, given.certs)
    with tables.changing(console) as office:
        _active(office, given.name)
        if own:
            _refuse_taken(office, given.name, own)
            for item in own:
                _link(office, given.name, item, now=now)
        if given.end is not None:
            _end(office, given, now=now)
        elif given.agency_key is not None:
            _grant_key(office, given, now=now)
        elif given.capacity or given.position:
            _grant_authority(office, given, now=now)
        return _row(office, given.name)


def listed(console: Console) -> list[UserRow]:
    """Return all accounts with their rights."""
    from transport.store import people

    with tables.opened(console, read_only=True) as store:
        found, table = store.read(people.accounts), store.read(people.load)
    return [_described(one, table) for one in found]


def link_certificate(office: Office, *, certificate: bytes, person: str, now: datetime) -> None:
    """Keep serial and issuer of a certificate (DER) for an account (R37).

    Raises:
        CommandError: there is no such account, or the certificate is somebody else's.
    """
    _active(office, person)
    own = own_certificate(certificate)
    _refuse_taken(office, person, [own])
    _link(office, person, own, now=now)


def own_certificate(der: bytes) -> OwnCertificate:
    """Return how a certificate (DER) is known: serial and issuer as reports write them."""
    from signer.judge import signer_of
    from transport.store.people import OwnCertificate

    found = signer_of(der)
    return OwnCertificate(found.serial or "", found.issuer or "", found.certificate_sha256 or "", der)


def checked_roles(roles: Iterable[str]) -> tuple[str, ...]:
    """Return the roles, each once.

    Raises:
        CommandError: there is none, or one is no role.
    """
    from transport.desk.values import choice

    found = tuple(dict.fromkeys(choice(role, "--role", ROLES) for text in roles for role in text.split(",")))
    if not found:
        raise CommandError("EDOC-USE-003", name="--role", command="edoc user")
    return found


# --- rights ----------------------------------------------------------------------------------------------------------


def _grant_authority(office: Office, given: Grant, *, now: datetime) -> None:
    from edoc.capacities import Authority, capacity_of
    from edoc.grants import check_grant
    from edoc.values import clean, vietnam_day
    from transport.store import people

    if not clean(given.position):
        raise CommandError("EDOC-USE-003", name="--position", command="edoc user grant")
    entry = Authority(
        id=0,
        person=given.name,
        agency=_agency(office, given.agency),
        capacity=capacity_of(given.capacity),
        position=_check_text("--position", given.position),
        valid_from=given.start or vietnam_day(now),
        valid_to=given.last,
        types=tuple(_check_text("--type", item) for item in given.types),
        areas=tuple(_check_text("--area", item) for item in given.areas),
        basis=clean(given.basis),
        source=given.source,
    )
    check_grant(entry, office.store.read(people.load))
    _changed(
        office,
        lambda unit, change: people.grant(unit, entry, change=change),
        action="user.grant",
        subject=given.name,
        now=now,
        note=f"{entry.capacity.value or '-'} {entry.position}; {entry.basis}",
    )


def _grant_key(office: Office, given: Grant, *, now: datetime) -> None:
    from edoc.authorities import KeyRight
    from edoc.grants import check_right
    from edoc.values import clean, vietnam_day
    from transport.store import people

    mixed = [name for name, on in (("--capacity", given.capacity), ("--position", given.position)) if on]
    if mixed:
        raise CommandError("EDOC-USE-016", first="--agency-key", second=mixed[0])
    right = KeyRight(
        id=0,
        clerk=given.name,
        agency=_agency(office, given.agency),
        valid_from=given.start or vietnam_day(now),
        valid_to=given.last,
        basis=clean(given.basis),
        certificate_sha256=_key_named(office, str(given.agency_key)),
    )
    check_right(right)
    _changed(
        office,
        lambda unit, change: people.grant_key(unit, right, change=change),
        action="user.grant.key",
        subject=given.name,
        now=now,
        note=right.basis,
    )


def _key_named(office: Office, name: str) -> str | None:
    """Return the certificate of a key by its name in ``key list``, ``None`` for every key of the agency."""
    from transport.store import directory

    if name == EVERY_KEY:
        return None
    known = [key for key in office.store.read(directory.keys) if key.role == "agency"]
    found = next((key for key in known if key.name == name), None)
    if found is None:
        expected = "|".join((EVERY_KEY, *(key.name for key in known)))
        raise CommandError("EDOC-USE-004", name="--agency-key", value=name, expected=expected)
    return found.sha256


def _end(office: Office, given: Grant, *, now: datetime) -> None:
    """Take an entry back: it holds through its last day, and what was signed until then stays as it was."""
    from edoc.values import clean, readable
    from transport.store import people

    if given.last is None or not readable(given.basis):
        raise CommandError("EDOC-USE-003", name="--basis" if given.last else "--to", command="edoc user grant --end")
    last, key = given.last, given.agency_key is not None
    table = office.store.read(people.load)
    found: dict[int, Authority | KeyRight] = (
        {one.id: one for one in table.rights if one.clerk == given.name}
        if key
        else {one.id: one for one in table.entries if one.person == given.name}
    )
    entry = given.end or 0
    if entry not in found:
        raise CommandError("EDOC-USE-075", name=given.name, entry=entry, known=sorted(found))
    _changed(
        office,
        lambda unit, change: people.end(
            unit, "key_right" if key else "authority", entry, last, person=given.name, change=change
        ),
        action="user.grant.end",
        subject=given.name,
        now=now,
        note=clean(given.basis),
    )


def _agency(office: Office, given: str | None) -> str:
    """Return the agency a right is for: of the directory or the node's own."""
    if given is None or given.casefold() == office.code.casefold():
        return office.code
    return office.directory().find(given).code


# --- accounts and certificates ---------------------------------------------------------------------------------------


def _known(office: Office, name: str) -> AccountEntry:
    from difflib import get_close_matches

    from transport.store import people

    found = {one.name: one for one in office.store.read(people.accounts)}
    if name not in found:
        raise CommandError("EDOC-USE-070", name=name, nearest=get_close_matches(name, found, n=3, cutoff=0.4))
    return found[name]


def _active(office: Office, name: str) -> AccountEntry:
    found = _known(office, name)
    if not found.active:
        raise CommandError("EDOC-USE-072", name=name, at=found.disabled_at)
    return found


def _own(console: Console, certs: Iterable[str]) -> list[OwnCertificate]:
    """Read certificates of a person; of a file with a chain only the first, which is theirs."""
    return [own_certificate(tables.load_certificates(name, read_input(name, console))[0]) for name in certs]


def _refuse_taken(office: Office, name: str, own: Iterable[OwnCertificate]) -> None:
    from transport.store import people

    directory = office.directory()
    for item in own:
        if directory.knows_certificate(item.sha256):
            raise CommandError("EDOC-USE-076", serial=item.serial, name=name)
        owner = office.store.read(partial(people.owner_of, certificate=item))
        if owner is not None:
            raise CommandError("EDOC-USE-073", serial=item.serial, owner=owner, name=name)


def _link(office: Office, name: str, item: OwnCertificate, *, now: datetime) -> None:
    from transport.store import people

    _changed(
        office,
        lambda unit, change: people.link(unit, name, item, change=change),
        action="user.link",
        subject=name,
        now=now,
        note=item.sha256,
    )


def _check_text(name: str, text: str) -> str:
    """Return a name as it is kept: NFC, trimmed, one line.

    Raises:
        CommandError: it is empty, too long or not printable.
    """
    from edoc.values import clean, has_control, readable

    found = clean(text)
    if not readable(found) or len(found) > (NAME_MAX if name == "NAME" else 200) or has_control(found):
        raise CommandError("EDOC-USE-004", name=name, value=found[:40], expected=f"1…{NAME_MAX}")
    return found


def _changed(
    office: Office,
    work: Callable[[Unit, Change], T],
    *,
    action: str,
    subject: str,
    now: datetime,
    note: str | None = None,
) -> T:
    """Make a change and enter it in the ledger, in one transaction; before the log is open there is no entry."""
    from transport.store import quick
    from transport.store.people import Change

    change = Change(action, nodes.login(), now)
    logged = office.log.signer is not None and quick.head(office.settings.home) is not None

    def both(unit: Unit) -> T:
        found = work(unit, change)
        if logged:
            tables.append_operation(office, unit, action, subject=subject, now=now, note=note)
        return found

    return office.store.do(both)


# --- as they are shown -----------------------------------------------------------------------------------------------


def _row(office: Office, name: str) -> UserRow:
    from transport.store import people

    return _described(_known(office, name), office.store.read(people.load))


def _described(account: AccountEntry, table: AuthorityTable) -> UserRow:
    person = table.account(account.name)
    return UserRow(
        name=account.name,
        full_name=account.full_name,
        roles=account.roles,
        active=account.active,
        last_login=account.last_login,
        authorities=tuple(one for one in table.entries if one.person == account.name),
        rights=tuple(one for one in table.rights if one.clerk == account.name),
        certificates=person.certificates if person else (),
    )
