"""Empty signature fields that stand in a file: what they demand and lock (ISO 32000-2, 12.7.5.5; signing.md 3.1).

A demand (seed value) that is marked as required is met or the field is refused; one that is not is advice. A lock is
obeyed: it takes effect through the signature.
"""

from __future__ import annotations

from pyhanko.pdf_utils import generic

from signer.errors import InputRefused
from signer.pdf.objects import entry, integer_of, is_name, items_of
from signer.pdf.options import PdfOptions
from signer.pdf.page import Field
from signer.pdf.target import Lock
from signer.pdf.writing import text_string

FILTER, SUB_FILTER, VERSION, REASONS, LEGAL, REVOCATION, DIGEST = 1, 2, 4, 8, 16, 32, 64
LOCK_DOCUMENT, APPEARANCE = 128, 256
"""Bits of ``/Ff`` of a seed value dictionary: which of its entries are required."""


def check_field(field: Field, options: PdfOptions, digest: str) -> None:
    """Refuse a named field that cannot take this signature; ``digest`` is the hash function it will use.

    Raises:
        InputRefused: it is no signature field, is filled, or makes a demand that is not met.
    """
    if field.kind != "/Sig" or field.reference is None:
        raise InputRefused("EDOC-PDF-015", "not a signature field", field=field.name)
    if field.value is not None:
        raise InputRefused("EDOC-PDF-015", "the field is signed already", field=field.name)
    seed = entry(field.dictionary, "/SV")
    if seed is not None and not _met(seed, options, digest):
        raise InputRefused("EDOC-PDF-010", "the field makes demands that cannot be met", field=field.name)


def _met(seed: generic.PdfObject, options: PdfOptions, digest: str) -> bool:
    required = integer_of(entry(seed, "/Ff")) or 0
    certificate = entry(seed, "/Cert")
    if integer_of(entry(certificate, "/Ff")):
        return False  # who may sign is stated by names we do not compare
    known = FILTER | SUB_FILTER | REASONS | DIGEST
    if required & ~known:
        return False
    permission = integer_of(entry(entry(seed, "/MDP"), "/P"))
    if permission and not (options.certify and permission == 2):
        return False  # it asks for a certification
    if integer_of(entry(entry(seed, "/TimeStamp"), "/Ff")) and options.level != "t":
        return False
    return (
        _allows(seed, "/Filter", "/Adobe.PPKLite", required & FILTER)
        and _allows(seed, "/SubFilter", "/ETSI.CAdES.detached", required & SUB_FILTER)
        and (not required & DIGEST or digest.upper() in _texts(seed, "/DigestMethod"))
        and (not required & REASONS or (options.reason or "") in (_texts(seed, "/Reasons") or [""]))
    )


def _allows(seed: generic.PdfObject, key: str, name: str, required: int) -> bool:
    held = entry(seed, key)
    return not required or is_name(held, name) or any(is_name(one, name) for one in items_of(held))


def _texts(seed: generic.PdfObject, key: str) -> list[str]:
    return [str(one).replace("-", "") if key == "/DigestMethod" else str(one) for one in items_of(entry(seed, key))]


def lock_of(field: Field) -> Lock | None:
    """Return the lock that a field puts on the document when it is signed.

    Raises:
        InputRefused: it cannot be read, so it could not be obeyed.
    """
    held = entry(field.dictionary, "/Lock")
    if held is None:
        return None
    action = str(entry(held, "/Action"))
    names = tuple(text_string(str(one)) for one in items_of(entry(held, "/Fields")))
    permission = entry(held, "/P")
    if action not in ("/All", "/Include", "/Exclude") or (permission and integer_of(permission) not in (1, 2, 3)):
        raise InputRefused("EDOC-PDF-010", "the field has a lock that cannot be read", field=field.name)
    return Lock(action[1:], names, integer_of(permission))
