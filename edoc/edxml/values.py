"""Reading single values out of edXML elements, noting what had to be tolerated (edxml.md 11, 12).

A ``Notes`` object collects the warnings of one reading. Empty elements are absent ones; what cannot be read is absent
too, with a warning that keeps the text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from types import MappingProxyType

from edoc.edxml.names import Element, Parts
from edoc.values import clean, parse_date, parse_flag, parse_integer, parse_moment

TextOf = Callable[[Element], str]

SHOWN_MAX = 100
"""Characters of an unreadable value that a warning keeps; the original bytes keep all."""


@dataclass(frozen=True, slots=True)
class ReadWarning:
    """Something tolerated while reading: a code of the list in ``catalogue/edxml.toml``, and where or what."""

    code: str
    facts: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


def own_text(element: Element) -> str:
    """Return the text of an element itself, also around comments, without that of child elements."""
    if not len(element):
        return element.text or ""
    return "".join((element.text or "", *(item.tail or "" for item in element)))


@dataclass(slots=True)
class Notes:
    """Warnings of one reading in the order they arose, each once."""

    found: dict[tuple[str, tuple[tuple[str, str], ...]], ReadWarning] = field(default_factory=dict)

    def warn(self, code: str, **facts: str) -> None:
        """Note a warning."""
        key = (code, tuple(sorted(facts.items())))
        self.found.setdefault(key, ReadWarning(code, MappingProxyType(facts)))

    def unread(self, code: str, element: str, value: str) -> None:
        """Note a value that could not be read, and keep its beginning."""
        self.warn(code, element=element, value=value[:SHOWN_MAX])

    @property
    def warnings(self) -> tuple[ReadWarning, ...]:
        """The warnings noted so far."""
        return tuple(self.found.values())


def text(parts: Parts, name: str) -> str:
    """Return the text of a child element, cleaned; empty for none."""
    element = parts.get(name)
    return "" if element is None else clean(own_text(element))


def read_date(parts: Parts, name: str, notes: Notes) -> date | None:
    """Return the date of a child element, ``None`` when absent or unreadable (with a warning)."""
    value = text(parts, name)
    day = parse_date(value) if value else None
    if value and day is None:
        notes.unread("date-unread", name, value)
    return day


def read_moment(parts: Parts, name: str, notes: Notes) -> datetime | None:
    """Return the moment of a child element, ``None`` when absent or unreadable (with a warning)."""
    value = text(parts, name)
    moment = parse_moment(value) if value else None
    if value and moment is None:
        notes.unread("date-unread", name, value)
    return moment


def read_integer(parts: Parts, name: str, notes: Notes) -> int | None:
    """Return the number of a child element, ``None`` when absent or unreadable (with a warning)."""
    value = text(parts, name)
    number = parse_integer(value) if value else None
    if value and number is None:
        notes.unread("number-unread", name, value)
    return number


def read_choice(parts: Parts, name: str, known: type, notes: Notes) -> int:
    """Return the value of an enumeration, 0 when absent; one outside the list is kept, with a warning."""
    number = read_integer(parts, name, notes)
    if number is None:
        return 0
    try:
        known(number)
    except ValueError:
        notes.warn("unknown-value", element=name, value=str(number))
    return number


def read_flag(parts: Parts, name: str, notes: Notes) -> bool:
    """Return a flag, ``False`` when absent or unreadable (with a warning)."""
    value = text(parts, name)
    flag = parse_flag(value) if value else False
    if flag is None:
        notes.unread("number-unread", name, value)
    return bool(flag)
