"""Which objects lead to what a step changed: so that all others are skipped by where they stand (signing.md 4.3).

Two references to the same number mean the same if neither that object nor anything it leads to was redefined. The links
of an object are read once per file, however many steps there are. Numbers are looked at without their generation, and
links of former definitions stay: both can only make more be compared, never less.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from signer.errors import InputRefused, LimitExceeded
from signer.pdf.values import Document, Origin, Reference, Stream, Value

LEVELS_MAX = 6
"""How often the bytes are looked through before all objects are walked."""


class Source(Document, Protocol):
    """A state of a file that also tells what it redefined."""

    def fetch(self, reference: Reference) -> Value:
        """Return the object as it stands, a reference not followed on; ``None`` if it is free or undefined."""
        ...

    def redefined(self) -> Iterable[Reference]:
        """Go through the references whose definition differs from the state before: new, replaced or freed."""
        ...

    def reference(self, number: int) -> Reference:
        """Return the reference by which the definition in force of a number, or the last one, is reached."""
        ...

    def holders(self, numbers: Iterable[int]) -> frozenset[int] | None:
        """Return the numbers of all objects that refer to one of these, or more; ``None`` if only a walk can tell."""
        ...

    def words_before(self, numbers: Iterable[int]) -> frozenset[bytes] | None:
        """Return the words right before references to one of these, or more; ``None`` if only a walk can tell."""
        ...


class Meter:
    """Counts the values compared in one file."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0

    def spend(self, count: int = 1) -> None:
        """Count values.

        Raises:
            LimitExceeded: there were too many.
        """
        self.used += count
        if self.used > self.limit:
            raise LimitExceeded(
                "EDOC-PDF-002", "over the limit pdf_values", limit="pdf_values", value=self.used, unit="value"
            )


class Graph:
    """The links of all objects, backwards: asked of the bytes while few objects changed, else read by a walk."""

    def __init__(self) -> None:
        self._sources: dict[int, set[int]] = {}
        self._known: set[tuple[int, Origin | None]] = set()
        self._pending: list[tuple[Source, tuple[Reference, ...]]] = []

    def add(self, document: Source, references: Iterable[Reference]) -> None:
        """Tell of a state and what it redefined; of the first state, what its trailer leads to."""
        self._pending.append((document, tuple(references)))

    def leading_to(self, document: Source, changed: Iterable[int], *, stops: frozenset[int] | set[int]) -> set[int]:
        """Return the numbers of all objects of a state that lead to a changed one without passing one of ``stops``."""
        asked = _asked(document, changed, stops)
        if asked is not None:
            return asked
        self._walk()
        found = set(changed)
        stack = [number for number in found if number not in stops]
        while stack:
            for source in self._sources.get(stack.pop(), ()):
                if source not in found:
                    found.add(source)
                    if source not in stops:
                        stack.append(source)
        return found

    def holding(self, document: Source, numbers: Iterable[int]) -> set[int]:
        """Return the numbers of all objects of a state that refer to one of these."""
        wanted = frozenset(numbers)
        asked = document.holders(wanted)
        if asked is not None:
            return set(asked)
        self._walk()
        return {source for number in wanted for source in self._sources.get(number, ())}

    def _walk(self) -> None:
        """Read the links of all states told of that were not read yet."""
        for former, references in self._pending:
            self.include(former, references)
        self._pending.clear()

    def include(self, document: Source, roots: Iterable[Reference]) -> None:
        """Read the links of these objects, and of everything they lead to as far as not known."""
        stack: list[Reference] = []
        for reference in roots:
            self._read(document, reference, stack)
        while stack:
            reference = stack.pop()
            if (reference.number, document.origin(reference)) not in self._known:
                self._read(document, reference, stack)

    def _read(self, document: Source, reference: Reference, stack: list[Reference]) -> None:
        self._known.add((reference.number, document.origin(reference)))
        for target in references_in(_fetched(document, reference)):
            self._sources.setdefault(target.number, set()).add(reference.number)
            stack.append(target)


def _asked(document: Source, changed: Iterable[int], stops: frozenset[int] | set[int]) -> set[int] | None:
    """Return what leads to a changed object as the bytes tell it, or ``None`` if they do not."""
    found = set(changed)
    front = frozenset(found - stops)
    for _ in range(LEVELS_MAX):
        if not front:
            return found
        holders = document.holders(front)
        if holders is None:
            return None
        front = holders - found - stops
        found |= holders
    return None


def _fetched(document: Source, reference: Reference) -> Value:
    """Return an object; one that cannot be parsed leads nowhere."""
    try:
        return document.fetch(reference)
    except LimitExceeded:
        raise
    except InputRefused:
        return None


def references_in(value: Value) -> Iterator[Reference]:
    """Go through the references a value holds, not followed."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, Reference):
            yield item
        elif isinstance(item, tuple):
            stack += item
        elif isinstance(item, Mapping):
            stack += item.values()
        elif isinstance(item, Stream):
            stack += item.dictionary.values()
