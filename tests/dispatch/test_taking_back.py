"""A person takes a dispatch back, sends it again, hurries it; and whatever happened, the receipt wins (T6 to T10)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.dispatch.conftest import A, B, kinds, queue, turn
from tests.world import World
from transport.dispatch import TAKE_BACK_APART, State
from transport.errors import Refused
from transport.node import handling
from transport.node.acknowledging import SecondReceipt, acknowledge
from transport.node.outgoing import Outgoing
from transport.store.takeback import Act
from transport.store.values import RowFilter

BY_MISTAKE = Act("Lê Văn Mẫu", "sent-by-mistake", "nhầm phụ lục")
AGAIN = Act("Lê Văn Mẫu", "request")


def ref(message_id: str) -> str:
    """The name of a message."""
    return f"msg:{message_id}"


def take_back(world: World, message_id: str) -> State:
    """Take back at A; return the state afterwards."""
    office = world.nodes[A].office
    return handling.take_back(office, ref(message_id), None, BY_MISTAKE, now=world.clock.now)[0].state


def test_what_never_left_is_recalled_at_once_and_never_leaves(world: World) -> None:
    message_id = queue(world)
    assert take_back(world, message_id) is State.RECALLED
    world.clock.turn(timedelta(days=4))
    assert turn(world) == 0
    assert kinds(world, A, message_id) == ["sent", "taken-back"]


def test_what_may_have_left_is_recalled_after_two_answers_ten_minutes_apart(world: World) -> None:
    message_id = queue(world)
    lose(world)
    assert take_back(world, message_id) is State.UNKNOWN
    assert turn(world) == 1
    assert world.dispatch(A, message_id).state is State.UNKNOWN
    assert turn(world) == 0, "the second question waits"
    world.clock.turn(TAKE_BACK_APART - timedelta(seconds=1))
    assert turn(world) == 0
    world.clock.turn(timedelta(seconds=1))
    assert turn(world) == 1
    assert world.dispatch(A, message_id).state is State.RECALLED
    assert kinds(world, A, message_id) == ["sent", "taken-back"]
    assert len(world.wire.carried) == 1, "no body left after the take-back was asked for (I7)"


def lose(world: World) -> None:
    """Let one attempt end without proof, its bytes lost on the way."""
    outgoing, now = Outgoing(world.nodes[A].office), world.clock.now
    (claim,) = outgoing.claim(now, "courier", 10)
    parcel = outgoing.parcel(claim, now)
    assert parcel is not None
    world.wire.carried.append(parcel)
    from transport.courier import Reply

    outgoing.settle(claim, Reply("nothing", exposed=True), now)


def test_an_unreachable_recipient_recalls_nothing_until_the_deadline_ends_it(world: World) -> None:
    message_id = queue(world)
    lose(world)
    take_back(world, message_id)
    for _ in range(100):
        world.clock.turn(timedelta(hours=1))
        turn(world, reach=False)
    assert world.dispatch(A, message_id).state is State.EXPIRED
    assert kinds(world, A, message_id) == ["sent", "relay-failed"]


@pytest.mark.parametrize("answers", [0, 1])
def test_a_receipt_that_is_there_wins_over_the_take_back(world: World, answers: int) -> None:
    message_id = queue(world)
    lose(world)
    take_back(world, message_id)
    for _ in range(answers):
        turn(world)
        world.clock.turn(TAKE_BACK_APART)
    parcel = world.wire.carried[0]
    world.wire.carry(parcel)  # the bytes had arrived after all
    turn(world)
    assert world.dispatch(A, message_id).state is State.DELIVERED
    assert kinds(world, A, message_id) == ["sent", "relayed"]
    assert len(world.nodes[B].inbox(RowFilter()).rows) == 1


@pytest.mark.parametrize("ended", ["recalled", "expired"])
def test_a_receipt_after_the_end_still_wins_with_a_leaf_of_its_own(world: World, ended: str) -> None:
    message_id = queue(world)
    lose(world)
    if ended == "recalled":
        take_back(world, message_id)
        turn(world)
        world.clock.turn(TAKE_BACK_APART)
        turn(world)
    else:
        for _ in range(2):
            world.clock.turn(timedelta(hours=73))
            turn(world, reach=False)
    assert world.dispatch(A, message_id).state.value == ended
    parcel = world.wire.carried[0]
    receipt = world.wire.carry(parcel)
    key, office = parcel.key, world.nodes[A].office
    assert acknowledge(office, key, receipt.body, peer=receipt.ledger, now=world.clock.now)
    assert world.dispatch(A, message_id).state is State.DELIVERED
    before = "taken-back" if ended == "recalled" else "relay-failed"
    assert kinds(world, A, message_id) == ["sent", before, "late-receipt", "relayed"]


def test_the_same_receipt_twice_changes_nothing_and_another_one_is_entered_and_refused(world: World) -> None:
    first, second = queue(world, "119"), queue(world, "120")
    world.settle()
    key = world.dispatch(A, first).key
    mine, other = world.dispatch(A, first).receipt, world.dispatch(A, second).receipt
    assert mine is not None
    assert other is not None
    office, now = world.nodes[A].office, world.clock.now
    assert not acknowledge(office, key, mine.data, peer=None, now=now)
    for _ in range(2):
        with pytest.raises(SecondReceipt):
            acknowledge(office, key, other.data, peer=None, now=now)
    assert kinds(world, A, first).count("receipt-invalid") == 1, "entered once per bytes"
    assert world.dispatch(A, first).state is State.DELIVERED


def test_an_expired_dispatch_is_queued_again_with_the_same_bytes_and_a_new_deadline(world: World) -> None:
    message_id = queue(world)
    before = world.dispatch(A, message_id)
    for _ in range(2):
        world.clock.turn(timedelta(hours=73))
        turn(world, reach=False)
    office = world.nodes[A].office
    after = handling.requeue(office, ref(message_id), B, AGAIN, now=world.clock.now)[0]
    assert after.state is State.QUEUED
    assert after.deadline == world.clock.now + timedelta(hours=72)
    assert after.key == before.key
    world.settle()
    assert world.dispatch(A, message_id).state is State.DELIVERED
    assert kinds(world, A, message_id)[:4] == ["sent", "relay-failed", "requeued", "relayed"]


def test_a_refusal_by_receipt_and_a_delivery_are_never_queued_again_nor_taken_back(world: World) -> None:
    message_id = queue(world)
    world.settle()
    office = world.nodes[A].office
    for act in (handling.requeue, handling.take_back, handling.retry):
        with pytest.raises(Refused) as caught:
            act(office, ref(message_id), None, AGAIN, now=world.clock.now)
        assert caught.value.code == "EDOC-EXC-062"
    assert world.dispatch(A, message_id).state is State.DELIVERED


def test_a_retry_makes_a_waiting_dispatch_due_now_and_is_entered(world: World) -> None:
    message_id = queue(world)
    turn(world, reach=False)
    assert turn(world) == 0, "it waits for its back-off"
    office = world.nodes[A].office
    handling.retry(office, ref(message_id), None, AGAIN, now=world.clock.now)
    assert turn(world) == 1
    assert world.dispatch(A, message_id).state is State.DELIVERED


@pytest.mark.parametrize(("reason", "note", "code"), [("because", "", "060"), ("other", "", "061")])
def test_an_act_needs_a_reason_of_the_closed_list_and_other_needs_words(
    world: World, reason: str, note: str, code: str
) -> None:
    message_id = queue(world)
    with pytest.raises(Refused) as caught:
        handling.take_back(world.nodes[A].office, ref(message_id), None, Act("x", reason, note), now=world.clock.now)
    assert caught.value.code == f"EDOC-EXC-{code}"
    assert world.dispatch(A, message_id).state is State.QUEUED


def test_a_take_back_while_a_worker_carries_changes_nothing_for_its_receipt(world: World) -> None:
    """T9 from ``carrying``: the attempt under way ends as it ends; its receipt is true whoever asked for what."""
    message_id = queue(world)
    outgoing, now = Outgoing(world.nodes[A].office), world.clock.now
    (claim,) = outgoing.claim(now, "courier", 10)
    assert take_back(world, message_id) is State.CARRYING
    parcel = outgoing.parcel(claim, now)
    assert parcel is not None
    outgoing.settle(claim, world.wire.carry(parcel), now)
    assert world.dispatch(A, message_id).state is State.DELIVERED
