"""Times in rows: whole milliseconds since 1970 in UTC, as the ledger counts them (ledger.md 12)."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def millis(moment: datetime) -> int:
    """Return an aware time as whole milliseconds since 1970, cut, not rounded.

    Raises:
        ValueError: the time has no offset.
    """
    if moment.tzinfo is None:
        raise ValueError("a time without offset cannot be stored")
    return (moment - EPOCH) // _MILLISECOND


def moment(value: int) -> datetime:
    """Return the UTC time of a row's milliseconds."""
    return EPOCH + value * _MILLISECOND


def moment_or_none(value: int | None) -> datetime | None:
    """Return the time of a column that may be empty."""
    return None if value is None else moment(value)


def day_or_none(value: str | None) -> date | None:
    """Return the date of a column that may be empty; days are kept as ``YYYY-MM-DD``."""
    return date.fromisoformat(value) if value else None


def day_text(value: date | None) -> str | None:
    """Return how a day is kept in a row."""
    return None if value is None else value.isoformat()
