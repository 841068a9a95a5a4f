"""Unfinished uploads as files (exchange.md 12): they outlive the process, and all processes of a server share them.

Each upload is two files: what it is for, and what has come of it. A lock on the first belongs to whoever appends to it,
finishes it or gives it up; the system takes it back when that process ends. What is still to come counts as reserved
disk in every process.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from transport.dispatch import Key
from transport.errors import Problem

if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int, *, wait: bool) -> None:
        os.lseek(descriptor, 1 << 20, os.SEEK_SET)  # beyond the text, which stays readable
        msvcrt.locking(descriptor, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(descriptor: int, *, wait: bool) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))


COUNTED_SECONDS = 1.0
"""How long what other processes have left to receive is not counted anew."""


@dataclass(frozen=True, slots=True)
class Upload:
    """What an upload is for; ``size`` and ``sha256`` of the whole message."""

    token: str
    caller: str
    sender: str
    recipient: str
    message_id: str
    size: int
    sha256: str
    created_at: str

    @property
    def key(self) -> Key:
        """K of the message."""
        return Key(self.sender, self.recipient, self.message_id)


class UploadFolder:
    """The uploads of a home, for one process of its server."""

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder, self._clock = folder, clock
        self._counted: tuple[float, int] | None = None

    def data(self, token: str) -> Path:
        """Return the file of what has come."""
        return self._folder / f"upload-{token}.part"

    def _facts(self, token: str) -> Path:
        return self._folder / f"upload-{token}.json"

    def all(self) -> list[Upload]:
        """Return every upload that is there."""
        return [one for path in self._folder.glob("upload-*.json") if (one := _read(path)) is not None]

    def get(self, token: str) -> Upload | None:
        """Return an upload, ``None`` if there is none of this name."""
        return _read(self._facts(token))

    def offset(self, upload: Upload) -> int:
        """Return how many bytes have come."""
        with suppress(OSError):
            return self.data(upload.token).stat().st_size
        return 0

    def outstanding(self) -> int:
        """Return the bytes that are still to come, of all uploads: they count as reserved disk."""
        now = self._clock()
        if self._counted is None or now - self._counted[0] >= COUNTED_SECONDS:
            self._counted = (now, sum(max(0, one.size - self.offset(one)) for one in self.all()))
        return self._counted[1]

    def changed(self) -> None:
        """Count anew at the next question."""
        self._counted = None

    def add(self, upload: Upload) -> None:
        """Make the files of an upload."""
        temporary = self._folder / f"upload-{upload.token}.new"
        temporary.write_text(json.dumps(asdict(upload)), "utf-8")
        self.data(upload.token).touch(mode=0o600)
        os.replace(temporary, self._facts(upload.token))
        self.changed()

    def remove(self, upload: Upload) -> None:
        """Remove an upload; its lock must be held, or nobody else know of it."""
        self.data(upload.token).unlink(missing_ok=True)
        self._facts(upload.token).unlink(missing_ok=True)
        self.changed()

    @contextmanager
    def making(self) -> Iterator[None]:
        """Let one process at a time make uploads, so that one for the same bytes is found and not made twice."""
        descriptor = os.open(self._folder / "uploads.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _lock(descriptor, wait=True)
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def held(self, token: str) -> Iterator[Upload | None]:
        """Hold an upload; ``None`` if it is gone.

        Raises:
            Problem: ``in-progress``, another request has it, in this process or another.
        """
        try:
            descriptor = os.open(self._facts(token), os.O_RDWR)
        except OSError:
            yield None
            return
        try:
            try:
                _lock(descriptor, wait=False)
            except OSError:
                raise Problem("in-progress", 409, "a part is being received", retry_after=1) from None
            yield self.get(token)  # asked under the lock: who had it may have finished it meanwhile
        finally:
            os.close(descriptor)


def new_token() -> str:
    """Return the name of a new upload, which nobody can guess."""
    return secrets.token_hex(16)


def _read(path: Path) -> Upload | None:
    try:
        return Upload(**json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, TypeError):  # gone meanwhile, or not ours
        return None
