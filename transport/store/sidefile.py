"""The side file of a log (ledger.md 6): one line ``size root time`` after each commit, best on another volume.

It is never truncated, and neither backed up nor restored with the database: whoever brings back an older database does
not bring back an older side file, and that shows. Lines of several processes may stand in another order than their
sizes; what counts is the largest among the newest.
"""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from transport.ledger.times import format_time
from transport.store.faults import from_disk

FLUSH_SECONDS = 1.0
"""How long a line may stand in the system's memory."""
_NEWEST_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Noted:
    """A head as the side file has it."""

    size: int
    root: bytes


class SideFile:
    """The file ``heads.log``; it is made by the first line and opened for appending only."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None
        self._flushed = 0.0
        self._lock = threading.Lock()

    def newest(self) -> Noted | None:
        """Return the largest head among the newest lines; ``None`` when there is no file or no line.

        Raises:
            StoreError: the file is there and cannot be read.
        """
        try:
            with self.path.open("rb") as file:
                file.seek(0, os.SEEK_END)
                file.seek(max(0, file.tell() - _NEWEST_BYTES))
                lines = file.read().split(b"\n")[:-1]  # the last one may be cut: no end of line, no line
        except FileNotFoundError:
            return None
        except OSError as error:
            raise from_disk(error, "reading the side file of the log", self.path) from error
        found = [noted for noted in map(_noted, lines) if noted is not None]
        return max(found, key=lambda noted: noted.size, default=None)

    def note(self, size: int, root: bytes, at: datetime) -> None:
        """Add a line; it is flushed to the disk at most a second later.

        Raises:
            StoreError: the file cannot be written.
        """
        line = f"{size} {root.hex()} {format_time(at)}\n".encode("ascii")
        with self._lock:
            try:
                if self._descriptor is None:
                    self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                    self._descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
                os.write(self._descriptor, line)
                if time.monotonic() - self._flushed >= FLUSH_SECONDS:
                    os.fsync(self._descriptor)
                    self._flushed = time.monotonic()
            except OSError as error:
                raise from_disk(error, "writing the side file of the log", self.path) from error

    def begin_anew(self, shard: str) -> None:
        """Put the lines of a log that is written no more aside, under its name: the next log counts from 0 again."""
        self.close()
        if self.path.exists():
            os.replace(self.path, self.path.with_name(f"{self.path.stem}-{shard}{self.path.suffix}"))

    def close(self) -> None:
        """Flush and close; a later line opens it again."""
        with self._lock:
            if self._descriptor is not None:
                descriptor, self._descriptor = self._descriptor, None
                try:
                    os.fsync(descriptor)
                except OSError as error:
                    raise from_disk(error, "writing the side file of the log", self.path) from error
                finally:
                    os.close(descriptor)


def _noted(line: bytes) -> Noted | None:
    parts = line.split(b" ")
    try:
        return Noted(int(parts[0]), bytes.fromhex(parts[1].decode("ascii")))
    except (ValueError, IndexError, UnicodeDecodeError):
        return None
