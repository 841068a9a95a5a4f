"""The pictures of a signature and a seal for the sample letter, drawn from outlines, the same bytes each time.

Shapes are polygons in pixels, filled by the non-zero rule with exact horizontal and four-fold vertical coverage.
Letters are the outlines of ``Edoc Serif Bold``. Both pictures have 300 dots per inch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from io import BytesIO
from itertools import pairwise

from fontTools.pens.recordingPen import DecomposingRecordingPen
from fontTools.ttLib import TTFont

from samples.typesetting import FACES
from signer.pdf.png import Picture, write_png

DPI = 300
PX = DPI / 25.4
"""Pixels of one millimetre."""
BLUE = (22, 52, 148)
RED = (206, 20, 28)
STEPS = 4
"""Sub-rows of one pixel row."""

Point = tuple[float, float]
Polygon = list[Point]


def filled(polygons: Sequence[Polygon], width: int, height: int) -> bytes:
    """Return the coverage of the union of polygons, one byte a pixel, from the top."""
    rows: list[list[tuple[float, int]]] = [[] for _ in range(height * STEPS)]
    for polygon in polygons:
        for (x1, y1), (x2, y2) in zip(polygon, [*polygon[1:], polygon[0]], strict=True):
            _edge(rows, x1, y1 * STEPS, x2, y2 * STEPS)
    out = bytearray(width * height)
    for y in range(height):
        total = [0.0] * (width + 2)
        for crossings in rows[y * STEPS : (y + 1) * STEPS]:
            _spans(total, sorted(crossings), width)
        out[y * width : (y + 1) * width] = bytes(min(255, round(value * 255 / STEPS)) for value in total[:width])
    return bytes(out)


def _edge(rows: list[list[tuple[float, int]]], x1: float, y1: float, x2: float, y2: float) -> None:
    turn = 1
    if y1 > y2:
        x1, y1, x2, y2, turn = x2, y2, x1, y1, -1
    for row in range(max(0, math.ceil(y1 - 0.5)), min(len(rows), math.ceil(y2 - 0.5))):
        rows[row].append((x1 + (row + 0.5 - y1) * (x2 - x1) / (y2 - y1), turn))


def _spans(total: list[float], crossings: list[tuple[float, int]], width: int) -> None:
    winding, start = 0, 0.0
    for x, turn in crossings:
        if winding == 0:
            start = x
        winding += turn
        if winding == 0:
            _span(total, max(0.0, start), min(float(width), x))


def _span(total: list[float], start: float, end: float) -> None:
    if end <= start:
        return
    first, last = int(start), int(end)
    if first == last:
        total[first] += end - start
        return
    total[first] += first + 1 - start
    for x in range(first + 1, last):
        total[x] += 1
    total[last] += end - last


def _circle(x: float, y: float, radius: float, *, hole: bool = False) -> Polygon:
    count = max(24, int(radius * 1.2))
    points = [
        (x + radius * math.cos(a), y + radius * math.sin(a)) for a in (math.tau * i / count for i in range(count))
    ]
    return points[::-1] if hole else points


def _ring(x: float, y: float, radius: float, weight: float) -> list[Polygon]:
    return [_circle(x, y, radius + weight / 2), _circle(x, y, radius - weight / 2, hole=True)]


class Letters:
    """Outlines of a face as polygons."""

    def __init__(self, data: bytes) -> None:
        self._font = TTFont(BytesIO(data))
        self._glyphs, self._codes = self._font.getGlyphSet(), self._font.getBestCmap()

    def advance(self, letter: str) -> float:
        """Width of a letter, in 1/1000 em."""
        return float(self._glyphs[self._codes[ord(letter)]].width)

    def outline(self, letter: str) -> list[Polygon]:
        """Polygons of a letter in 1/1000 em, y upwards."""
        pen = DecomposingRecordingPen(self._glyphs)
        self._glyphs[self._codes[ord(letter)]].draw(pen)
        polygons: list[Polygon] = []
        for operator, arguments in pen.value:
            if operator == "moveTo":
                polygons.append([arguments[0]])
            elif operator == "lineTo":
                polygons[-1].append(arguments[0])
            elif operator == "qCurveTo":
                _quadratic(polygons, arguments)
        return polygons


def _quadratic(polygons: list[Polygon], arguments: Sequence[Point | None]) -> None:
    points = list(arguments)
    if points[-1] is None:  # a contour without a point on the curve
        first, last = points[0], points[-2]
        assert first is not None
        assert last is not None
        begin = ((first[0] + last[0]) / 2, (first[1] + last[1]) / 2)
        polygons.append([begin])
        points[-1] = begin
    polygon = polygons[-1]
    for i, control in enumerate(points[:-1]):
        following = points[i + 1]
        assert control is not None
        assert following is not None
        end = following if i == len(points) - 2 else ((control[0] + following[0]) / 2, (control[1] + following[1]) / 2)
        x, y = polygon[-1]
        for step in range(1, 7):
            t = step / 6
            a, b, c = (1 - t) ** 2, 2 * t * (1 - t), t * t
            polygon.append((a * x + b * control[0] + c * end[0], a * y + b * control[1] + c * end[1]))


def seal() -> bytes:
    """Return the red round seal, 36 mm across, as PNG."""
    side = round(36 * PX)
    middle = side / 2
    outer = middle - 0.6 * PX
    shapes = _ring(middle, middle, outer, 0.9 * PX) + _ring(middle, middle, outer - 1.1 * PX, 0.25 * PX)
    shapes += _ring(middle, middle, 11.0 * PX, 0.3 * PX)
    letters = Letters(FACES["B"].read_bytes())
    shapes += _arched(letters, "ỦY BAN NHÂN DÂN TỈNH MẪU", middle, 12.15 * PX, size=3.5 * PX, spread=0.16)
    shapes += _star(middle, middle + 13.45 * PX, 1.7 * PX)
    for text, y, size in (("SỞ", 15.6, 4.6), ("MẪU A", 22.2, 4.8)):
        shapes += _straight(letters, text, middle, y * PX, size=size * PX)
    cover = filled(shapes, side, side)
    return _inked(cover, side, side, RED, _wear)


def _wear(x: int, y: int) -> float:
    """An uneven print: ink is thinner here and there."""
    wave = math.sin(x * 0.043 + 1.3) * math.sin(y * 0.037 + 0.4) + 0.5 * math.sin((x + y) * 0.021)
    grain = ((x * 7919 + y * 104729 + x * y * 31) % 97) / 97
    return 0.86 + 0.06 * wave - 0.10 * (grain > 0.9)


def _arched(letters: Letters, text: str, middle: float, radius: float, *, size: float, spread: float) -> list[Polygon]:
    """Return letters standing on the upper part of a circle."""
    scale = size / 1000
    angles = [letters.advance(one) * scale / radius * (1 + spread) for one in text]
    angle = -sum(angles) / 2
    shapes = []
    for one, step in zip(text, angles, strict=True):
        turn, half = angle + step / 2, letters.advance(one) / 2
        sin, cos = math.sin(turn), math.cos(turn)
        for polygon in letters.outline(one):
            placed = [((x - half) * scale, radius + y * scale) for x, y in polygon]
            shapes.append([(middle + x * cos + y * sin, middle - (y * cos - x * sin)) for x, y in placed])
        angle += step
    return shapes


def _straight(letters: Letters, text: str, middle: float, baseline: float, *, size: float) -> list[Polygon]:
    scale = size / 1000
    x = middle - sum(letters.advance(one) for one in text) * scale / 2
    shapes = []
    for one in text:
        shapes += [[(x + px * scale, baseline - py * scale) for px, py in polygon] for polygon in letters.outline(one)]
        x += letters.advance(one) * scale
    return shapes


def _star(x: float, y: float, radius: float) -> list[Polygon]:
    points = []
    for i in range(10):
        reach = radius if i % 2 == 0 else radius * 0.382
        points.append((x + reach * math.sin(math.pi * i / 5), y - reach * math.cos(math.pi * i / 5)))
    return [points[::-1]]


STROKES: tuple[tuple[Point, ...], ...] = (
    ((4, 17.5), (6.4, 9), (9.3, 2.6), (10.2, 4.4), (9.0, 12), (8.2, 18.6), (10.2, 12.2), (13.6, 5.4), (15.0, 5.6),
     (14.2, 11.4), (14.0, 16.8), (15.6, 16.4), (17.4, 12.6), (19.2, 10.9), (19.9, 12.4), (18.6, 15.6), (19.4, 17.2),
     (21.6, 14.8), (23.2, 11.8), (22.8, 15.4), (23.6, 17.0), (25.6, 14.6), (26.6, 12.2), (26.6, 15.6), (27.8, 16.7),
     (30.0, 14.0), (31.4, 12.6), (31.2, 15.6), (32.6, 16.4), (35.4, 14.0), (39.0, 12.4), (43.4, 11.8)),
    ((46.5, 9.6), (38, 16.4), (28, 19.8), (17, 21.8), (8.6, 22.6), (6.0, 21.4), (9.4, 19.6), (20, 18.6), (33, 19.4),
     (45.6, 21.2)),
    ((18.2, 7.8), (19.8, 6.2), (21.6, 7.9)),
    ((22.6, 4.6), (24.2, 4.0), (25.2, 4.9), (26.8, 4.1)),
)  # fmt: skip
"""The pen's way in mm on a field of 50 x 25."""


