"""Backup of a node (exchange.md 9; console.md 4.9; R91): what is written is read again before it is believed.

A backup is a folder: the database first, the blobs (which never change) after it, so that every row has its blob; then
settings and keys; at last ``manifest.json`` with the size and SHA-256 of each file. The side file of the ledger is left
out, because it is the guard against an older database coming back (ledger.md 6).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from transport.errors import StoreError
from transport.ledger.times import format_time
from transport.store import pgdump
from transport.store.engine import is_file, revision_of
from transport.store.faults import from_disk
from transport.store.log import Log
from transport.store.schema import REVISION
from transport.store.statements import Connection
from transport.store.store import Store

MANIFEST = "manifest.json"
DATABASE = "database.sqlite3"
FORMAT = 1
LEFT_OUT = (
    "heads.log",
    "serve.lock",
    "serve.bell",
    "spool",
    "blobs",
    "edoc.db",
    "ballast",
    "backups",
    "transport-anchors.pem",
)
"""What of a home is no part of its backup: the database and the blobs have places of their own in it."""
_CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Part:
    """A file of a backup: its path within, bytes and SHA-256 (hexadecimal)."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds; ``ledger_root`` is hexadecimal, empty when no log was open."""

    format: int
    made_at: str
    revision: str
    database: str
    origin: str
    ledger_size: int
    ledger_root: str
    blobs: int
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Done:
    """``edoc.backup/1`` and ``edoc.restore/1``: ``sha256`` is that of the manifest, ``files`` a number."""

    path: str
    sha256: str
    ledger_size: int
    files: int
    verified: bool


def write(store: Store, target: Path, *, now: datetime) -> Done:
    """Write the backup of an open store into a new or empty folder, and read it again.

    Raises:
        StoreError: EDOC-STO-020 the folder is not empty, -021 something does not hold; or a disk failed.
    """
    _need_empty(target)
    try:
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
        head = _copy_database(store, target)
        blobs = _copy_blobs(store, target, head.digests)
        _copy_home(store.home, target / "home")
        parts = tuple(_part(target, path) for path in _files(target))
    except OSError as error:
        raise from_disk(error, "writing the backup", target) from error
    manifest = Manifest(
        FORMAT, format_time(now), head.revision, head.kind, head.origin, head.size, head.root, blobs, parts
    )
    _write_whole(target / MANIFEST, json.dumps(asdict(manifest), indent=1, sort_keys=True).encode("utf-8"))
    _flush_all(target)
    return check(target)


def planned(store: Store, target: Path) -> Done:
    """Say what a backup would hold; nothing is written.

    Raises:
        StoreError: EDOC-STO-020, the folder is not empty.
    """
    _need_empty(target)
    size = store.read(_head)[1]
    asked = "SELECT count(*) FROM blob WHERE data IS NULL"
    files = store.read(lambda connection: int(connection.exec_driver_sql(asked).scalar_one()))
    return Done(str(target), "", size, files + sum(1 for _ in _home_files(store.home)), False)


def database_alone(store: Store, target: Path) -> Path:
    """Copy the database of an open store into a new folder, before a step of the schema; return the copy.

    Raises:
        StoreError: EDOC-STO-020 the folder is not empty, -021 the ledger does not hold; or the disk failed.
    """
    _need_empty(target)
    try:
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
        _copy_database(store, target)
        _flush_all(target)
    except OSError as error:
        raise from_disk(error, "keeping the database of before", target) from error
    return target / DATABASE if is_file(store.url) else target / "database"


def check(source: Path) -> Done:
    """Read every byte of a backup again: files against the manifest, blobs against their names, the ledger whole.

    Raises:
        StoreError: EDOC-STO-021, it is no backup, is incomplete, or something in it does not hold.
    """
    manifest, digest = read_manifest(source)
    named = {part.path for part in manifest.parts}
    found = {path.relative_to(source).as_posix() for path in _files(source)} - {MANIFEST}
    if named != found:
        raise _wrong(source, f"{len(named - found)} files are missing, {len(found - named)} were added")
    for part in manifest.parts:
        if _part(source, source / part.path) != part:
            raise _wrong(source, f"{part.path} is not as it was written")
        if part.path.startswith("blobs/") and Path(part.path).name != part.sha256:
            raise _wrong(source, f"{part.path} holds other bytes than its name says")
    if manifest.database == "sqlite":
        _check_sqlite(source, manifest)
    return Done(str(source), digest, manifest.ledger_size, len(manifest.parts), True)


def read_manifest(source: Path) -> tuple[Manifest, str]:
    """Return what a backup says of itself, and the SHA-256 of that.

    Raises:
        StoreError: EDOC-STO-021, it is no backup; EDOC-STO-022, it was made by a newer program.
    """
    try:
        data = (source / MANIFEST).read_bytes()
        fields = json.loads(data)
        parts = tuple(Part(str(one["path"]), int(one["size"]), str(one["sha256"])) for one in fields.pop("parts"))
        manifest = Manifest(**fields, parts=parts)
    except OSError as error:
        raise _wrong(source, "no-manifest") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise _wrong(source, "the manifest cannot be read") from error
    if manifest.format != FORMAT or manifest.revision > REVISION:
        raise StoreError("EDOC-STO-022", "the backup is newer", path=str(source), found=manifest.revision)
    for part in parts:
        if part.path.startswith("/") or ".." in Path(part.path).parts:
            raise _wrong(source, "a path leads out of the backup")
    return manifest, hashlib.sha256(data).hexdigest()


# --- writing ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Copied:
    """The copied database: its kind, revision, log head, and the digests of blobs that are no rows."""

    kind: str
    revision: str
    origin: str
    size: int
    root: str
    digests: tuple[str, ...]


