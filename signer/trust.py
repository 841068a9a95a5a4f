"""Whom we trust and at which moment we judge: arguments of every judgement, never defaults (signing.md 1.1, 7.1).

A ``TrustStore`` is frozen and loads whole or not at all. None given means none: the operating system's store is never
asked. A ``Context`` holds everything one judgement depends on, so that the same bytes give the same report.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs7

from signer import certificates
from signer.algorithms import AlgorithmTable, PolicyName
from signer.errors import TrustError

CERTIFICATES_MAX = 2000
"""Certificates read from one file; state trust lists hold some dozens."""


class Purpose(StrEnum):
    """What an anchor is trusted for."""

    SIGNERS = "signers"
    PUBLIC = "public"
    TSA = "tsa"


@dataclass(frozen=True, slots=True)
class Anchor:
    """A certificate trusted because the caller says so: its own signature, dates, algorithms are not judged (R70)."""

    certificate: bytes  # DER
    purposes: frozenset[Purpose]


@dataclass(frozen=True, slots=True)
class TrustStore:
    """Anchors, certificates for building paths (not trusted), and status answers (DER) to use."""

    anchors: tuple[Anchor, ...] = ()
    intermediates: tuple[bytes, ...] = ()
    crls: tuple[bytes, ...] = ()
    ocsps: tuple[bytes, ...] = ()

    def merged(self, other: TrustStore) -> TrustStore:
        """Return a store with everything of both."""
        return TrustStore(
            tuple(dict.fromkeys(self.anchors + other.anchors)),
            tuple(dict.fromkeys(self.intermediates + other.intermediates)),
            tuple(dict.fromkeys(self.crls + other.crls)),
            tuple(dict.fromkeys(self.ocsps + other.ocsps)),
        )

    def for_purpose(self, *purposes: Purpose) -> tuple[bytes, ...]:
        """Return the anchors (DER) that serve one of the purposes."""
        wanted = frozenset(purposes)
        return tuple(anchor.certificate for anchor in self.anchors if anchor.purposes & wanted)

    def fingerprint(self) -> str:
        """Return the SHA-256 over the sorted digests of the anchors, hexadecimal."""
        digests = sorted({hashlib.sha256(anchor.certificate).hexdigest() for anchor in self.anchors})
        return hashlib.sha256("".join(digests).encode("ascii")).hexdigest()


@dataclass(frozen=True, slots=True)
class Expectation:
    """Whom the caller expects: any of these certificates (SHA-256, hexadecimal)."""

    certificates: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Proof:
    """Proof of existence: something with this SHA-256 existed not later than that moment; ``source`` names why."""

    sha256: str
    not_later_than: datetime
    source: str


@dataclass(frozen=True, slots=True)
class Content:
    """Content of a detached signature, given by the caller; an empty ``name`` serves whatever is asked for."""

    name: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Limits:
    """Budgets of one judgement: they count work, not seconds, so reports are reproducible (signing.md 4.3, 5.1)."""

    xml_max_bytes: int = 150 * 10**6
    xml_depth: int = 256
    xml_attributes: int = 256
    xml_elements: int = 500_000
    xml_skeleton_max_bytes: int = 4 * 2**20
    xml_stream_max_bytes: int = 2 * 2**30
    signatures: int = 100
    references: int = 100
    pdf_max_bytes: int = 256 * 10**6
    pdf_objects: int = 500_000
    pdf_revisions: int = 100
    pdf_decoded_bytes: int = 512 * 10**6
    pdf_stream_ratio: int = 200
    pdf_nesting: int = 100
    pdf_values: int = 2_000_000
    zip_members: int = 10_000
    zip_max_bytes: int = 4 * 2**30
    zip_ratio: int = 200


@dataclass(frozen=True, slots=True)
class Context:
    """Everything one judgement depends on besides the bytes. ``at`` is an aware moment.

    Raises:
        ValueError: ``at`` has no offset.
    """

    trust: TrustStore
    at: datetime
    policy: PolicyName
    expectation: Expectation | None = None
    limits: Limits = field(default_factory=Limits)
    proofs: tuple[Proof, ...] = ()
    algorithms: AlgorithmTable | None = None
    contents: tuple[Content, ...] = ()
    public_keys: tuple[bytes, ...] = ()  # SubjectPublicKeyInfo, DER; settle integrity only
    secrets: tuple[bytes, ...] = field(default=(), repr=False)  # for HMAC, W9; never a public key

    def __post_init__(self) -> None:
        if self.at.tzinfo is None:
            raise ValueError("the moment of judgement needs an offset")

    def with_trust(self, more: TrustStore) -> Context:
        """Return the same context with more anchors, intermediates or status answers."""
        return replace(self, trust=self.trust.merged(more))


def load_certificates(data: bytes) -> tuple[bytes, ...]:
    """Read certificates from PEM (several), DER or PKCS#7; each is returned as DER, in the order of the file.

    Raises:
        TrustError: unreadable, no certificate in it, or more than ``CERTIFICATES_MAX``.
    """
    try:
        found = _certificates(data)
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion):
        raise TrustError("EDOC-TRU-001", "certificates cannot be read") from None
    if not found:
        raise TrustError("EDOC-TRU-002", "no certificate in the file")
    if len(found) > CERTIFICATES_MAX:
        raise TrustError("EDOC-TRU-003", "too many certificates", limit=str(CERTIFICATES_MAX), value=str(len(found)))
    return tuple(certificate.public_bytes(serialization.Encoding.DER) for certificate in found)


def _certificates(data: bytes) -> list[x509.Certificate]:
    if b"-----BEGIN CERTIFICATE-----" in data:
        found = x509.load_pem_x509_certificates(data)
        if len(found) != data.count(b"-----BEGIN CERTIFICATE-----"):
            raise ValueError("a certificate is cut off")
        return found
    if b"-----BEGIN PKCS7-----" in data:
        return pkcs7.load_pem_pkcs7_certificates(data)
    if b"-----BEGIN " in data or not data.startswith(b"0"):
        return []
    try:
        return [x509.load_der_x509_certificate(data)]
    except ValueError:
        return pkcs7.load_der_pkcs7_certificates(data)


def anchors_from(data: bytes, *purposes: Purpose) -> TrustStore:
    """Read certificates and trust them for ``purposes``: every certificate given is an anchor.

    Raises:
        TrustError: as ``load_certificates``.
    """
    return anchored(load_certificates(data), *purposes)


def anchored(certificates: Iterable[bytes], *purposes: Purpose) -> TrustStore:
    """Return a store that trusts these certificates (DER) for ``purposes``."""
    return TrustStore(anchors=tuple(Anchor(der, frozenset(purposes)) for der in certificates))


def load_status(data: bytes) -> TrustStore:
    """Read status answers: CRLs (PEM, several, or DER) or one OCSP response (DER).

    Raises:
        TrustError: the bytes are neither.
    """
    if b"-----BEGIN X509 CRL-----" in data:
        try:
            return TrustStore(crls=tuple(_pem_crls(data)))
        except (ValueError, x509.InvalidVersion):
            raise TrustError("EDOC-TRU-004", "a revocation list cannot be read") from None
    try:
        certificates.crl(data)
    except ValueError:
        pass
    else:
        return TrustStore(crls=(data,))
    try:
        certificates.ocsp_response(data)
    except ValueError:
        raise TrustError("EDOC-TRU-004", "neither a revocation list nor an OCSP answer") from None
    return TrustStore(ocsps=(data,))


def _pem_crls(data: bytes) -> list[bytes]:
    end = b"-----END X509 CRL-----"
    if data.count(b"-----BEGIN X509 CRL-----") != data.count(end):
        raise ValueError("a revocation list is cut off")
    blocks = [block[block.index(b"-----BEGIN X509 CRL-----") :] + end for block in data.split(end)[:-1]]
    return [x509.load_pem_x509_crl(block).public_bytes(serialization.Encoding.DER) for block in blocks]
