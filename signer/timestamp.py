"""Time stamps of RFC 3161: ask, check before use, judge (signing.md 7.2, EN 319 422).

``Timestamper`` is the port: the transport asks a real authority over HTTP, the demonstration authority answers in
process. A token's signer is found by SignerIdentifier and ESS reference, never by position (R71).
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from cryptography import x509

from signer import asn1
from signer.chain import PathResult, common_name, judge_path
from signer.cms import DIGEST_NAMES, CmsCheck, check_signer, digest_with
from signer.errors import TimestampError
from signer.report import Code, Crypto, Indication, Integrity, Timestamp, indication_of
from signer.trust import Context, Purpose, TrustStore

TOKEN_MAX_BYTES = 256 * 1024
"""Largest answer of a time-stamping authority that is read; real ones are 3 to 10 KB."""


class Timestamper(Protocol):
    """Asks one time-stamping authority. Time-outs and retries are its business."""

    def stamp(self, request: bytes) -> bytes:
        """Send a TimeStampReq (DER) and return the TimeStampResp (DER).

        Raises:
            TimestampError: no answer.
        """
        ...


@dataclass(frozen=True, slots=True)
class Token:
    """A token taken apart, with what the mathematics says about it."""

    info: asn1.TstInfo
    check: CmsCheck
    certificates: tuple[bytes, ...]
    fits: bool


def obtain(timestamper: Timestamper, digest: bytes, *, algorithm: str = "sha256") -> bytes:
    """Ask for a token over a digest and check it before handing it out: status, imprint, nonce, signature.

    Returns:
        The token (a ContentInfo, DER).

    Raises:
        TimestampError: refused, unreadable, over something else, or not verifying.
    """
    nonce = int.from_bytes(secrets.token_bytes(16)) | 1
    answer = timestamper.stamp(asn1.timestamp_request(digest, algorithm=algorithm, nonce=nonce))
    if len(answer) > TOKEN_MAX_BYTES:
        raise TimestampError("EDOC-PKI-002", "the time-stamping authority's answer is too large")
    try:
        status, token = asn1.read_timestamp_response(answer)
    except ValueError:
        raise TimestampError("EDOC-PKI-002", "the time-stamping authority's answer cannot be read") from None
    if status not in {"granted", "granted_with_mods"} or token is None:
        raise TimestampError("EDOC-PKI-003", "the time-stamping authority refused", status=status)
    opened = open_token(token, digest=digest, algorithm=algorithm)
    if opened is None or not opened.fits or opened.info.nonce != nonce or opened.check.crypto is not Crypto.OK:
        raise TimestampError("EDOC-PKI-004", "the time stamp does not fit the request")
    if not opened.check.has_ess:
        raise TimestampError("EDOC-PKI-004", "the time stamp does not name its certificate")
    return token


def open_token(
    token: bytes, *, imprint: bytes | None = None, digest: bytes | None = None, algorithm: str = "sha256"
) -> Token | None:
    """Take a token apart; ``None`` if it cannot be read. It fits if it is over ``imprint`` (octets) or ``digest``."""
    try:
        signed = asn1.read_signed_data(token)
        if signed.content_type != "tst_info" or signed.content is None or len(signed.signers) != 1:
            return None
        info = asn1.read_tst_info(signed.content)
        if imprint is not None:
            fits = digest_with(info.digest, imprint) == info.imprint
        else:
            fits = digest is not None and info.digest == algorithm and info.imprint == digest
    except ValueError:
        return None
    check = check_signer(
        signed.signers[0],
        content_digest=None,
        content=signed.content,
        content_type="tst_info",
        candidates=signed.certificates,
    )
    return Token(info, check, signed.certificates, fits)


def judge_token(
    token: bytes, *, imprint: bytes, id: str, kind: str, context: Context, candidates: Sequence[bytes] = ()
) -> tuple[Timestamp, PathResult | None]:
    """Judge a token over octets; the moment of its path is its own time, proved by nobody else yet."""
    opened = open_token(token, imprint=imprint)
    if opened is None:
        return _broken(id, kind, None), None
    if not opened.fits or opened.check.crypto is Crypto.BAD:
        return _broken(id, kind, opened.info.time), None
    if opened.check.certificate is None or opened.check.crypto is Crypto.UNKNOWN:
        opened = _with_certificate(token, opened, candidates, context)
    certificate = opened.check.certificate
    if certificate is None or opened.check.crypto is not Crypto.OK or opened.check.reasons:
        codes = tuple(r.code for r in opened.check.reasons if r.code in set(Code))
        code = next((c for c in codes if c is not Code.ALGORITHM_UNSUPPORTED), Code.NO_SIGNING_CERTIFICATE_FOUND)
        broken = opened.check.crypto is Crypto.BAD or code is Code.FORMAT_FAILURE
        integrity = Integrity.BROKEN if broken else Integrity.UNKNOWN
        stamp = _stamp(id, kind, opened, None, indication_of(code), code)
        return replace(stamp, integrity=integrity), None
    path = judge_path(
        certificate,
        purpose=Purpose.TSA,
        time=opened.info.time,
        proved=True,
        context=context,
        candidates=(*opened.certificates, *candidates),
        embedded=TrustStore(),
    )
    if opened.info.time > context.at:
        path = PathResult((Code.TIMESTAMP_ORDER_FAILURE,), path.chain, path.revocation, path.reasons, path.warnings)
    sub = path.sub_indications[0] if path.sub_indications else None
    return _stamp(id, kind, opened, certificate, indication_of(sub), sub), path


def _with_certificate(token: bytes, opened: Token, candidates: Sequence[bytes], context: Context) -> Token:
    """Check a token again with certificates that are not inside it."""
    signed = asn1.read_signed_data(token)
    more = (*signed.certificates, *candidates, *context.trust.intermediates, *context.trust.for_purpose(Purpose.TSA))
    check = check_signer(
        signed.signers[0], content_digest=None, content=signed.content, content_type="tst_info", candidates=more
    )
    return Token(opened.info, check, more, opened.fits)


def _stamp(
    id: str, kind: str, opened: Token, certificate: bytes | None, indication: Indication, sub: Code | None
) -> Timestamp:
    tsa = common_name(x509.load_der_x509_certificate(certificate).subject) if certificate else None
    return Timestamp(
        id=id,
        kind=kind,
        time=opened.info.time,
        tsa=tsa,
        indication=indication,
        sub_indication=sub,
        integrity=Integrity.INTACT,
        digest=DIGEST_NAMES.get(opened.info.digest, opened.info.digest),
        certificate_sha256=hashlib.sha256(certificate).hexdigest() if certificate else None,
    )


def _broken(id: str, kind: str, time: datetime | None) -> Timestamp:
    return Timestamp(id, kind, time, None, Indication.FAILED, Code.FORMAT_FAILURE, Integrity.BROKEN, None, None)


def proved_time(stamps: Sequence[Timestamp]) -> datetime | None:
    """Return the earliest time that a good signature or archive stamp proves, or ``None``."""
    times = [s.time for s in stamps if s.indication is Indication.PASSED and s.time and s.kind != "content"]
    return min(times, default=None)
