"""The report of a judgement: three questions, three answers (signing.md 1.2), in the names of ETSI EN 319 102-1.

A report says for every signature whether the bytes are intact (``integrity``, ``crypto``, ``covers``,
``later_changes``), who signed and whether that is trusted (``signer``, ``chain``, ``revocation``, ``indication``), and
when (``signing_time``, ``best_signature_time``, ``time_source``). Values are data; sentences are made elsewhere, from
``Reason.code`` and ``Reason.facts``. Times are aware and in UTC, digests are lower-case hexadecimal SHA-256.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

_NO_FACTS: Mapping[str, str] = MappingProxyType({})


class Verdict(StrEnum):
    """Verdict of a file (console.md 5.3)."""

    VALID = "valid"
    INVALID = "invalid"
    INDETERMINATE = "indeterminate"


class Indication(StrEnum):
    """Main status of one signature (EN 319 102-1, 5.1.3)."""

    PASSED = "TOTAL-PASSED"
    FAILED = "TOTAL-FAILED"
    INDETERMINATE = "INDETERMINATE"


class Integrity(StrEnum):
    """Is what the reader sees what was signed? Independent of trust, time and policy."""

    INTACT = "intact"
    BROKEN = "broken"
    UNKNOWN = "unknown"


class Crypto(StrEnum):
    """Does the mathematics hold over the covered bytes, whatever came later?"""

    OK = "ok"
    BAD = "bad"
    UNKNOWN = "unknown"


class Covers(StrEnum):
    """How much of the file a signature covers."""

    WHOLE = "whole-document"
    REVISION = "revision"
    PARTIAL = "partial"


class LaterChanges(StrEnum):
    """What was added after a signature."""

    NONE = "none"
    ALLOWED = "allowed"
    SUSPECT = "suspect"


class Code(StrEnum):
    """Closed list of reason and warning codes (signing.md 8); every sub-indication of 1.3 is one too."""

    HASH_FAILURE = "HASH_FAILURE"
    SIG_CRYPTO_FAILURE = "SIG_CRYPTO_FAILURE"
    FORMAT_FAILURE = "FORMAT_FAILURE"
    REVOKED = "REVOKED"
    EXPIRED = "EXPIRED"
    NOT_YET_VALID = "NOT_YET_VALID"
    SIGNED_DATA_NOT_FOUND = "SIGNED_DATA_NOT_FOUND"
    CRYPTO_CONSTRAINTS_FAILURE = "CRYPTO_CONSTRAINTS_FAILURE"
    NO_SIGNING_CERTIFICATE_FOUND = "NO_SIGNING_CERTIFICATE_FOUND"
    NO_CERTIFICATE_CHAIN_FOUND = "NO_CERTIFICATE_CHAIN_FOUND"
    CERTIFICATE_CHAIN_GENERAL_FAILURE = "CERTIFICATE_CHAIN_GENERAL_FAILURE"
    CHAIN_CONSTRAINTS_FAILURE = "CHAIN_CONSTRAINTS_FAILURE"
    CRYPTO_CONSTRAINTS_FAILURE_NO_POE = "CRYPTO_CONSTRAINTS_FAILURE_NO_POE"
    REVOKED_NO_POE = "REVOKED_NO_POE"
    REVOKED_CA_NO_POE = "REVOKED_CA_NO_POE"
    OUT_OF_BOUNDS_NO_POE = "OUT_OF_BOUNDS_NO_POE"
    OUT_OF_BOUNDS_NOT_REVOKED = "OUT_OF_BOUNDS_NOT_REVOKED"
    REVOCATION_OUT_OF_BOUNDS_NO_POE = "REVOCATION_OUT_OF_BOUNDS_NO_POE"
    TRY_LATER = "TRY_LATER"
    SIGNATURE_POLICY_NOT_AVAILABLE = "SIGNATURE_POLICY_NOT_AVAILABLE"
    POLICY_PROCESSING_ERROR = "POLICY_PROCESSING_ERROR"
    TIMESTAMP_ORDER_FAILURE = "TIMESTAMP_ORDER_FAILURE"
    SIG_CONSTRAINTS_FAILURE = "SIG_CONSTRAINTS_FAILURE"
    NO_POE = "NO_POE"
    # finer codes: reasons
    NO_SIGNATURE = "NO_SIGNATURE"
    UNREADABLE = "UNREADABLE"
    ENCRYPTED = "ENCRYPTED"
    UNSUPPORTED_FORMAT = "UNSUPPORTED_FORMAT"
    MALFORMED = "MALFORMED"
    LIMIT_EXCEEDED = "LIMIT_EXCEEDED"
    BYTE_RANGE_INVALID = "BYTE_RANGE_INVALID"
    LATER_CHANGE_SUSPECT = "LATER_CHANGE_SUSPECT"
    PERMISSION_VIOLATED = "PERMISSION_VIOLATED"
    READINGS_DIFFER = "READINGS_DIFFER"
    VISUAL_DIFFERENCE = "VISUAL_DIFFERENCE"
    SUBFILTER_UNKNOWN = "SUBFILTER_UNKNOWN"
    ALGORITHM_UNSUPPORTED = "ALGORITHM_UNSUPPORTED"
    XML_WRAPPING = "XML_WRAPPING"
    DUPLICATE_ID = "DUPLICATE_ID"
    SIGNED_PROPERTIES_INVALID = "SIGNED_PROPERTIES_INVALID"
    COUNTER_SIGNATURE_BROKEN = "COUNTER_SIGNATURE_BROKEN"
    SIGNING_CERTIFICATE_MISMATCH = "SIGNING_CERTIFICATE_MISMATCH"
    CONTENT_NOT_SIGNED = "CONTENT_NOT_SIGNED"
    MANIFEST_MISMATCH = "MANIFEST_MISMATCH"
    TIMESTAMP_INVALID = "TIMESTAMP_INVALID"
    IDENTITY_MISMATCH = "IDENTITY_MISMATCH"
    MISSING_PERSON_SIGNATURE = "MISSING_PERSON_SIGNATURE"
    MISSING_AGENCY_SIGNATURE = "MISSING_AGENCY_SIGNATURE"
    PROOF_INVALID = "PROOF_INVALID"
    DOCTYPE_REFUSED = "DOCTYPE_REFUSED"
    # warnings: noticed, without effect on the verdict
    TRAILING_BYTES = "TRAILING_BYTES"
    REPAIRED = "REPAIRED"
    PART_NOT_VALID = "PART_NOT_VALID"
    NOT_TT15 = "NOT_TT15"
    REVOCATION_NOT_AVAILABLE = "REVOCATION_NOT_AVAILABLE"
    SIGNING_TIME_NOT_PROVED = "SIGNING_TIME_NOT_PROVED"
    TIMESTAMP_DISAGREES = "TIMESTAMP_DISAGREES"
    TIMESTAMP_UNTRUSTED = "TIMESTAMP_UNTRUSTED"
    HEADER_SIGNATURE_PLACEHOLDER = "HEADER_SIGNATURE_PLACEHOLDER"
    TRUST_NOT_EVALUATED = "TRUST_NOT_EVALUATED"
    ANCHOR_EXPIRED = "ANCHOR_EXPIRED"
    CERTIFICATE_EXPIRING = "CERTIFICATE_EXPIRING"
    LEVEL_NOT_REACHED = "LEVEL_NOT_REACHED"
    VISIBLE_TEXT_MISMATCH = "VISIBLE_TEXT_MISMATCH"
    SIGNATURE_NOT_IN_FORM = "SIGNATURE_NOT_IN_FORM"
    USAGE_RIGHTS = "USAGE_RIGHTS"
    ATTRIBUTES_NOT_DER = "ATTRIBUTES_NOT_DER"
    CERTIFICATE_ENCODING = "CERTIFICATE_ENCODING"
    CONTENTS_PADDING = "CONTENTS_PADDING"
    VALIDATION_DATA_LOST = "VALIDATION_DATA_LOST"
    DOCTYPE_PRESENT = "DOCTYPE_PRESENT"
    PARTIAL_COVERAGE = "PARTIAL_COVERAGE"
    SIGNATURE_VALUE_DER = "SIGNATURE_VALUE_DER"
    PROPERTIES_DEVIATE = "PROPERTIES_DEVIATE"
    PDFA_LEVEL = "PDFA_LEVEL"
    PICTURE_RESOLUTION = "PICTURE_RESOLUTION"
    PICTURE_OPAQUE = "PICTURE_OPAQUE"
    SEAL_RAISED = "SEAL_RAISED"


SUB_INDICATIONS: tuple[Code, ...] = tuple(Code)[: tuple(Code).index(Code.NO_SIGNATURE)]
"""Sub-indications in the order of signing.md 1.3: of several the first is reported, the others go to ``reasons``."""

FAILED: frozenset[Code] = frozenset(SUB_INDICATIONS[:6])
"""Sub-indications that make a signature TOTAL-FAILED; all others leave it INDETERMINATE."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a signature or file is not valid, or what was noticed: a code and the facts its sentence names."""

    code: Code
    facts: Mapping[str, str] = field(default_factory=lambda: _NO_FACTS)
    signature: str | None = None


