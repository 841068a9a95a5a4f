"""A PDF file as it is read for checking: its updates, its latest state, and the second reading (signing.md 4.1).

The bytes are never copied and never mended. If the chain of cross-references cannot be followed, the states are those
of the recovering reading, and ``damaged`` says so.
"""

from __future__ import annotations

import re
from functools import cached_property
from itertools import pairwise

from signer.errors import InputRefused, LimitExceeded
from signer.pdf.reading.budget import Budget, damaged, over
from signer.pdf.reading.chain import Update, read_chain
from signer.pdf.reading.lexer import Lexer
from signer.pdf.reading.mentions import Mentions
from signer.pdf.reading.recovery import RecoveredState, Recovery
from signer.pdf.reading.state import State, Store
from signer.pdf.reading.strict import StrictState
from signer.trust import Limits

HEADER_MAX = 1024
"""Bytes that may stand before ``%PDF-`` (ISO 32000-1, annex H)."""
_HEADER = re.compile(rb"%PDF-(\d\.\d)?")


class PdfFile:
    """A file, opened for reading. ``revisions`` are the complete updates, the first is number 1.

    Raises:
        InputRefused: empty, no PDF, no objects in it; LimitExceeded: too large, too many updates or objects.
    """

    def __init__(self, data: bytes, *, limits: Limits | None = None) -> None:
        self.data = data
        self.limits = limits or Limits()
        self.header, self.version = self._begin()
        strict = Store(Lexer(data, self.limits.pdf_nesting), Budget(self.limits))
        mending = Store(Lexer(data, self.limits.pdf_nesting, first_wins=True), Budget(self.limits))
        self._store, self._recovery = strict, Recovery(mending)
        self.broken_chain = False
        self.chained: State | None = None  # what the chain leads to, where it passes signed states by
        self.updates: tuple[Update, ...] = ()
        try:
            self.updates = read_chain(strict.lexer, self.header, strict.budget, strict.faults)
            self.revisions: tuple[State, ...] = tuple(
                StrictState(strict, self.updates[:number], self._recovery) for number in range(1, len(self.updates) + 1)
            )
            self._link()
            strict.mentions = Mentions(data, [one for update in self.updates for one in update.sections])
            if not self.latest.root:
                raise damaged("catalog")
        except LimitExceeded:
            raise
        except InputRefused as error:
            if error.code == "EDOC-PDF-004":
                raise
            self._recover(str(error.facts.get("where", "-")))

    def _begin(self) -> tuple[int, str | None]:
        if not self.data:
            raise InputRefused("EDOC-PDF-003", "the file is empty")
        if len(self.data) > self.limits.pdf_max_bytes:
            over("pdf_max_bytes", len(self.data), "byte")
        match = _HEADER.search(self.data, 0, HEADER_MAX + 8)
        if match is None:
            begins = self.data[:8].decode("ascii", "replace")
            raise InputRefused("EDOC-PDF-001", "not a PDF", begins=begins)
        return match.start(), match[1].decode("ascii") if match[1] else None

    def _recover(self, fault: str) -> None:
        """Take the recovering reading, for there is no other."""
        self.broken_chain, self.updates = True, ()
        self._store.faults.append(fault)
        ends = [end for end in self._recovery.scan.ends if end <= len(self.data)]
        if len(ends) > self.limits.pdf_revisions:
            over("pdf_revisions", len(ends), "revision")
        last = ends[-1] if ends else 0
        if self.structure_behind(last) is not None:
            ends.append(len(self.data))
        states = [RecoveredState(self._recovery, number, end) for number, end in enumerate(ends, 1)]
        begin = next((number for number, state in enumerate(states) if state.root), None)
        if begin is None:
            raise damaged(fault)
        whole = states[begin:]  # a later one without a catalog took it away: that is a change, not a gap
        for number, state in enumerate(whole, 1):
            state.revision = number
        self.revisions = tuple(whole)
        self._link()

    def _link(self) -> None:
        for before, state in pairwise(self.revisions):
            state.before = before

    def find_hidden(self) -> bool:
        """Look for complete updates that the chain does not lead to; if there are any, read by recovery from now on.

        Raises:
            InputRefused: nothing can be recovered; LimitExceeded: a budget is used up.
        """
        if self.broken_chain:
            return False
        known = {update.eof for update in self.updates}
        if not any(end < self.latest.eof and end not in known for end in self._recovery.scan.ends):
            return False
        self.chained = self.latest
        self._recover("/Prev")
        return True

    @property
    def latest(self) -> State:
        """The state after the last update."""
        return self.revisions[-1]

    @property
    def hybrid(self) -> bool:
        """Say whether old readers do not see all objects (``/XRefStm``)."""
        return any(section.hidden for update in self.updates for section in update.sections)

    @property
    def faults(self) -> tuple[str, ...]:
        """What is damaged or inconsistent, as far as the file has been read by now."""
        return tuple(dict.fromkeys(self._store.faults))

    @property
    def oddities(self) -> tuple[tuple[str, int], ...]:
        """What can be read in more than one way and where it stands, as far as the file has been read by now."""
        lexer = self._recovery.store.lexer if self.broken_chain else self._store.lexer
        return tuple(dict.fromkeys(lexer.oddities))

    @property
    def unreadable(self) -> bool:
        """Say whether an object that was asked for by now could not be read."""
        return self._store.unreadable

    @property
    def damaged(self) -> bool:
        """Say whether the strict reading has met a fault by now."""
        return bool(self._store.faults)

    def recovered(self, end: int | None = None) -> State:
        """Return the recovering reading of the bytes up to ``end`` (all of them): the last definition wins.

        Raises:
            InputRefused: nothing can be recovered; LimitExceeded: a budget is used up.
        """
        if end is None:
            return self._recovered
        return RecoveredState(self._recovery, len(self.revisions), end)

    def with_generations(self, state: State) -> State:
        """Return a recovered state as readers see it that do not pass over wrong generation numbers."""
        return RecoveredState(self._recovery, state.revision, state.end, exact=True)

    @cached_property
    def _recovered(self) -> State:
        return RecoveredState(self._recovery, len(self.revisions), len(self.data))

    def as_old_readers(self) -> State:
        """Return the latest state as readers see it that do not know ``/XRefStm``."""
        return StrictState(self._store, self.updates, self._recovery, old=True) if self.updates else self.latest

    def taken_literally(self, start: int) -> State:
        """Return the latest state as readers see it that mend nothing of the updates behind ``start``."""
        return StrictState(self._store, self.updates, self._recovery, literal=start) if self.updates else self.latest

    @property
    def budget(self) -> Budget:
        """What reading may still cost."""
        return self._store.budget

    def offsets(self, number: int) -> frozenset[int]:
        """Return every offset at which some section says that an object stands, and of sections that are objects."""
        found = set[int]()
        for section in (section for update in self.updates for section in update.sections):
            for one in (section, section.hidden):
                entry = one.entry(number) if one else None
                if entry is not None and entry.offset is not None:
                    found.add(entry.offset)
                if one is not None and one.stream == number:
                    found.add(one.offset)
        return frozenset(found)

    def structure_behind(self, start: int) -> int | None:
        """Return where behind ``start`` something stands that a reader could take for part of an update."""
        match = _STRUCTURE.search(self.data, start)
        return match.start() if match else None


_STRUCTURE = re.compile(rb"\bobj\b|\bxref\b|\btrailer\b|startxref")
