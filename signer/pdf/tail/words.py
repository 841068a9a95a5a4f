"""Could there be a script or forbidden action in a file? Told from its octets, not by a walk (signing.md 3.1, K1).

An action is a dictionary whose ``/S`` is one of a few names, and a name is spelled in the bytes of a plain object or of
an object stream, as it is or with ``#xx``. If none of them is spelled anywhere there is none; if one is, it may still
be harmless, and the general path looks closely. Which way is cheaper depends on the file: its bytes as a whole, or
object by object without the octets of streams.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from signer.pdf.reading import PdfFile
from signer.pdf.reading.lexer import Lexer
from signer.pdf.reading.sections import Section
from signer.pdf.refusals import FORBIDDEN_ACTIONS, MODEL_SCRIPT, RENDITION
from signer.trust import Limits

_SIGNED = b"/ByteRange"
_NAMES = frozenset(
    name.removeprefix("/").encode("ascii") for name in (*FORBIDDEN_ACTIONS, RENDITION, MODEL_SCRIPT, "/ByteRange")
)
_WORD = re.compile(rb"/(?:" + b"|".join(sorted(_NAMES)) + rb")(?![^\0\t\n\f\r ()<>\[\]{}/%])")
_ESCAPE = re.compile(rb"#[0-7][0-9A-Fa-f]")
_SPELLED = re.compile(rb"/([^\0\t\n\f\r ()<>\[\]{}/%]*)")
_LONGEST = 3 * max(map(len, _NAMES))
ESCAPES_MAX = 20_000
OBJECT_COST = 12_000
"""Octets that are looked through in the time one object takes to read."""


def texts_of(file: PdfFile, *, limits: Limits) -> tuple[bytes, ...]:
    """Return octets in which every object of a file is spelled, whatever else they are, and as few as may be.

    Raises:
        InputRefused: an object cannot be read; LimitExceeded: a budget is used up.
    """
    sections = [section for update in file.updates for section in update.sections]
    rows = sum(section.count for section in sections)
    plain = tuple(_texts(file, limits)) if rows * OBJECT_COST < len(file.data) else (file.data,)
    return (*plain, *_packed(file, sections))


@dataclass(frozen=True, slots=True)
class Words:
    """Whether the name of a forbidden action may stand somewhere in the objects, and whether that of a byte range."""

    forbidden: bool
    signed: bool


def words_in(texts: Sequence[bytes]) -> Words:
    """Say what may be named in these octets."""
    signed = False
    for text in texts:
        for match in _WORD.finditer(text):
            if match[0] != _SIGNED:
                return Words(forbidden=True, signed=signed)
            signed = True
        if _escaped(text):
            return Words(forbidden=True, signed=signed)
    return Words(forbidden=False, signed=signed)


def _texts(file: PdfFile, limits: Limits) -> Iterator[bytes]:
    """Yield the text of each object, without the octets of streams."""
    lexer, state = Lexer(file.data, limits.pdf_nesting), file.latest
    for number in state.numbers():
        entry = state.entry(number)
        if entry is None or entry.offset is None:
            continue
        head = lexer.header(entry.offset)
        if head is not None:
            yield file.data[head[2] : lexer.value(head[2])[1]]


def _packed(file: PdfFile, sections: Sequence[Section]) -> Iterator[bytes]:
    """Yield the decoded octets of the object streams that are in force."""
    state = file.latest
    if all(section.stream is None for section in sections):
        return
    containers = {entry.container for number in state.numbers() if (entry := state.entry(number)) is not None}
    for container in sorted(one for one in containers if one is not None):
        entry = state.entry(container)
        if entry is not None and entry.offset is not None:
            yield state.members(entry.offset).lexer.data


def _escaped(text: bytes) -> bool:
    """Say whether one of the names is spelled in another way."""
    if text.find(b"#") < 0:
        return False
    for count, match in enumerate(_ESCAPE.finditer(text)):
        begin = text.rfind(b"/", max(0, match.start() - _LONGEST), match.start())
        spelled = _SPELLED.match(text, begin) if begin >= 0 else None
        if count > ESCAPES_MAX or (spelled is not None and _meant(spelled[1]) in _NAMES):
            return True
    return False


def _meant(name: bytes) -> bytes:
    return re.sub(rb"#([0-9A-Fa-f]{2})", lambda match: bytes((int(match[1], 16),)), name)
