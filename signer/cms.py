"""Does a CMS signature hold over given octets? Mathematics and structure only (signing.md 4.1, E1–E4).

The signer's certificate is found by SignerIdentifier **and** the ESS reference: the digest in
``signing-certificate(-v2)`` must be that of the certificate whose key verifies. Whatever cannot be computed is
``unknown``, never ``ok``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from signer import ber, certificates, der, x509read
from signer.cmsvalues import COMPUTED as COMPUTED
from signer.cmsvalues import DIGEST_NAMES as DIGEST_NAMES
from signer.cmsvalues import SCHEME_NAMES as SCHEME_NAMES
from signer.cmsvalues import WHOLE_SCHEMES as WHOLE_SCHEMES
from signer.cmsvalues import algorithm_of as algorithm_of
from signer.cmsvalues import describe as describe
from signer.cmsvalues import digest_with as digest_with
from signer.cmsvalues import verifies as verifies
from signer.names import read_name
from signer.report import Algorithm, Code, Crypto, Reason
from signer.signeddata import (
    SignerInfo,
    ess_certificate_ids,
    in_der_order,
    object_identifier,
    octet_string,
)

CANDIDATES_MAX = 8
"""Certificates of one name and number whose keys are tried."""
_ONCE = ("signing_time", "cms_algorithm_protection", "signature_policy_identifier", "content_hint", "signer_location")
_MESSAGE_DIGEST = der.encode_identifier("1.2.840.113549.1.9.4")
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


@lru_cache(maxsize=64)
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
    malformed = [Reason(Code.FORMAT_FAILURE), Reason(Code.MALFORMED, {"where": "signed attributes"})]
    if info.signed_attributes is None:  # what is said to be a stamp must be signed as one (RFC 3161, 2.4.2)
        return malformed if content_type == "tst_info" else []
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
        alone = ber.node(content).stop == len(content)
    except ValueError:
        return []
    if not alone or _MESSAGE_DIGEST not in content:  # whether or not every attribute can be read
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
    computed = False
    for octets, remarks in _signed_octets(info, content, content_digest):
        computed = True
        try:
            if verifies(key, info, octets):
                return _Value(Crypto.OK, algorithm, (), (*warnings, *remarks))
        except InvalidSignature:
            continue
        except (ValueError, UnsupportedAlgorithm):
            return _Value(Crypto.UNKNOWN, algorithm, unsupported, warnings)
    if not computed:
        return _Value(Crypto.UNKNOWN, algorithm, unsupported, warnings)
    return _Value(Crypto.BAD, algorithm, (Reason(Code.SIG_CRYPTO_FAILURE),), warnings)


def _digest_name(info: SignerInfo) -> str:
    own = {"ed25519": "sha512", "ed448": "shake256"}
    return own.get(info.scheme) or info.scheme_digest or info.digest


def _signed_octets(
    info: SignerInfo, content: bytes | None, content_digest: bytes | None
) -> Iterator[tuple[bytes, tuple[Reason, ...]]]:
    """Yield what the value may be over, digested unless the scheme does so itself; nothing if it cannot be computed.

    Signed attributes are taken as they stand; only if they are not DER also in the order that DER asks for (E1). These
    are made when the former do not fit.
    """
    plain = info.scheme in WHOLE_SCHEMES
    name = info.scheme_digest or info.digest
    if not plain and name not in COMPUTED:
        return
    if info.signed_attributes is None:
        if plain and content is not None:
            yield content, ()
        elif not plain and name == info.digest and content_digest is not None:
            yield content_digest, ()
        return
    yield (info.signed_attributes if plain else digest_with(name, info.signed_attributes)), ()
    for octets in in_der_order(info.signed_attributes):
        yield (octets if plain else digest_with(name, octets)), (Reason(Code.ATTRIBUTES_NOT_DER),)


def _algorithm_warnings(info: SignerInfo) -> tuple[Reason, ...]:
    if info.values("signing_certificate") and not info.values("signing_certificate_v2"):
        return (Reason(Code.NOT_TT15, {"algorithm": "signing-certificate (SHA-1)"}),)
    return ()
