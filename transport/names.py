"""Names by which everything in this package refers to a dispatch and to a place in a ledger; no logic, no imports."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """K, the key of a dispatch (exchange.md 1): agency codes in the directory's canonical form, message id a UUID."""

    sender: str
    recipient: str
    message_id: str


@dataclass(frozen=True, slots=True)
class LedgerRef:
    """Where a leaf stands: the log's origin, the index, the leaf hash (hexadecimal)."""

    origin: str
    index: int
    leaf: str
