"""Which certificate the signer named as its own (EN 319 132-1, 5.2.2 and A.1; W6).

The digest identifies the certificate. ``IssuerSerial`` beside it must not name another number; how the issuer's name is
written differs too much between writers to mean anything, and what cannot be read at all says nothing: both are noted
(EN 319 102-1, 5.2.3.4). The first form lists the signer's certificate anywhere among those of its path, the second
form lists it first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from lxml import etree

from signer import certificates, der
from signer.names import read_name
from signer.report import Code, Reason
from signer.x509read import read
from signer.xml.document import text_of
from signer.xml.dsig import DIGESTS, DS, decode
from signer.xml.keynames import same_name

REFERENCES_MAX = 50
SERIAL_DIGITS_MAX = 100
_NAMES = ("SigningCertificateV2", "SigningCertificate")
_NAME_IN_GENERAL_NAMES = 0xA4
_OLD = {"sha1": "SHA-1", "md5": "MD5"}
"""Digests that still identify a certificate, with a warning (signing.md 1.4)."""


@dataclass(frozen=True, slots=True)
class Named:
    """One certificate as named: digest (name as in ``hashlib``), serial number and whether its issuer could be read.

    ``serial`` is ``None`` where none is given or it cannot be read; ``issuer`` is the name as text or as DER.
    """

    digest: str
    value: bytes
    serial: int | None = None
    issuer: str | bytes | None = None
    readable: bool = True

    def is_digest_of(self, certificate: bytes) -> bool:
        """Tell whether the digest is of that certificate."""
        return hashlib.new(self.digest, certificate, usedforsecurity=False).digest() == self.value


@dataclass(frozen=True, slots=True)
class CertificateReferences:
    """The certificates the signer named, in order."""

    listed: tuple[Named, ...]
    first_only: bool = False  # the second form: the signer's is the first
    also: CertificateReferences | None = None  # the first form beside the second: both must name the certificate

    def names(self, certificate: bytes) -> bool:
        """Tell whether the signer named this certificate (DER)."""
        named = any(one.is_digest_of(certificate) for one in self.listed)
        return named and (self.also is None or self.also.names(certificate))

    def compare(self, certificate: bytes) -> tuple[tuple[Reason, ...], tuple[Reason, ...]]:
        """Return what holds against the certificate (DER) as the signer's, and what is merely unusual."""
        found = next((one for one in self.listed if one.is_digest_of(certificate)), None)
        if found is None or not self.names(certificate):
            return _MISMATCH, ()
        warnings = [] if found.readable and _same_issuer(found.issuer, certificate) else ["IssuerSerial"]
        if self.first_only and found is not self.listed[0]:
            warnings.append("SigningCertificateV2")
        reasons = () if found.serial is None or _same_serial(found.serial, certificate) else _MISMATCH
        noticed = [Reason(Code.PROPERTIES_DEVIATE, {"where": where}) for where in warnings]
        if found.digest in _OLD:
            noticed.append(Reason(Code.NOT_TT15, {"algorithm": f"SigningCertificate ({_OLD[found.digest]})"}))
        return reasons, tuple(noticed)


_MISMATCH = (Reason(Code.FORMAT_FAILURE), Reason(Code.SIGNING_CERTIFICATE_MISMATCH))


def read_references(lists: Sequence[etree._Element]) -> CertificateReferences | None:
    """Read what stands in ``SigningCertificate`` or ``SigningCertificateV2``; ``None`` if there is neither.

    Where both are given, the signer's certificate is one that both name.

    Raises:
        ValueError: the signer's certificate is not named by a digest that can be computed, or by two that differ.
    """
    found = {name: [e for e in lists if etree.QName(e).localname == name] for name in _NAMES}
    if any(len(elements) > 1 for elements in found.values()):
        raise ValueError("two certificate references")
    forms = [_read(element) for elements in found.values() for element in elements]
    if len(forms) == 2:
        return replace(forms[0], also=forms[1])
    return forms[0] if forms else None


def _read(element: etree._Element) -> CertificateReferences:
    space = etree.QName(element).namespace or ""
    listed = [_named(one, space) for one in element.findall(f"{{{space}}}Cert")[:REFERENCES_MAX]]
    known = tuple(one for one in listed if one is not None)
    if not listed or listed[0] is None or not known:
        raise ValueError("certificate digest")
    return CertificateReferences(known, first_only=etree.QName(element).localname == _NAMES[0])


def _named(cert: etree._Element, space: str) -> Named | None:
    """Read one reference; ``None`` if its digest cannot be computed."""
    holder = cert.find(f"{{{space}}}CertDigest")
    method = holder.find(f"{{{DS}}}DigestMethod") if holder is not None else None
    value = holder.find(f"{{{DS}}}DigestValue") if holder is not None else None
    if method is None and holder is not None:  # the oldest form has its own names
        method, value = holder.find(f"{{{space}}}DigestMethod"), holder.find(f"{{{space}}}DigestValue")
    if method is None or value is None or method.get("Algorithm") not in DIGESTS:
        return None
    digest, octets = DIGESTS[method.get("Algorithm", "")], decode(text_of(value))
    first, second = cert.find(f"{{{space}}}IssuerSerial"), cert.find(f"{{{space}}}IssuerSerialV2")
    if second is not None:
        return _with_der(digest, octets, text_of(second))
    if first is not None:
        return _with_text(digest, octets, first)
    return Named(digest, octets)


def _with_text(digest: str, value: bytes, element: etree._Element) -> Named:
    serial = text_of(element.find(f"{{{DS}}}X509SerialNumber")).strip()
    issuer = text_of(element.find(f"{{{DS}}}X509IssuerName"))
    digits = serial.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= SERIAL_DIGITS_MAX):
        return Named(digest, value, None, issuer, readable=False)
    return Named(digest, value, int(serial), issuer)


def _with_der(digest: str, value: bytes, text: str) -> Named:
    """Read ``IssuerSerial`` of RFC 5035: general names, then the number."""
    try:
        names, number = der.whole(decode(text)).expect(der.SEQUENCE).parts()[:2]
        issuer = names.expect(der.SEQUENCE).parts()[0].expect(_NAME_IN_GENERAL_NAMES)
        return Named(digest, value, der.integer(number.expect(der.INTEGER)), issuer.content)
    except (ValueError, IndexError):
        return Named(digest, value, readable=False)


def _same_serial(serial: int, certificate: bytes) -> bool:
    """Compare numbers; some writers take a negative one for a large positive one, or the other way round."""
    try:
        own = read(certificate).serial_number
    except ValueError:
        return True
    if serial == own:
        return True
    size = 8 * ((max(abs(own), abs(serial)).bit_length() + 7) // 8)
    return (serial < 0) != (own < 0) and (serial - own) % (1 << size) == 0


def _same_issuer(issuer: str | bytes | None, certificate: bytes) -> bool:
    if issuer is None:
        return True
    try:
        if isinstance(issuer, str):
            return same_name(issuer, certificates.certificate(certificate).issuer)
        return read_name(issuer).key == read(certificate).issuer.key
    except ValueError:
        return False
