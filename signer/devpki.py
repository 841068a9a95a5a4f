"""The demonstration authority: pure functions that make certificates, CRLs, OCSP and RFC 3161 answers (signing.md 9).

Nothing here is for real use: subjects carry «THỬ NGHIỆM». Keys are made fresh; times are arguments. A ``variant`` of
``issue`` is "like the good one, but …": see ``VARIANTS``; more faults are in ``signer.devfaults``.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from signer.asn1 import resigned, timestamp_response
from signer.credential import Credential, Role, load_pem
from signer.trust import Purpose, TrustStore, anchored

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
SHA256 = hashes.SHA256()
TEST_UNIT = "THỬ NGHIỆM"
EXPIRED_CERTS_ON_CRL = ObjectIdentifier("2.5.29.60")
DOCUMENT_SIGNING = ObjectIdentifier("1.3.6.1.5.5.7.3.36")
VARIANTS = ("expired", "not-yet-valid", "wrong-usage", "unknown-root", "weak", "sha1", "no-status")
"""What ``issue`` can make wrong; ``weak`` is a short RSA key, ``no-status`` a certificate without status source."""

CA_YEARS, LEAF_DAYS, CRL_DAYS = 20, 730, 7


def new_key(kind: str = "p256") -> Key:
    """Make a private key: ``p256``, ``p384``, ``rsa1024`` (weak, for tests), ``rsa2048``, ``rsa3072``."""
    if kind.startswith("rsa"):
        return rsa.generate_private_key(65537, int(kind[3:]))
    return ec.generate_private_key({"p256": ec.SECP256R1(), "p384": ec.SECP384R1()}[kind])


def key_pem(key: Key, passphrase: bytes | None = None) -> bytes:
    """Return the key as PKCS#8 PEM, encrypted if a pass phrase is given."""
    how: serialization.KeySerializationEncryption = (
        serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    )
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how)


def pem(der: bytes) -> bytes:
    """Return a certificate (DER) as PEM."""
    return x509.load_der_x509_certificate(der).public_bytes(serialization.Encoding.PEM)


@dataclass(frozen=True)
class Authority:
    """A certification authority: certificate (DER) and key."""

    certificate: bytes
    key: Key = field(repr=False)

    @cached_property
    def x509(self) -> x509.Certificate:
        """The certificate, parsed."""
        return x509.load_der_x509_certificate(self.certificate)


@dataclass(frozen=True)
class DevIdentity:
    """A certificate with its chain and key, as an office would get it."""

    certificate: bytes
    chain: tuple[bytes, ...]
    key: Key = field(repr=False)
    role: Role

    @cached_property
    def credential(self) -> Credential:
        """The identity as a credential, loaded once."""
        return load_pem(self.pem, role=self.role)

    def with_chain(self, chain: tuple[bytes, ...]) -> DevIdentity:
        """Return the same identity with the certificates above it."""
        return DevIdentity(self.certificate, chain, self.key, self.role)

    @property
    def pem(self) -> bytes:
        """Key, certificate and chain in one PEM file, the key in plain."""
        return key_pem(self.key) + b"".join(pem(der) for der in (self.certificate, *self.chain))

    @property
    def certificates_pem(self) -> bytes:
        """Certificate and chain without the key."""
        return b"".join(pem(der) for der in (self.certificate, *self.chain))

    def pkcs12(self, passphrase: bytes) -> bytes:
        """Return a PKCS#12 container under a pass phrase."""
        chain = [x509.load_der_x509_certificate(der) for der in self.chain]
        return serialization.pkcs12.serialize_key_and_certificates(
            b"edoc",
            self.key,
            x509.load_der_x509_certificate(self.certificate),
            chain,
            serialization.BestAvailableEncryption(passphrase),
        )


@dataclass(frozen=True)
class Subject:
    """Whom a certificate is for. ``tax_number`` becomes the UID ``MST:…`` of an agency; ``dns`` names for TLS."""

    name: str
    organization: str | None = None
    title: str | None = None
    tax_number: str | None = None
    dns: tuple[str, ...] = ()


