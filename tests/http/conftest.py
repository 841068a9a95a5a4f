"""Fixtures of the HTTP binding: a node in memory behind a real listener on loopback, and a raw connection to it."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import pytest

from tests.http.memory_node import MOMENT, NODE_KEY, SENDER_KEY, MemoryNode
from transport.dispatch import Key
from transport.http import wire
from transport.http.limits import HttpLimits
from transport.http.ports import Clocks
from transport.http.server import ServeConfig, serve

K = Key("H99.01", "H99.02", "6f1d2c9a-8f57-4f0e-b0a5-90d3c1b7e2f4")


@dataclass
class Clock:
    """A wall clock the test turns."""

    now: datetime = MOMENT

    def __call__(self) -> datetime:
        return self.now


@dataclass(frozen=True)
class Got:
    """One answer as it came over the connection."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Office:
    """A served node: where it listens, and how to stop it."""

    node: MemoryNode
    clock: Clock
    spool: Path
    urls: dict[str, str]
    stop: asyncio.Event
    task: asyncio.Task[None]
    authority: str = ""
    host: str = ""
    port: int = 0

    def __post_init__(self) -> None:
        self.authority = self.urls["exchange"].split("/")[2]
        self.host, port = self.authority.rsplit(":", 1)
        self.port = int(port)

    @property
    def base(self) -> str:
        """Scheme and authority."""
        return self.urls["exchange"].removesuffix(wire.BASE)

    async def open(self) -> Line:
        """Open a raw connection."""
        reader, writer = await asyncio.open_connection(self.host, self.port)
        return Line(self, reader, writer)

    async def ask(self, head: bytes, body: bytes = b"", *, method: str = "PUT") -> Got:
        """Send raw bytes on a connection of their own and read one answer."""
        line = await self.open()
        try:
            line.writer.write(head + body)
            return await line.answer(method)
        finally:
            line.writer.close()

    def head(
        self,
        method: str = "PUT",
        path: str = wire.path_of(K),
        *,
        body: bytes = b"",
        more: tuple[tuple[str, str], ...] = (),
        without: tuple[str, ...] = (),
        key: wire.RequestKey | None = SENDER_KEY,
    ) -> bytes:
        """Return the head of a signed request; ``more`` and ``without`` change it before it is signed."""
        fields = [("Host", self.authority)]
        if body:
            fields += [
                ("Content-Type", wire.MESSAGE_TYPE),
                ("Content-Length", str(len(body))),
                ("Content-Digest", wire.format_digest(hashlib.sha256(body).hexdigest())),
            ]
        names = {name.lower() for name, _ in more} | {name.lower() for name in without}
        fields = [one for one in fields if one[0].lower() not in names] + list(more)
        if key is not None:
            view = wire.RequestView(method, self.base + path, tuple(fields))
            try:
                fields += list(wire.sign_request(view, key=key, created=self.clock.now).items())
            except ValueError:
                fields += [("Signature-Input", "edoc=()"), ("Signature", "edoc=:AAAA:")]
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields)]
        return "\r\n".join(lines).encode() + b"\r\n\r\n"

    async def put(self, body: bytes, key: Key = K) -> Got:
        """Hand a message over by E1."""
        return await self.ask(self.head(path=wire.path_of(key), body=body), body)


@dataclass
class Line:
    """A raw connection to an office."""

    office: Office
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def answer(self, method: str = "GET") -> Got:
        """Read one final answer."""
        while True:
            got = await self._one(method)
            if got.status >= 200:
                return got

    async def _one(self, method: str) -> Got:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        status = int(first.split(" ")[1])
        size = 0 if method == "HEAD" or status < 200 else int(headers.get("content-length", "0"))
        return Got(status, headers, await self.reader.readexactly(size))


Serve = Callable[..., AbstractAsyncContextManager[Office]]


@pytest.fixture
def serving(tmp_path: Path) -> Serve:
    """Return a context manager that serves a node in memory; keywords replace limits and settings."""

    @asynccontextmanager
    async def start(
        node: MemoryNode | None = None, *, limits: HttpLimits | None = None, **settings: object
    ) -> AsyncIterator[Office]:
        clock, stop = Clock(), asyncio.Event()
        ready: asyncio.Future[dict[str, str]] = asyncio.get_running_loop().create_future()
        config = ServeConfig(
            spool=tmp_path / "spool",
            port=0,
            demo=True,
            node_name="nut-1",
            limits=limits or small(),
            request_key=NODE_KEY,
            on_ready=ready.set_result,
        )
        config = replace(config, **settings)  # type: ignore[arg-type]  # the test's own words
        it = node or MemoryNode()
        clocks = Clocks(clock, asyncio.get_running_loop().time)
        task = asyncio.create_task(serve(it, config=config, clocks=clocks, stop=stop))
        task.add_done_callback(lambda ended: ready.cancelled() or ready.done() or ready.cancel())
        try:
            await ready
        except asyncio.CancelledError:
            task.result()  # why it did not start
        office = Office(it, clock, config.spool, ready.result(), stop, task)
        try:
            yield office
        finally:
            stop.set()
            await asyncio.wait_for(task, 20)

    return start


def small(**limits: object) -> HttpLimits:
    """Limits without a disk reserve, so that tests run on any machine; ``limits`` replaces others."""
    changed: dict[str, object] = {"disk_reserve_bytes": 0, "disk_reserve_percent": 0, **limits}
    return replace(HttpLimits(), **changed)  # type: ignore[arg-type]


@pytest.fixture
async def office(serving: Serve) -> AsyncIterator[Office]:
    """A served node in memory."""
    async with serving() as one:
        yield one
