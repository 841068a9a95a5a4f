"""The recipient's side of pull (exchange.md 7, P1 to P3): ask, fetch, receive, acknowledge by the receipt.

It owns the loops, one for each partner, and nothing else: what a message means and what is written is decided behind
``Incoming``, by the same checks and the same transaction as for push. What failed is looked past until the feed has
been seen to its end, and met again in the next round.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from transport.courier import utc_now
from transport.dispatch import Key, backoff
from transport.store.values import LedgerRef

FEED_WAIT_SECONDS = 30
FEED_ITEMS = 50
PARTNERS_AGAIN_SECONDS = 60.0
"""How often the list of partners is looked at again."""
PAST_SECONDS = 30.0
"""Pause after a feed of which something could not be taken now."""

log = logging.getLogger("edoc.puller")


@dataclass(frozen=True, slots=True)
class Waiting:
    """One line of a partner's feed: what it claims to hold for us; ``position`` where the partner names one."""

    key: Key
    sha256: str
    size: int
    position: str | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """A partner to fetch from: whose node, where, and for which of our agencies."""

    agency: str
    endpoint: str
    recipient: str


@dataclass(frozen=True, slots=True)
class Fed:
    """What a feed answered: its lines, or that the node could not be asked."""

    kind: Literal["items", "nothing", "failed"]
    items: tuple[Waiting, ...] = ()
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Given:
    """Our receipt for a message, with the place of its leaf."""

    receipt: bytes
    ledger: LedgerRef | None


class Fetcher(Protocol):
    """Talks to the partner's node; maps whatever happens and raises nothing for it."""

    async def feed(self, source: Source, *, wait: int, limit: int, after: str | None) -> Fed:
        """Ask what waits (E4)."""
        ...

    async def receive(self, source: Source, line: Waiting, incoming: Incoming) -> Given | None:
        """Fetch the bytes (E5) and hand them in; the receipt, or ``None`` if nothing could be decided now."""
        ...

    async def acknowledge(self, source: Source, key: Key, given: Given) -> bool:
        """Put our receipt (E6); true once the partner has it."""
        ...


class Incoming(Protocol):
    """What the puller asks of the office it works for. All are called in worker threads."""

    def sources(self) -> Sequence[Source]:
        """Return the partners to fetch from."""
        ...

    def given(self, key: Key, sha256: str) -> Given | None:
        """Return the receipt given before for these bytes of K (P3); ``None``: nothing is known of K.

        Raises:
            Problem: K is known with other bytes; the leaf is written.
        """
        ...


class Puller:
    """Fetches what waits for an agency at its partners' nodes."""

    def __init__(
        self,
        incoming: Incoming,
        fetcher: Fetcher,
        *,
        clock: Callable[[], datetime] = utc_now,
        wait: int = FEED_WAIT_SECONDS,
    ) -> None:
        self._incoming, self._fetcher, self._clock, self._wait = incoming, fetcher, clock, wait
        self._loops: dict[Source, asyncio.Task[None]] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Fetch until told to stop, from every partner at its own pace."""
        try:
            while not stop.is_set():
                await self._look_at_partners(stop)
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), PARTNERS_AGAIN_SECONDS)
        finally:
            for task in self._loops.values():
                task.cancel()
            await asyncio.gather(*self._loops.values(), return_exceptions=True)

    async def _look_at_partners(self, stop: asyncio.Event) -> None:
        try:
            wanted = set(await asyncio.to_thread(self._incoming.sources))
        except Exception as error:  # the database may come back
            log.error("puller.sources-failed", extra={"error": type(error).__name__})
            return
        for gone in set(self._loops) - wanted:
            self._loops.pop(gone).cancel()
        for source in wanted:
            task = self._loops.get(source)
            if task is None or task.done():
                self._loops[source] = asyncio.create_task(self._follow(source, stop))

    async def _follow(self, source: Source, stop: asyncio.Event) -> None:
        failures, after = 0, None
        while not stop.is_set():
            fed, failed = await self.turn(source, after=after)
            if fed.kind == "failed":
                failures += 1
                pause = backoff(1, failures, random.uniform, fed.retry_after).total_seconds()
                after = None
            elif fed.items:  # what could not be taken is looked past, until the feed has been seen to its end
                failures, looking_past = 0, bool(failed) or after is not None
                after = fed.items[-1].position if looking_past else None
                pause = PAST_SECONDS if looking_past and after is None else 0.0
            else:
                failures, pause = 0, (PAST_SECONDS if after is not None else 0.1)
                after = None
            if pause:
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), pause)

    async def turn(self, source: Source, *, after: str | None = None) -> tuple[Fed, int]:
        """Ask once and take what waits; return the answer and how many lines could not be taken now."""
        wait = self._wait if after is None else 0
        fed = await self._fetcher.feed(source, wait=wait, limit=FEED_ITEMS, after=after)
        failed = 0
        for line in fed.items:
            try:
                failed += not await self.take(source, line)
            except Exception as error:  # one message does not stop the others; it is listed again
                failed += 1
                log.error("puller.failed", extra={"k": str(line.key.message_id), "error": type(error).__name__})
        return fed, failed

    async def take(self, source: Source, line: Waiting) -> bool:
        """Take one message: a receipt given before is put again, nothing is fetched twice (P3)."""
        given = await asyncio.to_thread(self._incoming.given, line.key, line.sha256)
        if given is None:
            given = await self._fetcher.receive(source, line, self._incoming)
        return given is not None and await self._fetcher.acknowledge(source, line.key, given)
