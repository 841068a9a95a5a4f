"""Names in certificates, and when two are equal (RFC 5280, 7.1; RFC 4518).

Text is compared without regard to the kind of string, to case, and to the amount of white space; the order of the parts
counts, the order within one part does not. What is no text is compared by its octets.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from signer import der

Part = frozenset[tuple[str, str | bytes]]
"""One RDN in the form in which it is compared."""

_SHORT = {
    "2.5.4.3": "CN",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "2.5.4.6": "C",
    "2.5.4.9": "STREET",
    "0.9.2342.19200300.100.1.25": "DC",
    "0.9.2342.19200300.100.1.1": "UID",
}
COMMON_NAME, ORGANIZATION, UNIT, TITLE = "2.5.4.3", "2.5.4.10", "2.5.4.11", "2.5.4.12"
EMAIL, USER_ID = "1.2.840.113549.1.9.1", "0.9.2342.19200300.100.1.1"


@dataclass(frozen=True, slots=True)
class Name:
    """A distinguished name: its encoding, the form in which it is compared, and its attributes in order."""

    encoded: bytes
    key: tuple[Part, ...]
    attributes: tuple[tuple[tuple[str, str], ...], ...]  # per RDN: dotted type, text

    @property
    def text(self) -> str:
        """The name as RFC 4514 writes it."""
        parts = ("+".join(f"{_SHORT.get(t, t)}={_escaped(v)}" for t, v in rdn) for rdn in reversed(self.attributes))
        return ",".join(parts)

    def values(self, oid: str) -> tuple[str, ...]:
        """Return the values of every attribute of this type (dotted), in order."""
        return tuple(value for rdn in self.attributes for type_, value in rdn if type_ == oid)

    @property
    def common_name(self) -> str:
        """The first common name, else the whole name."""
        found = self.values(COMMON_NAME)
        return found[0] if found else self.text


@lru_cache(maxsize=2048)
def read_name(encoded: bytes) -> Name:
    """Read a name (DER).

    Raises:
        ValueError: it is none.
    """
    rdns = [_rdn(part) for part in der.whole(encoded).expect(der.SEQUENCE).parts()]
    return Name(encoded, tuple(key for key, _ in rdns), tuple(shown for _, shown in rdns))


def _rdn(part: der.Value) -> tuple[Part, tuple[tuple[str, str], ...]]:
    keys, shown = [], []
    for attribute in part.expect(der.SET).parts():
        type_, value = attribute.expect(der.SEQUENCE).parts()
        oid, text = der.identifier(type_), der.text(value)
        keys.append((oid, value.encoded if text is None else prepared(text)))
        shown.append((oid, f"#{value.encoded.hex()}" if text is None else text))
    return frozenset(keys), tuple(shown)


def read_part(value: der.Value) -> Part:
    """Return the form in which one RDN is compared.

    Raises:
        ValueError: it is none.
    """
    return _rdn(value)[0]


def prepared(text: str) -> str:
    """Return text in the form in which it is compared: case folded, white space reduced, compatible forms united."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(folded.split())


def _escaped(text: str) -> str:
    for character in '\\"+,;<>':
        text = text.replace(character, f"\\{character}")
    text = text.replace("\0", "\\00")
    if text[:1] == "#" or (text[:1] == " " and len(text) > 1):
        text = f"\\{text}"
    return f"{text[:-1]}\\ " if text[-1:] == " " else text
