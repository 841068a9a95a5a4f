"""Where one HTTP/1.1 request ends and the next begins: the shapes of exchange.md 3.1 S1, 10 and 11, before any parser.

Promises: only request heads within the limits and without an ambiguous length pass on; everything after the first
doubt is dropped, because two readers that disagree on a boundary are how requests are smuggled. Pure: bytes in, what
may pass on out.
"""

from __future__ import annotations

import re

from transport.errors import Problem
from transport.http.limits import HttpLimits

_END = b"\r\n\r\n"
_LINE = re.compile(rb"([A-Z]{1,16}) (/[!-~]*) HTTP/1\.1")
_FIELD = re.compile(
    rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x21-\x7e\x80-\xff](?:[ \t]*[\x21-\x7e\x80-\xff])*)?[ \t]*"
)
_LENGTH = re.compile(rb"0|[1-9][0-9]{0,18}")


class Framer:
    """Follows the bytes of one connection. ``head`` tells whether a request head is being read."""

    def __init__(self, limits: HttpLimits) -> None:
        self._limits = limits
        self._head = bytearray()
        self._body_left = 0
        self._ended = False  # after a PUT without a length: what follows may be its body, so no request is seen in it

    @property
    def started(self) -> bool:
        """Whether a request head has begun and is not complete."""
        return bool(self._head)

    @property
    def in_body(self) -> bool:
        """Whether bytes of a body are still to come."""
        return self._body_left > 0

    def feed(self, data: bytes) -> bytes:
        """Return what may pass on now: complete heads and the bodies that belong to them.

        Raises ``Problem`` (class S shapes of exchange.md 3.2) for a head that is refused; the connection is then of no
        further use.
        """
        passed = bytearray()
        left = memoryview(data)
        while left and not self._ended:
            if self._body_left:
                part = left[: self._body_left]
                passed += part
                self._body_left -= len(part)
                left = left[len(part) :]
                continue
            left = self._collect(left, passed)
        return bytes(passed)

    def _collect(self, left: memoryview, passed: bytearray) -> memoryview:
        """Move bytes into the head until it is complete, then check it and let it pass."""
        before = len(self._head)
        if not before and bytes(left[:2]) == b"\r\n":  # an empty line before a request is lawful (RFC 9112, 2.2)
            return left[2:]
        room = self._limits.request_line_max_bytes + self._limits.header_max_bytes + len(_END) + 2
        self._head += left[: room - before + 1]
        end = self._head.find(_END, max(0, before - len(_END) + 1))
        if end < 0:
            self._check_unfinished(room)
            return left[len(self._head) - before :]
        size = end + len(_END)
        head = bytes(self._head[:size])
        self._head.clear()
        self._body_left = self._check(head)
        passed += head
        return left[size - before :]

    def _check_unfinished(self, room: int) -> None:
        line = self._head.find(b"\r\n")
        if line < 0 and len(self._head) > self._limits.request_line_max_bytes:
            raise _shape(414, "request_line_max_bytes")
        if len(self._head) >= room:
            raise _shape(431, "header_max_bytes")

    def _check(self, head: bytes) -> int:
        """Return the length of the body a complete head announces."""
        line, *fields = head[: -len(_END)].split(b"\r\n")
        if len(line) > self._limits.request_line_max_bytes:
            raise _shape(414, "request_line_max_bytes")
        if len(head) - len(line) - len(_END) > self._limits.header_max_bytes:
            raise _shape(431, "header_max_bytes")
        if len(fields) > self._limits.headers_max:
            raise _shape(431, "headers_max")
        if _LINE.fullmatch(line) is None:
            raise _shape(400)
        pairs = [_field(raw) for raw in fields]
        self._ended = line.startswith(b"PUT ") and all(name != b"content-length" for name, _ in pairs)
        return _body_length(pairs)


def _field(raw: bytes) -> tuple[bytes, bytes]:
    found = _FIELD.fullmatch(raw)  # also refuses bare CR, bare LF, folded lines and blanks before the colon
    if found is None:
        raise _shape(400)
    return found.group(1).lower(), found.group(2) or b""


def _body_length(fields: list[tuple[bytes, bytes]]) -> int:
    lengths = [value for name, value in fields if name == b"content-length"]
    chunked = any(name == b"transfer-encoding" for name, _ in fields)
    hosts = sum(name == b"host" for name, _ in fields)
    # An upgrade would end HTTP/1.1 on this connection in the middle of a request.
    upgrade = any(name == b"upgrade" for name, _ in fields)
    if len(lengths) > 1 or (chunked and lengths) or hosts != 1 or upgrade:
        raise _shape(400)
    if chunked:
        raise _shape(411)  # the size is known, and disk is reserved by it
    if not lengths:
        return 0
    if _LENGTH.fullmatch(lengths[0]) is None:
        raise _shape(400)
    return int(lengths[0])


def _shape(status: int, limit: str | None = None) -> Problem:
    message = "the request head is refused"
    if limit is None:
        return Problem("bad-request", status, message)
    return Problem("bad-request", status, message, limit={"name": limit})
