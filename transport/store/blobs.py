"""Bytes by content address (exchange.md 9): files of the blob folder, and small ones in the row.

Order of writes of a file: temporary file in the same file system, hash equals, ``fdatasync``, rename to the content
address, ``fsync`` of the folders, and only then the caller's commit. A crash leaves orphans at most. After a failed
flush the temporary file is thrown away and written anew next time, since the system may have dropped its pages. Every
read hashes again.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Protocol

from transport.errors import StoreError
from transport.store.faults import BUSY, from_disk
from transport.store.statements import Connection, Row

ROW_MAX = 64 * 1024
"""Largest blob in bytes that lives in the row, so that one flush serves all (exchange.md 9)."""

CHUNK = 256 * 1024

_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Staged:
    """Bytes ready for a transaction: a large blob is durable already, a small one rides along in ``data``."""

    digest: str
    size: int
    data: bytes | None
    still_there: Callable[[], bool] | None = field(default=None, compare=False, repr=False)


class Place(Protocol):
    """Where blobs above 64 KiB are kept: files of the home, or objects of an S3-compatible store."""

    def has(self, digest: str) -> bool: ...
    def put(self, data: bytes) -> str: ...
    def put_file(self, source: Path, sha256: str) -> str: ...
    def get(self, digest: str) -> bytes: ...
    def opened(self, digest: str) -> AbstractContextManager[BinaryIO]: ...
    def remove(self, digest: str) -> None: ...
    def listed(self) -> Iterator[tuple[str, datetime]]: ...
    def sweep(self) -> int: ...


class Blobs:
    """The folder ``blobs/sha256/ab/cd/<digest>`` of a home."""

    def __init__(self, folder: Path) -> None:
        self._root = folder / "sha256"
        self._spool = folder / "tmp"
        self._making = threading.Lock()  # nobody may build on a folder whose name is not flushed yet

    def path(self, digest: str) -> Path:
        """Return where a blob lies or would lie.

        Raises:
            ValueError: the digest is not 64 lower-case hexadecimal digits, so it could name another place.
        """
        digest = checked_name(digest)
        return self._root / digest[:2] / digest[2:4] / digest

    def has(self, digest: str) -> bool:
        """Say whether a file with this address is there; its bytes are not looked at."""
        return self.path(digest).is_file()

    def put(self, data: bytes) -> str:
        """Make bytes durable under their digest and return it.

        Raises:
            StoreError: the disk is full, cannot be written or failed; nothing was stored.
        """
        digest = hashlib.sha256(data).hexdigest()
        with self._temporary() as temporary:
            _write_all(temporary, data)
            self._settle(temporary, digest)
        return digest

    def put_file(self, source: Path, sha256: str) -> str:
        """Make a file of the same file system durable under its digest; the file is moved, not copied.

        Raises:
            StoreError: the file's bytes have another digest (EDOC-STO-006), or the disk failed.
        """
        try:
            if digest_of(source) != sha256:
                raise StoreError("EDOC-STO-006", "the file has another digest", path=str(source), digest=sha256)
            self._settle(source, sha256)
        except OSError as error:
            raise from_disk(error, "storing a file", source) from error
        return sha256

    def get(self, digest: str) -> bytes:
        """Return the bytes of a blob after hashing them again.

        Raises:
            StoreError: missing (EDOC-STO-008), damaged (EDOC-STO-006) or unreadable.
        """
        path = self.path(digest)
        try:
            data = path.read_bytes()
        except FileNotFoundError as error:
            raise missing(digest) from error
        except OSError as error:
            raise from_disk(error, "reading a stored file", path) from error
        return _checked(data, digest, path)

    @contextmanager
    def opened(self, digest: str) -> Iterator[BinaryIO]:
        """Open a blob's file for reading in pieces; it is not hashed here.

        Raises:
            StoreError: missing (EDOC-STO-008) or unreadable.
        """
        path = self.path(digest)
        try:
            file = path.open("rb")
        except FileNotFoundError as error:
            raise missing(digest) from error
        except OSError as error:
            raise from_disk(error, "reading a stored file", path) from error
        with file:
            yield file

    def remove(self, digest: str) -> None:
        """Remove a blob's file; one that is not there is as good as removed.

        Raises:
            StoreError: the file cannot be removed.
        """
        path = self.path(digest)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise from_disk(error, "removing a stored file", path) from error

    def listed(self) -> Iterator[tuple[str, datetime]]:
        """Yield the digests of the files, each with the time at which it was written last."""
        for path in self._root.glob("??/??/*"):
            with suppress(FileNotFoundError):
                if _DIGEST.fullmatch(path.name):
                    yield path.name, datetime.fromtimestamp(path.stat().st_mtime, UTC)

    def sweep(self) -> int:
        """Remove what earlier processes left half-written; only the one server of a home may call it."""
        left = list(self._spool.glob("*")) if self._spool.is_dir() else []
        for path in left:
            path.unlink(missing_ok=True)
        return len(left)

    @contextmanager
    def _temporary(self) -> Iterator[Path]:
        path = self._spool / secrets.token_hex(16)
        try:
            self._spool.mkdir(mode=0o700, parents=True, exist_ok=True)
            yield path
        except OSError as error:
            raise from_disk(error, "storing a file", path) from error
        finally:
            with suppress(OSError):
                path.unlink(missing_ok=True)

    def _settle(self, temporary: Path, digest: str) -> None:
        """Flush the file and give it its address; folders made on the way are flushed too."""
        target = self.path(digest)
        with self._making:
            _make_folders(target.parent, self._root.parent)
        _flush(temporary)
        os.replace(temporary, target)
        _flush_folder(target.parent)


def checked_name(digest: str) -> str:
    """Return a digest that is one.

    Raises:
        ValueError: it is not 64 lower-case hexadecimal digits, so it could name another place.
    """
    if not _DIGEST.fullmatch(digest):
        raise ValueError("not a digest")
    return digest


def stage(blobs: Place, data: bytes) -> Staged:
    """Get bytes ready for a transaction: above 64 KiB they are made durable as a file first."""
    if len(data) > ROW_MAX:
        digest = blobs.put(data)
        return Staged(digest, len(data), None, lambda: blobs.has(digest))
    return Staged(hashlib.sha256(data).hexdigest(), len(data), data)


def keep(connection: Connection, staged: Staged) -> str:
    """Record a blob in the transaction; one that is recorded already stays as it is. Returns its digest.

    Raises:
        StoreError: EDOC-STO-003, the bytes were staged a day ago and are gone: stage them again.
    """
    place = "file" if staged.data is None else "row"
    connection.exec_driver_sql(
        "INSERT INTO blob (digest, size, place, data) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (digest) DO UPDATE SET condemned_since = NULL WHERE blob.condemned_since IS NOT NULL",
        (staged.digest, staged.size, place, staged.data),
    )
    # from here to the commit nobody removes them: whoever collects garbage needs the row
    if staged.still_there is not None and not staged.still_there():
        raise StoreError(BUSY, "the bytes were collected in the meantime", doing="storing", reason="collected")
    return staged.digest


def in_row(ask: Callable[[str, tuple[str]], Row | None], digest: str) -> bytes | None:
    """Return a blob's bytes if they live in the row, ``None`` if they are a file or unknown; not hashed here."""
    row = ask("SELECT data FROM blob WHERE digest = ?", (digest,))
    return None if row is None or row[0] is None else bytes(row[0])


