"""The guards of a log (ledger.md 6): a head is continued only if it extends what was noted outside the database.

Asked before the first signature of a process and every hour. A log that contradicts its side file, or whose side file
is gone, is frozen: it is read, and nothing is received or sent, until a person decides (``edoc ledger open
--after-loss``). The source that showed it stands in the log's row.
"""

from __future__ import annotations

import logging

from transport.errors import SettingsError
from transport.ledger.merkle import ProofInvalid
from transport.store.dialect import hold
from transport.store.log_rows import OpenLog, open_log
from transport.store.log_tiles import tree_of
from transport.store.sidefile import Noted, SideFile
from transport.store.statements import Connection
from transport.store.store import Store, Unit

SIDE_FILE = "side-file"
SIDE_FILE_MISSING = "side-file-missing"

log_ = logging.getLogger("edoc.ledger")


def contradiction(connection: Connection, log: OpenLog, noted: Noted | None) -> str | None:
    """Return the name of the source that the log's head does not extend, ``None`` when all is well.

    ``noted`` must have been read from the side file before the connection's snapshot began: heads are noted after
    their commit, so what was noted by then is in the snapshot, while a later one may be of another process at work.
    """
    if noted is None:
        return SIDE_FILE_MISSING if log.size else None
    if noted.size > log.size:
        return SIDE_FILE
    try:
        root = tree_of(connection, log, noted.size).root()
    except ProofInvalid:
        return SIDE_FILE
    return None if root == noted.root else SIDE_FILE


def examine(store: Store, side: SideFile) -> str | None:
    """Ask the guards; freeze the open log if one of them contradicts it. Return the source, ``None`` when all is well.

    A log that is frozen already stays so; its reason is returned.

    Raises:
        SettingsError: EDOC-CFG-015, several nodes share the database and this one has no side file yet.
        StoreError: the side file cannot be read.
    """
    noted = side.newest()  # before the snapshot: see ``contradiction``

    def ask(connection: Connection) -> str | None:
        log = open_log(connection)
        if log is None or log.state == "closed":
            return None
        return log.reason or "frozen" if log.state == "frozen" else contradiction(connection, log, noted)

    source = store.read(ask)
    if source == SIDE_FILE_MISSING and store.shared:  # a new gateway without it must not stop the others
        raise SettingsError("EDOC-CFG-015", "the side file of the log is missing", path=str(side.path))
    if source is not None and store.do(lambda unit: freeze(unit, source)):
        log_.error("ledger.frozen", extra={"source": source})
    return source


def freeze(unit: Unit, source: str) -> bool:
    """Freeze the open log; false when it is not open."""
    hold(unit.connection, "ledger state")
    changed = unit.connection.exec_driver_sql(
        "UPDATE ledger_log SET state = 'frozen', reason = ? WHERE state = 'open'", (source,)
    ).rowcount
    return changed == 1
