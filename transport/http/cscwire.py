"""The Cloud Signature Consortium API, versions 1 and 2, as documents: what is asked and what an answer may say.

Promises (signing.md 2): an answer is used only if it has the form the specification gives it; sizes and counts are
bounded; words of the service that could repeat a secret never go into an error. Pure: no network here.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from signer import certificates
from signer.algorithms import Scheme
from signer.credential import Secret

Document: TypeAlias = Mapping[str, object]

ANSWER_MOST = 1024 * 1024
VALUE_MOST = 16 * 1024
CERTIFICATES_MOST = 20
LISTED_MOST = 100
MULTISIGN_MOST = 10_000
SAD_MOST = 64 * 1024

DIGEST_OIDS = {
    "sha256": "2.16.840.1.101.3.4.2.1",
    "sha384": "2.16.840.1.101.3.4.2.2",
    "sha512": "2.16.840.1.101.3.4.2.3",
}
_RSA, _PSS, _EC = "1.2.840.113549.1.1.1", "1.2.840.113549.1.1.10", "1.2.840.10045.2.1"
_SIGN_OIDS = {
    Scheme.RSA_PKCS1_SHA256: "1.2.840.113549.1.1.11",
    Scheme.RSA_PKCS1_SHA384: "1.2.840.113549.1.1.12",
    Scheme.RSA_PKCS1_SHA512: "1.2.840.113549.1.1.13",
    Scheme.RSA_PSS_SHA256: _PSS,
    Scheme.RSA_PSS_SHA384: _PSS,
    Scheme.RSA_PSS_SHA512: _PSS,
    Scheme.ECDSA_SHA256: "1.2.840.10045.4.3.2",
    Scheme.ECDSA_SHA384: "1.2.840.10045.4.3.3",
    Scheme.ECDSA_SHA512: "1.2.840.10045.4.3.4",
}
_REFUSALS = frozenset(
    (
        *("invalid_request", "invalid_pin", "invalid_otp", "invalid_token", "invalid_client", "invalid_grant"),
        *("invalid_scope", "access_denied", "unauthorized_client", "unsupported_response_type", "expired_token"),
        *("server_error", "temporarily_unavailable", "authorization_pending"),
    )
)
"""Error words of the specification; any other is not repeated."""


class BadAnswer(ValueError):
    """An answer does not have the form it must have; the text says where."""


@dataclass(frozen=True, slots=True)
class Info:
    """What a service says of itself: version of the API (``v1``, ``v2``) and how its callers show who they are."""

    api: str
    auth_types: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Authorisation:
    """What a credential wants before it signs. ``bound``: the digests must be named (SCAL 2); ``most`` at once.

    ``pin`` and ``otp`` are the ids of what is to be entered: a person's own PIN, and a one-time password, ``online`` if
    the service sends it when it is asked to.
    """

    mode: str
    bound: bool
    most: int
    pin: str | None = None
    otp: str | None = None
    online: bool = False


@dataclass(frozen=True, slots=True)
class RemoteKey:
    """A credential at the service: its certificates (DER, leaf first), schemes and authorisation."""

    id: str
    certificates: tuple[bytes, ...]
    schemes: frozenset[Scheme]
    authorisation: Authorisation


# --- asking ----------------------------------------------------------------------------------------------------------


def body(document: Document) -> bytes:
    """Return a request as it is sent; only here a ``Secret`` becomes text."""
    return json.dumps(document, ensure_ascii=False, default=_revealed).encode()


def _revealed(value: object) -> str:
    if isinstance(value, Secret):
        return value.reveal().decode("utf-8", "replace")
    raise TypeError("only secrets are revealed")


def authorise(
    api: str, key: RemoteKey, *, digests: Sequence[bytes], scheme: Scheme, count: int, entered: Mapping[str, Secret]
) -> dict[str, object]:
    """Return the request ``credentials/authorize`` for ``count`` signatures, with the digests where they are bound."""
    asked: dict[str, object] = {"credentialID": key.id, "numSignatures": count}
    if key.authorisation.bound:
        asked["hash" if api == "v1" else "hashes"] = [_base64(digest) for digest in digests]
        if api != "v1":
            asked["hashAlgorithmOID"] = DIGEST_OIDS[scheme.digest]
    if api == "v1":
        return {**asked, **entered}
    return {**asked, "authData": [{"id": name, "value": value} for name, value in entered.items()]}


def sign(api: str, key: RemoteKey, *, digests: Sequence[bytes], scheme: Scheme, sad: Secret) -> dict[str, object]:
    """Return the request ``signatures/signHash``."""
    old = api == "v1"
    asked: dict[str, object] = {
        "credentialID": key.id,
        "SAD": sad,
        "hash" if old else "hashes": [_base64(digest) for digest in digests],
        "hashAlgo" if old else "hashAlgorithmOID": DIGEST_OIDS[scheme.digest],
        "signAlgo": _SIGN_OIDS[scheme],
    }
    if "-pss-" in scheme.value:
        asked["signAlgoParams"] = _base64(_pss_parameters(scheme))
    return asked if old else {**asked, "operationMode": "S"}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _pss_parameters(scheme: Scheme) -> bytes:
    """Return DER of RSASSA-PSS-params (RFC 4055): digest, MGF1 with it, salt as long as it."""
    digest = bytes.fromhex(
        "300d06096086480165030402" + {"sha256": "01", "sha384": "02", "sha512": "03"}[scheme.digest] + "0500"
    )
    mask = b"\x30" + bytes([11 + len(digest)]) + bytes.fromhex("06092a864886f70d010108") + digest
    salt = bytes([2, 1, {"sha256": 32, "sha384": 48, "sha512": 64}[scheme.digest]])
    parts = [b"\xa0" + bytes([len(digest)]) + digest, b"\xa1" + bytes([len(mask)]) + mask, b"\xa2\x03" + salt]
    whole = b"".join(parts)
    return b"\x30" + bytes([len(whole)]) + whole


# --- answers ---------------------------------------------------------------------------------------------------------


def read(data: bytes) -> Document:
    """Read an answer. Raises ``BadAnswer`` for what is not a JSON object."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        raise BadAnswer("JSON") from None
    if not isinstance(found, dict):
        raise BadAnswer("JSON")
    return found


