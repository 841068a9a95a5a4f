"""What is proved to have existed by when: by digest, the earliest moment, and what proves it (signing.md 1.2, POE)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from signer.trust import Context


@dataclass(slots=True)
class Proofs:
    """Proofs of existence by digest (SHA-256, hexadecimal): the earliest moment, and what proves it."""

    at: datetime
    known: dict[str, tuple[datetime, str]] = field(default_factory=dict)

    @classmethod
    def of(cls, context: Context) -> Proofs:
        """Return the proofs the caller hands in, such as a ledger's; those of times to come prove nothing."""
        found = cls(context.at)
        for proof in context.proofs:
            if proof.not_later_than <= context.at:
                found.add([proof.sha256], proof.not_later_than, proof.source)
        return found

    def add(self, digests: Sequence[str], moment: datetime | None, source: str) -> None:
        """Note that something existed not later than a moment; a clock may be ahead of ours by a little."""
        if moment is None:
            return
        moment = min(moment, self.at)
        for digest in digests:
            if digest not in self.known or moment < self.known[digest][0]:
                self.known[digest] = (moment, source)

    def earliest(self, digest: str) -> tuple[datetime, str] | None:
        """Return the earliest proof for a digest."""
        return self.known.get(digest)

    def time_of(self, digest: str) -> datetime | None:
        """Return the earliest moment proved for a digest."""
        return self.known[digest][0] if digest in self.known else None
