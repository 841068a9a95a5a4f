"""A receipt checked by a stranger: what exchange.md 5 says, with lxml, hashlib and cryptography alone.

Nothing of the product is imported here, so that a mistake of the product cannot hide behind itself. Checked are the
form as far as it is stated, the digests of the signature's references, the signature value, the certificate's binding
(by its SHA-256, which the caller knows from elsewhere) and that the receipt is about the message the caller holds.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Collection
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from lxml import etree

R = "{urn:edoc:receipt:1}"
DS = "{http://www.w3.org/2000/09/xmldsig#}"
EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
ENVELOPED = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
ECDSA = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"
RSA = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
PROPERTIES = "http://uri.etsi.org/01903#SignedProperties"
XADES = "{http://uri.etsi.org/01903/v1.3.2#}"
EVENT = "http://uri.etsi.org/19522/Event/"
POLICY = "urn:edoc:exchange-policy:1"
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z")


class NotAReceipt(Exception):
    """These bytes do not prove what they should; the text says why."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a receipt says, after its signature held."""

    receipt_id: str
    accepted: bool
    issuer: str
    sender: str
    recipient: str
    message_id: str
    size: int
    sha256: str
    received_at: str
    issued_at: str
    reasons: tuple[str, ...]
    origin: str
    certificate_sha256: str


def check(
    data: bytes,
    *,
    certificates: Collection[str],
    expected: tuple[str, str, str],
    size: int | None = None,
    sha256: str | None = None,
) -> Told:
    """Return what a receipt says if it holds; ``expected`` is sender, recipient, message id.

    Raises:
        NotAReceipt: the first condition of Q3 that fails.
    """
    told = read(data)
    certificate = verify_signature(data)
    if certificate not in certificates:
        raise NotAReceipt("signed by a certificate that is not the recipient's")
    told = Told(**{**{name: getattr(told, name) for name in Told.__slots__}, "certificate_sha256": certificate})
    if (told.sender, told.recipient, told.message_id) != expected or told.issuer != expected[1]:
        raise NotAReceipt("about another dispatch")
    if (size is not None and told.size != size) or (sha256 is not None and told.sha256 != sha256):
        raise NotAReceipt("about other bytes")
    return told


def read(data: bytes) -> Told:
    """Read a receipt; nothing in it counts before the signature holds."""
    if len(data) > 128 * 1024 or b"<!DOCTYPE" in data or b"<!--" in data:
        raise NotAReceipt("form")
    try:
        root = etree.fromstring(data, etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=False))
    except etree.XMLSyntaxError as error:
        raise NotAReceipt(f"not XML: {error}") from error
    if root.tag != f"{R}Receipt" or root.get("Version") != "1":
        raise NotAReceipt("not a receipt")
    order = [child.tag for child in root]
    names = ("ReceiptId", "Event", "Policy", "Issuer", "Sender", "Recipient", "Message", "ReceivedAt", "IssuedAt")
    reasons = [child for child in root if child.tag == f"{R}Reason"]
    wanted = [R + name for name in names] + [f"{R}Reason"] * len(reasons) + [f"{R}Ledger", f"{DS}Signature"]
    if order != wanted:
        raise NotAReceipt("order of elements")
    event = _text(root, "Event")
    if event not in (f"{EVENT}RelayAcceptance", f"{EVENT}RelayRejection") or _text(root, "Policy") != POLICY:
        raise NotAReceipt("event or policy unknown")
    accepted = event.endswith("Acceptance")
    if accepted == bool(reasons):
        raise NotAReceipt("reasons belong to refusals and to nothing else")
    digest = root.find(f"{R}Message/{R}Digest")
    if digest is None or digest.get("Algorithm") != SHA256:
        raise NotAReceipt("digest")
    times = _text(root, "ReceivedAt"), _text(root, "IssuedAt")
    if not all(_TIME.fullmatch(one) for one in times):
        raise NotAReceipt("form of a time")
    return Told(
        receipt_id=_text(root, "ReceiptId"),
        accepted=accepted,
        issuer=_text(root, "Issuer/OrganId"),
        sender=_text(root, "Sender/OrganId"),
        recipient=_text(root, "Recipient/OrganId"),
        message_id=_text(root, "Message/MessageId"),
        size=int(_text(root, "Message/Size")),
        sha256=base64.b64decode(digest.text or "", validate=True).hex(),
        received_at=times[0],
        issued_at=times[1],
        reasons=tuple(one.get("Code", "") for one in reasons),
        origin=_text(root, "Ledger/Origin"),
        certificate_sha256="",
    )


