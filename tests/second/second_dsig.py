"""XML signatures of the exchange, read and written by the letter of signing.md 5.3 and 5.4 alone.

Nothing of the product is used here: ``lxml`` canonicalises, ``cryptography`` computes, the rest is in this file. Two
shapes exist: the seal of a message (three references) and the signature of a receipt (two); ``Shape`` names their IDs.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

DS = "http://www.w3.org/2000/09/xmldsig#"
XADES = "http://uri.etsi.org/01903/v1.3.2#"
EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
ENVELOPED = DS + "enveloped-signature"
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
ECDSA = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"
RSA = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
PSS = "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1"
OBJECT = DS + "Object"
PROPERTIES = "http://uri.etsi.org/01903#SignedProperties"

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class Broken(Exception):
    """A file is not what its profile says; the text names the rule."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The IDs a profile fixes: signature, prefix of the references, value, properties, further signed objects."""

    signature: str
    prefix: str
    objects: tuple[str, ...] = ()

    @property
    def references(self) -> tuple[tuple[str, str, str | None], ...]:
        """ID, URI and type of every reference, in order."""
        wanted: list[tuple[str, str | None]] = [("", None), *((f"#{name}", OBJECT) for name in self.objects)]
        wanted.append((f"#{self.prefix}-props", PROPERTIES))
        return tuple((f"{self.prefix}-ref-{n}", uri, kind) for n, (uri, kind) in enumerate(wanted, 1))


SEAL = Shape("seal", "seal", ("slip",))
RECEIPT = Shape("sig", "sig")


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key, its certificate and the certificates up to, without, the root."""

    key: PrivateKey
    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...] = ()

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate, as directories name it."""
        return fingerprint(self.certificate)


@dataclass(frozen=True, slots=True)
class Checked:
    """What a signature that holds says: by which certificate, when."""

    certificate: x509.Certificate
    signing_time: str


def ds(name: str) -> str:
    """Return a name of XML-DSig."""
    return f"{{{DS}}}{name}"


def xades(name: str) -> str:
    """Return a name of XAdES."""
    return f"{{{XADES}}}{name}"


def fingerprint(certificate: x509.Certificate) -> str:
    """Return the SHA-256 of a certificate as 64 digits."""
    return hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()


def b64(data: bytes) -> str:
    """Return base64 in one line."""
    return base64.b64encode(data).decode("ascii")


def unb64(text: str | None) -> bytes:
    """Read base64; line breaks are allowed. Raises Broken."""
    try:
        return base64.b64decode("".join((text or "").split()), validate=True)
    except (binascii.Error, ValueError):
        raise Broken("base64") from None


