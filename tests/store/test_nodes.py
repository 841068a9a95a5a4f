"""Several processes on one PostgreSQL database: no claim is double, no index is lost, a stopped one holds up nobody."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.postgres import Server
from tests.store.conftest import POSTGRESQL, PlainLog, all_placed, count, new_message, open_log, settings_of
from transport.dispatch import Answer, Ended, decide
from transport.errors import LedgerError, StoreError
from transport.settings import Settings
from transport.store import clock as clocks
from transport.store import effects, outbox, registers
from transport.store.statements import Connection
from transport.store.store import Conflict, Store, Unit
from transport.store.values import AttemptEnd, Claim

pytestmark = POSTGRESQL

CLAIMER = """
import json, random, sys
from datetime import UTC, datetime
from pathlib import Path
from tests.store.conftest import PlainLog, settings_of
from transport.dispatch import Answer, Ended, decide
from transport.store import outbox
from transport.store.store import Store
from transport.store.values import AttemptEnd

store = Store.open(settings_of(Path(sys.argv[1])), log=PlainLog())
now = store.clock(lambda: datetime.now(UTC))
owner = sys.argv[2]
print("ready", flush=True)
sys.stdin.readline()
idle = 0
while idle < 20:
    claims = store.do(lambda unit: outbox.claim_due(unit, now=now(), owner=owner, limit=3))
    idle = 0 if claims else idle + 1
    for claim in claims:
        ended = Ended(Answer.PROBLEM, claim.lane, claim.failures, False, False, problem="too-large")
        transition = decide(ended, random.uniform)
        end = AttemptEnd("refused", 413, "too-large")
        applied = store.do(lambda unit: outbox.outcome(unit, claim, transition, now=now(), end=end))
        print(json.dumps([claim.dispatch_id, claim.attempt, applied]), flush=True)
store.close()
"""


def process(home: Path, program: str, *arguments: str) -> subprocess.Popen[str]:
    """Start a program of these tests on the store of a home and wait until it is ready."""
    command = [sys.executable, "-c", program, str(home), *arguments]
    started = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    )
    assert started.stdout is not None
    assert started.stdout.readline() == "ready\n"
    return started


def queue(store: Store, many: int, recipients: tuple[str, ...] = ("H99.02", "H99.03", "H99.04")) -> None:
    """Submit letters to several recipients, due now."""
    at = datetime.now(UTC) - timedelta(minutes=1)
    for _ in range(many):
        store.do(lambda unit: outbox.submit(unit, new_message(at), recipients))


@pytest.mark.process
def test_three_processes_share_the_outbox_and_no_dispatch_is_claimed_twice(store: Store) -> None:
    queue(store, 40)
    workers = [process(store.home, CLAIMER, f"worker-{number}") for number in range(3)]
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    said = [worker.communicate(timeout=120)[0].splitlines() for worker in workers]
    assert all(worker.returncode == 0 for worker in workers)
    claimed = Counter(line for lines in said for line in lines)
    assert len(claimed) == sum(claimed.values()) == 120
    assert all(line.endswith("1, true]") for line in claimed)
    assert sum(1 for lines in said if lines) >= 2, "the work was not shared"
    assert count(store, "SELECT count(*) FROM dispatch WHERE state = 'refused' AND attempt = 1") == 120
    assert count(store, "SELECT count(*) FROM attempt") == 120


def test_a_partners_cap_holds_for_all_processes_together(store: Store, at: datetime) -> None:
    """Many claims at once never lease more than the partner's slots, the one for lane 1 kept free."""
    store.do(lambda unit: [outbox.submit(unit, new_message(at), ("H99.02",)) for _ in range(20)])

    def claim(number: int) -> list[Claim]:
        return store.do(lambda unit: outbox.claim_due(unit, now=at, owner=f"w{number}", limit=5))

    with ThreadPoolExecutor(8) as pool:
        claims = [one for found in pool.map(claim, range(16)) for one in found]
    assert len({one.dispatch_id for one in claims}) == len(claims) == 3


def test_a_worker_that_lost_its_lease_to_another_process_changes_nothing(store: Store, at: datetime) -> None:
    store.do(lambda unit: outbox.submit(unit, new_message(at), ("H99.02",)))
    (first,) = store.do(lambda unit: outbox.claim_due(unit, now=at, owner="one"))
    later = at + timedelta(seconds=31)
    (second,) = store.do(lambda unit: outbox.claim_due(unit, now=later, owner="two"))
    ended = Ended(Answer.PROBLEM, 3, 1, False, False, problem="too-large")
    final = decide(ended, lambda low, high: low)
    stale = store.do(lambda unit: outbox.outcome(unit, first, final, now=later, end=AttemptEnd("refused")))
    assert (stale, second.attempt) == (False, 2)
    assert count(store, "SELECT count(*) FROM dispatch WHERE state = 'carrying' AND owner = 'two'") == 1


