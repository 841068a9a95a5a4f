"""Database and disk errors in our words: SQL exceptions never leave the store.

A unique violation becomes ``Conflict`` with the columns it hit, so that a caller can tell "known already" from every
other failure (exchange.md 3.1 S11). Everything else becomes a ``StoreError`` whose code says what the person can do.
"""

from __future__ import annotations

import errno
import sqlite3

from sqlalchemy.exc import DBAPIError

from transport.errors import StoreError
from transport.store import pgfaults
from transport.store.refusals import BUSY, DAMAGED_DATABASE, FAILED, FULL, READ_ONLY, UNREADABLE, Conflict

__all__ = [
    "BUSY",
    "DAMAGED_DATABASE",
    "FAILED",
    "FULL",
    "READ_ONLY",
    "UNREADABLE",
    "Conflict",
    "from_disk",
    "primary_code",
    "translated",
]

_CODES = {
    sqlite3.SQLITE_FULL: FULL,
    sqlite3.SQLITE_BUSY: BUSY,
    sqlite3.SQLITE_LOCKED: BUSY,
    sqlite3.SQLITE_IOERR: FAILED,
    sqlite3.SQLITE_READONLY: READ_ONLY,
    sqlite3.SQLITE_PERM: READ_ONLY,
    sqlite3.SQLITE_CORRUPT: DAMAGED_DATABASE,
    sqlite3.SQLITE_NOTADB: DAMAGED_DATABASE,
    sqlite3.SQLITE_CANTOPEN: UNREADABLE,
}
_NO_ROOM = {sqlite3.SQLITE_IOERR_SHMSIZE}
"""I/O errors that are a full disk: the shared memory beside the database could not grow."""
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
_READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)


def translated(error: DBAPIError, doing: str) -> StoreError:
    """Return the error of ours for one of the database; ``doing`` says what was attempted."""
    if not isinstance(error.orig, sqlite3.Error) and hasattr(error.orig, "sqlstate"):
        return pgfaults.translated(error.orig, doing)
    origin = error.orig
    text = str(origin)
    if isinstance(origin, sqlite3.IntegrityError) and text.startswith("UNIQUE constraint failed: "):
        return Conflict(tuple(text.removeprefix("UNIQUE constraint failed: ").split(", ")))
    code = FULL if _extended(error) in _NO_ROOM else _CODES.get(primary_code(error), UNREADABLE)
    facts: dict[str, object] = {"doing": doing, "reason": text}
    if code == FULL:
        facts["errno"] = errno.ENOSPC
    return StoreError(code, f"{doing}: {text}", **facts)


def primary_code(error: DBAPIError) -> int:
    """Return SQLite's primary result code of an error, 1 (generic) if there is none."""
    return _extended(error) & 0xFF


def _extended(error: DBAPIError) -> int:
    return int(getattr(error.orig, "sqlite_errorcode", sqlite3.SQLITE_ERROR))


def from_disk(error: OSError, doing: str, path: object) -> StoreError:
    """Return the error of ours for one of the file system."""
    code = FULL if error.errno in _DISK_FULL else READ_ONLY if error.errno in _READ_ONLY else FAILED
    reason = error.strerror or str(error)
    return StoreError(code, f"{doing}: {reason}", doing=doing, path=str(path), reason=reason, errno=error.errno)
