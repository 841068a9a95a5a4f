"""Unsigned properties of XAdES in their order, and the validation data in each (EN 319 132-1, 5.3 to 5.5, Annex A).

Certificates, status answers and tokens are found by the local names that all versions of the namespaces share,
whichever property holds them: ``CertificateValues``, ``RevocationValues``, the values of attribute authorities,
``TimeStampValidationData``, ``AnyValidationData``. None of it is trusted for being there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lxml import etree

from signer import asn1
from signer.trust import TrustStore
from signer.xml.document import SIGNATURE, Document, NodeSet
from signer.xml.dsig import DIGESTS, DS, decode

ETSI = ("http://uri.etsi.org/01903/", "http://uri.etsi.org/19132/")
VALUES_MAX = 1000
"""Certificates, status answers and tokens read in one property."""

_CERTIFICATE, _CRL, _OCSP = "EncapsulatedX509Certificate", "EncapsulatedCRLValue", "EncapsulatedOCSPValue"
TOKEN = "EncapsulatedTimeStamp"  # noqa: S105  # an element's name
_KEYINFO_CERTIFICATE, _KEYINFO_CRL, _VALUE = f"{{{DS}}}X509Certificate", f"{{{DS}}}X509CRL", f"{{{DS}}}SignatureValue"


@dataclass(frozen=True, slots=True)
class Material:
    """Validation data found in one place, as DER; ``values`` are signature values in it."""

    certificates: tuple[bytes, ...] = ()
    crls: tuple[bytes, ...] = ()
    ocsps: tuple[bytes, ...] = ()
    tokens: tuple[bytes, ...] = ()
    values: tuple[bytes, ...] = ()

    @property
    def store(self) -> TrustStore:
        """The certificates and status answers."""
        return TrustStore(intermediates=self.certificates, crls=self.crls, ocsps=self.ocsps)

    def digests(self) -> Iterator[str]:
        """Yield the SHA-256 (hexadecimal) of everything here, and of what the tokens carry."""
        everything = [*self.certificates, *self.crls, *self.ocsps, *self.tokens, *self.values]
        for token in self.tokens:
            everything += inside(token)
        for data in dict.fromkeys(everything):
            yield hashlib.sha256(data).hexdigest()


def inside(token: bytes) -> list[bytes]:
    """Return certificates and status answers that a token carries; none if it cannot be read."""
    try:
        found = asn1.read_signed_data(token)
    except ValueError:
        return []
    return [*found.certificates, *found.crls, *found.ocsps]


def local(element: etree._Element) -> str:
    """Return the local name of an element of XAdES; ``""`` for one of another vocabulary."""
    name = etree.QName(element)
    return name.localname if (name.namespace or "").startswith(ETSI) else ""


def properties_of(qualifying: etree._Element) -> list[etree._Element]:
    """Return the unsigned signature properties in order, whatever version each is of."""
    space = f"{{{etree.QName(qualifying).namespace}}}"
    holders = qualifying.findall(f"{space}UnsignedProperties/{space}UnsignedSignatureProperties")
    return [child for holder in holders for child in holder.iterchildren(etree.Element)]


def material(elements: Iterable[etree._Element], document: Document, *, nested: bool = True) -> Material:
    """Collect validation data below elements; without ``nested`` not that of counter-signatures."""
    found: dict[str, list[bytes]] = {}
    for top in elements:
        for element in _below(top, nested=nested):
            kind = _kind(element)
            if kind is None or len(found.setdefault(kind, [])) >= VALUES_MAX:
                continue
            try:
                found[kind].append(octets_of(element, document))
            except ValueError:
                continue
    certificates = [*found.get(_CERTIFICATE, ()), *found.get(_KEYINFO_CERTIFICATE, ())]
    crls = [*found.get(_CRL, ()), *found.get(_KEYINFO_CRL, ())]
    return Material(
        tuple(dict.fromkeys(certificates)),
        tuple(dict.fromkeys(crls)),
        tuple(dict.fromkeys(found.get(_OCSP, ()))),
        tuple(dict.fromkeys(found.get(TOKEN, ()))),
        tuple(dict.fromkeys(found.get(_VALUE, ()))),
    )


def _below(top: etree._Element, *, nested: bool) -> Iterator[etree._Element]:
    if nested:
        yield from top.iter(etree.Element)
        return
    stack = [top]
    while stack:
        element = stack.pop()
        if element.tag == SIGNATURE:
            continue
        yield element
        stack += reversed(list(element.iterchildren(etree.Element)))


def _kind(element: etree._Element) -> str | None:
    if element.tag in {_KEYINFO_CERTIFICATE, _KEYINFO_CRL, _VALUE}:
        return str(element.tag)
    name = local(element)
    return name if name in {_CERTIFICATE, _CRL, _OCSP, TOKEN} else None


def octets_of(element: etree._Element, document: Document) -> bytes:
    """Decode an element's base64, long runs put back.

    Raises:
        ValueError: it is none.
    """
    return decode(document.text(NodeSet(element)))


def named_by(references: Iterable[etree._Element], held: Material) -> Iterator[str]:
    """Yield the SHA-256 of certificates and status answers that references name by digest, and prove with them."""
    wanted: dict[str, set[bytes]] = {}
    for top in references:
        for holder in top.iter(etree.Element):
            method, value = holder.find(f"{{{DS}}}DigestMethod"), holder.find(f"{{{DS}}}DigestValue")
            if method is None or value is None or method.get("Algorithm") not in DIGESTS:
                continue
            try:
                wanted.setdefault(DIGESTS[method.get("Algorithm", "")], set()).add(decode(value.text or ""))
            except ValueError:
                continue
    for data in (*held.certificates, *held.crls, *held.ocsps):
        if any(hashlib.new(name, data, usedforsecurity=False).digest() in of for name, of in wanted.items()):
            yield hashlib.sha256(data).hexdigest()
