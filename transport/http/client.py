"""The carrier over HTTP: one attempt to hand a parcel over, and what came of it (exchange.md 3, 4, 10, 11).

Promises: the whole world is mapped to a ``Reply`` and nothing is raised for it; ``exposed`` is true once a byte of the
body may have left; answers are bounded; no redirect is followed, no proxy of the environment used, nothing inflated;
only addresses ``Reach`` allows are connected to. What an answer means is decided elsewhere.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import BinaryIO, Literal

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from transport.courier import Parcel, Reply, Told
from transport.errors import Refused, TransportError, TryLater
from transport.http.addresses import Reach, Target, resolve
from transport.http.limits import HttpLimits
from transport.http.parts import FAILURES, Sending, Unsupported
from transport.http.wire import (
    BASE,
    JSON_TYPE,
    MESSAGE_TYPE,
    METADATA,
    PROBLEM_TYPE,
    RECEIPT_TYPE,
    RequestKey,
    RequestView,
    format_digest,
    format_heads,
    format_ledger,
    media_type,
    parse_digest,
    parse_heads,
    parse_ledger,
    path_of,
    read_problem,
    sign_request,
)
from transport.names import HeadRef
from transport.store.values import LedgerRef

CHUNK = 256 * 1024
NO_CONTINUE_FOR = timedelta(hours=24)
KEPT_OF_A_FOREIGN_ANSWER = 16 * 1024
CONNECTIONS_PER_ENDPOINT = 4
Source = Callable[[], AbstractContextManager[BinaryIO]]
"""Opens the bytes of a large message for reading."""
_TRACE_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(slots=True)
class _Progress:
    """How far one request has come; moves its own deadline along."""

    limits: HttpLimits
    expect: bool
    patience: float | None = None
    exposed: bool = False
    head_sent: bool = False
    watch: asyncio.Timeout | None = None

    def within(self, seconds: float) -> None:
        """Give the next step so many seconds."""
        if self.watch is not None:
            with suppress(RuntimeError):  # the deadline has just passed
                self.watch.reschedule(asyncio.get_running_loop().time() + seconds)

    def sent_head(self) -> None:
        """The head has left: an interim answer, or the whole one, is due."""
        self.head_sent = True
        if not self.exposed:
            self.within(self.limits.continue_time if self.expect else self.patience or self.limits.answer_time)


class _Body:
    """The parcel's bytes as the library asks for them: from memory, or piece by piece from where they are kept."""

    def __init__(self, data: bytes, progress: _Progress, source: Source | None = None) -> None:
        self._data = data
        self._source = source
        self._progress = progress

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._pieces():
            self._progress.exposed = True  # before the byte leaves, never after
            self._progress.within(self._progress.limits.write_time)
            yield piece
        self._progress.within(self._progress.limits.answer_time)

    async def _pieces(self) -> AsyncIterator[bytes]:
        if self._source is None:
            view = memoryview(self._data)
            for start in range(0, len(view), CHUNK):
                yield bytes(view[start : start + CHUNK])
            return
        with self._source() as file:
            while piece := await asyncio.to_thread(file.read, CHUNK):
                yield piece


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer within its limit; ``whole`` is false when it was longer and was cut."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    whole: bool
    peer: str | None = None  # address that answered

    def get(self, name: str) -> str | None:
        """Return a field's value; ``name`` in lower case."""
        return next((value for key, value in self.headers if key.lower() == name), None)

    @property
    def retry_after(self) -> int | None:
        """Seconds of ``Retry-After``."""
        return _seconds(self.get("retry-after"))


