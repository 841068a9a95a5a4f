"""KeyInfo only offers certificates and keys: it grants no trust, and nothing it names is fetched (signing.md 5.2).

A certificate that is only named (by issuer and serial number, subject, key identifier, digest or key name) is looked up
among those the caller gave. ``RetrievalMethod`` and ``KeyInfoReference`` are followed inside the file only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key
from lxml import etree

from signer import certificates
from signer.trust import Context
from signer.xml.document import Document, NodeSet, text_of
from signer.xml.dsig import DIGESTS, DS, DS11, MORE, decode
from signer.xml.keynames import same_name

CERTIFICATES_MAX = 50
KEYS_MAX = 10
PARTS_MAX = 100
"""Parts of a KeyInfo that are looked at, with those it refers to."""
_D, _D11 = f"{{{DS}}}", f"{{{DS11}}}"
RAW_CERTIFICATE = DS + "rawX509Certificate"

_CURVES: Mapping[str, ec.EllipticCurve] = {
    "1.2.840.10045.3.1.1": ec.SECP192R1(),
    "1.3.132.0.33": ec.SECP224R1(),
    "1.2.840.10045.3.1.7": ec.SECP256R1(),
    "1.3.132.0.34": ec.SECP384R1(),
    "1.3.132.0.35": ec.SECP521R1(),
    "1.3.132.0.10": ec.SECP256K1(),
    "1.3.36.3.3.2.8.1.1.7": ec.BrainpoolP256R1(),
    "1.3.36.3.3.2.8.1.1.11": ec.BrainpoolP384R1(),
    "1.3.36.3.3.2.8.1.1.13": ec.BrainpoolP512R1(),
}


@dataclass(frozen=True, slots=True)
class Offered:
    """Certificates (DER, in order), bare public keys and revocation lists that a KeyInfo offers.

    ``named`` are certificates the caller gave and the KeyInfo names.
    """

    certificates: tuple[bytes, ...] = ()
    keys: tuple[object, ...] = ()
    crls: tuple[bytes, ...] = ()
    named: tuple[bytes, ...] = ()


def offered(
    signature: etree._Element,
    *,
    document: Document | None = None,
    context: Context | None = None,
    content: Mapping[str, bytes] | None = None,
) -> Offered:
    """Read a signature's own KeyInfo; what cannot be read is left out."""
    infos = signature.findall(f"{_D}KeyInfo")
    if len(infos) != 1:
        return Offered()
    parts = list(islice(dict.fromkeys(_parts(infos[0], document)), PARTS_MAX))
    found = list(islice((der for part in parts for der in _certificates(part, document)), CERTIFICATES_MAX))
    found += _raw(infos[0], content or {})
    keys = list(islice((key for part in parts for key in _keys(part)), KEYS_MAX))
    crls = list(islice((der for part in parts for der in _binary(part, f"{_D}X509CRL", document)), CERTIFICATES_MAX))
    named: list[bytes] = []
    if context is not None and not found:
        known = (*context.trust.intermediates, *(anchor.certificate for anchor in context.trust.anchors))
        named = [der for der in known if any(_names(part, der) for part in parts)]
    return Offered(
        tuple(dict.fromkeys(found))[:CERTIFICATES_MAX],
        tuple(keys),
        tuple(crls),
        tuple(dict.fromkeys(named)),
    )


def given_keys(context: Context) -> tuple[object, ...]:
    """Return the public keys the caller gave, for signatures that bring none."""
    keys = []
    for der in context.public_keys[:CERTIFICATES_MAX]:
        try:
            keys.append(load_der_public_key(der))
        except (ValueError, UnsupportedAlgorithm):
            continue
    return tuple(keys)


def _parts(info: etree._Element, document: Document | None) -> Iterator[etree._Element]:
    """Yield the children of KeyInfo, and those that it refers to in the same file, once and no further."""
    for child in islice(info.iterchildren(etree.Element), PARTS_MAX):
        yield child
        if child.tag not in {f"{_D}RetrievalMethod", f"{_D11}KeyInfoReference"} or document is None:
            continue
        uri = child.get("URI", "")
        targets = document.ids.get(uri[1:], []) if uri.startswith("#") else []
        if len(targets) == 1 and child.find(f"{_D}Transforms") is None:
            yield from targets[0].iterchildren(etree.Element) if targets[0].tag == f"{_D}KeyInfo" else targets


def _raw(info: etree._Element, content: Mapping[str, bytes]) -> list[bytes]:
    """Return certificates outside the file that the caller gave under the exact name."""
    methods = info.iterfind(f"{_D}RetrievalMethod")
    return [content[m.get("URI", "-")] for m in methods if m.get("Type") == RAW_CERTIFICATE and m.get("URI") in content]


def _certificates(part: etree._Element, document: Document | None) -> Iterator[bytes]:
    if part.tag == f"{_D}X509Certificate":
        yield from _decoded((part,), document)
    yield from _binary(part, f"{_D}X509Certificate", document)


def _binary(part: etree._Element, tag: str, document: Document | None) -> Iterator[bytes]:
    if part.tag == f"{_D}X509Data":
        yield from _decoded(part.findall(tag), document)