@dataclass
class DevPki:
    """Root, issuing CA, OCSP signer and TSA, and what has been revoked."""

    root: Authority
    issuing: Authority
    ocsp_signer: DevIdentity
    tsa: DevIdentity
    base_url: str | None
    revoked: dict[int, tuple[datetime, str]] = field(default_factory=dict)

    @classmethod
    def create(cls, *, at: datetime, base_url: str | None = None, key_type: str = "p256") -> DevPki:
        """Make a new authority, valid from ``at``. With ``base_url`` certificates name their status sources there."""
        root_key, issuing_key = new_key(key_type), new_key(key_type)
        root = Authority(_ca_certificate("Root CA", root_key, None, at=at, url=base_url), root_key)
        issuing = Authority(_ca_certificate("Issuing CA", issuing_key, root, at=at, url=base_url), issuing_key)
        chain = (issuing.certificate, root.certificate)
        ocsp_signer = _service("OCSP", issuing, at=at, key_type=key_type, url=base_url).with_chain(chain)
        tsa = _service("TSA", issuing, at=at, key_type=key_type, url=base_url).with_chain(chain)
        return cls(root, issuing, ocsp_signer, tsa, base_url)

    @property
    def created(self) -> datetime:
        """The moment from which the authority is valid."""
        return self.root.x509.not_valid_before_utc

    @property
    def anchors(self) -> TrustStore:
        """The root, trusted for signers and time stamps, without status answers."""
        return anchored((self.root.certificate,), Purpose.SIGNERS, Purpose.TSA)

    def trust(self, *, at: datetime) -> TrustStore:
        """The root with the issuing CA and both CRLs of that moment."""
        crls = (self.crl(at=at), self.root_crl(at=at))
        return self.anchors.merged(TrustStore(intermediates=(self.issuing.certificate,), crls=crls))

    def issue(
        self,
        role: Role,
        subject: Subject,
        *,
        at: datetime | None = None,
        key_type: str = "p256",
        variant: str | None = None,
    ) -> DevIdentity:
        """Issue a certificate for a role, valid from ``at`` (default: from the beginning of the authority).

        Raises:
            ValueError: no such variant.
        """
        if variant not in (None, *VARIANTS):
            raise ValueError(f"no variant {variant}")
        start = at or self.created
        if variant == "unknown-root":
            return DevPki.create(at=start, base_url=self.base_url).issue(role, subject, at=at, key_type=key_type)
        start += {"expired": timedelta(days=-2 * LEAF_DAYS), "not-yet-valid": timedelta(days=LEAF_DAYS)}.get(
            variant or "", timedelta()
        )
        key = new_key("rsa1024" if variant == "weak" else key_type)
        builder = _builder(_name(subject, role), self.issuing, key, start, timedelta(days=LEAF_DAYS))
        builder = _leaf_extensions(builder, role, subject, wrong=variant == "wrong-usage")
        if self.base_url and variant != "no-status":
            builder = _status_sources(builder, f"{self.base_url}/ca.crl", f"{self.base_url}/ocsp")
        certificate = builder.sign(self.issuing.key, SHA256).public_bytes(serialization.Encoding.DER)
        if variant == "sha1":
            certificate = resigned(certificate, self.issuing.key, digest="sha1")
        return DevIdentity(certificate, (self.issuing.certificate, self.root.certificate), key, role)

    def revoke(self, certificate: bytes, at: datetime, reason: str = "keyCompromise") -> None:
        """Revoke a certificate (DER) from ``at``; ``reason`` is a name of ``x509.ReasonFlags``."""
        serial = x509.load_der_x509_certificate(certificate).serial_number
        self.revoked[serial] = (at, x509.ReasonFlags(reason).value)

    def crl(self, *, at: datetime) -> bytes:
        """Return the issuing CA's CRL as of ``at``."""
        return _crl(self.issuing, self.revoked, at)

    def root_crl(self, *, at: datetime) -> bytes:
        """Return the root's CRL as of ``at``; it is empty."""
        return _crl(self.root, {}, at)

    def ocsp(self, request: bytes, *, at: datetime) -> bytes:
        """Answer an OCSP request (DER) as of ``at``; certificates of other issuers are ``unauthorized``."""
        asked = ocsp.load_der_ocsp_request(request)
        issuers = [(self.issuing, self.revoked), (self.root, {})]
        authority, revoked = next(
            ((ca, gone) for ca, gone in issuers if _issuer_key_hash(ca, asked.hash_algorithm) == asked.issuer_key_hash),
            (None, {}),
        )
        if authority is None:
            unauthorized = ocsp.OCSPResponseStatus.UNAUTHORIZED
            return ocsp.OCSPResponseBuilder.build_unsuccessful(unauthorized).public_bytes(serialization.Encoding.DER)
        signer_certificate = x509.load_der_x509_certificate(self.ocsp_signer.certificate)
        signer_key: Key = self.ocsp_signer.key
        responder: x509.Certificate = signer_certificate
        if authority is self.root:  # a delegate must be issued by the CA it answers for
            responder, signer_key = authority.x509, authority.key
        gone = revoked.get(asked.serial_number)
        revoked_at, reason = gone if gone and gone[0] <= at else (None, None)
        builder = ocsp.OCSPResponseBuilder().add_response_by_hash(
            issuer_name_hash=asked.issuer_name_hash,
            issuer_key_hash=asked.issuer_key_hash,
            serial_number=asked.serial_number,
            algorithm=asked.hash_algorithm,
            cert_status=ocsp.OCSPCertStatus.REVOKED if revoked_at else ocsp.OCSPCertStatus.GOOD,
            this_update=at,
            next_update=at + timedelta(days=CRL_DAYS),
            revocation_time=revoked_at,
            revocation_reason=x509.ReasonFlags(reason) if reason else None,
        )
        builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, responder).certificates([responder])
        return builder.sign(signer_key, SHA256).public_bytes(serialization.Encoding.DER)

    def timestamp(self, request: bytes, *, at: datetime) -> bytes:
        """Answer a TimeStampReq (DER) with a TimeStampResp (DER) whose genTime is ``at``."""
        chain = (self.tsa.certificate, self.issuing.certificate)
        return timestamp_response(request, credential=self.tsa.credential, chain=chain, at=at)

    def save(self) -> Mapping[str, bytes]:
        """Return everything as named files, so that another process can serve the same authority."""
        revoked = "\n".join(f"{serial:x} {at.isoformat()} {reason}" for serial, (at, reason) in self.revoked.items())
        return {
            "root.pem": key_pem(self.root.key) + pem(self.root.certificate),
            "issuing.pem": key_pem(self.issuing.key) + pem(self.issuing.certificate),
            "ocsp.pem": self.ocsp_signer.pem,
            "tsa.pem": self.tsa.pem,
            "base-url.txt": (self.base_url or "").encode(),
            "revoked.txt": revoked.encode(),
        }

    @classmethod
    def load(cls, files: Mapping[str, bytes]) -> DevPki:
        """Read what ``save`` returned."""
        root, issuing = (_load_authority(files[name]) for name in ("root.pem", "issuing.pem"))
        ocsp_signer, tsa = (_load_identity(files[name]) for name in ("ocsp.pem", "tsa.pem"))
        lines = files["revoked.txt"].decode().split("\n")
        revoked = {
            int(serial, 16): (datetime.fromisoformat(at), reason)
            for serial, at, reason in (line.split(" ") for line in lines if line)
        }
        return cls(root, issuing, ocsp_signer, tsa, files["base-url.txt"].decode() or None, revoked)


