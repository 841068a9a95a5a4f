"""Two offices in one process, with a clock one turns and a carrier that may fail: a simulator that behaves.

Real stores, real keys, real seals and receipts; only the wire between the offices is replaced. ``Wire.fault`` says
what happens to the next parcel: request or reply is lost, it arrives twice, a byte changes, the receipt is another's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from edoc.agencies import Agency, AgencyCertificate
from edoc.documents import Attachment, Document, SignerInfo, new_content_id
from edoc.envelopes import Business, Envelope, Party, StaffInfo
from edoc.seal import packed
from signer.credential import Role
from signer.devpki import DevIdentity, DevPki, Subject
from transport.courier import Parcel, Reply
from transport.errors import Problem
from transport.node.node import Node
from transport.node.opening import create
from transport.node.outgoing import Outgoing
from transport.node.receiving import answer_of
from transport.settings import Settings, load
from transport.store import directory as directories
from transport.store.values import DispatchView, KeyEntry
from transport.store.writer import Unit

ORGANS = {"H99.01": "Sở Mẫu A", "H99.02": "Sở Mẫu B"}


@dataclass
class Clock:
    """A clock that moves when told to."""

    now: datetime

    def turn(self, by: timedelta) -> datetime:
        """Move on and return the new moment."""
        self.now += by
        return self.now

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Wire:
    """Carries parcels straight into the other office, or fails as told: ``lose-request``, ``lose-reply``, ``twice``,
    ``flip-byte``, ``foreign-receipt``, ``silence``."""

    world: World
    fault: str | None = None
    carried: list[Parcel] = field(default_factory=list)

    def carry(self, parcel: Parcel) -> Reply:
        """One request, with the fault that is due."""
        fault, self.fault = self.fault, None
        self.carried.append(parcel)
        if fault == "lose-request":
            return Reply("unreachable")
        data = parcel.data
        if fault == "flip-byte":
            middle = len(data) // 2
            data = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
        reply = self._deliver(parcel, data)
        if fault == "twice":
            again = self._deliver(parcel, data)
            assert again.body == reply.body
            return again
        if fault == "lose-reply":
            return Reply("nothing", exposed=True)
        if fault == "foreign-receipt":
            return Reply("receipt", 201, self.world.some_receipt(), exposed=True)
        return reply

    def _deliver(self, parcel: Parcel, data: bytes) -> Reply:
        node, now = self.world.nodes[parcel.key.recipient], self.world.clock.now
        sha256 = hashlib.sha256(data).hexdigest()
        try:
            known = node.known(parcel.key)
            if known is not None and known.sha256 == sha256:
                answer = answer_of(known)
            elif known is not None:
                node.conflict(parcel.key, sha256=sha256, now=now)
                return Reply("problem", 409, problem="message-id-conflict", exposed=True)
            else:
                with node.busy(parcel.key):
                    answer = node.receive(parcel.key, data, sha256=sha256, received_at=now, peer=parcel.ledger, now=now)
        except Problem as problem:
            return Reply("problem", problem.status, problem=problem.name, exposed=True)
        return Reply("receipt", answer.status, answer.receipt, ledger=answer.ledger, exposed=True)


@dataclass
class World:
    """Two nodes, their keys, one clock and one wire."""

    clock: Clock
    pki: DevPki
    nodes: dict[str, Node]
    identities: Mapping[str, Mapping[str, DevIdentity]]
    wire: Wire = field(init=False)

    def __post_init__(self) -> None:
        self.wire = Wire(self)

    def close(self) -> None:
        """Close both nodes."""
        for node in self.nodes.values():
            node.close()

    def carry_once(self, sender: str) -> int:
        """Claim and carry what is due at one office; return how many parcels left."""
        outgoing = Outgoing(self.nodes[sender].office)
        claims = outgoing.claim(self.clock.now, "world", 10)
        for claim in claims:
            parcel = outgoing.parcel(claim, self.clock.now)
            if parcel is not None:
                outgoing.settle(claim, self.wire.carry(parcel), self.clock.now)
        return len(claims)

    def settle(self, *, rounds: int = 20) -> None:
        """Carry and follow at both offices until nothing is due; pauses of the back-off are waited for."""
        for _ in range(rounds):
            moved = sum(self.carry_once(code) for code in self.nodes)
            moved += sum(node.follow(now=self.clock.now) for node in self.nodes.values())
            if not moved:
                return
            self.clock.turn(timedelta(milliseconds=1))

    def dispatch(self, sender: str, message_id: str) -> DispatchView:
        """Return the one dispatch of a message."""
        found = self.nodes[sender].dispatches(message_id)
        assert len(found) == 1
        return found[0]

    def some_receipt(self) -> bytes:
        """Return a receipt that is about another message."""
        for node in self.nodes.values():
            row = node.office.store.read(
                lambda connection: connection.exec_driver_sql("SELECT data FROM receipt LIMIT 1").first()
            )
            if row is not None:
                return bytes(row[0])
        return b"<Receipt/>"


def build(
    folder: Path,
    pki: DevPki,
    now: datetime,
    *,
    urls: Mapping[str, str] | None = None,
    databases: Mapping[str, str] | None = None,
) -> World:
    """Make two offices that know each other, with open ledgers; ``urls`` where real processes will answer.

    ``databases`` are addresses of empty databases by agency; without, each has a SQLite file.
    """
    identities = {code: _identities(pki, name) for code, name in ORGANS.items()}
    made = Making(
        folder,
        pki,
        identities,
        now,
        urls or {code: f"https://{code}.example/exchange/v1" for code in ORGANS},
        databases or {},
    )
    return World(Clock(now), pki, {code: _node(made, code) for code in ORGANS}, identities)


@dataclass(frozen=True)
class Making:
    """What the offices of a world are made from."""

    folder: Path
    pki: DevPki
    identities: Mapping[str, Mapping[str, DevIdentity]]
    now: datetime
    urls: Mapping[str, str]
    databases: Mapping[str, str]


def _identities(pki: DevPki, name: str) -> dict[str, DevIdentity]:
    subject = Subject(name, organization=name, tax_number="0100000001")
    person = Subject("Nguyễn Văn Mẫu", organization=name, title="Phó Giám đốc")
    return {
        "exchange": pki.issue(Role.EXCHANGE, subject),
        "agency": pki.issue(Role.AGENCY, subject),
        "person": pki.issue(Role.PERSON, person),
        "request": pki.issue(Role.REQUEST, subject),
    }


def settings_of(home: Path, database: str | None = None) -> Settings:
    """Load the settings of a home, with nothing of the environment; a new home may be given its database."""
    return load(home=home, config=None, environ={}, overrides={"database.url": database} if database else {})


def _node(made: Making, code: str) -> Node:
    home, now = made.folder / code, made.now
    home.parent.mkdir(parents=True, exist_ok=True)
    host = code.lower().replace(".", "-") + ".example"
    create(settings_of(home, made.databases.get(code)), code=code, name=ORGANS[code], host=host, now=now)
    settings = (home / "edoc.toml").read_text("utf-8")
    (home / "edoc.toml").write_text(f"demo = true\n{settings}\n[limits]\ndisk_reserve_bytes = 0\n", "utf-8")
    node = Node.open(settings_of(home))
    for role, name in (("exchange", "trao-doi"), ("request", "yeu-cau")):
        key = made.identities[code][role]
        (home / "keys" / f"{name}.pem").write_bytes(key.pem)
        entry = KeyEntry(name, role, f"keys/{name}.pem", key.credential.sha256, added_at=now)
        node.office.store.do(partial(directories.add_key, key=entry))
    for other in made.identities:
        node.office.store.do(_adding(made, other))
    anchor = partial(directories.add_anchor, certificate=made.pki.root.certificate, uses=["signers", "tsa"])
    node.office.store.do(partial(anchor, subject="root", now=now))
    node.office.store.do(partial(_statuses, pki=made.pki, now=now))
    node.close()
    node = Node.open(settings_of(home), need_exchange=True)
    node.open_log(now=now)
    return node


def _statuses(unit: Unit, pki: DevPki, now: datetime) -> None:
    for crl in (pki.crl(at=now), pki.root_crl(at=now)):
        directories.keep_revocation(unit, "crl", crl, fetched_at=now, next_update=None)


def _adding(made: Making, code: str) -> Callable[[Unit], None]:
    mine = made.identities[code]
    certificates = [
        AgencyCertificate(use=use, data=mine[use].certificate, sha256=mine[use].credential.sha256)
        for use in ("exchange", "agency")
    ]
    spki = mine["request"].credential.public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    certificates.append(AgencyCertificate(use="request", data=spki, sha256=hashlib.sha256(spki).hexdigest()))
    entry = Agency(code=code, name=ORGANS[code], address="Số 1 phố Mẫu", certificates=tuple(certificates))
    return partial(directories.add, agency=entry, now=made.now, url=made.urls[code])


def letter(
    number: str = "120",
    *,
    content: bytes = b"%PDF-1.4\n%%EOF\n",
    priority: int = 0,
    name: str = "120-SMA-VP.pdf",
    at: datetime,
) -> bytes:
    """Return a packed document from A to B; the content is not signed unless given so."""
    document = Document(
        number=number,
        notation="SMA-VP",
        date=at.date(),
        type_name="Công văn",
        subject="V/v thử nghiệm kết nối",
        signer=SignerInfo("KT. GIÁM ĐỐC", "Phó Giám đốc", "Nguyễn Văn Mẫu"),
        priority=priority,
        place="Thử Nghiệm",
    )
    sender, recipient = (Party(code, title, address="Số 1 phố Mẫu") for code, title in ORGANS.items())
    attachment = Attachment(name, content, "application/pdf", "Văn bản chính", new_content_id())
    staff = StaffInfo("Văn thư", "Trần Thị Mẫu", "", "vanthu@a.example")
    return packed(Envelope(sender, (recipient,), document, (attachment,), Business(staff=staff)), at=at)
