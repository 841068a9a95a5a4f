"""Time stamps of RFC 3161: ask, check before use, judge (signing.md 7.2, EN 319 422).

``Timestamper`` is the port: the transport asks a real authority over HTTP, the demonstration authority answers in
process. A token's signer is found by SignerIdentifier and ESS reference, never by position (R71).
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from typing import Protocol, runtime_checkable

from signer import asn1
from signer.algorithms import judge
from signer.chain import PathResult, judge_path
from signer.cms import DIGEST_NAMES, CmsCheck, check_signer, digest_with
from signer.errors import TimestampError
from signer.report import Code, Crypto, Indication, Integrity, Timestamp, indication_of, worst_first
from signer.status import is_ahead
from signer.trust import Context, Purpose, TrustStore
from signer.x509read import read

TOKEN_MAX_BYTES = 256 * 1024
"""Largest answer of a time-stamping authority that is read; real ones are 3 to 10 KB."""

Imprint = bytes | Callable[[str], bytes | None]
"""What a stamp should be over: octets, or a function from a hash name of ``hashlib`` to their digest.

``None`` says that they are not at hand: nothing can be said about the stamp then.
"""


class Timestamper(Protocol):
    """Asks one time-stamping authority. Time-outs and retries are its business."""

    def stamp(self, request: bytes) -> bytes:
        """Send a TimeStampReq (DER) and return the TimeStampResp (DER).

        Raises:
            TimestampError: no answer.
        """
        ...


@runtime_checkable
class CheckingTimestamper(Timestamper, Protocol):
    """Asks several authorities in turn, and so must know itself which answer holds."""

    @property
    def last_size(self) -> int | None:
        """Octets of the last token, for the room that the next signature reserves; ``None`` before the first."""
        ...

    def token(self, request: bytes, *, context: Context | None) -> bytes:
        """Send a TimeStampReq (DER) and return the first token that ``check_answer`` lets through.

        Raises:
            TimestampError: there is none.
        """
        ...


@dataclass(frozen=True, slots=True)
class Token:
    """A token taken apart, with what the mathematics says about it.

    ``fits`` says whether it is over the octets in question; ``None`` if its digest cannot be computed.
    """

    info: asn1.TstInfo
    check: CmsCheck
    certificates: tuple[bytes, ...]
    embedded: TrustStore
    fits: bool | None


def obtain(
    timestamper: Timestamper, digest: bytes, *, algorithm: str = "sha256", context: Context | None = None
) -> bytes:
    """Ask for a token over a digest and check it before handing it out.

    Checked are status, imprint, nonce, ESS certificate reference and signature; with ``context`` also that the
    authority's certificate is good for time stamps, as far as its status is known.

    Returns:
        The token (a ContentInfo, DER).

    Raises:
        TimestampError: refused, unreadable, over something else, not verifying, or of an authority not trusted.
    """
    nonce = secrets.randbits(126) | 1 << 126  # of fixed length, so that tokens of one authority are of one size
    request = asn1.timestamp_request(digest, algorithm=algorithm, nonce=nonce)
    if isinstance(timestamper, CheckingTimestamper):
        return timestamper.token(request, context=context)
    return check_answer(request, timestamper.stamp(request), context=context)


def check_answer(request: bytes, answer: bytes, *, context: Context | None = None) -> bytes:
    """Return the token of an answer (TimeStampResp, DER) if it is what the request (TimeStampReq, DER) asked for.

    Raises:
        TimestampError: as ``obtain``.
        ValueError: the request is none.
    """
    algorithm, digest, nonce = asn1.read_timestamp_request(request)
    if len(answer) > TOKEN_MAX_BYTES:
        raise TimestampError("EDOC-PKI-002", "the time-stamping authority's answer is too large", reason="size")
    try:
        status, token = asn1.read_timestamp_response(answer)
    except ValueError:
        raise TimestampError(
            "EDOC-PKI-002", "the time-stamping authority's answer cannot be read", reason="DER"
        ) from None
    if status not in {"granted", "granted_with_mods"} or token is None:
        raise TimestampError("EDOC-PKI-003", "the time-stamping authority refused", status=status)
    opened = open_token(token, digest=digest, algorithm=algorithm)
    wrong = _misfit(opened, nonce)
    if opened is None or wrong is not None:
        raise TimestampError("EDOC-PKI-004", "the time stamp does not fit the request", reason=wrong)
    if context is not None:
        _refuse_untrusted(opened, context)
    return token


def _misfit(opened: Token | None, nonce: int | None) -> str | None:
    """Return what of a token is not as asked for, ``None`` if all is: the words stand in messages."""
    if opened is None:
        return "TSTInfo"
    faults = (
        ("imprint", not opened.fits),
        ("nonce", opened.info.nonce != nonce),
        ("signature", opened.check.crypto is not Crypto.OK),
        ("signing-certificate", bool(opened.check.reasons) or not opened.check.has_ess),
    )
    return next((name for name, wrong in faults if wrong), None)


def told(error: TimestampError) -> str:
    """Return in a few words, the same in every language, why there is no time stamp: ``timeout, EDOC-PKI-001``."""
    facts = error.facts
    said = [facts.get("status"), facts.get("tsa"), facts.get("reason"), None if "status" in facts else error.code]
    return ", ".join(str(one) for one in said if one)


def _refuse_untrusted(opened: Token, context: Context) -> None:
    assert opened.check.certificate is not None
    path = _judge_path(opened, opened.check.certificate, context, Beside())
    against = [code for code in path.sub_indications if code is not Code.TRY_LATER]
    if against:
        tsa = read(opened.check.certificate).subject.common_name
        raise TimestampError(
            "EDOC-PKI-006", "the time-stamping authority is not trusted", tsa=tsa, reason=against[0].value
        )


def open_token(
    token: bytes,
    *,
    imprint: Imprint | None = None,
    digest: bytes | None = None,
    algorithm: str = "sha256",
    candidates: Sequence[bytes] = (),
) -> Token | None:
    """Take a token apart; ``None`` if it cannot be read. It fits if it is over ``imprint`` (octets) or ``digest``.

    ``candidates`` are certificates (DER) from elsewhere, for a token that carries none.
    """
    try:
        signed, info = _taken_apart(token)
        if signed.content_type != "tst_info" or info is None or len(signed.signers) != 1:
            return None
        fits: bool | None = digest is not None and info.digest == algorithm and info.imprint == digest
        if imprint is not None:
            made = _digest_of(imprint, info.digest) if info.digest in DIGEST_NAMES else None
            fits = None if made is None else made == info.imprint
    except ValueError:
        return None
    certificates = (*signed.certificates, *candidates)
    check = check_signer(
        signed.signers[0],
        content_digest=None,
        content=signed.content,
        content_type="tst_info",
        candidates=certificates,
    )
    return Token(info, check, certificates, TrustStore(crls=signed.crls, ocsps=signed.ocsps), fits)


@lru_cache(maxsize=2)
def _taken_apart(token: bytes) -> tuple[asn1.SignedData, asn1.TstInfo | None]:
    """Return a token's SignedData and what it states; who signs asks twice, to check it and for its time."""
    signed = asn1.read_signed_data(token)
    return signed, None if signed.content is None else asn1.read_tst_info(signed.content)


