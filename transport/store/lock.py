"""One server per home (exchange.md 9): a lock the system takes back when the process ends, however it ends."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from transport.errors import SettingsError, StoreError
from transport.store.faults import from_disk


class ServerLock:
    """Held by ``edoc serve`` while it runs; commands beside it do not take it, they write in short transactions."""

    def __init__(self, home: Path) -> None:
        self._path = home / "serve.lock"
        self._file: int | None = None

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            SettingsError: EDOC-CFG-010, another server works on this home.
            StoreError: the home cannot be written.
        """
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise _unwritable(error, self._path) from error
        try:
            _lock(descriptor)
        except OSError as error:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() if hasattr(os, "pread") else ""
            os.close(descriptor)
            raise SettingsError(
                "EDOC-CFG-010", "another server holds this home", home=str(self._path.parent), pid=holder or "-"
            ) from error
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode("ascii"))
        self._file = descriptor

    def release(self) -> None:
        """Give the lock back; does nothing when it is not held."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def __enter__(self) -> ServerLock:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def _unwritable(error: OSError, path: Path) -> StoreError:
    return from_disk(error, "taking the lock of the home", path)


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        os.lseek(descriptor, 1024, os.SEEK_SET)  # beyond the text, which stays readable
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
