"""Keys of signed notes: their text form, and the log's own key (C2SP signed-note, ledger.md 3).

Promises: a key id is computed, never believed. The log key is Ed25519, new for each shard, signs checkpoints and
nothing else; it is kept as a PKCS#8 file, encrypted when a pass phrase is given, and its name is the origin of the log.
It never shows itself: no representation, no copy, no pickle.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from hashlib import sha256
from typing import NoReturn, Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from transport.errors import LedgerError

ED25519 = 0x01
COSIGNATURE = 0x04
COSIGNATURE_PQ = 0x06
KEY_SIZES = {ED25519: 32, COSIGNATURE: 32, COSIGNATURE_PQ: 1312}
SIGNATURE_SIZES = {ED25519: 64, COSIGNATURE: 8 + 64, COSIGNATURE_PQ: 8 + 2420}

DASH = "\u2014 "
"""What a signature line starts with."""


class NoteInvalid(LedgerError):
    """A note, key or checkpoint is not in its form, or a signature of a known key does not verify."""

    def __init__(self, message: str, **facts: object) -> None:
        super().__init__("EDOC-LED-002", message, detail=message, **facts)


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key with its name and type; the text form is ``name+id+base64(type || key)``."""

    name: str
    type: int
    key: bytes

    def __post_init__(self) -> None:
        check_name(self.name)
        if self.type not in KEY_SIZES:
            raise NoteInvalid("unknown type of key", type=self.type)
        if len(self.key) != KEY_SIZES[self.type]:
            raise NoteInvalid("the key has not the length of its type")

    @property
    def id(self) -> bytes:
        """Four bytes: the start of SHA-256 over name, LF, type and key."""
        return sha256(self.name.encode() + b"\n" + bytes([self.type]) + self.key).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(bytes([self.type]) + self.key).decode('ascii')}"


def read_vkey(text: str) -> VerifierKey:
    """Read the text form of a public key. Raises ``NoteInvalid`` unless ``str`` could have written it."""
    name, plus, rest = text.partition("+")
    _, second, encoded = rest.partition("+")
    if not plus or not second:
        raise NoteInvalid("a key has three parts")
    data = decode_base64(encoded)
    if len(data) < 2:
        raise NoteInvalid("the key is empty")
    key = VerifierKey(name, data[0], data[1:])
    if str(key) != text:
        raise NoteInvalid("the key id does not belong to the key", name=name)
    return key


def check_name(name: str) -> None:
    """Raise ``NoteInvalid`` unless ``name`` may name a key: not empty, no space, plus or control character."""
    if not name or "+" in name or any(char.isspace() or char < " " for char in name):
        raise NoteInvalid("a key's name has no space, plus or control character and is not empty")


def decode_base64(text: str) -> bytes:
    """Decode standard base64 in its one canonical spelling. Raises ``NoteInvalid``."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise NoteInvalid("not base64") from None
    if base64.b64encode(data).decode("ascii") != text:
        raise NoteInvalid("base64 with left-over bits")
    return data


class LogSigner(Protocol):
    """Whoever signs checkpoints: the key in a file, or one in a token."""

    @property
    def origin(self) -> str:
        """Name of the log and of its key."""

    @property
    def vkey(self) -> str:
        """The public key as text (C2SP signed-note)."""

    def sign_note(self, text: str) -> str:
        """Return the signed note over ``text``, which ends with LF."""


class LogKey:
    """A log key in memory."""

    __slots__ = ("_private", "_public")

    def __init__(self, origin: str, private: Ed25519PrivateKey) -> None:
        self._private = private
        self._public = VerifierKey(origin, ED25519, private.public_key().public_bytes_raw())

    @classmethod
    def generate(cls, origin: str) -> LogKey:
        """Make a new key for a new log."""
        return cls(origin, Ed25519PrivateKey.generate())

    @classmethod
    def from_seed(cls, origin: str, seed: bytes) -> LogKey:
        """Make the key of a 32-byte seed."""
        return cls(origin, Ed25519PrivateKey.from_private_bytes(seed))

    @classmethod
    def from_pem(cls, data: bytes, *, origin: str, passphrase: bytes | None = None) -> LogKey:
        """Read a PKCS#8 file.

        Raises ``LedgerError``: EDOC-LED-010 unreadable or wrong pass phrase, EDOC-LED-011 not an Ed25519 key.
        """
        try:
            private = serialization.load_pem_private_key(data, passphrase)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise LedgerError("EDOC-LED-010", "the log key cannot be opened", origin=origin) from None
        if not isinstance(private, Ed25519PrivateKey):
            raise LedgerError("EDOC-LED-011", "the log key is not an Ed25519 key", origin=origin)
        return cls(origin, private)

    def to_pem(self, passphrase: bytes | None = None) -> bytes:
        """Return the key as PKCS#8, encrypted with ``passphrase`` unless there is none."""
        encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if passphrase is not None:
            encryption = serialization.BestAvailableEncryption(passphrase)
        return self._private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)

    @property
    def origin(self) -> str:
        """Name of the log and of its key."""
        return self._public.name

    @property
    def verifier(self) -> VerifierKey:
        """The public key."""
        return self._public

    @property
    def vkey(self) -> str:
        """The public key as text."""
        return str(self._public)

    def sign_note(self, text: str) -> str:
        """Return the signed note over ``text``. Raises ``NoteInvalid`` when it does not end with LF."""
        if not text.endswith("\n") or any(char < " " and char != "\n" for char in text):
            raise NoteInvalid("the text of a note ends with LF and has no other control character")
        value = base64.b64encode(self._public.id + self._private.sign(text.encode())).decode("ascii")
        return f"{text}\n{DASH}{self.origin} {value}\n"

    def __repr__(self) -> str:
        return f"LogKey({self.origin!r}, ***)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a log key cannot be copied or pickled")
