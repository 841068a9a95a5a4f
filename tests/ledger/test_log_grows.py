"""The log in its database: places, tiles, heads, proofs, against the short reference."""

from __future__ import annotations

import re
import sqlite3
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from tests.ledger import reference
from tests.ledger.conftest import ORIGIN, SQLITE, START, Book, Home, hexed, operation
from transport.errors import LedgerError
from transport.ledger import proof
from transport.ledger.checkpoint import open_checkpoint
from transport.ledger.merkle import leaf_hash, verify_consistency
from transport.ledger.note import LogKey
from transport.store.log import Log
from transport.store.store import Store, Unit


def test_a_new_log_begins_with_the_leaf_that_names_the_key_statement(book: Book) -> None:
    first = book.store.read(lambda connection: book.log.entry(connection, 0))
    assert (first.leaf.kind, first.leaf.text("receipt")) == ("log-opened", hexed("keys.xml"))
    head = book.head()
    assert (head.origin, head.size, head.at, head.shard) == (ORIGIN, 1, START, "2026")
    assert head.root == leaf_hash(first.leaf.data)


def test_leaves_get_their_indices_in_the_order_of_the_acts_before_the_answer(book: Book) -> None:
    tickets = book.add(*[operation(number) for number in range(5)])
    assert [ticket.index for ticket in tickets] == [1, 2, 3, 4, 5]
    more = book.add(operation(6))
    assert [ticket.index for ticket in more] == [6]


