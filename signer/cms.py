"""Does a CMS signature hold over given octets? Mathematics and structure only (signing.md 4.1, E1–E4).

The signer's certificate is found by SignerIdentifier **and** the ESS reference: the digest in
``signing-certificate(-v2)`` must be that of the certificate whose key verifies. Whatever cannot be computed is
``unknown``, never ``ok``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from signer import certificates
from signer.asn1 import (
    SignerInfo,
    ess_certificate_ids,
    in_der_order,
    issuer_name,
    object_identifier,
    octet_string,
)
from signer.report import Algorithm, Code, Crypto, Reason

DIGEST_NAMES = {
    "md5": "MD5",
    "sha1": "SHA-1",
    "sha224": "SHA-224",
    "sha256": "SHA-256",
    "sha384": "SHA-384",
    "sha512": "SHA-512",
    "sha3_256": "SHA3-256",
    "sha3_384": "SHA3-384",
    "sha3_512": "SHA3-512",
}
SCHEME_NAMES = {
    "rsassa_pkcs1v15": "RSASSA-PKCS1-v1_5",
    "rsassa_pss": "RSASSA-PSS",
    "ecdsa": "ECDSA",
    "ed25519": "Ed25519",
    "ed448": "Ed448",
    "dsa": "DSA",
}
_HASHES: dict[str, hashes.HashAlgorithm] = {
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
class CmsCheck:
    """What the mathematics says about one signer: ``ok``, ``bad`` with a code, or ``unknown`` with what is missing."""

    crypto: Crypto
    certificate: bytes | None
    algorithm: Algorithm | None
    digest_algorithms: tuple[str, ...]
    reasons: tuple[Reason, ...]
    warnings: tuple[Reason, ...]
    has_ess: bool


def digest_with(name: str, data: bytes) -> bytes:
    """Hash ``data`` with a digest named as in CMS.

    Raises:
        ValueError: the digest is not supported.
    """
    if name not in _HASHES:
        raise ValueError(f"digest {name} is not supported")
    return hashlib.new(name, data, usedforsecurity=False).digest()


def check_signer(
    info: SignerInfo,
    *,
    content_digest: bytes | None,
    content: bytes | None,
    content_type: str,
    candidates: Sequence[bytes],
) -> CmsCheck:
    """Check one signer over content given as octets or as its digest (made with ``info.digest``).

    ``content_type`` is the real type, ``candidates`` are certificates (DER) to find the signer's among.
    """
    reasons: list[Reason] = []
    certificate = find_certificate(info, candidates)
    warnings = _algorithm_warnings(info)
    digests = tuple(dict.fromkeys(filter(None, (info.digest, info.scheme_digest))))
    if info.digest not in _HASHES:
        reasons.append(Reason(Code.CRYPTO_CONSTRAINTS_FAILURE, {"algorithm": info.digest}))
        reasons.append(Reason(Code.ALGORITHM_UNSUPPORTED, {"algorithm": info.digest}))
        return CmsCheck(Crypto.UNKNOWN, certificate, None, digests, tuple(reasons), warnings, False)
    if content_digest is None and content is not None:
        content_digest = digest_with(info.digest, content)
    if content_digest is None:
        reasons.append(Reason(Code.SIGNED_DATA_NOT_FOUND, {"name": "content"}))
        return CmsCheck(Crypto.UNKNOWN, certificate, None, digests, tuple(reasons), warnings, False)
    reasons += _check_attributes(info, content_digest, content_type) + _check_agreement(info)
    ess, mismatch = _check_ess(info, certificate)
    reasons += mismatch
    if certificate is None:
        reasons.append(Reason(Code.NO_SIGNING_CERTIFICATE_FOUND))
        bad = any(r.code is Code.HASH_FAILURE for r in reasons)
        return CmsCheck(Crypto.BAD if bad else Crypto.UNKNOWN, None, None, digests, tuple(reasons), warnings, ess)
    value = _check_value(info, certificate, content, content_digest)
    crypto = Crypto.BAD if any(r.code is Code.HASH_FAILURE for r in reasons) else value.crypto
    reasons += value.reasons
    return CmsCheck(crypto, certificate, value.algorithm, digests, tuple(reasons), (*warnings, *value.warnings), ess)


def find_certificate(info: SignerInfo, candidates: Sequence[bytes]) -> bytes | None:
    """Return the certificate the SignerIdentifier names; of several the one the ESS attribute names."""
    named = [der for der in dict.fromkeys(candidates) if _is_named(info, der)]
    for der in named:
        if any(_hashes_to(name, der, digest) for name, digest in _ess_ids(info)[:1]):
            return der
    return named[0] if named else None


def _hashes_to(name: str, data: bytes, digest: bytes) -> bool:
    """Say whether the data have this digest; one that cannot be computed names nothing."""
    try:
        return digest_with(name, data) == digest
    except ValueError:
        return False


def _is_named(info: SignerInfo, der: bytes) -> bool:
    try:
        if info.key_id is not None:
            return certificates.key_identifier(der) == info.key_id
        return certificates.certificate(der).serial_number == info.serial and issuer_name(der) == info.issuer
    except ValueError:
        return False


def _ess_ids(info: SignerInfo) -> tuple[tuple[str, bytes], ...]:
    for name, version in (("signing_certificate_v2", 2), ("signing_certificate", 1)):
        lists = info.values(name)
        if lists and lists[0]:
            try:
                return ess_certificate_ids(lists[0][0], version=version)
            except ValueError:
                return ()
    return ()


def _check_ess(info: SignerInfo, certificate: bytes | None) -> tuple[bool, list[Reason]]:
    present = [name for name in ("signing_certificate_v2", "signing_certificate") if info.values(name)]
    if not present or certificate is None:
        return bool(present), []
    lists = info.values(present[0])
    mismatch = [Reason(Code.FORMAT_FAILURE), Reason(Code.SIGNING_CERTIFICATE_MISMATCH)]
    if len(lists) != 1 or len(lists[0]) != 1:
        return True, mismatch
    ids = _ess_ids(info)
    if not ids or ids[0][0] not in _HASHES:
        return True, mismatch
    name, digest = ids[0]
    return True, [] if digest_with(name, certificate) == digest else mismatch


def _check_attributes(info: SignerInfo, content_digest: bytes, content_type: str) -> list[Reason]:
    """E2: message-digest and content-type once each, with one value, equal to the digest and the real type."""
    if info.signed_attributes is None:
        return []
    digests, types = info.values("message_digest"), info.values("content_type")
    if [len(v) for v in digests] != [1] or [len(v) for v in types] != [1]:
        return [Reason(Code.FORMAT_FAILURE), Reason(Code.MALFORMED, {"where": "signed attributes"})]
    try:
        named, stated = octet_string(digests[0][0]), object_identifier(types[0][0])
    except ValueError:
        return [Reason(Code.FORMAT_FAILURE), Reason(Code.MALFORMED, {"where": "signed attributes"})]
    if named != content_digest:
        return [Reason(Code.HASH_FAILURE, {"part": "content"})]
    if stated != content_type:
        return [Reason(Code.FORMAT_FAILURE), Reason(Code.MALFORMED, {"where": "content-type"})]
    return []


def _check_agreement(info: SignerInfo) -> list[Reason]:
    """E4: the digest of the SignerInfo and that of the signature scheme are the same, where both are named."""
    if info.scheme_digest in (None, info.digest) or info.scheme in {"ed25519", "ed448"}:
        return []
    return [Reason(Code.FORMAT_FAILURE), Reason(Code.MALFORMED, {"where": "digest algorithms"})]


@dataclass(frozen=True, slots=True)
class _Value:
    """What the mathematics says about the value alone."""

    crypto: Crypto
    algorithm: Algorithm | None
    reasons: tuple[Reason, ...]
    warnings: tuple[Reason, ...] = ()


def _check_value(info: SignerInfo, certificate: bytes, content: bytes | None, content_digest: bytes) -> _Value:
    unsupported = (
        Reason(Code.CRYPTO_CONSTRAINTS_FAILURE, {"algorithm": info.scheme}),
        Reason(Code.ALGORITHM_UNSUPPORTED, {"algorithm": info.scheme}),
    )
    try:
        key, mended = certificates.public_key(certificate)
    except ValueError:
        return _Value(Crypto.UNKNOWN, None, unsupported)
    digest_name = info.scheme_digest or info.digest
    algorithm = describe(key, info.scheme, digest_name)
    warnings = (Reason(Code.CERTIFICATE_ENCODING),) if mended else ()
    signed = _signed_octets(info, content, content_digest)
    if not signed:
        return _Value(Crypto.UNKNOWN, algorithm, unsupported, warnings)
    for octets, remarks in signed:
        try:
            if _verify(key, info, octets):
                return _Value(Crypto.OK, algorithm, (), (*warnings, *remarks))
        except InvalidSignature:
            continue
        except (ValueError, UnsupportedAlgorithm):
            return _Value(Crypto.UNKNOWN, algorithm, unsupported, warnings)
    return _Value(Crypto.BAD, algorithm, (Reason(Code.SIG_CRYPTO_FAILURE),), warnings)


def _signed_octets(
    info: SignerInfo, content: bytes | None, content_digest: bytes
) -> list[tuple[bytes, tuple[Reason, ...]]]:
    """Return what the value may be over, digested unless the scheme does so itself; empty if it cannot be computed.

    Signed attributes are taken as they stand; only if they are not DER also in the order that DER asks for (E1).
    """
    plain = info.scheme in {"ed25519", "ed448"}
    name = info.scheme_digest or info.digest
    if not plain and name not in _HASHES:
        return []
    if info.signed_attributes is None:
        if plain:
            return [] if content is None else [(content, ())]
        return [(content_digest, ())] if name == info.digest else []
    found: list[tuple[bytes, tuple[Reason, ...]]] = [(info.signed_attributes, ())]
    ordered = in_der_order(info.signed_attributes)
    if ordered is not None:
        found.append((ordered, (Reason(Code.ATTRIBUTES_NOT_DER),)))
    return found if plain else [(digest_with(name, octets), remarks) for octets, remarks in found]


def _verify(key: object, info: SignerInfo, signed: bytes) -> bool:
    """Verify the value over what was signed (a digest, but for Ed25519 and Ed448); ``False``: key of another kind."""
    if isinstance(key, ed25519.Ed25519PublicKey) and info.scheme == "ed25519":
        key.verify(info.value, signed)
        return True
    if isinstance(key, ed448.Ed448PublicKey) and info.scheme == "ed448":
        key.verify(info.value, signed)
        return True
    digest = _HASHES.get(info.scheme_digest or info.digest)
    if digest is None:
        return False
    how = Prehashed(digest)
    if isinstance(key, rsa.RSAPublicKey) and info.scheme == "rsassa_pkcs1v15":
        key.verify(info.value, signed, padding.PKCS1v15(), how)
    elif isinstance(key, rsa.RSAPublicKey) and info.scheme == "rsassa_pss":
        key.verify(info.value, signed, _pss(info, digest), how)
    elif isinstance(key, ec.EllipticCurvePublicKey) and info.scheme == "ecdsa":
        key.verify(info.value, signed, ec.ECDSA(how))
    elif isinstance(key, dsa.DSAPublicKey) and info.scheme == "dsa":
        key.verify(info.value, signed, how)
    else:
        return False
    return True


def _pss(info: SignerInfo, digest: hashes.HashAlgorithm) -> padding.PSS:
    if info.mask_digest is not None and info.mask_digest not in _HASHES:
        raise UnsupportedAlgorithm(info.mask_digest)
    mask = _HASHES[info.mask_digest] if info.mask_digest else digest
    salt = digest.digest_size if info.salt_length is None else info.salt_length
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


def _algorithm_warnings(info: SignerInfo) -> tuple[Reason, ...]:
    if info.values("signing_certificate") and not info.values("signing_certificate_v2"):
        return (Reason(Code.NOT_TT15, {"algorithm": "signing-certificate (SHA-1)"}),)
    return ()
