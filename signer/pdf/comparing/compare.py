"""The entry of the comparison: each step once, its result for every signature made before it (signing.md 4.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from signer.errors import InputRefused, LimitExceeded
from signer.pdf.comparing.annotations import compare_annotations
from signer.pdf.comparing.catalog import compare_catalog
from signer.pdf.comparing.fields import compare_fields
from signer.pdf.comparing.filling import is_blank
from signer.pdf.comparing.form import compare_form
from signer.pdf.comparing.graph import Graph, Meter, Source, references_in
from signer.pdf.comparing.pages import compare_pages
from signer.pdf.comparing.permissions import InForce, Written, in_force, written
from signer.pdf.comparing.step import Found, Need, Step
from signer.pdf.comparing.structure import grows_for_widgets
from signer.pdf.comparing.twofold import compare_roles
from signer.pdf.comparing.view import Field, View
from signer.report import Change, Code, Integrity, LaterChanges, Reason
from signer.trust import Limits

REASONS_MAX = 5
"""Suspect changes that a signature's reasons name; ``changes`` has them all."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A signature as reading, mathematics and coverage found it."""

    field: str  # full name
    revision: int  # number of the state that is signed, 1 = first
    integrity: Integrity  # by mathematics and coverage alone
    timestamp: bool = False  # its CMS holds a time stamp


@dataclass(frozen=True, slots=True)
class Later:
    """What later changes mean for one signature; ``integrity`` is intact unless they decide otherwise."""

    integrity: Integrity = Integrity.INTACT
    later_changes: LaterChanges = LaterChanges.NONE
    changes: tuple[Change, ...] = ()
    reasons: tuple[Reason, ...] = ()
    warnings: tuple[Reason, ...] = ()


def compare(revisions: Sequence[Source], signatures: Sequence[Signed], *, limits: Limits) -> tuple[Later, ...]:
    """Compare neighbouring revisions and say for each signature, in order, what came after it.

    Never raises for what a file holds: what cannot be compared is suspect, what passes a budget unknown.
    """
    if not signatures:
        return ()
    comparison = _Comparison(revisions, signatures, Meter(limits.pdf_values))
    return tuple(comparison.after(one) for one in signatures)


@dataclass(frozen=True, slots=True)
class _Result:
    """What a step showed: changes with what was in force, or why it could not be compared."""

    revision: int
    found: tuple[Found, ...] = ()
    permission: InForce = field(default_factory=InForce)
    earlier: int = 0  # signatures made before it
    fault: str | None = None
    limit: str | None = None
    lost: bool = False


