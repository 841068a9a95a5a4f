"""Files of the person at the desk: read whole within a limit, written whole or not at all (console.md 1, R33)."""

from __future__ import annotations

import errno
import os
import stat
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from transport.present.errors import CommandError

if TYPE_CHECKING:
    from transport.desk.console import Console

MAX_INPUT = 4 * 1024**3  # bytes; formats have smaller limits of their own


def read_input(name: str, console: Console) -> bytes:
    """Return the bytes of FILE; ``-`` is standard input, once and not from a terminal.

    Raises:
        CommandError: the path is missing, a folder or unreadable, or standard input cannot be used.
    """
    if name == "-":
        return _read_standard_input(console)
    try:
        with open(name, "rb") as file:
            if stat.S_ISDIR(os.fstat(file.fileno()).st_mode):
                raise CommandError("EDOC-USE-015", path=name)
            return _whole(file, name)
    except IsADirectoryError as error:
        raise CommandError("EDOC-USE-015", path=name) from error
    except (OSError, ValueError) as error:
        raise CommandError("EDOC-USE-008", path=name, **_reason(error)) from error


def _read_standard_input(console: Console) -> bytes:
    if console.stdin_used or sys.stdin is None or sys.stdin.isatty():
        raise CommandError("EDOC-USE-012")
    console.stdin_used = True
    try:
        return _whole(sys.stdin.buffer, "-")
    except OSError as error:
        raise CommandError("EDOC-USE-008", path="-", **_reason(error)) from error


PIECE = 16 * 1024 * 1024
"""Octets of a pipe asked for at once: as much memory is taken, however little comes."""


def _whole(file: BinaryIO, name: str) -> bytes:
    """Return everything that a stream holds; a part of it is never taken for the whole.

    Raises:
        CommandError: there is more than ``MAX_INPUT``, or than there is memory for (EDOC-PDF-002).
    """
    status = os.fstat(file.fileno()) if hasattr(file, "fileno") and _has_number(file) else None
    regular = status is not None and stat.S_ISREG(status.st_mode)
    if regular and status is not None and status.st_size > MAX_INPUT:
        raise _too_large(name, status.st_size)
    try:
        if regular:
            return file.read()
        data = bytearray()
        while piece := file.read(PIECE):
            data += piece
            if len(data) > MAX_INPUT:
                raise _too_large(name, len(data))
        return bytes(data)
    except MemoryError:
        raise _too_large(name, status.st_size if regular and status is not None else None) from None


def _has_number(file: BinaryIO) -> bool:
    """Say whether a stream is one of the system's: one in memory has no number."""
    try:
        return file.fileno() >= 0
    except OSError:
        return False


def _too_large(name: str, size: int | None) -> CommandError:
    return CommandError("EDOC-PDF-002", path=name, limit="input_max_bytes", value=size, unit="bytes")


HEAD = 8192
"""Octets read of a file to see what it is, before its size is held against the limit of its kind."""


@dataclass(slots=True)
class Source:
    """A FILE that is open for reading: its first octets, and the rest once they may be read."""

    name: str
    stream: BinaryIO
    head: bytes
    size: int | None  # None: not known before everything has come, as from a pipe

    def read(self, limit: int) -> bytes | None:
        """Return the whole file, or ``None`` if it is longer than ``limit`` bytes; no more than that is held."""
        if self.size is not None and self.size > limit:
            return None
        data = self.head + self.stream.read(max(0, limit + 1 - len(self.head)))
        if len(data) <= limit:
            return data
        self.head = data
        return None

    def pieces(self, size: int = 1024 * 1024) -> Iterator[bytes]:
        """Return what was not read yet, the first octets included, piece by piece."""
        first, self.head = self.head, b""
        if first:
            yield first
        while piece := self.stream.read(size):
            yield piece


