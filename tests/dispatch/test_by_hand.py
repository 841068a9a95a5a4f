"""A message carried by hand, and its receipt carried back: the same keys, the same guarantees (P4, R95)."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest

from edoc import seal as seals
from tests import world as worlds
from tests.dispatch.conftest import A, B, kinds, queue, turn
from tests.world import World
from transport import receipts
from transport.dispatch import State
from transport.errors import ReceiptInvalid, Refused
from transport.node import byhand, handling
from transport.store.takeback import Act
from transport.store.values import RowFilter

PERSON = "Lê Văn Mẫu"


def carried(world: World, message_id: str) -> bytes:
    """Export at A; return the bytes of the file."""
    office = world.nodes[A].office
    out = byhand.hand_out(office, f"msg:{message_id}", None, person=PERSON, now=world.clock.now)
    return office.store.fetch(out.sha256)


def test_a_message_goes_by_hand_and_its_receipt_comes_back_by_hand(world: World) -> None:
    message_id = queue(world)
    data = carried(world, message_id)
    assert world.dispatch(A, message_id).state is State.UNKNOWN
    assert world.dispatch(A, message_id).exposed
    brought = byhand.bring_message(world.nodes[B].office, data, now=world.clock.now)
    assert (brought.state, brought.repeated) == ("accepted", False)
    file, _ = byhand.receipt_file(world.nodes[B].office, f"msg:{message_id}", now=world.clock.now)
    assert b"LedgerProof" in file, "the proof is attached as it is known (Q4)"
    settled = byhand.bring_receipt(world.nodes[A].office, file, now=world.clock.now)
    assert (settled.state, settled.repeated) == ("delivered", False)
    assert world.dispatch(A, message_id).receipt is not None
    assert kinds(world, A, message_id) == ["sent", "exported", "relayed"]


def test_the_same_file_twice_and_the_wire_afterwards_meet_the_one_receipt(world: World) -> None:
    message_id = queue(world)
    data = carried(world, message_id)
    first = byhand.bring_message(world.nodes[B].office, data, now=world.clock.now)
    again = byhand.bring_message(world.nodes[B].office, data, now=world.clock.turn(timedelta(hours=1)))
    assert (again.repeated, again.receipt) == (True, first.receipt)
    turn(world)  # the courier of A carries it by wire, too
    assert world.dispatch(A, message_id).state is State.DELIVERED
    stored = world.dispatch(A, message_id).receipt
    assert stored is not None
    assert stored.data == first.receipt
    assert len(world.nodes[B].inbox(RowFilter()).rows) == 1
    bare = byhand.bring_receipt(world.nodes[A].office, first.receipt, now=world.clock.now)
    assert bare.repeated, "a receipt without its copy form is taken as well"


def test_a_file_whose_seal_does_not_hold_uses_up_no_message_id(world: World) -> None:
    message_id = queue(world)
    data = carried(world, message_id)
    spoilt = data.replace("thử nghiệm".encode(), "thử nghiẽm".encode(), 1)
    assert spoilt != data
    for bad in (spoilt, b"<a/>", b"", data[:-100]):
        with pytest.raises(Refused) as caught:
            byhand.bring_message(world.nodes[B].office, bad, now=world.clock.now)
        assert caught.value.code == "EDOC-EXC-065"
    assert byhand.bring_message(world.nodes[B].office, data, now=world.clock.now).state == "accepted"


def test_a_seal_that_is_not_the_senders_uses_up_no_message_id(world: World) -> None:
    """Anybody can write a file; only the sender can seal as the sender."""
    now = world.clock.now
    letter = seals.read_packed(worlds.letter(at=now))
    forged = seals.seal(
        letter,
        message_id="6f1d2c9a-8f57-4f0e-b0a5-90d3c1b7e2f4",
        credential=world.identities[B]["exchange"].credential,
        at=now,
    )
    with pytest.raises(Refused) as caught:
        byhand.bring_message(world.nodes[B].office, forged.data, now=now)
    assert caught.value.facts["reason"] == "seal-not-sender"


def test_a_message_for_another_agency_is_refused_by_receipt_also_by_hand(world: World) -> None:
    message_id = queue(world)
    data = carried(world, message_id)
    office = world.nodes[A].office
    brought = byhand.bring_message(office, data, now=world.clock.now)  # at its own sender, who is no recipient
    assert brought.state == "refused"
    assert receipts.parse(brought.receipt).reasons[0].code == "wrong-addressee"


def test_a_spoilt_receipt_settles_nothing(world: World) -> None:
    message_id = queue(world)
    data = carried(world, message_id)
    receipt = byhand.bring_message(world.nodes[B].office, data, now=world.clock.now).receipt
    spoilt = re.sub(rb"<Size>[0-9]+", b"<Size>1", receipt)
    with pytest.raises(ReceiptInvalid):
        byhand.bring_receipt(world.nodes[A].office, spoilt, now=world.clock.now)
    assert world.dispatch(A, message_id).state is State.UNKNOWN
    assert "receipt-invalid" in kinds(world, A, message_id)
    foreign = queue(world, "121")
    with pytest.raises(Refused):
        byhand.bring_receipt(world.nodes[B].office, receipt, now=world.clock.now)
    assert world.dispatch(A, foreign).state is State.QUEUED


def test_nothing_is_exported_from_a_final_state_or_after_a_take_back(world: World) -> None:
    delivered, taken = queue(world, "119"), queue(world, "120")
    carried(world, taken)
    office = world.nodes[A].office
    handling.take_back(office, f"msg:{taken}", None, Act(PERSON, "sent-by-mistake"), now=world.clock.now)
    world.settle()
    for message_id in (delivered, taken):
        with pytest.raises(Refused) as caught:
            carried(world, message_id)
        assert caught.value.code == "EDOC-EXC-062"


def test_other_bytes_under_a_known_id_are_refused_and_entered(world: World) -> None:
    now, message_id = world.clock.now, "6f1d2c9a-8f57-4f0e-b0a5-90d3c1b7e2f4"
    mine = world.identities[A]["exchange"].credential
    files = [
        seals.seal(seals.read_packed(worlds.letter(number, at=now)), message_id=message_id, credential=mine, at=now)
        for number in ("120", "121")
    ]
    office = world.nodes[B].office
    assert byhand.bring_message(office, files[0].data, now=now).state == "accepted"
    with pytest.raises(Refused) as caught:
        byhand.bring_message(office, files[1].data, now=now)
    assert caught.value.code == "EDOC-EXC-064"
    assert "id-conflict" in kinds(world, B, message_id)


def test_a_large_file_is_taken_in_one_pass_with_the_same_answers(world: World, tmp_path: Path) -> None:
    message_id = queue(world, content=b"%PDF-1.4\n" + bytes(range(256)) * 100 + b"\n%%EOF\n")
    data = carried(world, message_id)
    good, bad = tmp_path / "good.edxml", tmp_path / "bad.edxml"
    good.write_bytes(data)
    bad.write_bytes(data.replace("thử nghiệm".encode(), "thử nghiẽm".encode(), 1))
    office, now = world.nodes[B].office, world.clock.now
    with pytest.raises(Refused) as caught:
        byhand.bring_message_file(office, bad, now=now)
    assert caught.value.code == "EDOC-EXC-065"
    first = byhand.bring_message_file(office, good, now=now)
    again = byhand.bring_message_file(office, good, now=now)
    assert (first.state, again.repeated, again.receipt) == ("accepted", True, first.receipt)
    assert good.read_bytes() == data, "the person's file stays"
    assert byhand.bring_receipt(world.nodes[A].office, first.receipt, now=now).state == "delivered"