def read(ask: Callable[[str, tuple[str]], Row | None], blobs: Place, digest: str) -> bytes:
    """Return a blob's bytes from its row or its file, hashed again.

    Raises:
        StoreError: missing (EDOC-STO-008), damaged (EDOC-STO-006) or unreadable.
    """
    data = in_row(ask, digest)
    return blobs.get(digest) if data is None else _checked(data, digest, "database")


def _checked(data: bytes, digest: str, where: object) -> bytes:
    if hashlib.sha256(data).hexdigest() != digest:
        raise StoreError("EDOC-STO-006", "stored bytes were changed or damaged", digest=digest, path=str(where))
    return data


def missing(digest: str) -> StoreError:
    """Return the error for bytes that are not there."""
    return StoreError("EDOC-STO-008", "stored bytes are missing", digest=digest)


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file (hexadecimal), read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _write_all(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view[:CHUNK]) :]
    finally:
        os.close(descriptor)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR)
    try:
        getattr(os, "fdatasync", os.fsync)(descriptor)
    finally:
        os.close(descriptor)


def _make_folders(folder: Path, top: Path) -> None:
    """Make the folders of an address and flush the name of each new one, or a crash could lose the whole branch."""
    missing = []
    current = folder
    while current != top.parent and not current.is_dir():
        missing.append(current)
        current = current.parent
    for path in reversed(missing):
        path.mkdir(mode=0o700, exist_ok=True)
        _flush_folder(path.parent)


def _flush_folder(folder: Path) -> None:
    if os.name != "posix":
        return  # other systems cannot open a folder for flushing; the rename is all there is
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
