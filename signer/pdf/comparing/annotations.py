"""Annotations that are no widgets, before and after a step (signing.md 4.3, ``annotation``, ``overlay``, ``action``).

Comments may come, change and go only where the certification allows them (P=3), and even then they stay comments: what
can pass for content of the page, covers it, acts or carries files is never allowed.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, pairwise

from signer.pdf.comparing.equality import Equality
from signer.pdf.comparing.painting import area_within, fills, forms_within, octets_of, tokens_of
from signer.pdf.comparing.step import Annotations, Need, Step
from signer.pdf.comparing.view import Dictionary, View, appearance_streams, is_aside
from signer.pdf.values import Reference, Stream, Value

_SKIPPED = frozenset({"P", "Parent", "Popup", "IRT", "M", "NM", "StructParent", "Type"})
_ACTIONS = frozenset({"A", "AA", "PA", "Dest"})
_FILES = frozenset({"FS", "AF", "Sound", "Movie", "RichMediaContent", "3DD"})
_MARKS = frozenset({"Highlight", "Underline", "Squiggly", "StrikeOut", "Caret", "Ink", "Line"})
_COMMENTS = _MARKS | {"Text", "Popup", "Square", "Circle", "Polygon", "PolyLine"}
_ACTING = frozenset(["Link", "Screen", "Movie", "Sound", "RichMedia", "3D", "FileAttachment"])
_INK = frozenset({b"Tj", b"TJ", b"'", b'"', b"sh", b"BI", b"scn", b"SCN"})
_BLENDED = frozenset({"Multiply", "Darken"})
_ICON = 32.0
"""Sides of a note's icon; what is larger and filled covers text."""
_COMPARED_MAX = 200
"""Annotations of one page compared pair by pair."""
_ENTRIES = (
    _SKIPPED
    | {"Subtype", "Rect", "Contents", "F", "AP", "AS", "Border", "BS", "BE", "C", "CA", "ca", "BM", "T", "RC", "Subj"}
    | {"CreationDate", "IT", "ExData", "Open", "Name", "State", "StateModel", "QuadPoints", "InkList", "Vertices", "L"}
    | {"LE", "LL", "LLE", "IC", "Cap", "CO", "CP", "RD", "Sy", "DS", "DA", "Q", "Measure", "RT", "Lang"}
)


def compare_annotations(step: Step, equal: Equality) -> None:
    """Note what a step did to annotations."""
    for one in step.annotations:
        for left, right in one.pairs:
            if left == right and not _touched(step, left):
                continue
            keys = _differing(step, equal, left, right)
            if keys:
                _changed(step, one.page, step.before.dictionary(left), step.after.dictionary(right), keys)
        for item in one.gone:
            _single(step, step.before, one, item, "removed")
        for item in one.new:
            _single(step, step.after, one, item, "new")
    touched = step.touched_pages()
    same = _Same(step) if touched else None
    for page in touched:
        if same is not None and _covers_otherwise(step, page, same):
            step.add("annotation", Need.FORBIDDEN, page=page, key="order")


def _touched(step: Step, item: Value) -> bool:
    return step.touched(item if isinstance(item, Reference) else None)


def _differing(step: Step, equal: Equality, left: Value, right: Value) -> set[str]:
    ours, theirs = step.before.dictionary(left), step.after.dictionary(right)
    asides = {key for key in _SKIPPED if is_aside(step.before, ours.get(key)) and is_aside(step.after, theirs.get(key))}
    keys = {key for key in {*ours, *theirs} - asides - {"Type"} if not equal.same(ours.get(key), theirs.get(key))}
    kinds = step.before.type_of(ours, "Annot"), step.after.type_of(theirs, "Annot")
    return keys if kinds[0] == kinds[1] else keys | {"Type"}


