"""One real node (H99.02) as a process, and around it the second implementation as all its partners."""

from __future__ import annotations

import hashlib
import sqlite3
import ssl
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
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
from tests.second.second_handler import ROOT, Seen
from tests.second.second_message import Letter, Organ, Sealed, document, seal
from tests.second.second_receipt import Issuer
from tests.second.second_server import SecondServer, Sender, exchange_key, request_key
from tests.second.second_wire import PublicKey, RequestKey, key_id
from transport.demo.offices import Office, environment, free_ports
from transport.node.node import Node
from transport.store import directory as directories

OURS = Organ("H99.02", "Sở Mẫu B")
THEIRS = Organ("H99.01", "Sở Mẫu A")
OTHERS = tuple(Organ(f"H99.{n}", f"Sở Mẫu {n}") for n in range(11, 30) if n != 27)
FETCHER = Organ("H99.27", "Sở Mẫu 27")
NEWCOMER = Organ("H99.30", "Sở Mẫu 30")
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
    """The node under test, the second implementation around it, and the keys of both.

    ``mute`` is another node of the second implementation, which never says ``100 Continue`` to the first request.
    """

    office: Office
    pki: DevPki
    server: SecondServer
    mute: SecondServer
    client: SecondClient
    signers: dict[str, Signer]
    request_keys: dict[str, RequestKey]
    channels: Channels

    def close(self) -> None:
        """End the node and both servers."""
        self.office.kill()
        self.server.close()
        self.mute.close()

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
        organs = tuple(one for one in (THEIRS, *OTHERS, FETCHER, NEWCOMER) if one.code in recipients)
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


WORDS = {
    "H99.11": "lose-reply",
    "H99.12": "pending:1",
    "H99.13": "refuse:wrong-addressee",
    "H99.14": "problem:recipient-moved",
    "H99.15": "foreign-receipt",
    "H99.16": "spoilt-receipt",
    "H99.17": "empty-201",
    "H99.18": "page-200",
    "H99.19": "proxy-page",
    "H99.20": "redirect",
    "H99.21": "strange-problem",
    "H99.22": "problem:overloaded",
    "H99.23": "problem:digest-mismatch",
    "H99.24": "problem:forbidden",
    "H99.25": "conflict",
    "H99.26": "problem:unknown-recipient",
}
WAITING = {"H99.20", "H99.24"}
"""Told to come later than a test can wait."""


@dataclass(frozen=True)
class Row:
    """One dispatch as the node's database has it."""

    state: str
    attempts: int
    exposed: bool
    by_receipt: bool
    problem: str | None
    wait_seconds: float


@dataclass(frozen=True)
class Campaign:
    """The letter, once every answer has had its effect."""

    ring: Ring
    message_id: str
    more: dict[str, str] = field(default_factory=dict)

    def row(self, code: str) -> Row:
        question = (
            "SELECT d.state, d.attempt, d.exposed, d.by_receipt, d.problem, (d.next_at - d.last_at) / 1000.0 "
            "FROM dispatch d JOIN message m ON m.id = d.message WHERE m.message_id = ? AND d.recipient = ?"
        )
        return Row(*self.ring.ask(question, self.message_id, code)[0])

    def calls(self, code: str, message_id: str = "") -> list[Seen]:
        """Return the requests about this message, or another, to one agency, in the order in which they came."""
        path = f"/to/{code}/from/{OURS.code}/{message_id or self.message_id}"
        found = [one for one in (*self.ring.server.seen, *self.ring.mute.seen) if path in one.path]
        return sorted(found, key=lambda one: one.at)  # one that is left without an answer is noted late

    def settled(self) -> bool:
        question = (
            "SELECT recipient, state, attempt FROM dispatch d JOIN message m ON m.id = d.message WHERE message_id = ?"
        )
        rows = self.ring.ask(question, self.message_id)
        return all(
            attempt > 0 and state in (("queued", "unknown") if code in WAITING else ("delivered", "refused"))
            for code, state, attempt in rows
        )


@pytest.fixture(scope="session", autouse=True)
def campaign(ring: Ring) -> Campaign:
    """Post the letter to all agencies at the very beginning, so that its pauses pass while other tests run."""
    ring.server.foreign = ring.client.send(ring.sealed()).data
    ring.server.script.update({code: deque([word]) for code, word in WORDS.items()})
    ring.server.script["H99.26"].append(WORDS["H99.26"])
    made = Campaign(ring, ring.queue(THEIRS.code, *WORDS))
    ring.server.script["H99.29"] = deque(["lose-reply"])
    made.more["mute"] = ring.queue("H99.28", number="131", size=100_000)
    made.more["large"] = ring.queue("H99.29", number="132", size=1_500_000)
    return made


@pytest.fixture(scope="session")
def ring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ring]:
    """Make the node's home, give it its partners, start it and the second server."""
    folder = tmp_path_factory.mktemp("second")
    made = make_ring(folder)
    made.office.start()
    yield made
    made.close()


