"""The core of XML-DSig: algorithms by identifier, and whether a value fits a key (signing.md 5.2; RFC 9231).

The lists are closed: an identifier that is not in them is unsupported, never guessed. Old digests are computed, so that
integrity is known; whether they are accepted is the policy's business. HMAC is not in the list: a public key is never
a secret (W9).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature, encode_dss_signature

from signer.algorithms import Scheme
from signer.certificates import certificate as read_certificate
from signer.cms import DIGEST_NAMES, describe
from signer.report import Algorithm, Crypto

DS = "http://www.w3.org/2000/09/xmldsig#"
MORE = "http://www.w3.org/2001/04/xmldsig-more#"
MORE_2007 = "http://www.w3.org/2007/05/xmldsig-more#"
MORE_2021 = "http://www.w3.org/2021/04/xmldsig-more#"
ENC = "http://www.w3.org/2001/04/xmlenc#"
DS11 = "http://www.w3.org/2009/xmldsig11#"

ENVELOPED = DS + "enveloped-signature"
BASE64 = DS + "base64"
OBJECT_TYPE = DS + "Object"
MANIFEST_TYPE = DS + "Manifest"

DIGESTS: Mapping[str, str] = {
    MORE + "md5": "md5",
    DS + "sha1": "sha1",
    MORE + "sha224": "sha224",
    ENC + "sha256": "sha256",
    MORE + "sha384": "sha384",
    ENC + "sha512": "sha512",
    MORE_2007 + "sha3-256": "sha3_256",
    MORE_2007 + "sha3-384": "sha3_384",
    MORE_2007 + "sha3-512": "sha3_512",
}
"""Digest identifiers and their names in ``hashlib``."""

DIGEST_URIS: Mapping[str, str] = {name: uri for uri, name in DIGESTS.items()}

_HASHES: Mapping[str, hashes.HashAlgorithm] = {
    "md5": hashes.MD5(),  # noqa: S303  # computed so that integrity is known; never accepted (R70)
    "sha1": hashes.SHA1(),  # noqa: S303  # as above
    "sha224": hashes.SHA224(),
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
    "sha3_256": hashes.SHA3_256(),
    "sha3_384": hashes.SHA3_384(),
    "sha3_512": hashes.SHA3_512(),
}


@dataclass(frozen=True, slots=True)
class Method:
    """A signature method: scheme in the words of ``signer.cms``, and the digest over SignedInfo."""

    scheme: str
    digest: str


def _methods() -> dict[str, Method]:
    found = {
        DS + "rsa-sha1": Method("rsassa_pkcs1v15", "sha1"),
        MORE + "rsa-md5": Method("rsassa_pkcs1v15", "md5"),
        DS + "dsa-sha1": Method("dsa", "sha1"),
        DS11 + "dsa-sha256": Method("dsa", "sha256"),
        MORE_2021 + "eddsa-ed25519": Method("ed25519", "sha512"),
        MORE_2021 + "eddsa-ed448": Method("ed448", "sha512"),
    }
    for name in ("sha1", "sha224", "sha256", "sha384", "sha512"):
        found[MORE + "ecdsa-" + name] = Method("ecdsa", name)
        found[MORE_2007 + name + "-rsa-MGF1"] = Method("rsassa_pss", name)
        if name != "sha1":
            found[MORE + "rsa-" + name] = Method("rsassa_pkcs1v15", name)
    for name in ("sha3_256", "sha3_384", "sha3_512"):
        uri = name.replace("_", "-")
        found[MORE_2021 + "ecdsa-" + uri] = Method("ecdsa", name)
        found[MORE_2007 + uri + "-rsa-MGF1"] = Method("rsassa_pss", name)
    return found


METHODS: Mapping[str, Method] = _methods()
"""Signature identifiers that can be computed."""

_SCHEME_URIS: Mapping[Scheme, str] = {
    Scheme.RSA_PKCS1_SHA256: MORE + "rsa-sha256",
    Scheme.RSA_PKCS1_SHA384: MORE + "rsa-sha384",
    Scheme.RSA_PKCS1_SHA512: MORE + "rsa-sha512",
    Scheme.RSA_PSS_SHA256: MORE_2007 + "sha256-rsa-MGF1",
    Scheme.RSA_PSS_SHA384: MORE_2007 + "sha384-rsa-MGF1",
    Scheme.RSA_PSS_SHA512: MORE_2007 + "sha512-rsa-MGF1",
    Scheme.ECDSA_SHA256: MORE + "ecdsa-sha256",
    Scheme.ECDSA_SHA384: MORE + "ecdsa-sha384",
    Scheme.ECDSA_SHA512: MORE + "ecdsa-sha512",
}

_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")


def method_uri(scheme: Scheme) -> str:
    """Return the identifier of a scheme we write.

    Raises:
        ValueError: XML signatures are not written with it.
    """
    if scheme not in _SCHEME_URIS:
        raise ValueError(f"XML signatures are not written with {scheme.value}")
    return _SCHEME_URIS[scheme]


def digest_bytes(name: str, data: bytes) -> bytes:
    """Hash with a digest of ``DIGESTS``."""
    return hashlib.new(name, data, usedforsecurity=False).digest()


def encode(data: bytes) -> str:
    """Return base64 in one line."""
    return base64.b64encode(data).decode("ascii")


def decode(text: str) -> bytes:
    """Decode base64 with white space in it.

    Raises:
        ValueError: not base64.
    """
    joined = "".join(text.split())
    if not _BASE64.fullmatch(joined):
        raise ValueError("not base64")
    try:
        return base64.b64decode(joined, validate=True)
    except binascii.Error:
        raise ValueError("not base64") from None


def decode_exact(text: str) -> bytes:
    """Decode base64 that is written in the one way we write it: one line, unused bits zero.

    Raises:
        ValueError: not base64, or written differently.
    """
    data = decode(text)
    if encode(data) != text:
        raise ValueError("base64 not in its exact form")
    return data


@dataclass(frozen=True, slots=True)
class ValueCheck:
    """Does a signature value fit a key? ``der`` tells that an ECDSA value was DER-coded."""

    crypto: Crypto
    algorithm: Algorithm | None
    der: bool = False


def public_key(certificate: bytes) -> object | None:
    """Return a certificate's public key, or ``None`` if certificate or key cannot be read."""
    try:
        return read_certificate(certificate).public_key()
    except (ValueError, UnsupportedAlgorithm):
        return None