@contextmanager
def opened(name: str, console: Console) -> Iterator[Source]:
    """Open FILE; ``-`` is standard input, once and not from a terminal.

    Raises:
        CommandError: as ``read_input``.
    """
    if name == "-":
        if console.stdin_used or sys.stdin is None or sys.stdin.isatty():
            raise CommandError("EDOC-USE-012")
        console.stdin_used = True
        yield Source(name, cast(BinaryIO, sys.stdin.buffer), _first(sys.stdin.buffer), None)
        return
    source = _open(name)
    with source.stream:
        yield source


@contextmanager
def reading_lines(name: str) -> Iterator[BinaryIO]:
    """Open a FILE that is read line by line, however long it is.

    Raises:
        CommandError: it is missing, a folder, or unreadable.
    """
    try:
        file = open(name, "rb")  # noqa: SIM115  # closed below
    except IsADirectoryError as error:
        raise CommandError("EDOC-USE-015", path=name) from error
    except (OSError, ValueError) as error:
        raise CommandError("EDOC-USE-008", path=name, **_reason(error)) from error
    with file:
        yield file


def _open(name: str) -> Source:
    try:
        file = open(name, "rb")  # noqa: SIM115  # closed by ``opened``
        found = os.fstat(file.fileno())
        return Source(name, file, _first(file), found.st_size if stat.S_ISREG(found.st_mode) else None)
    except IsADirectoryError as error:
        raise CommandError("EDOC-USE-015", path=name) from error
    except (OSError, ValueError) as error:
        raise CommandError("EDOC-USE-008", path=name, **_reason(error)) from error


def _first(stream: BinaryIO) -> bytes:
    found = b""
    while len(found) < HEAD and (piece := stream.read(HEAD - len(found))):
        found += piece
    return found


def _reason(error: Exception) -> dict[str, object]:
    return {"reason": getattr(error, "strerror", None) or str(error), "errno": getattr(error, "errno", None)}


Identity = tuple[int, int]
"""What makes two names names of one file: its device and its number there."""


def identities(names: Iterable[str]) -> dict[Identity, str]:
    """Return which files the names are of; a name of none is left out."""
    found: dict[Identity, str] = {}
    for name in names:
        identity = identity_of(name)
        if identity is not None:
            found.setdefault(identity, name)
    return found


def identity_of(name: str | Path) -> Identity | None:
    """Return which file a name is of; ``None`` for standard input and for what is not there."""
    try:
        status = os.stat(name) if name != "-" else None
    except (OSError, ValueError):
        return None
    return None if status is None else (status.st_dev, status.st_ino)


def is_regular(name: str) -> bool:
    """Say whether a name is of a file that may be read twice; a pipe gives what it holds once."""
    return name != "-" and _is_regular(Path(name))


def check_target(target: Path, *, force: bool, inputs: Iterable[str] | Mapping[Identity, str] = ()) -> None:
    """Refuse a target that exists (unless ``force``) or is one of the inputs, before any work is done.

    Raises:
        CommandError: with the code that says which.
    """
    there = identity_of(target)
    if there is not None:  # else it is none of the inputs, of which there may be thousands
        known = inputs if isinstance(inputs, Mapping) else identities(inputs)
        if there in known:
            raise CommandError("EDOC-USE-022", path=known[there])
    if target.is_dir():
        raise CommandError("EDOC-USE-015", path=target)
    if target.exists() and _is_regular(target) and not force:
        raise CommandError("EDOC-USE-009", path=target)
    folder = target.parent
    if not folder.is_dir():
        raise CommandError("EDOC-USE-010", path=target, reason=os.strerror(errno.ENOENT), errno=errno.ENOENT)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise CommandError("EDOC-USE-010", path=target, reason=os.strerror(errno.EACCES), errno=errno.EACCES)


