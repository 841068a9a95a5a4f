"""Pages before and after a step: content, resources in use, boxes, order (signing.md 4.3, ``page`` and its neighbours).

Content is compared as decoded and joined, resources by the names that content uses, boxes and rotation with their
defaults filled in: a page that was written anew with the same meaning is no change.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from signer.pdf.comparing.equality import Equality
from signer.pdf.comparing.painting import literals, names_in, octets_of
from signer.pdf.comparing.step import Need, Step
from signer.pdf.comparing.structure import has_no_place
from signer.pdf.comparing.view import Dictionary, Node, Page, View, appearance_streams
from signer.pdf.values import Stream, Value

_METADATA = frozenset({"Metadata", "PieceInfo", "LastModified"})
_DONE = frozenset({"Type", "Parent", "Annots", "Kids", "Count"})
_BOXES = ("BleedBox", "TrimBox", "ArtBox")
_INHERITED = frozenset({"Resources", "MediaBox", "CropBox", "Rotate"})
_TREE = (_DONE | _INHERITED) - {"Annots"}
_KINDS = {"AA": "action", "AF": "attachment", "StructParents": "structure"}
_DEVICE = frozenset({"DefaultGray", "DefaultRGB", "DefaultCMYK"})
"""Colour spaces that are used without being named."""
_DRAWING = ("XObject", "Pattern", "Font", "ExtGState")


_UNSURE = re.compile(rb"[()%]|(?<![^\0\t\n\f\r ()<>\[\]{}/])(?:BI|ID)(?![^\0\t\n\f\r ()<>\[\]{}/])")
_SPACE = re.compile(rb"[\0\t\n\f\r ]+")


def compare_pages(step: Step, equal: Equality) -> None:
    """Note what a step did to pages and to the tree they hang in."""
    before, after = step.before.pages, step.after.pages
    if len(before) != len(after):
        step.add("page", Need.FORBIDDEN, page=min(len(before), len(after)) + 1, key="number of pages")
    inherited = any(step.touched(node.reference) for view in (step.before, step.after) for node in view.tree)
    if inherited:
        _compare_tree(step, equal)
    for one, other in step.pages:
        if not inherited and one.reference == other.reference and not step.touched(one.reference):
            continue
        _compare(step, equal, one, other)


def _compare_tree(step: Step, equal: Equality) -> None:
    """Inner nodes hold nothing that is not inherited; what else they hold may be read as something else."""
    former = {node.reference: node for node in step.before.tree}
    for node in step.after.tree:
        old = former.get(node.reference)
        apart = _TREE if step.after.type_of(node.entries, "Pages") == "Pages" else _DONE - {"Annots"}
        for key in {*node.entries, *(old.entries if old else ())} - apart:
            held, now = old.entries.get(key) if old else None, node.entries.get(key)
            if not equal.same(held, now) and not (_is_remark(held) and _is_remark(now)):
                step.add("page", Need.FORBIDDEN, key=key)
        if step.after.type_of(node.entries, "Pages") not in (
            "Pages",
            old and step.before.type_of(old.entries, "Pages"),
        ):
            step.add("page", Need.FORBIDDEN, key="Type")
        if not _counted(step, old, node):
            step.add("page", Need.FORBIDDEN, key="Count")


def _is_remark(value: Value) -> bool:
    """Say whether a value is a mere remark of a program: a string or number leads nowhere and draws nothing."""
    return value is None or isinstance(value, bytes | int | float)


def _counted(step: Step, old: Node | None, node: Node) -> bool:
    """Say whether a node counts its pages as before, or rightly: some readers show no more than what is counted."""
    count = step.after.document.resolve(node.entries.get("Count"))
    if old is not None and step.before.document.resolve(old.entries.get("Count")) == count:
        return True
    return count == node.pages


def _compare(step: Step, equal: Equality, one: Page, other: Page) -> None:
    number = one.number
    for key in _wrong_geometry(step, one, other):
        step.add("page", Need.FORBIDDEN, page=number, key=key)
    if step.before.type_of(one.entries, "Page") != step.after.type_of(other.entries, "Page"):
        step.add("page", Need.FORBIDDEN, page=number, key="Type")
    for key in _INHERITED:
        if (key in one.entries) != (key in other.entries) and _is_null(step, one, other, key):
            step.add("page", Need.FORBIDDEN, page=number, key=key)
    if not _same_from_above(step, equal, one, other):
        step.add("page", Need.FORBIDDEN, page=number, key="Parent")
    for key in {*one.entries, *other.entries} - _DONE - _INHERITED - {"Contents", "UserUnit", *_BOXES}:
        if equal.same(one.entries.get(key), other.entries.get(key)):
            continue
        if key in _METADATA:
            step.add("metadata", Need.NOTHING, key=key)
        elif key == "Tabs" or (key == "StructParents" and key not in one.entries and has_no_place(step, other)):
            step.add("structure", Need.NOTHING, page=number, key=key)
        else:
            step.add(_KINDS.get(key, "page"), Need.FORBIDDEN, page=number, key=key)
    if not _same_content(step, equal, one.entries.get("Contents"), other.entries.get("Contents")):
        step.add("page", Need.FORBIDDEN, page=number, key="Contents")
    elif not _same_resources(step, equal, one, other):
        step.add("page", Need.FORBIDDEN, page=number, key="Resources")


def _is_null(step: Step, one: Page, other: Page, key: str) -> bool:
    """Say whether neither page gives an entry: if one has it as null, some readers do not inherit it any more."""
    ours, theirs = (
        step.before.document.resolve(one.entries.get(key)),
        step.after.document.resolve(other.entries.get(key)),
    )
    return ours is None and theirs is None


def _wrong_geometry(step: Step, one: Page, other: Page) -> list[str]:
    ours, theirs = _geometry(step.before, one), _geometry(step.after, other)
    return [key for key in ours if ours[key] != theirs[key]]


def _same_from_above(step: Step, equal: Equality, one: Page, other: Page) -> bool:
    """Say whether a page inherits the same by ``/Parent``: some readers look there, and must see no other page."""
    ours, theirs = step.before.inherited_by_parents(one), step.after.inherited_by_parents(other)
    left, right = replace(one, inherited=ours), replace(other, inherited=theirs)
    if _wrong_geometry(step, left, right):
        return False
    same = one.inherited.get("Resources") is ours.get("Resources")
    return (same and other.inherited.get("Resources") is theirs.get("Resources")) or _same_resources(
        step, equal, left, right
    )


def _geometry(view: View, page: Page) -> dict[str, object]:
    """Return boxes, rotation and unit with their defaults."""
    media = _box(view, page.inherited.get("MediaBox"))
    crop = _box(view, page.inherited.get("CropBox")) or media
    boxes = {key: _box(view, page.entries.get(key)) or crop for key in _BOXES}
    unit = view.number(page.entries.get("UserUnit"))
    turned = view.integer(page.inherited.get("Rotate")) % 360, (view.number(page.inherited.get("Rotate")) or 0) % 360
    return {"MediaBox": media, "CropBox": crop, "Rotate": turned, "UserUnit": 1.0 if unit is None else unit, **boxes}


def _box(view: View, value: Value) -> object:
    """Return a rectangle, or how it is spelled if it is none: readers make different things of it."""
    found = view.rectangle(value)
    if found is not None or view.document.resolve(value) is None:
        return found
    return tuple(repr(view.document.resolve(item)) for item in view.items(value))


def _same_content(step: Step, equal: Equality, one: Value, other: Value) -> bool:
    if equal.same(one, other):
        return True
    ours, theirs = content_of(step.before, one), content_of(step.after, other)
    if ours is None or theirs is None:
        return False
    one_way, other_way = b"\n".join(ours), b"\n".join(theirs)
    return one_way == other_way or settled(one_way) == settled(other_way)


def settled(data: bytes) -> bytes:
    """Return content with one space where white space stands between operators, if that can be told for sure.

    Strings stay as they are; with comments or pictures within content, so does everything.
    """
    parts, at = [], 0
    for start, end in (*literals(data), (len(data), len(data))):
        between = data[at:start]
        if _UNSURE.search(between):
            return data
        parts += [_SPACE.sub(b" ", between), data[start:end]]
        at = end
    return b"".join(parts).strip(b" ")


def content_of(view: View, value: Value) -> list[bytes] | None:
    """Return the decoded parts of a page's content, or ``None`` if one cannot be decoded."""
    found = view.document.resolve(value)
    parts = [view.document.resolve(item) for item in found] if isinstance(found, tuple) else [found]
    octets = []
    for part in parts:
        if isinstance(part, Stream):
            data = octets_of(view, part)
            if data is None:
                return None
            octets.append(data)
        elif part is not None:
            return None
    return octets


