"""What the recipient does with a request, step by step (exchange.md 3.1).

S1     shape of the request: path, method, media type, length, digest field
S2     the caller is authenticated before the first body byte is read; S3: parties
S4     look up K: a stored receipt is answered without reading the body
S5     node ready, partner's limits, disk reserved, K held in this process
S6–S7  ``100 Continue`` if asked, body to the spool, digest and length equal the headers
S8–S11 ``node.receive`` in a thread: checks, blob, receipt, one transaction
S12    only then the answer; no answer at all when the outcome of the commit is not known

Each step is one function; a step that ends the request raises ``Problem``, which states that this request committed
nothing.
"""

from __future__ import annotations

import errno
import logging
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import ParamSpec, Protocol, TypeVar

from aiohttp import web

from transport.courier import HELD_MAX
from transport.dispatch import CLASS_OF_PROBLEM, Class, Key
from transport.errors import Problem, StoreError
from transport.http.answers import answer, empty, json_answer, proof_link, receipt_answer
from transport.http.callers import Callers, Edge
from transport.http.limits import HttpLimits, Slots
from transport.http.ports import (
    Answer,
    Clocks,
    ConflictPort,
    GossipPort,
    LargePort,
    NodePort,
    OutcomeUnknown,
)
from transport.http.reporting import Reporting, k_of
from transport.http.spool import Disk, Spool
from transport.http.wire import (
    MESSAGE_TYPE,
    RECEIPT_TYPE,
    Caller,
    NonceMemory,
    Proof,
    format_heads,
    format_ledger,
    header,
    media_type,
    parse_digest,
    parse_heads,
    parse_ledger,
    path_of,
)
from transport.names import HeadRef
from transport.points import reached
from transport.receiptform import REJECTION, format_time
from transport.store.values import Known, LedgerRef

P = ParamSpec("P")
T = TypeVar("T")

READY_FOR = 1.0  # seconds for which the node's word that it is ready is taken

_TRACE = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_REASON = re.compile(rb'<Reason Code="([a-z-]{1,40})"')


@dataclass(frozen=True, slots=True)
class Announced:
    """What the header of E1 says of the body."""

    size: int
    sha256: str
    expect: bool
    peer: LedgerRef | None


