"""Whom we trust and at which moment we judge: arguments of every judgement, never defaults (signing.md 1.1, 7.1).

A ``TrustStore`` is frozen and loads whole or not at all. None given means none: the operating system's store is never
asked. A ``Context`` holds everything one judgement depends on, so that the same bytes give the same report.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs7

from signer import certificates, crls, ocsps, x509read
from signer.algorithms import AlgorithmTable, PolicyName
from signer.der import value
from signer.errors import TrustError
from signer.expectation import Expectation
from signer.pathrules import BY_DEFAULT, Inputs

CERTIFICATES_MAX = 2000
"""Certificates read from one file; state trust lists hold some dozens."""


class Purpose(StrEnum):
    """What an anchor is trusted for."""

    SIGNERS = "signers"
    PUBLIC = "public"
    TSA = "tsa"


@dataclass(frozen=True, slots=True)
class Anchor:
    """A certificate trusted because the caller says so: its own signature, dates, algorithms are not judged (R70).

    It serves moments from ``valid_from`` on and before ``sunset``, where these are given.

    Raises:
        ValueError: one of these has no offset.
    """

    certificate: bytes  # DER
    purposes: frozenset[Purpose]
    valid_from: datetime | None = None
    sunset: datetime | None = None

    def __post_init__(self) -> None:
        if any(one is not None and one.tzinfo is None for one in (self.valid_from, self.sunset)):
            raise ValueError("the moments of an anchor need an offset")

    def serves(self, moment: datetime) -> bool:
        """Tell whether the anchor is trusted for that moment."""
        started = self.valid_from is None or self.valid_from <= moment
        return started and (self.sunset is None or moment < self.sunset)


@dataclass(frozen=True, slots=True)
class TrustStore:
    """Anchors, certificates for building paths (not trusted), and status answers (DER) to use.

    ``origins`` says of status answers where they came from, if not simply given: ``store`` for those kept from an
    earlier judgement (R69), ``online`` for those fetched for this one.
    """

    anchors: tuple[Anchor, ...] = ()
    intermediates: tuple[bytes, ...] = ()
    crls: tuple[bytes, ...] = ()
    ocsps: tuple[bytes, ...] = ()
    origins: tuple[tuple[bytes, str], ...] = ()

    def coming_from(self, origin: str) -> TrustStore:
        """Return the same store, its status answers marked as ``store`` or ``online``."""
        return replace(self, origins=tuple((data, origin) for data in (*self.crls, *self.ocsps)))

    def origin_of(self, answer: bytes) -> str:
        """Return where a status answer came from: ``given``, ``store`` or ``online``."""
        return next((origin for data, origin in self.origins if data == answer), "given")

    def merged(self, other: TrustStore) -> TrustStore:
        """Return a store with everything of both."""
        return TrustStore(
            tuple(dict.fromkeys(self.anchors + other.anchors)),
            tuple(dict.fromkeys(self.intermediates + other.intermediates)),
            tuple(dict.fromkeys(self.crls + other.crls)),
            tuple(dict.fromkeys(self.ocsps + other.ocsps)),
            tuple(dict.fromkeys(self.origins + other.origins)),
        )

    def for_purpose(self, *purposes: Purpose, at: datetime | None = None) -> tuple[bytes, ...]:
        """Return the anchors (DER) that serve one of the purposes, with ``at`` only those that serve that moment."""
        wanted = frozenset(purposes)
        found = (one for one in self.anchors if one.purposes & wanted and (at is None or one.serves(at)))
        return tuple(dict.fromkeys(anchor.certificate for anchor in found))

    def fingerprint(self) -> str:
        """Return the SHA-256 over the sorted digests of the anchors, hexadecimal."""
        digests = sorted({hashlib.sha256(anchor.certificate).hexdigest() for anchor in self.anchors})
        return hashlib.sha256("".join(digests).encode("ascii")).hexdigest()


@dataclass(frozen=True, slots=True)
class Proof:
    """Proof of existence: something with this SHA-256 existed not later than that moment; ``source`` names why.

    Raises:
        ValueError: the moment has no offset.
    """

    sha256: str
    not_later_than: datetime
    source: str

    def __post_init__(self) -> None:
        if self.not_later_than.tzinfo is None:
            raise ValueError("the moment of a proof needs an offset")


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
class Pictures:
    """What the worker may use that draws the pages of one file (signing.md 4.3): time, and memory beside the file.

    They protect the machine and are no budgets of a judgement: where they do not suffice, nothing is concluded.
    """

    seconds: int = 60
    memory: int = 2**30  # octets


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
    path_inputs: Inputs = BY_DEFAULT  # what is asked of certificate policies (RFC 5280, 6.1.1)
    pictures: Pictures | None = None  # compare touched pages of a PDF as pictures too (extra ``preview``)
    extended_usages: frozenset[str] = frozenset()  # purposes of signers besides those of signing.md 2, K4 (OIDs)

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
        for der in found:
            x509read.read(der)
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion):
        raise TrustError("EDOC-TRU-001", "certificates cannot be read") from None
    if not found:
        raise TrustError("EDOC-TRU-002", "no certificate in the file")
    if len(found) > CERTIFICATES_MAX:
        raise TrustError("EDOC-TRU-003", "too many certificates", limit=str(CERTIFICATES_MAX), value=str(len(found)))
    return tuple(found)


def _certificates(data: bytes) -> list[bytes]:
    for label in ("CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"):
        if f"-----BEGIN {label}-----".encode() in data:
            blocks = _pem_blocks(data, label)
            return [_first_value(block) for block in blocks] if label.startswith("TRUSTED") else blocks
    if b"-----BEGIN PKCS7-----" in data:
        return [der for block in _pem_blocks(data, "PKCS7") for der in _of_pkcs7(block)]
    if b"-----BEGIN " in data or not data.startswith(b"0"):
        return []
    try:
        x509read.read(data)
    except ValueError:
        return _of_pkcs7(data)
    return [data]


def _first_value(block: bytes) -> bytes:
    """OpenSSL writes what a certificate is trusted for behind it."""
    return value(block).encoded


def _of_pkcs7(data: bytes) -> list[bytes]:
    found = pkcs7.load_der_pkcs7_certificates(data)
    return [certificate.public_bytes(serialization.Encoding.DER) for certificate in found]


def _pem_blocks(data: bytes, label: str) -> list[bytes]:
    """Return what stands between the lines of PEM; other text around it does not matter.

    Raises:
        ValueError: a block is cut off, or not base64.
    """
    begin, end = f"-----BEGIN {label}-----".encode(), f"-----END {label}-----".encode()
    blocks = [block.partition(end) for block in data.split(begin)[1:]]
    if any(not found for _, found, _ in blocks):
        raise ValueError("a block is cut off")
    return [base64.b64decode(b"".join(body.split()), validate=True) for body, _, _ in blocks]


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
            found = _pem_blocks(data, "X509 CRL")
        except ValueError:
            found = []
        if not found or not all(crls.read(one) for one in found):
            raise TrustError("EDOC-TRU-004", "a revocation list cannot be read")
        return TrustStore(crls=tuple(found))
    if crls.read(data) is not None:
        return TrustStore(crls=(data,))
    if ocsps.read(data) is None and not _is_ocsp(data):
        raise TrustError("EDOC-TRU-004", "neither a revocation list nor an OCSP answer")
    return TrustStore(ocsps=(data,))


def _is_ocsp(data: bytes) -> bool:
    """An answer that the service could not or would not give is one too; it says nothing."""
    try:
        certificates.ocsp_response(data)
    except ValueError:
        return False
    return True
