"""The mathematics of signature values: what is computed, and does a value fit a key (RFC 8017, 5754, 8032, 9882).

Old algorithms are computed, so that integrity is known; whether they are accepted is the policy's business.
"""

from __future__ import annotations

import hashlib
from typing import Protocol

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, mldsa, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature

from signer import der
from signer.report import Algorithm
from signer.signeddata import SignerInfo

DIGEST_NAMES = {
    "md5": "MD5",
    "ripemd160": "RIPEMD-160",
    "sha1": "SHA-1",
    "sha224": "SHA-224",
    "sha256": "SHA-256",
    "sha384": "SHA-384",
    "sha512": "SHA-512",
    "sha512_224": "SHA-512/224",
    "sha512_256": "SHA-512/256",
    "sha3_224": "SHA3-224",
    "sha3_256": "SHA3-256",
    "sha3_384": "SHA3-384",
    "sha3_512": "SHA3-512",
    "shake256": "SHAKE256",
}
SCHEME_NAMES = {
    "rsassa_pkcs1v15": "RSASSA-PKCS1-v1_5",
    "rsassa_pss": "RSASSA-PSS",
    "ecdsa": "ECDSA",
    "ecdsa_plain": "ECDSA",
    "ed25519": "Ed25519",
    "ed448": "Ed448",
    "dsa": "DSA",
    "mldsa44": "ML-DSA-44",
    "mldsa65": "ML-DSA-65",
    "mldsa87": "ML-DSA-87",
}
_HASHES: dict[str, hashes.HashAlgorithm] = {
    "md5": hashes.MD5(),  # noqa: S303  # computed so that integrity is known; never accepted (R70)
    "sha1": hashes.SHA1(),  # noqa: S303  # as above
    "sha224": hashes.SHA224(),
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
    "sha512_224": hashes.SHA512_224(),
    "sha512_256": hashes.SHA512_256(),
    "sha3_224": hashes.SHA3_224(),
    "sha3_256": hashes.SHA3_256(),
    "sha3_384": hashes.SHA3_384(),
    "sha3_512": hashes.SHA3_512(),
}
_RIPEMD160 = "ripemd160"  # not in the library; only RSASSA-PKCS1-v1_5 is computed with it
_SHAKE_SIZES = {"shake256": 64}  # RFC 8419: with Ed448
COMPUTED = frozenset({*_HASHES, _RIPEMD160, *_SHAKE_SIZES})
"""Digests that are computed, in the names of CMS here."""
WHOLE_SCHEMES = frozenset({"ed25519", "ed448", "mldsa44", "mldsa65", "mldsa87"})
"""Schemes that take the message itself, not its digest."""
_SALT_MAX_BYTES = 1 << 16
"""No key that is read has room for more; the library takes no number of any size."""
_ML_DSA: dict[str, type] = {
    "mldsa44": mldsa.MLDSA44PublicKey,
    "mldsa65": mldsa.MLDSA65PublicKey,
    "mldsa87": mldsa.MLDSA87PublicKey,
}
_DIGEST_INFO = {  # AlgorithmIdentifier without parameters, as some software leaves them out (RFC 8017, A.2.4)
    "sha1": "06052b0e03021a",
    "sha256": "0609608648016503040201",
    "sha384": "0609608648016503040202",
    "sha512": "0609608648016503040203",
    _RIPEMD160: "06052b24030201",
}


def digest_with(name: str, data: bytes | memoryview) -> bytes:
    """Hash ``data`` with a digest named as in CMS.

    Raises:
        ValueError: the digest is not supported.
    """
    if name in _SHAKE_SIZES:
        return hashlib.shake_256(data).digest(_SHAKE_SIZES[name])
    if name not in COMPUTED:
        raise ValueError(f"digest {name} is not supported")
    return hashlib.new(name, data, usedforsecurity=False).digest()


def verifies(key: object, info: SignerInfo, signed: bytes) -> bool:
    """Verify the value over what was signed: a digest, or the message for ``WHOLE_SCHEMES``.

    ``False``: the key is of another kind.

    Raises:
        InvalidSignature: it does not fit.
        ValueError, UnsupportedAlgorithm: it cannot be computed.
    """
    if isinstance(key, ed25519.Ed25519PublicKey) and info.scheme == "ed25519":
        key.verify(info.value, signed)
        return True
    if isinstance(key, ed448.Ed448PublicKey) and info.scheme == "ed448":
        key.verify(info.value, signed)
        return True
    if isinstance(key, mldsa.MLDSA44PublicKey | mldsa.MLDSA65PublicKey | mldsa.MLDSA87PublicKey):
        if not isinstance(key, _ML_DSA.get(info.scheme, type(None))):
            return False
        key.verify(info.value, signed)
        return True
    return _verifies_digest(key, info, signed)


