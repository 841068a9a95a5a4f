"""The gate before the HTTP library: who may connect, how long a head may take, which heads pass (exchange.md 10, 11).

Promises: the library sees complete request heads only, within the limits of ``framing``; connections are counted in
all and per address, before TLS begins and anything is held for them; a head that does not come within ``header_time``,
and an idle connection, are closed.
"""

from __future__ import annotations

import asyncio
from asyncio.sslproto import SSLProtocol
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, cast
from weakref import WeakKeyDictionary

from transport.errors import Problem
from transport.http.framing import Framer
from transport.http.limits import Gauge, HttpLimits
from transport.http.wire import PROBLEM_TYPE, format_digest, problem_json

if TYPE_CHECKING:
    import ssl

    from transport.http.reporting import Reporting

_PHRASES = {400: "Bad Request", 411: "Length Required", 414: "URI Too Long", 431: "Request Header Fields Too Large"}


class Gates:
    """Makes the gates of one listening socket and counts their connections."""

    def __init__(
        self,
        library: Callable[[], asyncio.Protocol],
        *,
        limits: HttpLimits,
        report: Reporting,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._library = library
        self.tls = tls
        self.limits = limits
        self.report = report
        self.connections = Gauge(most=limits.connections_max, each=limits.connections_per_address)
        self._open: WeakKeyDictionary[asyncio.BaseTransport, Gate] = WeakKeyDictionary()
        self.draining = False

    def __call__(self) -> asyncio.Protocol:
        return Gate(self, self._library()) if self.tls is None else Door(self)

    def behind(self) -> Gate:
        """Return the gate of a connection that has been counted."""
        return Gate(self, self._library(), counted=True)

    def admit(self, transport: asyncio.BaseTransport) -> str | None:
        """Count a connection and return its address; one too many is closed at once, and ``None`` returned."""
        address = str((transport.get_extra_info("peername") or ("",))[0])
        if self.draining or not self.connections.enter(address):
            self.report.limit("connections")
            cast("asyncio.Transport", transport).abort()
            return None
        return address

    def opened(self, transport: asyncio.BaseTransport, gate: Gate) -> None:
        """Remember an admitted connection."""
        self._open[transport] = gate

    def began(self, transport: asyncio.BaseTransport | None) -> None:
        """Note that a request is being answered: no idle time runs."""
        if transport is not None and transport in self._open:
            self._open[transport].busy()

    def ended(self, transport: asyncio.BaseTransport | None) -> None:
        """Note that the answer has been made: the idle time runs; while draining, the connection goes."""
        if transport is not None and transport in self._open:
            self._open[transport].idle()

    def drain(self) -> None:
        """Close idle connections now, busy ones after their answer."""
        self.draining = True
        for gate in list(self._open.values()):
            gate.drain()


class Door(asyncio.Protocol):
    """One connection before TLS: counted first, so that who never begins the handshake takes a place and no more.

    The event loop's own way makes a quarter of a megabyte ready for each connection before anybody can count it.
    """

    def __init__(self, gates: Gates) -> None:
        self._gates = gates

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count the connection, and let TLS begin on it."""
        address = self._gates.admit(transport)
        if address is None or self._gates.tls is None:
            return
        channel = _Channel(
            asyncio.get_running_loop(),
            self._gates.behind(),
            self._gates.tls,
            None,  # type: ignore[arg-type]  # nobody waits for the handshake; the stubs know no such case
            server_side=True,
            ssl_handshake_timeout=self._gates.limits.tls_handshake_time,  # type: ignore[arg-type]  # seconds, as a float
        )
        channel.left = partial(self._gates.connections.leave, address)
        cast("asyncio.Transport", transport).set_protocol(channel)
        channel.connection_made(transport)


class _Channel(SSLProtocol):
    """TLS of one connection, with a smaller buffer than the library's, which gives its place free at the end."""

    max_size = 32 * 1024
    left: Callable[[], None]

    def connection_lost(self, exc: BaseException | None) -> None:
        """Give the place free."""
        self.left()
        super().connection_lost(exc)


class Gate(asyncio.Protocol):
    """One connection: passes checked bytes on to the library's protocol and everything else along."""

    def __init__(self, gates: Gates, inner: asyncio.Protocol, *, counted: bool = False) -> None:
        self._gates = gates
        self._counted = counted
        self._inner = inner
        self._framer = Framer(gates.limits)
        self._transport: asyncio.Transport | None = None
        self._address = ""
        self._admitted = False
        self._busy = False
        self._refused = False
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count the connection; one too many is closed at once."""
        self._transport = cast("asyncio.Transport", transport)
        address = "" if self._counted else self._gates.admit(transport)
        if address is None:
            self._refused = True
            return
        self._address, self._admitted = address, True
        self._gates.opened(transport, self)
        self._inner.connection_made(transport)
        self._arm(self._gates.limits.header_time)

    def data_received(self, data: bytes) -> None:
        """Pass on what the framer lets through; refuse the connection at the first head it does not."""
        if self._refused:
            return
        before = self._framer.started
        try:
            passed = self._framer.feed(data)
        except Problem as problem:
            self._refuse(problem)
            return
        if passed:
            self._inner.data_received(passed)
        if self._framer.started and not before and not self._busy:
            self._arm(self._gates.limits.header_time)

    def eof_received(self) -> bool | None:
        """The other side will send no more."""
        return None if self._refused else self._inner.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place free."""
        self._disarm()
        if self._admitted:
            if not self._counted:
                self._gates.connections.leave(self._address)
            self._admitted = False
            self._inner.connection_lost(exc)

    def pause_writing(self) -> None:
        """The other side reads slowly; it has ``write_time``."""
        self._inner.pause_writing()
        self._arm(self._gates.limits.write_time)

    def resume_writing(self) -> None:
        """The other side reads again."""
        self._disarm()
        self._inner.resume_writing()

    def busy(self) -> None:
        """A request is being answered."""
        self._busy = True
        self._disarm()

    def idle(self) -> None:
        """The request has been answered."""
        self._busy = False
        limits = self._gates.limits
        self._arm(limits.header_time if self._framer.started else limits.keepalive_idle_time)

    def drain(self) -> None:
        """Close unless a request is being answered."""
        if not self._busy and self._transport is not None:
            self._transport.close()

    def _arm(self, seconds: float) -> None:
        self._disarm()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._expired)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expired(self) -> None:
        if self._transport is not None:
            self._gates.report.limit("header_time" if self._framer.started else "keepalive_idle_time")
            self._transport.abort()

    def _refuse(self, problem: Problem) -> None:
        """Answer a head that is refused, and close: what follows has no certain meaning."""
        self._refused = True
        self._gates.report.limit(f"head_{problem.status}")
        if self._transport is None:
            return
        if not self._busy:  # else an answer is under way, and ours would mix with it
            self._transport.write(_plain_answer(problem))
        self._transport.close()


def _plain_answer(problem: Problem) -> bytes:
    body = problem_json(problem)
    lines = (
        f"HTTP/1.1 {problem.status} {_PHRASES[problem.status]}",
        f"Content-Type: {PROBLEM_TYPE}",
        f"Content-Length: {len(body)}",
        f"Content-Digest: {format_digest(sha256(body).hexdigest())}",
        "Connection: close",
    )
    return "\r\n".join(lines).encode("ascii") + b"\r\n\r\n" + body
