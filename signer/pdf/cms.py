"""The CMS of a PAdES signature, written out in DER (RFC 5652; EN 319 122-1; EN 319 142-1, 6.3; signing.md 3.1).

A detached SignedData with one signer. Signed attributes are content-type, message-digest, signing-certificate-v2 and
nothing else, but for commitment-type on demand; a time stamp is the one unsigned attribute. Certificates are the leaf
and its path, the root too if all stay within 8 KB (R31). All but the digest and the value is the same for every file a
credential signs: it is encoded once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from cryptography import x509

from signer.algorithms import Scheme
from signer.asn1 import issuer_name
from signer.credential import Credential

CERTIFICATES_MAX = 8 * 1024
"""Bytes of certificates up to which the root is put in as well."""

COMMITMENTS = {"origin": "1", "receipt": "2", "delivery": "3", "sender": "4", "approval": "5", "creation": "6"}
"""What a signer may commit to, by name, and the last arc of its identifier (EN 319 122-1, 5.2.3)."""

_DIGEST_OIDS = {
    "sha256": "2.16.840.1.101.3.4.2.1",
    "sha384": "2.16.840.1.101.3.4.2.2",
    "sha512": "2.16.840.1.101.3.4.2.3",
}
_RSA_OIDS = {"sha256": "1.2.840.113549.1.1.11", "sha384": "1.2.840.113549.1.1.12", "sha512": "1.2.840.113549.1.1.13"}
_ECDSA_OIDS = {"sha256": "1.2.840.10045.4.3.2", "sha384": "1.2.840.10045.4.3.3", "sha512": "1.2.840.10045.4.3.4"}
_PSS_SALT = {"sha256": 32, "sha384": 48, "sha512": 64}
_DATA, _SIGNED_DATA = "1.2.840.113549.1.7.1", "1.2.840.113549.1.7.2"
_CONTENT_TYPE, _MESSAGE_DIGEST = "1.2.840.113549.1.9.3", "1.2.840.113549.1.9.4"
_SIGNING_CERTIFICATE_V2, _TIME_STAMP_TOKEN = "1.2.840.113549.1.9.16.2.47", "1.2.840.113549.1.9.16.2.14"
_COMMITMENT_TYPE, _COMMITMENT = "1.2.840.113549.1.9.16.2.16", "1.2.840.113549.1.9.16.6."
_PSS, _MGF1 = "1.2.840.113549.1.1.10", "1.2.840.113549.1.1.8"
_NULL = b"\x05\x00"


def _tlv(tag: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    if len(body) < 0x80:
        return bytes((tag, len(body))) + body
    length = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + body


def _sequence(*parts: bytes) -> bytes:
    return _tlv(0x30, *parts)


def _set(parts: Iterable[bytes], tag: int = 0x31) -> bytes:
    return _tlv(tag, *sorted(parts))


@lru_cache(maxsize=64)
def _oid(dotted: str) -> bytes:
    first, second, *rest = (int(arc) for arc in dotted.split("."))
    body = bytearray()
    for arc in (first * 40 + second, *rest):
        groups = [arc & 0x7F]
        while arc := arc >> 7:
            groups.append(0x80 | arc & 0x7F)
        body += bytes(reversed(groups))
    return _tlv(0x06, bytes(body))


def _integer(value: int) -> bytes:
    return _tlv(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def _octets(value: bytes) -> bytes:
    return _tlv(0x04, value)


def _attribute(kind: str, value: bytes) -> bytes:
    return _sequence(_oid(kind), _tlv(0x31, value))


def _digest_algorithm(name: str) -> bytes:
    return _sequence(_oid(_DIGEST_OIDS[name]))  # without parameters (RFC 5754, 2)


def _signature_algorithm(scheme: Scheme) -> bytes:
    digest = scheme.digest
    if scheme.family == "ECDSA":
        return _sequence(_oid(_ECDSA_OIDS[digest]))
    if scheme.family == "RSASSA-PKCS1-v1_5":
        return _sequence(_oid(_RSA_OIDS[digest]), _NULL)
    assert scheme.family == "RSASSA-PSS"
    hash_ = _digest_algorithm(digest)
    parameters = _sequence(
        _tlv(0xA0, hash_), _tlv(0xA1, _sequence(_oid(_MGF1), hash_)), _tlv(0xA2, _integer(_PSS_SALT[digest]))
    )
    return _sequence(_oid(_PSS), parameters)


@dataclass(frozen=True, slots=True)
class Template:
    """Everything of a CMS that is the same for every file a credential signs: encoded once, put together anew."""

    _attributes: tuple[bytes, bytes]  # before and behind the digest
    _signer: tuple[bytes, bytes]  # before the attributes; between attributes and value
    _body: bytes  # version, digest algorithm, content type, certificates
    _value_size: int

    def attributes(self, digest: bytes) -> bytes:
        """Return the SET of signed attributes over a digest made with the scheme's function: what is hashed, signed."""
        return b"%b%b%b" % (self._attributes[0], digest, self._attributes[1])

    def signed_data(self, attributes: bytes, value: bytes, token: bytes | None = None) -> bytes:
        """Return the ContentInfo; ``token`` is the time stamp over ``value``, if there is one."""
        unsigned = b"" if token is None else _tlv(0xA1, _attribute(_TIME_STAMP_TOKEN, token))
        signer = _sequence(self._signer[0], b"\xa0", attributes[1:], self._signer[1], _octets(value), unsigned)
        return _sequence(_oid(_SIGNED_DATA), _tlv(0xA0, _sequence(self._body, _tlv(0x31, signer))))

    @property
    def size(self) -> int:
        """Octets of the largest CMS without time stamp."""
        return _size(self)


