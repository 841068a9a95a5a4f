"""Any history of the outbox keeps its promises (I1, I3, I6, I10): workers, lost leases, late answers, late receipts."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.store.conftest import PlainLog, count, fresh, new_message
from tests.store.test_outbox import claim, end, high, settle
from transport.dispatch import FINAL, Answer, Ended, Key, State, decide
from transport.settings import load
from transport.store import outbox
from transport.store.outlist import dispatch_for
from transport.store.store import Store
from transport.store.values import Claim

RECEIPTS = (Answer.ACCEPTANCE, Answer.REJECTION)


class Outbox(RuleBasedStateMachine):
    """The sender's side with a clock; the model knows which claims hold and which receipts exist."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.store = fresh(Path(self.folder.name) / "home")
        self.now = datetime(2026, 11, 20, tzinfo=UTC)
        self.keys: list[Key] = []
        self.claims: list[Claim] = []
        self.newest: dict[int, int] = {}
        self.settled: dict[Key, State] = {}

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            self.folder.cleanup()

    @rule(lane=st.sampled_from([1, 2, 3]), recipients=st.sets(st.sampled_from(["H99.02", "H99.03"]), min_size=1))
    def submit(self, lane: int, recipients: set[str]) -> None:
        message = new_message(self.now, lane=lane)
        self.store.do(lambda unit: outbox.submit(unit, message, sorted(recipients)))
        self.keys += [Key("H99.01", name, message.message_id) for name in sorted(recipients)]

    @rule(owner=st.sampled_from(["one", "two"]), limit=st.integers(1, 3))
    def claim(self, owner: str, limit: int) -> None:
        for one in claim(self.store, self.now, owner, limit):
            assert one.attempt == self.newest.get(one.dispatch_id, 0) + 1
            assert self.settled.get(one.key) is None
            self.newest[one.dispatch_id] = one.attempt
            self.claims.append(one)

    @precondition(lambda self: self.claims)
    @rule(
        data=st.data(),
        answer=st.sampled_from([answer for answer in Answer if answer not in RECEIPTS]),
        problem=st.sampled_from(["unavailable", "forbidden", "too-large", "no-such-thing"]),
    )
    def answer(self, data: st.DataObject, answer: Answer, problem: str) -> None:
        one = data.draw(st.sampled_from(self.claims))
        before = self.view(one.key)
        ended = Ended(answer, one.lane, one.failures, one.exposed, False, problem if answer is Answer.PROBLEM else None)
        held = before.state is State.CARRYING and before.attempts == one.attempt
        assert end(self.store, one, decide(ended, high), self.now) == held
        if not held:
            assert self.view(one.key) == before

    @precondition(lambda self: self.keys)
    @rule(data=st.data(), state=st.sampled_from([State.DELIVERED, State.REFUSED]))
    def receipt(self, data: st.DataObject, state: State) -> None:
        key = data.draw(st.sampled_from(self.keys))
        first = settle(self.store, key, self.now, state)
        assert first == (key not in self.settled)
        if first:
            self.settled[key] = state

    @rule(seconds=st.sampled_from([1, 6, 31, 600, 4000, 90_000]))
    def wait(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule()
    def expire(self) -> None:
        for key in self.store.do(lambda unit: outbox.expire_due(unit, now=self.now)):
            assert key not in self.settled
            view = self.view(key)
            assert view.deadline <= self.now

    @rule()
    def restart(self) -> None:
        home = self.store.home
        self.store.close()
        self.store = Store.open(load(home=home, config=None, environ={}, overrides={}), log=PlainLog())

    @invariant()
    def a_receipt_decides_and_there_is_one_receipt_and_one_leaf_for_each(self) -> None:
        if not hasattr(self, "store"):
            return
        for key, state in self.settled.items():
            assert self.view(key).state is state
        assert count(self.store, "SELECT count(*) FROM receipt") == len(self.settled)
        assert count(self.store, "SELECT count(*) FROM ledger_entry") == len(self.settled)

    @invariant()
    def nothing_is_forgotten(self) -> None:
        """Whatever is not final can be claimed or expired after waiting for leases, pauses and circuits."""
        if not hasattr(self, "store") or not self.keys:
            return
        open_ones = [key for key in self.keys if self.view(key).state not in FINAL]
        late = self.now + timedelta(hours=1, seconds=1)
        limit = int(late.timestamp() * 1000)
        assert count(
            self.store,
            f"SELECT count(*) FROM dispatch WHERE state IN ('queued','unknown','carrying') "
            f"AND (coalesce(lease_until, next_at) <= {limit} OR deadline <= {limit})",
        ) == len(open_ones)

    def view(self, key: Key):  # type: ignore[no-untyped-def]  # the view of a dispatch that exists
        found = self.store.read(lambda connection: dispatch_for(connection, key))
        assert found is not None
        return found


Outbox.TestCase.settings = settings(
    max_examples=20, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestOutbox = Outbox.TestCase
