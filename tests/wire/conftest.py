"""Real nodes on loopback in the process of the test: stores, keys, seals and HTTP are those of the product."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from signer.devpki import DevPki
from tests import world as worlds
from transport.demo.offices import free_ports
from transport.http.client import HttpCarrier
from transport.http.config import ServeConfig
from transport.http.limits import HttpLimits
from transport.http.pulling import HttpFetcher
from transport.http.reporting import Reporting
from transport.http.server import serve
from transport.http.wire import RequestKey
from transport.node.incoming import Fetched
from transport.node.node import Node

A, B = "H99.01", "H99.02"


def utc_now() -> datetime:
    """The moment."""
    return datetime.now(UTC)


@dataclass
class Place:
    """Two nodes that know each other; each can be served, carry and fetch."""

    folder: Path
    pki: DevPki
    ports: dict[str, int]
    nodes: dict[str, Node] = field(default_factory=dict)
    reports: dict[str, Reporting] = field(default_factory=dict)

    def key(self, code: str) -> RequestKey:
        """The request key of a node."""
        return RequestKey.from_pem((self.folder / code / "keys" / "yeu-cau.pem").read_bytes())

    def url(self, code: str) -> str:
        """The endpoint of a node."""
        return f"http://127.0.0.1:{self.ports[code]}/exchange/v1"

    @asynccontextmanager
    async def serving(self, code: str, **settings: object) -> AsyncIterator[ServeConfig]:
        """Serve a node for the length of a ``with``."""
        ready, stop = asyncio.get_running_loop().create_future(), asyncio.Event()
        config = ServeConfig(
            spool=self.folder / code / "spool",
            port=self.ports[code],
            demo=True,
            node_name="nut-1",
            limits=HttpLimits(disk_reserve_bytes=0),
            request_key=self.key(code),
            on_ready=ready.set_result,
            metrics_port=None,
        )
        config = replace(config, **settings)  # type: ignore[arg-type]  # the test's own words
        task = asyncio.create_task(serve(self.nodes[code], config=config, stop=stop))
        await asyncio.wait({task, ready}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
        try:
            yield config
        finally:
            stop.set()
            await asyncio.wait_for(task, 40)

    @asynccontextmanager
    async def carrier(self, code: str, **settings: object) -> AsyncIterator[HttpCarrier]:
        """The carrier of a node."""
        node = self.nodes[code]
        async with HttpCarrier(request_key=self.key(code), clock=utc_now, reach=node._reach, **settings) as carrier:  # type: ignore[arg-type]
            yield carrier

    def fetcher(self, code: str, carrier: HttpCarrier) -> tuple[Fetched, HttpFetcher]:
        """What fetches for a node."""
        fetched = Fetched(self.nodes[code].office, self.nodes[code], utc_now)
        spool = self.folder / code / "spool"
        spool.mkdir(exist_ok=True)
        limits = HttpLimits(disk_reserve_bytes=0)
        return fetched, HttpFetcher(carrier, taking=fetched, spool=spool, limits=limits, clock=utc_now)

    def queue(self, number: str = "120", *, sender: str = A, **facts: object) -> str:
        """Queue a letter of A to B; return its message id."""
        now = utc_now()
        data = worlds.letter(number, at=now, name=f"{number}-SMA-VP.pdf", **facts)  # type: ignore[arg-type]
        return self.nodes[sender].send(data, now=now, allow_information_only=True).message_id

    def state(self, message_id: str, code: str = A) -> str:
        """State of the one dispatch of a message."""
        return self.nodes[code].dispatches(message_id)[0].state.value


Serving = Callable[..., AbstractAsyncContextManager[ServeConfig]]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Two nodes, not yet served."""
    from transport.http.addresses import Reach

    now = utc_now()
    pki = DevPki.create(at=now.replace(microsecond=0) - timedelta(days=1))
    ports = dict(zip((A, B), free_ports(2), strict=True))
    made = Place(tmp_path, pki, ports)
    world = worlds.build(tmp_path, pki, now, urls={code: made.url(code) for code in ports})
    made.nodes.update(world.nodes)
    for code, node in world.nodes.items():
        node.with_network(tls=None, reach=Reach(demo=True))
        node.office.request = made.key(code)
    yield made
    world.close()
