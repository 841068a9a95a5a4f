"""Pull between strangers (exchange.md 7): a second client fetches from a node, and a node from a second server."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import pytest

from tests.second.conftest import FETCHER, OURS, THEIRS, Ring
from tests.second.second_client import Listed, SecondClient
from tests.second.second_receipt import Known, verify
from transport.demo.offices import until

pytestmark = pytest.mark.process


@pytest.fixture
def fetcher(ring: Ring) -> SecondClient:
    """The client of the agency that fetches."""
    return ring.client_of(FETCHER.code)


def state(ring: Ring, message_id: str) -> str:
    question = "SELECT d.state FROM dispatch d JOIN message m ON m.id = d.message WHERE m.message_id = ?"
    return str(ring.ask(question, message_id)[0][0])


def waiting(client: SecondClient, message_id: str) -> Listed:
    found = [one for one in client.feed() if one.message_id == message_id]
    assert len(found) == 1
    return found[0]


def test_what_is_fetched_is_settled_by_the_receipt_that_is_put(ring: Ring, fetcher: SecondClient) -> None:
    """E4, E5, E6: listed until there is a receipt; the same receipt again is as good."""
    message_id = ring.queue(FETCHER.code, number="201")
    line = waiting(fetcher, message_id)
    assert state(ring, message_id) == "queued"
    receipt, opened = fetcher.take(line, ring.server.issuers[FETCHER.code])
    assert (line.sender, line.lane, opened.recipients) == (OURS.code, 3, (FETCHER.code,))
    assert state(ring, message_id) == "unknown"
    assert waiting(fetcher, message_id) == line
    assert fetcher.acknowledge(line, receipt).status == 204
    assert state(ring, message_id) == "delivered"
    assert fetcher.acknowledge(line, receipt).status == 204
    assert not [one for one in fetcher.feed() if one.message_id == message_id]


def test_another_receipt_after_the_first_is_a_conflict(ring: Ring, fetcher: SecondClient) -> None:
    message_id = ring.queue(FETCHER.code, number="202")
    line = waiting(fetcher, message_id)
    first, _ = fetcher.take(line, ring.server.issuers[FETCHER.code])
    second, _ = fetcher.take(line, ring.server.issuers[FETCHER.code])
    assert fetcher.acknowledge(line, first).status == 204
    answer = fetcher.acknowledge(line, second)
    assert (answer.status, state(ring, message_id)) == (409, "delivered")


def test_a_refusal_is_an_acknowledgement_too(ring: Ring, fetcher: SecondClient) -> None:
    message_id = ring.queue(FETCHER.code, number="203")
    line = waiting(fetcher, message_id)
    reason = ("certificate-invalid", "Chứng thư không hợp lệ")
    receipt, _ = fetcher.take(line, ring.server.issuers[FETCHER.code], reason=reason)
    assert fetcher.acknowledge(line, receipt).status == 204
    assert state(ring, message_id) == "refused"


def test_a_receipt_of_another_agency_acknowledges_nothing(ring: Ring, fetcher: SecondClient) -> None:
    message_id = ring.queue(FETCHER.code, number="204")
    line = waiting(fetcher, message_id)
    foreign, _ = fetcher.take(line, ring.server.issuers[THEIRS.code])
    assert fetcher.acknowledge(line, foreign).status >= 400
    assert state(ring, message_id) == "unknown"


def test_a_cut_transfer_goes_on_where_it_stopped(ring: Ring, fetcher: SecondClient) -> None:
    line = waiting(fetcher, ring.queue(FETCHER.code, number="205", size=200_000))
    whole, data = fetcher.fetch(line)
    part, rest = fetcher.fetch(line, first=100_000)
    assert hashlib.sha256(data).hexdigest() == line.sha256
    assert (len(data), data[100_000:]) == (line.size, rest)
    assert part.headers["content-range"] == f"bytes 100000-{line.size - 1}/{line.size}"
    assert part.headers["etag"] == whole.headers["etag"]


def test_nobody_reads_the_feed_of_another_agency(ring: Ring) -> None:
    answer = ring.client.ask("GET", f"/to/{FETCHER.code}/feed?wait=0&limit=1")
    assert (answer.status, answer.problem) == (403, "forbidden")


def test_our_node_fetches_from_a_second_server_and_puts_its_receipt(ring: Ring) -> None:
    """The receipt a stranger gets by E6 verifies by its own code, and the clerk sees the message once.

    Twenty agencies behind one endpoint are one node: there was one feed connection, the second server refused none.
    """
    message = ring.sealed(ring.letter("206"))
    k = ring.server.offer(OURS.code, message)
    until("the receipt was put", lambda: ring.server.waiting[k].receipt is not None, seconds=60)
    receipt = ring.server.waiting[k].receipt
    assert receipt is not None
    assert verify(receipt, Known(*k, message.data), certificates=ring.client.partner.certificates).accepted
    assert ring.ask("SELECT count(*) FROM inbox WHERE message_id = ?", message.message_id) == [(1,)]
    again = ring.client.put(message, expect=True)
    assert (again.status, again.body) == (200, receipt)
    feeds = [one.answered for one in ring.server.seen if "/feed" in one.path]
    assert "200" in feeds
    assert not any(one.startswith("too-many-requests") for one in feeds)


def test_what_our_node_fetches_and_cannot_take_is_refused_by_receipt(ring: Ring) -> None:
    """One byte of an attachment was changed after sealing."""
    message = ring.sealed(ring.letter("207"))
    at = message.data.index(b"<ContentTransferEncoded>") + 30
    changed = message.data[:at] + (b"A" if message.data[at : at + 1] != b"A" else b"B") + message.data[at + 1 :]
    spoilt = type(message)(changed, message.message_id, message.sender, message.kind)
    k = ring.server.offer(OURS.code, spoilt)
    until("the receipt was put", lambda: ring.server.waiting[k].receipt is not None, seconds=60)
    receipt = verify(
        ring.server.waiting[k].receipt or b"", Known(*k, changed), certificates=ring.client.partner.certificates
    )
    assert receipt.reasons == ("seal-invalid",)
    assert datetime.fromisoformat(receipt.received_at) <= datetime.now(UTC)
