"""Sealed messages too large to be held: opened in one pass, with the answers of ``edoc.seal`` (exchange.md 12, M4).

Attachments are decoded and hashed as they pass and are not kept; the tree that is read holds the first bytes of each
and a word that names it. Nothing of what passed counts before the seal has held. The readers of ``edoc.seal`` are used
on that tree, so a message is judged alike whichever way it came.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from edoc.documents import Attachment
from edoc.edxml import ReadLimits, read, serialize
from edoc.edxml.limits import check_size
from edoc.edxml.names import Element, split
from edoc.envelopes import Envelope, Message, completed
from edoc.errors import LimitPassed
from edoc.seal import (
    AttachmentDigest,
    OpenedEnvelope,
    UnsealedMessage,
    check_formed,
    exchange_limits,
    read_unsealed,
    refused,
    seal_fault,
    strict_tree,
    unsealed_letter,
    unsealed_of,
)
from edoc.values import vietnam_day
from signer.credential import Credential
from signer.errors import LimitExceeded
from signer.report import Code, Report
from signer.safexml import Skeleton, parse_cut
from signer.trust import Context, Limits
from signer.xml.profiles import Slip, seal_xml
from signer.xml.stream import NotStreamable, SealReader

__all__ = ["LargeFile", "Run", "Runs", "Streamed", "look", "open_streamed", "seal_streamed", "unseal_streamed"]

HEAD_BYTES = 1024
"""Bytes of an attachment that are looked at for its type."""


@dataclass(slots=True)
class Run:
    """One attachment that passed: decoded size and SHA-256, its first bytes, whether its base64 was as written."""

    word: str
    size: int = 0
    head: bytes = b""
    fault: bool = False
    kept: BinaryIO | None = None  # where the decoded bytes go, if anywhere
    _hash: hashlib._Hash = field(default_factory=hashlib.sha256)
    _left: bytes = b""
    _ended: bool = False

    @property
    def sha256(self) -> str:
        """Digest of the decoded bytes (hexadecimal)."""
        return self._hash.hexdigest()

    def take(self, data: bytes) -> None:
        """Decode the next octets."""
        dense = self._left + data.replace(b"\n", b"")
        whole = len(dense) // 4 * 4
        self._left = dense[whole:]
        if whole:
            self._decode(dense[:whole])

    def _decode(self, dense: bytes) -> None:
        if self._ended:
            self.fault = True  # something stands behind the padding
            return
        try:
            found = base64.b64decode(dense, validate=True)
        except binascii.Error:
            self.fault = True
            return
        self._ended = dense.endswith(b"=")
        self._hash.update(found)
        if self.kept is not None:
            self.kept.write(found)
        self.size += len(found)
        if len(self.head) < HEAD_BYTES:
            self.head += found[: HEAD_BYTES - len(self.head)]

    def stand_in(self) -> str:
        """Return base64 that reads as the attachment's first bytes and its word, or as a fault."""
        if self.fault or self._left:
            return "*"
        return base64.b64encode(self.head + self.word.encode("ascii")).decode("ascii")


class Runs:
    """A sink that decodes and hashes what passes and keeps nothing of it."""

    def __init__(self) -> None:
        self.by_word: dict[str, Run] = {}
        self._current: Run | None = None

    def begin(self, word: str) -> None:
        """A run begins."""
        self._current = self.by_word[word] = Run(word)

    def write(self, data: bytes) -> None:
        """Take the next octets of the run."""
        if self._current is not None:
            self._current.take(data)

    def of(self, attachment: Attachment) -> Run | None:
        """Return the run behind an attachment that was read from its stand-in."""
        word = attachment.content[HEAD_BYTES:]
        return self.by_word.get(word.decode("ascii", "replace")) if 0 < len(word) < 100 else None


@dataclass(frozen=True, slots=True)
class Streamed:
    """A message whose seal holds, with what passed of it."""

    unsealed: UnsealedMessage
    runs: Runs = field(repr=False)


def unseal_streamed(pieces: Iterable[bytes], *, context: Context) -> Streamed:
    """Verify the seal of a message that comes in pieces; the same answers as ``unseal``.

    Raises:
        SealRefused: a hard check of exchange.md 3.3 fails.
        CannotJudge: trust or revocation data is missing; ``facts["needs"]`` says which.
        NotStreamable: it is not in the spelling that can be checked in one pass.
    """
    strict = replace(context, limits=exchange_limits(context.limits))
    runs = Runs()
    reader = SealReader(strict.limits, runs)
    try:
        for piece in pieces:
            reader.feed(piece)
    except LimitExceeded as error:
        raise refused("limits", limit=error.facts.get("limit")) from None
    inspection = reader.inspection(strict)
    if inspection.sealed is None:
        raise _fault(inspection.report, context)
    sealed = inspection.sealed
    check_formed(sealed.tree)
    for element in sealed.tree.iter():
        run = runs.by_word.get(element.text or "")
        if run is None:
            continue
        if split(element)[1] != "ContentTransferEncoded":
            raise NotStreamable("a long run that is no attachment")
        element.text = run.stand_in()
    sha256, size = inspection.report.sha256, inspection.report.size
    assert sha256 is not None
    assert size is not None
    return Streamed(unsealed_of(sealed, sha256=sha256, size=size), runs)


