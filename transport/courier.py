"""The courier: claim, carry, settle (exchange.md 6; architecture, step 6 and 9).

It owns the loop and nothing else: which dispatch is due, what an answer means and what is written is decided behind
``Outgoing``, in ``dispatch`` and the store. A worker that dies leaves a lease that lapses: the next claim is recovery.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import BinaryIO, Literal, Protocol

from transport import points
from transport.dispatch import RENEW_EVERY, Key
from transport.names import HeadRef
from transport.store.values import Claim, LedgerRef

POLL_SECONDS = 1.0
"""Wake-ups are hints; asking again every second carries correctness."""

SLOTS = 8
"""Requests one courier makes at a time, over all partners."""

HELD_MAX = 4 * 1024 * 1024
"""Largest message in bytes that is held whole while it is carried; a larger one is read as it goes."""

PARTS_ABOVE_BYTES = 64 * 1024 * 1024
"""From this size on a message is sent in parts, where the recipient's metadata says that it takes them."""

EXPECT_ABOVE_BYTES = 64 * 1024
"""From this size on the recipient is asked before the body leaves (exchange.md 3, ``Expect``)."""

log = logging.getLogger("edoc.courier")


@dataclass(frozen=True, slots=True)
class Parcel:
    """One sealed message on its way to one office: what a carrier needs, and nothing to decide."""

    key: Key
    data: bytes
    sha256: str
    size: int
    endpoint: str
    ask_first: bool = False
    ledger: LedgerRef | None = None
    expect: bool = False
    trace: str = ""
    heads: tuple[HeadRef, ...] = ()
    resumable: bool = False  # the recipient's node takes large messages in parts
    source: Callable[[], AbstractContextManager[BinaryIO]] | None = None  # of a large message, instead of ``data``
    signed_at: Callable[[], datetime] | None = None  # for request signatures: when the lease was last known to be ours


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of one request: a receipt, a registered problem, an answer that proves nothing, or no connection.

    ``exposed`` is true once a byte of the body may have left; ``retry_after`` is in seconds.
    """

    kind: Literal["receipt", "problem", "nothing", "unreachable"]
    status: int | None = None
    body: bytes = b""
    problem: str | None = None
    retry_after: int | None = None
    ledger: LedgerRef | None = None
    exposed: bool = False
    heads: tuple[HeadRef, ...] = ()
    peer: str | None = None  # address that answered


@dataclass(frozen=True, slots=True)
class Told:
    """An answer of a partner's node to a ping: its members and its fields."""

    members: Mapping[str, object]
    headers: tuple[tuple[str, str], ...]


class Carrier(Protocol):
    """Takes a parcel to its office. It maps whatever happens to a reply and raises nothing for it."""

    async def carry(self, parcel: Parcel) -> Reply:
        """Hand the parcel over (E1)."""
        ...

    async def ask(self, parcel: Parcel) -> Reply:
        """Ask whether the office has a receipt for it (E3)."""
        ...


class Outgoing(Protocol):
    """What the courier asks of the office it works for. All are called in worker threads."""

    def claim(self, now: datetime, owner: str, limit: int) -> list[Claim]:
        """Lease dispatches that are due (T2), after ending those whose deadline has passed (T6)."""
        ...

    def parcel(self, claim: Claim, now: datetime) -> Parcel | None:
        """Return what is to be carried; ``None`` if it cannot be and the dispatch has been settled accordingly."""
        ...

    def renew(self, claim: Claim, now: datetime) -> bool:
        """Prolong the lease; false if another worker has the dispatch by now."""
        ...

    def settle(self, claim: Claim, reply: Reply, now: datetime) -> None:
        """Apply what the reply means, with its leaf, in one transaction (T3, T4, T5, T7)."""
        ...


def utc_now() -> datetime:
    """Return the moment, in UTC."""
    return datetime.now(UTC)


