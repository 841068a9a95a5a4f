"""Reading and writing DER, octet by octet: what certificates, lists and answers are made of (X.690).

Values are places in the original octets, so that what was hashed and signed is never encoded anew (signing.md 1.1, G4).
Certificates of strangers are encoded with small faults (lengths too long, negative numbers); these are read as they
stand, and whoever minds says so. Whatever cannot be read is a ``ValueError``. Nothing here recurses.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import NamedTuple, SupportsIndex, overload

BOOLEAN, INTEGER, BIT_STRING, OCTETS, NULL, OID, ENUMERATED = 1, 2, 3, 4, 5, 6, 10
SEQUENCE, SET, UTC_TIME, GENERALIZED_TIME = 0x30, 0x31, 0x17, 0x18
CHILDREN_MAX = 10_000
"""Parts of one value that are taken apart at once; long lists are walked instead."""

_TEXT = {12: "utf-8", 19: "latin-1", 20: "latin-1", 22: "latin-1", 26: "latin-1", 18: "latin-1", 27: "latin-1"}
_TEXT |= {28: "utf-32-be", 30: "utf-16-be"}
_UTC = re.compile(rb"(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})?(Z|[+-]\d{4})?")
_GENERAL = re.compile(rb"(\d{4})(\d{2})(\d{2})(\d{2})(\d{2})?(\d{2})?(?:[.,]\d+)?(Z|[+-]\d{4})?")


class Value(NamedTuple):
    """One value: where its encoding starts, where its content starts and ends, in ``data``."""

    tag: int
    data: bytes
    start: int
    body: int
    end: int

    @property
    def content(self) -> bytes:
        """The content octets."""
        return self.data[self.body : self.end]

    @property
    def encoded(self) -> bytes:
        """The whole encoding."""
        return self.data[self.start : self.end]

    def walk(self) -> Iterator[Value]:
        """Yield the parts of a constructed value, one after the other."""
        at = self.body
        while at < self.end:
            part = value(self.data, at, self.end)
            yield part
            at = part.end

    def parts(self) -> Parts:
        """Return the parts of a constructed value.

        Raises:
            ValueError: they cannot be read, or are more than ``CHILDREN_MAX``.
        """
        found = Parts()
        for part in self.walk():
            found.append(part)
            if len(found) > CHILDREN_MAX:
                raise ValueError("too many parts")
        return found

    def expect(self, tag: int) -> Value:
        """Return the value itself if it is of this kind.

        Raises:
            ValueError: it is another.
        """
        if self.tag != tag:
            raise ValueError(f"expected {tag:#x}, found {self.tag:#x}")
        return self


class Parts(list[Value]):
    """The parts of a value. One that is asked for and missing is a ``ValueError``, like all that cannot be read."""

    @overload
    def __getitem__(self, place: SupportsIndex, /) -> Value: ...
    @overload
    def __getitem__(self, place: slice, /) -> list[Value]: ...
    def __getitem__(self, place: SupportsIndex | slice, /) -> Value | list[Value]:
        try:
            return super().__getitem__(place)
        except IndexError:
            raise ValueError("a part is missing") from None

    def pop(self, place: SupportsIndex = -1, /) -> Value:
        """Take a part out.

        Raises:
            ValueError: it is missing.
        """
        try:
            return super().pop(place)
        except IndexError:
            raise ValueError("a part is missing") from None


def value(data: bytes, at: int = 0, limit: int | None = None) -> Value:
    """Read the value that starts at ``at`` and ends within ``limit``.

    Raises:
        ValueError: there is none, or its length is indefinite or runs over the end.
    """
    limit = len(data) if limit is None else limit
    if at + 2 > limit:
        raise ValueError("cut off")
    tag, size, body = data[at], data[at + 1], at + 2
    if tag & 0x1F == 0x1F:
        raise ValueError("tag of several octets")
    if size & 0x80:
        count = size & 0x7F
        if not 1 <= count <= 4 or body + count > limit:
            raise ValueError("length cannot be read")
        size = int.from_bytes(data[body : body + count])
        body += count
    if body + size > limit:
        raise ValueError("cut off")
    return Value(tag, data, at, body, body + size)


def whole(data: bytes) -> Value:
    """Read octets that hold exactly one value.

    Raises:
        ValueError: they hold none, or something behind it.
    """
    found = value(data)
    if found.end != len(data):
        raise ValueError("octets behind the value")
    return found


def integer(found: Value) -> int:
    """Return a number, negative ones too.

    Raises:
        ValueError: empty.
    """
    if found.body == found.end:
        raise ValueError("empty number")
    return int.from_bytes(found.content, signed=True)


def boolean(found: Value) -> bool:
    """Return a truth value; BER allows any octet but zero for *true*.

    Raises:
        ValueError: not one octet.
    """
    if found.end - found.body != 1:
        raise ValueError("truth value of another length")
    return found.data[found.body] != 0


def bits(found: Value) -> bytes:
    """Return the octets of a BIT STRING whose bits fill them.

    Raises:
        ValueError: empty.
    """
    if found.body == found.end:
        raise ValueError("empty bit string")
    return found.data[found.body + 1 : found.end]


def bit_set(found: Value) -> frozenset[int]:
    """Return the numbers of the bits that are set, as named bits are written.

    Raises:
        ValueError: empty.
    """
    octets = bits(found)[:16]
    return frozenset(n for n in range(len(octets) * 8) if octets[n // 8] & (0x80 >> n % 8))


@lru_cache(maxsize=1024)
def dotted(content: bytes) -> str:
    """Return an object identifier in dotted form.

    Raises:
        ValueError: it is none, or longer than sixty-four octets.
    """
    if not content or len(content) > 64 or content[-1] & 0x80:
        raise ValueError("damaged object identifier")
    arcs, arc = [], 0
    for octet in content:
        arc = arc << 7 | octet & 0x7F
        if not octet & 0x80:
            arcs.append(arc)
            arc = 0
    first = min(arcs[0] // 40, 2)
    return ".".join(str(n) for n in (first, arcs[0] - 40 * first, *arcs[1:]))


def identifier(found: Value) -> str:
    """Return the object identifier a value holds.

    Raises:
        ValueError: it holds none.
    """
    return dotted(found.expect(OID).content)


def text(found: Value) -> str | None:
    """Return the characters of a string of any kind; ``None`` if it is no string or cannot be decoded."""
    try:
        return found.content.decode(_TEXT[found.tag])
    except (KeyError, UnicodeDecodeError):
        return None


def moment(found: Value) -> datetime:
    """Return the moment of a UTCTime or GeneralizedTime, whole seconds in UTC; without a zone it is UTC.

    Raises:
        ValueError: there is no such moment.
    """
    short = found.tag == UTC_TIME
    match = (_UTC if short else _GENERAL).fullmatch(found.content)
    if match is None or found.tag not in (UTC_TIME, GENERALIZED_TIME):
        raise ValueError("damaged time")
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    if short:
        year += 1900 if year >= 50 else 2000
    zone = match[7] or b"Z"
    offset = UTC
    if zone != b"Z":
        apart = timedelta(hours=int(zone[1:3]), minutes=int(zone[3:5]))
        offset = timezone(apart if zone[:1] == b"+" else -apart)
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=offset).astimezone(UTC)
    except OverflowError:
        raise ValueError("time out of range") from None


def encode(tag: int, *contents: bytes) -> bytes:
    """Write a value with these octets as content."""
    content = b"".join(contents)
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes((tag, 0x80 | len(length))) + length + content


def encode_integer(number: int) -> bytes:
    """Write a number."""
    size = (number if number >= 0 else ~number).bit_length() // 8 + 1
    return encode(INTEGER, number.to_bytes(size, signed=True))


def encode_identifier(dotted_form: str) -> bytes:
    """Write an object identifier given in dotted form."""
    first, second, *arcs = (int(part) for part in dotted_form.split("."))
    octets = bytearray()
    for arc in (first * 40 + second, *arcs):
        group = [arc & 0x7F]
        while arc := arc >> 7:
            group.append(arc & 0x7F | 0x80)
        octets += bytes(reversed(group))
    return encode(OID, bytes(octets))


def encode_bits(octets: bytes, unused: int = 0) -> bytes:
    """Write a BIT STRING."""
    return encode(BIT_STRING, bytes((unused,)), octets)


def encode_bit_set(numbers: frozenset[int]) -> bytes:
    """Write named bits, without trailing zeros."""
    if not numbers:
        return encode_bits(b"")
    last = max(numbers)
    octets = bytearray(last // 8 + 1)
    for number in numbers:
        octets[number // 8] |= 0x80 >> number % 8
    return encode_bits(bytes(octets), 7 - last % 8)
