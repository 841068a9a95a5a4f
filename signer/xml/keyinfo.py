"""KeyInfo only offers certificates and keys: it grants no trust, and nothing it names is fetched (signing.md 5.2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key
from lxml import etree

from signer.xml.dsig import DS, DS11, decode

CERTIFICATES_MAX = 50
_CURVES: dict[str, ec.EllipticCurve] = {
    "urn:oid:1.2.840.10045.3.1.7": ec.SECP256R1(),
    "urn:oid:1.3.132.0.34": ec.SECP384R1(),
    "urn:oid:1.3.132.0.35": ec.SECP521R1(),
}


@dataclass(frozen=True, slots=True)
class Offered:
    """Certificates (DER, in order) and bare public keys that a KeyInfo offers."""

    certificates: tuple[bytes, ...] = ()
    keys: tuple[object, ...] = ()


def offered(signature: etree._Element) -> Offered:
    """Read a signature's own KeyInfo; what cannot be read is left out."""
    infos = signature.findall(f"{{{DS}}}KeyInfo")
    if len(infos) != 1:
        return Offered()
    certificates = list(_certificates(infos[0]))
    return Offered(tuple(dict.fromkeys(certificates))[:CERTIFICATES_MAX], tuple(_keys(infos[0])))


def _certificates(info: etree._Element) -> Iterator[bytes]:
    for element in info.iterfind(f"{{{DS}}}X509Data/{{{DS}}}X509Certificate"):
        try:
            yield decode(element.text or "")
        except ValueError:
            continue


def _keys(info: etree._Element) -> Iterator[object]:
    for element in info.iterfind(f"{{{DS}}}KeyValue/{{{DS}}}RSAKeyValue"):
        try:
            modulus, exponent = (_number(element, name) for name in ("Modulus", "Exponent"))
            yield rsa.RSAPublicNumbers(exponent, modulus).public_key()
        except (ValueError, UnsupportedAlgorithm):
            continue
    for element in info.iterfind(f"{{{DS}}}KeyValue/{{{DS11}}}ECKeyValue"):
        try:
            curve = element.find(f"{{{DS11}}}NamedCurve")
            point = decode(element.findtext(f"{{{DS11}}}PublicKey") or "")
            name = curve.get("URI", "") if curve is not None else ""
            if name in _CURVES:
                yield ec.EllipticCurvePublicKey.from_encoded_point(_CURVES[name], point)
        except (ValueError, UnsupportedAlgorithm):
            continue
    for element in info.iterfind(f"{{{DS11}}}DEREncodedKeyValue"):
        try:
            yield load_der_public_key(decode(element.text or ""))
        except (ValueError, UnsupportedAlgorithm):
            continue


def _number(element: etree._Element, name: str) -> int:
    return int.from_bytes(decode(element.findtext(f"{{{DS}}}{name}") or ""))
