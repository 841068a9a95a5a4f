"""One real node (H99.02) as a process, and around it the second implementation as all its partners."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
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

    def ask(self, question: str, *values: object) -> list[tuple[Any, ...]]:
        """Ask the node's database with the standard library alone."""
        path = f"file:{self.office.home / 'edoc.db'}?mode=ro"
        with closing(sqlite3.connect(path, uri=True, timeout=10)) as connection:
            return [tuple(row) for row in connection.execute(question, values)]

    def queue(self, *recipients: str, number: str = "120", size: int = 0) -> str:
        """Queue a letter of our node to agencies of the second implementation; return the message id."""
        now = datetime.now(UTC)
        organs = tuple(one for one in (THEIRS, *OTHERS) if one.code in recipients)
        files = ((f"{number}.pdf", b"%PDF-1.4\n" + bytes(size) + b"\n%%EOF\n"),)
        data = document(Letter(OURS, organs, now, number, files=files)).encode()
        with Node.open(worlds.settings_of(self.office.home), need_exchange=True) as node:
            return node.send(data, now=now, allow_information_only=True).message_id


def _agency(organ: Organ, exchange: DevIdentity, request: DevIdentity) -> Agency:
    certificates = [
        AgencyCertificate(use="exchange", data=exchange.certificate, sha256=exchange.credential.sha256),
        AgencyCertificate(use="request", data=spki(request), sha256=hashlib.sha256(spki(request)).hexdigest()),
    ]
    return Agency(code=organ.code, name=organ.name, address=organ.address, certificates=tuple(certificates))


def spki(identity: DevIdentity) -> bytes:
    """Return the public key of an identity."""
    public = identity.credential.public_key
    return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


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


def make_ring(folder: Path, *, settings: Callable[[Path], None] | None = None) -> Ring:
    """Make a node and the second implementation around it; the server listens, the node is not yet started."""
    now = datetime.now(UTC)
    pki = DevPki.create(at=now.replace(microsecond=0) - timedelta(days=1))
    port, other = free_ports(2)
    urls = {OURS.code: f"http://127.0.0.1:{port}{ROOT}", THEIRS.code: f"http://127.0.0.1:{other}{ROOT}"}
    world = worlds.build(folder, pki, now, urls=urls)
    mine, theirs = world.identities[OURS.code], world.identities[THEIRS.code]
    signers = {THEIRS.code: signer_of(theirs["exchange"])}
    request_keys = {THEIRS.code: _request_key(theirs["request"])}
    for organ in OTHERS:
        subject = Subject(organ.name, organization=organ.name, tax_number="0100000001")
        exchange, request = pki.issue(Role.EXCHANGE, subject), pki.issue(Role.REQUEST, subject)
        signers[organ.code], request_keys[organ.code] = signer_of(exchange), _request_key(request)
        adding = partial(directories.add, agency=_agency(organ, exchange, request), now=now, url=urls[THEIRS.code])
        world.nodes[OURS.code].office.store.do(adding)
    world.close()
    certificates = frozenset({mine["exchange"].credential.sha256})
    sender = Sender(_public(mine["request"]), certificates)
    issuers = {one.code: Issuer(one, "nut-hai", ORIGIN, signers[one.code]) for one in (THEIRS, *OTHERS)}
    server = SecondServer(issuers, {OURS.code: sender}, request_keys[THEIRS.code])
    server.start(other)
    if settings is not None:
        settings(folder / OURS.code)
    partner = Partner(urls[OURS.code], OURS.code, certificates, sender.request_keys)
    client = SecondClient(THEIRS.code, request_keys[THEIRS.code], partner)
    return Ring(Office(OURS.code, OURS.name, folder / OURS.code, port), pki, server, client, signers, request_keys)
