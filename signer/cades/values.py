"""Certificates and status answers in attributes and choices of CMS (EN 319 122-1, A.1.1, A.1.2; RFC 5652, 10.2)."""

from __future__ import annotations

from dataclasses import dataclass

from signer import asn1, ber, der
from signer.ber import Node
from signer.signeddata import SignedData, SignerInfo, read_signer_info

VALUES_MAX = 500
"""Certificates and status answers of one attribute that are read."""


@dataclass(frozen=True, slots=True)
class Held:
    """Certificates and status answers (DER) that travel with a signer."""

    certificates: tuple[bytes, ...] = ()
    crls: tuple[bytes, ...] = ()
    ocsps: tuple[bytes, ...] = ()


def held_by(info: SignerInfo, signed: SignedData) -> Held:
    """Return everything that travels with a signer, in SignedData and in its attributes; none of it is trusted."""
    certificates, crls, ocsps = list(signed.certificates), list(signed.crls), list(signed.ocsps)
    for value in info.unsigned_values("certificate_values"):
        certificates += _sequence(value)
    answers = (*info.unsigned_values("revocation_values"), *info.unsigned_values("adobe_revocation_values"))
    signed_ones = (value for values in info.values("adobe_revocation_values") for value in values)
    for value in (*answers, *signed_ones):
        lists, responses = _revocation_values(value)
        crls += lists
        ocsps += responses
    return Held(*(tuple(dict.fromkeys(kind))[:VALUES_MAX] for kind in (certificates, crls, ocsps)))


def held_values(name: str, value: bytes) -> list[bytes]:
    """Return what is inside a value that an archive stamp covers: certificates, answers, signature values, tokens."""
    try:
        if name == "choice":
            return _choice(value)
        if name == "certificate_values":
            return _sequence(value)
        if name in {"revocation_values", "adobe_revocation_values"}:
            crls, ocsps = _revocation_values(value)
            return [*crls, *ocsps]
        if name == "counter_signature":
            return [read_signer_info(ber.whole(value)).value]
        if name.endswith("_time_stamp") or "time_stamp_" in name:
            token = asn1.read_signed_data(value)
            return [*token.certificates, *token.crls, *token.ocsps]
    except ValueError:
        pass  # it is covered as a whole
    return []


def _choice(value: bytes) -> list[bytes]:
    found = ber.whole(value)
    if found.tag != 0xA1:
        return [value]
    parts = found.parts()
    return [parts[1].encoded] if len(parts) == 2 else []


def _sequence(value: bytes) -> list[bytes]:
    try:
        return [one.encoded for one in ber.whole(value).expect(der.SEQUENCE).parts()[:VALUES_MAX]]
    except ValueError:
        return []


def _revocation_values(value: bytes) -> tuple[list[bytes], list[bytes]]:
    crls: list[bytes] = []
    ocsps: list[bytes] = []
    try:
        for part in ber.whole(value).expect(der.SEQUENCE).parts():
            (inner,) = part.parts()[:1]
            _sort(part, inner, crls if part.tag == 0xA0 else ocsps if part.tag == 0xA1 else [])
    except ValueError:
        pass
    return crls[:VALUES_MAX], ocsps[:VALUES_MAX]


def _sort(part: Node, inner: Node, into: list[bytes]) -> None:
    """The fields are tagged explicitly; some writers tag them implicitly, so that lists and answers follow at once."""
    listed = inner.expect(der.SEQUENCE).parts()
    is_list = len(listed) >= 3 and listed[2].tag == der.BIT_STRING
    is_answer = bool(listed) and listed[0].tag == der.ENUMERATED
    into += [one.encoded for one in (part.parts() if is_list or is_answer else listed)]


def unwrapped(token: bytes) -> bytes:
    """Return a token that some writers put into an OCTET STRING."""
    try:
        found = ber.whole(token)
        return ber.octets(found) if found.tag & ~0x20 == der.OCTETS else token
    except ValueError:
        return token
