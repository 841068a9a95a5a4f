"""What arrived: once per K, states of S1, arrival numbers without gaps (exchange.md 7 P0, R56)."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.store.conftest import REJECTION, count, new_arrival, new_receipt
from transport.dispatch import Key
from transport.errors import Refused
from transport.store import inbox, registers, statuses
from transport.store.refs import RefError
from transport.store.store import Conflict, Store, Unit
from transport.store.values import NewArrival, NewStatus, RefusedFacts, RowFilter


def new_key() -> Key:
    return Key("H99.01", "H99.02", str(uuid.uuid4()))


def arrive(store: Store, key: Key, arrival: NewArrival) -> int:
    receipt = new_receipt(key, arrival.received_at, direction="out")
    return store.do(lambda unit: inbox.accept(unit, key, arrival, receipt, unit.append(receipt.data)))


def test_k_is_nothing_then_accepted_with_its_one_receipt(store: Store, at: datetime) -> None:
    key, arrival = new_key(), new_arrival(at)
    assert store.read(lambda connection: inbox.known(connection, key)) is None
    arrive(store, key, arrival)
    known = store.read(lambda connection: inbox.known(connection, key))
    assert known is not None
    assert (known.state, known.sha256, known.size) == ("accepted", arrival.sha256, arrival.size)
    assert known.receipt.ledger is not None


def test_a_refused_k_has_a_receipt_and_no_inbox_row(store: Store, at: datetime) -> None:
    key, receipt_at = new_key(), at
    receipt = new_receipt(key, receipt_at, direction="out", event=REJECTION)
    facts = RefusedFacts("f" * 64, 77, "wrong-addressee")
    store.do(lambda unit: inbox.refuse(unit, key, receipt, unit.append(b"refused"), facts))
    known = store.read(lambda connection: inbox.known(connection, key))
    assert known is not None
    assert (known.state, known.sha256, known.size, known.receipt.data) == ("refused", "f" * 64, 77, receipt.data)
    assert count(store, "SELECT count(*) FROM inbox") == 0
    with pytest.raises(Conflict) as error:
        arrive(store, key, new_arrival(at))
    assert error.value.table == "receipt"


def test_thirty_two_at_once_with_one_k_give_one_row_one_receipt_and_one_leaf(store: Store, at: datetime) -> None:
    key, arrival = new_key(), new_arrival(at)

    def one(_: int) -> bool:
        try:
            arrive(store, key, arrival)
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(32) as pool:
        assert sum(pool.map(one, range(32))) == 1
    for table in ("inbox", "receipt", "ledger_leaf", "ledger_entry"):
        assert count(store, f"SELECT count(*) FROM {table}") == 1


def test_a_receipt_can_neither_be_changed_nor_removed(store: Store, at: datetime) -> None:
    arrive(store, new_key(), new_arrival(at))
    for statement in ("UPDATE receipt SET message_size = 0", "DELETE FROM receipt"):
        with pytest.raises(Exception, match="append-only"):
            store.do(lambda unit, s=statement: unit.connection.exec_driver_sql(s))  # type: ignore[misc]


def test_a_receipt_without_a_leaf_cannot_be_written(store: Store, at: datetime) -> None:
    """ledger.md 5: a receipt exists if and only if its leaf exists."""
    key = new_key()
    receipt = new_receipt(key, at, direction="out")

    def forged(unit: Unit) -> int:
        ticket = unit.append(b"leaf")
        ticket.id = 999
        return inbox.accept(unit, key, new_arrival(at), receipt, ticket)

    with pytest.raises(Exception, match=r"FOREIGN KEY|receipt_ticket_fkey"):
        store.do(forged)
    assert count(store, "SELECT count(*) FROM ledger_leaf") == 0


def test_arrival_numbers_of_a_year_have_no_gap_though_acceptances_fail(store: Store, at: datetime) -> None:
    numbers = []
    for attempt in range(12):
        row = arrive(store, new_key(), new_arrival(at, document_id=f"D{attempt}"))

        def accept(unit: Unit, row: int = row, fails: bool = attempt % 3 == 1) -> int:
            number = inbox.accept_document(unit, row, year=2026, now=at, by="van-thu")
            if fails:
                raise ConnectionError("after the number was taken")
            return number

        try:
            numbers.append(store.do(accept))
        except ConnectionError:
            continue
    assert numbers == list(range(1, 9))
    assert count(store, "SELECT count(*) FROM register_number") == 8


def test_numbers_of_other_years_series_and_agencies_begin_at_one(store: Store) -> None:
    def take(unit: Unit) -> list[int]:
        return [
            registers.take(unit, agency, series, year)
            for agency, series, year in (
                ("A", "di", 2026),
                ("A", "di", 2026),
                ("A", "di", 2027),
                ("A", "qd", 2026),
                ("B", "di", 2026),
            )
        ]

    assert store.do(take) == [1, 2, 1, 1, 1]
    assert store.read(lambda connection: registers.last(connection, "A", "di", 2026)) == 2


def test_a_number_is_never_given_to_two_holders(store: Store, at: datetime) -> None:
    def note(unit: Unit) -> None:
        registers.note_holder(unit, agency="A", series="di", year=2026, number=7, holder="x", at=at)

    store.do(note)
    with pytest.raises(Conflict):
        store.do(note)


@given(st.lists(st.sampled_from(sorted(inbox.MOVES)), max_size=12))
def test_the_states_move_only_as_s1_allows(path: list[str]) -> None:
    """02, 15 and deletion are final; after a refused recall only the earlier state comes back."""
    lawful = {
        "arrived": {"refused", "accepted"},
        "accepted": {"assigned", "in-process", "finished"},
        "assigned": {"in-process", "finished"},
        "in-process": {"finished"},
    }
    state = "arrived"
    for wanted in path:
        if wanted in inbox.MOVES[state]:
            recall = {"recall-asked", "recalled", "deleted"} & {state, wanted}
            assert recall or wanted in lawful[state]
            state = wanted
    assert inbox.MOVES["deleted"] == frozenset()


def test_a_document_already_accepted_cannot_be_returned(store: Store, at: datetime) -> None:
    row = arrive(store, new_key(), new_arrival(at))
    store.do(lambda unit: inbox.accept_document(unit, row, year=2026, now=at, by="van-thu"))
    with pytest.raises(Refused) as error:
        store.do(lambda unit: inbox.set_state(unit, row, "refused", now=at))
    assert error.value.facts == {"state": "accepted", "wanted": "refused"}


def test_after_a_refused_recall_only_the_earlier_state_comes_back(store: Store, at: datetime) -> None:
    row = arrive(store, new_key(), new_arrival(at))
    store.do(lambda unit: inbox.accept_document(unit, row, year=2026, now=at, by="van-thu"))
    store.do(lambda unit: inbox.set_state(unit, row, "recall-asked", now=at))
    with pytest.raises(Refused):
        store.do(lambda unit: inbox.set_state(unit, row, "finished", now=at))
    store.do(lambda unit: inbox.set_state(unit, row, "accepted", now=at))
    assert count(store, "SELECT count(*) FROM inbox WHERE state = 'accepted'") == 1


def test_the_result_of_the_checks_is_kept_once_as_it_was_at_arrival(store: Store, at: datetime) -> None:
    key = new_key()
    row = arrive(store, key, new_arrival(at))

    def keep(verdict: str) -> bool:
        return store.do(
            lambda unit: inbox.record_verification(
                unit, row, verdict=verdict, legal_class="original", verification=b"{}"
            )
        )

    assert (keep("valid"), keep("invalid")) == (True, False)
    view = store.read(lambda connection: inbox.by_key(connection, key))
    assert view is not None
    assert (view.verdict, view.legal_class, view.verification) == ("valid", "original", b"{}")


def test_a_document_is_found_by_arrival_number_and_the_list_shows_it(store: Store, at: datetime) -> None:
    key = new_key()
    row = arrive(store, key, new_arrival(at, date=date(2026, 11, 20), due=date(2026, 11, 25), priority=3))
    arrive(store, new_key(), new_arrival(at + timedelta(hours=1), document_id="D2", number="9"))
    store.do(lambda unit: inbox.accept_document(unit, row, year=2026, now=at, by="van-thu"))
    for ref in ("in:1", "in:1/2026", "120/SMA-VP", f"msg:{key.message_id[:6]}", "H99.01,2026/11/20,120/SMA-VP"):
        found = store.read(lambda connection, r=ref: inbox.find(connection, r, year=2026))  # type: ignore[misc]
        assert found.key == key
    for ref in ("in:2", "in:1/2025", "msg:00000000-0000-0000", "nothing"):
        with pytest.raises(RefError):
            store.read(lambda connection, r=ref: inbox.find(connection, r, year=2026))  # type: ignore[misc]
    page = store.read(lambda connection: inbox.rows(connection, RowFilter(now=at + timedelta(days=10))))
    assert (page.rows[0].ref, page.rows[0].overdue) == ("in:1/2026", True)
    assert page.counts == {"accepted": 1, "arrived": 1}
    late = store.read(lambda connection: inbox.rows(connection, RowFilter(overdue=True, now=at + timedelta(days=4))))
    assert late.rows == ()


def test_a_status_is_recorded_once_and_the_newest_is_shown_at_the_dispatch(store: Store, at: datetime) -> None:
    key = new_key()
    received = NewStatus("in", str(uuid.uuid4()), "01", at)
    accepted = NewStatus("in", str(uuid.uuid4()), "03", at, person="Trần Thị Mẫu")

    def record(status: NewStatus) -> bool:
        return store.do(lambda unit: statuses.record(unit, key, status, now=at))

    assert [record(received), record(accepted), record(received)] == [True, True, False]
    assert [one.status.code for one in store.read(lambda c: statuses.statuses(c, key.message_id))] == ["01", "03"]
    latest = store.read(lambda connection: statuses.latest(connection, key, "in"))
    assert latest is not None
    assert latest.status == accepted
