"""The routes of exchange.md 3 over one node: every failure leaves as a registered problem whose ``instance`` finds its
log line, or, when the outcome of a commit is not known, not at all.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress

import aiohttp
from aiohttp import web

from transport.dispatch import Key
from transport.errors import Problem, StoreError
from transport.http import openapi
from transport.http.answers import answer, json_answer, problem_answer
from transport.http.callers import Edge
from transport.http.channel import Channel
from transport.http.config import ServeConfig
from transport.http.gate import Gates
from transport.http.ports import Clocks, MeasuredPort, NodePort, OutcomeUnknown, PullPort
from transport.http.pulled import Pulled
from transport.http.receiving import Receiving, storage_problem
from transport.http.reporting import METRICS_TYPE, Reporting
from transport.http.spool import Disk
from transport.http.uploads import Uploads
from transport.http.wire import (
    BASE,
    METADATA,
    OPENAPI,
    PING,
    RequestView,
    ResponseView,
    feed_of,
    key_of,
    sign_response,
    upload_of,
)
from transport.receiptform import format_time

_METADATA_AGE = "max-age=3600"
_QUIET = logging.getLogger("edoc.http")


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
        edge = Edge(config.scheme, Channel.of(config.client_ca, config.proxies), _authority_of(config.endpoint))
        self.receiving = Receiving(
            node,
            limits=config.limits,
            report=report,
            clocks=clocks,
            disk=disk,
            edge=edge,
            follow_trace=config.follow_trace,
        )
        self._uploads = Uploads(self.receiving, config.uploads_folder or config.spool) if config.uploads else None
        self._pulled = Pulled(self.receiving, node) if isinstance(node, PullPort) else None

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
        unbounded = request.method == "PUT" and "Content-Length" not in request.headers
        if unread or unbounded:  # what follows a body of unknown length has no certain meaning
            response.force_close()
        if self.receiving.draining:
            response.force_close()
        return response

    async def close(self, _: web.Application) -> None:
        """Give back what the application holds."""
        self.receiving.close()

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

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        instance = str(uuid.uuid4())
        try:
            return await self._route(request)
        except Problem as problem:
            level = logging.INFO if problem.name == "unknown-message" else logging.WARNING
            self._log(level, "request.refused", request, problem=problem.name, instance=instance)
            return problem_answer(problem, instance=instance)
        except (ConnectionError, OutcomeUnknown, aiohttp.ClientError, web.RequestPayloadError):
            raise
        except StoreError as error:  # a question before S11 that the database did not answer: nothing was committed
            self._log(
                logging.ERROR, "request.failed", request, problem="unavailable", instance=instance, steps=error.code
            )
            return problem_answer(storage_problem(error), instance=instance)
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

    async def _route(self, request: web.Request) -> web.StreamResponse:
        path, method = request.raw_path, request.method
        fixed = {
            (PING, "POST"): self._ping,
            (METADATA, "GET"): self._metadata,
            (OPENAPI, "GET"): self._openapi,
        }
        if (path, method) in fixed:
            return await fixed[path, method](request)
        named = key_of(path)
        if named is not None:
            return await self._message(request, *named)
        if self._uploads is not None and (for_key := upload_of(path)) is not None:
            if method != "POST":
                raise Problem("bad-request", 405, "method", allow="POST")
            return await self._uploads.create(request, for_key)
        if self._uploads is not None and (token := self._uploads.named(path)) is not None:
            return await self._uploads.handle(request, token)
        asked = feed_of(path)
        if asked is not None and self._pulled is not None:
            if method != "GET":
                raise Problem("bad-request", 405, "method", allow="GET")
            return await self._pulled.feed(request, *asked)
        allowed = ", ".join(sorted(m for p, m in fixed if p == path))
        if allowed:
            raise Problem("bad-request", 405, "method", allow=allowed)
        raise Problem("bad-request", 404, "path", supported=["v1"])

    async def _message(self, request: web.Request, key: Key, suffix: str) -> web.StreamResponse:
        """E1, E2, E3, E5, E6: what concerns one message."""
        answers: dict[str, Callable[[web.Request, Key], Awaitable[web.StreamResponse]]] = {}
        if suffix == "":
            answers = {"PUT": self.receiving.put, "GET": self.receiving.state, "HEAD": self.receiving.state}
        elif suffix == "/receipt":
            answers = {"GET": self.receiving.receipt}
        if self._pulled is not None and suffix == "/receipt":
            answers["PUT"] = self._pulled.receipt
        if self._pulled is not None and suffix == "/content":
            answers = {"GET": self._pulled.content}
        if not answers:
            raise Problem("bad-request", 404, "path", supported=["v1"])
        if request.method not in answers:
            raise Problem("bad-request", 405, "method", allow=", ".join(sorted(answers)))
        return await answers[request.method](request, key)

    async def _ping(self, request: web.Request) -> web.Response:
        """E7: reaches no application."""
        caller, _ = await self.receiving.authenticate(request)
        with self.receiving.admit(caller):
            found = await self.receiving.in_thread(self._node.metadata, self._clocks.now())
        members = {
            "node": found.get("node"),
            "agencies": found.get("agencies"),
            "time": format_time(self._clocks.now()),
            "versions": ["v1"],
            "ledger": found.get("ledger"),
        }
        return await self.receiving.with_heads(request, caller, json_answer(members))

    async def _metadata(self, request: web.Request) -> web.Response:
        """E8, signed over status, content and authority with the node's request key."""
        now = self._clocks.now()
        members = await self.receiving.in_thread(self._node.metadata, now)
        if members.get("endpoint") is None:  # as it was called: the authority is under the signature
            members["endpoint"] = f"{self._config.scheme}://{request.headers['Host']}{BASE}"
        response = json_answer(members, {"Cache-Control": _METADATA_AGE})
        if self._config.request_key is not None:
            url = f"{self._config.scheme}://{request.headers['Host']}{request.raw_path}"
            asked = RequestView(request.method, url, tuple(request.headers.items()))
            view = ResponseView(response.status, tuple(response.headers.items()), asked)
            response.headers.update(sign_response(view, key=self._config.request_key, created=now))
        return response

    async def _openapi(self, _: web.Request) -> web.Response:
        return json_answer(openapi.document(), {"Cache-Control": _METADATA_AGE})

    def _log(self, level: int, event: str, request: web.Request, **fields: object) -> None:
        self.report.event(level, event, **self.receiving.trace(request), **fields)


