"""Fetching over HTTP: E4, E5 and E6 from the recipient's side (exchange.md 7).

A body goes to the spool as one that is pushed does: counted, hashed, timed, at most what was announced. A transfer that
is cut goes on where it stopped (Range), a few times; then it is left for the next round.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Protocol
from urllib.parse import urlencode

import aiohttp

from transport.dispatch import Key
from transport.errors import Problem, TransportError
from transport.http.client import HttpCarrier
from transport.http.limits import HttpLimits
from transport.http.spool import Disk, Spool
from transport.http.wire import (
    JSON_TYPE,
    RECEIPT_TYPE,
    feed_path,
    format_digest,
    format_ledger,
    media_type,
    path_of,
)
from transport.puller import Fed, Given, Incoming, Source, Waiting

RESUMES = 3
"""How often a transfer that was cut is taken up again before it is left for the next round."""
_FAILURES = (aiohttp.ClientError, OSError, TimeoutError, ValueError, TransportError)

log = logging.getLogger("edoc.puller")


class Taking(Protocol):
    """The part of the office that receives: S8 to S11, called in worker threads."""

    def take(self, key: Key, spool: Spool, *, sha256: str, received_at: datetime) -> Given: ...


class HttpFetcher:
    """Fetches from partners over the carrier's connections."""

    def __init__(
        self, carrier: HttpCarrier, *, taking: Taking, spool: Path, limits: HttpLimits, clock: Callable[[], datetime]
    ) -> None:
        self._carrier, self._taking, self._limits, self._clock = carrier, taking, limits, clock
        self._disk = Disk(spool, limits)

    async def feed(self, source: Source, *, wait: int, limit: int, after: str | None) -> Fed:
        """Ask what waits (E4)."""
        values: dict[str, str] = {"wait": str(wait), "limit": str(limit)}
        if after is not None:
            values["after"] = after
        path = feed_path(source.recipient, urlencode(values))
        try:
            found = await self._carrier.get(
                source.endpoint, path, within=wait + self._limits.answer_time, most=self._limits.metadata_max_bytes
            )
        except _FAILURES:
            return Fed("failed")
        if found.status == 204:
            return Fed("nothing")
        if found.status != 200 or not found.whole or media_type(found.get("content-type")) != JSON_TYPE:
            return Fed("failed", retry_after=found.retry_after)
        items = _lines(found.body)
        return Fed("failed") if items is None else Fed("items", items)

    async def receive(self, source: Source, line: Waiting, incoming: Incoming) -> Given | None:
        """Fetch the bytes into the spool and hand them in."""
        if line.size > self._limits.message_max_bytes:
            log.error("puller.too-large", extra={"k": line.key.message_id, "limit": "message_max_bytes"})
            return None
        try:
            self._disk.reserve(line.size)
        except Problem:
            return None
        try:
            with Spool(self._disk.folder, self._limits, size=line.size) as spool:
                if await self._fetch(source, line, spool) != line.sha256:
                    return None
                return await asyncio.to_thread(
                    self._taking.take, line.key, spool, sha256=line.sha256, received_at=self._clock()
                )
        except Problem as problem:
            log.warning("puller.refused", extra={"k": line.key.message_id, "problem": problem.name})
            return None
        finally:
            self._disk.release(line.size)

    async def _fetch(self, source: Source, line: Waiting, spool: Spool) -> str | None:
        for _ in range(RESUMES + 1):
            try:
                async with self._content(source, line, spool.received) as body:
                    if body is None:
                        return None
                    await spool.fill_on(body, clock=asyncio.get_running_loop().time)
            except _FAILURES:
                if spool.received < spool.size:
                    continue
            if spool.received == spool.size:
                return spool.digest
        return None

    @asynccontextmanager
    async def _content(self, source: Source, line: Waiting, start: int) -> AsyncIterator[aiohttp.StreamReader | None]:
        more = (("Range", f"bytes={start}-"), ("If-Range", f'"{line.sha256}"')) if start else ()
        async with self._carrier.opened(source.endpoint, path_of(line.key, "/content"), more=more) as response:
            good = response.status == (206 if start else 200)
            fits = response.headers.get("ETag") == f'"{line.sha256}"'
            yield response.content if good and fits else None

    async def acknowledge(self, source: Source, key: Key, given: Given) -> bool:
        """Put our receipt (E6)."""
        fields = [
            ("Content-Type", RECEIPT_TYPE),
            ("Content-Length", str(len(given.receipt))),
            ("Content-Digest", format_digest(sha256(given.receipt).hexdigest())),
        ]
        if given.ledger is not None:
            fields.append(("Edoc-Ledger", format_ledger(given.ledger)))
        try:
            found = await self._carrier.put(
                source.endpoint, path_of(key, "/receipt"), fields=tuple(fields), body=given.receipt
            )
        except _FAILURES:
            return False
        if found.status != 204:
            log.warning("puller.not-acknowledged", extra={"k": key.message_id, "problem": str(found.status)})
        return found.status == 204


def _lines(body: bytes) -> tuple[Waiting, ...] | None:
    """Read a feed; lines for others than us, or in another form, are left out."""
    try:
        found = json.loads(body)
        after = found.get("next")
        return tuple(line for one in found["items"] if (line := _line(one, after)) is not None)
    except (ValueError, RecursionError, KeyError, TypeError):
        return None


def _line(one: dict[str, object], after: object) -> Waiting | None:
    """Read a line; where it names no position, the one behind the whole answer, if any, stands for it."""
    digest, size, position = one.get("digest"), one.get("size"), one.get("position", after)
    parts = (one.get("from"), one.get("to"), one.get("id"))
    if not all(isinstance(part, str) for part in (*parts, digest)) or type(size) is not int or size <= 0:
        return None
    sender, recipient, message_id = (str(part) for part in parts)
    return Waiting(Key(sender, recipient, message_id), str(digest), size, str(position) if position else None)
