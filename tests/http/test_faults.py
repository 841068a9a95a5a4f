"""Cut and flipped exchanges: nothing half-done stays, nothing spoilt counts (exchange.md 16: F5, F6, F9, I9)."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from contextlib import suppress

import aiohttp
import pytest

from tests.http.conftest import Clock, Got, K, Office, Serve, small
from tests.http.memory_node import ORIGIN, SENDER_KEY
from transport.courier import Parcel, Reply
from transport.http import wire
from transport.http.addresses import Reach
from transport.http.client import HttpCarrier
from transport.store.values import LedgerRef

LETTER = b"<edXML>" + b"x" * 100 + b"</edXML>"
DIGEST = hashlib.sha256(LETTER).hexdigest()
RECEIPT = b"<Receipt/>"
REF = LedgerRef(ORIGIN, 1, "ab" * 32)
ANSWER = (
    "HTTP/1.1 201 Created\r\n"
    f"Content-Type: {wire.RECEIPT_TYPE}\r\n"
    f"Content-Digest: {wire.format_digest(hashlib.sha256(RECEIPT).hexdigest())}\r\n"
    f"Edoc-Ledger: {wire.format_ledger(REF)}\r\n"
    f"Content-Length: {len(RECEIPT)}\r\n\r\n"
).encode() + RECEIPT


async def carried(answer: bytes) -> Reply:
    """What the carrier makes of these bytes for an answer."""

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(len(LETTER))
            writer.write(answer)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(say, "127.0.0.1", 0)
    async with server:
        endpoint = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}{wire.BASE}"
        reach = Reach(demo=True)
        limits = small(answer_time=2.0)
        async with HttpCarrier(request_key=SENDER_KEY, clock=Clock(), reach=reach, limits=limits) as one:
            return await one.carry(Parcel(K, LETTER, DIGEST, len(LETTER), endpoint))


async def test_a_whole_answer_is_a_receipt() -> None:
    assert await carried(ANSWER) == Reply("receipt", 201, RECEIPT, None, None, REF, True)


async def test_an_answer_cut_at_any_byte_proves_nothing() -> None:
    for cut in range(len(ANSWER)):
        reply = await carried(ANSWER[:cut])
        assert (reply.kind, reply.exposed) == ("nothing", True), cut


async def test_a_request_cut_at_any_byte_leaves_nothing(serving: Serve) -> None:
    async with serving(limits=small(connections_per_address=1000, rate_burst=10_000)) as office:
        whole = office.head(body=LETTER) + LETTER
        for cut in range(len(whole)):
            line = await office.open()
            line.writer.write(whole[:cut])
            line.writer.close()
            await line.writer.wait_closed()
        assert (await until_taken(office)).status == 201
        assert office.node.made == 1
        assert os.listdir(office.spool) == []
        assert await gauges(office) == {"edoc_spool_bytes": 0.0, 'edoc_partner_requests{partner="H99.01"}': 0.0}


async def until_taken(office: Office) -> Got:
    """Hand the letter over; one of the cut requests may still hold the key for a moment."""
    while True:
        got = await office.put(LETTER)
        if got.status not in (409, 429, 503):
            return got


async def gauges(office: Office) -> dict[str, float]:
    """What the operator sees of requests and spool."""
    async with aiohttp.ClientSession() as session, session.get(office.urls["metrics"]) as got:
        text = await got.text()
    found = re.findall(r"^(edoc_(?:spool_bytes|partner_requests\S*)) (\S+)$", text, re.MULTILINE)
    return {name: float(value) for name, value in found}


@pytest.mark.parametrize("bit", [0, 5])
async def test_a_request_with_one_bit_flipped_is_never_accepted_as_another(serving: Serve, bit: int) -> None:
    limits = small(rate_burst=10_000, body_idle_time=0.1, header_time=0.1)
    async with serving(limits=limits) as office:
        size = len(office.head(body=LETTER) + LETTER)
        for at in range(size):
            whole = bytearray(office.head(body=LETTER) + LETTER)
            whole[at % len(whole)] ^= 1 << bit
            if await answered(office, bytes(whole)) == 201:  # names of fields know no case, base64 has spare bits
                assert [(key, known.sha256) for key, known in office.node.rows.items()] == [(K, DIGEST)]
                office.node.rows.clear()
            assert office.node.rows == {}


async def answered(office: Office, raw: bytes) -> int | None:
    """The status of an answer, if there is one."""
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        return (await office.ask(raw)).status
    return None
