"""Values of the command line: times, days, choices (console.md 3)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time
from typing import TYPE_CHECKING

from transport.present.errors import CommandError
from transport.present.text import VIETNAM

if TYPE_CHECKING:
    from transport.desk.console import Console

_YEARS = (1900, 9990)  # there were no digital signatures before, and calendars of computers end soon after


def moment(text: str, console: Console) -> datetime:
    """Return the time a person wrote: ISO 8601; a bare day is its end, without offset +07:00 is assumed aloud.

    Raises:
        CommandError: it is neither.
    """
    try:
        whole = _bare_day(text)
        found = datetime.fromisoformat(text) if whole is None else datetime.combine(whole, time(23, 59, 59), VIETNAM)
    except ValueError as error:
        raise CommandError("EDOC-USE-027", value=text) from error
    if not _YEARS[0] <= found.year <= _YEARS[1]:
        raise CommandError("EDOC-USE-027", value=text)
    if found.tzinfo is None:
        console.warn("giờ không ghi múi, hiểu là +07:00" if console.lang == "vi" else "no offset given, +07:00 assumed")
        return found.replace(tzinfo=VIETNAM)
    return found


def _bare_day(text: str) -> date | None:
    """Return a day without a time, in any form of ISO 8601."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def day(text: str, name: str) -> date:
    """Return a day written as ``2026-11-20``.

    Raises:
        CommandError: it is not.
    """
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise CommandError("EDOC-USE-004", name=name, value=text, expected="YYYY-MM-DD") from error


def choice(text: str, name: str, allowed: Sequence[str]) -> str:
    """Return the word if it is one of those allowed.

    Raises:
        CommandError: it is not; the words are named.
    """
    if text not in allowed:
        raise CommandError("EDOC-USE-004", name=name, value=text, expected="|".join(allowed))
    return text


def whole_number(value: int, name: str, *, least: int, most: int) -> int:
    """Return the number if it lies within the bounds.

    Raises:
        CommandError: it does not.
    """
    if not least <= value <= most:
        raise CommandError("EDOC-USE-004", name=name, value=value, expected=f"{least}…{most}")
    return value


def page_of(text: str | None) -> int | None:
    """Return a page number, ``last`` as -1.

    Raises:
        CommandError: it is neither.
    """
    if text is None or text == "last":
        return -1 if text else None
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise CommandError("EDOC-USE-004", name="--page", value=text, expected="1…n|last")
    return int(text)


def box_of(text: str | None) -> tuple[float, float, float, float] | None:
    """Return ``X,Y,W,H`` in millimetres from the upper left corner of the page.

    Raises:
        CommandError: it is not four numbers, or has no size.
    """
    if text is None:
        return None
    try:
        x, y, w, h = (float(part) for part in text.split(","))
    except ValueError as error:
        raise CommandError("EDOC-USE-004", name="--box", value=text, expected="X,Y,W,H (mm)") from error
    if not (0 < w < 10_000 and 0 < h < 10_000 and -10_000 < x < 10_000 and -10_000 < y < 10_000):
        raise CommandError("EDOC-USE-004", name="--box", value=text, expected="X,Y,W,H (mm)")
    return x, y, w, h
