"""Errors of PostgreSQL in our words, by their SQLSTATE; psycopg itself is not needed here.

Only the first line of the server's message is kept: its details repeat the values of rows, and values are content (I8).
"""

from __future__ import annotations

import errno
import re

from transport.errors import StoreError
from transport.store.refusals import BUSY, DAMAGED_DATABASE, FAILED, FULL, READ_ONLY, UNREADABLE, Conflict

UNIQUE = "23505"
RETRYABLE = frozenset({"40001", "40P01"})
"""Serialization failure and deadlock: the unit is taken back and runs again."""

_CODES = {
    "53100": FULL,
    "53200": BUSY,
    "53300": BUSY,
    "55P03": BUSY,
    "55006": BUSY,
    "57014": BUSY,
    "40001": BUSY,
    "40P01": BUSY,
    "25006": READ_ONLY,
    "42501": READ_ONLY,
    "58030": FAILED,
    "XX001": DAMAGED_DATABASE,
    "XX002": DAMAGED_DATABASE,
}
_CONTENT = re.compile(r"22|23")
"""Classes whose messages may repeat a value: data exceptions and broken constraints."""

_KEY = re.compile(r"Key \(([^)]*)\)=")


def state_of(origin: object) -> str | None:
    """Return the SQLSTATE of a driver's error, ``None`` when the server said none (the connection broke)."""
    found = getattr(origin, "sqlstate", None)
    return found if isinstance(found, str) else None


def outcome_unclear(origin: object) -> bool:
    """Say whether COMMIT may have happened although it failed: the connection ended before its answer came."""
    state = state_of(origin)
    return state is None or state.startswith(("08", "57P"))


def translated(origin: object, doing: str) -> StoreError:
    """Return the error of ours for one of PostgreSQL."""
    state, diagnosis = state_of(origin), getattr(origin, "diag", None)
    if state == UNIQUE:
        return Conflict(_columns(diagnosis))
    reason = str(getattr(diagnosis, "message_primary", None) or "").partition("\n")[0]
    if state is None and not reason:
        reason = str(origin).partition("\n")[0]
    if state is not None and _CONTENT.match(state):
        reason = f"{state} {getattr(diagnosis, 'constraint_name', None) or type(origin).__name__}"
    code = _CODES.get(state or "", UNREADABLE)
    facts: dict[str, object] = {"doing": doing, "reason": reason}
    if code == FULL:
        facts["errno"] = errno.ENOSPC
    return StoreError(code, f"{doing}: {reason}", **facts)


def _columns(diagnosis: object) -> tuple[str, ...]:
    table = getattr(diagnosis, "table_name", None) or ""
    found = _KEY.match(getattr(diagnosis, "message_detail", None) or "")
    names = found[1].replace('"', "").split(", ") if found else [""]
    return tuple(f"{table}.{name}" for name in names)