@dataclass(frozen=True, slots=True)
class Signer:
    """Who a certificate says the signer is.

    ``agency``, ``authority`` and ``capacity`` (TM., Q., KT., TL., TUQ.) are filled by ``edoc`` (signing.md 1.3), and so
    is ``position`` where the authority table knows it.
    """

    name: str | None = None
    organization: str | None = None
    unit: str | None = None
    position: str | None = None
    email: str | None = None
    serial: str | None = None  # upper-case hexadecimal
    issuer: str | None = None
    certificate_sha256: str | None = None
    type: str = "unknown"  # person, agency, unknown
    agency: str | None = None  # agency code
    authority: str = "unknown"  # confirmed, missing, unknown
    capacity: str | None = None


@dataclass(frozen=True, slots=True)
class Algorithm:
    """Algorithms of a signature; ``tt15`` says whether they meet Annex I of Circular 15/2025."""

    signature: str
    digest: str
    key: str
    bits: int
    curve: str | None
    tt15: bool


@dataclass(frozen=True, slots=True)
class ChainLink:
    """One certificate of a path, leaf first; ``source`` is signature, file, given, store or online."""

    subject: str
    issuer: str
    serial: str
    not_before: datetime
    not_after: datetime
    sha256: str
    source: str
    anchor: bool


