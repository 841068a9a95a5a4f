"""The carrier: whatever the world answers becomes a reply, and ``exposed`` never lies (exchange.md 3, 10, 11)."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.http.conftest import Clock, K, Office, Serve, small
from tests.http.memory_node import NODE_KEY, SENDER_KEY, MemoryNode, spki
from transport.courier import Parcel
from transport.errors import Refused, TryLater
from transport.http import wire
from transport.http.addresses import Reach
from transport.http.client import HttpCarrier
from transport.store.values import LedgerRef

LETTER = b"<edXML>" + b"x" * 100 + b"</edXML>"
DEMO = Reach(demo=True)
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def parcel(endpoint: str, data: bytes = LETTER, **changes: object) -> Parcel:
    """A parcel to H99.02."""
    facts: dict[str, object] = {
        "key": K,
        "data": data,
        "sha256": hashlib.sha256(data).hexdigest(),
        "size": len(data),
        "endpoint": endpoint,
        "ask_first": False,
        "ledger": None,
        "expect": False,
    } | changes
    return Parcel(**facts)  # type: ignore[arg-type]  # the test's own words


@asynccontextmanager
async def carrier(clock: Clock, **limits: object) -> AsyncIterator[HttpCarrier]:
    """A carrier that may use loopback."""
    async with HttpCarrier(request_key=SENDER_KEY, clock=clock, reach=DEMO, limits=small(**limits)) as one:
        yield one


@asynccontextmanager
async def stranger(handler: Handler) -> AsyncIterator[str]:
    """Something that listens and answers as the test wants; yields its endpoint."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}{wire.BASE}"


def saying(raw: bytes) -> Handler:
    """Read head and body, then say this."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if b"Content-Length" in head:
            await reader.readexactly(len(LETTER))
        writer.write(raw)
        await writer.drain()

    return handler


def http(status: int, body: bytes = b"", **headers: str) -> bytes:
    """Return a raw answer."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def digest(body: bytes) -> str:
    return wire.format_digest(hashlib.sha256(body).hexdigest())


@pytest.mark.parametrize("expect", [False, True])
async def test_a_parcel_brings_a_receipt_and_the_place_of_its_leaf(office: Office, expect: bool) -> None:
    async with carrier(office.clock) as one:
        reply = await one.carry(parcel(office.urls["exchange"], expect=expect))
        known = office.node.rows[K]
        assert (reply.kind, reply.status, reply.body) == ("receipt", 201, known.receipt.data)
        assert (reply.ledger, reply.exposed) == (known.receipt.ledger, True)
        again = await one.carry(parcel(office.urls["exchange"], expect=True))
        assert (again.kind, again.status, again.body, again.exposed) == ("receipt", 200, known.receipt.data, False)


async def test_large_parcels_and_many_of_them_share_kept_connections(office: Office) -> None:
    async with carrier(office.clock) as one:
        for number in range(4):
            key = replace(K, message_id=f"6f1d2c9a-8f57-4f0e-b0a5-90d3c1b7e2f{number}")
            data = bytes([number]) * (1024 * 1024)
            reply = await one.carry(parcel(office.urls["exchange"], data, key=key, expect=True))
            assert (reply.kind, reply.status) == ("receipt", 201)


async def test_the_senders_leaf_is_cited(office: Office) -> None:
    ref = LedgerRef("soa.example/edoc-ledger/2026", 41, "ab" * 32)
    async with carrier(office.clock) as one:
        await one.carry(parcel(office.urls["exchange"], ledger=ref))
    assert office.node.peers == [ref]


async def test_attempts_of_a_dispatch_are_one_trace() -> None:
    heads: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))

    async with stranger(listen) as endpoint, carrier(Clock()) as one:
        await one.carry(parcel(endpoint, trace="a1" * 16))
        await one.carry(parcel(endpoint, trace="no trace id\r\nX: y"))
    assert b"traceparent: 00-" + b"a1" * 16 + b"-" in heads[0]
    assert b"traceparent" not in heads[1]


async def test_a_refusal_is_a_receipt_too(office: Office) -> None:
    async with carrier(office.clock) as one:
        reply = await one.carry(parcel(office.urls["exchange"], b"bad"))
    assert (reply.kind, reply.status) == ("receipt", 422)


