"""XAdES properties of any writer: what is signed about signer and time, and the stamps (signing.md 5.3, W5, W6).

Versions 1.3.2 and 1.4.1 of the namespaces are read, with the first and the second form of the certificate reference.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from lxml import etree

from signer.judge import Stamp
from signer.report import Code, Reason
from signer.xml.c14n import FORMS, INCLUSIVE
from signer.xml.document import Document, NodeSet
from signer.xml.dsig import DIGESTS, DS, decode
from signer.xml.references import Evaluated, method_form
from signer.xml.xades import PROPERTIES_TYPE, XADES

STAMPS_MAX = 20
_X = f"{{{XADES}}}"
_SIGNED = f"{_X}SignedProperties/{_X}SignedSignatureProperties/"
_UNSIGNED = f"{_X}UnsignedProperties/{_X}UnsignedSignatureProperties/"


@dataclass(frozen=True, slots=True)
class CertificateReference:
    """Digest (name as in ``hashlib``) of a certificate that the signer named as its own."""

    digest: str
    value: bytes

    def names(self, certificate: bytes) -> bool:
        """Tell whether this is that certificate."""
        return hashlib.new(self.digest, certificate, usedforsecurity=False).digest() == self.value


@dataclass(frozen=True, slots=True)
class Properties:
    """What the signed properties say; ``present`` is false for plain XML-DSig."""

    present: bool = False
    signing_time: datetime | None = None
    certificate: CertificateReference | None = None
    reasons: tuple[Reason, ...] = ()
    element: etree._Element | None = None


def read_properties(signature: etree._Element, references: Sequence[Evaluated]) -> Properties:
    """Read the properties of a signature; W5: exactly one, its own, and signed as such."""
    own = signature.findall(f"{{{DS}}}Object/{_X}QualifyingProperties")
    typed = [r for r in references if (r.type or "").endswith("#SignedProperties")]
    everywhere = [e for e in signature.iter(f"{_X}QualifyingProperties") if _owner(e) is signature]
    if not everywhere and not typed:
        return Properties()
    qualifying = own[0] if len(own) == 1 else None
    signed = qualifying.findall(f"{_X}SignedProperties") if qualifying is not None else []
    if qualifying is None or len(everywhere) != 1 or len(signed) != 1:
        return Properties(True, reasons=_invalid("QualifyingProperties"))
    faults = _faults(signature, qualifying, signed[0], references, typed)
    reasons = _invalid(faults[0]) if faults else ()
    times = qualifying.findall(_SIGNED + f"{_X}SigningTime")
    time = _time(times[0].text or "") if len(times) == 1 else None
    policy = qualifying.find(_SIGNED + f"{_X}SignaturePolicyIdentifier/{_X}SignaturePolicyId")
    if policy is not None:
        named = policy.findtext(f"{_X}SigPolicyId/{_X}Identifier") or "-"
        reasons = (*reasons, Reason(Code.SIGNATURE_POLICY_NOT_AVAILABLE, {"policy": named}))
    try:
        certificate = _certificate(qualifying)
    except ValueError:
        return Properties(True, time, reasons=_invalid("SigningCertificate"), element=qualifying)
    return Properties(True, time, certificate, reasons, qualifying)


def _owner(element: etree._Element) -> etree._Element | None:
    return next(element.iterancestors(f"{{{DS}}}Signature"), None)


def _invalid(where: str) -> tuple[Reason, ...]:
    return (Reason(Code.FORMAT_FAILURE), Reason(Code.SIGNED_PROPERTIES_INVALID, {"where": where}))


def _faults(
    signature: etree._Element,
    qualifying: etree._Element,
    signed: etree._Element,
    references: Sequence[Evaluated],
    typed: Sequence[Evaluated],
) -> list[str]:
    found = []
    if qualifying.get("Target") != "#" + (signature.get("Id") or ""):
        found.append("Target")
    pointing = [r for r in references if r.target is not None and r.target.apex is signed]
    if len(typed) != 1 or pointing != list(typed) or typed[0].type != PROPERTIES_TYPE:
        found.append("reference to SignedProperties")
    names = {f"#{r.id}" for r in references if r.id}
    formats = signed.iterfind(f"{_X}SignedDataObjectProperties/{_X}DataObjectFormat")
    if any(one.get("ObjectReference") not in names for one in formats):
        found.append("DataObjectFormat")
    included = signed.iterfind(f"{_X}SignedDataObjectProperties/{_X}IndividualDataObjectsTimeStamp/{_X}Include")
    if any(one.get("URI") not in names for one in included):
        found.append("IndividualDataObjectsTimeStamp")
    return found


def _certificate(qualifying: etree._Element) -> CertificateReference | None:
    """Return the first certificate reference: the signer's own (EN 319 132-1, 5.2.2).

    Raises:
        ValueError: it cannot be read.
    """
    lists = [e for n in ("SigningCertificateV2", "SigningCertificate") for e in qualifying.findall(_SIGNED + _X + n)]
    if not lists:
        return None
    if len(lists) > 1:
        raise ValueError("two certificate references")
    first = lists[0].find(f"{_X}Cert/{_X}CertDigest")
    method = first.find(f"{{{DS}}}DigestMethod") if first is not None else None
    if first is None or method is None or method.get("Algorithm") not in DIGESTS:
        raise ValueError("certificate digest")
    return CertificateReference(
        DIGESTS[method.get("Algorithm", "")], decode(first.findtext(f"{{{DS}}}DigestValue") or "")
    )


def _time(text: str) -> datetime | None:
    """Read ``xs:dateTime``; a time without offset is taken as UTC, since a claimed time proves nothing anyway."""
    trimmed = re.sub(r"(\.\d{6})\d+", r"\1", text.strip())
    try:
        moment = datetime.fromisoformat(trimmed)
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def stamps(signature: etree._Element, properties: Properties, document: Document, *, id: str) -> tuple[Stamp, ...]:
    """Return the signature's time stamps with the octets they should be over: the canonical SignatureValue."""
    value = signature.find(f"{{{DS}}}SignatureValue")
    if properties.element is None or value is None:
        return ()
    found: list[Stamp] = []
    for element in properties.element.iterfind(_UNSIGNED + f"{_X}SignatureTimeStamp"):
        method = element.find(f"{{{DS}}}CanonicalizationMethod")
        form = FORMS[INCLUSIVE] if method is None else method_form(method)
        octets = document.octets(NodeSet(value), form) if form is not None else b""
        for token in element.iterfind(f"{_X}EncapsulatedTimeStamp"):
            try:
                der = decode(token.text or "")
            except ValueError:
                der = b""
            found.append(Stamp(f"{id}-timestamp-{len(found) + 1}", "signature", der, octets))
    return tuple(found[:STAMPS_MAX])


def embedded_certificates(properties: Properties) -> tuple[bytes, ...]:
    """Return the certificates in ``CertificateValues``; they are offered, not trusted."""
    if properties.element is None:
        return ()
    found = []
    path = _UNSIGNED + f"{_X}CertificateValues/{_X}EncapsulatedX509Certificate"
    for element in properties.element.iterfind(path):
        try:
            found.append(decode(element.text or ""))
        except ValueError:
            continue
    return tuple(found[:50])
