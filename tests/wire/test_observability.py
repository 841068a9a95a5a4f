"""What an operator sees: every name of chapter 13, log lines of known fields, readiness (exchange.md 3 E9, 13)."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta

import aiohttp
import pytest

from tests.wire.conftest import A, B, Place, utc_now
from transport.courier import Courier
from transport.http.reporting import JsonLines, Reporting
from transport.node import readiness
from transport.node.outgoing import Outgoing

NAMES = {
    "dispatches": "state lane",
    "dispatch_oldest_seconds": "lane",
    "dispatch_overdue": "lane",
    "circuit_state": "partner",
    "partner_requests": "partner",
    "disk_free_bytes": "volume",
    "spool_bytes": "",
    "orphans": "",
    "certificate_days": "key",
    "revocation_age_seconds": "",
    "clock_offset_seconds": "",
    "attempts_total": "partner outcome",
    "accepted_total": "partner",
    "refused_total": "partner reason",
    "duplicates_total": "partner",
    "id_conflicts_total": "partner",
    "receipt_invalid_total": "partner",
    "late_receipts_total": "partner",
    "timestamp_missing_total": "",
    "lease_lost_total": "",
    "limit_hits_total": "limit",
    "auth_failures_total": "method",
    "receive_bytes_total": "partner",
    "delivery_seconds": "lane",
    "attempt_seconds": "outcome",
    "receive_seconds": "step",
    "commit_seconds": "",
    "commit_batch_size": "",
}
EVENTS = {
    "message.submitted", "message.accepted", "message.refused", "message.duplicate", "message.conflict",
    "dispatch.claimed", "dispatch.settled", "dispatch.lease_lost", "receipt.invalid", "receipt.late",
    "circuit.opened", "circuit.closed", "limit.hit", "auth.failed", "blob.mismatch", "gc.removed", "partner.changed",
}  # fmt: skip
FIELDS = {
    "time",
    "level",
    "event",
    "node",
    "trace_id",
    "link",
    "k",
    "digest",
    "attempt",
    "problem",
    "limit",
    "instance",
}


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """The log of the exchange as the program writes it."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines(node="nut-1"))
    log = logging.getLogger("edoc.exchange")
    before = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    yield stream
    log.removeHandler(handler)
    log.setLevel(before)


@asynccontextmanager
async def operated(place: Place) -> AsyncIterator[tuple[str, Reporting]]:
    """B served with its operator's page, and everything counted in one place."""
    from transport.demo.offices import free_ports

    (port,) = free_ports(1)
    report = Reporting(node="nut-1")
    for node in place.nodes.values():
        node.office.meter = report
        node.office.store.measured_by(lambda units, seconds: report.observe("commit_seconds", seconds))
    from transport.http.config import ServeConfig
    from transport.http.limits import HttpLimits
    from transport.http.server import serve

    ready, stop = asyncio.get_running_loop().create_future(), asyncio.Event()
    config = ServeConfig(
        spool=place.folder / B / "spool",
        port=place.ports[B],
        demo=True,
        limits=HttpLimits(disk_reserve_bytes=0),
        request_key=place.key(B),
        on_ready=ready.set_result,
        metrics_port=port,
    )
    task = asyncio.create_task(serve(place.nodes[B], config=config, stop=stop, report=report))
    await ready
    try:
        yield f"http://127.0.0.1:{port}", report
    finally:
        stop.set()
        await task


async def carry(place: Place) -> None:
    """Let the courier of A work until nothing is queued."""
    async with place.carrier(A) as carrier:
        courier = Courier(Outgoing(place.nodes[A].office), carrier, owner="courier")
        office = place.nodes[A].office

        def done() -> bool:
            from transport.store import gauges

            found = office.store.read(lambda connection: gauges.measures(connection, now=utc_now()))
            return not any(state in ("queued", "carrying", "unknown") for state, _ in found.dispatches)

        await asyncio.wait_for(courier.run(asyncio.Event(), until=done), 60)


async def fetched(url: str) -> tuple[int, str]:
    """Status and text of a page."""
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status, await response.text()


