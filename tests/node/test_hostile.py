"""What another agency may try, or a newer program say: one K stays one message, no word of others moves a document."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edoc import seal as seals
from edoc.envelopes import Party, ResponseFor, StatusMessage
from signer.credential import Role
from signer.devpki import DevPki, Subject
from signer.errors import SigningRefused
from signer.report import Need
from signer.trust import TrustStore
from tests.world import ORGANS, build, letter
from transport import receipts
from transport.courier import Reply
from transport.dispatch import Key, State
from transport.errors import Problem
from transport.http.wire import read_problem
from transport.http.wire.problems import MAX_RETRY_AFTER, PREFIX
from transport.node.following import find_document
from transport.node.office import STATUS_SOON
from transport.node.outgoing import Outgoing
from transport.store import directory as directories
from transport.store.values import RowFilter

if TYPE_CHECKING:
    from tests.world import World
    from transport.store.store import Unit

A, B = "H99.01", "H99.02"
OLD = {A: "000.00.01.H99", B: "000.00.02.H99"}


def sealed(world: World, *, number: str = "120", message_id: str | None = None) -> tuple[Key, bytes]:
    """Seal a letter of A to B; return K and the bytes."""
    key = Key(A, B, message_id or str(uuid.uuid4()))
    message = seals.read_packed(letter(number, at=world.clock.now))
    made = seals.seal(
        message, message_id=key.message_id, credential=world.nodes[A].office.exchange_key(), at=world.clock.now
    )
    return key, made.data


def put(world: World, key: Key, data: bytes) -> tuple[int, bytes]:
    """Give a message to B's node, as its server does after the body has come."""
    digest = hashlib.sha256(data).hexdigest()
    answer = world.nodes[B].receive(
        key, data, sha256=digest, received_at=world.clock.now, peer=None, now=world.clock.now
    )
    return answer.status, answer.receipt


def know_old_codes(world: World) -> None:
    """Let both offices know the code that each agency had before."""
    for node in world.nodes.values():
        for code, old in OLD.items():
            agency = node.office.directory().get(code)
            assert agency is not None
            entry = replace(agency, old_codes=(old,))
            node.office.store.do(partial(directories.add, agency=entry, now=world.clock.now))


@pytest.mark.parametrize(
    "spelled",
    [
        lambda k: replace(k, sender=OLD[A]),
        lambda k: replace(k, recipient=OLD[B]),
        lambda k: replace(k, sender="h99.01"),
    ],
    ids=["old sender", "old recipient", "letter case"],
)
def test_old_and_new_code_of_an_agency_name_one_message(world: World, spelled: Callable[[Key], Key]) -> None:
    know_old_codes(world)
    key, data = sealed(world)
    first = put(world, key, data)
    again = put(world, spelled(key), data)
    assert (first[0], again) == (201, (200, first[1])), "the stored receipt, byte for byte"
    assert len(world.nodes[B].inbox(RowFilter()).rows) == 1
    known = world.nodes[B].known(spelled(key))
    assert known is not None
    assert known.receipt.data == first[1]


def test_a_document_that_came_under_an_old_code_is_told_of_at_the_present_one(world: World) -> None:
    know_old_codes(world)
    message_id = (
        world.nodes[A].send(letter(at=world.clock.now), now=world.clock.now, allow_information_only=True).message_id
    )
    outgoing = Outgoing(world.nodes[A].office)
    (claim,) = outgoing.claim(world.clock.now, "test", 1)
    parcel = outgoing.parcel(claim, world.clock.now)
    assert parcel is not None
    assert put(world, replace(parcel.key, sender=OLD[A]), parcel.data)[0] == 201
    outgoing.settle(claim, Reply("nothing", exposed=True), world.clock.now)
    world.settle()
    dispatch = world.dispatch(A, message_id)
    assert dispatch.last_status == "01", "told to the agency's present address, and found by the document"


def test_other_bytes_under_a_taken_id_are_a_conflict_even_when_they_meet_at_the_commit(world: World) -> None:
    key, data = sealed(world)
    _, other = sealed(world, number="121", message_id=key.message_id)
    assert put(world, key, data)[0] == 201
    for _ in range(2):
        with pytest.raises(Problem) as caught:
            put(world, key, other)
        assert (caught.value.name, caught.value.status) == ("message-id-conflict", 409)
    kinds = [one.leaf.kind for one in world.nodes[B].show(f"msg:{key.message_id}", now=world.clock.now).timeline]
    assert kinds == ["relayed", "id-conflict"], "one leaf for each K and digest"


