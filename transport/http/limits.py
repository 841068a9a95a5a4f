"""Limits of the exchange over HTTP (exchange.md 10), by the names used there, and the counters that enforce them.

Sizes are in bytes, times in seconds. No clock is read: the moment is an argument (a monotonic clock's seconds).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, fields

from transport.errors import Problem

MIB = 1024 * 1024
GIB = 1024 * MIB


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """The limits that concern HTTP; field names are those of exchange.md 10."""

    message_max_bytes: int = 150 * 10**6
    receipt_max_bytes: int = 128 * 1024
    metadata_max_bytes: int = 256 * 1024
    problem_max_bytes: int = 16 * 1024
    request_line_max_bytes: int = 4 * 1024
    header_max_bytes: int = 16 * 1024
    headers_max: int = 64
    tls_handshake_time: float = 10.0
    header_time: float = 10.0
    body_idle_time: float = 30.0
    body_total_time: float = 6 * 3600.0
    body_min_rate: int = 16 * 1024  # bytes per second over any body_rate_window, after the first one
    body_rate_window: float = 30.0
    keepalive_idle_time: float = 60.0
    write_time: float = 60.0
    connect_time: float = 10.0
    answer_time: float = 120.0  # after the last byte of the request
    continue_time: float = 5.0
    requests_per_partner: int = 8
    rate_per_partner: float = 50.0
    rate_burst: int = 100
    requests_unauthenticated: int = 16
    requests_unauthenticated_per_address: int = 4
    connections_max: int = 1000
    connections_per_address: int = 50
    requests_max: int = 64
    spool_memory_bytes: int = 64 * 1024  # a body up to this size stays in memory
    spool_memory_max: int = 32 * MIB  # bytes of bodies held whole while they are judged
    disk_reserve_bytes: int = 2 * GIB  # 0: no reserve at all, also none by percent
    disk_reserve_percent: int = 5
    drain_time: float = 30.0
    feed_wait_max: float = 60.0
    feed_items_max: int = 100

    def __post_init__(self) -> None:
        if not 0 < self.message_max_bytes <= 2 * GIB:
            raise ValueError("message_max_bytes must be 1 to 2 GiB")

    @classmethod
    def of(cls, limits: Mapping[str, float]) -> HttpLimits:
        """Take the limits of the settings by their names; others that are given concern other rooms."""
        kinds = {one.name: one.type for one in fields(cls)}
        taken = {name: int(value) if kinds[name] == "int" else value for name, value in limits.items() if name in kinds}
        if "rate_per_partner" in taken:
            taken.setdefault("rate_burst", int(2 * taken["rate_per_partner"]))
        return cls(**taken)  # type: ignore[arg-type]  # int and float by the field's own type, above


class Gauge:
    """Counts what is going on at once, in all and by name; refuses what passes a limit."""

    def __init__(self, *, most: int, each: int) -> None:
        self._most = most
        self._each = each
        self._total = 0
        self._by_name: dict[str, int] = {}

    @property
    def total(self) -> int:
        """How many are going on."""
        return self._total

    def of(self, name: str) -> int:
        """How many are going on under one name."""
        return self._by_name.get(name, 0)

    def enter(self, name: str) -> bool:
        """Count one more; ``False``, and nothing counted, if a limit forbids it."""
        if self._total >= self._most or self.of(name) >= self._each:
            return False
        self._total += 1
        self._by_name[name] = self.of(name) + 1
        return True

    def leave(self, name: str) -> None:
        """Count one less."""
        self._total -= 1
        self._by_name[name] -= 1
        if not self._by_name[name]:
            del self._by_name[name]

    @contextmanager
    def holding(self, name: str, *, refusal: Problem) -> Iterator[None]:
        """Count one for the length of a ``with``; raise ``refusal`` if a limit forbids it."""
        if not self.enter(name):
            raise refusal
        try:
            yield
        finally:
            self.leave(name)


class Slots:
    """Room in memory, in bytes: who wants some waits for it; what alone passes the limit gets all of it."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken = 0
        self._turn = asyncio.Condition()

    @property
    def taken(self) -> int:
        """Bytes that are taken now."""
        return self._taken

    @asynccontextmanager
    async def holding(self, size: int) -> AsyncIterator[None]:
        """Take room for the length of an ``async with``; wait until there is some."""
        wanted = min(size, self._most)
        async with self._turn:
            await self._turn.wait_for(lambda: self._taken + wanted <= self._most)
            self._taken += wanted
        try:
            yield
        finally:
            async with self._turn:
                self._taken -= wanted
                self._turn.notify_all()


class Buckets:
    """Token buckets by name: ``rate`` a second, ``burst`` at once. Names are authenticated partners, so few."""

    def __init__(self, *, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = burst
        self._levels: dict[str, tuple[float, float]] = {}

    def take(self, name: str, *, now: float) -> float:
        """Take one token; return 0, or the seconds until there is one again."""
        level, then = self._levels.get(name, (float(self._burst), now))
        level = min(float(self._burst), level + max(0.0, now - then) * self._rate)
        if level < 1:
            self._levels[name] = (level, now)
            return (1 - level) / self._rate
        self._levels[name] = (level - 1, now)
        return 0.0


class RateWatch:
    """Judges whether a body still comes fast enough: idle, total and least rate over a sliding window."""

    def __init__(self, limits: HttpLimits, *, now: float) -> None:
        self._limits = limits
        self._began = self._last = now
        self._marks: list[tuple[float, int]] = [(now, 0)]
        self._received = 0

    def patience(self, now: float) -> float:
        """Seconds to wait for the next byte at most; 0 or less means that a limit has passed."""
        limits = self._limits
        return min(self._last + limits.body_idle_time, self._began + limits.body_total_time) - now

    def received(self, size: int, *, now: float) -> bool:
        """Note bytes that arrived; ``False`` if the rate over the last window is below the least."""
        self._received += size
        self._last = now
        if now - self._marks[-1][0] >= 1:
            self._marks.append((now, self._received))
        window = self._limits.body_rate_window
        while len(self._marks) > 1 and self._marks[1][0] <= now - window:
            self._marks.pop(0)
        then, before = self._marks[0]
        if now - self._began < window or now - then < window:
            return True
        return self._received - before >= self._limits.body_min_rate * (now - then)
