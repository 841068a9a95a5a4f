"""SignedData as it stands in the file: signers, attributes, certificates, status answers (RFC 5652, 5; RFC 2315).

DER and BER are read alike. Everything handed out is a slice of the original octets; only content that was written in
pieces is put together. Of PKCS #7 content that is no OCTET STRING the content octets are what was signed (RFC 2315,
9.3). What cannot be read is a ``ValueError`` (signing.md 4.1, E1; 6, S1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from signer import ber, der
from signer.ber import Node
from signer.cmsnames import (
    ATTRIBUTES,
    CONTENT_TYPES,
    DIGESTS,
    MGF1,
    OCSP_BASIC,
    OCSP_RESPONSE,
    PSS,
    SCHEMES,
    SIGNED_DATA,
)

SIGNERS_MAX = 1000
"""Signers of one SignedData, and values of one attribute, that are read."""
_FIELD_0, _FIELD_1 = 0xA0, 0xA1
_KEY_ID = (0x80, 0xA0)
_SHAKE256_BITS = 512


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute as it stands: its type by name (or dotted), its encoding, that of the type and of each value."""

    name: str
    encoded: bytes
    type_encoded: bytes
    values: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class SignerInfo:
    """One signer of a SignedData. ``signed_attributes`` is the SET as it was signed, or ``None`` without attributes."""

    issuer: bytes | None  # name as it stands
    serial: int | None
    key_id: bytes | None
    digest: str  # "sha256"
    scheme: str  # "rsassa_pkcs1v15", "rsassa_pss", "ecdsa", "ed25519", "dsa" or a dotted name
    scheme_digest: str | None
    salt_length: int | None
    value: bytes
    signed_attributes: bytes | None
    attributes: tuple[tuple[str, tuple[bytes, ...]], ...]  # signed: name or dotted type, values
    unsigned: tuple[tuple[str, tuple[bytes, ...]], ...]
    mask_digest: str | None = None  # of MGF1, where RSASSA-PSS names one
    pieces: tuple[bytes, ...] = field(default=(), repr=False)  # version to signature, each as it stands
    unsigned_attributes: tuple[Attribute, ...] = field(default=(), repr=False)

    def values(self, name: str) -> tuple[tuple[bytes, ...], ...]:
        """Return the value lists of every signed attribute of this type; more than one is a fault."""
        return tuple(values for type_, values in self.attributes if type_ == name)

    def unsigned_values(self, *names: str) -> tuple[bytes, ...]:
        """Return the values of all unsigned attributes of these types, in the order of the file."""
        return tuple(value for type_, values in self.unsigned if type_ in names for value in values)


@dataclass(frozen=True, slots=True)
class SignedData:
    """A SignedData: content type, embedded content if any, certificates and CRLs (DER), signers."""

    content_type: str
    content: bytes | None
    certificates: tuple[bytes, ...]
    crls: tuple[bytes, ...]
    ocsps: tuple[bytes, ...]
    signers: tuple[SignerInfo, ...]
    encoded_length: int
    encapsulated: bytes = field(default=b"", repr=False)  # EncapsulatedContentInfo as it stands
    type_encoded: bytes = field(default=b"", repr=False)
    certificate_field: bytes = field(default=b"", repr=False)  # [0] as it stands, empty if absent
    crl_field: bytes = field(default=b"", repr=False)  # [1] as it stands
    certificate_choices: tuple[bytes, ...] = field(default=(), repr=False)  # each as it stands, other kinds too
    revocation_choices: tuple[bytes, ...] = field(default=(), repr=False)
    is_octets: bool = True  # the content is an OCTET STRING, as CMS has it


def read_signed_data(data: bytes) -> SignedData:
    """Read a ContentInfo with SignedData; bytes behind it (zero padding in PDF) are the caller's to judge.

    Raises:
        ValueError: it is not one.
    """
    outer = ber.node(data).expect(der.SEQUENCE)
    kind, *rest = outer.parts()
    if ber.identifier(kind) != SIGNED_DATA or len(rest) != 1 or rest[0].tag != _FIELD_0:
        raise ValueError("not SignedData")
    inner = rest[0].parts()
    if len(inner) != 1:
        raise ValueError("not SignedData")
    return _signed_data(inner[0].expect(der.SEQUENCE), outer.stop)


