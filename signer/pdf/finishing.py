"""The CMS of a reserved file: signed, checked, stamped; and the finished file read back (signing.md 2, R33)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

from signer.algorithms import PolicyName, Scheme, scheme_for
from signer.credential import Credential
from signer.errors import LevelNotReached, SigningRefused, TimestampError
from signer.judge import DISAGREEMENT
from signer.pdf import cms
from signer.pdf.options import PdfOptions
from signer.pdf.reserved import Reserved
from signer.pdf.verify import inspect_pdf
from signer.report import Code, Integrity, Reason, Report
from signer.timestamp import Timestamper, claimed_time, obtain, told
from signer.trust import Context, Limits, TrustStore

RESERVE_WITH_STAMP = 16 * 1024
"""Octets kept for the CMS at least when a time stamp is to come."""
TOKEN_GUESS = 6 * 1024
"""Octets of a time stamp of which nothing is known."""
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Form:
    """How the CMS is made: its template, and the scheme."""

    template: cms.Template
    scheme: Scheme

    def room(self, options: PdfOptions) -> int:
        """Return the octets to reserve: the template, and for level T the last token and a quarter (3.1)."""
        if options.level != "t":
            return self.template.size
        token = TOKEN_GUESS if options.token_size is None else options.token_size
        return max(RESERVE_WITH_STAMP, self.template.size + token * 5 // 4)


def form_for(credential: Credential, options: PdfOptions) -> Form:
    """Return how a credential signs PDF under a profile (R34).

    Raises:
        SigningRefused: the key is too weak, or of a kind that does not sign PDF.
    """
    try:
        scheme = scheme_for(credential.key_type, bits=credential.bits, profile=options.profile)
    except ValueError:
        scheme = Scheme.ED25519
    if scheme is Scheme.ED25519:
        subject = credential.x509.subject.rfc4514_string()
        raise SigningRefused("EDOC-KEY-015", "the key is too weak or of a kind that does not sign PDF", subject=subject)
    return Form(cms.template(credential, scheme, commitment=options.commitment), scheme)


def value_for(reserved: Reserved, credential: Credential, form: Form) -> tuple[bytes, bytes]:
    """Return the signed attributes of a file and the value over them, checked with the public key.

    Raises:
        CredentialError: the key cannot be used.
    """
    attributes = form.template.attributes(reserved.digest(form.scheme.digest))
    return attributes, credential.sign(hashlib.new(form.scheme.digest, attributes).digest(), form.scheme)


def stamped(timestamper: Timestamper, value: bytes) -> bytes:
    """Return the time stamp over a signature value.

    Raises:
        LevelNotReached: there is none.
    """
    try:
        return obtain(timestamper, hashlib.sha256(value).digest())
    except TimestampError as error:
        facts = {"missing": told(error), "url": error.facts.get("url", "-")}
        raise LevelNotReached("EDOC-PDF-022", f"no time stamp: {error}", level="PAdES-B-T", **facts) from error


def disagreement(token: bytes | None, at: datetime) -> tuple[Reason, ...]:
    """R42: the claimed time lies within five minutes of the time stamp, else it is noted."""
    time = claimed_time(token) if token is not None else None
    if time is None or abs(time - at) <= DISAGREEMENT:
        return ()
    minutes = int(abs(time - at).total_seconds() // 60)
    return (Reason(Code.TIMESTAMP_DISAGREES, {"minutes": str(minutes)}),)


def read_back(signed: bytes, *, limits: Limits) -> Report:
    """R33: a file is delivered only if every signature in it is intact.

    Raises:
        SigningRefused: one is not; the report names it.
    """
    context = Context(trust=TrustStore(), at=_EPOCH, policy=PolicyName.INTEGRITY_ONLY, limits=limits)
    report = inspect_pdf(signed, context=context)  # integrity does not depend on the moment
    broken = [one for one in report.signatures if one.integrity is not Integrity.INTACT]
    if broken or not report.signatures:
        names = ", ".join(one.id for one in broken) or "-"
        why = ", ".join(sorted({reason.code.value for one in broken for reason in one.reasons})) or "-"
        raise SigningRefused("EDOC-PDF-021", "a signature of the file is not intact", field=names, reason=why)
    return report
