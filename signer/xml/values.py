"""Does a signature value fit a key? The mathematics of XML-DSig, old and new (signing.md 5.2; RFC 9231; RFC 8017).

Old algorithms are computed, so that integrity is known; whether they are accepted is the policy's business. A secret
and a public key are different types here, so that neither can stand for the other (W9).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature, encode_dss_signature

from signer.cms import describe
from signer.report import Algorithm, Crypto

HASHES: Mapping[str, hashes.HashAlgorithm] = {
    "md5": hashes.MD5(),  # noqa: S303  # computed so that integrity is known; never accepted (R70)
    "sha1": hashes.SHA1(),  # noqa: S303  # as above
    "sha224": hashes.SHA224(),
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
    "sha3_224": hashes.SHA3_224(),
    "sha3_256": hashes.SHA3_256(),
    "sha3_384": hashes.SHA3_384(),
    "sha3_512": hashes.SHA3_512(),
}
"""Digests the library knows; RIPEMD-160 is computed here."""

_RIPEMD160_INFO = bytes.fromhex("3021300906052b2403020105000414")
_PSS_TRAILER = 0xBC
RSA_BITS_MAX = 16384


@dataclass(frozen=True, slots=True)
class Method:
    """A signature method: scheme in the words of ``signer.cms`` (or ``hmac``), digest over SignedInfo, parameters."""

    scheme: str
    digest: str
    mask: str | None = None  # digest of MGF1, if it is another one
    salt: int | None = None  # length in octets, if not that of the digest
    output_bits: int | None = None  # of a shortened HMAC


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret for HMAC, given by the caller."""

    value: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ValueCheck:
    """Does a signature value fit a key? ``der`` tells that an ECDSA or DSA value was DER-coded."""

    crypto: Crypto
    algorithm: Algorithm | None
    der: bool = False


def digest_bytes(name: str, data: bytes) -> bytes:
    """Hash with a digest by its name in ``hashlib``."""
    return hashlib.new(name, data, usedforsecurity=False).digest()


def check_value(key: object, value: bytes, octets: bytes, method: Method) -> ValueCheck:
    """Check a value over the canonical octets of SignedInfo. A key of another kind than the method's is ``bad``."""
    if isinstance(key, Secret) or method.scheme == "hmac":
        return _check_hmac(key, value, octets, method)
    algorithm, was_der = describe(key, method.scheme, method.digest), False
    size = _dss_size(key)
    if size and method.scheme in {"ecdsa", "dsa"}:
        value, was_der = _dss_value(size, value)
        if value == b"":
            return ValueCheck(Crypto.BAD, algorithm)
    try:
        fits = _fits(key, value, octets, method)
    except InvalidSignature:
        fits = False
    except (ValueError, UnsupportedAlgorithm):
        return ValueCheck(Crypto.UNKNOWN, algorithm)
    return ValueCheck(Crypto.OK if fits else Crypto.BAD, algorithm, was_der and fits)


