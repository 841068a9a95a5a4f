"""Time stamps among the attributes of a signer, and the octets each should be over (EN 319 122-1, 5.3 to 5.5, A.1).

An archive stamp of version 3 is over the signature's parts and an index of hashes; version 2 over whole fields as they
stand, with the attributes that were there. What a stamp covers is listed by digest, so that it proves existence.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from signer import asn1, ber, der
from signer.cades.content import Octets
from signer.cades.index import Index, read_index
from signer.cades.values import held_by, held_values, unwrapped
from signer.cms import digest_with
from signer.judge import Stamp
from signer.report import Code, Reason
from signer.signeddata import Attribute, SignedData, SignerInfo
from signer.timestamp import Imprint, claimed_time

STAMPS_MAX = 50
"""Time stamps of one signer that are judged."""
_ARCHIVES = ("archive_time_stamp_v1", "archive_time_stamp_v2", "archive_time_stamp_v3")


@dataclass(frozen=True, slots=True)
class Signed:
    """One signer in its SignedData, over content that may not be at hand."""

    info: SignerInfo
    data: SignedData
    content: Octets | None

    def digest(self, name: str) -> bytes | None:
        """Return the digest of the content; ``None`` if it is not at hand or cannot be computed."""
        return self.content.digest(name) if self.content is not None else None


def stamps(id: str, signed: Signed) -> tuple[Stamp, ...]:
    """Return the stamps of a signer: over the content, over the value, over references, archive stamps."""
    info = signed.info
    found: list[Stamp] = []
    for name, values in info.attributes:
        if name == "content_time_stamp":
            found += [_stamp(id, "c", len(found), "content", unwrapped(token), signed.digest) for token in values]
    for token in info.unsigned_values("signature_time_stamp_token"):
        found.append(_stamp(id, "t", len(found), "signature", unwrapped(token), info.value))
    for token in info.unsigned_values("esc_time_stamp"):
        found.append(_stamp(id, "e", len(found), "signature", unwrapped(token), _over_references(info)))
    for attribute in info.unsigned_attributes:
        if attribute.name in _ARCHIVES:
            found += [_archive(f"{id}/a{len(found)}", attribute, token, signed) for token in attribute.values]
    return tuple(found[:STAMPS_MAX])


def _stamp(id: str, letter: str, number: int, kind: str, token: bytes, imprint: Imprint) -> Stamp:
    return Stamp(f"{id}/{letter}{number}", kind, token, imprint)


def _over_references(info: SignerInfo) -> bytes:
    """What a CAdES-C stamp is over: value, signature stamps, references (EN 319 122-1, A.1.5.1)."""
    names = ("signature_time_stamp_token", "certificate_references", "revocation_references")
    held = [one for name in names for one in info.unsigned_attributes if one.name == name]
    return info.value + b"".join(_without_frame(one) for one in held)


def _without_frame(attribute: Attribute) -> bytes:
    """Return type and values of an attribute without the SEQUENCE around them."""
    return ber.whole(attribute.encoded).content


def _archive(id: str, attribute: Attribute, token: bytes, signed: Signed) -> Stamp:
    if attribute.name == "archive_time_stamp_v3":
        return _third(id, token, signed)
    if attribute.name == "archive_time_stamp_v2":
        return _second(id, token, signed)
    return Stamp(id, "archive", token, lambda name: None)


# --- version 3: an index of hashes -----------------------------------------------------------------------------------


def _third(id: str, token: bytes, signed: Signed) -> Stamp:
    index = read_index(token)
    if index is None:
        return Stamp(id, "archive", token, b"", faults=_fault("ats-hash-index"))

    def imprint(name: str) -> bytes | None:
        content = signed.digest(name)
        if content is None:
            return None
        return digest_with(name, b"".join((signed.data.type_encoded, content, *signed.info.pieces, index.encoded)))

    return Stamp(id, "archive", token, imprint, _indexed(index, signed)[0])


def lost(info: SignerInfo, data: SignedData) -> bool:
    """Tell whether an archive stamp's index names something that is no longer there."""
    tokens = (unwrapped(token) for token in info.unsigned_values("archive_time_stamp_v3"))
    indices = (read_index(token) for token in tokens)
    return any(index is not None and _indexed(index, Signed(info, data, None))[1] for index in indices)


def _fault(where: str) -> tuple[Reason, ...]:
    return (Reason(Code.FORMAT_FAILURE), Reason(Code.MALFORMED, {"where": where}))


def _indexed(index: Index, signed: Signed) -> tuple[tuple[str, ...], bool]:
    """Return what the index covers, and whether it names something that is no longer there."""
    held: list[bytes] = []
    found: set[bytes] = set()
    inside = held_by(signed.info, signed.data)  # some writers index what is in attributes
    values = (*inside.certificates, *inside.crls, *inside.ocsps)
    for choice in (*signed.data.certificate_choices, *signed.data.revocation_choices, *values):
        digest = index.hash_of(choice, index.certificates | index.revocations)
        if digest is not None:
            found.add(digest)
            held += held_values("choice", choice)
    for attribute in signed.info.unsigned_attributes:
        for value, digest in index.hashes_of(attribute):
            found.add(digest)
            held += [value, *held_values(attribute.name, value)]
    absent = (index.certificates | index.revocations | index.attributes) - found
    return _digests(held), bool(absent)


def _digests(values: Iterable[bytes]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(hashlib.sha256(value).hexdigest() for value in values))


# --- version 2: whole fields -----------------------------------------------------------------------------------------


def _second(id: str, token: bytes, signed: Signed) -> Stamp:
    before = _before(token, signed.info)

    def imprint(name: str) -> bytes | None:
        if signed.data.content is None and signed.content is None:
            return None
        wanted = _stated_imprint(token)
        made = [digest_with(name, octets) for octets in _forms(signed, before)]
        return next((one for one in made if one == wanted), made[0])

    held = [*signed.data.certificates, *signed.data.crls, *signed.data.ocsps]
    for attribute in before:
        for value in attribute.values:
            held += [value, *held_values(attribute.name, value)]
    return Stamp(id, "archive", token, imprint, _digests(held))


def _before(token: bytes, info: SignerInfo) -> tuple[Attribute, ...]:
    """Return the unsigned attributes without this stamp and those made after it."""
    time = claimed_time(token)
    kept = []
    for one in info.unsigned_attributes:
        times = [claimed_time(value) for value in one.values] if one.name in _ARCHIVES else []
        later = any(found is None or time is None or found >= time for found in times)
        if token not in one.values and not later:
            kept.append(one)
    return tuple(kept)


def _stated_imprint(token: bytes) -> bytes | None:
    try:
        content = asn1.read_signed_data(token).content
        return asn1.read_tst_info(content or b"").imprint
    except ValueError:
        return None


def _forms(signed: Signed, before: Sequence[Attribute]) -> list[bytes]:
    """Return the octets of TS 101 733, 6.4.1, as its writers understand them: with and without SignerInfo's frame."""
    data = signed.data
    content = signed.content.data if data.content is None and signed.content is not None else b""
    head = data.encapsulated + content + data.certificate_field + data.crl_field
    pieces = b"".join(signed.info.pieces)
    held = b"".join(one.encoded for one in before)
    ordered = b"".join(sorted(one.encoded for one in before))
    found = []
    for attributes in dict.fromkeys((held, ordered)):
        tail = ber.counted(0xA1, attributes) if attributes else b""
        found += [head + pieces + tail, head + ber.counted(der.SEQUENCE, pieces + tail), head + pieces + attributes]
    return found
