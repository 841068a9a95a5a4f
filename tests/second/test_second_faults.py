"""What a real node answers to a stranger's faulty requests and messages: problems and refusals by name."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.second.conftest import OURS, THEIRS, Ring
from tests.second.second_message import HEAD, Letter, Organ, Sealed, document, seal
from tests.second.second_wire import (
    MESSAGE_TYPE,
    PROBLEM_TYPE,
    Answer,
    Covered,
    Request,
    digest_of,
    exchange,
    path_of,
    sign_headers,
)

pytestmark = pytest.mark.process

Change = Callable[[dict[str, str]], None]


def put(ring: Ring, message: Sealed, **more: str) -> Request:
    """Return the signed request E1 of a message."""
    path = path_of(OURS.code, message.sender, message.message_id)
    return ring.client.request("PUT", path, message.data, MESSAGE_TYPE, more)


def with_fields(request: Request, change: Change) -> Request:
    """Return a request with its fields changed after signing."""
    fields = dict(request.headers)
    change(fields)
    return dataclasses.replace(request, headers=fields)


def resigned(ring: Ring, request: Request, **fields: str) -> Request:
    """Return a request signed anew after fields were changed."""
    kept = {name: value for name, value in request.headers.items() if not name.startswith("Signature")}
    kept.update({name.replace("_", "-"): value for name, value in fields.items()})
    covered = Covered.request(request.method, request.url, kept)
    return dataclasses.replace(request, headers=kept | sign_headers(covered, ring.client.key, now=int(time.time())))


def unknown(ring: Ring, message: Sealed) -> bool:
    """Tell whether the node knows nothing of a message."""
    return ring.client.state(message)[0].status == 404


# --- the request -----------------------------------------------------------------------------------------------------


def test_without_a_signature_the_answer_says_only_how_to_sign(ring: Ring) -> None:
    message = ring.sealed()
    request = put(ring, message)
    bare = {name: value for name, value in request.headers.items() if not name.startswith("Signature")}
    answer = exchange(dataclasses.replace(request, headers=bare))
    assert (answer.status, answer.problem) == (401, "unauthenticated")
    assert answer.headers["www-authenticate"] == "Signature"
    assert "accept-signature" in answer.headers
    assert "detail" not in json.loads(answer.body)
    assert unknown(ring, message)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"@query" ', ""),
        ('"content-digest"', ""),
        ('tag="edoc-exchange-v1"', 'tag="edoc-exchange-v2"'),
        ('alg="ecdsa-p256-sha256"', 'alg="hmac-sha256"'),
        (";nonce=", ";nonse="),
        ("edoc=(", "other=("),
    ],
)
def test_a_changed_signature_input_authenticates_nobody(ring: Ring, old: str, new: str) -> None:
    request = put(ring, ring.sealed())
    assert old in request.headers["Signature-Input"]

    def change(fields: dict[str, str]) -> None:
        fields["Signature-Input"] = fields["Signature-Input"].replace(old, new)

    assert exchange(with_fields(request, change)).problem == "unauthenticated"


@pytest.mark.parametrize("names", [("@method", "@authority", "@path"), ("@method", "@authority", "@path", "@query")])
def test_a_signature_that_does_not_cover_what_it_must_is_none(ring: Ring, names: tuple[str, ...]) -> None:
    """Made by the right key over too little: the query, or the three fields of the body."""
    request = put(ring, ring.sealed())
    kept = {name: value for name, value in request.headers.items() if not name.startswith("Signature")}
    covered = Covered.request("PUT", request.url, kept)
    signed = sign_headers(covered, ring.client.key, now=int(time.time()), names=names)
    assert exchange(dataclasses.replace(request, headers=kept | signed)).problem == "unauthenticated"


@pytest.mark.parametrize(("seconds", "problem"), [(-3600, "unauthenticated"), (120, "clock-disagreement")])
def test_an_old_signature_is_dead_and_one_from_the_future_means_clocks(ring: Ring, seconds: int, problem: str) -> None:
    client = dataclasses.replace(ring.client, clock=lambda: time.time() + seconds)
    assert client.put(ring.sealed()).problem == problem


def test_another_agencys_key_does_not_speak_for_this_one(ring: Ring) -> None:
    stranger = ring.client_of("H99.11")
    answer = stranger.put(ring.sealed())
    assert (answer.status, answer.problem) == (403, "forbidden")


def test_a_captured_request_brings_the_same_receipt_again(ring: Ring) -> None:
    """F14: a replay inside its window changes nothing."""
    request = put(ring, ring.sealed())
    first, second = exchange(request), exchange(request)
    assert (first.status, second.status, second.body) == (201, 200, first.body)


def test_eight_clients_with_one_message_get_one_receipt(ring: Ring) -> None:
    """F7: the others are told that it is in progress, or given what the first was given."""
    message = ring.sealed()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ring.client.put(message, expect=True), range(8)))
    kinds = Counter(one.problem or str(one.status) for one in answers)
    assert kinds["201"] == 1
    assert set(kinds) <= {"201", "200", "in-progress", "too-many-requests"}
    assert len({one.body for one in answers if one.status in (200, 201)}) == 1


def test_another_body_than_its_digest_leaves_no_trace(ring: Ring) -> None:
    message = ring.sealed()
    request = put(ring, message)
    answer = exchange(dataclasses.replace(request, body=message.data[:-1] + b" "))
    assert (answer.status, answer.problem) == (400, "digest-mismatch")
    assert unknown(ring, message)


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"Content_Type": "application/xml"}, 415),
        ({"Content_Encoding": "gzip"}, 415),
        ({"Content_Digest": "sha-512=:AAAA:"}, 400),
    ],
)
def test_what_a_message_is_not_sent_as(ring: Ring, fields: Mapping[str, str], status: int) -> None:
    message = ring.sealed()
    answer = exchange(resigned(ring, put(ring, message), **fields))
    assert (answer.status, answer.headers["content-type"]) == (status, PROBLEM_TYPE)
    assert answer.headers["connection"] == "close"
    assert unknown(ring, message)


def test_chunks_are_not_taken_because_the_length_is_known(ring: Ring) -> None:
    request = put(ring, ring.sealed())

    def change(fields: dict[str, str]) -> None:
        fields.pop("Content-Length")
        fields["Transfer-Encoding"] = "chunked"

    chunks = f"{len(request.body):x}\r\n".encode() + request.body + b"\r\n0\r\n\r\n"
    answer = exchange(dataclasses.replace(with_fields(request, change), body=chunks))
    assert (answer.status, answer.problem) == (411, "bad-request")


def test_an_agency_that_is_not_served_here_is_unknown(ring: Ring) -> None:
    message = ring.sealed()
    request = ring.client.request("PUT", path_of("H99.77", THEIRS.code, message.message_id), message.data, MESSAGE_TYPE)
    assert exchange(request).problem == "unknown-recipient"


def test_a_large_message_waits_for_the_word_to_go_on(ring: Ring) -> None:
    message = ring.sealed(ring.letter(files=(("a.pdf", b"%PDF-1.4\n" + bytes(150_000) + b"\n%%EOF\n"),)))
    answer = ring.client.put(message)
    assert (answer.status, answer.continued) == (201, True)


def test_the_same_id_with_other_bytes_is_a_conflict_and_points_to_the_first(ring: Ring) -> None:
    first = ring.sealed()
    settled = ring.client.send(first)
    second = ring.sealed(ring.letter("121"), message_id=first.message_id)
    answer = ring.client.put(second, expect=True)
    assert (answer.status, answer.problem, answer.continued) == (409, "message-id-conflict", False)
    pointed = json.loads(answer.body)["receipt"]
    assert pointed.endswith(path_of(OURS.code, THEIRS.code, first.message_id) + "/receipt")
    assert ring.client.receipt(first).body == settled.data


# --- the bytes -------------------------------------------------------------------------------------------------------


def bytes_of(ring: Ring, data: bytes) -> Sealed:
    return Sealed(data, ring.sealed().message_id, THEIRS.code, "edoc")


def refusal(ring: Ring, message: Sealed) -> tuple[str, ...]:
    """Send what must be refused; the refusal is a receipt that verifies, the same on every repeat."""
    settled = ring.client.send(message, expect=False)
    assert settled.answer.status == 422
    again: Answer = ring.client.put(message, expect=True)
    assert (again.status, again.body) == (422, settled.data)
    assert ring.client.receipt(message).body == settled.data
    assert ring.client.state(message)[0].headers["edoc-state"] == "refused"
    assert ring.ask("SELECT count(*) FROM inbox WHERE message_id = ?", message.message_id) == [(0,)]
    return settled.receipt.reasons


@pytest.mark.parametrize(
    "data",
    [
        b"not XML",
        b"<?xml version='1.0'?><!DOCTYPE edXML><edXML xmlns='http://www.mic.gov.vn/TBT/QCVN_102_2016'/>",
        b"<a/>",
    ],
)
def test_what_is_no_edxml_is_refused_by_receipt(ring: Ring, data: bytes) -> None:
    assert refusal(ring, bytes_of(ring, data)) == ("not-edxml",)


def test_a_message_without_seal_is_refused(ring: Ring) -> None:
    assert refusal(ring, bytes_of(ring, HEAD.encode() + document(ring.letter()).encode())) == ("seal-missing",)


@pytest.mark.parametrize(
    "region", [b"<edXML:Subject>", b"<ContentTransferEncoded>", b"<SubmittedAt>", b"<ds:DigestValue>"]
)
def test_a_byte_changed_after_sealing_is_seen(ring: Ring, region: bytes) -> None:
    message = ring.sealed()
    at = message.data.index(region) + len(region)
    other = b"1" if message.data[at : at + 1] != b"1" else b"3"
    changed = message.data[:at] + other + message.data[at + 1 :]
    assert refusal(ring, dataclasses.replace(message, data=changed)) == ("seal-invalid",)


def test_a_seal_by_another_agencys_key_is_not_the_senders(ring: Ring) -> None:
    letter = ring.letter()
    forged = seal(document(letter), THEIRS.code, kind="edoc", signer=ring.signers["H99.11"], at=letter.at)
    assert refusal(ring, forged) == ("seal-not-sender",)


def test_the_slip_names_the_message_it_came_as(ring: Ring) -> None:
    """M2: the same bytes under another id are refused, not delivered twice."""
    message = ring.sealed()
    renamed = dataclasses.replace(message, message_id=ring.sealed().message_id)
    assert refusal(ring, renamed) == ("slip-mismatch",)


def test_a_message_for_others_is_wrongly_addressed(ring: Ring) -> None:
    letter = dataclasses.replace(ring.letter(), recipients=(Organ("H99.11", "Sở Mẫu 11"),))
    assert refusal(ring, ring.sealed(letter)) == ("wrong-addressee",)


@pytest.mark.parametrize(
    ("pattern", "text", "reason"),
    [
        (r"<Attachment>.*</Attachment>\n", "", "incomplete"),
        (r"<edXML:Reference>.*</edXML:Reference>\n", "", "incomplete"),
        (r"(<ContentTransferEncoded>)", r"\1*", "incomplete"),
        (r"(<edXML:PromulgationDate>\d{4})/(\d\d)/", r"\1-\2-", "not-strict"),
        (r"<edXML:Priority>0", "<edXML:Priority>7", "not-strict"),
        (r"(<edXML:Subject>)", r"<edXML:New>x</edXML:New>\1", "not-strict"),
    ],
)
def test_what_the_strict_writer_would_not_write_is_refused(ring: Ring, pattern: str, text: str, reason: str) -> None:
    """M6: sealed by the right key, and yet not a message."""
    letter: Letter = ring.letter()
    changed, times = re.subn(pattern, text, document(letter), count=1, flags=re.DOTALL)
    assert times == 1
    message = seal(changed, THEIRS.code, kind="edoc", signer=ring.signers[THEIRS.code], at=letter.at)
    assert refusal(ring, message) == (reason,)


def test_a_message_from_the_future_means_clocks(ring: Ring) -> None:
    """A seal more than five minutes ahead is neither accepted nor refused."""
    letter = ring.letter()
    ahead = letter.at.fromtimestamp(letter.at.timestamp() + 600, letter.at.tzinfo)
    message = seal(document(letter), THEIRS.code, kind="edoc", signer=ring.signers[THEIRS.code], at=ahead)
    assert ring.client.put(message).problem == "clock-disagreement"
    assert unknown(ring, message)


def test_every_answer_with_a_body_states_its_digest(ring: Ring) -> None:
    """exchange() checks it for each answer in these tests; a problem has one too."""
    answer = exchange(Request("GET", ring.client.partner.base + "/nothing", {}))
    assert answer.headers["content-digest"] == digest_of(answer.body)
    assert hashlib.sha256(answer.body).digest()
