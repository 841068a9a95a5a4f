"""Going on after a loss (ledger.md 6): a person decides, and a frozen log is followed by a new shard that says so.

Leaf 0 of the new shard has the reason ``restored`` and cites the last checkpoint that this database still holds; the
decision is kept, and its digest stands in a leaf. Nothing of the old shard is changed: it stays readable and provable.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from transport.errors import LedgerError
from transport.ledger import statement
from transport.ledger.keys import LogKey
from transport.ledger.merkle import EMPTY_ROOT
from transport.node.office import Office, milliseconds, record
from transport.node.opening import LOG_KEY, LOG_KEY_YEARS, write_private
from transport.store.log import Head, Log
from transport.store.statements import Connection
from transport.store.store import Store, Unit
from transport.store.times import millis

ORIGIN_FILE = "ledger-origin.txt"


@dataclass(frozen=True, slots=True)
class Reopened:
    """``edoc.ledger.open/1``: the new log, its size, and leaf 0 (hexadecimal)."""

    origin: str
    size: int
    leaf: str


def after_loss(office: Office, decision: bytes, *, person: str, now: datetime) -> Reopened:
    """Open a new shard after the frozen one; ``decision`` is the document that says so.

    Raises:
        LedgerError: EDOC-LED-027, the log is not frozen.
        SettingsError: the exchange key, which signs the key statement, is not at hand.
    """
    old = office.store.read(office.log.head)
    if old.state != "frozen":
        raise LedgerError("EDOC-LED-027", "the log is not frozen", origin=old.origin, state=old.state)
    key = LogKey.generate(office.store.read(lambda connection: _next_origin(connection, old.origin)))
    at = milliseconds(now).replace(microsecond=0)
    signed = _statement(office, key, at)
    keys = office.settings.home / "keys"
    write_private(keys / LOG_KEY.format(shard=key.origin.rpartition("/")[2]), key.to_pem())
    log = Log(key, office.log.side)
    if office.log.side is not None:
        office.log.side.begin_anew(old.shard)
        office.log.side.note(0, EMPTY_ROOT, at)
    write_private(keys / ORIGIN_FILE, key.origin.encode("ascii"))
    try:
        with Store.open(office.settings, log=log) as store:
            opening = Office(office.settings, store, log, office.code, office.name)
            store.do(lambda unit: _open(opening, unit, old, signed, at))
            log.published(store.read(log.head))
            store.do(lambda unit: _tell(opening, unit, decision, person, now))
            head = store.read(log.head)
            leaf = store.read(lambda connection: log.entry(connection, 0)).leaf.sha256
    except BaseException:
        if office.store.read(office.log.head).origin == old.origin:  # nothing was opened: the old name stays
            write_private(keys / ORIGIN_FILE, old.origin.encode("ascii"))
        raise
    return Reopened(key.origin, head.size, leaf)


def _next_origin(connection: Connection, origin: str) -> str:
    """Return the name of the next shard: the year, and a number after each loss (ledger.md 3)."""
    base, _, shard = origin.rpartition("/")
    year = shard.partition("-")[0]
    known = set(connection.exec_driver_sql("SELECT shard FROM ledger_log").scalars())
    number = next(n for n in range(2, len(known) + 3) if f"{year}-{n}" not in known)
    return f"{base}/{year}-{number}"


def _statement(office: Office, key: LogKey, at: datetime) -> bytes:
    """Sign the key statement of the new shard, which names the one before."""
    asked = "SELECT serial, sha256 FROM ledger_keys WHERE agency = ? ORDER BY serial DESC LIMIT 1"
    before = office.store.read(lambda connection: connection.exec_driver_sql(asked, (office.code,)).first())
    serial, previous = (int(before[0]) + 1, str(before[1])) if before is not None else (1, None)
    until = at + timedelta(days=366 * LOG_KEY_YEARS)
    entry = statement.LogEntry(key.origin, key.vkey, at, until, f"https://{key.origin}/")
    facts = statement.Statement(serial, at, office.code, office.name, (entry,), previous=previous)
    return statement.sign(facts, credential=office.exchange_key(at), timestamper=None)


def _open(office: Office, unit: Unit, old: Head, signed: bytes, at: datetime) -> None:
    digest = unit.keep(signed)
    office.log.open_after(unit.connection, old, statement_sha256=digest, at=at)
    newest = "SELECT coalesce(max(serial), 0) FROM ledger_keys WHERE agency = ?"
    serial = int(unit.connection.exec_driver_sql(newest, (office.code,)).scalar_one()) + 1
    unit.connection.exec_driver_sql(
        "INSERT INTO ledger_keys (agency, serial, sha256, xml, accepted_at) VALUES (?, ?, ?, ?, ?)",
        (office.code, serial, digest, signed, millis(at)),
    )


def _tell(office: Office, unit: Unit, decision: bytes, person: str, now: datetime) -> None:
    """Keep the decision, and name it in a leaf of the person who acted on it."""
    digest = hashlib.sha256(decision).hexdigest()
    unit.keep(office.store.stage(decision) if len(decision) > 64 * 1024 else decision)
    office.append(
        unit,
        "operation",
        at=now,
        evidence=unit.keep(record("operation", action="ledger.open", result="ok", decision=digest)),
        rtype="record",
        people={"actor": person, "subject": digest},
        fields={"action": "ledger.open", "result": "ok"},
    )
