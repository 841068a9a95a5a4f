"""The printed lines of a page and where they stand, found by PDFium in a worker (signing.md 3.3, text search).

A foreign file may take the worker down, never this process: the worker has limits on memory, time and everything else
(``signer.pdf.pictureworker``). What it tells is bounded and checked here. A line is letters that follow one another on
one baseline without a gap wider than a letter; columns side by side are lines of their own. Text of annotations and
fields is not looked at.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import IO

from signer.pdf.geometry import Box, Sheet
from signer.pdf.kept import KEPT
from signer.pdf.pictureworker import LETTER, LETTERS_MAX
from signer.trust import Pictures

SECONDS = 15
"""Computing time the worker may use for one part of a file."""
PART = 50
"""Pages asked for at once, after the first."""
BASELINE = 0.3
"""How far letters of one line may stand above or below one another, in heights of the line."""
GAP = 1.2
"""Widest gap inside a line, in heights of the line; a space between words is a quarter."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One letter: its ink and its share of the line as boxes in mm of the page as displayed, and its baseline."""

    text: str
    ink: Box
    line: Box
    baseline: float


@dataclass(frozen=True, slots=True)
class PrintedLine:
    """One printed line: its text without spaces, its letters, and the box of their ink in mm."""

    text: str
    letters: tuple[Letter, ...] = field(repr=False)
    box: Box

    @property
    def middle(self) -> float:
        """The middle of the line, in mm from the left edge of the page."""
        return self.box[0] + self.box[2] / 2

    @property
    def bottom(self) -> float:
        """Lower edge of its ink, in mm from the top of the page."""
        return self.box[1] + self.box[3]


def lines_of_pages(
    data: bytes, sheets: Sequence[tuple[int, Sheet]], *, total: int, seconds: int = SECONDS
) -> Iterator[tuple[int, tuple[PrintedLine, ...]]]:
    """Yield the printed lines of pages, in the order asked for: ``sheets`` are numbers from 1 and their geometry.

    ``total`` is the number of pages of the file; where the worker counts otherwise, nothing comes. Ends early, without
    a word, where the worker fails. Needs the extra ``preview``: ask ``pictures.is_possible`` before.
    """
    at, count = 0, 1  # what is looked for is mostly on the first page asked for
    while at < len(sheets):
        part = sheets[at : at + count]
        found = KEPT.ask(
            {
                "memory": Pictures().memory,
                "seconds": seconds,
                "pictures": [],
                "letters": [number for number, _ in part],
            },
            data,
            seconds=seconds,
            read=partial(_read, sheets=part, total=total),
        )
        if found is None:
            return
        yield from found
        at, count = at + count, PART


Page = tuple[int, tuple[PrintedLine, ...]]


def _read(pipe: IO[bytes], *, sheets: Sequence[tuple[int, Sheet]], total: int) -> list[Page] | None:
    """Return the pages of an answer; ``None`` if they are not all there."""
    if pipe.read(4) != struct.pack("<I", total):
        return None
    found = list(_told(pipe, sheets))
    return found if len(found) == len(sheets) else None


def _told(pipe: IO[bytes], sheets: Sequence[tuple[int, Sheet]]) -> Iterator[Page]:
    for number, sheet in sheets:
        head = pipe.read(4)
        count = struct.unpack("<I", head)[0] if len(head) == 4 else LETTERS_MAX + 1
        if count > LETTERS_MAX:
            return
        records = pipe.read(count * LETTER.size)
        if len(records) != count * LETTER.size:
            return
        letters = (_letter(sheet, *one) for one in LETTER.iter_unpack(records))
        yield number, tuple(_lines([one for one in letters if one is not None]))


def _letter(sheet: Sheet, code: int, *numbers: float) -> Letter | None:
    """Return a letter in millimetres of the page as displayed; ``None`` if it is nowhere."""
    if not 32 < code < 0x110000 or 0xD800 <= code < 0xE000 or not all(map(math.isfinite, numbers)):
        return None
    x, y, *boxes = numbers
    ink, line = sheet.box(boxes[:4]), sheet.box(boxes[4:])
    return Letter(chr(code), ink, line, sheet.to_mm(x, y)[1]) if line[2] > 0 and line[3] > 0 else None


def _lines(letters: Sequence[Letter]) -> Iterator[PrintedLine]:
    held: list[Letter] = []
    for one in letters:
        if held and not _follows(held[-1], one):
            yield _line(held)
            held = []
        held.append(one)
    if held:
        yield _line(held)


def _follows(before: Letter, after: Letter) -> bool:
    height = max(before.line[3], after.line[3])
    gap = after.line[0] - (before.line[0] + before.line[2])
    level = abs(after.baseline - before.baseline) <= BASELINE * height
    return level and -height <= gap <= GAP * height and after.line[0] >= before.line[0] - 0.1 * height


def _line(letters: Sequence[Letter]) -> PrintedLine:
    inked = [one.ink for one in letters if min(one.ink[2:]) > 0] or [one.line for one in letters]
    left, top = min(box[0] for box in inked), min(box[1] for box in inked)
    right, bottom = max(box[0] + box[2] for box in inked), max(box[1] + box[3] for box in inked)
    return PrintedLine("".join(one.text for one in letters), tuple(letters), (left, top, right - left, bottom - top))
