"""What the log answers about messages: events, chains, extracts, openings."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.ledger.conftest import START, Book, hexed, operation
from transport.ledger import event, proof
from transport.store.log import EventFilter, LoggedEvent
from transport.store.store import Unit

DISPATCH: dict[str, event.Value] = {
    "msg": "m-1",
    "from": "H99.01",
    "to": "H99.02",
    "side": "s",
    "env": hexed("envelope"),
}
CHAIN = {"sender": "H99.01", "recipient": "H99.02", "message_id": "m-1"}


def requeued(number: int, *, to: str = "H99.02", prev: str | None = None) -> bytes:
    """A leaf of a dispatch."""
    at = START + timedelta(seconds=number)
    fields: dict[str, event.Value] = {**DISPATCH, "to": to, "at": at, "auto": True, "reason": "request"}
    fields |= {"receipt": hexed(f"record {number}"), "rtype": "record"}
    return event.build("requeued", {**fields, **({"prev": prev} if prev else {})})


def ask(book: Book, **wanted: object) -> tuple[LoggedEvent, ...]:
    return book.store.read(lambda connection: book.log.events(connection, EventFilter(**wanted)))  # type: ignore[arg-type]  # by name


@pytest.mark.parametrize("derived", [0, 3, 100])
def test_a_question_is_answered_completely_however_much_is_derived(book: Book, derived: int) -> None:
    """The newest leaves count, whether or not the query table has them yet."""
    book.add(*[requeued(number, to=f"H99.0{number % 3}") for number in range(9)], operation(50))
    book.store.do(lambda unit: book.log.derive(unit.connection, limit=derived) if derived else 0)
    assert [one.index for one in ask(book, msg="m-1")] == list(range(1, 10))
    assert [one.index for one in ask(book, recipient="H99.01")] == [2, 5, 8]
    assert [one.index for one in ask(book, kind="operation")] == [10]
    assert [one.index for one in ask(book, receipt=hexed("record 4"))] == [5]
    assert [one.index for one in ask(book, msg="m-1", after=6)] == [7, 8, 9]
    assert [one.index for one in ask(book, msg="m-1", limit=2)] == [1, 2]
    assert [one.index for one in ask(book, since=START + timedelta(seconds=7), until=START + timedelta(seconds=8))] == [
        8
    ]
    third = ask(book, msg="m-1")[2]
    assert [one.index for one in ask(book, leaf=third.leaf.sha256)] == [3]
    assert ask(book, msg="unknown") == ()


def test_deriving_goes_on_where_it_stopped_and_agrees_with_the_leaves(book: Book) -> None:
    book.add(*[requeued(number) for number in range(5)])
    counts = [book.store.do(lambda unit: book.log.derive(unit.connection, limit=4)) for _ in range(3)]
    assert counts == [4, 2, 0]


def test_prev_names_the_leaf_before_also_inside_one_transaction(book: Book) -> None:
    """Two acts on one dispatch in one unit, others in between: the chain does not break."""

    def both(unit: Unit) -> list[str | None]:
        seen = []
        for number in range(3):
            prev = book.log.last_of(unit.connection, **CHAIN, side="s")
            seen.append(prev)
            unit.append(requeued(number, prev=prev))
            unit.append(requeued(number, to="H99.09"))
        return seen

    first = book.store.do(both)
    second = book.store.do(both)
    leaves = [one.leaf.sha256 for one in ask(book, msg="m-1", recipient="H99.02")]
    assert [*first, *second] == [None, *leaves[:-1]]
    book.store.do(lambda unit: book.log.derive(unit.connection))
    last = book.store.do(lambda unit: book.log.last_of(unit.connection, **CHAIN, side="s"))
    assert last == leaves[-1]
    assert book.store.do(lambda unit: book.log.last_of(unit.connection, **CHAIN, side="r")) is None


def test_a_broken_chain_is_found_by_the_check(book: Book) -> None:
    book.add(requeued(1))
    book.add(requeued(2))
    result = book.store.read(book.log.verify)
    assert (result.result, result.first_bad_index, result.reason) == ("broken", 2, "prev")


def test_an_extract_holds_every_leaf_of_a_message_with_proofs_in_one_checkpoint(book: Book) -> None:
    book.add(requeued(0), operation(1), requeued(2, to="H99.03"), operation(3))
    extract = book.store.read(lambda connection: book.log.extract(connection, "m-1"))
    assert [one.index for one in extract.leaves] == [1, 3]
    for one in (extract.opened, *extract.leaves):
        found = proof.parse(one.proof)
        assert (found.checkpoint, found.extra, found.index) == (extract.checkpoint, one.data, one.index)
        assert found.verify(found.leaf(), log=book.key.verifier).checkpoint.size == 5
    assert event.parse(extract.opened.data).kind == "log-opened"
    exported: dict[str, event.Value] = {
        "at": START,
        "auto": False,
        "msg": "m-1",
        "rtype": "file",
        "receipt": hexed("file"),
    }
    book.add(event.build("exported", {**exported, "actor": hexed("somebody")}))
    assert len(book.store.read(lambda connection: book.log.extract(connection, "m-1")).leaves) == 2
    single = book.store.read(lambda connection: book.log.extract(connection, "m-1", recipient="H99.03"))
    assert [one.index for one in single.leaves] == [3]


def test_openings_are_kept_beside_the_log_and_never_in_it(book: Book) -> None:
    commitments, openings = event.commit_all({"actor": "Trần Thị Mẫu", "note": "chuyển lại"})
    fields: dict[str, event.Value] = {**DISPATCH, "at": START, "auto": False, "reason": "other", "rtype": "record"}
    leaf = event.build("requeued", {**fields, **commitments, "receipt": hexed("record")})

    def act(unit: Unit) -> bytes:
        ticket = unit.append(leaf)
        book.log.keep_openings(unit.connection, ticket.leaf, openings)
        return ticket.leaf

    digest = book.store.do(act)
    assert book.store.read(lambda connection: book.log.openings(connection, digest)) == openings
    with book.store._readers.connect() as connection:
        for table in ("ledger_leaf", "ledger_head", "ledger_event"):
            rows = connection.exec_driver_sql(f"SELECT * FROM {table}").all()
            assert "Trần Thị Mẫu".encode() not in repr(rows).encode()
        assert "Trần Thị Mẫu".encode() not in leaf


def test_a_proof_is_found_by_leaf_and_by_the_digest_of_its_evidence(book: Book) -> None:
    book.add(operation(1), requeued(2))
    leaf = ask(book, msg="m-1")[0].leaf
    by_leaf = book.store.read(lambda connection: book.log.proof_for_leaf(connection, leaf.sha256))
    by_receipt = book.store.read(lambda connection: book.log.proof_for_receipt(connection, hexed("record 2")))
    assert by_leaf == by_receipt
    assert proof.parse(by_leaf).index == 2
