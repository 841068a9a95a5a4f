"""From facts to a signature's report: what PDF, XML and containers share once the mathematics is known (signing.md 1).

A format reports ``Facts``: are the bytes intact, which certificate, which time stamps. This module answers who and
when: the path at the best-signature-time, the algorithms, the stamps, the expectation. Integrity comes in as found and
goes out unchanged, so that no anchor, policy or moment can alter it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.x509.oid import NameOID, ObjectIdentifier

from signer.algorithms import AlgorithmVerdict, PolicyName, judge
from signer.chain import PathResult, common_name, judge_path
from signer.report import (
    SUB_INDICATIONS,
    Algorithm,
    Appearance,
    Change,
    Code,
    Covers,
    Crypto,
    Evidence,
    Indication,
    Integrity,
    LaterChanges,
    Need,
    Reason,
    Report,
    Revocation,
    SignatureReport,
    Signer,
    Timestamp,
    Verdict,
    file_verdict,
    indication_of,
    worst_first,
)
from signer.timestamp import judge_token, proved_time
from signer.trust import Context, Purpose, TrustStore

DISAGREEMENT = timedelta(minutes=5)
"""How far the claimed time may lie from the time stamp before it is noted (R42)."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """A time stamp found at a signature: the token (DER) and the octets it should be over; ``kind`` as in reports."""

    id: str
    kind: str
    token: bytes
    imprint: bytes


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
    value_sha256: str | None = None  # of the signature value, for proofs of existence


@dataclass(frozen=True, slots=True)
class Judged:
    """A signature's report, and what the judgement needed and used."""

    signature: SignatureReport
    needs: tuple[Need, ...] = ()
    evidence: tuple[Evidence, ...] = ()


def judge_signature(facts: Facts, *, context: Context) -> Judged:
    """Judge one signature: time stamps first, then the path at the time they prove, algorithms, and expectation."""
    stamps, stamp_evidence, stamp_needs = _judge_stamps(facts, context)
    proved, source = _best_time(facts, stamps, context)
    time = proved or context.at
    base = _describe(facts, stamps, time, source if proved else "validation-time")
    if context.policy is PolicyName.INTEGRITY_ONLY:
        return Judged(_integrity_only(base, facts))
    reasons, warnings = list(facts.structural), list(facts.warnings)
    path = _judge_path(facts, time, proved=proved is not None, context=context)
    reasons += path.reasons
    warnings += path.warnings
    reasons += _algorithm_reasons(facts, time, context)
    more_reasons, more_warnings = _time_reasons(facts, stamps, proved, context)
    reasons += more_reasons + _expectation_reasons(facts, context)
    warnings += more_warnings + _tt15_warnings(facts, time)
    return Judged(
        _concluded(base, facts, path, _frozen(reasons, facts.id), _frozen(warnings, facts.id)),
        (*path.needs, *stamp_needs),
        (*path.evidence, *stamp_evidence),
    )


def _frozen(reasons: Sequence[Reason], signature: str) -> tuple[Reason, ...]:
    """Name the signature in each reason, and say nothing twice."""
    return _unique([replace(reason, signature=signature) for reason in reasons])


def _judge_stamps(
    facts: Facts, context: Context
) -> tuple[tuple[Timestamp, ...], tuple[Evidence, ...], tuple[Need, ...]]:
    stamps: list[Timestamp] = []
    evidence: list[Evidence] = []
    needs: list[Need] = []
    for stamp in facts.stamps:
        judged, path = judge_token(
            stamp.token,
            imprint=stamp.imprint,
            id=stamp.id,
            kind=stamp.kind,
            context=context,
            candidates=facts.candidates,
        )
        stamps.append(judged)
        evidence.append(Evidence("token", stamp.token, "signature"))
        if path is not None:
            evidence += path.evidence
            needs += path.needs
    return tuple(stamps), tuple(evidence), tuple(needs)


def _best_time(facts: Facts, stamps: Sequence[Timestamp], context: Context) -> tuple[datetime | None, str]:
    """Return the earliest proof of existence of the signature value, and its kind."""
    found = [(p.not_later_than, p.source) for p in context.proofs if p.sha256 == facts.value_sha256]
    for kind, word in (("signature", "timestamp"), ("archive", "archive-timestamp")):
        time = proved_time([s for s in stamps if s.kind == kind])
        if time:
            found.append((time, word))
    return min(found, default=(None, "validation-time"), key=lambda pair: pair[0] or context.at)