@dataclass(frozen=True, slots=True)
class Revocation:
    """Status of one certificate: ``status`` good, revoked, unknown, not-checked; ``method`` ocsp, crl, none."""

    certificate_sha256: str
    status: str
    method: str
    source: str | None
    this_update: datetime | None = None
    next_update: datetime | None = None
    revoked_at: datetime | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Timestamp:
    """One time stamp of a signature; ``kind`` is signature, content or archive."""

    id: str
    kind: str
    time: datetime | None
    tsa: str | None
    indication: Indication
    sub_indication: Code | None
    integrity: Integrity
    digest: str | None
    certificate_sha256: str | None


@dataclass(frozen=True, slots=True)
class Change:
    """A change made after a signature; ``kind`` is from the closed list of signing.md 4.3."""

    revision: int
    kind: str
    allowed: bool
    facts: Mapping[str, str] = field(default_factory=lambda: _NO_FACTS)


@dataclass(frozen=True, slots=True)
class Appearance:
    """Where a signature is drawn: page from 1, box (x, y, width, height) in mm from the page's upper left corner."""

    page: int
    box_mm: tuple[float, float, float, float]
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Need:
    """A status answer that was not at hand: the transport may fetch it and ask again (signing.md 7.1)."""

    certificate: bytes  # DER
    issuer: bytes | None  # DER
    ocsp_urls: tuple[str, ...]
    crl_urls: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Evidence:
    """A certificate, status answer or token the judgement used (R69); ``kind`` is certificate, crl, ocsp or token."""

    kind: str
    data: bytes  # DER
    source: str


