"""pyHanko's difference analysis with one leave more: objects freed without loss of meaning (signing.md 4.3).

The library calls every freed object suspect, for a reference to one becomes null. One that nothing in the signed state
leads to takes nothing away: editors that save anew free what they no longer use.
"""

from __future__ import annotations

from collections.abc import Iterable

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.reader import HistoricalResolver
from pyhanko.pdf_utils.rw_common import PdfHandler
from pyhanko.sign.diff_analysis import DEFAULT_DIFF_POLICY, ModificationLevel, StandardDiffPolicy
from pyhanko.sign.diff_analysis.rules_api import ReferenceUpdate, WhitelistRule

from signer.pdf.objects import items_of


class FreedRule(WhitelistRule):
    """Clears freed objects that the signed state does not reach."""

    def apply(self, old: HistoricalResolver, new: HistoricalResolver) -> Iterable[ReferenceUpdate]:
        """Yield what was freed in the new revision and is out of reach in the old one."""
        freed = set(new.refs_freed_in_revision())  # type: ignore[no-untyped-call]
        if freed:
            held = {ref.idnum for ref in reached(old)}  # whatever generation: readers look at the number alone
            yield from (ReferenceUpdate(ref) for ref in freed if ref.idnum not in held)


def reached(state: PdfHandler) -> frozenset[generic.Reference]:
    """Return every reference that the trailer of a state leads to, dangling ones included."""
    seen: set[generic.Reference] = set()
    stack: list[generic.PdfObject | None] = [state.trailer_view]
    while stack:
        item = stack.pop()
        if isinstance(item, generic.IndirectObject):
            if item.reference in seen:
                continue
            seen.add(item.reference)
            item = state.get_object(item.reference)
        if isinstance(item, generic.DictionaryObject):
            stack += [item.raw_get(key) for key in item]
        elif isinstance(item, generic.ArrayObject):
            stack += items_of(item)
    return frozenset(seen)


POLICY = StandardDiffPolicy(
    [*DEFAULT_DIFF_POLICY.global_rules, FreedRule().as_qualified(ModificationLevel.LTA_UPDATES)],
    DEFAULT_DIFF_POLICY.form_rule,
    reject_object_freeing=False,
)