def _describe(facts: Facts, stamps: tuple[Timestamp, ...], time: datetime, source: str) -> SignatureReport:
    signer = signer_of(facts.certificate) if facts.certificate else Signer()
    level = facts.level
    if any(s.kind == "signature" and s.integrity is Integrity.INTACT for s in stamps) and level.endswith("-B-B"):
        level = level[:-1] + "T"
    algorithm = facts.algorithm
    if algorithm is not None:
        algorithm = replace(algorithm, tt15=_table(algorithm, time).tt15)
    return SignatureReport(
        id=facts.id,
        name=signer.name,
        kind=facts.kind,
        indication=Indication.INDETERMINATE,
        sub_indication=None,
        integrity=facts.integrity,
        crypto=facts.crypto,
        covers=facts.covers,
        level=level,
        best_signature_time=time,
        time_source=source,
        signing_time=facts.signing_time,
        later_changes=facts.later_changes,
        revision=facts.revision,
        covered=facts.covered,
        changes=facts.changes,
        signer=signer,
        algorithm=algorithm,
        timestamps=stamps,
        appearance=facts.appearance,
    )


def _integrity_only(base: SignatureReport, facts: Facts) -> SignatureReport:
    """Under *integrity-only* nothing but the bytes is judged (console.md 5.4)."""
    sub = worst_first(tuple(reason.code for reason in facts.structural))
    if facts.integrity is not Integrity.INTACT and sub is None:
        sub = Code.FORMAT_FAILURE if facts.integrity is Integrity.BROKEN else Code.CRYPTO_CONSTRAINTS_FAILURE
    if facts.integrity is Integrity.INTACT:
        sub = None
    indication = Indication.INDETERMINATE if sub is None else indication_of(sub)
    warnings = _frozen((*facts.warnings, Reason(Code.TRUST_NOT_EVALUATED)), facts.id)
    return replace(
        base,
        indication=indication,
        sub_indication=sub,
        reasons=_frozen(facts.structural, facts.id),
        warnings=warnings,
    )


def _judge_path(facts: Facts, time: datetime, *, proved: bool, context: Context) -> PathResult:
    if facts.certificate is None:
        missing = Reason(Code.NO_SIGNING_CERTIFICATE_FOUND)
        return PathResult((Code.NO_SIGNING_CERTIFICATE_FOUND,), reasons=(missing,))
    return judge_path(
        facts.certificate,
        purpose=Purpose.TSA if facts.kind == "timestamp" else Purpose.SIGNERS,
        time=time,
        proved=proved,
        context=context,
        candidates=facts.candidates,
        embedded=facts.embedded,
    )


def _table(algorithm: Algorithm, at: datetime) -> AlgorithmVerdict:
    """Ask the table for the note on Annex I; nothing is refused here."""
    return judge(
        policy=PolicyName.INTEGRITY_ONLY,
        signature=algorithm.signature,
        digest=algorithm.digest,
        bits=algorithm.bits,
        at=at,
    )


def _algorithm_reasons(facts: Facts, time: datetime, context: Context) -> list[Reason]:
    if facts.algorithm is None:
        return []
    found = facts.algorithm
    rules, policy = context.algorithms, context.policy
    verdicts = [
        judge(policy=policy, signature=found.signature, digest=found.digest, bits=found.bits, at=time, table=rules)
    ]
    verdicts += [
        judge(policy=policy, signature="", digest=name, bits=0, at=time, table=rules) for name in facts.digests
    ]
    return [_algorithm_reason(verdict) for verdict in verdicts if verdict.code]


def _algorithm_reason(verdict: AlgorithmVerdict) -> Reason:
    assert verdict.code is not None
    ended: Mapping[str, str] = {"date": verdict.ended.isoformat()} if verdict.ended else {}
    return Reason(verdict.code, {"algorithm": verdict.algorithm, **ended})


def _tt15_warnings(facts: Facts, time: datetime) -> list[Reason]:
    algorithm = facts.algorithm
    if algorithm is None:
        return []
    verdict = _table(algorithm, time)
    return [] if verdict.tt15 else [Reason(Code.NOT_TT15, {"algorithm": algorithm.signature})]


