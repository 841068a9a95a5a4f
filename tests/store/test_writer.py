"""The one writer: group commit, savepoints, disk full, several processes (exchange.md 9)."""

from __future__ import annotations

import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as configure
from hypothesis import strategies as st

from tests.store.conftest import SQLITE, PlainLog, count, fresh, open_log
from transport.errors import SettingsError, StoreError
from transport.settings import Settings, load
from transport.store.store import Conflict, Store, Ticket, Unit


def put(unit: Unit, name: str) -> Ticket:
    """A unit with two rows: a leaf, and a key row that must be unique."""
    unit.connection.exec_driver_sql(
        "INSERT INTO register_number (agency, series, year, number, holder, at) VALUES (?, 'di', 2026, 1, '', 0)",
        (name,),
    )
    return unit.append(name.encode())


class Gate:
    """Holds the writer inside a unit, so that what is queued meanwhile becomes one batch."""

    def __init__(self, store: Store) -> None:
        self._entered, self._open = threading.Event(), threading.Event()
        self._held = store.write(self._wait)
        assert self._entered.wait(10)

    def _wait(self, unit: Unit) -> None:
        self._entered.set()
        assert self._open.wait(10)

    def open(self) -> None:
        self._open.set()
        self._held.result(10)


def test_a_future_answers_only_after_its_commit(store: Store) -> None:
    """Another connection sees the row at the moment the answer is there."""
    for number in range(20):
        ticket = store.do(lambda unit, name=f"n{number}": put(unit, name))  # type: ignore[misc]
        assert ticket.index == number
        assert count(store, "SELECT count(*) FROM ledger_entry") == number + 1


@SQLITE
def test_a_failing_unit_rolls_back_alone(store: Store) -> None:
    gate = Gate(store)

    def broken(unit: Unit) -> None:
        put(unit, "half")
        raise ValueError("no")

    before, bad = store.write(lambda unit: put(unit, "before")), store.write(broken)
    twice, after = store.write(lambda unit: put(unit, "before")), store.write(lambda unit: put(unit, "after"))
    gate.open()
    assert (before.result(10).index, after.result(10).index) == (0, 1)
    with pytest.raises(ValueError, match="no"):
        bad.result(10)
    with pytest.raises(Conflict) as conflict:
        twice.result(10)
    assert conflict.value.table == "register_number"
    assert count(store, "SELECT count(*) FROM ledger_leaf") == 2
    assert count(store, "SELECT count(*) FROM register_number WHERE agency = 'half'") == 0


@configure(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["good", "raises", "duplicate", "big"]), min_size=1, max_size=40))
def test_any_mix_of_units_stores_exactly_those_that_answered(
    tmp_path_factory: pytest.TempPathFactory, kinds: list[str]
) -> None:
    home = tmp_path_factory.mktemp("mix")
    with fresh(home / "h") as store:
        gate = Gate(store)
        futures = [store.write(unit_of(kind, number)) for number, kind in enumerate(kinds)]
        gate.open()
        wait(futures, 30)
        good = [future.result() for future in futures if future.exception() is None]
        assert [ticket.index for ticket in good] == list(range(len(good)))
        assert count(store, "SELECT count(*) FROM ledger_leaf") == len(good)
        assert count(store, "SELECT count(*) FROM ledger_entry") == len(good)


def unit_of(kind: str, number: int):  # type: ignore[no-untyped-def]  # a table of lambdas reads better untyped
    """Units of four kinds: one that is stored, three that fail on different paths after their first statement."""

    def run(unit: Unit) -> Ticket:
        ticket = put(unit, "same" if kind == "duplicate" and number else f"{number}")
        if kind == "raises":
            raise KeyError(number)
        if kind == "big":
            unit.append(b"x" * 4097)
        return ticket

    return run


def test_units_of_many_threads_share_commits_and_none_is_lost(store: Store) -> None:
    with ThreadPoolExecutor(16) as pool:
        tickets = list(pool.map(lambda n: store.do(lambda unit: put(unit, f"t{n}")), range(400)))
    assert sorted(ticket.index or 0 for ticket in tickets) == list(range(400))
    assert count(store, "SELECT count(*) FROM ledger_leaf") == 400