def test_an_effect_is_handed_to_one_worker_however_many_ask(store: Store, at: datetime) -> None:
    for number in range(30):
        store.do(lambda unit, n=number: effects.add(unit, cause=f"c{n}", kind="check", facts={}, now=at))  # type: ignore[misc]

    def take(number: int) -> str | None:
        found = store.do(lambda unit: effects.claim(unit, now=at, owner=f"w{number}"))
        return found[0].cause if found else None

    with ThreadPoolExecutor(8) as pool:
        taken = [cause for cause in pool.map(take, range(60)) if cause is not None]
    assert sorted(taken) == sorted({f"c{number}" for number in range(30)})


def test_numbers_taken_in_parallel_have_no_gap_and_none_is_given_twice(store: Store) -> None:
    def take(number: int) -> int | None:
        def work(unit: Unit) -> int:
            taken = registers.take(unit, "H99.01", "di", 2026)
            if number % 3 == 0:
                raise ValueError("no")
            return taken

        try:
            return store.do(work)
        except ValueError:
            return None

    with ThreadPoolExecutor(8) as pool:
        numbers = [found for found in pool.map(take, range(60)) if found is not None]
    assert sorted(numbers) == list(range(1, 41))


def test_the_same_packed_file_sent_twice_at_once_is_one_message(store: Store, at: datetime) -> None:
    def send(_: int) -> bool:
        message = new_message(at, source_sha256="ab" * 32)
        try:
            store.do(lambda unit: outbox.submit(unit, message, ("H99.02",)))
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(send, range(16))) == 1


# --- the sequencer ----------------------------------------------------------------------------------------------------

APPENDER = """
import os, signal, sys, threading
from pathlib import Path
from tests.store.conftest import PlainLog, settings_of
from transport.store.store import Store

class Log(PlainLog):
    def place(self, connection, tickets):
        if len(sys.argv) > 2:
            super().place(connection, tickets)
            print("placing", flush=True)
            signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)  # at once, whichever thread runs
        super().place(connection, tickets)

store = Store.open(settings_of(Path(sys.argv[1])), log=Log())
print("ready", flush=True)
sys.stdin.readline()
for number in range(50):
    ticket = store.do(lambda unit: unit.append(f"{os.getpid()}-{number}".encode()))
    print(ticket.index, flush=True)
store.close()
"""


@pytest.mark.process
def test_leaves_of_three_processes_get_places_without_gap(store: Store) -> None:
    workers = [process(store.home, APPENDER) for _ in range(3)]
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    said = [worker.communicate(timeout=120)[0].split() for worker in workers]
    all_placed(store)
    assert count(store, "SELECT count(*) FROM ledger_entry") == 150
    assert count(store, "SELECT max(idx) FROM ledger_entry") == 149
    told = [int(index) for lines in said for index in lines if index != "None"]
    assert len(told) == len(set(told))
    assert len(told) >= 140, "most leaves had their place when their unit was answered"


@pytest.mark.process
def test_a_process_frozen_in_the_middle_of_placing_holds_up_the_others_for_a_short_time(store: Store) -> None:
    """ledger.md 15, 9: the server ends its idle transaction, and the other sequences within 15 s."""
    worker = process(store.home, APPENDER, "stop")
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write("go\n")
    worker.stdin.flush()
    assert worker.stdout.readline() == "placing\n"
    started = time.monotonic()
    held = store.do(lambda unit: unit.append(b"waits"))
    assert held.index is None
    assert time.monotonic() - started < 5
    all_placed(store, seconds=15)
    assert count(store, "SELECT count(*) FROM ledger_entry") == 2
    os.kill(worker.pid, signal.SIGCONT)
    worker.kill()
    worker.communicate()


def test_a_leaf_that_cannot_be_placed_now_is_durable_and_any_node_places_it_later(settings: Settings) -> None:
    class Stuck(PlainLog):
        def place(self, connection: Connection, tickets: object) -> None:
            raise StoreError("EDOC-STO-001", "not now")

    with Store.create(settings, Stuck()) as store:
        open_log(store)
        started = time.monotonic()
        ticket = store.do(lambda unit: unit.append(b"leaf"))
        assert ticket.index is None
        assert 1.5 < time.monotonic() - started < 6
        assert count(store, "SELECT count(*) FROM ledger_leaf") == 1
    with Store.open(settings, log=PlainLog()) as other:
        all_placed(other)
        assert count(other, "SELECT count(*) FROM ledger_entry") == 1


def test_a_frozen_log_takes_no_leaf_and_the_unit_that_brings_one_stores_nothing(store: Store) -> None:
    store.do(lambda unit: unit.connection.exec_driver_sql("UPDATE ledger_log SET state = 'frozen'"))

    def work(unit: Unit) -> None:
        unit.keep(b"record")
        unit.append(b"leaf")

    with pytest.raises(LedgerError):
        store.do(work)
    store.do(lambda unit: unit.keep(b"units without leaves go on"))
    assert count(store, "SELECT count(*) FROM ledger_leaf") == 0
    assert count(store, "SELECT count(*) FROM blob") == 1


