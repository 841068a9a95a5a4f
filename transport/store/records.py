"""Columns of a result as the types they must have: a row of another type is damage, not a value to carry on with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

Record: TypeAlias = Sequence[object]
"""A row as the driver gives it."""


def number(value: object) -> int:
    """Return a column that is a number."""
    assert isinstance(value, int)
    return value


def text(value: object) -> str:
    """Return a column that is a text."""
    assert isinstance(value, str)
    return value


def data(value: object) -> bytes:
    """Return a column that is bytes."""
    assert isinstance(value, bytes)
    return value


def number_or_none(value: object) -> int | None:
    """Return a column that is a number or empty."""
    return None if value is None else number(value)


def text_or_none(value: object) -> str | None:
    """Return a column that is a text or empty."""
    return None if value is None else text(value)


def data_or_none(value: object) -> bytes | None:
    """Return a column that is bytes or empty."""
    return None if value is None else data(value)
