"""Two offices that know each other, fresh for each test, and what a courier does with a dispatch that is taken back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from signer.devpki import DevPki
from tests import world as worlds
from tests.world import World
from transport.courier import Reply
from transport.node.outgoing import Outgoing

A, B = "H99.01", "H99.02"


@pytest.fixture
def world(tmp_path: Path, pki: DevPki, now: datetime) -> Iterator[World]:
    """Agencies A and B, each with a store, keys and an open ledger."""
    made = worlds.build(tmp_path, pki, now)
    yield made
    made.close()


def queue(world: World, number: str = "120", **facts: object) -> str:
    """Queue a letter of A for B and return its message id."""
    data = worlds.letter(number, at=world.clock.now, name=f"{number}-SMA-VP.pdf", **facts)  # type: ignore[arg-type]
    return world.nodes[A].send(data, now=world.clock.now, allow_information_only=True).message_id


def turn(world: World, *, reach: bool = True) -> int:
    """Do at A what its courier does once: claim, carry or only ask, settle; ``reach`` false: B does not answer."""
    outgoing, now = Outgoing(world.nodes[A].office), world.clock.now
    claims = outgoing.claim(now, "courier", 10)
    for claim in claims:
        parcel = outgoing.parcel(claim, now)
        assert parcel is not None
        if not reach:
            reply = Reply("unreachable")
        elif claim.recall_requested:
            reply = _asked(world, parcel.key)
        else:
            reply = world.wire.carry(parcel)
        outgoing.settle(claim, reply, now)
    return len(claims)


def _asked(world: World, key: object) -> Reply:
    known = world.nodes[B].known(key)  # type: ignore[arg-type]  # a key, as the parcel has it
    if known is None:
        return Reply("problem", 404, problem="unknown-message")
    return Reply("receipt", 200, known.receipt.data, ledger=known.receipt.ledger)


def kinds(world: World, code: str, message_id: str) -> list[str]:
    """Return the kinds of a message's leaves at one office."""
    from transport.store.log import EventFilter

    office = world.nodes[code].office
    found = office.store.read(lambda connection: office.log.events(connection, EventFilter(msg=message_id)))
    return [one.leaf.kind for one in found]
