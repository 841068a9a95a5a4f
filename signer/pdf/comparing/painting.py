"""What appearances draw and which resources content uses (signing.md 4.3, *blank*, ``overlay``, resources in use).

Content is not interpreted but looked through for operators, strings included: what looks like painting is painting, and
what looks like a name is used. A frame is what a blank field may show: rectangles in plain colours, and one level line
under what will be written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from signer.errors import InputRefused, LimitExceeded
from signer.pdf.comparing.view import Dictionary, Rectangle, View, Widget, appearance_streams
from signer.pdf.values import Name, Stream, Value

_TOKEN = re.compile(rb"/?[^\0\t\n\f\r ()<>\[\]{}/%]+")
_NAME = re.compile(rb"/([^\0\t\n\f\r ()<>\[\]{}/%]*)")
_HASH = re.compile(rb"#([0-9A-Fa-f]{2})")
_TEXT = frozenset({b"Tj", b"TJ", b"'", b'"'})
_PICTURES = frozenset({b"Do", b"sh", b"BI"})
_PATH = frozenset({b"S", b"s", b"f", b"F", b"f*", b"B", b"B*", b"b", b"b*"})
_FILL = _PATH - {b"S", b"s"}
_NO_FRAME = frozenset({b"c", b"v", b"y", b"scn", b"SCN"})  # curves draw letters, patterns draw anything
_LEVEL = re.compile(rb"(?<![^\s])[-+.\d]+\s+([-+.\d]+)\s+m\s+[-+.\d]+\s+\1\s+l\b")
_END = rb"\s*Tj(?![^\0\t\n\f\r ()<>\[\]{}/%])"
_EMPTY = re.compile(rb"(?:\(\)|<\s*>)" + _END)
_SPACES = re.compile(rb"(?:\( *\)|<\s*>)" + _END)
_LINE = re.compile(rb"(?<![^\s])[ml](?![^\s])")
_BRACKET = re.compile(rb"\\.|[()]", re.DOTALL)
_NOT_PAINTED = frozenset({"R", "TP"})
"""Entries of ``/MK`` that draw nothing."""

_SIMPLE = frozenset({"Type1", "TrueType"})
_STANDARD = frozenset({"Helvetica", "ZapfDingbats"})
"""Fonts that every program adds for its own fields."""

HIDDEN, NO_ZOOM, NO_ROTATE, NO_VIEW = 2, 8, 16, 32
"""Annotation flags (ISO 32000-1, 12.5.3)."""


def names_in(data: bytes) -> frozenset[str]:
    """Return all names that stand in content, wherever they do."""
    return frozenset(
        _HASH.sub(lambda match: bytes((int(match[1], 16),)), name).decode("latin-1") for name in _NAME.findall(data)
    )


def octets_of(view: View, stream: Stream) -> bytes | None:
    """Return decoded content, or ``None`` if it cannot be decoded here."""
    if {"F", "DP"} & set(stream.dictionary):
        return None  # octets in another file, or parameters that only some readers take
    try:
        return view.document.decoded(stream)
    except LimitExceeded:
        raise
    except InputRefused:
        return None


def _audible(view: View, stream: Stream) -> bytes | None:
    """Return decoded content without the texts that show nothing, or ``None`` if it cannot be decoded here.

    Spaces show nothing in fonts that every reader has; in others a space may be drawn as anything.
    """
    data = octets_of(view, stream)
    if data is None:
        return None
    fonts = view.dictionary(view.get(stream.dictionary.get("Resources"), "Font"))
    plain = bool(fonts) and all(_has_usual_spaces(view, font) for font in fonts.values())
    return (_SPACES if plain else _EMPTY).sub(b" ", data)


def _has_usual_spaces(view: View, value: Value) -> bool:
    entries = view.dictionary(value)
    descriptor = view.dictionary(entries.get("FontDescriptor"))
    embedded = {"FontFile", "FontFile2", "FontFile3"} & set(descriptor)
    coded = view.document.resolve(entries.get("Encoding"))
    return not embedded and view.name(entries.get("Subtype")) in _SIMPLE and isinstance(coded, Name | None)


def is_frame(data: bytes) -> bool:
    """Say whether content shows no text, no picture and no path but a border or background."""
    tokens = frozenset(_TOKEN.findall(data))
    if tokens & (_TEXT | _PICTURES):
        return False
    if not tokens & _PATH:
        return True
    lines = len(_LINE.findall(data))
    return not tokens & _NO_FRAME and (lines == 0 or (lines == 2 and _LEVEL.search(data) is not None))


def inks(data: bytes) -> bool:
    """Say whether content paints anything at all."""
    return bool(frozenset(_TOKEN.findall(data)) & (_TEXT | _PICTURES | _PATH))


def draws_a_frame_at_most(view: View, entries: Dictionary) -> bool:
    """Say whether the appearances of a widget show a border or background at most."""
    contents = (_audible(view, stream) for stream in appearance_streams(view, entries))
    return all(data is not None and is_frame(data) for data in contents)


def draws_nothing(view: View, entries: Dictionary) -> bool:
    """Say whether a widget has no ink of its own: no painting, background, border, caption or icon."""
    contents = (_audible(view, stream) for stream in appearance_streams(view, entries))
    if not all(data is not None and not inks(data) for data in contents):
        return False
    return _NOT_PAINTED.issuperset(view.dictionary(entries.get("MK")))


def is_seen(view: View, widget: Widget) -> bool:
    """Say whether a widget takes room on a page that shows it, and is not hidden."""
    box = view.rectangle(widget.entries.get("Rect"))
    if box is None or view.integer(widget.entries.get("F")) & HIDDEN:
        return False
    edge = _border(view, widget.entries)
    if edge > 1:
        box = box[0] - edge, box[1] - edge, box[2] + edge, box[3] + edge
    return any(area_within(box, view.pages[page - 1].box) > 0 for page in widget.pages)


def area_within(box: Rectangle, page: Rectangle) -> float:
    """Return the area of the part of a box that lies on a page."""
    width = min(box[2], page[2]) - max(box[0], page[0])
    height = min(box[3], page[3]) - max(box[1], page[1])
    return max(width, 0.0) * max(height, 0.0)


def leaves_its_rectangle(view: View, entries: Dictionary) -> bool:
    """Say whether a widget that draws may draw outside its rectangle, in some reader at least.

    An appearance is clipped to its box and fitted into the rectangle; without a box it is not, a widget that keeps its
    size when the page is made smaller grows over it, and a border is drawn from the edge to both sides.
    """
    if view.integer(entries.get("F")) & (NO_ZOOM | NO_ROTATE):
        return True
    box = view.rectangle(entries.get("Rect"))
    if box is None:
        return "Rect" in entries
    for stream in appearance_streams(view, entries):
        bound = view.rectangle(stream.dictionary.get("BBox"))
        if bound is None or "F" in stream.dictionary:
            return True
        if "Matrix" in stream.dictionary and None in map(view.number, view.items(stream.dictionary.get("Matrix"))):
            return True
    return _border(view, entries) > max(min(box[2] - box[0], box[3] - box[1]) / 2, 3.0)


def _border(view: View, entries: Dictionary) -> float:
    style, plain = view.dictionary(entries.get("BS")), view.items(entries.get("Border"))
    widths = [view.number(style.get("W")), view.number(plain[2]) if len(plain) > 2 else None]
    return max((abs(width) for width in widths if width is not None), default=0.0)


def is_standard_font(view: View, value: Value) -> bool:
    """Say whether a font is one that every reader has and every program adds to forms, as it comes."""
    entries = view.dictionary(value)
    plain = not {"FontDescriptor", "FontFile", "CharProcs"} & set(entries)
    return plain and view.name(entries.get("Subtype")) == "Type1" and view.name(entries.get("BaseFont")) in _STANDARD


def is_plain_text(data: bytes) -> bool:
    """Say whether content shows text, openly, and nothing besides a frame."""
    tokens = tokens_of(data)
    return not tokens & (_PICTURES | _NO_FRAME | {b"Tr", b"gs", b"m", b"l"}) and b"Tj" in tokens


def shown_text(data: bytes) -> bytes:
    """Return the literal strings of content, joined: what simple appearances show."""
    parts = (data[start + 1 : end - 1] for start, end in literals(data))
    return b"".join(re.sub(rb"\\([()\\])", rb"\1", part) for part in parts)


def literals(data: bytes) -> Iterator[tuple[int, int]]:
    """Go through the literal strings of content: where each begins and ends, brackets included.

    One that is not closed goes to the end.
    """
    depth = start = 0
    for match in _BRACKET.finditer(data):
        mark = match[0]
        if not depth and mark.endswith(b"("):
            depth, start = 1, match.end() - 1
        elif mark == b"(" and depth:
            depth += 1
        elif mark == b")" and depth:
            depth -= 1
            if not depth:
                yield start, match.end()
    if depth:
        yield start, len(data)


def fills(data: bytes) -> bool:
    """Say whether content fills an area."""
    return bool(frozenset(_TOKEN.findall(data)) & _FILL)


def tokens_of(data: bytes) -> frozenset[bytes]:
    """Return the operators and names of content, strings included."""
    return frozenset(_TOKEN.findall(data))


def forms_within(view: View, stream: Stream) -> Iterator[Stream]:
    """Go through a form and all forms and pictures its resources lead to, each once."""
    stack: list[Value] = [stream]
    seen: set[int] = set()
    while stack and len(seen) < 200:
        found = view.document.resolve(stack.pop())
        if not isinstance(found, Stream) or id(found) in seen:
            continue
        seen.add(id(found))
        yield found
        resources = view.document.resolve(found.dictionary.get("Resources"))
        if isinstance(resources, Mapping):
            inner = view.document.resolve(resources.get("XObject"))
            stack += inner.values() if isinstance(inner, Mapping) else ()
