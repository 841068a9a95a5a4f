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
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, mldsa, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature

from signer import ber, certificates, der, x509read
from signer.names import read_name
from signer.report import Algorithm, Code, Crypto, Reason
from signer.signeddata import (
    SignerInfo,
    ess_certificate_ids,
    in_der_order,
    object_identifier,
    octet_string,
    read_attribute,
)

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
CANDIDATES_MAX = 8
"""Certificates of one name and number whose keys are tried."""
_ONCE = ("signing_time", "cms_algorithm_protection", "signature_policy_identifier", "content_hint", "signer_location")
_SIGNED = ("content_type", "message_digest", "signing_time")


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


def check_signer(
    info: SignerInfo,
    *,
    content_digest: bytes | None,
    content: bytes | None,
    content_type: str | None,
    candidates: Sequence[bytes],
) -> CmsCheck:
    """Check one signer over content given as octets or as its digest (made with ``info.digest``).

    ``content_type`` is the real type, or ``None`` for a counter-signature, which states none; ``candidates`` are
    certificates (DER) to find the signer's among. Without content the value is checked over the signed attributes
    all the same: one that does not fit is bad whatever the content.
    """
    warnings = _algorithm_warnings(info)
    digests = tuple(dict.fromkeys(filter(None, (info.digest, info.scheme_digest))))
    named = _named(info, candidates)
    ess = any(info.values(name) for name in _ESS)
    if info.digest not in COMPUTED:
        reasons = _unsupported(info.digest)
        return CmsCheck(Crypto.UNKNOWN, named[0] if named else None, None, digests, reasons, warnings, False)
    if content_digest is None and content is not None:
        content_digest = digest_with(info.digest, content)
    found = [*_check_attributes(info, content_digest, content_type), *_check_agreement(info), *_posing(info, content)]
    value = _Value(Crypto.UNKNOWN, None, (Reason(Code.NO_SIGNING_CERTIFICATE_FOUND),))
    certificate = None
    if named:
        certificate, value = _best_value(info, named, content, content_digest)
        found += _check_ess(info, certificate)
    if content_digest is None:
        found.insert(0, Reason(Code.SIGNED_DATA_NOT_FOUND, {"name": "content"}))
    crypto = value.crypto
    if any(reason.code is Code.HASH_FAILURE for reason in found):
        crypto = Crypto.BAD
    elif content_digest is None and crypto is Crypto.OK:
        crypto = Crypto.UNKNOWN
    reasons = (*found, *value.reasons)
    return CmsCheck(crypto, certificate, value.algorithm, digests, reasons, (*warnings, *value.warnings), ess)


def _unsupported(name: str) -> tuple[Reason, ...]:
    facts = {"algorithm": name}
    return (Reason(Code.CRYPTO_CONSTRAINTS_FAILURE, facts), Reason(Code.ALGORITHM_UNSUPPORTED, facts))


def find_certificate(info: SignerInfo, candidates: Sequence[bytes]) -> bytes | None:
    """Return the certificate the SignerIdentifier names; of several the one the ESS attribute names."""
    named = _named(info, candidates)
    return named[0] if named else None


def _named(info: SignerInfo, candidates: Sequence[bytes]) -> list[bytes]:
    """Return the certificates that the SignerIdentifier names, those in front that the ESS attribute names too."""
    issuer = _name_key(info.issuer)
    named = [one for one in dict.fromkeys(candidates) if _is_named(info, issuer, one)]
    return sorted(named, key=lambda one: not _is_meant(info, one))[:CANDIDATES_MAX]


def _name_key(name: bytes | None) -> object:
    if name is None:
        return None
    try:
        return read_name(ber.to_der(ber.whole(name))).key
    except ValueError:
        return name


def _is_named(info: SignerInfo, issuer: object, candidate: bytes) -> bool:
    try:
        if info.key_id is not None:
            return info.key_id in _key_identifiers(candidate)
        parsed = x509read.read(candidate)
        return parsed.serial_number == info.serial and parsed.issuer.key == issuer
    except ValueError:
        return False


