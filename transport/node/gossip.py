"""Heads of logs carried in the exchange (ledger.md 8, 4): what we name to a partner, and what we make of its words.

At most three: our own newest head, the newest we know of the partner's log (the echo), one other log at random. What a
partner names is a claim: kept where it is newer, and told to the operator where it contradicts what we know.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from transport.errors import LedgerError
from transport.http.wire.fields import MAX_HEADS, HeadRef
from transport.store import metadata_rows
from transport.store.metadata_rows import PeerHead

if TYPE_CHECKING:
    from transport.node.office import Office

FRESH = timedelta(seconds=2)
"""How long the heads once read are named again."""
KEPT_EVERY = timedelta(seconds=60)
"""How often a growing log's head is written down."""

log = logging.getLogger("edoc.gossip")


@dataclass
class Gossip:
    """Names and hears heads for one office; threads may use it at the same time."""

    office: Office
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _read_at: datetime | None = None
    _own: HeadRef | None = None
    _others: tuple[PeerHead, ...] = ()
    _written: dict[str, datetime] = field(default_factory=dict)

    def heads(self, agency: str, *, now: datetime) -> tuple[HeadRef, ...]:
        """Return the heads to name to a partner."""
        with self._lock:
            self._refresh(now)
            found = [self._own] if self._own is not None else []
            echo = [one for one in self._others if one.agency == agency]
            rest = [one for one in self._others if one.agency != agency]
            if echo:
                found.append(_ref(max(echo, key=lambda one: one.at)))
            if rest:
                found.append(_ref(secrets.choice(rest)))
        return tuple(found[:MAX_HEADS])

    def _refresh(self, now: datetime) -> None:
        if self._read_at is not None and abs(now - self._read_at) < FRESH:
            return
        try:
            head = self.office.store.read(self.office.log.head)
            self._own = HeadRef(head.origin, head.size, head.root.hex())
        except LedgerError:  # not open yet: nothing to name
            self._own = None
        self._others = self.office.store.read(metadata_rows.heads)
        self._read_at = now

    def heard(self, agency: str, named: Sequence[HeadRef], *, now: datetime) -> None:
        """Compare what a partner names with what is known, and keep what is newer."""
        for one in named:
            if self._own is not None and one.origin == self._own.origin:
                self._echoed(agency, one)
                continue
            with self._lock:
                last = self._written.get(one.origin)
                if last is not None and abs(now - last) < KEPT_EVERY:
                    continue
                if len(self._written) > 10_000:
                    self._written.clear()
                self._written[one.origin] = now
            self._keep(agency, one, now)

    def _keep(self, agency: str, one: HeadRef, now: datetime) -> None:
        new = PeerHead(one.origin, agency, one.size, one.root, now)
        other = self.office.store.do(lambda unit: metadata_rows.note_head(unit, new))
        if other is not None:
            log.error("ledger.fork-suspected", extra={"k": agency, "problem": one.origin})

    def _echoed(self, agency: str, one: HeadRef) -> None:
        """A partner echoes our own log: it may lag behind, but never contradict us or run ahead."""
        own = self._own
        assert own is not None
        if one.size > own.size:
            with self._lock:
                self._read_at = None  # it may be newer than what we remembered
        elif one.size == own.size and one.root != own.root:
            log.error("ledger.fork-suspected", extra={"k": agency, "problem": one.origin})


def _ref(head: PeerHead) -> HeadRef:
    return HeadRef(head.origin, head.size, head.root)
