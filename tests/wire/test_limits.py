"""Every limit of chapter 10 at one below, at, and one above; what floods and traps of chapter 11 come to."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from lxml import etree

from edoc import seal as seals
from edoc.edxml.limits import ReadLimits, check_size, check_tree
from edoc.envelopes import Envelope
from edoc.errors import EdocError, LimitPassed, SealRefused
from signer.devpki import DevIdentity
from signer.errors import LimitExceeded
from signer.safexml import parse
from signer.trust import Context, Limits
from tests import world as worlds
from tests.conftest import NOW
from tests.http.conftest import K, Office, Serve, serving, small
from tests.http.memory_node import MOMENT, SENDER_KEY
from tests.wire.conftest import A, B, Place
from transport.dispatch import Key
from transport.errors import Problem
from transport.http import wire
from transport.http.limits import GIB, MIB, Gauge, HttpLimits, RateWatch, Slots
from transport.http.spool import Disk
from transport.http.wire import RequestView, feed_path, format_digest, path_of, sign_request, verify_request
from transport.intake import Delivery, judge
from transport.settings import load

_ = serving  # the fixture

DEFAULTS: dict[str, float] = {
    "message_max_bytes": 150 * 10**6,
    "attachment_max_bytes": 50 * 10**6,
    "attachments_max": 200,
    "recipients_max": 500,
    "receipt_max_bytes": 128 * 1024,
    "metadata_max_bytes": 256 * 1024,
    "problem_max_bytes": 16 * 1024,
    "request_line_max_bytes": 4 * 1024,
    "header_max_bytes": 16 * 1024,
    "headers_max": 64,
    "tls_handshake_time": 10,
    "header_time": 10,
    "body_idle_time": 30,
    "body_total_time": 6 * 3600,
    "body_min_rate": 16 * 1024,
    "keepalive_idle_time": 60,
    "write_time": 60,
    "connect_time": 10,
    "answer_time": 120,
    "feed_wait_max": 60,
    "feed_items_max": 100,
    "xml_depth_max": 32,
    "xml_attributes_max": 32,
    "xml_elements_of_a_kind_max": 1000,
    "xml_skeleton_max_bytes": 4 * MIB,
    "zip_ratio_max": 200,
    "requests_per_partner": 8,
    "rate_per_partner": 50,
    "requests_unauthenticated": 16,
    "connections_max": 1000,
    "connections_per_address": 50,
    "requests_max": 64,
    "spool_memory_max": 32 * MIB,
    "disk_reserve_bytes": 2 * GIB,
    "clock_skew_request": 60,
    "clock_skew_seal": 300,
    "clock_skew_warn": 5,
    "revocation_grace": 24 * 3600,
}


def test_the_limits_have_the_names_and_defaults_of_the_chapter(tmp_path: Path) -> None:
    settings = load(home=tmp_path, config=None, environ={}, overrides={})
    assert {name: settings.limits[name] for name in DEFAULTS} == DEFAULTS
    made = HttpLimits.of(settings.limits)
    for name, value in DEFAULTS.items():
        assert getattr(made, name, value) == value, name
    assert (made.rate_burst, made.requests_unauthenticated_per_address, made.disk_reserve_percent) == (100, 4, 5)


# --- what a file may hold --------------------------------------------------------------------------------------------


def deep(levels: int) -> bytes:
    """XML of so many levels."""
    return b"<a>" * levels + b"</a>" * levels


def wide(attributes: int) -> bytes:
    """An element with so many attributes."""
    return b"<a " + b" ".join(b'a%d=""' % n for n in range(attributes)) + b"/>"


def many(elements: int) -> bytes:
    """So many elements of one kind."""
    return b"<r>" + b"<a/>" * elements + b"</r>"


@pytest.mark.parametrize(("make", "limit"), [(deep, 32), (wide, 32), (many, 1000)])
def test_depth_width_and_number_are_exact(make: Callable[[int], bytes], limit: int) -> None:
    for value in (limit - 1, limit):
        check_tree(etree.fromstring(make(value)), ReadLimits())
    with pytest.raises(LimitPassed):
        check_tree(etree.fromstring(make(limit + 1)), ReadLimits())


@pytest.mark.parametrize(("make", "limit"), [(deep, 32), (wide, 32)])
def test_a_parser_with_limits_refuses_before_anybody_walks_the_tree(make: Callable[[int], bytes], limit: int) -> None:
    budget = Limits(xml_depth=32, xml_attributes=32)
    parse(make(limit), limits=budget)
    with pytest.raises(LimitExceeded):
        parse(make(limit + 1), limits=budget)


@pytest.mark.parametrize("bomb", [b'<!DOCTYPE a [<!ENTITY b "bb">]><a>&b;</a>', wide(100_000), b"<a>" * 100_000])
def test_bombs_are_refused_within_a_second(context: Context, bomb: bytes) -> None:
    import time

    began = time.monotonic()
    with pytest.raises(SealRefused) as caught:
        seals.unseal(bomb, context=context)
    assert caught.value.reason in ("not-edxml", "limits")
    assert time.monotonic() - began < 1


def test_the_size_of_an_attachment_is_exact() -> None:
    limit = DEFAULTS["attachment_max_bytes"]
    for value in (limit - 1, limit):
        check_size("attachment_max_bytes", int(value), int(limit))
    with pytest.raises(LimitPassed):
        check_size("attachment_max_bytes", int(limit) + 1, int(limit))


def letter(**how: object) -> Envelope:
    """A letter."""
    return seals.read_packed(worlds.letter(at=NOW, **how))  # type: ignore[arg-type]  # by name


@pytest.mark.parametrize("count", [199, 200, 201])
def test_the_number_of_attachments_is_exact(count: int) -> None:
    from edoc.documents import new_content_id

    one = letter().attachments[0]
    files = tuple(replace(one, name=f"{n}.pdf", content_id=new_content_id()) for n in range(count))
    whole = replace(letter(), attachments=files)
    if count <= 200:
        assert seals.packed(whole, at=NOW)
        return
    with pytest.raises(EdocError):
        seals.packed(whole, at=NOW)


@pytest.mark.parametrize("count", [499, 500, 501])
def test_the_number_of_recipients_is_exact(count: int) -> None:
    whole = letter()
    party = whole.recipients[0]
    to = tuple(replace(party, organ_id=f"H{10 + n // 1000:02}.{n % 1000:03}") for n in range(count))
    wider = replace(whole, recipients=to)
    if count <= 500:
        assert seals.packed(wider, at=NOW)
        return
    with pytest.raises(EdocError):
        seals.packed(wider, at=NOW)


@pytest.mark.parametrize(("ahead", "good"), [(299, True), (300, True), (301, False)])
def test_how_far_ahead_a_seal_may_be_is_exact(
    exchange_a: DevIdentity, context: Context, ahead: int, good: bool
) -> None:
    from edoc.agencies import Agency, AgencyCertificate, Directory

    at = NOW + timedelta(seconds=ahead)
    sealed = seals.seal(letter(), message_id=K.message_id, credential=exchange_a.credential, at=at)
    known = AgencyCertificate("exchange", exchange_a.certificate, hashlib.sha256(exchange_a.certificate).hexdigest())
    directory = Directory((Agency(A, "Sở Mẫu A", certificates=(known,)), Agency(B, "Sở Mẫu B")))
    delivery = Delivery(Key(A, B, K.message_id), sealed.data, NOW)
    if good:
        assert judge(delivery, context=context, directory=directory).refusal is None
        return
    with pytest.raises(Problem) as caught:
        judge(delivery, context=context, directory=directory)
    assert caught.value.name == "clock-disagreement"


# --- requests --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ahead", "good"), [(59, True), (60, True), (61, False)])
def test_how_far_ahead_a_request_may_be_is_exact(ahead: int, good: bool) -> None:
    view = RequestView("GET", "https://b.example/exchange/v1/ping")
    signed = sign_request(view, key=SENDER_KEY, created=MOMENT + timedelta(seconds=ahead))
    whole = replace(view, headers=tuple(signed.items()))
    from tests.http.memory_node import spki

    if good:
        assert verify_request(whole, public_key=spki(SENDER_KEY), alg=SENDER_KEY.alg, now=MOMENT).nonce
        return
    with pytest.raises(Problem) as caught:
        verify_request(whole, public_key=spki(SENDER_KEY), alg=SENDER_KEY.alg, now=MOMENT)
    assert caught.value.name == "clock-disagreement"


@pytest.mark.parametrize("limit", [1, 8, 64])
def test_places_are_exact(limit: int) -> None:
    gauge = Gauge(most=1000, each=limit)
    assert [gauge.enter("a") for _ in range(limit + 1)] == [True] * limit + [False]
    gauge.leave("a")
    assert gauge.enter("a")


@pytest.mark.parametrize(("idle", "good"), [(29.0, True), (29.999, True), (30.0, False), (31.0, False)])
def test_the_idle_time_of_a_body_is_exact(idle: float, good: bool) -> None:
    assert (RateWatch(HttpLimits(), now=0.0).patience(idle) > 0) is good


@pytest.mark.parametrize(("short", "good"), [(-1, True), (0, True), (1, False)])
def test_the_least_rate_of_a_body_is_exact(short: int, good: bool) -> None:
    watch = RateWatch(HttpLimits(), now=0.0)
    assert watch.received(16 * 1024 * 30 - short, now=30.0) is good


async def test_a_receipt_over_its_limit_is_refused_before_it_is_read(place: Place) -> None:
    key = Key(A, B, place.queue())
    async with place.serving(A), place.carrier(B) as carrier:
        for size, status in ((128 * 1024 - 1, 400), (128 * 1024, 400), (128 * 1024 + 1, 413)):
            body = b"x" * size
            fields = (
                ("Content-Type", wire.RECEIPT_TYPE),
                ("Content-Length", str(size)),
                ("Content-Digest", format_digest(hashlib.sha256(body).hexdigest())),
            )
            got = await carrier.put(place.url(A), path_of(key, "/receipt"), fields=fields, body=body)
            assert got.status == status


async def test_a_feed_gives_at_most_so_many_and_waits_at_most_so_long(place: Place) -> None:
    for number in range(101, 105):
        await asyncio.to_thread(place.queue, str(number))
    limits = HttpLimits(disk_reserve_bytes=0, feed_items_max=3, feed_wait_max=0.5)
    import json

    async with place.serving(A, limits=limits), place.carrier(B) as carrier:
        for asked, given in ((2, 2), (3, 3), (4, 3)):
            got = await carrier.get(place.url(A), feed_path(B, f"limit={asked}"), within=30, most=10**6)
            assert len(json.loads(got.body)["items"]) == given
    async with place.serving(B, limits=limits), place.carrier(A) as carrier:
        got = await asyncio.wait_for(carrier.get(place.url(B), feed_path(A, "wait=60"), within=30, most=10**6), 10)
        assert got.status == 204


async def test_requests_at_once_in_all_are_exact(serving: Serve) -> None:
    """``requests_max``: one more than that is told that the node is overloaded, before its body is read."""
    import threading

    go, waiting = threading.Event(), threading.Semaphore(0)

    def hold() -> None:
        waiting.release()
        go.wait(20)

    from tests.http.memory_node import MemoryNode

    limits = small(requests_max=3, requests_per_partner=10)
    async with serving(MemoryNode(before_commit=hold), limits=limits) as office:
        keys = [replace(K, message_id=f"6f1d2c9a-8f57-4f0e-b0a5-90d3c1b7e2f{n}") for n in range(4)]
        tasks = [asyncio.create_task(office.put(b"<edXML/>" + bytes([n]), key)) for n, key in enumerate(keys[:3])]
        for _ in tasks:
            assert await asyncio.to_thread(waiting.acquire, timeout=10)
        refused = await office.put(b"<edXML/>x", keys[3])
        assert refused.status == 503
        assert b"overloaded" in refused.body
        go.set()
        assert [got.status for got in await asyncio.gather(*tasks)] == [201] * 3


async def test_a_burst_passes_and_then_the_rate(serving: Serve) -> None:
    async with serving(limits=small(rate_per_partner=1.0, rate_burst=5)) as office:
        statuses = [(await ask_state(office)).status for _ in range(6)]
        assert statuses == [404] * 5 + [429]


async def ask_state(office: Office):  # type: ignore[no-untyped-def]  # an answer
    """E2 of something unknown."""
    return await office.ask(office.head("GET", path_of(K)), method="GET")


async def test_memory_for_bodies_is_waited_for(serving: Serve) -> None:
    slots = Slots(10)
    async with slots.holding(4), slots.holding(6):
        assert slots.taken == 10
        third = asyncio.create_task(_hold(slots, 1))
        await asyncio.sleep(0)
        assert not third.done()
    await third
    async with slots.holding(99):
        assert slots.taken == 10, "what alone passes the limit gets all of it"
    assert slots.taken == 0


async def _hold(slots: Slots, size: int) -> None:
    async with slots.holding(size):
        return


def test_the_disk_reserve_is_exact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")
    total = 100 * GIB
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(total, 0, total // 20 + 1000))
    disk = Disk(tmp_path, HttpLimits())
    monkeypatch.setattr(disk, "_inodes_left", lambda: True)
    for size, good in ((999, True), (1000, True), (1001, False)):
        if good:
            disk.reserve(size)
            disk.release(size)
            continue
        with pytest.raises(Problem) as caught:
            disk.reserve(size)
        assert (caught.value.name, caught.value.status) == ("storage-low", 507)


def test_five_percent_of_the_inodes_stay_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    found = os.statvfs(tmp_path)
    disk = Disk(tmp_path, HttpLimits(disk_reserve_bytes=1, disk_reserve_percent=5))
    for free, good in ((51, True), (50, True), (49, False)):
        values = list(found)
        values[5], values[6], values[7] = 1000, free, free  # files, free, free for us
        monkeypatch.setattr(os, "statvfs", lambda _, values=values: os.statvfs_result(values))
        assert disk._inodes_left() is good


# --- abuse -----------------------------------------------------------------------------------------------------------


async def test_a_flood_of_strangers_leaves_an_honest_partner_its_turn(serving: Serve) -> None:
    """Slow connections and unsigned requests at once; a signed message is taken all the same, and nothing is left."""
    limits = small(header_time=30.0, connections_per_address=400)
    async with serving(limits=limits) as office:
        slow = [await office.open() for _ in range(200)]
        for line in slow:
            line.writer.write(b"GET /exchange/v1/ping HTTP/1.1\r\nHost: x\r\nX: ")
        strangers = [asyncio.create_task(ask_unsigned(office)) for _ in range(40)]
        got = await asyncio.wait_for(office.put(b"<edXML>honest</edXML>"), 20)
        assert got.status == 201
        statuses = {one.status for one in await asyncio.gather(*strangers)}
        assert statuses <= {401, 503}
        for line in slow:
            line.writer.close()


async def ask_unsigned(office: Office):  # type: ignore[no-untyped-def]  # an answer
    """A request nobody signed."""
    return await office.ask(office.head("GET", path_of(K), key=None), method="GET")


async def test_refusals_of_strangers_look_alike(serving: Serve) -> None:
    """401 of an unknown key and of a bad signature: same size, same fields, nothing of the reason (probing)."""
    from cryptography.hazmat.primitives.asymmetric import ec

    async with serving() as office:
        unknown = wire.RequestKey.of(ec.generate_private_key(ec.SECP256R1()))
        answers = [
            await office.ask(office.head("GET", path_of(K), key=unknown), method="GET"),
            await office.ask(
                office.head("GET", path_of(K)).replace(b"sig", b"sig").replace(b":edoc", b":edoc"), method="GET"
            ),
            await ask_unsigned(office),
        ]
        bad = office.head("GET", path_of(K)).replace(path_of(K).encode(), path_of(K, "/receipt").encode(), 1)
        answers.append(await office.ask(bad, method="GET"))
    refused = [one for one in answers if one.status == 401]
    assert len(refused) == 3
    assert len({len(one.body) for one in refused}) == 1
    assert len({tuple(sorted(one.headers)) for one in refused}) == 1
