"""What an attacker has: a socket, keys of its own, and answers of its own making. Nothing here is polite."""

from __future__ import annotations

import hashlib
import json
import re
import socket
import threading
import uuid
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

from edoc import seal as seals
from edoc.envelopes import Envelope
from signer.credential import Credential, Role, load_credential
from tests import world as worlds
from transport.demo.offices import Office
from transport.dispatch import Key
from transport.http.wire import (
    MESSAGE_TYPE,
    RECEIPT_TYPE,
    RequestKey,
    RequestView,
    format_digest,
    path_of,
    sign_request,
)

A, B = "H99.01", "H99.02"
Fields = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Said:
    """An answer as it came: status (0 for none), fields in lower case, body."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def problem(self) -> str:
        """Name of the problem, or of the refusal, or ``accepted``; empty for anything else."""
        if self.headers.get("content-type") == "application/problem+json":
            return str(json.loads(self.body)["type"]).removeprefix("urn:edoc:problem:")
        code = re.search(rb'Reason Code="([a-z-]+)"', self.body)
        return code[1].decode() if code else "accepted" if b"RelayAcceptance" in self.body else ""


def request_key(office: Office) -> RequestKey:
    """Read an office's request key."""
    return RequestKey.from_pem((office.home / "keys" / "yeu-cau.pem").read_bytes())


def exchange_key(office: Office) -> Credential:
    """Read an office's exchange key."""
    return load_credential((office.home / "keys" / "trao-doi.pem").read_bytes(), role=Role.EXCHANGE, passphrase=None)


def new_id() -> str:
    """Return a fresh message id."""
    return str(uuid.uuid4())


def message(message_id: str, credential: Credential, **facts: object) -> bytes:
    """Seal a letter of A to B with any key; ``change`` may alter it before, ``at`` is the moment of the seal."""
    change = facts.pop("change", None)
    at = facts.pop("at", None) or datetime.now(UTC)
    assert isinstance(at, datetime)
    letter = seals.read_packed(worlds.letter(at=at, **facts))  # type: ignore[arg-type]  # facts of the letter, by name
    if callable(change):
        letter = change(letter)
    assert isinstance(letter, Envelope)
    return seals.seal(letter, message_id=message_id, credential=credential, at=at).data


def content_fields(body: bytes, **changed: str | None) -> list[tuple[str, str]]:
    """Return the fields of a request with a body; ``changed`` replaces (``Content_Length``) or leaves out (None)."""
    fields: dict[str, str | None] = {
        "Content-Type": MESSAGE_TYPE,
        "Content-Length": str(len(body)),
        "Content-Digest": format_digest(hashlib.sha256(body).hexdigest()),
    }
    fields |= {name.replace("_", "-"): value for name, value in changed.items()}
    return [(name, value) for name, value in fields.items() if value is not None]


def head(
    office: Office,
    line: tuple[str, str],
    *,
    key: RequestKey | None,
    fields: Fields = (),
    unsigned: Fields = (),
    at: datetime | None = None,
) -> bytes:
    """Return a request head; ``line`` is method and path, ``unsigned`` fields come after the signature's."""
    method, path = line
    host = f"127.0.0.1:{office.port}"
    lines = [("Host", host), *fields]
    if key is not None:
        view = RequestView(method, f"http://{host}{path}", tuple(lines))
        lines += sign_request(view, key=key, created=at or datetime.now(UTC)).items()
    lines += unsigned
    return f"{method} {path} HTTP/1.1\r\n".encode() + b"".join(f"{n}: {v}\r\n".encode() for n, v in lines) + b"\r\n"


def put(office: Office, key: Key, body: bytes, caller: RequestKey | None, **how: object) -> Said:
    """Put a message. ``changed`` is for ``content_fields``; the rest for ``head``."""
    changed = how.pop("changed", {})
    assert isinstance(changed, dict)
    fields = content_fields(body, **changed)
    made = head(office, ("PUT", path_of(key)), key=caller, fields=fields, **how)  # type: ignore[arg-type]
    return talk(office, made + body)


def ask(office: Office, key: Key, caller: RequestKey | None, suffix: str = "") -> Said:
    """Ask for the state (E2), or with ``/receipt`` for the receipt (E3)."""
    return talk(office, head(office, ("GET", path_of(key, suffix)), key=caller))


def talk(office: Office, data: bytes, *, then_close: bool = False) -> Said:
    """Send bytes on a connection of their own and read one answer; ``then_close`` sends no more after them."""
    with socket.create_connection(("127.0.0.1", office.port), timeout=30) as connection:
        with suppress(OSError):
            connection.sendall(data)
            if then_close:
                connection.shutdown(socket.SHUT_WR)
        return _read(connection)


def _read(connection: socket.socket) -> Said:
    data = b""
    while True:
        top, end, body = data.partition(b"\r\n\r\n")
        if end and top.startswith(b"HTTP/1.1 100"):
            data = body
            continue
        if end:
            pairs = (line.partition(": ") for line in top.decode("latin-1").split("\r\n")[1:])
            headers = {name.lower(): value for name, _, value in pairs}
            if len(body) >= int(headers.get("content-length", "0")):
                return Said(int(top[9:12]), headers, body)
        try:
            more = connection.recv(65536)
        except OSError:
            return Said(0)
        if not more:
            return Said(0)
        data += more


Answering = Callable[[str, bytes], bytes]
"""From the path and body of a request to the bytes of the answer; the connection closes after them."""


class FalseRecipient:
    """A server at an office's address that answers as it likes."""

    def __init__(self, port: int, answering: Answering) -> None:
        self._answering = answering
        self._listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            connection.settimeout(20)
            data = b""
            while b"\r\n\r\n" not in data:
                data += connection.recv(65536) or b"\r\n\r\n"
            top, _, body = data.partition(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: ([0-9]+)", top)
            while length is not None and len(body) < int(length[1]):
                body += connection.recv(65536)
            if top:
                connection.sendall(self._answering(top.split(b" ")[1].decode(), body))


def answer(status: int, body: bytes = b"", content_type: str = RECEIPT_TYPE, more: Iterable[str] = ()) -> bytes:
    """Return an answer's bytes, with a true length and digest."""
    lines = [
        f"HTTP/1.1 {status} X",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(body)}",
        f"Content-Digest: {format_digest(hashlib.sha256(body).hexdigest())}",
        'Edoc-Ledger: origin="x.example/edoc-ledger/2026", index=1, '
        "leaf=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:",
        *more,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def problem(name: str, status: int) -> bytes:
    """Return an answer that names a problem."""
    body = json.dumps({"type": f"urn:edoc:problem:{name}", "status": status, "retry_after": 10**400}).encode()
    return answer(status, body, "application/problem+json")