def _verifies_digest(key: object, info: SignerInfo, signed: bytes) -> bool:
    name = info.scheme_digest or info.digest
    if isinstance(key, rsa.RSAPublicKey) and info.scheme == "rsassa_pkcs1v15":
        return _verify_pkcs1(key, info.value, signed, name)
    digest = _HASHES.get(name)
    if digest is None or info.scheme not in SCHEME_NAMES:
        raise UnsupportedAlgorithm(name if digest is None else info.scheme)
    how = Prehashed(digest)
    if isinstance(key, rsa.RSAPublicKey) and info.scheme == "rsassa_pss":
        key.verify(info.value, signed, _pss(info, digest), how)
    elif isinstance(key, ec.EllipticCurvePublicKey) and info.scheme in {"ecdsa", "ecdsa_plain"}:
        value = info.value if info.scheme == "ecdsa" else _from_plain(info.value, key.curve.key_size)
        key.verify(value, signed, ec.ECDSA(how))
    elif isinstance(key, dsa.DSAPublicKey) and info.scheme == "dsa":
        key.verify(info.value, signed, how)
    else:
        return False
    return True


def _verify_pkcs1(key: rsa.RSAPublicKey, value: bytes, signed: bytes, name: str) -> bool:
    """Verify RSASSA-PKCS1-v1_5, the algorithm in its DigestInfo with NULL parameters or with none (RFC 8017, 9.2)."""
    if name in _HASHES:
        try:
            key.verify(value, signed, padding.PKCS1v15(), Prehashed(_HASHES[name]))
            return True
        except InvalidSignature:
            if name not in _DIGEST_INFO:
                raise
    oid = bytes.fromhex(_DIGEST_INFO[name])
    recovered = key.recover_data_from_signature(value, padding.PKCS1v15(), None)
    for algorithm in (oid, oid + b"\x05\x00"):
        content = der.encode(der.SEQUENCE, algorithm) + der.encode(der.OCTETS, signed)
        if recovered == der.encode(der.SEQUENCE, content):
            return True
    raise InvalidSignature


def _from_plain(value: bytes, bits: int) -> bytes:
    """Return r and s, each as long as the order of the group, as DER has them."""
    size = (bits + 7) // 8
    if len(value) != 2 * size:
        raise InvalidSignature
    return encode_dss_signature(int.from_bytes(value[:size]), int.from_bytes(value[size:]))


def _pss(info: SignerInfo, digest: hashes.HashAlgorithm) -> padding.PSS:
    if info.mask_digest is not None and info.mask_digest not in _HASHES:
        raise UnsupportedAlgorithm(info.mask_digest)
    mask = _HASHES[info.mask_digest] if info.mask_digest else digest
    salt = digest.digest_size if info.salt_length is None else info.salt_length
    if not 0 <= salt <= _SALT_MAX_BYTES:
        raise InvalidSignature
    return padding.PSS(padding.MGF1(mask), salt)


def describe(key: object, scheme: str, digest: str) -> Algorithm:
    """Return a signature's algorithms in the words of reports, given the public key and the names of CMS."""
    kind, bits, curve = "unknown", 0, None
    if isinstance(key, rsa.RSAPublicKey):
        kind, bits = "RSA", key.key_size
    elif isinstance(key, ec.EllipticCurvePublicKey):
        kind, bits, curve = "EC", key.key_size, key.curve.name
    elif isinstance(key, ed25519.Ed25519PublicKey):
        kind, bits = "Ed25519", 255
    elif isinstance(key, ed448.Ed448PublicKey):
        kind, bits = "Ed448", 448
    elif isinstance(key, dsa.DSAPublicKey):
        kind, bits = "DSA", key.key_size
    elif scheme in _ML_DSA and isinstance(key, _ML_DSA[scheme]):
        kind, bits = "ML-DSA", int(scheme.removeprefix("mldsa"))
    return Algorithm(SCHEME_NAMES.get(scheme, scheme), DIGEST_NAMES.get(digest, digest), kind, bits, curve, tt15=False)


class Signed(Protocol):
    """A certificate, CRL or OCSP answer, as far as its signature goes."""

    @property
    def signature_algorithm_oid(self) -> x509.ObjectIdentifier:
        """What it says it was signed with."""

    @property
    def signature_hash_algorithm(self) -> hashes.HashAlgorithm | None:
        """The digest; ``None`` where the scheme has its own."""


def algorithm_of(signed: Signed, key: object) -> Algorithm:
    """Return the algorithms a certificate, CRL or OCSP answer was signed with by this public key."""
    name = signed.signature_algorithm_oid._name.lower()
    families = {"pss": "rsassa_pss", "ecdsa": "ecdsa", "ed25519": "ed25519", "ed448": "ed448", "dsa": "dsa"}
    scheme = next((word for part, word in families.items() if part in name), "rsassa_pkcs1v15")
    try:
        digest = signed.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return describe(key, scheme, name)
    return describe(key, scheme, digest.name.replace("-", "_") if digest else "sha512")
