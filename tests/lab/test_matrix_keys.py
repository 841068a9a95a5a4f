"""The fault matrix, F15: keys that roll with dispatches in flight; authorities that lie to a running node."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.ocsp import OCSPRequestBuilder

from edoc.agencies import AgencyCertificate
from signer.credential import Role
from signer.devpki import DevIdentity, DevPki, Subject
from tests import world as worlds
from tests.http.stampers import House
from tests.lab.lab import A, B, Lab, Template
from tests.lab.nodes import LabNode, Nursery
from tests.lab.proxy import FaultProxy, Plan, always
from tests.lab.stranger import Stranger
from transport.demo.pkiserver import PkiServer
from transport.node.node import Node
from transport.store import directory as directories
from transport.store.values import KeyEntry

pytestmark = [pytest.mark.process, pytest.mark.timeout(3600)]
Record = Callable[[str, object], None]


def test_f15_authorities_of_time_that_lie_leave_the_receipt_without_stamp(lab: Lab, record_property: Record) -> None:
    """Another nonce, another imprint, a stranger's key, no answer at all: Q2, ``prefer``; the true one is taken."""
    now = datetime.now(UTC)
    house = House(lab.template.pki, DevPki.create(at=now - timedelta(days=1)), now)
    settings = (lab.b.home / "edoc.toml").read_text("utf-8")
    stranger = Stranger.of(lab)
    stamped = {}
    try:
        for kind in ("good", "other-nonce", "other-imprint", "untrusted", "garbage", "cut", "none"):
            text = f'{settings}\n[tsa]\nurl = ["{house.base}/{kind}"]\n'
            (lab.b.home / "edoc.toml").write_text(text, "utf-8")
            lab.b.start()
            message = stranger.message()
            receipt = stranger.settled(message).body
            assert stranger.settled(message).body == receipt
            stamped[kind] = b"EncapsulatedTimeStamp" in receipt
            lab.b.kill()
    finally:
        house.stop()
    assert [kind for kind, token in stamped.items() if token] == ["good"]
    assert {one.strip("/") for one in house.asked} == set(stamped), "each was asked"
    record_property("cases", len(stamped))


class Liar(PkiServer):
    """An authority whose OCSP answers are not what was asked, and that has no list beside them."""

    def __init__(self, *, clock: Callable[[], datetime], stranger: DevPki) -> None:
        super().__init__(clock=clock)
        self.stranger = stranger
        self.lie = ""
        self.kept = b""
        self.asked = 0
        self.now = clock

    def get(self, path: str) -> tuple[str, bytes] | None:
        """Hand out certificates and the root's list, and none of the issuing authority."""
        return None if path == "/ca.crl" else super().get(path)

    def post(self, path: str, body: bytes) -> tuple[str, bytes] | None:
        """Answer as the lie of the moment wants."""
        made = super().post(path, body)
        if made is None or path != "/ocsp":
            return made
        self.asked += 1
        truth = made[1]
        answers: dict[str, bytes] = {
            "": truth,
            "another certificate's": self.kept,
            "another key's": self.stranger.ocsp(body, at=self.now()),
            "altered": truth[:-9] + bytes([truth[-9] ^ 1]) + truth[-8:],
            "unsigned": b"0\x03\n\x01\x06",
            "garbage": b"0\x00",
        }
        return made[0], answers[self.lie]


def test_f15_ocsp_that_lies_is_not_judged_by(nursery: Nursery, tmp_path: Path, record_property: Record) -> None:
    """``trust-unavailable`` for every lie, never a receipt of either kind; then the truth, and it is accepted."""
    offset = [timedelta()]

    def clock() -> datetime:
        return datetime.now(UTC) + offset[0]

    begun = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
    server = Liar(clock=clock, stranger=DevPki.create(at=begun))
    pki = DevPki.create(at=begun, base_url=server.url)
    server.use(pki)
    lab = Lab.make(nursery, Template.make(tmp_path / "template", pki), tmp_path / "lab")
    lies = ("another certificate's", "another key's", "altered", "unsigned", "garbage")
    try:
        with server:
            lab.b.start()
            stranger = Stranger.of(lab)
            offset[0] = timedelta(days=9)  # what was kept has ended: B must ask
            lab.turn(offset[0])
            server.kept = _answer_for(pki, pki.issue(Role.EXCHANGE, Subject("Sở Mẫu B")), clock())
            message = stranger.message()
            for lie in lies:
                server.lie = lie
                asked = server.asked
                said = stranger.put(message)
                assert (said.status, said.problem) == (503, "trust-unavailable"), lie
                assert server.asked > asked, lie
                lab.turn(timedelta(minutes=6))
                offset[0] += timedelta(minutes=6)
            assert not lab.store(lab.b).rows("receipt")
            server.lie = ""
            stranger.settled(message)
    finally:
        lab.close()
    record_property("cases", len(lies) + 1)


