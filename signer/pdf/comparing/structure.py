"""The structure tree may grow by elements for widgets, and by nothing else (signing.md 4.3, ``structure``).

Old elements keep their type, their texts (``/Alt``, ``/ActualText``, ``/E``), attributes, content and order. New ones
hold references to widgets and no marked content of pages.
"""

from __future__ import annotations

from collections.abc import Mapping

from signer.pdf.comparing.equality import Equality
from signer.pdf.comparing.step import Step
from signer.pdf.comparing.view import DEPTH_MAX, Page, View
from signer.pdf.values import Reference, Value

_ROOT = frozenset({"Type", "K", "ParentTree", "ParentTreeNextKey", "IDTree", "RoleMap"})
_ELEMENT = frozenset({"Type", "K", "P"})
_TEXTS = frozenset({"ActualText", "Alt", "E"})


def grows_for_widgets(step: Step, equal: Equality) -> bool:
    """Say whether the structure tree changed only by what new widgets need."""
    return _Trees(step, equal).grown()


def has_no_place(step: Step, page: Page) -> bool:
    """Say whether the number a page gets in the parent tree (``/StructParents``) leads to no old content."""
    tree = step.before.dictionary(step.before.root.get("StructTreeRoot")).get("ParentTree")
    return step.after.integer(page.entries.get("StructParents")) not in _numbers(step.before, tree)