async def test_every_metric_of_chapter_13_is_there_with_exactly_its_labels(place: Place) -> None:
    place.queue()
    async with operated(place) as (url, report):
        await carry(place)
        status, text = await fetched(f"{url}/metrics")
    assert status == 200
    declared = dict(re.findall(r"^# TYPE edoc_(\w+) (\w+)$", text, re.MULTILINE))
    ours = {name for name in declared if not name.endswith("_created")}
    assert ours == set(NAMES)
    everything = {**report.counters, **report.histograms, **report.gauges}
    for name, metric in everything.items():
        wanted = NAMES.get(name, NAMES.get(f"{name}_total"))
        assert wanted is not None
        assert " ".join(metric._labelnames) == wanted, name
    assert 'edoc_accepted_total{partner="H99.01"} 1.0' in text
    assert 'edoc_attempts_total{outcome="delivered",partner="H99.02"} 1.0' in text
    assert re.search(r'edoc_delivery_seconds_count\{lane="3"\} 1\.0', text)
    assert float(re.findall(r"^edoc_commit_seconds_count (\S+)$", text, re.MULTILINE)[0]) > 0


async def test_log_lines_have_the_names_and_fields_of_chapter_13_and_no_content(
    place: Place, lines: io.StringIO
) -> None:
    message_id = place.queue()
    async with operated(place):
        await carry(place)
        async with place.carrier(A) as carrier:
            parcel = again(place, message_id)
            assert (await carrier.carry(parcel)).status == 200
    said = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert {"message.submitted", "dispatch.claimed", "message.accepted", "dispatch.settled", "message.duplicate"} <= {
        one["event"] for one in said
    }
    for one in said:
        assert set(one) <= FIELDS, one
        assert one["event"] in EVENTS
        assert one["node"] == "nut-1"
    text = lines.getvalue()
    for secret in ("Nguyễn", "Nguy\\u1ec5n", "thử nghiệm", "Sở Mẫu", "BEGIN", "%PDF"):
        assert secret not in text
    claimed = next(one for one in said if one["event"] == "dispatch.claimed")
    accepted = next(one for one in said if one["event"] == "message.accepted")
    assert re.fullmatch(r"[0-9a-f]{32}", claimed["trace_id"])
    assert accepted["link"] == claimed["trace_id"], "a partner's context is linked to, not continued"


def again(place: Place, message_id: str):  # type: ignore[no-untyped-def]  # a parcel
    """The parcel of a message once more."""
    from transport.courier import Parcel
    from transport.dispatch import Key
    from transport.store import outbox

    office = place.nodes[A].office
    sent = office.store.read(lambda connection: outbox.find(connection, f"msg:{message_id}"))
    return Parcel(
        key=Key(A, B, message_id),
        data=office.store.fetch(sent.sha256),
        sha256=sent.sha256,
        size=sent.size,
        endpoint=place.url(B),
    )


async def test_the_operator_is_told_what_is_not_ready(place: Place) -> None:
    async with operated(place) as (url, _):
        assert (await fetched(f"{url}/healthz"))[0] == 200
        status, text = await fetched(f"{url}/readyz")
        assert (status, set(json.loads(text)["checks"])) == (
            200,
            {"database", "ledger", "receipt_key", "clock", "disk"},
        )
        place.nodes[B].office.exchange = None
        status, text = await fetched(f"{url}/readyz")
        assert (status, json.loads(text)["checks"]["receipt_key"]) == (503, "missing")


def test_a_clock_behind_the_ledger_or_against_its_partners_is_not_sane(place: Place) -> None:
    from transport.store import metadata_rows

    office, now = place.nodes[A].office, utc_now()
    assert readiness.ready(office, now)[0]
    assert readiness.ready(office, now - timedelta(hours=1))[1]["clock"] == "behind the ledger"
    for seconds, good in ((59.0, True), (61.0, False), (-61.0, False)):
        office.store.do(
            lambda unit, seconds=seconds: metadata_rows.note_seen(  # type: ignore[misc]
                unit, B, asked_at=now, answered=True, fetched=False, offset=seconds
            )
        )
        assert readiness.ready(office, now)[0] is good


def test_the_label_partner_is_bounded() -> None:
    report = Reporting()
    for number in range(1100):
        report.count("accepted", f"H99.{number}")
    text = report.exposition().decode()
    assert 'partner="other"} 100.0' in text


def test_a_caller_that_asks_for_no_traceback_gets_its_line() -> None:
    """``exc_info=False`` stays False in the record; logging must not print the stack for it (I8)."""
    record = logging.LogRecord("edoc.courier", logging.ERROR, __file__, 1, "courier.attempt-failed", (), None)
    record.exc_info = False  # type: ignore[assignment]  # as Logger.error leaves it
    assert json.loads(JsonLines().format(record))["event"] == "courier.attempt-failed"
