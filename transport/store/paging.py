"""Keyset paging of lists: the cursor is the place after the last row, so no row is skipped or shown twice."""

from __future__ import annotations

import base64
import binascii
import json
from datetime import UTC, date, datetime, time, timedelta, timezone

from transport.errors import TransportError

VIETNAM = timezone(timedelta(hours=7))

LIMIT_MAX = 500


def cursor(position: tuple[int, int, int]) -> str:
    """Return a cursor for a place: urgency, time in milliseconds, row number."""
    text = json.dumps(position, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode("ascii")).decode("ascii").rstrip("=")


def position(text: str) -> tuple[int, int, int]:
    """Return the place a cursor names.

    Raises:
        TransportError: EDOC-STO-014, this is not a cursor of ours.
    """
    try:
        value = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        urgency, at, number = (int(part) for part in value)
    except (ValueError, TypeError, binascii.Error, UnicodeEncodeError) as error:
        raise TransportError("EDOC-STO-014", "not a cursor", value=text[:80]) from error
    return urgency, at, number


def end_of_day(day: date | None) -> datetime | None:
    """Return the last millisecond of a Vietnamese day in UTC: dates are due until their day is over (R7)."""
    if day is None:
        return None
    return datetime.combine(day, time(23, 59, 59, 999000), VIETNAM).astimezone(UTC)


def is_past(due: datetime | None, now: datetime | None) -> bool:
    """Say whether a due time has passed; without a present moment nothing has."""
    return due is not None and now is not None and due < now
