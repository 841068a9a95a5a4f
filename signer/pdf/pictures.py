"""Pages of two states of a file, drawn and compared: which of them look different (signing.md 4.3, ``pictures``).

Pages are drawn by a worker, a process of its own with limits (``signer.pdf.pictureworker``); its pixels come over a
pipe, are masked and compared here. A worker that fails, is killed or takes too long shows nothing: what it had drawn by
then counts, and the rest is told to be missing. Both states are drawn by the same program with the same fonts, so what
is equal comes out equal, and all pixels that differ on a page count together: scattered ones are no better.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from math import ceil, floor, sqrt
from pathlib import Path
from threading import Timer
from types import MappingProxyType
from typing import IO

from signer.pdf.geometry import Box
from signer.trust import Pictures

DPI = 100
AREA = 1.0
"""Square millimetres of a page that may differ."""
TOLERANCE = 8
"""How far a channel (0 to 255) may differ for the pixel to count as equal."""
MARGIN = 0.5
"""Millimetres around a mask: what is drawn at its edge is smoothed beyond it."""
PIXELS_MAX = 16_000_000
"""Pixels of one picture; a page larger than A0 is drawn more coarsely."""
INCH = 25.4
_DEPTH = 4

Size = tuple[float, float]
"""Width and height of a page as displayed, in mm."""


@dataclass(frozen=True, slots=True)
class Look:
    """What to compare for one signed state: its bytes are ``[0, end)``.

    ``sizes`` has each page to be drawn, with its size in that state, ``None`` if it is not there; ``masks`` the boxes
    not compared, by page.
    """

    end: int
    sizes: Mapping[int, Size | None]
    masks: Mapping[int, tuple[Box, ...]] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Compared:
    """The pages that look different, for each look in order; ``whole`` says whether all could be compared."""

    pages: tuple[tuple[int, ...], ...]
    whole: bool


def is_possible() -> bool:
    """Say whether the extra ``preview`` is installed, without loading it."""
    return bool(sys.executable) and find_spec("pypdfium2_raw") is not None and find_spec("resource") is not None


def compare_pictures(
    data: bytes, looks: Sequence[Look], *, latest: Mapping[int, Size], bounds: Pictures
) -> Compared | None:
    """Compare signed states with the whole file, whose pages have the sizes ``latest``.

    ``None`` if the extra is not installed. Never raises for what the file holds or what becomes of the worker.
    """
    if not is_possible():
        return None
    found: list[list[int]] = [[] for _ in looks]
    drawn = _ordered(looks, latest)
    whole = True
    if drawn:
        try:
            whole = _run(data, drawn, found, bounds)
        except OSError:  # no process can be started, or it ended while it was written to
            whole = False
    return Compared(tuple(map(tuple, found)), whole)


@dataclass(frozen=True, slots=True)
class _Page:
    """One page: its picture in the latest state, and in the signed states that look at it."""

    number: int
    size: Size | None
    looks: tuple[tuple[int, Look], ...]


def _ordered(looks: Sequence[Look], latest: Mapping[int, Size]) -> list[_Page]:
    numbers = sorted({number for look in looks for number in look.sizes})
    return [
        _Page(number, latest.get(number), tuple((n, look) for n, look in enumerate(looks) if number in look.sizes))
        for number in numbers
    ]


def pixels_of(size: Size) -> tuple[int, int]:
    """Return width and height of the picture of a page."""
    width, height = (max(1.0, side * DPI / INCH) for side in size)
    shrink = min(1.0, sqrt(PIXELS_MAX / (width * height)))
    most = PIXELS_MAX // 4
    return min(most, max(1, round(width * shrink))), min(most, max(1, round(height * shrink)))


def _run(data: bytes, pages: Sequence[_Page], found: Sequence[list[int]], bounds: Pictures) -> bool:
    """Run the worker and note what differs. Say whether it came to its end."""
    wanted = [(end, page.number, *pixels_of(size)) for page in pages for end, size in _states(page, len(data)) if size]
    request = {
        "size": len(data),
        "memory": bounds.memory,
        "seconds": bounds.seconds,
        "pictures": wanted,
    }
    with subprocess.Popen(
        command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={}
    ) as worker:
        watch = Timer(2 * bounds.seconds + 1, worker.kill)
        watch.daemon = True
        watch.start()
        try:
            assert worker.stdin is not None
            assert worker.stdout is not None
            send(worker.stdin, json.dumps(request).encode("ascii") + b"\n", data)
            return all(_compare_page(worker.stdout, page, len(data), found) for page in pages)
        finally:
            watch.cancel()
            worker.kill()


def _states(page: _Page, end: int) -> Iterator[tuple[int, Size | None]]:
    yield end, page.size
    for _, look in page.looks:
        yield look.end, look.sizes[page.number]


def command() -> list[str]:
    """Return how the worker is started; only if ``is_possible``."""
    spec = find_spec("pypdfium2_raw")
    assert spec is not None
    assert spec.origin is not None
    folder = Path(spec.origin).parent.parent
    return [sys.executable, "-I", "-S", str(Path(__file__).with_name("pictureworker.py")), str(folder)]


def send(pipe: IO[bytes], *parts: bytes) -> None:
    """Write the parts to a worker, and that there are no more."""
    for part in parts:
        pipe.write(part)
    pipe.close()


def _compare_page(pipe: IO[bytes], page: _Page, end: int, found: Sequence[list[int]]) -> bool:
    """Read the pictures of a page and note for whom they differ. Say whether all came."""
    after = _read(pipe, page.size)
    if after is None:
        return False
    for index, look in page.looks:
        size = look.sizes[page.number]
        before = _read(pipe, size)
        if before is None:
            return False
        if _differ((before, size), (after, page.size), look.masks.get(page.number, ())):
            found[index].append(page.number)
    return True


def _read(pipe: IO[bytes], size: Size | None) -> bytes | None:
    """Read one picture; empty if there is no such page, ``None`` if the worker sends no more."""
    if size is None:
        return b""
    drawn = pipe.read(1)
    if drawn != b"\1":
        return b"" if drawn == b"\0" else None
    width, height = pixels_of(size)
    pixels = pipe.read(width * height * _DEPTH)
    return pixels if len(pixels) == width * height * _DEPTH else None


def _differ(before: tuple[bytes, Size | None], after: tuple[bytes, Size | None], masks: Sequence[Box]) -> bool:
    """Compare two pictures of a page; one that is there in one state only, or in another size, differs."""
    (one, size), (other, now) = before, after
    if not one or not other or size is None or now is None:
        return bool(one) != bool(other)
    return pixels_of(size) != pixels_of(now) or differs(one, other, size=size, masks=masks)


def differs(before: bytes, after: bytes, *, size: Size, masks: Sequence[Box]) -> bool:
    """Say whether more than ``AREA`` of a page looks different outside the masks (boxes in mm).

    Both pictures are rows of four octets a pixel (blue, green, red, unused), as large as ``pixels_of`` says.
    """
    if before == after:
        return False
    width, height = pixels_of(size)
    room = AREA / (size[0] * size[1]) * width * height  # pixels
    spans = [_span(mask, size, (width, height)) for mask in masks]
    stride, count = width * _DEPTH, 0
    for row in range(height):
        one, other = before[row * stride : (row + 1) * stride], after[row * stride : (row + 1) * stride]
        if one != other:
            hidden = [(left, right) for left, top, right, bottom in spans if top <= row < bottom]
            count += _unequal(_masked(one, hidden), _masked(other, hidden))
            if count > room:
                return True
    return False


def _span(mask: Box, size: Size, pixels: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return left, top, right, bottom of a mask in pixels; right and bottom lie outside."""
    x, y, w, h = mask
    across, down = pixels[0] / size[0], pixels[1] / size[1]
    left, top = floor((x - MARGIN) * across), floor((y - MARGIN) * down)
    right, bottom = ceil((x + w + MARGIN) * across), ceil((y + h + MARGIN) * down)
    return max(0, left), max(0, top), min(pixels[0], right), min(pixels[1], bottom)


def _masked(row: bytes, hidden: Sequence[tuple[int, int]]) -> bytes:
    if not hidden:
        return row
    changed = bytearray(row)
    for left, right in hidden:
        if left < right:
            changed[left * _DEPTH : right * _DEPTH] = bytes((right - left) * _DEPTH)
    return bytes(changed)


def _unequal(one: bytes, other: bytes) -> int:
    """Count the pixels of a row of which a channel differs by more than the tolerance."""
    if one == other:
        return 0
    channels = (zip(one[c::_DEPTH], other[c::_DEPTH], strict=True) for c in range(3))
    pixels = zip(*channels, strict=True)
    return sum(any(abs(left - right) > TOLERANCE for left, right in pixel) for pixel in pixels)
