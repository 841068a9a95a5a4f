"""Which objects refer to a number, told from the bytes without parsing every object (signing.md 4.3, 4.4).

A reference is spelled in the bytes of the object that holds it, or of the object stream that does. What is found may be
more than what there is (bytes of strings, of former definitions), never less; where that cannot be told for sure the
answer is ``None`` and every object must be walked.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from signer.errors import InputRefused, LimitExceeded
from signer.pdf.reading.sections import Section

if TYPE_CHECKING:
    from signer.pdf.reading.state import State

ROWS_MIN = 3_000
"""Rows below which all objects are walked as fast."""
WORK_MAX = 5 * 10**8
"""Octets looked through for all questions about one file."""
NUMBERS_MAX = 40
_GAP = rb"(?:[\0\t\n\f\r ]++|%[^\r\n]*+)++"
_HEADER = re.compile(rb"[\0\t\n\f\r ]*+(\d{1,10})[\0\t\n\f\r ]++\d{1,5}[\0\t\n\f\r ]++obj")
WORD_MAX = 64
_WORD = re.compile(rb"/?[^\0\t\n\f\r ()<>\[\]{}/]*\Z")
_REST = _GAP + rb"\d++" + _GAP + rb"R"


class Mentions:
    """Finds references in one file; ``sections`` are all its cross-reference sections."""

    def __init__(self, data: bytes, sections: Sequence[Section]) -> None:
        self._data = data
        self._sections = sections
        self._places: tuple[list[int], list[int]] | None = None  # offsets in order, and the numbers there
        self._packed = any(map(_may_pack, sections))
        self._containers: dict[int, frozenset[int]] = {}
        self._bodies: dict[int, int] = {}  # where the object of an index ends
        self._work = 0

    def holders(self, state: State, numbers: Iterable[int]) -> frozenset[int] | None:
        """Return the numbers of the objects of a state that may refer to one of these, or ``None``."""
        wanted = sorted(numbers)
        rows = sum(section.count for section in self._sections)
        self._work += len(wanted) * state.end
        if rows < ROWS_MIN or len(wanted) > NUMBERS_MAX or self._work > WORK_MAX:
            return None
        found: set[int] = set()
        for at in _positions(self._data, wanted, state.end):
            holder = self._object_at(at)
            if holder is None:
                return None
            found.add(holder)
        return None if self._in_object_streams(state, wanted) else frozenset(found)

    def words_before(self, state: State, numbers: Iterable[int]) -> frozenset[bytes] | None:
        """Return the words that stand right before references to one of these numbers, as spelled, or ``None``."""
        wanted = sorted(numbers)
        rows = sum(section.count for section in self._sections)
        self._work += len(wanted) * state.end
        if rows < ROWS_MIN or len(wanted) > NUMBERS_MAX or self._work > WORK_MAX:
            return None
        found: set[bytes] = set()
        for data, end in self._texts(state):
            for at in _positions(data, wanted, end):
                word = _word_before(data, at)
                if word is None:
                    return None
                found.add(word)
        return frozenset(found)

    def _texts(self, state: State) -> Iterator[tuple[bytes, int]]:
        """Yield the bytes of the file and those of object streams, and where they end."""
        yield self._data, state.end
        if self._packed:
            for offset in self._container_offsets(state.end):
                data = state.members(offset).lexer.data
                yield data, len(data)

    def _in_object_streams(self, state: State, numbers: Sequence[int]) -> bool:
        """Say whether an object stream may hold a reference to one of the numbers, or cannot be read."""
        if not self._packed:
            return False
        try:
            texts = (state.members(offset).lexer.data for offset in self._container_offsets(state.end))
            return any(True for data in texts for _ in _positions(data, numbers, len(data)))
        except LimitExceeded:
            raise
        except InputRefused:
            return True

    def _object_at(self, at: int) -> int | None:
        """Return the number of the object a position lies in; ``None`` if it cannot be told."""
        offsets, numbers = self._objects()
        index = bisect_right(offsets, at) - 1
        if index < 0:
            return None
        if index not in self._bodies:
            head = _HEADER.match(self._data, offsets[index])
            right = head is not None and int(head[1]) == numbers[index]
            self._bodies[index] = self._data.find(b"obj", head.end()) if head is not None and right else 0
        end = self._bodies[index]
        return numbers[index] if end < 0 or at < end else None

    def _container_offsets(self, end: int) -> list[int]:
        offsets, numbers = self._objects()
        held = self.containers(self._sections)
        return [offset for offset, number in zip(offsets, numbers, strict=True) if number in held and offset < end]

    def containers(self, sections: Iterable[Section]) -> set[int]:
        """Return the numbers of the object streams that rows of these sections name."""
        found: set[int] = set()
        for section in sections:
            if not _may_pack(section):
                continue
            if section.offset not in self._containers:
                named = {entry.container for _, entry in section.rows() if entry.container is not None}
                self._containers[section.offset] = frozenset(named)
            found |= self._containers[section.offset]
        return found

    def _objects(self) -> tuple[list[int], list[int]]:
        if self._places is None:
            rows: set[tuple[int, int]] = set()
            for section in self._sections:
                rows |= {(entry.offset, number) for number, entry in section.rows() if entry.offset is not None}
            ordered = sorted(rows)
            self._places = [offset for offset, _ in ordered], [number for _, number in ordered]
        return self._places


def _may_pack(section: Section) -> bool:
    """Say whether a section may name object streams."""
    return section.stream is not None or section.hidden is not None


def _positions(data: bytes, numbers: Sequence[int], end: int) -> Iterator[int]:
    """Go through the places where one of the numbers stands as the first of a reference."""
    for number in numbers:
        for match in re.compile(b"%d" % number + _REST).finditer(data, 0, end):
            if _is_whole(data, match.start()):
                yield match.start()


def _word_before(data: bytes, at: int) -> bytes | None:
    """Return the word before a place, empty if there is none; ``None`` if a comment may hide it."""
    while at and data[at - 1] in b"0\0\t\n\f\r ":
        at -= 1
    before = data[max(at - WORD_MAX, 0) : at]
    if b"%" in before:
        return None
    match = _WORD.search(before)
    return match[0] if match else b""


def _is_whole(data: bytes, at: int) -> bool:
    """Say whether no digit but zeros stands before a number."""
    while at and data[at - 1] == 0x30:
        at -= 1
    return not (at and 0x31 <= data[at - 1] <= 0x39)
