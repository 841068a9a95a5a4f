"""``edoc backup`` and ``edoc restore`` (console.md 4.9): a node kept, and brought back."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from transport.desk import ledgers, trusting

if TYPE_CHECKING:
    from transport.desk.console import Console
    from transport.store.backup import Done


def backup(console: Console, target: Path, *, now: datetime, dry_run: bool) -> Done:
    """Write a backup, read it again, and note it in the ledger (R91); with ``dry_run`` say what would be written.

    Raises:
        StoreError: the target is not empty, something does not hold, or the disk failed.
    """
    from transport.store import backup as backups
    from transport.store.store import Store

    settings = ledgers.settings_of(console)
    with Store.open(settings, read_only=True, any_step=True) as store:
        if dry_run:
            return backups.planned(store, target)
        done = backups.write(store, target, now=now)
    _note(console, done, now)
    return done


def _note(console: Console, done: Done, now: datetime) -> None:
    """Note the backup as an act of the person at the desk; a frozen ledger keeps nobody from making one."""
    from transport.desk.nodes import login
    from transport.errors import LedgerError, SettingsError, TransportError
    from transport.node.node import Node
    from transport.node.office import Office
    from transport.node.opening import log_of, side_file_of
    from transport.store.store import Store

    settings = ledgers.settings_of(console)
    try:
        log = log_of(settings.home, side_file_of(settings))
        if log.signer is None or done.ledger_size == 0:
            return
        with Store.open(settings, log=log) as store:
            office = Office(settings, store, log, settings.agency_code or "", settings.agency_name or "")
            Node(office).note("backup", person=login(), subject=done.sha256, now=now)
    except (LedgerError, SettingsError) as error:
        console.warn(str(error.code))
    except TransportError as error:
        console.warn(str(error.code))


def restore(console: Console, source: Path, *, dry_run: bool) -> Done:
    """Restore a backup into the home, which must be empty; with ``dry_run`` only check it.

    Raises:
        StoreError: the home is not empty, the backup does not hold or is newer, or the disk failed.
    """
    from transport.settings import load
    from transport.store import backup as backups
    from transport.store import restore as restoring

    home = trusting.home_of(console)
    if dry_run:
        restoring.need_empty(home)
        return backups.check(source)
    return restoring.into(
        home, source, lambda folder: load(home=folder, config=console.config, environ=console.environ, overrides={})
    )