def _decoded(elements: Sequence[etree._Element], document: Document | None) -> Iterator[bytes]:
    """Yield the octets of base64; a long text stands in the file alone, a word for it in the tree."""
    for element in elements:
        try:
            yield decode(document.text(NodeSet(element)) if document is not None else text_of(element))
        except ValueError:
            continue


# --- keys ------------------------------------------------------------------------------------------------------------


def _keys(part: etree._Element) -> Iterator[object]:
    """Yield the bare keys of a ``KeyValue`` (RSA, DSA, EC in both forms) or ``DEREncodedKeyValue``."""
    elements = part.iterchildren(etree.Element) if part.tag == f"{_D}KeyValue" else (part,)
    for element in elements:
        reader = _READERS.get(str(element.tag))
        if reader is None:
            continue
        try:
            key = reader(element)
        except (ValueError, UnsupportedAlgorithm):
            continue
        if key is not None:
            yield key


def _rsa(element: etree._Element) -> object:
    return rsa.RSAPublicNumbers(_number(element, "Exponent"), _number(element, "Modulus")).public_key()


def _dsa(element: etree._Element) -> object:
    p, q, g, y = (_number(element, name) for name in "PQGY")
    return dsa.DSAPublicNumbers(y, dsa.DSAParameterNumbers(p, q, g)).public_key()


def _ec(element: etree._Element) -> object | None:
    curve = _curve(element)
    point = decode(text_of(element.find(f"{_D11}PublicKey")))
    return ec.EllipticCurvePublicKey.from_encoded_point(curve, point) if curve is not None else None


def _curve(element: etree._Element) -> ec.EllipticCurve | None:
    """Return the curve by name, or by parameters: they must be those of a curve we know, by the order of its group.

    The base point is the known curve's, whatever is written: another one gives another key, which fits nothing.
    """
    named = element.find(f"{_D11}NamedCurve")
    if named is not None:
        return _CURVES.get(named.get("URI", "").removeprefix("urn:oid:"))
    order = element.find(f"{_D11}ECParameters/{_D11}Order")
    if order is None:
        order = element.find(f"{_D11}ECParameters/{_D11}Base/{_D11}Order")
    if order is None:
        return None
    text = "".join(text_of(order).split())
    wanted = int(text) if text.isdecimal() and len(text) < 200 else int.from_bytes(decode(text))
    return next((curve for curve in _CURVES.values() if curve.group_order == wanted), None)


def _ec_4050(element: etree._Element) -> object | None:
    """Read the older form (RFC 4050): the coordinates as numbers in attributes."""
    space = f"{{{MORE}}}"
    named = element.find(f"{space}DomainParameters/{space}NamedCurve")
    curve = _CURVES.get((named.get("URN") or "").removeprefix("urn:oid:")) if named is not None else None
    point = [element.find(f"{space}PublicKey/{space}{name}") for name in "XY"]
    if curve is None or point[0] is None or point[1] is None:
        return None
    x, y = (_decimal(one.get("Value", "")) for one in point if one is not None)
    return ec.EllipticCurvePublicNumbers(x, y, curve).public_key()


def _der(element: etree._Element) -> object:
    return load_der_public_key(decode(text_of(element)))


_READERS = {
    f"{_D}RSAKeyValue": _rsa,
    f"{_D}DSAKeyValue": _dsa,
    f"{_D11}ECKeyValue": _ec,
    f"{{{MORE}}}ECDSAKeyValue": _ec_4050,
    f"{_D11}DEREncodedKeyValue": _der,
}


def _number(element: etree._Element, name: str) -> int:
    return int.from_bytes(decode(text_of(element.find(f"{_D}{name}"))))


def _decimal(text: str) -> int:
    if not text.isdecimal() or len(text) > 200:
        raise ValueError("number")
    return int(text)


# --- certificates that are only named ---------------------------------------------------------------------------------


def _names(part: etree._Element, der: bytes) -> bool:
    """Tell whether a part of KeyInfo names a certificate."""
    try:
        certificate = certificates.certificate(der)
        if part.tag == f"{_D}KeyName":
            return same_name(text_of(part), certificate.subject) or text_of(part).strip() in _common_names(certificate)
        if part.tag != f"{_D}X509Data":
            return False
        return any(_names_in(element, certificate, der) for element in part.iterchildren(etree.Element))
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return False


def _names_in(element: etree._Element, certificate: x509.Certificate, der: bytes) -> bool:
    if element.tag == f"{_D}X509IssuerSerial":
        serial = text_of(element.find(f"{_D}X509SerialNumber")).strip()
        issuer = text_of(element.find(f"{_D}X509IssuerName"))
        return serial == str(certificate.serial_number) and same_name(issuer, certificate.issuer)
    if element.tag == f"{_D}X509SubjectName":
        return same_name(text_of(element), certificate.subject)
    if element.tag == f"{_D}X509SKI":
        found = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        return decode(text_of(element)) == found.value.digest
    if element.tag == f"{_D11}X509Digest" and element.get("Algorithm") in DIGESTS:
        name = DIGESTS[element.get("Algorithm", "")]
        return decode(text_of(element)) == hashlib.new(name, der, usedforsecurity=False).digest()
    return False


def _common_names(certificate: x509.Certificate) -> list[str]:
    return [str(a.value) for a in certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)]
