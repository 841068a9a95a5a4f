"""Reading BER as strangers write it: indefinite lengths, strings in pieces (X.690, 8; signing.md 4.1, E1; 6, S1).

Values are places in the original octets: what was hashed and signed is taken from the file, never encoded anew. Depth
is bounded by ``DEPTH_MAX``, no length is believed before the octets are there, and nothing recurses deeper than that
bound. Whatever cannot be read is a ``ValueError``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, SupportsIndex, overload

from signer.der import OCTETS, OID, SET, dotted

DEPTH_MAX = 64
"""Values within values; CMS with counter-signatures and tokens within tokens has some twenty."""
PARTS_MAX = 100_000
"""Parts of one value that are taken apart; content in pieces of a kilobyte reaches 100 MB."""
_END_OF_CONTENT = b"\0\0"


class Node(NamedTuple):
    """One value: its first identifier octet, where it starts, where its content starts and ends, and where it ends."""

    tag: int
    data: bytes
    start: int
    body: int
    end: int
    stop: int  # behind the end-of-content octets of an indefinite length, else ``end``

    @property
    def content(self) -> bytes:
        """The content octets as they stand."""
        return self.data[self.body : self.end]

    @property
    def encoded(self) -> bytes:
        """The whole encoding as it stands."""
        return self.data[self.start : self.stop]

    @property
    def is_indefinite(self) -> bool:
        """Tell whether the end is marked rather than counted."""
        return self.stop != self.end

    @property
    def is_constructed(self) -> bool:
        """Tell whether the content is values again."""
        return bool(self.tag & 0x20)

    def walk(self) -> Iterator[Node]:
        """Yield the parts, one after the other."""
        at = self.body
        while at < self.end:
            part = node(self.data, at, self.end)
            yield part
            at = part.stop

    def parts(self) -> Parts:
        """Return the parts of a constructed value.

        Raises:
            ValueError: it has none, or they cannot be read, or are more than ``PARTS_MAX``.
        """
        if not self.is_constructed:
            raise ValueError("no parts")
        found = Parts()
        for part in self.walk():
            found.append(part)
            if len(found) > PARTS_MAX:
                raise ValueError("too many parts")
        return found

    def first(self) -> Node:
        """Return the first part of a constructed value.

        Raises:
            ValueError: it has none, or it cannot be read.
        """
        if not self.is_constructed:
            raise ValueError("no parts")
        return node(self.data, self.body, self.end)

    def expect(self, tag: int) -> Node:
        """Return the value itself if it is of this kind.

        Raises:
            ValueError: it is another.
        """
        if self.tag != tag:
            raise ValueError(f"expected {tag:#x}, found {self.tag:#x}")
        return self


class Parts(list[Node]):
    """The parts of a value. One that is asked for and missing is a ``ValueError``, like all that cannot be read."""

    @overload
    def __getitem__(self, place: SupportsIndex, /) -> Node: ...
    @overload
    def __getitem__(self, place: slice, /) -> list[Node]: ...
    def __getitem__(self, place: SupportsIndex | slice, /) -> Node | list[Node]:
        try:
            return super().__getitem__(place)
        except IndexError:
            raise ValueError("a part is missing") from None

    def pop(self, place: SupportsIndex = -1, /) -> Node:
        """Take a part out.

        Raises:
            ValueError: it is missing.
        """
        try:
            return super().pop(place)
        except IndexError:
            raise ValueError("a part is missing") from None


def node(data: bytes, at: int = 0, limit: int | None = None) -> Node:
    """Read the value that starts at ``at`` and ends within ``limit``.

    Raises:
        ValueError: there is none, or it is cut off or nested too deeply.
    """
    limit = len(data) if limit is None else limit
    tag, body, size = _header(data, at, limit)
    if size is not None:
        return Node(tag, data, at, body, body + size, body + size)
    end = _marked_end(data, body, limit)
    return Node(tag, data, at, body, end, end + 2)


def whole(data: bytes) -> Node:
    """Read octets that hold exactly one value.

    Raises:
        ValueError: they hold none, or something behind it.
    """
    found = node(data)
    if found.stop != len(data):
        raise ValueError("octets behind the value")
    return found


def _header(data: bytes, at: int, limit: int) -> tuple[int, int, int | None]:
    """Return the identifier, where the content begins, and its size; ``None``: its end is marked."""
    if at + 2 > limit:
        raise ValueError("cut off")
    tag, size, body = data[at], data[at + 1], at + 2
    if tag & 0x1F == 0x1F:
        raise ValueError("tag of several octets")
    if size == 0x80:
        if not tag & 0x20:
            raise ValueError("a primitive value without length")
        return tag, body, None
    if size & 0x80:
        count = size & 0x7F
        if count > 16 or body + count > limit:
            raise ValueError("length cannot be read")
        size = int.from_bytes(data[body : body + count])
        body += count
    if body + size > limit:
        raise ValueError("cut off")
    return tag, body, size


def _marked_end(data: bytes, at: int, limit: int) -> int:
    """Find the end-of-content octets that belong to a value whose content begins here; counted values are skipped."""
    depth = 1
    while True:
        if data[at : at + 2] == _END_OF_CONTENT and at + 2 <= limit:
            depth -= 1
            if not depth:
                return at
            at += 2
            continue
        _, body, size = _header(data, at, limit)
        if size is None:
            depth += 1
            if depth > DEPTH_MAX:
                raise ValueError("nested too deeply")
        at = body + (size or 0)


def octets(found: Node, *, depth: int = 0) -> bytes:
    """Return the octets of an OCTET STRING, in one piece or in several; an implicit tag does not matter.

    Raises:
        ValueError: its pieces are something else, or nested too deeply.
    """
    if not found.is_constructed:
        return found.content
    if depth > 8:
        raise ValueError("nested too deeply")
    pieces = []
    for part in found.walk():
        if part.tag & ~0x20 != OCTETS:
            raise ValueError("a piece of another kind")
        pieces.append(octets(part, depth=depth + 1))
    return b"".join(pieces)


def identifier(found: Node) -> str:
    """Return the object identifier a value holds, in dotted form.

    Raises:
        ValueError: it holds none.
    """
    return dotted(found.expect(OID).content)


def to_der(found: Node, *, depth: int = 0) -> bytes:
    """Return the value in DER: counted lengths in their shortest form, strings in one piece, sets in order.

    Raises:
        ValueError: it cannot be read to its ends.
    """
    if depth > DEPTH_MAX:
        raise ValueError("nested too deeply")
    if not found.is_constructed:
        return counted(found.tag, found.content)
    if found.tag & ~0x20 == OCTETS:
        return counted(OCTETS, octets(found))
    parts = [to_der(part, depth=depth + 1) for part in found.walk()]
    if found.tag == SET:
        parts.sort()
    return counted(found.tag, b"".join(parts))


def counted(tag: int, content: bytes) -> bytes:
    """Write a value with a counted length, as DER has it."""
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes((tag, 0x80 | len(length))) + length + content
