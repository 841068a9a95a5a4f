"""Values of ``signer.pdf.values`` written as the bytes of a PDF (ISO 32000-2, 7.3): what is read back is equal."""

from __future__ import annotations

import re
from collections.abc import Mapping

from signer.pdf.values import Name, Reference, Stream, String, Value

_IRREGULAR = re.compile(r"[^!-~]|[()<>\[\]{}/%#]")
_SPECIAL = re.compile(rb"[()\\\r]")
_PRINTABLE = re.compile(rb"[\n\r -~]*+")


def encode(value: Value) -> bytes:
    """Return a value as it stands in a file; of a stream dictionary, octets and ``/Length``.

    Raises:
        ValueError: the value cannot stand in a file (a number without end, a name with letters outside Latin-1).
    """
    parts: list[bytes] = []
    _write(value, parts)
    return b"".join(parts)


def text_string(text: str) -> String:
    """Return a text string: ASCII as it stands, anything else in UTF-16 with its mark (ISO 32000-2, 7.9.2.2)."""
    return String(text.encode("ascii")) if text.isascii() else String(b"\xfe\xff" + text.encode("utf-16-be"))


def name_token(name: str) -> bytes:
    """Return a name with its slash, irregular characters as ``#xx``."""
    return b"/" + _IRREGULAR.sub(lambda match: f"#{ord(match[0]):02X}", name).encode("latin-1")


def number_token(number: float) -> bytes:
    """Return a number without exponent."""
    if number != number or number in (float("inf"), float("-inf")):
        raise ValueError("not a number of a PDF")
    if number == int(number):
        return b"%d" % int(number)
    return f"{number:.6f}".rstrip("0").rstrip(".").encode("ascii")


def string_token(octets: bytes) -> bytes:
    """Return a literal string if it is plain text, else a hexadecimal one."""
    if _PRINTABLE.fullmatch(octets):
        return b"(" + _SPECIAL.sub(lambda match: b"\\r" if match[0] == b"\r" else b"\\" + match[0], octets) + b")"
    return b"<" + octets.hex().upper().encode("ascii") + b">"


def _write(value: Value, parts: list[bytes]) -> None:
    if isinstance(value, Name):
        parts.append(name_token(value))
    elif isinstance(value, Reference):
        parts.append(b"%d %d R" % (value.number, value.generation))
    elif isinstance(value, bool):
        parts.append(b"true" if value else b"false")
    elif isinstance(value, int | float):
        parts.append(number_token(value))
    elif value is None:
        parts.append(b"null")
    elif isinstance(value, bytes):
        parts.append(string_token(value))
    elif isinstance(value, tuple):
        _write_array(value, parts)
    elif isinstance(value, Stream):
        _write_dictionary({**value.dictionary, "Length": len(value.raw)}, parts)
        parts += (b"\nstream\n", value.raw, b"\nendstream")
    else:
        _write_dictionary(value, parts)


def _write_array(items: tuple[Value, ...], parts: list[bytes]) -> None:
    parts.append(b"[")
    for item in items:
        parts.append(b" ")
        _write(item, parts)
    parts.append(b" ]")


def _write_dictionary(entries: Mapping[str, Value], parts: list[bytes]) -> None:
    parts.append(b"<<")
    for key, item in entries.items():
        parts += (b" ", name_token(key), b" ")
        _write(item, parts)
    parts.append(b" >>")