def _authority_of(endpoint: str | None) -> str | None:
    """Return host and port of an address, as the field ``Host`` writes them."""
    return None if endpoint is None else endpoint.split("/")[2].lower()


EXCHANGE: web.AppKey[Exchange] = web.AppKey("exchange", Exchange)


def build_app(
    node: NodePort, *, config: ServeConfig, report: Reporting | None = None, clocks: Clocks
) -> web.Application:
    """Return the exchange as an aiohttp application: one route, because paths count as written in the request."""
    app = web.Application()
    exchange = Exchange(node, config=config, report=report or Reporting(node=config.node_name), clocks=clocks)
    app[EXCHANGE] = exchange
    app.on_cleanup.append(exchange.close)
    app.router.add_route("*", "/{path:.*}", exchange.handle, expect_handler=_no_interim_answer)
    return app


def build_operator_app(node: NodePort, *, report: Reporting, config: ServeConfig, clocks: Clocks) -> web.Application:
    """Return E9, for the operator's own listener: alive, ready, metrics."""
    disk = Disk(config.spool, config.limits)

    def ready() -> tuple[bool, dict[str, str]]:
        good, checks = node.ready()
        try:
            disk.reserve(0)
            checks["disk"] = "ok"
        except Problem:
            checks["disk"] = "below the reserve"
        return good and checks["disk"] == "ok", checks

    async def healthz(_: web.Request) -> web.Response:
        return answer(200, b"ok\n", "text/plain; charset=utf-8")

    async def readyz(_: web.Request) -> web.Response:
        good, checks = await asyncio.to_thread(ready)
        response = json_answer({"ready": good, "checks": checks})
        response.set_status(200 if good else 503)
        return response

    async def metrics(_: web.Request) -> web.Response:
        report.disk_free.labels("spool").set(shutil.disk_usage(config.spool).free)
        report.disk_free.labels("store").set(shutil.disk_usage(config.spool.parent).free)
        if isinstance(node, MeasuredPort):
            with suppress(StoreError):  # a database that is away: what is counted in the process is told all the same
                report.measured(await asyncio.to_thread(node.measures, clocks.now()))
        return answer(200, report.exposition(), METRICS_TYPE)

    app = web.Application()
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics)
    return app


def _silence(request: web.Request) -> web.Response:
    """Close the connection without an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


async def _no_interim_answer(_: web.Request) -> None:
    """Send no ``100 Continue`` before the handler has passed S1 to S5."""
