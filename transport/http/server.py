"""The exchange server: routes of exchange.md 3 on one listener, the operator's pages on another, and their life.

Promises: plain HTTP only on loopback and only for the demonstration; every failure leaves as a registered problem with
an ``instance`` that finds its log line; on SIGTERM no new request is taken and those under way have 30 s. The clock is
read here and handed on.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import signal
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime

from aiohttp import web

from transport.errors import SettingsError
from transport.http.config import ServeConfig
from transport.http.gate import Gates
from transport.http.ports import Clocks, NodePort
from transport.http.reporting import Reporting
from transport.http.routes import EXCHANGE, Exchange, build_app, build_operator_app
from transport.http.spool import clean
from transport.http.tls import load_chain, server_context
from transport.http.wire import BASE

__all__ = ["SYSTEM_CLOCKS", "Alongside", "ServeConfig", "build_app", "build_operator_app", "serve", "utc_now"]

Alongside = Callable[[asyncio.Event], Awaitable[None]]
"""Work that runs beside the server, such as the courier; ends soon after the event is set."""

_QUIET = logging.getLogger("edoc.http")


def utc_now() -> datetime:
    """Read the clock."""
    return datetime.now(UTC)


SYSTEM_CLOCKS = Clocks(utc_now, time.monotonic)


async def serve(
    node: NodePort,
    *,
    config: ServeConfig,
    clocks: Clocks = SYSTEM_CLOCKS,
    alongside: Sequence[Alongside] = (),
    stop: asyncio.Event | None = None,
    report: Reporting | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT (or ``stop``), then drain within 30 s. SIGHUP loads certificate and key again.

    Raises ``SettingsError`` (exit code 6): plain HTTP elsewhere than on loopback in the demonstration, port taken,
    certificate unusable.
    """
    context = _channel(config)
    clean(config.spool)
    report = report or Reporting(node=config.node_name)
    stopping = stop or asyncio.Event()
    async with AsyncExitStack() as stack:
        exchange, urls = await _open_exchange(stack, node, config=config, report=report, clocks=clocks, tls=context)
        if config.metrics_port is not None:
            urls["metrics"] = await _open_operator(stack, node, config=config, report=report, clocks=clocks)
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
    gates = exchange.gates = Gates(library, limits=config.limits, report=report, tls=tls)
    listener = config.listener or _bind(config.host, config.port)
    server = await asyncio.get_running_loop().create_server(gates, sock=listener, backlog=256)
    stack.callback(server.close)
    port = listener.getsockname()[1]
    return exchange, {"exchange": f"{config.scheme}://{_host(config.host)}:{port}{BASE}"}


async def _open_operator(
    stack: AsyncExitStack, node: NodePort, *, config: ServeConfig, report: Reporting, clocks: Clocks
) -> str:
    app = build_operator_app(node, report=report, config=config, clocks=clocks)
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