def _time_reasons(
    facts: Facts, stamps: Sequence[Timestamp], proved: datetime | None, context: Context
) -> tuple[list[Reason], list[Reason]]:
    reasons: list[Reason] = []
    warnings: list[Reason] = []
    for stamp in stamps:
        if stamp.integrity is Integrity.BROKEN:
            reasons += [Reason(Code.SIG_CONSTRAINTS_FAILURE), Reason(Code.TIMESTAMP_INVALID)]
        elif stamp.sub_indication is Code.TIMESTAMP_ORDER_FAILURE:
            reasons.append(Reason(Code.TIMESTAMP_ORDER_FAILURE))
        elif stamp.indication is not Indication.PASSED:
            warnings.append(Reason(Code.TIMESTAMP_UNTRUSTED, {"tsa": stamp.tsa or "-"}))
    if proved is None and facts.kind != "timestamp":
        warnings.append(Reason(Code.SIGNING_TIME_NOT_PROVED))
        if context.policy is PolicyName.STRICT:
            reasons.append(Reason(Code.SIG_CONSTRAINTS_FAILURE))
    elif proved and facts.signing_time and abs(facts.signing_time - proved) > DISAGREEMENT:
        minutes = int(abs((facts.signing_time - proved).total_seconds()) // 60)
        warnings.append(Reason(Code.TIMESTAMP_DISAGREES, {"minutes": str(minutes)}))
    return reasons, warnings


def _expectation_reasons(facts: Facts, context: Context) -> list[Reason]:
    if context.expectation is None or facts.kind == "timestamp":
        return []
    found = hashlib.sha256(facts.certificate).hexdigest() if facts.certificate else "-"
    if found in context.expectation.certificates:
        return []
    wanted = ", ".join(context.expectation.certificates) or "-"
    return [
        Reason(Code.SIG_CONSTRAINTS_FAILURE),
        Reason(Code.IDENTITY_MISMATCH, {"expected": wanted, "found": found}),
    ]


def _concluded(
    base: SignatureReport,
    facts: Facts,
    path: PathResult,
    reasons: tuple[Reason, ...],
    warnings: tuple[Reason, ...],
) -> SignatureReport:
    """Pick the sub-indication: mathematics before structure before trust (signing.md 1.3)."""
    codes = tuple(reason.code for reason in reasons)
    sub = worst_first(codes)
    if sub is None and facts.integrity is not Integrity.INTACT:
        sub = Code.FORMAT_FAILURE if facts.integrity is Integrity.BROKEN else Code.CRYPTO_CONSTRAINTS_FAILURE
    if sub is None and codes:  # a finer code alone never passes
        sub = Code.FORMAT_FAILURE
    indication = indication_of(sub)
    if facts.integrity is Integrity.UNKNOWN and indication is Indication.FAILED and facts.crypto is not Crypto.BAD:
        indication, sub = Indication.INDETERMINATE, Code.CRYPTO_CONSTRAINTS_FAILURE
    ordered = sorted(reasons, key=lambda r: (r.code != sub, _rank(r.code)))
    if sub is not None and (not ordered or ordered[0].code is not sub):
        ordered.insert(0, Reason(sub, signature=facts.id))
    revocation: tuple[Revocation, ...] = path.revocation
    return replace(
        base,
        indication=indication,
        sub_indication=sub,
        chain=path.chain,
        revocation=revocation,
        reasons=tuple(ordered),
        warnings=warnings,
    )


def _rank(code: Code) -> int:
    return SUB_INDICATIONS.index(code) if code in SUB_INDICATIONS else len(SUB_INDICATIONS)


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


def report_of(file: FileFacts, judged: Sequence[Judged], *, context: Context) -> Report:
    """Assemble the report of a file; its verdict follows console.md 5.3 alone."""
    signatures = tuple(one.signature for one in judged)
    verdict = file_verdict(signatures, integrity_only=context.policy is PolicyName.INTEGRITY_ONLY)
    reasons = list(file.reasons)
    if not any(s.kind != "timestamp" for s in signatures) and not reasons:
        reasons.append(Reason(Code.NO_SIGNATURE))
    if file.broken:
        verdict = Verdict.INVALID
    elif file.reasons and verdict is Verdict.VALID:
        verdict = Verdict.INDETERMINATE
    if verdict is not Verdict.VALID:
        for signature in signatures:
            if signature.indication is not Indication.PASSED:
                reasons += signature.reasons
    return Report(
        kind=file.kind,
        format=file.format,
        verdict=verdict,
        sha256=hashlib.sha256(file.data).hexdigest(),
        size=len(file.data),
        signatures=signatures,
        reasons=_unique(reasons) if verdict is not Verdict.VALID else (),
        warnings=file.warnings,
        parts=file.parts,
        needs=tuple(dict.fromkeys(need for one in judged for need in one.needs)),
        evidence=tuple(dict.fromkeys(item for one in judged for item in one.evidence)),
    )


def _unique(reasons: Sequence[Reason]) -> tuple[Reason, ...]:
    kept: list[Reason] = []
    for reason in reasons:
        if reason not in kept:
            kept.append(reason)
    return tuple(kept)


def signer_of(certificate: bytes) -> Signer:
    """Return whom a certificate (DER) names; an unreadable one names nobody."""
    digest = hashlib.sha256(certificate).hexdigest()
    try:
        parsed = x509.load_der_x509_certificate(certificate)
        subject = parsed.subject
        organization = _first(subject, NameOID.ORGANIZATION_NAME)
        is_agency = (
            any(str(a.value).startswith("MST:") for a in subject.get_attributes_for_oid(NameOID.USER_ID))
            and common_name(subject) == organization
        )
        return Signer(
            name=common_name(subject),
            serial=f"{parsed.serial_number:X}",
            issuer=parsed.issuer.rfc4514_string(),
            certificate_sha256=digest,
            type="agency" if is_agency else "person",
            organization=organization,
            unit=_first(subject, NameOID.ORGANIZATIONAL_UNIT_NAME),
            position=_first(subject, NameOID.TITLE),
            email=_first(subject, NameOID.EMAIL_ADDRESS),
        )
    except ValueError:
        return Signer(certificate_sha256=digest)


def _first(subject: x509.Name, oid: ObjectIdentifier) -> str | None:
    found = subject.get_attributes_for_oid(oid)
    return str(found[0].value) if found else None