class _Trees:
    """Both trees, old elements paired with new ones while they are walked."""

    def __init__(self, step: Step, equal: Equality) -> None:
        self._step = step
        self._equal = equal
        self._pairs: dict[Reference, Reference] = {}
        self._added: set[Reference] = set()
        self._roles: set[str] = set()
        held = step.after.fields.values()
        self._widgets = {one.reference for one in held} | {w.reference for one in held for w in one.widgets}

    def grown(self) -> bool:
        before, after = self._step.before, self._step.after
        one, other = before.root.get("StructTreeRoot"), after.root.get("StructTreeRoot")
        former, now = before.dictionary(one), after.dictionary(other)
        if former and not now:
            return False
        if any(not self._equal.same(former.get(key), now.get(key)) for key in {*former, *now} - _ROOT):
            return False
        if isinstance(one, Reference) and isinstance(other, Reference):
            self._pairs[one] = other
        if not self._walk(former.get("K"), now.get("K")):
            return False
        return (
            self._parents_kept(former.get("ParentTree"), now.get("ParentTree"))
            and self._roles_kept(former.get("RoleMap"), now.get("RoleMap"))
            and self._names_kept(former.get("IDTree"), now.get("IDTree"))
        )

    def _walk(self, one: Value, other: Value) -> bool:
        stack = [(one, other)]
        while stack:
            left, right = stack.pop()
            matched = self._match(_listed(self._step.before, left), _listed(self._step.after, right))
            if matched is None:
                return False
            for old, new in matched:
                self._equal.spend()
                former, now = self._step.before.dictionary(old), self._step.after.dictionary(new)
                if isinstance(old, Reference) and isinstance(new, Reference):
                    if old in self._pairs:
                        continue
                    self._pairs[old] = new
                if not _is_element(self._step.before, former):
                    if not self._equal.same(old, new):
                        return False
                    continue
                self._roles.add(self._step.before.name(former.get("S")))
                if any(not self._equal.same(former.get(key), now.get(key)) for key in {*former, *now} - _ELEMENT):
                    return False
                types = self._step.before.type_of(former, "StructElem"), self._step.after.type_of(now, "StructElem")
                if types[0] != types[1] or not self._same_place(former.get("P"), now.get("P")):
                    return False
                stack.append((former.get("K"), now.get("K")))
        return True

    def _match(self, old: tuple[Value, ...], new: tuple[Value, ...]) -> list[tuple[Value, Value]] | None:
        """Pair old kids with new ones in order; what is left of the new ones must be additions."""
        if len(old) == len(new):
            return list(zip(old, new, strict=True))
        pairs: list[tuple[Value, Value]] = []
        for item in new:
            if len(pairs) < len(old) and self._may_be(old[len(pairs)], item):
                pairs.append((old[len(pairs)], item))
            elif not self._is_addition(item):
                return None
        return pairs if len(pairs) == len(old) else None

    def _may_be(self, old: Value, new: Value) -> bool:
        if isinstance(old, Reference) or isinstance(new, Reference):
            return old == new
        return self._equal.same(old, new)

    def _is_addition(self, item: Value) -> bool:
        """Say whether a new element leads to widgets alone, or to nothing and says nothing."""
        view = self._step.after
        stack: list[tuple[Value, int]] = [(item, 0)]
        shown = says = False
        while stack:
            value, depth = stack.pop()
            entries = view.dictionary(value)
            self._equal.spend()
            if not entries or depth > DEPTH_MAX or (isinstance(value, Reference) and value in self._added):
                return False
            if view.document.resolve(entries.get("Type")) == "OBJR":
                target = entries.get("Obj")
                if not isinstance(target, Reference) or target not in self._widgets:
                    return False
                shown = True
            elif not _is_element(view, entries):
                return False
            else:
                says = says or bool(_TEXTS & set(entries))
                stack += [(kid, depth + 1) for kid in _listed(view, entries.get("K"))]
            if isinstance(value, Reference):
                self._added.add(value)
        return shown or not says

    def _parents_kept(self, one: Value, other: Value) -> bool:
        former, now = _numbers(self._step.before, one), _numbers(self._step.after, other)
        if not all(key in now and self._same_place(value, now[key]) for key, value in former.items()):
            return False
        return all(self._is_added(value) for key, value in now.items() if key not in former)

    def _same_place(self, old: Value, new: Value) -> bool:
        """Say whether an entry of the parent tree leads to the same element, or elements, as before."""
        ours, theirs = self._plain(self._step.before, old), self._plain(self._step.after, new)
        if isinstance(ours, tuple) and isinstance(theirs, tuple):
            return len(ours) == len(theirs) and all(map(self._same_place, ours, theirs))
        if isinstance(ours, Reference) and isinstance(theirs, Reference):
            kept = self._pairs.get(ours)
            return kept == theirs if kept is not None else ours == theirs and ours.number not in self._step.changed
        return self._equal.same(ours, theirs)

    def _plain(self, view: View, value: Value) -> Value:
        """Return an array that a reference leads to, or the reference itself."""
        found = view.document.resolve(value)
        return found if isinstance(found, tuple) else value

    def _is_added(self, value: Value) -> bool:
        found = self._plain(self._step.after, value)
        if isinstance(found, tuple):
            return all(self._is_added(item) for item in found if not isinstance(item, tuple))
        return found is None or (isinstance(value, Reference) and value in self._added)

    def _roles_kept(self, one: Value, other: Value) -> bool:
        """Old roles keep their meaning; new ones are for types no old element has."""
        former, now = self._step.before.dictionary(one), self._step.after.dictionary(other)
        kept = all(self._equal.same(value, now.get(key)) for key, value in former.items())
        return kept and not self._roles & (set(now) - set(former))

    def _names_kept(self, one: Value, other: Value) -> bool:
        if self._equal.same(one, other):
            return True
        former, now = _names(self._step.before, one), _names(self._step.after, other)
        return all(key in now and self._same_place(value, now[key]) for key, value in former.items()) and all(
            self._is_added(value) for key, value in now.items() if key not in former
        )


def _listed(view: View, value: Value) -> tuple[Value, ...]:
    """Return kids as a list: there may be one, alone."""
    found = view.document.resolve(value)
    if isinstance(found, tuple):
        return found
    return () if found is None else (value,)


def _is_element(view: View, entries: Mapping[str, Value]) -> bool:
    return "S" in entries and view.type_of(entries, "StructElem") == "StructElem"


def _numbers(view: View, tree: Value) -> dict[object, Value]:
    return _leaves(view, tree, "Nums")


def _names(view: View, tree: Value) -> dict[object, Value]:
    return _leaves(view, tree, "Names")


def _leaves(view: View, tree: Value, key: str) -> dict[object, Value]:
    """Return the pairs of a number or name tree."""
    found: dict[object, Value] = {}
    stack: list[Value] = [tree]
    seen: set[Reference] = set()
    while stack:
        item = stack.pop()
        if isinstance(item, Reference):
            if item in seen:
                continue
            seen.add(item)
        entries = view.dictionary(item)
        pairs = view.items(entries.get(key))
        for index in range(0, len(pairs) - 1, 2):
            name = view.document.resolve(pairs[index])
            if isinstance(name, int | bytes):
                found[name] = pairs[index + 1]
        stack += view.items(entries.get("Kids"))
    return found
