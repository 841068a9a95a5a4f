"""Receipts of the second implementation: written and verified by exchange.md 5 alone (Q3, Q4)."""

from __future__ import annotations

import hashlib
import re
import uuid
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives import hashes
from lxml import etree

from tests.second.second_dsig import (
    RECEIPT,
    SHA256,
    Broken,
    Checked,
    Signer,
    b64,
    check,
    ds,
    fingerprint,
    parse,
    sign,
    stamp,
    unb64,
)
from tests.second.second_message import Opened, Organ

NS = "urn:edoc:receipt:1"
POLICY = "urn:edoc:exchange-policy:1"
EVENT = "http://uri.etsi.org/19522/Event/"
ACCEPTED, REFUSED = EVENT + "RelayAcceptance", EVENT + "RelayRejection"
LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
MAX_BYTES = 128 * 1024
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\Z")
REASONS = frozenset(
    {
        *("not-edxml", "limits", "seal-missing", "seal-invalid", "seal-algorithm", "certificate-invalid"),
        *("seal-not-sender", "slip-mismatch", "wrong-addressee", "incomplete", "not-strict", "secret-content"),
    }
)


@dataclass(frozen=True, slots=True)
class Known:
    """What both sides know of a dispatch: K, and the bytes."""

    recipient: str
    sender: str
    message_id: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who gives receipts: agency, node, log, key; ``laid_out`` with line feeds, as in the page's example."""

    organ: Organ
    node: str
    origin: str
    signer: Signer
    laid_out: bool = False


@dataclass(frozen=True, slots=True)
class Receipt:
    """A verified receipt."""

    event: str
    receipt_id: str
    origin: str
    reasons: tuple[str, ...]
    received_at: str
    signature: Checked

    @property
    def accepted(self) -> bool:
        """Whether the message was taken."""
        return self.event == ACCEPTED


# --- writing ---------------------------------------------------------------------------------------------------------


def write(
    known: Known, opened: Opened | None, issuer: Issuer, *, at: datetime, reason: tuple[str, str] = ("", "")
) -> bytes:
    """Write and sign a receipt: an acceptance, or with ``reason`` (code, Vietnamese text) a refusal."""
    root = etree.Element(f"{{{NS}}}Receipt", {"Version": "1"}, nsmap={None: NS})
    _put(root, "ReceiptId", str(uuid.uuid4()))
    _put(root, "Event", REFUSED if reason[0] else ACCEPTED)
    _put(root, "Policy", POLICY)
    by = _put(root, "Issuer")
    for name, value in (("OrganId", issuer.organ.code), ("OrganName", issuer.organ.name), ("Node", issuer.node)):
        _put(by, name, value)
    _put(_put(root, "Sender"), "OrganId", known.sender)
    _put(_put(root, "Recipient"), "OrganId", known.recipient)
    _message(_put(root, "Message"), known, opened)
    _put(root, "ReceivedAt", stamp(at))
    _put(root, "IssuedAt", stamp(at))
    if reason[0]:
        _put(root, "Reason", reason[1], {"Code": reason[0], LANGUAGE: "vi"})
    _put(_put(root, "Ledger"), "Origin", issuer.origin)
    if issuer.laid_out:
        etree.indent(root, space="  ")
    sign(root, RECEIPT, issuer.signer, stamp(at))
    return etree.tostring(root, encoding="UTF-8", xml_declaration=False)


def _put(
    parent: etree._Element, name: str, text: str | None = None, more: dict[str, str] | None = None
) -> etree._Element:
    made = etree.SubElement(parent, f"{{{NS}}}{name}", more or {})
    made.text = text
    return made


def _message(message: etree._Element, known: Known, opened: Opened | None) -> None:
    _put(message, "MessageId", known.message_id)
    if opened is not None:
        _put(message, "Kind", opened.slip["Kind"])
        if opened.document_id:
            _put(message, "DocumentId", opened.document_id)
        _put(message, "SubmittedAt", opened.slip["SubmittedAt"])
    _put(message, "Size", str(len(known.data)))
    _put(message, "Digest", b64(hashlib.sha256(known.data).digest()), {"Algorithm": SHA256})
    if opened is not None:
        sealing = opened.seal.certificate.fingerprint(hashes.SHA256())
        _put(message, "SealCertificate", b64(sealing), {"Algorithm": SHA256})
        for name, data in opened.attachments:
            about = {"ContentId": name, "Size": str(len(data)), "Algorithm": SHA256}
            _put(message, "Attachment", b64(hashlib.sha256(data).digest()), about)


# --- checking --------------------------------------------------------------------------------------------------------

