"""What a log says about one message, ready to be packed or handed to a party: leaves with their proofs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProvedLeaf:
    """A leaf's bytes, its index, and the text of its proof file, which carries the bytes too."""

    index: int
    data: bytes
    proof: str


@dataclass(frozen=True, slots=True)
class LogExtract:
    """One log's part in the story of a message: every proof ends in the same signed checkpoint.

    ``opened`` is the leaf that binds the log to its key statement: leaf 0 (``log-opened``), or the newest
    ``key-changed`` below the first event.
    """

    origin: str
    size: int
    checkpoint: str
    opened: ProvedLeaf
    leaves: tuple[ProvedLeaf, ...]
