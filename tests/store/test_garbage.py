"""Garbage and ballast (exchange.md 9): nobody's bytes go after a day, nothing that is referred to ever does."""

from __future__ import annotations

import hashlib
import os
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as configure
from hypothesis import strategies as st

from tests.store.conftest import SQLITE, count, fresh, new_arrival, new_message, new_receipt
from transport.dispatch import Key
from transport.errors import StoreError
from transport.store import garbage, inbox, outbox
from transport.store.ballast import Ballast
from transport.store.blobs import Blobs
from transport.store.store import Store, Unit

DAY = timedelta(hours=24)
NOW = datetime.now(UTC)


def large(number: int) -> bytes:
    """Bytes that do not fit into a row."""
    return f"{number}".encode() * 70_000


def sent(store: Store, body: bytes) -> str:
    staged = store.stage(body)

    def submit(unit: Unit) -> None:
        unit.keep(staged)
        outbox.submit(unit, new_message(NOW, sha256=staged.digest, size=staged.size), ("H99.02",))

    store.do(submit)
    return staged.digest


def arrived(store: Store, body: bytes) -> str:
    staged = store.stage(body)
    key = Key("H99.02", "H99.01", hashlib.sha256(body).hexdigest()[:36])

    def accept(unit: Unit) -> None:
        unit.keep(staged)
        receipt = new_receipt(key, NOW, direction="out")
        inbox.accept(
            unit, key, new_arrival(NOW, sha256=staged.digest, size=staged.size), receipt, unit.append(body[:9])
        )

    store.do(accept)
    return staged.digest


def test_bytes_nobody_refers_to_are_condemned_and_go_a_day_later(store: Store) -> None:
    loose = store.do(lambda unit: unit.keep(store.stage(large(1))))
    kept = {sent(store, large(2)), arrived(store, large(3))}
    assert garbage.collect(store, now=NOW).condemned == 1
    assert store.fetch(loose) == large(1)
    assert garbage.collect(store, now=NOW + DAY - timedelta(seconds=1)).removed == 0
    done = garbage.collect(store, now=NOW + DAY + timedelta(seconds=1))
    assert (done.removed, store.blobs.has(loose)) == (1, False)
    assert {digest for digest, _ in store.blobs.listed()} == kept
    with pytest.raises(StoreError) as caught:
        store.fetch(loose)
    assert caught.value.code == "EDOC-STO-008"


def test_bytes_that_are_referred_to_again_are_reprieved(store: Store) -> None:
    digest = store.do(lambda unit: unit.keep(store.stage(large(1))))
    garbage.collect(store, now=NOW)
    assert arrived(store, large(1)) == digest
    assert garbage.collect(store, now=NOW + 2 * DAY).removed == 0
    assert store.fetch(digest) == large(1)
    assert count(store, "SELECT count(*) FROM blob WHERE condemned_since IS NOT NULL") == 0


def test_what_a_leaf_names_stays(store: Store) -> None:
    digest = store.do(lambda unit: unit.keep(store.stage(large(1))))
    store.do(
        lambda unit: unit.connection.exec_driver_sql(
            "INSERT INTO ledger_event (log, idx, leaf, at, kind, auto, receipt) VALUES (1, 0, ?, 0, 'x', TRUE, ?)",
            (b"x", digest),
        )
    )
    for days in range(3):
        garbage.collect(store, now=NOW + days * DAY)
    assert store.fetch(digest) == large(1)


def test_a_file_without_row_goes_when_it_is_a_day_old(store: Store) -> None:
    """A crash between upload and commit leaves one; a request that is still under way must find its bytes."""
    digest = store.stage(large(1)).digest
    written = datetime.now(UTC)
    young = garbage.collect(store, now=written)
    assert (young.orphans, young.orphans_removed, store.blobs.has(digest)) == (1, 0, True)
    old = garbage.collect(store, now=written + DAY + timedelta(minutes=1))
    assert (old.orphans, old.orphans_removed, store.blobs.has(digest)) == (0, 1, False)
    assert count(store, "SELECT count(*) FROM blob") == 0