def verify_signature(data: bytes) -> str:
    """Check an enveloped XAdES signature and return the SHA-256 of the certificate that made it.

    Raises:
        NotAReceipt: a digest or the signature value does not hold, or an algorithm is none of ours.
    """
    root = etree.fromstring(data, etree.XMLParser(resolve_entities=False, no_network=True))
    signatures = root.findall(f"{DS}Signature")
    if len(signatures) != 1:
        raise NotAReceipt("one signature is wanted")
    signature = signatures[0]
    info = signature.find(f"{DS}SignedInfo")
    value = signature.findtext(f"{DS}SignatureValue")
    encoded = signature.findtext(f"{DS}KeyInfo/{DS}X509Data/{DS}X509Certificate")
    if info is None or value is None or encoded is None:
        raise NotAReceipt("parts of the signature are missing")
    _canonicalisation(info)
    signed = _canonical(info)  # before the tree is changed
    whole = properties = False
    for reference in info.findall(f"{DS}Reference"):
        algorithm = reference.find(f"{DS}DigestMethod")
        if algorithm is None or algorithm.get("Algorithm") != SHA256:
            raise NotAReceipt("digest method")
        if reference.get("Type") == PROPERTIES:
            identifier = (reference.get("URI") or "").removeprefix("#")
            found = [one for one in signature.iter(f"{XADES}SignedProperties") if one.get("Id") == identifier]
            properties = len(found) == 1 and _same(reference, _canonical(found[0]))
        elif reference.get("URI") == "":
            copy = etree.fromstring(data)
            mine = copy.find(f"{DS}Signature")
            assert mine is not None
            before = mine.getprevious()
            if mine.tail and before is not None:
                before.tail = (before.tail or "") + mine.tail
            copy.remove(mine)
            whole = _same(reference, _canonical(copy))
        else:
            raise NotAReceipt("a reference to something else")
    if not whole or not properties:
        raise NotAReceipt("a digest does not hold")
    der = base64.b64decode("".join(encoded.split()))
    _verify(info, der, signed, base64.b64decode("".join(value.split())))
    bound = [one.findtext(f"{XADES}CertDigest/{DS}DigestValue") for one in signature.iter(f"{XADES}Cert")]
    if base64.b64encode(hashlib.sha256(der).digest()).decode() not in bound:
        raise NotAReceipt("the signed certificate digest is of another certificate")
    return hashlib.sha256(der).hexdigest()


def _canonicalisation(info: etree._Element) -> None:
    method = info.find(f"{DS}CanonicalizationMethod")
    transforms = {one.get("Algorithm") for one in info.iter(f"{DS}Transform")}
    if method is None or method.get("Algorithm") != EXCLUSIVE or not transforms <= {EXCLUSIVE, ENVELOPED}:
        raise NotAReceipt("canonicalisation or transform")


def _verify(info: etree._Element, der: bytes, signed: bytes, value: bytes) -> None:
    method = info.find(f"{DS}SignatureMethod")
    name = None if method is None else method.get("Algorithm")
    key = x509.load_der_x509_certificate(der).public_key()
    try:
        if name == ECDSA and isinstance(key, ec.EllipticCurvePublicKey):
            half = len(value) // 2
            numbers = int.from_bytes(value[:half], "big"), int.from_bytes(value[half:], "big")
            key.verify(encode_dss_signature(*numbers), signed, ec.ECDSA(hashes.SHA256()))
        elif name == RSA and isinstance(key, rsa.RSAPublicKey) and key.key_size >= 2048:
            key.verify(value, signed, padding.PKCS1v15(), hashes.SHA256())
        else:
            raise NotAReceipt("algorithm")
    except InvalidSignature:
        raise NotAReceipt("the signature value does not hold") from None


def _canonical(element: etree._Element) -> bytes:
    return etree.tostring(element, method="c14n", exclusive=True, with_comments=False)


def _same(reference: etree._Element, data: bytes) -> bool:
    stated = base64.b64decode(reference.findtext(f"{DS}DigestValue") or "")
    return stated == hashlib.sha256(data).digest()


def _text(root: etree._Element, path: str) -> str:
    found = root.findtext("/".join(R + name for name in path.split("/")))
    if found is None:
        raise NotAReceipt(f"{path} is missing")
    return found
