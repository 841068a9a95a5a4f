"""Who may sign for an agency, in which capacity, when, for what: the authority table (R26, R29, R37; signing.md 3.2).

A certificate says who a person is, never what they may sign: it leads to a person by serial number and issuer (R37),
and the table says the rest: agency, capacity (TM., Q., KT., TL., TUQ., or none for the head), position, scope, days,
basis document. An agency *keeps* a table as soon as one entry for it was ever made; from then on nobody outside it is
authorised. Of an agency that keeps none nothing is confirmed and nothing denied. Days are those of Vietnam, both ends
included. What makes an entry lawful stands in ``edoc.capacities``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from typing import Protocol

from edoc.agencies import code_key
from edoc.capacities import Authority, Capacity, objection
from edoc.values import plain

CONFIRMED, MISSING, UNKNOWN = ("confirmed", "missing", "unknown")
"""``signer.authority`` of a report (console.md 5.2)."""


class SignerLike(Protocol):
    """The certificate of a signature, as a report names it."""

    @property
    def serial(self) -> str | None: ...
    @property
    def issuer(self) -> str | None: ...
    @property
    def certificate_sha256(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class CertificateId:
    """One certificate of a person: serial (upper-case hexadecimal) and issuer, and its SHA-256 where it was at hand."""

    serial: str
    issuer: str
    sha256: str | None = None

    def is_of(self, signer: SignerLike) -> bool:
        """Say whether this is the signer's certificate: one with a known digest is never another of equal number."""
        if self.sha256 is not None and signer.certificate_sha256 is not None:
            return self.sha256 == signer.certificate_sha256
        return (self.serial, self.issuer) == (signer.serial, signer.issuer)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with an account: its name, the full name, the certificates that are theirs, the day it was closed."""

    account: str
    full_name: str
    certificates: tuple[CertificateId, ...] = ()
    disabled_on: date | None = None

    def active_on(self, day: date) -> bool:
        """Say whether the account was open on a day; the day it was closed no longer counts."""
        return self.disabled_on is None or day < self.disabled_on


@dataclass(frozen=True, slots=True)
class KeyRight:
    """A named clerk's right to the agency's key for a while; ``basis`` refers to the permission (R29)."""

    id: int
    clerk: str
    agency: str
    valid_from: date
    valid_to: date | None = None
    basis: str = ""
    certificate_sha256: str | None = None  # None: every signing key of the agency
    ended_on: date | None = None

    def within_days(self, day: date) -> bool:
        """Say whether the right holds on a day."""
        return self.valid_from <= day and all(end is None or day <= end for end in (self.valid_to, self.ended_on))

    def is_for(self, certificate_sha256: str | None) -> bool:
        """Say whether the right is to a key; one that is not open yet is told apart once it is."""
        return None in (self.certificate_sha256, certificate_sha256) or self.certificate_sha256 == certificate_sha256


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of the table: for which agency, on which day, and what else is known of the document."""

    agency: str
    day: date
    document_type: str | None = None
    area: str | None = None
    capacity: Capacity | None = None
    position: str | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """The answer: ``confirmed`` by an entry, ``missing`` or ``unknown`` with the reason as a word.

    Words: ``no-table not-listed other-agency not-yet ended capacity position type area type-unknown area-unknown``; of
    keys ``no-clerks not-listed other-key not-yet ended``.
    """

    standing: str
    why: str = ""
    entry: Authority | None = None
    person: Person | None = None


