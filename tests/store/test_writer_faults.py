"""A failing disk or a database held by others: nothing is half stored, and the store recovers by itself (F3, F4)."""

from __future__ import annotations

import resource
import sqlite3
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.store.conftest import SQLITE, PlainLog, count, open_log
from tests.store.test_writer import Gate, put
from transport.errors import StoreError
from transport.settings import Settings
from transport.store import engine
from transport.store.store import Store, Ticket, Unit


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """No file may grow beyond a size: writes fail as on a broken disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def wal(store: Store) -> Path:
    return store.home / "edoc.db-wal"


def fat(unit: Unit, name: str) -> Ticket:
    """A unit of about 60 kB."""
    unit.keep(name.encode() * (60_000 // len(name)))
    return unit.append(name.encode())


@SQLITE
def test_a_disk_that_fails_at_commit_leaves_the_outcome_open_and_the_store_goes_on_afterwards(store: Store) -> None:
    stored: list[str] = []
    with files_up_to(wal(store).stat().st_size + 200_000):
        for name in (f"name-{number:02}" for number in range(12)):
            error = store.write(lambda unit, name=name: fat(unit, name)).exception(30)  # type: ignore[misc]
            if error is None:
                stored.append(name)
                continue
            assert isinstance(error, StoreError)
            assert error.code == "EDOC-STO-002" or (error.code == "EDOC-STO-004" and error.facts["unclear"] is True)
    assert 0 < len(stored) < 12
    assert store.do(lambda unit: fat(unit, "afterwards")).index == count(store, "SELECT count(*) FROM ledger_leaf") - 1
    kept = store.read(lambda connection: connection.exec_driver_sql("SELECT data FROM ledger_leaf").scalars().all())
    assert set(stored) <= {bytes(data).decode() for data in kept}
    assert count(store, "SELECT count(*) FROM ledger_entry") == len(kept)
    assert count(store, "SELECT count(*) FROM blob") == len(kept)


@SQLITE
def test_a_whole_batch_on_a_failing_disk_answers_every_unit_with_an_error_or_its_index(store: Store) -> None:
    gate = Gate(store)
    futures = [store.write(lambda unit, n=n: fat(unit, f"name-{n:02}")) for n in range(12)]  # type: ignore[misc]
    with files_up_to(wal(store).stat().st_size + 200_000):
        gate.open()
        errors = [future.exception(30) for future in futures]
    assert all(error is None or isinstance(error, StoreError) for error in errors)
    assert any(errors)
    leaves = count(store, "SELECT count(*) FROM ledger_leaf")
    assert leaves == count(store, "SELECT count(*) FROM ledger_entry") == count(store, "SELECT count(*) FROM blob")
    assert leaves >= errors.count(None)
    assert store.do(lambda unit: fat(unit, "afterwards")).index == leaves


@SQLITE
def test_a_database_held_by_another_process_is_busy_and_then_free_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "BUSY_SECONDS", 0.1)
    with Store.create(settings, PlainLog()) as store:
        open_log(store)
        other = sqlite3.connect(store.home / "edoc.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError) as error:
            store.do(lambda unit: put(unit, "one"))
        assert error.value.code == "EDOC-STO-003"
        assert count(store, "SELECT count(*) FROM ledger_leaf") == 0
        other.execute("ROLLBACK")
        assert store.do(lambda unit: put(unit, "one")).index == 0


@SQLITE
def test_a_home_that_cannot_be_made_is_named(settings: Settings) -> None:
    settings.home.parent.joinpath("home").write_bytes(b"a file where the home should be")
    with pytest.raises(StoreError) as error:
        Store.create(settings)
    assert str(settings.home) in str(error.value.facts)


def test_a_row_that_breaks_a_rule_of_the_schema_is_no_conflict(store: Store) -> None:
    with pytest.raises(StoreError) as error:
        store.do(lambda unit: unit.append(b"x" * 4097))
    assert error.value.code == "EDOC-STO-001"


def test_the_error_of_a_unit_carries_no_content(store: Store) -> None:
    """I8: values stay out of messages, facts and tracebacks."""
    marker = "-".join(("planted", "marker"))
    with pytest.raises(StoreError) as error:
        store.do(
            lambda unit: unit.connection.exec_driver_sql(
                "INSERT INTO blob (digest, size, place) VALUES (?, 1, 'nowhere')", (marker,)
            )
        )
    shown = "".join(traceback.format_exception(error.value))
    assert marker not in f"{shown} {error.value.facts}"
