"""Decryption with the empty user password (ISO 32000-1, 7.6; ISO 32000-2, 7.6.4; signing.md 4.1, D5).

RC4 and AES of versions 1 to 5, revisions 2 to 6. Any other password, a public-key handler or an unknown version is
``EDOC-PDF-004``. This is for reading alone: nothing is ever encrypted here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.hazmat.decrepit.ciphers.algorithms import ARC4
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from signer.errors import InputRefused
from signer.pdf.reading.lexer import Decrypt
from signer.pdf.values import Name, String, Value

_PAD = bytes.fromhex("28bf4e5e4e758a4164004e56fffa01082e2e00b6d0683e802f0ca9fe6453697a")


def _locked() -> InputRefused:
    return InputRefused("EDOC-PDF-004", "the file needs a password")


@dataclass(frozen=True, slots=True)
class Crypt:
    """The key of a file and what strings and streams are encrypted with: ``rc4``, ``aes128``, ``aes256``, ``none``."""

    key: bytes
    strings: str
    streams: str
    metadata: bool  # whether the stream of /Metadata is encrypted

    def of_strings(self, number: int, generation: int) -> Decrypt | None:
        """Return how strings of an object are decrypted; ``None`` if they are not encrypted."""
        return self._by(self.strings, number, generation)

    def of_stream(self, number: int, generation: int, dictionary: Mapping[str, Value]) -> Decrypt | None:
        """Return how the stream of an object is decrypted; ``None`` if it is not encrypted."""
        if dictionary.get("Type") == "XRef" or (dictionary.get("Type") == "Metadata" and not self.metadata):
            return None
        return None if _identity(dictionary) else self._by(self.streams, number, generation)

    def _by(self, method: str, number: int, generation: int) -> Decrypt | None:
        if method == "none":
            return None
        if method == "aes256":
            return lambda octets: _aes(self.key, octets)
        salt = number.to_bytes(4, "little")[:3] + generation.to_bytes(4, "little")[:2]
        tail = b"sAlT" if method == "aes128" else b""
        key = hashlib.md5(self.key + salt + tail, usedforsecurity=False).digest()[: min(len(self.key) + 5, 16)]
        return (lambda octets: _aes(key, octets)) if method == "aes128" else (lambda octets: _rc4(key, octets))


def _identity(dictionary: Mapping[str, Value]) -> bool:
    """Say whether a stream opts out by ``/Crypt`` with the name ``Identity``."""
    filters = dictionary.get("Filter")
    first = filters[0] if isinstance(filters, tuple) and filters else filters
    if first != "Crypt":
        return False
    parameters = dictionary.get("DecodeParms")
    own = parameters[0] if isinstance(parameters, tuple) and parameters else parameters
    return not isinstance(own, Mapping) or own.get("Name", "Identity") == "Identity"


def open_crypt(encrypt: Mapping[str, Value], first_id: bytes) -> Crypt:
    """Open ``/Encrypt`` with the empty user password.

    Raises:
        InputRefused: another password is needed (``EDOC-PDF-004``), or the dictionary cannot be read.
    """
    version, revision = _integer(encrypt, "V"), _integer(encrypt, "R")
    if encrypt.get("Filter") != "Standard" or version not in (1, 2, 4, 5) or revision not in (2, 3, 4, 5, 6):
        raise _locked()
    owner, user = _string(encrypt, "O"), _string(encrypt, "U")
    metadata = encrypt.get("EncryptMetadata") is not False
    strings, streams = _methods(encrypt, version)
    if version == 5:
        return Crypt(_key_of_5(encrypt, user, revision), strings, streams, metadata)
    size = _length(encrypt, version)
    data = _PAD + owner[:32] + (_integer(encrypt, "P") & 0xFFFFFFFF).to_bytes(4, "little") + first_id
    if revision >= 4 and not metadata:
        data += b"\xff\xff\xff\xff"
    key = hashlib.md5(data, usedforsecurity=False).digest()
    for _ in range(50 if revision >= 3 else 0):
        key = hashlib.md5(key[:size], usedforsecurity=False).digest()
    key = key[:size]
    if not _fits(key, user, revision, first_id):
        raise _locked()
    return Crypt(key, strings, streams, metadata)


def _length(encrypt: Mapping[str, Value], version: int) -> int:
    if version == 1:
        return 5
    bits = _integer(encrypt, "Length") or (128 if version == 4 else 40)
    if version == 4:
        return 16
    return max(5, min(16, bits // 8 if bits >= 40 else bits))


def _fits(key: bytes, user: bytes, revision: int, first_id: bytes) -> bool:
    """Say whether this is the key of the empty user password (algorithms 4 to 6)."""
    if revision == 2:
        return _rc4(key, _PAD) == user[:32]
    value = _rc4(key, hashlib.md5(_PAD + first_id, usedforsecurity=False).digest())
    for step in range(1, 20):
        value = _rc4(bytes(octet ^ step for octet in key), value)
    return value[:16] == user[:16]


def _key_of_5(encrypt: Mapping[str, Value], user: bytes, revision: int) -> bytes:
    """Algorithm 2.A with the empty password."""
    sealed = _string(encrypt, "UE")
    if len(user) < 48 or len(sealed) < 32:
        raise _locked()
    digest = _hash_of_6 if revision == 6 else (lambda salt: hashlib.sha256(salt).digest())
    if digest(user[32:40]) != user[:32]:
        raise _locked()
    engine = Cipher(algorithms.AES(digest(user[40:48])), modes.CBC(bytes(16))).decryptor()
    return engine.update(sealed[:32]) + engine.finalize()


def _hash_of_6(salt: bytes) -> bytes:
    """Algorithm 2.B with the empty password."""
    key, step, last = hashlib.sha256(salt).digest(), 0, 0
    while step < 64 or last > step - 32:
        engine = Cipher(algorithms.AES(key[:16]), modes.CBC(key[16:32])).encryptor()
        sealed = engine.update(key * 64) + engine.finalize()
        kind = ("sha256", "sha384", "sha512")[sum(sealed[:16]) % 3]
        key, last, step = hashlib.new(kind, sealed).digest(), sealed[-1], step + 1
    return key[:32]


def _methods(encrypt: Mapping[str, Value], version: int) -> tuple[str, str]:
    """Return the methods of strings and streams."""
    if version < 4:
        return "rc4", "rc4"
    filters = encrypt.get("CF")
    found = []
    for key in ("StrF", "StmF"):
        name = encrypt.get(key, Name("Identity"))
        own = filters.get(str(name)) if isinstance(filters, Mapping) else None
        method = own.get("CFM") if isinstance(own, Mapping) else None
        known = {"V2": "rc4", "AESV2": "aes128", "AESV3": "aes256", "None": "none"}
        word = "none" if name == "Identity" else known.get(str(method))
        if word is None:
            raise _locked()
        found.append(word)
    return found[0], found[1]


def _integer(dictionary: Mapping[str, Value], key: str) -> int:
    value = dictionary.get(key)
    return value if isinstance(value, int) else 0


def _string(dictionary: Mapping[str, Value], key: str) -> bytes:
    value = dictionary.get(key)
    if not isinstance(value, String):
        raise _locked()
    return bytes(value)


def _rc4(key: bytes, octets: bytes) -> bytes:
    return Cipher(ARC4(key), None).decryptor().update(octets)


def _aes(key: bytes, octets: bytes) -> bytes:
    """Undo AES in CBC mode with its vector in front; a damaged ending is cut off, as readers do."""
    body = octets[16 : len(octets) // 16 * 16]
    if not body:
        return b""
    engine = Cipher(algorithms.AES(key), modes.CBC(octets[:16])).decryptor()
    plain = engine.update(body) + engine.finalize()
    return plain[: -plain[-1]] if 1 <= plain[-1] <= 16 else plain
