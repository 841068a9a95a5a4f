"""Which pages are looked at as pictures, where they may differ, and what that means (signing.md 4.3, ``pictures``).

Asked only of signatures that are intact by everything else, and only if ``Context.pictures`` is given. A page counts as
touched if anything it shows, or inherits, was redefined by a later step; all do if the file was repaired. What may
differ: boxes of changes that are allowed. A difference elsewhere leaves ``integrity`` as it is: a person must look.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from signer.algorithms import PolicyName
from signer.errors import InputRefused
from signer.judge import Facts
from signer.pdf.comparing.graph import Graph, Meter, references_in
from signer.pdf.comparing.view import Field, Page, View
from signer.pdf.found import Found
from signer.pdf.geometry import Box, Sheet
from signer.pdf.pictures import Look, Size, compare_pictures, is_possible
from signer.pdf.reading import PdfFile
from signer.pdf.values import Reference
from signer.report import Change, Code, Integrity, LaterChanges, Reason
from signer.trust import Context

_OF_FIELDS = frozenset({"signature", "form-fill", "form-change", "empty-field"})
TOLD_MAX = 5
"""Pages that the reasons of a signature name."""


def looked_at(file: PdfFile, found: list[Found], context: Context) -> list[Found]:
    """Compare the pages that later steps touched as pictures, if asked for and possible. Never raises."""
    if context.pictures is None or context.policy is PolicyName.INTEGRITY_ONLY or not is_possible():
        return found
    asked = [index for index, one in enumerate(found) if _is_asked(file, one)]
    if not asked:
        return found
    try:
        states = _States(file)
        looks = [states.look(found[index]) for index in asked]
        latest = states.sizes(len(file.revisions))
    except InputRefused:  # a budget is used up: nothing is concluded
        return found
    seen = compare_pictures(file.data, looks, latest=latest, bounds=context.pictures)
    if seen is None:
        return found
    result = list(found)
    for index, pages in zip(asked, seen.pages, strict=True):
        result[index] = _told(found[index], pages, whole=seen.whole)
    return result


def _is_asked(file: PdfFile, one: Found) -> bool:
    """Say whether a signature is intact so far, and something follows what it signed."""
    intact = all(each.integrity is Integrity.INTACT for each in one.facts)
    later = any(each.later_changes is LaterChanges.ALLOWED for each in one.facts)
    repaired = file.damaged and file.revisions[one.revision - 1].eof < len(file.data)
    return bool(one.facts) and intact and (later or repaired)


def _told(one: Found, pages: Sequence[int], *, whole: bool) -> Found:
    """Put what was seen into the facts: pages that differ, or that not all could be looked at."""
    reasons: tuple[Reason, ...] = ()
    warnings: tuple[Reason, ...] = ()
    if pages:
        shown = (Reason(Code.VISUAL_DIFFERENCE, {"page": str(page)}) for page in pages[:TOLD_MAX])
        reasons = (Reason(Code.SIG_CONSTRAINTS_FAILURE, {"detail": Code.VISUAL_DIFFERENCE.value}), *shown)
    if not whole:
        warnings = (Reason(Code.LIMIT_EXCEEDED, {"limit": "pictures"}),)
    return replace(one, facts=tuple(_with(each, reasons, warnings) for each in one.facts))


def _with(facts: Facts, reasons: tuple[Reason, ...], warnings: tuple[Reason, ...]) -> Facts:
    return replace(facts, structural=(*facts.structural, *reasons), warnings=(*facts.warnings, *warnings))


@dataclass(frozen=True, slots=True)
class _Allowed:
    """What allowed changes name: fields anywhere, and pages whose comments may differ."""

    fields: frozenset[str]
    pages: frozenset[int]

    @classmethod
    def of(cls, changes: Iterable[Change]) -> _Allowed:
        """Sort allowed changes by what they name."""
        allowed = [change for change in changes if change.allowed]
        return cls(
            frozenset(one.facts["field"] for one in allowed if one.kind in _OF_FIELDS and "field" in one.facts),
            frozenset(int(one.facts["page"]) for one in allowed if one.kind == "annotation" and "page" in one.facts),
        )


class _States:
    """The states of a file, taken apart for drawing."""

    def __init__(self, file: PdfFile) -> None:
        self._file = file
        meter = Meter(file.limits.pdf_values)
        self._views = {state.revision: View(state, meter) for state in file.revisions}

    def look(self, one: Found) -> Look:
        """Return what to compare for a signature.

        Raises:
            InputRefused: a state cannot be read; LimitExceeded: a budget is used up.
        """
        changed = None if self._file.damaged else self._changed(one.revision)
        sizes, latest = self.sizes(one.revision), self.sizes(len(self._file.revisions))
        pages = {number: sizes.get(number) for number in sorted(sizes.keys() | latest.keys())}
        if changed is not None and not self._layers_differ(one.revision, changed):
            touched = self._touched(changed) | (sizes.keys() ^ latest.keys())
            pages = {number: size for number, size in pages.items() if number in touched}
        allowed = _Allowed.of(change for each in one.facts for change in each.changes)
        masks: dict[int, list[Box]] = {}
        for revision in (one.revision, len(self._file.revisions)):
            for page, box in self._masks(self._views[revision], allowed, changed):
                masks.setdefault(page, []).append(box)
        end = self._file.revisions[one.revision - 1].eof
        return Look(end, pages, {page: tuple(boxes) for page, boxes in masks.items()})

    def sizes(self, revision: int) -> dict[int, Size]:
        """Return the pages of a state with their sizes in mm."""
        view = self._views[revision]
        return {page.number: sheet_of(view, page).size for page in view.pages}

    def _changed(self, revision: int) -> set[int]:
        """Return the numbers of what later steps redefined, and of all that leads there, up to its page."""
        first, *later = self._file.revisions[revision - 1 :]
        graph = Graph()
        graph.add(first, references_in(first.trailer))
        redefined: set[int] = set()
        for state in later:
            references = state.redefined()
            graph.add(state, references)
            redefined |= {reference.number for reference in references}
        latest = self._views[len(self._file.revisions)]
        pages, tree = (one.reference for one in latest.pages), (one.reference for one in latest.tree)
        nodes = (latest.document.trailer.get("Root"), *pages, *tree)
        stops = {one.number for one in nodes if isinstance(one, Reference)}
        found = graph.leading_to(latest.document, redefined, stops=stops)
        if any(node.reference is None or node.reference.number in redefined for node in latest.tree):
            found |= {page.reference.number for page in latest.pages if page.reference is not None}
        return found

    def _touched(self, changed: set[int]) -> set[int]:
        """Return the pages of the latest state that show something changed; one that is no object counts as touched."""
        touched = set()
        for page in self._views[len(self._file.revisions)].pages:
            inherited = references_in(tuple(page.inherited.values()))
            held = page.reference is not None and page.reference.number not in changed
            if not held or any(reference.number in changed for reference in inherited):
                touched.add(page.number)
        return touched

    def _layers_differ(self, revision: int, changed: set[int]) -> bool:
        """Say whether a later step may have switched layers of any page."""
        then, now = (self._views[number].root.get("OCProperties") for number in (revision, len(self._file.revisions)))
        return then != now or any(reference.number in changed for reference in references_in(now))

    def _masks(self, view: View, allowed: _Allowed, changed: set[int] | None) -> Iterator[tuple[int, Box]]:
        """Yield where a state may differ: fields that were signed or filled, comments where they may come and go."""
        sheets = {page.number: sheet_of(view, page) for page in view.pages}
        anew = self._drawn_anew()
        for one in view.fields.values():
            if one.name in allowed.fields or (anew and one.kind != "Sig"):
                yield from _widgets(view, one, sheets)
        for page in view.pages:
            for item in page.annotations if page.number in allowed.pages else ():
                box = view.rectangle(view.get(item, "Rect"))
                known = isinstance(item, Reference) and changed is not None and item.number not in changed
                if box is not None and not known and view.name(view.get(item, "Subtype")) != "Widget":
                    yield page.number, sheets[page.number].box(box)

    def _drawn_anew(self) -> bool:
        """Say whether readers draw fields in one state and take their appearance in another; that was judged before."""
        asked = {view.document.resolve(view.form.get("NeedAppearances")) is True for view in self._views.values()}
        return len(asked) > 1


def _widgets(view: View, field: Field, sheets: Mapping[int, Sheet]) -> Iterator[tuple[int, Box]]:
    for widget in field.widgets:
        box = view.rectangle(widget.entries.get("Rect"))
        if box is not None:
            yield from ((page, sheets[page].box(box)) for page in widget.pages)


def sheet_of(view: View, page: Page) -> Sheet:
    """Return the geometry of a page; what makes no sense is at its default."""
    turned, unit = view.integer(page.inherited.get("Rotate")) % 360, view.number(page.entries.get("UserUnit"))
    return Sheet(*page.box, turned if turned % 90 == 0 else 0, unit if unit is not None and 0 < unit <= 75_000 else 1.0)
