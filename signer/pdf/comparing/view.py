"""One state taken apart: pages in order, the form's fields by full name, and where their widgets are shown.

What a document inherits or leaves at its default is filled in, so that the same meaning looks the same: signing.md 4.3.
Nothing is judged here. Trees are followed once, whatever loops they have.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType

from signer.pdf.comparing.graph import Meter, Source
from signer.pdf.reading.budget import damaged, over
from signer.pdf.values import Name, Reference, Stream, String, Value

Dictionary = Mapping[str, Value]
Rectangle = tuple[float, float, float, float]
"""left, bottom, right, top in user space units."""

EMPTY: Dictionary = MappingProxyType({})
DEPTH_MAX = 100
PAGE_INHERITED = ("Resources", "MediaBox", "CropBox", "Rotate")
FIELD_INHERITED = ("FT", "Ff", "V", "DV", "DA", "Q", "MaxLen", "Opt")
LETTER: Rectangle = (0.0, 0.0, 612.0, 792.0)


@dataclass(frozen=True, slots=True)
class Page:
    """A page: its own entries, what it inherits, and its annotations as listed (references or dictionaries)."""

    number: int
    reference: Reference | None
    entries: Dictionary
    inherited: Dictionary
    annotations: tuple[Value, ...]
    box: Rectangle  # what is shown: crop box within media box


@dataclass(frozen=True, slots=True)
class Node:
    """A node of the page tree or of the form that is no page and no field with a value of its own."""

    reference: Reference | None
    entries: Dictionary
    pages: int = 0  # below a node of the page tree


@dataclass(frozen=True, slots=True)
class Widget:
    """Where a field is shown: the entries that hold for it and the pages that list it."""

    reference: Reference | None
    entries: Dictionary
    pages: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Field:
    """A field: full name, which of several of that name, its own entries, and those in force, inherited or not."""

    name: str
    ordinal: int
    reference: Reference | None
    entries: Dictionary
    inherited: Dictionary = field(repr=False)
    widgets: tuple[Widget, ...]
    merged: bool  # field and widget are one dictionary
    listed: bool  # the form leads to it

    @property
    def key(self) -> tuple[str, int]:
        """Name and ordinal."""
        return self.name, self.ordinal

    @property
    def kind(self) -> str:
        """The type: ``Sig``, ``Tx``, ``Btn``, ``Ch``, or empty."""
        value = self.inherited.get("FT")
        return str(value) if isinstance(value, Name) else ""

    @property
    def page(self) -> int | None:
        """The first page that shows it."""
        return next((number for widget in self.widgets for number in widget.pages), None)


class View:
    """One state, taken apart when asked. Read faults pass through as what reading raises."""

    def __init__(self, document: Source, meter: Meter) -> None:
        self.document = document
        self._meter = meter
        self._tree: list[Node] = []
        self._nodes: dict[str, Node] = {}

    def get(self, holder: Value, key: str) -> Value:
        """Return the resolved value of a key of a dictionary; ``None`` if either is not there."""
        held = self.document.resolve(holder)
        return self.document.resolve(held.get(key)) if isinstance(held, Mapping) else None

    def dictionary(self, value: Value) -> Dictionary:
        """Return a value as a dictionary; empty if it is none.

        Raises:
            InputRefused: it is a stream, which some readers take for its dictionary and others for nothing.
        """
        found = self.document.resolve(value)
        if isinstance(found, Stream):
            raise damaged("stream in place of a dictionary")
        return found if isinstance(found, Mapping) else EMPTY

    def given(self, entries: Dictionary, keys: Sequence[str]) -> dict[str, Value]:
        """Return those of some entries that are there; one that is null is not, and is inherited."""
        return {key: entries[key] for key in keys if key in entries and self.document.resolve(entries[key]) is not None}

    def name(self, value: Value) -> str:
        """Return a name; empty if it is none."""
        found = self.document.resolve(value)
        return str(found) if isinstance(found, Name) else ""

    def type_of(self, entries: Dictionary, default: str) -> str:
        """Return the type of a dictionary, which writers may leave out where only one is possible."""
        value = self.document.resolve(entries.get("Type"))
        return default if value is None else str(value) if isinstance(value, Name) else "?"

    def items(self, value: Value) -> tuple[Value, ...]:
        """Return the items of an array, not resolved; empty if it is none."""
        found = self.document.resolve(value)
        return found if isinstance(found, tuple) else ()

    def number(self, value: Value) -> float | None:
        """Return a finite number, or ``None``."""
        found = self.document.resolve(value)
        if isinstance(found, bool) or not isinstance(found, int | float) or not math.isfinite(found):
            return None
        return float(found)

    def integer(self, value: Value) -> int:
        """Return a whole number; 0 if it is none."""
        found = self.document.resolve(value)
        return found if isinstance(found, int) and not isinstance(found, bool) else 0

    def rectangle(self, value: Value) -> Rectangle | None:
        """Return a rectangle with its corners in order, or ``None`` if it is none."""
        numbers = [self.number(item) for item in self.items(value)]
        if len(numbers) != 4:
            return None
        x1, y1, x2, y2 = numbers
        if x1 is None or y1 is None or x2 is None or y2 is None:
            return None
        return min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)

    @cached_property
    def root(self) -> Dictionary:
        """The catalog; empty if there is none."""
        return self.document.root

    @property
    def tree(self) -> list[Node]:
        """The inner nodes of the page tree."""
        _ = self.pages
        return self._tree

    @property
    def nodes(self) -> dict[str, Node]:
        """The inner nodes of the form, by full name."""
        _ = self.fields
        return self._nodes

    @cached_property
    def form(self) -> Dictionary:
        """``/AcroForm``; empty if there is none."""
        return self.dictionary(self.root.get("AcroForm"))

    @cached_property
    def pages(self) -> tuple[Page, ...]:
        """The pages in order."""
        found: list[Page] = []
        seen: set[Reference] = set()
        nodes: list[tuple[Reference | None, Dictionary, int]] = []  # with the number of pages before them
        stack: list[tuple[Value, Dictionary, int]] = [(self.root.get("Pages"), EMPTY, 0)]
        while stack:
            item, inherited, depth = stack.pop()
            if depth < 0:  # a node is done
                reference, entries, first = nodes.pop()
                self._tree.append(Node(reference, entries, len(found) - first))
                continue
            entries = self.dictionary(item)
            if not entries:
                continue
            _check_depth(depth)
            self._meter.spend()
            known = dict(inherited) | self.given(entries, PAGE_INHERITED)
            reference = item if isinstance(item, Reference) else None
            if self.document.resolve(entries.get("Kids")) is None:
                found.append(self._page(len(found) + 1, reference, entries, known))
                continue
            if reference is not None and reference in seen:
                continue
            if reference is not None:
                seen.add(reference)
            nodes.append((reference, entries, len(found)))
            stack.append((None, EMPTY, -1))
            stack += [(kid, known, depth + 1) for kid in reversed(self.items(entries["Kids"]))]
        return tuple(found)

    def _page(self, number: int, reference: Reference | None, entries: Dictionary, inherited: Dictionary) -> Page:
        media = self.rectangle(inherited.get("MediaBox")) or LETTER
        crop = self.rectangle(inherited.get("CropBox")) or media
        box = max(crop[0], media[0]), max(crop[1], media[1]), min(crop[2], media[2]), min(crop[3], media[3])
        if box[2] <= box[0] or box[3] <= box[1]:
            box = media
        return Page(number, reference, entries, inherited, self.items(entries.get("Annots")), box)

    def inherited_by_parents(self, page: Page) -> Dictionary:
        """Return what a page inherits for readers that follow ``/Parent`` upwards instead of ``/Kids`` downwards."""
        known: dict[str, Value] = {}
        seen: set[int] = set()
        entries = page.entries
        while entries and id(entries) not in seen and len(seen) < DEPTH_MAX:
            seen.add(id(entries))
            known = self.given(entries, PAGE_INHERITED) | known
            entries = self.dictionary(entries.get("Parent"))
        return known

    @cached_property
    def fields(self) -> dict[tuple[str, int], Field]:
        """All fields by name and ordinal, those of the form first, then widgets that only pages list."""
        return _Fields(self, self._meter, self._nodes).found

    @cached_property
    def widget_references(self) -> dict[Reference, tuple[Field, int]]:
        """The field, and which of its widgets, that a reference is."""
        found = {}
        for one in self.fields.values():
            for index, widget in enumerate(one.widgets):
                if widget.reference is not None:
                    found[widget.reference] = (one, index)
        return found


class _Fields:
    """Walks the form and the pages for fields."""

    def __init__(self, view: View, meter: Meter, nodes: dict[str, Node]) -> None:
        self._view = view
        self._meter = meter
        self._nodes = nodes
        self.found: dict[tuple[str, int], Field] = {}
        self._ordinals: dict[str, int] = {}
        self._seen: set[Reference] = set()
        self._shown: dict[Reference, list[int]] = {}
        for page in view.pages:
            for item in page.annotations:
                if isinstance(item, Reference):
                    pages = self._shown.setdefault(item, [])
                    if page.number not in pages:
                        pages.append(page.number)
        defaults = {key: view.form[key] for key in ("DA", "Q") if key in view.form}
        for item in view.items(view.form.get("Fields")):
            self._walk(item, "", defaults, listed=True)
        for page in view.pages:
            for item in page.annotations:
                self._stray(item, page, defaults)

    def _walk(self, item: Value, above: str, inherited: Dictionary, *, listed: bool) -> None:
        stack: list[tuple[Value, str, Dictionary, int]] = [(item, above, inherited, 0)]
        while stack:
            value, name, known, depth = stack.pop()
            if isinstance(value, Reference):
                if value in self._seen:
                    continue
                self._seen.add(value)
            entries = self._view.dictionary(value)
            if not entries:
                continue
            _check_depth(depth)
            self._meter.spend()
            name = _joined(name, text_of(self._view.document.resolve(entries.get("T"))))
            known = dict(known) | self._view.given(entries, FIELD_INHERITED)
            kids = self._view.items(entries.get("Kids"))
            inner = [kid for kid in kids if self._is_field(kid)]
            reference = value if isinstance(value, Reference) else None
            if inner:
                self._add_node(name, reference, entries, known)
                stack += [(kid, name, known, depth + 1) for kid in reversed(kids)]
                continue
            self._add(name, reference, entries, known, listed=listed)

    def _add_node(self, name: str, reference: Reference | None, entries: Dictionary, known: Dictionary) -> None:
        """Add an inner node; one that a page shows besides is a widget too."""
        key = name
        while key in self._nodes:
            key += "\0"  # a further node of that name
        self._nodes[key] = Node(reference, entries)
        if reference in self._shown:
            own = {key: value for key, value in entries.items() if key != "Kids"}
            self._add(name, reference, own, known, listed=True)

    def _is_field(self, kid: Value) -> bool:
        entries = self._view.dictionary(kid)
        return bool(entries) and ("T" in entries or "Kids" in entries)

    def _add(
        self, name: str, reference: Reference | None, entries: Dictionary, known: Dictionary, *, listed: bool
    ) -> None:
        ordinal = self._ordinals.get(name, 0)
        self._ordinals[name] = ordinal + 1
        kids = self._view.items(entries.get("Kids"))
        widgets = [self._widget(kid) for kid in kids if self._view.dictionary(kid)]
        merged = not widgets
        if merged or reference in self._shown:  # some show a field that has kids as a widget all the same
            widgets.append(self._placed(Widget(reference, entries)))
        self.found[name, ordinal] = Field(name, ordinal, reference, entries, known, tuple(widgets), merged, listed)

    def _widget(self, kid: Value) -> Widget:
        reference = kid if isinstance(kid, Reference) else None
        if reference is not None:
            self._seen.add(reference)
        return self._placed(Widget(reference, self._view.dictionary(kid)))

    def _placed(self, widget: Widget) -> Widget:
        if widget.reference is None:
            return widget
        return replace(widget, pages=tuple(self._shown.get(widget.reference, ())))

    def _stray(self, item: Value, page: Page, defaults: Dictionary) -> None:
        """Add a widget that a page lists and the form does not lead to: readers show it all the same."""
        entries = self._view.dictionary(item)
        if isinstance(item, Reference) and item in self._seen:
            return
        if self._view.name(entries.get("Subtype")) != "Widget":
            return
        above, known = self._above(entries, defaults)
        if isinstance(item, Reference):
            self._walk(item, above, known, listed=False)
            return
        known = known | self._view.given(entries, FIELD_INHERITED)
        name = _joined(above, text_of(self._view.document.resolve(entries.get("T"))))
        ordinal = self._ordinals.get(name, 0)
        self._ordinals[name] = ordinal + 1
        widget = Widget(None, entries, (page.number,))
        self.found[name, ordinal] = Field(name, ordinal, None, entries, known, (widget,), True, False)

    def _above(self, entries: Dictionary, defaults: Dictionary) -> tuple[str, dict[str, Value]]:
        """Return the name and entries that the parents of a widget give it."""
        chain: list[Dictionary] = []
        parent, seen = entries.get("Parent"), set()
        while isinstance(parent, Reference) and parent not in seen and len(chain) < DEPTH_MAX:
            seen.add(parent)
            chain.append(self._view.dictionary(parent))
            parent = chain[-1].get("Parent")
        name, known = "", dict(defaults)
        for one in reversed(chain):
            name = _joined(name, text_of(self._view.document.resolve(one.get("T"))))
            known |= self._view.given(one, FIELD_INHERITED)
        return name, known


def is_aside(view: View, value: Value) -> bool:
    """Say whether a value is of a kind that an entry besides the point has: a link, a text, a number, or nothing.

    A name or array under the key of such an entry means that its dictionary is something else as well.
    """
    found = view.document.resolve(value)
    return found is None or isinstance(found, Mapping | String | int | float)


def _check_depth(depth: int) -> None:
    if depth > DEPTH_MAX:
        over("pdf_nesting", depth, "level")


def _joined(above: str, own: str) -> str:
    return f"{above}.{own}" if above and own else above or own


def text_of(value: Value) -> str:
    """Return a text string; empty if it is none."""
    if isinstance(value, Stream) or not isinstance(value, String):
        return ""
    octets = bytes(value)
    for mark, encoding in ((b"\xfe\xff", "utf-16-be"), (b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le")):
        if octets.startswith(mark):
            return octets[len(mark) :].decode(encoding, "replace")
    return octets.decode("latin-1")


def appearance_streams(view: View, entries: Dictionary) -> Iterator[Stream]:
    """Go through all streams below ``/AP`` of a widget: of every mode and state.

    Raises:
        InputRefused: ``/AP`` is a stream itself.
    """
    stack: list[tuple[Value, int]] = [(one, 1) for one in view.dictionary(entries.get("AP")).values()]
    while stack:
        value, depth = stack.pop()
        found = view.document.resolve(value)
        if isinstance(found, Stream):
            yield found
        elif isinstance(found, Mapping) and depth < 3:
            stack += [(item, depth + 1) for item in found.values()]
