"""A sealed message checked in one forward pass, in whatever pieces it comes, up to 2 GiB (signing.md 5.4, Streaming).

Attachments are long runs of base64. They are hashed as they pass, handed to a sink, and a random word is kept in their
place; what is left, the skeleton, is small and is parsed at the end. The digest of the document is taken over the
octets as they stand in the file, up to the seal and behind it; at the end the skeleton must be exactly its own
canonical form, so that these octets are the canonical ones (canonical form leaves base64 alone). A file in which that
does not hold is no streamed file: ``NotStreamable`` is raised, and who can read it again takes ``inspect_seal``.

The sink gets bytes early. Nothing of them may be used before the seal has held.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from lxml import etree

from signer.errors import InputRefused, LimitExceeded
from signer.safexml import KEPT_TAG_BYTES, KEPT_WHOLE, RUN_MIN_BYTES, Skeleton, parse_cut
from signer.trust import Context, Limits
from signer.xml.c14n import canonical_document
from signer.xml.dsig import DS
from signer.xml.profiles import HEAD, SealInspection, Streamed, judge_streamed, report_unread

_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=\n"
_OPEN, _CLOSE = b"<ds:Signature ", b"</ds:Signature>"
_SEALS_MAX = 64
"""Places where a seal may begin that are remembered; the header's placeholders have another prefix."""


class NotStreamable(Exception):
    """The file is not in the one spelling that can be checked in one pass; it may be good all the same."""


class Sink(Protocol):
    """Takes the runs of base64 as they pass. Each begins with the word that stands for it in the tree."""

    def begin(self, word: str) -> None:
        """A run begins."""
        ...

    def write(self, data: bytes) -> None:
        """Take the next octets of the run: base64 and line feeds."""
        ...


class Nowhere:
    """A sink that keeps nothing."""

    def begin(self, word: str) -> None:
        """A run begins."""

    def write(self, data: bytes) -> None:
        """Forget the octets."""


