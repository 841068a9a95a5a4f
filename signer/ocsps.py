"""OCSP answers as they stand (RFC 6960, 4.2): who produced them when, and what they state about which certificate."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from signer import der, pubkeys
from signer.names import Name, read_name
from signer.x509read import Certificate, Extension, read_extensions

OCSP_MAX_BYTES = 2**20
NONCE, CUTOFF, CRL_REFERENCE = "1.3.6.1.5.5.7.48.1.2", "1.3.6.1.5.5.7.48.1.6", "1.3.6.1.5.5.7.48.1.3"
EXTENDED_REVOKED, PREFERRED = "1.3.6.1.5.5.7.48.1.9", "1.3.6.1.5.5.7.48.1.8"
_BASIC = "1.3.6.1.5.5.7.48.1.1"
_KNOWN = frozenset({NONCE, CUTOFF, CRL_REFERENCE, EXTENDED_REVOKED, PREFERRED})
STATEMENTS_MAX = 1000
CONCERNING_MAX = 32
"""Answers beside a signature that are looked at for one certificate, the newest of them."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What an answer states about one certificate: ``good``, ``revoked`` or ``unknown``."""

    digest: str  # of the two hashes, as hashlib names it
    issuer_name: bytes
    issuer_key: bytes
    serial: bytes
    status: str
    revoked_at: datetime | None
    reason: int | None
    this_update: datetime
    next_update: datetime | None
    cutoff: datetime | None  # ended certificates from this moment on are still told of
    understood: bool

    def is_about(self, certificate: Certificate, issuer: Certificate) -> bool:
        """Tell whether it is this issuer's certificate: number, name and key of the issuer (CertID)."""
        if self.serial != certificate.serial or self.digest not in pubkeys.HASHES:
            return False
        names = {_hash(self.digest, name.encoded) for name in (issuer.subject, certificate.issuer)}
        return self.issuer_name in names and self.issuer_key == _hash(self.digest, issuer.key_octets)


@dataclass(frozen=True, slots=True)
class OcspAnswer:
    """A successful answer taken apart."""

    encoded: bytes
    signed: bytes
    responder: Name | bytes  # by name, or by SHA-1 of the key
    produced_at: datetime
    statements: tuple[Statement, ...]
    understood: bool  # nothing critical in it is unknown
    algorithm: bytes
    value: bytes
    certificates: tuple[bytes, ...]

    def names(self, certificate: Certificate) -> bool:
        """Tell whether the answer says that this certificate's key signed it."""
        if isinstance(self.responder, Name):
            return self.responder.key == certificate.subject.key
        return self.responder == _hash("sha1", certificate.key_octets)


def _hash(name: str, octets: bytes) -> bytes:
    return hashlib.new(name, octets, usedforsecurity=False).digest()


@lru_cache(maxsize=256)
def read(encoded: bytes) -> OcspAnswer | None:
    """Take an answer (OCSPResponse or BasicOCSPResponse, DER) apart; ``None`` if it is none, or no successful one."""
    if len(encoded) > OCSP_MAX_BYTES:
        return None
    try:
        return _read(encoded)
    except (ValueError, IndexError):
        return None


def newest_answers(found: Iterable[bytes], certificate: Certificate, issuer: Certificate) -> tuple[bytes, ...]:
    """Return the newest OCSP answers of a crowd about a certificate, at most ``CONCERNING_MAX``."""
    read_ones = (one for data in dict.fromkeys(found) if (one := read(data)) is not None)
    concerning = [
        (one.produced_at, one.encoded)
        for one in read_ones
        if any(statement.is_about(certificate, issuer) for statement in one.statements)
    ]
    return tuple(data for _, data in sorted(concerning, reverse=True)[:CONCERNING_MAX])


def _read(encoded: bytes) -> OcspAnswer:
    outer = der.whole(encoded).expect(der.SEQUENCE).parts()
    basic = der.value(encoded)
    if outer[0].tag == der.ENUMERATED:
        if der.integer(outer[0]) != 0:
            raise ValueError("no successful answer")
        kind, octets = outer[1].parts()[0].parts()
        if der.identifier(kind) != _BASIC:
            raise ValueError("another kind of answer")
        basic = der.whole(octets.expect(der.OCTETS).content)
    data, algorithm, value, *more = basic.expect(der.SEQUENCE).parts()
    fields = data.expect(der.SEQUENCE).parts()
    if fields[0].tag == 0xA0:
        fields.pop(0)
    responder, produced, listed, *rest = fields
    return OcspAnswer(
        encoded=encoded,
        signed=data.encoded,
        responder=_responder(responder),
        produced_at=der.moment(produced),
        statements=tuple(_statement(one) for one in listed.expect(der.SEQUENCE).parts()[:STATEMENTS_MAX]),
        understood=_understood(_extensions(rest, 0xA1)),
        algorithm=algorithm.encoded,
        value=der.bits(value),
        certificates=tuple(one.encoded for one in more[0].parts()[0].parts()) if more else (),
    )


def _responder(field: der.Value) -> Name | bytes:
    inner = field.parts()[0]
    return read_name(inner.encoded) if field.tag == 0xA1 else inner.expect(der.OCTETS).content


def _extensions(fields: list[der.Value], tag: int) -> Mapping[str, Extension]:
    found = next((field for field in fields if field.tag == tag), None)
    return read_extensions(found.parts()[0])[0] if found is not None else {}


def _understood(extensions: Mapping[str, Extension]) -> bool:
    return all(not one.critical or oid in _KNOWN for oid, one in extensions.items())


def _statement(found: der.Value) -> Statement:
    identity, status, this_update, *rest = found.expect(der.SEQUENCE).parts()
    algorithm, name, key, serial = identity.parts()
    revoked_at, reason = _revoked(status)
    later = next((field for field in rest if field.tag == 0xA0), None)
    extensions = _extensions(rest, 0xA1)
    cutoff = extensions.get(CUTOFF)
    digest = der.identifier(algorithm.parts()[0])
    return Statement(
        digest=pubkeys.DIGESTS.get(digest, digest),
        issuer_name=name.content,
        issuer_key=key.content,
        serial=serial.expect(der.INTEGER).content,
        status={0x80: "good", 0xA1: "revoked"}.get(status.tag, "unknown"),
        revoked_at=revoked_at,
        reason=reason,
        this_update=der.moment(this_update),
        next_update=der.moment(later.parts()[0]) if later is not None else None,
        cutoff=der.moment(der.whole(cutoff.value)) if cutoff is not None else None,
        understood=_understood(extensions),
    )


def _revoked(status: der.Value) -> tuple[datetime | None, int | None]:
    if status.tag != 0xA1:
        return None, None
    time, *reason = status.parts()
    return der.moment(time), der.integer(reason[0].parts()[0]) if reason else None
