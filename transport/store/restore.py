"""Bringing a node back from its backup (console.md 4.9; R91): checked before, checked after, read-only at first.

The home is made beside its place and gets its name when all of it holds. The ledger's side file does not come back: a
log that finds none, or one that knows more, is frozen at the first opening until a person decides (ledger.md 6).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from transport.errors import StoreError
from transport.store import backup, pgdump
from transport.store.backup import DATABASE, Done, Manifest
from transport.store.engine import database_url, is_file, revision_of, writer_engine
from transport.store.faults import from_disk, translated
from transport.store.schema import upgrade
from transport.store.statements import over
from transport.store.store import Home, Store

KEPT = ("heads.log",)
"""What may lie in a home that is restored into: the side file, which is no part of a backup."""


def into(home: Path, source: Path, load: Callable[[Path], Home]) -> Done:
    """Restore a backup into an empty home (and an empty database, if it is PostgreSQL's), and check what came.

    ``load`` reads the settings of a folder: where the database belongs is said by those that come back.

    Raises:
        StoreError: EDOC-STO-020 home or database is not empty, -021 the backup does not hold, -022 it is newer.
    """
    done = backup.check(source)
    manifest, _ = backup.read_manifest(source)
    need_empty(home)
    making = home.with_name(f".{home.name}.restoring")
    try:
        shutil.rmtree(making, ignore_errors=True)
        _copy_files(source, making)
        _bring_database(load(making).database_url, source, making)
        for path in home.iterdir() if home.is_dir() else ():
            os.replace(path, making / path.name)
        if home.is_dir():
            home.rmdir()
        os.replace(making, home)
    except OSError as error:
        raise from_disk(error, "restoring", home) from error
    _check(load(home), manifest)
    return Done(str(home), done.sha256, done.ledger_size, done.files, True)


def need_empty(home: Path) -> None:
    """Refuse a home in which something lies already.

    Raises:
        StoreError: EDOC-STO-020.
    """
    if home.exists() and (not home.is_dir() or any(path.name not in KEPT for path in home.iterdir())):
        raise StoreError("EDOC-STO-020", "the target is not empty", path=str(home))


def _copy_files(source: Path, making: Path) -> None:
    shutil.copytree(source / "home", making)
    os.chmod(making, 0o700)
    if (source / "blobs").is_dir():
        shutil.copytree(source / "blobs", making / "blobs")
    else:
        (making / "blobs").mkdir(mode=0o700)
    for path in making.rglob("*"):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _bring_database(url: str | None, source: Path, making: Path) -> None:
    where = database_url(url, making)
    if is_file(where) != (source / DATABASE).is_file():
        raise StoreError("EDOC-STO-021", "the backup is of another database", path=str(source), detail="database.url")
    if not is_file(where):
        _fill(where, source)
        return
    path = Path(str(where.database))
    if path.exists():
        raise StoreError("EDOC-STO-020", "the target is not empty", path=str(path))
    shutil.copy2(source / DATABASE, path)
    os.chmod(path, 0o600)
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def _fill(url: URL, source: Path) -> None:
    engine = writer_engine(url)
    try:
        with engine.begin() as connection:
            if revision_of(over(connection)) is not None:
                raise StoreError("EDOC-STO-020", "the database is not empty", path=url.render_as_string())
            upgrade(connection)
            pgdump.read(over(connection), source / "database")
    except DBAPIError as error:
        raise translated(error, "restoring the rows") from None
    finally:
        engine.dispose()


def _check(settings: Home, manifest: Manifest) -> None:
    """Open what was restored and hold it against the manifest: ledger, rows, each blob."""
    with Store.open(settings, read_only=True, any_step=True) as store:
        store.read(lambda connection: backup.check_content(connection, where=settings.home))
        digests = store.read(
            lambda connection: list(
                connection.exec_driver_sql("SELECT digest FROM blob WHERE data IS NULL ORDER BY digest").scalars()
            )
        )
        if len(digests) != manifest.blobs:
            raise StoreError("EDOC-STO-021", "blobs are missing", path=str(settings.home), detail="blobs")
        for digest in digests:
            store.check_blob(str(digest))
