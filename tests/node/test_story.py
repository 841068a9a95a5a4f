"""A letter between two offices, told from submit to receipt and status, with what may go wrong on the way."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from signer.errors import TimestampError
from signer.trust import TrustStore
from tests.world import letter
from transport.dispatch import State
from transport.errors import Refused
from transport.evidence import STEPS, audit
from transport.node.deciding import Acceptance, NotDecided
from transport.node.proving import Asked
from transport.store.effects import counts
from transport.store.values import RowFilter

if TYPE_CHECKING:
    from signer.devpki import DevTimestamper
    from tests.world import World


STEPS_WITHOUT_TIME = tuple(step for step in STEPS if step not in {"witnesses", "time", "deadlines"})
"""What holds before a log is time-stamped and witnessed."""


def send(world: World, **facts: object) -> str:
    """Send a letter from A to B and return its message id."""
    data = letter(at=world.clock.now, **facts)  # type: ignore[arg-type]  # facts of the letter, by name
    return world.nodes["H99.01"].send(data, now=world.clock.now, allow_information_only=True).message_id


def test_a_letter_arrives_once_with_one_receipt_and_its_arrival_is_told_back(world: World) -> None:
    message_id = send(world)
    world.settle()
    dispatch = world.dispatch("H99.01", message_id)
    assert dispatch.state is State.DELIVERED
    assert dispatch.receipt is not None
    rows = world.nodes["H99.02"].inbox(RowFilter()).rows
    assert [row.message_id for row in rows] == [message_id]
    known = world.nodes["H99.02"].known(dispatch.key)
    assert known is not None
    assert known.receipt.data == dispatch.receipt.data, "byte-identical on both sides"
    assert dispatch.last_status == "01"


@pytest.mark.parametrize("fault", ["lose-request", "lose-reply", "twice", "foreign-receipt"])
def test_whatever_the_wire_does_once_the_letter_arrives_exactly_once(world: World, fault: str) -> None:
    first = send(world, number="119", name="119-SMA-VP.pdf")
    world.settle()
    world.wire.fault = fault
    message_id = send(world)
    world.settle()
    world.clock.turn(timedelta(minutes=10))
    world.settle()
    assert world.dispatch("H99.01", message_id).state is State.DELIVERED
    rows = world.nodes["H99.02"].inbox(RowFilter()).rows
    assert sorted(row.message_id for row in rows) == sorted([first, message_id])
    bodies = {parcel.data for parcel in world.wire.carried if parcel.key.message_id == message_id}
    assert len(bodies) == 1, "all attempts carry identical bytes (I7)"


def test_a_changed_byte_on_the_way_is_refused_by_receipt_and_never_delivered(world: World) -> None:
    world.wire.fault = "flip-byte"
    message_id = send(world)
    world.settle(rounds=1)
    dispatch = world.dispatch("H99.01", message_id)
    assert dispatch.state is State.UNKNOWN, "its receipt is about other bytes: it settles nothing (I10)"
    assert not world.nodes["H99.02"].inbox(RowFilter()).rows


def test_the_same_file_sent_again_is_the_same_message(world: World) -> None:
    data = letter(at=world.clock.now)
    node = world.nodes["H99.01"]
    first = node.send(data, now=world.clock.now, allow_information_only=True)
    again = node.send(data, now=world.clock.turn(timedelta(minutes=1)), allow_information_only=True)
    assert (first.message_id, first.sha256) == (again.message_id, again.sha256)
    assert again.repeated


def test_an_unsigned_letter_needs_an_explicit_word_to_be_sent(world: World) -> None:
    with pytest.raises(Refused) as caught:
        world.nodes["H99.01"].send(letter(at=world.clock.now), now=world.clock.now)
    assert caught.value.code == "EDOC-EXC-040"


def test_an_unsigned_letter_is_not_accepted_without_a_reason_and_the_acceptance_is_told_back(world: World) -> None:
    message_id = send(world)
    world.settle()
    clerk = world.nodes["H99.02"]
    with pytest.raises(NotDecided):
        clerk.accept(f"msg:{message_id}", Acceptance("Lê Văn Mẫu"), now=world.clock.now)
    decided = clerk.accept(
        f"msg:{message_id}", Acceptance("Lê Văn Mẫu", despite="đã gọi xác minh"), now=world.clock.now
    )
    assert decided.number == 1
    world.settle()
    assert world.dispatch("H99.01", message_id).last_status == "03"
    kinds = [event.leaf.kind for event in world.nodes["H99.01"].show(f"msg:{message_id}", now=world.clock.now).timeline]
    assert kinds == ["sent", "relayed", "arrived", "accepted"]


def test_a_return_carries_its_reason_to_the_sender(world: World) -> None:
    message_id = send(world)
    world.settle()
    clerk = world.nodes["H99.02"]
    clerk.give_back(
        f"msg:{message_id}", reason="missing-agency-signature", note=None, by="Lê Văn Mẫu", now=world.clock.now
    )
    world.settle()
    shown = world.nodes["H99.01"].show(f"msg:{message_id}", now=world.clock.now)
    assert [(one.status.code, one.status.reason) for one in shown.statuses][-1] == ("02", "missing-agency-signature")
    with pytest.raises(Refused):
        clerk.accept(f"msg:{message_id}", Acceptance("Lê Văn Mẫu", despite="x"), now=world.clock.now)


def test_both_ledgers_verify_and_hold_matching_leaves(world: World) -> None:
    message_id = send(world)
    world.settle()
    leaves = {}
    for code, node in world.nodes.items():
        office = node.office
        assert office.store.read(office.log.verify).result == "proved"
        leaves[code] = {
            event.leaf.kind: event.leaf for event in node.show(f"msg:{message_id}", now=world.clock.now).timeline
        }
    ours, theirs = leaves["H99.01"]["relayed"], leaves["H99.02"]["relayed"]
    for field in ("msg", "from", "to", "env", "receipt"):
        assert ours.text(field) == theirs.text(field)
    assert theirs.member("peer")["leaf"] == leaves["H99.01"]["sent"].sha256
    assert ours.member("peer")["leaf"] == theirs.sha256


def test_an_evidence_package_of_both_sides_is_proved_offline_by_the_steps_asked_for(world: World) -> None:
    message_id = send(world)
    world.settle()
    a, b = world.nodes["H99.01"], world.nodes["H99.02"]
    theirs = b.evidence(f"msg:{message_id}", Asked("Lê Văn Mẫu"), now=world.clock.now)
    ours = a.evidence(f"msg:{message_id}", Asked("Trần Thị Mẫu", peer=theirs.data), now=world.clock.now)
    context = a.office.context(world.clock.now)
    found = audit(ours.data, context=context, only=STEPS_WITHOUT_TIME, software="test").items[0]
    unproved = [
        (check.id, check.event, check.reasons) for check in found.checks if check.needed and check.result != "proved"
    ]
    assert not unproved
    assert found.result == "proved"
    assert found.scope == "both-sides"
    whole = audit(ours.data, context=context, software="test").items[0]
    assert whole.result == "not-proved", "without time stamps and witnesses nothing is proved as a whole"
    blind = replace(context, trust=TrustStore())
    assert audit(ours.data, context=blind, only=STEPS_WITHOUT_TIME, software="test").items[0].result == "not-proved"


def test_with_a_time_stamping_authority_receipts_are_stamped_and_without_its_answer_they_stay_plain(
    world: World, timestamper: DevTimestamper
) -> None:
    office = world.nodes["H99.02"].office
    office.timestamper = timestamper
    stamped = send(world)
    world.settle()
    office.timestamper = SilentTimestamper()
    plain = send(world, number="121", name="121-SMA-VP.pdf")
    world.settle()
    for message_id, token in ((stamped, True), (plain, False)):
        receipt = world.dispatch("H99.01", message_id).receipt
        assert receipt is not None
        assert (b"EncapsulatedTimeStamp" in receipt.data) is token


class SilentTimestamper:
    """An authority that does not answer."""

    def stamp(self, request: bytes) -> bytes:
        """Fail as a time-out does."""
        raise TimestampError("EDOC-PKI-001", "no answer", url="-", size=len(request))


def test_a_check_that_lacks_status_answers_leaves_the_document_open_for_the_clerk(world: World) -> None:
    message_id = send(world)
    world.carry_once("H99.01")
    office = world.nodes["H99.02"].office
    world.clock.turn(timedelta(days=30))
    assert world.nodes["H99.02"].follow(now=world.clock.now) == 2, "status 01 and the check"
    row = world.nodes["H99.02"].show(f"msg:{message_id}", now=world.clock.now).row
    assert row.verdict == "indeterminate"
    assert office.store.read(counts).get("quarantined") is None
