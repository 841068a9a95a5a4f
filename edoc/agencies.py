"""Agencies, their codes and the directory of them (regulations.md 11, R78 to R81; edxml.md 10.1).

A code has one of two official forms: root first (``H99.01``, Decision 20/2020) or leaf first (``000.00.17.H36``). They
are converted only through the directory, never by arithmetic. Codes are compared without letter case, stored and sent
unchanged. Codes open, close and have successors; a document keeps the code that was valid on its day.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from difflib import SequenceMatcher
from heapq import nlargest

from edoc.errors import ClosedAgency, InvalidCode, UnknownAgency
from edoc.values import clean, plain

CODE_MAX = 35
"""Characters of a code since the amendment of 2022 (R78)."""

_ROOT_FIRST = re.compile(r"[A-Y][0-9]{2}(?:\.[0-9A-Z]+)*", re.ASCII)
_LEAF_FIRST = re.compile(r"[0-9A-Z]{3}\.[0-9A-Z]{2}\.[0-9A-Z]{2}\.[A-Z][0-9]{2}", re.ASCII)
_OTHER_BODY = re.compile(r"Z(?:0[1-9]|[1-9][0-9])[0-9A-Z]{0,32}", re.ASCII)
_BUSINESS = re.compile(r"[0-9]{10}(?:\.?[0-9]{3})?", re.ASCII)

_FORMS = {"new": _ROOT_FIRST, "old": _LEAF_FIRST, "other": _OTHER_BODY, "business": _BUSINESS}

USES = ("agency", "exchange", "request", "tls")


def code_form(code: str) -> str | None:
    """Return the form of a code: ``new``, ``old``, ``other`` (Z form), ``business``; ``None`` if it is none of them."""
    text = clean(code).upper()
    if len(text) > CODE_MAX:
        return None
    return next((name for name, form in _FORMS.items() if form.fullmatch(text)), None)


def check_code(code: str) -> str:
    """Return the code trimmed, otherwise unchanged.

    Raises:
        InvalidCode: it has neither form of R78 and R79, or more than 35 characters.
    """
    if code_form(code) is None:
        raise InvalidCode(
            "EDOC-DOC-030", "not an agency code", agency=code[:CODE_MAX], length=len(code), limit=CODE_MAX
        )
    return clean(code)


def code_key(code: str) -> str:
    """Return what codes are compared by: trimmed, without letter case."""
    return clean(code).casefold()


def is_centre(code: str) -> bool:
    """Say whether a code belongs to a centre of the axis (``00.53.W00``), which is never a recipient."""
    return code_key(code).rpartition(".")[2] == "w00"


@dataclass(frozen=True, slots=True)
class AgencyCertificate:
    """A certificate or request key registered for an agency, for one use, from and until a day (both included)."""

    use: str  # agency, exchange, request, tls
    data: bytes = field(repr=False)  # DER of the certificate; for request: SubjectPublicKeyInfo
    sha256: str
    valid_from: date | None = None
    valid_to: date | None = None

    def __post_init__(self) -> None:
        if self.use not in USES:
            raise ValueError(f"a certificate is registered for one of {', '.join(USES)}")

    def valid_on(self, day: date) -> bool:
        """Say whether the registration holds on a day."""
        return _holds(self.valid_from, self.valid_to, day)


@dataclass(frozen=True, slots=True)
class Agency:
    """An agency as the directory knows it. ``successor`` is the code that followed a closed one (R80)."""

    code: str
    name: str
    address: str = ""
    email: str = ""
    old_codes: tuple[str, ...] = ()
    former_names: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    valid_from: date | None = None
    valid_to: date | None = None
    successor: str | None = None
    certificates: tuple[AgencyCertificate, ...] = ()

    def __post_init__(self) -> None:
        if not code_key(self.code):
            raise ValueError("an agency has a code")

    def open_on(self, day: date) -> bool:
        """Say whether the code is open on a day."""
        return _holds(self.valid_from, self.valid_to, day)


def _holds(start: date | None, end: date | None, day: date) -> bool:
    return (start is None or start <= day) and (end is None or day <= end)


@dataclass(frozen=True, slots=True)
class Directory:
    """The agencies known, with history. A code means the agency that has it; else the one that had it before.

    An old code or alias that two agencies claim means neither: nothing is ever addressed by a guess.
    """

    agencies: tuple[Agency, ...]
    _codes: Mapping[str, Agency] = field(init=False, repr=False, compare=False)
    _aliases: Mapping[str, Agency] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        current = {code_key(agency.code): agency for agency in self.agencies}
        if len(current) != len(self.agencies):
            raise ValueError("two agencies have the same code")
        before = _unambiguous((code_key(old), agency) for agency in self.agencies for old in agency.old_codes)
        object.__setattr__(self, "_codes", {**before, **current})
        names = ((plain(alias), agency) for agency in self.agencies for alias in agency.aliases)
        object.__setattr__(self, "_aliases", _unambiguous(names))

    def get(self, code: str) -> Agency | None:
        """Return the agency of a code in either form, or ``None``."""
        return self._codes.get(code_key(code))

    def canonical(self, code: str) -> str:
        """Return the present code of the agency meant, or the text itself (trimmed) when it is unknown."""
        agency = self.get(code)
        return agency.code if agency else clean(code)

    def same(self, first: str, second: str) -> bool:
        """Say whether two codes mean the same agency."""
        return code_key(self.canonical(first)) == code_key(self.canonical(second))

    def find(self, text: str, *, on: date | None = None) -> Agency:
        """Return the agency of a code or alias; with ``on`` its code must be open on that day.

        Raises:
            UnknownAgency: none; ``facts`` hold the three nearest codes.
            ClosedAgency: closed on that day; ``facts`` hold the successor.
        """
        agency = self.get(text) or self._aliases.get(plain(text))
        if agency is None:
            nearest = self.nearest(text)
            raise UnknownAgency("EDOC-DOC-031", "no such agency", agency=clean(text)[:64], nearest=nearest)
        if on is not None and not agency.open_on(on):
            raise ClosedAgency(
                "EDOC-DOC-032",
                "the agency's code is not open",
                agency=agency.code,
                name=agency.name,
                closed=agency.valid_to,
                successor=agency.successor,
            )
        return agency

    def open_on(self, code: str, day: date) -> bool:
        """Say whether a code is known and open on a day."""
        agency = self.get(code)
        return agency is not None and agency.open_on(day)

    def successor_of(self, code: str) -> Agency | None:
        """Return the last agency of the chain of successors, or ``None`` when there is none."""
        seen: set[str] = set()
        agency = self.get(code)
        last = None
        while agency is not None and agency.successor and code_key(agency.code) not in seen:
            seen.add(code_key(agency.code))
            agency = self.get(agency.successor)
            last = agency or last
        return last

    def predecessors_of(self, code: str) -> tuple[Agency, ...]:
        """Return the agencies this one follows directly."""
        return tuple(
            agency for agency in self.agencies if agency.successor is not None and self.same(agency.successor, code)
        )

    def certificates(self, code: str, use: str, on: date) -> tuple[AgencyCertificate, ...]:
        """Return what is registered for an agency and a use on a day."""
        agency = self.get(code)
        if agency is None:
            return ()
        return tuple(item for item in agency.certificates if item.use == use and item.valid_on(on))

    def agency_of(self, certificate_sha256: str, use: str, on: date) -> Agency | None:
        """Return the one agency a certificate is registered for on a day; ``None`` for none or several."""
        found = [
            agency
            for agency in self.agencies
            for item in agency.certificates
            if item.sha256 == certificate_sha256 and item.use == use and item.valid_on(on)
        ]
        return found[0] if len({code_key(agency.code) for agency in found}) == 1 else None

    def knows_certificate(self, certificate_sha256: str) -> bool:
        """Say whether a certificate is registered for any agency, use and time."""
        return any(item.sha256 == certificate_sha256 for agency in self.agencies for item in agency.certificates)

    def nearest(self, text: str, *, count: int = 3) -> tuple[str, ...]:
        """Return the codes nearest to a text, judged by code, alias and name."""
        wanted = plain(text)[:64]
        matcher = SequenceMatcher(autojunk=False)
        matcher.set_seq2(wanted)

        def likeness(agency: Agency) -> float:
            return max(_ratio(matcher, name) for name in (agency.code, *agency.aliases, agency.name))

        return tuple(agency.code for agency in nlargest(count, self.agencies, key=likeness))


def _ratio(matcher: SequenceMatcher[str], name: str) -> float:
    matcher.set_seq1(plain(name))
    return matcher.ratio()


def _unambiguous(pairs: Iterable[tuple[str, Agency]] | Iterator[tuple[str, Agency]]) -> dict[str, Agency]:
    claims: dict[str, Agency | None] = {}
    for key, agency in pairs:
        claims[key] = agency if claims.get(key, agency) is agency else None
    return {key: agency for key, agency in claims.items() if agency is not None}
