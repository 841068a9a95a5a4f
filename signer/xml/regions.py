"""Which elements of a file signatures cover, without touching each of them: only what is left out is walked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lxml import etree

from signer.xml.document import Document, NodeSet


class Coverage:
    """What several node sets cover together."""

    def __init__(self, regions: Sequence[NodeSet], document: Document) -> None:
        self._root = document.root
        self._by_apex: dict[etree._Element, list[NodeSet]] = {}
        for region in dict.fromkeys(regions):
            apex = region.apex if region.apex is not None else document.root
            self._by_apex.setdefault(apex, []).append(region)

    def covers(self, element: etree._Element) -> bool:
        """Tell whether one of the node sets holds the element."""
        return bool(self._at(element))

    def uncovered(self) -> Iterator[etree._Element]:
        """Yield the elements that no node set holds, each once."""
        seen: set[etree._Element] = set()
        stack: list[tuple[etree._Element, tuple[NodeSet, ...]]] = [(self._root, ())]
        while stack:
            element, above = stack.pop()
            if element in seen:
                continue
            seen.add(element)
            here = self._entered(element, above)
            if not here:
                yield element
                stack.extend((child, ()) for child in element.iterchildren(etree.Element))
                continue
            least = min(here, key=lambda region: len(region.omit))  # all below is held, but what this one leaves out
            stack.extend((o, self._above(o)) for o in least.omit if element in o.iterancestors())

    def _entered(self, element: etree._Element, above: Sequence[NodeSet]) -> tuple[NodeSet, ...]:
        candidates = (*above, *self._by_apex.get(element, ()))
        return tuple(region for region in candidates if element not in region.omit)

    def _above(self, element: etree._Element) -> tuple[NodeSet, ...]:
        parent = element.getparent()
        return self._at(parent) if parent is not None else ()

    def _at(self, element: etree._Element) -> tuple[NodeSet, ...]:
        """Return the node sets that hold an element, from the root down."""
        held: tuple[NodeSet, ...] = ()
        for node in reversed((element, *element.iterancestors())):
            held = self._entered(node, held)
        return held
