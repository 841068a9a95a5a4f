"""Read a DOCTYPE with an internal subset, as far as signed XML may have one (signing.md 5.1, N1).

Declarations of elements, attributes and notations are read: they give default values and say which attributes are IDs.
An entity declaration, a parameter entity or an external subset is refused. What libxml2 does with such a subset it does
by itself; this module only says whether it may, and which attributes are IDs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

DECLARATIONS_MAX = 10_000

# Possessive throughout: what a hostile file makes fail must fail at once.
_NAME = r"[^\s<>\"'=()|,?*+#%;&\[\]]++"
_LITERAL = r"(?:\"[^\"]*\"|'[^']*')"
_PROLOGUE = re.compile(r"\ufeff?\s*(?:<\?xml\s[^>]*\?>)?(?:\s+|<!--.*?-->|<\?.*?\?>)*", re.DOTALL)
_HEAD = re.compile(rf"<!DOCTYPE\s+{_NAME}\s*")
_IGNORED = re.compile(r"\s+|<!--(?:(?!--).)*-->|<\?.*?\?>", re.DOTALL)
_ELEMENT = re.compile(rf"<!ELEMENT\s+{_NAME}\s++[^<>%&\"']++>")
_NOTATION = re.compile(rf"<!NOTATION\s+{_NAME}\s+(?:SYSTEM|PUBLIC)\s+{_LITERAL}(?:\s+{_LITERAL})?\s*>")
_ATTLIST = re.compile(rf"<!ATTLIST\s+(?P<element>{_NAME})(?P<rest>(?:[^<>\"'%]++|{_LITERAL})*+)>")
_ATTRIBUTE = re.compile(
    rf"\s++(?P<name>{_NAME})\s++(?P<type>[A-Z]++\s*+\([^)]*+\)|\([^)]*+\)|[A-Z]++)\s*+"
    rf"(?P<default>#REQUIRED|#IMPLIED|(?:#FIXED\s+)?(?P<value>{_LITERAL}))"
)
_REFERENCE = re.compile(r"&(?!#[0-9]+;|#x[0-9A-Fa-f]+;|lt;|gt;|amp;|quot;|apos;)")
_END = re.compile(r"\s*>")


@dataclass(frozen=True, slots=True)
class Doctype:
    """What a DOCTYPE declares: IDs as (local name of the element, local name of the attribute)."""

    ids: frozenset[tuple[str, str]] = frozenset()


def read_doctype(text: str) -> Doctype | None:
    """Return the DOCTYPE at the start of an XML file, or ``None`` if there is none.

    Raises:
        ValueError: it declares what is refused, or cannot be read.
    """
    at = _match(_PROLOGUE, text, 0).end()
    if not text.startswith("<!DOCTYPE", at):
        return None
    at = _match(_HEAD, text, at).end()
    ids: set[tuple[str, str]] = set()
    if text.startswith("[", at):
        at = _subset(text, at + 1, ids)
    _match(_END, text, at)
    return Doctype(frozenset(ids))


def _subset(text: str, at: int, ids: set[tuple[str, str]]) -> int:
    """Read declarations up to the closing bracket; return where the text goes on."""
    for _ in range(DECLARATIONS_MAX):
        while ignored := _IGNORED.match(text, at):
            at = ignored.end()
        if text.startswith("]", at):
            return at + 1
        found = _ELEMENT.match(text, at) or _NOTATION.match(text, at)
        if found is None:
            found = _match(_ATTLIST, text, at)
            ids |= _declared_ids(found["element"], found["rest"])
        at = found.end()
    raise ValueError("too many declarations")


def _declared_ids(element: str, rest: str) -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    at = 0
    while rest[at:].strip():
        attribute = _match(_ATTRIBUTE, rest, at)
        value = attribute["value"] or ""
        if "<" in value or _REFERENCE.search(value):
            raise ValueError("a default value with a reference to an entity")
        if attribute["type"] == "ID":
            found.add((_local(element), _local(attribute["name"])))
        at = attribute.end()
    return found


def _local(name: str) -> str:
    return name.rpartition(":")[2]


def _match(pattern: re.Pattern[str], text: str, at: int) -> re.Match[str]:
    found = pattern.match(text, at)
    if found is None:
        raise ValueError(f"a DOCTYPE that is not accepted, at {at}")
    return found