def _copy_database(store: Store, target: Path) -> _Copied:
    if is_file(store.url):
        with (
            closing(sqlite3.connect(f"{Path(str(store.url.database)).absolute().as_uri()}?mode=ro", uri=True)) as old,
            closing(sqlite3.connect(target / DATABASE)) as new,
        ):
            old.backup(new)
            new.execute("PRAGMA journal_mode=DELETE")
        os.chmod(target / DATABASE, 0o600)
        with _opened(target) as copied:
            return copied.read(lambda connection: _copied("sqlite", connection))
    (target / "database").mkdir(mode=0o700)

    def dump(connection: Connection) -> _Copied:
        pgdump.write(connection, target / "database")  # one snapshot: rows, head and digests belong together
        result = Log().verify(connection) if _head(connection)[0] else None
        if result is not None and result.result == "broken":
            raise _wrong(target, f"the ledger is broken at {result.first_bad_index}: {result.reason}")
        return _copied("postgresql", connection)

    return store.read(dump)


def _copied(kind: str, connection: Connection) -> _Copied:
    digests = connection.exec_driver_sql("SELECT digest FROM blob WHERE data IS NULL ORDER BY digest").scalars()
    return _Copied(kind, revision_of(connection) or "", *_head(connection), tuple(str(one) for one in digests))


def _head(connection: Connection) -> tuple[str, int, str]:
    if not connection.exec_driver_sql("SELECT count(*) FROM ledger_head").scalar_one():
        return "", 0, ""
    head = Log().head(connection)
    return head.origin, head.size, head.root.hex()


def _opened(folder: Path) -> Store:
    """Open the copied SQLite database of a backup, for reading only."""

    @dataclass(frozen=True, slots=True)
    class Home:
        home: Path
        database_url: str | None

    return Store.open(Home(folder, f"sqlite:///{(folder / DATABASE).absolute()}"), read_only=True, any_step=True)


def _copy_blobs(store: Store, target: Path, digests: tuple[str, ...]) -> int:
    """Copy the blobs that are files or objects; a row that names bytes which are not kept any more has none."""
    many = 0
    for digest in digests:
        path = target / "blobs" / "sha256" / digest[:2] / digest[2:4] / digest
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        hashed = hashlib.sha256()
        with store.reading(digest) as source, path.open("xb") as copy:
            while chunk := source.read(_CHUNK):
                hashed.update(chunk)
                copy.write(chunk)
        if hashed.hexdigest() != digest:
            raise StoreError("EDOC-STO-006", "stored bytes were changed or damaged", digest=digest, path=str(path))
        many += 1
    return many


def _copy_home(home: Path, target: Path) -> None:
    target.mkdir(mode=0o700)
    for path in _home_files(home):
        if path.is_dir():
            shutil.copytree(path, target / path.name, symlinks=False)
        elif path.is_file():
            shutil.copy2(path, target / path.name)


def _home_files(home: Path) -> Iterator[Path]:
    for path in sorted(home.iterdir()):
        if path.name not in LEFT_OUT and not path.name.startswith(("edoc.db", "heads-", ".")):
            yield path


def _need_empty(target: Path) -> None:
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise StoreError("EDOC-STO-020", "the target is not empty", path=str(target))


# --- reading ----------------------------------------------------------------------------------------------------------


def _check_sqlite(source: Path, manifest: Manifest) -> None:
    """Check the copied database by itself: its pages, the whole ledger, rows' blobs, and that no blob is missing."""
    with _opened(source) as copied:
        copied.read(lambda connection: _check_rows(source, manifest, connection))


def _check_rows(source: Path, manifest: Manifest, connection: Connection) -> None:
    broken = connection.exec_driver_sql("SELECT * FROM pragma_integrity_check LIMIT 1").scalar_one()
    if broken != "ok":
        raise _wrong(source, "the database is damaged")
    if _head(connection) != (manifest.origin, manifest.ledger_size, manifest.ledger_root):
        raise _wrong(source, "the ledger is not the one of the manifest")
    check_content(connection, where=source)
    kept = {Path(part.path).name for part in manifest.parts if part.path.startswith("blobs/")}
    asked = "SELECT digest FROM blob WHERE data IS NULL"
    if not set(connection.exec_driver_sql(asked).scalars()) <= kept:
        raise _wrong(source, "a blob is missing")


def check_content(connection: Connection, *, where: Path) -> None:
    """Recompute the ledger and hash the blobs that live in rows.

    Raises:
        StoreError: EDOC-STO-021, something does not hold.
    """
    if _head(connection)[0]:
        result = Log().verify(connection)
        if result.result == "broken":
            raise _wrong(where, f"the ledger is broken at {result.first_bad_index}: {result.reason}")
    for digest, data in connection.exec_driver_sql("SELECT digest, data FROM blob WHERE data IS NOT NULL"):
        if hashlib.sha256(bytes(data)).hexdigest() != digest:
            raise _wrong(where, f"the bytes of {digest} were changed")


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file() or path.is_symlink())


def _part(folder: Path, path: Path) -> Part:
    hashed, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            hashed.update(chunk)
            size += len(chunk)
    return Part(path.relative_to(folder).as_posix(), size, hashed.hexdigest())


def _write_whole(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)


def _flush_all(folder: Path) -> None:
    """Keep others out, and flush files and folders: a backup that is said to be there must survive a power failure."""
    for path in folder.rglob("*"):
        if path.is_dir() and os.name != "posix":
            continue
        os.chmod(path, 0o700 if path.is_dir() else 0o600)
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _wrong(path: Path, detail: str) -> StoreError:
    return StoreError("EDOC-STO-021", detail, path=str(path), detail=detail)
