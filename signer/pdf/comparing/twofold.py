"""Is something at the same time part of the frame and drawn with? (signing.md 4.3, ``page``; G5)

Catalog, form, pages, fields and annotations are compared once, by rules of their own that let some entries change: the
metadata of the catalog, the page a widget names. None of them is ever a dictionary of resources or appearances; one
that is would let what is drawn change by those rules.
"""

from __future__ import annotations

from collections.abc import Mapping

from signer.errors import InputRefused, LimitExceeded
from signer.pdf.comparing.graph import Graph, Source
from signer.pdf.comparing.step import Need, Step
from signer.pdf.values import Reference, Stream, Value

_DRAWING = frozenset(
    {"Resources", "Font", "XObject", "ExtGState", "ColorSpace", "Pattern", "Shading", "Properties", "CharProcs", "DR"}
    | {"AP", "N", "R"}
)
"""Keys whose values are dictionaries with names of anybody's choice, by which is drawn."""


def compare_roles(step: Step, graph: Graph) -> None:
    """Note if a changed part of the frame is drawn with. The links of the state after the step must be known."""
    document = step.after.document
    front = step.tokens.numbers() & step.dirty
    words = document.words_before(front)
    if words is not None and not any(map(_may_lead, words)):
        return
    seen: set[int] = set()
    while front:
        seen |= front
        others: set[int] = set()
        for number in graph.holding(document, front):
            value = _fetched(document, number)
            if isinstance(value, Reference) and value.number in front:
                others.add(number)  # another name of the same thing
            elif _draws_with(value, front):
                step.add("page", Need.FORBIDDEN, key="Resources")
                return
        front = others - seen


def _may_lead(word: bytes) -> bool:
    """Say whether a word before a reference may be a key by which is drawn, or begin an object that only refers."""
    return b"#" in word or word == b"obj" or word[1:].decode("latin-1") in _DRAWING


def _fetched(document: Source, number: int) -> Value:
    try:
        return document.fetch(document.reference(number))
    except LimitExceeded:
        raise
    except InputRefused:
        return None


def _draws_with(value: Value, numbers: set[int]) -> bool:
    """Say whether a value holds a reference to one of these numbers where only drawing looks for one."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, Stream):
            stack.append(dict(item.dictionary))
        elif isinstance(item, Mapping):
            for key, held in item.items():
                if key in _DRAWING and isinstance(held, Reference) and held.number in numbers:
                    return True
                stack.append(held)
        elif isinstance(item, tuple):
            stack += item
    return False
