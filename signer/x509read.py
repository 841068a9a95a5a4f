"""Certificates as they stand, whoever made them: every field from the original octets (RFC 5280, 4.1).

Nothing is judged here, and as little as possible refused: negative serial numbers, doubled extensions, old versions and
keys without parameters are read and noted, for the rules of paths to decide (``signer.pathrules``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType

from signer import der
from signer.names import Name, read_name

CERTIFICATE_MAX_BYTES = 2**20
"""Largest certificate that is read."""

EXTENSIONS_MAX = 200


@dataclass(frozen=True, slots=True)
class Extension:
    """An extension: whether it must be understood, and the octets of its value."""

    critical: bool
    value: bytes


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate taken apart; ``faults`` names what RFC 5280 forbids and reading does not mind."""

    encoded: bytes
    signed: bytes  # what the issuer's signature is over
    version: int  # 1, 2, 3
    serial: bytes  # content octets of the number
    issuer: Name
    subject: Name
    not_before: datetime
    not_after: datetime
    key: bytes  # SubjectPublicKeyInfo
    algorithm: bytes  # AlgorithmIdentifier, outer
    value: bytes  # the issuer's signature
    extensions: Mapping[str, Extension]
    faults: tuple[str, ...] = ()

    @property
    def serial_number(self) -> int:
        """The serial number; negative ones are in use."""
        return int.from_bytes(self.serial, signed=True)

    @property
    def sha256(self) -> str:
        """Digest of the certificate, hexadecimal."""
        return hashlib.sha256(self.encoded).hexdigest()

    @property
    def is_self_issued(self) -> bool:
        """Whether subject and issuer bear the same name (RFC 5280, 6.1)."""
        return self.subject.key == self.issuer.key

    @property
    def key_octets(self) -> bytes:
        """The public key without its algorithm, as key identifiers are made of it; empty if it cannot be read."""
        try:
            return der.bits(der.value(self.key).parts()[1])
        except (ValueError, IndexError):
            return b""


def serial_hex(serial: int) -> str:
    """Return a serial number as reports write it, upper-case hexadecimal."""
    return f"{serial:X}"


@lru_cache(maxsize=2048)
def read(encoded: bytes) -> Certificate:
    """Take a certificate (DER) apart.

    Raises:
        ValueError: it is none, or so damaged that its fields cannot be told.
    """
    if len(encoded) > CERTIFICATE_MAX_BYTES:
        raise ValueError("certificate too large")
    try:
        return _read(encoded)
    except IndexError:
        raise ValueError("damaged certificate: fields are missing") from None


def _read(encoded: bytes) -> Certificate:
    body, algorithm, value = der.whole(encoded).expect(der.SEQUENCE).parts()
    fields = body.expect(der.SEQUENCE).parts()
    version = 1
    if fields[0].tag == 0xA0:
        version = der.integer(fields.pop(0).parts()[0].expect(der.INTEGER)) + 1
    serial, inner, issuer, validity, subject, key = fields[:6]
    if serial.tag != der.INTEGER or serial.body == serial.end:
        raise ValueError("no serial number")
    start, end = validity.expect(der.SEQUENCE).parts()
    faults = [] if _same_algorithm(inner, algorithm) else ["signatureAlgorithm"]
    if version not in (1, 2, 3):
        faults.append("version")
    extensions, doubled = _extensions(fields[6:])
    if doubled:
        faults.append("duplicate extension")
    if extensions and version != 3:
        faults.append("version")
    return Certificate(
        encoded=encoded,
        signed=body.encoded,
        version=version,
        serial=serial.content,
        issuer=read_name(issuer.encoded),
        subject=read_name(subject.encoded),
        not_before=der.moment(start),
        not_after=der.moment(end),
        key=key.expect(der.SEQUENCE).encoded,
        algorithm=algorithm.expect(der.SEQUENCE).encoded,
        value=der.bits(value.expect(der.BIT_STRING)),
        extensions=MappingProxyType(extensions),
        faults=tuple(faults),
    )


def _same_algorithm(inner: der.Value, outer: der.Value) -> bool:
    """Tell whether both places name one algorithm; absent parameters and NULL are taken as the same."""
    null = der.encode(der.NULL)
    one, other = (b"".join(part.encoded for part in place.parts()) for place in (inner, outer))
    return one.removesuffix(null) == other.removesuffix(null)


def _extensions(rest: list[der.Value]) -> tuple[dict[str, Extension], bool]:
    found: dict[str, Extension] = {}
    doubled = False
    for field in rest:
        if field.tag == 0xA3:
            found, doubled = read_extensions(field.parts()[0])
    return found, doubled


def read_extensions(listed: der.Value) -> tuple[dict[str, Extension], bool]:
    """Return the extensions of a list by type, and whether one occurs twice (the first is kept).

    Raises:
        ValueError: the list cannot be read.
    """
    found: dict[str, Extension] = {}
    doubled = False
    for number, entry in enumerate(listed.expect(der.SEQUENCE).walk()):
        if number >= EXTENSIONS_MAX:
            raise ValueError("too many extensions")
        oid, *middle, octets = entry.expect(der.SEQUENCE).parts()
        critical = bool(middle) and der.boolean(middle[0].expect(der.BOOLEAN))
        name = der.identifier(oid)
        doubled = doubled or name in found
        found.setdefault(name, Extension(critical, octets.expect(der.OCTETS).content))
    return found, doubled
