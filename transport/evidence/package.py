"""A package taken apart for the audit: members by role, proofs, leaves, statements, checkpoints.

Reading never fails: what cannot be read is kept with the reason why, and the step that needs it says so. Nothing here
judges a signature or a proof.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

from transport.errors import LedgerError
from transport.evidence import layout
from transport.ledger import checkpoint, proof, statement
from transport.ledger.canonical import Json, load, load_object
from transport.ledger.checkpoint import Checkpoint
from transport.ledger.event import Leaf, Opening, parse
from transport.ledger.merkle import leaf_hash
from transport.ledger.note import Note
from transport.ledger.proof import LogProof
from transport.ledger.statement import Statement

_HEX = re.compile(r"[0-9a-f]{64}")
_PROOF = re.compile(r"ledger/((?:own|peer)/([0-9]{2,5})-([a-z0-9-]+))\.tlog-proof")


@dataclass(frozen=True, slots=True)
class EventFile:
    """A proof file and its leaf; ``None`` where they cannot be read, and then the fault says why."""

    name: str  # own/01-sent
    number: int
    proof: LogProof | None
    head: Checkpoint | None
    leaf: Leaf | None
    proof_fault: str = ""
    leaf_fault: str = ""

    @property
    def binding(self) -> bool:
        """Whether this is the leaf that ties a log to its key statement, not an event of the message."""
        return self.number == 0

    @property
    def leaf_hash(self) -> bytes | None:
        """The hash of the leaf bytes, readable or not."""
        return None if self.proof is None or self.proof.extra is None else leaf_hash(self.proof.extra)

    @property
    def origin(self) -> str | None:
        """The log, as the checkpoint in the file says."""
        return None if self.head is None else self.head.origin


@dataclass(frozen=True, slots=True)
class StatementFile:
    """A key statement; ``None`` when it is not in its form."""

    name: str
    data: bytes
    statement: Statement | None

    @property
    def sha256(self) -> str:
        """Its digest, hexadecimal, as leaves name it."""
        return sha256(self.data).hexdigest()


@dataclass(frozen=True, slots=True)
class CheckpointFile:
    """A signed checkpoint found in the package, apart from its signatures' truth."""

    name: str
    text: str
    head: Checkpoint
    note: Note


@dataclass
class Package:
    """Members of a package by name, and what they say."""

    members: Mapping[str, bytes]

    def by_role(self, role: str) -> Iterator[tuple[str, bytes]]:
        """Return the members of a role in the order of their names."""
        return ((name, self.members[name]) for name in sorted(self.members) if layout.role_of(name) == role)

    @cached_property
    def events(self) -> tuple[EventFile, ...]:
        """Every proof file, own ones first, each in the order of its number."""
        return tuple(_event(name, data) for name, data in self.by_role("proof"))

    @cached_property
    def message_events(self) -> tuple[EventFile, ...]:
        """The events of the message itself."""
        return tuple(one for one in self.events if not one.binding)

    @cached_property
    def leaves(self) -> tuple[Leaf, ...]:
        """The leaves of the message that can be read."""
        return tuple(one.leaf for one in self.message_events if one.leaf is not None)

    @cached_property
    def statements(self) -> tuple[StatementFile, ...]:
        """Every key statement."""
        return tuple(_statement(name, data) for name, data in self.by_role("statement"))

    @cached_property
    def _signed_texts(self) -> Mapping[str, str]:
        """Texts that should be signed checkpoints, each once, with a member that holds it: lone files go first."""
        texts: dict[str, str] = {}
        for role in ("checkpoint", "cosigned"):
            for name, data in self.by_role(role):
                texts.setdefault(data.decode("utf-8", "surrogateescape"), name)
        for one in self.events:
            if one.proof is not None:
                texts.setdefault(one.proof.checkpoint, one.name)
        return texts

    @cached_property
    def checkpoints(self) -> tuple[CheckpointFile, ...]:
        """Every signed checkpoint: those inside proofs and those beside them, each text once."""
        read = (_checkpoint(name, text) for text, name in self._signed_texts.items())
        return tuple(found for found in read if found is not None)

    @cached_property
    def unreadable_checkpoints(self) -> tuple[str, ...]:
        """Members that should hold a signed checkpoint and do not."""
        return tuple(name for text, name in self._signed_texts.items() if _checkpoint(name, text) is None)

    @cached_property
    def by_digest(self) -> Mapping[str, bytes]:
        """Bytes of every member by SHA-256 (hexadecimal): evidence is found by what it is, not by its name."""
        return {sha256(data).hexdigest(): data for data in self.members.values()}

    @cached_property
    def envelope(self) -> bytes | None:
        """The sealed message."""
        return self.members.get(layout.ENVELOPE)

    @cached_property
    def listed(self) -> Mapping[str, str] | None:
        """Names and digests that ``message.json`` lists; ``None`` when it is missing or unreadable."""
        try:
            facts = load_object(self.members[layout.MESSAGE])
            entries = facts["members"]
            if not isinstance(entries, list):
                return None
            return {str(one["name"]): str(one["sha256"]) for one in entries}
        except (KeyError, TypeError, LedgerError):
            return None

    @cached_property
    def openings(self) -> tuple[tuple[str, Opening], ...] | None:
        """The openings, each with the leaf it names; ``None`` when the file is not in its form."""
        data = self.members.get(layout.OPENINGS)
        if data is None:
            return ()
        try:
            entries = load(data)
            if not isinstance(entries, list):
                return None
            return tuple(_opening(one) for one in entries)
        except (KeyError, TypeError, ValueError, LedgerError):
            return None

    def link(self, origin: str, old: int, new: int) -> bytes | None:
        """Return the consistency proof between two sizes of a log."""
        return self.members.get(f"{layout.log_folder(origin)}consistency-{old}-{new}")

    def token(self, origin: str, size: int) -> bytes | None:
        """Return the time token of a checkpoint."""
        return self.members.get(f"{layout.log_folder(origin)}checkpoint-{size}.tsr")


def _checkpoint(name: str, text: str) -> CheckpointFile | None:
    try:
        head, note = checkpoint.read(text)
    except LedgerError:
        return None
    return CheckpointFile(name, text, head, note)


def _event(name: str, data: bytes) -> EventFile:
    found = _PROOF.fullmatch(name)
    stem, number = (found[1], int(found[2])) if found else (name, -1)
    try:
        read = proof.parse(data)
        head = read.head
    except LedgerError as error:
        return EventFile(stem, number, None, None, None, proof_fault=str(error))
    if read.extra is None:
        return EventFile(stem, number, read, head, None, leaf_fault="missing")
    try:
        return EventFile(stem, number, read, head, parse(read.extra))
    except LedgerError as error:
        return EventFile(stem, number, read, head, None, leaf_fault=str(error))


def _statement(name: str, data: bytes) -> StatementFile:
    try:
        return StatementFile(name, data, statement.parse(data))
    except LedgerError:
        return StatementFile(name, data, None)


def _opening(entry: Json) -> tuple[str, Opening]:
    if not isinstance(entry, dict) or set(entry) != {"leaf", "field", "salt", "value"}:
        raise ValueError("an opening has leaf, field, salt and value")
    if _HEX.fullmatch(str(entry["leaf"])) is None:
        raise ValueError("an opening names a leaf")
    return str(entry["leaf"]), Opening(str(entry["field"]), bytes.fromhex(str(entry["salt"])), str(entry["value"]))