def _signed_data(found: Node, length: int) -> SignedData:
    parts = found.parts()
    if len(parts) < 4 or parts[0].tag != der.INTEGER or parts[1].tag != der.SET or parts[-1].tag != der.SET:
        raise ValueError("damaged SignedData")
    version, _, encapsulated, *optional, signers = parts
    der.integer(_plain(version))
    fields = [part.tag for part in optional]
    if fields not in ([], [_FIELD_0], [_FIELD_1], [_FIELD_0, _FIELD_1]):
        raise ValueError("damaged SignedData")
    held = {part.tag: part for part in optional}
    content_type, content, is_octets = _content(encapsulated)
    certificates = _choices(held.get(_FIELD_0))
    answers = _choices(held.get(_FIELD_1))
    crls, ocsps = _answers(answers)
    infos = signers.parts()
    if len(infos) > SIGNERS_MAX:
        raise ValueError("too many signers")
    return SignedData(
        content_type,
        content,
        tuple(one.encoded for one in certificates if one.tag == der.SEQUENCE),
        crls,
        ocsps,
        tuple(read_signer_info(one) for one in infos),
        length,
        encapsulated.encoded,
        encapsulated.first().encoded,
        held[_FIELD_0].encoded if _FIELD_0 in held else b"",
        held[_FIELD_1].encoded if _FIELD_1 in held else b"",
        tuple(one.encoded for one in certificates),
        tuple(one.encoded for one in answers),
        is_octets,
    )


def _plain(found: Node) -> der.Value:
    """Return a primitive value for the functions that read DER."""
    if found.is_constructed:
        raise ValueError("a constructed value where a plain one belongs")
    return der.Value(found.tag, found.data, found.start, found.body, found.end)


def _content(found: Node) -> tuple[str, bytes | None, bool]:
    """Return type and content of an EncapsulatedContentInfo, and whether the content is an OCTET STRING."""
    kind, *rest = found.expect(der.SEQUENCE).parts()
    name = ber.identifier(kind)
    name = CONTENT_TYPES.get(name, name)
    if not rest:
        return name, None, True
    if len(rest) != 1 or rest[0].tag != _FIELD_0:
        raise ValueError("damaged content")
    held = rest[0].parts()
    if len(held) != 1:
        raise ValueError("damaged content")
    if held[0].tag & ~0x20 == der.OCTETS:
        return name, ber.octets(held[0]), True
    return name, held[0].content, False


def _choices(found: Node | None) -> list[Node]:
    return found.parts() if found is not None else []


def _answers(found: Sequence[Node]) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    """Sort revocation information into lists and OCSP answers; of other kinds nothing is known."""
    crls, ocsps = [], []
    for one in found:
        if one.tag == der.SEQUENCE:
            crls.append(one.encoded)
        elif one.tag == _FIELD_1:
            parts = one.parts()
            if len(parts) == 2 and ber.identifier(parts[0]) in (OCSP_RESPONSE, OCSP_BASIC):
                ocsps.append(parts[1].encoded)
    return tuple(crls), tuple(ocsps)


def read_signer_info(found: Node) -> SignerInfo:
    """Read a SignerInfo, of SignedData or as the value of a counter-signature.

    Raises:
        ValueError: it is not one.
    """
    parts = found.expect(der.SEQUENCE).parts()
    if len(parts) < 5:
        raise ValueError("damaged SignerInfo")
    version, sid, digest, *rest = parts
    der.integer(_plain(version.expect(der.INTEGER)))
    signed = rest.pop(0) if rest[0].tag == _FIELD_0 else None
    if len(rest) not in (2, 3) or rest[1].tag & ~0x20 != der.OCTETS:
        raise ValueError("damaged SignerInfo")
    algorithm, value = rest[0], rest[1]
    if len(rest) == 3 and rest[2].tag != _FIELD_1:
        raise ValueError("damaged SignerInfo")
    issuer, serial, key_id = _signer_identifier(sid)
    scheme, scheme_digest, mask, salt = _scheme(algorithm)
    attributes = _attributes(signed)
    unsigned = _attributes(rest[2] if len(rest) == 3 else None)
    return SignerInfo(
        issuer,
        serial,
        key_id,
        _digest(digest),
        scheme,
        scheme_digest,
        salt,
        ber.octets(value),
        bytes((der.SET,)) + signed.encoded[1:] if signed is not None else None,
        tuple((one.name, one.values) for one in attributes),
        tuple((one.name, one.values) for one in unsigned),
        mask,
        tuple(part.encoded for part in parts if part.tag != _FIELD_1),
        unsigned,
    )


def _signer_identifier(found: Node) -> tuple[bytes | None, int | None, bytes | None]:
    if found.tag in _KEY_ID:
        return None, None, ber.octets(found)
    issuer, serial = found.expect(der.SEQUENCE).parts()
    return issuer.expect(der.SEQUENCE).encoded, der.integer(_plain(serial.expect(der.INTEGER))), None