def test_bytes_collected_between_staging_and_commit_are_noticed_and_nothing_is_committed(store: Store) -> None:
    staged = store.stage(large(1))
    garbage.collect(store, now=NOW + 2 * DAY)
    with pytest.raises(StoreError) as caught:
        store.do(lambda unit: unit.keep(staged))
    assert caught.value.code == "EDOC-STO-003"
    assert count(store, "SELECT count(*) FROM blob") == 0


def test_an_acceptance_and_the_collector_at_once_never_leave_a_row_without_bytes(store: Store) -> None:
    later = NOW
    for number in range(12):
        body = large(number)
        store.do(lambda unit, body=body: unit.keep(store.stage(body)))  # type: ignore[misc]
        garbage.collect(store, now=later)
        later += DAY + timedelta(seconds=1)
        both = threading.Barrier(2, timeout=10)

        def collect(at: datetime = later, both: threading.Barrier = both) -> None:
            both.wait()
            garbage.collect(store, now=at)

        thread = threading.Thread(target=collect)
        thread.start()
        both.wait()
        digest = code = None
        try:
            digest = arrived(store, body)
        except StoreError as error:
            code = error.code
        thread.join()
        assert code in (None, "EDOC-STO-003")
        assert digest is None or store.fetch(digest) == body


@configure(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["loose", "sent", "file", "collect", "day"]), max_size=25))
def test_whatever_happens_what_is_referred_to_can_be_read(
    tmp_path_factory: pytest.TempPathFactory, acts: list[str]
) -> None:
    now, wanted = NOW, set[str]()
    with fresh(tmp_path_factory.mktemp("gc") / "home") as store:
        for number, act in enumerate(acts):
            body = large(number % 4)
            if act == "loose":
                store.do(lambda unit, body=body: unit.keep(store.stage(body)))  # type: ignore[misc]
            elif act == "file":
                store.stage(body)
            elif act == "collect":
                garbage.collect(store, now=now)
            elif act == "day":
                now += DAY + timedelta(minutes=5)
            else:
                wanted.add(sent(store, body))
            for digest in wanted:
                assert hashlib.sha256(store.fetch(digest)).hexdigest() == digest


# --- ballast ----------------------------------------------------------------------------------------------------------


def test_the_ballast_is_written_in_full_and_given_up_once(tmp_path: Path) -> None:
    ballast = Ballast(tmp_path, 2 * 1024 * 1024)
    assert not ballast.there()
    assert ballast.take()
    assert ballast.path.stat().st_blocks * 512 >= 2 * 1024 * 1024
    assert ballast.take()
    assert [ballast.give_up(), ballast.give_up()] == [True, False]
    assert not ballast.there()


@SQLITE
def test_when_the_disk_is_full_the_ballast_goes_and_the_unit_is_stored(store: Store) -> None:
    """The disk is a database that may have so many pages; giving up the ballast gives it some more."""

    def limit(unit: Unit, spare: int) -> None:
        pages = unit.connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        unit.connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + spare}")

    given: list[bool] = []

    def make_room() -> bool:
        given.append(True)
        writer._connection.driver.execute("PRAGMA max_page_count = 1000000")
        return len(given) == 1

    writer = cast("Any", store._writer)  # its connection is the one that the limit holds for
    writer.make_room = make_room
    store.do(lambda unit: limit(unit, 2))
    store.do(lambda unit: unit.keep(os.urandom(60_000)))
    assert given == [True]
    store.do(lambda unit: limit(unit, 2))
    with pytest.raises(StoreError) as caught:
        store.do(lambda unit: unit.keep(os.urandom(60_000)))
    assert (caught.value.code, len(given)) == ("EDOC-STO-002", 2)


def test_blobs_list_only_what_is_a_digest(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    digest = blobs.put(b"x")
    (blobs.path(digest).parent / "note.txt").write_bytes(b"")
    assert [found for found, _ in blobs.listed()] == [digest]