def _key_identifiers(candidate: bytes) -> tuple[bytes | None, ...]:
    """Return the identifier a certificate states; without one, what RFC 5280, 4.2.1.2 makes of its key."""
    stated = certificates.key_identifier(candidate)
    if stated is not None:
        return (stated,)
    key = x509read.read(candidate).key
    return (hashlib.sha1(der.bits(der.whole(key).parts()[1]), usedforsecurity=False).digest(),)


_ESS = ("signing_certificate_v2", "signing_certificate")


def _ess_ids(info: SignerInfo, name: str) -> tuple[tuple[str, bytes], ...]:
    lists = info.values(name)
    if not lists or not lists[0]:
        return ()
    try:
        return ess_certificate_ids(lists[0][0], version=2 if name.endswith("v2") else 1)
    except ValueError:
        return ()


def _is_meant(info: SignerInfo, candidate: bytes) -> bool:
    """Tell whether the ESS reference, in the first form that is there, is to this certificate."""
    for name in _ESS:
        for digest, value in _ess_ids(info, name)[:1]:
            return digest in COMPUTED and digest_with(digest, candidate) == value
    return False


def _check_ess(info: SignerInfo, certificate: bytes) -> list[Reason]:
    """E3: each reference is there once, with one value, and its first digest is that of the certificate used."""
    mismatch = [Reason(Code.FORMAT_FAILURE), Reason(Code.SIGNING_CERTIFICATE_MISMATCH)]
    for name in _ESS:
        lists = info.values(name)
        if not lists:
            continue
        ids = _ess_ids(info, name)
        if [len(values) for values in lists] != [1] or not ids or ids[0][0] not in COMPUTED:
            return mismatch
        if digest_with(ids[0][0], certificate) != ids[0][1]:
            return mismatch
    return []


def _check_attributes(info: SignerInfo, content_digest: bytes | None, content_type: str | None) -> list[Reason]:
    """E2: message-digest and content-type once each, with one value, equal to the digest and the real type."""
    if info.signed_attributes is None:
        return []
    malformed = [Reason(Code.FORMAT_FAILURE), Reason(Code.MALFORMED, {"where": "signed attributes"})]
    digests, types = info.values("message_digest"), info.values("content_type")
    once = [[1]] if content_type is not None else [[], [1]]
    if [len(v) for v in digests] != [1] or [len(v) for v in types] not in once:
        return malformed
    if any([len(v) for v in info.values(name)] not in ([], [1]) for name in _ONCE) or _misplaced(info):
        return malformed
    try:
        named = octet_string(digests[0][0])
        stated = object_identifier(types[0][0]) if types else content_type
    except ValueError:
        return malformed
    if content_digest is not None and named != content_digest:
        return [Reason(Code.HASH_FAILURE, {"part": "content"})]
    if content_type is not None and stated != content_type:
        return [Reason(Code.FORMAT_FAILURE), Reason(Code.MALFORMED, {"where": "content-type"})]
    return []


def _misplaced(info: SignerInfo) -> bool:
    """Find attributes on the wrong side: what must be signed among the others, or the reverse (RFC 5652, 11)."""
    return bool(info.values("counter_signature")) or any(name in _SIGNED for name, _ in info.unsigned)


def _posing(info: SignerInfo, content: bytes | None) -> list[Reason]:
    """Find signed attributes of another signature posing as content: without attributes both are hashed alike."""
    if info.signed_attributes is not None or content is None or content[:1] != b"\x31":
        return []
    try:
        names = {read_attribute(one).name for one in ber.whole(content).parts()}
    except ValueError:
        return []
    if "message_digest" not in names:
        return []
    return [Reason(Code.FORMAT_FAILURE), Reason(Code.MALFORMED, {"where": "signed attributes as content"})]


def _check_agreement(info: SignerInfo) -> list[Reason]:
    """E4: the digests of SignerInfo and scheme are the same, and the algorithms those that the attributes protect."""
    agreed = info.scheme_digest in (None, info.digest) or info.scheme in WHOLE_SCHEMES
    if agreed and _is_protected(info):
        return []
    return [Reason(Code.FORMAT_FAILURE), Reason(Code.MALFORMED, {"where": "digest algorithms"})]


