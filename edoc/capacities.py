"""Capacities in which documents are signed, and what makes an entry of the authority table lawful (R26; NĐ30 13).

Every authority has a basis document. TUQ. has an end and a scope and is passed on to nobody; TL. is passed on to a
deputy only (KT.); nothing is passed on wider or for longer than it was held. The same rules are asked when an entry is
made and whenever it is used, so that an unlawful row of a database authorises nobody.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from edoc.agencies import code_key
from edoc.documents import TYPES, type_of
from edoc.errors import GrantRefused
from edoc.values import clean, plain, readable


class Capacity(StrEnum):
    """In whose place somebody signs (NĐ30 13); the head of an agency signs in none of these."""

    OWN = ""
    TM = "TM."
    Q = "Q."
    KT = "KT."
    TL = "TL."
    TUQ = "TUQ."


_MARK = re.compile(r"(?<!\w)(TUQ|TM|KT|TL|Q)(?:\.|$|(?=\s))", re.IGNORECASE)


def capacity_of(text: str) -> Capacity:
    """Return the capacity a text states: ``KT.``, ``kt``, ``KT. GIÁM ĐỐC``; the empty text is the head's own.

    Of several, as in ``TM. ỦY BAN NHÂN DÂN KT. CHỦ TỊCH``, the last is the signer's.

    Raises:
        GrantRefused: it states none of the five (EDOC-DOC-070).
    """
    wanted = clean(text)
    if not wanted:
        return Capacity.OWN
    found = [mark for mark in _MARK.finditer(wanted) if mark.group().endswith(".") or mark.start() == 0]
    if not found or found[0].start() != 0:
        raise GrantRefused("EDOC-DOC-070", "no such capacity", capacity=wanted[:64])
    return Capacity(found[-1].group(1).upper() + ".")


def type_key(text: str) -> str:
    """Return how types of documents are compared: by name or abbreviation, whatever case and accents."""
    wanted = clean(text)
    for item in TYPES:
        if item.abbreviation and item.abbreviation.casefold() == wanted.casefold():
            return plain(item.name)
    known = type_of(wanted)
    return plain(known.name if known else wanted)


@dataclass(frozen=True, slots=True)
class Authority:
    """One entry of the table. ``source`` is the entry it was passed on from; no types or areas means all of them.

    ``valid_to`` is what was granted, ``ended_on`` the last day after it was taken back early.
    """

    id: int
    person: str
    agency: str
    capacity: Capacity
    position: str
    valid_from: date
    valid_to: date | None = None
    types: tuple[str, ...] = ()
    areas: tuple[str, ...] = ()
    basis: str = ""
    source: int | None = None
    ended_on: date | None = None

    def within_days(self, day: date) -> bool:
        """Say whether the entry holds on a day."""
        return self.valid_from <= day and all(end is None or day <= end for end in (self.valid_to, self.ended_on))

    def covers_type(self, document_type: str) -> bool:
        """Say whether documents of a type are within the scope."""
        return not self.types or type_key(document_type) in {type_key(item) for item in self.types}

    def covers_area(self, area: str) -> bool:
        """Say whether a field of work is within the scope."""
        return not self.areas or plain(area) in {plain(item) for item in self.areas}


_BY_THE_HEAD = frozenset({Capacity.KT, Capacity.TL, Capacity.TUQ})

PASSED_ON: dict[Capacity, frozenset[Capacity]] = {
    Capacity.OWN: _BY_THE_HEAD,
    Capacity.TM: _BY_THE_HEAD,
    Capacity.Q: _BY_THE_HEAD,
    Capacity.TL: frozenset({Capacity.KT}),
    Capacity.KT: frozenset(),
    Capacity.TUQ: frozenset(),
}
"""What the holder of a capacity may give to another: TL. to a deputy only (KT.), TUQ. to nobody (R26)."""


def objection(entry: Authority, source: Authority | None) -> str | None:
    """Return the code of what makes an entry unlawful, by itself or by its source; ``None`` if nothing does.

    071 days in the wrong order, 072 no basis, 073 TUQ. without end, 074 TUQ. without scope, 075 TUQ. passed on, 076 TL.
    passed on otherwise than to a deputy (KT.), 077 passed on by a capacity that cannot, 078 wider or longer than its
    source, 079 no such source.
    """
    if entry.valid_to is not None and entry.valid_to < entry.valid_from:
        return "EDOC-DOC-071"
    if not readable(entry.basis):
        return "EDOC-DOC-072"
    if entry.capacity is Capacity.TUQ and entry.valid_to is None:
        return "EDOC-DOC-073"
    if entry.capacity is Capacity.TUQ and not any(map(readable, (*entry.types, *entry.areas))):
        return "EDOC-DOC-074"
    return None if entry.source is None else _objection_to_source(entry, source)


def _objection_to_source(entry: Authority, source: Authority | None) -> str | None:
    if source is None or source.id == entry.id or code_key(source.agency) != code_key(entry.agency):
        return "EDOC-DOC-079"
    if source.capacity is Capacity.TUQ:
        return "EDOC-DOC-075"
    if entry.capacity not in PASSED_ON[source.capacity]:
        return "EDOC-DOC-076" if source.capacity is Capacity.TL else "EDOC-DOC-077"
    longer = source.valid_to is not None and (entry.valid_to is None or entry.valid_to > source.valid_to)
    wider = not _inside(entry.types, source.types, type_key) or not _inside(entry.areas, source.areas, plain)
    return "EDOC-DOC-078" if longer or wider or entry.valid_from < source.valid_from else None


def _inside(inner: Iterable[str], outer: Iterable[str], key: Callable[[str], str]) -> bool:
    """Say whether a scope lies within another; an empty one is everything."""
    within = {key(item) for item in outer}
    wanted = {key(item) for item in inner}
    return not within or (bool(wanted) and wanted <= within)
