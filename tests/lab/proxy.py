"""The fault proxy: it stands between two nodes, request by request, and does to them what networks do.

For each request a plan says what happens: the bytes are cut, stopped, flipped or held at any offset in either
direction, the request is sent twice, or an answer of our own is given in place of the recipient's. Offsets count from
the first byte of the head of the request, or of the answer (interim answers are part of it). What passed is kept.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field

_LENGTH = re.compile(rb"(?im)^content-length:[ \t]*([0-9]+)[ \t]*\r?$")
_MOST_HEAD = 256 * 1024


@dataclass(frozen=True, slots=True)
class Plan:
    """What happens to one request; ``Plan()`` passes it unchanged. Offsets in bytes, ``None`` for never."""

    refuse: bool = False
    """The connection is reset before anything is read."""
    cut_request: int | None = None
    """So many bytes of the request reach the recipient, then both connections are reset."""
    cut_answer: int | None = None
    """So many bytes of the answer reach the sender, then both connections are reset."""
    flip_request: int | None = None
    """One bit of this byte of the request is turned."""
    flip_answer: int | None = None
    """One bit of this byte of the answer is turned."""
    swallow_after: int | None = None
    """From this byte of the request on nothing passes and nothing is answered: a black hole."""
    hold: threading.Event | None = None
    """The request waits for this before its first byte goes on."""
    hold_answer: threading.Event | None = None
    """The answer waits for this before its first byte goes on."""
    twice: bool = False
    """The whole request is sent a second time afterwards; that answer goes nowhere but into ``Seen.second``."""
    answer: bytes | None = None
    """Given in place of the recipient's answer, which never sees the request."""
    answer_after: bytes | None = None
    """Given in place of the recipient's answer, after the recipient has had the request and answered it."""


@dataclass
class Seen:
    """One request that came to the proxy."""

    n: int
    method: str
    path: str
    head: bytes
    body: bytes = b""
    answer: bytes = b""
    second: bytes = b""
    done: bool = False

    @property
    def status(self) -> int:
        """Status of the final answer as the recipient gave it; 0 if none came."""
        found = re.findall(rb"(?m)^HTTP/1\.1 ([2-5][0-9][0-9]) ", self.answer)
        return int(found[0]) if found else 0

    @property
    def body_sha256(self) -> str:
        """Digest of the body as the sender sent it."""
        return hashlib.sha256(self.body).hexdigest()


Planner = Callable[[Seen], Plan]


def clean(_: Seen) -> Plan:
    """Pass everything."""
    return Plan()


def always(plan: Plan) -> Planner:
    """Do the same with every request."""
    return lambda _: plan


class FaultProxy:
    """Listens on one port, passes requests on to another, and does what ``plan`` says. Runs in a thread of its own."""

    def __init__(self, port: int, target: int) -> None:
        self.port, self.target = port, target
        self.plan: Planner = clean
        self.seen: list[Seen] = []
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._run, name=f"proxy-{port}", daemon=True)
        self._ready: Future[None] = Future()
        self._thread.start()
        self._ready.result(10)

    def close(self) -> None:
        """End all connections and give the port free."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def puts(self, message_id: str = "") -> list[Seen]:
        """Return the messages that passed (E1), those of one id if asked."""
        wanted = [one for one in self.seen if one.method == "PUT" and not one.path.endswith("/receipt")]
        return [one for one in wanted if message_id in one.path]

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            server = self._loop.run_until_complete(asyncio.start_server(self._connected, "127.0.0.1", self.port))
            self._ready.set_result(None)
        except OSError as error:
            self._ready.set_exception(error)
            return
        self._loop.run_forever()
        server.close()
        for task in self._tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*self._tasks, return_exceptions=True))
        self._loop.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError):
            while await self._one(reader, writer):
                pass
        _reset(writer)

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Pass one request; false if the connection ends with it."""
        head = await reader.readuntil(b"\r\n\r\n")
        line = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
        seen = Seen(len(self.seen), line[0], line[1] if len(line) > 1 else "", head)
        self.seen.append(seen)
        plan = self.plan(seen)
        try:
            return await _Passing(self, seen, plan).run(reader, writer)
        finally:
            seen.done = True


