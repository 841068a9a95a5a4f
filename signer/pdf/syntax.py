"""Where things stand in the bytes: a reader of one PDF object that keeps offsets (ISO 32000-2, 7.2 and 7.3).

Coverage must be judged on the original bytes, not on what a library made of them (signing.md 4.2, C3): which token *is*
the value of ``/Contents``, and is there a second one? Only direct structure is read; references stay references.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

SPACE = b"\0\t\n\f\r "
_DELIMITER = b"()<>[]{}/%"
_BLANK = re.compile(rb"(?:[\0\t\n\f\r ]++|%[^\r\n]*+)*+")
_NAME = re.compile(rb"/[^\0\t\n\f\r ()<>\[\]{}/%]*")
_WORD = re.compile(rb"[^\0\t\n\f\r ()<>\[\]{}/%]+")
_HEX = re.compile(rb"<[^<>]*+>")
_HEADER = re.compile(rb"(?:[\0\t\n\f\r ]++|%[^\r\n]*+)*+(\d{1,10})[\0\t\n\f\r ]+(\d{1,5})[\0\t\n\f\r ]+obj")
_REFERENCE = re.compile(rb"(\d{1,10})[\0\t\n\f\r ]+(\d{1,5})[\0\t\n\f\r ]+R(?![^\0\t\n\f\r ()<>\[\]{}/%])")
DEPTH_MAX = 64


class SyntaxFault(ValueError):
    """The bytes at an offset are not what the syntax asks for."""


@dataclass(frozen=True, slots=True)
class Token:
    """One value: its kind (name, string, hex, word, reference, array, dictionary), and where it begins and ends."""

    kind: str
    start: int
    end: int
    items: tuple[Token, ...] = ()
    entries: tuple[tuple[str, Token], ...] = field(default=())

    def all(self, key: str) -> tuple[Token, ...]:
        """Return every value a dictionary gives for a key; more than one is two ways of reading."""
        return tuple(value for name, value in self.entries if name == key)


def object_at(data: bytes, offset: int, number: int) -> Token:
    """Read the object that begins at, or behind white space at, an offset.

    Raises:
        SyntaxFault: there is no such object.
    """
    header = _HEADER.match(data, offset)
    if header is None or int(header[1]) != number:
        raise SyntaxFault("object header")
    return value_at(data, header.end())


def reference_of(data: bytes, token: Token) -> tuple[int, int]:
    """Return number and generation of a reference."""
    match = _REFERENCE.match(data, token.start)
    if match is None:
        raise SyntaxFault("reference")
    return int(match[1]), int(match[2])


def value_at(data: bytes, offset: int, depth: int = 0) -> Token:
    """Read the value that begins at or behind white space at an offset.

    Raises:
        SyntaxFault: there is none, or it is nested too deeply.
    """
    if depth > DEPTH_MAX:
        raise SyntaxFault("nested too deeply")
    at = _skip(data, offset)
    if data.startswith(b"<<", at):
        return _dictionary(data, at, depth)
    if data.startswith(b"[", at):
        return _array(data, at, depth)
    if data.startswith(b"(", at):
        return Token("string", at, _string_end(data, at))
    for kind, pattern in (("hex", _HEX), ("name", _NAME), ("reference", _REFERENCE), ("word", _WORD)):
        match = pattern.match(data, at)
        if match:
            return Token(kind, at, match.end())
    raise SyntaxFault("value")


def name_of(data: bytes, token: Token) -> str:
    """Return a name with its ``#xx`` escapes undone."""
    raw = data[token.start : token.end]
    plain = re.sub(rb"#([0-9A-Fa-f]{2})", lambda m: bytes((int(m[1], 16),)), raw)
    return plain.decode("latin-1")


def integers(data: bytes, token: Token) -> tuple[int, ...] | None:
    """Return an array of unsigned integers, or ``None`` if it is something else."""
    if token.kind != "array":
        return None
    words = [data[item.start : item.end] for item in token.items]
    if any(item.kind != "word" for item in token.items) or not all(word.isdigit() and len(word) < 19 for word in words):
        return None
    return tuple(int(word) for word in words)


def _skip(data: bytes, offset: int) -> int:
    match = _BLANK.match(data, offset)
    return match.end() if match else offset


def _dictionary(data: bytes, start: int, depth: int) -> Token:
    at = start + 2
    entries: list[tuple[str, Token]] = []
    while True:
        at = _skip(data, at)
        if data.startswith(b">>", at):
            return Token("dictionary", start, at + 2, entries=tuple(entries))
        match = _NAME.match(data, at)
        if match is None:
            raise SyntaxFault("dictionary")
        key = Token("name", at, match.end())
        value = value_at(data, match.end(), depth + 1)
        entries.append((name_of(data, key), value))
        at = value.end


def _array(data: bytes, start: int, depth: int) -> Token:
    at = start + 1
    items: list[Token] = []
    while True:
        at = _skip(data, at)
        if data.startswith(b"]", at):
            return Token("array", start, at + 1, tuple(items))
        items.append(value_at(data, at, depth + 1))
        at = items[-1].end


def _string_end(data: bytes, start: int) -> int:
    at, depth = start + 1, 1
    while at < len(data):
        byte = data[at]
        if byte == 0x5C:
            at += 1
        elif byte == 0x28:
            depth += 1
        elif byte == 0x29:
            depth -= 1
            if not depth:
                return at + 1
        at += 1
    raise SyntaxFault("string")