@dataclass(frozen=True, slots=True)
class SignatureReport:
    """What was found about one signature; field meanings are those of console.md 5.2."""

    id: str
    indication: Indication
    sub_indication: Code | None
    integrity: Integrity
    crypto: Crypto
    covers: Covers
    level: str
    best_signature_time: datetime
    name: str | None = None
    kind: str = "signature"  # signature, timestamp, seal
    time_source: str = "validation-time"  # timestamp, archive-timestamp, ledger, validation-time
    signing_time: datetime | None = None
    later_changes: LaterChanges = LaterChanges.NONE
    revision: int | None = None
    covered: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()
    signer: Signer = Signer()
    algorithm: Algorithm | None = None
    chain: tuple[ChainLink, ...] = ()
    revocation: tuple[Revocation, ...] = ()
    timestamps: tuple[Timestamp, ...] = ()
    appearance: Appearance | None = None
    reasons: tuple[Reason, ...] = ()
    warnings: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """What was found about one file. It has no truth value: ask ``report.verdict``."""

    kind: str  # pdf, xml, edxml, asic, cms, receipt, proof, unknown
    format: str | None
    verdict: Verdict
    sha256: str | None
    size: int | None
    signatures: tuple[SignatureReport, ...] = ()
    reasons: tuple[Reason, ...] = ()
    warnings: tuple[Reason, ...] = ()
    parts: tuple[tuple[str, Report], ...] = ()  # name inside the file, its report
    document: Mapping[str, str] | None = None
    legal_class: str | None = None  # original, copy, information-only; filled by edoc
    needs: tuple[Need, ...] = ()
    evidence: tuple[Evidence, ...] = ()

    def __bool__(self) -> bool:
        raise TypeError("a report has no truth value; compare report.verdict")


def file_verdict(signatures: tuple[SignatureReport, ...], *, integrity_only: bool = False) -> Verdict:
    """Return the verdict of a file from its signatures alone (console.md 5.3, last paragraph).

    A stand-alone time stamp counts only when it is broken. Under ``integrity_only`` *valid* means that all are intact,
    and that the mathematics was done: a digest that fits is not enough where the certificate is absent (4.4), since
    whoever takes it away could have written the digest too.
    """
    real = [s for s in signatures if s.kind != "timestamp"]
    failed = not integrity_only and any(s.indication is Indication.FAILED for s in real)
    if failed or any(s.integrity is Integrity.BROKEN for s in signatures):
        return Verdict.INVALID
    if integrity_only:
        good = bool(real) and all(s.integrity is Integrity.INTACT and s.crypto is Crypto.OK for s in real)
    else:
        good = bool(real) and all(s.indication is Indication.PASSED for s in real)
    return Verdict.VALID if good else Verdict.INDETERMINATE


def rank(code: Code, *, computable: bool = True) -> float:
    """Return the place of a code in the order of signing.md 1.3; finer codes come behind all sub-indications.

    ``CRYPTO_CONSTRAINTS_FAILURE`` stands there twice: for what cannot be computed (row 8), and for what can, but is not
    accepted (row 13).
    """
    if code is Code.CRYPTO_CONSTRAINTS_FAILURE and computable:
        return SUB_INDICATIONS.index(Code.CRYPTO_CONSTRAINTS_FAILURE_NO_POE) - 0.5
    return SUB_INDICATIONS.index(code) if code in SUB_INDICATIONS else len(SUB_INDICATIONS)


def worst_first(codes: tuple[Code, ...], *, computable: bool = True) -> Code | None:
    """Return the sub-indication to report of several found: the first in the order of signing.md 1.3, or ``None``."""
    found = [code for code in codes if code in SUB_INDICATIONS]
    return min(found, key=lambda code: rank(code, computable=computable), default=None)


def indication_of(sub: Code | None) -> Indication:
    """Return the indication that belongs to a sub-indication (``None`` = passed)."""
    if sub is None:
        return Indication.PASSED
    return Indication.FAILED if sub in FAILED else Indication.INDETERMINATE