class Receiving(Callers):
    """The receiving side of one node: E1, E2, E3."""

    def __init__(
        self,
        node: NodePort,
        *,
        limits: HttpLimits,
        report: Reporting,
        clocks: Clocks,
        disk: Disk,
        edge: Edge,
        follow_trace: bool = False,
    ) -> None:
        super().__init__(node, limits=limits, report=report, clocks=clocks, edge=edge)
        self._follow_trace = follow_trace
        self.draining = False
        self.disk = disk
        self._nonces = NonceMemory()
        self._memory = Slots(limits.spool_memory_max)
        self._ready = (-READY_FOR, True)

    # --- E1 ------------------------------------------------------------------------------------------------------

    async def with_heads(self, request: web.Request, caller: Caller, made: web.Response) -> web.Response:
        """Hear the heads a caller names and name ours beside the answer; heads that cannot be read are no fault."""
        if isinstance(self.node, GossipPort):
            named = request.headers.get("Edoc-Heads")
            heads = await self.in_thread(_heads, self.node, caller.code, named, now=self.clocks.now())
            if heads:
                made.headers["Edoc-Heads"] = format_heads(heads)
        return made

    async def put(self, request: web.Request, key: Key) -> web.Response:
        """Receive a message (E1)."""
        announced = self._shape(request)
        caller, proof = await self.authenticate(request)
        return await self.with_heads(request, caller, await self._put(request, key, announced, (caller, proof)))

    async def _put(
        self, request: web.Request, key: Key, announced: Announced, who: tuple[Caller, Proof | None]
    ) -> web.Response:
        caller, proof = who
        known = await self.in_thread(self.look_up, caller, key)
        reached("receive.looked-up")
        if known is not None:
            return await self.repeat(known, announced.sha256, caller, request)
        if proof is not None and not self._nonces.first(proof, now=self.clocks.now()):
            raise Problem("unauthenticated", 401, "this request has been made before")
        with self.admit(caller):
            await self.check_ready()
            self.disk.reserve(announced.size)
            self.report.spool.set(self.disk.reserved)
            try:
                with self.node.busy(key):
                    return await self._take(request, key, announced, caller)
            finally:
                self.disk.release(announced.size)
                self.report.spool.set(self.disk.reserved)

    def _shape(self, request: web.Request) -> Announced:
        """S1: what can be refused by the header alone."""
        lines = tuple(request.headers.items())
        encoded = header(lines, "content-encoding") is not None
        if encoded or media_type(header(lines, "content-type")) != MESSAGE_TYPE:
            raise Problem("unsupported-media-type", 415, "not our media type", supported=[MESSAGE_TYPE])
        length = header(lines, "content-length")
        if length is None:
            raise Problem("bad-request", 411, "no Content-Length")
        size = int(length)
        self.check_size(size)
        try:
            digest = parse_digest(header(lines, "content-digest"))
            peer = parse_ledger(header(lines, "edoc-ledger"))
        except ValueError as error:
            raise Problem("bad-request", 400, "a field is not in its form") from error
        if digest is None or size == 0:
            raise Problem("bad-request", 400, "no digest or no body")
        return Announced(size, digest, _expects(header(lines, "expect")), peer)

    def check_size(self, size: int) -> None:
        """Refuse more than is taken. Raises ``Problem`` ``too-large``."""
        if size <= self.limits.message_max_bytes:
            return
        self.report.limit("message_max_bytes")
        limit = {"name": "message_max_bytes", "value": self.limits.message_max_bytes, "unit": "byte"}
        raise Problem("too-large", 413, "more than is taken", limit=limit)

    def look_up(self, caller: Caller, key: Key) -> Known | None:
        """S3, S4."""
        self.node.check_parties(caller, key, self.clocks.now())
        return self.node.known(key)

    async def repeat(self, known: Known, sha256: str, caller: Caller, request: web.Request) -> web.Response:
        """S4: the stored receipt for the same bytes, a conflict for others."""
        if known.sha256 == sha256:
            self.report.count("duplicates", caller.code)
            self.report.event(
                logging.INFO, "message.duplicate", k=k_of(known.key), digest=sha256, **self.trace(request)
            )
            return _stored(known)
        self.report.count("id_conflicts", caller.code)
        self.report.event(logging.WARNING, "message.conflict", k=k_of(known.key), digest=sha256, **self.trace(request))
        if isinstance(self.node, ConflictPort):
            await self.in_thread(self.node.conflict, known.key, sha256=sha256, now=self.clocks.now())
        raise Problem("message-id-conflict", 409, "the id is taken", receipt=path_of(known.key, "/receipt"))

    async def check_ready(self) -> None:
        """S5: not while draining, nor when the node says it cannot keep what it accepts."""
        at, good = self._ready
        if self.clocks.seconds() - at >= READY_FOR:
            good, _ = await self.in_thread(self.node.ready)
            self._ready = (self.clocks.seconds(), good)
        if self.draining or not good:
            raise Problem("unavailable", 503, "the node is not ready", retry_after=10)

    def trace(self, request: web.Request) -> dict[str, object]:
        """Return what log lines name of a request's trace (exchange.md 13): a partner's is linked to, not continued."""
        found = _TRACE.fullmatch(request.headers.get("traceparent", ""))
        if found is None:
            return {}
        return {"trace_id" if self._follow_trace else "link": found.group(1)}

    def go_on(self, request: web.Request) -> None:
        """Send ``100 Continue`` if the caller waits for it (S6)."""
        if _expects(request.headers.get("Expect")) and request.transport is not None:
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    async def _take(self, request: web.Request, key: Key, announced: Announced, caller: Caller) -> web.Response:
        """S6 to S12."""
        label = caller.code
        with Spool(self.disk.folder, self.limits, size=announced.size) as spool:
            self.go_on(request)
            began = self.clocks.seconds()
            digest = await spool.fill(request.content, clock=self.clocks.seconds)
            self.report.count("receive_bytes", label, by=spool.received)
            self.report.observe("receive_seconds", self.clocks.seconds() - began, "body")
            if digest != announced.sha256:
                raise Problem("digest-mismatch", 400, "the body differs from its digest")
            received_at = self.clocks.now()
            reached("receive.body-read")
            began = self.clocks.seconds()
            async with self._memory.holding(min(spool.size, HELD_MAX)):
                made = await self.in_thread(self._receive, key, spool, announced, received_at)
            self.report.observe("receive_seconds", self.clocks.seconds() - began, "receive")
        self._count(made, key, digest, label, self.trace(request))
        reached("receive.answering")
        return made

    async def hand_in_file(
        self, request: web.Request, key: Key, file: Path, caller: Caller, *, digest: str, size: int
    ) -> web.Response:
        """S8 to S12 for a message that came in parts and lies in a file; the file is moved or left."""
        announced = Announced(size, digest, False, None)
        received_at = self.clocks.now()
        with self.node.busy(key):
            async with self._memory.holding(min(announced.size, HELD_MAX)):
                made = await self.in_thread(self._receive, key, _Whole(file), announced, received_at)
        self._count(made, key, digest, caller.code, self.trace(request))
        return await self.with_heads(request, caller, made)

    def _hand_in(self, key: Key, spool: Spooled, announced: Announced, received_at: datetime) -> Answer:
        """Hand the body to the node: large ones as the file they lie in, others as bytes."""
        facts = {"sha256": announced.sha256, "received_at": received_at, "peer": announced.peer}
        now = self.clocks.now()
        file = spool.flushed() if spool.size > HELD_MAX else None
        if file is not None and isinstance(self.node, LargePort):
            return self.node.receive_file(key, file, now=now, **facts)  # type: ignore[arg-type]  # by name, above
        return self.node.receive(key, spool.data(), now=now, **facts)  # type: ignore[arg-type]  # as above

    def _receive(self, key: Key, spool: Spooled, announced: Announced, received_at: datetime) -> web.Response:
        """S8 to S11, in a thread. A problem is passed on; anything not understood is looked at afresh."""
        try:
            made = self._hand_in(key, spool, announced, received_at)
            return receipt_answer(made.status if made.ledger is not None else 202, made.receipt, made.ledger)
        except Problem:
            raise
        except StoreError as error:
            if error.facts.get("unclear"):
                self.report.event(logging.ERROR, "receive.failed", k=k_of(key), problem=error.code)
                return self._look_again(key, announced.sha256, error)
            raise storage_problem(error) from error  # its contract: nothing was stored
        except Exception as error:
            # The writer may have died in the middle of COMMIT: only a fresh look at K tells (exchange.md 3.1).
            self.report.event(logging.ERROR, "receive.failed", k=k_of(key), problem=type(error).__name__)
            return self._look_again(key, announced.sha256, error)

    def _look_again(self, key: Key, sha256: str, error: Exception) -> web.Response:
        try:
            known = self.node.known(key)
        except Exception as second:
            raise OutcomeUnknown from second
        if known is not None and known.sha256 == sha256:
            return _stored(known)
        if isinstance(error, StoreError):
            raise storage_problem(error) from error
        raise Problem("internal", 500, "unexpected error") from error

    def _count(self, made: web.Response, key: Key, digest: str, label: str, trace: dict[str, object]) -> None:
        if made.status == 201:
            self.report.count("accepted", label)
            self.report.event(logging.INFO, "message.accepted", k=k_of(key), digest=digest, **trace)
        elif made.status == 422:
            reason = _reason(made.body)
            self.report.count("refused", label, reason)
            self.report.event(logging.WARNING, "message.refused", k=k_of(key), digest=digest, problem=reason, **trace)

    # --- E2, E3 --------------------------------------------------------------------------------------------------

    async def state(self, request: web.Request, key: Key) -> web.Response:
        """Say what is known of K (E2)."""
        known, caller = await self._known(request, key)
        receipt = known.receipt
        if receipt.ledger is None:
            return empty(202, {"Retry-After": "1"})
        members = {
            "state": known.state,
            "digest": known.sha256,
            "size": known.size,
            "received_at": format_time(known.received_at),
            "receipt": receipt.sha256,
            "ledger": {
                "origin": receipt.ledger.origin,
                "index": receipt.ledger.index,
                "leaf": receipt.ledger.leaf,
            },
        }
        fields = {
            "Edoc-State": known.state,
            "Edoc-Ledger": format_ledger(receipt.ledger),
            "Link": proof_link(receipt.sha256),
        }
        return await self.with_heads(request, caller, json_answer(members, fields))

    async def receipt(self, request: web.Request, key: Key) -> web.Response:
        """Give the stored receipt (E3): the same bytes for ever."""
        known, caller = await self._known(request, key)
        if known.receipt.ledger is None:
            return empty(202, {"Retry-After": "1"})
        etag = f'"{known.receipt.sha256}"'
        fields = {
            "ETag": etag,
            "Cache-Control": "private, max-age=31536000, immutable",
            "Edoc-State": known.state,
            "Edoc-Ledger": format_ledger(known.receipt.ledger),
            "Link": proof_link(known.receipt.sha256),
        }
        if request.headers.get("If-None-Match") == etag:
            return empty(304, fields)
        return await self.with_heads(request, caller, answer(200, known.receipt.data, RECEIPT_TYPE, fields))

    async def _known(self, request: web.Request, key: Key) -> tuple[Known, Caller]:
        caller, _ = await self.authenticate(request)
        with self.admit(caller):
            known = await self.in_thread(self.look_up, caller, key)
        if known is None:
            raise Problem("unknown-message", 404, "nothing is known of this message")
        return known, caller


