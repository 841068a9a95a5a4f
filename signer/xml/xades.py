"""XAdES as we write it (signing.md 5.3; EN 319 132-1): one writer, and what a reader takes out of such a signature.

The writer makes the text of a ``ds:Signature`` in exclusive canonical form, without white space between elements. The
profiles accept exactly what the writer makes: they take the values out, write anew and compare (signing.md 5.4).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from html import escape

from lxml import etree

from signer.algorithms import Scheme
from signer.asn1 import issuer_name
from signer.certificates import certificate as read_certificate
from signer.credential import Credential
from signer.timestamp import Timestamper, obtain
from signer.xml.c14n import EXCLUSIVE, canonical
from signer.xml.dsig import DIGEST_URIS, DS, decode_exact, encode, method_uri, raw_value
from signer.xml.quick import document_octets

XADES = "http://uri.etsi.org/01903/v1.3.2#"
XADES141 = "http://uri.etsi.org/01903/v1.4.1#"
PROPERTIES_TYPE = "http://uri.etsi.org/01903#SignedProperties"
TOKENS_MAX = 8
"""Time stamps read in one signature of a profile; we write one."""

FILTER2 = "http://www.w3.org/2002/06/xmldsig-filter2"
WITHOUT_SIGNATURES = (
    f'<ds:Transform Algorithm="{FILTER2}"><XPath xmlns="{FILTER2}" Filter="subtract">/descendant::ds:Signature</XPath>'
    "</ds:Transform>"
)
"""The filter 2.0 transform that leaves every signature out, so that parallel signatures can follow (signing.md 5.4)."""

_TIME = re.compile(r"(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})\.(\d{3})Z", re.ASCII)
_NS = {"ds": DS, "xades": XADES}


@dataclass(frozen=True, slots=True)
class ReferenceLayout:
    """A reference to an object: its ``Id``, ``URI``, ``Type``, transforms and the media type of the object.

    A transform is an identifier, or the canonical text of a whole ``ds:Transform``.
    """

    id: str
    uri: str
    transforms: tuple[str, ...] = (EXCLUSIVE,)
    type: str | None = None
    mime: str = "text/xml"
    digest: bytes = b""


@dataclass(frozen=True, slots=True)
class Layout:
    """Names in a signature, and its references to objects, in order; the one to ``SignedProperties`` comes last."""

    id: str
    value_id: str
    properties_id: str
    properties_reference_id: str
    references: tuple[ReferenceLayout, ...]
    objects: str = ""  # canonical text of further ds:Object elements
    objects_exact: bool = False  # that text is one object, surely canonical: its writer knows no other form
    objects_last: bool = False  # they stand behind the one of the properties: another writer's order
    digest: str = "sha256"
    about_signer: str = ""  # canonical text of further signed properties: of the signer
    about_data: str = ""  # and of the data


@dataclass(frozen=True, slots=True)
class Values:
    """What varies between two signatures of one layout."""

    method: str
    digests: tuple[bytes, ...]  # of the references, SignedProperties last
    value: bytes
    certificates: tuple[bytes, ...]  # leaf first
    signing_time: str
    certificate_digest: bytes
    issuer_serial: bytes
    tokens: tuple[bytes, ...] = field(default=())


def format_time(moment: datetime) -> str:
    """Return a moment as ``xs:dateTime`` in UTC with milliseconds, which are cut, not rounded.

    Raises:
        ValueError: the moment has no offset.
    """
    if moment.tzinfo is None:
        raise ValueError("times need an offset")
    utc = moment.astimezone(UTC)
    day, time = f"{utc.year:04}-{utc.month:02}-{utc.day:02}", f"{utc.hour:02}:{utc.minute:02}:{utc.second:02}"
    return f"{day}T{time}.{utc.microsecond // 1000:03}Z"


def read_time(text: str) -> datetime:
    """Read a time that ``format_time`` wrote.

    Raises:
        ValueError: any other form.
    """
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError("not a time as it is written")
    year, month, day, hour, minute, second, milliseconds = map(int, found.groups())
    if not 1000 <= year <= 9998:  # others are somebody's fault, and days of other zones could not be told of them
        raise ValueError("not a year in which anything is signed")
    return datetime(year, month, day, hour, minute, second, milliseconds * 1000, tzinfo=UTC)


@lru_cache(maxsize=512)
def issuer_serial(certificate: bytes) -> bytes:
    """Return ``IssuerSerial`` (RFC 5035, DER) of a certificate.

    Raises:
        ValueError: the certificate cannot be read.
    """
    serial = read_certificate(certificate).serial_number
    number = serial.to_bytes(serial.bit_length() // 8 + 1, signed=True)
    general_names = _der(0x30, _der(0xA4, issuer_name(certificate)))
    return _der(0x30, general_names + _der(0x02, number))


def _der(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 128:
        return bytes((tag, size)) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes((tag, 0x80 | len(octets))) + octets + content


# --- writing ---------------------------------------------------------------------------------------------------------


def signature_text(layout: Layout, values: Values) -> str:
    """Return the whole ``ds:Signature`` in exclusive canonical form."""
    certificates = "".join(f"<ds:X509Certificate>{encode(der)}</ds:X509Certificate>" for der in values.certificates)
    objects = (layout.objects, f"<ds:Object>{_qualifying(layout, values)}</ds:Object>")
    return (
        f'<ds:Signature xmlns:ds="{DS}" Id="{layout.id}">{_signed_info(layout, values)}'
        f'<ds:SignatureValue Id="{layout.value_id}">{encode(values.value)}</ds:SignatureValue>'
        f"<ds:KeyInfo><ds:X509Data>{certificates}</ds:X509Data></ds:KeyInfo>"
        f"{''.join(reversed(objects) if layout.objects_last else objects)}</ds:Signature>"
    )


def _signed_info(layout: Layout, values: Values) -> str:
    properties = ReferenceLayout(
        layout.properties_reference_id, "#" + layout.properties_id, type=PROPERTIES_TYPE, mime=""
    )
    references = zip((*layout.references, properties), values.digests, strict=True)
    return (
        f'<ds:SignedInfo><ds:CanonicalizationMethod Algorithm="{EXCLUSIVE}"></ds:CanonicalizationMethod>'
        f'<ds:SignatureMethod Algorithm="{values.method}"></ds:SignatureMethod>'
        + "".join(_reference(one, digest, layout.digest) for one, digest in references)
        + "</ds:SignedInfo>"
    )


def _reference(layout: ReferenceLayout, digest: bytes, algorithm: str) -> str:
    before = _before_digest(layout.id, layout.type, layout.uri, layout.transforms, algorithm)
    return f"{before}{encode(digest)}</ds:DigestValue></ds:Reference>"


@lru_cache(maxsize=64)
def _before_digest(id: str, type_: str | None, uri: str, transforms: tuple[str, ...], algorithm: str) -> str:
    """Return what stands in a reference before its digest: the same in all signatures of a layout."""
    kind = f' Type="{type_}"' if type_ else ""
    listed = "".join(
        one if one.startswith("<") else f'<ds:Transform Algorithm="{one}"></ds:Transform>' for one in transforms
    )
    wrapped = f"<ds:Transforms>{listed}</ds:Transforms>" if listed else ""
    return (
        f'<ds:Reference Id="{id}"{kind} URI="{_attribute(uri)}">{wrapped}'
        f'<ds:DigestMethod Algorithm="{DIGEST_URIS[algorithm]}"></ds:DigestMethod><ds:DigestValue>'
    )


def _attribute(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")


def _qualifying(layout: Layout, values: Values) -> str:
    return (
        f'<xades:QualifyingProperties xmlns:xades="{XADES}" Target="#{layout.id}">'
        f"{_signed_properties(layout, values)}"
        f"{_unsigned(values.tokens)}</xades:QualifyingProperties>"
    )


def _signed_properties(layout: Layout, values: Values) -> str:
    formats = _formats(tuple((one.id, one.mime) for one in layout.references))
    return (
        f'<xades:SignedProperties Id="{layout.properties_id}"><xades:SignedSignatureProperties>'
        f"<xades:SigningTime>{values.signing_time}</xades:SigningTime>"
        "<xades:SigningCertificateV2><xades:Cert><xades:CertDigest>"
        f'<ds:DigestMethod Algorithm="{DIGEST_URIS["sha256"]}"></ds:DigestMethod>'
        f"<ds:DigestValue>{encode(values.certificate_digest)}</ds:DigestValue></xades:CertDigest>"
        f"<xades:IssuerSerialV2>{encode(values.issuer_serial)}</xades:IssuerSerialV2></xades:Cert>"
        f"</xades:SigningCertificateV2>{layout.about_signer}</xades:SignedSignatureProperties>"
        f"<xades:SignedDataObjectProperties>{formats}{layout.about_data}</xades:SignedDataObjectProperties>"
        "</xades:SignedProperties>"
    )


@lru_cache(maxsize=64)
def _formats(objects: tuple[tuple[str, str], ...]) -> str:
    return "".join(
        f'<xades:DataObjectFormat ObjectReference="#{id}"><xades:MimeType>{escape(mime, quote=False)}</xades:MimeType>'
        "</xades:DataObjectFormat>"
        for id, mime in objects
    )


def _unsigned(tokens: Sequence[bytes]) -> str:
    if not tokens:
        return ""
    stamps = "".join(
        f'<xades:SignatureTimeStamp><ds:CanonicalizationMethod Algorithm="{EXCLUSIVE}"></ds:CanonicalizationMethod>'
        f"<xades:EncapsulatedTimeStamp>{encode(token)}</xades:EncapsulatedTimeStamp></xades:SignatureTimeStamp>"
        for token in tokens
    )
    return (
        f"<xades:UnsignedProperties><xades:UnsignedSignatureProperties>{stamps}</xades:UnsignedSignatureProperties>"
        "</xades:UnsignedProperties>"
    )


# --- parts of a signature, as they are hashed -------------------------------------------------------------------------


def signed_info_octets(layout: Layout, values: Values) -> bytes:
    """Return the canonical octets of ``ds:SignedInfo`` as an element by itself, which declares its prefix."""
    return _declaring(_signed_info(layout, values), "ds:SignedInfo").encode("utf-8")


def value_octets(layout: Layout, values: Values) -> bytes:
    """Return the canonical octets of ``ds:SignatureValue``, which a time stamp is over."""
    return (
        f'<ds:SignatureValue xmlns:ds="{DS}" Id="{layout.value_id}">{encode(values.value)}</ds:SignatureValue>'
    ).encode()


def part_octets(layout: Layout, values: Values, id: str) -> bytes:
    """Return the canonical octets of an element inside the signature: its signed properties, or an object by its Id.

    Written as canonical form writes it where that can be told without reading the whole signature.

    Raises:
        ValueError: no element of the signature has this ``Id``.
    """
    if id == layout.properties_id and not layout.about_signer and not layout.about_data:
        text = _declaring(_signed_properties(layout, values), "xades:SignedProperties")
        for name in ("ds:DigestMethod", "ds:DigestValue"):  # each declares it: no element around them uses the prefix
            text = text.replace(f"<{name}", f'<{name} xmlns:ds="{DS}"')
        return text.encode("utf-8")
    if layout.objects.startswith(f'<ds:Object Id="{id}">') and layout.objects.count("<ds:Object") == 1:
        text = _declaring(layout.objects, "ds:Object")
        return text.encode("utf-8") if layout.objects_exact else document_octets(etree.fromstring(text))
    return parsed_part(layout, values, id)


def parsed_part(layout: Layout, values: Values, id: str) -> bytes:
    """Return what ``part_octets`` does, by reading the whole signature and canonicalising the part.

    Raises:
        ValueError: no element of the signature has this ``Id``.
    """
    root = etree.fromstring(signature_text(layout, values))
    element = next((e for e in root.iter(etree.Element) if e.get("Id") == id), None)
    if element is None:
        raise ValueError(f"nothing in the signature is called {id}")
    return b"".join(canonical(element))


def _declaring(text: str, name: str) -> str:
    """Declare the prefix of an element in its start tag, where canonical form puts it."""
    prefix = name.partition(":")[0]
    return text.replace(f"<{name}", f'<{name} xmlns:{prefix}="{_NS[prefix]}"', 1)


def digests_of(layout: Layout, values: Values) -> tuple[bytes, ...]:
    """Return the digests of the references: given ones, those of objects in the signature, and of the properties."""
    found = []
    for one in layout.references:
        part = None if one.digest else part_octets(layout, values, one.uri[1:])
        found.append(one.digest if part is None else hashlib.new(layout.digest, part).digest())
    part = part_octets(layout, values, layout.properties_id)
    return (*found, hashlib.new(layout.digest, part).digest())


# --- signing ---------------------------------------------------------------------------------------------------------


def sign(
    layout: Layout, *, credential: Credential, scheme: Scheme, at: datetime, timestamper: Timestamper | None = None
) -> str:
    """Make a signature: the references of ``layout`` carry the digests of their objects, or name an object in it.

    Returns:
        The text of ``ds:Signature`` in canonical form.

    Raises:
        CredentialError: the key cannot be used.
        TimestampError: no usable time stamp.
        ValueError: ``at`` has no offset, or the scheme is not for XML.
    """
    certificates = (credential.certificate, *(der for der in credential.chain if not _is_root(der)))
    values = Values(
        method=method_uri(scheme),
        digests=(b"",) * (len(layout.references) + 1),
        value=b"",
        certificates=certificates,
        signing_time=format_time(at),
        certificate_digest=hashlib.sha256(credential.certificate).digest(),
        issuer_serial=issuer_serial(credential.certificate),
    )
    values = replace(values, digests=digests_of(layout, values))
    digest = hashlib.new(scheme.digest, signed_info_octets(layout, values)).digest()
    values = replace(values, value=raw_value(credential.public_key, credential.sign(digest, scheme)))
    if timestamper is not None:
        stamped = hashlib.sha256(value_octets(layout, values)).digest()
        values = replace(values, tokens=(obtain(timestamper, stamped),))
    return signature_text(layout, values)


@lru_cache(maxsize=512)
def _is_root(der: bytes) -> bool:
    certificate = read_certificate(der)
    return certificate.subject == certificate.issuer


# --- reading ---------------------------------------------------------------------------------------------------------


def values_of(signature: etree._Element) -> Values:
    """Take the values out of a signature of ours. Nothing is checked but that each can be read; compare afterwards.

    Raises:
        ValueError: something is missing or not written as we write it.
    """
    info = _one(signature, "ds:SignedInfo")
    properties = _one(signature, "ds:Object/xades:QualifyingProperties/xades:SignedProperties")
    signed = "xades:SignedSignatureProperties/"
    cert = _one(properties, signed + "xades:SigningCertificateV2/xades:Cert")
    certificates = signature.findall("ds:KeyInfo/ds:X509Data/ds:X509Certificate", _NS)
    stamps = signature.findall(".//xades:SignatureTimeStamp/xades:EncapsulatedTimeStamp", _NS)
    if not 1 <= len(certificates) <= 10 or len(stamps) > TOKENS_MAX:
        raise ValueError("too many or no certificates, or too many time stamps")
    if len({e.text for e in certificates}) != len(certificates):
        raise ValueError("a certificate twice")
    return Values(
        method=_one(info, "ds:SignatureMethod").get("Algorithm", ""),
        digests=tuple(decode_exact(e.text or "") for e in info.findall("ds:Reference/ds:DigestValue", _NS)),
        value=decode_exact(_one(signature, "ds:SignatureValue").text or ""),
        certificates=tuple(decode_exact(e.text or "") for e in certificates),
        signing_time=_one(properties, signed + "xades:SigningTime").text or "",
        certificate_digest=decode_exact(_one(cert, "xades:CertDigest/ds:DigestValue").text or ""),
        issuer_serial=decode_exact(_one(cert, "xades:IssuerSerialV2").text or ""),
        tokens=tuple(decode_exact(e.text or "") for e in stamps),
    )


def _one(element: etree._Element, path: str) -> etree._Element:
    found = element.findall(path, _NS)
    if len(found) != 1:
        raise ValueError(f"{path} is not there exactly once")
    return found[0]
