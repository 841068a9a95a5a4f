"""One step, a pair of neighbouring revisions: what belongs together, what was touched, and what was found in it.

Objects are paired by what they are: pages by order, fields by full name, widgets within their field, annotations on
their page, so that an object that was renumbered is still the same one (signing.md 4.3).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

from signer.pdf.comparing.equality import Equality, Tokens
from signer.pdf.comparing.graph import Graph, Meter
from signer.pdf.comparing.view import Field, Page, View, Widget
from signer.pdf.values import Reference, String, Value

FOUND_COST = 100
"""Values that a change counts as."""


class Need(Enum):
    """What a change needs in order to be allowed (the table of signing.md 4.3)."""

    NOTHING = auto()  # always, P=1 too
    NO_LOCK = auto()  # unless P=1 or a lock
    WRITTEN = auto()  # only written P=2, 3, not locked
    COMMENTS = auto()  # only P=3
    FORBIDDEN = auto()  # never


@dataclass(frozen=True, slots=True)
class Found:
    """A change found in a step. ``refill`` names a field whose value counts as filled if it was blank when signed."""

    kind: str
    need: Need
    field: str | None = None
    page: int | None = None
    key: str | None = None  # what exactly, for those who look closer
    refill: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """A field before and after a step, with its widgets; on one side of a pair there may be none."""

    before: Field
    after: Field
    widgets: tuple[tuple[Widget, Widget], ...]
    gone: tuple[Widget, ...]
    new: tuple[Widget, ...]


@dataclass(slots=True)
class Annotations:
    """Annotations of one page that are no widgets: pairs, and what is there on one side only."""

    page: int
    pairs: list[tuple[Value, Value]] = field(default_factory=list)
    gone: list[Value] = field(default_factory=list)
    new: list[Value] = field(default_factory=list)


class Step:
    """A pair of neighbouring states."""

    def __init__(
        self,
        before: View,
        after: View,
        *,
        graph: Graph,
        changed: Iterable[Reference],
        signed: Mapping[str, bool],
        meter: Meter,
    ) -> None:
        self.before = before
        self.after = after
        self.signed = signed  # full names of fields signed in this step, and whether that signature is a time stamp
        self.found: dict[Found, None] = {}  # in order, each once
        self._meter = meter
        self.lost_validation_data = False
        tokens = Tokens()
        self._pair_frame(tokens)
        self.fields, self.gone, self.new = self._pair_fields(tokens)
        self.annotations = self._pair_annotations(tokens)
        self.changed = {reference.number for reference in changed}
        self.tokens = tokens
        self.dirty = graph.leading_to(before.document, self.changed | tokens.moved(), stops=tokens.numbers())

    def compared(self) -> Equality:
        """Return the comparison of values in this step."""
        before, after = self.before.document, self.after.document
        return Equality(before, after, tokens=self.tokens, dirty=self.dirty, meter=self._meter)

    def add(
        self, kind: str, need: Need, *, field: Field | None = None, page: int | None = None, key: str | None = None
    ) -> None:
        """Note a change, once."""
        name = field.name if field is not None else None
        shown = page if page is not None else field.page if field is not None else None
        self._note(Found(kind, need, name, shown, key))

    def refillable(self, field: Field, key: tuple[str, int]) -> None:
        """Note that a field that was not blank was changed: a filling for those who signed while it was blank."""
        self._note(Found("form-change", Need.WRITTEN, field.name, field.page, None, key))

    def _note(self, one: Found) -> None:
        if one not in self.found:
            self._meter.spend(FOUND_COST)  # each is told to every signature before
            self.found[one] = None

    def touched(self, reference: Reference | None) -> bool:
        """Say whether an object, or one it leads to, was redefined; a direct one always counts as touched."""
        return reference is None or reference.number in self.dirty

    @property
    def pages(self) -> list[tuple[Page, Page]]:
        """Pages in order, as far as both states have them."""
        return list(zip(self.before.pages, self.after.pages, strict=False))

    def touched_pages(self) -> list[int]:
        """Return the numbers of pages whose list of annotations may differ."""
        return [one.number for one, other in self.pages if one.annotations != other.annotations]

    def _pair_frame(self, tokens: Tokens) -> None:
        """Pair catalog, form, page tree and pages."""
        tokens.pair(_root(self.before), _root(self.after), "catalog")
        forms = [_reference(view.root.get("AcroForm")) if view.form else None for view in (self.before, self.after)]
        tokens.pair(forms[0], forms[1], "form")
        for view, side in ((self.before, tokens.before), (self.after, tokens.after)):
            for page in view.pages:
                if page.reference is not None:
                    side.setdefault(page.reference, ("page", page.number))
            for node in view.tree:
                if node.reference is not None:
                    side.setdefault(node.reference, "tree")
            for name, node in view.nodes.items():
                if node.reference is not None:
                    side.setdefault(node.reference, ("node", name))

    def _pair_fields(self, tokens: Tokens) -> tuple[list[Pair], list[Field], list[Field]]:
        pairs, gone = [], []
        left: dict[str, list[Field]] = {}
        for one in self.after.fields.values():
            left.setdefault(one.name, []).append(one)
        for one in self.before.fields.values():
            candidates = left.get(one.name, [])
            other = next((each for each in candidates if each.reference == one.reference), None)
            other = other or next(iter(candidates), None)
            if other is None:
                gone.append(one)
                tokens.pair(one.reference, None, ("gone", *one.key))
                continue
            candidates.remove(other)
            pairs.append(_paired(one, other, tokens))
        new = [one for some in left.values() for one in some]
        for one in new:
            for reference in (one.reference, *(widget.reference for widget in one.widgets)):
                tokens.pair(None, reference, ("new", *one.key))
        return pairs, gone, new

    def _pair_annotations(self, tokens: Tokens) -> list[Annotations]:
        found = []
        for before, after in self.pages:
            if not before.annotations and not after.annotations:
                continue
            one = Annotations(before.number)
            if before.annotations == after.annotations and all(isinstance(i, Reference) for i in before.annotations):
                known = self.before.widget_references, self.after.widget_references
                others = [item for item in before.annotations if item not in known[0] or item not in known[1]]
                one.pairs += [(item, item) for item in dict.fromkeys(others)]
            else:
                _pair_listed(one, self._others(self.before, before), self._others(self.after, after), self)
            for index, (left, right) in enumerate(one.pairs):
                if not self.before.dictionary(left) or not self.after.dictionary(right):
                    continue  # nothing that could be shown: where else it may be used, it is looked at
                tokens.pair(_reference(left), _reference(right), ("annotation", one.page, index))
            if one.pairs or one.gone or one.new:
                found.append(one)
        return found

    def _others(self, view: View, page: Page) -> list[Value]:
        """Return the annotations of a page that are no widgets, each once; readers draw those without a kind too."""
        found: dict[object, Value] = {}
        for item in page.annotations:
            if isinstance(item, Reference) and item in view.widget_references:
                continue
            entries = view.dictionary(item)
            if entries and view.name(entries.get("Subtype")) != "Widget":
                found[item if isinstance(item, Reference) else id(item)] = item
        return list(found.values())


def _root(view: View) -> Reference | None:
    return _reference(view.document.trailer.get("Root"))


def _reference(value: Value) -> Reference | None:
    return value if isinstance(value, Reference) else None


def _paired(one: Field, other: Field, tokens: Tokens) -> Pair:
    """Pair two fields and their widgets: those of the same reference first, the others in order."""
    tokens.pair(one.reference, other.reference, ("field", *one.key))
    held = {widget.reference: widget for widget in other.widgets if widget.reference is not None}
    matched = [(widget, held.pop(widget.reference, None) if widget.reference else None) for widget in one.widgets]
    rest = deque(widget for widget in other.widgets if widget.reference is None or widget.reference in held)
    pairs: list[tuple[Widget, Widget]] = []
    gone: list[Widget] = []
    for widget, same in matched:
        partner = same if same is not None else rest.popleft() if rest else None
        if partner is None:
            gone.append(widget)
            tokens.pair(widget.reference, None, ("gone", *one.key))
            continue
        tokens.pair(widget.reference, partner.reference, ("widget", *one.key, len(pairs)))
        pairs.append((widget, partner))
    for widget in rest:
        tokens.pair(None, widget.reference, ("new", *one.key))
    return Pair(one, other, tuple(pairs), tuple(gone), tuple(rest))


def _pair_listed(one: Annotations, before: Sequence[Value], after: Sequence[Value], step: Step) -> None:
    """Pair annotations: by reference, then by name (``/NM``) or, if they have none, by kind and place, in order."""
    held = {item for item in after if isinstance(item, Reference)}
    kept = {item for item in before if isinstance(item, Reference) and item in held}
    left: dict[object, deque[Value]] = {}
    rest = [item for item in after if not (isinstance(item, Reference) and item in kept)]
    for item in rest:
        left.setdefault(_likeness(step.after, item), deque()).append(item)
    paired: set[int] = set()
    for item in before:
        if isinstance(item, Reference) and item in kept:
            one.pairs.append((item, item))
            continue
        candidates = left.get(_likeness(step.before, item))
        if not candidates:
            one.gone.append(item)
            continue
        match = candidates.popleft()
        paired.add(id(match))
        one.pairs.append((item, match))
    one.new += [item for item in rest if id(item) not in paired]


def _likeness(view: View, item: Value) -> object:
    """Return what an annotation that was rewritten keeps."""
    entries = view.dictionary(item)
    name = view.document.resolve(entries.get("NM"))
    if isinstance(name, String):
        return bytes(name)
    return view.name(entries.get("Subtype")), view.rectangle(entries.get("Rect"))
