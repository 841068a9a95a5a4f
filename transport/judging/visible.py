"""Number and date as they are drawn in a letter, beside those its message states (signing.md 3.3, R46).

Verification never relies on what is drawn. Only text that this product's own signatures drew is compared, and only if
it can be nothing else than a number or a date; where it differs from the message a person is told, and no more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date

from edoc.documents import Document
from signer.report import Code, Reason, Report

_NUMERAL = re.compile(r"\d{1,6}")
_WORDS = re.compile(r"(?:ngày )?(\d{1,2}) tháng (\d{1,2}) năm (\d{4})", re.IGNORECASE)
_SLASHES = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})")
_LINE = re.compile(r"Số: *([^;]+?) *; *(\d{1,2}/\d{1,2}/\d{4})(?:;.*)?", re.DOTALL)


def mismatches(name: str, part: Report, document: Document) -> tuple[Reason, ...]:
    """Return a warning for every number or date drawn in the part ``name`` that its message states otherwise."""
    return tuple(
        Reason(Code.VISIBLE_TEXT_MISMATCH, {"seen": seen, "given": given}, f"{name}!/{one.id}")
        for one in part.signatures
        if one.appearance is not None and one.appearance.text
        for seen, given in _different(" ".join(one.appearance.text.split()), document)
    )


def _different(text: str, document: Document) -> Iterator[tuple[str, str]]:
    """Return what is drawn and what is stated, where both are there and differ."""
    line = _LINE.fullmatch(text)
    if line is not None:
        if document.number and line[1].split("/")[0].lstrip("0") != document.number.lstrip("0"):
            yield line[1], document.code
        yield from _other_day(line[2], document.date)
    elif _NUMERAL.fullmatch(text):
        yield from _other_numeral(text, document)
    else:
        yield from _other_day(text, document.date)


def _other_numeral(text: str, document: Document) -> Iterator[tuple[str, str]]:
    """A numeral alone is the number, or a part of the date written into its own box."""
    day = document.date
    parts = [str(number) for number in (day.day, day.month, day.year)] if day else []
    if document.number.isdecimal() and day and text.lstrip("0") not in {document.number.lstrip("0"), *parts}:
        yield text, document.number


def _other_day(text: str, stated: date | None) -> Iterator[tuple[str, str]]:
    found = _WORDS.fullmatch(text) or _SLASHES.fullmatch(text)
    if found is None or stated is None:
        return
    day, month, year = (int(number) for number in found.groups())
    if (day, month, year) != (stated.day, stated.month, stated.year):
        yield text, stated.strftime("%d/%m/%Y")
