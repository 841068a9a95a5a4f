"""What the puller asks of the office: whom to fetch from, what is known, receive (exchange.md 7, P2, P3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from transport.courier import HELD_MAX
from transport.dispatch import Key
from transport.errors import Problem
from transport.node import receiving
from transport.node.office import Office
from transport.puller import Given, Source


class Spooled(Protocol):
    """A body that has arrived, in memory or in a file."""

    @property
    def size(self) -> int: ...
    def data(self) -> bytes: ...
    def flushed(self) -> Path | None: ...


class Receives(Protocol):
    """The node: holds K while it receives."""

    def busy(self, key: Key) -> AbstractContextManager[object]: ...


@dataclass(frozen=True, slots=True)
class Fetched:
    """The office's side of the puller."""

    office: Office
    node: Receives
    clock: Callable[[], datetime]

    def sources(self) -> Sequence[Source]:
        """Return every partner's node with an address: each may hold something for us; one feed for each node (P3)."""
        office, nodes = self.office, dict[str, Source]()
        for one in office.partners().values():
            if one.url is not None and one.code != office.code:
                nodes.setdefault(one.url, Source(one.code, one.url, office.code))
        return list(nodes.values())

    def given(self, key: Key, sha256: str) -> Given | None:
        """Return the receipt given before for these bytes of K.

        Raises:
            Problem: ``message-id-conflict``, K is known with other bytes.
        """
        directory = self.office.directory()
        if not directory.same(key.recipient, self.office.code):
            raise Problem("unknown-recipient", 404, "the recipient is not served here")
        known = receiving.known_of(self.office, key)
        if known is None:
            return None
        if known.sha256 != sha256:
            receiving.enter_conflict(self.office, known.key, sha256=sha256, now=self.clock())
            raise receiving.IdTaken(known)
        return Given(known.receipt.data, known.receipt.ledger)

    def take(self, key: Key, spool: Spooled, *, sha256: str, received_at: datetime) -> Given:
        """S8 to S11 for bytes that were fetched.

        Raises:
            Problem, StoreError: as ``receiving.receive``.
        """
        facts = {"sha256": sha256, "received_at": received_at, "now": self.clock()}
        file = spool.flushed() if spool.size > HELD_MAX else None
        with self.node.busy(key):
            if file is not None:
                answer = receiving.receive_file(self.office, key, file, peer=None, **facts)  # type: ignore[arg-type]
            else:
                answer = receiving.receive(self.office, key, spool.data(), peer=None, **facts)  # type: ignore[arg-type]
        return Given(answer.receipt, answer.ledger)
