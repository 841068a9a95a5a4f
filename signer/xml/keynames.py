"""Compare a distinguished name written as text with one in a certificate (XML-DSig 4.5.4.1; RFC 4514, RFC 1779).

Writers differ in order, spaces, quotation and the names of types. The comparison forgives these and case, because a
name in KeyInfo only helps to find a certificate: whether it fits is decided by the mathematics.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from cryptography import x509

TEXT_MAX = 4096

_TYPES: Mapping[str, str] = {
    "cn": "2.5.4.3",
    "sn": "2.5.4.4",
    "surname": "2.5.4.4",
    "serialnumber": "2.5.4.5",
    "c": "2.5.4.6",
    "l": "2.5.4.7",
    "st": "2.5.4.8",
    "s": "2.5.4.8",
    "street": "2.5.4.9",
    "o": "2.5.4.10",
    "ou": "2.5.4.11",
    "t": "2.5.4.12",
    "title": "2.5.4.12",
    "givenname": "2.5.4.42",
    "g": "2.5.4.42",
    "uid": "0.9.2342.19200300.100.1.1",
    "dc": "0.9.2342.19200300.100.1.25",
    "e": "1.2.840.113549.1.9.1",
    "email": "1.2.840.113549.1.9.1",
    "emailaddress": "1.2.840.113549.1.9.1",
}
_PART = re.compile(
    r"\s*([A-Za-z][\w.-]*|[0-9]+(?:\.[0-9]+)*)\s*=\s*(\"(?:[^\"\\]|\\.)*\"|(?:[^,;+\\]|\\.)*+)\s*(?:[,;+]|$)"
)
_HEX = re.compile(r"((?:\\[0-9A-Fa-f]{2})+)")


def same_name(text: str, name: x509.Name) -> bool:
    """Tell whether a text names the same attributes as ``name``, in the same or the opposite order."""
    written = _read(text)
    if not written:
        return False
    own = [(a.oid.dotted_string, _folded(str(a.value))) for a in name]
    return sorted(written) == sorted(own)


def _read(text: str) -> list[tuple[str, str]]:
    found, at = [], 0
    if len(text) > TEXT_MAX:
        return []
    while at < len(text) and text[at:].strip():
        part = _PART.match(text, at)
        if part is None or part.end() == at:
            return []
        kind = part[1].lower().removeprefix("oid.")
        found.append((_TYPES.get(kind, kind), _folded(_unquoted(part[2]))))
        at = part.end()
    return found


def _unquoted(value: str) -> str:
    value = value.strip()
    if len(value) > 1 and value.startswith('"') and value.endswith('"'):
        value = value[1:-1]
    value = _HEX.sub(lambda found: bytes.fromhex(found[1].replace("\\", "")).decode("utf-8", "replace"), value)
    return re.sub(r"\\(.)", r"\1", value)


def _folded(value: str) -> str:
    return " ".join(value.split()).casefold()