def test_what_waits_for_its_place_is_not_sent(store: Store, at: datetime) -> None:
    def submit(unit: Unit) -> None:
        ticket = unit.append(b"sent")
        outbox.submit(unit, new_message(at), ("H99.02",), [ticket])

    store.do(submit)
    back = "INSERT INTO ledger_pending (ticket, log) SELECT ticket, 1 FROM ledger_leaf"

    def hidden(unit: Unit) -> list[Claim]:
        unit.connection.exec_driver_sql(back)
        found = outbox.claim_due(unit, now=at, owner="w")
        unit.connection.exec_driver_sql("DELETE FROM ledger_pending")
        return found

    assert store.do(hidden) == []
    assert len(store.do(lambda unit: outbox.claim_due(unit, now=at, owner="w"))) == 1


# --- hints and clock --------------------------------------------------------------------------------------------------


def test_a_notice_wakes_another_process_before_its_poll(store: Store) -> None:
    heard = threading.Event()
    with Store.open(settings_of(store.home), log=PlainLog()) as other:
        other.listen(heard.set)
        until = time.monotonic() + 10
        while not heard.is_set() and time.monotonic() < until:  # the listener may need a moment to be connected
            store.do(lambda unit: unit.append(b"leaf"))
            heard.wait(0.2)
        assert heard.is_set()


def test_the_clock_is_the_databases_and_no_wall_clock_moves_it(store: Store) -> None:
    def broken_wall() -> datetime:
        raise AssertionError("the wall clock is not asked")

    now = store.clock(broken_wall)
    first, second = now(), now()
    server = store.read(lambda c: c.exec_driver_sql("SELECT clock_timestamp()").scalar_one())
    assert first <= second
    assert abs((server - second).total_seconds()) < 2


def test_a_clock_once_asked_goes_on_without_its_source(database: Server) -> None:
    steady = [0.0]
    answers: list[Callable[[], datetime]] = [lambda: datetime(2026, 11, 20, tzinfo=UTC)]

    def ask() -> datetime:
        return answers[0]()

    def away() -> datetime:
        raise StoreError("EDOC-STO-001", "away")

    now = clocks.of_database(ask, lambda: steady[0])
    assert now() == datetime(2026, 11, 20, tzinfo=UTC)
    answers[0] = away
    steady[0] = 100.0
    assert now() == datetime(2026, 11, 20, 0, 1, 40, tzinfo=UTC)


# --- the server goes away ---------------------------------------------------------------------------------------------


def test_after_a_restart_of_the_database_the_store_goes_on_by_itself(store: Store, database: Server) -> None:
    store.do(lambda unit: unit.append(b"before"))
    database.stop("immediate")
    with pytest.raises(StoreError):
        store.do(lambda unit: unit.append(b"away"))
    with pytest.raises(StoreError):
        count(store, "SELECT count(*) FROM ledger_leaf")
    database.start()
    store.do(lambda unit: unit.append(b"after"))
    all_placed(store)
    assert count(store, "SELECT count(*) FROM ledger_entry") == 2


def test_a_connection_lost_in_the_middle_of_commit_leaves_the_outcome_open_and_a_look_finds_it(
    store: Store, database: Server
) -> None:
    """F4: the answer says that nobody knows; what a fresh look finds is all or nothing."""
    slow = (
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(30); RETURN NULL; END $$"
    )
    deferred = (
        "CREATE CONSTRAINT TRIGGER slow_commit AFTER INSERT ON blob DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION slow()"
    )
    store.do(lambda unit: [unit.connection.exec_driver_sql(one) for one in (slow, deferred)])
    future = store.write(lambda unit: unit.keep(b"letter"))
    committing = "SELECT count(*) FROM pg_stat_activity WHERE query ILIKE 'commit%' AND state = 'active'"
    until = time.monotonic() + 10
    while not count(store, committing):
        assert time.monotonic() < until
    kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query ILIKE 'commit%' AND state = 'active'"
    database.run(kill)
    error = future.exception(20)
    assert isinstance(error, StoreError)
    assert error.facts["unclear"] is True
    assert count(store, "SELECT count(*) FROM blob") == 0


def test_a_deadlock_is_taken_back_and_run_again_without_its_callers_notice(store: Store) -> None:
    store.do(lambda unit: [registers.take(unit, name, "di", 2026) for name in ("A", "B")])
    both = threading.Barrier(2, timeout=10)

    def cross(first: str, second: str) -> int:
        runs = [0]

        def work(unit: Unit) -> int:
            runs[0] += 1
            registers.take(unit, first, "di", 2026)
            if runs[0] == 1:
                both.wait()
            return registers.take(unit, second, "di", 2026)

        store.do(work)
        return runs[0]

    with ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(lambda pair: cross(*pair), [("A", "B"), ("B", "A")]))
    assert sum(runs) > 2, "one of them at least met the deadlock"
    assert count(store, "SELECT min(last) FROM register_series") == 3
    assert count(store, "SELECT max(last) FROM register_series") == 3


def test_keys_name_the_columns_of_the_taken_key(store: Store, at: datetime) -> None:
    message = new_message(at)
    store.do(lambda unit: outbox.submit(unit, message, ("H99.02",)))
    with pytest.raises(Conflict) as conflict:
        store.do(lambda unit: outbox.submit(unit, message, ("H99.02",)))
    assert conflict.value.columns == ("message.sender", "message.message_id")
