"""Whom a certificate names: name, organisation, position, and whether it is an agency (console.md 5.2)."""

from __future__ import annotations

import hashlib
from functools import lru_cache

from signer import names
from signer.expectation import TAX_PREFIX
from signer.report import Signer
from signer.x509read import read, serial_hex


@lru_cache(maxsize=512)
def signer_of(certificate: bytes) -> Signer:
    """Return whom a certificate (DER) names; an unreadable one names nobody."""
    digest = hashlib.sha256(certificate).hexdigest()
    try:
        parsed = read(certificate)
    except ValueError:
        return Signer(certificate_sha256=digest)
    subject = parsed.subject
    organization = _first(subject, names.ORGANIZATION)
    taxed = any(value.startswith(TAX_PREFIX) for value in subject.values(names.USER_ID))
    return Signer(
        name=subject.common_name,
        serial=serial_hex(parsed.serial_number),
        issuer=parsed.issuer.text,
        certificate_sha256=digest,
        type="agency" if taxed and subject.common_name == organization else "person",
        organization=organization,
        unit=_first(subject, names.UNIT),
        position=_first(subject, names.TITLE),
        email=_first(subject, names.EMAIL),
    )


def _first(subject: names.Name, oid: str) -> str | None:
    found = subject.values(oid)
    return found[0] if found else None
