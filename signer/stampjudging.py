"""The time stamps of one signature: each judged, what it proves, and what they hold against the signature.

Archive stamps are judged newest first at the moment of judgement; each proves what it covers to have existed, then the
inner ones are judged (signing.md 7.2). A broken stamp counts against the signature, an untrusted one proves nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from signer.chain import PathResult
from signer.facts import Facts, Stamp
from signer.proofs import Proofs
from signer.report import Code, Evidence, Indication, Integrity, Need, Reason, Timestamp, indication_of
from signer.subindication import constraint, sub_indication
from signer.timestamp import Beside, claimed_time, judge_token
from signer.trust import Context

_NEVER = datetime(1, 1, 1, tzinfo=UTC)
THIS_VALUE = "-"
"""Stands for a signature value whose digest the format did not say."""


def judge_stamps(
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
                proofs.add([facts.value_sha256 or THIS_VALUE], judged[number].time, word)
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
    sub = sub_indication(faults, Integrity.BROKEN)
    return replace(judged, indication=indication_of(sub), sub_indication=sub, integrity=Integrity.BROKEN)


def stamp_reasons(stamps: Sequence[Timestamp]) -> tuple[list[Reason], list[Reason]]:
    """A broken stamp counts against the signature, an untrusted one merely proves nothing (console.md 5.3)."""
    reasons: list[Reason] = []
    warnings: list[Reason] = []
    for stamp in stamps:
        if stamp.integrity is Integrity.BROKEN:
            reasons += [constraint(Code.TIMESTAMP_INVALID), Reason(Code.TIMESTAMP_INVALID)]
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
