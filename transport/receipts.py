"""Receipts (biên nhận): issue, verify, and the file form for export (exchange.md 5).

Promises: :func:`verify` hands back a receipt only after the conditions of Q3 hold, in their order, and names the first
that fails by its reason of ledger.md 4.5. The form itself is ``transport.receiptform``. Pure: no network, disk, clock.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from lxml import etree

from signer.errors import NotVerified, SignerError
from signer.report import Integrity
from transport.errors import ReceiptInvalid
from transport.names import Key
from transport.receiptform import (
    ACCEPTANCE,
    EVENTS,
    MAX_BYTES,
    MEDIA_TYPE,
    NAMESPACE,
    POLICY,
    REJECTION,
    AttachmentDigest,
    Issuer,
    ReasonLine,
    Receipt,
    build,
    format_time,
    is_ours,
    octets_of,
    parse,
    parse_exact,
    parse_octets,
    read_time,
    read_with_octets,
    refuse_form,
    refuse_unless_exact,
    spelled,
)

if TYPE_CHECKING:
    from signer.credential import Credential
    from signer.report import Report
    from signer.timestamp import Timestamper
    from signer.trust import Context
    from signer.xml.profiles import VerifiedDeclaration

__all__ = [
    "ACCEPTANCE",
    "EVENTS",
    "MAX_BYTES",
    "MEDIA_TYPE",
    "NAMESPACE",
    "POLICY",
    "REJECTION",
    "AttachmentDigest",
    "Expected",
    "Issuer",
    "ProofText",
    "ReasonLine",
    "Receipt",
    "VerifiedReceipt",
    "build",
    "evidence_copy",
    "format_time",
    "issue",
    "parse",
    "parse_evidence_copy",
    "read_time",
    "verify",
]


@dataclass(frozen=True, slots=True)
class Expected:
    """What a receipt must be about: the dispatch, and the recipient's exchange certificates of the day (hex)."""

    key: Key
    size: int
    sha256: str
    certificates: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class VerifiedReceipt:
    """A receipt for which every condition of Q3 holds; ``findings`` names oddities that are no failure."""

    receipt: Receipt
    certificate: bytes  # DER
    report: Report
    findings: tuple[str, ...] = ()


def issue(receipt: Receipt, *, credential: Credential, timestamper: Timestamper | None = None) -> bytes:
    """Return the signed receipt: XAdES-B-T with a ``timestamper``, else B-B; SigningTime is ``issued_at``.

    Raises what ``signer.xml.profiles.sign_declaration`` raises, and ``ValueError`` when the result passes 128 KiB.
    """
    from signer.xml.profiles import sign_declaration_octets

    octets = octets_of(receipt)
    data = sign_declaration_octets(octets, credential=credential, at=receipt.issued_at, timestamper=timestamper)
    if parse_octets(data) != (receipt, octets):  # the writer must never make what the reader refuses
        raise ValueError("the receipt does not read back as it was written")
    return data


def verify(data: bytes, *, context: Context, expected: Expected) -> VerifiedReceipt:
    """Check the conditions of Q3 in their order and return what was verified.

    Raises ``ReceiptInvalid`` whose ``reason`` is the first condition that fails: ``receipt-form``,
    ``receipt-signature``, ``receipt-signer``, ``receipt-mismatch``, ``receipt-unknown``.
    """
    from signer.xml.profiles import verify_declaration

    try:
        declared = verify_declaration(data, context=context)
    except NotVerified as error:
        raise ReceiptInvalid(
            "EDOC-EXC-102",
            "the receipt's signature does not verify",
            "receipt-signature",
            verdict=str(error.report.verdict),
            receipt=parse(data).receipt_id,  # a form that is not exact comes first
        ) from error
    except SignerError as error:
        raise ReceiptInvalid(
            "EDOC-EXC-102",
            "the receipt's signature cannot be read",
            "receipt-signature",
            receipt=parse(data).receipt_id,
        ) from error
    receipt = _declared(data, declared)
    _check_stamps(declared.report)
    if declared.signing_time != receipt.issued_at:
        raise refuse_form("SigningTime differs from IssuedAt")
    _check_signer(declared.certificate, expected)
    _check_match(receipt, expected)
    if receipt.event not in EVENTS or receipt.policy != POLICY:
        raise ReceiptInvalid(
            "EDOC-EXC-105", "event or policy is unknown", "receipt-unknown", event=receipt.event, policy=receipt.policy
        )
    return VerifiedReceipt(receipt, declared.certificate, declared.report, _odd_times(receipt))


def _declared(data: bytes, declared: VerifiedDeclaration) -> Receipt:
    """Read what the signature covers. Of a file as our writer spells it, no more is to be known; others are parsed too.

    Raises ``ReceiptInvalid`` with reason ``receipt-form``.
    """
    try:
        receipt, octets = read_with_octets(declared.tree)
    except (ReceiptInvalid, etree.LxmlError):
        parse(data)
        raise
    if not is_ours(data, octets):
        parse(data)
    return receipt


# --- conditions of Q3 ------------------------------------------------------------------------------------------------


