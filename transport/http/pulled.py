"""What a partner that fetches asks of the sender's node: E4, E5, E6 (exchange.md 7).

The feed waits at most a minute, and one at a time for each node; a body leaves from the store in pieces, whole or from
where an earlier transfer was cut; the receipt that is put is the acknowledgement.
"""

from __future__ import annotations

import asyncio
import re
from hashlib import sha256
from typing import BinaryIO
from urllib.parse import parse_qsl

from aiohttp import web

from transport.dispatch import Key
from transport.errors import Problem
from transport.http.answers import empty, json_answer
from transport.http.ports import Contents, PullPort, Waiting
from transport.http.receiving import Receiving
from transport.http.spool import CHUNK, Spool
from transport.http.wire import (
    MESSAGE_TYPE,
    RECEIPT_TYPE,
    format_digest,
    header,
    media_type,
    parse_digest,
    parse_ledger,
)
from transport.receiptform import format_time

POLL_SECONDS = 1.0
"""How often the feed looks again while a partner waits."""
_RANGE = re.compile(r"bytes=([0-9]{1,19})-([0-9]{0,19})")
_NUMBER = re.compile(r"[0-9]{1,6}")


class Pulled:
    """The routes of pull over one node."""

    def __init__(self, receiving: Receiving, node: PullPort) -> None:
        self._receiving = receiving
        self._node = node
        self._feeding: set[str] = set()
        self._limits = receiving.limits
        self._clocks = receiving.clocks

    async def feed(self, request: web.Request, recipient: str, query: str) -> web.Response:
        """E4: say what waits for the caller; wait for it as long as asked."""
        asked = _asked(query, wait_max=self._limits.feed_wait_max, items_max=self._limits.feed_items_max)
        caller, _ = await self._receiving.authenticate(request)
        with self._receiving.admit(caller):
            await self._receiving.in_thread(self._node.check_fetcher, caller, recipient, None, self._clocks.now())
        if caller.code in self._feeding:
            self._receiving.report.limit("feed_connections")
            raise Problem("too-many-requests", 429, "one feed connection for each node", retry_after=30)
        self._feeding.add(caller.code)
        try:
            items = await self._wait(recipient, asked)
        finally:
            self._feeding.discard(caller.code)
        if not items:
            return empty(204)
        return json_answer({"items": [_line(one) for one in items], "next": items[-1].position})

    async def _wait(self, recipient: str, asked: _Asked) -> list[Waiting]:
        until = self._clocks.seconds() + asked.wait
        while True:
            items = await self._receiving.in_thread(self._node.waiting, recipient, limit=asked.limit, after=asked.after)
            left = until - self._clocks.seconds()
            if items or left <= 0 or self._receiving.draining:
                return list(items)
            await asyncio.sleep(min(POLL_SECONDS, left))

    async def content(self, request: web.Request, key: Key) -> web.StreamResponse:
        """E5: hand the bytes out, whole or from an offset; the dispatch is ``unknown`` before the first one leaves."""
        caller, _ = await self._receiving.authenticate(request)
        with self._receiving.admit(caller):
            now = self._clocks.now()
            await self._receiving.in_thread(self._node.check_fetcher, caller, key.recipient, key.sender, now)
            found = await self._receiving.in_thread(self._node.content, key, now)
            return await self._send(request, found)

    async def _send(self, request: web.Request, found: Contents) -> web.StreamResponse:
        part = _range_of(request, found)
        start, end = part or (0, found.size - 1)
        fields = {
            "Content-Type": MESSAGE_TYPE,
            "Content-Length": str(end - start + 1),
            "ETag": f'"{found.sha256}"',
            "Accept-Ranges": "bytes",
            "Repr-Digest": format_digest(found.sha256),
            "Server": "edoc",
        }
        with found.open as source:
            digest = found.sha256
            if part is not None:
                digest = await self._receiving.in_thread(_digest_of, source, start, end)
                fields["Content-Range"] = f"bytes {start}-{end}/{found.size}"
            fields["Content-Digest"] = format_digest(digest)
            response = web.StreamResponse(status=200 if part is None else 206, headers=fields)
            await response.prepare(request)
            source.seek(start)
            left = end - start + 1
            while left:
                piece = await self._receiving.in_thread(source.read, min(CHUNK, left))
                if not piece:
                    raise ConnectionError("the stored bytes ended early")
                await response.write(piece)
                left -= len(piece)
            await response.write_eof()
        return response

    async def receipt(self, request: web.Request, key: Key) -> web.Response:
        """E6: take the recipient's receipt; 204 also when it is repeated with the same bytes."""
        lines = tuple(request.headers.items())
        if header(lines, "content-encoding") is not None or media_type(header(lines, "content-type")) != RECEIPT_TYPE:
            raise Problem("unsupported-media-type", 415, "not a receipt", supported=[RECEIPT_TYPE])
        size = _size_of(header(lines, "content-length"), self._limits.receipt_max_bytes)
        try:
            digest, peer = parse_digest(header(lines, "content-digest")), parse_ledger(header(lines, "edoc-ledger"))
        except ValueError as error:
            raise Problem("bad-request", 400, "a field is not in its form") from error
        if digest is None:
            raise Problem("bad-request", 400, "no digest")
        caller, _ = await self._receiving.authenticate(request)
        with self._receiving.admit(caller):
            now = self._clocks.now()
            await self._receiving.in_thread(self._node.check_fetcher, caller, key.recipient, key.sender, now)
            data = await self._body(request, size, digest)
            await self._receiving.in_thread(self._node.take_receipt, key, data, peer=peer, now=self._clocks.now())
        return empty(204)

    async def _body(self, request: web.Request, size: int, digest: str) -> bytes:
        with Spool(self._receiving.disk.folder, self._limits, size=size) as spool:
            self._receiving.go_on(request)
            if await spool.fill(request.content, clock=self._clocks.seconds) != digest:
                raise Problem("digest-mismatch", 400, "the body differs from its digest")
            return spool.data()