async def test_asking_first_sends_no_body_when_the_receipt_is_there(office: Office) -> None:
    async with carrier(office.clock) as one:
        first = await one.carry(parcel(office.urls["exchange"], ask_first=True))
        asked = await one.carry(parcel(office.urls["exchange"], ask_first=True))
        direct = await one.ask(parcel(office.urls["exchange"]))
    assert (first.status, asked.status) == (201, 200)
    assert (asked.body, asked.exposed) == (first.body, False)
    assert direct.body == first.body


async def test_a_problem_before_the_body_leaves_the_parcel_unexposed(serving: Serve) -> None:
    async with serving(MemoryNode(is_ready=False)) as office, carrier(office.clock) as one:
        reply = await one.carry(parcel(office.urls["exchange"], bytes(2**20), expect=True))
        assert (reply.kind, reply.problem, reply.exposed) == ("problem", "unavailable", False)
        assert reply.retry_after is not None


async def test_a_conflict_is_a_registered_problem(office: Office) -> None:
    async with carrier(office.clock) as one:
        await one.carry(parcel(office.urls["exchange"]))
        reply = await one.carry(parcel(office.urls["exchange"], LETTER + b"!"))
    assert (reply.kind, reply.status, reply.problem) == ("problem", 409, "message-id-conflict")


RECEIPT = b"<Receipt/>"
GOOD = {"Content_Type": wire.RECEIPT_TYPE, "Content_Digest": digest(RECEIPT)}
GONE = b'{"type":"urn:edoc:problem:recipient-moved"}'


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (http(200, b"<html>welcome</html>", Content_Type="text/html"), 200),
        (http(201, RECEIPT, Content_Type="text/xml", Content_Digest=digest(RECEIPT)), 201),
        (http(201, b"<Receipt!>", **GOOD), 201),
        (http(201, b"", Content_Type=wire.RECEIPT_TYPE, Content_Digest=digest(b"")), 201),
        (http(299, RECEIPT, **GOOD), 299),
        (http(202, b"", Retry_After="1"), 202),
        (http(302, b"", Location="http://127.0.0.1:1/"), 302),
        (http(410, b"<html>gone</html>", Content_Type="text/html"), 410),
        (http(500, GONE, Content_Type=wire.PROBLEM_TYPE), 500),
        (http(410, GONE, Content_Type="application/json"), 410),
        (http(410, GONE[:-1] + b',"x":"' + b"y" * 17000 + b'"}', Content_Type=wire.PROBLEM_TYPE), 410),
        (http(201, b"x" * 140_000, Content_Type=wire.RECEIPT_TYPE), 201),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nxxx", 200),
        (b"HTTP/1.1 201 X\r\nContent-Length: 500\r\n\r\ncut", None),
        (b"SSH-2.0-OpenSSH\r\n\r\n", None),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 40_000 + b"\r\n\r\n", None),
        (b"\x00\xff\x00", None),
        (b"", None),
    ],
)
async def test_an_answer_that_is_no_proof_is_nothing(raw: bytes, status: int | None) -> None:
    async with stranger(saying(raw)) as endpoint, carrier(Clock()) as one:
        reply = await one.carry(parcel(endpoint))
        assert (reply.kind, reply.status, reply.exposed) == ("nothing", status, True)
        assert len(reply.body) <= 128 * 1024


async def test_retry_after_is_the_later_of_header_and_body() -> None:
    body = b'{"type":"urn:edoc:problem:too-many-requests","retry_after":30}'
    raw = http(429, body, Content_Type=wire.PROBLEM_TYPE, Retry_After="7")
    async with stranger(saying(raw)) as endpoint, carrier(Clock()) as one:
        reply = await one.carry(parcel(endpoint))
    assert (reply.kind, reply.problem, reply.retry_after) == ("problem", "too-many-requests", 30)


async def test_nobody_there_is_unreachable_and_unexposed() -> None:
    async with stranger(saying(b"")) as endpoint:
        pass  # the port is free again
    async with carrier(Clock()) as one:
        reply = await one.carry(parcel(endpoint))
        asked = await one.ask(parcel(endpoint))
    for got in (reply, asked):
        assert (got.kind, got.status, got.exposed) == ("unreachable", None, False)


