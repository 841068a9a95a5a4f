"""The exchange server: routes of exchange.md 3 on one listener, the operator's pages on another, and their life.

Promises: plain HTTP only on loopback and only for the demonstration; every failure leaves as a registered problem with
an ``instance`` that finds its log line; on SIGTERM no new request is taken and those under way have 30 s. The clock is
read here and handed on.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import re
import shutil
import signal
import socket
import ssl
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
from aiohttp import web

from transport.dispatch import Key
from transport.errors import Problem, SettingsError
from transport.http import openapi
from transport.http.answers import answer, json_answer, problem_answer
from transport.http.gate import Gates
from transport.http.limits import HttpLimits
from transport.http.receiving import Clocks, NodePort, OutcomeUnknown, Receiving
from transport.http.reporting import METRICS_TYPE, Reporting
from transport.http.spool import Disk, clean
from transport.http.tls import load_chain, server_context
from transport.http.wire import (
    BASE,
    METADATA,
    OPENAPI,
    PING,
    RequestKey,
    RequestView,
    ResponseView,
    key_of,
    sign_response,
)

Alongside = Callable[[asyncio.Event], Awaitable[None]]
"""Work that runs beside the server, such as the courier; ends soon after the event is set."""

_METADATA_AGE = "max-age=3600"
_TRACE = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_QUIET = logging.getLogger("edoc.http")


@dataclass(frozen=True, slots=True)
class ServeConfig:
    """Where and how a node listens. ``port`` and ``metrics_port`` 0 take a free one; ``None``: no operator's page."""

    spool: Path
    host: str = "127.0.0.1"
    port: int = 8443
    demo: bool = False
    tls_cert: Path | None = None
    tls_key: Path | None = None
    client_ca: Path | None = None
    metrics_host: str = "127.0.0.1"
    metrics_port: int | None = 0
    node_name: str = ""
    limits: HttpLimits = field(default_factory=HttpLimits)
    request_key: RequestKey | None = None
    on_ready: Callable[[dict[str, str]], None] | None = None

    @property
    def scheme(self) -> str:
        """``https``, or ``http`` without a certificate."""
        return "http" if self.tls_cert is None else "https"


def utc_now() -> datetime:
    """Read the clock."""
    return datetime.now(UTC)


SYSTEM_CLOCKS = Clocks(utc_now, time.monotonic)


