"""The recovering reading: every object and trailer that a scan of the bytes finds (signing.md 4.1, D2).

Readers that mend files do it like this: cross-references are ignored, of several definitions the last wins. Bytes in
the stream of an object are not looked at, as far as its length or ``endstream`` tells.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from signer.errors import InputRefused, LimitExceeded
from signer.pdf.reading.budget import Budget, over
from signer.pdf.reading.lexer import Lexer
from signer.pdf.values import Value

_OBJECT = re.compile(
    rb"(?<![0-9])(\d{1,10})[\0\t\n\f\r ]++(\d{1,5})[\0\t\n\f\r ]++obj(?![A-Za-z0-9])|\btrailer(?=[\0\t\n\f\r <])"
)
_STREAM = re.compile(rb">>[\0\t\n\f\r ]*+stream(?:\r\n|\n|\r|[ \t])")
_LENGTH = re.compile(rb"/Length[\0\t\n\f\r ]++(\d{1,10})(?![\0\t\n\f\r ]++\d{1,5}[\0\t\n\f\r ]++R)")
_ENDSTREAM = re.compile(rb"[\0\t\n\f\r ]*+endstream")
_MARK = re.compile(rb"endobj|[\0\t\n\f\r ]obj\b|stream")
_END = re.compile(rb"startxref[\0\t\n\f\r ]++(\d{1,12})[\0\t\n\f\r ]++%%EOF")


@dataclass(frozen=True, slots=True)
class Definition:
    """Where an object is defined: at an offset, or in the object stream that stands there."""

    offset: int
    generation: int
    container: int | None = None
    index: int = 0


@dataclass(frozen=True, slots=True)
class Scan:
    """All definitions by number, in the order of the file; trailers; ends of updates."""

    objects: Mapping[int, tuple[Definition, ...]]
    streams: tuple[tuple[int, int], ...]  # (offset, number) of objects that are object or cross-reference streams
    trailers: tuple[tuple[int, Mapping[str, Value]], ...]
    ends: tuple[int, ...]  # behind each ``%%EOF`` that follows a ``startxref`` other than 0


def scan(lexer: Lexer, budget: Budget, start: int = 0) -> Scan:
    """Look through the bytes from ``start``.

    Raises:
        LimitExceeded: too many objects.
    """
    data = lexer.data
    objects: dict[int, list[Definition]] = {}
    streams: list[tuple[int, int]] = []
    trailers: list[tuple[int, Mapping[str, Value]]] = []
    spans: list[tuple[int, int]] = []
    at, count = start, 0
    while (match := _OBJECT.search(data, at)) is not None:
        at = match.end()
        if match[1] is None:
            trailers += _trailer(lexer, match)
            continue
        count += 1
        if count > budget.limits.pdf_objects:
            over("pdf_objects", count, "object")
        number = int(match[1])
        objects.setdefault(number, []).append(Definition(match.start(), int(match[2])))
        stream = _stream_at(data, at)
        if stream is not None:
            head = data[at : stream[0]]
            if b"ObjStm" in head or b"XRef" in head or b"#" in head:
                streams.append((match.start(), number))
            at = stream[1]
            spans.append(stream)
    ends = tuple(m.end() for m in _END.finditer(data, start) if int(m[1]) and not _inside(spans, m.start()))
    return Scan({number: tuple(found) for number, found in objects.items()}, tuple(streams), tuple(trailers), ends)


def _inside(spans: list[tuple[int, int]], at: int) -> bool:
    """Say whether a place lies in one of the streams, which are in order: a file inside the file is none of it."""
    index = bisect_right(spans, at, key=lambda span: span[0])
    return index > 0 and at < spans[index - 1][1]


def _trailer(lexer: Lexer, match: re.Match[bytes]) -> Iterator[tuple[int, Mapping[str, Value]]]:
    try:
        value, _ = lexer.value(match.end())
    except LimitExceeded:
        raise
    except InputRefused:
        return
    if isinstance(value, dict):
        yield match.start(), value


def _stream_at(data: bytes, at: int) -> tuple[int, int] | None:
    """Return where the octets of the stream of the object at ``at`` begin and end; ``None`` if it has none."""
    mark = _MARK.search(data, at)
    if mark is None or mark[0] != b"stream" or data[mark.start() - 3 : mark.start()] == b"end":
        return None
    head = _STREAM.search(data, max(at, mark.start() - 64), mark.end() + 2)
    if head is None or head.end() < mark.end():
        return None
    start = head.end()
    lengths = _LENGTH.findall(data, at, mark.start())
    if lengths and (end := _ENDSTREAM.match(data, start + int(lengths[-1]))) is not None:
        return start, end.end()
    stop = data.find(b"endstream", start)
    return (start, stop + 9) if stop >= 0 else (start, len(data))
