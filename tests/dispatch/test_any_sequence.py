"""Whatever people, couriers, hands, clocks and a faulty wire do in whatever order: I1 to I7 hold (exchange.md 15)."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from signer.devpki import DevPki
from tests import world as worlds
from tests.conftest import NOW
from tests.dispatch.conftest import A, B, _asked, kinds, queue
from tests.world import World
from transport.courier import Parcel, Reply
from transport.dispatch import FINAL, State
from transport.errors import Problem, ReceiptInvalid, Refused
from transport.node import byhand, handling
from transport.node.outgoing import Outgoing
from transport.store.takeback import Act
from transport.store.values import DispatchView, RowFilter

FAULTS = st.sampled_from([None, None, "lose-request", "lose-reply", "twice", "foreign-receipt", "cut", "silent"])
PAUSES = st.sampled_from([timedelta(seconds=5), timedelta(minutes=5), timedelta(minutes=11), timedelta(hours=30)])
ACT = Act("Lê Văn Mẫu", "request")
PKI = DevPki.create(at=NOW - timedelta(days=30))


class Exchange(RuleBasedStateMachine):
    """Two offices, a wire that fails, people that change their minds, files that travel."""

    messages = Bundle("messages")
    files = Bundle("files")
    receipts = Bundle("receipts")

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self.world: World = worlds.build(Path(self._folder.name), PKI, NOW)
        self.count = 0
        self.bodies: dict[str, set[bytes]] = {}
        self.no_more: set[str] = set()
        self.delivered: dict[str, bytes] = {}

    def teardown(self) -> None:
        """Let go of both stores."""
        self.world.close()
        self._folder.cleanup()

    def dispatch(self, message_id: str) -> DispatchView:
        """The one dispatch of a message."""
        return self.world.dispatch(A, message_id)

    @rule(target=messages, priority=st.sampled_from([0, 2, 4]))
    def send(self, priority: int) -> str:
        """A letter is queued."""
        self.count += 1
        return queue(self.world, str(100 + self.count), priority=priority)

    @rule(fault=FAULTS)
    def courier(self, fault: str | None) -> None:
        """The courier works off what is due, over a wire that does as told."""
        outgoing, now = Outgoing(self.world.nodes[A].office), self.world.clock.now
        for claim in outgoing.claim(now, "courier", 10):
            if fault == "silent":
                continue  # the worker is gone: the lease lapses
            parcel = outgoing.parcel(claim, now)
            assert parcel is not None
            reply = _asked(self.world, parcel.key) if claim.recall_requested else self._carry(parcel, fault)
            outgoing.settle(claim, reply, now)

    def _carry(self, parcel: Parcel, fault: str | None) -> Reply:
        message_id = parcel.key.message_id
        assert message_id not in self.no_more, "no body leaves after a take-back or from a final state (I7)"
        self.bodies.setdefault(message_id, set()).add(parcel.data)
        if fault == "cut":
            return Reply("nothing", exposed=True)
        self.world.wire.fault = fault
        return self.world.wire.carry(parcel)

    @rule(by=PAUSES)
    def wait(self, by: timedelta) -> None:
        """Time passes."""
        self.world.clock.turn(by)

    @rule()
    def follow(self) -> None:
        """B works off what an arrival calls for; its statuses come back over a good wire."""
        self.world.nodes[B].follow(now=self.world.clock.now)
        self.world.carry_once(B)
        self.world.nodes[A].follow(now=self.world.clock.now)

    @rule(message_id=messages)
    def take_back(self, message_id: str) -> None:
        """A person takes it back."""
        try:
            handling.take_back(self.world.nodes[A].office, f"msg:{message_id}", None, ACT, now=self.world.clock.now)
        except Refused:
            assert self.dispatch(message_id).state in FINAL
        else:
            self.no_more.add(message_id)

    @rule(message_id=messages)
    def requeue(self, message_id: str) -> None:
        """A person sends it again."""
        before = self.dispatch(message_id)
        try:
            handling.requeue(self.world.nodes[A].office, f"msg:{message_id}", None, ACT, now=self.world.clock.now)
        except Refused:
            assert before.state not in (State.EXPIRED,)
        else:
            assert before.state in (State.EXPIRED, State.REFUSED)
            self.no_more.discard(message_id)

    @rule(message_id=messages)
    def retry(self, message_id: str) -> None:
        """A person is in a hurry."""
        try:
            handling.retry(self.world.nodes[A].office, f"msg:{message_id}", None, ACT, now=self.world.clock.now)
        except Refused:
            assert self.dispatch(message_id).state not in (State.QUEUED, State.UNKNOWN)

    @rule(target=files, message_id=messages)
    def export(self, message_id: str) -> bytes:
        """A message is written to a file."""
        office = self.world.nodes[A].office
        try:
            out = byhand.hand_out(office, f"msg:{message_id}", None, person="x", now=self.world.clock.now)
        except Refused:
            return b""
        assert message_id not in self.no_more
        data = office.store.fetch(out.sha256)
        self.bodies.setdefault(message_id, set()).add(data)
        return data

    @rule(target=receipts, data=files)
    def bring(self, data: bytes) -> bytes:
        """The file arrives at B, perhaps once more, perhaps long after."""
        if not data:
            return b""
        try:
            return byhand.bring_message(self.world.nodes[B].office, data, now=self.world.clock.now).receipt
        except (Refused, Problem):
            return b""

    @rule(receipt=receipts)
    def bring_back(self, receipt: bytes) -> None:
        """The receipt arrives at A."""
        if receipt:
            try:
                byhand.bring_receipt(self.world.nodes[A].office, receipt, now=self.world.clock.now)
            except ReceiptInvalid:
                raise AssertionError("there is one receipt for a message (I4)") from None

    @invariant()
    def agreement(self) -> None:
        """I2 to I5: what is delivered is accepted there, with the same bytes and the same receipt; each once."""
        inbox = [row.message_id for row in self.world.nodes[B].inbox(RowFilter(limit=500)).rows]
        assert len(inbox) == len(set(inbox))
        for message_id in self.sent():
            dispatch = self.dispatch(message_id)
            known = self.world.nodes[B].known(dispatch.key)
            if dispatch.state is State.DELIVERED:
                assert known is not None
                assert known.state == "accepted"
                assert message_id in inbox
                assert dispatch.receipt is not None
                assert dispatch.receipt.data == known.receipt.data
                before = self.delivered.setdefault(message_id, known.receipt.data)
                assert before == known.receipt.data, "once delivered, for ever the same"
            assert message_id not in self.delivered or dispatch.state is State.DELIVERED
            if dispatch.state in FINAL:
                self.no_more.add(message_id)
            assert len(self.bodies.get(message_id, set())) <= 1, "all bodies are identical (I7)"

    @precondition(lambda self: self.count)
    @invariant()
    def nothing_is_forgotten(self) -> None:
        """I1, I6: what is not final is due some day, and every final state has its leaf."""
        for message_id in self.sent():
            dispatch = self.dispatch(message_id)
            if dispatch.state in (State.QUEUED, State.UNKNOWN):
                assert dispatch.next_at is not None
                continue
            leaves = kinds(self.world, A, message_id)
            wanted = {
                State.DELIVERED: "relayed",
                State.EXPIRED: "relay-failed",
                State.RECALLED: "taken-back",
                State.REFUSED: "relay-refused",
            }
            assert dispatch.state is State.CARRYING or wanted[dispatch.state] in leaves

    def sent(self) -> list[str]:
        """Ids of the letters sent."""
        return [row.message_id for row in self.world.nodes[A].outbox(RowFilter(limit=500)).rows]


def test_any_sequence_keeps_the_invariants() -> None:
    run_state_machine_as_test(
        Exchange,
        settings=settings(
            max_examples=12, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