class Spooled(Protocol):
    """A body that has arrived: in memory, or in a file."""

    @property
    def size(self) -> int: ...
    def data(self) -> bytes: ...
    def flushed(self) -> Path | None: ...


@dataclass(frozen=True, slots=True)
class _Whole:
    """A body that lies in a file of its own."""

    file: Path

    @property
    def size(self) -> int:
        return self.file.stat().st_size

    def data(self) -> bytes:
        return self.file.read_bytes()

    def flushed(self) -> Path | None:
        return self.file


def repeats(problem: Problem) -> bool:
    """Say whether the same request may succeed later (class R or S)."""
    return CLASS_OF_PROBLEM.get(problem.name) in (Class.RETRY, Class.SLOW)


def _heads(node: GossipPort, code: str, named: str | None, *, now: datetime) -> tuple[HeadRef, ...]:
    """Hear what a caller names, then return what is named to it; one hop to a thread for both."""
    with suppress(ValueError):
        if heard := parse_heads(named):
            node.heard(code, heard, now)
    return node.heads(code, now)


def _stored(known: Known) -> web.Response:
    """Return the stored receipt of K: 422 if it refuses, else 200."""
    status = 422 if known.state == "refused" or known.receipt.event == REJECTION else 200
    ledger = known.receipt.ledger
    return receipt_answer(status if ledger is not None else 202, known.receipt.data, ledger)


def _reason(receipt: object) -> str:
    """Return the first reason of a refusal, a code of exchange.md 3.3, for metrics and log."""
    found = _REASON.search(receipt) if isinstance(receipt, bytes) else None
    return "other" if found is None else found.group(1).decode("ascii")


def _expects(value: str | None) -> bool:
    if value is None:
        return False
    if value.strip().lower() != "100-continue":
        raise Problem("bad-request", 417, "an expectation we do not know")
    return True


def storage_problem(error: StoreError) -> Problem:
    """Say what a store that did not take or answer something means to the sender."""
    full = error.facts.get("errno") == errno.ENOSPC or error.facts.get("cause") == "full"
    if full:
        return Problem("storage-low", 507, "no space left", retry_after=60)
    return Problem("unavailable", 503, "the store did not take it", retry_after=10)
