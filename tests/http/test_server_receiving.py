"""The order of exchange.md 3.1: what is answered when, what is read before it, and what is never said."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import threading
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.http.conftest import K, Office, Serve, small
from tests.http.memory_node import MOMENT, MemoryNode
from transport.dispatch import Key
from transport.errors import Problem, StoreError
from transport.http import wire
from transport.store.values import LedgerRef

LETTER = b"<edXML>" + b"x" * 100 + b"</edXML>"


def problem(body: bytes) -> str:
    """The short name of a problem."""
    return str(json.loads(body)["type"]).removeprefix("urn:edoc:problem:")


async def test_a_message_is_answered_with_its_receipt_and_the_place_of_its_leaf(office: Office) -> None:
    got = await office.put(LETTER)
    known = office.node.rows[K]
    assert got.status == 201
    assert got.headers["content-type"] == wire.RECEIPT_TYPE
    assert got.body == known.receipt.data
    assert wire.parse_ledger(got.headers["edoc-ledger"]) == known.receipt.ledger
    assert wire.parse_digest(got.headers["content-digest"]) == hashlib.sha256(got.body).hexdigest()
    assert (known.size, known.received_at) == (len(LETTER), MOMENT)
    assert os.listdir(office.spool) == []


async def test_a_repeat_brings_the_stored_receipt_without_reading_the_body(office: Office) -> None:
    first = await office.put(LETTER)
    again = await office.ask(office.head(body=LETTER, more=(("Expect", "100-continue"),)))
    assert (first.status, again.status) == (201, 200)
    assert again.body == first.body
    assert again.headers["connection"] == "close"
    assert office.node.made == 1


async def test_refused_bytes_are_answered_422_with_the_same_receipt_for_ever(office: Office) -> None:
    first, again = await office.put(b"bad"), await office.put(b"bad")
    assert (first.status, again.status) == (422, 422)
    assert first.body == again.body


async def test_other_bytes_under_a_known_key_are_a_conflict_noted_once(office: Office) -> None:
    await office.put(LETTER)
    for _ in range(2):
        got = await office.put(LETTER + b"!")
        assert (got.status, problem(got.body)) == (409, "message-id-conflict")
        assert json.loads(got.body)["receipt"] == wire.path_of(K, "/receipt"), "points to the first"
    assert office.node.conflicts == [(K, hashlib.sha256(LETTER + b"!").hexdigest())]


async def test_nothing_of_the_body_is_wanted_before_the_caller_is_known(office: Office) -> None:
    stranger = wire.RequestKey.of(ec.generate_private_key(ec.SECP256R1()))
    line = await office.open()
    line.writer.write(office.head(body=LETTER, more=(("Expect", "100-continue"),), key=stranger))
    got = await line._one("PUT")  # the very first answer is final: no interim answer came before it
    assert got.status == 401
    assert got.headers["www-authenticate"] == "Signature"
    assert 'tag="edoc-exchange-v1"' in got.headers["accept-signature"]
    assert "detail" not in json.loads(got.body)
    assert got.headers["connection"] == "close"
    line.writer.close()


async def test_a_known_caller_is_asked_for_the_body_and_only_then_answered(office: Office) -> None:
    line = await office.open()
    line.writer.write(office.head(body=LETTER, more=(("Expect", "100-continue"),)))
    assert (await line._one("PUT")).status == 100
    assert office.node.made == 0
    line.writer.write(LETTER)
    assert (await line._one("PUT")).status == 201
    line.writer.close()


async def test_a_kept_connection_carries_many_requests(office: Office) -> None:
    line = await office.open()
    for number in range(3):
        key = Key("H99.01", "H99.02", f"6f1d2c9a-8f57-4f0e-b0a5-90d3c1b7e2f{number}")
        line.writer.write(office.head(path=wire.path_of(key), body=LETTER) + LETTER)
        assert (await line.answer("PUT")).status == 201
    line.writer.close()


@pytest.mark.parametrize(
    ("key", "status", "name"),
    [
        (Key("H99.03", "H99.02", K.message_id), 403, "forbidden"),
        (Key("H99.01", "H99.05", K.message_id), 404, "unknown-recipient"),
        (Key("H99.01", "H99.09", K.message_id), 410, "recipient-moved"),
    ],
)
async def test_parties_are_checked_before_the_body(office: Office, key: Key, status: int, name: str) -> None:
    head = office.head(path=wire.path_of(key), body=LETTER, more=(("Expect", "100-continue"),))
    got = await office.ask(head)
    assert (got.status, problem(got.body)) == (status, name)
    if status == 410:
        assert json.loads(got.body)["successor"] == "H99.02"


DIGEST = wire.format_digest(hashlib.sha256(LETTER).hexdigest())


@pytest.mark.parametrize(
    ("more", "without", "status", "name"),
    [
        ((("Content-Type", "text/xml"),), (), 415, "unsupported-media-type"),
        ((), ("Content-Type",), 415, "unsupported-media-type"),
        ((("Content-Encoding", "gzip"),), (), 415, "unsupported-media-type"),
        ((), ("Content-Length",), 411, "bad-request"),
        ((("Transfer-Encoding", "chunked"),), ("Content-Length",), 411, "bad-request"),
        ((("Transfer-Encoding", "chunked"),), (), 400, "bad-request"),
        ((("Content-Length", "114"), ("Content-Length", "114")), (), 400, "bad-request"),
        ((("Content-Length", "+114"),), (), 400, "bad-request"),
        ((("Content-Length", "150000001"),), (), 413, "too-large"),
        ((), ("Content-Digest",), 400, "bad-request"),
        ((("Content-Digest", "sha-256=:AAAA:"),), (), 400, "bad-request"),
        ((("Content-Digest", DIGEST), ("Content-Digest", DIGEST)), (), 400, "bad-request"),
        ((("Edoc-Ledger", "x"),), (), 400, "bad-request"),
        ((("Expect", "the-spanish-inquisition"),), (), 417, "bad-request"),
        ((), ("Host",), 400, "bad-request"),
    ],
)
async def test_shapes_are_refused_by_the_head_alone(
    office: Office, more: tuple[tuple[str, str], ...], without: tuple[str, ...], status: int, name: str
) -> None:
    got = await office.ask(office.head(body=LETTER, more=more, without=without))
    assert (got.status, problem(got.body)) == (status, name)
    assert wire.parse_digest(got.headers["content-digest"]) == hashlib.sha256(got.body).hexdigest()
    assert got.headers["content-type"] == wire.PROBLEM_TYPE
    assert got.headers["connection"] == "close"
    assert office.node.made == 0


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("DELETE", wire.path_of(K), 405, "GET, HEAD, PUT"),
        ("DELETE", wire.path_of(K, "/receipt"), 405, "GET, PUT"),
        ("GET", wire.PING, 405, "POST"),
        ("POST", wire.METADATA, 405, "GET"),
        ("PUT", wire.path_of(K, "/content"), 405, "GET"),
        ("GET", "/exchange/v2/to/H99.02/from/H99.01/" + K.message_id, 404, None),
        ("GET", wire.path_of(K) + "?x=1", 404, None),
        ("GET", "/", 404, None),
        ("GET", "/healthz", 404, None),
    ],
)
async def test_unknown_paths_and_methods_say_what_is_supported(
    office: Office, method: str, path: str, status: int, allow: str | None
) -> None:
    got = await office.ask(office.head(method, path), method=method)
    assert (got.status, problem(got.body), got.headers.get("allow")) == (status, "bad-request", allow)


async def test_a_body_that_differs_from_its_digest_commits_nothing(office: Office) -> None:
    got = await office.ask(office.head(body=LETTER), LETTER[:-1] + b"?")
    assert (got.status, problem(got.body)) == (400, "digest-mismatch")
    assert office.node.made == 0
    assert os.listdir(office.spool) == []


@pytest.mark.parametrize("cut", [0, 1, 50, len(LETTER) - 1])
async def test_a_cut_body_commits_nothing_and_leaves_nothing(office: Office, cut: int) -> None:
    line = await office.open()
    line.writer.write(office.head(body=LETTER) + LETTER[:cut])
    await line.writer.drain()
    line.writer.close()
    await line.writer.wait_closed()
    got = await office.put(LETTER)
    while got.status == 409:  # the server has not seen the end of the first one yet
        got = await office.put(LETTER)
    assert got.status == 201
    assert office.node.made == 1
    assert os.listdir(office.spool) == []


async def test_a_large_body_goes_through_a_file_that_does_not_stay(office: Office) -> None:
    body = bytes(range(256)) * 8192  # 2 MiB
    got = await office.put(body)
    assert got.status == 201
    assert office.node.rows[K].size == len(body)
    assert os.listdir(office.spool) == []


async def test_the_senders_leaf_reaches_the_node_as_peer(office: Office) -> None:
    ref = LedgerRef("soa.example/edoc-ledger/2026", 41, "ab" * 32)
    head = office.head(body=LETTER, more=(("Edoc-Ledger", wire.format_ledger(ref)),))
    assert (await office.ask(head, LETTER)).status == 201
    assert office.node.peers == [ref]


async def test_the_same_key_in_two_requests_is_in_progress_in_the_second(serving: Serve) -> None:
    inside, gate = threading.Event(), threading.Event()

    def hold() -> None:
        inside.set()
        gate.wait(10)

    async with serving(MemoryNode(before_commit=hold)) as office:
        first = asyncio.create_task(office.put(LETTER))
        assert await asyncio.to_thread(inside.wait, 10)
        second = await office.put(LETTER)
        gate.set()
        assert (second.status, problem(second.body), second.headers["retry-after"]) == (409, "in-progress", "1")
        assert (await first).status == 201


async def test_of_many_clients_with_one_key_one_is_accepted_and_all_receipts_are_one(office: Office) -> None:
    got = await asyncio.gather(*(office.put(LETTER) for _ in range(8)))
    assert {one.status for one in got} <= {200, 201, 409}
    assert [one.status for one in got].count(201) == 1
    assert len({one.body for one in got if one.status in (200, 201)}) == 1
    assert office.node.made == 1


async def test_a_replayed_request_gets_the_stored_receipt_and_cannot_start_anything(office: Office) -> None:
    head = office.head(body=LETTER)
    cut = await office.ask(head, LETTER[:-1] + b"?")
    assert cut.status == 400
    replayed = await office.ask(head, LETTER)
    assert (replayed.status, office.node.made) == (401, 0)
    good = office.head(body=LETTER)
    assert [(await office.ask(good, LETTER)).status for _ in range(2)] == [201, 200]
    office.clock.now += timedelta(seconds=361)
    assert (await office.ask(good, LETTER)).status == 401


async def test_a_request_from_the_future_is_a_disagreement_of_clocks(office: Office) -> None:
    head = office.head(body=LETTER)
    office.clock.now -= timedelta(seconds=61)
    got = await office.ask(head, LETTER)
    assert (got.status, problem(got.body)) == (503, "clock-disagreement")


async def test_a_leaf_not_yet_placed_is_202_and_asked_again(serving: Serve) -> None:
    async with serving(MemoryNode(place=lambda: False)) as office:
        assert [(one.status, one.headers["retry-after"], one.body) for one in [await office.put(LETTER)]] == [
            (202, "1", b"")
        ]
        assert (await office.put(LETTER)).status == 202
        for suffix in ("", "/receipt"):
            got = await office.ask(office.head("GET", wire.path_of(K, suffix)), method="GET")
            assert (got.status, got.headers["retry-after"]) == (202, "1")


def broken(error: Exception):  # type: ignore[no-untyped-def]
    def fail() -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "status", "name"),
    [
        (Problem("trust-unavailable", 503, "no status", retry_after=60), 503, "trust-unavailable"),
        (Problem("receipt-unavailable", 503, "no key"), 503, "receipt-unavailable"),
        (StoreError("EDOC-STO-001", "locked"), 503, "unavailable"),
        (StoreError("EDOC-STO-002", "full", errno=28), 507, "storage-low"),
        (RuntimeError("boom /var/lib/secret"), 500, "internal"),
    ],
)
async def test_a_failure_before_the_commit_is_a_problem_without_inner_words(
    serving: Serve, error: Exception, status: int, name: str
) -> None:
    async with serving(MemoryNode(before_commit=broken(error))) as office:
        got = await office.put(LETTER)
        assert (got.status, problem(got.body)) == (status, name)
        assert b"secret" not in got.body
        assert office.node.rows == {}


async def test_an_unclear_commit_is_looked_at_afresh(serving: Serve) -> None:
    async with serving(MemoryNode(after_commit=broken(RuntimeError("connection lost in COMMIT")))) as office:
        got = await office.put(LETTER)
        assert (got.status, got.body) == (200, office.node.rows[K].receipt.data)


async def test_an_unclear_commit_that_cannot_be_looked_at_gets_no_answer(serving: Serve) -> None:
    node = MemoryNode()

    def die() -> None:
        node.look = broken(RuntimeError("database gone"))
        raise RuntimeError("connection lost in COMMIT")

    node.after_commit = die
    async with serving(node) as office:
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await office.put(LETTER)
        node.look = node.after_commit = lambda: None
        assert (await office.put(LETTER)).status == 200


async def test_a_node_that_is_not_ready_takes_nothing(serving: Serve) -> None:
    async with serving(MemoryNode(is_ready=False)) as office:
        got = await office.ask(office.head(body=LETTER, more=(("Expect", "100-continue"),)))
        assert (got.status, problem(got.body)) == (503, "unavailable")
        assert int(got.headers["retry-after"]) > 0


async def test_below_the_disk_reserve_nothing_is_taken(serving: Serve) -> None:
    async with serving(limits=small(disk_reserve_bytes=2**60)) as office:
        got = await office.put(LETTER)
        assert (got.status, problem(got.body)) == (507, "storage-low")


async def test_state_and_receipt_can_be_asked_for(office: Office) -> None:
    nothing = await office.ask(office.head("GET"), method="GET")
    assert (nothing.status, problem(nothing.body)) == (404, "unknown-message")
    await office.put(LETTER)
    known = office.node.rows[K]
    state = await office.ask(office.head("GET"), method="GET")
    members = json.loads(state.body)
    assert set(members) == {"state", "digest", "size", "received_at", "receipt", "ledger"}
    assert (members["state"], members["received_at"]) == ("accepted", "2026-11-20T02:30:00.000Z")
    assert state.headers["edoc-state"] == "accepted"
    header = await office.ask(office.head("HEAD"), method="HEAD")
    assert (header.status, header.body, header.headers["edoc-state"]) == (200, b"", "accepted")
    receipt = await office.ask(office.head("GET", wire.path_of(K, "/receipt")), method="GET")
    assert (receipt.status, receipt.body) == (200, known.receipt.data)
    assert receipt.headers["etag"] == f'"{hashlib.sha256(receipt.body).hexdigest()}"'
    more = (("If-None-Match", receipt.headers["etag"]),)
    assert (await office.ask(office.head("GET", wire.path_of(K, "/receipt"), more=more), method="GET")).status == 304


async def test_a_stranger_learns_nothing_about_messages(office: Office) -> None:
    await office.put(LETTER)
    assert (await office.ask(office.head("GET", key=None), method="GET")).status == 401
    foreign = Key("H99.03", "H99.02", K.message_id)
    assert (await office.ask(office.head("GET", wire.path_of(foreign)), method="GET")).status == 403
