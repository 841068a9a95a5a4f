"""The parts of a CMS that no signature covers: can they be read? (RFC 5652, 5.1; signing.md 1.1, G4; 4.1, E1, E4)

A signature protects content and signed attributes, and by the ESS reference its certificate; versions, lists of
algorithms and the other certificates it does not. What writers put there is theirs: BER, further algorithms and
certificates of others are no fault. What cannot be read at all is named, and otherwise passed over.
"""

from __future__ import annotations

from signer import certificates
from signer.asn1 import SignedData

CERTIFICATES_MAX = 256
"""Certificates of one CMS that are looked at."""


def oddities(der: bytes, signed: SignedData) -> tuple[str, ...]:
    """Return which parts of the frame cannot be read or are not what RFC 5652 asks for."""
    found = []
    if not all(readable(one) for one in signed.certificates[:CERTIFICATES_MAX]):
        found.append("certificates")
    if any(not _is_value(one) for one in signed.crls):
        found.append("crls")
    if der[:1] != b"\x30":
        found.append("ContentInfo")
    return tuple(found)


def _is_value(der: bytes) -> bool:
    try:
        certificates.crl(der)
    except ValueError:
        return False
    return True


def readable(der: bytes) -> bool:
    """Say whether a certificate can be read whole, its key and extensions too."""
    try:
        certificates.complete(der)
    except ValueError:
        return False
    return True