def _check_hmac(key: object, value: bytes, octets: bytes, method: Method) -> ValueCheck:
    if not isinstance(key, Secret) or method.scheme != "hmac":
        return ValueCheck(Crypto.BAD, None)
    made = hmac.new(key.value, octets, method.digest).digest()
    if method.output_bits is not None:
        made = made[: method.output_bits // 8]
    name = describe(None, "hmac", method.digest).digest
    algorithm = Algorithm("HMAC", name, "secret", 8 * len(made), None, tt15=False)
    return ValueCheck(Crypto.OK if hmac.compare_digest(made, value) else Crypto.BAD, algorithm)


def _dss_size(key: object) -> int:
    """Return how long r and s are, each; 0 for keys of other kinds."""
    if isinstance(key, ec.EllipticCurvePublicKey):
        return (key.curve.key_size + 7) // 8
    if isinstance(key, dsa.DSAPublicKey):
        return (key.public_numbers().parameter_numbers.q.bit_length() + 7) // 8
    return 0


def _dss_value(size: int, value: bytes) -> tuple[bytes, bool]:
    """Return an ECDSA or DSA value in DER; the standard's form is r and s, each as long as the order of the group.

    Some writers make both halves shorter, when both numbers happen to be; that is read too.
    """
    half = len(value) // 2
    if len(value) == 2 * size:
        return encode_dss_signature(int.from_bytes(value[:size]), int.from_bytes(value[size:])), False
    try:
        r, s = decode_dss_signature(value)
    except ValueError:
        if len(value) % 2 or not 0 < half < size:
            return b"", False
        return encode_dss_signature(int.from_bytes(value[:half]), int.from_bytes(value[half:])), False
    return value if encode_dss_signature(r, s) == value else b"", True


def raw_value(key: object, value: bytes) -> bytes:
    """Turn a value as a key makes it (ECDSA in DER) into the octets of ``SignatureValue`` (r and s)."""
    if not isinstance(key, ec.EllipticCurvePublicKey):
        return value
    size = _dss_size(key)
    r, s = decode_dss_signature(value)
    return r.to_bytes(size) + s.to_bytes(size)


def _fits(key: object, value: bytes, octets: bytes, method: Method) -> bool:
    if isinstance(key, ed25519.Ed25519PublicKey) and method.scheme == "ed25519":
        key.verify(value, octets)
        return True
    if isinstance(key, ed448.Ed448PublicKey) and method.scheme == "ed448":
        key.verify(value, octets)
        return True
    hashed = digest_bytes(method.digest, octets)
    if isinstance(key, rsa.RSAPublicKey) and method.scheme in {"rsassa_pkcs1v15", "rsassa_pss"}:
        return _rsa_fits(key, value, hashed, method)
    # only the length of the digest matters here, so that SHA-1 may stand for RIPEMD-160
    how = Prehashed(HASHES.get(method.digest, HASHES["sha1"]))
    if isinstance(key, ec.EllipticCurvePublicKey) and method.scheme == "ecdsa":
        key.verify(value, hashed, ec.ECDSA(how))
    elif isinstance(key, dsa.DSAPublicKey) and method.scheme == "dsa":
        key.verify(value, hashed, how)
    else:
        return False
    return True


def _rsa_fits(key: rsa.RSAPublicKey, value: bytes, hashed: bytes, method: Method) -> bool:
    if method.digest == "ripemd160" and method.scheme == "rsassa_pkcs1v15":
        return key.recover_data_from_signature(value, padding.PKCS1v15(), None) == _RIPEMD160_INFO + hashed
    mask = method.mask or method.digest
    salt = len(hashed) if method.salt is None else method.salt
    if "ripemd160" in {method.digest, mask}:
        return _pss_fits(key, value, hashed, method, salt)
    how = Prehashed(HASHES[method.digest])
    if method.scheme == "rsassa_pkcs1v15":
        key.verify(value, hashed, padding.PKCS1v15(), how)
    else:
        key.verify(value, hashed, padding.PSS(padding.MGF1(HASHES[mask]), salt), how)
    return True


def _pss_fits(key: rsa.RSAPublicKey, value: bytes, hashed: bytes, method: Method, salt: int) -> bool:
    """EMSA-PSS-VERIFY (RFC 8017, 9.1.2) with digests the library does not have."""
    numbers = key.public_numbers()
    bits, number, size = numbers.n.bit_length(), int.from_bytes(value), len(hashed)
    if bits > RSA_BITS_MAX or numbers.e.bit_length() > 64 or len(value) != (bits + 7) // 8 or number >= numbers.n:
        return False
    length = (bits + 6) // 8
    message = pow(number, numbers.e, numbers.n)
    if message.bit_length() > 8 * length or length < size + salt + 2:
        return False
    encoded = message.to_bytes(length)
    masked, seed = encoded[: length - size - 1], encoded[length - size - 1 : -1]
    unused = 8 * length - (bits - 1)
    if encoded[-1] != _PSS_TRAILER or masked[0] >> (8 - unused):
        return False
    mask = _mgf1(method.mask or method.digest, seed, len(masked))
    block = int.from_bytes(masked) ^ int.from_bytes(mask)
    plain = (block & ((1 << (8 * len(masked) - unused)) - 1)).to_bytes(len(masked))
    head = len(plain) - salt - 1
    if plain[:head] != bytes(head) or plain[head] != 1:
        return False
    return digest_bytes(method.digest, bytes(8) + hashed + plain[head + 1 :]) == seed


def _mgf1(name: str, seed: bytes, length: int) -> bytes:
    made = b""
    counter = 0
    while len(made) < length:
        made += digest_bytes(name, seed + counter.to_bytes(4))
        counter += 1
    return made[:length]
