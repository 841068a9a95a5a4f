"""Times as leaves write them: UTC, ``YYYY-MM-DDTHH:MM:SS.mmmZ``, 24 characters (ledger.md 4.1, rule 2)."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_TIME = re.compile(r"(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})\.(\d{3})Z", re.ASCII)


def format_time(moment: datetime) -> str:
    """Return the text of an aware moment, cut to milliseconds. Raises ``ValueError`` for a naive one."""
    if moment.tzinfo is None:
        raise ValueError("a time in the ledger needs an offset")
    utc = moment.astimezone(UTC)
    return f"{utc.year:04}{utc:-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03}Z"


def read_time(text: str) -> datetime:
    """Return the moment of :func:`format_time`'s text. Raises ``ValueError``."""
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError("not a time in UTC with milliseconds")
    year, month, day, hour, minute, second, milliseconds = (int(group) for group in found.groups())
    return datetime(year, month, day, hour, minute, second, milliseconds * 1000, tzinfo=UTC)
