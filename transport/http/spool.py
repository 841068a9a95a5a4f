"""A body on its way in (exchange.md 3.1, S6 and S7): counted, hashed, timed; small in memory, large in a file.

Promises: never more than the announced length is read; a body that stalls or trickles ends in 408; hashing and writing
go in a thread for large bodies, in chunks of 256 KiB, and reading waits for the disk. The file goes with the spool.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol

from transport.errors import Problem
from transport.http.limits import HttpLimits, RateWatch

CHUNK = 256 * 1024
ABANDONED_SECONDS = 24 * 3600
"""Age of a folder of a sending command after which nobody is at work in it any more."""


class Body(Protocol):
    """Where the bytes come from: an aiohttp stream, or the like."""

    async def readany(self) -> bytes:
        """Return the next bytes, ``b""`` at the end."""
        ...


class Disk:
    """What is free and what is spoken for in the spool's file system; reservations keep two bodies off one space."""

    def __init__(self, folder: Path, limits: HttpLimits) -> None:
        self.folder = folder
        self._limits = limits
        self._reserved = 0
        self.spoken_for: Callable[[], int] = lambda: 0
        """Bytes spoken for beside the bodies: what unfinished uploads have still to come."""

    @property
    def reserved(self) -> int:
        """Bytes reserved for bodies on their way in, and for what unfinished uploads lack."""
        return self._reserved + self.spoken_for()

    def reserve(self, size: int) -> None:
        """Reserve space. Raises ``Problem`` ``storage-low`` below the disk reserve (exchange.md 10)."""
        self.check(size)
        self._reserved += size

    def check(self, size: int) -> None:
        """Say whether there is space. Raises ``Problem`` as ``reserve`` does."""
        usage = shutil.disk_usage(self.folder)
        keep = self._limits.disk_reserve_bytes
        if keep:
            keep = max(keep, usage.total * self._limits.disk_reserve_percent // 100)
        if usage.free - self.reserved - size < keep or not self._inodes_left():
            raise Problem("storage-low", 507, "below the disk reserve", retry_after=60)

    def release(self, size: int) -> None:
        """Give a reservation back."""
        self._reserved -= size

    def _inodes_left(self) -> bool:
        if not self._limits.disk_reserve_bytes or not hasattr(os, "statvfs"):
            return True
        found = os.statvfs(self.folder)
        return not found.f_files or found.f_favail * 100 >= found.f_files * self._limits.disk_reserve_percent


class Spool:
    """Holds one body; a context manager that leaves nothing behind."""

    def __init__(self, folder: Path, limits: HttpLimits, *, size: int) -> None:
        self._folder = folder
        self._limits = limits
        self._size = size
        self._hash = hashlib.sha256()
        self._memory = bytearray()
        self._file: BinaryIO | None = None
        self._path = ""
        self.received = 0

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._file is not None:
            self._file.close()
            with suppress(FileNotFoundError):  # it was made a blob
                os.unlink(self._path)

    @property
    def size(self) -> int:
        """Bytes that were announced."""
        return self._size

    @property
    def digest(self) -> str:
        """SHA-256 (hexadecimal) of what has arrived."""
        return self._hash.hexdigest()

    @property
    def path(self) -> Path | None:
        """The file that holds the body, ``None`` for one in memory."""
        return None if self._file is None else Path(self._path)

    async def fill(self, body: Body, *, clock: Callable[[], float]) -> str:
        """Read the body to its end and return its SHA-256 (hexadecimal).

        Raises ``Problem``: ``timeout`` (408) when a limit of time or rate passes, ``storage-low`` (507) when the disk
        does not take it, ``digest-mismatch`` (400) when there is more or less than announced.
        """
        await self.fill_on(body, clock=clock)
        if self.received != self._size:
            raise Problem("digest-mismatch", 400, "fewer bytes than announced")
        return self.digest

    async def fill_on(self, body: Body, *, clock: Callable[[], float]) -> None:
        """Read what comes, behind what has come before; what was read when a transfer is cut stays.

        Raises ``Problem`` as ``fill`` does, but not for less than announced.
        """
        watch = RateWatch(self._limits, now=clock())
        pending = bytearray()
        try:
            while chunk := await self._next(body, watch, clock):
                pending += chunk
                if self.received + len(pending) > self._size:
                    pending.clear()
                    raise Problem("digest-mismatch", 400, "more bytes than announced")
                if len(pending) >= CHUNK:
                    await self._keep(bytes(pending))
                    pending.clear()
        finally:
            if pending:
                await self._keep(bytes(pending))

    def flushed(self) -> Path | None:
        """Write what is buffered, and return the file that holds the body; ``None`` for one in memory."""
        if self._file is not None:
            self._file.flush()
        return self.path

    def data(self) -> bytes:
        """Return the whole body."""
        if self._file is None:
            return bytes(self._memory)
        self._file.flush()
        self._file.seek(0)
        return self._file.read()

    async def _next(self, body: Body, watch: RateWatch, clock: Callable[[], float]) -> bytes:
        patience = watch.patience(clock())
        try:
            async with asyncio.timeout(max(0.0, patience)):
                chunk = await body.readany()
        except TimeoutError as error:
            raise Problem("timeout", 408, "the body did not come in time", retry_after=5) from error
        if chunk and not watch.received(len(chunk), now=clock()):
            raise Problem("timeout", 408, "the body came too slowly", retry_after=5)
        return chunk

    async def _keep(self, chunk: bytes) -> None:
        self.received += len(chunk)
        if self._size <= self._limits.spool_memory_bytes:
            self._hash.update(chunk)
            self._memory += chunk
            return
        try:
            await asyncio.to_thread(self._write, chunk)
        except OSError as error:
            raise Problem("storage-low", 507, "the spool takes no more", retry_after=60) from error

    def _write(self, chunk: bytes) -> None:
        if self._file is None:
            handle, self._path = tempfile.mkstemp(dir=self._folder, prefix="body-")
            self._file = os.fdopen(handle, "w+b")
        self._hash.update(chunk)
        self._file.write(chunk)


def clean(folder: Path) -> None:
    """Make the spool folder, private to the account, and remove what an earlier process left in it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for left in folder.glob("body-*"):
        left.unlink(missing_ok=True)
    for folder_left in folder.glob("send-*"):  # a command that is sending just now keeps its own
        if time.time() - folder_left.stat().st_mtime > ABANDONED_SECONDS:
            shutil.rmtree(folder_left, ignore_errors=True)
