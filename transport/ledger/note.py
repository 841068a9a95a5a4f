"""Signed notes and the keys that sign them: C2SP signed-note and tlog-cosignature (ledger.md 2).

Promises: UTF-8 whose only control character is LF; the text ends at the last empty line; base64 is strict; a key id is
computed, never believed; a line of a known key that does not verify rejects the whole note, lines of unknown keys are
skipped. Key types: Ed25519 (0x01) signs and verifies; cosignatures with Ed25519 (0x04) and ML-DSA-44 (0x06) are
verified. Other types are unknown keys.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from transport.ledger.keys import (
    COSIGNATURE,
    DASH,
    ED25519,
    SIGNATURE_SIZES,
    LogKey,
    LogSigner,
    NoteInvalid,
    VerifierKey,
    check_name,
    decode_base64,
    read_vkey,
)

__all__ = [
    "LogKey",
    "LogSigner",
    "Note",
    "NoteInvalid",
    "Signature",
    "Verified",
    "VerifierKey",
    "check_name",
    "cosignature_message",
    "decode_base64",
    "read_note",
    "read_vkey",
    "verify",
]

MAX_BYTES = 256 * 1024
"""A whole note: text and signature lines."""
MAX_LINES = 64
"""Signature lines; the standard asks for 16, with post-quantum signatures of up to 5 KB."""


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line: name, key id (4 bytes), the bytes after it."""

    name: str
    id: bytes
    value: bytes

    def __str__(self) -> str:
        return f"{DASH}{self.name} {base64.b64encode(self.id + self.value).decode('ascii')}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A note taken apart; nothing in it counts before :func:`verify`. ``text`` ends with LF."""

    text: str
    signatures: tuple[Signature, ...]

    def __str__(self) -> str:
        return f"{self.text}\n{''.join(map(str, self.signatures))}"


@dataclass(frozen=True, slots=True)
class Verified:
    """A signature that holds: by which key, and for cosignatures the time stated in it (whole seconds, UTC)."""

    key: VerifierKey
    at: datetime | None = None


def read_note(data: bytes | str) -> Note:
    """Take a signed note apart without judging its signatures.

    Raises ``NoteInvalid`` unless ``str`` of the result gives back exactly ``data``.
    """
    text, lines = _split(_decode(data))
    if not lines:
        raise NoteInvalid("the note has no signature")
    if len(lines) > MAX_LINES:
        raise NoteInvalid(f"the note has more than {MAX_LINES} signatures")
    return Note(text, tuple(_read_signature(line) for line in lines))


def verify(note: Note, keys: Iterable[VerifierKey]) -> tuple[Verified, ...]:
    """Return the signatures of ``keys`` on the note, in its order; lines of other keys are skipped.

    Raises ``NoteInvalid`` when a line of one of the keys does not verify. An empty result means: nothing is proved.
    """
    known = {(key.name, key.id): key for key in keys}
    found = []
    for line in note.signatures:
        key = known.get((line.name, line.id))
        if key is not None:
            found.append(_verify_line(note.text, line.value, key))
    return tuple(found)


# --- reading ---------------------------------------------------------------------------------------------------------


def _decode(data: bytes | str) -> str:
    if isinstance(data, str):
        data = data.encode("utf-8", "surrogatepass")
    if len(data) > MAX_BYTES:
        raise NoteInvalid(f"the note is longer than {MAX_BYTES} bytes")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise NoteInvalid("the note is not UTF-8") from None
    if any(char < " " and char != "\n" for char in text):
        raise NoteInvalid("the note holds a control character")
    return text


def _split(whole: str) -> tuple[str, list[str]]:
    end = whole.rfind("\n\n")
    if end < 0 or not whole.endswith("\n"):
        raise NoteInvalid("the note has no empty line before its signatures")
    lines = whole[end + 2 :].split("\n")
    return whole[: end + 1], lines[:-1]


def _read_signature(line: str) -> Signature:
    if not line.startswith(DASH):
        raise NoteInvalid("a signature line starts with a dash")
    name, space, encoded = line[len(DASH) :].partition(" ")
    if not space:
        raise NoteInvalid("a signature line has a name and a value")
    check_name(name)
    data = decode_base64(encoded)
    if len(data) < 5:
        raise NoteInvalid("a signature is empty")
    return Signature(name, data[:4], data[4:])


# --- verifying -------------------------------------------------------------------------------------------------------


def _verify_line(text: str, value: bytes, key: VerifierKey) -> Verified:
    if len(value) != SIGNATURE_SIZES[key.type]:
        raise NoteInvalid("a signature has not the length of its type", name=key.name)
    try:
        if key.type == ED25519:
            Ed25519PublicKey.from_public_bytes(key.key).verify(value, text.encode())
            return Verified(key)
        seconds = struct.unpack(">Q", value[:8])[0]
        if key.type == COSIGNATURE:
            Ed25519PublicKey.from_public_bytes(key.key).verify(value[8:], cosignature_message(text, seconds))
        else:
            _verify_pq(text, value[8:], seconds, key)
        return Verified(key, datetime.fromtimestamp(seconds, UTC))
    except (InvalidSignature, ValueError, OverflowError, OSError):
        raise NoteInvalid("a signature does not verify", name=key.name) from None


def cosignature_message(text: str, seconds: int) -> bytes:
    """Return what an Ed25519 cosignature signs: header, time in seconds since 1970, the note's text."""
    return f"cosignature/v1\ntime {seconds}\n{text}".encode()


def _verify_pq(text: str, value: bytes, seconds: int, key: VerifierKey) -> None:
    """Verify ML-DSA-44 over the checkpoint as the subtree from 0 to its size (tlog-cosignature, 0x06)."""
    from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

    from transport.ledger.checkpoint import parse

    head = parse(text)
    message = b"subtree/v1\n\x00" + _short(key.name) + struct.pack(">Q", seconds) + _short(head.origin)
    message += struct.pack(">QQ", 0, head.size) + head.root
    try:
        MLDSA44PublicKey.from_public_bytes(key.key).verify(value, message)
    except UnsupportedAlgorithm:
        raise NoteInvalid("ML-DSA-44 is not supported by the installed libraries", name=key.name) from None


def _short(text: str) -> bytes:
    data = text.encode()
    if len(data) > 255:
        raise NoteInvalid("the name is too long for this kind of cosignature")
    return bytes([len(data)]) + data
