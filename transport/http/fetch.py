"""One bounded, synchronous HTTP request to a service named by a certificate or the settings (exchange.md 11).

Promises: the address that is connected to is one that was judged; no redirect, no proxy of the environment, no
decompression; the answer is bounded in size and the whole request in time.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass

from transport.errors import Refused, TryLater
from transport.http.addresses import Reach, Target, resolve

CHUNK = 64 * 1024


@dataclass(frozen=True, slots=True)
class Fetched:
    """A complete answer."""

    status: int
    content_type: str
    body: bytes


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
    target = reach.check_url(ask.url)
    deadline = time.monotonic() + timeout
    connection = _Connection(target, reach, deadline=deadline, tls=tls)
    try:
        connection.request(ask.method, target.path, body=ask.body or None, headers=_fields(ask))
        response = connection.getresponse()
        body = _read(response, connection, most=most, deadline=deadline)
        return Fetched(response.status, response.headers.get_content_type(), body)
    except (OSError, http.client.HTTPException) as error:
        raise TryLater("EDOC-EXC-024", "the service did not answer", url=ask.url) from error
    finally:
        connection.close()


class _Connection(http.client.HTTPConnection):
    """A connection to one judged address; TLS verifies the name of the URL, by the given anchors or the system's."""

    def __init__(self, target: Target, reach: Reach, *, deadline: float, tls: ssl.SSLContext | None) -> None:
        super().__init__(target.host, target.port)
        self._target = target
        self._reach = reach
        self._deadline = deadline
        self._tls = tls

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
        step = _left(self._deadline)
        plain = socket.create_connection((address, self._target.port), timeout=step)
        if self._target.scheme != "https":
            return plain
        context = self._tls or ssl.create_default_context()
        return context.wrap_socket(plain, server_hostname=self._target.host)


def _fields(ask: Ask) -> dict[str, str]:
    return {"User-Agent": "edoc", "Accept-Encoding": "identity", "Connection": "close", **ask.headers}


def _read(response: http.client.HTTPResponse, connection: _Connection, *, most: int, deadline: float) -> bytes:
    body = bytearray()
    while True:
        if connection.sock is not None:  # gone once the library has taken the whole answer over
            connection.sock.settimeout(_left(deadline))
        _left(deadline)
        chunk = response.read1(CHUNK)
        if not chunk:
            return bytes(body)
        body += chunk
        if len(body) > most:
            raise Refused("EDOC-EXC-025", "the answer is longer than is read", most=most)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("the request took too long")
    return left
