"""Which level a signature has reached: B, T, LT or LTA, by what it carries (ETSI EN 319 122, 132, 142; console.md 5.2).

A level says what is there and holds, not whether it is trusted: *T* a time stamp that fits, *LT* beside it certificates
and status answers for the paths of the signer and of the stamps, *LTA* an archive stamp over these. It is the same for
every trust store.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime

from signer import asn1, crls, ocsps, status
from signer.paths import is_issued_by
from signer.report import Integrity, Timestamp
from signer.status import Sources
from signer.trust import TrustStore
from signer.x509ext import is_authority
from signer.x509read import Certificate, read

_BEGIN, _END = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)
STEPS_MAX = 10
"""Certificates in a path."""


def level_reached(
    base: str,
    stamps: Sequence[Timestamp],
    *,
    tokens: Sequence[bytes],
    covered: frozenset[str],
    certificate: bytes | None,
    candidates: Sequence[bytes],
    embedded: TrustStore,
) -> str:
    """Return the level, given the one without stamps (``PAdES-B-B``); other forms have no levels.

    ``tokens`` are those of the stamps, ``covered`` what archive stamps say they cover (SHA-256, empty if they do not
    say); ``candidates`` and ``embedded`` are what was found beside the signature.
    """
    if not base.endswith("-B-B"):
        return base
    family = base.removesuffix("B")
    kinds = {stamp.kind for stamp in stamps if stamp.integrity is Integrity.INTACT}
    if not kinds & {"signature", "archive"}:
        return base
    if certificate is None or not (embedded.crls or embedded.ocsps):
        return f"{family}T"
    stores = [embedded.merged(_of_token(token)) for token in tokens]
    pool = tuple(dict.fromkeys((*candidates, *(der for store in stores for der in store.intermediates))))
    answers = TrustStore(
        crls=tuple(dict.fromkeys((*embedded.crls, *(one for store in stores for one in store.crls)))),
        ocsps=tuple(dict.fromkeys((*embedded.ocsps, *(one for store in stores for one in store.ocsps)))),
    )
    authorities = [der for stamp in _provided(stamps) for der in pool if _is_of(der, stamp.certificate_sha256)]
    if not all(_is_provided_for(der, pool, answers) for der in (certificate, *authorities)):
        return f"{family}T"
    held = {hashlib.sha256(one).hexdigest() for one in (*embedded.crls, *embedded.ocsps)}
    archived = "archive" in kinds and (not covered or bool(covered & held))
    return f"{family}LTA" if archived else f"{family}LT"


def _provided(stamps: Sequence[Timestamp]) -> list[Timestamp]:
    """Return the stamps whose validation data should be in the file: the newest archive stamp awaits its own."""
    archive = [stamp for stamp in stamps if stamp.kind == "archive"]
    newest = max(archive, key=lambda stamp: stamp.time or _BEGIN, default=None)
    return [stamp for stamp in stamps if stamp is not newest]


def _of_token(token: bytes) -> TrustStore:
    try:
        found = asn1.read_signed_data(token)
    except ValueError:
        return TrustStore()
    return TrustStore(intermediates=found.certificates, crls=found.crls, ocsps=found.ocsps)


def _is_of(der: bytes, sha256: str | None) -> bool:
    try:
        return sha256 is not None and read(der).sha256 == sha256
    except ValueError:
        return False


def _is_provided_for(certificate: bytes, pool: Sequence[bytes], answers: TrustStore) -> bool:
    """Tell whether the issuers of a certificate are all there, up to a root, each with a status answer."""
    try:
        current = read(certificate)
    except ValueError:
        return False
    for _ in range(STEPS_MAX):
        if current.is_self_issued and is_issued_by(current.encoded, current.encoded):
            return True
        issuer = _issuer_in(current, pool)
        if issuer is None:  # roots are usually left out
            return is_authority(current) and _is_spoken_of(current, answers)
        if not status.needs_no_status(current) and not _has_answer(current, issuer, pool, answers):
            return False
        current = issuer
    return False


def _is_spoken_of(certificate: Certificate, answers: TrustStore) -> bool:
    """Tell whether an answer names the certificate or its issuer, whose key is not there to check it with."""
    lists = (crls.read(data) for data in answers.crls)
    statements = (one for data in answers.ocsps if (found := ocsps.read(data)) for one in found.statements)
    listed = any(one is not None and one.issuer.key == certificate.issuer.key for one in lists)
    return listed or any(one.serial == certificate.serial for one in statements)


def _issuer_in(certificate: Certificate, pool: Sequence[bytes]) -> Certificate | None:
    for encoded in sorted(set(pool)):
        try:
            candidate = read(encoded)
        except ValueError:
            continue
        named = candidate.subject.key == certificate.issuer.key
        if named and encoded != certificate.encoded and is_issued_by(certificate.encoded, encoded):
            return candidate
    return None


def _has_answer(certificate: Certificate, issuer: Certificate, pool: Sequence[bytes], answers: TrustStore) -> bool:
    sources = Sources(
        crls=answers.crls,
        ocsps=answers.ocsps,
        at=_END,
        anchor=issuer.encoded,
        pool=tuple(pool),
        vouches=lambda signer: True,
    )
    return any(not one.unknown for one in status.answers(certificate, issuer, key=issuer.key, sources=sources))
