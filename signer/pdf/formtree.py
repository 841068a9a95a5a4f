"""Pages and form fields of one state of a file, found by reading alone (signing.md 4.1, D3).

Fields are the whole tree under ``/AcroForm``, the widgets on pages that it does not list, and what ``/Perms`` names.
Name, type and value come down from above. What cannot be read is left out; nothing here raises for what a file holds,
but for a budget used up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from signer.errors import InputRefused, LimitExceeded
from signer.pdf.geometry import Box, Sheet
from signer.pdf.values import Document, Name, Reference, String, Value

PAGES_MAX = 50_000
FIELDS_MAX = 50_000
DEPTH_MAX = 64
CORNER_MAX = 10.0**9
"""Largest coordinate of a page that is placed on."""

Steps = tuple[str | int, ...]
"""Keys and indices that lead to a direct value inside an indirect object."""


@dataclass(frozen=True, slots=True)
class Where:
    """Where a value stands: the indirect object that holds it, and the steps inside."""

    holder: Reference
    steps: Steps = ()

    def then(self, step: str | int) -> Where:
        """Return the place of an entry."""
        return Where(self.holder, (*self.steps, step))


@dataclass(frozen=True, slots=True)
class FormField:
    """One terminal field: full name, type without slash, its dictionary, the value as it stands, its widgets."""

    name: str
    kind: str | None
    dictionary: Mapping[str, Value]
    where: Where | None
    value: Value  # a reference stays one
    value_at: Where | None  # where the value stands
    widgets: tuple[tuple[int, Box], ...]

    def signature(self, document: Document) -> Mapping[str, Value] | None:
        """Return the signature dictionary in this field; ``None`` if there is none."""
        value = resolved(document, self.value)
        if not isinstance(value, Mapping):
            return None
        return value if self.kind == "Sig" or "ByteRange" in value or value.get("Type") == "Sig" else None


@dataclass(frozen=True, slots=True)
class PageBox:
    """One page: its number from 1, reference, dictionary, and geometry (``None`` if it makes no sense)."""

    number: int
    reference: Reference | None
    dictionary: Mapping[str, Value]
    sheet: Sheet | None


def resolved(document: Document, value: Value) -> Value:
    """Follow a reference; what cannot be read is ``None``.

    Raises:
        LimitExceeded: a budget is used up.
    """
    try:
        return document.resolve(value)
    except LimitExceeded:
        raise
    except InputRefused:
        return None


def mapping(document: Document, value: Value) -> Mapping[str, Value]:
    """Return the dictionary a value is or leads to; an empty one if there is none."""
    found = resolved(document, value)
    return found if isinstance(found, Mapping) else {}


def items(document: Document, value: Value) -> tuple[Value, ...]:
    """Return the items of the array a value is or leads to; none if it is no array."""
    found = resolved(document, value)
    return found if isinstance(found, tuple) else ()


def text_of(value: Value) -> str:
    """Return a text string decoded (UTF-16, UTF-8 with mark, else as Latin-1)."""
    if not isinstance(value, String):
        return str(value) if isinstance(value, Name) else ""
    for mark, encoding in ((b"\xfe\xff", "utf-16-be"), (b"\xff\xfe", "utf-16-le"), (b"\xef\xbb\xbf", "utf-8")):
        if value.startswith(mark):
            return value[len(mark) :].decode(encoding, "replace")
    return value.decode("latin-1")


def pages_of(document: Document, *, odd: list[str] | None = None) -> tuple[PageBox, ...]:
    """Return the pages in order. What of the tree is not as it should be is passed over, and added to ``odd``.

    Raises:
        LimitExceeded: more than ``PAGES_MAX``.
    """
    found: list[PageBox] = []
    odd = [] if odd is None else odd
    seen: set[Reference] = set()
    inherited: dict[str, Value] = {}
    top = document.root.get("Pages")
    if type(resolved(document, mapping(document, top).get("Count"))) is not int:
        odd.append("page count")
    stack: list[tuple[Value, dict[str, Value], int]] = [(top, inherited, 0)]
    while stack:
        node, known, depth = stack.pop()
        if not isinstance(node, Reference) or depth > DEPTH_MAX:
            odd.append("page tree")
        if isinstance(node, Reference):
            if node in seen:
                odd.append("page twice")
                continue
            seen.add(node)
        dictionary = mapping(document, node)
        if not dictionary:
            odd.append("page")
            continue
        if any(key in dictionary for key in ("MediaBox", "CropBox", "Rotate")):
            known = {**known, **{k: dictionary[k] for k in ("MediaBox", "CropBox", "Rotate") if k in dictionary}}
        if "Kids" in dictionary:
            stack += [(kid, known, depth + 1) for kid in reversed(items(document, dictionary["Kids"]))]
            continue
        if len(found) >= PAGES_MAX:
            raise LimitExceeded("EDOC-PDF-002", "too many pages", limit="pages", value=PAGES_MAX, unit="page")
        reference = node if isinstance(node, Reference) else None
        sheet = _sheet(document, dictionary, known)
        if sheet is None or not all(_is_box(document, known.get(key)) for key in ("MediaBox", "CropBox")):
            odd.append("page geometry")
        found.append(PageBox(len(found) + 1, reference, dictionary, sheet))
    return tuple(found)


def _is_box(document: Document, value: Value) -> bool:
    """Say whether an entry is a rectangle, or absent."""
    if value is None:
        return True
    corners = rectangle(document, value)
    return resolved(document, value) is None if corners is None else max(map(abs, corners)) <= CORNER_MAX


def _sheet(document: Document, page: Mapping[str, Value], known: Mapping[str, Value]) -> Sheet | None:
    media = rectangle(document, known.get("MediaBox")) or (0.0, 0.0, 612.0, 792.0)
    crop = rectangle(document, known.get("CropBox")) or media
    seen = (max(crop[0], media[0]), max(crop[1], media[1]), min(crop[2], media[2]), min(crop[3], media[3]))
    if seen[2] <= seen[0] or seen[3] <= seen[1]:
        seen = media
    turned, unit = resolved(document, known.get("Rotate")), resolved(document, page.get("UserUnit"))
    rotation = int(turned) % 360 if isinstance(turned, int | float) else 0
    scale = float(unit) if isinstance(unit, int | float) else 1.0
    if rotation % 90 or not 0 < scale <= 75_000:
        return None
    return Sheet(*seen, rotation, scale)


def rectangle(document: Document, value: Value) -> tuple[float, float, float, float] | None:
    """Return a PDF rectangle with its corners in order, or ``None`` if it is none."""
    corners = [resolved(document, one) for one in items(document, value)]
    numbers = [float(one) for one in corners if isinstance(one, int | float)]
    if len(numbers) != 4 or len(corners) != 4:
        return None
    x1, y1, x2, y2 = numbers
    return min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)


def fields_of(document: Document, pages: tuple[PageBox, ...] | None = None) -> tuple[FormField, ...]:
    """Return every terminal field of the form, and fields whose widgets stand on pages only.

    Raises:
        LimitExceeded: a budget is used up.
    """
    walk = _Walk(document, pages_of(document) if pages is None else pages)
    return tuple(walk.all())


@dataclass(slots=True)
class _Walk:
    """A walk over the tree of fields of one state; what was seen is not walked again."""

    document: Document
    pages: tuple[PageBox, ...]
    seen: set[Reference] = field(default_factory=set)
    placed: dict[Reference, tuple[int, Box]] = field(default_factory=dict)

    def all(self) -> Iterator[FormField]:
        """Yield the fields of the form, then those of widgets that it does not list."""
        widgets = list(self._widgets())
        root = self.document.trailer.get("Root")
        start = Where(root) if isinstance(root, Reference) else None
        form, at = self._step(self.document.root, start, "AcroForm")
        listed, at = self._step(form if isinstance(form, Mapping) else {}, at, "Fields")
        for index, item in enumerate(listed if isinstance(listed, tuple) else ()):
            yield from self._field(item, at.then(index) if at else None, _Above())
        for item, place in widgets:
            if not isinstance(item, Reference) or item not in self.seen:
                yield from self._loose(item, place)

    def _step(self, mapping: Mapping[str, Value], at: Where | None, key: str) -> tuple[Value, Where | None]:
        """Return the value of an entry, followed, and where it stands."""
        value = mapping.get(key)
        if isinstance(value, Reference):
            return resolved(self.document, value), Where(value)
        return value, at.then(key) if at else None

    def _widgets(self) -> Iterator[tuple[Value, Where | None]]:
        for page in self.pages:
            start = Where(page.reference) if page.reference else None
            listed, at = self._step(page.dictionary, start, "Annots")
            for index, item in enumerate(listed if isinstance(listed, tuple) else ()):
                widget = mapping(self.document, item)
                if widget.get("Subtype") != "Widget":
                    continue
                box = rectangle(self.document, widget.get("Rect"))
                if isinstance(item, Reference) and box and page.sheet:
                    self.placed.setdefault(item, (page.number, page.sheet.box(box)))
                yield item, at.then(index) if at else None

    def _loose(self, item: Value, place: Where | None) -> Iterator[FormField]:
        """Yield the field of a widget that the form does not lead to; its ancestors name and fill it."""
        chain: list[Value] = [item]
        seen: set[Reference] = set()
        while len(chain) < DEPTH_MAX:
            parent = mapping(self.document, chain[-1]).get("Parent")
            if not isinstance(parent, Reference) or parent in seen or parent in self.seen:
                break
            seen.add(parent)
            chain.append(parent)
        top = chain[-1]
        for one in self._field(top, place if top is item else None, _Above()):
            if one.kind == "Sig" or one.signature(self.document) is not None:
                yield one

    def _field(self, item: Value, place: Where | None, above: _Above) -> Iterator[FormField]:
        if isinstance(item, Reference):
            if item in self.seen:
                return
            self.seen.add(item)
            place = Where(item)
        dictionary = mapping(self.document, item)
        if above.depth > DEPTH_MAX:
            raise LimitExceeded("EDOC-PDF-002", "fields too deep", limit="pdf_nesting", value=above.depth, unit="level")
        if len(self.seen) > FIELDS_MAX:
            raise LimitExceeded("EDOC-PDF-002", "too many fields", limit="fields", value=FIELDS_MAX, unit="field")
        if not dictionary:
            return
        here = above.with_node(dictionary, place, lambda value: resolved(self.document, value))
        kids = items(self.document, dictionary.get("Kids"))
        _, at = self._step(dictionary, place, "Kids")
        named = [(i, kid) for i, kid in enumerate(kids) if "T" in mapping(self.document, kid)]
        for index, kid in named:
            yield from self._field(kid, at.then(index) if at else None, here)
        if named:
            return
        widgets = [kid for kid in kids if isinstance(kid, Reference)]
        self.seen.update(widgets)
        holders = [one for one in (item, *widgets) if isinstance(one, Reference) and one in self.placed]
        value, value_at = here.value, here.value_at
        for index, kid in enumerate(kids):  # a value may stand at a widget, against the standard
            own = mapping(self.document, kid)
            if value is None and resolved(self.document, own.get("V")) is not None:
                value = own["V"]
                kid_at = Where(kid) if isinstance(kid, Reference) else at.then(index) if at else None
                value_at = kid_at.then("V") if kid_at else None
        boxes = tuple(self.placed[one] for one in holders)
        yield FormField(here.name, here.kind, dictionary, place, value, value_at, boxes)


@dataclass(frozen=True, slots=True)
class _Above:
    """What comes down to a field from its ancestors."""

    name: str = ""
    kind: str | None = None
    value: Value = None
    value_at: Where | None = None
    depth: int = 0

    def with_node(self, node: Mapping[str, Value], place: Where | None, follow: Callable[[Value], Value]) -> _Above:
        """Return what comes down to the kids of a node."""
        own, kind = text_of(follow(node.get("T"))), follow(node.get("FT"))
        name = ".".join(part for part in (self.name, own) if part)
        has_value = follow(node.get("V")) is not None
        return _Above(
            name,
            str(kind) if isinstance(kind, Name) else self.kind,
            node["V"] if has_value else self.value,
            (place.then("V") if place else None) if has_value else self.value_at,
            self.depth + 1,
        )


def permissions_of(document: Document) -> Iterator[tuple[str, FormField]]:
    """Yield what ``/Perms`` names as (key, a field of that name): ``DocMDP`` is a signature, ``UR3`` is none."""
    root = document.trailer.get("Root")
    held = document.root.get("Perms")
    at = (
        Where(held) if isinstance(held, Reference) else Where(root, ("Perms",)) if isinstance(root, Reference) else None
    )
    for key, value in mapping(document, held).items():
        place = at.then(key) if at else None
        yield key, FormField(f"/Perms/{key}", "Sig", {}, None, value, place, ())
