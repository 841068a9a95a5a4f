"""The mathematics of one signature over the original bytes of its ranges (signing.md 4.1, D4, E1 to E4).

CMS in all its PDF forms: detached, with the digest inside (``adbe.pkcs7.sha1``), time stamps; and the bare value of
``adbe.x509.rsa_sha1``. Trust plays no part. Certificates are looked for in the file alone; those of the caller can
only help: they never turn what the file itself answers into something worse.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from signer import asn1, certificates
from signer.cms import DIGEST_NAMES, CmsCheck, check_signer, describe, digest_with
from signer.report import Code, Crypto, Reason

if TYPE_CHECKING:
    from hashlib import _Hash as Hash

DIGESTS_OF_BARE_VALUES: dict[str, hashes.HashAlgorithm] = {
    "sha1": hashes.SHA1(),  # noqa: S303  # computed so that integrity is known; never accepted (R70)
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
    "sha224": hashes.SHA224(),
    "md5": hashes.MD5(),  # noqa: S303  # as above
}


class Prefixes:
    """Digests of beginnings of a file: each further one costs only the bytes that are new, and no copy is made."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._known: dict[str, list[tuple[int, Hash]]] = {}

    def upto(self, name: str, end: int) -> Hash:
        """Return a running digest over the bytes up to ``end``, the caller's own to go on with.

        Raises:
            ValueError: the hash is not supported.
        """
        known = self._known.get(name)
        if known is None:
            digest_with(name, b"")
            known = self._known[name] = [(0, hashlib.new(name, usedforsecurity=False))]
        index = max(number for number, (at, _) in enumerate(known) if at <= end)
        at, hashed = known[index]
        hashed = hashed.copy()
        if at < end:
            self.add(hashed, at, end)
            known.insert(index + 1, (end, hashed))
            hashed = hashed.copy()
        return hashed

    def add(self, hashed: Hash, start: int, end: int) -> None:
        """Add a slice of the file to a running digest."""
        with memoryview(self.data) as view, view[start:end] as part:
            hashed.update(part)


@dataclass(slots=True)
class Ranges:
    """The signed bytes: two slices of the file; digests are made once."""

    prefixes: Prefixes
    first: tuple[int, int]
    second: tuple[int, int]
    known: dict[str, bytes] = field(default_factory=dict)

    def digest(self, name: str) -> bytes:
        """Return the digest of the ranges by a hash named as in CMS.

        Raises:
            ValueError: the hash is not supported.
        """
        if name not in self.known and name.startswith("shake"):
            self.known[name] = digest_with(name, self.octets())  # its length is a matter of the scheme
        if name not in self.known:
            hashed = self.prefixes.upto(name, self.first[1])
            self.prefixes.add(hashed, *self.second)
            self.known[name] = hashed.digest()
        return self.known[name]

    def digest_or_none(self, name: str) -> bytes | None:
        """Return the digest, or ``None`` if the hash is not supported."""
        try:
            return self.digest(name)
        except ValueError:
            return None

    def octets(self) -> bytes:
        """Return a copy of the signed bytes, for the few schemes that need them whole."""
        data = self.prefixes.data
        return data[slice(*self.first)] + data[slice(*self.second)]


@dataclass(frozen=True, slots=True)
class Candidates:
    """Certificates (DER) to find a signer's among: of the file outside the CMS, and the caller's."""

    file: tuple[bytes, ...] = ()
    caller: tuple[bytes, ...] = ()


def check(
    info: asn1.SignerInfo, signed: asn1.SignedData, ranges: Ranges, *, kind: str, candidates: Candidates
) -> CmsCheck:
    """Check one signer; ``kind`` is the SubFilter."""
    found = _with(info, signed, ranges, kind, signed.certificates)
    if found.certificate is None and candidates.file:
        found = _with(info, signed, ranges, kind, candidates.file)
    if found.certificate is None and candidates.caller:
        helped = _with(info, signed, ranges, kind, candidates.caller)
        if helped.crypto is Crypto.OK and not helped.reasons:
            found = helped
    return found


def _with(
    info: asn1.SignerInfo, signed: asn1.SignedData, ranges: Ranges, kind: str, certificates: Sequence[bytes]
) -> CmsCheck:
    if signed.content_type == "tst_info" or (kind == "adbe.pkcs7.sha1" and signed.content is not None):
        return _embedded(info, signed, ranges, certificates)
    whole = info.signed_attributes is None and info.scheme in {"ed25519", "ed448"}
    found = check_signer(
        info,
        content_digest=ranges.digest_or_none(info.digest),
        content=ranges.octets() if whole else None,
        content_type=signed.content_type,
        candidates=certificates,
    )
    if signed.content_type != "data":
        wrong = (Reason(Code.FORMAT_FAILURE), Reason(Code.MALFORMED, {"where": "content-type"}))
        found = replace(found, reasons=(*found.reasons, *wrong))
    if signed.content is not None:
        found = replace(found, warnings=(*found.warnings, Reason(Code.MALFORMED, {"where": "CMS content"})))
    return found


