"""Sign any file detached: a ``.p7s`` beside it (signing.md 6, S2; 3.1; EN 319 122-1, 5.2; RFC 5652).

Signed attributes are content-type, message-digest, signing-time and signing-certificate-v2, in DER and nothing else;
the one unsigned attribute is the time stamp over the value. Certificates are the leaf and its path. An agency's key
needs its precondition on exactly the bytes about to be signed (R28).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime

from signer import der
from signer.algorithms import Scheme, scheme_for
from signer.cades.content import Octets
from signer.cmsnames import DATA, SIGNED_DATA
from signer.credential import Credential, Role
from signer.errors import LevelNotReached, SigningRefused
from signer.precondition import Precondition, ask
from signer.timestamp import Timestamper, obtain
from signer.trust import Context
from signer.x509read import read

_CONTENT_TYPE, _DIGEST, _TIME = "1.2.840.113549.1.9.3", "1.2.840.113549.1.9.4", "1.2.840.113549.1.9.5"
_CERTIFICATE, _TOKEN = "1.2.840.113549.1.9.16.2.47", "1.2.840.113549.1.9.16.2.14"
_HASHES = {
    "sha256": "2.16.840.1.101.3.4.2.1",
    "sha384": "2.16.840.1.101.3.4.2.2",
    "sha512": "2.16.840.1.101.3.4.2.3",
}
_RSA, _ECDSA = "1.2.840.113549.1.1.", "1.2.840.10045.4.3."
_NUMBERS = {"sha256": ("11", "2"), "sha384": ("12", "3"), "sha512": ("13", "4")}
_PSS, _MGF1 = "1.2.840.113549.1.1.10", "1.2.840.113549.1.1.8"
_NULL = b"\x05\x00"
_FIRST_LONG_YEAR = 2050


def sign_cades(
    data: bytes,
    *,
    credential: Credential,
    at: datetime,
    level: str = "b",
    timestamper: Timestamper | None = None,
    profile: str = "interop",
    precondition: Precondition | None = None,
    context: Context | None = None,
) -> bytes:
    """Return a detached signature over ``data`` (ContentInfo, DER); ``level`` is ``b`` or ``t``.

    ``context`` is what the precondition's report is judged with; an ``agency`` credential needs both.

    Raises:
        TypeError: an agency's credential without precondition and context.
        ValueError: ``at`` has no offset, or another level is asked for.
        SigningRefused: an exchange key, which signs no documents (R29), a key that no scheme serves, or the
            precondition does not hold.
        LevelNotReached: level ``t`` without a time-stamping authority.
        CredentialError: the key cannot be used.
        TimestampError: no usable time stamp.
    """
    if level not in {"b", "t"} or at.tzinfo is None:
        raise ValueError("the level is b or t, and the moment has an offset")
    if level == "t" and timestamper is None:
        raise LevelNotReached("EDOC-SIG-003", "level t needs a time-stamping authority", level="CAdES-B-T")
    if credential.role in {Role.EXCHANGE, Role.REQUEST, Role.TLS}:
        raise SigningRefused("EDOC-SIG-004", "this key signs no documents", role=credential.role.value)
    from signer.inspect import inspect_file

    ask(credential, precondition, context, lambda context: inspect_file(data, context=context))
    try:
        scheme = scheme_for(credential.key_type, bits=credential.bits, profile=profile)
    except ValueError:
        raise SigningRefused("EDOC-SIG-005", "no signature scheme fits the key", key=credential.key_type) from None
    digest = Octets(data).digest(scheme.digest)
    assert digest is not None  # the schemes use digests that are known
    attributes = _attributes(credential.certificate, digest, at)
    value = credential.sign(hashlib.new(scheme.digest, attributes).digest(), scheme)
    token = obtain(timestamper, hashlib.sha256(value).digest()) if level == "t" and timestamper is not None else None
    return _signed_data(credential, attributes, value, scheme, token=token)


def _set(parts: Iterable[bytes], tag: int = der.SET) -> bytes:
    return der.encode(tag, *sorted(parts))


def _attribute(kind: str, value: bytes) -> bytes:
    return der.encode(der.SEQUENCE, der.encode_identifier(kind), der.encode(der.SET, value))


def _attributes(certificate: bytes, digest: bytes, at: datetime) -> bytes:
    """Return the SET that is hashed and signed."""
    identity = der.encode(der.OCTETS, hashlib.sha256(certificate).digest())  # SHA-256 is the default (RFC 5035)
    listed = der.encode(der.SEQUENCE, der.encode(der.SEQUENCE, identity))
    return _set(
        (
            _attribute(_CONTENT_TYPE, der.encode_identifier(DATA)),
            _attribute(_DIGEST, der.encode(der.OCTETS, digest)),
            _attribute(_TIME, _time(at)),
            _attribute(_CERTIFICATE, der.encode(der.SEQUENCE, listed)),
        )
    )


def _time(at: datetime) -> bytes:
    """Return the moment in UTC: in short form up to 2049 (RFC 5652, 11.3)."""
    moment = at.astimezone(UTC)
    if 1950 <= moment.year < _FIRST_LONG_YEAR:
        return der.encode(der.UTC_TIME, moment.strftime("%y%m%d%H%M%SZ").encode("ascii"))
    return der.encode(der.GENERALIZED_TIME, moment.strftime("%Y%m%d%H%M%SZ").encode("ascii"))


def _digest_algorithm(name: str) -> bytes:
    return der.encode(der.SEQUENCE, der.encode_identifier(_HASHES[name]))  # without parameters (RFC 5754, 2)


def _signature_algorithm(scheme: Scheme) -> bytes:
    rsa, ecdsa = _NUMBERS[scheme.digest]
    if scheme.family == "ECDSA":
        return der.encode(der.SEQUENCE, der.encode_identifier(_ECDSA + ecdsa))
    if scheme.family == "RSASSA-PKCS1-v1_5":
        return der.encode(der.SEQUENCE, der.encode_identifier(_RSA + rsa), _NULL)
    hashed = _digest_algorithm(scheme.digest)
    mask = der.encode(der.SEQUENCE, der.encode_identifier(_MGF1), hashed)
    salt = der.encode_integer(hashlib.new(scheme.digest).digest_size)
    fields = (der.encode(0xA0, hashed), der.encode(0xA1, mask), der.encode(0xA2, salt))
    return der.encode(der.SEQUENCE, der.encode_identifier(_PSS), der.encode(der.SEQUENCE, *fields))


def _signed_data(
    credential: Credential, attributes: bytes, value: bytes, scheme: Scheme, *, token: bytes | None
) -> bytes:
    certificate = read(credential.certificate)
    number = der.encode(der.INTEGER, certificate.serial)
    unsigned = b"" if token is None else der.encode(0xA1, _attribute(_TOKEN, token))
    signer = der.encode(
        der.SEQUENCE,
        der.encode_integer(1),
        der.encode(der.SEQUENCE, certificate.issuer.encoded, number),
        _digest_algorithm(scheme.digest),
        b"\xa0" + attributes[1:],
        _signature_algorithm(scheme),
        der.encode(der.OCTETS, value),
        unsigned,
    )
    held = dict.fromkeys((credential.certificate, *(one for one in credential.chain if not _is_root(one))))
    body = der.encode(
        der.SEQUENCE,
        der.encode_integer(1),
        der.encode(der.SET, _digest_algorithm(scheme.digest)),
        der.encode(der.SEQUENCE, der.encode_identifier(DATA)),
        _set(held, 0xA0),
        der.encode(der.SET, signer),
    )
    return der.encode(der.SEQUENCE, der.encode_identifier(SIGNED_DATA), der.encode(0xA0, body))


def _is_root(certificate: bytes) -> bool:
    return read(certificate).is_self_issued
