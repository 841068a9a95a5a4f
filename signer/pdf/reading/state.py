"""One state of a file, strict or recovered: the ``Document`` of ``signer.pdf.values`` (signing.md 4.1, D1, D2)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from signer.errors import InputRefused, LimitExceeded
from signer.pdf.reading.budget import Budget, damaged
from signer.pdf.reading.crypt import Crypt, open_crypt
from signer.pdf.reading.filters import decode
from signer.pdf.reading.lexer import Lexer, Parsed
from signer.pdf.reading.mentions import Mentions
from signer.pdf.reading.sections import FREE, Entry, decoded_at_all, filters_of
from signer.pdf.values import Origin, Reference, Stream, String, Value

HOPS_MAX = 64
"""References that lead to a reference; ISO 32000 knows none at all."""
MEMBERS_MAX = 500_000


@dataclass(frozen=True, slots=True)
class Members:
    """A decoded object stream: which numbers it holds, and where each value begins."""

    numbers: tuple[int, ...]
    starts: tuple[int, ...]
    lexer: Lexer


@dataclass(slots=True)
class Store:
    """What was read of one file in one way of reading, shared by all its states."""

    lexer: Lexer
    budget: Budget
    faults: list[str] = field(default_factory=list)
    objects: dict[tuple[int, ...], Parsed] = field(default_factory=dict)
    members: dict[int, Members] = field(default_factory=dict)
    values: dict[tuple[int, int], Value] = field(default_factory=dict)  # (offset of the stream, index)
    loading: set[int] = field(default_factory=set)
    unreadable: bool = False  # an object that was asked for could not be read
    crypts: dict[object, Crypt | None] = field(default_factory=dict)
    mentions: Mentions | None = None


class State(ABC):
    """What a reader gets from the bytes up to ``end``."""

    def __init__(self, store: Store, revision: int, end: int, trailer: Mapping[str, Value]) -> None:
        self.revision = revision
        self.end = end
        self.eof = end
        self.trailer = trailer
        self.before: State | None = None  # the state before this one
        self._store = store
        self._known: dict[int, Entry] = {}
        self._crypt: Crypt | None = None
        self._crypt_known = "Encrypt" not in trailer

    @abstractmethod
    def entry(self, number: int) -> Entry | None:
        """Return where the definition in force of a number stands, or ``None`` if it never had any."""

    @abstractmethod
    def numbers(self) -> Iterator[int]:
        """Go through all numbers that are or were in use, in order."""

    @abstractmethod
    def _missing(self, number: int, entry: Entry) -> Value:
        """Answer for an object that does not stand where it should."""

    def _literally(self, number: int) -> bool:
        """Say whether a row must be taken as it stands: nothing is looked for elsewhere."""
        return False

    @abstractmethod
    def _container(self, entry: Entry) -> int | None:
        """Return the offset of the object stream an entry names."""

    @property
    def root(self) -> Mapping[str, Value]:
        """The catalog; empty if there is none."""
        value = self.resolve(self.trailer.get("Root"))
        return value if isinstance(value, Mapping) else {}

    @property
    def crypt(self) -> Crypt | None:
        """How strings and streams are encrypted, if they are.

        Raises:
            InputRefused: a password is needed.
        """
        if not self._crypt_known:
            self._crypt_known = True  # the dictionary itself is never encrypted
            self._crypt = self._opened()
        return self._crypt

    def _opened(self) -> Crypt | None:
        encrypt = self.resolve(self.trailer.get("Encrypt"))
        if not isinstance(encrypt, Mapping):
            return None
        plain = {key: self.resolve(value) for key, value in encrypt.items()}
        ids = self.resolve(self.trailer.get("ID"))
        first = self.resolve(ids[0]) if isinstance(ids, tuple) and ids else b""
        key = (str(sorted(plain.items(), key=lambda item: item[0])), first)
        if key not in self._store.crypts:
            self._store.crypts[key] = open_crypt(plain, bytes(first) if isinstance(first, String) else b"")
        return self._store.crypts[key]

    def resolve(self, value: Value) -> Value:
        """Follow references; a dangling one is ``None``."""
        for _ in range(HOPS_MAX):
            if not isinstance(value, Reference):
                return value
            value = self.fetch(value)
        raise damaged("references in a circle")

    def fetch(self, reference: Reference) -> Value:
        """Return an object as it stands, not followed if it is a reference itself; ``None`` if free or undefined.

        Raises:
            InputRefused: it cannot be parsed; LimitExceeded: a budget is used up.
        """
        entry = self._entry(reference.number)
        if entry.free:
            return None
        if not self._fits(reference, entry):
            return None
        try:
            if entry.container is None:
                return self._object(reference.number, entry)
            return self._member(reference.number, entry)
        except InputRefused:
            self._store.unreadable = True
            raise

    def _entry(self, number: int) -> Entry:
        found = self._known.get(number)
        if found is None:
            found = self._known[number] = self.entry(number) or FREE
        return found

    def _fits(self, reference: Reference, entry: Entry) -> bool:
        """Say whether the generation is the right one; readers do not agree on what to do if it is not."""
        if reference.generation == (0 if entry.container is not None else entry.generation):
            return True
        self._store.faults.append("generation")
        return False

    def _object(self, number: int, entry: Entry) -> Value:
        assert entry.offset is not None
        crypt, offset = self.crypt, entry.offset
        found = self._store.objects.get((offset, id(crypt)))
        if found is None:
            head = self._store.lexer.header(offset)
            if head is None or head[0] != number:
                return self._missing(number, entry)
            found = self.at(offset)
        elif found.number != number:
            return self._missing(number, entry)
        if found.generation != entry.generation:
            self._store.faults.append("object header")
            if self._literally(number):
                return None
        return found.value

    def at(self, offset: int) -> Parsed:
        """Return the object that stands at an offset, as this state reads it.

        Raises:
            InputRefused: it cannot be read.
        """
        store, crypt = self._store, self.crypt
        for key in ((offset, id(crypt)), (offset, id(crypt), self.revision)):
            if key in store.objects:
                return store.objects[key]
        if offset in store.loading:
            raise damaged("stream length in a circle")
        store.loading.add(offset)
        try:
            store.budget.load()
            found = store.lexer.object(offset, self.resolve, crypt.of_strings if crypt else None)
        finally:
            store.loading.discard(offset)
        own, value = False, found.value
        if isinstance(value, Stream):
            own = isinstance(value.dictionary.get("Length"), Reference)  # it may be another in another state
            found = self._decrypted(found, value)
        store.objects[(offset, id(crypt), self.revision) if own else (offset, id(crypt))] = found
        return found

    def _decrypted(self, found: Parsed, stream: Stream) -> Parsed:
        crypt = self.crypt
        how = crypt.of_stream(found.number, found.generation, stream.dictionary) if crypt else None
        if how is None:
            return found
        return Parsed(
            found.number, found.generation, Stream(stream.dictionary, how(stream.raw)), found.start, found.end
        )

    def _member(self, number: int, entry: Entry) -> Value:
        offset = self._container(entry)
        if offset is None:
            return self._missing(number, entry)
        members = self.members(offset)
        index = entry.index
        if index >= len(members.numbers) or members.numbers[index] != number:
            if number not in members.numbers:
                return self._missing(number, entry)
            self._store.faults.append("object stream")
            if self._literally(number):
                return None
            index = members.numbers.index(number)
        key = (offset, index)
        if key not in self._store.values:
            self._store.budget.load()
            self._store.values[key] = members.lexer.value(members.starts[index])[0]
        return self._store.values[key]

    def members(self, offset: int) -> Members:
        """Return what the object stream at an offset holds.

        Raises:
            InputRefused: there is none that can be read.
        """
        if offset not in self._store.members:
            self._store.members[offset] = self._read_members(offset)
        return self._store.members[offset]

    def _read_members(self, offset: int) -> Members:
        stream = self.at(offset).value
        if not isinstance(stream, Stream) or stream.dictionary.get("Type") != "ObjStm":
            raise damaged("object stream")
        count, first = (self.resolve(stream.dictionary.get(key)) for key in ("N", "First"))
        if not isinstance(count, int) or not isinstance(first, int) or not 0 <= count <= MEMBERS_MAX or first < 0:
            raise damaged("object stream")
        (data, exact), above = decoded_at_all(stream, self.resolve, self._store.budget), self._store.lexer
        if not exact:
            above.odd("damaged object stream", offset)
        words = data[:first].split()[: 2 * count]
        if len(words) < 2 * count or not all(word.isdigit() and len(word) < 11 for word in words):
            raise damaged("object stream")
        numbers = tuple(int(word) for word in words[::2])
        if len(set(numbers)) < len(numbers):
            above.odd("object stream holds a number twice", offset)
        starts = tuple(first + int(word) for word in words[1::2])
        return Members(
            numbers, starts, Lexer(data, above.nesting, above.first_wins, above.oddities, offset, above.names)
        )

    def decoded(self, stream: Stream) -> bytes:
        """Return the octets of a stream after its filters; picture filters end the decoding."""
        return decode(stream.raw, filters_of(stream.dictionary, self.resolve), self._store.budget)

    def origin(self, reference: Reference) -> Origin | None:
        """Say where the definition in force stands; ``None`` if it is free or undefined."""
        entry = self._entry(reference.number)
        if entry.free:
            return None
        offset = entry.offset if entry.container is None else self._container(entry)
        return None if offset is None else Origin(self.revision_of(offset), offset, entry.container)

    def revision_of(self, offset: int) -> int:
        """Return the revision an offset belongs to."""
        return self.revision

    @abstractmethod
    def _touched(self) -> Iterator[int]:
        """Go through the numbers whose definition may differ from the state before."""

    def redefined(self) -> frozenset[Reference]:
        """Return what this revision defined, replaced or freed: all whose origin is not that of the state before."""
        if self.before is None:
            return frozenset(self.references())
        changed = {number for number in self._touched() if self._origin(number) != self.before._origin(number)}
        if changed & self._former_containers():  # what they hold moves with them
            moved = {n for n in self.numbers() if self._entry(n).container in changed}
            changed |= {number for number in moved if self._origin(number) != self.before._origin(number)}
        return frozenset(self.reference(number) for number in changed)

    def holders(self, numbers: Iterable[int]) -> frozenset[int] | None:
        """Return the numbers of all objects that refer to one of these, or more; ``None`` if only a walk can tell."""
        return self._store.mentions.holders(self, numbers) if self._store.mentions is not None else None

    def words_before(self, numbers: Iterable[int]) -> frozenset[bytes] | None:
        """Return the words right before references to one of these, or more; ``None`` if only a walk can tell."""
        try:
            return self._store.mentions.words_before(self, numbers) if self._store.mentions is not None else None
        except LimitExceeded:
            raise
        except InputRefused:
            return None

    def _origin(self, number: int) -> tuple[int | None, int | None, int, int]:
        entry = self._entry(number)
        offset = entry.offset if entry.container is None else self._container(entry)
        return offset, entry.container, entry.generation, entry.index

    def _former_containers(self) -> set[int]:
        """Return the numbers of the object streams that rows older than this revision name, or more."""
        return set(self.numbers())

    def reference(self, number: int) -> Reference:
        """Return the reference by which the definition in force of a number, or the last one, is reached."""
        entry = self._entry(number)
        if entry.free and self.before is not None:
            entry = self.before._entry(number)
        return Reference(number, 0 if entry.container is not None else entry.generation)

    def references(self) -> Iterator[Reference]:
        """Go through the references of all objects in use, in the order of their numbers."""
        for number in self.numbers():
            entry = self._entry(number)
            if not entry.free:
                yield Reference(number, 0 if entry.container is not None else entry.generation)
