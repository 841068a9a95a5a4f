"""Names by which everything in this package refers to a dispatch and to places in ledgers; no logic, no imports."""

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


@dataclass(frozen=True, slots=True)
class HeadRef:
    """A head of some log as gossip carries it: origin, size, root (hexadecimal)."""

    origin: str
    size: int
    root: str