class Exchange:
    """The exchange's routes over one node."""

    def __init__(self, node: NodePort, *, config: ServeConfig, report: Reporting, clocks: Clocks) -> None:
        self.report = report
        self.gates: Gates | None = None
        self._under_way = 0
        self._none_under_way = asyncio.Event()
        self._none_under_way.set()
        self._node = node
        self._config = config
        self._clocks = clocks
        disk = Disk(config.spool, config.limits)
        self.receiving = Receiving(
            node, limits=config.limits, report=report, clocks=clocks, disk=disk, scheme=config.scheme
        )

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer any request: each failure as a problem, a body left unread closes the connection."""
        self._count(request, +1)
        try:
            response = await self._answer(request)
        except OutcomeUnknown:
            self.report.event(logging.ERROR, "receive.unknown")
            response = _silence(request)
        except (ConnectionError, aiohttp.ClientError, web.RequestPayloadError):
            response = _silence(request)  # the caller has gone; nothing was committed
        finally:
            self._count(request, -1)
        unread = request.body_exists and not request.content.is_eof()
        if unread or response.status == 411:  # what follows a body of unknown length has no certain meaning
            response.force_close()
        if self.receiving.draining:
            response.force_close()
        return response

    async def quiet(self, *, within: float) -> None:
        """Wait until no request is being answered, at most ``within`` seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._none_under_way.wait()

    def _count(self, request: web.Request, change: int) -> None:
        self._under_way += change
        if self._under_way:
            self._none_under_way.clear()
        else:
            self._none_under_way.set()
        if self.gates is not None:
            (self.gates.began if change > 0 else self.gates.ended)(request.transport)

    async def _answer(self, request: web.Request) -> web.Response:
        instance = str(uuid.uuid4())
        try:
            return await self._route(request)
        except Problem as problem:
            level = logging.INFO if problem.name == "unknown-message" else logging.WARNING
            self._log(level, "request.refused", request, problem=problem.name, instance=instance)
            return problem_answer(problem, instance=instance)
        except (ConnectionError, OutcomeUnknown, aiohttp.ClientError, web.RequestPayloadError):
            raise
        except Exception as error:
            # The edge of the process: what nobody expected becomes ``internal`` and one log line, never a trace.
            self._log(
                logging.ERROR,
                "request.failed",
                request,
                problem="internal",
                instance=instance,
                steps=type(error).__name__,
            )
            _QUIET.debug("request.failed", exc_info=error)
            return problem_answer(Problem("internal", 500, "unexpected error"), instance=instance)

    async def _route(self, request: web.Request) -> web.Response:
        path, method = request.raw_path, request.method
        fixed = {
            (PING, "POST"): self._ping,
            (METADATA, "GET"): self._metadata,
            (OPENAPI, "GET"): self._openapi,
        }
        if (path, method) in fixed:
            return await fixed[path, method](request)
        named = key_of(path)
        if named is not None and named[1] != "/content":
            return await self._message(request, *named)
        allowed = ", ".join(sorted(m for p, m in fixed if p == path))
        if allowed:
            raise Problem("bad-request", 405, "method", allow=allowed)
        raise Problem("bad-request", 404, "path", supported=["v1"])

    async def _message(self, request: web.Request, key: Key, suffix: str) -> web.Response:
        if suffix:
            if request.method == "GET":
                return await self.receiving.receipt(request, key)
            raise Problem("bad-request", 405, "method", allow="GET")
        if request.method == "PUT":
            return await self.receiving.put(request, key)
        if request.method in ("GET", "HEAD"):
            return await self.receiving.state(request, key)
        raise Problem("bad-request", 405, "method", allow="GET, HEAD, PUT")

    async def _ping(self, request: web.Request) -> web.Response:
        """E7: reaches no application."""
        caller, _ = await self.receiving.authenticate(request)
        with self.receiving.admit(caller):
            found = await asyncio.to_thread(self._node.metadata, self._clocks.now())
        now = self._clocks.now()
        members = {
            "node": found.get("node"),
            "agencies": found.get("agencies"),
            "time": f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond // 1000:03}Z",
            "versions": ["v1"],
            "ledger": found.get("ledger"),
        }
        return json_answer(members)

    async def _metadata(self, request: web.Request) -> web.Response:
        """E8, signed over status, content and authority with the node's request key."""
        now = self._clocks.now()
        response = json_answer(await asyncio.to_thread(self._node.metadata, now), {"Cache-Control": _METADATA_AGE})
        if self._config.request_key is not None:
            url = f"{self._config.scheme}://{request.headers['Host']}{request.raw_path}"
            asked = RequestView(request.method, url, tuple(request.headers.items()))
            view = ResponseView(response.status, tuple(response.headers.items()), asked)
            response.headers.update(sign_response(view, key=self._config.request_key, created=now))
        return response

    async def _openapi(self, _: web.Request) -> web.Response:
        return json_answer(openapi.document(), {"Cache-Control": _METADATA_AGE})

    def _log(self, level: int, event: str, request: web.Request, **fields: object) -> None:
        trace = _TRACE.fullmatch(request.headers.get("traceparent", ""))
        if trace is not None:
            fields["trace_id"] = trace.group(1)
        self.report.event(level, event, **fields)


EXCHANGE: web.AppKey[Exchange] = web.AppKey("exchange", Exchange)


def build_app(
    node: NodePort, *, config: ServeConfig, report: Reporting | None = None, clocks: Clocks = SYSTEM_CLOCKS
) -> web.Application:
    """Return the exchange as an aiohttp application: one route, because paths count as written in the request."""
    app = web.Application()
    exchange = Exchange(node, config=config, report=report or Reporting(node=config.node_name), clocks=clocks)
    app[EXCHANGE] = exchange
    app.router.add_route("*", "/{path:.*}", exchange.handle, expect_handler=_no_interim_answer)
    return app


def build_operator_app(node: NodePort, *, report: Reporting, spool: Path) -> web.Application:
    """Return E9, for the operator's own listener: alive, ready, metrics."""

    async def healthz(_: web.Request) -> web.Response:
        return answer(200, b"ok\n", "text/plain; charset=utf-8")

    async def readyz(_: web.Request) -> web.Response:
        good, checks = await asyncio.to_thread(node.ready)
        response = json_answer({"ready": good, "checks": checks})
        response.set_status(200 if good else 503)
        return response

    async def metrics(_: web.Request) -> web.Response:
        report.disk_free.labels("spool").set(shutil.disk_usage(spool).free)
        return answer(200, report.exposition(), METRICS_TYPE)

    app = web.Application()
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics)
    return app


