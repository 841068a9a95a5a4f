"""Database and disk errors in our words: SQL exceptions never leave the store.

A unique violation becomes ``Conflict`` with the columns it hit, so that a caller can tell "known already" from every
other failure (exchange.md 3.1 S11). Everything else becomes a ``StoreError`` whose code says what the person can do.
"""

from __future__ import annotations

import errno
import sqlite3

from sqlalchemy.exc import DBAPIError

from transport.errors import StoreError

FULL = "EDOC-STO-002"
BUSY = "EDOC-STO-003"
FAILED = "EDOC-STO-004"
READ_ONLY = "EDOC-STO-005"
DAMAGED_DATABASE = "EDOC-STO-007"
UNREADABLE = "EDOC-STO-001"

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


class Conflict(StoreError):
    """A unique key is taken: somebody stored the same thing first. ``columns`` are those of the violated key."""

    def __init__(self, columns: tuple[str, ...]) -> None:
        super().__init__("EDOC-STO-010", f"already stored: {', '.join(columns)}", columns=columns)
        self.columns = columns

    @property
    def table(self) -> str:
        """Name of the table whose key is taken."""
        return self.columns[0].partition(".")[0] if self.columns else ""


def translated(error: DBAPIError, doing: str) -> StoreError:
    """Return the error of ours for one of the database; ``doing`` says what was attempted."""
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
