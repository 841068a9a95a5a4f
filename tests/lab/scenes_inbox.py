"""Scenes of what arrives (exchange.md 3, 7; ``scenarios``)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from tests.lab.scenemaking import (
    AT,
    HOUR,
    MINUTE,
    SECOND,
    A,
    B,
    C,
    has,
    ms,
    queued,
    refused,
    row,
    rows,
    scene,
    submit,
    tamper,
    unchanged,
)
from tests.store.conftest import REJECTION, new_arrival, new_message, new_receipt
from transport.dispatch import Key
from transport.errors import Refused
from transport.store import inbox, registers, statuses
from transport.store.store import Conflict, Store
from transport.store.values import (
    NewReceipt,
    NewStatus,
    RefusedFacts,
)


def arrive(store: Store, key: Key, **facts: object) -> tuple[int, NewReceipt]:
    """Accept a message."""
    receipt = new_receipt(key, AT, direction="out")
    arrival = new_arrival(AT, **facts)
    return store.do(lambda unit: inbox.accept(unit, key, arrival, receipt, unit.append(receipt.data))), receipt


@scene
def every_column_of_an_acceptance_and_a_double_meets_it(store: Store) -> None:
    key = Key(A, B, "6f1d2c9a-8f57-4f0e-b0a5-90d3c1b7e2f4")
    facts: dict[str, object] = {
        "kind": "status",
        "sha256": "a" * 64,
        "size": 77,
        "arrived_at": AT + SECOND,
        "lane": 2,
        "date": date(2026, 11, 20),
        "type": "Công văn",
        "priority": 2,
        "attachments": 3,
        "due": date(2026, 11, 25),
        "status_code": "03",
    }
    number, receipt = arrive(store, key, **facts)
    row_of = {
        **facts,
        "arrived_at": ms(AT + SECOND),
        "received_at": ms(AT),
        "date": "2026-11-20",
        "due": "2026-11-25",
        "document_id": "H99.01,2026/11/20,120/SMA-VP",
        "number": "120",
        "notation": "SMA-VP",
        "subject": "Về việc mẫu",
        "sender_name": "Sở Mẫu A",
    }
    where = {"sender": A, "recipient": B, "message_id": key.message_id, "state": "arrived", "receipt": 1}
    has(row(store, "inbox"), id=number, **where, **row_of)
    has(row(store, "blob"), digest="a" * 64, size=77, place="file")
    about = {"direction": "out", "message_sha256": "a" * 64, "message_size": 77, "data": receipt.data, "ticket": 1}
    has(row(store, "receipt"), received_at=ms(AT), issued_at=ms(AT), sha256=receipt.sha256, **about)
    check = unchanged(store, "inbox", "receipt", "ledger_leaf")
    refused(lambda: arrive(store, key), Conflict)
    check()
    others = [Key("H99.09", B, key.message_id), Key(A, C, key.message_id), Key(A, B, "another")]
    for n, other in enumerate(others):
        arrive(store, other, sha256="a" * 64, size=n)
    incoming = new_receipt(key, AT + HOUR)
    tamper(store, "INSERT INTO blob (digest, size, place) VALUES (?, 1, 'file')", "b" * 64)
    facts_ = RefusedFacts("b" * 64, 1, "limits")
    store.do(lambda unit: inbox.refuse(unit, key, incoming, unit.append(b"in"), facts_))
    known = store.read(lambda connection: inbox.known(connection, key))
    assert known is not None
    assert (known.state, known.size, known.sha256, known.receipt.data) == ("accepted", 77, "a" * 64, receipt.data)
    for n, other in enumerate(others):
        found = store.read(lambda connection, other=other: inbox.known(connection, other))  # type: ignore[misc]
        assert found is not None
        assert found.size == n
        view = store.read(lambda connection, other=other: inbox.by_key(connection, other))  # type: ignore[misc]
        assert view is not None
        assert view.key == other
    assert store.read(lambda connection: inbox.known(connection, Key(A, B, "none"))) is None
    view = store.read(lambda connection: inbox.by_id(connection, number))
    assert view is not None
    assert view.key == key


@scene
def a_refusal_is_the_receipt_alone_and_old_codes_are_the_same_agency(store: Store) -> None:
    key = Key(A, B, "6f1d2c9a-8f57-4f0e-b0a5-90d3c1b7e2f4")
    receipt = new_receipt(key, AT, direction="out", event=REJECTION)
    facts = RefusedFacts("b" * 64, 9, "wrong-addressee")
    arrive(store, Key("G99", B, "another"))
    incoming = new_receipt(Key("G09", B, key.message_id), AT)
    store.do(lambda unit: inbox.refuse(unit, incoming.key, incoming, unit.append(b"in"), facts))
    store.do(lambda unit: inbox.refuse(unit, key, receipt, unit.append(b"r"), facts))
    about = {"event": REJECTION, "reason": "wrong-addressee", "message_sha256": "b" * 64, "message_size": 9}
    has(row(store, "receipt", "id = 3"), direction="out", **about)
    assert [one["message_id"] for one in rows(store, "inbox")] == ["another"]
    refused(lambda: arrive(store, key), Conflict)
    arrive(store, Key("G99", B, key.message_id))
    same: Callable[[str, str], bool] = lambda one, other: {one, other} <= {A, "G09", "G99"} or one == other  # noqa: E731
    asked = Key("G09", B, key.message_id)
    known = store.read(lambda connection: inbox.known_to_be(connection, asked, same))
    assert known is not None
    assert (known.key, known.state) == (key, "refused")
    none = Key("G09", B, "third")
    assert store.read(lambda connection: inbox.known_to_be(connection, none, same)) is None
    only_in = Key("H99.08", B, "fourth")
    store.do(lambda unit: inbox.refuse(unit, only_in, new_receipt(only_in, AT), unit.append(b"in"), facts))
    assert store.read(lambda connection: inbox.known_to_be(connection, only_in, same)) is None


@scene
def the_clerks_moves_are_of_one_entry_and_from_its_state(store: Store) -> None:
    first, _ = arrive(store, Key(A, B, "one"), due=date(2026, 11, 25))
    second, _ = arrive(store, Key(A, C, "two"))
    now = AT + MINUTE
    move: Callable[..., None] = lambda number, state, **facts: store.do(  # noqa: E731
        lambda unit: inbox.set_state(unit, number, state, now=now, **facts)
    )
    before = row(store, "inbox", "id = ?", second)
    number = store.do(lambda unit: inbox.accept_document(unit, first, year=2026, now=now, by="van-thu"))
    done = {
        "arrival_year": 2026,
        "arrival_number": 1,
        "accepted_at": ms(now),
        "decided_by": "van-thu",
        "due": "2026-11-25",
    }
    has(row(store, "inbox", "id = ?", first), state="accepted", **done)
    assert number == 1
    assert row(store, "inbox", "id = ?", second) == before
    has(row(store, "register_number"), agency=B, series="den", year=2026, number=1, holder=f"in:{first}", at=ms(now))
    refused(lambda: store.do(lambda unit: inbox.accept_document(unit, first, year=2026, now=now, by="x")), Refused)
    move(first, "recall-asked", by="truong-phong", reason="r", note="n")
    told = {"decided_by": "truong-phong", "reason": "r", "note": "n"}
    has(row(store, "inbox", "id = ?", first), state="recall-asked", earlier_state="accepted", **told)
    refused(lambda: move(first, "finished"), Refused)
    move(first, "accepted")
    has(row(store, "inbox", "id = ?", first), state="accepted", earlier_state=None, **told)
    due = date(2026, 12, 1)
    store.do(lambda unit: inbox.accept_document(unit, second, year=2026, now=now, by="b", due=due))
    has(row(store, "inbox", "id = ?", second), due="2026-12-01", arrival_number=1)
    keep: Callable[[str], bool] = lambda verdict: store.do(  # noqa: E731
        lambda unit: inbox.record_verification(unit, first, verdict=verdict, legal_class="original", verification=b"{}")
    )
    assert (keep("valid"), keep("invalid")) == (True, False)
    has(row(store, "inbox", "id = ?", first), verdict="valid", legal_class="original", verification=b"{}")
    has(row(store, "inbox", "id = ?", second), verdict=None)


@scene
def numbers_without_gaps_by_agency_series_and_year(store: Store) -> None:
    asked = [(A, "di", 2026), (A, "di", 2026), (A, "di", 2027), (A, "qd", 2026), (B, "di", 2026), (A, "di", 2026)]
    assert store.do(lambda unit: [registers.take(unit, *one) for one in asked]) == [1, 2, 1, 1, 1, 3]
    for wanted, last in (((A, "di", 2026), 3), ((A, "di", 2027), 1), ((B, "di", 2026), 1), ((A, "qd", 2026), 1)):
        assert store.read(lambda connection, wanted=wanted: registers.last(connection, *wanted)) == last  # type: ignore[misc]


@scene
def a_status_is_recorded_once_and_shown_at_its_dispatch_alone(store: Store) -> None:
    key = queued(store)
    twin = Key("H99.09", B, key.message_id)
    submit(store, new_message(AT, sender="H99.09", message_id=key.message_id), B, C)
    queued(store, AT)
    now = AT + MINUTE
    told = NewStatus("in", "carrier", "03", AT, "reason", "note", "unit", "person")
    assert store.do(lambda unit: statuses.record(unit, key, told, now=now))
    said = {
        "direction": "in",
        "carrier": "carrier",
        "code": "03",
        "at": ms(AT),
        "reason": "reason",
        "note": "note",
        "unit": "unit",
    }
    where = {"sender": A, "recipient": B, "message_id": key.message_id, "recorded_at": ms(now), "person": "person"}
    has(row(store, "status"), applied=True, **said, **where)
    assert [one["last_status"] for one in rows(store, "dispatch")] == ["03", None, None, None]
    assert not store.do(lambda unit: statuses.record(unit, twin, told, now=now))
    assert [one["last_status"] for one in rows(store, "dispatch")] == ["03", None, None, None]
    older = NewStatus("in", "later", "01", AT)
    assert store.do(lambda unit: statuses.record(unit, key, older, now=now, applied=False))
    has(row(store, "dispatch", "id = 1"), last_status="03")
    store.do(lambda unit: statuses.record(unit, key, NewStatus("in", "third", "04", AT), now=now))
    store.do(lambda unit: statuses.record(unit, key, NewStatus("out", "fourth", "05", AT), now=now))
    store.do(lambda unit: statuses.record(unit, twin, NewStatus("in", "fifth", "06", AT), now=now))
    other = Key("H99.09", C, key.message_id)
    store.do(lambda unit: statuses.record(unit, other, NewStatus("in", "sixth", "02", AT), now=now))
    store.do(lambda unit: statuses.record(unit, Key(A, B, "x"), NewStatus("in", "seventh", "02", AT), now=now))
    assert [one["last_status"] for one in rows(store, "dispatch")] == ["04", "06", "02", None]
    store.do(lambda unit: statuses.record(unit, Key(A, C, key.message_id), NewStatus("in", "ninth", "16", AT), now=now))
    latest = store.read(lambda connection: statuses.latest(connection, key, "in"))
    assert latest is not None
    assert latest.status.code == "04"
    back = NewStatus("in", "eighth", "01", AT)
    store.do(lambda unit: statuses.record(unit, key, back, now=now, applied=False))
    latest = store.read(lambda connection: statuses.latest(connection, key, "in"))
    assert latest is not None
    assert latest.status.code == "04"
    codes = [one.status.code for one in store.read(lambda c: statuses.statuses(c, key.message_id, B))]
    assert codes == ["03", "01", "04", "05", "06", "01"]
    assert len(store.read(lambda c: statuses.statuses(c, key.message_id))) == 8
