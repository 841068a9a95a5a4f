"""What a node knows of others is kept in memory and never older than the question (exchange.md 8)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from edoc.agencies import Agency, AgencyCertificate
from transport.store import claims, directory, people
from transport.store.kept import Kept
from transport.store.statements import Connection
from transport.store.store import Store, Unit

NOW = datetime(2026, 11, 25, 8, tzinfo=UTC)
AGENCY = Agency("H99.07", "Sở Mẫu", certificates=(AgencyCertificate("exchange", b"one", "aa" * 32),))


class Looks:
    """Reads the directory and counts how often."""

    def __init__(self) -> None:
        self.many = 0

    def __call__(self, connection: Connection) -> tuple[str, ...]:
        self.many += 1
        return tuple(one.name for one in directory.load(connection).agencies)


def enter(store: Store, name: str) -> None:
    store.do(lambda unit: directory.add(unit, Agency("H99.07", name), now=NOW, url="https://localhost/x"))


def test_the_directory_is_read_once_until_an_agency_changes(store: Store) -> None:
    kept, looks = Kept(store), Looks()
    enter(store, "Sở Mẫu")
    assert [kept.get("names", looks) for _ in range(5)] == [("Sở Mẫu",)] * 5
    assert looks.many == 1
    enter(store, "Sở Mẫu mới")
    assert kept.get("names", looks) == ("Sở Mẫu mới",)
    assert looks.many == 2


def test_another_process_sees_a_change_with_its_next_question(store: Store) -> None:
    """The number is in the database: whoever changes the directory, nobody keeps what was before."""
    other, looks = Kept(store), Looks()
    enter(store, "Sở Mẫu")
    assert other.get("names", looks) == ("Sở Mẫu",)
    store.do(lambda unit: unit.connection.exec_driver_sql("UPDATE agency SET name = 'Sở Mẫu khác'"))
    assert other.get("names", looks) == ("Sở Mẫu khác",)


CHANGES = {
    "an agency": lambda unit: directory.add(unit, Agency("H99.08", "Sở Mẫu B"), now=NOW),
    "a certificate": lambda unit: directory.add(unit, AGENCY, now=NOW),
    "an address": lambda unit: unit.connection.exec_driver_sql("UPDATE partner SET url = 'https://localhost/y'"),
    "the way to call": lambda unit: unit.connection.exec_driver_sql("UPDATE partner SET auth = 'mtls'"),
    "an anchor": lambda unit: directory.add_anchor(unit, b"root", ("signers",), subject="CN=Gốc", now=NOW),
    "a status answer": lambda unit: directory.keep_revocation(unit, "crl", b"c", fetched_at=NOW, next_update=None),
    "an account": lambda unit: people.add(
        unit, "mau", "Nguyễn Văn Mẫu", ("clerk",), change=people.Change("user.add", "mau", NOW)
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_every_kind_of_knowledge_is_noticed(store: Store, what: str) -> None:
    enter(store, "Sở Mẫu")
    before = number(store)
    store.do(CHANGES[what])
    assert number(store) > before


def test_an_ended_registration_and_a_removed_anchor_are_noticed(store: Store) -> None:
    sha256 = store.do(lambda unit: directory.add_anchor(unit, b"root", ("signers",), subject="CN=Gốc", now=NOW))
    store.do(lambda unit: directory.add(unit, AGENCY, now=NOW))
    before = number(store)
    end = AGENCY.certificates[0].sha256
    assert store.do(lambda unit: directory.end_certificate(unit, "H99.07", end, use="exchange", last_day=NOW))
    between = number(store)
    assert store.do(lambda unit: directory.remove_anchor(unit, sha256, now=NOW + timedelta(days=1)))
    assert before < between < number(store)


def test_what_every_letter_writes_about_a_partner_is_no_knowledge(store: Store) -> None:
    """Else nothing would be kept for longer than one letter."""
    enter(store, "Sở Mẫu")
    before = number(store)

    def serve(unit: Unit) -> None:
        unit.connection.exec_driver_sql("UPDATE partner SET served_at = 5, failures = failures + 1, open_until = 9")
        claims.claim_due(unit, now=NOW, owner="o", limit=1)

    store.do(serve)
    assert number(store) == before


def number(store: Store) -> int:
    return int(store.read(lambda connection: connection.exec_driver_sql("SELECT number FROM knowledge").scalar_one()))
