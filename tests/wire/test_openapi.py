"""The OpenAPI document says what the routes do: every operation is called by what it describes (exchange.md 3, E8)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from hashlib import sha256

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from requests.auth import AuthBase

from tests.wire.conftest import A, B, Place, utc_now
from transport.http import openapi
from transport.http.config import ServeConfig
from transport.http.limits import HttpLimits
from transport.http.server import serve
from transport.http.wire import RequestKey, RequestView, format_digest, sign_request

schemathesis = pytest.importorskip("schemathesis")


@cache
def schema():  # type: ignore[no-untyped-def]  # the library's own
    """The document, as the tool reads it."""
    return schemathesis.openapi.from_dict(openapi.document())


class Signed(AuthBase):
    """Signs what is about to be sent, as a node does."""

    def __init__(self, key: RequestKey) -> None:
        self.key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        body = request.body or b""
        data = body if isinstance(body, bytes) else str(body).encode()
        request.headers["Accept-Encoding"] = "identity"
        if data:
            request.headers["Content-Length"] = str(len(data))
            request.headers["Content-Digest"] = format_digest(sha256(data).hexdigest())
        elif request.method in ("PUT", "POST"):
            request.headers["Content-Length"] = "0"
        lines = tuple((name, str(value)) for name, value in request.headers.items())
        view = RequestView(str(request.method), str(request.url), lines)
        try:
            request.headers.update(sign_request(view, key=self.key, created=utc_now()))
        except ValueError:
            return request  # without the fields that are signed: the server has its answer for that, too
        return request


@pytest.fixture
def base(place: Place) -> Iterator[tuple[str, RequestKey]]:
    """B served in a thread of its own; its address, and the key of A."""
    ready, stop = threading.Event(), asyncio.Event()
    place.queue("119")
    config = ServeConfig(
        spool=place.folder / B / "spool",
        port=place.ports[B],
        demo=True,
        node_name="nut-1",
        limits=replace(
            HttpLimits(disk_reserve_bytes=0), rate_per_partner=10_000.0, rate_burst=20_000, feed_wait_max=0.0
        ),
        request_key=place.key(B),
        on_ready=lambda urls: ready.set(),
        metrics_port=None,
    )
    loop = asyncio.new_event_loop()
    task = loop.create_task(serve(place.nodes[B], config=config, stop=stop))
    thread = threading.Thread(target=loop.run_until_complete, args=(task,))
    thread.start()
    assert ready.wait(30)
    yield f"http://127.0.0.1:{place.ports[B]}", place.key(A)
    loop.call_soon_threadsafe(stop.set)
    thread.join(40)
    loop.close()


@pytest.mark.filterwarnings("ignore")
def test_every_operation_answers_as_the_document_says(base: tuple[str, RequestKey]) -> None:
    """Status, media type and form of each answer, for requests made from the document; no answer is a 5xx of ours."""
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi import checks

    url, key = base
    seen: set[str] = set()
    wanted = (
        not_a_server_error,
        checks.status_code_conformance,
        checks.content_type_conformance,
        checks.response_schema_conformance,
    )
    for found in schema().get_all_operations():
        operation = found.ok()

        @settings(max_examples=15, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def check(case: schemathesis.Case) -> None:  # type: ignore[name-defined]  # the library's own
            response = case.call(base_url=url, auth=Signed(key), timeout=30)
            case.validate_response(response, checks=list(wanted))
            seen.add(f"{case.method.upper()} {case.path}")

        check()
    assert seen == {f"{one.method} {one.path}" for one in openapi.OPERATIONS}


def test_the_document_names_every_route_and_no_other() -> None:
    numbers = {one.number for one in openapi.OPERATIONS}
    assert numbers == {f"E{n}" for n in range(1, 9)}
    ids = [operation["operationId"] for path in openapi.document()["paths"].values() for operation in path.values()]  # type: ignore[attr-defined]
    assert len(set(ids)) == len(ids)
