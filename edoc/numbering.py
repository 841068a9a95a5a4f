"""Number, notation and code of a document (regulations.md 4, R18 to R22; edxml.md 10.2).

``120/SMA-VP``: the number runs within a year from 01, below 10 with a leading zero; ``/`` stands between number and
notation, ``-`` between the groups of a notation, without spaces. The code of a document names its agency, date and
number and is unchangeable once given.
"""

from __future__ import annotations

from datetime import date

from edoc.values import clean, parse_date, render_date


def render_number(number: int) -> str:
    """Write a number of a series: ``5`` becomes ``05``, ``120`` stays (R20).

    Raises:
        ValueError: the number is below 1.
    """
    if number < 1:
        raise ValueError("a series runs from 1")
    return f"{number:02d}"


def notation_of(agency: str, *, type_abbreviation: str = "", unit: str = "") -> str:
    """Return the notation: ``TB-SMA`` for a named type, ``SMA-VP`` for a công văn (which has no abbreviation)."""
    groups = (type_abbreviation, agency) if type_abbreviation else (agency, unit)
    return "-".join(group for group in map(clean, groups) if group)


def legal_code(number: int, *, year: int, type_abbreviation: str, agency: str) -> str:
    """Return the number of a legal normative document, which carries the year: ``28/2018/QĐ-TTg``."""
    return f"{render_number(number)}/{year}/{notation_of(agency, type_abbreviation=type_abbreviation)}"


def code_of(number: str, notation: str) -> str:
    """Return ``number/notation`` in one text; a part that is missing leaves the other alone."""
    return "/".join(part for part in (clean(number), clean(notation)) if part)


def split_code(code: str) -> tuple[str, str]:
    """Take ``number/notation`` apart; a year belongs to the number: ``01/2020/QĐ-X`` gives ``01/2020`` and ``QĐ-X``."""
    number, _, notation = clean(code).partition("/")
    year, slash, rest = notation.partition("/")
    if slash and len(year) == 4 and year.isascii() and year.isdigit():
        return f"{number}/{year}", rest
    return number, notation


def document_id_of(organ_id: str, day: date, code: str) -> str:
    """Return the DocumentId as the writer spells it: ``H99.01,2025/11/20,120/SMA-VP``."""
    return f"{clean(organ_id)},{render_date(day)},{clean(code)}"


def document_id_parts(document_id: str) -> tuple[str, date, str] | None:
    """Return agency, date and code of a DocumentId in the writer's spelling; ``None`` for any other (it is opaque)."""
    parts = clean(document_id).split(",")
    if len(parts) != 3 or not all(parts):
        return None
    day = parse_date(parts[1])
    if day is None or render_date(day) != parts[1]:
        return None
    return parts[0], day, parts[2]
