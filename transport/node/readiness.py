"""Whether a node can keep what it accepts (exchange.md 3, E9): asked by the operator's page, and before each body."""

from __future__ import annotations

from datetime import datetime, timedelta

from signer.errors import SignerError
from transport.errors import LedgerError, SettingsError, StoreError
from transport.node.office import Office
from transport.store import gauges

BACKWARDS = timedelta(seconds=60)
"""How far behind the newest leaf a sane clock may be."""


def ready(office: Office, now: datetime) -> tuple[bool, dict[str, str]]:
    """Return whether every check holds, and the checks: ``database``, ``ledger``, ``receipt_key``, ``clock``."""
    checks = {
        "database": _database(office),
        "ledger": _ledger(office),
        "receipt_key": _receipt_key(office, now),
        "clock": _clock(office, now),
    }
    return all(word == "ok" for word in checks.values()), checks


def _database(office: Office) -> str:
    """The database takes a transaction; one that changes nothing costs no flush."""
    try:
        office.store.do(lambda unit: None)
    except (StoreError, RuntimeError) as error:
        return error.code if isinstance(error, StoreError) else "read only"
    return "ok"


def _ledger(office: Office) -> str:
    try:
        head = office.store.read(office.log.head)
    except LedgerError:
        return "not open"
    except StoreError as error:
        return error.code
    return "ok" if head.state == "open" else head.state


def _receipt_key(office: Office, now: datetime) -> str:
    try:
        office.exchange_key(now)
    except SettingsError:
        return "missing"
    except SignerError:
        return "not valid now"
    return "ok"


def _clock(office: Office, now: datetime) -> str:
    """It has not run back behind what was written, and most partners do not contradict it."""
    try:
        if now < office.store.read(office.log.head).at - BACKWARDS:
            return "behind the ledger"
        offset = office.store.read(gauges.clock_offset)
    except (LedgerError, StoreError):
        return "ok"  # said by the other checks
    most = office.settings.limit("clock_skew_request")
    return "differs from partners" if offset is not None and abs(offset) > most else "ok"