@dataclass(frozen=True, slots=True)
class AuthorityTable:
    """All persons, entries and rights of a node, ended ones too: what held then decides about documents of then."""

    persons: tuple[Person, ...] = ()
    entries: tuple[Authority, ...] = ()
    rights: tuple[KeyRight, ...] = ()
    _by_id: dict[int, Authority] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_id", {entry.id: entry for entry in self.entries})

    def keeps(self, agency: str) -> bool:
        """Say whether entries were ever made for an agency: then nobody outside them is authorised."""
        return any(code_key(entry.agency) == code_key(agency) for entry in self.entries)

    def person_of(self, signer: SignerLike) -> Person | None:
        """Return whose certificate it is; one that two persons claim is nobody's (R37)."""
        found = [person for person in self.persons if any(item.is_of(signer) for item in person.certificates)]
        return found[0] if len(found) == 1 else None

    def account(self, name: str) -> Person | None:
        """Return the person of an account."""
        return next((person for person in self.persons if person.account == name), None)

    def source_of(self, entry: Authority) -> Authority | None:
        """Return the entry another was passed on from; ``None`` if there is none, or it is not in the table."""
        return None if entry.source is None else self._by_id.get(entry.source)

    def judge(self, signer: SignerLike, asked: Question) -> Finding:
        """Say whether the owner of a certificate may sign for an agency on a day (R26, R28)."""
        if not self.keeps(asked.agency):
            return Finding(UNKNOWN, "no-table")
        person = self.person_of(signer)
        if person is None:
            return Finding(MISSING, "not-listed")
        return self._narrowed([entry for entry in self.entries if entry.person == person.account], asked, person)

    def held(self, signer: SignerLike, *, agency: str, day: date) -> tuple[Authority, ...]:
        """Return the entries of a certificate's owner that hold for an agency on a day, whatever their scope."""
        person = self.person_of(signer)
        if person is None:
            return ()
        mine = [entry for entry in self.entries if entry.person == person.account]
        return tuple(e for e in mine if code_key(e.agency) == code_key(agency) and self._in_force(e, day))

    def agencies_of(self, signer: SignerLike) -> tuple[str, ...]:
        """Return the agencies that the owner of a certificate was ever given an authority for."""
        person = self.person_of(signer)
        mine = (entry.agency for entry in self.entries if person is not None and entry.person == person.account)
        return tuple(dict.fromkeys(mine))

    def key_right(self, clerk: str, *, agency: str, certificate_sha256: str | None, day: date) -> Finding:
        """Say whether a clerk may use an agency's key on a day; ``unknown`` while no right to it was given (R29)."""
        rights = [one for one in self.rights if code_key(one.agency) == code_key(agency)]
        if not rights:
            return Finding(UNKNOWN, "no-clerks")
        person = self.account(clerk)
        mine = [one for one in rights if one.clerk == clerk]
        if not mine or person is None:
            return Finding(MISSING, "not-listed", person=person)
        within = [one for one in mine if one.within_days(day) and person.active_on(day)]
        if any(one.is_for(certificate_sha256) for one in within):
            return Finding(CONFIRMED, person=person)
        if within:
            return Finding(MISSING, "other-key", person=person)
        return Finding(MISSING, "not-yet" if all(day < one.valid_from for one in mine) else "ended", person=person)

    def _narrowed(self, entries: list[Authority], asked: Question, person: Person) -> Finding:
        """Leave out what does not fit, one question after the other; the first that leaves nothing is the reason."""
        if not entries:
            return Finding(MISSING, "not-listed", person=person)
        left = [entry for entry in entries if code_key(entry.agency) == code_key(asked.agency)]
        if not left:
            return Finding(MISSING, "other-agency", person=person)
        left, before = [entry for entry in left if self._in_force(entry, asked.day)], left
        if not left:
            early = all(asked.day < entry.valid_from for entry in before)
            return Finding(MISSING, "not-yet" if early else "ended", before[-1], person)
        for why, fits in _tests(asked):
            left, before = [entry for entry in left if fits(entry)], left
            if not left:
                return Finding(MISSING, why, before[-1], person)
        return _scoped(left, asked, person)

    def _in_force(self, entry: Authority, day: date) -> bool:
        """Say whether an entry holds on a day, with every entry it was passed on from; an unlawful one never does."""
        seen: set[int] = set()
        current: Authority | None = entry
        while current is not None:
            holder = self.account(current.person)
            if current.id in seen or holder is None or not holder.active_on(day) or not current.within_days(day):
                return False
            if objection(current, self.source_of(current)) is not None:
                return False
            seen.add(current.id)
            current = self.source_of(current)
        return True


def _tests(asked: Question) -> tuple[tuple[str, Callable[[Authority], bool]], ...]:
    """Return what else an entry must fit, each with the word for what is wrong if none does."""
    capacity, position, document_type, area = asked.capacity, asked.position, asked.document_type, asked.area
    found: list[tuple[str, Callable[[Authority], bool]]] = []
    if capacity is not None:
        found.append(("capacity", lambda entry: entry.capacity is capacity))
    if position is not None:
        found.append(("position", lambda entry: plain(entry.position) == plain(position)))
    if document_type is not None:
        found.append(("type", lambda entry: entry.covers_type(document_type)))
    if area is not None:
        found.append(("area", lambda entry: entry.covers_area(area)))
    return tuple(found)


def _scoped(entries: list[Authority], asked: Question, person: Person) -> Finding:
    """Confirm by the widest entry; one whose scope cannot be held against the document leaves the answer open."""
    widest = min(entries, key=lambda entry: (bool(entry.types) + bool(entry.areas), entry.id))
    if asked.document_type is None and all(entry.types for entry in entries):
        return Finding(UNKNOWN, "type-unknown", widest, person)
    if asked.area is None and widest.areas and all(entry.areas for entry in entries):
        return Finding(UNKNOWN, "area-unknown", widest, person)
    return Finding(CONFIRMED, "", widest, person)
