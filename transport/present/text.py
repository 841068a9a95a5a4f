"""Foreign values on their way to a terminal or a JSON document (console.md 1, rows "Foreign text" and "Streams").

A name from a file or certificate is data: control, escape and bidi characters become visible ``\\u001b``, so that it
can neither move the cursor, change colours nor swap the order of what is read.
"""

from __future__ import annotations

import unicodedata
from datetime import UTC, date, datetime, timedelta, timezone

VIETNAM = timezone(timedelta(hours=7))  # +07:00 without change since 1975

_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def sanitise(text: str) -> str:
    """Return ``text`` in NFC with every control, format, surrogate or line-breaking character made visible."""
    text = unicodedata.normalize("NFC", text)
    if text.isascii() and text.isprintable():
        return text
    return "".join(_visible(char) for char in text)


def _visible(char: str) -> str:
    if unicodedata.category(char) not in _INVISIBLE:
        return char
    code = ord(char)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def width(text: str) -> int:
    """Return the number of terminal columns ``text`` takes (combining marks none, wide characters two)."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def pad(text: str, columns: int) -> str:
    """Return ``text`` filled with spaces on the right up to ``columns``."""
    return text + " " * max(0, columns - width(text))


def shorten(text: str, columns: int) -> str:
    """Return ``text`` cut to ``columns`` with a sign of the cut; only for terminals, never for pipes."""
    if width(text) <= columns:
        return text
    kept = ""
    for char in text:
        if width(kept + char) > columns - 1:
            break
        kept += char
    return kept + "…"


def _aware(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("a time without offset cannot be shown")
    try:
        return moment.astimezone(VIETNAM)
    except OverflowError:  # certificates without end say 31/12/9999 23:59:59 in UTC
        return moment.astimezone(UTC)


def person_time(moment: datetime) -> str:
    """Return ``dd/MM/yyyy HH:mm:ss +07:00`` (R7)."""
    shown = _aware(moment)
    return f"{shown:%d/%m/%Y %H:%M:%S} {'+00:00' if shown.tzinfo is UTC else '+07:00'}"


def person_date(day: date) -> str:
    """Return ``dd/MM/yyyy``."""
    return f"{day:%d/%m/%Y}"


def clock(moment: datetime) -> str:
    """Return ``HH:mm:ss`` of a moment that just was."""
    return f"{_aware(moment):%H:%M:%S}"


def json_time(moment: datetime) -> str:
    """Return ISO 8601 with offset +07:00, to the second."""
    return _aware(moment).isoformat(timespec="seconds")


def seconds(value: float, lang: str) -> str:
    """Return a duration with one digit: ``0,4 s`` or ``0.4 s``."""
    text = f"{value:.1f} s"
    return text.replace(".", ",") if lang == "vi" else text


def octets(size: int, lang: str) -> str:
    """Return a size for people: ``47,1 kB`` (1 kB = 1000 bytes)."""
    if size < 1000:
        return f"{size} B"
    power = min(3, (len(str(size)) - 1) // 3)
    text = f"{size / 1000**power:.1f} {('B', 'kB', 'MB', 'GB')[power]}"
    return text.replace(".", ",") if lang == "vi" else text
