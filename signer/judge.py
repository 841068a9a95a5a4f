"""From facts to a signature's report: what PDF, XML and containers share once the mathematics is known (signing.md 1).

A format reports ``Facts``: are the bytes intact, which certificate, which time stamps. This module answers who and
when: the path at the best-signature-time, the algorithms, the stamps, the expectation. Integrity comes in as found and
goes out unchanged, so that no anchor, policy or moment can alter it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from signer.algorithms import AlgorithmVerdict, PolicyName, judge
from signer.chain import PathResult, judge_path
from signer.cms import DIGEST_NAMES
from signer.identity import signer_of as signer_of  # formats take it from here
from signer.levels import level_reached
from signer.proofs import Proofs
from signer.report import (
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
    SignatureReport,
    Signer,
    Timestamp,
    Verdict,
    file_verdict,
    indication_of,
    rank,
    worst_first,
)
from signer.status import is_ahead
from signer.timestamp import Beside, Imprint, claimed_time, judge_token
from signer.trust import Context, Purpose, TrustStore
from signer.x509read import read

DISAGREEMENT = timedelta(minutes=5)
"""How far the claimed time may lie from the time stamp before it is noted (R42)."""


_NEVER = datetime(1, 1, 1, tzinfo=UTC)
_THIS_VALUE = "-"  # stands for a signature value whose digest the format did not say


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


def judge_signature(facts: Facts, *, context: Context) -> Judged:
    """Judge one signature: time stamps first, then the path at the time they prove, algorithms, and expectation."""
    proofs = Proofs.of(context)
    stamps, stamp_evidence, stamp_needs = _judge_stamps(facts, context, proofs)
    proved, source = _best_time(facts, proofs, context)
    time = proved or context.at
    base = _describe(facts, stamps, time=time, source=source if proved else "validation-time", context=context)
    if context.policy is PolicyName.INTEGRITY_ONLY:
        return Judged(_integrity_only(base, facts))
    reasons, warnings = list(facts.structural), list(facts.warnings)
    path = _judge_path(facts, time, proved=proved is not None, context=context, proofs=proofs)
    reasons += path.reasons
    warnings += path.warnings
    reasons += _algorithm_reasons(facts, time, context)
    more_reasons, more_warnings = _time_reasons(facts, stamps, proved, context)
    reasons += more_reasons + _expectation_reasons(facts, context)
    reasons += _nothing_proved(reasons, stamps, proved)
    warnings += more_warnings + _tt15_warnings(facts, time, context)
    return Judged(
        _concluded(base, path=path, reasons=_frozen(reasons, facts.id), warnings=_frozen(warnings, facts.id)),
        (*path.needs, *stamp_needs),
        (*path.evidence, *stamp_evidence),
    )


_LACKING_PROOF = frozenset(
    {
        Code.CRYPTO_CONSTRAINTS_FAILURE_NO_POE,
        Code.REVOKED_NO_POE,
        Code.REVOKED_CA_NO_POE,
        Code.OUT_OF_BOUNDS_NO_POE,
        Code.REVOCATION_OUT_OF_BOUNDS_NO_POE,
    }
)


def _nothing_proved(reasons: Sequence[Reason], stamps: Sequence[Timestamp], proved: datetime | None) -> list[Reason]:
    """Say that there are stamps, but that none of them can still prove anything (past validation, row 25)."""
    lacking = any(reason.code in _LACKING_PROOF for reason in reasons)
    return [Reason(Code.NO_POE)] if lacking and proved is None and any(s.kind != "content" for s in stamps) else []


def _frozen(reasons: Sequence[Reason], signature: str) -> tuple[Reason, ...]:
    """Name the signature in each reason, and say nothing twice."""
    return _unique([replace(reason, signature=signature) for reason in reasons])


def _judge_stamps(
    facts: Facts, context: Context, proofs: Proofs
) -> tuple[tuple[Timestamp, ...], tuple[Evidence, ...], tuple[Need, ...]]:
    """Judge the stamps, archive stamps newest first: what one proves to have existed helps those it covers."""
    judged: dict[int, Timestamp] = {}
    evidence: list[Evidence] = []
    needs: list[Need] = []
    for number in _newest_first(facts.stamps):
        stamp = facts.stamps[number]
        judged[number], path = _judge_stamp(stamp, facts, context, proofs)
        evidence.append(Evidence("token", stamp.token, "signature"))
        if path is not None:
            evidence += path.evidence
            needs += path.needs
        if stamp.kind != "content" and judged[number].indication is Indication.PASSED:
            word = "archive-timestamp" if stamp.kind == "archive" else "timestamp"
            proofs.add(stamp.covers, judged[number].time, word)
            if stamp.proves_value:
                proofs.add([facts.value_sha256 or _THIS_VALUE], judged[number].time, word)
    return tuple(judged[number] for number in sorted(judged)), tuple(evidence), tuple(needs)


def _newest_first(stamps: Sequence[Stamp]) -> list[int]:
    """Return the order of judgement: archive stamps from the newest to the oldest, then the others as they stand."""
    archive = [n for n, stamp in enumerate(stamps) if stamp.kind == "archive"]
    times = {n: claimed_time(stamps[n].token) or _NEVER for n in archive}
    rest = [n for n in range(len(stamps)) if n not in times]
    return sorted(archive, key=lambda n: (times[n], n), reverse=True) + rest


def _judge_stamp(stamp: Stamp, facts: Facts, context: Context, proofs: Proofs) -> tuple[Timestamp, PathResult | None]:
    if stamp.uncomputable:
        time, sub = claimed_time(stamp.token), Code.CRYPTO_CONSTRAINTS_FAILURE
        unknown = Indication.INDETERMINATE, sub, Integrity.UNKNOWN
        return Timestamp(stamp.id, stamp.kind, time, None, *unknown, None, None), None
    known = proofs.time_of(hashlib.sha256(stamp.token).hexdigest())
    judged, path = judge_token(
        stamp.token,
        imprint=stamp.imprint,
        id=stamp.id,
        kind=stamp.kind,
        context=context,
        beside=Beside(facts.candidates, facts.embedded, known),
    )
    return (_faulty(judged, stamp.faults) if stamp.faults else judged), path


def _faulty(judged: Timestamp, faults: Sequence[Reason]) -> Timestamp:
    """A stamp whose structure does not hold is broken whatever its token says."""
    sub = _sub_indication(faults, Integrity.BROKEN)
    return replace(judged, indication=indication_of(sub), sub_indication=sub, integrity=Integrity.BROKEN)


def _best_time(facts: Facts, proofs: Proofs, context: Context) -> tuple[datetime | None, str]:
    """Return the earliest proof of existence of the signature value, and its kind."""
    found = [proof for digest in (facts.value_sha256 or _THIS_VALUE,) if (proof := proofs.earliest(digest))]
    if facts.kind == "timestamp" and facts.signing_time:
        found.append((min(facts.signing_time, context.at), "timestamp"))  # a token's time is what it states
    return min(found, default=(None, "validation-time"), key=lambda pair: pair[0] or context.at)


def _describe(
    facts: Facts, stamps: tuple[Timestamp, ...], *, time: datetime, source: str, context: Context
) -> SignatureReport:
    signer = signer_of(facts.certificate) if facts.certificate else Signer()
    level = level_reached(
        facts.level,
        [judged for judged, stamp in zip(stamps, facts.stamps, strict=True) if stamp.counts],
        tokens=[stamp.token for stamp in facts.stamps],
        covered=frozenset(
            d for stamp in facts.stamps if stamp.kind == "archive" and stamp.counts for d in stamp.covers
        ),
        certificate=facts.certificate,
        candidates=facts.candidates,
        embedded=facts.embedded,
    )
    algorithm = facts.algorithm
    if algorithm is not None:
        algorithm = replace(algorithm, tt15=_table(algorithm, time, context).tt15)
    return SignatureReport(
        id=facts.id,
        name=signer.name,
        kind=facts.kind,
        indication=Indication.INDETERMINATE,
        sub_indication=None,
        integrity=Integrity.BROKEN if facts.crypto is Crypto.BAD else facts.integrity,
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
    """Under *integrity-only* the bytes alone are judged: rows 1 to 3, 7, 8 of signing.md 1.3 (console.md 5.4)."""
    sub: Code | None = None
    reasons: tuple[Reason, ...] = ()
    if base.integrity is not Integrity.INTACT:
        reasons = tuple(reason for reason in facts.structural if reason.code is not Code.NO_SIGNING_CERTIFICATE_FOUND)
        sub = _sub_indication(reasons, base.integrity)
    return replace(
        base,
        indication=Indication.INDETERMINATE if sub is None else indication_of(sub),
        sub_indication=sub,
        reasons=_ordered(_frozen(reasons, facts.id), sub, base),
        warnings=_frozen((*facts.warnings, Reason(Code.TRUST_NOT_EVALUATED)), facts.id),
    )


def _sub_indication(reasons: Sequence[Reason], integrity: Integrity) -> Code | None:
    """Pick the sub-indication: mathematics before structure before trust (signing.md 1.3).

    Bytes that are not intact never pass: broken ones fail, unknown ones leave at least row 8.
    """
    computable = integrity is not Integrity.UNKNOWN
    codes = tuple(reason.code for reason in reasons)
    sub = worst_first(codes, computable=computable)
    if integrity is Integrity.BROKEN and indication_of(sub) is not Indication.FAILED:
        return Code.FORMAT_FAILURE
    if integrity is Integrity.UNKNOWN:
        if sub is Code.NO_SIGNING_CERTIFICATE_FOUND:  # nothing is wrong but that the key is not at hand (row 9)
            return sub
        return worst_first((*codes, Code.CRYPTO_CONSTRAINTS_FAILURE), computable=False)
    return Code.FORMAT_FAILURE if sub is None and codes else sub  # a finer code alone never passes


def _ordered(reasons: Sequence[Reason], sub: Code | None, base: SignatureReport) -> tuple[Reason, ...]:
    """Put the sub-indication first, the others in their order behind it, finer codes last."""
    computable = base.integrity is not Integrity.UNKNOWN
    ordered = sorted(reasons, key=lambda r: (r.code != sub, rank(r.code, computable=computable)))
    if sub is not None and (not ordered or ordered[0].code is not sub):
        ordered.insert(0, Reason(sub, signature=base.id))
    return tuple(ordered)


def _judge_path(facts: Facts, time: datetime, *, proved: bool, context: Context, proofs: Proofs) -> PathResult:
    if facts.certificate is None:
        missing = Reason(Code.NO_SIGNING_CERTIFICATE_FOUND)
        return PathResult((Code.NO_SIGNING_CERTIFICATE_FOUND,), reasons=(missing,))
    is_stamp = facts.kind == "timestamp"
    known = (proofs.time_of(facts.value_sha256 or "") or context.at) if is_stamp else None
    return judge_path(
        facts.certificate,
        purpose=Purpose.TSA if is_stamp else Purpose.SIGNERS,
        time=time,
        proved=proved,
        context=context,
        candidates=facts.candidates,
        embedded=facts.embedded,
        existing_by=known,
    )


def _table(algorithm: Algorithm, at: datetime, context: Context) -> AlgorithmVerdict:
    """Ask the table for the note on Annex I; nothing is refused here."""
    return judge(
        policy=PolicyName.INTEGRITY_ONLY,
        signature=algorithm.signature,
        digest=algorithm.digest,
        bits=algorithm.bits,
        at=at,
        table=context.algorithms,
    )


def _algorithm_reasons(facts: Facts, time: datetime, context: Context) -> list[Reason]:
    """Judge the scheme with its digest and key, and every further digest, at the best-signature-time."""
    at, rules = time, context.algorithms
    verdicts = [
        judge(policy=context.policy, signature="", digest=name, bits=0, at=at, use="reference", table=rules)
        for name in (DIGEST_NAMES.get(digest, digest) for digest in facts.digests)
    ]
    if facts.algorithm is not None:
        main = facts.algorithm
        scheme, digest, bits = main.signature, main.digest, main.bits
        found = judge(policy=context.policy, signature=scheme, digest=digest, bits=bits, at=at, table=rules)
        verdicts.insert(0, found)
    return [_algorithm_reason(verdict) for verdict in verdicts if verdict.code]


def _algorithm_reason(verdict: AlgorithmVerdict) -> Reason:
    assert verdict.code is not None
    ended: Mapping[str, str] = {"date": verdict.ended.isoformat()} if verdict.ended else {}
    return Reason(verdict.code, {"algorithm": verdict.algorithm, **ended})


def _tt15_warnings(facts: Facts, time: datetime, context: Context) -> list[Reason]:
    algorithm = facts.algorithm
    if algorithm is None:
        return []
    verdict = _table(algorithm, time, context)
    return [] if verdict.tt15 else [Reason(Code.NOT_TT15, {"algorithm": algorithm.signature})]


def _time_reasons(
    facts: Facts, stamps: Sequence[Timestamp], proved: datetime | None, context: Context
) -> tuple[list[Reason], list[Reason]]:
    reasons, warnings = _stamp_reasons(stamps)
    if facts.kind == "timestamp":
        if facts.signing_time and is_ahead(facts.signing_time, context.at):
            reasons.append(Reason(Code.TIMESTAMP_ORDER_FAILURE))
        return reasons, warnings
    if proved is None:
        warnings.append(Reason(Code.SIGNING_TIME_NOT_PROVED))
        if context.policy is PolicyName.STRICT:
            reasons.append(_constraint(Code.SIGNING_TIME_NOT_PROVED))
    elif facts.signing_time and abs(facts.signing_time - proved) > DISAGREEMENT:
        minutes = int(abs((facts.signing_time - proved).total_seconds()) // 60)
        warnings.append(Reason(Code.TIMESTAMP_DISAGREES, {"minutes": str(minutes)}))
    return reasons, warnings


def _stamp_reasons(stamps: Sequence[Timestamp]) -> tuple[list[Reason], list[Reason]]:
    """A broken stamp counts against the signature, an untrusted one merely proves nothing (console.md 5.3)."""
    reasons: list[Reason] = []
    warnings: list[Reason] = []
    for stamp in stamps:
        if stamp.integrity is Integrity.BROKEN:
            reasons += [_constraint(Code.TIMESTAMP_INVALID), Reason(Code.TIMESTAMP_INVALID)]
        elif stamp.sub_indication is Code.TIMESTAMP_ORDER_FAILURE:
            reasons.append(Reason(Code.TIMESTAMP_ORDER_FAILURE))
        elif stamp.indication is not Indication.PASSED:
            warnings.append(Reason(Code.TIMESTAMP_UNTRUSTED, {"tsa": stamp.tsa or "-"}))
    if _out_of_order(stamps):
        reasons.append(Reason(Code.TIMESTAMP_ORDER_FAILURE))
    return reasons, warnings


def _out_of_order(stamps: Sequence[Timestamp]) -> bool:
    """Tell whether trusted stamps contradict one another: content, then signature, then archive (signing.md 7.2)."""
    order = ("content", "signature", "archive")
    times = [
        (order.index(s.kind), s.time)
        for s in stamps
        if s.indication is Indication.PASSED and s.time and s.kind in order
    ]
    return any(a < b and time_a > time_b for a, time_a in times for b, time_b in times)


def _constraint(detail: Code) -> Reason:
    return Reason(Code.SIG_CONSTRAINTS_FAILURE, {"detail": detail.value})


def _expectation_reasons(facts: Facts, context: Context) -> list[Reason]:
    if context.expectation is None or facts.kind == "timestamp":
        return []
    found = "-"
    try:
        if facts.certificate is not None:
            found = hashlib.sha256(facts.certificate).hexdigest()
            if context.expectation.is_met_by(read(facts.certificate)):
                return []
    except ValueError:
        pass  # what cannot be read is nobody expected
    return [
        _constraint(Code.IDENTITY_MISMATCH),
        Reason(Code.IDENTITY_MISMATCH, {"expected": context.expectation.text, "found": found}),
    ]


def _concluded(
    base: SignatureReport, *, path: PathResult, reasons: tuple[Reason, ...], warnings: tuple[Reason, ...]
) -> SignatureReport:
    sub = _sub_indication(reasons, base.integrity)
    return replace(
        base,
        indication=indication_of(sub),
        sub_indication=sub,
        chain=path.chain,
        revocation=path.revocation,
        reasons=_ordered(reasons, sub, base),
        warnings=warnings,
    )


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
        if not reasons:  # under *integrity-only*: intact by its digest, but the mathematics was not done
            undone = [one.id for one in signatures if one.crypto is not Crypto.OK]
            reasons += [Reason(Code.NO_SIGNING_CERTIFICATE_FOUND, signature=name) for name in undone]
    return Report(
        kind=file.kind,
        format=file.format,
        verdict=verdict,
        sha256=file.passed[0] if file.passed else hashlib.sha256(file.data).hexdigest(),
        size=file.passed[1] if file.passed else len(file.data),
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
