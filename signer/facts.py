"""What a format found out, by mathematics and structure alone, before anybody is asked about trust (signing.md 1.2).

PDF, XML and containers deliver ``Facts`` of each signature with its ``Stamp``s, and ``FileFacts`` of the file around
them; ``signer.judge`` answers who and when.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from signer.report import (
    Algorithm,
    Appearance,
    Change,
    Covers,
    Crypto,
    Evidence,
    Integrity,
    LaterChanges,
    Need,
    Reason,
    Report,
    SignatureReport,
)
from signer.timestamp import Imprint
from signer.trust import TrustStore


@dataclass(frozen=True, slots=True)
class Stamp:
    """A time stamp found at a signature; ``kind`` as in reports.

    ``imprint`` is the octets it should be over, or, where these are many, a function from a hash name of ``hashlib`` to
    their digest. An archive stamp lists in ``covers`` the SHA-256 (hexadecimal) of every certificate, status answer,
    earlier token and signature value that it proves to have existed (signing.md 7.2). ``faults`` are structural reasons
    the format found; with any of them the stamp is broken. One that is ``uncomputable`` stays unknown. A stamp over
    references to validation data is no archive (``counts`` is false), and need not be over the value either.
    """

    id: str
    kind: str
    token: bytes
    imprint: Imprint
    covers: tuple[str, ...] = ()
    faults: tuple[Reason, ...] = ()
    uncomputable: bool = False
    proves_value: bool = True  # it is over the signature's value, or over what is
    counts: bool = True  # for the level reached


@dataclass(frozen=True, slots=True)
class Facts:
    """What a format found out about one signature, by mathematics and structure alone."""

    id: str
    crypto: Crypto
    integrity: Integrity
    covers: Covers
    level: str  # without time stamps: PAdES-B-B, XAdES-B-B, PDF-PKCS7, XMLDSIG …
    certificate: bytes | None
    algorithm: Algorithm | None = None
    digests: tuple[str, ...] = ()  # further digest algorithms used, as "SHA-256"
    candidates: tuple[bytes, ...] = ()
    embedded: TrustStore = field(default_factory=TrustStore)
    signing_time: datetime | None = None
    structural: tuple[Reason, ...] = ()
    stamps: tuple[Stamp, ...] = ()
    kind: str = "signature"
    warnings: tuple[Reason, ...] = ()
    revision: int | None = None
    later_changes: LaterChanges = LaterChanges.NONE
    changes: tuple[Change, ...] = ()
    covered: tuple[str, ...] = ()
    appearance: Appearance | None = None
    value_sha256: str | None = None  # of the signature value (of a stand-alone stamp: as later stamps cover it)


@dataclass(frozen=True, slots=True)
class Judged:
    """A signature's report, and what the judgement needed and used."""

    signature: SignatureReport
    needs: tuple[Need, ...] = ()
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What is known about the file around its signatures."""

    kind: str
    format: str | None
    data: bytes
    reasons: tuple[Reason, ...] = ()
    warnings: tuple[Reason, ...] = ()
    parts: tuple[tuple[str, Report], ...] = ()
    broken: bool = False  # a known kind, damaged beyond reading: invalid whatever its signatures
    passed: tuple[str, int] | None = None  # SHA-256 (hexadecimal) and size of a file that is not held in memory
