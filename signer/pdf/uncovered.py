"""The parts of a CMS that no signature covers: are they what they must be? (RFC 5652, 5.1 and 5.3; signing.md 1.1, G4)

A signature protects content and signed attributes, and by the ESS reference its certificate; versions, lists of
algorithms and the other certificates it does not. A byte changed there changes nothing that was signed, but it must not
go unsaid: odd structure is a warning, a certificate that is damaged leaves the path in doubt.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from signer.asn1 import SignedData

_DIGESTS = {
    "md5": "1.2.840.113549.2.5",
    "sha1": "1.3.14.3.2.26",
    "sha224": "2.16.840.1.101.3.4.2.4",
    "sha256": "2.16.840.1.101.3.4.2.1",
    "sha384": "2.16.840.1.101.3.4.2.2",
    "sha512": "2.16.840.1.101.3.4.2.3",
    "sha3_256": "2.16.840.1.101.3.4.2.8",
    "sha3_384": "2.16.840.1.101.3.4.2.9",
    "sha3_512": "2.16.840.1.101.3.4.2.10",
}
_SIGNED_DATA = "1.2.840.113549.1.7.2"
CERTIFICATES_MAX = 64
"""Certificates of one CMS whose signatures are looked at."""

_UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)

Node = tuple[int, bytes]
"""Tag and content of a DER value."""


def oddities(der: bytes, signed: SignedData) -> tuple[str, ...]:
    """Return which parts of the frame are not as RFC 5652 has them; BER with lengths left open is one oddity."""
    try:
        return tuple(dict.fromkeys(_oddities(der, signed)))
    except (ValueError, IndexError):
        return ("encoding",)


def _oddities(der: bytes, signed: SignedData) -> Iterator[str]:
    ((tag, content),) = _nodes(der)
    kind, wrapped = _nodes(content)
    ((_, body),) = _nodes(wrapped[1])
    if (tag, kind, wrapped[0]) != (0x30, (0x06, _oid(_SIGNED_DATA)), 0xA0):
        yield "ContentInfo"
    version, digests, encapsulated, *rest = _nodes(body)
    by_key = any(one.key_id is not None for one in signed.signers)
    if version != (0x02, b"\x03" if by_key or signed.content_type != "data" else b"\x01"):
        yield "version"
    if digests[0] != 0x31 or _algorithms(digests[1]) != {_oid(_DIGESTS[d]) for d in _names(signed)}:
        yield "digestAlgorithms"
    if len(_nodes(encapsulated[1])) != (1 if signed.content is None else 2):
        yield "encapContentInfo"
    if [tag for tag, _ in rest] not in ([0x31], [0xA0, 0x31], [0xA1, 0x31], [0xA0, 0xA1, 0x31]):
        yield "SignedData"
    for (_, signer), info in zip(_nodes(rest[-1][1]), signed.signers, strict=True):
        yield from _signer(signer, by_key=info.key_id is not None)


def _names(signed: SignedData) -> set[str]:
    return {one.digest for one in signed.signers if one.digest in _DIGESTS}


def _signer(content: bytes, *, by_key: bool) -> Iterator[str]:
    version, _, digest, *rest = _nodes(content)
    if version != (0x02, b"\x03" if by_key else b"\x01"):
        yield "SignerInfo version"
    tags = [tag for tag, _ in rest]
    if tags[:1] == [0xA0]:
        rest, tags = rest[1:], tags[1:]
    if tags not in ([0x30, 0x04], [0x30, 0x04, 0xA1]):
        yield "SignerInfo"
    for _, algorithm in (digest, rest[0]):
        parameters = _nodes(algorithm)[1:]
        if parameters and parameters[0] != (0x05, b"") and parameters[0][0] != 0x30:
            yield "algorithm parameters"


def _algorithms(content: bytes) -> set[bytes]:
    found = set()
    for tag, one in _nodes(content):
        parts = _nodes(one)
        if tag != 0x30 or parts[0][0] != 0x06 or parts[1:] not in ([], [(0x05, b"")]):
            raise ValueError("algorithm")
        found.add(parts[0][1])
    return found


def _oid(dotted: str) -> bytes:
    first, second, *rest = (int(arc) for arc in dotted.split("."))
    body = bytearray()
    for arc in (first * 40 + second, *rest):
        groups = [arc & 0x7F]
        while arc := arc >> 7:
            groups.append(0x80 | arc & 0x7F)
        body += bytes(reversed(groups))
    return bytes(body)


def _nodes(data: bytes) -> list[Node]:
    """Split DER values that follow one another; shortest lengths only."""
    nodes, at = [], 0
    while at < len(data):
        tag, length, begin = data[at], data[at + 1], at + 2
        if tag & 0x1F == 0x1F:
            raise ValueError("tag")
        if length >= 0x80:
            size = length & 0x7F
            length = int.from_bytes(data[begin : begin + size], "big")
            if not 1 <= size <= 4 or length < 0x80 or length >> (8 * (size - 1)) == 0:
                raise ValueError("length")
            begin += size
        if begin + length > len(data):
            raise ValueError("length")
        nodes.append((tag, data[begin : begin + length]))
        at = begin + length
    return nodes


def readable(der: bytes) -> bool:
    """Say whether a certificate can be read whole; the library reads its parts only when they are asked for."""
    try:
        one = x509.load_der_x509_certificate(der)
        names = one.subject.rfc4514_string() + one.issuer.rfc4514_string()
        dates = one.not_valid_before_utc <= one.not_valid_after_utc
        _, algorithm, _ = _nodes(_nodes(der)[0][1])  # stands inside and outside of what is signed (RFC 5280, 4.1.1.2)
        if algorithm[1] not in one.tbs_certificate_bytes:
            return False
        return bool(names) and dates and len(one.extensions) >= 0 and one.public_key() is not None
    except _UNREADABLE:
        return False


def damaged(certificates: Sequence[bytes]) -> bool:
    """Say whether a certificate is unreadable, unlike another of the same key and number, or not signed by its issuer.

    Algorithms that cannot be computed are passed over: they are for the policy to judge.
    """
    if not all(map(readable, certificates[:CERTIFICATES_MAX])):
        return True
    parsed = [x509.load_der_x509_certificate(der) for der in dict.fromkeys(certificates[:CERTIFICATES_MAX])]
    if len({(_key(one), one.serial_number) for one in parsed}) < len(parsed):
        return True
    return any(_is_issuer(issuer, one) and not _signed_by(one, issuer) for one in parsed for issuer in parsed)


def _key(one: x509.Certificate) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return one.public_key().public_bytes(serialization.Encoding.DER, form)


def strangers(certificates: Sequence[bytes], leaf: bytes | None) -> bool:
    """Say whether a certificate beside the signer's belongs to no path.

    It issued none of the others, or it names another issuer but not that issuer's key, as RFC 5280, 4.2.1.1 asks.
    """
    held = [der for der in certificates[:CERTIFICATES_MAX] if readable(der)]
    parsed = [x509.load_der_x509_certificate(der) for der in held]
    return any(
        der != leaf and not (_above(issuer, parsed) and (issuer.subject == issuer.issuer or _names_key(issuer)))
        for der, issuer in zip(held, parsed, strict=True)
    )


def _above(issuer: x509.Certificate, parsed: Sequence[x509.Certificate]) -> bool:
    return any(_is_issuer(issuer, one) for one in parsed if one != issuer)


def _names_key(one: x509.Certificate) -> bool:
    return any(isinstance(extension.value, x509.AuthorityKeyIdentifier) for extension in one.extensions)


def _is_issuer(issuer: x509.Certificate, one: x509.Certificate) -> bool:
    if issuer.subject != one.issuer:
        return False
    try:
        wanted = one.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
        held = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except x509.ExtensionNotFound:
        return True  # the name alone leads to it
    return wanted is None or wanted == held or issuer == one


def _signed_by(one: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        one.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError):
        return False
    except (TypeError, UnsupportedAlgorithm):
        return True  # not computable
    return True
