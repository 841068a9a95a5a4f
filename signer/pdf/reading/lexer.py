"""Values and objects from the bytes of a PDF (ISO 32000-1, 7.2 and 7.3; signing.md 4.1, D1).

What real writers do against the standard is read as readers do and noted in ``oddities``. A key that a dictionary gives
twice with different values can be read in two ways: the last wins, or with ``first_wins`` the first.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from signer.pdf.reading.budget import damaged, over
from signer.pdf.values import Name, Reference, Stream, String, Value

BLANK = rb"(?:[\0\t\n\f\r ]++|%[^\r\n]*+)*+"
"""White space and comments."""

_TOKEN = re.compile(
    BLANK
    + rb"""(?:
      (\d{1,10})[\0\t\n\f\r ]++(\d{1,5})[\0\t\n\f\r ]++R(?![^\0\t\n\f\r ()<>\[\]{}/%])  # 1, 2: reference
    | ([+-]?(?:\d++(?:\.\d*+)?|\.\d++))(?![^\0\t\n\f\r ()<>\[\]{}/%])                  # 3: number
    | /([^\0\t\n\f\r ()<>\[\]{}/%]*+)                                                   # 4: name
    | (<<) | (>>) | (\[) | (\]) | (\()                                                  # 5 to 9
    | <([^<>]*+)>                                                                       # 10: hexadecimal string
    | ([^\0\t\n\f\r ()<>\[\]{}/%]++)                                                    # 11: word
    )""",
    re.VERBOSE,
)
_HEADER = re.compile(BLANK + rb"(\d{1,10})[\0\t\n\f\r ]++(\d{1,5})[\0\t\n\f\r ]++obj")
_STREAM = re.compile(BLANK + rb"stream(?:\r\n|\n|\r|[ \t]++\r?\n|)")
_ENDSTREAM = re.compile(rb"[\0\t\n\f\r ]*+endstream")
_ENDOBJ = re.compile(BLANK + rb"(?:endobj|$)")
_PLAIN = re.compile(rb"[^()\\]*+(?:\\.[^()\\]*+)*+", re.DOTALL)
_ESCAPE = re.compile(rb"\\(?:([0-7]{1,3})|(\r\n|\r|\n)|(.))|(\r\n?)", re.DOTALL)
_HASH = re.compile(rb"#([0-9A-Fa-f]{2})")
_LETTERS = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}
_HEXDIGITS = b"0123456789abcdefABCDEF"
_NOT_HEX = bytes(set(range(256)) - set(_HEXDIGITS))
_ENDS = frozenset({b"endobj", b"stream", b"endstream", b"obj", b"xref", b"trailer", b"startxref"})

Decrypt = Callable[[bytes], bytes]
"""From the octets of a string or stream as they stand to what they mean."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """An indirect object as it stands: number, generation, value, and where it begins and ends."""

    number: int
    generation: int
    value: Value
    start: int
    end: int


@dataclass(slots=True)
class Lexer:
    """Reads values of one file. ``oddities`` collects what could be read in another way."""

    data: bytes
    nesting: int
    first_wins: bool = False
    oddities: list[tuple[str, int]] = field(default_factory=list)  # what, and where in the file
    container: int | None = None  # where the object stream stands whose decoded octets ``data`` are
    names: dict[bytes, Name] = field(default_factory=dict)

    def header(self, offset: int) -> tuple[int, int, int] | None:
        """Return (number, generation, end) of the object header at or behind white space at an offset."""
        match = _HEADER.match(self.data, offset) if 0 <= offset < len(self.data) else None
        return (int(match[1]), int(match[2]), match.end()) if match else None

    def value(self, offset: int, decrypt: Decrypt | None = None) -> tuple[Value, int]:
        """Read the value at an offset; return it and where it ends.

        Raises:
            InputRefused: there is none; LimitExceeded: nested too deeply.
        """
        stack: list[tuple[bool, list[Value]]] = []
        at, data, token = offset, self.data, _TOKEN.match
        while True:
            match = token(data, at)
            if match is None:
                raise damaged("value")
            at, kind = match.end(), match.lastindex
            if kind == 4:
                value: Value = self.names.get(match[4]) or self._name(match[4])
            elif kind == 3:
                value = float(match[3]) if b"." in match[3] else _integer(match[3])
            elif kind == 2:
                value = Reference(int(match[1]), int(match[2]))
            elif kind in (5, 7):
                stack.append((kind == 5, []))
                if len(stack) > self.nesting:
                    over("pdf_nesting", len(stack), "level")
                continue
            elif kind in (6, 8):
                value = self._closed(stack, at, dictionary=kind == 6)
            elif kind == 9:
                value, at = self._literal(at, decrypt)
            else:
                value = _hexadecimal(match[10], decrypt) if kind == 10 else self._word(match[11], at)
            if not stack:
                return value, at
            stack[-1][1].append(value)

    def _name(self, raw: bytes) -> Name:
        found = self.names[raw] = name(raw)
        return found

    def odd(self, what: str, at: int) -> None:
        """Note something that could be read in another way, and where it stands."""
        self.oddities.append((what, at if self.container is None else self.container))

    def _closed(self, stack: list[tuple[bool, list[Value]]], at: int, *, dictionary: bool) -> Value:
        if not stack or stack[-1][0] is not dictionary:
            raise damaged("brackets")
        items = stack.pop()[1]
        return self._dictionary(items, at) if dictionary else tuple(items)

    def _dictionary(self, items: list[Value], end: int) -> Value:
        keys = items[::2]
        if len(items) == 2 * len(keys) and all(type(key) is Name for key in keys):
            found: dict[str, Value] = dict(zip(keys, items[1::2], strict=True))  # type: ignore[arg-type]
            if len(found) == len(keys):
                return found
        found = {}
        differing: set[str] = set()
        at, last = 0, len(items) - 1
        while at < last:
            key = items[at]
            if not isinstance(key, Name):
                self.odd("dictionary key", end)
                at += 1
                continue
            value = items[at + 1]
            if key in found and found[key] != value:
                self.odd("dictionary key given thrice" if key in differing else "dictionary key given twice", end)
                differing.add(str(key))
            if key not in found or not self.first_wins:
                found[str(key)] = value
            at += 2
        if at == last:
            self.odd("dictionary without value", end)
        return found

    def _word(self, word: bytes, at: int) -> Value:
        known = {b"true": True, b"false": False, b"null": None}
        if word in known:
            return known[word]
        if word in _ENDS:
            raise damaged("value")
        self.odd("word", at)
        number = re.match(rb"([+-]*)(\d*)(\.\d*)?", word)  # "--5", "1.2.3", "5-3" of careless writers
        if number is None or not (number[2] or number[3]):
            return None
        sign = -1 if b"-" in number[1] else 1
        return sign * (float(b"0" + number[2] + number[3]) if number[3] else _integer(number[2]))

    def _literal(self, start: int, decrypt: Decrypt | None) -> tuple[String, int]:
        data, at, depth = self.data, start, 1
        while depth:
            match = _PLAIN.match(data, at)
            at = match.end() if match else at
            if at >= len(data) or data[at] == 0x5C:
                raise damaged("string")
            depth += 1 if data[at] == 0x28 else -1
            at += 1
        octets = data[start : at - 1]
        if b"\\" in octets or b"\r" in octets:
            octets = _ESCAPE.sub(_unescaped, octets)
        return String(decrypt(octets) if decrypt else octets), at

    def object(
        self, offset: int, length: Callable[[Value], Value], crypt: Callable[[int, int], Decrypt | None] | None = None
    ) -> Parsed:
        """Read the indirect object at an offset. ``length`` follows a reference to the length of a stream.

        The octets of a stream stand as they are in the file: they are decrypted by who asks for them.

        Raises:
            InputRefused: there is none that can be read.
        """
        head = self.header(offset)
        if head is None:
            raise damaged("object header")
        number, generation, at = head
        if _ENDOBJ.match(self.data, at):
            return Parsed(number, generation, None, offset, at)
        value, at = self.value(at, crypt(number, generation) if crypt else None)
        if isinstance(value, dict):
            match = _STREAM.match(self.data, at)
            if match is not None:
                if self.data[match.end() - 1 : match.end()] not in (b"\n", b"\r"):
                    self.odd("stream without line end", at)  # readers drop what stands in the same line
                raw, at = self._stream(match.end(), length(value.get("Length")))
                value = Stream(value, raw)
        return Parsed(number, generation, value, offset, at)

    def _stream(self, start: int, length: Value) -> tuple[bytes, int]:
        """Return the octets of a stream; a length that does not lead to ``endstream`` is an oddity."""
        data = self.data
        if isinstance(length, int) and 0 <= length <= len(data) - start:
            match = _ENDSTREAM.match(data, start + length)
            if match is not None:
                return data[start : start + length], match.end()
        self.odd("stream length", start)
        end = data.find(b"endstream", start)
        if end < 0:
            raise damaged("stream")
        stop = end - 2 if data[end - 2 : end] == b"\r\n" else end - 1 if data[end - 1 : end] in (b"\n", b"\r") else end
        return data[start : max(stop, start)], end + 9


def _hexadecimal(raw: bytes, decrypt: Decrypt | None) -> String:
    """Return a hexadecimal string; what is no digit is passed over."""
    digits = raw.translate(None, _NOT_HEX)
    octets = bytes.fromhex((digits + b"0" * (len(digits) % 2)).decode("ascii"))
    return String(decrypt(octets) if decrypt else octets)


def name(raw: bytes) -> Name:
    """Return a name with its ``#xx`` undone; each octet is one character."""
    if b"#" in raw:
        raw = _HASH.sub(lambda match: bytes((int(match[1], 16),)), raw)
    return Name(raw.decode("latin-1"))


def _integer(text: bytes) -> int:
    return int(text[:40])  # longer ones overflow in every reader, but none may be taken for another number


def _unescaped(match: re.Match[bytes]) -> bytes:
    if match[1]:
        return bytes((int(match[1], 8) & 0xFF,))
    if match[2]:
        return b""
    if match[4]:
        return b"\n"
    return _LETTERS.get(match[3], match[3])