def _check_stamps(report: Report) -> None:
    """A time stamp we do not trust is a finding; a damaged one means that these are not the bytes that were issued."""
    stamps = [stamp for signature in report.signatures for stamp in signature.timestamps]
    if any(stamp.integrity is not Integrity.INTACT for stamp in stamps):
        raise ReceiptInvalid(
            "EDOC-EXC-102", "the receipt's time stamp is damaged", "receipt-signature", verdict="TIMESTAMP_INVALID"
        )


def _check_signer(certificate: bytes, expected: Expected) -> None:
    if sha256(certificate).hexdigest() not in expected.certificates:
        raise ReceiptInvalid(
            "EDOC-EXC-103",
            "the signing certificate is not bound to the recipient",
            "receipt-signer",
            recipient=expected.key.recipient,
        )


def _check_match(receipt: Receipt, expected: Expected) -> None:
    pairs = (
        ("Sender/OrganId", receipt.key.sender, expected.key.sender),
        ("Recipient/OrganId", receipt.key.recipient, expected.key.recipient),
        ("Issuer/OrganId", receipt.issuer.organ_id, expected.key.recipient),
        ("Message/MessageId", receipt.key.message_id, expected.key.message_id),
        ("Message/Size", receipt.size, expected.size),
        ("Message/Digest", receipt.sha256, expected.sha256),
    )
    for name, found, wanted in pairs:
        if found != wanted:
            raise ReceiptInvalid(
                "EDOC-EXC-104", "the receipt is about something else", "receipt-mismatch", field=name, found=found
            )


def _odd_times(receipt: Receipt) -> tuple[str, ...]:
    findings = []
    if receipt.received_at > receipt.issued_at:
        findings.append("received-after-issued")
    if receipt.submitted_at is not None and receipt.submitted_at > receipt.received_at:
        findings.append("submitted-after-received")
    return tuple(findings)


# --- file form for export --------------------------------------------------------------------------------------------

MAX_COPY_BYTES = 1024 * 1024
_HEX = re.compile(r"[0-9a-f]{64}")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,15}")


@dataclass(frozen=True, slots=True)
class ProofText:
    """The text of a ``.tlog-proof`` file and where it points: origin, index, leaf hash (hexadecimal)."""

    origin: str
    index: int
    leaf: str
    text: str

    def __post_init__(self) -> None:
        if self.index < 0 or _HEX.fullmatch(self.leaf) is None or not self.origin or len(self.origin) > 200:
            raise ValueError("a proof needs origin, index and leaf hash")
        if not self.text or any(char < " " and char != "\n" for char in self.text):
            raise ValueError("a proof is text whose only control character is LF")


def evidence_copy(receipt: bytes, proofs: Sequence[ProofText] = ()) -> bytes:
    """Return the unsigned ``EvidenceCopy`` file of a receipt's bytes and at most two ledger proofs.

    Raises ``ReceiptInvalid`` when ``receipt`` is not in the exact form, ``ValueError`` for more than two proofs.
    """
    parse(receipt)
    if len(proofs) > 2:
        raise ValueError("at most two ledger proofs: one of each log")
    root = etree.Element(f"{{{NAMESPACE}}}EvidenceCopy", {"Version": "1"}, nsmap={None: NAMESPACE})
    etree.SubElement(root, f"{{{NAMESPACE}}}Receipt").text = base64.b64encode(receipt).decode("ascii")
    for proof in proofs:
        leaf = base64.b64encode(bytes.fromhex(proof.leaf)).decode("ascii")
        facts = {"Origin": proof.origin, "Index": str(proof.index), "Leaf": leaf}
        etree.SubElement(root, f"{{{NAMESPACE}}}LedgerProof", facts).text = proof.text
    return spelled(root)


def parse_evidence_copy(data: bytes) -> tuple[bytes, tuple[ProofText, ...]]:
    """Return receipt bytes and proofs of an ``EvidenceCopy``; nothing in it counts before it is verified.

    Raises ``ReceiptInvalid`` with reason ``receipt-form`` unless :func:`evidence_copy` could have written it.
    """
    root = parse_exact(data, most=MAX_COPY_BYTES)
    try:
        if root.tag != f"{{{NAMESPACE}}}EvidenceCopy" or len(root) == 0:
            raise ValueError("the root is not EvidenceCopy")
        receipt = base64.b64decode(root[0].text or "", validate=True)
        proofs = tuple(_read_proof(element) for element in root[1:])
        again = evidence_copy(receipt, proofs)
    except (ValueError, binascii.Error) as error:
        raise refuse_form(f"evidence copy: {error}") from error
    refuse_unless_exact(root, etree.fromstring(again))
    return receipt, proofs


def _read_proof(element: etree._Element) -> ProofText:
    index = element.get("Index", "")
    if _NUMBER.fullmatch(index) is None:
        raise ValueError("Index is not a number as written")
    leaf = base64.b64decode(element.get("Leaf", ""), validate=True).hex()
    return ProofText(element.get("Origin", ""), int(index), leaf, element.text or "")