def check_value(key: object, value: bytes, octets: bytes, method: Method) -> ValueCheck:
    """Check a value over the canonical octets of SignedInfo. A key of another kind than the method's is ``bad``."""
    algorithm = describe(key, method.scheme, method.digest)
    if isinstance(key, ec.EllipticCurvePublicKey) and method.scheme == "ecdsa":
        value, was_der = _dss_value(key, value)
        if value == b"":
            return ValueCheck(Crypto.BAD, algorithm)
    else:
        was_der = False
    try:
        fits = _fits(key, value, octets, method)
    except InvalidSignature:
        fits = False
    except (ValueError, UnsupportedAlgorithm):
        return ValueCheck(Crypto.UNKNOWN, algorithm)
    return ValueCheck(Crypto.OK if fits else Crypto.BAD, algorithm, was_der)


def _dss_value(key: ec.EllipticCurvePublicKey, value: bytes) -> tuple[bytes, bool]:
    """Return an ECDSA value in DER; the standard's form is r and s, each as long as the field."""
    size = (key.curve.key_size + 7) // 8
    if len(value) == 2 * size:
        return encode_dss_signature(int.from_bytes(value[:size]), int.from_bytes(value[size:])), False
    try:
        r, s = decode_dss_signature(value)
    except ValueError:
        return b"", False
    return value if encode_dss_signature(r, s) == value else b"", True


def raw_value(key: object, value: bytes) -> bytes:
    """Turn a value as a key makes it (ECDSA in DER) into the octets of ``SignatureValue`` (r and s)."""
    if not isinstance(key, ec.EllipticCurvePublicKey):
        return value
    size = (key.curve.key_size + 7) // 8
    r, s = decode_dss_signature(value)
    return r.to_bytes(size) + s.to_bytes(size)


def _fits(key: object, value: bytes, octets: bytes, method: Method) -> bool:
    if isinstance(key, ed25519.Ed25519PublicKey) and method.scheme == "ed25519":
        key.verify(value, octets)
        return True
    if isinstance(key, ed448.Ed448PublicKey) and method.scheme == "ed448":
        key.verify(value, octets)
        return True
    algorithm = _HASHES[method.digest]
    hashed, how = digest_bytes(method.digest, octets), Prehashed(algorithm)
    if isinstance(key, rsa.RSAPublicKey) and method.scheme == "rsassa_pkcs1v15":
        key.verify(value, hashed, padding.PKCS1v15(), how)
    elif isinstance(key, rsa.RSAPublicKey) and method.scheme == "rsassa_pss":
        key.verify(value, hashed, padding.PSS(padding.MGF1(algorithm), algorithm.digest_size), how)
    elif isinstance(key, ec.EllipticCurvePublicKey) and method.scheme == "ecdsa":
        key.verify(value, hashed, ec.ECDSA(how))
    elif isinstance(key, dsa.DSAPublicKey) and method.scheme == "dsa":
        size = len(value) // 2
        dss = encode_dss_signature(int.from_bytes(value[:size]), int.from_bytes(value[size:]))
        key.verify(dss, hashed, how)
    else:
        return False
    return True


def digest_label(name: str) -> str:
    """Return a digest's name as reports write it."""
    return DIGEST_NAMES.get(name, name)
