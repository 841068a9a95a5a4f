"""The ballast (exchange.md 9): 64 MiB given up when the disk is full, so that final states can still be written."""

from __future__ import annotations

import logging
import os
import shutil
import threading
from pathlib import Path

SIZE = 64 * 1024 * 1024
_BLOCK = 1024 * 1024

log = logging.getLogger("edoc.store")


class Ballast:
    """The file ``ballast`` of a home, as large as it says: its bytes are written, not only promised."""

    def __init__(self, folder: Path, size: int = SIZE) -> None:
        self.path = folder / "ballast"
        self._size = size
        self._lock = threading.Lock()

    def there(self) -> bool:
        """Say whether the ballast is whole."""
        try:
            return self.path.stat().st_size == self._size
        except OSError:
            return False

    def take(self) -> bool:
        """Write the ballast if there is room for it beside four times as much; say whether it is there."""
        with self._lock:
            if self.there():
                return True
            try:
                if shutil.disk_usage(self.path.parent).free < 5 * self._size:
                    return False
                self._write()
            except OSError as error:
                self.path.unlink(missing_ok=True)
                log.warning("ballast.not-written", extra={"errno": error.errno})
                return False
            return True

    def give_up(self) -> bool:
        """Remove the ballast; false when there was none to give."""
        with self._lock:
            try:
                self.path.unlink()
            except OSError:
                return False
        log.error("ballast.given-up")
        return True

    def _write(self) -> None:
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            block = os.urandom(_BLOCK)  # a file system that compresses must not make it smaller
            for _ in range(self._size // _BLOCK):
                os.write(descriptor, block)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
