"""The strict reading: a state by the chain of cross-references (signing.md 4.1, D2)."""

from __future__ import annotations

from collections.abc import Iterator

from signer.pdf.reading.chain import Update
from signer.pdf.reading.recovery import Recovery
from signer.pdf.reading.sections import Entry
from signer.pdf.reading.state import State, Store
from signer.pdf.values import Value


class StrictState(State):
    """The state after one update, by the chain of cross-references.

    ``old`` readers do not look into ``/XRefStm``. Rows of sections from the offset ``literal`` on are taken as they
    stand: an object that is not where they say is none.
    """

    def __init__(
        self,
        store: Store,
        updates: tuple[Update, ...],
        scanned: Recovery,
        *,
        old: bool = False,
        literal: int | None = None,
    ) -> None:
        last = updates[-1]
        super().__init__(store, len(updates), last.end, last.sections[0].trailer)
        self.eof = last.eof
        self.startxref = last.startxref
        self.base = last.sections[0].base
        self._ends = [update.end for update in updates]
        self._sections = tuple(section for update in reversed(updates) for section in update.sections)
        self._newest = last.sections
        self._scanned = scanned
        self._old = old
        self._literal = literal

    def entry(self, number: int) -> Entry | None:
        """Return the row of the newest section that has one."""
        hidden = not self._old
        for section in self._sections:
            found = section.entry(number, hidden=hidden)
            if found is not None:
                return found
        return None

    def _literally(self, number: int) -> bool:
        if self._literal is None:
            return False
        holders = (one for one in self._sections if one.entry(number, hidden=not self._old) is not None)
        holder = next(holders, None)
        return holder is not None and holder.offset >= self._literal

    def rows(self, number: int) -> int:
        """Return how many sections say where an object of this number stands."""
        rows = (section.entry(number) for section in self._sections)
        return sum(row is not None and not row.free for row in rows)

    def numbers(self) -> Iterator[int]:
        """Go through all numbers that have a row."""
        found: set[int] = set()
        for section in self._sections:
            found.update(section.numbers())
        return iter(sorted(found))

    def _former_containers(self) -> set[int]:
        older = self._sections[len(self._newest) :]
        return self._store.mentions.containers(older) if self._store.mentions else super()._former_containers()

    def _touched(self) -> Iterator[int]:
        found = {number for section in self._newest for number in section.numbers()}
        return iter(sorted(found))

    def _container(self, entry: Entry) -> int | None:
        assert entry.container is not None
        stream = self._entry(entry.container)
        if stream.offset is None:
            return None
        head = self._store.lexer.header(stream.offset)
        if head is not None and head[0] == entry.container:
            return stream.offset
        self._store.faults.append("offset")
        found = self._scanned.definition(entry.container, self.end)
        return found.offset if found is not None and found.container is None else None

    def _missing(self, number: int, entry: Entry) -> Value:
        """An offset that is wrong: readers look for the object, and so does this one, but it says so."""
        self._store.faults.append("offset")
        if self._literally(number):
            return None
        found = self._scanned.definition(number, self.end)
        return None if found is None or found.container is not None else self.at(found.offset).value

    def revision_of(self, offset: int) -> int:
        """Return the update whose bytes an offset lies in."""
        return next((number for number, end in enumerate(self._ends, 1) if offset < end), self.revision)
