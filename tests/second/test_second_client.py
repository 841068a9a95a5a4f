"""A second client, written from exchange.md alone, is understood by a real node: E1 to E3, E7, E8."""

from __future__ import annotations

import hashlib
import json

import pytest

from tests.second.conftest import Ring

pytestmark = pytest.mark.process


def test_an_accepted_message_brings_a_receipt_that_a_stranger_can_verify(ring: Ring) -> None:
    settled = ring.client.send(ring.sealed(), expect=False)
    assert settled.answer.status == 201, settled.receipt.reasons
    assert settled.receipt.accepted


def test_every_repetition_brings_the_same_receipt_byte_for_byte_without_the_body(ring: Ring) -> None:
    message = ring.sealed()
    first = ring.client.send(message)
    again = ring.client.put(message, expect=True)
    assert (again.status, again.body) == (200, first.data)
    assert not again.continued


def test_state_and_receipt_can_be_asked_for(ring: Ring) -> None:
    message = ring.sealed()
    head, _ = ring.client.state(message)
    assert head.status == 404
    first = ring.client.send(message)
    head, got = ring.client.state(message)
    assert (head.status, head.headers["edoc-state"]) == (200, "accepted")
    document = json.loads(got.body)
    assert (document["state"], document["digest"], document["size"]) == (
        "accepted",
        message.sha256.hex(),
        len(message.data),
    )
    receipt = ring.client.receipt(message)
    assert receipt.body == first.data
    assert receipt.headers["etag"] == f'"{hashlib.sha256(first.data).hexdigest()}"'


def test_ping_metadata_and_openapi_are_there(ring: Ring) -> None:
    pong = ring.client.ping()
    assert {"node", "agencies", "time", "versions", "ledger"} <= set(pong)
    document = ring.client.metadata()
    assert document["endpoint"] == ring.client.partner.base
    assert str(ring.client.openapi()["openapi"]).startswith("3.1")