@dataclass
class _Passing:
    """One request on its way."""

    proxy: FaultProxy
    seen: Seen
    plan: Plan
    _gone: int = field(default=0)
    _come: int = field(default=0)

    async def run(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        plan, seen = self.plan, self.seen
        found = _LENGTH.search(seen.head)
        length = int(found[1]) if found else 0
        if plan.refuse:
            return False
        if plan.hold is not None:
            await asyncio.to_thread(plan.hold.wait)
        if plan.answer is not None:
            if b"100-continue" not in seen.head.lower():
                seen.body = await reader.readexactly(length)
            writer.write(plan.answer)
            await writer.drain()
            return False
        out_reader, out_writer = await asyncio.open_connection("127.0.0.1", self.proxy.target)
        try:
            return await self._pass(length, (reader, writer), (out_reader, out_writer))
        finally:
            _reset(out_writer)

    async def _pass(
        self,
        length: int,
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        server: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> bool:
        up = asyncio.ensure_future(self._up(length, client[0], server[1]))
        down = asyncio.ensure_future(self._down(server[0], client[1]))
        try:
            await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
            if up.done() and not up.result():
                return False  # cut, or swallowed
            keep = await down
            whole = up.done()
            if whole and self.plan.twice:
                await self._again()
            if self.plan.answer_after is not None:
                client[1].write(self.plan.answer_after)
                await client[1].drain()
                return False
            return keep and whole
        finally:
            for task in (up, down):
                task.cancel()
            await asyncio.gather(up, down, return_exceptions=True)

    async def _up(self, length: int, reader: asyncio.StreamReader, out: asyncio.StreamWriter) -> bool:
        if not await self._send(self.seen.head, out):
            return False
        left = length
        while left:
            data = await reader.read(min(left, 65536))
            if not data:
                return False
            left -= len(data)
            self.seen.body += data
            if not await self._send(data, out):
                return False
        return True

    async def _send(self, data: bytes, out: asyncio.StreamWriter) -> bool:
        start, self._gone = self._gone, self._gone + len(data)
        data = _flipped(data, start, self.plan.flip_request)
        for limit in (self.plan.cut_request, self.plan.swallow_after):
            if limit is not None and self._gone >= limit:
                out.write(data[: max(0, limit - start)])
                await out.drain()
                if limit is self.plan.swallow_after:
                    await asyncio.Event().wait()  # for ever: the other side's time limits end it
                return False
        out.write(data)
        await out.drain()
        return True

    async def _down(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            status = int(head[9:12])
            if not await self._return(head, writer):
                return False
            if status >= 200:
                break
        found = _LENGTH.search(head)
        left = int(found[1]) if found and self.seen.method != "HEAD" and status not in (204, 304) else 0
        while left:
            data = await reader.read(min(left, 65536))
            if not data:
                return False
            left -= len(data)
            if not await self._return(data, writer):
                return False
        return b"\r\nconnection: close" not in head.lower()

    async def _return(self, data: bytes, writer: asyncio.StreamWriter) -> bool:
        start, self._come = self._come, self._come + len(data)
        self.seen.answer += data
        if self.plan.answer_after is not None and not data.startswith(b"HTTP/1.1 1"):
            return True
        if self.plan.hold_answer is not None:
            await asyncio.to_thread(self.plan.hold_answer.wait)
        data = _flipped(data, start, self.plan.flip_answer)
        cut = self.plan.cut_answer
        if cut is not None and self._come > cut:
            writer.write(data[: max(0, cut - start)])
            await writer.drain()
            return False
        writer.write(data)
        await writer.drain()
        return True

    async def _again(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.proxy.target)
        writer.write(self.seen.head + self.seen.body)
        await writer.drain()
        with suppress(OSError, asyncio.IncompleteReadError):
            head = b"HTTP/1.1 100"
            while head.startswith(b"HTTP/1.1 1"):
                head = await reader.readuntil(b"\r\n\r\n")
            found = _LENGTH.search(head)
            self.seen.second = head + await reader.readexactly(int(found[1]) if found else 0)
        _reset(writer)


def _flipped(data: bytes, start: int, place: int | None) -> bytes:
    if place is None or not start <= place < start + len(data):
        return data
    at = place - start
    return data[:at] + bytes([data[at] ^ 0x04]) + data[at + 1 :]


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection at once, with whatever it still holds sent first where it can."""
    with suppress(OSError, RuntimeError):
        writer.close()
