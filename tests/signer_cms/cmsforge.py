"""CMS made by hand for tests, honest or with one fault: every part can be exchanged (RFC 5652; EN 319 122-1)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from signer import asn1, ber, der
from signer.cmsnames import ATTRIBUTES, DATA, DIGESTS, SIGNED_DATA
from signer.devpki import DevIdentity
from signer.timestamp import Timestamper, obtain
from signer.x509read import read

OIDS = {name: oid for oid, name in ATTRIBUTES.items()}
SHA256 = next(oid for oid, name in DIGESTS.items() if name == "sha256")
_ALGORITHMS = {"RSA": "1.2.840.113549.1.1.11", "EC": "1.2.840.10045.4.3.2"}


def sequence(*parts: bytes) -> bytes:
    return der.encode(der.SEQUENCE, *parts)


def octets(value: bytes) -> bytes:
    return der.encode(der.OCTETS, value)


def attribute(name: str, *values: bytes) -> bytes:
    return sequence(der.encode_identifier(OIDS.get(name, name)), der.encode(der.SET, *values))


def algorithm(oid: str) -> bytes:
    return sequence(der.encode_identifier(oid))


@dataclass(frozen=True, slots=True)
class Signer:
    """One signer: who, over what, with which attributes; ``change`` alters them before they are signed."""

    identity: DevIdentity
    content: bytes
    at: datetime | None = None
    kind: str = DATA
    change: Callable[[dict[str, bytes]], Sequence[bytes]] = lambda attributes: sorted(attributes.values())
    unsigned: tuple[bytes, ...] = ()
    bare: bool = False
    order: Callable[[Sequence[bytes]], Sequence[bytes]] | None = None  # of the attributes as written
    value: bytes | None = None
    sid: bytes | None = None
    digest: str = SHA256
    scheme: bytes | None = None

    @property
    def attributes(self) -> dict[str, bytes]:
        """The usual attributes, by name."""
        ess = sequence(sequence(sequence(octets(hashlib.sha256(self.identity.certificate).digest()))))
        found = {
            "content_type": attribute("content_type", der.encode_identifier(self.kind)),
            "message_digest": attribute("message_digest", octets(hashlib.sha256(self.content).digest())),
            "signing_certificate_v2": attribute("signing_certificate_v2", ess),
        }
        if self.at is not None:
            text = self.at.strftime("%y%m%d%H%M%SZ").encode()
            found["signing_time"] = attribute("signing_time", der.encode(der.UTC_TIME, text))
        return found

    def encoded(self) -> bytes:
        """Return the SignerInfo."""
        listed = list(self.change(self.attributes))
        signed = self.content if self.bare else der.encode(der.SET, *listed)
        value = self.value if self.value is not None else self.sign(signed)
        certificate = read(self.identity.certificate)
        sid = self.sid or sequence(certificate.issuer.encoded, der.encode(der.INTEGER, certificate.serial))
        written = list(self.order(listed)) if self.order else listed
        return sequence(
            der.encode_integer(1),
            sid,
            algorithm(self.digest),
            b"" if self.bare else der.encode(0xA0, *written),
            self.scheme or algorithm(_ALGORITHMS[self.identity.credential.key_type]),
            octets(value),
            der.encode(0xA1, *self.unsigned) if self.unsigned else b"",
        )

    def sign(self, data: bytes) -> bytes:
        """Sign octets with SHA-256."""
        from signer.algorithms import Scheme

        key = self.identity.credential.key_type
        scheme = Scheme.RSA_PKCS1_SHA256 if key == "RSA" else Scheme.ECDSA_SHA256
        return self.identity.credential.sign(hashlib.sha256(data).digest(), scheme)

    def with_unsigned(self, *more: bytes) -> Signer:
        """Return the same signer, its value fixed, with more unsigned attributes."""
        return replace(self, value=value_of(self.encoded()), unsigned=(*self.unsigned, *more))


@dataclass(frozen=True, slots=True)
class Cms:
    """A SignedData of these signers; ``content`` is enclosed if there is one."""

    signers: tuple[Signer, ...]
    content: bytes | None = None
    kind: str = DATA
    certificates: tuple[bytes, ...] | None = None
    answers: tuple[bytes, ...] = ()
    parts: Mapping[str, bytes] = field(default_factory=dict)

    def held(self) -> tuple[bytes, ...]:
        """Return the certificates in it."""
        if self.certificates is not None:
            return self.certificates
        mine = (der for one in self.signers for der in (one.identity.certificate, *one.identity.chain))
        return tuple(dict.fromkeys(mine))

    def encoded(self) -> bytes:
        """Return the ContentInfo."""
        enclosed = b"" if self.content is None else der.encode(0xA0, octets(self.content))
        held = self.held()
        body = sequence(
            der.encode_integer(1 if self.kind == DATA else 3),
            der.encode(der.SET, algorithm(SHA256)),
            sequence(der.encode_identifier(self.kind), enclosed),
            der.encode(0xA0, *sorted(held)) if held else b"",
            der.encode(0xA1, *sorted(self.answers)) if self.answers else b"",
            der.encode(der.SET, *(one.encoded() for one in self.signers)),
        )
        return sequence(der.encode_identifier(SIGNED_DATA), der.encode(0xA0, body))


def value_of(signer_info: bytes) -> bytes:
    """Return the signature value of a SignerInfo."""
    return asn1.read_signed_data(_frame(signer_info)).signers[0].value


def _frame(signer_info: bytes) -> bytes:
    body = sequence(
        der.encode_integer(1),
        der.encode(der.SET),
        sequence(der.encode_identifier(DATA)),
        der.encode(der.SET, signer_info),
    )
    return sequence(der.encode_identifier(SIGNED_DATA), der.encode(0xA0, body))


def stamp(name: str, imprint: bytes, timestamper: Timestamper) -> bytes:
    """Return a time-stamp attribute over octets."""
    return attribute(name, obtain(timestamper, hashlib.sha256(imprint).digest()))


def counter(identity: DevIdentity, over: bytes, unsigned: tuple[bytes, ...] = ()) -> bytes:
    """Return a counter-signature over a signature value."""

    def without_type(given: dict[str, bytes]) -> Sequence[bytes]:
        return sorted(value for name, value in given.items() if name != "content_type")

    return attribute("counter_signature", Signer(identity, over, change=without_type, unsigned=unsigned).encoded())


def with_unsigned_in_token(token: bytes, *attributes: bytes) -> bytes:
    """Return a time-stamp token with unsigned attributes."""
    outer = ber.whole(token).parts()
    body = outer[1].parts()[0].parts()
    signer = body[-1].parts()[0].encoded
    grown = sequence(ber.whole(signer).content, der.encode(0xA1, *attributes))
    signed = sequence(*(part.encoded for part in body[:-1]), der.encode(der.SET, grown))
    return sequence(outer[0].encoded, der.encode(0xA0, signed))


def archive_v3(cms: Cms, content: bytes, timestamper: Timestamper, *, index: bytes | None = None) -> Cms:
    """Return the CMS with an archive stamp of version 3 over everything in it."""
    signed = asn1.read_signed_data(cms.encoded())
    info = signed.signers[0]
    made = index or ats_index(signed)
    imprint = signed.type_encoded + hashlib.sha256(content).digest() + b"".join(info.pieces) + made
    token = obtain(timestamper, hashlib.sha256(imprint).digest())
    token = with_unsigned_in_token(token, attribute("ats_hash_index_v3", made))
    first = cms.signers[0].with_unsigned(attribute("archive_time_stamp_v3", token))
    return replace(cms, signers=(first, *cms.signers[1:]))


def _hashed(data: bytes) -> bytes:
    return octets(hashlib.sha256(data).digest())


def ats_index(signed: asn1.SignedData, *, leave_out: int = 0, version: int = 3) -> bytes:
    """Return the hash index over certificates, answers and unsigned attributes."""
    certificates = [_hashed(one) for one in signed.certificate_choices][leave_out:]
    answers = [_hashed(one) for one in signed.revocation_choices]
    attributes = []
    for one in signed.signers[0].unsigned_attributes:
        if version == 3:
            attributes += [_hashed(one.type_encoded + value) for value in one.values]
        else:
            attributes.append(_hashed(one.encoded))
    return sequence(algorithm(SHA256), sequence(*certificates), sequence(*answers), sequence(*attributes))


def archive_v2(cms: Cms, content: bytes, timestamper: Timestamper) -> Cms:
    """Return the CMS with an archive stamp of version 2 over whole fields as they stand (TS 101 733, 6.4.1)."""
    signed = asn1.read_signed_data(cms.encoded())
    info = signed.signers[0]
    detached = content if signed.content is None else b""
    unsigned = b"".join(one.encoded for one in info.unsigned_attributes)
    octets_ = signed.encapsulated + detached + signed.certificate_field + signed.crl_field + b"".join(info.pieces)
    octets_ += der.encode(0xA1, unsigned) if unsigned else b""
    first = cms.signers[0].with_unsigned(stamp("archive_time_stamp_v2", octets_, timestamper))
    return replace(cms, signers=(first, *cms.signers[1:]))


def token_of(content: bytes, timestamper: Timestamper) -> bytes:
    """Return a bare time-stamp token over content."""
    return obtain(timestamper, hashlib.sha256(content).digest())


def to_ber(data: bytes, *, keep: Sequence[bytes] = ()) -> bytes:
    """Return a value with indefinite lengths wherever it is constructed, but for some parts."""
    found = ber.whole(data)
    if not found.is_constructed or data in keep:
        return data
    inside = b"".join(to_ber(part.encoded, keep=keep) for part in found.walk())
    return bytes((found.tag, 0x80)) + inside + b"\0\0"
