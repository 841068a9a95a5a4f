"""Cross-reference sections: tables and streams, their rows read only when asked for (ISO 32000-1, 7.5.4 and 7.5.8).

Offsets are counted from the header ``%PDF-``, which may stand behind other bytes. What real writers do against the
standard (short or long rows, a first number off by one, white space) is read and noted as an oddity.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from signer.errors import InputRefused, LimitExceeded
from signer.pdf.reading.budget import Budget, damaged
from signer.pdf.reading.filters import decode
from signer.pdf.reading.lexer import BLANK, Lexer
from signer.pdf.values import Stream, Value

BLOCKS_MAX = 8
"""Subsections looked through one by one; writers make a few, attackers one for every object."""

Follow = Callable[[Value], Value]
"""Follows a reference to its value."""

_XREF = re.compile(BLANK + rb"xref")
_SUBSECTION = re.compile(
    rb"[\0\t\n\f\r ]*+(\d{1,10})[\0\t\n\f\r ]++(\d{1,10})(?=[\0\t\n\f\r ])[\0\t\f ]*+(?:\r\n|\n|\r)?"
)
_ROWS = re.compile(rb"(?:\d{10} \d{5} [nf](?: \r| \n|\r\n))*+")
_ROW = re.compile(rb"[\0\t\n\f\r ]*+(\d{1,20})[\0\t\n\f\r ]++(\d{1,10})[\0\t\n\f\r ]++([fn])")
_SHAPE = bytes.maketrans(b"123456789f", b"000000000n")
_TRAILER = re.compile(BLANK + rb"trailer")
_NEXT = re.compile(rb"[\0\t\n\f\r ]*+(?:trailer|\d{1,10}[\0\t\n\f\r ]++\d{1,10}[\0\t\n\f\r ]++(?:\d|trailer))")


@dataclass(frozen=True, slots=True)
class Entry:
    """One row: an object at an offset, one inside an object stream, or (with neither) a free number."""

    offset: int | None = None
    generation: int = 0
    container: int | None = None
    index: int = 0

    @property
    def free(self) -> bool:
        """Say whether the number is free."""
        return self.offset is None and self.container is None


FREE = Entry()


def _row(offset: int, generation: int, kind: bytes, base: int) -> Entry:
    """Return what a row of a table says; offset 0 is the header, so some writers mark free numbers by it."""
    return Entry(offset + base, generation) if kind == b"n" and offset else FREE


@dataclass(frozen=True, slots=True)
class _Block:
    """Rows of consecutive numbers: fixed rows of a table or stream in ``data``, or rows read one by one."""

    first: int
    count: int
    data: bytes = field(default=b"", repr=False)
    at: int = 0
    widths: tuple[int, int, int] | None = None  # of a stream
    rows: tuple[Entry, ...] | None = None

    def entry(self, number: int, base: int) -> Entry:
        index = number - self.first
        if self.rows is not None:
            return self.rows[index]
        if self.widths is None:
            row = self.data[self.at + 20 * index : self.at + 20 * index + 18]
            return _row(int(row[:10]), int(row[11:16]), row[17:18], base)
        return self._packed(index, base)

    def _packed(self, index: int, base: int) -> Entry:
        assert self.widths is not None
        one, two, three = self.widths
        at = self.at + (one + two + three) * index
        kind = int.from_bytes(self.data[at : at + one], "big") if one else 1
        second = int.from_bytes(self.data[at + one : at + one + two], "big")
        third = int.from_bytes(self.data[at + one + two : at + one + two + three], "big")
        if kind == 1:
            return Entry(second + base, third) if second else FREE
        return Entry(container=second, index=third) if kind == 2 else FREE


@dataclass(frozen=True, slots=True)
class Section:
    """One cross-reference section with its trailer. ``hidden`` is what only newer readers see (``/XRefStm``)."""

    offset: int
    end: int  # behind the trailer dictionary, or behind the stream
    trailer: Mapping[str, Value]
    blocks: tuple[_Block, ...]
    base: int
    hidden: Section | None = None
    stream: int | None = None  # number of the object, if it is a stream
    _places: dict[int, _Block] = field(default_factory=dict, repr=False, compare=False)

    def _block_of(self, number: int) -> _Block | None:
        """Return the first block with a row of a number; of many blocks, by a table made once."""
        if len(self.blocks) <= BLOCKS_MAX:
            return next((one for one in self.blocks if one.first <= number < one.first + one.count), None)
        if not self._places:
            for block in self.blocks:
                for each in range(block.first, block.first + block.count):
                    self._places.setdefault(each, block)
        return self._places.get(number)

    def entry(self, number: int, *, hidden: bool = True) -> Entry | None:
        """Return the row of a number, or ``None``; objects hidden from old readers only if asked for."""
        block = self._block_of(number)
        found = block.entry(number, self.base) if block is not None else None
        if found is not None and not found.free:
            return found
        if hidden and self.hidden is not None:
            return self.hidden.entry(number) or found
        return found

    def numbers(self) -> Iterator[int]:
        """Go through the numbers that have a row."""
        for block in self.blocks:
            yield from range(block.first, block.first + block.count)
        if self.hidden is not None:
            yield from self.hidden.numbers()

    def rows(self) -> Iterator[tuple[int, Entry]]:
        """Go through all rows with their numbers, those hidden from old readers too."""
        for block in self.blocks:
            for number in range(block.first, block.first + block.count):
                yield number, block.entry(number, self.base)
        if self.hidden is not None:
            yield from self.hidden.rows()

    @property
    def count(self) -> int:
        """Return how many rows there are."""
        return sum(block.count for block in self.blocks) + (self.hidden.count if self.hidden else 0)


def read_section(lexer: Lexer, offset: int, base: int, budget: Budget) -> Section:
    """Read the section at an offset of the file.

    Raises:
        InputRefused: there is none that can be read; LimitExceeded: it declares too many rows.
    """
    if not 0 <= offset < len(lexer.data):
        raise damaged("cross-reference")
    match = _XREF.match(lexer.data, offset)
    section = _table(lexer, offset, match.end(), base, budget) if match else _stream(lexer, offset, base, budget)
    budget.declare(section.count)
    return section


def _table(lexer: Lexer, offset: int, at: int, base: int, budget: Budget) -> Section:
    blocks, total = [], 0
    while (trailer := _TRAILER.match(lexer.data, at)) is None:
        head = _SUBSECTION.match(lexer.data, at)
        if head is None:
            raise damaged("cross-reference table")
        first, count = int(head[1]), int(head[2])
        total += count
        budget.declare(total)
        block, at = _block(lexer, head.end(), first, count, base)
        blocks.append(block)
    value, end = lexer.value(trailer.end())
    if not isinstance(value, dict):
        raise damaged("trailer")
    _check_apart(lexer, offset, blocks)
    hidden = None
    where = value.get("XRefStm")
    if isinstance(where, int):
        hidden = _stream(lexer, where + base, base, budget)
    return Section(offset, end, value, tuple(blocks), base, hidden)


def _check_apart(lexer: Lexer, offset: int, blocks: Sequence[_Block]) -> None:
    """Note if two blocks have a row for the same number: readers take the first or the last."""
    spans = sorted((block.first, block.first + block.count) for block in blocks if block.count)
    if any(one[1] > other[0] for one, other in pairwise(spans)):
        lexer.odd("cross-reference rows twice", offset)


def _block(lexer: Lexer, at: int, first: int, count: int, base: int) -> tuple[_Block, int]:
    """Return the rows of one subsection and where they end; rows of twenty octets are not read yet."""
    data, end = lexer.data, at + 20 * count
    if end <= len(data) and _regular(data, at, end) and (not count or _NEXT.match(data, end)):
        first = _corrected(lexer, first, data[at : at + 18])
        return _Block(first, count, data, at), end
    rows = []
    for _ in range(count):
        row = _ROW.match(data, at)
        if row is None:
            break  # fewer rows than declared
        rows.append(_row(int(row[1]), int(row[2]), row[3], base))
        at = row.end()
    if len(rows) < count:
        lexer.odd("cross-reference rows", at)
    if rows and rows[0].free and first == 1:
        first = _corrected(lexer, first, b"0000000000 65535 f")
    return _Block(first, len(rows), rows=tuple(rows)), at


def _regular(data: bytes, at: int, end: int) -> bool:
    """Say whether rows have twenty octets each, as the standard has them; many alike are compared as a whole."""
    pattern = b"0000000000 00000 n" + data[end - 2 : end]
    if pattern[18:] in (b" \n", b"\r\n") and data[at:end].translate(_SHAPE) == pattern * ((end - at) // 20):
        return True
    return _ROWS.fullmatch(data, at, end) is not None


def _corrected(lexer: Lexer, first: int, row: bytes) -> int:
    """Some writers count their first table from 1, though its first row is that of number 0."""
    if first == 1 and row == b"0000000000 65535 f":
        lexer.odd("cross-reference numbers", 0)
        return 0
    return first


def _stream(lexer: Lexer, offset: int, base: int, budget: Budget) -> Section:
    if not 0 <= offset < len(lexer.data):
        raise damaged("cross-reference")
    found = lexer.object(offset, lambda value: value)
    stream = found.value
    if not isinstance(stream, Stream) or stream.dictionary.get("Type") != "XRef":
        raise damaged("cross-reference stream")
    data, exact = decoded_at_all(stream, lambda value: value, budget)
    if not exact:
        lexer.odd("damaged cross-reference stream", offset)
    widths = stream.dictionary.get("W")
    if not isinstance(widths, tuple) or len(widths) < 3:
        raise damaged("cross-reference stream")
    one, two, three = (width if isinstance(width, int) and 0 <= width <= 8 else -1 for width in widths[:3])
    if min(one, two, three) < 0 or one + two + three == 0:
        raise damaged("cross-reference stream")
    blocks, at = [], 0
    for first, declared in _pairs(stream.dictionary):
        count = min(declared, (len(data) - at) // (one + two + three))
        if count < declared:
            lexer.odd("cross-reference rows", offset)
        blocks.append(_Block(first, count, data, at, (one, two, three)))
        at += count * (one + two + three)
    _check_apart(lexer, offset, blocks)
    return Section(offset, found.end, stream.dictionary, tuple(blocks), base, stream=found.number)


def _pairs(dictionary: Mapping[str, Value]) -> list[tuple[int, int]]:
    index = dictionary.get("Index")
    numbers = index if isinstance(index, tuple) else (0, dictionary.get("Size"))
    plain = [number for number in numbers if isinstance(number, int) and number >= 0]
    if len(plain) != len(numbers) or len(plain) % 2:
        raise damaged("cross-reference stream")
    return list(zip(plain[::2], plain[1::2], strict=True))


def decoded_at_all(stream: Stream, follow: Follow, budget: Budget) -> tuple[bytes, bool]:
    """Return the octets of a stream that a file cannot be read without, and whether all readers get the same.

    Raises:
        InputRefused: nothing can be had of it.
    """
    try:
        return decode(stream.raw, filters_of(stream.dictionary, follow), budget), True
    except LimitExceeded:
        raise
    except InputRefused:
        return decode(stream.raw, filters_of(stream.dictionary, follow, lenient=True), budget, lenient=True), False


def filters_of(
    dictionary: Mapping[str, Value], follow: Follow, *, lenient: bool = False
) -> list[tuple[str, Mapping[str, Value]]]:
    """Return the filters of a stream with their parameters.

    Raises:
        InputRefused: they are not names; or, if not ``lenient``, filter and parameters are not both one or both listed.
    """
    names = follow(dictionary.get("Filter"))
    parameters = follow(dictionary.get("DecodeParms"))
    if not lenient and names is not None and isinstance(names, tuple) is not isinstance(parameters, tuple):
        one = follow(parameters[0]) if isinstance(parameters, tuple) and parameters else parameters
        if isinstance(one, Mapping) and {"Predictor", "EarlyChange"} & set(one):
            raise damaged("filter parameters")  # most readers pass them over
    listed = list(names) if isinstance(names, tuple) else [] if names is None else [names]
    given = list(parameters) if isinstance(parameters, tuple) else [parameters]
    result: list[tuple[str, Mapping[str, Value]]] = []
    for number, item in enumerate(listed):
        name, own = follow(item), follow(given[number]) if number < len(given) else None
        if not isinstance(name, str):
            raise damaged("filter")
        found = {key: follow(value) for key, value in own.items()} if isinstance(own, Mapping) else {}
        result.append((name, found))
    return result


def try_section(lexer: Lexer, offset: int, base: int, budget: Budget) -> Section | None:
    """Read a section, or return ``None`` if there is none at this offset."""
    mark = len(lexer.oddities)
    try:
        return read_section(lexer, offset, base, budget)
    except InputRefused as error:
        if type(error) is not InputRefused:
            raise
        del lexer.oddities[mark:]
        return None