def _embedded(
    info: asn1.SignerInfo, signed: asn1.SignedData, ranges: Ranges, certificates: Sequence[bytes]
) -> CmsCheck:
    """Check a signature over content of its own, which must be the digest of the ranges or the stamp over it."""
    found = check_signer(
        info,
        content_digest=None,
        content=signed.content,
        content_type=signed.content_type,
        candidates=certificates,
    )
    fits, digest = _imprint_fits(signed, ranges)
    if digest:
        found = replace(found, digest_algorithms=tuple(dict.fromkeys((*found.digest_algorithms, digest))))
    if fits is None:
        missing = {"algorithm": digest}
        reasons = (Reason(Code.CRYPTO_CONSTRAINTS_FAILURE, missing), Reason(Code.ALGORITHM_UNSUPPORTED, missing))
        return replace(found, crypto=Crypto.UNKNOWN, reasons=(*found.reasons, *reasons))
    if not fits:
        return replace(found, crypto=Crypto.BAD, reasons=(*found.reasons, _differs()))
    return found


def _differs() -> Reason:
    return Reason(Code.HASH_FAILURE, {"part": "content"})


def _imprint_fits(signed: asn1.SignedData, ranges: Ranges) -> tuple[bool | None, str]:
    """Return whether the content is about the ranges (``None`` if not computable), and the digest it uses."""
    if signed.content is None:
        return False, ""
    if signed.content_type != "tst_info":
        return signed.content == ranges.digest("sha1"), "sha1"
    try:
        info = asn1.read_tst_info(signed.content)
    except ValueError:
        return False, ""
    digest = ranges.digest_or_none(info.digest)
    return (None if digest is None else info.imprint == digest), info.digest


def certificate_absent(found: CmsCheck, info: asn1.SignerInfo) -> bool:
    """Say whether nothing is missing but the certificate: the digest of the bytes is the one that was signed."""
    only = all(reason.code is Code.NO_SIGNING_CERTIFICATE_FOUND for reason in found.reasons)
    return found.certificate is None and only and info.signed_attributes is not None


def check_bare(value: bytes, ranges: Ranges, certificate: bytes | None) -> CmsCheck:
    """Check ``adbe.x509.rsa_sha1``: a PKCS#1 value over the ranges, its certificate being in ``/Cert``."""
    if certificate is None:
        missing = (Reason(Code.NO_SIGNING_CERTIFICATE_FOUND),)
        return CmsCheck(Crypto.UNKNOWN, None, None, (), missing, (), False)
    try:
        key, mended = certificates.public_key(certificate)
    except ValueError:
        key, mended = None, False
    warnings = (Reason(Code.CERTIFICATE_ENCODING),) if mended else ()
    if not isinstance(key, rsa.RSAPublicKey):
        unsupported = {"algorithm": "adbe.x509.rsa_sha1"}
        reasons = (
            Reason(Code.CRYPTO_CONSTRAINTS_FAILURE, unsupported),
            Reason(Code.ALGORITHM_UNSUPPORTED, unsupported),
        )
        return CmsCheck(Crypto.UNKNOWN, certificate, None, (), reasons, warnings, False)
    stated = _stated_digest(key, value)
    if stated is None:
        algorithm = describe(key, "rsassa_pkcs1v15", "sha1")
        return CmsCheck(
            Crypto.BAD, certificate, algorithm, ("sha1",), (Reason(Code.SIG_CRYPTO_FAILURE),), warnings, False
        )
    name, digest = stated
    fits = digest == ranges.digest(name)
    algorithm = describe(key, "rsassa_pkcs1v15", name)
    return CmsCheck(
        Crypto.OK if fits else Crypto.BAD,
        certificate,
        algorithm,
        (name,),
        () if fits else (_differs(),),
        warnings,
        False,
    )


def _stated_digest(key: rsa.RSAPublicKey, value: bytes) -> tuple[str, bytes] | None:
    """Return name and value of the digest that a PKCS#1 value was made over, or ``None`` if it does not fit the key."""
    for name, algorithm in DIGESTS_OF_BARE_VALUES.items():
        try:
            return name, key.recover_data_from_signature(value, padding.PKCS1v15(), algorithm)
        except (InvalidSignature, ValueError, UnsupportedAlgorithm):
            continue
    return None


def digest_names(names: Sequence[str]) -> tuple[str, ...]:
    """Return names of digests as reports write them."""
    return tuple(DIGEST_NAMES.get(name, name) for name in names)