def _changed(step: Step, page: int, before: Dictionary, after: Dictionary, keys: set[str]) -> None:
    named = ", ".join(sorted(keys)[:5])
    if keys & _ACTIONS:
        step.add("action", Need.FORBIDDEN, page=page, key=named)
    elif keys & _FILES:
        step.add("attachment", Need.FORBIDDEN, page=page, key=named)
    elif "OC" in keys:
        step.add("layer", Need.FORBIDDEN, page=page, key=named)
    elif keys - _ENTRIES or "Type" in keys:
        step.add("other", Need.FORBIDDEN, page=page, key=named)
    elif is_comment(step.before, before) and is_comment(step.after, after):
        step.add("annotation", Need.COMMENTS, page=page, key=named)
    else:
        step.add("annotation", Need.FORBIDDEN, page=page, key=named)


def _single(step: Step, view: View, one: Annotations, item: Value, key: str) -> None:
    entries = view.dictionary(item)
    kind = view.name(entries.get("Subtype")) or "-"
    if kind == "FileAttachment" or _FILES & set(entries):
        step.add("attachment", Need.FORBIDDEN, page=one.page, key=key)
    elif kind in _ACTING or _ACTIONS & set(entries):
        step.add("action", Need.FORBIDDEN, page=one.page, key=f"{kind} {key}")
    elif "OC" in entries:
        step.add("layer", Need.FORBIDDEN, page=one.page, key=f"{kind} {key}")
    elif is_comment(view, entries):
        step.add("annotation", Need.COMMENTS, page=one.page, key=f"{kind} {key}")
    else:
        step.add("annotation", Need.FORBIDDEN, page=one.page, key=f"{kind} {key}")


def is_comment(view: View, entries: Dictionary) -> bool:
    """Say whether an annotation is a comment that nobody takes for content: marks and notes, no text, no picture."""
    if view.name(entries.get("Subtype")) not in _COMMENTS:
        return False
    box = view.rectangle(entries.get("Rect"))
    small = box is not None and max(box[2] - box[0], box[3] - box[1]) <= _ICON
    return all(_is_mark(view, stream, small=small) for stream in appearance_streams(view, entries))


def _is_mark(view: View, stream: Stream, *, small: bool) -> bool:
    blended = False
    filled = False
    for form in forms_within(view, stream):
        if view.name(form.dictionary.get("Subtype")) == "Image":
            return False
        data = octets_of(view, form)
        if data is None or tokens_of(data) & _INK:
            return False
        filled = filled or fills(data)
        blended = blended or _blends(view, form)
    return small or blended or not filled


def _blends(view: View, form: Stream) -> bool:
    states = view.dictionary(view.get(form.dictionary.get("Resources"), "ExtGState"))
    return any(view.name(view.get(state, "BM")) in _BLENDED for state in states.values())


def _covers_otherwise(step: Step, page: int, same: _Same) -> bool:
    """Say whether annotations or widgets that overlap changed their order: the later one covers the other."""
    before, after = step.before.pages[page - 1].annotations, step.after.pages[page - 1].annotations
    places = {same.after[_identity(item)]: index for index, item in enumerate(after) if _identity(item) in same.after}
    kept = [
        (places[same.before[_identity(item)]], step.before.rectangle(step.before.dictionary(item).get("Rect")))
        for item in before
        if same.before.get(_identity(item)) in places
    ]
    if all(one[0] <= other[0] for one, other in pairwise(kept)):
        return False
    if len(kept) > _COMPARED_MAX:
        return True
    return any(
        one[0] > other[0] and one[1] and other[1] and area_within(one[1], other[1]) > 0
        for one, other in combinations(kept, 2)
    )


class _Same:
    """Which annotations and widgets are the same before and after a step: equal numbers, same thing."""

    def __init__(self, step: Step) -> None:
        self.before: dict[object, int] = {}
        self.after: dict[object, int] = {}
        for number, (left, right) in enumerate(self._pairs(step)):
            self.before[_identity(left)] = self.after[_identity(right)] = number

    def _pairs(self, step: Step) -> Iterator[tuple[Value, Value]]:
        for one in step.annotations:
            yield from one.pairs
        for pair in step.fields:
            for left, right in pair.widgets:
                yield left.reference or left.entries, right.reference or right.entries


def _identity(item: Value) -> object:
    """Return what tells one item of a list from the others, be it a reference or written there."""
    return item if isinstance(item, Reference) else id(item)
