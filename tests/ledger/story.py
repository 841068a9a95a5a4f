"""The story of one letter, told by two logs in memory: sent, relayed, arrived, accepted, with real signatures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256

from edoc.agencies import Agency, AgencyCertificate, Directory
from edoc.documents import Attachment, Document, SignerInfo
from edoc.envelopes import Business, Envelope, Hop, Party, ResponseFor, StaffInfo, StatusMessage
from edoc.seal import SealedEnvelope, seal
from signer.credential import Role
from signer.devpki import DevIdentity, DevPki, Subject
from transport.dispatch import Key
from transport.evidence import EvidenceParts, LeafOpening
from transport.ledger import checkpoint, event, merkle, proof, statement
from transport.ledger.canonical import Json, dump
from transport.ledger.extract import LogExtract, ProvedLeaf
from transport.ledger.note import LogKey
from transport.receipts import ACCEPTANCE, AttachmentDigest, Issuer, Receipt, issue

MESSAGE = "6f1d2c9a-8f57-4f0e-b0a5-90d3c1b7e2f4"
STATUS_IDS = ("0b0c7f0e-3b0e-4a51-9a53-2f4c6d0b7a11", "0b0c7f0e-3b0e-4a51-9a53-2f4c6d0b7a12")
DOCUMENT = "H99.01,2026/11/19,120/SMA-VP"
SENT = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)
A, B = "H99.01", "H99.02"
ORIGINS = {A: "soa.example/edoc-ledger/2026", B: "sob.example/edoc-ledger/2026"}
NAMES = {A: "Sở Mẫu A", B: "Sở Mẫu B"}


@dataclass
class PaperLog:
    """A log in memory: leaves and a key."""

    key: LogKey
    leaves: list[bytes] = field(default_factory=list)

    def add(self, data: bytes) -> dict[str, Json]:
        """Append a leaf and return what the other side would note as its ``peer``."""
        self.leaves.append(data)
        leaf = merkle.leaf_hash(data).hex()
        return {"origin": self.key.origin, "index": len(self.leaves) - 1, "leaf": leaf}

    def checkpoint(self, size: int | None = None) -> str:
        """The signed head, or an older one."""
        hashes = [merkle.leaf_hash(data) for data in self.leaves[:size]]
        return self.key.sign_note(
            checkpoint.format(checkpoint.Checkpoint(self.key.origin, len(hashes), merkle.root_of(hashes)))
        )

    def proved(self, index: int, size: int | None = None) -> ProvedLeaf:
        """A leaf with its proof."""
        hashes = [merkle.leaf_hash(data) for data in self.leaves[:size]]
        data = self.leaves[index]
        text = proof.LogProof(index, merkle.inclusion_path(index, hashes), self.checkpoint(size), data)
        return ProvedLeaf(index, data, str(text))

    def extract(self, message: str) -> LogExtract:
        """Everything about a message."""
        found = [i for i, data in enumerate(self.leaves) if event.parse(data).text("msg") == message]
        return LogExtract(
            self.key.origin,
            len(self.leaves),
            self.checkpoint(),
            self.proved(0),
            tuple(self.proved(index) for index in found),
        )


@dataclass
class Office:
    """An agency with its keys, its log and its key statement."""

    code: str
    agency: DevIdentity
    exchange: DevIdentity
    log: PaperLog
    statement: bytes

    def previous(self, message: str, side: str) -> dict[str, event.Value]:
        """``prev`` for the next leaf of the message."""
        found = [leaf for data in self.log.leaves if (leaf := event.parse(data)).chain == (A, B, message, side)]
        return {"prev": found[-1].sha256} if found else {}


@dataclass
class Story:
    """Both offices and the bytes that passed between them."""

    a: Office
    b: Office
    sealed: SealedEnvelope
    evidence: tuple[bytes, ...]
    openings: tuple[LeafOpening, ...]
    directory: Directory

    def parts(self, *, peer: bool = True, own: str = A) -> EvidenceParts:
        """What an office packs."""
        mine, other = (self.a, self.b) if own == A else (self.b, self.a)
        return EvidenceParts(
            message_id=MESSAGE,
            own=mine.log.extract(MESSAGE),
            peer=(other.log.extract(MESSAGE),) if peer else (),
            envelope=self.sealed.data,
            evidence=self.evidence,
            statements=(mine.statement, other.statement) if peer else (mine.statement,),
            openings=self.openings if own == B or peer else (),
            directory=self.directory,
            software="edoc test",
        )


def letter() -> Envelope:
    """The letter: two attachments."""
    signer = SignerInfo("KT. GIÁM ĐỐC", "Phó Giám đốc", "Nguyễn Văn Mẫu")
    document = Document(
        "120",
        "SMA-VP",
        date(2026, 11, 19),
        "Công văn",
        "V/v thử nghiệm kết nối",
        place="Thử Nghiệm",
        signer=signer,
        pages=1,
        document_id=DOCUMENT,
    )
    attachments = (
        Attachment("120-SMA-VP.signed.pdf", b"%PDF-1.4\n%%EOF\n", "application/pdf", description="Văn bản chính"),
        Attachment("phu-luc.pdf", b"%PDF-1.4\nphu luc\n%%EOF\n", "application/pdf", description="Phụ lục"),
    )
    trace = (Hop(A, SENT),)
    business = Business(staff=StaffInfo("Văn thư", "Trần Thị Mẫu", email="vanthu@a.example"))
    sender, recipient = Party(A, NAMES[A], "Số 1 phố Mẫu", "vanthu@a.example"), Party(B, NAMES[B], "Số 2 phố Mẫu")
    return Envelope(sender, (recipient,), document, attachments, business, trace=trace)


def status(code: str, at: datetime) -> StatusMessage:
    """What B reports of the letter."""
    about = ResponseFor(A, "120/SMA-VP", date(2026, 11, 19), DOCUMENT)
    staff = StaffInfo("Văn thư", "Lê Văn Mẫu", email="vanthu@b.example")
    return StatusMessage(
        Party(B, NAMES[B], "Số 2 phố Mẫu", "vanthu@b.example"),
        about,
        code,
        description="đã đến",
        staff=staff,
        timestamp=at,
    )


def office(pki: DevPki, code: str, exchange: DevIdentity, seed: int) -> Office:
    """An office whose log was opened with its key statement."""
    name, key = NAMES[code], LogKey.from_seed(ORIGINS[code], bytes(range(seed, seed + 32)))
    agency = pki.issue(Role.AGENCY, Subject(name, organization=name, tax_number=f"010000000{seed % 9}"))
    year = (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC))
    entry = statement.LogEntry(key.origin, key.vkey, *year, f"https://{key.origin}/")
    issued = datetime(2026, 11, 1, tzinfo=UTC)
    stated = statement.sign(statement.Statement(1, issued, code, name, (entry,)), credential=agency.credential)
    log = PaperLog(key)
    facts: dict[str, event.Value] = {"at": issued, "auto": True, "reason": "first", "rtype": "statement"}
    log.add(event.build("log-opened", {**facts, "receipt": sha256(stated).hexdigest()}))
    filler: dict[str, event.Value] = {"at": issued, "auto": True, "action": "test", "result": "ok", "rtype": "record"}
    for number in range(seed):
        log.add(event.build("operation", {**filler, "receipt": sha256(bytes([number])).hexdigest()}))
    return Office(code, agency, exchange, log, stated)


def directory_of(*offices: Office) -> Directory:
    """Both agencies with their certificates."""
    agencies = []
    for one in offices:
        found = (("agency", one.agency), ("exchange", one.exchange))
        certificates = tuple(
            AgencyCertificate(use, item.certificate, sha256(item.certificate).hexdigest()) for use, item in found
        )
        agencies.append(Agency(one.code, NAMES[one.code], certificates=certificates))
    return Directory(tuple(agencies))


def tell(
    pki: DevPki, exchange_a: DevIdentity, exchange_b: DevIdentity, *, tweak: Mapping[str, bool] | None = None
) -> Story:
    """Let the letter travel. ``tweak`` names deliberate faults: ``late``, ``env``, ``unlawful``."""
    faults = tweak or {}
    a, b = office(pki, A, exchange_a, 0), office(pki, B, exchange_b, 3)
    sealed = seal(letter(), message_id=MESSAGE, credential=exchange_a.credential, at=SENT)
    files = event.file_fields([sha256(one.content).hexdigest() for one in letter().attachments])
    base: dict[str, event.Value] = {"msg": MESSAGE, "doc": DOCUMENT, "from": A, "to": B, "env": sealed.sha256}
    due = SENT + timedelta(hours=72)

    record = dump({"kind": "sent", "msg": MESSAGE, "env": sealed.sha256})
    sent: dict[str, event.Value] = {
        **base,
        **files,
        "class": "original",
        "prio": 0,
        "clock": SENT,
        "basis": "claimed",
        "due": due,
    }
    sent |= {"side": "s", "at": SENT, "auto": True, "receipt": sha256(record).hexdigest(), "rtype": "record"}
    pointer = a.log.add(event.build("sent", sent))

    received = SENT + timedelta(seconds=2)
    receipt = issue(_receipt(sealed, received), credential=exchange_b.credential)
    relayed: dict[str, event.Value] = {
        **base,
        **files,
        "side": "r",
        "at": received,
        "auto": True,
        "prio": 0,
        "due": due,
        "peer": pointer,
    }
    relayed |= {"receipt": sha256(receipt).hexdigest(), "rtype": "receipt"}
    if faults.get("env"):
        relayed["doc"] = DOCUMENT.replace("120", "121")
    pointer = b.log.add(event.build("relayed", relayed))
    settled: dict[str, event.Value] = {
        **base,
        "side": "s",
        "at": received,
        "auto": True,
        "peer": pointer,
        **a.previous(MESSAGE, "s"),
    }
    a.log.add(event.build("relayed", {**settled, "receipt": relayed["receipt"], "rtype": "receipt"}))

    evidence = [record, receipt]
    openings: list[LeafOpening] = []
    codes = ("02", "03") if faults.get("unlawful") else ("01", "03")
    for number, code in enumerate(codes):
        at = SENT + timedelta(minutes=number + 1)
        told = seal(status(code, at), message_id=STATUS_IDS[number], credential=exchange_b.credential, at=at)
        evidence.append(told.data)
        fields: dict[str, event.Value] = {**base, "status": code, "receipt": told.sha256, "rtype": "status", "at": at}
        kind = event.KIND_OF_STATUS[code]
        commitments, opened = event.commit_all({"actor": "Lê Văn Mẫu"})
        own: dict[str, event.Value] = {**fields, "auto": False, **commitments, "side": "r", **b.previous(MESSAGE, "r")}
        leaf = event.build(kind, own)
        pointer = b.log.add(leaf)
        openings += [LeafOpening(merkle.leaf_hash(leaf).hex(), one) for one in opened]
        a.log.add(event.build(kind, {**fields, "auto": True, "side": "s", "peer": pointer, **a.previous(MESSAGE, "s")}))
    return Story(a, b, sealed, tuple(evidence), tuple(openings), directory_of(a, b))


def _receipt(sealed: SealedEnvelope, received: datetime) -> Receipt:
    return Receipt(
        receipt_id="0b0c7f0e-3b0e-4a51-9a53-2f4c6d0b7a13",
        event=ACCEPTANCE,
        issuer=Issuer(B, NAMES[B], "nut-1"),
        key=Key(A, B, MESSAGE),
        size=sealed.size,
        sha256=sealed.sha256,
        received_at=received,
        issued_at=received,
        ledger_origin=ORIGINS[B],
        kind="edoc",
        document_id=DOCUMENT,
        submitted_at=sealed.slip.submitted_at,
        attachments=tuple(
            AttachmentDigest(one.content_id, len(one.content), sha256(one.content).hexdigest())
            for one in letter().attachments
        ),
    )
