"""How the server lives: channel, limits of time and number, operator's pages, draining (exchange.md 4, 10, 11, 13)."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from signer.credential import Role
from signer.devpki import DevPki, Subject
from tests.http.conftest import K, Office, Serve, small
from tests.http.memory_node import NODE_KEY, SENDER_KEY, MemoryNode, spki
from transport.dispatch import Key
from transport.errors import SettingsError
from transport.http import openapi, wire
from transport.http.addresses import Reach
from transport.http.client import HttpCarrier
from transport.http.reporting import JsonLines
from transport.http.server import ServeConfig, serve
from transport.http.tls import client_context, server_context

ROOT = Path(__file__).parents[2]
LETTER = b"<edXML>" + b"x" * 100 + b"</edXML>"


def problem(body: bytes) -> str:
    return str(json.loads(body)["type"]).removeprefix("urn:edoc:problem:")


async def closed(reader: asyncio.StreamReader) -> bytes:
    """Everything until the other side closes; a reset is a close."""
    try:
        return await asyncio.wait_for(reader.read(), 10)
    except ConnectionError:
        return b""


# --- channel ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def pems(pki: DevPki, tmp_path: Path) -> dict[str, Path]:
    """TLS files for «localhost», and the root to trust."""
    one = pki.issue(Role.TLS, Subject("localhost", dns=("localhost", "127.0.0.1")))
    other = pki.issue(Role.TLS, Subject("other.example", dns=("other.example",)))
    files = {
        "cert": one.certificates_pem,
        "key": one.pem,
        "other-cert": other.certificates_pem,
        "other-key": other.pem,
        "root": ssl.DER_cert_to_PEM_cert(pki.root.certificate).encode(),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    return {name: tmp_path / name for name in files}


async def test_over_tls_a_message_is_exchanged_by_name_and_given_anchors_only(
    serving: Serve, pems: dict[str, Path]
) -> None:
    async with serving(demo=False, tls_cert=pems["cert"], tls_key=pems["key"]) as office:
        reach = Reach(demo=True)
        endpoint = office.urls["exchange"].replace("127.0.0.1", "localhost")
        assert endpoint.startswith("https://")
        for context, good in ((client_context(pems["root"]), True), (None, False)):
            async with HttpCarrier(
                request_key=SENDER_KEY, clock=office.clock, tls=context, reach=reach, limits=small()
            ) as one:
                if good:
                    assert (await one.ping(endpoint)).members["node"] == "nut-1"
                else:
                    with pytest.raises(Exception, match="did not answer"):
                        await one.ping(endpoint)


async def test_connections_are_counted_before_tls_begins(serving: Serve, pems: dict[str, Path]) -> None:
    """Who connects and says nothing takes a place until the time for the handshake is over, and no more than that."""
    limits = small(connections_per_address=3, tls_handshake_time=1.0)
    async with serving(demo=False, tls_cert=pems["cert"], tls_key=pems["key"], limits=limits) as office:
        endpoint = office.urls["exchange"].replace("127.0.0.1", "localhost")
        silent = [await office.open() for _ in range(3)]
        fourth = await office.open()
        assert await closed(fourth.reader) == b"", "one too many, closed at once"
        assert [await closed(one.reader) for one in silent] == [b""] * 3, "the time for the handshake is over"
        for line in (*silent, fourth):
            line.writer.close()
        context = client_context(pems["root"])
        async with HttpCarrier(
            request_key=SENDER_KEY, clock=office.clock, tls=context, reach=Reach(demo=True), limits=small()
        ) as one:
            assert (await one.ping(endpoint)).members["node"] == "nut-1", "their places are free again"
        garbage = await office.open()
        garbage.writer.write(b"GET / HTTP/1.1\r\n\r\n")
        assert b"HTTP" not in await closed(garbage.reader)


async def test_a_certificate_of_another_name_is_not_spoken_to(serving: Serve, pems: dict[str, Path]) -> None:
    async with (
        serving(demo=False, tls_cert=pems["other-cert"], tls_key=pems["other-key"]) as office,
        HttpCarrier(
            request_key=SENDER_KEY,
            clock=office.clock,
            tls=client_context(pems["root"]),
            reach=Reach(demo=True),
            limits=small(),
        ) as one,
    ):
        with pytest.raises(Exception, match="did not answer"):
            await one.ping(office.urls["exchange"].replace("127.0.0.1", "localhost"))


def test_old_tls_versions_and_weak_ciphers_are_off(pems: dict[str, Path]) -> None:
    for context in (server_context(pems["cert"], pems["key"]), client_context(pems["root"])):
        assert context.minimum_version is ssl.TLSVersion.TLSv1_2
        old = [one for one in context.get_ciphers() if one["protocol"] == "TLSv1.2"]
        assert old
        assert all("ECDHE" in one["name"] and ("GCM" in one["name"] or "CHACHA" in one["name"]) for one in old)
    assert client_context(pems["root"]).check_hostname


def test_with_a_client_authority_the_server_asks_for_a_certificate(pems: dict[str, Path]) -> None:
    context = server_context(pems["cert"], pems["key"], client_ca=pems["root"])
    assert context.verify_mode is ssl.CERT_OPTIONAL, "some sign their requests instead"


def test_an_unusable_channel_file_is_a_matter_of_set_up(pems: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "junk").write_bytes(b"junk")
    for bad in (tmp_path / "junk", tmp_path / "missing", pems["root"]):
        with pytest.raises(SettingsError) as caught:
            server_context(bad, bad)
        assert caught.value.code == "EDOC-EXC-012"


@pytest.mark.parametrize(("host", "demo"), [("127.0.0.1", False), ("0.0.0.0", True), ("vb.example", True)])
async def test_plain_http_is_for_loopback_in_the_demonstration_only(tmp_path: Path, host: str, demo: bool) -> None:
    config = ServeConfig(spool=tmp_path, host=host, port=0, demo=demo)
    with pytest.raises(SettingsError) as caught:
        await serve(MemoryNode(), config=config)
    assert caught.value.code == "EDOC-EXC-010"


async def test_a_taken_port_is_a_matter_of_set_up(office: Office, tmp_path: Path) -> None:
    config = ServeConfig(spool=tmp_path, port=office.port, demo=True)
    with pytest.raises(SettingsError) as caught:
        await serve(MemoryNode(), config=config)
    assert caught.value.code == "EDOC-EXC-011"


# --- limits of time and number ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("sent", [b"", b"PUT /exch", b"PUT /x HTTP/1.1\r\nHost: a\r\n"])
async def test_a_head_that_does_not_come_is_not_waited_for(serving: Serve, sent: bytes) -> None:
    async with serving(limits=small(header_time=0.1)) as office:
        line = await office.open()
        line.writer.write(sent)
        assert await closed(line.reader) == b""
        line.writer.close()


async def test_an_idle_connection_is_closed(serving: Serve) -> None:
    async with serving(limits=small(keepalive_idle_time=0.1)) as office:
        line = await office.open()
        line.writer.write(office.head("GET", wire.OPENAPI))
        assert (await line.answer()).status == 200
        assert await closed(line.reader) == b""
        line.writer.close()


async def test_a_stalled_body_ends_in_408(serving: Serve) -> None:
    async with serving(limits=small(body_idle_time=0.1)) as office:
        line = await office.open()
        line.writer.write(office.head(body=LETTER) + LETTER[:5])
        got = await line.answer("PUT")
        assert (got.status, problem(got.body), got.headers["connection"]) == (408, "timeout", "close")
        assert os.listdir(office.spool) == []
        line.writer.close()


@pytest.mark.parametrize(("size", "status"), [(999, 201), (1000, 201), (1001, 413)])
async def test_the_size_limit_is_exact(serving: Serve, size: int, status: int) -> None:
    async with serving(limits=small(message_max_bytes=1000)) as office:
        got = await office.put(b"x" * size)
        assert got.status == status
        if status == 413:
            limit = json.loads(got.body)["limit"]
            assert limit == {"name": "message_max_bytes", "value": 1000, "unit": "byte"}


async def test_connections_are_counted_per_address(serving: Serve) -> None:
    async with serving(limits=small(connections_per_address=2)) as office:
        lines = [await office.open() for _ in range(2)]
        for line in lines:
            line.writer.write(office.head("GET", wire.OPENAPI))
            assert (await line.answer()).status == 200
        third = await office.open()
        assert await closed(third.reader) == b""
        for line in (*lines, third):
            line.writer.close()
            await line.writer.wait_closed()
        while (got := await try_again(office)) is None:
            pass
        assert got == 200


async def try_again(office: Office) -> int | None:
    try:
        return (await office.ask(office.head("GET", wire.OPENAPI), method="GET")).status
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


async def test_a_partner_that_asks_too_fast_is_slowed_down(serving: Serve) -> None:
    async with serving(limits=small(rate_burst=2, rate_per_partner=0.01)) as office:
        statuses = [(await office.ask(office.head("GET"), method="GET")).status for _ in range(3)]
        assert statuses == [404, 404, 429]


async def test_a_partner_has_so_many_requests_at_once(serving: Serve) -> None:
    gate, inside = threading.Event(), threading.Semaphore(0)

    def hold() -> None:
        inside.release()
        gate.wait(10)

    async with serving(MemoryNode(before_commit=hold), limits=small(requests_per_partner=1)) as office:
        first = asyncio.create_task(office.put(LETTER))
        await asyncio.to_thread(inside.acquire)
        second = await office.ask(office.head("GET"), method="GET")
        gate.set()
        assert (second.status, problem(second.body)) == (429, "too-many-requests")
        assert (await first).status == 201


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"PUT " + b"/" * 5000 + b" HTTP/1.1\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 21_000, 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 64 + b"\r\n", 431),
        (b"GET / HTTP/1.0\r\nHost: a\r\n\r\n", 400),
        (b"GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"get / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\n", 400),
        (b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\n", 400),
        (b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: identity\r\n\r\n", 400),
        (b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"\x16\x03\x01" + b"\x00" * 100 + b"\r\n\r\n", 400),
    ],
)
async def test_doubtful_heads_are_refused_and_the_connection_closes(office: Office, raw: bytes, status: int) -> None:
    line = await office.open()
    line.writer.write(raw + b"GET /.well-known/edoc-exchange HTTP/1.1\r\nHost: a\r\n\r\n")
    got = await line.answer()
    assert (got.status, problem(got.body), got.headers["connection"]) == (status, "bad-request", "close")
    assert await closed(line.reader) == b""  # what followed was not read as a request
    line.writer.close()


# --- pages -----------------------------------------------------------------------------------------------------------


async def test_metadata_are_signed_and_open_to_anyone(office: Office) -> None:
    got = await office.ask(office.head("GET", wire.METADATA, key=None), method="GET")
    assert (got.status, got.headers["cache-control"]) == (200, "max-age=3600")
    assert json.loads(got.body)["node"] == "nut-1"
    view = wire.ResponseView(200, tuple(got.headers.items()), wire.RequestView("GET", office.base + wire.METADATA))
    wire.verify_response(view, public_key=spki(NODE_KEY), alg=NODE_KEY.alg, now=office.clock.now)


async def test_every_operation_of_the_openapi_document_is_served_and_nothing_else(office: Office) -> None:
    got = await office.ask(office.head("GET", wire.OPENAPI, key=None), method="GET")
    document = json.loads(got.body)
    assert document == json.loads(json.dumps(openapi.document()))
    filled = {"recipient": K.recipient, "sender": K.sender, "id": K.message_id}
    for template, operations in document["paths"].items():
        path = template.format(**filled)
        for method in ("GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS"):
            served = await office.ask(office.head(method, path), method=method)
            if method.lower() in operations:
                assert served.status not in (405, 501), (method, path)
            else:
                assert served.status == 405, (method, path)


async def test_the_operators_pages_are_on_their_own_listener(office: Office) -> None:
    await office.put(LETTER)
    await office.put(b"bad", Key("H99.01", "H99.02", "7f1d2c9a-8f57-4f0e-b0a5-90d3c1b7e2f4"))
    base = office.urls["metrics"].removesuffix("/metrics")
    async with aiohttp.ClientSession() as session:
        async with session.get(base + "/healthz") as got:
            assert got.status == 200
        async with session.get(base + "/readyz") as got:
            assert (got.status, await got.json()) == (200, {"ready": True, "checks": {"database": "ok", "disk": "ok"}})
        office.node.is_ready = False
        async with session.get(base + "/readyz") as got:
            assert (got.status, await got.json()) == (
                503,
                {"ready": False, "checks": {"database": "closed", "disk": "ok"}},
            )
        async with session.get(base + "/metrics") as got:
            text = await got.text()
    assert 'edoc_accepted_total{partner="H99.01"} 1.0' in text
    assert 'edoc_refused_total{partner="H99.01",reason="wrong-addressee"} 1.0' in text
    assert "edoc_receive_seconds_bucket" in text
    assert "python_info" not in text  # our own registry, not the process-global one


@pytest.fixture
def lines() -> Iterator[list[str]]:
    """Log lines of the exchange as the operator gets them."""
    caught: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            caught.append(self.format(record))

    handler = Keep()
    handler.setFormatter(JsonLines())
    logger = logging.getLogger("edoc")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield caught
    logger.removeHandler(handler)
    logger.setLevel(level)


async def test_log_lines_name_messages_by_codes_and_never_carry_content(serving: Serve, lines: list[str]) -> None:
    def fail() -> None:
        raise RuntimeError("SECRET-CONTENT of a document")

    async with serving(MemoryNode()) as office:
        await office.put(LETTER)
        office.node.before_commit = fail
        other = Key("H99.01", "H99.02", "7f1d2c9a-8f57-4f0e-b0a5-90d3c1b7e2f4")
        failed = await office.ask(
            office.head(
                path=wire.path_of(other), body=LETTER, more=(("traceparent", f"00-{'a1' * 16}-{'b2' * 8}-01"),)
            ),
            LETTER,
        )
    events = [json.loads(line) for line in lines]
    accepted = next(one for one in events if one["event"] == "message.accepted")
    assert accepted["k"] == f"H99.01/H99.02/{K.message_id}"
    assert (accepted["node"], accepted["level"], len(accepted["digest"])) == ("nut-1", "info", 64)
    refused = next(one for one in events if one["event"] == "request.refused")
    assert "urn:uuid:" + refused["instance"] == json.loads(failed.body)["instance"]
    assert refused["link"] == "a1" * 16, "a partner's trace is linked to, not continued"
    everything = "\n".join(lines)
    assert "SECRET" not in everything
    assert "edXML" not in everything
    assert SENDER_KEY.keyid not in everything


# --- draining --------------------------------------------------------------------------------------------------------


async def test_stopping_lets_a_request_end_and_takes_no_new_one(serving: Serve) -> None:
    gate, inside = threading.Event(), threading.Event()

    def hold() -> None:
        inside.set()
        gate.wait(10)

    async with serving(MemoryNode(before_commit=hold)) as office:
        idle = await office.open()
        idle.writer.write(office.head("GET", wire.OPENAPI))
        assert (await idle.answer()).status == 200
        under_way = asyncio.create_task(office.put(LETTER))
        assert await asyncio.to_thread(inside.wait, 10)
        office.stop.set()
        assert await closed(idle.reader) == b""
        gate.set()
        got = await under_way
        assert (got.status, got.headers["connection"]) == (201, "close")
        await asyncio.wait_for(asyncio.shield(office.task), 10)
        with pytest.raises(ConnectionError):
            await office.open()
        idle.writer.close()


async def test_stopping_does_not_wait_longer_than_the_drain_time(serving: Serve) -> None:
    gate, inside = threading.Event(), threading.Event()

    def hold() -> None:
        inside.set()
        gate.wait(20)

    async with serving(MemoryNode(before_commit=hold), limits=small(drain_time=0.1)) as office:
        under_way = asyncio.create_task(office.put(LETTER))
        assert await asyncio.to_thread(inside.wait, 10)
        office.stop.set()
        await asyncio.wait_for(asyncio.shield(office.task), 10)
        gate.set()
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await under_way


async def test_work_beside_the_server_is_told_to_stop_and_its_failure_is_raised(tmp_path: Path) -> None:
    ended: list[str] = []
    stop = asyncio.Event()
    config = ServeConfig(spool=tmp_path, port=0, demo=True, limits=small(), on_ready=lambda _: stop.set())

    async def courier(stopping: asyncio.Event) -> None:
        await stopping.wait()
        ended.append("courier")

    await serve(MemoryNode(), config=config, alongside=[courier], stop=stop)
    assert ended == ["courier"]

    async def broken(_: asyncio.Event) -> None:
        raise RuntimeError("the courier fell")

    with pytest.raises(RuntimeError, match="the courier fell"):
        await serve(MemoryNode(), config=ServeConfig(spool=tmp_path, port=0, demo=True), alongside=[broken])


async def test_what_an_earlier_process_left_in_the_spool_goes(serving: Serve, tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool" / "body-old").write_bytes(b"half a message")
    async with serving() as office:
        assert os.listdir(office.spool) == []


PROGRAM = """
import asyncio, json, sys
from pathlib import Path
from tests.http.memory_node import MemoryNode
from transport.http.server import ServeConfig, serve
say = lambda urls: print(json.dumps(urls), flush=True)
config = ServeConfig(spool=Path(sys.argv[1]), port=0, demo=True, metrics_port=None, on_ready=say)
asyncio.run(serve(MemoryNode(), config=config))
"""


@pytest.mark.process
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_process_with_success(tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert "exchange" in json.loads(process.stdout.readline())
        process.send_signal(number)
        assert process.wait(20) == 0
        assert process.stderr.read() == b""