def _fault(report: Report, context: Context) -> Exception:
    codes = {reason.code for reason in report.reasons}
    if Code.LIMIT_EXCEEDED in codes:
        return refused("limits")
    if Code.UNREADABLE in codes:
        return refused("not-edxml")
    return seal_fault(report, context)


def open_streamed(streamed: Streamed, *, limits: ReadLimits | None = None) -> OpenedEnvelope:
    """Read the content of a message whose seal holds, by the strict rules; contents of attachments are left out.

    Raises:
        SealRefused: as ``read_unsealed``.
    """
    most = limits or ReadLimits()
    opened = read_unsealed(streamed.unsealed, limits=most)
    if not isinstance(opened.message, Envelope):
        return opened
    try:
        attachments = tuple(_digest(item, streamed.runs, most) for item in opened.message.attachments)
    except LimitPassed as error:
        raise refused("limits", **error.facts) from None
    bare = replace(opened.message, attachments=tuple(replace(item, content=b"") for item in opened.message.attachments))
    return replace(opened, message=bare, attachments=attachments)


def _digest(item: Attachment, runs: Runs, limits: ReadLimits) -> AttachmentDigest:
    run = runs.of(item)
    if run is None:
        return AttachmentDigest(item.content_id, item.name, len(item.content), hashlib.sha256(item.content).hexdigest())
    check_size("attachment_max_bytes", run.size, limits.attachment_bytes)
    return AttachmentDigest(item.content_id, item.name, run.size, run.sha256)


@dataclass(frozen=True, slots=True)
class Looked:
    """What a large file of ours says, nothing of it checked here: the message without contents, and the digests."""

    message: Message
    attachments: tuple[AttachmentDigest, ...]


class _Looker(SealReader):
    """Reads a file that was verified when it was stored: only its skeleton is wanted."""

    def looked(self) -> Skeleton:
        """Return the file without its long runs."""
        self._keep(self._left)
        self._left = b""
        return Skeleton(bytes(self._skeleton), {word: word.encode("ascii") for word in self._words})


def look(pieces: Iterable[bytes]) -> Looked:
    """Read what a stored large message says.

    Raises:
        EdocError, SignerError: it cannot be read as a message.
    """
    runs = Runs()
    reader = _Looker(Limits(), runs)
    for piece in pieces:
        reader.feed(piece)
    tree = parse_cut(reader.looked(), limits=Limits())
    for element in tree.iter():
        run = runs.by_word.get(element.text or "") if isinstance(element.tag, str) else None
        if run is not None:
            element.text = run.stand_in()
    message = read(tree).message
    if not isinstance(message, Envelope):
        return Looked(message, ())
    digests = tuple(_digest(item, runs, ReadLimits(attachment_bytes=2**31)) for item in message.attachments)
    return Looked(replace(message, attachments=tuple(replace(a, content=b"") for a in message.attachments)), digests)


# --- making ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LargeFile:
    """An attachment whose bytes stay in a file: opened when they are needed, twice."""

    path: Path
    size: int

    def pieces(self) -> Iterator[bytes]:
        """Return its base64 as the writer spells it, piece by piece."""
        with self.path.open("rb") as file:
            while piece := file.read(_ENCODE_BYTES):
                yield base64.b64encode(piece)


_ENCODE_BYTES = 3 * 64 * 1024
_WORD = re.compile(rb"run[0-9a-f]{32}x[0-9]{1,4}")


@dataclass(frozen=True, slots=True)
class SealedFile:
    """A sealed message that was written to a file: SHA-256 (hexadecimal), size, slip, what it says."""

    sha256: str
    size: int
    slip: Slip
    message: Message = field(repr=False)