@dataclass
class SealReader:
    """Reads one sealed message piece by piece: ``feed`` the pieces, then ask for the ``inspection``."""

    limits: Limits
    sink: Sink = field(default_factory=Nowhere)

    def __post_init__(self) -> None:
        self._file, self._document = hashlib.sha256(), hashlib.sha256()
        self._size, self._left, self._in_run = 0, b"", False
        self._skeleton = bytearray()
        self._mark = secrets.token_hex(16)
        self._words: list[str] = []
        self._seals: list[tuple[int, hashlib._Hash]] = []

    def feed(self, data: bytes) -> None:
        """Take the next piece.

        Raises:
            LimitExceeded: the message, or what is left without its attachments, is too large.
            NotStreamable: a run ends as no attachment does.
        """
        self._size += len(data)
        if self._size > self.limits.xml_stream_max_bytes:
            raise _over("xml_stream_max_bytes", self._size)
        self._file.update(data)
        self._left = self._read(self._left + data if self._left else bytes(data))

    def _read(self, data: bytes) -> bytes:
        """Use up what can be decided on, and return the rest."""
        at = 0
        while at < len(data):
            if self._in_run:
                at = self._run(data, at)
                continue
            begin = self._run_start(data, at)
            if begin is None:
                return self._text(data, at)
            self._keep(data[at:begin])
            self._word()
            at = begin
        return b""

    def _run_start(self, data: bytes, at: int) -> int | None:
        """Return where the next run begins that is long enough already, or ``None``."""
        while True:
            close = data.find(b">", at) + 1
            if close == 0 or len(data) - close < RUN_MIN_BYTES:
                return None
            first = data[close : close + RUN_MIN_BYTES]
            found = first.find(b"<")
            if (
                found < 0
                and not first.translate(None, _BASE64)
                and not self._kept_whole(data[max(0, close - KEPT_TAG_BYTES) : close])
            ):
                return close
            at = close + max(found, 0)

    def _kept_whole(self, before: bytes) -> bool:
        """Say whether what begins behind these octets belongs to a signature and stays in the tree."""
        return (bytes(self._skeleton[-KEPT_TAG_BYTES:]) + before)[-KEPT_TAG_BYTES:].endswith(KEPT_WHOLE)

    def _text(self, data: bytes, at: int) -> bytes:
        """Keep all but the end, where a run or a seal may be beginning."""
        close = data.find(b">", max(at, len(data) - RUN_MIN_BYTES))
        last = data.rfind(b"<", max(at, len(data) - len(_OPEN)))
        edge = min((place for place in (close, last) if place >= 0), default=len(data))
        self._keep(data[at:edge])
        return data[edge:]

    def _run(self, data: bytes, at: int) -> int:
        end = data.find(b"<", at)
        part = data[at:end] if end >= 0 else data[at:]
        if part.translate(None, _BASE64):
            raise NotStreamable("an attachment with other characters than base64")
        self._document.update(part)
        self.sink.write(part)
        if end < 0:
            return len(data)
        self._in_run = False
        return end

    def _word(self) -> None:
        word = f"run{self._mark}x{len(self._words)}"
        self._words.append(word)
        self._skeleton += word.encode("ascii")
        self._in_run = True
        self.sink.begin(word)

    def _keep(self, text: bytes) -> None:
        """Add text to the skeleton and to the digest; note where a seal may begin."""
        overlap = len(_OPEN) - 1
        start = len(self._skeleton)
        self._skeleton += text
        if len(self._skeleton) > self.limits.xml_skeleton_max_bytes:
            raise _over("xml_skeleton_max_bytes", len(self._skeleton))
        done, at = start, self._skeleton.find(_OPEN, max(0, start - overlap))
        while at >= 0 and len(self._seals) < _SEALS_MAX:
            if at < done:
                raise NotStreamable("a seal in two pieces")
            self._hash(done, at)
            self._seals.append((at, self._document.copy()))
            done, at = at, self._skeleton.find(_OPEN, at + 1)
        self._hash(done, len(self._skeleton))

    def _hash(self, start: int, end: int) -> None:
        """Hash a part of the skeleton; the declaration belongs to no canonical form."""
        if start < len(HEAD):
            start = min(len(HEAD), end)
        self._document.update(memoryview(self._skeleton)[start:end])

    def inspection(self, context: Context) -> SealInspection:
        """Judge what was fed; the tree of a verified message holds the words of its attachments.

        Raises:
            NotStreamable: the file is not in the spelling this needs.
        """
        self._keep(self._left)
        self._left = b""
        if self._in_run:
            raise NotStreamable("cut off inside an attachment")
        skeleton = Skeleton(bytes(self._skeleton), {word: word.encode("ascii") for word in self._words})
        streamed = Streamed(self._file.hexdigest(), self._size)
        try:
            root = parse_cut(skeleton, limits=context.limits)
        except InputRefused as error:
            return SealInspection(report_unread(streamed, error, context), None)
        if not skeleton.fits(root):
            raise NotStreamable("an attachment that is not the whole text of an element")
        return judge_streamed(streamed, skeleton, root, document=self._digest(skeleton.data, root), context=context)

    def _digest(self, data: bytes, root: etree._Element) -> bytes:
        """Return the digest of the document without its seal, once the octets are known to be canonical."""
        signatures = list(root.iter(f"{{{DS}}}Signature"))
        if not self._seals or not signatures:
            raise NotStreamable("no seal")
        start, state = self._seals[-1]
        end = data.rfind(_CLOSE) + len(_CLOSE)
        canonical = b"".join(canonical_document(root, omit=signatures[-1:]))
        if not data.startswith(HEAD) or end < start or canonical != data[len(HEAD) : start] + data[end:].rstrip(b"\n"):
            raise NotStreamable("not in canonical form")
        state.update(data[end:].rstrip(b"\n"))
        return state.digest()


def inspect_stream(pieces: Iterable[bytes], *, context: Context, sink: Sink | None = None) -> SealInspection:
    """Judge a sealed message that comes in pieces; the same report as ``inspect_seal`` gives for the whole.

    Raises:
        NotStreamable: the message is not in the spelling this needs; take ``inspect_seal``.
    """
    reader = SealReader(context.limits, sink or Nowhere())
    for piece in pieces:
        try:
            reader.feed(piece)
        except LimitExceeded as error:
            return SealInspection(report_unread(None, error, context), None)
    return reader.inspection(context)


def _over(limit: str, value: int) -> LimitExceeded:
    return LimitExceeded("EDOC-XML-002", f"over the limit {limit}", limit=limit, value=str(value), unit="byte")