@dataclass(frozen=True)
class DevTimestamper:
    """A time-stamping authority in this process; ``clock`` gives its time."""

    pki: DevPki
    clock: Callable[[], datetime]

    def stamp(self, request: bytes) -> bytes:
        """Answer a TimeStampReq (DER) with a TimeStampResp (DER)."""
        return self.pki.timestamp(request, at=self.clock())


def _ca_subject(name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "VN"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "edoc"),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, TEST_UNIT),
            x509.NameAttribute(NameOID.COMMON_NAME, f"{name} {TEST_UNIT}"),
        ]
    )


def _name(subject: Subject, role: Role) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.COUNTRY_NAME, "VN")]
    if subject.organization:
        attributes.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, subject.organization))
    attributes.append(x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, TEST_UNIT))
    if subject.title:
        attributes.append(x509.NameAttribute(NameOID.TITLE, subject.title))
    if subject.tax_number:
        attributes.append(x509.NameAttribute(NameOID.USER_ID, f"MST:{subject.tax_number}"))
    attributes.append(x509.NameAttribute(NameOID.COMMON_NAME, subject.name))
    return x509.Name(attributes)


def _builder(
    subject: x509.Name, issuer: Authority, key: Key, start: datetime, length: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.x509.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + length)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()), critical=False)
    )


def _ca_certificate(name: str, key: Key, issuer: Authority | None, *, at: datetime, url: str | None) -> bytes:
    subject = _ca_subject(name)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.x509.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at)
        .not_valid_after(at + timedelta(days=365 * CA_YEARS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0 if issuer else 1), critical=True)
        .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if issuer:
        authority_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key())
        builder = builder.add_extension(authority_key, critical=False)
        if url:
            builder = _status_sources(builder, f"{url}/root.crl", None)
    return builder.sign(issuer.key if issuer else key, SHA256).public_bytes(serialization.Encoding.DER)


