"""Signed notes and heads of a partner's log, read by C2SP signed-note and tlog-checkpoint (ledger.md 2, 3, 8)."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests.second.second_dsig import Broken

HEADS = re.compile(r'"(?P<origin>[^"]+)";size=(?P<size>\d+);root=:(?P<root>[A-Za-z0-9+/]{43}=):')


@dataclass(frozen=True, slots=True)
class Head:
    """A state of a log."""

    origin: str
    size: int
    root: bytes


def read_heads(value: str) -> list[Head]:
    """Read an Edoc-Heads field: at most three heads. Raises Broken."""
    parts = [HEADS.fullmatch(one) for one in value.split(", ")]
    found = [Head(one["origin"], int(one["size"]), base64.b64decode(one["root"])) for one in parts if one is not None]
    if len(found) != len(parts) or len(found) > 3:
        raise Broken("Edoc-Heads")
    return found


def open_checkpoint(note: str, vkey: str) -> Head:
    """Check a checkpoint by its log's key. Raises Broken."""
    name, number, coded = vkey.split("+", 2)
    key = base64.b64decode(coded)
    identity = hashlib.sha256(name.encode() + b"\n" + key).digest()[:4]
    if key[:1] != b"\x01" or identity.hex() != number:
        raise Broken("vkey")
    text, _, signatures = note.rpartition("\n\n")
    line = re.search(rf"^\u2014 {re.escape(name)} (\S+)$", signatures, re.MULTILINE)
    if line is None or base64.b64decode(line[1])[:4] != identity:
        raise Broken("no signature of the log")
    try:
        Ed25519PublicKey.from_public_bytes(key[1:]).verify(base64.b64decode(line[1])[4:], f"{text}\n".encode())
    except InvalidSignature:
        raise Broken("signature of the log") from None
    origin, size, root = text.split("\n")[:3]
    return Head(origin, int(size), base64.b64decode(root))