@lru_cache(maxsize=64)
def _size(form: Template) -> int:
    attributes = form.attributes(bytes(form._attributes[0][-1]))  # the length of the digest is the octet before it
    return len(form.signed_data(attributes, bytes(form._value_size)))


def template(credential: Credential, scheme: Scheme, *, commitment: str | None = None) -> Template:
    """Return the template for a credential and scheme; ``commitment`` is a name of ``COMMITMENTS``."""
    size = value_size(credential, scheme)
    return _template(credential.certificate, credential.chain, scheme, size, commitment)


@lru_cache(maxsize=64)
def _template(
    leaf: bytes, chain: tuple[bytes, ...], scheme: Scheme, value_size: int, commitment: str | None
) -> Template:
    digest = bytes(hashlib.new(scheme.digest).digest_size)
    mark = _octets(digest)
    attributes = _attributes(leaf, digest, commitment)
    at = attributes.index(mark) + len(mark) - len(digest)
    identifier = _sequence(issuer_name(leaf), _integer(_serial(leaf)))
    algorithm = _digest_algorithm(scheme.digest)
    return Template(
        (attributes[:at], attributes[at + len(digest) :]),
        (_integer(1) + identifier + algorithm, _signature_algorithm(scheme)),
        _integer(1) + _tlv(0x31, algorithm) + _sequence(_oid(_DATA)) + _set(certificates(leaf, chain), 0xA0),
        value_size,
    )


def _serial(leaf: bytes) -> int:
    return x509.load_der_x509_certificate(leaf).serial_number


def _attributes(leaf: bytes, digest: bytes, commitment: str | None) -> bytes:
    identity = _sequence(_octets(hashlib.sha256(leaf).digest()))  # SHA-256 is the default (RFC 5035)
    attributes = [
        _attribute(_CONTENT_TYPE, _oid(_DATA)),
        _attribute(_MESSAGE_DIGEST, _octets(digest)),
        _attribute(_SIGNING_CERTIFICATE_V2, _sequence(_sequence(identity))),
    ]
    if commitment is not None:
        attributes.append(_attribute(_COMMITMENT_TYPE, _sequence(_oid(_COMMITMENT + COMMITMENTS[commitment]))))
    return _set(attributes)


def signed_attributes(credential: Credential, *, digest: bytes, scheme: Scheme) -> bytes:
    """Return the SET of signed attributes over a digest made with ``scheme.digest``: what is hashed and signed."""
    return template(credential, scheme).attributes(digest)


def signed_data(
    credential: Credential, *, attributes: bytes, value: bytes, scheme: Scheme, token: bytes | None = None
) -> bytes:
    """Return the ContentInfo; ``token`` is the time stamp over ``value``, if there is one."""
    return template(credential, scheme).signed_data(attributes, value, token)


def certificates(leaf: bytes, chain: Sequence[bytes]) -> tuple[bytes, ...]:
    """Return the certificates to put in: leaf and path, self-issued ones only while all stay within 8 KB (R31)."""
    chosen = tuple(dict.fromkeys((leaf, *chain)))
    if sum(map(len, chosen)) <= CERTIFICATES_MAX:
        return chosen
    return tuple(der for der in chosen if der == leaf or not _self_issued(der))


def _self_issued(der: bytes) -> bool:
    certificate = x509.load_der_x509_certificate(der)
    return certificate.subject == certificate.issuer


def value_size(credential: Credential, scheme: Scheme) -> int:
    """Return the largest size of a signature value."""
    if scheme.family == "ECDSA":
        part = (credential.bits + 7) // 8 + 1
        return 2 * (part + 2) + 4
    return (credential.bits + 7) // 8
