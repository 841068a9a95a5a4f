"""The fault matrix, rows about the network and hostile bytes: F5 to F9, F12, F13, F14 (exchange.md 16)."""

from __future__ import annotations

import base64
import hashlib
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from functools import partial

import pytest

from tests.lab import invariants, receiptcheck
from tests.lab.lab import BOTH, LONG, A, B, Lab
from tests.lab.nodes import LabNode, until
from tests.lab.proxy import Plan, Seen, always
from tests.lab.stranger import Said, Stranger, signer_of
from tests.second.second_message import Sealed

pytestmark = [pytest.mark.process, pytest.mark.timeout(3600)]
Record = Callable[[str, object], None]


@contextmanager
def unchanged(lab: Lab) -> Iterator[None]:
    """See that B's receipts, inbox, log and blobs are afterwards what they were before."""
    before = counts(lab)
    yield
    assert counts(lab) == before
    assert not lab.store(lab.b).left_over()


def counts(lab: Lab) -> list[object]:
    """Count what B has stored of messages, once all that earlier ones called for is done."""
    store = lab.store(lab.b)
    until("B is idle", lambda: not store.ask("SELECT 1 FROM effect WHERE state IN ('waiting', 'running')"))
    leaves = sum("msg" in leaf for *_, leaf in store.leaves())
    return [leaves, len(store.orphans()), *(store.one(f"SELECT count(*) FROM {name}") for name in ("inbox", "receipt"))]


