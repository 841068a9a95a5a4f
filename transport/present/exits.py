"""Exit codes of console.md 2 and which of several is returned."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum


class Exit(IntEnum):
    """What the exit code of a command means."""

    DONE = 0
    REFUSED = 1  # a definite no: invalid, forbidden, broken
    USAGE = 2
    INDETERMINATE = 3
    LATER = 4  # the same command may succeed
    KEY = 5
    SETUP = 6
    INTERNAL = 70  # a bug, never a verdict
    INTERRUPTED = 130
    TERMINATED = 143


_PRECEDENCE = (
    Exit.INTERNAL,
    Exit.TERMINATED,
    Exit.INTERRUPTED,
    Exit.REFUSED,
    Exit.KEY,
    Exit.SETUP,
    Exit.USAGE,
    Exit.INDETERMINATE,
    Exit.LATER,
    Exit.DONE,
)


def worst(codes: Iterable[int]) -> int:
    """Return the first of the precedence 70, 130, 1, 5, 6, 2, 3, 4, 0 that occurred; no items means done."""
    seen = set(codes)
    return next((int(code) for code in _PRECEDENCE if code in seen), Exit.DONE)


_VERDICTS = ((Exit.INTERNAL, Exit.REFUSED, Exit.USAGE, Exit.INDETERMINATE), Exit.DONE)


def worst_verdict(codes: Iterable[int]) -> int:
    """Return the exit code of ``verify``: invalid before unreadable before indeterminate, never 4 (console.md 4.2)."""
    seen = set(codes)
    order, fine = _VERDICTS
    return next((int(code) for code in order if code in seen), int(fine))