def _is_protected(info: SignerInfo) -> bool:
    """Tell whether ``cms-algorithm-protection`` (RFC 6211) names the algorithms used, if it is there."""
    values = [value for values in info.values("cms_algorithm_protection") for value in values]
    if not values or len(info.pieces) < 5:
        return True
    try:
        digest, signature = ber.whole(values[0]).expect(der.SEQUENCE).parts()
        stated = [_algorithm(digest), _algorithm(signature)]
        return stated == [_algorithm(ber.whole(info.pieces[2])), _algorithm(ber.whole(info.pieces[-2]))]
    except ValueError:
        return False


def _algorithm(found: ber.Node) -> tuple[bytes, ...]:
    """Return the parts of an AlgorithmIdentifier in DER; NULL counts as no parameters."""
    return tuple(ber.to_der(part) for part in found.parts() if part.tag != der.NULL)


@dataclass(frozen=True, slots=True)
class _Value:
    """What the mathematics says about the value alone."""

    crypto: Crypto
    algorithm: Algorithm | None
    reasons: tuple[Reason, ...]
    warnings: tuple[Reason, ...] = ()


def _best_value(
    info: SignerInfo, named: Sequence[bytes], content: bytes | None, content_digest: bytes | None
) -> tuple[bytes, _Value]:
    """Return the first certificate whose key fits, else the first of all."""
    first = None
    for certificate in named:
        value = _check_value(info, certificate, content, content_digest)
        if value.crypto is Crypto.OK:
            return certificate, value
        first = first or (certificate, value)
    assert first is not None  # there is at least one
    return first


def _check_value(info: SignerInfo, certificate: bytes, content: bytes | None, content_digest: bytes | None) -> _Value:
    unsupported = _unsupported(info.scheme)
    try:
        key, mended = certificates.public_key(certificate)
    except ValueError:
        return _Value(Crypto.UNKNOWN, None, unsupported)
    algorithm = describe(key, info.scheme, _digest_name(info))
    warnings = (Reason(Code.CERTIFICATE_ENCODING),) if mended else ()
    if info.signed_attributes is None and content_digest is None:
        return _Value(Crypto.UNKNOWN, algorithm, (), warnings)
    signed = _signed_octets(info, content, content_digest)
    if not signed:
        return _Value(Crypto.UNKNOWN, algorithm, unsupported, warnings)
    for octets, remarks in signed:
        try:
            if verifies(key, info, octets):
                return _Value(Crypto.OK, algorithm, (), (*warnings, *remarks))
        except InvalidSignature:
            continue
        except (ValueError, UnsupportedAlgorithm):
            return _Value(Crypto.UNKNOWN, algorithm, unsupported, warnings)
    return _Value(Crypto.BAD, algorithm, (Reason(Code.SIG_CRYPTO_FAILURE),), warnings)


def _digest_name(info: SignerInfo) -> str:
    own = {"ed25519": "sha512", "ed448": "shake256"}
    return own.get(info.scheme) or info.scheme_digest or info.digest


def _signed_octets(
    info: SignerInfo, content: bytes | None, content_digest: bytes | None
) -> list[tuple[bytes, tuple[Reason, ...]]]:
    """Return what the value may be over, digested unless the scheme does so itself; empty if it cannot be computed.

    Signed attributes are taken as they stand; only if they are not DER also in the order that DER asks for (E1).
    """
    plain = info.scheme in WHOLE_SCHEMES
    name = info.scheme_digest or info.digest
    if not plain and name not in COMPUTED:
        return []
    if info.signed_attributes is None:
        if plain:
            return [] if content is None else [(content, ())]
        return [(content_digest, ())] if name == info.digest and content_digest is not None else []
    found: list[tuple[bytes, tuple[Reason, ...]]] = [(info.signed_attributes, ())]
    remark = (Reason(Code.ATTRIBUTES_NOT_DER),)
    found += [(octets, remark) for octets in in_der_order(info.signed_attributes)]
    return found if plain else [(digest_with(name, octets), remarks) for octets, remarks in found]


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
    if digest is None:
        raise UnsupportedAlgorithm(name)
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


def _algorithm_warnings(info: SignerInfo) -> tuple[Reason, ...]:
    if info.values("signing_certificate") and not info.values("signing_certificate_v2"):
        return (Reason(Code.NOT_TT15, {"algorithm": "signing-certificate (SHA-1)"}),)
    return ()