def _is_regular(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (OSError, ValueError):
        return False


def write_output(target: Path, data: bytes, *, force: bool = False, mode: int = 0o644) -> None:
    """Write the file under a temporary name beside it, flush it to disk and rename it; on failure nothing remains.

    Raises:
        CommandError: the folder cannot be written, the disk is full, or the file exists and ``force`` is false.
    """
    if target.exists() and not _is_regular(target):
        _write_through(target, data)
        return
    try:
        _write_whole(target, data, force=force, mode=mode)
    except FileExistsError as error:
        raise CommandError("EDOC-USE-009", path=target) from error
    except OSError as error:
        raise _not_written(target, error) from error


def write_from(target: Path, source: BinaryIO, *, digest: str, force: bool = False) -> None:
    """Write a file piece by piece from an open one whose SHA-256 is known, flushed and renamed; else nothing remains.

    Raises:
        CommandError: the folder cannot be written, the disk is full, or the file exists and ``force`` is false.
        StoreError: the bytes have another digest (EDOC-STO-006).
    """
    import hashlib

    from transport.errors import StoreError

    try:
        descriptor, name = tempfile.mkstemp(prefix=".edoc-", dir=target.parent)
        try:
            hashed = hashlib.sha256()
            with os.fdopen(descriptor, "wb") as file:
                while piece := source.read(256 * 1024):
                    hashed.update(piece)
                    file.write(piece)
                if hashed.hexdigest() != digest:
                    raise StoreError("EDOC-STO-006", "stored bytes were changed", digest=digest, path=str(target))
                file.flush()
                os.fsync(file.fileno())
                os.fchmod(file.fileno(), 0o644 & ~_umask())
            if force:
                os.replace(name, target)
            else:
                _link(name, target)
        finally:
            Path(name).unlink(missing_ok=True)
    except FileExistsError as error:
        raise CommandError("EDOC-USE-009", path=target) from error
    except OSError as error:
        raise _not_written(target, error) from error


def _write_whole(target: Path, data: bytes, *, force: bool, mode: int) -> None:
    if not force and _written_unnamed(target, data, mode):
        return
    descriptor, name = tempfile.mkstemp(prefix=".edoc-", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            os.fchmod(file.fileno(), mode & ~_umask())
        if force:
            os.replace(name, target)
        else:
            _link(name, target)
    finally:
        Path(name).unlink(missing_ok=True)


def _written_unnamed(target: Path, data: bytes, mode: int) -> bool:
    """Write a file that has no name until it is whole, where the system can: a process killed meanwhile leaves nothing.

    Raises:
        FileExistsError: the name is taken.
        OSError: the disk is full.
    """
    unnamed = getattr(os, "O_TMPFILE", None)
    if unnamed is None or not Path("/proc/self/fd").is_dir():
        return False
    try:
        descriptor = os.open(target.parent, unnamed | os.O_WRONLY, mode)
    except OSError:  # a file system that has no such files
        return False
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
        try:  # a folder is named as start, so that the link in /proc is followed
            os.link(f"/proc/self/fd/{file.fileno()}", target, src_dir_fd=descriptor, follow_symlinks=True)
        except FileExistsError:
            raise
        except OSError:
            return False
    return True


def _link(name: str, target: Path) -> None:
    """Give the file its name without replacing one that appeared meanwhile."""
    try:
        os.link(name, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if target.exists():
            raise FileExistsError(target) from None
        os.rename(name, target)


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _write_through(target: Path, data: bytes) -> None:
    """Write into something that is not a file, such as a device or a named pipe."""
    try:
        with open(target, "wb", buffering=0) as file:
            file.write(data)
    except OSError as error:
        raise _not_written(target, error) from error


def _not_written(target: Path, error: OSError) -> CommandError:
    full = error.errno in {errno.ENOSPC, errno.EDQUOT}
    return CommandError("EDOC-USE-011" if full else "EDOC-USE-010", path=target, **_reason(error))


def beside(name: str, suffix: str) -> Path:
    """Return the output beside an input: ``x.pdf`` and ``signed`` give ``x.signed.pdf``; ``-`` has no place."""
    if name == "-":
        raise CommandError("EDOC-USE-003", name="-o", command="edoc")
    path = Path(name)
    if not path.name:
        raise CommandError("EDOC-USE-015", path=name)  # the working folder, or the root of all
    return path.with_name(f"{path.stem}.{suffix}{path.suffix}")
