"""Of several sub-indications the first, and reasons in their order: mathematics, structure, trust (signing.md 1.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from signer.report import Code, Indication, Integrity, Reason, SignatureReport, indication_of, rank, worst_first


def sub_indication(reasons: Sequence[Reason], integrity: Integrity) -> Code | None:
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


def ordered(reasons: Sequence[Reason], sub: Code | None, base: SignatureReport) -> tuple[Reason, ...]:
    """Put the sub-indication first, the others in their order behind it, finer codes last."""
    computable = base.integrity is not Integrity.UNKNOWN
    found = sorted(reasons, key=lambda r: (r.code != sub, rank(r.code, computable=computable)))
    if sub is not None and (not found or found[0].code is not sub):
        found.insert(0, Reason(sub, signature=base.id))
    return tuple(found)


def named(reasons: Sequence[Reason], signature: str) -> tuple[Reason, ...]:
    """Name the signature in each reason, and say nothing twice."""
    return unique([replace(reason, signature=signature) for reason in reasons])


def unique(reasons: Sequence[Reason]) -> tuple[Reason, ...]:
    """Say nothing twice."""
    kept: dict[tuple[object, ...], Reason] = {}
    for reason in reasons:
        kept.setdefault((reason.code, reason.signature, *sorted(reason.facts.items())), reason)
    return tuple(kept.values())


def constraint(detail: Code) -> Reason:
    """Return row 24 of the table: a requirement of the caller, or of the policy, that is not met."""
    return Reason(Code.SIG_CONSTRAINTS_FAILURE, {"detail": detail.value})