def signature() -> bytes:
    """Return the blue signature, 50 x 25 mm, as PNG."""
    width, height = round(50 * PX), round(25 * PX)
    shapes: list[Polygon] = []
    for stroke in STROKES:
        shapes += _pen(_spline(stroke))
    cover = filled(shapes, width, height)
    return _inked(cover, width, height, BLUE, lambda x, y: 0.95)


def _spline(points: Sequence[Point]) -> list[Point]:
    """Return a Catmull-Rom curve through the points, in pixels."""
    padded = [points[0], *points, points[-1]]
    curve = []
    for a, b, c, d in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
        for step in range(14):
            t = step / 14
            curve.append(tuple(_catmull(*axis, t) * PX for axis in zip(a, b, c, d, strict=True)))
    return [(x, y) for x, y in curve] + [(points[-1][0] * PX, points[-1][1] * PX)]


def _catmull(a: float, b: float, c: float, d: float, t: float) -> float:
    return 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t * t + (3 * b - a - 3 * c + d) * t**3)


def _pen(curve: Sequence[Point]) -> list[Polygon]:
    """Return the trace of a pen that is thin when fast and thins out at both ends."""
    shapes: list[Polygon] = []
    count = len(curve)
    radius = 0.1 * PX
    for i, ((x1, y1), (x2, y2)) in enumerate(pairwise(curve)):
        speed = math.hypot(x2 - x1, y2 - y1)
        ends = min(1.0, (i + 4) / 14, (count - i + 2) / 22)
        wanted = (0.42 - min(0.22, speed / PX * 0.2)) * PX * ends / 1.5
        before, radius = radius, radius + (wanted - radius) * 0.25
        if speed:
            nx, ny = (y2 - y1) / speed, (x1 - x2) / speed
            quad = [(x1 + nx * before, y1 + ny * before), (x2 + nx * radius, y2 + ny * radius),
                    (x2 - nx * radius, y2 - ny * radius), (x1 - nx * before, y1 - ny * before)]  # fmt: skip
            shapes.append(quad if _area(quad) > 0 else quad[::-1])
        shapes.append(_circle(x2, y2, radius))
    return shapes


def _area(polygon: Polygon) -> float:
    return sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in zip(polygon, [*polygon[1:], polygon[0]], strict=True))


def _inked(
    cover: bytes, width: int, height: int, colour: tuple[int, int, int], ink: Callable[[int, int], float]
) -> bytes:
    opacity = bytes(round(value * ink(i % width, i // width)) if value else 0 for i, value in enumerate(cover))
    return write_png(Picture(width, height, False, bytes(colour) * (width * height), opacity, DPI))
