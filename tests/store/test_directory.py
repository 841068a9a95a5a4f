"""Directory, trust and keys as values; quick reads see the same without a library (dependencies.md 5)."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta

import pytest

from edoc.agencies import Agency, AgencyCertificate, Directory
from tests.store.conftest import SQLITE, count
from transport.doctor import examine
from transport.errors import StoreError
from transport.settings import Settings
from transport.store import directory, quick
from transport.store.lock import ServerLock
from transport.store.store import Store
from transport.store.values import KeyEntry

AGENCY = Agency(
    code="H99.02",
    name="Sở Mẫu B",
    email="b@example",
    old_codes=("000.00.02.H99",),
    former_names=("Ty Mẫu B",),
    aliases=("so-b",),
    valid_from=date(2020, 1, 1),
    certificates=(
        AgencyCertificate("exchange", b"certificate", "a" * 64, date(2026, 1, 1), None),
        AgencyCertificate("request", b"spki", "b" * 64),
    ),
)


def add(store: Store, agency: Agency, at: datetime, url: str | None = None) -> None:
    store.do(lambda unit: directory.add(unit, agency, now=at, url=url))


def test_an_agency_comes_back_as_it_was_entered(store: Store, at: datetime) -> None:
    add(store, AGENCY, at, "https://b.example/exchange/v1")
    assert store.read(directory.load) == Directory((AGENCY,))
    assert quick.directory(store.home) == Directory((AGENCY,))
    partner = store.read(lambda connection: directory.partner(connection, "H99.02"))
    assert partner is not None
    assert (partner.url, partner.request_keys) == (
        "https://b.example/exchange/v1",
        ((directory.key_id(b"spki"), b"spki"),),
    )


def test_a_change_keeps_what_was_before_and_no_certificate_is_ever_lost(store: Store, at: datetime) -> None:
    add(store, AGENCY, at, "https://b.example/exchange/v1")
    closed = dataclasses.replace(
        AGENCY, name="Sở Mẫu BC", valid_to=date(2026, 12, 31), successor="H99.03", certificates=()
    )
    add(store, closed, at + timedelta(days=1))
    (now,) = store.read(directory.load).agencies
    assert (now.name, now.successor, now.certificates) == ("Sở Mẫu BC", "H99.03", AGENCY.certificates)
    entries = [json.loads(entry) for _, entry in store.read(lambda connection: directory.history(connection, "H99.02"))]
    assert [entry["name"] for entry in entries] == ["Sở Mẫu B", "Sở Mẫu BC"]
    assert entries[0]["certificates"][0]["sha256"] == "a" * 64
    partner = store.read(lambda connection: directory.partner(connection, "H99.02"))
    assert partner is not None
    assert partner.url == "https://b.example/exchange/v1"
    with pytest.raises(StoreError, match="append-only"):
        store.do(lambda unit: unit.connection.exec_driver_sql("DELETE FROM agency_history"))


def test_a_certificate_ends_on_a_day_and_stays_known_for_the_days_before(store: Store, at: datetime) -> None:
    add(store, AGENCY, at)
    end = datetime(2026, 11, 20, tzinfo=UTC)
    assert store.do(lambda unit: directory.end_certificate(unit, "H99.02", "a" * 64, use="exchange", last_day=end))
    known = store.read(directory.load)
    assert len(known.certificates("H99.02", "exchange", date(2026, 11, 20))) == 1
    assert known.certificates("H99.02", "exchange", date(2026, 11, 21)) == ()


def test_anchors_keep_their_uses_and_leave_when_trust_ends(store: Store, at: datetime) -> None:
    sha256 = store.do(lambda unit: directory.add_anchor(unit, b"root", ("signers", "tsa"), subject="Root", now=at))
    (anchor,) = store.read(directory.anchors)
    assert (anchor.uses, anchor.data) == (("signers", "tsa"), b"root")
    assert quick.anchors(store.home) == [(b"root", "signers"), (b"root", "tsa")]
    assert store.do(lambda unit: directory.remove_anchor(unit, sha256, now=at))
    assert store.read(directory.anchors) == ()
    assert quick.anchors(store.home) == []
    assert count(store, "SELECT count(*) FROM anchor") == 2


def test_keys_are_named_once_and_their_files_stay_outside_the_database(store: Store, at: datetime) -> None:
    key = KeyEntry("trao-doi", "exchange", "keys/trao-doi.pem", "c" * 64, at, "Sở Mẫu A", "H99.01", b"spki", at, at)
    store.do(lambda unit: directory.add_key(unit, key))
    with pytest.raises(StoreError):
        store.do(lambda unit: directory.add_key(unit, key))
    assert store.read(directory.keys) == (key,)
    assert quick.keys(store.home) == [key]
    assert directory.key_path(store.home, key) == store.home / "keys" / "trao-doi.pem"


def test_status_answers_are_kept_newest_first(store: Store, at: datetime) -> None:
    for number in range(3):
        when = at + timedelta(hours=number)
        store.do(
            lambda unit, n=number, when=when: directory.keep_revocation(  # type: ignore[misc]
                unit, "crl", f"crl {n}".encode(), fetched_at=when, next_update=None
            )
        )
    later = at + timedelta(hours=1)
    found = store.read(lambda connection: directory.status_answers(connection, since=later))
    assert found == ((at + timedelta(hours=2), "crl", b"crl 2"), (later, "crl", b"crl 1"))
    assert quick.revocations(store.home)[0] == ("crl", b"crl 2")


@SQLITE
def test_quick_reads_of_a_home_without_node_are_empty_and_of_a_damaged_one_an_error(settings: Settings) -> None:
    home = settings.home
    assert (quick.anchors(home), quick.keys(home), quick.head(home)) == ([], [], None)
    assert quick.directory(home) == Directory(())
    home.mkdir()
    (home / "edoc.db").write_bytes(b"no database" * 500)
    with pytest.raises(StoreError) as error:
        quick.anchors(home)
    assert error.value.code == "EDOC-STO-007"


def test_quick_reads_the_head_of_the_open_log(store: Store, at: datetime) -> None:
    store.do(
        lambda unit: unit.connection.exec_driver_sql(
            "INSERT INTO ledger_head (log, size, root, edge, at, note) VALUES (1, 7, ?, ?, ?, 'note')",
            (bytes(32), b"", int(at.timestamp() * 1000)),
        )
    )
    head = quick.head(store.home)
    assert head is not None
    assert (head.origin, head.size, head.root, head.at) == ("a.example/edoc-ledger/2026", 7, "00" * 32, at)


def test_quick_reads_load_neither_sqlalchemy_nor_sqlmodel_nor_lxml() -> None:
    program = (
        "import sys, transport.store.quick; heavy = {'sqlalchemy', 'sqlmodel', 'lxml', 'aiohttp', 'alembic'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_one_server_holds_a_home_and_the_lock_ends_with_its_process(store: Store) -> None:
    program = (
        "import sys; from pathlib import Path; from transport.store.lock import ServerLock; "
        f"ServerLock(Path({str(store.home)!r})).acquire(); print('held', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    assert other.stdout.readline() == "held\n"
    with pytest.raises(Exception, match="another server") as error:
        ServerLock(store.home).acquire()
    assert getattr(error.value, "facts", {})["pid"] == str(other.pid)
    other.kill()
    other.communicate()
    with ServerLock(store.home):
        pass


def test_the_doctor_finds_the_database_in_order_and_names_one_that_is_away(store: Store) -> None:
    found = {one.id: one for one in examine(home=store.home, now=datetime.now(UTC), quick=True)}
    assert found["database"].status == "ok"
    if store.shared:
        address = 'url = "postgresql://edoc@127.0.0.1:9/x"'
        (store.home / "edoc.toml").write_text(f"[database]\n{address}\n", "utf-8")
    else:
        (store.home / "edoc.db").write_bytes(b"no database" * 500)
    away = {one.id: one for one in examine(home=store.home, now=datetime.now(UTC), quick=True)}
    assert away["database"].status == "fail"
