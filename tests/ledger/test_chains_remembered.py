"""What ``prev`` must name is remembered by whoever wrote it: what was rolled back and what others wrote included."""

from __future__ import annotations

import random

import pytest

from tests.ledger.conftest import START, Book, Home, hexed
from tests.store.conftest import all_placed
from transport.ledger import event
from transport.ledger.note import LogKey
from transport.store import chains, log_events
from transport.store.chains import Chains
from transport.store.log import Log
from transport.store.store import Store, Unit


class TakenBackError(Exception):
    """A unit that changes its mind."""


def leaf_after(log: Log, unit: Unit, message: str) -> tuple[str | None, str]:
    """Append a leaf of a dispatch; return what ``prev`` named and the leaf's own hash."""
    prev = log.last_of(unit.connection, sender="H99.01", recipient="H99.02", message_id=message, side="s")
    fields: dict[str, event.Value] = {"msg": message, "from": "H99.01", "to": "H99.02", "side": "s"}
    fields |= {"env": hexed("envelope"), "at": START, "auto": True, "reason": "request", "rtype": "record"}
    fields |= {"receipt": hexed("record"), **({"prev": prev} if prev else {})}
    return prev, unit.append(event.build("requeued", fields)).leaf.hex()


@pytest.mark.parametrize("seed", range(3))
def test_prev_is_right_whatever_is_rolled_back_forgotten_derived_or_written_by_others(
    book: Book, log_key: LogKey, database_url: str | None, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(chains, "KEPT", 4)
    monkeypatch.setattr(log_events, "TAIL", 25)
    chance = random.Random(seed)
    other_log = Log(log_key)
    newest: dict[str, str] = {}

    def act(store: Store, log: Log, messages: list[str], *, fails: bool) -> None:
        before = dict(newest)

        def work(unit: Unit) -> dict[str, str]:
            seen = dict(before)
            for message in messages:
                prev, made = leaf_after(log, unit, message)
                assert prev == seen.get(message)
                seen[message] = made
            if fails:
                raise TakenBackError
            return seen

        try:
            newest.update(store.do(work))
        except TakenBackError:
            assert fails

    with Store.open(Home(book.store.home, database_url), log=other_log) as other:
        for _ in range(120):
            store, log = (book.store, book.log) if chance.random() < 0.8 else (other, other_log)
            messages = [f"m-{chance.randrange(8)}" for _ in range(chance.randrange(1, 4))]
            act(store, log, messages, fails=chance.random() < 0.2)
            if chance.random() < 0.1:
                store.do(lambda unit, log=log: log.derive(unit.connection, limit=10))  # type: ignore[misc]
    all_placed(book.store)
    assert book.store.read(book.log.verify).result == "proved"


def test_what_lies_outside_the_tickets_seen_is_not_said() -> None:
    seen = Chains()
    fields = {"from": "H99.01", "to": "H99.02", "msg": "m", "side": "s"}
    seen.committed([(7, "seven", fields)])
    assert (seen.base, seen.top, seen.newest(("H99.01", "H99.02", "m", "s"))) == (6, 7, "seven")
    seen.committed([(8, "eight", fields)])
    assert (seen.base, seen.top, seen.newest(("H99.01", "H99.02", "m", "s"))) == (6, 8, "eight")
    seen.committed([(11, "eleven", {**fields, "msg": "n"})])  # somebody else wrote 9 and 10
    assert (seen.base, seen.top, seen.newest(("H99.01", "H99.02", "m", "s"))) == (10, 11, None)
    seen.committed([(12, "twelve", fields), (14, "fourteen", fields)])
    assert (seen.base, seen.top, seen.newest(("H99.01", "H99.02", "m", "s"))) == (14, 14, None)
