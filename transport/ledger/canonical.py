"""Canonical JSON: RFC 8785, cut down to what leaves and records need (ledger.md 4.1).

Promises: objects, arrays, strings in NFC, booleans, integers 0 to 2^53-1; no null, no fractions; keys in ASCII. The
reader accepts exactly what the writer makes, so equal values have equal bytes and equal digests.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from transport.errors import LedgerError

Json: TypeAlias = "str | int | bool | Sequence[Json] | Mapping[str, Json]"

MAX_INTEGER = 2**53 - 1
MAX_DEPTH = 16
"""Levels of nesting; leaves have two."""


class NotCanonical(LedgerError):
    """Bytes are not canonical JSON, or a value has no place in it."""

    def __init__(self, message: str) -> None:
        super().__init__("EDOC-LED-003", message, detail=message)


def dump(value: Json) -> bytes:
    """Return the canonical bytes of a value. Raises ``NotCanonical``."""
    _check(value, MAX_DEPTH)
    try:
        text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return text.encode("utf-8")
    except (TypeError, ValueError):
        raise NotCanonical("a value cannot be written as canonical JSON") from None


def load(data: bytes) -> Json:
    """Read canonical bytes. Raises ``NotCanonical`` unless :func:`dump` could have made them."""
    try:
        value: Json = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError):
        raise NotCanonical("not JSON in UTF-8") from None
    if dump(value) != data:
        raise NotCanonical("JSON in another than the canonical form")
    return value


def load_object(data: bytes) -> dict[str, Json]:
    """Read canonical bytes that hold an object. Raises ``NotCanonical``."""
    value = load(data)
    if not isinstance(value, dict):
        raise NotCanonical("not an object")
    return value


def is_nfc(text: str) -> bool:
    """Tell whether text is in Unicode normal form C and can be written as UTF-8."""
    return text.isascii() or (
        unicodedata.is_normalized("NFC", text) and not any(0xD800 <= ord(c) < 0xE000 for c in text)
    )


def _check(value: object, depth: int) -> None:
    if depth < 0:
        raise NotCanonical("values are nested too deeply")
    if isinstance(value, str):
        if not is_nfc(value):
            raise NotCanonical("a string is not in normal form C")
    elif isinstance(value, bool):
        pass
    elif isinstance(value, int):
        if not 0 <= value <= MAX_INTEGER:
            raise NotCanonical("an integer is out of range")
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str) or not key.isascii():
                raise NotCanonical("a key is not ASCII")
            _check(item, depth - 1)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _check(item, depth - 1)
    else:
        raise NotCanonical("a value is neither object, array, string, boolean nor whole number")