class _Comparison:
    """All steps of one file."""

    def __init__(self, revisions: Sequence[Source], signatures: Sequence[Signed], meter: Meter) -> None:
        self._signatures = signatures
        self._meter = meter
        self._views = {document.revision: View(document, meter) for document in revisions}
        self._written: dict[int, Written] = {}
        self._told: dict[tuple[int, Found], Change] = {}
        self._order = sorted(self._views)
        self._results = self._compared()

    def _compared(self) -> list[_Result]:
        """Compare every step behind the first signature."""
        first = min(one.revision for one in self._signatures)
        numbers = [number for number in self._order if number >= first]
        graph = Graph()
        results: list[_Result] = []
        for before, after in pairwise(numbers):
            try:
                results.append(self._step(graph, before, after, fresh=not results))
            except LimitExceeded as error:
                limit = str(error.facts.get("limit", "-"))
                results += [_Result(number, limit=limit) for number in numbers if number >= after]
                break
            except InputRefused as error:
                results.append(_Result(after, fault=str(error.facts.get("where", "-")), earlier=self._earlier(after)))
        return results

    def _step(self, graph: Graph, before: int, after: int, *, fresh: bool) -> _Result:
        one, other = self._views[before], self._views[after]
        if fresh:
            graph.add(one.document, references_in(one.document.trailer))
        changed = list(other.document.redefined())
        signed = self._signed_in(after)
        step = Step(one, other, graph=graph, changed=changed, signed=signed, meter=self._meter)
        equal = step.compared()
        compare_catalog(step, equal, grows_for_widgets)
        compare_pages(step, equal)
        compare_annotations(step, equal)
        compare_fields(step, equal)
        compare_form(step, equal)
        graph.add(other.document, changed)
        compare_roles(step, graph)
        if not step.found:
            step.add("rewrite", Need.NOTHING, key=str(len(changed)))
        return _Result(
            after,
            tuple(step.found),
            self._permission(before),
            self._earlier(after),
            lost=step.lost_validation_data,
        )

    def _signed_in(self, revision: int) -> dict[str, bool]:
        """Return the fields whose intact signature covers a state from this one on, and whether it is a time stamp."""
        return {
            one.field: one.timestamp
            for one in self._signatures
            if one.integrity is Integrity.INTACT and one.revision >= revision
        }

    def _earlier(self, revision: int) -> int:
        return len({(one.field, one.revision) for one in self._signatures if one.revision < revision})

    def _permission(self, revision: int) -> InForce:
        """Return what all signers up to a state have written."""
        first = min(one.revision for one in self._signatures)
        for index, one in enumerate(self._signatures):
            if one.revision > revision or index in self._written:
                continue
            view = self._views.get(one.revision)
            held = view.fields.get((one.field, 0)) if view else None
            if view is not None and held is not None:
                self._written[index] = written(view, held, first=one.revision == first)
        return in_force([self._written[index] for index in sorted(self._written)])

    def after(self, one: Signed) -> Later:
        """Say what came after a signature."""
        later = [result for result in self._results if result.revision > one.revision]
        if not later:
            return Later()
        changes = tuple(change for result in later for change in self._changes(one, result))
        warnings = (Reason(Code.VALIDATION_DATA_LOST),) if any(result.lost for result in later) else ()
        suspect = [change for change in changes if not change.allowed]
        limit = next((result.limit for result in later if result.limit is not None), None)
        if suspect:
            reasons = tuple(map(_reason, suspect[:REASONS_MAX]))
            return Later(
                Integrity.BROKEN, LaterChanges.SUSPECT, changes, (Reason(Code.FORMAT_FAILURE), *reasons), warnings
            )
        if limit is not None:
            over = (Reason(Code.CRYPTO_CONSTRAINTS_FAILURE), Reason(Code.LIMIT_EXCEEDED, {"limit": limit}))
            return Later(Integrity.UNKNOWN, LaterChanges.SUSPECT, changes, over, warnings)
        return Later(Integrity.INTACT, LaterChanges.ALLOWED, changes, (), warnings)

    def _changes(self, one: Signed, result: _Result) -> list[Change]:
        if result.fault is not None:
            facts = {"change": "other", "key": result.fault, "after": str(result.earlier)}
            return [Change(result.revision, "other", False, facts)]
        return [self._change(one, result, found) for found in result.found]

    def _change(self, one: Signed, result: _Result, found: Found) -> Change:
        if found.refill is not None and self._blank_when_signed(one, found.refill):
            found = replace(found, kind="form-fill", need=Need.NO_LOCK)
        key = (result.revision, found)
        if key not in self._told:
            self._told[key] = _told(result, found)
        return self._told[key]

    def _blank_when_signed(self, one: Signed, key: tuple[str, int]) -> bool:
        view = self._views.get(one.revision)
        try:
            held: Field | None = view.fields.get(key) if view else None
            return view is not None and held is not None and is_blank(view, held)
        except InputRefused:
            return False


def _told(result: _Result, found: Found) -> Change:
    """Return a change as it is reported: allowed or not by what was in force, and what its text names."""
    permitted = _permitted(found, result.permission)
    facts = {"change": found.kind, "after": str(result.earlier)}
    for key, value in (("field", found.field), ("page", found.page), ("key", found.key)):
        if value is not None:
            facts[key] = str(value)
    if not permitted and _permitted(found, InForce()):
        facts["permission"] = "violated"
    return Change(result.revision, found.kind, permitted, facts)


def _permitted(found: Found, permission: InForce) -> bool:
    """Decide by the table of signing.md 4.3, column *allowed*."""
    free = not permission.forbids_all and not permission.locked(found.field)
    return {
        Need.NOTHING: True,
        Need.NO_LOCK: free,
        Need.WRITTEN: free and permission.fields_may_change,
        Need.COMMENTS: permission.comments,
        Need.FORBIDDEN: False,
    }[found.need]


def _reason(change: Change) -> Reason:
    code = Code.PERMISSION_VIOLATED if "permission" in change.facts else Code.LATER_CHANGE_SUSPECT
    return Reason(code, change.facts)