ORDER = re.compile(
    r"ReceiptId Event Policy Issuer Sender Recipient Message ReceivedAt IssuedAt (Reason ){0,20}Ledger Signature \Z"
)
PARTS = re.compile(
    r"MessageId (Kind )?(DocumentId )?(SubmittedAt )?Size Digest (SealCertificate )?(Attachment ){0,200}\Z"
)


def from_file(data: bytes) -> bytes:
    """Return the receipt in a file that went by hand: an EvidenceCopy, or the bytes themselves."""
    root = parse(data)
    if root.tag != f"{{{NS}}}EvidenceCopy":
        return data
    return unb64(_text(root, "Receipt"))


def copy(receipt: bytes) -> bytes:
    """Return the EvidenceCopy of a receipt, without proofs."""
    root = etree.Element(f"{{{NS}}}EvidenceCopy", {"Version": "1"}, nsmap={None: NS})
    _put(root, "Receipt", b64(receipt))
    return etree.tostring(root, encoding="UTF-8", xml_declaration=False)


def verify(data: bytes, known: Known, *, certificates: frozenset[str]) -> Receipt:
    """Check a receipt by Q3 for a dispatch of ours; ``certificates`` are the recipient's (SHA-256). Raises Broken."""
    if len(data) > MAX_BYTES:
        raise Broken("size of the receipt")
    root = parse(data)
    _form(root)
    signature = check(root, RECEIPT)
    if fingerprint(signature.certificate) not in certificates:
        raise Broken("not the recipient's certificate")
    _matches(root, known)
    event, reasons = _text(root, "Event"), tuple(one.get("Code") or "" for one in root.iterfind(f"{{{NS}}}Reason"))
    if event not in (ACCEPTED, REFUSED) or _text(root, "Policy") != POLICY:
        raise Broken("event or policy")
    if (event == REFUSED) != bool(reasons) or not set(reasons) <= REASONS:
        raise Broken("reasons")
    if _text(root, "IssuedAt") != signature.signing_time:
        raise Broken("IssuedAt is not SigningTime")
    origin = _text(root, "Ledger/Origin")
    return Receipt(event, _text(root, "ReceiptId"), origin, reasons, _text(root, "ReceivedAt"), signature)


def _form(root: etree._Element) -> None:
    if root.tag != f"{{{NS}}}Receipt" or dict(root.attrib) != {"Version": "1"}:
        raise Broken("root of the receipt")
    message = root.find(f"{{{NS}}}Message")
    if not ORDER.match(_names(root)) or message is None or not PARTS.match(_names(message)):
        raise Broken("order of the receipt")
    inner = {"Issuer": "OrganId OrganName Node ", "Sender": "OrganId ", "Recipient": "OrganId ", "Ledger": "Origin "}
    for name, names in inner.items():
        if _names(root.find(f"{{{NS}}}{name}")) != names:
            raise Broken(f"content of {name}")
    for one in root.iterdescendants():
        if str(one.tag).startswith(f"{{{NS}}}") and set(one.attrib) - _ATTRIBUTES.get(
            etree.QName(one).localname, set()
        ):
            raise Broken("unknown attribute")
    times = [root.findtext(f"{{{NS}}}{name}") or "" for name in ("ReceivedAt", "IssuedAt")]
    if not all(TIME.match(one) for one in times) or not UUID.match(_text(root, "ReceiptId")):
        raise Broken("times or id")


_ATTRIBUTES = {
    "Digest": {"Algorithm"},
    "SealCertificate": {"Algorithm"},
    "Attachment": {"ContentId", "Size", "Algorithm"},
    "Reason": {"Code", "Field", LANGUAGE},
}


def _names(parent: etree._Element | None) -> str:
    """Return the local names of the children, each with a space behind; another namespace or stray text shows."""
    if parent is None:
        return "missing"
    found = []
    for one in parent:
        known = str(one.tag).startswith(f"{{{NS}}}") or one.tag == ds("Signature")
        found.append(etree.QName(one).localname if known else "foreign")
        if (one.tail or "").strip():
            found.append("text")
    return "".join(f"{name} " for name in found)


def _text(root: etree._Element, path: str) -> str:
    return root.findtext("/".join(f"{{{NS}}}{name}" for name in path.split("/"))) or ""


def _matches(root: etree._Element, known: Known) -> None:
    wanted = {
        "Issuer/OrganId": known.recipient,
        "Recipient/OrganId": known.recipient,
        "Sender/OrganId": known.sender,
        "Message/MessageId": known.message_id,
        "Message/Size": str(len(known.data)),
    }
    for path, value in wanted.items():
        if _text(root, path) != value:
            raise Broken(f"{path} is of another dispatch")
    if unb64(_text(root, "Message/Digest")) != hashlib.sha256(known.data).digest():
        raise Broken("digest of another message")
