"""From the signatures' reports to the report of a file; its verdict follows console.md 5.3 alone."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from signer.algorithms import PolicyName
from signer.facts import FileFacts, Judged
from signer.report import Code, Crypto, Indication, Reason, Report, Verdict, file_verdict
from signer.subindication import unique
from signer.trust import Context


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
        reasons=unique(reasons) if verdict is not Verdict.VALID else (),
        warnings=file.warnings,
        parts=file.parts,
        needs=tuple(dict.fromkeys(need for one in judged for need in one.needs)),
        evidence=tuple(dict.fromkeys(item for one in judged for item in one.evidence)),
    )
