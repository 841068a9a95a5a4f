"""Large blobs that nobody refers to (exchange.md 9): condemned, and removed a day later if that is still so.

A digest is removed inside the transaction that takes its row away: whoever stores the same bytes again waits for it at
the row, and looks whether they are there before it commits (``blobs.keep``). Files and objects without a row are what a
crash left between upload and commit; they go when they are a day old.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from transport.store.blobs import Place
from transport.store.statements import Connection
from transport.store.store import Store, Unit
from transport.store.times import millis

KEPT_FOR = timedelta(hours=24)
AT_ONCE = 100

_UNREFERRED = """
    data IS NULL
    AND NOT EXISTS (SELECT 1 FROM message m WHERE m.sha256 = blob.digest)
    AND NOT EXISTS (SELECT 1 FROM inbox i WHERE i.sha256 = blob.digest)
    AND NOT EXISTS (SELECT 1 FROM ledger_event v WHERE v.receipt = blob.digest)
"""
_CONDEMN = f"UPDATE blob SET condemned_since = :now WHERE condemned_since IS NULL AND {_UNREFERRED}"  # noqa: S608
_REPRIEVE = f"UPDATE blob SET condemned_since = NULL WHERE condemned_since IS NOT NULL AND NOT ({_UNREFERRED})"  # noqa: S608
_DUE = f"""
    SELECT digest FROM blob WHERE condemned_since <= :before AND {_UNREFERRED}
    ORDER BY digest LIMIT {AT_ONCE} /*pg FOR UPDATE SKIP LOCKED*/
"""  # noqa: S608 - made of constants

log = logging.getLogger("edoc.store")


@dataclass(frozen=True, slots=True)
class Collected:
    """What a round did: rows condemned, blobs removed, orphans removed, orphans that are still too young."""

    condemned: int
    removed: int
    orphans_removed: int
    orphans: int


def collect(store: Store, *, now: datetime) -> Collected:
    """Condemn, and remove what is due; only a server's process calls this.

    Raises:
        StoreError: database, disk or object store failed; what was removed until then is removed.
    """
    condemned = store.do(lambda unit: _condemn(unit, now))
    removed = 0
    while gone := store.do(lambda unit: _remove_due(unit, store.blobs, now)):
        removed += gone
    young, old = 0, []
    for digest, at in store.blobs.listed():
        if store.read(lambda connection, digest=digest: _known(connection, digest)):  # type: ignore[misc]
            continue
        if now - at < KEPT_FOR:
            young += 1
        else:
            old.append(digest)
    for digest in old:
        removed_now = store.do(lambda unit, digest=digest: _remove_orphan(unit, store.blobs, digest))  # type: ignore[misc]
        log.info("gc.removed", extra={"digest": digest, "orphan": removed_now})
    return Collected(condemned, removed, len(old), young)


def _condemn(unit: Unit, now: datetime) -> int:
    unit.connection.exec_driver_sql(_REPRIEVE)
    return unit.connection.exec_driver_sql(_CONDEMN, {"now": millis(now)}).rowcount


def _remove_due(unit: Unit, place: Place, now: datetime) -> int:
    digests = unit.connection.exec_driver_sql(_DUE, {"before": millis(now - KEPT_FOR)}).scalars().all()
    for digest in digests:
        place.remove(str(digest))
        unit.connection.exec_driver_sql("DELETE FROM blob WHERE digest = ?", (digest,))
        log.info("gc.removed", extra={"digest": str(digest), "orphan": False})
    return len(digests)


def _known(connection: Connection, digest: str) -> bool:
    return connection.exec_driver_sql("SELECT 1 FROM blob WHERE digest = ?", (digest,)).first() is not None


def _remove_orphan(unit: Unit, place: Place, digest: str) -> bool:
    """Remove bytes that have no row, while nobody can write one: the row is there until the transaction ends."""
    made = unit.connection.exec_driver_sql(
        "INSERT INTO blob (digest, size, place) VALUES (?, 0, 'file') ON CONFLICT (digest) DO NOTHING", (digest,)
    ).rowcount
    if made != 1:
        return False
    place.remove(digest)
    unit.connection.exec_driver_sql("DELETE FROM blob WHERE digest = ?", (digest,))
    return True