def _answer_for(pki: DevPki, who: DevIdentity, at: datetime) -> bytes:
    """Return the authority's true answer about another certificate."""
    issuer = x509.load_der_x509_certificate(pki.issuing.certificate)
    asked = OCSPRequestBuilder().add_certificate(
        x509.load_der_x509_certificate(who.certificate), issuer, hashes.SHA256()
    )
    from cryptography.hazmat.primitives.serialization import Encoding as Form

    return pki.ocsp(asked.build().public_bytes(Form.DER), at=at)


def test_f15_keys_that_roll_with_dispatches_in_flight_succeed_by_overlap(lab: Lab, record_property: Record) -> None:
    """Seal key and request key of A, then the exchange key of B, are replaced while letters are under way."""
    lab.to_b.plan = always(Plan(cut_answer=50))
    lab.start()
    ids = [lab.submit() for _ in range(3)]
    lab.hasten(lambda: all(lab.state(one) == "unknown" for one in ids))
    new_a = _roll(lab, lab.a, A, ("exchange", "request"))
    ids += [lab.submit() for _ in range(2)]
    lab.to_b.plan = always(Plan())
    lab.hasten(partial(_delivered, lab, ids[:1]))
    lab.to_b.plan = always(Plan(refuse=True))
    ids += [lab.submit() for _ in range(2)]
    new_b = _roll(lab, lab.b, B, ("exchange",))
    lab.to_b.plan = always(Plan())
    ids.append(lab.submit())
    lab.hasten(partial(_delivered, lab, ids))
    lab.settle()
    lab.check()
    store, last = lab.store(lab.a), ids[-1]
    sealed = store.blob(str(store.one("SELECT sha256 FROM message WHERE message_id = ?", last)))
    receipt = store.one("SELECT data FROM receipt WHERE message_id = ?", last)
    assert sealed is not None
    assert _holds(sealed, new_a), "the seal is of the new key"
    assert isinstance(receipt, bytes)
    assert _holds(receipt, new_b), "and so is the receipt"
    record_property("cases", len(ids))


def _delivered(lab: Lab, ids: list[str]) -> bool:
    return all(lab.state(one) == "delivered" for one in ids)


def _roll(lab: Lab, node: LabNode, code: str, roles: tuple[str, ...]) -> DevIdentity:
    """Give an agency new keys beside the old ones: both offices know them, then its node uses them.

    Return the new exchange key.
    """
    now = datetime.now(UTC) + node.control.offset
    name = worlds.ORGANS[code]
    subject = Subject(name, organization=name, tax_number="0100000001")
    made = {role: lab.template.pki.issue(Role(role), subject) for role in roles}
    assert node.stop() == 0
    for each in lab.nodes:
        was_up = each.alive()
        if was_up:
            assert each.stop() == 0
        with Node.open(worlds.settings_of(each.home)) as opened:
            entry, proxy = opened.office.directory().get(code), lab.to_a if code == A else lab.to_b
            assert entry is not None
            more = tuple(_registered(role, identity) for role, identity in made.items())
            wider = replace(entry, certificates=(*entry.certificates, *more))
            opened.office.store.do(partial(directories.add, agency=wider, now=now, url=_url(proxy)))
            if each is node:
                for role, identity in made.items():
                    file = f"keys/{role}-2.pem"
                    (each.home / file).write_bytes(identity.pem)
                    key = KeyEntry(f"{role}-2", role, file, identity.credential.sha256, added_at=now)
                    opened.office.store.do(partial(directories.add_key, key=key))
        if was_up:
            each.start()
    node.start()
    lab.more_certificates.setdefault(code, []).append(made["exchange"].credential.sha256)
    return made["exchange"]


def _holds(signed: bytes, key: DevIdentity) -> bool:
    """Tell whether a signed file carries the certificate of a key."""
    return base64.b64encode(key.certificate) in b"".join(signed.split())


def _url(proxy: FaultProxy) -> str:
    return f"http://127.0.0.1:{proxy.port}/exchange/v1"


def _registered(role: str, identity: DevIdentity) -> AgencyCertificate:
    if role == "request":
        spki = identity.credential.public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return AgencyCertificate("request", spki, hashlib.sha256(spki).hexdigest())
    return AgencyCertificate(role, identity.certificate, identity.credential.sha256)
