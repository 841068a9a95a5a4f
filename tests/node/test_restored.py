"""F16: a node restored from an older backup is read-only until a person decides, and then goes on in a new log."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.postgres import Server
from tests.world import letter
from transport.dispatch import State
from transport.errors import LedgerError
from transport.node import comparing, reopening
from transport.node.node import Node
from transport.settings import Settings, load
from transport.store import backup, restore

if TYPE_CHECKING:
    from tests.world import World

A, B = "H99.01", "H99.02"


def send(world: World) -> str:
    """Send a letter from A to B and carry everything."""
    data = letter(at=world.clock.now)
    message_id = world.nodes[A].send(data, now=world.clock.now, allow_information_only=True).message_id
    world.settle()
    return message_id


@pytest.fixture
def restored(
    world: World, tmp_path: Path, databases: dict[str, str], request: pytest.FixtureRequest
) -> tuple[Node, Settings]:
    """B after its disk was lost: brought back from a backup that does not know the last letter."""
    b = world.nodes[B]
    send(world)
    backup.write(b.office.store, tmp_path / "backup", now=world.clock.now)
    world.clock.turn(timedelta(minutes=1))
    send(world)
    kept = (b.office.settings.home / "heads.log").read_bytes()
    b.close()
    url = None
    if databases:
        server: Server = request.getfixturevalue("postgres")
        url = server.url(server.create())

    def elsewhere(home: Path) -> Settings:
        overrides = {"database.url": url} if url else {}
        return load(home=home, config=None, environ={}, overrides=overrides)

    home = tmp_path / "restored"
    home.mkdir()
    (home / "heads.log").write_bytes(kept)
    restore.into(home, tmp_path / "backup", elsewhere)
    node = Node.open(elsewhere(home), need_exchange=True)
    world.nodes[B] = node
    return node, elsewhere(home)


def test_it_reads_and_neither_sends_nor_receives(world: World, restored: tuple[Node, Settings]) -> None:
    node, _ = restored
    ready, checks = node.ready()
    assert (ready, checks["ledger"]) == (False, "frozen")
    assert node.office.store.read(node.office.log.verify).result == "proved"
    with pytest.raises(LedgerError) as caught:
        node.note("test", person="mau", subject="x", now=world.clock.now)
    assert (caught.value.code, caught.value.facts["reason"]) == ("EDOC-LED-023", "side-file")


def test_a_persons_decision_opens_the_next_log_and_the_exchange_goes_on(
    world: World, restored: tuple[Node, Settings]
) -> None:
    node, settings = restored
    old = node.office.store.read(node.office.log.head)
    made = reopening.after_loss(node.office, b"decision", person="mau", now=world.clock.now)
    assert made.origin == f"{old.origin}-2"
    node.close()
    again = Node.open(settings, need_exchange=True)
    world.nodes[B] = again
    store, log = again.office.store, again.office.log
    assert again.ready()[1]["ledger"] == "ok"
    first = store.read(lambda connection: log.entry(connection, 0)).leaf
    assert first.fields["reason"] == "restored"
    assert first.fields["log"] == {"origin": old.origin, "size": old.size, "root": old.root.hex()}
    world.clock.turn(timedelta(minutes=1))
    message_id = send(world)
    assert world.dispatch(A, message_id).state is State.DELIVERED
    assert store.read(log.verify).result == "proved"
    assert store.read(lambda connection: log.verify(connection, shard=old.shard)).result == "proved"
    with pytest.raises(LedgerError) as caught:
        reopening.after_loss(again.office, b"decision", person="mau", now=world.clock.now)
    assert caught.value.code == "EDOC-LED-027"


def a_list(office: Node, to: str, folder: Path, *, now: datetime) -> Path:
    """Write the list of receipts that an office makes for another."""
    path = folder / "receipts.jsonl"
    with path.open("wb") as file:
        comparing.write(office.office.store, office.office.code, to, file.write, now=now)
    return path


def test_a_partners_list_names_every_message_that_was_lost_and_where_its_leaf_stood(
    world: World, restored: tuple[Node, Settings], tmp_path: Path
) -> None:
    """Nothing of it needs the partner's word: the restored node's own signature stands on what it had received."""
    node, _ = restored
    lost = send_before(world, node)
    path = a_list(world.nodes[A], B, tmp_path, now=world.clock.now)
    before = node.office.store.read(node.office.log.head)
    with path.open("rb") as file:
        found = comparing.compare(node.office.store, B, file, path=str(path), now=world.clock.now)
    assert found.partner == A
    named = {(one.what, one.kind, one.key.message_id) for one in found.unmatched if one.key.sender == A}
    assert named == {("missing", "relayed", lost)}
    (one,) = (one for one in found.unmatched if one.kind == "relayed")
    assert one.proved
    assert one.index is not None
    assert one.index >= before.size, "a leaf that this log no longer has"
    assert node.office.store.read(node.office.log.head) == before


def send_before(world: World, node: Node) -> str:
    """Return the id of the letter that A sent and the restored B does not know."""
    here = "SELECT m.message_id FROM message m WHERE m.kind = 'edoc' ORDER BY m.id"
    sent = world.nodes[A].office.store.read(lambda connection: connection.exec_driver_sql(here).scalars().all())
    there = "SELECT message_id FROM inbox"
    known = node.office.store.read(lambda connection: connection.exec_driver_sql(there).scalars().all())
    (lost,) = set(sent) - set(known)
    return str(lost)


def test_what_the_restored_office_had_sent_and_forgotten_is_named_as_well(
    world: World, restored: tuple[Node, Settings], tmp_path: Path
) -> None:
    node, _ = restored
    path = a_list(world.nodes[A], B, tmp_path, now=world.clock.now)
    with path.open("rb") as file:
        found = comparing.compare(node.office.store, B, file, path=str(path), now=world.clock.now)
    gone = {one.key.message_id for one in found.unmatched if one.kind == "sent"}
    mine = "SELECT message_id FROM receipt WHERE direction = 'out'"  # statuses of B that A answered
    given = set(world.nodes[A].office.store.read(lambda c: c.exec_driver_sql(mine).scalars().all()))
    kept = "SELECT message_id FROM message"
    known = set(node.office.store.read(lambda c: c.exec_driver_sql(kept).scalars().all()))
    assert gone == given - known
    assert gone


def test_offices_that_lost_nothing_find_nothing(world: World, tmp_path: Path) -> None:
    send(world)
    for here, there in ((A, B), (B, A)):
        path = a_list(world.nodes[here], there, tmp_path, now=world.clock.now)
        with path.open("rb") as file:
            found = comparing.compare(world.nodes[there].office.store, there, file, path=str(path), now=world.clock.now)
        assert (found.unmatched, found.receipts) == ((), 2)


def test_a_receipt_that_another_signed_is_the_partners_word_alone(
    world: World, restored: tuple[Node, Settings], tmp_path: Path
) -> None:
    node, _ = restored
    path = a_list(world.nodes[A], B, tmp_path, now=world.clock.now)
    lines = path.read_bytes().splitlines(keepends=True)
    for number, line in enumerate(lines):
        members = json.loads(line)
        if "receipt" in members:
            data = base64.b64decode(members["receipt"])
            members["receipt"] = base64.b64encode(data.replace(b"<OrganName>S", b"<OrganName>T")).decode()
            lines[number] = json.dumps(members).encode() + b"\n"
    path.write_bytes(b"".join(lines))
    with path.open("rb") as file:
        found = comparing.compare(node.office.store, B, file, path=str(path), now=world.clock.now)
    assert found.unmatched
    assert not any(one.proved for one in found.unmatched)


@pytest.mark.parametrize(
    ("spoil", "detail"),
    [
        (lambda lines: lines[:-1], "cut"),
        (lambda lines: [*lines[:1], *lines[2:]], "count"),
        (lambda lines: [*lines, lines[1]], "after-end"),
        (lambda lines: [lines[0], b"{}\n"], "receipt"),
        (lambda lines: [lines[0], b'{"receipt":"PGEvPg=="}\n'], "receipt"),
        (lambda lines: [lines[0], b"[" * 300_000], "line"),
        (lambda lines: [b'{"schema":"edoc.send/1"}\n'], "head"),
        (lambda lines: [lines[0].replace(b'"to":"H99.02"', b'"to":"H99.01"'), *lines[1:]], "other-agency"),
    ],
)
def test_a_list_that_was_cut_changed_or_is_for_others_is_refused(
    spoil: Callable[[list[bytes]], list[bytes]], detail: str, world: World, tmp_path: Path
) -> None:
    send(world)
    path = a_list(world.nodes[A], B, tmp_path, now=world.clock.now)
    path.write_bytes(b"".join(spoil(path.read_bytes().splitlines(keepends=True))))
    with path.open("rb") as file, pytest.raises(LedgerError) as caught:
        comparing.compare(world.nodes[B].office.store, B, file, path=str(path), now=world.clock.now)
    if detail == "other-agency":
        assert caught.value.code == "EDOC-LED-045"
    else:
        assert (caught.value.code, caught.value.facts["detail"]) == ("EDOC-LED-044", detail)