def refusal(data: bytes) -> str:
    """Return the error word of a refusal if the specification knows it, else ``-``: the rest is a stranger's text."""
    try:
        word = read(data).get("error")
    except BadAnswer:
        return "-"
    return word if isinstance(word, str) and word in _REFUSALS else "-"


def info(answer: Document, *, api: str | None) -> Info:
    """Read ``info``; ``api`` overrides what the service says of its version."""
    specs = answer.get("specs")
    if not isinstance(specs, str) or not re.fullmatch(r"[0-9]{1,3}(?:\.[0-9]{1,5}){1,4}", specs, re.ASCII):
        raise BadAnswer("specs")
    types = answer.get("authType")
    if not isinstance(types, list) or not all(isinstance(one, str) for one in types):
        raise BadAnswer("authType")
    return Info(api or ("v1" if specs.startswith(("0.", "1.")) else "v2"), tuple(types[:20]))


def listed(answer: Document) -> tuple[str, ...]:
    """Read ``credentials/list``."""
    found = answer.get("credentialIDs")
    if not isinstance(found, list) or len(found) > LISTED_MOST:
        raise BadAnswer("credentialIDs")
    return tuple(_id(one) for one in found)


def _id(value: object) -> str:
    if not isinstance(value, str) or not value or len(value) > 255 or not value.isprintable():
        raise BadAnswer("credentialID")
    return value


def credential(answer: Document, id: str, *, api: str) -> RemoteKey:
    """Read ``credentials/info`` with its chain."""
    cert, key = _part(answer, "cert"), _part(answer, "key")
    if key.get("status") != "enabled":
        raise BadAnswer("key.status")
    chain = cert.get("certificates")  # what the service says of their status decides nothing: they are judged here
    if not isinstance(chain, list) or not 0 < len(chain) <= CERTIFICATES_MOST:
        raise BadAnswer("cert.certificates")
    return RemoteKey(
        id,
        tuple(_certificate(one) for one in chain),
        _schemes(key.get("algo")),
        _authorisation_v1(answer) if api == "v1" else _authorisation_v2(answer),
    )