def _digest_of(imprint: Imprint, algorithm: str) -> bytes | None:
    return digest_with(algorithm, imprint) if isinstance(imprint, bytes) else imprint(algorithm)


@dataclass(frozen=True, slots=True)
class Beside:
    """What is known around a token: certificates and status answers found beside it, and when it surely existed.

    ``existing_by`` is a proof by something else than the token itself; without one that is the moment of judgement.
    """

    candidates: tuple[bytes, ...] = ()
    embedded: TrustStore = field(default_factory=TrustStore)
    existing_by: datetime | None = None


def judge_token(
    token: bytes, *, imprint: Imprint, id: str, kind: str, context: Context, beside: Beside | None = None
) -> tuple[Timestamp, PathResult | None]:
    """Judge a token over octets: mathematics, then the path at its own time, then its algorithms.

    ``kind`` is ``signature``, ``content`` or ``archive``. A token that is broken or over other octets has integrity
    ``broken``; one whose authority is not trusted is intact, but not ``TOTAL-PASSED``: it proves no time. So does one
    whose authority's certificate, or algorithm, ended before anything else proves that the token existed.
    """
    beside = beside or Beside()
    candidates = beside.candidates
    opened = open_token(token, imprint=imprint, candidates=candidates)
    if opened is None:
        return _broken(id, kind), None
    if opened.check.certificate is None:
        opened = _completed(token, opened, imprint, context)
    stamp = _described(id, kind, opened)
    if stamp.integrity is not Integrity.INTACT or opened.check.certificate is None:
        return stamp, None
    existing_by = min(beside.existing_by or context.at, context.at)
    path = _judge_path(opened, opened.check.certificate, context, replace(beside, existing_by=existing_by))
    sub = worst_first((*path.sub_indications, *_objections(opened, context, existing_by)))
    return replace(stamp, indication=indication_of(sub), sub_indication=sub), path