@SQLITE
def test_when_the_disk_is_full_the_units_that_fit_are_stored_and_the_others_say_so(store: Store) -> None:
    """SQLITE_FULL takes the whole batch away; its units then run again one by one."""

    def fill(unit: Unit) -> None:
        unit.connection.exec_driver_sql("CREATE TABLE ballast (data BLOB)")
        pages = unit.connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        unit.connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 40}")

    def burst(unit: Unit) -> None:
        unit.append(b"never")
        for _ in range(100):
            unit.connection.exec_driver_sql("INSERT INTO ballast VALUES (zeroblob(8000))")

    store.do(fill)
    gate = Gate(store)
    first, full = store.write(lambda unit: put(unit, "first")), store.write(burst)
    last = store.write(lambda unit: put(unit, "last"))
    gate.open()
    assert (first.result(10).index, last.result(10).index) == (0, 1)
    with pytest.raises(StoreError) as error:
        full.result(10)
    assert error.value.code == "EDOC-STO-002"
    assert count(store, "SELECT count(*) FROM ledger_leaf") == 2
    assert count(store, "SELECT count(*) FROM ballast") == 0


@SQLITE
def test_a_unit_that_hides_the_loss_of_its_transaction_stores_nothing(store: Store) -> None:
    """A statement after the rollback would commit by itself; it is stopped instead."""

    def hides(unit: Unit) -> None:
        unit.connection.exec_driver_sql("ROLLBACK")
        put(unit, "stray")

    with pytest.raises(StoreError):
        store.do(hides)
    assert count(store, "SELECT count(*) FROM register_number") == 0
    assert store.do(lambda unit: put(unit, "next")).index == 0


@SQLITE
def test_a_log_that_cannot_place_its_leaves_stores_no_receipt_either(settings: Settings) -> None:
    class Frozen(PlainLog):
        def place(self, connection: object, tickets: object) -> None:
            raise StoreError("EDOC-STO-001", "frozen")

    with Store.create(settings, Frozen()) as store:
        with pytest.raises(StoreError, match="frozen"):
            store.do(lambda unit: put(unit, "one"))
        store.do(lambda unit: unit.keep(b"units without leaves go on"))
        assert count(store, "SELECT count(*) FROM ledger_leaf") == 0
        assert count(store, "SELECT count(*) FROM register_number") == 0
        assert count(store, "SELECT count(*) FROM blob") == 1


@SQLITE
def test_a_batch_takes_no_more_than_a_thousand_leaves(settings: Settings) -> None:
    sizes: list[int] = []

    class Counting(PlainLog):
        def place(self, connection, tickets):  # type: ignore[no-untyped-def]  # as in PlainLog
            sizes.append(len(tickets))
            super().place(connection, tickets)

    with Store.create(settings, Counting()) as store:
        open_log(store)
        gate = Gate(store)
        futures = [store.write(lambda unit: [unit.append(b"a"), unit.append(b"b")]) for _ in range(900)]
        gate.open()
        wait(futures, 30)
    assert sizes == [1000, 800]


def _write_many(home: Path, name: str, many: int) -> None:
    with Store.open(load(home=home, config=None, environ={}, overrides={}), log=PlainLog()) as store:
        for number in range(many):
            store.do(lambda unit, n=number: put(unit, f"{name}-{n}"))  # type: ignore[misc]


def test_several_processes_write_to_one_store_without_gap_or_double_index(store: Store) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_write_many, args=(store.home, name, 60)) for name in ("p", "q")]
    for worker in workers:
        worker.start()
    for number in range(60):
        store.do(lambda unit, n=number: put(unit, f"here-{n}"))  # type: ignore[misc]
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    indices = store.read(lambda c: c.exec_driver_sql("SELECT idx, ticket FROM ledger_entry ORDER BY idx").all())
    assert [index for index, _ in indices] == list(range(180))
    if not store.shared:  # where transactions run in parallel, a later ticket may be committed first
        assert [ticket for _, ticket in indices] == sorted(ticket for _, ticket in indices)