def _part(answer: Document, name: str) -> Document:
    found = answer.get(name)
    if not isinstance(found, dict):
        raise BadAnswer(name)
    return found


def _certificate(value: object) -> bytes:
    der = _binary(value, "cert.certificates", most=64 * 1024)
    try:
        certificates.certificate(der)
    except ValueError:
        raise BadAnswer("cert.certificates") from None
    return der


def _binary(value: object, where: str, *, most: int) -> bytes:
    if not isinstance(value, str) or not value or len(value) > most * 4 // 3 + 4:
        raise BadAnswer(where)
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise BadAnswer(where) from None


def _schemes(value: object) -> frozenset[Scheme]:
    if not isinstance(value, list) or not value or not all(isinstance(one, str) for one in value):
        raise BadAnswer("key.algo")
    return frozenset(scheme for scheme in _SIGN_OIDS if _serves(scheme, value))


def _serves(scheme: Scheme, offered: Collection[str]) -> bool:
    family = {"rsa-pkcs1": _RSA, "ecdsa": _EC}.get(scheme.value.rpartition("-")[0])
    return _SIGN_OIDS[scheme] in offered or family in offered


def _authorisation_v1(answer: Document) -> Authorisation:
    mode, pin, otp = answer.get("authMode"), answer.get("PIN"), answer.get("OTP")
    wants_otp = _wanted(otp)
    return Authorisation(
        _mode(mode),
        answer.get("SCAL") == "2",
        _multisign(answer),
        "PIN" if _wanted(pin) else None,
        "OTP" if wants_otp else None,
        wants_otp and isinstance(otp, dict) and otp.get("type") == "online",
    )


def _wanted(value: object) -> bool:
    return isinstance(value, dict) and str(value.get("presence")).lower() == "true"


def _authorisation_v2(answer: Document) -> Authorisation:
    auth = _part(answer, "auth")
    objects = auth.get("objects") or []
    if not isinstance(objects, list) or not all(isinstance(one, dict) for one in objects) or len(objects) > 2:
        raise BadAnswer("auth.objects")
    pins = [_id(one.get("id")) for one in objects if one.get("type") == "Password"]
    others = [one for one in objects if one.get("type") != "Password"]
    if len(pins) > 1 or len(others) > 1:
        raise BadAnswer("auth.objects")
    return Authorisation(
        _mode(auth.get("mode")),
        answer.get("SCAL") == "2",
        _multisign(answer),
        pins[0] if pins else None,
        _id(others[0].get("id")) if others else None,
        bool(others) and others[0].get("generator") not in ("totp", "hotp"),
    )


def _mode(value: object) -> str:
    if value not in ("implicit", "explicit", "oauth2code", "oauth2token"):
        raise BadAnswer("authMode")
    return str(value)


def _multisign(answer: Document) -> int:
    value = answer.get("multisign", 1)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise BadAnswer("multisign")
    return min(value, MULTISIGN_MOST)


def sad(answer: Document) -> tuple[Secret, float]:
    """Read ``credentials/authorize``: the activation data, and for how many seconds it holds."""
    value, lasts = answer.get("SAD"), answer.get("expiresIn", 3600)
    if not isinstance(value, str) or not value or len(value) > SAD_MOST:
        raise BadAnswer("SAD")
    if isinstance(lasts, bool) or not isinstance(lasts, int) or not 0 < lasts <= 7 * 86400:
        raise BadAnswer("expiresIn")
    return Secret(value.encode()), float(lasts)


def values(answer: Document, scheme: Scheme, *, count: int) -> list[bytes]:
    """Read ``signatures/signHash``: as many values as digests were sent; ECDSA in DER. The key judges them later."""
    found = answer.get("signatures")
    if not isinstance(found, list) or len(found) != count:
        raise BadAnswer("signatures")
    made = [_binary(one, "signatures", most=VALUE_MOST) for one in found]
    return [_der(one) for one in made] if scheme.value.startswith("ecdsa-") else made


def _der(value: bytes) -> bytes:
    """Return an ECDSA value in DER; some services give r and s side by side."""
    try:
        decode_dss_signature(value)
    except ValueError:
        half = len(value) // 2
        return encode_dss_signature(int.from_bytes(value[:half], "big"), int.from_bytes(value[half:], "big"))
    return value
