"""The strict reading: from the last ``startxref`` along ``/Prev`` to the first section (signing.md 4.1, D2).

Sections are put together to complete updates: the first-page section of a linearised file belongs to the main one,
wherever each stands. What does not fit is a fault; a chain that cannot be followed at all raises.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from signer.pdf.reading.budget import Budget, damaged, over
from signer.pdf.reading.lexer import Lexer
from signer.pdf.reading.sections import Section, try_section

_STARTXREF = re.compile(rb"startxref[\0\t\n\f\r ]*+(\d{1,19})(?:[\0\t\n\f\r ]*+(%%EOF))?")
_LINE = re.compile(rb"\r\n|\n|\r|")


@dataclass(frozen=True, slots=True)
class Update:
    """One complete update: its sections, newest first; where ``%%EOF`` ends, and the line it stands in."""

    sections: tuple[Section, ...]
    startxref: int  # offset of the section that ``startxref`` names
    eof: int
    end: int


def read_chain(lexer: Lexer, header: int, budget: Budget, faults: list[str]) -> tuple[Update, ...]:
    """Follow the chain; return the updates, oldest first.

    Raises:
        InputRefused: the chain is damaged; LimitExceeded: too many updates or rows.
    """
    sections = _sections(lexer, header, budget, faults)
    budget.declare(sum(section.count for section in sections))
    groups: list[list[Section]] = []
    for section in sections:
        if groups and section.offset > groups[-1][-1].offset:
            groups[-1].append(section)
        else:
            groups.append([section])
    if any(len(group) > 1 for group in groups[:-1]):
        faults.append("order of cross-references")
    if len(groups) > budget.limits.pdf_revisions:
        over("pdf_revisions", len(groups), "revision")
    updates: list[Update] = []
    for group in reversed(groups):
        update = _update(lexer.data, tuple(group), faults)
        if updates and update.end <= updates[-1].end:
            raise damaged("order of updates")
        updates.append(update)
    return tuple(updates)


def _sections(lexer: Lexer, header: int, budget: Budget, faults: list[str]) -> list[Section]:
    start = lexer.data.rfind(b"startxref")
    match = _STARTXREF.match(lexer.data, start) if start >= 0 else None
    if match is None:
        raise damaged("startxref")
    offset, base, sections = int(match[1]), header, list[Section]()
    seen: set[int] = set()
    while True:
        section = try_section(lexer, offset + base, base, budget)
        if not sections and header:
            base, section = _based(lexer, section, offset, budget, faults)
        if section is None or section.offset in seen:
            raise damaged("cross-reference")
        seen.add(section.offset)
        if sections and _size(section) > _size(sections[-1]):
            faults.append("size")
        sections.append(section)
        if len(sections) > 2 * budget.limits.pdf_revisions:
            over("pdf_revisions", len(sections), "revision")
        previous = section.trailer.get("Prev")
        if previous is None or previous == 0:
            return sections
        if not isinstance(previous, int | float) or previous < 0:
            raise damaged("/Prev")
        offset = int(previous)


def _based(
    lexer: Lexer, section: Section | None, offset: int, budget: Budget, faults: list[str]
) -> tuple[int, Section | None]:
    """Say where offsets are counted from if bytes stand before the header: from there, or from the first byte.

    A file that can be read from both is one with two faces.
    """
    other = try_section(lexer, offset, 0, budget)
    if section is None or other is None:
        return (section.base, section) if section else (0, other)
    faults.append("offsets from two beginnings")
    return section.base, section


def _size(section: Section) -> int:
    size = section.trailer.get("Size")
    return size if isinstance(size, int) else 0


def _update(data: bytes, sections: tuple[Section, ...], faults: list[str]) -> Update:
    """Find where an update ends: behind the ``startxref`` that follows its last section."""
    last = max(sections, key=lambda section: section.offset)
    match = _STARTXREF.search(data, last.end)
    if match is None:
        raise damaged("startxref")
    if int(match[1]) + sections[0].base != sections[0].offset:
        faults.append("startxref")
    if match[2] is None:
        faults.append("%%EOF")
    line = _LINE.match(data, match.end())
    return Update(sections, sections[0].offset, match.end(), line.end() if line else match.end())
