"""Do two values mean the same, each in its own state? (signing.md 4.3: values count, not layout)

References are followed and compared by what they lead to. Pages, fields, widgets and annotations are compared once, by
those who know their rules, and here by which one they are (``Tokens``). Streams are compared by decoded octets. What
stands unchanged, with all it leads to, is skipped.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field

from signer.errors import InputRefused, LimitExceeded
from signer.pdf.comparing.graph import Meter, Source
from signer.pdf.values import Name, Reference, Stream, String, Value

PICTURES = frozenset({"DCTDecode", "DCT", "JPXDecode", "CCITTFaxDecode", "CCF", "JBIG2Decode"})
"""Filters that end the decoding (ISO 32000-1, 7.4)."""
_CODING = frozenset({"Length", "Filter", "DecodeParms", "DL"})
_PARAMETERS = frozenset({"Predictor", "Colors", "BitsPerComponent", "Columns", "EarlyChange", "Name", "Type"})


@dataclass(slots=True)
class Tokens:
    """Which page, field, widget or annotation a reference is, before and after a step: equal tokens, same thing."""

    before: dict[Reference, Hashable] = field(default_factory=dict)
    after: dict[Reference, Hashable] = field(default_factory=dict)

    def pair(self, one: Reference | None, other: Reference | None, token: Hashable) -> None:
        """Say that two references are the same thing; the first token of a reference stands."""
        if one is not None:
            self.before.setdefault(one, token)
        if other is not None:
            self.after.setdefault(other, token)

    def numbers(self) -> set[int]:
        """Return the numbers of the objects that have tokens."""
        return {reference.number for reference in (*self.before, *self.after)}

    def moved(self) -> set[int]:
        """Return the numbers that are one thing before and another thing, or nothing known, after."""
        every = {*self.before, *self.after}
        return {one.number for one in every if self.before.get(one) != self.after.get(one)}


class Equality:
    """Compares values of two neighbouring states."""

    def __init__(self, before: Source, after: Source, *, tokens: Tokens, dirty: set[int], meter: Meter) -> None:
        self.before = before
        self.after = after
        self._tokens = tokens
        self._dirty = dirty
        self._meter = meter
        self._proven: set[tuple[Reference, Reference]] = set()

    def spend(self) -> None:
        """Count a value that is compared elsewhere."""
        self._meter.spend()

    def same(self, one: Value, other: Value) -> bool:
        """Say whether a value of the state before means what a value of the state after means.

        Raises:
            InputRefused: an object cannot be read; LimitExceeded: a budget is used up.
        """
        assumed: set[tuple[Reference, Reference]] = set()
        stack: list[tuple[Value, Value]] = [(one, other)]
        while stack:
            left, right = stack.pop()
            self._meter.spend()
            if isinstance(left, Reference) or isinstance(right, Reference):
                verdict = self._by_place(left, right, assumed)
                if verdict is False:
                    return False
                if verdict is None:
                    stack.append((self.before.resolve(left), self.after.resolve(right)))
            elif not self._same_here(left, right, stack):
                return False
        self._proven |= assumed
        return True

    def _by_place(self, left: Value, right: Value, assumed: set[tuple[Reference, Reference]]) -> bool | None:
        """Decide by token, by place, or by what is being compared already; ``None`` if the values must be looked at."""
        one = self._tokens.before.get(left) if isinstance(left, Reference) else None
        other = self._tokens.after.get(right) if isinstance(right, Reference) else None
        if one is not None or other is not None:
            return one == other
        if not isinstance(left, Reference) or not isinstance(right, Reference):
            return None
        if left == right and left.number not in self._dirty:
            return True
        pair = (left, right)
        if pair in assumed or pair in self._proven:
            return True
        assumed.add(pair)
        return None

    def _same_here(self, left: Value, right: Value, stack: list[tuple[Value, Value]]) -> bool:
        """Compare two values that are no references; parts still to be compared go on the stack."""
        if isinstance(left, Stream) or isinstance(right, Stream):
            return isinstance(left, Stream) and isinstance(right, Stream) and self._same_stream(left, right, stack)
        if isinstance(left, Mapping) or isinstance(right, Mapping):
            if not isinstance(left, Mapping) or not isinstance(right, Mapping):
                return False
            stack += [(left.get(key), right.get(key)) for key in {*left, *right}]
            return True
        if isinstance(left, tuple) or isinstance(right, tuple):
            if not isinstance(left, tuple) or not isinstance(right, tuple) or len(left) != len(right):
                return False
            stack += zip(left, right, strict=True)
            return True
        return same_atom(left, right)

    def _same_stream(self, left: Stream, right: Stream, stack: list[tuple[Value, Value]]) -> bool:
        one, other = left.dictionary, right.dictionary
        coded = bool({"F", "DP"} & {*one, *other})
        skipped = frozenset({"Length", "DL"}) if coded else _CODING
        stack += [(one.get(key), other.get(key)) for key in {*one, *other} - skipped]
        if coded:
            return left.raw == right.raw
        ours, theirs = coding(self.before, left), coding(self.after, right)
        if left.raw == right.raw and ours == theirs:
            return True
        if not ours.plain or not theirs.plain or ours.picture != theirs.picture:
            return False
        self._meter.spend((len(left.raw) + len(right.raw)) // 1024)
        try:
            return self.before.decoded(left) == self.after.decoded(right)
        except LimitExceeded:
            raise
        except InputRefused:
            return False  # what cannot be decoded is the same only if it stands the same


@dataclass(frozen=True, slots=True)
class Coding:
    """How a stream is coded: all filters, those of a picture that decoding leaves, and whether parameters are plain."""

    filters: tuple[str, ...]
    parameters: tuple[tuple[tuple[str, str], ...], ...]
    picture: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    plain: bool


def coding(document: Source, stream: Stream) -> Coding:
    """Return how a stream is coded."""
    named = document.resolve(stream.dictionary.get("Filter"))
    given = document.resolve(stream.dictionary.get("DecodeParms"))
    listed = named if isinstance(named, tuple) else (named,) if named is not None else ()
    filters = tuple(str(document.resolve(one)) for one in listed)
    several = given if isinstance(given, tuple) else (given,)
    parameters, plain = [], named is not None or "Filter" not in stream.dictionary  # null: some readers decode nothing
    for position, _ in enumerate(filters):
        own = document.resolve(several[position]) if position < len(several) else None
        picture = filters[position] in PICTURES
        parameters.append(_spelled(document, own))
        plain = plain and (picture or not isinstance(own, Mapping) or _PARAMETERS.issuperset(own))
    rest = next((index for index, name in enumerate(filters) if name in PICTURES), len(filters))
    tail = tuple(zip(filters[rest:], parameters[rest:], strict=True))
    return Coding(filters, tuple(parameters), tail, plain)


def _spelled(document: Source, value: Value) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, Mapping):
        return ()
    pairs = ((key, document.resolve(one)) for key, one in value.items())
    return tuple(sorted((key, _spelling(one)) for key, one in pairs if one is not None))


def _spelling(value: Value) -> str:
    """Return a parameter's value, the octets of a table (JBIG2) included."""
    if isinstance(value, Stream):
        return f"{value.dictionary!r} {value.raw.hex()}"
    return repr(value)


def same_atom(left: Value, right: Value) -> bool:
    """Compare numbers by value, and names, strings, truth values by kind and value."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, int | float) and isinstance(right, int | float):
        return left == right
    for kind in (Name, String):
        if isinstance(left, kind) or isinstance(right, kind):
            return isinstance(left, kind) and isinstance(right, kind) and left == right
    return left is None and right is None
