"""From facts to a signature's report: what PDF, XML and containers share once the mathematics is known (signing.md 1).

A format reports ``Facts``: are the bytes intact, which certificate, which time stamps. This module answers who and
when: the path at the best-signature-time, the algorithms, the stamps, the expectation. Integrity comes in as found and
goes out unchanged, so that no anchor, policy or moment can alter it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from signer.algorithms import AlgorithmVerdict, PolicyName, judge
from signer.chain import PathResult, judge_path
from signer.cms import DIGEST_NAMES
from signer.facts import Facts as Facts  # formats take these from here
from signer.facts import FileFacts as FileFacts
from signer.facts import Judged as Judged
from signer.facts import Stamp as Stamp
from signer.filereport import report_of as report_of
from signer.identity import signer_of as signer_of
from signer.levels import level_reached
from signer.proofs import Proofs
from signer.report import (
    Algorithm,
    Code,
    Crypto,
    Indication,
    Integrity,
    Reason,
    SignatureReport,
    Signer,
    Timestamp,
    indication_of,
)
from signer.stampjudging import THIS_VALUE, judge_stamps, stamp_reasons
from signer.status import is_ahead
from signer.subindication import constraint, named, ordered, sub_indication
from signer.trust import Context, Purpose
from signer.x509read import read

DISAGREEMENT = timedelta(minutes=5)
"""How far the claimed time may lie from the time stamp before it is noted (R42)."""


def judge_signature(facts: Facts, *, context: Context) -> Judged:
    """Judge one signature: time stamps first, then the path at the time they prove, algorithms, and expectation."""
    proofs = Proofs.of(context)
    stamps, stamp_evidence, stamp_needs = judge_stamps(facts, context, proofs)
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
        _concluded(base, path=path, reasons=named(reasons, facts.id), warnings=named(warnings, facts.id)),
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


def _best_time(facts: Facts, proofs: Proofs, context: Context) -> tuple[datetime | None, str]:
    """Return the earliest proof of existence of the signature value, and its kind."""
    found = [proof for digest in (facts.value_sha256 or THIS_VALUE,) if (proof := proofs.earliest(digest))]
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
        sub = sub_indication(reasons, base.integrity)
    return replace(
        base,
        indication=Indication.INDETERMINATE if sub is None else indication_of(sub),
        sub_indication=sub,
        reasons=ordered(named(reasons, facts.id), sub, base),
        warnings=named((*facts.warnings, Reason(Code.TRUST_NOT_EVALUATED)), facts.id),
    )


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
    reasons, warnings = stamp_reasons(stamps)
    if facts.kind == "timestamp":
        if facts.signing_time and is_ahead(facts.signing_time, context.at):
            reasons.append(Reason(Code.TIMESTAMP_ORDER_FAILURE))
        return reasons, warnings
    if proved is None:
        warnings.append(Reason(Code.SIGNING_TIME_NOT_PROVED))
        if context.policy is PolicyName.STRICT:
            reasons.append(constraint(Code.SIGNING_TIME_NOT_PROVED))
    elif facts.signing_time and abs(facts.signing_time - proved) > DISAGREEMENT:
        minutes = int(abs((facts.signing_time - proved).total_seconds()) // 60)
        warnings.append(Reason(Code.TIMESTAMP_DISAGREES, {"minutes": str(minutes)}))
    return reasons, warnings


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
        constraint(Code.IDENTITY_MISMATCH),
        Reason(Code.IDENTITY_MISMATCH, {"expected": context.expectation.text, "found": found}),
    ]


def _concluded(
    base: SignatureReport, *, path: PathResult, reasons: tuple[Reason, ...], warnings: tuple[Reason, ...]
) -> SignatureReport:
    sub = sub_indication(reasons, base.integrity)
    return replace(
        base,
        indication=indication_of(sub),
        sub_indication=sub,
        chain=path.chain,
        revocation=path.revocation,
        reasons=ordered(reasons, sub, base),
        warnings=warnings,
    )
