"""The values of a PDF and what one state of a document answers: the contract between reading and comparing.

Values are plain and frozen. Names carry no slash. Reading makes them (signing.md 4.1, D1), comparison only asks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias


class Name(str):
    """A name, decoded (``#20`` is a space), without its slash."""

    __slots__ = ()


class String(bytes):
    """A string, literal or hexadecimal, decoded and decrypted to its octets."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Reference:
    """An indirect reference ``number generation R``."""

    number: int
    generation: int


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream: its dictionary and its octets as they stand in the file (decrypted, not decoded)."""

    dictionary: Mapping[str, Value]
    raw: bytes = field(repr=False)


Value: TypeAlias = (
    "bool | int | float | Name | String | Reference | tuple[Value, ...] | Mapping[str, Value] | Stream | None"
)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the definition in force stands: byte offset of ``n g obj``, or inside an object stream."""

    revision: int  # 1 = first
    offset: int  # of the object, or of the object stream that holds it
    container: int | None = None  # number of that object stream


class Document(Protocol):
    """One state of a file: what a reader gets from its bytes up to ``end``."""

    revision: int  # 1 = first
    end: int  # the bytes [0, end) make this state
    trailer: Mapping[str, Value]

    @property
    def root(self) -> Mapping[str, Value]:
        """The catalog; empty if there is none."""
        ...

    def resolve(self, value: Value) -> Value:
        """Follow references to a value that is none; a dangling one is ``None`` (ISO 32000-1, 7.3.10).

        Raises:
            InputRefused: the object cannot be parsed; LimitExceeded: a budget is used up.
        """
        ...

    def decoded(self, stream: Stream) -> bytes:
        """Return the octets of a stream after its filters; image filters (DCT, JPX, CCITT, JBIG2) end the decoding.

        Raises:
            InputRefused: a filter is unknown or its data damaged; LimitExceeded: a budget is used up.
        """
        ...

    def origin(self, reference: Reference) -> Origin | None:
        """Say where the definition in force stands; ``None`` if it is free or undefined."""
        ...

    def references(self) -> Iterator[Reference]:
        """Go through the references of all objects in use, in the order of their numbers."""
        ...