def test_a_failed_act_leaves_no_leaf_and_no_gap(book: Book) -> None:
    def fails(unit: Unit) -> None:
        unit.append(operation(1))
        raise LedgerError("EDOC-LED-030", "refused after the leaf was written")

    with pytest.raises(LedgerError):
        book.store.do(fails)
    assert book.add(operation(2))[0].index == 1
    assert book.store.read(book.log.verify).result == "proved"


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 1_000])
def test_a_log_of_any_size_has_the_root_and_proofs_of_rfc_6962(book: Book, size: int) -> None:
    _fill(book, size)
    _compare(book, size, sample=range(0, size, max(1, size // 20)))


@SQLITE
def test_a_log_of_seventy_thousand_leaves_is_that_of_rfc_6962(book: Book) -> None:
    _fill(book, 70_000, step=1_000)
    _compare(book, 70_000, sample=[0, 1, 255, 256, 65_535, 65_536, 69_999])


def _fill(book: Book, size: int, *, step: int = 97) -> None:
    at = book.head().size
    while at < size:
        until = min(at + step, size)
        book.add(*[operation(number) for number in range(at, until)])
        at = until


def _compare(book: Book, size: int, *, sample: range | list[int]) -> None:
    with book.store._readers.connect() as connection:
        rows = connection.exec_driver_sql("SELECT data FROM ledger_leaf ORDER BY ticket")
        hashes = [leaf_hash(bytes(row[0])) for row in rows]
        root = reference.mth(hashes)
        head = book.log.head(connection)
        assert (head.size, head.root) == (size, root)
        assert open_checkpoint(head.note, log=book.key.verifier).checkpoint.root == root
        for index in sample:
            shown = proof.parse(book.log.proof_for_index(connection, index))
            assert list(shown.path) == reference.path(index, hashes)
            assert shown.verify(shown.leaf(), log=book.key.verifier).checkpoint.root == root
        for old in sample:
            if old:
                path = book.log.consistency(connection, old)
                assert list(path) == reference.proof(old, hashes)
                verify_consistency(old, size, path, old_root=reference.mth(hashes[:old]), new_root=root)
        assert book.log.verify(connection).result == "proved"


def test_a_proof_in_an_older_checkpoint_verifies(book: Book) -> None:
    _fill(book, 300)
    text = book.store.read(lambda connection: book.log.proof_for_index(connection, 7, size=200, extra=False))
    shown = proof.parse(text)
    leaf = book.store.read(lambda connection: book.log.entry(connection, 7)).leaf
    signed = shown.verify(bytes.fromhex(leaf.sha256), log=book.key.verifier)
    assert (signed.checkpoint.size, shown.extra) == (200, None)


def test_the_head_keeps_its_time_when_an_act_is_older_than_the_one_before(book: Book) -> None:
    book.add(operation(1, at=START + timedelta(hours=2)))
    book.add(operation(2, at=START + timedelta(hours=1)))
    assert book.head().at == START + timedelta(hours=2)


def test_two_processes_append_to_one_log_without_gap_or_fork(
    tmp_path: Path, log_key: LogKey, database_url: str | None
) -> None:
    one_log, two_log = Log(log_key), Log(LogKey.from_seed(ORIGIN, bytes(range(32))))
    home = Home(tmp_path / "home", database_url)
    with Store.create(home, one_log) as one, Store.open(home, log=two_log) as two:
        one.do(lambda unit: one_log.open_first(unit.connection, statement_sha256=hexed("keys.xml"), at=START))
        futures = []
        for number in range(200):
            futures.append((one, two)[number % 2].write(partial(Unit.append, leaf=operation(number))))
        indices = sorted(future.result().index or 0 for future in futures)
        assert indices == list(range(1, 201))
        assert one.read(one_log.verify).result == "proved"


@SQLITE
def test_a_key_of_another_log_cannot_append(book: Book) -> None:
    stranger = Log(LogKey.generate(ORIGIN))
    with Store.open(Home(book.store.home), log=stranger) as store, pytest.raises(LedgerError) as caught:
        store.do(lambda unit: unit.append(operation(1)))
    assert caught.value.code == "EDOC-LED-024"
    assert book.head().size == 1


def test_a_frozen_log_is_read_but_not_written(book: Book) -> None:
    _change(book, "UPDATE ledger_log SET state = 'frozen', reason = 'side file'")
    with pytest.raises(LedgerError) as caught:
        book.add(operation(1))
    assert caught.value.code == "EDOC-LED-023"
    assert (book.head().size, book.head().state, book.head().reason) == (1, "frozen", "side file")


def test_a_head_that_contradicts_itself_is_never_continued(book: Book) -> None:
    book.add(operation(1))
    _change(book, "UPDATE ledger_head SET edge = zeroblob(32)")
    if book.store.shared:  # there the leaf is durable and waits
        (ticket,) = book.add(operation(2))
        assert (ticket.index, book.head().size) == (None, 2)
        return
    with pytest.raises(LedgerError) as caught:
        book.add(operation(2))
    assert caught.value.code == "EDOC-LED-025"


def test_a_second_log_cannot_be_opened_beside_the_first(book: Book) -> None:
    with pytest.raises(LedgerError) as caught:
        book.store.do(lambda unit: book.log.open_first(unit.connection, statement_sha256=hexed("keys.xml"), at=START))
    assert caught.value.code == "EDOC-LED-022"


def test_what_is_not_in_the_log_has_no_proof(book: Book) -> None:
    for ask in (
        lambda connection: book.log.proof_for_index(connection, 1),
        lambda connection: book.log.proof_for_index(connection, -1),
        lambda connection: book.log.proof_for_leaf(connection, "0" * 64),
        lambda connection: book.log.proof_for_receipt(connection, "0" * 64),
        lambda connection: book.log.entry(connection, 5),
        lambda connection: book.log.extract(connection, "nothing"),
    ):
        with pytest.raises(LedgerError) as caught:
            book.store.read(ask)
        assert caught.value.code == "EDOC-LED-030"


# --- the check of the whole log --------------------------------------------------------------------------------------


def _change(book: Book, statement: str) -> None:
    """Change rows behind the back of the program, as somebody with the database file could."""
    if book.store.shared:
        _change_on_postgresql(book, statement)
        return
    with sqlite3.connect(book.store.home / "edoc.db") as connection:
        triggers = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for (name,) in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute(statement)
    connection.close()


_LIKE_SQLITE = """
    CREATE OR REPLACE FUNCTION zeroblob(integer) RETURNS bytea LANGUAGE sql AS
        $$ SELECT decode(repeat('00', $1), 'hex') $$;
    CREATE OR REPLACE FUNCTION replace(bytea, text, text) RETURNS bytea LANGUAGE sql AS
        $$ SELECT convert_to(replace(convert_from($1, 'UTF8'), $2, $3), 'UTF8') $$;
    DROP DOMAIN IF EXISTS blob_bytes;
    CREATE DOMAIN blob_bytes AS bytea;
"""


def _change_on_postgresql(book: Book, statement: str) -> None:
    """The same as an administrator of the server could, whom triggers do not stop."""
    psycopg = pytest.importorskip("psycopg")
    statement = re.sub(r"x'([0-9a-f]*)'", r"'\\x\1'::bytea", statement).replace("AS BLOB)", "AS blob_bytes)")
    address = book.store.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(address) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(_LIKE_SQLITE)
        connection.execute(statement)


TAMPERED = {
    "a leaf's bytes": ("UPDATE ledger_leaf SET data = replace(data, 'ok', 'no') WHERE ticket = 11", 10),
    "a leaf's hash": ("UPDATE ledger_leaf SET leaf = zeroblob(32) WHERE ticket = 11", 10),
    "a place": ("UPDATE ledger_entry SET idx = 5000 WHERE idx = 20", 20),
    "two leaves swapped": (
        "UPDATE ledger_leaf SET (leaf, data) = (SELECT leaf, data FROM ledger_leaf WHERE ticket = 31) "
        "WHERE ticket = 30",
        29,
    ),
    "a leaf removed": ("DELETE FROM ledger_entry WHERE idx = 299", 299),
    "a tile": ("UPDATE ledger_tile SET data = CAST(zeroblob(32) || substr(data, 33) AS BLOB)", 0),
    "a tile's root": ("UPDATE ledger_tile SET root = zeroblob(32)", 0),
    "a tile removed": ("DELETE FROM ledger_tile", 0),
    "the head's root": ("UPDATE ledger_head SET root = zeroblob(32)", None),
    "the head's size": ("UPDATE ledger_head SET size = 299", 299),
    "the head's edge": (
        "UPDATE ledger_head SET edge = CAST(substr(edge, 1, 64) || zeroblob(32) || substr(edge, 97) AS BLOB)",
        288,
    ),
    "the head's time": ("UPDATE ledger_head SET at = at + 1", None),
    "the head's signature": ("UPDATE ledger_head SET note = replace(note, 'sob.example', 'soa.example')", None),
    "the log's key": (f"UPDATE ledger_log SET vkey = '{LogKey.generate(ORIGIN).vkey}'", None),
    "the query table": ("UPDATE ledger_event SET action = 'other' WHERE idx = 40", 40),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_a_changed_row_is_found_and_the_first_wrong_index_named(book: Book, name: str) -> None:
    _fill(book, 300)
    book.store.do(lambda unit: book.log.derive(unit.connection))
    assert book.store.read(book.log.verify).result == "proved"
    statement, index = TAMPERED[name]
    _change(book, statement)
    result = book.store.read(book.log.verify)
    assert (result.result, result.first_bad_index) == ("broken", index), result.problems


def test_a_leaf_rewritten_with_its_hash_is_found_by_the_tile_and_in_the_tail_by_the_edge(book: Book) -> None:
    _fill(book, 300)
    for index in (100, 270):
        other = operation(9_999 + index)
        values = f"data = x'{other.hex()}', leaf = x'{leaf_hash(other).hex()}'"
        _change(book, f"UPDATE ledger_leaf SET {values} WHERE ticket = {index + 1}")
    result = book.store.read(book.log.verify)
    assert (result.result, result.first_bad_index) == ("broken", 0 if result.problems[0].code == "edge" else 100)
    assert {"tile", "root"} <= {problem.code for problem in result.problems}
    ranged = book.store.read(lambda connection: book.log.verify(connection, first=90, last=110))
    assert (ranged.result, ranged.first_bad_index, ranged.checked) == ("broken", 100, 21)


def test_a_log_signed_anew_with_another_key_is_found_by_whoever_holds_the_key(book: Book) -> None:
    _fill(book, 20)
    thief = LogKey.generate(ORIGIN)
    note = thief.sign_note(book.head().note.partition("\n\n")[0] + "\n")
    _change(book, f"UPDATE ledger_head SET note = '{note}'")
    _change(book, f"UPDATE ledger_log SET vkey = '{thief.vkey}'")
    result = book.store.read(book.log.verify)
    assert (result.result, result.reason) == ("broken", "head")


def test_a_range_or_sample_is_checked_against_the_tree(book: Book) -> None:
    _fill(book, 600)
    ranged = book.store.read(lambda connection: book.log.verify(connection, first=500, last=599))
    assert (ranged.result, ranged.checked, ranged.size) == ("proved", 100, 600)
    sampled = book.store.read(lambda connection: book.log.verify(connection, sample=25))
    assert (sampled.result, sampled.checked) == ("proved", 25)


def test_missing_evidence_bytes_are_not_proved_and_wrong_ones_broken(book: Book) -> None:
    book.add(operation(1))
    kept = {hexed("keys.xml"): b"keys.xml", hexed("record 1"): b"record 1"}
    assert book.store.read(lambda c: book.log.verify(c, receipts=kept.get)).result == "proved"
    missing = book.store.read(lambda c: book.log.verify(c, receipts={hexed("keys.xml"): b"keys.xml"}.get))
    assert (missing.result, missing.reason) == ("not-proved", "receipt-missing")
    kept[hexed("record 1")] = b"record 2"
    wrong = book.store.read(lambda c: book.log.verify(c, receipts=kept.get))
    assert (wrong.result, wrong.first_bad_index) == ("broken", 1)


def test_a_checkpoint_kept_elsewhere_shows_a_rewritten_log(book: Book, tmp_path: Path) -> None:
    book.add(operation(1), operation(2))
    kept = book.head().note.encode()
    book.add(operation(3))
    assert book.store.read(lambda c: book.log.verify(c, against=kept)).result == "proved"
    other_log = Log(book.key)
    with Store.create(Home(tmp_path / "other"), other_log) as other:
        other.do(lambda unit: other_log.open_first(unit.connection, statement_sha256=hexed("keys.xml"), at=START))
        assert other.read(lambda c: other_log.verify(c, against=kept)).reason == "against"
        other.do(lambda unit: [unit.append(operation(number)) for number in (1, 9, 3)])
        found = other.read(lambda c: other_log.verify(c, against=kept))
        assert (found.result, found.reason) == ("broken", "against")
