"""Acts on dispatches, feed, lists, gauges, partners' metadata: the same on both databases (exchange.md 6 to 9)."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest

from tests.store.conftest import new_message
from transport.dispatch import TAKE_BACK_APART, Answer, Ended, Key, NotAllowed, State, decide
from transport.errors import TransportError
from transport.metadata import parse
from transport.store import dispatchlist, feed, gauges, metadata_rows, outbox, takeback
from transport.store.metadata_rows import PeerHead
from transport.store.store import Store
from transport.store.takeback import Act
from transport.store.values import AttemptEnd, Claim

B = "H99.02"
ACT = Act("Lê Văn Mẫu", "sent-by-mistake", "nhầm")


def queued(store: Store, at: datetime, **changes: object) -> Key:
    """Queue a letter for B."""
    message = new_message(at, **changes)
    store.do(lambda unit: outbox.submit(unit, message, [B]))
    return Key("H99.01", B, message.message_id)


def claimed(store: Store, at: datetime) -> Claim:
    """Claim the one dispatch that is due."""
    (claim,) = store.do(lambda unit: outbox.claim_due(unit, now=at, owner="worker", limit=1))
    return claim


def ended(store: Store, claim: Claim, at: datetime, answer: Answer, problem: str | None = None) -> None:
    """End an attempt."""
    facts = Ended(answer, claim.lane, claim.failures, exposed_before=claim.exposed, exposed=True, problem=problem)
    transition = decide(facts, lambda low, high: low)
    store.do(lambda unit: outbox.outcome(unit, claim, transition, now=at, end=AttemptEnd("x", problem=problem)))


def state(store: Store, key: Key) -> State | None:
    """State of a dispatch."""
    found = store.read(lambda connection: outbox.situation(connection, key))
    return None if found is None else found.state


def test_take_back_before_and_after_the_bytes_may_have_left(store: Store, at: datetime) -> None:
    never = queued(store, at)
    assert store.do(lambda unit: takeback.ask(unit, never, ACT, now=at)).situation.state is State.RECALLED
    left = queued(store, at)
    ended(store, claimed(store, at), at, Answer.NOTHING)
    store.do(lambda unit: takeback.ask(unit, left, ACT, now=at))
    for turn, recalled in ((timedelta(0), None), (TAKE_BACK_APART, ACT)):
        now = at + turn
        claim = claimed(store, now)
        assert claim.recall_requested
        ended(store, claim, now, Answer.ABSENT, "unknown-message")
        assert store.do(lambda unit, claim=claim, now=now: takeback.absent(unit, claim, now=now)) == recalled  # type: ignore[misc]
    assert (state(store, never), state(store, left)) == (State.RECALLED, State.RECALLED)


def test_a_first_answer_of_the_future_counts_as_none(store: Store, at: datetime) -> None:
    key = queued(store, at)
    ended(store, claimed(store, at), at, Answer.NOTHING)
    store.do(lambda unit: takeback.ask(unit, key, ACT, now=at))
    claim = claimed(store, at)
    ended(store, claim, at, Answer.ABSENT, "unknown-message")
    later, earlier = at + timedelta(days=1), at + TAKE_BACK_APART
    assert store.do(lambda unit: takeback.absent(unit, claim, now=later)) is None
    assert store.do(lambda unit: takeback.absent(unit, claim, now=earlier)) is None, "the clock was set back"
    assert state(store, key) is State.UNKNOWN


def test_requeue_and_retry_only_where_the_table_allows(store: Store, at: datetime) -> None:
    key = queued(store, at)
    ended(store, claimed(store, at), at, Answer.PROBLEM, "too-large")
    assert state(store, key) is State.REFUSED
    with pytest.raises(NotAllowed):
        store.do(lambda unit: takeback.retry(unit, key, now=at))
    assert store.do(lambda unit: takeback.requeue(unit, key, now=at)).situation.state is State.QUEUED
    with pytest.raises(NotAllowed):
        store.do(lambda unit: takeback.requeue(unit, key, now=at))
    store.do(lambda unit: takeback.retry(unit, key, now=at))
    assert claimed(store, at).failures == 1, "the back-off begins anew"
    with pytest.raises(TransportError):
        store.do(lambda unit: takeback.requeue(unit, Key("H99.01", B, "none"), now=at))


def test_the_feed_lists_by_lane_then_age_and_goes_on_behind_a_position(store: Store, at: datetime) -> None:
    late = queued(store, at + timedelta(seconds=2))
    early = queued(store, at)
    urgent = queued(store, at + timedelta(seconds=5), lane=1)
    taken = queued(store, at)
    store.do(lambda unit: takeback.hand_out(unit, taken, now=at))
    store.do(lambda unit: takeback.ask(unit, taken, ACT, now=at))
    found = store.read(lambda connection: feed.waiting(connection, B, limit=10))
    assert [one.key for one in found] == [urgent, early, late], "what is taken back leaves no more"
    first = store.read(lambda connection: feed.waiting(connection, B, limit=1))
    rest = store.read(lambda connection: feed.waiting(connection, B, limit=10, after=first[0].position))
    assert [one.key for one in rest] == [early, late]
    assert store.read(lambda connection: feed.waiting(connection, "H99.09", limit=10)) == ()


def test_handing_out_makes_a_dispatch_unknown_and_a_final_one_stays(store: Store, at: datetime) -> None:
    key = queued(store, at)
    for _ in range(2):
        assert store.do(lambda unit: takeback.hand_out(unit, key, now=at)).situation.exposed
    assert state(store, key) is State.UNKNOWN
    over = queued(store, at)
    store.do(lambda unit: takeback.ask(unit, over, ACT, now=at))
    with pytest.raises(NotAllowed):
        store.do(lambda unit: takeback.hand_out(unit, over, now=at))


def test_dispatches_are_listed_newest_first_with_what_explains_them(store: Store, at: datetime) -> None:
    keys = [queued(store, at, lane=lane) for lane in (3, 2, 1)]
    ended(store, claimed(store, at), at, Answer.PROBLEM, "unknown-recipient")

    def listed(**asked: object) -> list[Key]:
        question = dispatchlist.Asked(**asked)  # type: ignore[arg-type]  # by name
        page = store.read(lambda connection: dispatchlist.dispatches(connection, question, now=at))
        return [one.view.key for one in page.items]

    assert listed() == keys[::-1]
    assert listed(lane=2) == [keys[1]]
    assert listed(state="refused") == listed(dead=True) == [keys[2]]
    assert listed(recipient="H99.09") == []
    page = store.read(lambda c: dispatchlist.dispatches(c, dispatchlist.Asked(limit=2), now=at))
    assert listed(after=page.next) == [keys[0]]
    one = store.read(lambda connection: dispatchlist.detail(connection, keys[2], now=at))
    assert one is not None
    assert [attempt.problem for attempt in one.attempts] == ["unknown-recipient"]


def test_gauges_count_queues_and_ages(store: Store, at: datetime) -> None:
    queued(store, at)
    queued(store, at, lane=1)
    found = store.read(lambda connection: gauges.measures(connection, now=at + timedelta(minutes=3)))
    assert found.dispatches == {("queued", 1): 1, ("queued", 3): 1}
    assert found.oldest == {1: 180.0, 3: 180.0}
    assert found.overdue == {1: 1, 2: 0, 3: 0}
    assert found.circuits == {B: 0}
    assert (found.orphans, found.revocation_age, found.clock_offset) == (0, None, None)


def test_metadata_is_kept_with_its_history_and_heads_with_their_contradictions(store: Store, at: datetime) -> None:
    def version(node: str) -> bytes:
        return json.dumps(
            {
                "version": 1,
                "node": node,
                "issued_at": "2026-11-20T02:30:00.000Z",
                "expires_at": "2026-11-27T02:30:00.000Z",
                "endpoint": "https://b.example/exchange/v1",
                "agencies": [{"code": B, "name": "Sở Mẫu B"}],
                "keys": [],
            }
        ).encode()

    one, two = parse(version("nut-1"), now=at), parse(version("nut-2"), now=at)
    for found, standing in ((one, "waiting"), (one, "active"), (two, "active")):
        store.do(
            lambda unit, found=found, standing=standing: metadata_rows.keep(  # type: ignore[misc]
                unit, B, found, keyid="k", state=standing, now=at
            )
        )
    kept = store.read(lambda connection: metadata_rows.versions(connection, B))
    assert [(row.sha256, row.state) for row in kept] == [(two.sha256, "active"), (one.sha256, "past")]
    for answered in (False, True):
        store.do(
            lambda unit, answered=answered: metadata_rows.note_seen(  # type: ignore[misc]
                unit, B, asked_at=at, answered=answered, fetched=answered, offset=1.5 if answered else None
            )
        )
    (seen,) = store.read(metadata_rows.seen)
    assert (seen.answered_at, seen.offset) == (at, 1.5)
    named = [(5, "aa"), (3, "bb"), (5, "cc"), (7, "dd")]
    told = [
        store.do(lambda unit, size=size, root=root: metadata_rows.note_head(unit, PeerHead("o", B, size, root, at)))  # type: ignore[misc]
        for size, root in named
    ]
    assert [one.root if one else None for one in told] == [None, None, "aa", None]
    assert [(head.size, head.root) for head in store.read(metadata_rows.heads)] == [(7, "dd")]
