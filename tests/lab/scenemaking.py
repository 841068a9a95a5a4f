"""What the scenes of ``scenarios`` are made of: a store, letters, claims, ends, and how rows are asked for (F10)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from tests.store.conftest import ACCEPTANCE, REJECTION, new_message, new_receipt
from transport.dispatch import Answer, Ended, Key, NotAllowed, State, Transition, decide
from transport.store import outbox
from transport.store.outlist import dispatch_for
from transport.store.store import Store, Unit
from transport.store.takeback import Act
from transport.store.values import (
    AttemptEnd,
    Claim,
    NewMessage,
    NewReceipt,
    Settled,
)

A, B, C = "H99.01", "H99.02", "H99.03"
AT = datetime(2026, 11, 20, 2, 30, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
ACT = Act("Lê Văn Mẫu", "sent-by-mistake", "nhầm")
Scene = Callable[[Store], None]
SCENES: list[Scene] = []


def scene(function: Scene) -> Scene:
    """Enter a scene."""
    SCENES.append(function)
    return function


def ms(at: datetime) -> int:
    """Whole milliseconds since 1970."""
    return round(at.timestamp() * 1000)


def submit(store: Store, message: NewMessage, *recipients: str) -> tuple[int, ...]:
    """Submit with one leaf per recipient."""

    def work(unit: Unit) -> tuple[int, ...]:
        tickets = [unit.append(f"sent {message.message_id} {name}".encode()) for name in recipients]
        return outbox.submit(unit, message, recipients, tickets)

    return store.do(work)


def queued(store: Store, at: datetime = AT, to: str = B, **facts: object) -> Key:
    """Queue a letter."""
    message = new_message(at, **facts)
    submit(store, message, to)
    return Key(message.sender, to, message.message_id)


def claim(store: Store, at: datetime, owner: str = "one", limit: int = 1) -> list[Claim]:
    """Claim what is due."""
    return store.do(lambda unit: outbox.claim_due(unit, now=at, owner=owner, limit=limit))


def one(store: Store, at: datetime, owner: str = "one") -> Claim:
    """Claim exactly one."""
    (found,) = claim(store, at, owner)
    return found


def transition(claimed: Claim, answer: Answer, problem: str | None = None, wait: float | None = None) -> Transition:
    """Say what follows from an answer."""
    ended = Ended(answer, claimed.lane, claimed.failures, claimed.exposed, False, problem, wait)
    return decide(ended, lambda low, high: high)


def end(
    store: Store, claimed: Claim, at: datetime, answer: Answer = Answer.NOTHING, problem: str | None = None
) -> bool:
    """End an attempt without a receipt."""
    facts = AttemptEnd("ended", 503, problem, b"bytes", "192.0.2.1:443")
    return store.do(lambda unit: outbox.outcome(unit, claimed, transition(claimed, answer, problem), now=at, end=facts))


def settle(store: Store, key: Key, at: datetime, state: State = State.DELIVERED) -> Settled:
    """Bring a receipt; one that changes nothing writes nothing."""
    receipt = new_receipt(key, at - SECOND, event=ACCEPTANCE if state is State.DELIVERED else REJECTION)
    return bring(store, receipt, at, state)


def bring(store: Store, receipt: NewReceipt, at: datetime, state: State = State.DELIVERED) -> Settled:
    """Apply a receipt with its leaf."""

    def work(unit: Unit) -> Settled:
        ticket = unit.append(receipt.data)
        return outbox.settle(unit, receipt.key, state=state, receipt=receipt, ticket=ticket, now=at)

    return store.do(work)


def ask(store: Store, question: str, *values: object) -> list[tuple[object, ...]]:
    """Read rows past the program's own questions."""
    return store.read(lambda connection: [tuple(row) for row in connection.exec_driver_sql(question, values)])


def row(store: Store, table: str, where: str = "1 = 1", *values: object) -> dict[str, object]:
    """Return the one row of a table that fits, by column name."""

    def read(connection: object) -> list[dict[str, object]]:
        found = connection.exec_driver_sql(f"SELECT * FROM {table} WHERE {where}", values)  # type: ignore[attr-defined]
        return [dict(one) for one in found.mappings()]

    (found,) = store.read(read)
    return found


def rows(store: Store, table: str) -> list[dict[str, object]]:
    """Return all rows of a table in the order of their numbers."""
    return store.read(
        lambda connection: [
            dict(one) for one in connection.exec_driver_sql(f"SELECT * FROM {table} ORDER BY 1").mappings()
        ]
    )


def tamper(store: Store, statement: str, *values: object) -> None:
    """Change rows behind the program's back."""
    store.do(lambda unit: unit.connection.exec_driver_sql(statement, values) and None)


def has(found: dict[str, object], **wanted: object) -> None:
    """Hold a row to values by column."""
    got = {name: bool(found[name]) if isinstance(value, bool) else found[name] for name, value in wanted.items()}
    assert got == wanted, f"{got} instead of {wanted}"


def state(store: Store, key: Key) -> State:
    """State of a dispatch."""
    found = store.read(lambda connection: dispatch_for(connection, key))
    assert found is not None
    return found.state


def refused(function: Callable[[], object], kind: type[Exception] = NotAllowed) -> None:
    """See that something is not allowed."""
    try:
        function()
    except kind:
        return
    raise AssertionError("it was allowed")


def unchanged(store: Store, *tables: str) -> Callable[[], None]:
    """Remember tables; the answer checks that they are what they were."""
    before = {name: rows(store, name) for name in tables}

    def check() -> None:
        for name, found in before.items():
            assert rows(store, name) == found, name

    return check