class _Asked:
    """What the query of a feed asks: ``wait`` in seconds, ``limit``, ``after``."""

    __slots__ = ("after", "limit", "wait")

    def __init__(self, wait: float, limit: int, after: str | None) -> None:
        self.wait, self.limit, self.after = wait, limit, after


def _asked(query: str, *, wait_max: float, items_max: int) -> _Asked:
    values = dict(parse_qsl(query, keep_blank_values=True, max_num_fields=8)) if query else {}
    if set(values) - {"wait", "limit", "after"}:
        raise Problem("bad-request", 400, "the query has unknown members")
    wait = min(_number(values.get("wait", "30")), int(wait_max))
    limit = min(_number(values.get("limit", "50")), items_max)
    if limit < 1:
        raise Problem("bad-request", 400, "limit")
    return _Asked(float(wait), limit, values.get("after"))


def _number(text: str) -> int:
    if _NUMBER.fullmatch(text) is None:
        raise Problem("bad-request", 400, "not a number")
    return int(text)


def _size_of(value: str | None, most: int) -> int:
    if value is None:
        raise Problem("bad-request", 411, "no Content-Length")
    size = int(value)
    if size == 0:
        raise Problem("bad-request", 400, "no body")
    if size > most:
        limit = {"name": "receipt_max_bytes", "value": most, "unit": "byte"}
        raise Problem("too-large", 413, "more than a receipt may have", limit=limit)
    return size


def _line(one: Waiting) -> dict[str, object]:
    key = one.key
    return {
        "to": key.recipient,
        "from": key.sender,
        "id": key.message_id,
        "digest": one.sha256,
        "size": one.size,
        "lane": one.lane,
        "submitted_at": format_time(one.submitted_at),
        "deadline": format_time(one.deadline),
        "position": one.position,
    }


def _range_of(request: web.Request, found: Contents) -> tuple[int, int] | None:
    """Return the one range asked for, first and last byte; ``None`` where the whole is given (RFC 9110, 14.2)."""
    asked = _RANGE.fullmatch(request.headers.get("Range", ""))
    if asked is None or request.headers.get("If-Range", f'"{found.sha256}"') != f'"{found.sha256}"':
        return None
    start = int(asked[1])
    end = min(int(asked[2]), found.size - 1) if asked[2] else found.size - 1
    return (start, end) if start <= end else None


def _digest_of(source: BinaryIO, start: int, end: int) -> str:
    source.seek(start)
    hashed, left = sha256(), end - start + 1
    while left and (piece := source.read(min(CHUNK, left))):
        hashed.update(piece)
        left -= len(piece)
    return hashed.hexdigest()