def stamp(moment: datetime) -> str:
    """Return a moment in UTC with milliseconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def parse(data: bytes) -> etree._Element:
    """Parse a profiled file: UTF-8, no DOCTYPE, comment or processing instruction. Raises Broken."""
    try:
        data.decode("utf-8")
        root = etree.fromstring(
            data, etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=True)
        )
    except (UnicodeDecodeError, etree.XMLSyntaxError):
        raise Broken("not XML in UTF-8") from None
    tree = root.getroottree()
    outside = root.getprevious() is not None or root.getnext() is not None
    if tree.docinfo.doctype or outside or any(not isinstance(one.tag, str) for one in root.iter()):
        raise Broken("DOCTYPE, comment or instruction")
    return root


def canonical(element: etree._Element) -> bytes:
    """Return the exclusive canonical form of an element, without comments."""
    return etree.tostring(element, method="c14n", exclusive=True, with_comments=False)


def without_signature(root: etree._Element) -> bytes:
    """Return the canonical document without its last child, which is the signature."""
    copy = deepcopy(root)
    last = copy[-1]
    if last.tail:
        raise Broken("text behind the signature")
    copy.remove(last)
    return canonical(copy)


# --- writing ---------------------------------------------------------------------------------------------------------


def sign(root: etree._Element, shape: Shape, signer: Signer, at: str, objects: Sequence[etree._Element] = ()) -> None:
    """Append a signature of this shape to the root; ``at`` is the claimed time, ``objects`` the signed objects."""
    signature = etree.SubElement(root, ds("Signature"), {"Id": shape.signature}, nsmap={"ds": DS})
    info = etree.SubElement(signature, ds("SignedInfo"))
    value = etree.SubElement(signature, ds("SignatureValue"), {"Id": f"{shape.prefix}-value"})
    _key_info(signature, signer)
    parts: dict[str, etree._Element] = {}
    for name, content in zip(shape.objects, objects, strict=True):
        parts[f"#{name}"] = etree.SubElement(signature, ds("Object"), {"Id": name})
        parts[f"#{name}"].append(content)
    parts[f"#{shape.prefix}-props"] = _properties(signature, shape, signer.certificate, at)
    etree.SubElement(info, ds("CanonicalizationMethod"), {"Algorithm": EXCLUSIVE})
    etree.SubElement(info, ds("SignatureMethod"), {"Algorithm": ECDSA if _is_ec(signer.key) else RSA})
    for name, uri, kind in shape.references:
        octets = canonical(parts[uri]) if uri else without_signature(root)
        _reference(info, name, uri, kind).text = b64(hashlib.sha256(octets).digest())
    value.text = b64(_compute(signer.key, canonical(info)))


def _is_ec(key: PrivateKey) -> bool:
    return isinstance(key, ec.EllipticCurvePrivateKey)


def _key_info(signature: etree._Element, signer: Signer) -> None:
    data = etree.SubElement(etree.SubElement(signature, ds("KeyInfo")), ds("X509Data"))
    for certificate in (signer.certificate, *signer.chain):
        etree.SubElement(data, ds("X509Certificate")).text = b64(certificate.public_bytes(Encoding.DER))


def _reference(info: etree._Element, name: str, uri: str, kind: str | None) -> etree._Element:
    reference = etree.SubElement(info, ds("Reference"), {"Id": name, "URI": uri, **({"Type": kind} if kind else {})})
    transforms = etree.SubElement(reference, ds("Transforms"))
    for algorithm in (EXCLUSIVE,) if uri else (ENVELOPED, EXCLUSIVE):
        etree.SubElement(transforms, ds("Transform"), {"Algorithm": algorithm})
    etree.SubElement(reference, ds("DigestMethod"), {"Algorithm": SHA256})
    return etree.SubElement(reference, ds("DigestValue"))


def _properties(signature: etree._Element, shape: Shape, certificate: x509.Certificate, at: str) -> etree._Element:
    holder = etree.SubElement(signature, ds("Object"))
    qualifying = etree.SubElement(
        holder, xades("QualifyingProperties"), {"Target": f"#{shape.signature}"}, nsmap={"xades": XADES}
    )
    signed = etree.SubElement(qualifying, xades("SignedProperties"), {"Id": f"{shape.prefix}-props"})
    about = etree.SubElement(signed, xades("SignedSignatureProperties"))
    etree.SubElement(about, xades("SigningTime")).text = at
    cert = etree.SubElement(etree.SubElement(about, xades("SigningCertificateV2")), xades("Cert"))
    digest = etree.SubElement(cert, xades("CertDigest"))
    etree.SubElement(digest, ds("DigestMethod"), {"Algorithm": SHA256})
    etree.SubElement(digest, ds("DigestValue")).text = b64(bytes.fromhex(fingerprint(certificate)))
    etree.SubElement(cert, xades("IssuerSerialV2")).text = b64(issuer_serial(certificate))
    data = etree.SubElement(signed, xades("SignedDataObjectProperties"))
    for name, _, kind in shape.references:
        if kind != PROPERTIES:
            entry = etree.SubElement(data, xades("DataObjectFormat"), {"ObjectReference": f"#{name}"})
            etree.SubElement(entry, xades("MimeType")).text = "text/xml"
    return signed


def issuer_serial(certificate: x509.Certificate) -> bytes:
    """Return the DER of IssuerSerial (RFC 5035): the issuer as a directory name, the serial number."""
    serial = certificate.serial_number
    number = serial.to_bytes(serial.bit_length() // 8 + 1, "big")
    names = _der(0x30, _der(0xA4, certificate.issuer.public_bytes()))
    return _der(0x30, names + _der(0x02, number))


def _der(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 128:
        return bytes([tag, length]) + content
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(size)]) + size + content


def _compute(key: PrivateKey, octets: bytes) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(octets, padding.PKCS1v15(), hashes.SHA256())
    size = (key.curve.key_size + 7) // 8
    r, s = decode_dss_signature(key.sign(octets, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")


# --- checking --------------------------------------------------------------------------------------------------------


def check(root: etree._Element, shape: Shape) -> Checked:
    """Check the one signature of a profiled file: form, references, value, certificate reference. Raises Broken."""
    signature = _the_signature(root, shape)
    ids = [
        value
        for one in root.iter()
        for name, value in one.attrib.items()
        if etree.QName(name).localname.lower() == "id"
    ]
    if len(ids) != len(set(ids)):
        raise Broken("an ID twice")
    info = _one(signature, ds("SignedInfo"))
    if _one(info, ds("CanonicalizationMethod")).get("Algorithm") != EXCLUSIVE:
        raise Broken("canonical form")
    _references(root, signature, info, shape)
    certificate = _certificate(signature)
    algorithm = _one(info, ds("SignatureMethod")).get("Algorithm") or ""
    value = unb64(_one(signature, ds("SignatureValue")).text)
    if not _holds(certificate, algorithm, value, canonical(info)):
        raise Broken("signature value")
    return Checked(certificate, _signing_time(signature, shape, certificate))


def _the_signature(root: etree._Element, shape: Shape) -> etree._Element:
    found = list(root.iter(ds("Signature")))
    if len(found) != 1 or len(root) == 0 or found[0] is not root[-1] or found[0].get("Id") != shape.signature:
        raise Broken("exactly one signature, last child of the root")
    return found[0]


def _one(parent: etree._Element, name: str) -> etree._Element:
    found = parent.findall(name)
    if len(found) != 1:
        raise Broken(f"{etree.QName(name).localname} not exactly once")
    return found[0]


def _references(root: etree._Element, signature: etree._Element, info: etree._Element, shape: Shape) -> None:
    found = info.findall(ds("Reference"))
    wanted = shape.references
    if [(one.get("Id"), one.get("URI"), one.get("Type")) for one in found] != list(wanted):
        raise Broken("references")
    for reference, (_, uri, _kind) in zip(found, wanted, strict=True):
        transforms = [one.get("Algorithm") for one in reference.iterfind(f"{ds('Transforms')}/{ds('Transform')}")]
        method = _one(reference, ds("DigestMethod")).get("Algorithm")
        if transforms != ([EXCLUSIVE] if uri else [ENVELOPED, EXCLUSIVE]) or method != SHA256:
            raise Broken("transforms or digest method")
        octets = canonical(_target(signature, uri)) if uri else without_signature(root)
        if hashlib.sha256(octets).digest() != unb64(_one(reference, ds("DigestValue")).text):
            raise Broken(f"digest of «{uri}»")


def _target(signature: etree._Element, uri: str) -> etree._Element:
    found = [one for one in signature.iter() if one.get("Id") == uri[1:]]
    if len(found) != 1:
        raise Broken(f"target of {uri}")
    return found[0]


def _certificate(signature: etree._Element) -> x509.Certificate:
    path = f"{ds('KeyInfo')}/{ds('X509Data')}/{ds('X509Certificate')}"
    leaf = signature.find(path)
    if leaf is None:
        raise Broken("no certificate")
    try:
        return x509.load_der_x509_certificate(unb64(leaf.text))
    except ValueError:
        raise Broken("certificate") from None


def _holds(certificate: x509.Certificate, algorithm: str, value: bytes, octets: bytes) -> bool:
    key = certificate.public_key()
    try:
        if isinstance(key, ec.EllipticCurvePublicKey) and algorithm == ECDSA:
            half = len(value) // 2
            pair = encode_dss_signature(int.from_bytes(value[:half], "big"), int.from_bytes(value[half:], "big"))
            key.verify(pair, octets, ec.ECDSA(hashes.SHA256()))
        elif isinstance(key, rsa.RSAPublicKey) and key.key_size >= 2048 and algorithm == RSA:
            key.verify(value, octets, padding.PKCS1v15(), hashes.SHA256())
        elif isinstance(key, rsa.RSAPublicKey) and key.key_size >= 2048 and algorithm == PSS:
            salted = padding.PSS(padding.MGF1(hashes.SHA256()), salt_length=32)
            key.verify(value, octets, salted, hashes.SHA256())
        else:
            raise Broken("algorithm")
    except InvalidSignature:
        return False
    return True


def _signing_time(signature: etree._Element, shape: Shape, certificate: x509.Certificate) -> str:
    qualifying = list(signature.iter(xades("QualifyingProperties")))
    if len(qualifying) != 1 or qualifying[0].get("Target") != f"#{shape.signature}":
        raise Broken("QualifyingProperties")
    signed = _one(qualifying[0], xades("SignedProperties"))
    about = _one(signed, xades("SignedSignatureProperties"))
    cert = _one(_one(about, xades("SigningCertificateV2")), xades("Cert"))
    digest = _one(_one(cert, xades("CertDigest")), ds("DigestValue"))
    if signed.get("Id") != f"{shape.prefix}-props" or unb64(digest.text).hex() != fingerprint(certificate):
        raise Broken("signed certificate is another one")
    return _one(about, xades("SigningTime")).text or ""
