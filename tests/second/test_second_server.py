"""The courier of a real node against a second server: what it sends, and what it makes of every kind of answer.

One letter goes to seventeen agencies of the second server, each of which treats it in its own way; so all waits
overlap.
"""

from __future__ import annotations

import hashlib
import json
import re

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.second.conftest import NEWCOMER, THEIRS, WORDS, Campaign
from tests.second.second_client import WELL_KNOWN
from tests.second.second_handler import ROOT
from tests.second.second_message import open_sealed
from transport.demo.offices import until

pytestmark = pytest.mark.process


@pytest.fixture(scope="module", autouse=True)
def settled(campaign: Campaign) -> None:
    """Wait until every answer has had its effect."""
    until("every answer has had its effect", campaign.settled, seconds=50)


def test_a_stranger_can_check_what_our_courier_sends(campaign: Campaign) -> None:
    """Request signature, digest, length and seal hold by the second implementation's own code; one attempt suffices."""
    (call,) = campaign.calls(THEIRS.code)
    assert (call.answered, campaign.row(THEIRS.code).state) == ("201", "delivered")
    assert call.body is not None
    opened = open_sealed(call.body)
    assert set(opened.recipients) == {THEIRS.code, *WORDS}
    assert call.headers["Edoc-Ledger"].startswith('origin="')
    assert "Content-Encoding" not in call.headers
    assert call.headers["Accept-Encoding"] == "identity"
    assert call.headers["traceparent"].startswith("00-")


def test_every_attempt_carries_identical_bytes(campaign: Campaign) -> None:
    """M3: all bodies to all recipients are one file."""
    bodies = {hashlib.sha256(one.body).digest() for code in WORDS for one in campaign.calls(code) if one.body}
    assert len(bodies) == 1


def test_all_attempts_of_a_dispatch_are_one_trace(campaign: Campaign) -> None:
    traces = [one.headers["traceparent"].split("-")[1] for one in campaign.calls("H99.11")]
    assert len(traces) == 2
    assert len(set(traces)) == 1


def test_a_lost_reply_is_repaired_by_the_stored_receipt(campaign: Campaign) -> None:
    """The repeat asks with Expect and sends no body, because the stored receipt comes first."""
    first, second = campaign.calls("H99.11")
    assert (first.answered, second.answered, second.body) == ("silence", "200", None)
    assert second.headers["Expect"] == "100-continue"
    assert campaign.row("H99.11").state == "delivered"


def test_a_202_is_followed_by_the_question_for_the_receipt(campaign: Campaign) -> None:
    """The leaf of the other side is not yet placed; E3 brings the receipt."""
    calls = campaign.calls("H99.12")
    assert [(one.method, one.answered) for one in calls[:2]] == [("PUT", "202"), ("GET", "200")]
    assert campaign.row("H99.12").state == "delivered"


def test_a_refusal_receipt_ends_the_dispatch(campaign: Campaign) -> None:
    row = campaign.row("H99.13")
    assert (row.state, row.by_receipt, row.attempts) == ("refused", True, 1)


@pytest.mark.parametrize(
    ("code", "problem", "calls"),
    [("H99.14", "recipient-moved", 1), ("H99.25", "message-id-conflict", 1), ("H99.26", "unknown-recipient", 2)],
)
def test_a_final_problem_ends_the_dispatch_without_a_receipt(
    campaign: Campaign, code: str, problem: str, calls: int
) -> None:
    """T5; an unknown recipient is tried once more."""
    row = campaign.row(code)
    assert (row.state, row.by_receipt, row.problem) == ("refused", False, problem)
    assert len(campaign.calls(code)) == calls


@pytest.mark.parametrize("code", ["H99.15", "H99.16", "H99.17", "H99.18"])
def test_no_false_receipt_settles_anything(campaign: Campaign, code: str) -> None:
    """I10: receipts of another message, spoilt or missing leave the dispatch unknown; the next attempt ends it."""
    row = campaign.row(code)
    assert (row.state, row.exposed) == ("delivered", True)
    assert len(campaign.calls(code)) == 2


@pytest.mark.parametrize("code", ["H99.19", "H99.21", "H99.23"])
def test_what_is_no_word_of_the_exchange_is_tried_again(campaign: Campaign, code: str) -> None:
    """A proxy's page, an unregistered problem, a digest that did not hold: class R."""
    assert campaign.row(code).state == "delivered"
    assert len(campaign.calls(code)) == 2


