"""What a disk would hold after the power went: built from the journal of the shim (F2).

The journal tells every change of a file, every flush and every answer that left, in their order. For a moment in it a
``Disk`` keeps two states: what processes saw, and what had certainly been flushed. Bytes last from the flush of their
file on, names (of files made, renamed, removed, of folders made) from the flush of their folder on. What was not
flushed may be lost, may be there, or may be there in part: ``image`` builds any of these.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from tests.lab.shim import Kind

_HEAD = struct.Struct("<IIIIQ")
SECTOR = 512
VOLATILE = ("-shm",)
"""Names of files that are memory and not storage: SQLite makes its shared memory anew after a crash."""


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the journal."""

    kind: Kind
    path: str
    other: str
    at: int
    data: bytes


def journal(path: Path) -> Iterator[Event]:
    """Read a journal."""
    data = path.read_bytes()
    place = 0
    while place + _HEAD.size <= len(data):
        kind, first, second, length, at = _HEAD.unpack_from(data, place)
        place += _HEAD.size
        parts = []
        for size in (first, second, length):
            parts.append(data[place : place + size])
            place += size
        yield Event(Kind(kind), parts[0].decode(), parts[1].decode(), at, parts[2])


@dataclass(eq=False)
class _File:
    """One file: its flushed bytes, and the changes since."""

    flushed: bytes = b""
    since: list[tuple[int, bytes | None]] = field(default_factory=list)  # None: cut to that length

    def flush(self) -> None:
        self.flushed = _applied(self.flushed, self.since)
        self.since = []


def _applied(data: bytes, changes: list[tuple[int, bytes | None]]) -> bytes:
    made = bytearray(data)
    for at, piece in changes:
        if piece is None:
            del made[at:]
            made.extend(bytes(at - len(made)))
        else:
            made.extend(bytes(max(0, at - len(made))))
            made[at : at + len(piece)] = piece
    return bytes(made)


class Disk:
    """A folder as processes see it, and as it would be after the power went."""

    def __init__(self, folder: Path) -> None:
        self.root = str(folder)
        paths = [path for path in folder.rglob("*") if not path.name.endswith(VOLATILE)]
        self._seen = {str(path): _File(path.read_bytes()) for path in paths if path.is_file()}
        self._folders = {self.root, *(str(path) for path in paths if path.is_dir())}
        self._kept = dict(self._seen)
        self._kept_folders = set(self._folders)

    def happen(self, event: Event) -> None:
        """Take in what a process did."""
        path = event.path
        if not path.startswith(self.root) or path.endswith(VOLATILE):
            return
        match event.kind:
            case Kind.CREATE:
                self._seen[path] = _File()
            case Kind.WRITE:
                self._seen.setdefault(path, _File()).since.append((event.at, event.data))
            case Kind.TRUNCATE:
                self._seen.setdefault(path, _File()).since.append((event.at, None))
            case Kind.RENAME:
                self._seen[event.other] = self._seen.pop(path)
            case Kind.UNLINK:
                self._seen.pop(path, None)
            case Kind.MKDIR:
                self._folders.add(path)
            case Kind.FLUSH:
                self._flush(path)

    def _flush(self, path: str) -> None:
        if path in self._seen:
            self._seen[path].flush()
            return
        inside = {one for one in (*self._seen, *self._kept) if str(PurePosixPath(one).parent) == path}
        for one in inside:
            if one in self._seen:
                self._kept[one] = self._seen[one]
            else:
                self._kept.pop(one, None)
        self._kept_folders |= {one for one in self._folders if str(PurePosixPath(one).parent) == path}

    def image(self, target: Path, dice: random.Random | None = None) -> None:
        """Write what a disk may hold now. Without dice all that was not flushed is lost; with them, any part of it."""
        names = dict(self._kept)
        folders = set(self._kept_folders)
        if dice is not None:
            folders |= {one for one in self._folders if dice.random() < 0.5}
            for one in {*self._seen, *self._kept}:
                if self._seen.get(one) is not self._kept.get(one) and dice.random() < 0.5:
                    if one in self._seen:
                        names[one] = self._seen[one]
                    else:
                        names.pop(one, None)
        for path in folders:
            if self._reachable(path, folders):
                (target / PurePosixPath(path).relative_to(self.root)).mkdir(parents=True, exist_ok=True)
        for path, file in names.items():
            if self._reachable(str(PurePosixPath(path).parent), folders):
                place = target / PurePosixPath(path).relative_to(self.root)
                place.write_bytes(_applied(file.flushed, _some(file.since, dice) if dice is not None else []))
                place.chmod(0o600)

    def _reachable(self, folder: str, folders: set[str]) -> bool:
        while folder != self.root:
            if folder not in folders:
                return False
            folder = str(PurePosixPath(folder).parent)
        return True


def _some(changes: list[tuple[int, bytes | None]], dice: random.Random) -> list[tuple[int, bytes | None]]:
    """Choose which unflushed changes reached the disk: each by itself, whole or some of its sectors."""
    kept: list[tuple[int, bytes | None]] = []
    for at, piece in changes:
        luck = dice.random()
        if luck < 0.4:
            kept.append((at, piece))
        elif luck < 0.6 and piece is not None:
            kept += [
                (at + start, piece[start : start + SECTOR])
                for start in range(0, len(piece), SECTOR)
                if dice.random() < 0.5
            ]
    return kept
