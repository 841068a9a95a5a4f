"""Faults for tests, each "like the good one, but …": certificates, lists, answers and tokens (signing.md 9).

Like ``devpki`` these are pure functions that make bytes. Each makes exactly one thing wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from signer import asn1
from signer.credential import Role
from signer.devpki import SHA256, Authority, DevIdentity, DevPki, Key, Subject, new_key

_DER = serialization.Encoding.DER


@dataclass(frozen=True)
class Above:
    """How a subordinate authority differs from a good one."""

    ca: bool = True
    path_length: int | None = None
    cert_sign: bool = True
    excluded: str | None = None  # a directory organisation that name constraints exclude
    unknown_critical: bool = False
    days: int = 3650


def subordinate(issuer: Authority, *, at: datetime, above: Above = Above()) -> Authority:
    """Make an authority below ``issuer``, valid from ``at``."""
    key = new_key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Subordinate CA THỬ NGHIỆM")])
    length = above.path_length if above.ca else None
    builder = _certificate(subject, issuer, key, at=at, days=above.days)
    builder = builder.add_extension(x509.BasicConstraints(ca=above.ca, path_length=length), critical=True)
    builder = builder.add_extension(_usage(cert_sign=above.cert_sign), critical=True)
    if above.excluded:
        tree = x509.DirectoryName(_organization(above.excluded))
        constraints = x509.NameConstraints(permitted_subtrees=None, excluded_subtrees=[tree])
        builder = builder.add_extension(constraints, critical=True)
    if above.unknown_critical:
        unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")
        builder = builder.add_extension(unknown, critical=True)
    return Authority(builder.sign(issuer.key, SHA256).public_bytes(_DER), key)


def issue_below(pki: DevPki, authority: Authority, subject: Subject, *, at: datetime) -> DevIdentity:
    """Issue a person's certificate by an authority that stands below the issuing CA or the root of ``pki``."""
    identity = replace(pki, issuing=authority).issue(Role.PERSON, subject, at=at)
    return identity.with_chain((authority.certificate, pki.issuing.certificate, pki.root.certificate))


def crossed(pki: DevPki, other: DevPki, *, at: datetime) -> bytes:
    """Return a certificate by which the root of ``pki`` certifies the key and name of the other root."""
    builder = _certificate(other.root.x509.subject, pki.root, other.root.key, at=at, days=3650)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    builder = builder.add_extension(_usage(cert_sign=True), critical=True)
    return builder.sign(pki.root.key, SHA256).public_bytes(_DER)


def signed_weakly(certificate: bytes, issuer: Authority, *, digest: str = "sha1") -> bytes:
    """Return the certificate (DER) as its issuer would have signed it with an old digest."""
    return asn1.resigned(certificate, issuer.key, digest=digest)


def with_negative_modulus(certificate: bytes, issuer: Authority) -> bytes:
    """Return an RSA certificate (DER) as some old software encoded it: its modulus is a negative number."""
    return asn1.with_negative_modulus(certificate, issuer.key)


def crl_of(issuer: Authority, *, at: datetime, extension: tuple[x509.ExtensionType, bool] | None = None) -> bytes:
    """Return an empty list of ``issuer`` with one more extension (and whether that is critical)."""
    builder = x509.CertificateRevocationListBuilder().issuer_name(issuer.x509.subject)
    builder = builder.last_update(at).next_update(at + timedelta(days=7))
    if extension:
        builder = builder.add_extension(extension[0], critical=extension[1])
    return builder.sign(issuer.key, SHA256).public_bytes(_DER)


@dataclass(frozen=True)
class Reply:
    """What an OCSP answer says; the times are those of its single statement."""

    at: datetime
    status: ocsp.OCSPCertStatus = ocsp.OCSPCertStatus.GOOD
    days: int | None = 7


def ocsp_by(
    responder: tuple[bytes, Key], certificate: bytes, issuer: bytes, *, reply: Reply, included: tuple[bytes, ...] = ()
) -> bytes:
    """Return an OCSP answer about a certificate, signed by whoever ``responder`` (certificate, key) is."""
    parsed = x509.load_der_x509_certificate(responder[0])
    builder = ocsp.OCSPResponseBuilder().add_response(
        cert=x509.load_der_x509_certificate(certificate),
        issuer=x509.load_der_x509_certificate(issuer),
        algorithm=SHA256,
        cert_status=reply.status,
        this_update=reply.at,
        next_update=None if reply.days is None else reply.at + timedelta(days=reply.days),
        revocation_time=reply.at if reply.status is ocsp.OCSPCertStatus.REVOKED else None,
        revocation_reason=None,
    )
    builder = builder.responder_id(ocsp.OCSPResponderEncoding.NAME, parsed)
    certificates = [x509.load_der_x509_certificate(der) for der in included or (responder[0],)]
    return builder.certificates(certificates).sign(responder[1], SHA256).public_bytes(_DER)


def delegate(issuer: Authority, *, at: datetime, days: int = 365, ocsp_signing: bool = True) -> DevIdentity:
    """Make an OCSP delegate, or something that only looks like one."""
    key = new_key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Other OCSP THỬ NGHIỆM")])
    builder = _certificate(subject, issuer, key, at=at, days=days)
    usage = ExtendedKeyUsageOID.OCSP_SIGNING if ocsp_signing else ExtendedKeyUsageOID.CLIENT_AUTH
    builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    return DevIdentity(builder.sign(issuer.key, SHA256).public_bytes(_DER), (issuer.certificate,), key, Role.EXCHANGE)


@dataclass(frozen=True)
class FaultyTimestamper:
    """A time-stamping authority that answers another request, or changes its answer, on the way."""

    pki: DevPki
    at: datetime
    asked: Callable[[bytes], bytes] = bytes
    answered: Callable[[bytes], bytes] = bytes

    def stamp(self, request: bytes) -> bytes:
        """Answer a TimeStampReq (DER)."""
        return self.answered(self.pki.timestamp(self.asked(request), at=self.at))


def tsa_of(pki: DevPki, *, at: datetime, usages: tuple[x509.ObjectIdentifier, ...], critical: bool = True) -> DevPki:
    """Return the authority with another TSA certificate, for these extended usages."""
    key = new_key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Other TSA THỬ NGHIỆM")])
    builder = _certificate(subject, pki.issuing, key, at=at, days=3650)
    builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=critical)
    certificate = builder.sign(pki.issuing.key, SHA256).public_bytes(_DER)
    chain = (pki.issuing.certificate, pki.root.certificate)
    return replace(pki, tsa=DevIdentity(certificate, chain, key, Role.EXCHANGE))


def _certificate(
    subject: x509.Name, issuer: Authority, key: Key, *, at: datetime, days: int
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer.x509.subject)
    builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
    return builder.not_valid_before(at).not_valid_after(at + timedelta(days=days))


def _organization(name: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.COUNTRY_NAME, "VN"), x509.NameAttribute(NameOID.ORGANIZATION_NAME, name)]
    )


def _usage(*, cert_sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(not cert_sign, False, False, False, False, cert_sign, cert_sign, False, False)