class _GuardedResolver(AbstractResolver):
    """Resolves once and hands the library only addresses that may be connected to."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the allowed addresses. Raises ``OSError`` if there is none."""
        try:
            found = await asyncio.to_thread(resolve, Target("", host, port, ""), self._reach)
        except TransportError as error:
            raise OSError(f"no address to connect to: {error.code}") from error
        return [
            ResolveResult(
                hostname=host,
                host=str(one),
                port=port,
                family=socket.AF_INET6 if one.version == 6 else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for one in found
        ]

    async def close(self) -> None:
        """Nothing is held."""


class HttpCarrier:
    """Carries parcels to other nodes; keeps connections to each endpoint alive. Used within one event loop."""

    def __init__(
        self,
        *,
        request_key: RequestKey,
        clock: Callable[[], datetime],
        tls: ssl.SSLContext | None = None,
        reach: Reach | None = None,
        limits: HttpLimits | None = None,
    ) -> None:
        self._key = request_key
        self._clock = clock
        self._tls = tls
        self._reach = reach or Reach()
        self._limits = limits or HttpLimits()
        self._sessions: dict[str, aiohttp.ClientSession] = {}
        self._no_continue: dict[str, datetime] = {}

    async def close(self) -> None:
        """Close all connections."""
        for session in self._sessions.values():
            await session.close()
        self._sessions.clear()

    async def __aenter__(self) -> HttpCarrier:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def carry(self, parcel: Parcel) -> Reply:
        """Hand the parcel over by E1, after E3 when ``ask_first``; say what came of it."""
        if parcel.ask_first:
            reply = await self.ask(parcel)
            if not (reply.kind == "problem" and reply.problem == "unknown-message"):
                return reply
        if parcel.resumable and (found := await self._in_parts(parcel)) is not None:
            return found
        expect = parcel.expect and not self._remembers_no_continue(parcel.endpoint)
        reply, silent = await self._put(parcel, expect=expect)
        if expect and not reply.exposed and (silent or reply.status == 417):
            self._no_continue[parcel.endpoint] = self._clock() + NO_CONTINUE_FOR
            reply, _ = await self._put(parcel, expect=False)
        return reply

    async def _in_parts(self, parcel: Parcel) -> Reply | None:
        """Send the parcel in parts; ``None`` if the node takes none after all."""
        sending = Sending(parcel, self.request)
        try:
            found = await sending.run()
        except Unsupported:
            return None
        except FAILURES:
            return _made("nothing" if sending.exposed else "unreachable", exposed=sending.exposed)
        assert isinstance(found, Answer)
        return _reply(found, exposed=sending.exposed, limits=self._limits)

    async def ask(self, parcel: Parcel) -> Reply:
        """Ask for the receipt (E3); 404 ``unknown-message`` means that nothing is known."""
        progress = _Progress(self._limits, expect=False)
        at = parcel.signed_at
        return await self._attempt("GET", parcel.endpoint, path_of(parcel.key, "/receipt"), progress=progress, at=at)

    async def ping(self, endpoint: str, heads: tuple[HeadRef, ...] = ()) -> Told:
        """Ask whether the node is there and knows us (E7), naming heads. Raises ``TryLater``, ``Refused``."""
        more = (("Edoc-Heads", format_heads(heads)),) if heads else ()
        reply = await self._call("POST", endpoint, BASE + "/ping", signed=True, more=more)
        return Told(_object(reply), reply.headers)

    async def metadata(self, url: str) -> tuple[bytes, tuple[tuple[str, str], ...]]:
        """Fetch an agency's metadata (E8), not yet verified: its bytes and fields. Raises ``TryLater``, ``Refused``."""
        reply = await self._call("GET", url, METADATA, signed=False)
        return reply.body, reply.headers

    async def get(self, endpoint: str, path: str, *, within: float, most: int) -> Answer:
        """Make a signed request whose failure is raised; the whole answer within ``within`` seconds, ``most`` bytes."""
        url = self._url(endpoint, path)
        progress = _Progress(self._limits, expect=False, patience=within)
        return await self._request("GET", url, progress=progress, fields=self._signed("GET", url, ()), most=most)

    async def put(self, endpoint: str, path: str, *, fields: tuple[tuple[str, str], ...], body: bytes) -> Answer:
        """Put a small body; its failure is raised."""
        return await self.request("PUT", endpoint, path, fields=fields, body=body)

    async def request(
        self,
        method: str,
        endpoint: str,
        path: str,
        *,
        fields: tuple[tuple[str, str], ...] = (),
        body: bytes = b"",
    ) -> Answer:
        """Make a signed request with a body that is held; its failure is raised."""
        url = self._url(endpoint, path)
        progress = _Progress(self._limits, expect=False)
        signed = self._signed(method, url, fields)
        sent = _Body(body, progress) if body else None
        return await self._request(method, url, progress=progress, fields=signed, body=sent)

    @asynccontextmanager
    async def opened(
        self, endpoint: str, path: str, *, more: tuple[tuple[str, str], ...] = ()
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Open an answer whose body is read piece by piece by the caller, with time limits of its own."""
        url = self._url(endpoint, path)
        fields = self._signed("GET", url, more)
        limits = self._limits
        async with asyncio.timeout(limits.connect_time + limits.tls_handshake_time + limits.answer_time) as watch:
            async with self._session(url).request(
                "GET", URL(url, encoded=True), headers=list(fields), allow_redirects=False
            ) as response:
                watch.reschedule(None)
                yield response

    def _remembers_no_continue(self, endpoint: str) -> bool:
        until = self._no_continue.get(endpoint)
        return until is not None and self._clock() < until

    async def _put(self, parcel: Parcel, *, expect: bool) -> tuple[Reply, bool]:
        """Make one E1 request; the second value says that no interim answer came in time."""
        progress = _Progress(self._limits, expect=expect)
        fields = [
            ("Content-Type", MESSAGE_TYPE),
            ("Content-Length", str(parcel.size)),
            ("Content-Digest", format_digest(parcel.sha256)),
        ]
        if _TRACE_ID.fullmatch(parcel.trace):  # all attempts are one trace (exchange.md 13)
            fields.append(("traceparent", f"00-{parcel.trace}-{secrets.token_hex(8)}-01"))
        if parcel.ledger is not None:
            fields.append(("Edoc-Ledger", format_ledger(parcel.ledger)))
        if parcel.heads:
            fields.append(("Edoc-Heads", format_heads(parcel.heads)))
        reply = await self._attempt(
            "PUT",
            parcel.endpoint,
            path_of(parcel.key),
            progress=progress,
            fields=tuple(fields),
            body=_Body(parcel.data, progress, parcel.source),
            at=parcel.signed_at,
        )
        return reply, expect and progress.head_sent and reply.status is None and not progress.exposed

    async def _attempt(
        self,
        method: str,
        endpoint: str,
        path: str,
        *,
        progress: _Progress,
        fields: tuple[tuple[str, str], ...] = (),
        body: _Body | None = None,
        at: Callable[[], datetime] | None = None,
    ) -> Reply:
        try:
            url = self._url(endpoint, path)
            signed = self._signed(method, url, fields, at=at)
            found = await self._request(method, url, progress=progress, fields=signed, body=body)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError, TransportError):
            return _made("nothing" if progress.exposed else "unreachable", exposed=progress.exposed)
        return _reply(found, exposed=progress.exposed, limits=self._limits)

    async def _call(
        self, method: str, endpoint: str, path: str, *, signed: bool, more: tuple[tuple[str, str], ...] = ()
    ) -> Answer:
        """Make a request whose failure is raised."""
        progress = _Progress(self._limits, expect=False)
        url = self._url(endpoint, path)
        length = (("Content-Length", "0"),) if method == "POST" else ()
        fields = self._signed(method, url, (*length, *more)) if signed else more
        try:
            found = await self._request(
                method, url, progress=progress, fields=fields, most=self._limits.metadata_max_bytes
            )
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise TryLater("EDOC-EXC-022", "the node did not answer", url=endpoint) from error
        if found.status != 200 or not found.whole:
            problem = read_problem(found.body, found.status)
            name = problem.name if problem is not None else "-"
            raise Refused("EDOC-EXC-023", "the node refused", url=endpoint, status=found.status, problem=name)
        return found

    def _url(self, endpoint: str, path: str) -> str:
        """Return the URL of a path below the endpoint's host. Raises ``Refused`` if it may not be connected to."""
        base = endpoint.removesuffix("/").removesuffix(BASE)
        if base.count("/") != 2:
            raise Refused("EDOC-EXC-020", "an endpoint is scheme, host and /exchange/v1", url=endpoint, cause="path")
        self._reach.check_url(base)
        return base + path

    def _signed(
        self,
        method: str,
        url: str,
        fields: tuple[tuple[str, str], ...],
        *,
        at: Callable[[], datetime] | None = None,
    ) -> tuple[tuple[str, str], ...]:
        made = sign_request(RequestView(method, url, fields), key=self._key, created=(at or self._clock)())
        return fields + tuple(made.items())

    async def _request(
        self,
        method: str,
        url: str,
        *,
        progress: _Progress,
        fields: tuple[tuple[str, str], ...],
        body: _Body | None = None,
        most: int | None = None,
    ) -> Answer:
        limits = self._limits
        setting_up = limits.connect_time + limits.tls_handshake_time
        async with asyncio.timeout(setting_up) as watch:
            progress.watch = watch
            async with self._session(url).request(
                method,
                URL(url, encoded=True),
                headers=list(fields),
                data=body,
                expect100=progress.expect,
                allow_redirects=False,
                trace_request_ctx=progress,
            ) as response:
                progress.within(limits.answer_time)
                lines, peer = tuple(response.headers.items()), _peer_of(response)
                return replace(await _read(response, lines, most or limits.receipt_max_bytes), peer=peer)

    def _session(self, url: str) -> aiohttp.ClientSession:
        place = str(URL(url, encoded=True).origin())
        if place not in self._sessions:
            self._sessions[place] = self._new_session()
        return self._sessions[place]

    def _new_session(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            resolver=_GuardedResolver(self._reach),
            use_dns_cache=False,  # a cached address would not have been judged for this connection
            ssl=self._tls if self._tls is not None else True,
            limit=CONNECTIONS_PER_ENDPOINT,
            keepalive_timeout=self._limits.keepalive_idle_time - 10,  # gone before the server closes it
        )
        trace = aiohttp.TraceConfig()
        trace.on_request_headers_sent.append(_head_sent)
        return aiohttp.ClientSession(
            connector=connector,
            trace_configs=[trace],
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._limits.connect_time),
            headers={"User-Agent": "edoc", "Accept-Encoding": "identity", "Accept": "*/*"},
            max_line_size=self._limits.request_line_max_bytes,
            max_field_size=self._limits.header_max_bytes,
        )


async def _head_sent(_: aiohttp.ClientSession, context: object, __: object) -> None:
    progress = getattr(context, "trace_request_ctx", None)
    if isinstance(progress, _Progress):
        progress.sent_head()


def _peer_of(response: aiohttp.ClientResponse) -> str | None:
    """Return the address that answers, while the connection is still the answer's."""
    transport = response.connection.transport if response.connection is not None else None
    found = transport.get_extra_info("peername") if transport is not None else None
    return f"{found[0]} {found[1]}" if found else None


async def _read(response: aiohttp.ClientResponse, lines: tuple[tuple[str, str], ...], most: int) -> Answer:
    """Read an answer's body up to a limit; what is longer is cut and the connection given up."""
    body = bytearray()
    while len(body) <= most:
        chunk = await response.content.read(most + 1 - len(body))
        if not chunk:
            return Answer(response.status, lines, bytes(body), whole=True)
        body += chunk
    response.close()
    return Answer(response.status, lines, bytes(body[:most]), whole=False)


def _reply(found: Answer, *, exposed: bool, limits: HttpLimits) -> Reply:
    """Map an answer: a receipt, a registered problem, or nothing we know."""
    after = _seconds(found.get("retry-after"))
    kind = media_type(found.get("content-type"))
    ledger = None
    with suppress(ValueError):
        ledger = parse_ledger(found.get("edoc-ledger"))
    if found.whole and kind == RECEIPT_TYPE and found.status in (200, 201, 422) and found.body and _digest_fits(found):
        return _made("receipt", found, after=after, ledger=ledger, exposed=exposed)
    if found.whole and kind == PROBLEM_TYPE and len(found.body) <= limits.problem_max_bytes:
        problem = read_problem(found.body, found.status)
        if problem is not None:
            later = max((one for one in (after, problem.retry_after) if one is not None), default=None)
            return _made("problem", found, problem=problem.name, after=later, exposed=exposed)
    if kind != RECEIPT_TYPE:
        found = replace(found, body=found.body[:KEPT_OF_A_FOREIGN_ANSWER])
    return _made("nothing", found, after=after, ledger=ledger, exposed=exposed)


def _made(
    kind: Literal["receipt", "problem", "nothing", "unreachable"],
    found: Answer | None = None,
    *,
    problem: str | None = None,
    after: int | None = None,
    ledger: LedgerRef | None = None,
    exposed: bool,
) -> Reply:
    return Reply(
        kind=kind,
        status=None if found is None else found.status,
        body=b"" if found is None else found.body,
        problem=problem,
        retry_after=after,
        ledger=ledger,
        exposed=exposed,
        heads=() if found is None else _heads(found),
        peer=None if found is None else found.peer,
    )


def _heads(found: Answer) -> tuple[HeadRef, ...]:
    try:
        return parse_heads(found.get("edoc-heads"))
    except ValueError:
        return ()


def _digest_fits(found: Answer) -> bool:
    """Tell whether the body is the one its ``Content-Digest`` states; a receipt without one speaks for itself (Q3)."""
    try:
        stated = parse_digest(found.get("content-digest"))
        return stated is None or stated == sha256(found.body).hexdigest()
    except ValueError:
        return False


def _seconds(value: str | None) -> int | None:
    return int(value) if value is not None and value.isascii() and value.isdigit() and len(value) <= 6 else None


def _object(found: Answer) -> dict[str, object]:
    try:
        members = json.loads(found.body)
    except (ValueError, RecursionError) as error:
        raise TryLater("EDOC-EXC-022", "the node's answer is not JSON") from error
    if media_type(found.get("content-type")) != JSON_TYPE or not isinstance(members, dict):
        raise TryLater("EDOC-EXC-022", "the node's answer is not JSON")
    return members