@dataclass(frozen=True)
class Channels:
    """The files of TLS: the root, and certificate with key of our node, of the second server and of the client."""

    root: Path
    ours: Path
    server: Path
    client: Path

    def listening(self) -> ssl.SSLContext:
        """The context of the second server: it wants a certificate of the caller."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.server)
        context.load_verify_locations(self.root)
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    def asking(self, certificate: Path | None) -> ssl.SSLContext:
        """The context of the second client, with or without a certificate of its own."""
        context = ssl.create_default_context(cafile=str(self.root))
        if certificate is not None:
            context.load_cert_chain(certificate)
        return context


def make_channels(folder: Path, pki: DevPki) -> Channels:
    """Issue and write the certificates of the channel."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "root.pem").write_text(ssl.DER_cert_to_PEM_cert(pki.root.certificate))
    for name in ("ours", "server", "client"):
        made = pki.issue(Role.TLS, Subject(name, organization=name, dns=("localhost",)))
        chain = "".join(map(ssl.DER_cert_to_PEM_cert, (made.certificate, *made.chain)))
        (folder / f"{name}.pem").write_bytes(made.pem + chain.encode())
    return Channels(*(folder / f"{name}.pem" for name in ("root", "ours", "server", "client")))


def register(node: Node, code: str, certificate: Path) -> None:
    """Enter the client certificate of a partner's node."""
    entry = node.office.directory().get(code)
    assert entry is not None
    data = x509.load_pem_x509_certificate(certificate.read_bytes()).public_bytes(Encoding.DER)
    wider = (*entry.certificates, AgencyCertificate("tls", data, hashlib.sha256(data).hexdigest()))
    adding = partial(directories.add, agency=replace(entry, certificates=wider), now=datetime.now(UTC))
    node.office.store.do(adding)


def start(office: Office, *more: str) -> None:
    """Start ``edoc serve`` with further options and wait until it says that it is ready."""
    office.log = office.home.parent / f"{office.code}-serve.log"
    words = ["--json", "--home", str(office.home), "serve", "--port", str(office.port), *more]
    with office.log.open("a", encoding="utf-8") as errors:
        office.process = subprocess.Popen(
            [sys.executable, "-m", "edoc", *words], stdout=subprocess.PIPE, stderr=errors, text=True, env=environment()
        )
    assert office.process.stdout is not None
    line = office.process.stdout.readline()
    assert '"edoc.serve/1"' in line, office.log.read_text("utf-8")[-2000:]


def make_ring(folder: Path, *, secure: bool = False) -> Ring:
    """Make a node and the second implementation around it; the server listens, the node is not yet started.

    ``secure`` puts both behind TLS.
    """
    now = datetime.now(UTC)
    pki = DevPki.create(at=now.replace(microsecond=0) - timedelta(days=1))
    port, other, third = free_ports(3)
    place = "https://localhost" if secure else "http://127.0.0.1"
    urls = {OURS.code: f"{place}:{port}{ROOT}", THEIRS.code: f"{place}:{other}{ROOT}"}
    quiet = f"{place}:{third}{ROOT}"
    channels = make_channels(folder / "tls", pki)
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
        url = quiet if organ.code == "H99.28" else urls[THEIRS.code]
        adding = partial(directories.add, agency=agency, now=now, url=url)
        if organ is FETCHER:
            adding = partial(directories.add, agency=agency, now=now, delivery="pull")
        world.nodes[OURS.code].office.store.do(adding)
    if secure:
        trusting = partial(
            directories.add_anchor, certificate=pki.root.certificate, uses=["signers", "tsa", "transport"]
        )
        world.nodes[OURS.code].office.store.do(partial(trusting, subject="root", now=now))
        register(world.nodes[OURS.code], THEIRS.code, channels.client)
    world.close()
    certificates = frozenset({mine["exchange"].credential.sha256})
    sender = Sender(_public(mine["request"]), certificates)
    subject = Subject(NEWCOMER.name, organization=NEWCOMER.name, tax_number="0100000030")
    signers[NEWCOMER.code] = signer_of(pki.issue(Role.EXCHANGE, subject))
    everyone = (THEIRS, *OTHERS, FETCHER, NEWCOMER)
    issuers = {
        one.code: Issuer(one, "nut-hai", ORIGIN, signers[one.code], laid_out=one.code == "H99.21") for one in everyone
    }
    server = SecondServer(issuers, {OURS.code: sender}, request_keys[THEIRS.code])
    server.tls = channels.listening() if secure else None
    server.start(other)
    rolled = signer_of(
        pki.issue(Role.EXCHANGE, Subject(THEIRS.name, organization=THEIRS.name, tax_number="0100000001"))
    )
    signers["next"], request_keys["next"] = rolled, REQUEST_KEYS[""]()
    server.keys.extend(
        [
            exchange_key(THEIRS.code, signers[THEIRS.code], "active"),
            exchange_key(THEIRS.code, rolled, "next"),
            exchange_key(NEWCOMER.code, signers[NEWCOMER.code], "active"),
            request_key(request_keys[THEIRS.code].public_key(), "active"),
            request_key(request_keys["next"].public_key(), "next"),
        ]
    )
    mute = SecondServer({"H99.28": issuers["H99.28"]}, server.senders, server.key, script={"H99.28": deque(["mute"])})
    mute.tls = server.tls
    mute.start(third)
    toml = folder / OURS.code / "edoc.toml"
    toml.write_text(toml.read_text("utf-8") + '\n[exchange]\ndelivery = "pull"\nresumable_upload = true\n', "utf-8")
    partner = Partner(urls[OURS.code], OURS.code, certificates, sender.request_keys)
    tls = channels.asking(channels.client) if secure else None
    client = SecondClient(THEIRS.code, request_keys[THEIRS.code], partner, tls)
    office = Office(OURS.code, OURS.name, folder / OURS.code, port)
    return Ring(office, pki, server, mute, client, signers, request_keys, channels)
