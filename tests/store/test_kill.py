"""Killed anywhere, a store goes on from what was committed (I2, I6): nothing acknowledged is lost or half there."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import pytest

from tests.store.conftest import PlainLog, all_placed, count, settings_of
from transport.settings import Settings, load
from transport.store.store import Store

WORKER = """
import os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from tests.store.conftest import PlainLog, new_arrival, new_receipt
from transport.dispatch import Key
from transport.settings import load
from transport.store import inbox
from transport.store.store import Store

home, where = Path(sys.argv[1]), sys.argv[2]
at = datetime(2026, 11, 20, tzinfo=UTC)

passed = 0

def die(point):
    global passed
    passed += point == where
    if passed == 3:
        os.kill(os.getpid(), signal.SIGKILL)

class Log(PlainLog):
    def place(self, connection, tickets):
        die("before placing")
        super().place(connection, tickets)
        die("after placing")

store = Store.open(load(home=home, config=None, environ={}, overrides={}), log=Log())
for number in range(10**6):
    key = Key("H99.01", "H99.02", f"{os.getpid()}-{number}")
    body = f"{key}".encode() * 3000
    staged = store.stage(body)
    die("blob durable")
    receipt = new_receipt(key, at, direction="out")
    def accept(unit):
        die("in the unit")
        unit.keep(staged)
        ticket = unit.append(receipt.data)
        die("leaf written")
        inbox.accept(unit, key, new_arrival(at, sha256=staged.digest, size=staged.size), receipt, ticket)
        die("row written")
    store.do(accept)
    print(key.message_id, receipt.sha256, staged.digest, flush=True)
    die("committed")
"""

POINTS = ("blob durable", "in the unit", "leaf written", "row written", "before placing", "after placing", "committed")


def start(home: Path, where: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WORKER, str(home), where]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])


def check(settings: Settings, said: list[str]) -> None:
    """Whatever was said to be stored is there and whole; rows, receipts, leaves and entries agree."""
    with Store.open(settings, log=PlainLog()) as store:
        all_placed(store)
        receipts = store.read(
            lambda connection: {
                str(row[0]): (str(row[1]), str(row[2]))
                for row in connection.exec_driver_sql("SELECT message_id, sha256, message_sha256 FROM receipt")
            }
        )
        for line in said:
            message_id, receipt, blob = line.split()
            assert receipts[message_id] == (receipt, blob)
            assert store.fetch(blob)
        for table in ("inbox", "ledger_leaf", "ledger_entry"):
            assert count(store, f"SELECT count(*) FROM {table}") == len(receipts)
        assert count(store, "SELECT count(*) FROM ledger_entry WHERE idx >= (SELECT count(*) FROM ledger_entry)") == 0
        if not store.shared:
            broken = "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'"
            assert count(store, broken) == 0
        assert len(said) <= len(receipts) <= len(said) + 1


@pytest.mark.process
@pytest.mark.parametrize("where", POINTS)
def test_killed_between_two_steps_the_store_is_as_before_or_as_after(store: Store, where: str) -> None:
    settings = settings_of(store.home)
    store.close()
    worker = start(settings.home, where)
    assert worker.stdout is not None
    said = worker.stdout.read().splitlines()
    worker.wait(30)
    assert worker.returncode == -9
    assert len(said) in (2, 3)
    check(settings, said)


@pytest.mark.process
def test_killed_at_random_again_and_again_no_acknowledged_message_is_lost(store: Store) -> None:
    settings = settings_of(store.home)
    store.close()
    rng = random.Random(20261120)
    said: list[str] = []
    for _ in range(6):
        worker = start(settings.home, "nowhere")
        assert worker.stdout is not None
        first = worker.stdout.readline()
        until = time.monotonic() + rng.uniform(0, 0.15)
        lines = [first]
        while time.monotonic() < until:
            lines.append(worker.stdout.readline())
        worker.kill()
        lines += worker.stdout.read().splitlines(keepends=True)
        worker.wait(30)
        said = [line for line in lines if line.endswith("\n")]
        with Store.open(settings, log=PlainLog()) as again:
            all_placed(again)
            known = count(again, "SELECT count(*) FROM receipt")
            assert (
                known == count(again, "SELECT count(*) FROM ledger_entry") == count(again, "SELECT count(*) FROM inbox")
            )
            for line in said:
                assert again.fetch(line.split()[2])
    assert said


def test_the_worker_of_these_tests_opens_the_same_home(store: Store, at: datetime) -> None:
    """Guards the tests above: the settings they pass name this store."""
    assert load(home=store.home, config=None, environ={}, overrides={}).home == store.home