def test_a_key_whose_registration_has_ended_speaks_for_nobody(world: World) -> None:
    node, day = world.nodes[B], world.clock.now
    spki = next(one.data for one in node.office.directory().certificates(A, "request", day.date()))
    caller = node.partner_for(directories.key_id(spki))
    assert caller is not None
    key = Key(A, B, str(uuid.uuid4()))
    node.check_parties(caller, key, day)
    digest = hashlib.sha256(spki).hexdigest()
    yesterday = day.replace(day=day.day - 1)
    node.office.store.do(lambda unit: directories.end_certificate(unit, A, digest, use="request", last_day=yesterday))
    with pytest.raises(Problem) as caught:
        node.check_parties(caller, key, day)
    assert caught.value.name == "forbidden"


def test_a_refusal_with_a_reason_of_a_newer_program_still_ends_the_dispatch(world: World) -> None:
    data = letter(at=world.clock.now)
    message_id = world.nodes[A].send(data, now=world.clock.now, allow_information_only=True).message_id
    outgoing = Outgoing(world.nodes[A].office)
    (claim,) = outgoing.claim(world.clock.now, "test", 1)
    receipt = receipts.Receipt(
        receipt_id=str(uuid.uuid4()),
        event=receipts.REJECTION,
        issuer=receipts.Issuer(B, ORGANS[B], "nut-1"),
        key=claim.key,
        size=claim.size,
        sha256=claim.sha256,
        received_at=world.clock.now,
        issued_at=world.clock.now,
        ledger_origin="vb.example/edoc-ledger/2026",
        reasons=(receipts.ReasonLine("from-the-future", "lý do mới"),),
    )
    signed = receipts.issue(receipt, credential=world.nodes[B].office.exchange_key())
    outgoing.settle(claim, Reply("receipt", 422, signed, exposed=True), world.clock.now)
    assert world.dispatch(A, message_id).state is State.REFUSED
    leaf = world.nodes[A].show(f"msg:{message_id}", now=world.clock.now).timeline[-1].leaf
    assert (leaf.kind, leaf.text("reason")) == ("relay-refused", "other")


@pytest.mark.parametrize("wish", [10**400, 10**12, -1, 2.5, True, "soon"])
def test_a_problem_that_asks_to_wait_for_ever_is_not_waited_for_longer_than_any_deadline(wish: object) -> None:
    body = json.dumps({"type": PREFIX + "unavailable", "status": 503, "retry_after": wish}).encode()
    problem = read_problem(body, 503)
    assert problem is not None
    assert problem.retry_after is None or 0 <= problem.retry_after <= MAX_RETRY_AFTER


def status(world: World, about: ResponseFor, code: str = "03") -> StatusMessage:
    """Return what B says about a document of A."""
    return StatusMessage(Party(B, ORGANS[B], address="-"), about, code, timestamp=world.clock.now)


def test_a_status_moves_only_the_document_it_names_and_only_from_its_recipient(world: World) -> None:
    node = world.nodes[A]
    sent = node.send(letter(at=world.clock.now), now=world.clock.now, allow_information_only=True)
    row = node.outbox(RowFilter()).rows[0]
    about = ResponseFor(A, f"{row.number}/{row.notation}", row.date, row.document_id)
    find = partial(find_document, node.office)
    found = find(status(world, about), B)
    assert found is not None
    assert found.key == Key(A, B, sent.message_id)
    assert find(status(world, about), "H99.03") is None, "not a recipient"
    assert find(status(world, about, "13"), B) is None, "a recipient does not take back"
    never = replace(about, document_id="H99.01,2026/11/20,999/SMA-VP", code="999/SMA-VP")
    assert find(status(world, never), B) is None, "a document that was never sent"
    for words in (f"msg:{sent.message_id}", "in:1", "%", "120/SMA-VP"):
        asked = replace(about, document_id=words, code="0/0")
        assert find(status(world, asked), B) is None, "what a status says is no REF"


def test_an_unknown_recipient_is_believed_the_second_time(world: World) -> None:
    message_id = (
        world.nodes[A].send(letter(at=world.clock.now), now=world.clock.now, allow_information_only=True).message_id
    )
    outgoing = Outgoing(world.nodes[A].office)
    states = []
    for _ in range(2):
        (claim,) = outgoing.claim(world.clock.turn(timedelta(minutes=1)), "test", 1)
        outgoing.settle(claim, Reply("problem", 404, problem="unknown-recipient", exposed=True), world.clock.now)
        states.append(world.dispatch(A, message_id).state)
    assert states == [State.QUEUED, State.REFUSED]


