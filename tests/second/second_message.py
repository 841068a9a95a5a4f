"""Messages of the second implementation: edXML documents and status messages, sealed and read by the specification.

edxml.md 3, 5, 9, 13 for the file, exchange.md 2 and signing.md 5.4 for the seal. The layout is that of the examples of
edxml.md 14: indented, with the prefix ``edXML:`` inside the envelope.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from xml.sax.saxutils import escape

from lxml import etree

from tests.second.second_dsig import SEAL, Broken, Checked, Signer, b64, check, ds, parse, sign, stamp, unb64

EDXML = "http://www.mic.gov.vn/TBT/QCVN_102_2016"
SLIP = "urn:edoc:slip:1"
HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
VIETNAM = timezone(timedelta(hours=7))


@dataclass(frozen=True, slots=True)
class Organ:
    """An agency as a message names it."""

    code: str
    name: str
    address: str = "Số 1 phố Mẫu, tỉnh Thử Nghiệm"


@dataclass(frozen=True, slots=True)
class Letter:
    """A document to send."""

    sender: Organ
    recipients: tuple[Organ, ...]
    at: datetime
    number: str = "120"
    notation: str = "SMA-VP"
    priority: int = 0
    files: tuple[tuple[str, bytes], ...] = (("120-SMA-VP.pdf", b"%PDF-1.4\n%%EOF\n"),)

    @property
    def date(self) -> str:
        """The day of issue as edXML writes it."""
        return self.at.astimezone(VIETNAM).strftime("%Y/%m/%d")

    @property
    def document_id(self) -> str:
        """The identification of the document."""
        return f"{self.sender.code},{self.date},{self.number}/{self.notation}"


@dataclass(frozen=True, slots=True)
class Sealed:
    """A sealed message: its bytes and what the path and the headers need."""

    data: bytes
    message_id: str
    sender: str
    kind: str

    @property
    def sha256(self) -> bytes:
        """The identity of the bytes."""
        return hashlib.sha256(self.data).digest()


@dataclass(frozen=True, slots=True)
class Opened:
    """A message whose seal held: slip and header fields a receipt repeats."""

    slip: dict[str, str]
    seal: Checked
    document_id: str | None
    recipients: tuple[str, ...]
    attachments: tuple[tuple[str, bytes], ...] = field(default=())
    status: str | None = None


def _tag(name: str, *inner: str, prefix: str = "edXML:") -> str:
    content = "".join(inner)
    return f"<{prefix}{name}>{content}</{prefix}{name}>\n"


def _text(name: str, value: object, prefix: str = "edXML:") -> str:
    return _tag(name, escape(str(value)), prefix=prefix)


def _organ(role: str, organ: Organ) -> str:
    return _tag(role, _text("OrganId", organ.code), _text("OrganName", organ.name), _text("OrganAdd", organ.address))


def _file(header: str, rest: str = "", body: str = "") -> str:
    inner = f"<edXML:edXMLHeader>\n{header}</edXML:edXMLHeader>\n{body}"
    envelope = f'<edXML:edXMLEnvelope xmlns:edXML="{EDXML}">\n{inner}</edXML:edXMLEnvelope>\n'
    return f'<edXML xmlns="{EDXML}">\n{envelope}{rest}</edXML>'


def document(letter: Letter) -> str:
    """Return the unsealed edXML file of a document (edxml.md 5 to 7, strict writer)."""
    clock = letter.at.astimezone(VIETNAM).strftime("%Y/%m/%d %H:%M:%S")
    subject = "V/v thử nghiệm kết nối"
    header = _tag(
        "MessageHeader",
        _organ("From", letter.sender),
        *(_organ("To", one) for one in letter.recipients),
        _tag("Code", _text("CodeNumber", letter.number), _text("CodeNotation", letter.notation)),
        _tag("PromulgationInfo", _text("Place", "Thử Nghiệm"), _text("PromulgationDate", letter.date)),
        _tag("DocumentType", _text("Type", 2), _text("TypeName", "Công văn"), _text("TypeDetail", 18)),
        _text("Subject", subject),
        _text("Content", subject),
        _tag("OtherInfo", _text("Priority", letter.priority), _text("PageAmount", 1)),
        _text("SteeringType", 0),
        _text("DocumentId", letter.document_id),
    )
    staff = _tag("StaffInfo", _text("Department", "Văn thư"), _text("Staff", "Trần Thị Mẫu"))
    trace = _tag(
        "TraceHeaderList",
        _tag("TraceHeader", _text("OrganId", letter.sender.code), _text("Timestamp", clock)),
        _tag("Bussiness", _text("BussinessDocType", 0), _text("BussinessDocReason", "Mới"), staff, _text("Paper", 0)),
    )
    references, parts = _attachments(letter.files)
    manifest = f'<edXML:edXMLManifest version="1.0">\n{references}</edXML:edXMLManifest>\n'
    return _file(header + trace, parts, _tag("edXMLBody", manifest))


def _attachments(files: Sequence[tuple[str, bytes]]) -> tuple[str, str]:
    references, parts = "", ""
    for n, (name, data) in enumerate(files):
        content = f"cid:{uuid.uuid4()}"
        words = "Văn bản chính" if n == 0 else f"Phụ lục {n}"
        references += _tag(
            "Reference",
            _text("ContentId", content),
            _text("ContentType", "application/pdf"),
            _text("Description", words),
            _text("AttachmentName", name),
        )
        parts += _tag(
            "Attachment",
            _text("ContentId", content, ""),
            _text("AttachmentName", name, ""),
            _text("Description", words, ""),
            _text("ContentType", "application/pdf", ""),
            _text("ContentTransferEncoded", b64(data), ""),
            prefix="",
        )
    return references, _tag("AttachmentEncoded", parts, prefix="")


def status(letter: Letter, sender: Organ, *, code: str, at: datetime, text: str = "") -> str:
    """Return the unsealed status message about a letter, sent by one of its recipients (edxml.md 9)."""
    answered = _tag(
        "ResponseFor",
        _text("OrganId", letter.sender.code),
        _text("Code", f"{letter.number}/{letter.notation}"),
        _text("PromulgationDate", letter.date),
        _text("DocumentId", letter.document_id),
    )
    clock = at.astimezone(VIETNAM).strftime("%Y/%m/%d %H:%M:%S")
    words = [_text("Description", text)] if text else []
    return _file(
        _tag(
            "MessageHeader",
            _organ("From", sender),
            answered,
            _tag("StaffInfo", _text("Department", "Văn thư"), _text("Staff", "Lê Văn Mẫu")),
            _text("StatusCode", code),
            *words,
            _text("Timestamp", clock),
        )
    )


def seal(unsealed: str, sender: str, *, kind: str, signer: Signer, at: datetime, message_id: str = "") -> Sealed:
    """Seal an edXML file (signing.md 5.4) under a new id, or the one given."""
    message_id = message_id or str(uuid.uuid4())
    submitted = stamp(at)
    slip = etree.Element(f"{{{SLIP}}}Slip", nsmap={None: SLIP})
    for name, value in (("MessageId", message_id), ("Sender", sender), ("Kind", kind), ("SubmittedAt", submitted)):
        etree.SubElement(slip, f"{{{SLIP}}}{name}").text = value
    root = parse(unsealed.encode())
    sign(root, SEAL, signer, submitted, [slip])
    return Sealed(HEAD.encode() + etree.tostring(root, encoding="UTF-8"), message_id, sender, kind)


def open_sealed(data: bytes) -> Opened:
    """Check the seal of a message and read what a receipt repeats. Raises Broken; trust is the caller's question."""
    root = parse(data)
    if root.tag != f"{{{EDXML}}}edXML":
        raise Broken("root")
    checked = check(root, SEAL)
    slips = [one for one in root[-1].iterfind(ds("Object")) if one.get("Id") == "slip"]
    slip = {etree.QName(one).localname: one.text or "" for one in slips[0][0]}
    if slips[0][0].tag != f"{{{SLIP}}}Slip" or checked.signing_time != slip.get("SubmittedAt"):
        raise Broken("slip")
    header = root.find(f".//{{{EDXML}}}MessageHeader")
    if header is None or _read(header, "From/OrganId") != slip["Sender"]:
        raise Broken("sender of the slip")
    code = _read(header, "StatusCode")
    if slip.get("Kind") != ("edoc" if code is None else "status"):
        raise Broken("kind of the slip")
    kind = "ResponseFor" if code else "To"
    found = header.iterfind(f"{{{EDXML}}}{kind}/{{{EDXML}}}OrganId")
    document_id = _read(header, "ResponseFor/DocumentId" if code else "DocumentId")
    return Opened(slip, checked, document_id, tuple(one.text or "" for one in found), _decoded(root), code)


def _read(header: etree._Element, path: str) -> str | None:
    return header.findtext("/".join(f"{{{EDXML}}}{name}" for name in path.split("/")))


def _decoded(root: etree._Element) -> tuple[tuple[str, bytes], ...]:
    found = root.iterfind(f"{{{EDXML}}}AttachmentEncoded/{{{EDXML}}}Attachment")
    return tuple(
        (one.findtext(f"{{{EDXML}}}ContentId") or "", unb64(one.findtext(f"{{{EDXML}}}ContentTransferEncoded")))
        for one in found
    )
