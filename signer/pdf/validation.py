"""Validation data in a PDF: ``/DSS`` of each state, what archive stamps prove by it, and the level reached.

Levels are those of EN 319 142-1, 6: T a stamp over the value or the document, LT also status answers and certificates
of the path in the file, LTA a document time stamp over those (signing.md 3.1, 7.2). None of it is trusted for being
there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from cryptography import x509
from cryptography.x509 import ocsp

from signer import certificates
from signer.errors import InputRefused, LimitExceeded
from signer.pdf.formtree import items, mapping, resolved
from signer.pdf.reading import State
from signer.pdf.values import Stream, Value
from signer.report import Integrity, SignatureReport
from signer.trust import TrustStore

DSS_MAX = 2_000
"""Certificates and status answers read from ``/DSS``, of each kind."""
PATH_MAX = 16
LEVELS = ("PAdES-B-B", "PAdES-B-T", "PAdES-B-LT", "PAdES-B-LTA")


def validation_data(state: State) -> TrustStore:
    """Return certificates, CRLs and OCSP answers of ``/DSS``.

    Raises:
        LimitExceeded: a budget is used up.
    """
    store = mapping(state, state.root.get("DSS"))
    if not store:
        return TrustStore()
    certs, crls, ocsps = (tuple(_streams(state, store.get(key))) for key in ("Certs", "CRLs", "OCSPs"))
    return TrustStore(intermediates=certs, crls=crls, ocsps=ocsps)


def _streams(state: State, listed: Value) -> Iterator[bytes]:
    for item in items(state, listed)[:DSS_MAX]:
        stream = resolved(state, item)
        if not isinstance(stream, Stream):
            continue
        try:
            yield state.decoded(stream)
        except LimitExceeded:
            raise
        except InputRefused:
            continue


def digests(*values: bytes) -> tuple[str, ...]:
    """Return the SHA-256 (hexadecimal) of each value."""
    return tuple(hashlib.sha256(value).hexdigest() for value in values)


def covered_by(store: TrustStore) -> tuple[str, ...]:
    """Return the digests of everything in a store that proves or is proved."""
    return digests(*store.intermediates, *store.crls, *store.ocsps)


def level_of(
    signature: SignatureReport, leaf: bytes | None, beside: Sequence[bytes], stores: Sequence[tuple[bool, TrustStore]]
) -> str:
    """Return the level a signature has reached.

    ``beside`` are the certificates in its CMS; ``stores`` the validation data of each state from the signed one on,
    with whether a document time stamp that is intact covers that state.
    """
    if signature.level not in LEVELS:
        return signature.level
    if not any(one.integrity is Integrity.INTACT and one.kind != "content" for one in signature.timestamps):
        return signature.level
    reached = max(LEVELS.index(signature.level), 1)
    for stamped, store in stores:
        if leaf is not None and _is_complete(leaf, (*beside, *store.intermediates), store):
            reached = max(reached, 3 if stamped else 2)
    return LEVELS[reached]


def _is_complete(leaf: bytes, held: Sequence[bytes], store: TrustStore) -> bool:
    """Say whether the file holds a status answer for each certificate of a path, as far as it holds the path."""
    known = [one for one in (_read(der) for der in dict.fromkeys(held)) if one is not None]
    one = _read(leaf)
    for step in range(PATH_MAX):
        if one is None:
            return False
        if one.subject == one.issuer:
            return True
        issuer = next((other for other in known if other.subject == one.issuer and other != one), None)
        if not _has_status(one, store):
            return step > 0 and issuer is None  # its issuer is the caller's anchor
        if issuer is None:
            return True
        one = issuer
    return False


def _read(der: bytes) -> x509.Certificate | None:
    try:
        return certificates.certificate(der)
    except ValueError:
        return None


def _has_status(one: x509.Certificate, store: TrustStore) -> bool:
    for der in store.ocsps:
        try:
            answer = certificates.ocsp_response(der)
        except ValueError:
            continue
        if answer.response_status is ocsp.OCSPResponseStatus.SUCCESSFUL and any(
            single.serial_number == one.serial_number for single in answer.responses
        ):
            return True
    for der in store.crls:
        try:
            if certificates.crl(der).issuer == one.issuer:
                return True
        except ValueError:
            continue
    return False
