"""What goes into an evidence package, gathered by whoever has the database (ledger.md 10.1)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from transport.ledger.event import Opening
from transport.ledger.extract import LogExtract

if TYPE_CHECKING:
    from edoc.agencies import Directory
    from signer.trust import TrustStore


@dataclass(frozen=True, slots=True)
class LeafOpening:
    """An opening that this reader may see, and the leaf (hash, hexadecimal) it belongs to."""

    leaf: str
    opening: Opening


@dataclass(frozen=True, slots=True)
class ConsistencyLink:
    """The proof that a log extends an earlier checkpoint of it."""

    origin: str
    old: int
    new: int
    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class EvidenceParts:
    """The story of one message.

    ``own`` is what the exporting node's log says; ``peer`` what other logs say, if their proofs are at hand.
    ``evidence`` holds the bytes behind the leaves' ``receipt`` in any order: they are matched by digest.
    ``statements`` are the key statements (``keys.xml``) of the logs. ``with_content`` puts the attachments in as files.
    ``trust`` is what was used to judge (certificates as intermediates, CRLs, OCSP answers); its anchors grant nothing.
    """

    message_id: str
    own: LogExtract
    peer: tuple[LogExtract, ...] = ()
    envelope: bytes | None = None
    with_content: bool = True
    evidence: tuple[bytes, ...] = field(default=(), repr=False)
    statements: tuple[bytes, ...] = field(default=(), repr=False)
    openings: tuple[LeafOpening, ...] = field(default=(), repr=False)
    consistency: tuple[ConsistencyLink, ...] = ()
    checkpoints: tuple[str, ...] = ()  # further signed checkpoints of the logs, as text
    trust: TrustStore | None = None
    directory: Directory | None = None
    software: str = ""