def test_after_202_the_recipient_is_asked_before_the_bytes_go_again(world: World) -> None:
    world.nodes[A].send(letter(at=world.clock.now), now=world.clock.now, allow_information_only=True)
    outgoing = Outgoing(world.nodes[A].office)
    asked = []
    for _ in range(2):
        (claim,) = outgoing.claim(world.clock.turn(timedelta(minutes=1)), "test", 1)
        parcel = outgoing.parcel(claim, world.clock.now)
        assert parcel is not None
        asked.append(parcel.ask_first)
        outgoing.settle(claim, Reply("nothing", 202, retry_after=1, exposed=True), world.clock.now)
    assert asked == [False, True]


@pytest.fixture
def answerable(tmp_path: Path, now: datetime) -> Iterator[World]:
    """Two offices whose certificates name where their status can be asked; nobody answers there."""
    from tests import world as worlds

    made = worlds.build(tmp_path, DevPki.create(at=now - timedelta(days=30), base_url="http://127.0.0.1:1"), now)
    yield made
    made.close()


def test_a_receipt_whose_certificate_cannot_be_judged_now_is_neither_believed_nor_called_false(
    answerable: World,
) -> None:
    world = answerable
    office = world.nodes[A].office
    message_id = (
        world.nodes[A].send(letter(at=world.clock.now), now=world.clock.now, allow_information_only=True).message_id
    )
    outgoing = Outgoing(office)
    (claim,) = outgoing.claim(world.clock.now, "test", 1)
    parcel = outgoing.parcel(claim, world.clock.now)
    assert parcel is not None
    status, receipt = put(world, parcel.key, parcel.data)
    lists = office.store.do(lambda unit: unit.connection.exec_driver_sql("DELETE FROM revocation").rowcount)
    assert lists
    outgoing.settle(claim, Reply("receipt", status, receipt, exposed=True), world.clock.now)
    assert world.dispatch(A, message_id).state is State.UNKNOWN
    kinds = [one.leaf.kind for one in world.nodes[A].show(f"msg:{message_id}", now=world.clock.now).timeline]
    assert kinds == ["sent"], "no leaf says that the receipt is false"
    outgoing.office.store.do(partial(restore, pki=world.pki, now=world.clock.now))
    (claim,) = outgoing.claim(world.clock.turn(timedelta(minutes=1)), "test", 1)
    outgoing.settle(claim, Reply("receipt", 200, receipt, exposed=True), world.clock.now)
    assert world.dispatch(A, message_id).state is State.DELIVERED


def restore(unit: Unit, pki: DevPki, now: datetime) -> None:
    """Put the lists of revoked certificates back."""
    for crl in (pki.crl(at=now), pki.root_crl(at=now)):
        directories.keep_revocation(unit, "crl", crl, fetched_at=now, next_update=None)


def test_a_key_past_its_days_gives_no_receipt_and_seals_nothing(world: World) -> None:
    key, data = sealed(world)
    for code, node in world.nodes.items():
        subject = Subject(ORGANS[code], organization=ORGANS[code], tax_number="0100000001")
        node.office.exchange = world.pki.issue(Role.EXCHANGE, subject, variant="expired").credential
        assert node.ready()[1]["receipt_key"] == "not valid now"
    with pytest.raises(Problem) as refused:
        put(world, key, data)
    assert (refused.value.name, refused.value.status) == ("receipt-unavailable", 503)
    assert world.nodes[B].known(key) is None, "K is not used up"
    with pytest.raises(SigningRefused) as caught:
        world.nodes[A].send(letter(at=world.clock.now), now=world.clock.now, allow_information_only=True)
    assert caught.value.code == "EDOC-KEY-004"
    assert not world.nodes[A].outbox(RowFilter()).rows


def test_a_partner_waits_for_status_answers_a_bounded_time_and_is_told_to_come_again(
    tmp_path: Path, now: datetime
) -> None:
    """The request path asks for seconds, however long a service is silent; nothing is judged blindly meanwhile."""
    pki = DevPki.create(at=now - timedelta(days=30), base_url="http://127.0.0.1:9")
    world = build(tmp_path, pki, now)
    world.clock.turn(timedelta(days=9))  # the lists kept at hand no longer serve
    asked: list[tuple[str, float | None]] = []

    def nothing(code: str, needs: Sequence[Need], *, within: float | None = None) -> TrustStore:
        asked.append((code, within))
        return pki.trust(at=world.clock.now) if code == A else TrustStore()

    try:
        for code, node in world.nodes.items():
            node.office.fetch_status = partial(nothing, code)
        message_id = (
            world.nodes[A].send(letter(at=world.clock.now), now=world.clock.now, allow_information_only=True).message_id
        )
        world.carry_once(A)
        view = world.dispatch(A, message_id)
        assert (view.state, view.problem) == (State.QUEUED, "trust-unavailable")
        assert [one for one in asked if one[0] == B] == [(B, STATUS_SOON)]
    finally:
        world.close()
