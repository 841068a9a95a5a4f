"""Checkpoints: the signed state of a log, C2SP tlog-checkpoint (ledger.md 2).

Promises: origin, decimal size without sign or leading zero below 2^63, base64 root, one a line; :func:`parse` accepts
exactly what :func:`format` writes, and extension lines of others, which are kept and never written. A signed checkpoint
carries the log's own line first; the name of that key is the origin.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass

from transport.ledger.merkle import EMPTY_ROOT, HASH_SIZE, MAX_SIZE
from transport.ledger.note import Note, NoteInvalid, Verified, VerifierKey, decode_base64, read_note, verify

_SIZE = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_ORIGIN = re.compile(r"[A-Za-z0-9._~:\[\]-]{1,160}/edoc-ledger/[0-9]{4}(-[1-9][0-9]{0,3})?", re.ASCII)
MAX_ORIGIN = 200


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Origin, number of leaves and root (32 bytes) of a log; ``extensions`` are lines of other makers."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.origin or any(char < " " for char in self.origin):
            raise NoteInvalid("the origin is empty or holds a control character")
        if not 0 <= self.size <= MAX_SIZE:
            raise NoteInvalid("the size is out of range")
        if len(self.root) != HASH_SIZE:
            raise NoteInvalid("the root is not 32 bytes")
        if self.size == 0 and self.root != EMPTY_ROOT:
            raise NoteInvalid("an empty log has another root")


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A checkpoint whose log signature holds; ``verified`` lists every signature of the keys that were given."""

    checkpoint: Checkpoint
    note: Note
    verified: tuple[Verified, ...]


def format(checkpoint: Checkpoint) -> str:
    """Return the text that is signed. Raises ``NoteInvalid`` for extension lines, which are never written."""
    if checkpoint.extensions:
        raise NoteInvalid("extension lines are not written")
    return f"{checkpoint.origin}\n{checkpoint.size}\n{base64.b64encode(checkpoint.root).decode('ascii')}\n"


def parse(text: str) -> Checkpoint:
    """Read the text of a checkpoint (with its final LF). Raises ``NoteInvalid``."""
    lines = text.split("\n")
    if len(lines) < 4 or lines[-1] or not all(lines[:-1]):
        raise NoteInvalid("a checkpoint has an origin, a size and a root, each on a line")
    origin, size, root, *extensions = lines[:-1]
    if _SIZE.fullmatch(size) is None:
        raise NoteInvalid("the size is not a plain decimal number")
    return Checkpoint(origin, int(size), decode_base64(root), tuple(extensions))


def read(data: bytes | str) -> tuple[Checkpoint, Note]:
    """Take a signed checkpoint apart without judging signatures: the log's own line must come first.

    Raises ``NoteInvalid``.
    """
    note = read_note(data)
    found = parse(note.text)
    if note.signatures[0].name != found.origin:
        raise NoteInvalid("the first signature is not the log's own", origin=found.origin)
    return found, note


def open_checkpoint(data: bytes | str, *, log: VerifierKey, others: Iterable[VerifierKey] = ()) -> SignedCheckpoint:
    """Read a signed checkpoint of the log whose key is given; ``others`` are witnesses' keys.

    Raises ``NoteInvalid`` for another origin, no signature by the log, or a bad signature by any of the keys.
    """
    found, note = read(data)
    if found.origin != log.name:
        raise NoteInvalid("the checkpoint is of another log", origin=found.origin)
    verified = verify(note, (log, *others))
    if not any(one.key == log for one in verified):
        raise NoteInvalid("the checkpoint is not signed by the log's key", origin=found.origin)
    return SignedCheckpoint(found, note, verified)


def check_origin(origin: str) -> str:
    """Return ``origin`` when it has our form, ``<host>/edoc-ledger/<shard>``. Raises ``NoteInvalid``."""
    if len(origin) > MAX_ORIGIN or _ORIGIN.fullmatch(origin) is None:
        raise NoteInvalid("the origin is not <host>/edoc-ledger/<year>", origin=origin[:MAX_ORIGIN])
    return origin


def shard_of(origin: str) -> str:
    """Return the shard an origin of our form names: a year, or a year and a number after a loss."""
    return check_origin(origin).rpartition("/")[2]