def test_readers_cannot_write_and_do_not_wait_for_the_writer(store: Store) -> None:
    gate = Gate(store)
    assert count(store, "SELECT count(*) FROM ledger_leaf") == 0
    with pytest.raises(StoreError):
        store.read(lambda connection: connection.exec_driver_sql("DELETE FROM blob"))
    gate.open()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger_leaf SET leaf = data",
        "UPDATE ledger_leaf SET data = NULL",
        "DELETE FROM ledger_leaf",
        "UPDATE ledger_entry SET idx = idx + 1",
        "DELETE FROM ledger_entry",
    ],
)
def test_what_the_ledger_holds_cannot_be_changed_or_removed(store: Store, statement: str) -> None:
    store.do(lambda unit: put(unit, "one"))
    with pytest.raises(StoreError, match="append-only"):
        store.do(lambda unit: unit.connection.exec_driver_sql(statement))


@SQLITE
def test_a_leaf_is_not_replaced_by_inserting_another_in_its_place(store: Store) -> None:
    store.do(lambda unit: put(unit, "one"))
    replacing = "INSERT OR REPLACE INTO ledger_leaf (ticket, leaf, data) VALUES (1, zeroblob(32), x'00')"
    with pytest.raises(StoreError, match="append-only"):
        store.do(lambda unit: unit.connection.exec_driver_sql(replacing))


def test_only_the_bytes_of_a_pruned_leaf_may_go(store: Store) -> None:
    store.do(lambda unit: [put(unit, "old"), put(unit, "new")])
    store.do(lambda unit: unit.connection.exec_driver_sql("UPDATE ledger_log SET min_index = 1"))
    store.do(lambda unit: unit.connection.exec_driver_sql("UPDATE ledger_leaf SET data = NULL WHERE ticket = 1"))
    with pytest.raises(StoreError, match="append-only"):
        store.do(lambda unit: unit.connection.exec_driver_sql("UPDATE ledger_leaf SET data = NULL WHERE ticket = 2"))


def test_waiting_inside_a_unit_for_another_unit_is_refused(store: Store) -> None:
    with pytest.raises(RuntimeError):
        store.do(lambda unit: store.do(lambda other: None))


def test_a_store_without_log_takes_no_leaves_and_one_for_reading_no_writes(settings: Settings) -> None:
    with Store.create(settings) as store, pytest.raises(RuntimeError):
        store.do(lambda unit: unit.append(b"leaf"))
    with Store.open(settings, read_only=True) as store, pytest.raises(RuntimeError):
        store.do(lambda unit: None)


def test_a_closed_store_takes_no_work_but_finishes_what_waited(settings: Settings) -> None:
    store = Store.create(settings, PlainLog())
    open_log(store)
    futures = [store.write(lambda unit, n=n: put(unit, f"{n}")) for n in range(50)]  # type: ignore[misc]
    store.close()
    assert sorted(future.result(0).index or 0 for future in futures) == list(range(50))
    with pytest.raises(StoreError) as error:
        store.do(lambda unit: None)
    assert error.value.code == "EDOC-STO-011"
    store.close()


def test_a_home_without_node_an_existing_one_and_a_foreign_revision_are_told_apart(settings: Settings) -> None:
    with pytest.raises(SettingsError) as missing:
        Store.open(settings)
    Store.create(settings).close()
    with pytest.raises(SettingsError) as twice:
        Store.create(settings)
    with Store.open(settings) as store:
        store.do(lambda unit: unit.connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SettingsError) as newer:
        Store.open(settings)
    assert [error.value.code for error in (missing, twice, newer)] == ["EDOC-CFG-005", "EDOC-CFG-011", "EDOC-CFG-009"]


@SQLITE
def test_the_home_is_for_its_owner_alone(settings: Settings) -> None:
    store = Store.create(settings)
    store.close()
    assert (store.home.stat().st_mode & 0o777, (store.home / "edoc.db").stat().st_mode & 0o777) == (0o700, 0o600)


@SQLITE
def test_a_file_that_is_no_database_is_called_damaged(settings: Settings) -> None:
    settings.home.mkdir()
    (settings.home / "edoc.db").write_bytes(b"not a database, but long enough to look at" * 100)
    with pytest.raises(StoreError) as error:
        Store.open(settings)
    assert error.value.code == "EDOC-STO-007"
