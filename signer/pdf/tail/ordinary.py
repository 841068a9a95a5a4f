"""Is a file ordinary? Then its tail can be written without reading the rest (signing.md 3.4, fast path).

Ordinary is a file that our strict reader follows without a fault or an oddity, with one kind of cross-reference at the
end, no encryption, no certification, no XFA and no word that could be an action. Anything else is handed over to the
general path, which says why a file is refused, or signs it. Nothing is refused here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from signer.errors import InputRefused, LimitExceeded
from signer.pdf.reading import PdfFile
from signer.pdf.reading.lexer import Lexer
from signer.pdf.reading.state import State
from signer.pdf.tail.words import texts_of, words_in
from signer.pdf.values import Reference, Stream, Value
from signer.trust import Limits

_SPACE = b"\0\t\n\f\r "
_BLANK = re.compile(rb"(?:[\0\t\n\f\r ]++|%[^\r\n]*+)*+")
_ENDOBJ = re.compile(_BLANK.pattern + rb"endobj(?![^\0\t\n\f\r ()<>\[\]{}/%])")
_LINE_ENDS = (b"\n", b"\r")
OFFSET_MAX = 10**10 - 1
"""Largest offset of a cross-reference table."""


class NotOrdinary(Exception):
    """The general path takes this file; never leaves this package."""


@dataclass(frozen=True, slots=True)
class Located:
    """A direct value of an indirect object: what it is, its generation, and its text."""

    value: Value
    generation: int
    text: bytes


@dataclass(frozen=True, slots=True)
class Ordinary:
    """An ordinary file: its latest state, the first free number, how its last cross-reference is written; ``texts`` are
    octets in which all its objects are spelled, ``signed`` says that there may be a signature among them."""

    data: bytes
    file: PdfFile
    size: int
    startxref: int
    streamed: bool
    texts: tuple[bytes, ...]
    signed: bool

    @property
    def state(self) -> State:
        """The latest state."""
        return self.file.latest

    @property
    def trailer(self) -> Mapping[str, Value]:
        """The trailer in force."""
        return self.state.trailer

    def located(self, reference: Value) -> Located:
        """Find a dictionary or array that is an indirect object.

        Raises:
            NotOrdinary: it is none, or does not stand where it should.
        """
        if not isinstance(reference, Reference):
            raise NotOrdinary
        entry = self.state.entry(reference.number)
        if entry is None or entry.free:
            raise NotOrdinary
        if entry.container is not None:
            return self._packed(reference, entry.container, entry.index)
        assert entry.offset is not None
        head = Lexer(self.data, 0).header(entry.offset)
        if head is None or head[:2] != (reference.number, reference.generation) or head[1] != entry.generation:
            raise NotOrdinary
        found = self.state.at(entry.offset)
        if isinstance(found.value, Stream) or _ENDOBJ.match(self.data, found.end) is None:
            raise NotOrdinary
        return Located(found.value, reference.generation, self.data[_skip(self.data, head[2]) : found.end])

    def _packed(self, reference: Reference, container: int, index: int) -> Located:
        stream = self.state.entry(container)
        if stream is None or stream.offset is None or reference.generation:
            raise NotOrdinary
        members = self.state.members(stream.offset)
        if index >= len(members.numbers) or members.numbers[index] != reference.number:
            raise NotOrdinary
        value, end = members.lexer.value(members.starts[index])
        return Located(value, 0, members.lexer.data[_skip(members.lexer.data, members.starts[index]) : end])


def _skip(data: bytes, offset: int) -> int:
    match = _BLANK.match(data, offset)
    return match.end() if match else offset


def ordinary(data: bytes, *, limits: Limits) -> Ordinary:
    """Open a file that is ordinary.

    Raises:
        NotOrdinary: it is not, or cannot be read.
        LimitExceeded: it is over a limit.
    """
    try:
        file = PdfFile(data, limits=limits)
        _check_whole(file)
        sections = [section for update in file.updates for section in update.sections]
        size = file.latest.trailer.get("Size")
        if type(size) is not int or any(block.first + block.count > size for one in sections for block in one.blocks):
            raise NotOrdinary
        last = file.updates[-1].sections[0]
        texts = texts_of(file, limits=limits)
        words = words_in(texts)
        found = Ordinary(data, file, size, last.offset, last.stream is not None, texts, words.signed)
        if words.forbidden:
            raise NotOrdinary
    except LimitExceeded:
        raise
    except InputRefused:
        raise NotOrdinary from None
    check_clean(file)
    return found


def _check_whole(file: PdfFile) -> None:
    """Raise unless the file is read without recovery, begins with its header and ends with its last update."""
    if file.broken_chain or file.header or file.hybrid:
        raise NotOrdinary
    if any("Encrypt" in section.trailer for update in file.updates for section in update.sections):
        raise NotOrdinary
    if file.data[file.latest.eof :].strip(_SPACE):
        raise NotOrdinary
    root = file.latest.root
    if "Perms" in root or not isinstance(file.latest.trailer.get("Root"), Reference):
        raise NotOrdinary
    form = file.latest.resolve(root.get("AcroForm"))
    if form is not None and (not isinstance(form, dict) or "XFA" in form):
        raise NotOrdinary


def check_clean(file: PdfFile) -> None:
    """Raise if reading has met a fault or an oddity by now.

    Raises:
        NotOrdinary: it has.
    """
    if file.faults or file.oddities or file.unreadable or file.broken_chain:
        raise NotOrdinary
