"""One real node (H99.02) as a process, and around it the second implementation as all its partners."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from edoc.agencies import Agency, AgencyCertificate
from signer.credential import Role
from signer.devpki import DevIdentity, DevPki, Subject
from tests import world as worlds
from tests.second.second_client import Partner, SecondClient
from tests.second.second_dsig import Signer
from tests.second.second_handler import ROOT
from tests.second.second_message import Letter, Organ, Sealed, document, seal
from tests.second.second_receipt import Issuer
from tests.second.second_server import SecondServer, Sender
from tests.second.second_wire import PublicKey, RequestKey, key_id
from transport.demo.offices import Office, free_ports
from transport.node.node import Node
from transport.store import directory as directories

OURS = Organ("H99.02", "Sở Mẫu B")
THEIRS = Organ("H99.01", "Sở Mẫu A")
OTHERS = tuple(Organ(f"H99.{n}", f"Sở Mẫu {n}") for n in range(11, 27))
FETCHER = Organ("H99.27", "Sở Mẫu 27")
WITH_RSA = ("H99.12", "H99.13")
REQUEST_KEYS: dict[str, Callable[[], RequestKey]] = {
    "": lambda: ec.generate_private_key(ec.SECP256R1()),
    "H99.11": ed25519.Ed25519PrivateKey.generate,
    "H99.12": lambda: ec.generate_private_key(ec.SECP384R1()),
    "H99.13": lambda: rsa.generate_private_key(65537, 2048),
}
ORIGIN = "vb.h99-01.example/edoc-ledger/2026"


def signer_of(identity: DevIdentity) -> Signer:
    """Take key and certificates of a demonstration identity into the second implementation."""
    key = load_pem_private_key(identity.pem, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey)
    chain = tuple(x509.load_der_x509_certificate(one) for one in identity.chain)
    return Signer(key, x509.load_der_x509_certificate(identity.certificate), chain)


@dataclass(frozen=True)
class Ring:
    """The node under test, the second implementation around it, and the keys of both."""

    office: Office
    pki: DevPki
    server: SecondServer
    client: SecondClient
    signers: dict[str, Signer]
    request_keys: dict[str, RequestKey]

    def letter(self, number: str = "120", **more: object) -> Letter:
        """Return a letter from their agency to ours."""
        return Letter(THEIRS, (OURS,), datetime.now(UTC), number, **more)  # type: ignore[arg-type]  # fields of Letter

    def sealed(self, letter: Letter | None = None, *, message_id: str = "") -> Sealed:
        """Return a sealed letter to our node."""
        letter = letter or self.letter()
        signer = self.signers[letter.sender.code]
        return seal(
            document(letter), letter.sender.code, kind="edoc", signer=signer, at=letter.at, message_id=message_id
        )

    def client_of(self, code: str) -> SecondClient:
        """Return a client that speaks for another agency of the second implementation."""
        return replace(self.client, agency=code, key=self.request_keys[code])

    def ask(self, question: str, *values: object) -> list[tuple[Any, ...]]:
        """Ask the node's database with the standard library alone."""
        path = f"file:{self.office.home / 'edoc.db'}?mode=ro"
        with closing(sqlite3.connect(path, uri=True, timeout=10)) as connection:
            return [tuple(row) for row in connection.execute(question, values)]

    def queue(self, *recipients: str, number: str = "120", size: int = 0) -> str:
        """Queue a letter of our node to agencies of the second implementation; return the message id."""
        now = datetime.now(UTC)
        organs = tuple(one for one in (THEIRS, *OTHERS, FETCHER) if one.code in recipients)
        files = ((f"{number}.pdf", b"%PDF-1.4\n" + bytes(size) + b"\n%%EOF\n"),)
        data = document(Letter(OURS, organs, now, number, files=files)).encode()
        with Node.open(worlds.settings_of(self.office.home), need_exchange=True) as node:
            return node.send(data, now=now, allow_information_only=True).message_id


def _agency(organ: Organ, exchange: DevIdentity, request: PublicKey) -> Agency:
    spki = request.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    certificates = [
        AgencyCertificate(use="exchange", data=exchange.certificate, sha256=exchange.credential.sha256),
        AgencyCertificate(use="request", data=spki, sha256=hashlib.sha256(spki).hexdigest()),
    ]
    return Agency(code=organ.code, name=organ.name, address=organ.address, certificates=tuple(certificates))


def _request_key(identity: DevIdentity) -> RequestKey:
    key = load_pem_private_key(identity.pem, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def _public(identity: DevIdentity) -> dict[str, PublicKey]:
    key = _request_key(identity).public_key()
    return {key_id(key): key}


@pytest.fixture(scope="session")
def ring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ring]:
    """Make the node's home, give it its partners, start it and the second server."""
    folder = tmp_path_factory.mktemp("second")
    made = make_ring(folder)
    made.office.start()
    yield made
    made.office.kill()
    made.server.close()


def make_ring(folder: Path) -> Ring:
    """Make a node and the second implementation around it; the server listens, the node is not yet started."""
    now = datetime.now(UTC)
    pki = DevPki.create(at=now.replace(microsecond=0) - timedelta(days=1))
    port, other = free_ports(2)
    urls = {OURS.code: f"http://127.0.0.1:{port}{ROOT}", THEIRS.code: f"http://127.0.0.1:{other}{ROOT}"}
    world = worlds.build(folder, pki, now, urls=urls)
    mine, theirs = world.identities[OURS.code], world.identities[THEIRS.code]
    signers = {THEIRS.code: signer_of(theirs["exchange"])}
    request_keys = {THEIRS.code: _request_key(theirs["request"])}
    for organ in (*OTHERS, FETCHER):
        subject = Subject(organ.name, organization=organ.name, tax_number="0100000001")
        exchange = pki.issue(Role.EXCHANGE, subject, key_type="rsa2048" if organ.code in WITH_RSA else "p256")
        request = REQUEST_KEYS.get(organ.code, REQUEST_KEYS[""])()
        signers[organ.code], request_keys[organ.code] = signer_of(exchange), request
        agency = _agency(organ, exchange, request.public_key())
        adding = partial(directories.add, agency=agency, now=now, url=urls[THEIRS.code])
        if organ is FETCHER:
            adding = partial(directories.add, agency=agency, now=now, delivery="pull")
        world.nodes[OURS.code].office.store.do(adding)
    world.close()
    certificates = frozenset({mine["exchange"].credential.sha256})
    sender = Sender(_public(mine["request"]), certificates)
    everyone = (THEIRS, *OTHERS, FETCHER)
    issuers = {one.code: Issuer(one, "nut-hai", ORIGIN, signers[one.code]) for one in everyone}
    server = SecondServer(issuers, {OURS.code: sender}, request_keys[THEIRS.code])
    server.start(other)
    toml = folder / OURS.code / "edoc.toml"
    toml.write_text(toml.read_text("utf-8") + '\n[exchange]\ndelivery = "pull"\n', "utf-8")
    partner = Partner(urls[OURS.code], OURS.code, certificates, sender.request_keys)
    client = SecondClient(THEIRS.code, request_keys[THEIRS.code], partner)
    return Ring(Office(OURS.code, OURS.name, folder / OURS.code, port), pki, server, client, signers, request_keys)
