"""Leaves: what the ledger records of one act (ledger.md 4).

Promises: :func:`build` writes canonical bytes of at most 4096, in the closed schema of their kind; :func:`parse`
accepts only canonical bytes and keeps what a newer partner may know. Persons, accounts, addresses and free text never
stand in a leaf: :func:`commit` turns them into salted digests whose opening is stored elsewhere.
"""

from __future__ import annotations

import secrets
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from types import MappingProxyType
from typing import TypeAlias

from transport.ledger.canonical import Json, NotCanonical, dump, is_nfc, load_object
from transport.ledger.merkle import leaf_hash, root_of
from transport.ledger.schema import COMMITMENTS, KIND_OF_STATUS, VERSION, LeafInvalid, check_fields
from transport.ledger.times import format_time, read_time

__all__ = [
    "COMMITMENTS",
    "KIND_OF_STATUS",
    "MAX_BYTES",
    "Leaf",
    "LeafInvalid",
    "NotCanonical",
    "Opening",
    "build",
    "commit",
    "commit_all",
    "file_fields",
    "format_time",
    "leaf_hash",
    "opens",
    "parse",
    "read_time",
]

MAX_BYTES = 4096
"""A leaf's bytes."""
MAX_FILES = 32
"""Attachments named one by one; above this their Merkle root stands for them."""
SALT_SIZE = 32

Value: TypeAlias = "Json | datetime"
"""What :func:`build` takes: JSON values; times as aware datetimes."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """A leaf as read: its bytes, their hash (hexadecimal), its fields, and the names of what this version ignores."""

    data: bytes
    sha256: str
    fields: Mapping[str, Json]
    unknown: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """What happened (ledger.md 4.3)."""
        return self.text("kind") or ""

    @property
    def at(self) -> datetime:
        """Time of the act. Raises ``ValueError`` when a newer version writes it otherwise."""
        return read_time(self.text("at") or "")

    def text(self, name: str) -> str | None:
        """Return a field that is text, else ``None``."""
        value = self.fields.get(name)
        return value if isinstance(value, str) else None

    def number(self, name: str) -> int | None:
        """Return a field that is a number, else ``None``."""
        value = self.fields.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def member(self, name: str) -> Mapping[str, Json]:
        """Return a field that is an object, else an empty one."""
        value = self.fields.get(name)
        return value if isinstance(value, Mapping) else MappingProxyType({})

    @property
    def dispatch(self) -> tuple[str, str, str] | None:
        """Sender, recipient and message id, when the leaf belongs to a dispatch."""
        found = (self.text("from"), self.text("to"), self.text("msg"))
        sender, recipient, message = found
        if sender is None or recipient is None or message is None:
            return None
        return sender, recipient, message

    @property
    def chain(self) -> tuple[str, str, str, str] | None:
        """What ``prev`` chains: sender, recipient, message id, side (ledger.md 4.1, rule 5)."""
        dispatch, side = self.dispatch, self.text("side")
        return None if dispatch is None or side is None else (*dispatch, side)


@dataclass(frozen=True, slots=True)
class Opening:
    """Salt and value behind a commitment of a leaf: what may be shown to some and deleted for all."""

    field: str
    salt: bytes
    value: str

    def __post_init__(self) -> None:
        if self.field not in COMMITMENTS or len(self.salt) != SALT_SIZE:
            raise ValueError("an opening has the name of a commitment and 32 bytes of salt")


def build(kind: str, fields: Mapping[str, Value]) -> bytes:
    """Return the canonical bytes of a leaf. ``v`` and ``nonce`` are added; a given ``nonce`` is kept (for tests).

    Fields that are ``None`` are not allowed: leave them out. Raises ``LeafInvalid``, ``NotCanonical``, ``ValueError``.
    """
    whole: dict[str, Json] = {"v": VERSION, "nonce": secrets.token_hex(16), "kind": kind}
    for name, value in fields.items():
        whole[name] = format_time(value) if isinstance(value, datetime) else value
    if whole["kind"] != kind:
        raise LeafInvalid("the fields name another kind", field="kind", kind=kind)
    check_fields(whole, strict=True)
    data = dump(whole)
    if len(data) > MAX_BYTES:
        raise LeafInvalid(f"the leaf is longer than {MAX_BYTES} bytes", kind=kind)
    return data


def parse(data: bytes) -> Leaf:
    """Read a leaf. Raises ``LeafInvalid`` (too long, wrong form) or ``NotCanonical``."""
    if len(data) > MAX_BYTES:
        raise LeafInvalid(f"the leaf is longer than {MAX_BYTES} bytes")
    fields = load_object(data)
    unknown = check_fields(fields, strict=False)
    return Leaf(data, leaf_hash(data).hex(), MappingProxyType(fields), unknown)


def commit(value: str, *, salt: bytes | None = None) -> tuple[str, bytes]:
    """Return the commitment (hexadecimal) to a value in normal form C, and its salt: 32 fresh bytes unless given."""
    salt = secrets.token_bytes(SALT_SIZE) if salt is None else salt
    return sha256(salt + _nfc(value).encode("utf-8")).hexdigest(), salt


def commit_all(values: Mapping[str, str]) -> tuple[dict[str, str], tuple[Opening, ...]]:
    """Return the commitments to put into a leaf and the openings to keep beside it, for values by field name."""
    fields, openings = {}, []
    for field, value in values.items():
        fields[field], salt = commit(value)
        openings.append(Opening(field, salt, _nfc(value)))
    return fields, tuple(openings)


def opens(leaf: Leaf, opening: Opening) -> bool:
    """Tell whether an opening fits the commitment in the leaf."""
    return is_nfc(opening.value) and leaf.text(opening.field) == commit(opening.value, salt=opening.salt)[0]


def file_fields(digests: Sequence[str]) -> dict[str, Json]:
    """Return ``files``, or ``files_root``, for attachments' digests (hexadecimal) in manifest order.

    Up to 32 digests stand in the leaf; above that, and for none at all, the root of the tree over their bytes.
    """
    if 1 <= len(digests) <= MAX_FILES:
        return {"files": tuple(digests)}
    return {"files_root": root_of(leaf_hash(bytes.fromhex(one)) for one in digests).hex()}


def _nfc(value: str) -> str:
    return unicodedata.normalize("NFC", value)
