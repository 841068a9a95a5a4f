"""``edoc migrate``: the database to this program's step, forward only, after a copy of it was made (console.md 4.6)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from transport.desk import ledgers
from transport.errors import SettingsError

if TYPE_CHECKING:
    from transport.desk.console import Console
    from transport.settings import Settings


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
    from transport.store import store

    settings = ledgers.settings_of(console)
    found = store.missing_steps(settings)
    if found.found is None:
        raise SettingsError("EDOC-CFG-005", "there is no node in this home", home=str(settings.home))
    start, end = int(found.found), int(found.wanted)
    if only_look or not found.missing:
        return Migration(start, end, found.missing, done=not found.missing)
    copy = _copied(settings, f"edoc-{found.found}-{now:%Y%m%dT%H%M%SZ}")
    store.migrate(settings)
    if start < GUARDED:
        _begin_side_file(settings, now)
    return Migration(start, end, found.missing, done=True, copy=copy)


GUARDED = 4
"""Programs of this step and later note each head outside the database (ledger.md 6); those before had no such file."""


def _begin_side_file(settings: Settings, now: datetime) -> None:
    """Note the head of a log that comes from a program without side file: its guard would freeze the log for good."""
    from transport.node.opening import side_file_of
    from transport.store.log_rows import open_log
    from transport.store.store import Store

    side = side_file_of(settings)
    if side.newest() is not None:
        return
    with Store.open(settings, read_only=True) as opened:
        log = opened.read(open_log)
    if log is not None:
        side.note(log.size, log.root, now)
        side.close()


def _copied(settings: Settings, name: str) -> Path:
    """Copy the database as it is between two transactions, and let only its owner read it."""
    from transport.store import backup
    from transport.store.store import Store

    target = settings.home / "backups" / name
    with Store.open(settings, read_only=True, any_step=True) as opened:
        return backup.database_alone(opened, target)