def _completed(token: bytes, opened: Token, imprint: Imprint, context: Context) -> Token:
    """Try the certificates the caller trusts or gave, for a token that brings none; they can only help it."""
    given = (*context.trust.intermediates, *context.trust.for_purpose(Purpose.TSA))
    again = open_token(token, imprint=imprint, candidates=given)
    if again is None or again.check.crypto is not Crypto.OK or again.check.reasons:
        return opened
    return again


def _judge_path(opened: Token, certificate: bytes, context: Context, beside: Beside) -> PathResult:
    return judge_path(
        certificate,
        purpose=Purpose.TSA,
        time=opened.info.time,
        proved=True,
        context=context,
        candidates=(*opened.certificates, *beside.candidates),
        embedded=opened.embedded.merged(beside.embedded),
        existing_by=beside.existing_by,
    )


def _objections(opened: Token, context: Context, existing_by: datetime) -> list[Code]:
    """Say what holds against the token itself: a time to come, or algorithms that are not accepted.

    An algorithm that ended meanwhile could serve to make the token up: what counts is when the token surely existed.
    """
    found = [Code.TIMESTAMP_ORDER_FAILURE] if is_ahead(opened.info.time, context.at) else []
    algorithm = opened.check.algorithm
    assert algorithm is not None  # the mathematics held
    digests = {DIGEST_NAMES.get(name, name) for name in (opened.info.digest, *opened.check.digest_algorithms)}
    pairs = [(algorithm.signature, algorithm.digest), *(("", name) for name in sorted(digests))]
    for signature, digest in pairs:
        verdict = judge(
            use="timestamp",
            policy=context.policy,
            signature=signature,
            digest=digest,
            bits=algorithm.bits,
            at=max(existing_by, opened.info.time),
            table=context.algorithms,
        )
        found += [verdict.code] if verdict.code else []
    return found


def _described(id: str, kind: str, opened: Token) -> Timestamp:
    """Describe a token as far as mathematics and structure go."""
    check = opened.check
    sub = worst_first(tuple(reason.code for reason in check.reasons))
    integrity = {Crypto.OK: Integrity.INTACT, Crypto.BAD: Integrity.BROKEN, Crypto.UNKNOWN: Integrity.UNKNOWN}[
        check.crypto
    ]
    if opened.fits is False:
        sub, integrity = Code.HASH_FAILURE, Integrity.BROKEN
    elif indication_of(sub) is Indication.FAILED:
        integrity = Integrity.BROKEN
    elif opened.fits is None or (sub is None and integrity is Integrity.UNKNOWN):
        sub, integrity = Code.CRYPTO_CONSTRAINTS_FAILURE, Integrity.UNKNOWN
    certificate = check.certificate
    return Timestamp(
        id=id,
        kind=kind,
        time=opened.info.time,
        tsa=_name_of(certificate),
        indication=indication_of(sub),
        sub_indication=sub,
        integrity=integrity,
        digest=DIGEST_NAMES.get(opened.info.digest, opened.info.digest),
        certificate_sha256=hashlib.sha256(certificate).hexdigest() if certificate else None,
    )


def _name_of(certificate: bytes | None) -> str | None:
    try:
        return read(certificate).subject.common_name if certificate else None
    except ValueError:
        return None


def _broken(id: str, kind: str) -> Timestamp:
    return Timestamp(id, kind, None, None, Indication.FAILED, Code.FORMAT_FAILURE, Integrity.BROKEN, None, None)


def claimed_time(token: bytes) -> datetime | None:
    """Return the time a token states, unchecked; ``None`` if it cannot be read."""
    try:
        info = _taken_apart(token)[1]
        return info.time if info is not None else None
    except ValueError:
        return None


def proved_time(stamps: Sequence[Timestamp]) -> datetime | None:
    """Return the earliest time that a good signature or archive stamp proves, or ``None``."""
    times = [s.time for s in stamps if s.indication is Indication.PASSED and s.time and s.kind != "content"]
    return min(times, default=None)
