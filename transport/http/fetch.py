"""One bounded, synchronous HTTP request to a service named by a certificate or the settings (exchange.md 11).

Promises: the address that is connected to is one that was judged; no redirect, no proxy of the environment, no
decompression; the answer is bounded in size and the whole request in time; one that was cut off is no answer. A
``Session`` keeps connections for the next request to the same address.
"""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import threading
import time
import weakref
from collections.abc import Mapping
from dataclasses import dataclass

from transport.errors import Refused, TryLater
from transport.http.addresses import Reach, Target, resolve

CHUNK = 64 * 1024
CONNECT_TIME = 30.0
"""Seconds in which an address must take a connection; whoever takes none has time for another attempt, or the next."""

IDLE_TIME = 20.0
"""Seconds after which a connection that is kept is not used again."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A complete answer; ``retry_after`` are the seconds after which the service wants to be asked again."""

    status: int
    content_type: str
    body: bytes
    retry_after: int = 0


@dataclass(frozen=True, slots=True)
class Ask:
    """A request: method, URL, fields, body."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes = b""


def fetch(ask: Ask, *, reach: Reach, most: int, timeout: float, tls: ssl.SSLContext | None = None) -> Fetched:
    """Make the request and return its answer of at most ``most`` bytes within ``timeout`` seconds.

    Raises ``Refused`` for an address we do not connect to, ``TryLater`` for everything the network does to us.
    """
    with Session(reach, tls=tls, most_kept=0) as session:
        return session.fetch(ask, most=most, timeout=timeout)


class Session:
    """Requests one after the other over connections that are kept; threads may use it at the same time."""

    def __init__(self, reach: Reach, *, tls: ssl.SSLContext | None = None, most_kept: int = 8) -> None:
        self._reach = reach
        self._tls = tls
        self._most = most_kept
        self._idle: dict[tuple[str, str, int], list[_Connection]] = {}
        self._lock = threading.Lock()
        self._process = os.getpid()
        weakref.finalize(self, _close_all, self._idle)  # who forgets to close it leaves no socket behind

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections that are kept."""
        with self._lock:
            _close_all(self._idle)

    def fetch(self, ask: Ask, *, most: int, timeout: float) -> Fetched:
        """Make a request as ``fetch`` does; a kept connection that the service has closed meanwhile is replaced."""
        target = self._reach.check_url(ask.url)
        deadline = time.monotonic() + timeout
        kept = self._taken(target)
        try:
            if kept is not None:
                try:
                    return self._exchanged(kept, ask, most=most, deadline=deadline)
                except (ConnectionError, ssl.SSLError):
                    pass
            fresh = _Connection(target, self._reach, deadline=deadline, tls=self._tls)
            return self._exchanged(fresh, ask, most=most, deadline=deadline)
        except (OSError, http.client.HTTPException) as error:
            raise TryLater("EDOC-EXC-024", "the service did not answer", url=ask.url, cause=_said(error)) from error

    def _taken(self, target: Target) -> _Connection | None:
        self._leave_to_parent()
        with self._lock:
            held = self._idle.get((target.scheme, target.host, target.port), [])
            while held:
                if (found := held.pop()).is_fresh():
                    return found
                found.close()
        return None

    def _leave_to_parent(self) -> None:
        """Let go of connections that belong to the process this one was forked from: two must not speak on one."""
        if self._process != os.getpid():
            self._process, self._lock = os.getpid(), threading.Lock()
            self.close()

    def _exchanged(self, connection: _Connection, ask: Ask, *, most: int, deadline: float) -> Fetched:
        again = False
        try:
            connection.within(deadline)
            fields = _fields(ask, keep=self._most > 0)
            connection.request(ask.method, self._reach.check_url(ask.url).path, body=ask.body or None, headers=fields)
            response = connection.getresponse()
            body = _read(response, connection, most=most, deadline=deadline)
            again = not response.will_close
            response.close()  # read to its end, piece by piece, it still counts as open: the next one could not begin
            headers = response.headers
            return Fetched(response.status, headers.get_content_type(), body, _seconds(headers.get("Retry-After", "")))
        finally:
            if not (again and self._kept(connection)):
                connection.close()

    def _kept(self, connection: _Connection) -> bool:
        with self._lock:
            held = self._idle.setdefault(connection.address, [])
            if len(held) < self._most:
                connection.rests()
                held.append(connection)
                return True
        return False


def _close_all(kept: dict[tuple[str, str, int], list[_Connection]]) -> None:
    for held in kept.values():
        while held:
            held.pop().close()


_CAUSES: tuple[tuple[type[BaseException], str], ...] = (
    (TimeoutError, "timeout"),
    (ConnectionRefusedError, "connection refused"),
    (ConnectionError, "connection cut"),
    (http.client.IncompleteRead, "connection cut"),
    (ssl.SSLError, "TLS"),
    (http.client.HTTPException, "not HTTP"),
)


def _said(error: Exception) -> str:
    return next((words for kind, words in _CAUSES if isinstance(error, kind)), "network")


class _Connection(http.client.HTTPConnection):
    """A connection to one judged address; TLS verifies the name of the URL, by the given anchors or the system's."""

    def __init__(self, target: Target, reach: Reach, *, deadline: float, tls: ssl.SSLContext | None) -> None:
        super().__init__(target.host, target.port)
        self._target = target
        self._reach = reach
        self._deadline = deadline
        self._tls = tls
        self._since = time.monotonic()
        self.address = (target.scheme, target.host, target.port)

    def rests(self) -> None:
        """Remember since when nothing is asked."""
        self._since = time.monotonic()

    def is_fresh(self) -> bool:
        """Say whether it may serve again: one that is silent for long may have been dropped on the way, unheard."""
        return time.monotonic() - self._since < IDLE_TIME

    def within(self, deadline: float) -> None:
        """Give the next request its time."""
        self._deadline = deadline
        if self.sock is not None:
            self.sock.settimeout(_left(deadline))

    def connect(self) -> None:
        """Connect to the first allowed address that answers."""
        last: OSError | None = None
        for address in resolve(self._target, self._reach):
            try:
                self.sock = self._open(str(address))
                return
            except OSError as error:
                last = error
        raise last or OSError("no address")

    def _open(self, address: str) -> socket.socket:
        step = min(_left(self._deadline), CONNECT_TIME)
        plain = socket.create_connection((address, self._target.port), timeout=step)
        plain.settimeout(_left(self._deadline))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # head and body are sent apart
        if self._target.scheme != "https":
            return plain
        context = self._tls or ssl.create_default_context()
        return context.wrap_socket(plain, server_hostname=self._target.host)


def _fields(ask: Ask, *, keep: bool) -> dict[str, str]:
    connection = "keep-alive" if keep else "close"
    return {"User-Agent": "edoc", "Accept-Encoding": "identity", "Connection": connection, **ask.headers}


def _read(response: http.client.HTTPResponse, connection: _Connection, *, most: int, deadline: float) -> bytes:
    body = bytearray()
    while True:
        if connection.sock is not None:  # gone once the library has taken the whole answer over
            connection.sock.settimeout(_left(deadline))
        _left(deadline)
        chunk = response.read1(CHUNK)
        if not chunk and response.length:  # the library takes an answer that was cut off for a whole one
            raise http.client.IncompleteRead(bytes(body), response.length)
        if not chunk:
            return bytes(body)
        body += chunk
        if len(body) > most:
            raise Refused("EDOC-EXC-025", "the answer is longer than is read", most=most)


def _seconds(text: str) -> int:
    """Return what ``Retry-After`` says in seconds; a date counts as nothing said."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("the request took too long")
    return left