@pytest.mark.parametrize(("code", "state"), [("H99.20", "unknown"), ("H99.24", "queued")])
def test_a_slow_fault_waits_five_minutes_and_a_redirect_is_not_followed(
    campaign: Campaign, code: str, state: str
) -> None:
    """Class S: one request, the next not before five minutes; who redirects may have the message all the same."""
    row = campaign.row(code)
    assert (row.state, row.attempts) == (state, 1)
    assert row.wait_seconds >= 300
    assert len(campaign.calls(code)) == 1
    assert not any(one.path == ROOT for one in campaign.ring.server.seen)


def test_a_busy_partner_is_left_alone_for_thirty_seconds(campaign: Campaign) -> None:
    """A 503 with Retry-After opens the circuit: one attempt, then none until it is half open."""
    first, second = campaign.calls("H99.22")
    assert (first.answered, second.answered) == ("overloaded", "201")
    assert second.at - first.at >= 29


def test_who_does_not_say_continue_gets_the_body_after_five_seconds(campaign: Campaign) -> None:
    """The request is repeated without Expect, and for a day none is sent to this partner."""
    message_id = campaign.more["mute"]
    until("it was repeated", lambda: len(campaign.calls("H99.28", message_id)) > 1, seconds=60)
    asked, told = campaign.calls("H99.28", message_id)
    assert (asked.headers["Expect"], asked.body, told.answered) == ("100-continue", None, "201")
    assert "Expect" not in told.headers
    again = campaign.ring.queue("H99.28", number="133", size=100_000)
    until("the next one has come", lambda: campaign.calls("H99.28", again), seconds=60)
    assert "Expect" not in campaign.calls("H99.28", again)[0].headers


def test_a_large_message_whose_fate_is_unknown_is_asked_for_before_it_is_sent_again(campaign: Campaign) -> None:
    """More than 1 MiB: E3 first, and its receipt settles."""
    calls = campaign.calls("H99.29", campaign.more["large"])
    assert [(one.method, one.answered) for one in calls] == [("PUT", "silence"), ("GET", "200")]


def test_our_node_asks_its_partners_whether_they_are_there(campaign: Campaign) -> None:
    """E7, E8: signed, answered, with the newest head of our log; the metadata are fetched as well."""
    server = campaign.ring.server
    until("a ping has come", lambda: any(one.path.endswith("/ping") for one in server.seen), seconds=60)
    pings = [one for one in server.seen if one.path.endswith("/ping")]
    assert {one.answered for one in pings} == {"200"}
    heads = [one.headers["Edoc-Heads"] for one in pings if "Edoc-Heads" in one.headers]
    for one in heads:
        assert re.fullmatch(r'("[^"]+";size=\d+;root=:[A-Za-z0-9+/]{43}=:(, )?){1,3}', one)
    until("the metadata were fetched", lambda: any(WELL_KNOWN in one.path for one in server.seen), seconds=60)


def test_an_agency_is_entered_by_the_metadata_of_its_node(campaign: Campaign) -> None:
    """The first entry is confirmed by the fingerprint of the request key; then it is a partner like any other."""
    ring = campaign.ring
    key = ring.server.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    words = ("agency", "add", NEWCOMER.code, "--url", ring.server.base, "--sha256")
    ring.office.run(*words, "0" * 64, expect=(1,))
    ring.office.run(*words, hashlib.sha256(key).hexdigest())
    message_id = ring.queue(NEWCOMER.code, number="701")
    question = "SELECT d.state FROM dispatch d JOIN message m ON m.id = d.message WHERE m.message_id = ?"
    until("delivered to the newcomer", lambda: ring.ask(question, message_id) == [("delivered",)], seconds=60)


@pytest.mark.parametrize(
    ("code", "kinds"),
    [
        (THEIRS.code, ["sent", "relayed"]),
        ("H99.11", ["sent", "relayed"]),
        ("H99.13", ["sent", "relay-refused"]),
        ("H99.14", ["sent", "relay-refused"]),
        ("H99.15", ["sent", "receipt-invalid", "relayed"]),
        ("H99.25", ["sent", "id-conflict", "relay-refused"]),
    ],
)
def test_the_log_tells_what_each_answer_was_worth(campaign: Campaign, code: str, kinds: list[str]) -> None:
    """5.1: one leaf for each event, whatever was answered (I6)."""
    rows = campaign.ring.ask("SELECT data FROM ledger_leaf WHERE data IS NOT NULL ORDER BY ticket")
    leaves = [json.loads(data) for (data,) in rows]
    mine = [one for one in leaves if one.get("msg") == campaign.message_id and one.get("to") == code]
    found = [one["kind"] for one in mine if one["kind"] not in ("arrived", "accepted")]
    assert sorted(found) == sorted(kinds)
    assert found[0] == "sent"