def offsets(length: int, *, some: int) -> list[int]:
    """Return every offset where everything is tried, else some, the ends among them."""
    if LONG:
        return list(range(length))
    return sorted({0, 1, length // 2, length - 1, *random.Random(length).sample(range(length), some)})


@BOTH
def test_f05_a_reply_cut_at_any_byte_brings_the_same_receipt_later(lab: Lab, record_property: Record) -> None:
    """The answer is cut after n bytes; asked again, the receipt is byte for byte the one that was made first."""
    lab.b.start()
    direct, cut = Stranger.of(lab), Stranger.of(lab, port=lab.to_b.port)
    sample = direct.message()
    whole = direct.put(sample)
    length = len(whole.head) + 4 + len(whole.body)
    cases = offsets(length, some=14)
    for n in cases:
        message = direct.message()
        lab.to_b.plan = always(Plan(cut_answer=n))
        said = cut.put(message)
        assert said.status == 0, f"cut at {n}, and a whole answer came"
        again = direct.settled(message)
        seen = lab.to_b.puts(message.message_id)[-1]
        if again.status == 200:
            assert seen.answer == b"" or seen.answer.rpartition(b"\r\n\r\n")[2] in again.body
        (stored,) = lab.store(lab.b).rows("receipt", "message_id = ?", message.message_id)
        assert stored["data"] == again.body
    lab.a.start()
    _first_replies_cut(lab, length)
    lab.settle(seconds=1800 if LONG else 120)  # B tells A of each that it arrived
    lab.check()
    record_property("cases", len(cases) + 6)


def _first_replies_cut(lab: Lab, length: int) -> None:
    """A's own courier loses the first reply of six letters, before the commit or after it, and delivers them all."""
    tried: Counter[str] = Counter()
    places = iter((0, 1, 200, length // 2, length - 1))

    def plan(seen: Seen) -> Plan:
        tried[seen.path] += 1
        if seen.method != "PUT" or tried[seen.path] > 1:
            return Plan()
        place = next(places, None)
        return Plan(cut_answer=place) if place is not None else Plan(cut_request=len(seen.head) + 8000)

    lab.to_b.plan = plan
    ids = [lab.submit() for _ in range(6)]
    lab.hasten(lambda: all(lab.state(one) == "delivered" for one in ids))


def test_f06_a_request_cut_or_lying_leaves_nothing(lab: Lab, record_property: Record) -> None:
    """Cut after n bytes, wrong length or digest, smuggling shapes: 400, 408 or silence; no row, no file."""
    lab.b.start()
    stranger = Stranger.of(lab)
    message = stranger.message()
    head, body = stranger.raw(message)
    cases = offsets(len(head) + len(body), some=25)
    with unchanged(lab):
        with ThreadPoolExecutor(4) as pool:
            said = list(pool.map(lambda n: stranger.talk((head + body)[:n], close=True), cases))
        assert {one.status for one in said} <= {0, 400, 408}
        shapes = {
            "digest": _digest(stranger, message),
            "two lengths": stranger.talk(_with(head, b"Content-Length: 5") + body).status,
            "length and chunks": stranger.talk(_with(head, b"Transfer-Encoding: chunked") + body).status,
            "bare line feed": stranger.talk(head.replace(b"\r\nHost", b"\nHost") + body).status,
            "bare return": stranger.talk(head.replace(b"Host: ", b"Host: \rx") + body).status,
            "compressed": stranger.talk(_with(head, b"Content-Encoding: gzip") + body).status,
            "signed for another path": stranger.talk(head.replace(message.message_id[:8].encode(), b"00000000")).status,
        }
        assert shapes == {
            **dict.fromkeys(("digest", "two lengths", "length and chunks", "bare line feed", "bare return"), 400),
            "compressed": 415,
            "signed for another path": 401,
        }
    stranger.settled(message)
    record_property("cases", len(cases) + len(shapes))


def _digest(stranger: Stranger, message: Sealed) -> int:
    head, body = stranger.raw(message)
    changed = stranger.talk(head + body[:-1] + b"!")
    assert changed.problem == "digest-mismatch"
    return changed.status


def _with(head: bytes, line: bytes) -> bytes:
    return head[:-2] + line + b"\r\n\r\n"


@BOTH
def test_f07_doubled_reordered_late_and_from_32_clients(lab: Lab, record_property: Record) -> None:
    """One acceptance; the stored receipt, or ``in-progress``, for all others."""
    lab.start()
    stranger = Stranger.of(lab)
    lab.to_b.plan = always(Plan(twice=True))
    doubled = lab.submit()
    lab.reach(doubled, "delivered")
    until("the double came", lambda: lab.to_b.puts(doubled)[0].second)
    (seen,) = lab.to_b.puts(doubled)
    assert seen.second.rpartition(b"\r\n\r\n")[2] == seen.answer.rpartition(b"\r\n\r\n")[2]
    gate = threading.Event()
    first: list[Seen] = []

    def hold_the_first(seen: Seen) -> Plan:
        first.append(seen)
        return Plan(hold=gate) if len(first) == 1 else Plan()

    lab.to_b.plan = hold_the_first
    ids = [lab.submit() for _ in range(2)]
    until("the later one arrived", lambda: any(lab.state(one) == "delivered" for one in ids))
    gate.set()
    lab.hasten(lambda: all(lab.state(one) == "delivered" for one in ids))
    lab.to_b.plan = always(Plan())
    message = stranger.message()
    with ThreadPoolExecutor(32) as pool:
        said = list(pool.map(lambda _: stranger.put(message), range(32)))
    assert Counter(one.status for one in said)[201] == 1
    rest = [one for one in said if one.status != 202]  # several nodes may wait for the leaf's place
    assert {one.problem for one in rest} <= {"accepted", "in-progress", "too-many-requests"}, said
    receipt = stranger.settled(message).body
    assert {one.body for one in said if one.status in (200, 201)} == {receipt}
    lab.turn(timedelta(days=1))
    assert stranger.settled(message).body == receipt, "a day late"
    lab.settle()
    lab.check()
    record_property("cases", 36)


@BOTH
def test_f08_the_same_id_with_other_bytes_is_a_conflict_on_both_sides(lab: Lab, record_property: Record) -> None:
    """In sequence and racing: the first commit stands, all others get 409; a leaf at B, and at A for its own."""
    lab.start()
    stranger = Stranger.of(lab)
    first = stranger.message()
    receipt = stranger.settled(first).body
    other = stranger.message(message_id=first.message_id)
    for _ in range(2):
        said = stranger.put(other)
        assert (said.status, said.problem) == (409, "message-id-conflict")
    bodies = [stranger.message(message_id=other.message_id[:-4] + "0000") for _ in range(16)]
    with ThreadPoolExecutor(16) as pool:
        racing = list(pool.map(stranger.put, bodies))
    assert Counter(one.status for one in racing)[201] == 1
    rest = [one for one in racing if one.status != 202]
    assert {one.problem for one in rest} <= {"accepted", "in-progress", "too-many-requests", "message-id-conflict"}
    assert stranger.settled(first).body == receipt
    gate = threading.Event()
    lab.to_b.plan = always(Plan(hold=gate))
    ours = lab.submit()
    until("A sends", lambda: lab.to_b.puts(ours))
    stranger.settled(stranger.message(message_id=ours))
    gate.set()
    assert lab.reach(ours, "refused", "delivered") == "refused"
    for node, wanted in ((lab.a, {ours}), (lab.b, {ours, first.message_id})):
        until("the conflict's leaf has its place", partial(_has_conflicts, lab, node, wanted))
        assert _conflicts(lab, node).count(ours) == 1, "once per K and digest"
    lab.settle()
    lab.confirmed.clear()  # the id is taken: A's own message is refused, as it must be
    _only_agreement(lab)
    record_property("cases", 20)


def _conflicts(lab: Lab, node: LabNode) -> list[object]:
    return [leaf["msg"] for *_, leaf in lab.store(node).leaves() if leaf["kind"] == "id-conflict"]


def _has_conflicts(lab: Lab, node: LabNode, wanted: set[str]) -> bool:
    return wanted <= set(_conflicts(lab, node))


def _only_agreement(lab: Lab) -> None:
    faults = invariants.check(lab.offices(), finished=False)
    assert not faults, faults


def test_f09_one_flipped_bit_and_foreign_receipts_settle_nothing(lab: Lab, record_property: Record) -> None:
    """A bit is flipped in each region of the request, then of the answer; then receipts come that are another's."""
    lab.start()
    stranger, spoilt = Stranger.of(lab), Stranger.of(lab, port=lab.to_b.port)
    message = stranger.message()
    head, body = stranger.raw(message)
    places = [at for word in (b"PUT", b"Host", b"Content-Digest", b"Signature-Input") for at in [head.find(word) + 30]]
    places += [len(head) + body.find(word) + 12 for word in (b"<edXML:Subject>", b"<ContentTransferEncoded>", b"<Slip")]
    places += [len(head) + body.find(b"SignatureValue") + 30, len(head) + body.find(b"<ds:DigestValue>") + 20]
    if LONG:
        places += random.Random("F9").sample(range(len(head) + len(body)), 300)
    places = [one for one in places if b"=" not in (head + body)[one : one + 3]]  # bits base64 does not use
    said = []
    with unchanged(lab):
        for place in places:
            lab.to_b.plan = always(Plan(flip_request=place))
            said.append(spoilt.put(message))
    assert {one.status for one in said} <= {0, 400, 401, 403, 404, 411, 413, 415, 417, 429, 431}
    lab.to_b.plan = always(Plan())
    faults = _sealed_faults(stranger)
    lab.settle()
    kinds = _foreign_receipts(lab, stranger)
    lab.settle()
    lab.check()
    record_property("cases", len(places) + len(faults) + kinds)


def _sealed_faults(stranger: Stranger) -> list[Said]:
    """Bits flipped before the digest was taken: B's refusal is a receipt, and always the same."""
    good = stranger.message()
    said = []
    for word in (
        b"<edXML:Subject>",
        b"<ContentTransferEncoded>",
        b"<MessageId>",
        b"<ds:SignatureValue",
        b"<ds:DigestValue>",
    ):
        message = stranger.message()
        at = message.data.find(word) + len(word) + 12
        data = message.data[:at] + bytes([message.data[at] ^ 1]) + message.data[at + 1 :]
        changed = Sealed(data, message.message_id, A, "edoc")
        first = stranger.put(changed)
        assert first.status == 422, f"{word!r}: {first.status} {first.problem}"
        assert first.problem in ("seal-invalid", "not-edxml", "slip-mismatch")
        assert not stranger.proved(changed, first).accepted
        assert stranger.put(changed).body == first.body
        said.append(first)
    assert stranger.put(good).status == 201
    return said


def _foreign_receipts(lab: Lab, stranger: Stranger) -> int:
    """Answers that A gets in place of its receipt, for each a letter of its own: ``unknown``, never ``delivered``."""
    other = stranger.settled(stranger.message()).body
    kinds = ("another message's", *_PLACES)
    given: set[str] = set()
    lab.a.kill()
    todo = dict(zip([lab.submit() for _ in kinds], kinds, strict=True))

    def plan(seen: Seen) -> Plan:
        kind = next((name for one, name in todo.items() if one in seen.path), "")
        if not kind or seen.method != "PUT" or seen.path in given:
            return Plan()
        given.add(seen.path)
        return Plan(flip_answer=_PLACES[kind]) if kind in _PLACES else Plan(answer_after=_created(other))

    lab.to_b.plan = plan
    lab.a.start()
    until("each was tried", lambda: all(lab.attempts(one) for one in todo))
    lab.hasten(lambda: all(lab.state(one) == "delivered" for one in todo))
    invalid = {leaf["msg"] for *_, leaf in lab.store(lab.a).leaves() if leaf["kind"] == "receipt-invalid"}
    foreign = next(one for one, kind in todo.items() if kind not in _PLACES)
    assert foreign in invalid, "a receipt that does not verify has its leaf"
    question = "SELECT outcome, body FROM attempt t JOIN dispatch d ON d.id = t.dispatch WHERE t.n = 1 AND d.id IN "
    question += "(SELECT d.id FROM dispatch d JOIN message m ON m.id = d.message WHERE m.message_id = ?)"
    assert all(lab.store(lab.a).ask(question, one)[0][0] == "no-proof" for one in todo)
    assert lab.store(lab.a).ask(question, foreign)[0][1] == other, "the bytes are kept"
    return len(kinds)


_PLACES = {"spoilt digest": 1500, "spoilt value": 3000, "spoilt text": 900}


def _created(body: bytes) -> bytes:
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    lines = (
        "HTTP/1.1 201 Created",
        "Content-Type: application/vnd.edoc.receipt+xml; v=1",
        f"Content-Length: {len(body)}",
        f"Content-Digest: sha-256=:{digest}:",
    )
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@BOTH
def test_f12_a_silent_slow_or_raving_partner_opens_its_circuit(lab: Lab, record_property: Record) -> None:
    """Black hole, cut, garbage, a proxy's page, redirect, refusal to connect: nothing is settled, all is delivered."""
    lab.start()
    page = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 15\r\n\r\n<html>ok</html>"
    moved = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/x\r\nContent-Length: 0\r\n\r\n"
    plans = {
        "garbage": Plan(answer=b"\x00\x01\x02 noise \r\n\r\n"),
        "page": Plan(answer=page),
        "redirect": Plan(answer=moved),
        "refused": Plan(refuse=True),
        "nothing": Plan(answer=b""),
        "cut": Plan(cut_request=900),
    }
    lab.a.kill()
    ids = dict(zip([lab.submit() for _ in plans], plans.values(), strict=True))
    tried: set[str] = set()

    def plan(seen: Seen) -> Plan:
        if seen.path in tried:
            return Plan()
        tried.add(seen.path)
        return next((plan for one, plan in ids.items() if one in seen.path), Plan())

    lab.to_b.plan = always(Plan(refuse=True))
    lab.a.start()
    store = lab.store(lab.a)
    opened = "SELECT 1 FROM partner WHERE agency = ? AND open_until > 0"
    lab.hasten(lambda: store.ask(opened, B), step=timedelta(seconds=20))
    assert not any(lab.state(one) in ("delivered", "refused") for one in ids)
    lab.to_b.plan = plan
    lab.hasten(lambda: all(lab.state(one) == "delivered" for one in ids))
    assert store.one("SELECT open_until FROM partner WHERE agency = ?", B) is None, "the circuit is closed again"
    lab.settle()
    lab.check()
    record_property("cases", len(plans) + 1)


def test_f13_slow_connections_and_bombs_do_not_hurt_the_honest(lab: Lab, record_property: Record) -> None:
    """Slow heads and bodies from many connections, then bombs: an honest sender is served, memory stays bounded."""
    lab.b.start()
    stranger = Stranger.of(lab)
    many = 2000 if LONG else 40
    quiet = _latencies(stranger, 8)
    before = lab.b.resident()
    with ExitStack() as slow:
        for n in range(many):
            with suppress(OSError):
                source = (f"127.0.0.{2 + n % 16}", 0)  # of each address fifty are let in
                connection = slow.enter_context(
                    socket.create_connection(("127.0.0.1", lab.b.port), timeout=5, source_address=source)
                )
                head, body = stranger.raw(stranger.message()) if n < 4 else (b"PUT /x HTTP/1.1\r\nHos", b"")
                with suppress(OSError):
                    connection.sendall(head + body[:100])
        crowded = _latencies(stranger, 8)
    assert crowded[-1] <= 2 * quiet[-1] + 1.0, f"{quiet} {crowded}"
    bombs = {
        "entities": b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>',
        "depth": b"<a>" * 200_000 + b"</a>" * 200_000,
        "attributes": b"<a " + b" ".join(b"a%d='1'" % n for n in range(200_000)) + b"/>",
        "parts": b"<a>" + b"<b/>" * 100_000 + b"</a>",
    }
    for name, data in bombs.items():
        said = stranger.put(Sealed(data, stranger.message().message_id, A, "edoc"))
        assert said.status == 422, name
        assert said.problem in ("not-edxml", "limits", "seal-missing"), name
        assert said.seconds < 5, name
    until("memory is back", lambda: lab.b.resident() - before < 64 * 2**20, seconds=30)
    record_property("cases", many + len(bombs))


def _latencies(stranger: Stranger, count: int) -> list[float]:
    took = []
    for _ in range(count):
        message = stranger.message()
        began = time.monotonic()
        stranger.settled(message)
        took.append(time.monotonic() - began)
    return sorted(took)


@BOTH
def test_f14_a_captured_request_brings_the_same_receipt_or_401(lab: Lab, record_property: Record) -> None:
    """Within its window, after it, and at another node."""
    lab.start()
    stranger = Stranger.of(lab)
    message = stranger.message()
    captured = b"".join(stranger.raw(message))
    first = stranger.talk(captured)
    assert first.status == 201
    again = stranger.talk(captured)
    assert (again.status, again.body) == (200, first.body)
    lab.turn(timedelta(seconds=400))
    assert stranger.talk(captured).status == 401
    assert stranger.settled(message).body == first.body
    record_property("cases", 3)


def test_f14_a_request_captured_on_the_way_to_another_node_is_refused(lab: Lab) -> None:
    lab.a.start()
    captured = b"".join(Stranger.of(lab).raw(Stranger.of(lab).message()))
    assert Stranger.of(lab, port=lab.a.port).talk(captured).status == 401


def test_nothing_a_false_key_signs_is_taken_for_a_receipt(lab: Lab) -> None:
    """The laboratory's own check refuses what it should: else its silence would prove nothing."""
    lab.b.start()
    stranger = Stranger.of(lab)
    message = stranger.message()
    said = stranger.put(message)
    assert stranger.proved(message, said).accepted
    signed = said.body.find(b"<ds:Signature "), said.body.find(b"<ds:SignedInfo>"), said.body.find(b"<ds:KeyInfo>")
    for place in (*range(60, signed[0], 37), *range(signed[1], signed[2] - 40, 37)):
        data = said.body[:place] + bytes([said.body[place] ^ 1]) + said.body[place + 1 :]
        with pytest.raises((receiptcheck.NotAReceipt, ValueError)):
            stranger.proved(message, Said(201, b"", data))
    false = signer_of(lab.template.identities[A]["exchange"])
    assert false.fingerprint not in stranger.certificates