class Courier:
    """Carries dispatches of one office, several at a time."""

    def __init__(
        self,
        outgoing: Outgoing,
        carrier: Carrier,
        *,
        owner: str,
        clock: Callable[[], datetime] = utc_now,
        slots: int = SLOTS,
        refresh: Callable[[str], Awaitable[None]] | None = None,
    ) -> None:
        """``refresh`` asks an agency's node anew who and where it is; it raises nothing for what happens to it."""
        self._outgoing, self._carrier, self._owner = outgoing, carrier, owner
        self._refresh = refresh
        self._clock, self._slots = clock, slots
        self._wake = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    def wake(self) -> None:
        """Look for due dispatches now instead of at the next poll; call it on the event loop."""
        self._wake.set()

    async def run(self, stop: asyncio.Event, *, until: Callable[[], bool] | None = None) -> None:
        """Carry until ``stop`` is set, or ``until`` says that there is nothing to wait for; then finish what runs."""
        stopping = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set() and not (until is not None and await asyncio.to_thread(until)):
                await self._turn()
                await self._rest(stopping)
        finally:
            stopping.cancel()
            if self._tasks:
                await asyncio.wait(self._tasks)

    async def _turn(self) -> None:
        """Claim what is due and start carrying it."""
        free = self._slots - len(self._tasks)
        if free <= 0:
            return
        try:
            claims = await asyncio.to_thread(self._outgoing.claim, self._clock(), self._owner, free)
        except Exception as error:  # the database may come back; the poll asks again
            log.error("courier.claim-failed", extra={"error": type(error).__name__})
            return
        for claim in claims:
            task = asyncio.create_task(self._carry(claim))
            self._tasks.add(task)
            task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._wake.set()

    async def _rest(self, stopping: asyncio.Task[bool]) -> None:
        """Wait for a wake-up, the end, or a second."""
        waking = asyncio.create_task(self._wake.wait())
        await asyncio.wait({waking, stopping}, timeout=POLL_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        waking.cancel()
        self._wake.clear()

    async def _carry(self, claim: Claim) -> None:
        """One attempt: load, carry while the lease is kept, settle. What goes wrong here ends with the lease."""
        points.reached("carry.claimed")
        try:
            parcel = await asyncio.to_thread(self._outgoing.parcel, claim, self._clock())
            if parcel is None:
                return
            points.reached("carry.loaded")
            reply = await self._exchange(claim, parcel)
            points.reached("carry.answered")
            if reply.problem == "unknown-recipient" != claim.last_problem and self._refresh is not None:
                await self._refresh(claim.key.recipient)  # then one more try (exchange.md 3.2)
            await asyncio.to_thread(self._outgoing.settle, claim, reply, self._clock())
        except Exception as error:  # nothing was settled: the lease lapses and the dispatch is claimed again
            log.error(
                "courier.attempt-failed",
                extra={"k": str(claim.key), "attempt": claim.attempt, "error": type(error).__name__},
                exc_info=log.isEnabledFor(logging.DEBUG),
            )

    async def _exchange(self, claim: Claim, parcel: Parcel) -> Reply:
        leash = _Leash(self._clock())
        parcel = replace(parcel, signed_at=leash.moment)
        keeping = asyncio.create_task(self._keep(claim, leash))
        try:
            if claim.recall_requested:  # T9: no body leaves any more
                return await self._carrier.ask(parcel)
            return await self._carrier.carry(parcel)
        finally:
            keeping.cancel()
            with suppress(asyncio.CancelledError):
                await keeping

    async def _keep(self, claim: Claim, leash: _Leash) -> None:
        """Renew the lease every ten seconds for as long as the exchange takes."""
        while True:
            await asyncio.sleep(RENEW_EVERY.total_seconds())
            now = self._clock()
            with suppress(Exception):  # a lease that could not be renewed lapses, which is safe
                if await asyncio.to_thread(self._outgoing.renew, claim, now):
                    leash.at = now


@dataclass(slots=True)
class _Leash:
    """When a worker last knew its lease to be its own.

    Requests are signed as of then, so whatever a worker sends that was stopped and goes on later is dead within five
    minutes of its lease: a take-back can rely on it (T9).
    """

    at: datetime

    def moment(self) -> datetime:
        """Return that time."""
        return self.at
