"""F16: a node restored from an older backup is read-only until a person decides, and then goes on in a new log."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.postgres import Server
from tests.world import letter
from transport.dispatch import State
from transport.errors import LedgerError
from transport.node import reopening
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


def test_comparing_receipts_names_the_letter_that_was_lost(world: World, restored: tuple[Node, Settings]) -> None:
    """The one declared exception to I2 and I5: the sender holds a receipt that the recipient no longer has."""
    node, _ = restored
    asked = "SELECT message_id FROM receipt WHERE direction = {direction} ORDER BY id"

    def ids(office: Node, direction: str) -> set[str]:
        return set(
            office.office.store.read(
                lambda connection: connection.exec_driver_sql(asked.format(direction=f"'{direction}'")).scalars().all()
            )
        )

    assert len(ids(world.nodes[A], "in") - ids(node, "out")) == 1
