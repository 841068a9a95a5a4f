"""What the server needs of its surroundings: the node it serves, and the clocks of the edge."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol, runtime_checkable

from transport.dispatch import Key
from transport.http.wire import Caller
from transport.names import HeadRef
from transport.store.gauges import Measures
from transport.store.values import Known, LedgerRef


class Answer(Protocol):
    """What ``node.receive`` answers: 200, 201, 202 or 422, the receipt's bytes, the place of its leaf."""

    @property
    def status(self) -> int: ...
    @property
    def receipt(self) -> bytes: ...
    @property
    def ledger(self) -> LedgerRef | None: ...


class NodePort(Protocol):
    """What the server needs of the node; all but ``busy`` are called in worker threads."""

    def partner_for(self, keyid: str) -> Caller | None: ...
    def check_parties(self, partner: Caller, key: Key, now: datetime) -> None: ...
    def known(self, key: Key) -> Known | None: ...
    def ready(self) -> tuple[bool, dict[str, str]]: ...
    def busy(self, key: Key) -> AbstractContextManager[object]: ...
    def metadata(self, now: datetime) -> dict[str, object]: ...
    def receive(
        self, key: Key, data: bytes, *, sha256: str, received_at: datetime, peer: LedgerRef | None, now: datetime
    ) -> Answer: ...


@runtime_checkable
class ConflictPort(Protocol):
    """A node that keeps a leaf ``id-conflict``, once per K and digest (S4)."""

    def conflict(self, key: Key, *, sha256: str, now: datetime) -> None: ...


@runtime_checkable
class MeasuredPort(Protocol):
    """A node whose rows are measured for the operator (exchange.md 13)."""

    def measures(self, now: datetime) -> Measures: ...


@runtime_checkable
class ChannelPort(Protocol):
    """A node that knows its partners' client certificates (exchange.md 4)."""

    def partner_by_certificate(self, certificate: bytes) -> Caller | None: ...


@runtime_checkable
class GossipPort(Protocol):
    """A node that names heads of logs to its callers and hears theirs (ledger.md 8)."""

    def heads(self, agency: str, now: datetime) -> tuple[HeadRef, ...]: ...
    def heard(self, agency: str, named: tuple[HeadRef, ...], now: datetime) -> None: ...


@runtime_checkable
class LargePort(Protocol):
    """A node that takes large messages as files of the spool, so that they are never held whole (exchange.md 12)."""

    def receive_file(
        self, key: Key, file: Path, *, sha256: str, received_at: datetime, peer: LedgerRef | None, now: datetime
    ) -> Answer: ...


class Waiting(Protocol):
    """One line of the feed (E4)."""

    @property
    def key(self) -> Key: ...
    @property
    def sha256(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def lane(self) -> int: ...
    @property
    def submitted_at(self) -> datetime: ...
    @property
    def deadline(self) -> datetime: ...
    @property
    def position(self) -> str: ...


class Contents(Protocol):
    """A message's bytes on their way out (E5)."""

    @property
    def sha256(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def open(self) -> AbstractContextManager[BinaryIO]: ...


@runtime_checkable
class PullPort(Protocol):
    """A node whose partners may fetch what waits for them (exchange.md 7); all are called in worker threads."""

    def check_fetcher(self, caller: Caller, recipient: str, sender: str | None, now: datetime) -> None: ...
    def waiting(self, recipient: str, *, limit: int, after: str | None) -> Sequence[Waiting]: ...
    def content(self, key: Key, now: datetime) -> Contents: ...
    def take_receipt(self, key: Key, data: bytes, *, peer: LedgerRef | None, now: datetime) -> None: ...


class OutcomeUnknown(Exception):
    """Whether this request was committed is not known: the connection closes without an answer."""


@dataclass(frozen=True, slots=True)
class Clocks:
    """The two clocks of the edge: wall clock in UTC, and seconds that only grow."""

    now: Callable[[], datetime]
    seconds: Callable[[], float]
