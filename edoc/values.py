"""How values are written and read: text, dates, times (edxml.md 2, 11.1; R7).

Text is Unicode NFC and trimmed. Dates are ``yyyy/MM/dd``, moments ``yyyy/MM/dd HH:mm:ss`` in Vietnamese local time
without a zone; the reader takes what others write too and never guesses: a date it cannot read is no date.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, date, datetime, timedelta, timezone

VIETNAM = timezone(timedelta(hours=7))
"""Vietnamese time, unchanged since 1975; calendar days are counted in it (R7)."""

_YEAR_FIRST = r"(?P<y>\d{4})(?P<s>[/-])(?P<m>\d{1,2})(?P=s)(?P<d>\d{1,2})"
_YEAR_LAST = r"(?P<d2>\d{1,2})(?P<s2>[/-])(?P<m2>\d{1,2})(?P=s2)(?P<y2>\d{4})"
_TIME = r"(?:(?:\s+|T)(?P<H>\d{1,2}):(?P<M>\d{2})(?::(?P<S>\d{2})(?:[.,]\d{1,9})?)?\s*(?P<zone>Z|[+-]\d{2}:?\d{2})?)?"
_MOMENT = re.compile(f"(?:{_YEAR_FIRST}|{_YEAR_LAST}){_TIME}", re.ASCII)
_INTEGER = re.compile(r"\d{1,9}", re.ASCII)

_FLAGS = {"0": False, "1": True, "false": False, "true": True}

_NO_CHARACTERS = "".join(f"{chr(plane << 16 | 0xFFFE)}{chr(plane << 16 | 0xFFFF)}" for plane in range(17))
_CONTROL = re.compile(
    "[\x00-\x1f\x7f-\x9f\ud800-\udfff"  # control characters, halves of pairs
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # turn the direction of reading
    f"\ufdd0-\ufdef{_NO_CHARACTERS}]"
)


def clean(text: str | None) -> str:
    """Return the text in NFC and trimmed; nothing is the empty text."""
    if not text:
        return ""
    return text.strip() if text.isascii() else unicodedata.normalize("NFC", text).strip()


def tidy(value: object, *names: str) -> None:
    """Put text fields of a frozen value into NFC and trim them; for use in ``__post_init__`` only."""
    for name in names:
        given = getattr(value, name)
        cleaned = clean(given)
        if cleaned is not given:
            object.__setattr__(value, name, cleaned)


def has_control(text: str) -> bool:
    """Say whether a text holds control characters or characters that turn the direction of reading."""
    return _CONTROL.search(text) is not None


def without_accents(text: str) -> str:
    """Return the text with Vietnamese letters as their plain Latin ones."""
    decomposed = unicodedata.normalize("NFD", text.replace("đ", "d").replace("Đ", "D"))
    return "".join(char for char in decomposed if unicodedata.category(char) != "Mn")


def readable(text: str | None) -> bool:
    """Say whether a text says anything to somebody who reads it: spaces and marks without a shape do not."""
    return any(char.isprintable() and not char.isspace() for char in text or "")


def plain(text: str) -> str:
    """Return the text as people compare names: no case, no accents, single spaces, ``đ`` as ``d``."""
    return " ".join(without_accents(text.casefold()).split())


def whole_seconds(moment: datetime) -> datetime:
    """Return the moment in UTC without fractions of a second, as a message states it.

    Raises:
        ValueError: the moment has no offset.
    """
    if moment.tzinfo is None:
        raise ValueError("a moment needs an offset")
    return moment.astimezone(UTC).replace(microsecond=0)


def vietnam_day(moment: datetime) -> date:
    """Return the calendar day in Vietnam of a moment (R7)."""
    return moment.astimezone(VIETNAM).date()


def render_date(day: date) -> str:
    """Write a date as ``yyyy/MM/dd``."""
    return f"{day.year:04d}/{day.month:02d}/{day.day:02d}"


def render_moment(moment: datetime) -> str:
    """Write a moment as ``yyyy/MM/dd HH:mm:ss`` in Vietnamese local time."""
    local = moment.astimezone(VIETNAM)
    return f"{render_date(local.date())} {local:%H:%M:%S}"


def parse_date(text: str) -> date | None:
    """Read a date in any form of edxml.md 11.1, decided by where the four-digit year stands; else ``None``."""
    found = _MOMENT.fullmatch(text)
    return _day_of(found) if found else None


def parse_moment(text: str) -> datetime | None:
    """Read a moment in any form of edxml.md 11.1 as UTC; without a zone it is Vietnamese time; else ``None``."""
    found = _MOMENT.fullmatch(text)
    day = _day_of(found) if found else None
    if found is None or day is None:
        return None
    try:
        local = datetime(
            day.year,
            day.month,
            day.day,
            int(found["H"] or 0),
            int(found["M"] or 0),
            int(found["S"] or 0),
            tzinfo=_zone(found["zone"]),
        )
        return local.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _day_of(found: re.Match[str]) -> date | None:
    year, month, day = (found[name] or found[name + "2"] for name in "ymd")
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        return None


def _zone(text: str | None) -> timezone:
    if text is None:
        return VIETNAM
    if text == "Z":
        return UTC
    offset = timedelta(hours=int(text[1:3]), minutes=int(text[-2:]))
    return timezone(-offset if text[0] == "-" else offset)


def parse_integer(text: str) -> int | None:
    """Read a decimal number of at most nine digits without sign; else ``None``."""
    return int(text) if _INTEGER.fullmatch(text) else None


def parse_flag(text: str) -> bool | None:
    """Read ``0``, ``1``, ``true`` or ``false``; else ``None``."""
    return _FLAGS.get(text.casefold())
