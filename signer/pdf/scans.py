"""What a PDF shows as pictures: is a page a scan, how fine, in colour, on which paper? (R48; ISO 32000-2, 8.3, 8.9)

Content is followed only as far as it places pictures: ``q``, ``Q``, ``cm``, ``Do``, forms within forms. Facts only;
what they mean for a copy is decided in ``edoc``. What cannot be read shows no picture; budgets are those of reading.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from signer.errors import InputRefused, LimitExceeded
from signer.pdf.formtree import DEPTH_MAX, PageBox, items, mapping, pages_of, resolved
from signer.pdf.geometry import MM, Sheet
from signer.pdf.reading.budget import over
from signer.pdf.reading.file import PdfFile
from signer.pdf.values import Document, Name, Stream, Value
from signer.trust import Limits

Matrix = tuple[float, float, float, float, float, float]

WHOLE = 0.8
"""Part of a page a picture takes if the page is a scan of it."""

_START: Matrix = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)
_FORMS_DEEP = 8
_STEPS_MAX = 200_000
_TOKEN = re.compile(rb"/?[^\0\t\n\f\r ()<>\[\]{}/%]+")
_SKIPPED = re.compile(rb"\((?:\\.|[^\\()])*\)|<[^<>]*>|%[^\r\n]*", re.DOTALL)
_GREY = frozenset({"DeviceGray", "CalGray", "G"})
_COLOURED = frozenset({"DeviceRGB", "CalRGB", "DeviceCMYK", "Lab", "RGB", "CMYK", "DeviceN", "Separation"})
_INCH = 25.4


@dataclass(frozen=True, slots=True)
class ScannedPage:
    """One page: its size as displayed in mm, and of the pictures that take most of it the finest, in dots per inch.

    ``cover`` is the part of the page the largest picture takes. ``dpi`` and ``colour`` are ``None`` where no picture
    takes the page; ``colour`` also where the file does not say.
    """

    number: int
    size_mm: tuple[float, float]
    cover: float
    dpi: int | None = None
    colour: bool | None = None

    @property
    def is_scan(self) -> bool:
        """Whether the page is a picture of paper rather than text."""
        return self.dpi is not None


@dataclass(frozen=True, slots=True)
class ScanFacts:
    """Version of the format (``1.7``) and what each page shows."""

    version: str
    pages: tuple[ScannedPage, ...]


def scan_facts(data: bytes, *, limits: Limits | None = None) -> ScanFacts:
    """Return what the pages of a PDF show as pictures.

    Raises:
        InputRefused: no PDF, or damaged beyond reading; LimitExceeded: a budget is used up.
    """
    file = PdfFile(data, limits=limits)
    state = file.latest
    named = resolved(state, state.root.get("Version"))
    versions = [text for text in (file.version, str(named) if isinstance(named, Name) else None) if text]
    return ScanFacts(max(versions, default="1.0"), tuple(_page(state, page) for page in pages_of(state)))


@dataclass(frozen=True, slots=True)
class _Picture:
    """A picture where it is painted: part of the page, dots per inch, colour."""

    cover: float
    dpi: float
    colour: bool | None


def _page(state: Document, page: PageBox) -> ScannedPage:
    sheet = page.sheet
    if sheet is None:
        return ScannedPage(page.number, (0.0, 0.0), 0.0)
    content = _content(state, page.dictionary.get("Contents"))
    walk = _Walk(state, sheet)
    walk.follow(content, _resources(state, page.dictionary), _START, 0)
    largest = max((one.cover for one in walk.found), default=0.0)
    whole = [one for one in walk.found if one.cover >= WHOLE]
    if not whole:
        return ScannedPage(page.number, sheet.size, round(largest, 3))
    colours = {one.colour for one in whole}
    colour = True if True in colours else None if None in colours else False
    return ScannedPage(page.number, sheet.size, round(largest, 3), round(max(one.dpi for one in whole)), colour)


def _resources(state: Document, page: Mapping[str, Value]) -> Mapping[str, Value]:
    """Return the resources of a page, its own or inherited."""
    for _ in range(DEPTH_MAX):
        if "Resources" in page or "Parent" not in page:
            break
        page = mapping(state, page["Parent"])
    return mapping(state, page.get("Resources"))


def _content(state: Document, value: Value) -> bytes:
    found = resolved(state, value)
    streams = [found] if isinstance(found, Stream) else [resolved(state, one) for one in items(state, value)]
    return b"\n".join(_decoded(state, one) for one in streams if isinstance(one, Stream))


def _decoded(state: Document, stream: Stream) -> bytes:
    try:
        return state.decoded(stream)
    except LimitExceeded:
        raise
    except InputRefused:
        return b""


class _Walk:
    """Follows content and notes the pictures it paints."""

    def __init__(self, state: Document, sheet: Sheet) -> None:
        self.found: list[_Picture] = []
        self._state = state
        self._sheet = sheet
        self._steps = 0

    def follow(self, content: bytes, resources: Mapping[str, Value], matrix: Matrix, deep: int) -> None:
        """Follow one content stream with its resources, from a matrix on."""
        objects = mapping(self._state, resources.get("XObject"))
        saved: list[Matrix] = []
        for operator, operands in _operations(content):
            self._steps += 1
            if self._steps > _STEPS_MAX:
                over("content_steps", self._steps, "step")
            if operator == b"q":
                saved.append(matrix)
            elif operator == b"Q" and saved:
                matrix = saved.pop()
            elif operator == b"cm" and (change := _matrix(operands)) is not None:
                matrix = _times(change, matrix)
            elif operator == b"Do" and operands:
                name = operands[-1].lstrip(b"/").decode("latin-1")
                self._paint(resolved(self._state, objects.get(name)), resources, matrix, deep)

    def _paint(self, value: Value, resources: Mapping[str, Value], matrix: Matrix, deep: int) -> None:
        if not isinstance(value, Stream):
            return
        kind = resolved(self._state, value.dictionary.get("Subtype"))
        if kind == "Image":
            self._note(value, matrix)
        elif kind == "Form" and deep < _FORMS_DEEP:
            own = mapping(self._state, value.dictionary.get("Resources")) or resources
            inner = [resolved(self._state, one) for one in items(self._state, value.dictionary.get("Matrix"))]
            change = tuple(float(one) for one in inner if isinstance(one, int | float))
            placed = _times(change, matrix) if len(change) == 6 else matrix
            self.follow(_decoded(self._state, value), own, placed, deep + 1)

    def _note(self, image: Stream, matrix: Matrix) -> None:
        wide, high = (self._number(image, key) for key in ("Width", "Height"))
        across, up = ((x * x + y * y) ** 0.5 * self._sheet.unit / MM for x, y in (matrix[:2], matrix[2:4]))
        if not (wide and high and across > 0 and up > 0):
            return
        self.found.append(
            _Picture(self._cover(matrix), min(wide / across, high / up) * _INCH, self._colour(image.dictionary))
        )

    def _cover(self, matrix: Matrix) -> float:
        """Return the part of the page that the box round the picture takes."""
        corners = [_apply(matrix, x, y) for x, y in ((0, 0), (1, 0), (0, 1), (1, 1))]
        xs, ys = zip(*corners, strict=True)
        sheet = self._sheet
        width = min(max(xs), sheet.right) - max(min(xs), sheet.left)
        height = min(max(ys), sheet.top) - max(min(ys), sheet.bottom)
        whole = (sheet.right - sheet.left) * (sheet.top - sheet.bottom)
        return max(width, 0.0) * max(height, 0.0) / whole if whole > 0 else 0.0

    def _number(self, image: Stream, key: str) -> int:
        found = resolved(self._state, image.dictionary.get(key))
        return found if isinstance(found, int) and not isinstance(found, bool) and found > 0 else 0

    def _colour(self, image: Mapping[str, Value]) -> bool | None:
        if resolved(self._state, image.get("ImageMask")) is True:
            return False
        return self._space(image.get("ColorSpace"), 0)

    def _space(self, value: Value, deep: int) -> bool | None:
        """Say whether a colour space has colours; ``None`` where it does not say."""
        found = resolved(self._state, value)
        parts = (found,) if isinstance(found, Name) else items(self._state, found)
        head = resolved(self._state, parts[0]) if parts else None
        if not isinstance(head, Name) or deep > _FORMS_DEEP:
            return None
        if head in _GREY:
            return False
        if head in _COLOURED:
            return True
        second = resolved(self._state, parts[1]) if len(parts) > 1 else None
        if head in ("Indexed", "I"):
            return self._space(second, deep + 1)
        if head == "ICCBased" and isinstance(second, Stream):
            many = resolved(self._state, second.dictionary.get("N"))
            return many in (3, 4) if isinstance(many, int) else None
        return None


def _operations(content: bytes) -> Iterator[tuple[bytes, list[bytes]]]:
    """Go through content: each operator of interest with the plain operands before it."""
    operands: list[bytes] = []
    for token in _TOKEN.findall(_SKIPPED.sub(b" ", content)):
        if token in (b"q", b"Q", b"cm", b"Do"):
            yield token, operands
            operands = []
        elif token[:1] in b"/+-.0123456789":
            operands = [*operands[-5:], token]
        else:
            operands = []


def _matrix(operands: list[bytes]) -> Matrix | None:
    try:
        a, b, c, d, e, f = (float(one) for one in operands[-6:])
    except ValueError:
        return None
    return a, b, c, d, e, f


def _times(first: tuple[float, ...], then: Matrix) -> Matrix:
    a, b, c, d, e, f = first
    return (
        a * then[0] + b * then[2],
        a * then[1] + b * then[3],
        c * then[0] + d * then[2],
        c * then[1] + d * then[3],
        e * then[0] + f * then[2] + then[4],
        e * then[1] + f * then[3] + then[5],
    )


def _apply(matrix: Matrix, x: float, y: float) -> tuple[float, float]:
    return matrix[0] * x + matrix[2] * y + matrix[4], matrix[1] * x + matrix[3] * y + matrix[5]