def _digest(found: Node) -> str:
    kind, *parameters = found.expect(der.SEQUENCE).parts()
    name = ber.identifier(kind)
    if DIGESTS.get(name) == "shake256_len" and (
        not parameters or parameters[0].tag == der.NULL or der.integer(_plain(parameters[0])) == _SHAKE256_BITS
    ):
        return "shake256"  # of the length that is used with Ed448 (RFC 8419, 3)
    if name in SCHEMES and SCHEMES[name][1] is not None:
        return str(SCHEMES[name][1])  # a signature scheme where its digest belongs, as some writers do
    return DIGESTS.get(name, name)


def _scheme(found: Node) -> tuple[str, str | None, str | None, int | None]:
    """Return scheme, digest, and for RSASSA-PSS the digest of its mask and the length of its salt."""
    kind, *parameters = found.expect(der.SEQUENCE).parts()
    name = ber.identifier(kind)
    if name == PSS:
        return _pss(parameters[0] if parameters else None)
    if name in DIGESTS:
        return "rsassa_pkcs1v15", DIGESTS[name], None, None  # a digest where the scheme belongs: old RSA software
    scheme, digest = SCHEMES.get(name, (name, None))
    return scheme, digest, None, None


def _pss(found: Node | None) -> tuple[str, str | None, str | None, int | None]:
    """Read the parameters of RSASSA-PSS with their defaults (RFC 4055, 3.1)."""
    digest, mask, salt = "sha1", "sha1", 20
    for one in found.parts() if found is not None and found.tag == der.SEQUENCE else ():
        (inner,) = one.parts()
        if one.tag == _FIELD_0:
            digest = _digest(inner)
        elif one.tag == _FIELD_1:
            function, of = inner.expect(der.SEQUENCE).parts()
            mask = _digest(of) if ber.identifier(function) == MGF1 else ber.identifier(function)
        elif one.tag == 0xA2:
            salt = der.integer(_plain(inner.expect(der.INTEGER)))
        elif one.tag == 0xA3 and der.integer(_plain(inner.expect(der.INTEGER))) != 1:
            return PSS, digest, mask, salt  # another trailer: not computed
    return "rsassa_pss", digest, mask, salt


def _attributes(found: Node | None) -> tuple[Attribute, ...]:
    return tuple(read_attribute(one) for one in found.parts()) if found is not None else ()


def read_attribute(found: Node) -> Attribute:
    """Read one attribute.

    Raises:
        ValueError: it is not one.
    """
    kind, values = found.expect(der.SEQUENCE).parts()
    name = ber.identifier(kind)
    listed = values.expect(der.SET).parts()
    if len(listed) > SIGNERS_MAX:
        raise ValueError("too many values")
    return Attribute(ATTRIBUTES.get(name, name), found.encoded, kind.encoded, tuple(value.encoded for value in listed))


def ess_certificate_ids(value: bytes, *, version: int) -> tuple[tuple[str, bytes], ...]:
    """Return (digest name, digest) of each certificate a signing-certificate attribute (version 1 or 2) names.

    Raises:
        ValueError: the attribute cannot be read.
    """
    found = []
    for one in ber.whole(value).expect(der.SEQUENCE).first().expect(der.SEQUENCE).parts():
        parts = one.expect(der.SEQUENCE).parts()
        name = "sha1" if version == 1 else "sha256"
        if version != 1 and parts and parts[0].tag == der.SEQUENCE:
            name = _digest(parts.pop(0))
        if not parts or parts[0].tag & ~0x20 != der.OCTETS:
            raise ValueError("damaged signing-certificate attribute")
        found.append((name, ber.octets(parts[0])))
    return tuple(found)


def octet_string(value: bytes) -> bytes:
    """Return the content of an OCTET STRING.

    Raises:
        ValueError: it is not one.
    """
    found = ber.whole(value)
    if found.tag & ~0x20 != der.OCTETS:
        raise ValueError("not an OCTET STRING")
    return ber.octets(found)


def object_identifier(value: bytes) -> str:
    """Return the name (or dotted form) of a content-type value.

    Raises:
        ValueError: it is not an object identifier.
    """
    name = ber.identifier(ber.whole(value))
    return CONTENT_TYPES.get(name, name)


def in_der_order(attributes: bytes) -> tuple[bytes, ...]:
    """Return other encodings a SET OF may have been signed in: counted length, DER as it stands in order, full DER.

    Empty if it is in DER, or cannot be read.
    """
    try:
        found = ber.whole(attributes)
        parts = [one.encoded for one in found.walk()]
        again = (
            ber.counted(der.SET, b"".join(parts)),
            ber.counted(der.SET, b"".join(sorted(parts))),
            ber.to_der(found),
        )
    except ValueError:
        return ()
    return tuple(one for one in dict.fromkeys(again) if one != attributes)
