"""The store: one acceptance with receipt and leaf, alone and of 32 clients at once; claims out of a long queue.

The floor of an acceptance is one write of 4 KiB and its flush to the same disk.
"""

import hashlib
import os
import tempfile
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

from measure import measure, report

from transport.dispatch import Key, deadline_for
from transport.ledger import event
from transport.ledger.note import LogKey
from transport.settings import load
from transport.store import inbox, outbox
from transport.store.log import Log
from transport.store.store import Store, Unit
from transport.store.values import NewArrival, NewMessage, NewReceipt

AT = datetime(2026, 11, 20, 2, 30, tzinfo=UTC)
ORIGIN = "a.example/edoc-ledger/2026"
CLIENTS = 32
QUEUED = 10_000


def accept(store: Store) -> None:
    """Take in one message of 10 kB as exchange.md 3.1 S11 does."""
    key, body, receipt = Key("H99.01", "H99.02", str(uuid.uuid4())), os.urandom(10_000), os.urandom(1000)
    digest, blob = hashlib.sha256(receipt).hexdigest(), store.stage(body)
    fields: dict[str, event.Value] = {"msg": key.message_id, "from": key.sender, "to": key.recipient, "side": "r"}
    fields |= {"at": AT, "auto": True, "env": blob.digest, "files": [digest], "prio": 0, "due": AT + timedelta(days=1)}
    leaf = event.build(
        "relayed", {**fields, "receipt": digest, "rtype": "receipt", "doc": "H99.01,2026/11/20,120/SMA-VP"}
    )
    issued = NewReceipt("out", key, str(uuid.uuid4()), "RelayAcceptance", digest, receipt, AT, AT)
    arrival = NewArrival("edoc", blob.digest, blob.size, AT, AT, 3, "H99.01,2026/11/20,120/SMA-VP")

    def unit(unit: Unit) -> None:
        unit.keep(blob)
        inbox.accept(unit, key, arrival, issued, unit.append(leaf))

    store.do(unit)


def flush(folder: Path) -> None:
    """Write 4 KiB and flush them."""
    descriptor = os.open(folder / "floor", os.O_WRONLY | os.O_CREAT)
    os.write(descriptor, bytes(4096))
    os.fdatasync(descriptor)
    os.close(descriptor)


def together(pool: ThreadPoolExecutor, work: Callable[[], None]) -> None:
    """Let every client do the work four times."""
    for done in [pool.submit(work) for _ in range(CLIENTS * 4)]:
        done.result()


def queue(store: Store, many: int) -> None:
    """Queue many messages for one partner."""

    def unit(unit: Unit) -> None:
        for _ in range(500):
            number = str(uuid.uuid4())
            digest = hashlib.sha256(number.encode()).hexdigest()
            outbox.submit(
                unit,
                NewMessage(number, "H99.01", "edoc", digest, 1000, 3, AT, deadline_for("edoc", AT), "D"),
                ["H99.02"],
            )

    for _ in range(many // 500):
        store.do(unit)


def claim(store: Store) -> None:
    """Claim one dispatch and give it back at once by letting its lease go."""
    store.do(lambda unit: outbox.claim_due(unit, now=AT, owner="bench"))
    store.do(
        lambda unit: unit.connection.exec_driver_sql("UPDATE dispatch SET lease_until = 0 WHERE state = 'carrying'")
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(CLIENTS) as pool:
        log = Log(LogKey.generate(ORIGIN))
        home = load(home=Path(folder) / "home", config=None, environ={}, overrides={})
        with Store.create(home, log) as store:
            store.do(lambda unit: log.open_first(unit.connection, statement_sha256="0" * 64, at=AT))
            floor = measure("store.flush", lambda: flush(Path(folder)), runs=51)
            alone = measure("store.accept", lambda: accept(store), runs=51, floor=floor.median)
            many = measure(
                f"store.accept-{CLIENTS * 4}-by-{CLIENTS}", lambda: together(pool, lambda: accept(store)), runs=9
            )
            queue(store, QUEUED)
            report(floor, alone, many, measure(f"store.claim-of-{QUEUED}", lambda: claim(store), runs=21))
