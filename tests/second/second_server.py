"""A second server of the exchange: receives E1, answers E2 and E3, offers a feed (E4 to E6), from exchange.md alone.

It checks request signature, digest and seal with its own code and gives receipts of its own making. ``script`` says,
by agency, how the next E1 requests are treated; without an entry they are treated as the specification says.
"""

from __future__ import annotations

import hashlib
import ssl
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import ThreadingHTTPServer

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.second import second_receipt as receipts
from tests.second.second_dsig import Broken, Signer, b64, fingerprint, stamp
from tests.second.second_handler import ROOT, Handler, K, Seen
from tests.second.second_message import Opened, Sealed, open_sealed
from tests.second.second_wire import PublicKey, RequestKey


@dataclass(frozen=True, slots=True)
class Sender:
    """A partner as a person confirmed it: keys of its requests, certificates of its seals."""

    request_keys: Mapping[str, PublicKey]
    certificates: frozenset[str]


@dataclass(slots=True)
class Stored:
    """What the server keeps for one K; ``pending`` answers of 202 come before the receipt."""

    sha256: str
    size: int
    receipt: bytes
    status: int
    at: datetime
    opened: Opened | None = None
    pending: int = 0

    @property
    def again(self) -> int:
        """The status of a repetition: 200, or 422 once more for a refusal."""
        return 422 if self.status == 422 else 200


@dataclass(slots=True)
class Waiting:
    """A message of ours in the feed of another agency, and its receipt once there."""

    recipient: str
    message: Sealed
    lane: int = 3
    submitted: datetime = field(default_factory=lambda: datetime.now(UTC))
    receipt: bytes | None = None
    handed: int = 0


class _Listener(ThreadingHTTPServer):
    """Connections that end in the middle are the tests' daily bread: nothing of them goes to standard error."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing."""


@dataclass
class SecondServer:
    """The node of some agencies; ``start`` listens on loopback."""

    issuers: Mapping[str, receipts.Issuer]
    senders: Mapping[str, Sender]
    key: RequestKey
    node: str = "nut-hai"
    keys: list[dict[str, object]] = field(default_factory=list)
    script: dict[str, deque[str]] = field(default_factory=dict)
    stored: dict[K, Stored] = field(default_factory=dict)
    waiting: dict[K, Waiting] = field(default_factory=dict)
    feeding: set[str] = field(default_factory=set)
    seen: list[Seen] = field(default_factory=list)
    foreign: bytes = b""
    max_bytes: int = 150_000_000
    tls: ssl.SSLContext | None = None
    changed: threading.Condition = field(default_factory=threading.Condition)

    def start(self, port: int = 0) -> None:
        """Listen on a port of loopback, in threads of its own."""
        handler = type("Bound", (Handler,), {"node": self})
        self._http = _Listener(("127.0.0.1", port), handler)
        if self.tls is not None:
            self._http.socket = self.tls.wrap_socket(self._http.socket, server_side=True)
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def base(self) -> str:
        """The endpoint."""
        scheme = "http://127.0.0.1" if self.tls is None else "https://localhost"
        return f"{scheme}:{self._http.server_address[1]}{ROOT}"

    def close(self) -> None:
        """Listen no more."""
        self._http.shutdown()
        self._http.server_close()

    def offer(self, recipient: str, message: Sealed, *, lane: int = 3) -> K:
        """Put a message of this agency into a feed."""
        k = (recipient, message.sender, message.message_id)
        with self.changed:
            self.waiting[k] = Waiting(recipient, message, lane)
            self.changed.notify_all()
        return k

    def note(self, seen: Seen) -> None:
        """Remember a request and wake who waits for it."""
        with self.changed:
            self.seen.append(seen)
            self.changed.notify_all()

    # --- E1 ----------------------------------------------------------------------------------------------------------

    def receive(self, k: K, data: bytes, word: str) -> tuple[int, Stored]:
        """S8 to S11: judge the bytes, make and keep the one receipt."""
        code, opened = self._judge(k, data) if not word.startswith("refuse:") else (word[7:], None)
        at = datetime.now(UTC)
        known = receipts.Known(*k, data)
        reason = (code, "Không nhận được tệp này") if code else ("", "")
        made = receipts.write(known, opened, self.issuers[k[0]], at=at, reason=reason)
        status = 422 if code else 201
        entry = Stored(hashlib.sha256(data).hexdigest(), len(data), made, status, at, opened)
        entry.pending = int(word[8:]) if word.startswith("pending:") else 0
        with self.changed:
            kept = self.stored.setdefault(k, entry)
        return (status if kept is entry else kept.again), kept

    def _judge(self, k: K, data: bytes) -> tuple[str, Opened | None]:
        try:
            opened = open_sealed(data)
        except Broken as fault:
            return ("not-edxml" if "XML" in str(fault) else "seal-invalid"), None
        recipient, sender, message_id = k
        if fingerprint(opened.seal.certificate) not in self.senders[sender].certificates:
            return "seal-not-sender", opened
        if (opened.slip["MessageId"], opened.slip["Sender"]) != (message_id, sender):
            return "slip-mismatch", opened
        return ("" if recipient in opened.recipients else "wrong-addressee"), opened


def exchange_key(agency: str, signer: Signer, status: str) -> dict[str, object]:
    """Return the entry of an exchange key in the metadata."""
    certificate = signer.certificate
    times = {"not_before": certificate.not_valid_before_utc, "not_after": certificate.not_valid_after_utc}
    shown = {name: stamp(moment) for name, moment in times.items()}
    data, *chain = (b64(one.public_bytes(Encoding.DER)) for one in (certificate, *signer.chain))
    return {"use": "exchange", "agency": agency, "certificate": data, "chain": chain, **shown, "status": status}


def request_key(key: PublicKey, status: str) -> dict[str, object]:
    """Return the entry of a request key in the metadata."""
    data = b64(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    return {"use": "request", "spki": data, "not_before": None, "not_after": None, "status": status}
