"""The recovering reading: a state by a scan of the bytes, in which the last definition wins (signing.md 4.1, D2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from signer.errors import InputRefused, LimitExceeded
from signer.pdf.reading.scan import Definition, Scan, scan
from signer.pdf.reading.sections import Entry
from signer.pdf.reading.state import State, Store
from signer.pdf.values import Reference, Stream, Value


class Recovery:
    """What a scan found, made when first asked for."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._scan: Scan | None = None
        self._packed = False
        self._objects: dict[int, list[Definition]] = {}
        self.trailers: list[tuple[int, Mapping[str, Value]]] = []

    @property
    def scan(self) -> Scan:
        """The scan of the whole file."""
        if self._scan is None:
            self._scan = scan(self.store.lexer, self.store.budget)
            self._objects = {number: list(found) for number, found in self._scan.objects.items()}
            self.trailers = sorted([*self._scan.trailers, *self._trailers(self._scan)], key=lambda pair: pair[0])
        return self._scan

    def _trailers(self, scan: Scan) -> Iterator[tuple[int, Mapping[str, Value]]]:
        """Yield the dictionaries of cross-reference streams; they are never encrypted."""
        for offset, _ in scan.streams:
            try:
                value = self.store.lexer.object(offset, lambda value: value).value
            except LimitExceeded:
                raise
            except InputRefused:
                continue
            if isinstance(value, Stream) and value.dictionary.get("Type") == "XRef":
                yield offset, value.dictionary

    def definition(self, number: int, end: int) -> Definition | None:
        """Return the last definition of a number before ``end``."""
        _ = self.scan
        return next((one for one in reversed(self._objects.get(number, ())) if one.offset < end), None)

    def numbers(self) -> list[int]:
        """Return all numbers defined anywhere, in order."""
        return sorted(self._objects)

    def unpack(self, state: State) -> None:
        """Add what stands in object streams, as ``state`` decrypts them."""
        scan = self.scan
        if self._packed:
            return
        self._packed = True
        for offset, container in scan.streams:
            try:
                members = state.members(offset)
            except LimitExceeded:
                raise
            except InputRefused:
                continue
            for index, number in enumerate(members.numbers):
                self._objects.setdefault(number, []).append(Definition(offset, 0, container, index))
        for found in self._objects.values():
            found.sort(key=lambda one: (one.offset, one.index))


class RecoveredState(State):
    """The state of the bytes up to ``end`` as a reader sees it that scans for objects: the last definition wins.

    ``exact`` readers do not find an object by a reference with another generation number.
    """

    def __init__(self, recovery: Recovery, revision: int, end: int, *, exact: bool = False) -> None:
        _ = recovery.scan
        self._exact = exact
        before = [trailer for offset, trailer in recovery.trailers if offset < end]
        trailer = next((one for one in reversed(before) if "Root" in one), {})
        super().__init__(recovery.store, revision, end, trailer)
        self._recovery = recovery
        recovery.unpack(self)
        self._known.clear()
        if not super().root:
            self.trailer = {**trailer, "Root": self._catalog()}

    def _catalog(self) -> Value:
        """Find a catalog where no trailer leads to one."""
        for number in reversed(self._recovery.numbers()):
            try:
                value = self.resolve(Reference(number, 0))
            except LimitExceeded:
                raise
            except InputRefused:
                continue
            if isinstance(value, Mapping) and value.get("Type") == "Catalog":
                return Reference(number, 0)
        return None

    def entry(self, number: int) -> Entry | None:
        """Return the last definition."""
        found = self._recovery.definition(number, self.end)
        if found is None:
            return None
        if found.container is None:
            return Entry(found.offset, found.generation)
        return Entry(found.offset, container=found.container, index=found.index)

    def numbers(self) -> Iterator[int]:
        """Go through all numbers defined before the end."""
        return iter(n for n in self._recovery.numbers() if self._recovery.definition(n, self.end) is not None)

    def _touched(self) -> Iterator[int]:
        return self.numbers()

    def _fits(self, reference: Reference, entry: Entry) -> bool:
        if not self._exact or entry.container is not None:
            return True  # most mending readers look at the number alone
        return reference.generation == entry.generation

    def _container(self, entry: Entry) -> int | None:
        return entry.offset

    def _missing(self, number: int, entry: Entry) -> Value:
        return None