def _same_resources(step: Step, equal: Equality, one: Page, other: Page) -> bool:
    ours, theirs = one.inherited.get("Resources"), other.inherited.get("Resources")
    if equal.same(ours, theirs):
        return True
    used = _Used(step.before, one).names()
    left, right = step.before.dictionary(ours), step.after.dictionary(theirs)
    for kind in {*left, *right} - {"ProcSet"}:
        former, now = step.before.dictionary(left.get(kind)), step.after.dictionary(right.get(kind))
        for name in {*former, *now}:
            needed = used is None or name in used or name in _DEVICE
            if needed and not equal.same(former.get(name), now.get(name)):
                return False
    return True


class _Used:
    """Which names the content of a page uses, and what draws with the page's resources for want of its own."""

    def __init__(self, view: View, page: Page) -> None:
        self._view = view
        self._page = page
        self._resources = view.dictionary(page.inherited.get("Resources"))
        self._seen: set[int] = set()

    def names(self) -> frozenset[str] | None:
        """Return the names, or ``None`` if any could be used."""
        parts = content_of(self._view, self._page.entries.get("Contents"))
        if parts is None:
            return None
        found: set[str] = set()
        stack = [b"\n".join(parts)]
        for item in self._page.annotations:
            for stream in appearance_streams(self._view, self._view.dictionary(item)):
                if not self._push(stream, stack):
                    return None
        while stack:
            new = names_in(stack.pop()) - found
            found |= new
            for value in self._named(new):
                if not self._push(value, stack):
                    return None
        return frozenset(found)

    def _named(self, names: frozenset[str]) -> Iterator[Value]:
        for kind in _DRAWING:
            held = self._view.dictionary(self._resources.get(kind))
            yield from (held[name] for name in names if name in held)

    def _push(self, value: Value, stack: list[bytes]) -> bool:
        """Add the content of what draws; ``False`` if it cannot be decoded.

        What has resources of its own is added too: for a name that is not among them, readers look at the page.
        """
        waiting = [value]
        while waiting:
            found = self._view.document.resolve(waiting.pop())
            holder = found.dictionary if isinstance(found, Stream) else found
            if not isinstance(holder, Mapping) or id(found) in self._seen:
                continue
            self._seen.add(id(found))
            waiting += self._drawing(holder)
            if isinstance(found, Stream) and holder.get("Subtype") != "Image":
                data = octets_of(self._view, found)
                if data is None:
                    return False
                stack.append(data)
        return True

    def _drawing(self, holder: Dictionary) -> Iterator[Value]:
        """Yield what a form, pattern, font or graphics state draws with."""
        yield self._view.get(holder.get("SMask"), "G")
        yield from self._view.dictionary(holder.get("CharProcs")).values()
        own = self._view.document.resolve(holder.get("Resources"))
        if isinstance(own, Mapping):
            for kind in _DRAWING:
                yield from self._view.dictionary(own.get(kind)).values()
