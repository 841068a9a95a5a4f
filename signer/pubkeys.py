"""Public keys of certificates, and whether one signed something (RFC 3279, 4055, 5480, 5758, 8410).

A key is loaded as it was meant where old software encoded it wrongly, for checking only: an RSA modulus written as a
negative number, a DSA key without the parameters it inherits from its issuer (RFC 5280, 6.1.4). What this library
cannot compute is ``None``, never a yes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, mldsa, padding, rsa

from signer import der

RSA, RSA_PSS, DSA, EC = "1.2.840.113549.1.1.1", "1.2.840.113549.1.1.10", "1.2.840.10040.4.1", "1.2.840.10045.2.1"
_FAULTS = (ValueError, TypeError, UnsupportedAlgorithm)
_RSA, _ECDSA, _NIST = "1.2.840.113549.1.1.", "1.2.840.10045.4.", "2.16.840.1.101.3.4.3."
_SCHEMES: dict[str, tuple[str, str]] = {
    f"{_RSA}4": ("rsassa_pkcs1v15", "md5"),
    f"{_RSA}5": ("rsassa_pkcs1v15", "sha1"),
    "1.3.14.3.2.29": ("rsassa_pkcs1v15", "sha1"),
    f"{_RSA}14": ("rsassa_pkcs1v15", "sha224"),
    f"{_RSA}11": ("rsassa_pkcs1v15", "sha256"),
    f"{_RSA}12": ("rsassa_pkcs1v15", "sha384"),
    f"{_RSA}13": ("rsassa_pkcs1v15", "sha512"),
    f"{_RSA}15": ("rsassa_pkcs1v15", "sha512_224"),
    f"{_RSA}16": ("rsassa_pkcs1v15", "sha512_256"),
    f"{_NIST}14": ("rsassa_pkcs1v15", "sha3_256"),
    f"{_NIST}15": ("rsassa_pkcs1v15", "sha3_384"),
    f"{_NIST}16": ("rsassa_pkcs1v15", "sha3_512"),
    f"{_ECDSA}1": ("ecdsa", "sha1"),
    f"{_ECDSA}3.1": ("ecdsa", "sha224"),
    f"{_ECDSA}3.2": ("ecdsa", "sha256"),
    f"{_ECDSA}3.3": ("ecdsa", "sha384"),
    f"{_ECDSA}3.4": ("ecdsa", "sha512"),
    f"{_NIST}10": ("ecdsa", "sha3_256"),
    f"{_NIST}11": ("ecdsa", "sha3_384"),
    f"{_NIST}12": ("ecdsa", "sha3_512"),
    "1.2.840.10040.4.3": ("dsa", "sha1"),
    f"{_NIST}1": ("dsa", "sha224"),
    f"{_NIST}2": ("dsa", "sha256"),
    f"{_NIST}3": ("dsa", "sha384"),
    f"{_NIST}4": ("dsa", "sha512"),
    "1.3.101.112": ("ed25519", "sha512"),
    "1.3.101.113": ("ed448", "shake256"),
    f"{_NIST}17": ("mldsa44", "shake256"),
    f"{_NIST}18": ("mldsa65", "shake256"),
    f"{_NIST}19": ("mldsa87", "shake256"),
}
_ML_DSA: dict[str, type] = {
    "mldsa44": mldsa.MLDSA44PublicKey,
    "mldsa65": mldsa.MLDSA65PublicKey,
    "mldsa87": mldsa.MLDSA87PublicKey,
}
DIGESTS = {
    "1.2.840.113549.2.5": "md5",
    "1.3.14.3.2.26": "sha1",
    "2.16.840.1.101.3.4.2.4": "sha224",
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
    "2.16.840.1.101.3.4.2.5": "sha512_224",
    "2.16.840.1.101.3.4.2.6": "sha512_256",
    "2.16.840.1.101.3.4.2.8": "sha3_256",
    "2.16.840.1.101.3.4.2.9": "sha3_384",
    "2.16.840.1.101.3.4.2.10": "sha3_512",
}
"""Digests that are computed, by object identifier, in the names of ``hashlib``."""

HASHES: dict[str, hashes.HashAlgorithm] = {
    "md5": hashes.MD5(),  # noqa: S303  # computed so that paths are found; never accepted (R70)
    "sha1": hashes.SHA1(),  # noqa: S303  # as above
    "sha224": hashes.SHA224(),
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
    "sha512_224": hashes.SHA512_224(),
    "sha512_256": hashes.SHA512_256(),
    "sha3_256": hashes.SHA3_256(),
    "sha3_384": hashes.SHA3_384(),
    "sha3_512": hashes.SHA3_512(),
}


@dataclass(frozen=True, slots=True)
class Scheme:
    """A signature scheme and its digest in the names of CMS; unknown ones bear their dotted form."""

    family: str
    digest: str
    mask_digest: str | None = None  # RSASSA-PSS
    salt: int | None = None


@lru_cache(maxsize=256)
def scheme(algorithm: bytes) -> Scheme:
    """Return what an AlgorithmIdentifier (DER) names; what is not known bears its dotted form.

    Raises:
        ValueError: it cannot be read.
    """
    oid, *parameters = der.whole(algorithm).expect(der.SEQUENCE).parts()
    name = der.identifier(oid)
    if name == RSA_PSS:
        return _pss(parameters[0] if parameters else None)
    family, digest = _SCHEMES.get(name, (name, name))
    return Scheme(family, digest)


def _pss(parameters: der.Value | None) -> Scheme:
    digest, mask, salt = "sha1", "sha1", 20
    for field in parameters.parts() if parameters is not None else ():
        inner = field.parts()[0]
        if field.tag == 0xA0:
            digest = _digest(inner)
        elif field.tag == 0xA1:
            mask = _digest(inner.parts()[1])
        elif field.tag == 0xA2:
            salt = der.integer(inner)
    return Scheme("rsassa_pss", digest, mask, salt)


def _digest(algorithm: der.Value) -> str:
    name = der.identifier(algorithm.parts()[0])
    return DIGESTS.get(name, name)


def algorithm_identifier(key: bytes) -> tuple[str, bytes | None]:
    """Return the algorithm (dotted) of a SubjectPublicKeyInfo and its parameters; NULL counts as none.

    Raises:
        ValueError: it cannot be read.
    """
    try:
        oid, *parameters = der.value(key).parts()[0].parts()
    except IndexError:
        raise ValueError("damaged key: no algorithm") from None
    given = parameters[0].encoded if parameters and parameters[0].tag != der.NULL else None
    return der.identifier(oid), given


def with_parameters(key: bytes, parameters: bytes) -> bytes:
    """Return a SubjectPublicKeyInfo with parameters it inherits.

    Raises:
        ValueError: it cannot be read.
    """
    algorithm, octets = der.value(key).parts()
    if not algorithm.parts():
        raise ValueError("damaged key: no algorithm")
    oid = algorithm.parts()[0].encoded
    return der.encode(der.SEQUENCE, der.encode(der.SEQUENCE, oid, parameters), octets.encoded)


@lru_cache(maxsize=512)
def load(key: bytes) -> tuple[object, bool]:
    """Load a SubjectPublicKeyInfo (DER); say whether its encoding had to be mended.

    Raises:
        ValueError: it cannot be loaded.
    """
    try:
        return serialization.load_der_public_key(key), False
    except _FAULTS:
        pass
    try:
        algorithm, octets = der.value(key).parts()
        if not algorithm.parts() or der.identifier(algorithm.parts()[0]) not in (RSA, RSA_PSS):
            raise ValueError("key cannot be loaded")
        modulus, exponent = der.whole(der.bits(octets)).parts()
        numbers = rsa.RSAPublicNumbers(int.from_bytes(exponent.content), int.from_bytes(modulus.content))
        return numbers.public_key(), True
    except _FAULTS as error:
        raise ValueError(f"damaged key: {type(error).__name__}") from None


def verify(key: bytes, algorithm: bytes, *, signed: bytes, value: bytes) -> bool | None:
    """Tell whether the key (SubjectPublicKeyInfo) made the value over the octets; ``None``: cannot be computed.

    A key of another kind than the algorithm asks for made nothing.
    """
    try:
        found, how = load(key)[0], scheme(algorithm)
        fits = _verify(found, how, signed, value)
    except InvalidSignature:
        return False
    except (*_FAULTS, OverflowError):
        return None
    return fits


def _verify(key: object, how: Scheme, signed: bytes, value: bytes) -> bool | None:
    if isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
        kind = "ed25519" if isinstance(key, ed25519.Ed25519PublicKey) else "ed448"
        if how.family == kind:
            key.verify(value, signed)
        return how.family == kind
    if isinstance(key, mldsa.MLDSA44PublicKey | mldsa.MLDSA65PublicKey | mldsa.MLDSA87PublicKey):
        fits = isinstance(key, _ML_DSA.get(how.family, ()))
        if fits:
            key.verify(value, signed)
        return fits
    digest = HASHES.get(how.digest)
    if digest is None:
        return None
    if isinstance(key, rsa.RSAPublicKey) and how.family in ("rsassa_pkcs1v15", "rsassa_pss"):
        key.verify(value, signed, _padding(how), digest)
        return True
    if isinstance(key, ec.EllipticCurvePublicKey) and how.family == "ecdsa":
        key.verify(value, signed, ec.ECDSA(digest))
        return True
    if isinstance(key, dsa.DSAPublicKey) and how.family == "dsa":
        key.verify(value, signed, digest)
        return True
    return False


def _padding(how: Scheme) -> padding.AsymmetricPadding:
    if how.family == "rsassa_pkcs1v15":
        return padding.PKCS1v15()
    mask = HASHES.get(how.mask_digest or how.digest)
    if mask is None or how.salt is None or how.salt < 0:
        raise ValueError("parameters of RSASSA-PSS")
    return padding.PSS(padding.MGF1(mask), how.salt)
