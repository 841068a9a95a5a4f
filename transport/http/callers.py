"""Who calls, before anything else is asked (exchange.md 3.1 S2; 4; 10): by certificate, by signature, or by both.

Nothing of a body has been read. Callers not yet authenticated are counted by address, and honest ones of one address
wait a moment for their turn; those that are known have their own places and their own rate.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import ParamSpec, TypeVar

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from transport.errors import Problem
from transport.http.channel import Channel
from transport.http.limits import Buckets, Gauge, HttpLimits
from transport.http.ports import ChannelPort, Clocks, NodePort
from transport.http.reporting import Reporting
from transport.http.wire import Caller, Proof, RequestView, key_id_of, verify_request
from transport.points import reached

P = ParamSpec("P")
T = TypeVar("T")

TURN_TIME = 2.0  # seconds a caller waits to be authenticated

# For unknown key ids: a signature is checked all the same, so that the answer takes as long (exchange.md 11, probing).
_NOBODY = Caller(
    "",
    (),
    ec.generate_private_key(ec.SECP256R1()).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
    "ecdsa-p256-sha256",
)


@dataclass(frozen=True, slots=True)
class Edge:
    """How the channel is: scheme, whose certificates count, the authority that is ours alone, if it is known."""

    scheme: str
    channel: Channel
    authority: str | None = None


class Callers:
    """Authenticates the callers of one node and gives them their places."""

    def __init__(self, node: NodePort, *, limits: HttpLimits, report: Reporting, clocks: Clocks, edge: Edge) -> None:
        self.node = node
        self.limits = limits
        self.report = report
        self.clocks = clocks
        self._edge = edge
        self._partners = Gauge(most=limits.requests_max, each=limits.requests_per_partner)
        self._strangers = Gauge(most=limits.requests_unauthenticated, each=limits.requests_unauthenticated_per_address)
        self._buckets = Buckets(rate=limits.rate_per_partner, burst=limits.rate_burst)
        self._turn = asyncio.Condition()
        # A pool of its own: with the default one, a handful of commits under way would hold up all other requests.
        self._pool = ThreadPoolExecutor(limits.requests_max + limits.requests_unauthenticated, "edoc-http")

    async def in_thread(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a blocking function of the node in a worker thread."""
        call = partial(function, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._pool, call)

    def close(self) -> None:
        """Let the worker threads go once they are done."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def authenticate(self, request: web.Request) -> tuple[Caller, Proof | None]:
        """Return who calls, and what its signature stated, if it signed. Raises ``Problem`` 401, 503.

        Nothing of a body has been read.
        """
        address = str(request.remote or "")
        await self._await_turn(address)
        try:
            return await self.in_thread(self._authenticate, request, address)
        except Problem as problem:
            method = "signature" if "Signature" in request.headers else "mtls"
            self.report.count("auth_failures", method)
            self.report.event(logging.WARNING, "auth.failed", problem=problem.name)
            raise
        finally:
            self._strangers.leave(address)
            async with self._turn:
                self._turn.notify_all()

    async def _await_turn(self, address: str) -> None:
        """Take a place among those not yet authenticated; honest callers of one address wait a moment for it."""
        try:
            async with asyncio.timeout(TURN_TIME), self._turn:
                await self._turn.wait_for(lambda: self._strangers.enter(address))
        except TimeoutError as error:
            self.report.limit("requests_unauthenticated")
            raise Problem("overloaded", 503, "too many callers not yet authenticated", retry_after=5) from error

    def _authenticate(self, request: web.Request, address: str) -> tuple[Caller, Proof | None]:
        """By client certificate, by signature, or by both, as the partner's entry says."""
        by_channel = self._by_channel(request, address)
        if by_channel is not None and by_channel.auth == "mtls":
            reached("receive.authenticated")
            return by_channel, None
        caller, proof = self._by_signature(request)
        if caller.auth != "signature" and (by_channel is None or by_channel.code != caller.code):
            raise Problem("unauthenticated", 401, "this partner calls with its client certificate")
        reached("receive.authenticated")
        return caller, proof

    def _by_channel(self, request: web.Request, address: str) -> Caller | None:
        if not isinstance(self.node, ChannelPort):
            return None
        tls = request.transport.get_extra_info("ssl_object") if request.transport is not None else None
        lines = tuple(request.headers.items())
        shown = self._edge.channel.certificate_of(tls, address, lines, now=self.clocks.now())
        return None if shown is None else self.node.partner_by_certificate(shown)

    def _by_signature(self, request: web.Request) -> tuple[Caller, Proof]:
        if self._edge.authority is not None and request.headers["Host"].lower() != self._edge.authority:
            raise Problem("unauthenticated", 401, "signed for another node")  # a captured request, carried elsewhere
        lines = tuple(request.headers.items())
        view = RequestView(request.method, f"{self._edge.scheme}://{request.headers['Host']}{request.raw_path}", lines)
        keyid = key_id_of(lines)
        caller = None if keyid is None else self.node.partner_for(keyid)
        who = caller or _NOBODY
        proof = verify_request(view, public_key=who.public_key, alg=who.alg, now=self.clocks.now())
        if caller is None:
            raise Problem("unauthenticated", 401, "nobody is registered under this key")
        return caller, proof

    @contextmanager
    def admit(self, caller: Caller) -> Iterator[None]:
        """Take a place among the partner's requests. Raises ``Problem`` 429 or 503."""
        wait = self._buckets.take(caller.code, now=self.clocks.seconds())
        if wait:
            self.report.limit("rate_per_partner")
            raise Problem("too-many-requests", 429, "the partner's rate", retry_after=max(1, round(wait)))
        if self._partners.total >= self.limits.requests_max:
            self.report.limit("requests_max")
            refusal = Problem("overloaded", 503, "requests at once", retry_after=5)
        else:
            refusal = Problem("too-many-requests", 429, "the partner's requests at once", retry_after=2)
        shown = self.report.requests.labels(self.report.partner(caller.code))
        with self._partners.holding(caller.code, refusal=refusal):
            shown.set(self._partners.of(caller.code))
            try:
                yield
            finally:
                shown.set(self._partners.of(caller.code) - 1)
