"""A second client, written from exchange.md alone, is understood by a real node: E1 to E3, E7, E8."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tests.second.conftest import ORIGIN, OTHERS, OURS, THEIRS, Ring
from tests.second.second_message import Letter, Opened, document, seal
from tests.second.second_message import status as status_file
from tests.second.second_note import open_checkpoint, read_heads
from tests.second.second_receipt import TIME
from transport.demo.offices import until

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


def test_a_message_with_attachments_over_ten_megabytes_is_taken(ring: Ring) -> None:
    """Text nodes of more than 10 MB: streamed there, in a tree here; the receipt has the digest of each file."""
    files = tuple((f"{n}.pdf", b"%PDF-1.4\n" + bytes(9_000_000) + b"\n%%EOF\n") for n in (1, 2))
    settled = ring.client.send(ring.sealed(ring.letter(files=files)))
    assert settled.answer.status == 201
    assert settled.answer.continued
    assert settled.data.count(base64.b64encode(hashlib.sha256(files[0][1]).digest())) == 2


def test_a_message_in_parts_is_continued_where_it_stopped(ring: Ring) -> None:
    """Resumable upload (12): a part that was spoilt counts for nothing, the last one brings the receipt."""
    protocol = ring.client.metadata()["protocol"]
    assert isinstance(protocol, dict)
    assert "resumable-upload" in protocol["features"]
    message = ring.sealed(ring.letter(files=(("a.pdf", b"%PDF-1.4\n" + bytes(300_000) + b"\n%%EOF\n"),)))
    upload = ring.client.upload(message)
    assert upload.append(0, 200_000).status == 204
    spoilt = upload.append(200_000, 250_000, body=bytes(50_000))
    assert (spoilt.problem, upload.offset()) == ("digest-mismatch", 200_000)
    assert upload.append(300_000, len(message.data)).status == 409
    settled = ring.client.settle(message, upload.append(200_000, len(message.data)))
    assert settled.answer.status == 201
    again = ring.client.put(message, expect=True)
    assert (again.status, again.body) == (200, settled.data)


@pytest.mark.parametrize("code", ["H99.11", "H99.12", "H99.13"])
def test_all_kinds_of_keys_are_understood(ring: Ring, code: str) -> None:
    """Request keys Ed25519, P-384 and RSA-PSS; seals by RSA with PKCS#1 v1.5 from two of the agencies."""
    (sender,) = (one for one in OTHERS if one.code == code)
    settled = ring.client_of(code).send(ring.sealed(replace(ring.letter(), sender=sender)))
    assert (settled.answer.status, settled.receipt.reasons) == (201, ())


def test_keys_announced_in_signed_metadata_are_learned(ring: Ring) -> None:
    """The second server's metadata name a next request key and a next exchange key, signed by a key that is known."""
    client = ring.client_of("next")
    rolled = replace(client, agency=THEIRS.code)
    letter = ring.letter("601")

    def sent() -> bool:
        message = seal(document(letter), THEIRS.code, kind="edoc", signer=ring.signers["next"], at=letter.at)
        answer = rolled.put(message)
        return answer.status == 201

    until("both new keys are known", sent, seconds=60)


def test_the_leaf_of_the_sender_is_cited_by_the_recipient(ring: Ring) -> None:
    """What Edoc-Ledger says comes into the leaf `relayed` as peer; the answer names that leaf."""
    leaf = base64.b64encode(bytes(range(32))).decode()
    told = {"Edoc-Ledger": f'origin="{ORIGIN}", index=7, leaf=:{leaf}:'}
    settled = ring.client.send(ring.sealed(), more=told)
    said = re.fullmatch(r'origin="([^"]+)", index=(\d+), leaf=:([^:]+):', settled.answer.headers["edoc-ledger"])
    assert said is not None
    assert said[1] == settled.receipt.origin
    leaves = {hashlib.sha256(b"\0" + data).digest(): data for (data,) in ring.ask("SELECT data FROM ledger_leaf")}
    written = json.loads(leaves[base64.b64decode(said[3])])
    assert written["peer"] == {"index": 7, "leaf": bytes(range(32)).hex(), "origin": ORIGIN}
    assert written["receipt"] == hashlib.sha256(settled.data).hexdigest()


