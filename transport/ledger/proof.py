"""Proof files: C2SP ``c2sp.org/tlog-proof@v1`` (ledger.md 2), one text that proves one leaf offline.

Promises: :func:`parse` accepts exactly what ``str`` of a proof writes. ``extra`` carries the leaf's bytes, so that the
file stands alone; they count only once inclusion holds. The root comes from the signed checkpoint inside, never from a
field beside the proof.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass

from transport.ledger.checkpoint import Checkpoint, SignedCheckpoint, open_checkpoint, read
from transport.ledger.merkle import HASH_SIZE, MAX_PATH, MAX_SIZE, ProofInvalid, leaf_hash, verify_inclusion
from transport.ledger.note import MAX_BYTES as NOTE_MAX
from transport.ledger.note import NoteInvalid, VerifierKey, decode_base64

HEADER = "c2sp.org/tlog-proof@v1"
MAX_BYTES = NOTE_MAX + 64 * 1024
_INDEX = re.compile(r"index (0|[1-9][0-9]{0,18})", re.ASCII)


@dataclass(frozen=True, slots=True)
class LogProof:
    """A leaf's place in a log: index, path (nearest hash first), signed checkpoint as text, leaf bytes if told."""

    index: int
    path: tuple[bytes, ...]
    checkpoint: str
    extra: bytes | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.index < MAX_SIZE:
            raise ProofInvalid("the index is out of range")
        if len(self.path) > MAX_PATH or any(len(one) != HASH_SIZE for one in self.path):
            raise ProofInvalid("a path has at most 63 hashes of 32 bytes")

    def __str__(self) -> str:
        extra = () if self.extra is None else (f"extra {_base64(self.extra)}",)
        lines = (HEADER, *extra, f"index {self.index}", *map(_base64, self.path), "", self.checkpoint)
        return "\n".join(lines)

    @property
    def head(self) -> Checkpoint:
        """The checkpoint as the file states it, its signatures not judged. Raises ``NoteInvalid``."""
        return read(self.checkpoint)[0]

    def leaf(self) -> bytes:
        """Return the hash of the leaf bytes in the file. Raises ``ProofInvalid`` when there are none."""
        if self.extra is None:
            raise ProofInvalid("the proof does not carry its leaf")
        return leaf_hash(self.extra)

    def verify(self, leaf: bytes, *, log: VerifierKey, others: Iterable[VerifierKey] = ()) -> SignedCheckpoint:
        """Return the checkpoint, its signature verified, in which ``leaf`` (32 bytes) stands at ``index``.

        Raises ``NoteInvalid`` for the checkpoint, ``ProofInvalid`` for the path.
        """
        signed = open_checkpoint(self.checkpoint, log=log, others=others)
        head = signed.checkpoint
        verify_inclusion(self.index, head.size, leaf, self.path, head.root)
        return signed


def parse(data: bytes | str) -> LogProof:
    """Read a proof file. Raises ``NoteInvalid`` or ``ProofInvalid`` unless ``str`` could have written it."""
    if isinstance(data, bytes):
        if len(data) > MAX_BYTES:
            raise ProofInvalid(f"the proof is longer than {MAX_BYTES} bytes")
        try:
            data = data.decode("utf-8")
        except UnicodeDecodeError:
            raise ProofInvalid("the proof is not UTF-8") from None
    top, empty, checkpoint = data.partition("\n\n")
    lines = top.split("\n")
    if not empty or lines[0] != HEADER:
        raise ProofInvalid("the text is not a proof of a log")
    extra, index, path = _read_lines(lines[1:])
    read(checkpoint)  # refused here rather than at first use
    return LogProof(index, path, checkpoint, extra)


def _read_lines(lines: list[str]) -> tuple[bytes | None, int, tuple[bytes, ...]]:
    extra = None
    if lines and lines[0].startswith("extra "):
        extra = decode_base64(lines.pop(0)[len("extra ") :])
    found = _INDEX.fullmatch(lines[0]) if lines else None
    if found is None:
        raise ProofInvalid("the proof has no index")
    if len(lines) - 1 > MAX_PATH:
        raise ProofInvalid("the proof has too many hashes")
    return extra, int(found[1]), tuple(decode_base64(line) for line in lines[1:])


def format_consistency(path: Iterable[bytes]) -> str:
    """Return a consistency proof as text: base64 hashes, one a line (ledger.md 9)."""
    return "".join(f"{_base64(one)}\n" for one in path)


def parse_consistency(text: str) -> tuple[bytes, ...]:
    """Read the text of :func:`format_consistency`. Raises ``NoteInvalid`` or ``ProofInvalid``."""
    lines = text.split("\n")
    if lines.pop():
        raise ProofInvalid("a consistency proof ends with LF")
    path = tuple(decode_base64(line) for line in lines)
    if len(path) > MAX_PATH or any(len(one) != HASH_SIZE for one in path):
        raise ProofInvalid("a path has at most 63 hashes of 32 bytes")
    return path


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


__all__ = ["HEADER", "LogProof", "NoteInvalid", "ProofInvalid", "format_consistency", "parse", "parse_consistency"]
