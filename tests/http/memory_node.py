"""A node in memory that behaves: one receipt for each key, made once, with a place in a log; for tests of HTTP."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NoReturn

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from transport.dispatch import Key
from transport.errors import Problem
from transport.http.wire import Caller, RequestKey
from transport.receiptform import ACCEPTANCE, REJECTION
from transport.store.values import Known, LedgerRef, ReceiptView

MOMENT = datetime(2026, 11, 20, 2, 30, tzinfo=UTC)
ORIGIN = "sob.example/edoc-ledger/2026"
SENDER_KEY = RequestKey.of(ec.generate_private_key(ec.SECP256R1()))
NODE_KEY = RequestKey.of(ec.generate_private_key(ec.SECP256R1()))


def spki(key: RequestKey) -> bytes:
    """The public half of a request key."""
    return key.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@dataclass(frozen=True, slots=True)
class MemoryAnswer:
    """What the node answers."""

    status: int
    receipt: bytes
    ledger: LedgerRef | None


@dataclass
class MemoryNode:
    """Serves H99.02; knows the node of H99.01; ``before_commit`` and ``after_commit`` are where tests interfere."""

    callers: dict[str, Caller] = field(
        default_factory=lambda: {
            SENDER_KEY.keyid: Caller("H99.01", ("H99.01", "H99.11"), spki(SENDER_KEY), SENDER_KEY.alg)
        }
    )
    rows: dict[Key, Known] = field(default_factory=dict)
    made: int = 0
    conflicts: list[tuple[Key, str]] = field(default_factory=list)
    peers: list[LedgerRef | None] = field(default_factory=list)
    is_ready: bool = True
    before_commit: Callable[[], None] = lambda: None
    after_commit: Callable[[], None] = lambda: None
    look: Callable[[], None] = lambda: None
    place: Callable[[], bool] = lambda: True
    held: set[Key] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def partner_for(self, keyid: str) -> Caller | None:
        """Who holds a request key."""
        return self.callers.get(keyid)

    def check_parties(self, partner: Caller, key: Key, now: datetime) -> None:
        """S3."""
        if key.sender not in partner.agencies:
            raise Problem("forbidden", 403, "not an agency of this node")
        if key.recipient == "H99.09":
            raise Problem("recipient-moved", 410, "closed", successor="H99.02")
        if key.recipient != "H99.02":
            raise Problem("unknown-recipient", 404, "not served here")

    def known(self, key: Key) -> Known | None:
        """What is known of K."""
        self.look()
        return self.rows.get(key)

    def ready(self) -> tuple[bool, dict[str, str]]:
        """Whether messages are taken."""
        return self.is_ready, {"database": "ok" if self.is_ready else "closed"}

    @contextmanager
    def busy(self, key: Key) -> Iterator[None]:
        """Hold K in this process."""
        if key in self.held:
            raise Problem("in-progress", 409, "being received", retry_after=1)
        self.held.add(key)
        try:
            yield
        finally:
            self.held.discard(key)

    def conflict(self, key: Key, *, sha256: str, now: datetime) -> None:
        """Note other bytes under a known K, once."""
        if (key, sha256) not in self.conflicts:
            self.conflicts.append((key, sha256))

    def check_fetcher(self, caller: Caller, recipient: str, sender: str | None, now: datetime) -> None:
        """E4 to E6: nothing waits here for anybody."""
        if recipient not in caller.agencies:
            raise Problem("forbidden", 403, "not an agency of this node")

    def waiting(self, recipient: str, *, limit: int, after: str | None) -> tuple[()]:
        """E4."""
        return ()

    def content(self, key: Key, now: datetime) -> NoReturn:
        """E5."""
        raise Problem("unknown-message", 404, "nothing is known of this message")

    def take_receipt(self, key: Key, data: bytes, *, peer: LedgerRef | None, now: datetime) -> None:
        """E6."""
        raise Problem("unknown-message", 404, "nothing is known of this message")

    def metadata(self, now: datetime) -> dict[str, object]:
        """What anyone may know."""
        return {
            "version": 1,
            "node": "nut-1",
            "issued_at": now.isoformat(),
            "agencies": [{"code": "H99.02", "name": "Sở Mẫu B"}],
            "ledger": {"origin": ORIGIN},
        }

    def receive(
        self, key: Key, data: bytes, *, sha256: str, received_at: datetime, peer: LedgerRef | None, now: datetime
    ) -> MemoryAnswer:
        """S8 to S11: refuse what begins with ``bad``."""
        assert hashlib.sha256(data).hexdigest() == sha256
        self.before_commit()
        refused = data.startswith(b"bad")
        with self.lock:
            self.made += 1
            self.peers.append(peer)
            reason = '<Reason Code="wrong-addressee"/>' if refused else ""
            receipt = f"<Receipt n='{self.made}'>{reason}</Receipt>".encode()
            ref = LedgerRef(ORIGIN, self.made, hashlib.sha256(receipt).hexdigest()) if self.place() else None
            view = ReceiptView(
                "0b0c7f0e-3b0e-4a51-9a53-2f4c6d0b7a11",
                "out",
                key,
                REJECTION if refused else ACCEPTANCE,
                hashlib.sha256(receipt).hexdigest(),
                receipt,
                now,
                ref,
            )
            state = "refused" if refused else "accepted"
            self.rows[key] = Known(key, state, sha256, len(data), received_at, view)
        self.after_commit()
        if ref is None:
            return MemoryAnswer(202, b"", None)
        return MemoryAnswer(422 if refused else 201, receipt, ref)
