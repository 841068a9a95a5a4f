"""A file with reserved space: the input, never copied, and the tail that one signature adds (R30; signing.md 3.4)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Reserved:
    """Output = ``before`` followed by ``tail``; the gap from ``<`` to behind ``>`` is counted from the first octet."""

    before: bytes = field(repr=False)
    tail: bytearray = field(repr=False)
    gap: tuple[int, int]

    def digest(self, name: str) -> bytes:
        """Return the digest of the two signed ranges; the input is gone through once."""
        hashed = hashlib.new(name, self.before)
        start, end = (offset - len(self.before) for offset in self.gap)
        with memoryview(self.tail) as view:
            hashed.update(view[:start])
            hashed.update(view[end:])
        return hashed.digest()

    @property
    def room(self) -> int:
        """Octets there are for the CMS."""
        return (self.gap[1] - self.gap[0]) // 2 - 1

    def embed(self, cms: bytes) -> None:
        """Put the CMS into the gap.

        Raises:
            ValueError: there is not so much room.
        """
        if len(cms) > self.room:
            raise ValueError("the CMS is larger than its gap")
        at = self.gap[0] + 1 - len(self.before)
        self.tail[at : at + 2 * len(cms)] = cms.hex().encode("ascii")

    def parts(self) -> Iterator[bytes | bytearray]:
        """Yield what the output consists of, in order."""
        yield self.before
        yield self.tail

    def whole(self) -> bytes:
        """Return the output in one piece."""
        return b"".join((self.before, self.tail))


def changed_identifier(held: bytes, size: int, body: bytes) -> bytes:
    """Return the second identifier of an update: it changes with the content, and the same update gives the same."""
    return hashlib.sha256(b"%d\n%b\n%b" % (size, held, body)).digest()[:16]