def _service(name: str, issuing: Authority, *, at: datetime, key_type: str, url: str | None) -> DevIdentity:
    """Make the certificate of the OCSP signer, which asks not to be checked, or of a TSA, which is checked."""
    key = new_key(key_type)
    builder = _builder(_ca_subject(name), issuing, key, at, timedelta(days=365 * 10))
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(digital_signature=True), critical=True)
    if name == "OCSP":
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]), critical=True)
        builder = builder.add_extension(x509.OCSPNoCheck(), critical=False)
    else:
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True)
        if url:
            builder = _status_sources(builder, f"{url}/ca.crl", f"{url}/ocsp")
    certificate = builder.sign(issuing.key, SHA256).public_bytes(serialization.Encoding.DER)
    return DevIdentity(certificate, (), key, Role.EXCHANGE)


def _leaf_extensions(
    builder: x509.CertificateBuilder, role: Role, subject: Subject, *, wrong: bool
) -> x509.CertificateBuilder:
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    if role is Role.TLS or subject.dns:
        names = [_general_name(name) for name in subject.dns or ("localhost", "127.0.0.1")]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    if wrong:
        usage, extended = _usage(key_encipherment=True), [ExtendedKeyUsageOID.SERVER_AUTH]
    elif role is Role.TLS:
        usage = _usage(digital_signature=True)
        extended = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    else:
        usage = _usage(digital_signature=True, content_commitment=role is not Role.REQUEST)
        extended = [DOCUMENT_SIGNING, ExtendedKeyUsageOID.EMAIL_PROTECTION, ExtendedKeyUsageOID.CLIENT_AUTH]
    builder = builder.add_extension(usage, critical=True)
    return builder.add_extension(x509.ExtendedKeyUsage(extended), critical=False)


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _status_sources(builder: x509.CertificateBuilder, crl: str, ocsp_url: str | None) -> x509.CertificateBuilder:
    point = x509.DistributionPoint([x509.UniformResourceIdentifier(crl)], None, None, None)
    builder = builder.add_extension(x509.CRLDistributionPoints([point]), critical=False)
    if ocsp_url is None:
        return builder
    where = x509.UniformResourceIdentifier(ocsp_url)
    access = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, where)
    return builder.add_extension(x509.AuthorityInformationAccess([access]), critical=False)


def _usage(
    *,
    digital_signature: bool = False,
    content_commitment: bool = False,
    key_encipherment: bool = False,
    key_cert_sign: bool = False,
    crl_sign: bool = False,
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=content_commitment,
        key_encipherment=key_encipherment,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )


def _crl(authority: Authority, revoked: Mapping[int, tuple[datetime, str]], at: datetime) -> bytes:
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.x509.subject)
        .last_update(at)
        .next_update(at + timedelta(days=CRL_DAYS))
        .add_extension(x509.CRLNumber(int(at.timestamp())), critical=False)
        .add_extension(_expired_certs_on_crl(authority), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), critical=False)
    )
    for serial, (moment, reason) in sorted(revoked.items()):
        if moment <= at:
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(moment)
            entry = entry.add_extension(x509.CRLReason(x509.ReasonFlags(reason)), critical=False)
            builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(authority.key, SHA256).public_bytes(serialization.Encoding.DER)


def _expired_certs_on_crl(authority: Authority) -> x509.UnrecognizedExtension:
    """Say that revocations are kept in the list after a certificate's end (X.509, expiredCertsOnCRL)."""
    since = authority.x509.not_valid_before_utc.strftime("%Y%m%d%H%M%SZ").encode("ascii")
    return x509.UnrecognizedExtension(EXPIRED_CERTS_ON_CRL, b"\x18\x0f" + since)


def _issuer_key_hash(authority: Authority, algorithm: hashes.HashAlgorithm) -> bytes:
    probe = ocsp.OCSPRequestBuilder().add_certificate(authority.x509, authority.x509, algorithm).build()
    return probe.issuer_key_hash


def _load_authority(data: bytes) -> Authority:
    key = serialization.load_pem_private_key(data, None)
    assert isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)
    certificate = x509.load_pem_x509_certificates(data)[0]
    return Authority(certificate.public_bytes(serialization.Encoding.DER), key)


def _load_identity(data: bytes) -> DevIdentity:
    authority = _load_authority(data)
    chain = tuple(c.public_bytes(serialization.Encoding.DER) for c in x509.load_pem_x509_certificates(data)[1:])
    return DevIdentity(authority.certificate, chain, authority.key, Role.EXCHANGE)
