"""Pull turns only the connection round: feed, content, receipt as acknowledgement (exchange.md 7, P0 to P4)."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from tests.wire.conftest import A, B, Place, utc_now
from transport.dispatch import Key
from transport.http.client import Answer, HttpCarrier
from transport.http.wire import RECEIPT_TYPE, feed_path, format_digest, path_of
from transport.node import handling
from transport.node.outgoing import Outgoing
from transport.puller import Fed, Puller, Source
from transport.store import directory as directories
from transport.store.takeback import Act
from transport.store.values import RowFilter


def let_fetch(place: Place) -> None:
    """Enter at A that B fetches by itself."""
    office = place.nodes[A].office
    agency = office.directory().get(B)
    assert agency is not None
    office.store.do(lambda unit: directories.add(unit, agency, now=utc_now(), url=place.url(B), delivery="pull"))


@asynccontextmanager
async def puller(place: Place) -> AsyncIterator[tuple[Puller, Source, HttpCarrier]]:
    """The puller of B, and A as its source."""
    async with place.carrier(B) as carrier:
        fetched, fetcher = place.fetcher(B, carrier)
        yield Puller(fetched, fetcher, wait=0), Source(A, place.url(A), B), carrier


def noticed(place: Place) -> asyncio.Event:
    """Return an event that is set once A has been asked what waits."""
    event, loop, node = asyncio.Event(), asyncio.get_running_loop(), place.nodes[A]
    waiting = node.waiting

    def heard(recipient, *, limit, after):  # type: ignore[no-untyped-def]  # as the node's own
        found = waiting(recipient, limit=limit, after=after)
        loop.call_soon_threadsafe(event.set)
        return found

    node.waiting = heard  # type: ignore[method-assign]
    return event


async def ask(carrier: HttpCarrier, place: Place, path: str) -> Answer:
    """Make a signed GET at A."""
    return await carrier.get(place.url(A), path, within=30, most=10**6)


async def test_what_waits_is_fetched_received_and_acknowledged_by_its_receipt(place: Place) -> None:
    let_fetch(place)
    ids = [place.queue(number, priority=priority) for number, priority in (("119", 0), ("120", 4))]
    assert Outgoing(place.nodes[A].office).claim(utc_now(), "courier", 10) == [], "the courier never pushes to it"
    async with place.serving(A), puller(place) as (pull, source, carrier):
        feed = await ask(carrier, place, feed_path(B, "wait=0"))
        assert [item["lane"] for item in json.loads(feed.body)["items"]] == [1, 3], "by lane, then age"
        fed, failed = await pull.turn(source)
        assert (len(fed.items), failed) == (2, 0)
        assert [place.state(one) for one in ids] == ["delivered", "delivered"]
        again, _ = await pull.turn(source)
        assert again == Fed("nothing")
    assert {row.message_id for row in place.nodes[B].inbox(RowFilter()).rows} == set(ids)


async def test_a_lost_acknowledgement_is_repeated_with_the_stored_bytes_and_nothing_is_fetched_twice(
    place: Place,
) -> None:
    let_fetch(place)
    message_id = place.queue()
    async with place.serving(A), puller(place) as (pull, source, _):
        fed = await pull._fetcher.feed(source, wait=0, limit=10, after=None)
        given = await pull._fetcher.receive(source, fed.items[0], pull._incoming)
        assert given is not None
        assert place.state(message_id) == "unknown", "handed out, not acknowledged (T11)"
        stored = pull._incoming.given(fed.items[0].key, fed.items[0].sha256)
        assert stored is not None
        assert stored.receipt == given.receipt
        await pull.turn(source)
        assert place.state(message_id) == "delivered"
        assert await pull._fetcher.acknowledge(source, fed.items[0].key, given), "204 also when repeated"


async def test_content_is_given_whole_and_from_an_offset_with_its_digest(place: Place) -> None:
    let_fetch(place)
    place.queue(content=b"%PDF-1.4\n" + bytes(200_000) + b"\n%%EOF\n")
    async with place.serving(A), puller(place) as (pull, source, carrier):
        line = (await pull._fetcher.feed(source, wait=0, limit=10, after=None)).items[0]
        path = path_of(line.key, "/content")
        async with carrier.opened(place.url(A), path) as whole:
            data = await whole.read()
        assert (whole.status, hashlib.sha256(data).hexdigest()) == (200, line.sha256)
        assert whole.headers["Content-Digest"] == format_digest(line.sha256)
        etag = f'"{line.sha256}"'
        for asked, status, expected in (
            ("bytes=1000-", 206, data[1000:]),
            ("bytes=0-9", 206, data[:10]),
            (f"bytes={len(data) - 1}-", 206, data[-1:]),
            (f"bytes={len(data)}-", 200, data),
            ("bytes=-5", 200, data),
            ("lines=1-2", 200, data),
        ):
            more = (("Range", asked), ("If-Range", etag))
            async with carrier.opened(place.url(A), path, more=more) as part:
                body = await part.read()
            assert (part.status, body == expected) == (status, True), asked
            assert part.headers["Content-Digest"] == format_digest(hashlib.sha256(body).hexdigest())
        async with carrier.opened(place.url(A), path, more=(("Range", "bytes=5-"), ("If-Range", '"x"'))) as part:
            assert part.status == 200, "of other bytes nothing is continued"


async def test_a_cut_transfer_is_taken_up_where_it_stopped(place: Place) -> None:
    let_fetch(place)
    message_id = place.queue(content=b"%PDF-1.4\n" + bytes(600_000) + b"\n%%EOF\n")
    async with place.serving(A) as config, puller(place) as (pull, source, carrier):
        cuts, opened = [], carrier.opened

        @asynccontextmanager
        async def cutting(endpoint, path, *, more=()):  # type: ignore[no-untyped-def]  # as the carrier's own
            async with opened(endpoint, path, more=more) as response:
                cuts.append(dict(more).get("Range"))
                if len(cuts) == 1:
                    await response.content.read(300_000)  # then the connection is lost
                    response.close()
                    raise ConnectionResetError
                yield response

        carrier.opened = cutting  # type: ignore[method-assign]
        _, failed = await pull.turn(source)
        assert config.port
    assert (failed, place.state(message_id)) == (0, "delivered")
    assert len(cuts) == 2


async def test_one_feed_connection_for_each_node_the_second_is_told_to_wait(place: Place) -> None:
    asked = noticed(place)
    async with place.serving(A), puller(place) as (_, _, carrier):
        first = asyncio.create_task(ask(carrier, place, feed_path(B, "wait=3")))
        await asked.wait()
        second = await ask(carrier, place, feed_path(B, "wait=0"))
        assert second.status == 429
        assert b"too-many-requests" in second.body
        assert (await first).status == 204
        assert (await ask(carrier, place, feed_path(B, "wait=0"))).status == 204


async def test_the_feed_answers_as_soon_as_something_waits(place: Place) -> None:
    asked = noticed(place)
    async with place.serving(A), puller(place) as (_, _, carrier):
        waiting = asyncio.create_task(ask(carrier, place, feed_path(B, "wait=30")))
        await asked.wait()
        await asyncio.to_thread(place.queue)
        assert (await asyncio.wait_for(waiting, 10)).status == 200


async def test_a_position_looks_past_what_cannot_be_taken_now(place: Place) -> None:
    ids = [place.queue(number) for number in ("118", "119", "120")]
    async with place.serving(A), puller(place) as (pull, source, carrier):
        seen, after = [], None
        while True:
            fed = await pull._fetcher.feed(source, wait=0, limit=2, after=after)
            if not fed.items:
                break
            seen += [one.key.message_id for one in fed.items]
            after = fed.items[-1].position
        assert seen == ids
        wrong = await ask(carrier, place, feed_path(B, "wait=0&after=xx"))
        assert wrong.status == 400
        for query in ("wait=x", "limit=0", "other=1", "wait=-1"):
            assert (await ask(carrier, place, feed_path(B, query))).status == 400


async def test_only_the_recipients_node_may_fetch_and_acknowledge(place: Place) -> None:
    message_id = place.queue()
    key = Key(A, B, message_id)
    async with place.serving(A), place.carrier(A) as own, puller(place) as (_, _, carrier):
        for path in (feed_path(B, "wait=0"), path_of(key, "/content")):
            assert (await ask(own, place, path)).status == 403
        fields = (
            ("Content-Type", RECEIPT_TYPE),
            ("Content-Length", "3"),
            ("Content-Digest", format_digest(hashlib.sha256(b"abc").hexdigest())),
        )
        assert (await own.put(place.url(A), path_of(key, "/receipt"), fields=fields, body=b"abc")).status == 403
        spoilt = await carrier.put(place.url(A), path_of(key, "/receipt"), fields=fields, body=b"abc")
        assert (spoilt.status, place.state(message_id)) == (400, "queued")
        unknown = Key(A, B, "6f1d2c9a-8f57-4f0e-b0a5-90d3c1b7e2f4")
        assert (await ask(carrier, place, path_of(unknown, "/content"))).status == 404


async def test_a_second_receipt_is_a_conflict(place: Place) -> None:
    ids = [place.queue(number) for number in ("119", "120")]
    async with place.serving(A), puller(place) as (pull, source, _):
        await pull.turn(source)
        office = place.nodes[A].office
        keys = [Key(A, B, one) for one in ids]
        from transport.puller import Given
        from transport.store import outlist

        receipts = [office.store.read(lambda c, key=key: outlist.receipt_for(c, "in", key)) for key in keys]  # type: ignore[misc]
        assert receipts[1] is not None
        assert not await pull._fetcher.acknowledge(source, keys[0], Given(receipts[1].data, None))
    assert [place.state(one) for one in ids] == ["delivered", "delivered"]


async def test_nothing_is_handed_out_after_a_take_back(place: Place) -> None:
    let_fetch(place)
    message_id = place.queue()
    async with place.serving(A), puller(place) as (pull, source, carrier):
        line = (await pull._fetcher.feed(source, wait=0, limit=10, after=None)).items[0]
        act = Act("Lê Văn Mẫu", "sent-by-mistake")
        handling.take_back(place.nodes[A].office, f"msg:{message_id}", None, act, now=utc_now())
        assert place.state(message_id) == "recalled", "it never left (T8)"
        assert (await ask(carrier, place, path_of(line.key, "/content"))).status == 404
        assert await pull._fetcher.feed(source, wait=0, limit=10, after=None) == Fed("nothing")


def test_a_recipient_that_never_fetches_lets_the_deadline_end_it(place: Place) -> None:
    let_fetch(place)
    message_id = place.queue()
    Outgoing(place.nodes[A].office).claim(utc_now() + timedelta(hours=73), "courier", 10)
    assert place.state(message_id) == "expired"


async def test_a_refusal_is_acknowledged_like_an_acceptance(place: Place) -> None:
    message_id = place.queue()
    office = place.nodes[B].office
    key = Key(A, B, message_id)
    async with place.serving(A), puller(place) as (pull, source, _):
        a = office.directory().get(A)
        assert a is not None
        for one in a.certificates:
            if one.use == "exchange":
                office.store.do(
                    lambda unit, one=one: directories.end_certificate(  # type: ignore[misc]
                        unit, A, one.sha256, use="exchange", last_day=utc_now() - timedelta(days=3)
                    )
                )
        await pull.turn(source)
    assert place.state(message_id) == "refused"
    assert place.nodes[B].known(key) is not None
