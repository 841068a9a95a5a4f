"""A partner that behaves as a test wants: the second client's keys and signatures, and bytes put on a socket by hand.

It speaks for agency A to B's node (or to the proxy before it). Requests are made by ``tests.second``, which was
written from exchange.md alone; here they become bytes that can be cut, flipped, sent twice, kept and sent later.
"""

from __future__ import annotations

import re
import socket
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from signer.devpki import DevIdentity
from tests.lab import receiptcheck
from tests.lab.lab import A, B, Lab
from tests.second.second_client import Partner, SecondClient
from tests.second.second_dsig import Signer
from tests.second.second_message import Letter, Organ, Sealed, document, seal
from tests.second.second_wire import MESSAGE_TYPE, Request, path_of

ORGAN_A, ORGAN_B = Organ(A, "Sở Mẫu A"), Organ(B, "Sở Mẫu B")
_LENGTH = re.compile(rb"(?im)^content-length:[ \t]*([0-9]+)")


@dataclass(frozen=True, slots=True)
class Said:
    """What came back: status (0 for nothing whole), head and body, and how long it took in seconds."""

    status: int = 0
    head: bytes = b""
    body: bytes = b""
    seconds: float = 0.0

    @property
    def problem(self) -> str:
        """Name of the problem or of the first reason of a refusal; ``accepted``; empty for anything else."""
        found = re.search(rb'urn:edoc:problem:([a-z-]+)|Reason Code="([a-z-]+)"', self.body)
        if found:
            return (found[1] or found[2]).decode()
        return "accepted" if b"RelayAcceptance" in self.body else ""


@dataclass
class Stranger:
    """Agency A as a client without a node."""

    lab: Lab
    port: int
    client: SecondClient
    signer: Signer
    certificates: list[str]
    _count: int = field(default=900)

    @classmethod
    def of(cls, lab: Lab, *, port: int | None = None) -> Stranger:
        """Speak for A to B, as B is known to its partners; connect to B's own port unless told another."""
        identities = lab.template.identities
        key = load_pem_private_key(identities[A]["request"].pem, None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        certificates = [identities[B]["exchange"].credential.sha256]
        partner = Partner(f"http://127.0.0.1:{lab.to_b.port}/exchange/v1", B, frozenset(certificates))
        client = SecondClient(A, key, partner, clock=lambda: time.time() + lab.b.control.offset.total_seconds())
        return cls(lab, port or lab.b.port, client, signer_of(identities[A]["exchange"]), certificates)

    def now(self) -> datetime:
        """Return the moment at B."""
        return datetime.now(UTC) + self.lab.b.control.offset

    def message(
        self,
        *,
        message_id: str = "",
        size: int = 200,
        number: str = "",
        signer: Signer | None = None,
        at: datetime | None = None,
    ) -> Sealed:
        """Seal a letter of its own number."""
        self._count += 1
        moment = at or self.now()
        files = (("119-SMA-VP.pdf", b"%PDF-1.4\n" + uuid.uuid4().bytes * (size // 16) + b"\n%%EOF\n"),)
        letter = Letter(ORGAN_A, (ORGAN_B,), moment, number or str(self._count), files=files)
        made = signer or self.signer
        return seal(
            document(letter), A, kind="edoc", signer=made, at=moment, message_id=message_id or str(uuid.uuid4())
        )

    def raw(
        self, message: Sealed, *, body: bytes | None = None, more: dict[str, str] | None = None
    ) -> tuple[bytes, bytes]:
        """Return head and body of E1, signed for ``body`` if given instead of the message's bytes."""
        path = path_of(B, A, message.message_id)
        data = message.data if body is None else body
        return raw(self.client.request("PUT", path, data, MESSAGE_TYPE, more)), data

    def put(self, message: Sealed, *, body: bytes | None = None, more: dict[str, str] | None = None) -> Said:
        """E1 once."""
        return self.talk(b"".join(self.raw(message, body=body, more=more)))

    def ask(self, message: Sealed, suffix: str = "") -> Said:
        """E2, or E3 with ``/receipt``."""
        return self.talk(raw(self.client.request("GET", path_of(B, A, message.message_id) + suffix)))

    def connect(self, message: Sealed) -> socket.socket:
        """Send E1 and return the connection, on which the answer is still to come."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        connection.sendall(b"".join(self.raw(message)))
        return connection

    def talk(self, data: bytes, *, close: bool = False, patience: float = 60.0) -> Said:
        """Send bytes on a connection of their own and read one final answer."""
        began = time.monotonic()
        with socket.create_connection(("127.0.0.1", self.port), timeout=patience) as connection:
            with suppress(OSError):
                connection.sendall(data)
                if close:
                    connection.shutdown(socket.SHUT_WR)
            said = read_answer(connection)
        return Said(said.status, said.head, said.body, time.monotonic() - began)

    def proved(self, message: Sealed, said: Said) -> receiptcheck.Told:
        """Check the receipt in an answer as a stranger would."""
        return receiptcheck.check(
            said.body,
            certificates=self.certificates,
            expected=(A, B, message.message_id),
            size=len(message.data),
            sha256=message.sha256.hex(),
        )

    def settled(self, message: Sealed, *, seconds: float = 60.0) -> Said:
        """Put a message again and again until a receipt comes that holds."""
        end = time.monotonic() + seconds
        while True:
            said = Said()
            with suppress(OSError):
                said = self.put(message)
            if said.status in (200, 201, 422):
                self.proved(message, said)
                return said
            assert time.monotonic() < end, f"no receipt: {said.status} {said.problem}"
            time.sleep(0.05)


def signer_of(identity: DevIdentity) -> Signer:
    """Take an identity of the demonstration authority into the second implementation."""
    key = load_pem_private_key(identity.pem, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    chain = tuple(x509.load_der_x509_certificate(one) for one in identity.chain)
    return Signer(key, x509.load_der_x509_certificate(identity.certificate), chain)


def raw(request: Request) -> bytes:
    """Return the head of a request as bytes."""
    place = urlsplit(request.url)
    target = place.path + (f"?{place.query}" if place.query else "")
    lines = [f"{request.method} {target} HTTP/1.1", f"Host: {place.netloc}"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def read_answer(connection: socket.socket) -> Said:
    """Read one final answer; status 0 if it does not come whole."""
    data = b""
    while True:
        head, end, body = data.partition(b"\r\n\r\n")
        if end and head.startswith(b"HTTP/1.1 1"):
            data = body
            continue
        if end:
            found = _LENGTH.search(head)
            if len(body) >= (int(found[1]) if found else 0):
                return Said(int(head[9:12]), head, body)
        try:
            more = connection.recv(65536)
        except OSError:
            return Said()
        if not more:
            return Said()
        data += more


def a_while(minutes: float) -> timedelta:
    """Return so many minutes."""
    return timedelta(minutes=minutes)