async def test_a_silent_other_side_is_given_up_after_the_answer_time() -> None:
    released = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await released.wait()

    async with stranger(silent) as endpoint, carrier(Clock(), answer_time=0.1) as one:
        reply = await one.carry(parcel(endpoint))
        released.set()
    assert (reply.kind, reply.exposed) == ("nothing", True)


async def test_a_reader_that_stops_is_given_up_after_the_write_time() -> None:
    released = asyncio.Event()

    async def stuck(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await released.wait()

    async with stranger(stuck) as endpoint, carrier(Clock(), write_time=0.2, answer_time=5.0) as one:
        reply = await asyncio.wait_for(one.carry(parcel(endpoint, bytes(64 * 2**20))), 4)
        released.set()
    assert (reply.kind, reply.exposed) == ("nothing", True)


async def test_without_an_interim_answer_the_body_goes_unasked_and_that_is_remembered_for_a_day() -> None:
    heads: list[bytes] = []

    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            await reader.readexactly(len(LETTER))
            writer.write(http(201, RECEIPT, **GOOD))

    clock = Clock()
    async with stranger(deaf) as endpoint, carrier(clock, continue_time=0.1) as one:
        replies = [await one.carry(parcel(endpoint, expect=True)) for _ in range(2)]

        clock.now += timedelta(hours=24)
        replies.append(await one.carry(parcel(endpoint, expect=True)))
    assert [one.status for one in replies] == [201, 201, 201]
    assert [b"100-continue" in head for head in heads] == [True, False, False, True, False]


async def test_417_is_answered_without_the_expectation() -> None:
    async def picky(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if b"100-continue" in await reader.readuntil(b"\r\n\r\n"):
            writer.write(http(417, b"", Connection="close"))
            return
        await reader.readexactly(len(LETTER))
        writer.write(http(201, RECEIPT, **GOOD))

    async with stranger(picky) as endpoint, carrier(Clock()) as one:
        assert (await one.carry(parcel(endpoint, expect=True))).status == 201


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://192.0.2.1/exchange/v1",
        "https://127.0.0.1/exchange/v1",
        "https://10.0.0.1/exchange/v1",
        "https://169.254.169.254/exchange/v1",
        "https://[::1]/exchange/v1",
        "https://[::ffff:127.0.0.1]/exchange/v1",
        "https://0.0.0.0/exchange/v1",
        "https://localhost/exchange/v1",
        "https://user@vb.example/exchange/v1",
        "https://vb.example:22/exchange/v1",
        "ftp://vb.example/exchange/v1",
        "https://vb.example/somewhere/exchange/v1",
        "file:///etc/passwd",
        "",
    ],
)
async def test_forbidden_addresses_are_never_connected_to(endpoint: str) -> None:
    async with HttpCarrier(request_key=SENDER_KEY, clock=Clock(), limits=small()) as one:
        reply = await one.carry(parcel(endpoint))
        assert (reply.kind, reply.exposed) == ("unreachable", False)
        with pytest.raises((Refused, TryLater)):
            await one.ping(endpoint)


async def test_ping_says_who_is_there_and_whether_we_are_known(office: Office) -> None:
    async with carrier(office.clock) as one:
        found = (await one.ping(office.urls["exchange"])).members
        assert (found["node"], found["versions"]) == ("nut-1", ["v1"])
        office.node.callers.clear()
        with pytest.raises(Refused):
            await one.ping(office.urls["exchange"])


async def test_metadata_comes_with_its_signature(office: Office) -> None:

    async with carrier(office.clock) as one:
        body, fields = await one.metadata(office.urls["exchange"])
    asked = wire.RequestView("GET", office.base + wire.METADATA)
    wire.verify_response(
        wire.ResponseView(200, fields, asked), public_key=spki(NODE_KEY), alg=NODE_KEY.alg, now=office.clock.now
    )
    assert wire.parse_digest(wire.header(fields, "content-digest")) == hashlib.sha256(body).hexdigest()


async def test_a_receipt_without_a_digest_beside_it_is_handed_on_to_be_verified() -> None:
    """The field is required, but a verified receipt is true whoever brings it (Q3, T7)."""
    async with (
        stranger(saying(http(201, RECEIPT, Content_Type=wire.RECEIPT_TYPE))) as endpoint,
        carrier(Clock()) as one,
    ):
        reply = await one.carry(parcel(endpoint))
        assert (reply.kind, reply.body) == ("receipt", RECEIPT)
