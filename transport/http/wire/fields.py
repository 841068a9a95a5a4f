"""Header fields of the exchange (exchange.md 3): ``Content-Digest``, ``Edoc-Ledger``, ``Edoc-Heads``; all bounded.

Structured fields of RFC 9651. Readers return ``None`` for an absent field and raise ``ValueError`` for one that is not
in its form; digests are hexadecimal in values, base64 on the wire.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import cast

import http_sf

from transport.names import HeadRef as HeadRef
from transport.names import LedgerRef

MESSAGE_TYPE = "application/vnd.edoc.message+xml; v=1"
RECEIPT_TYPE = "application/vnd.edoc.receipt+xml; v=1"
PROBLEM_TYPE = "application/problem+json"
JSON_TYPE = "application/json"
PARTIAL_TYPE = "application/partial-upload"
UPLOAD_DRAFT = "8"
"""Interop version of the draft that is spoken (draft-ietf-httpbis-resumable-upload), named in the metadata."""
PROOF_REL = "urn:edoc:rel:ledger-proof"
MAX_HEADS = 3

_ORIGIN = re.compile(r"[!-~]{1,200}")
_HEX = re.compile(r"[0-9a-f]{64}")


def header(fields: Iterable[tuple[str, str]], name: str) -> str | None:
    """Return the combined value of a field (RFC 9110, 5.3), or ``None``; ``name`` in lower case."""
    values = [value.strip() for key, value in fields if key.lower() == name]
    return ", ".join(values) if values else None


def media_type(value: str | None) -> str | None:
    """Return a media type as we write it if it means one of ours (case and blanks aside), else ``None``."""
    compact = re.sub(r"\s+", "", value or "").lower().replace('"', "")
    for known in (MESSAGE_TYPE, RECEIPT_TYPE, PROBLEM_TYPE, JSON_TYPE, PARTIAL_TYPE):
        if compact == known.replace(" ", ""):
            return known
    return None


def format_digest(sha256: str) -> str:
    """Return ``Content-Digest`` for a SHA-256 (RFC 9530)."""
    return str(http_sf.ser({"sha-256": (bytes.fromhex(sha256), {})}))


def parse_digest(value: str | None) -> str | None:
    """Return the SHA-256 a ``Content-Digest`` states; other algorithms beside it are skipped."""
    if value is None:
        return None
    member = _dictionary(value).get("sha-256")
    if not isinstance(member, bytes) or len(member) != 32:
        raise ValueError("Content-Digest states no sha-256")
    return member.hex()


def format_ledger(ref: LedgerRef) -> str:
    """Return ``Edoc-Ledger`` for a placed leaf."""
    members: http_sf.DictionaryType = {
        "origin": (ref.origin, {}),
        "index": (ref.index, {}),
        "leaf": (bytes.fromhex(ref.leaf), {}),
    }
    return str(http_sf.ser(members))


def parse_ledger(value: str | None) -> LedgerRef | None:
    """Return the leaf an ``Edoc-Ledger`` names: a claim, until its proof is checked."""
    if value is None:
        return None
    members = _dictionary(value)
    origin, index, leaf = members.get("origin"), members.get("index"), members.get("leaf")
    if set(members) != {"origin", "index", "leaf"} or not isinstance(origin, str) or _ORIGIN.fullmatch(origin) is None:
        raise ValueError("Edoc-Ledger names no origin")
    if type(index) is not int or not 0 <= index < 10**15 or not isinstance(leaf, bytes) or len(leaf) != 32:
        raise ValueError("Edoc-Ledger names no leaf")
    return LedgerRef(origin, index, leaf.hex())


def format_heads(heads: Sequence[HeadRef]) -> str:
    """Return ``Edoc-Heads`` for at most three logs. Raises ``ValueError`` for more."""
    if not 1 <= len(heads) <= MAX_HEADS:
        raise ValueError("one to three heads")
    members: http_sf.ListType = [_member(one) for one in heads]
    return str(http_sf.ser(members))


def parse_heads(value: str | None) -> tuple[HeadRef, ...]:
    """Return the heads of an ``Edoc-Heads``; claims, compared with what is known (ledger.md 8)."""
    if value is None:
        return ()
    parsed = _parse(value, "list")
    if not isinstance(parsed, list) or not 1 <= len(parsed) <= MAX_HEADS:
        raise ValueError("Edoc-Heads names no or too many heads")
    return tuple(_head(member) for member in parsed)


def _member(head: HeadRef) -> http_sf.ItemType:
    return head.origin, {"size": head.size, "root": bytes.fromhex(head.root)}


def _head(member: object) -> HeadRef:
    if not isinstance(member, tuple) or len(member) != 2:
        raise ValueError("Edoc-Heads is not in its form")
    origin, facts = cast("tuple[object, dict[str, object]]", member)
    size, root = facts.get("size"), facts.get("root")
    if not isinstance(origin, str) or _ORIGIN.fullmatch(origin) is None or set(facts) != {"size", "root"}:
        raise ValueError("Edoc-Heads is not in its form")
    if type(size) is not int or size < 0 or not isinstance(root, bytes) or len(root) != 32:
        raise ValueError("Edoc-Heads is not in its form")
    return HeadRef(origin, size, root.hex())


def _dictionary(value: str) -> dict[str, object]:
    """Return the bare items of a dictionary field; duplicates and parameters are refused."""
    parsed = _parse(value, "dictionary")
    if not isinstance(parsed, dict):
        raise ValueError("not a dictionary field")
    bare: dict[str, object] = {}
    for name, member in parsed.items():
        if not isinstance(member, tuple) or member[1]:
            raise ValueError("a member has an unexpected form")
        bare[name] = member[0]
    return bare


def _parse(value: str, kind: str) -> object:
    def refuse(name: str, context: str) -> None:
        raise ValueError(f"{name} twice in a {context}")

    if len(value) > 2048:
        raise ValueError("field is too long")
    try:
        parsed: object = http_sf.parse(value.encode("ascii"), tltype=kind, on_duplicate_key=refuse)
    except (http_sf.StructuredFieldError, UnicodeEncodeError) as error:
        raise ValueError("not a structured field") from error
    return parsed