def test_a_document_is_followed_by_its_status_messages_in_both_directions(ring: Ring) -> None:
    """Their document brings our status 01 to their server; our document takes their 01 and 03."""
    theirs = ring.sealed(ring.letter("301"))
    ring.client.send(theirs)
    until("status 01 has come", lambda: any(one.status == "01" for one in arrived(ring, "301")), seconds=60)
    (status,) = arrived(ring, "301")
    assert (status.slip["Sender"], status.slip["Kind"], status.recipients) == (OURS.code, "status", (THEIRS.code,))

    ring.queue(THEIRS.code, number="302")
    until("the document has come", lambda: any(arrived(ring, "302")), seconds=60)
    letter = Letter(OURS, (THEIRS,), datetime.now(UTC), "302")
    for code in ("01", "03"):
        at = datetime.now(UTC)
        text = status_file(letter, THEIRS, code=code, at=at, text="Đã tiếp nhận" if code == "03" else "")
        sealed = seal(text, THEIRS.code, kind="status", signer=ring.signers[THEIRS.code], at=at)
        assert ring.client.send(sealed).receipt.accepted
    question = "SELECT d.last_status FROM dispatch d JOIN message m ON m.id = d.message WHERE m.number = '302'"
    until("the last status is 03", lambda: ring.ask(question) == [("03",)], seconds=60)


def arrived(ring: Ring, number: str) -> list[Opened]:
    """Return what the second server has accepted about one of these documents."""
    kept = [one.opened for one in list(ring.server.stored.values()) if one.opened is not None]
    return [one for one in kept if (one.document_id or "").endswith(f",{number}/SMA-VP")]


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


def test_ping_answers_who_is_there(ring: Ring) -> None:
    pong = ring.client.ping()
    assert {"node", "agencies", "time", "versions", "ledger"} <= set(pong)


def test_the_metadata_name_the_keys_that_sign(ring: Ring) -> None:
    """E8: signed by a known key; endpoint, times, and the exchange certificate a receipt is verified by."""
    document = ring.client.metadata()
    assert document["endpoint"] == ring.client.partner.base
    assert all(TIME.match(str(document[name])) for name in ("issued_at", "expires_at"))
    keys = document["keys"]
    assert isinstance(keys, list)
    exchange = [base64.b64decode(one["certificate"]) for one in keys if one["use"] == "exchange"]
    assert {hashlib.sha256(one).hexdigest() for one in exchange} == ring.client.partner.certificates
    assert all("certificate" in one or "spki" in one for one in keys)


def test_the_log_of_the_metadata_is_the_one_of_the_receipts(ring: Ring) -> None:
    """The head verifies by the log's key (signed-note); origin of receipt, answer and head are one."""
    settled = ring.client.send(ring.sealed())
    ledger = ring.client.metadata()["ledger"]
    assert isinstance(ledger, dict)
    assert ledger["origin"] == settled.receipt.origin
    for note in ledger["heads"]:
        assert open_checkpoint(note, ledger["vkey"]).origin == settled.receipt.origin
    heads = read_heads(settled.answer.headers["edoc-heads"])
    assert heads[0].origin == settled.receipt.origin
    assert 'rel="urn:edoc:rel:ledger-proof"' in settled.answer.headers["link"]


def test_the_routes_are_described(ring: Ring) -> None:
    document = ring.client.openapi()
    assert str(document["openapi"]).startswith("3.1")
    paths = document["paths"]
    assert isinstance(paths, dict)
    place = "/exchange/v1/to/{recipient}"
    described = {path: set(paths[path]) & {"get", "put", "head", "post"} for path in paths}
    assert described[place + "/from/{sender}/{id}"] == {"put", "get", "head"}
    assert described[place + "/from/{sender}/{id}/receipt"] >= {"get"}
    assert described["/exchange/v1/ping"] == {"post"}
