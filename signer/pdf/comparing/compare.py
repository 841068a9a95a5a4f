"""The entry of the comparison: each step once, its result for every signature made before it (signing.md 4.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from signer.pdf.values import Document
from signer.report import Change, Integrity, LaterChanges, Reason
from signer.trust import Limits


@dataclass(frozen=True, slots=True)
class Signed:
    """A signature as reading, mathematics and coverage found it."""

    field: str  # full name
    revision: int  # number of the state that is signed, 1 = first
    integrity: Integrity  # by mathematics and coverage alone
    timestamp: bool = False  # its CMS holds a time stamp


@dataclass(frozen=True, slots=True)
class Later:
    """What later changes mean for one signature; ``integrity`` is intact unless they decide otherwise."""

    integrity: Integrity = Integrity.INTACT
    later_changes: LaterChanges = LaterChanges.NONE
    changes: tuple[Change, ...] = ()
    reasons: tuple[Reason, ...] = ()
    warnings: tuple[Reason, ...] = ()


def compare(revisions: Sequence[Document], signatures: Sequence[Signed], *, limits: Limits) -> tuple[Later, ...]:
    """Compare neighbouring revisions and say for each signature, in order, what came after it.

    Never raises for what a file holds: what cannot be compared is suspect, what passes a budget unknown.
    """
    raise NotImplementedError
