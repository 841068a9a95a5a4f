"""``edoc migrate``: the database to this program's step, forward only, after a copy of it was made (console.md 4.6)."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from transport.desk import ledgers
from transport.errors import SettingsError, StoreError

if TYPE_CHECKING:
    from transport.desk.console import Console


@dataclass(frozen=True, slots=True)
class Migration:
    """From which step to which, the steps between, and where the copy of before lies."""

    start: int
    end: int
    steps: tuple[str, ...]
    done: bool
    copy: Path | None = None


def migrate(console: Console, *, only_look: bool, now: datetime) -> Migration:
    """Say which steps are missing, and take them unless ``only_look``.

    Raises:
        SettingsError: there is no node here, or its database comes from a newer program (EDOC-CFG-009).
        StoreError: the database cannot be read, copied or written.
    """
    from transport.store import schema, store
    from transport.store.engine import database_url

    settings = ledgers.settings_of(console)
    path = Path(str(database_url(settings.database_url, settings.home).database))
    found = _revision(path, settings.home)
    if found > schema.REVISION:
        raise SettingsError("EDOC-CFG-009", "the database is newer", found=found, wanted=schema.REVISION)
    start, end = int(found), int(schema.REVISION)
    steps = tuple(f"{step:04d}" for step in range(start + 1, end + 1))
    if only_look or not steps:
        return Migration(start, end, steps, done=not steps)
    copy = _copied(path, settings.home, f"edoc-{found}-{now:%Y%m%dT%H%M%SZ}.db")
    store.migrate(settings)
    return Migration(start, end, steps, done=True, copy=copy)


def _revision(path: Path, home: Path) -> str:
    if not path.is_file():
        raise SettingsError("EDOC-CFG-005", "there is no node in this home", home=str(home))
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5.0)) as made:
            ((found,),) = made.execute("SELECT version_num FROM alembic_version").fetchall()
    except (sqlite3.DatabaseError, ValueError) as error:
        raise StoreError(
            "EDOC-STO-001", "cannot read the database", doing="reading", path=str(path), reason=str(error)
        ) from error
    return str(found)


def _copied(path: Path, home: Path, name: str) -> Path:
    """Copy the database as it is between two transactions, and let only its owner read it."""
    folder = home / "backups"
    target = folder / name
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(target)) as copy:
            source.backup(copy)
    except (OSError, sqlite3.DatabaseError) as error:
        raise StoreError(
            "EDOC-STO-001", "cannot copy the database", doing="copying", path=str(target), reason=str(error)
        ) from error
    return target