def seal_streamed(
    message: Envelope,
    large: Mapping[str, LargeFile],
    out: BinaryIO,
    *,
    message_id: str,
    credential: Credential,
    at: datetime,
) -> SealedFile:
    """Write a message strictly and seal it, with attachments too large to be held, named by their ContentId.

    The result is byte for byte what ``edoc.seal.seal`` makes of the same message with its contents.

    Raises:
        NotStrict, LimitPassed, SecretContent, SignerError: as ``seal``.
        OSError: a file cannot be read, or the output not written.
    """
    tree, words, whole = _cut_tree(message, large, at)
    runs = {word.encode("ascii"): large[content_id] for word, content_id in words.items()}
    slip = Slip(message_id, whole.sender.organ_id, whole.kind, at.replace(microsecond=at.microsecond // 1000 * 1000))
    cut = seal_xml(tree, slip=slip, credential=credential, digest_of=lambda body: _digest_with(body, runs))
    hashed, size = hashlib.sha256(), 0
    for piece in _filled(cut, runs):
        hashed.update(piece)
        size += out.write(piece)
    return SealedFile(hashed.hexdigest(), size, slip, whole)


def pack_streamed(message: Envelope, large: Mapping[str, LargeFile], out: BinaryIO, *, at: datetime) -> int:
    """Write the unsealed file of a message whose large attachments stay in files; return its size in bytes.

    Raises:
        NotStrict, LimitPassed, SecretContent: as ``packed``.
        OSError: a file cannot be read, or the output not written.
    """
    tree, words, _ = _cut_tree(message, large, at)
    runs = {word.encode("ascii"): large[content_id] for word, content_id in words.items()}
    return sum(out.write(piece) for piece in _filled(serialize(tree), runs))


def _cut_tree(
    message: Envelope, large: Mapping[str, LargeFile], at: datetime
) -> tuple[Element, dict[str, str], Envelope]:
    """Return the strict tree of a message with words for its large contents, the words, and what was written."""
    mark = secrets.token_hex(16)
    words = {f"run{mark}x{n}": content_id for n, content_id in enumerate(large)}
    by_id = {content_id: word for word, content_id in words.items()}
    standing = tuple(
        replace(item, content=_head(large[item.content_id]) + by_id[item.content_id].encode("ascii"))
        if item.content_id in large
        else item
        for item in message.attachments
    )
    whole = completed(replace(message, attachments=standing), at=at)
    assert isinstance(whole, Envelope)
    tree = strict_tree(whole, on=vietnam_day(at))
    for element in tree.iter():
        if split(element)[1] == "ContentTransferEncoded":
            word = base64.b64decode(element.text or "")[HEAD_BYTES:].decode("ascii", "replace")
            element.text = word if word in words else element.text
    return tree, words, whole


class _Unpacking(Runs):
    """A sink that puts each run, decoded, into a file of its own."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self.files: dict[str, Path] = {}
        self._file: BinaryIO | None = None

    def begin(self, word: str) -> None:
        """A run begins."""
        super().begin(word)
        self.close()
        self.files[word] = self._folder / word
        self._file = self.files[word].open("wb")
        assert self._current is not None
        self._current.kept = self._file

    def close(self) -> None:
        """End the file that is being written."""
        if self._file is not None:
            self._file.close()
            self._file = None


@dataclass(frozen=True, slots=True)
class PackedFile:
    """A packed, unsealed document read in one pass: what it says, and its large contents as files."""

    message: Envelope = field(repr=False)
    large: Mapping[str, LargeFile]
    attachments: tuple[AttachmentDigest, ...]


def read_packed_streamed(pieces: Iterable[bytes], folder: Path, *, limits: ReadLimits | None = None) -> PackedFile:
    """Read a packed document too large to be held, by the strict rules; long contents go to files of ``folder``.

    Raises:
        NotEdxml, NotStrict, LimitPassed: as ``read_packed``.
        InputRefused, LimitExceeded: it is no XML we read.
    """
    runs = _Unpacking(folder)
    reader = _Looker(Limits(), runs)
    for piece in pieces:
        reader.feed(piece)
    tree = parse_cut(reader.looked(), limits=exchange_limits(Limits()))
    runs.close()
    for element in tree.iter():
        run = runs.by_word.get(element.text or "") if isinstance(element.tag, str) else None
        if run is not None:
            element.text = run.stand_in()
    message = unsealed_letter(tree)
    most = limits or ReadLimits()
    digests = tuple(_digest(item, runs, most) for item in message.attachments)
    large = {
        item.content_id: LargeFile(runs.files[run.word], run.size)
        for item in message.attachments
        if (run := runs.of(item)) is not None
    }
    return PackedFile(message, large, digests)


def _head(file: LargeFile) -> bytes:
    with file.path.open("rb") as opened:
        return opened.read(HEAD_BYTES)


def _digest_with(body: bytes, runs: Mapping[bytes, LargeFile]) -> bytes:
    hashed = hashlib.sha256()
    for piece in _filled(body, runs):
        hashed.update(piece)
    return hashed.digest()


def _filled(data: bytes, runs: Mapping[bytes, LargeFile]) -> Iterator[bytes]:
    """Return the bytes with the runs in the places of their words."""
    done = 0
    for found in _WORD.finditer(data):
        if found[0] in runs:
            yield data[done : found.start()]
            yield from runs[found[0]].pieces()
            done = found.end()
    yield data[done:]
