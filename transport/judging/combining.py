"""The worst of a seal and the signed parts under it: the one place where that rule stands (console.md 5.3)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from signer.report import Code, Reason, Report, Verdict

Parts = tuple[tuple[str, Report], ...]

_WORST_FIRST = (Verdict.INVALID, Verdict.INDETERMINATE, Verdict.VALID)


def worst(*verdicts: Verdict) -> Verdict:
    """Return the worst of the verdicts: *invalid* before *indeterminate* before *valid*."""
    return next(one for one in _WORST_FIRST if one in verdicts)


def combined(seal: Report, parts: Parts) -> Report:
    """Put a message together: unsigned appendices do not count, an unsigned or missing main document is indeterminate.

    A part's reasons are repeated with the signature named as in JSON, ``part.pdf!/Signature1``.
    """
    counted = [(name, part) for number, (name, part) in enumerate(parts) if number == 0 or part.signatures]
    found = worst(seal.verdict, *(part.verdict for _, part in counted))
    reasons = [*seal.reasons]
    if not parts:
        found = worst(found, Verdict.INDETERMINATE)
        reasons.append(Reason(Code.NO_SIGNATURE))
    for name, part in counted:
        reasons += [reason for reason in _named(name, part) if reason not in reasons]
    return replace(
        seal,
        verdict=found,
        parts=parts,
        reasons=tuple(reasons) if found is not Verdict.VALID else (),
        legal_class=parts[0][1].legal_class if parts else None,
    )


def _named(name: str, part: Report) -> Iterator[Reason]:
    """Return the reasons of a part, their signatures told apart from those of the message itself."""
    for reason in part.reasons if part.verdict is not Verdict.VALID else ():
        yield replace(reason, signature=f"{name}!/{reason.signature}") if reason.signature else reason