async def serve(
    node: NodePort,
    *,
    config: ServeConfig,
    clocks: Clocks = SYSTEM_CLOCKS,
    alongside: Sequence[Alongside] = (),
    stop: asyncio.Event | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT (or ``stop``), then drain within 30 s. SIGHUP loads certificate and key again.

    Raises ``SettingsError`` (exit code 6): plain HTTP elsewhere than on loopback in the demonstration, port taken,
    certificate unusable.
    """
    context = _channel(config)
    clean(config.spool)
    report = Reporting(node=config.node_name)
    stopping = stop or asyncio.Event()
    async with AsyncExitStack() as stack:
        exchange, urls = await _open_exchange(stack, node, config=config, report=report, clocks=clocks, tls=context)
        if config.metrics_port is not None:
            urls["metrics"] = await _open_operator(stack, node, config=config, report=report)
        _on_signals(stack, stopping, config=config, tls=context)
        work = [asyncio.ensure_future(one(stopping)) for one in alongside]
        if config.on_ready is not None:
            config.on_ready(urls)
        await _until(stopping, work)
        exchange.receiving.draining = True
        if exchange.gates is not None:
            exchange.gates.drain()
        within = config.limits.drain_time
        await asyncio.gather(_finish(work, within=within), exchange.quiet(within=within))


async def _open_exchange(
    stack: AsyncExitStack,
    node: NodePort,
    *,
    config: ServeConfig,
    report: Reporting,
    clocks: Clocks,
    tls: ssl.SSLContext | None,
) -> tuple[Exchange, dict[str, str]]:
    app = build_app(node, config=config, report=report, clocks=clocks)
    exchange = app[EXCHANGE]
    runner = web.AppRunner(
        app,
        access_log=None,
        handle_signals=False,
        auto_decompress=False,
        keepalive_timeout=config.limits.keepalive_idle_time,
        lingering_time=2.0,
        shutdown_timeout=1.0,
        logger=_QUIET,
    )
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    library = runner.server
    if library is None:
        raise RuntimeError("the runner has no server after its set-up")
    gates = exchange.gates = Gates(library, limits=config.limits, report=report)
    listener = _bind(config.host, config.port)
    handshake = config.limits.tls_handshake_time if tls is not None else None
    server = await asyncio.get_running_loop().create_server(
        gates, sock=listener, ssl=tls, ssl_handshake_timeout=handshake, backlog=256
    )
    stack.callback(server.close)
    port = listener.getsockname()[1]
    return exchange, {"exchange": f"{config.scheme}://{_host(config.host)}:{port}{BASE}"}


async def _open_operator(stack: AsyncExitStack, node: NodePort, *, config: ServeConfig, report: Reporting) -> str:
    app = build_operator_app(node, report=report, spool=config.spool)
    runner = web.AppRunner(app, access_log=None, handle_signals=False, logger=_QUIET, shutdown_timeout=1.0)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    listener = _bind(config.metrics_host, config.metrics_port or 0)
    await web.SockSite(runner, listener).start()
    return f"http://{_host(config.metrics_host)}:{listener.getsockname()[1]}/metrics"


async def _until(stopping: asyncio.Event, work: Sequence[asyncio.Future[None]]) -> None:
    """Wait for the wish to stop, or for work beside the server to fail (its error is raised at the end)."""
    wish = asyncio.ensure_future(stopping.wait())
    waiting: set[asyncio.Future[object]] = {wish, *work}  # type: ignore[arg-type]  # results are not looked at
    try:
        while not wish.done():
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if any(one is not wish and (one.cancelled() or one.exception() is not None) for one in done):
                break
    finally:
        wish.cancel()
        stopping.set()


async def _finish(work: Sequence[asyncio.Future[None]], *, within: float) -> None:
    """Let the work beside the server end; raise the first error it ended with."""
    if not work:
        return
    _, late = await asyncio.wait(work, timeout=within)
    for one in late:
        one.cancel()
    for result in await asyncio.gather(*work, return_exceptions=True):
        if isinstance(result, BaseException) and not isinstance(result, asyncio.CancelledError):
            raise result


def _on_signals(
    stack: AsyncExitStack, stopping: asyncio.Event, *, config: ServeConfig, tls: ssl.SSLContext | None
) -> None:
    def reload() -> None:
        if tls is not None and config.tls_cert is not None:
            with suppress(SettingsError):  # the old pair stays in use
                load_chain(tls, config.tls_cert, config.tls_key)

    loop = asyncio.get_running_loop()
    for name, act in (("SIGTERM", stopping.set), ("SIGINT", stopping.set), ("SIGHUP", reload)):
        number = getattr(signal, name, None)
        if number is None:
            continue
        try:
            loop.add_signal_handler(number, act)
        except (NotImplementedError, RuntimeError, ValueError):
            return  # Windows, or not the main thread: the caller has ``stop``
        stack.callback(loop.remove_signal_handler, number)


def _channel(config: ServeConfig) -> ssl.SSLContext | None:
    """Return the TLS context; ``None`` for plain HTTP where that is allowed (exchange.md 4, R93)."""
    if config.tls_cert is not None:
        return server_context(config.tls_cert, config.tls_key or config.tls_cert, client_ca=config.client_ca)
    if not config.demo or not _is_loopback(config.host):
        raise SettingsError("EDOC-EXC-010", "plain HTTP is for loopback in the demonstration only", host=config.host)
    return None


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _bind(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=256)
    except OSError as error:
        raise SettingsError("EDOC-EXC-011", "the address cannot be listened on", host=host, port=port) from error


def _host(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _silence(request: web.Request) -> web.Response:
    """Close the connection without an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


async def _no_interim_answer(_: web.Request) -> None:
    """Send no ``100 Continue`` before the handler has passed S1 to S5."""
