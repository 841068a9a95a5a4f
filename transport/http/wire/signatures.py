"""Request signatures between nodes (exchange.md 4, RFC 9421): label ``edoc``, one tag, the components named there.

Promises: a request verifies only if all components named there are covered, with ``created``, ``expires`` (at
most 300 s later), ``nonce``, ``keyid``, ``alg`` and ``tag``, by the algorithm registered for that key, at the moment
given as an argument. ``http-message-signatures`` does the signature base and the mathematics; its clock, its skew of
5 s and its age of one day are replaced (60 s, 300 s).
"""

from __future__ import annotations

import base64
import secrets
from collections import OrderedDict
from collections.abc import Iterable, Iterator, MutableMapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import http_sf
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
    load_pem_private_key,
)
from http_message_signatures import (
    HTTPMessageSignaturesException,
    HTTPMessageSigner,
    HTTPMessageVerifier,
    InvalidSignature,
    MappingKeyResolver,
    algorithms,
)

from transport.errors import Problem
from transport.http.wire.fields import header

LABEL = "edoc"
REQUEST_TAG = "edoc-exchange-v1"
METADATA_TAG = "edoc-metadata-v1"
LIFETIME = timedelta(seconds=300)
SKEW = timedelta(seconds=60)
NONCE_BYTES = 16

WITHOUT_BODY = ("@method", "@authority", "@path", "@query")
WITH_BODY = (*WITHOUT_BODY, "content-type", "content-length", "content-digest")
OF_METADATA = ("@status", "content-type", "content-digest", '"@authority";req')
ACCEPT_SIGNATURE = (
    'edoc=("@method" "@authority" "@path" "@query" "content-type" "content-length" "content-digest")'
    f';created;expires;nonce;keyid;alg;tag="{REQUEST_TAG}"'
)
_PARAMETERS = frozenset({"created", "expires", "nonce", "keyid", "alg", "tag"})

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey
PublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey

# Never HMAC (a shared secret proves nobody) nor PKCS#1 v1.5 (exchange.md 4).
ALGORITHMS: dict[str, type[algorithms.HTTPSignatureAlgorithm]] = {
    "ecdsa-p256-sha256": algorithms.ECDSA_P256_SHA256,
    "ecdsa-p384-sha384": algorithms.ECDSA_P384_SHA384,
    "ed25519": algorithms.ED25519,
    "rsa-pss-sha512": algorithms.RSA_PSS_SHA512,
}


@dataclass(frozen=True, slots=True)
class RequestView:
    """What a signature covers of a request: method, absolute URL with the path as in the request line, fields."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ResponseView:
    """What a signature covers of an answer, with the request it answers."""

    status_code: int
    headers: tuple[tuple[str, str], ...]
    request: RequestView


@dataclass(frozen=True, slots=True)
class Caller:
    """Who stands behind a key id: its main agency, all its agencies, the registered key (SPKI, DER), the algorithm.

    Of a caller known by its client certificate alone ``alg`` is ``tls``. ``auth`` is how its node must authenticate.
    """

    code: str
    agencies: tuple[str, ...]
    public_key: bytes
    alg: str
    auth: str = "signature"


@dataclass(frozen=True, slots=True)
class Proof:
    """What a verified request signature stated."""

    keyid: str
    nonce: str
    expires: datetime


@dataclass(frozen=True, slots=True)
class RequestKey:
    """The node's request key. It is never printed: its text shows the public key id."""

    private: PrivateKey = field(repr=False)
    alg: str
    keyid: str

    @classmethod
    def of(cls, private: PrivateKey) -> RequestKey:
        """Return the key with the algorithm and id that belong to it. Raises ``ValueError`` for an unsuitable key."""
        spki = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return cls(private, alg_of(spki), key_id(spki))

    @classmethod
    def from_pem(cls, data: bytes, passphrase: bytes | None = None) -> RequestKey:
        """Read a PKCS#8 PEM file. Raises ``ValueError`` for anything that is no suitable private key."""
        try:
            private = load_pem_private_key(data, passphrase)
        except (TypeError, UnsupportedAlgorithm) as error:
            raise ValueError("not a readable private key") from error
        if not isinstance(private, ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey):
            raise ValueError("this kind of key signs no requests")
        return cls.of(private)

    def __reduce__(self) -> str:
        raise TypeError("a request key cannot be pickled")


def key_id(spki: bytes) -> str:
    """Return ``keyid``: base64url, without padding, of the SHA-256 of the public key (SPKI, DER)."""
    return base64.urlsafe_b64encode(sha256(spki).digest()).rstrip(b"=").decode("ascii")


def alg_of(spki: bytes) -> str:
    """Return the one algorithm used with a public key. Raises ``ValueError`` if it may not sign requests."""
    key = _public_key(spki)
    if isinstance(key, ec.EllipticCurvePublicKey):
        by_curve = {"secp256r1": "ecdsa-p256-sha256", "secp384r1": "ecdsa-p384-sha384"}
        if key.curve.name not in by_curve:
            raise ValueError("curve of the request key is not P-256 or P-384")
        return by_curve[key.curve.name]
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size < 2048:
            raise ValueError("RSA request keys need 2048 bits")
        return "rsa-pss-sha512"
    return "ed25519"


def sign_request(view: RequestView, *, key: RequestKey, created: datetime) -> dict[str, str]:
    """Return the fields ``Signature-Input`` and ``Signature`` for a request.

    With a body its ``Content-Type``, ``Content-Length`` and ``Content-Digest`` must be in the view already. Raises
    ``ValueError`` when the view cannot be signed.
    """
    message = _Message(view.method, view.url, _Fields(view.headers))
    covered = WITH_BODY if has_body(view.headers) else WITHOUT_BODY
    return _sign(message, key=key, created=created, covered=covered, tag=REQUEST_TAG)


def sign_response(view: ResponseView, *, key: RequestKey, created: datetime) -> dict[str, str]:
    """Return the signature fields of the metadata answer (exchange.md 8)."""
    request = _Message(view.request.method, view.request.url, _Fields(view.request.headers))
    message = _Answer(view.status_code, _Fields(view.headers), request)
    return _sign(message, key=key, created=created, covered=OF_METADATA, tag=METADATA_TAG)


def key_id_of(headers: Iterable[tuple[str, str]]) -> str | None:
    """Return the ``keyid`` a request claims, before any key is known; ``None`` if there is none to read."""
    value = header(headers, "signature-input")
    if value is None or len(value) > 4096:
        return None
    try:
        members = http_sf.parse(value.encode("ascii"), tltype="dictionary")
    except (ValueError, UnicodeEncodeError):
        return None
    member = members.get(LABEL) if isinstance(members, dict) else None
    found = member[1].get("keyid") if isinstance(member, tuple) and isinstance(member[1], dict) else None
    return found if isinstance(found, str) and len(found) <= 64 else None


def verify_request(view: RequestView, *, public_key: bytes, alg: str, now: datetime) -> Proof:
    """Check a request's signature with the registered key (SPKI, DER) and algorithm at ``now``.

    Raises ``Problem`` ``unauthenticated`` (401, no detail), or ``clock-disagreement`` (503) for a good signature made
    more than 60 s in the future.
    """
    covered = WITH_BODY if has_body(view.headers) else WITHOUT_BODY
    message = _Message(view.method, view.url, _Fields(view.headers))
    return _verify(message, public_key=public_key, alg=alg, now=now, want=(covered, REQUEST_TAG))


def verify_response(view: ResponseView, *, public_key: bytes, alg: str, now: datetime) -> Proof:
    """Check the metadata answer's signature; raises as :func:`verify_request` does."""
    request = _Message(view.request.method, view.request.url, _Fields(view.request.headers))
    message = _Answer(view.status_code, _Fields(view.headers), request)
    return _verify(message, public_key=public_key, alg=alg, now=now, want=(OF_METADATA, METADATA_TAG))


def has_body(headers: Iterable[tuple[str, str]]) -> bool:
    """Tell whether the fields announce a body: a length above 0, or a digest."""
    fields = tuple(headers)
    return header(fields, "content-digest") is not None or header(fields, "content-length") not in (None, "0")


class NonceMemory:
    """Remembers signatures of the last minutes, bounded: a second fence, not the guarantee (exchange.md 4)."""

    def __init__(self, most: int = 100_000) -> None:
        self._most = most
        self._seen: OrderedDict[tuple[str, str], datetime] = OrderedDict()

    def __len__(self) -> int:
        return len(self._seen)

    def first(self, proof: Proof, *, now: datetime) -> bool:
        """Remember a signature; ``False`` if it was remembered already."""
        while self._seen and (len(self._seen) >= self._most or next(iter(self._seen.values())) + SKEW < now):
            self._seen.popitem(last=False)
        mark = (proof.keyid, proof.nonce)
        if mark in self._seen:
            return False
        self._seen[mark] = proof.expires
        return True


# --- inside ----------------------------------------------------------------------------------------------------------


class _Fields(MutableMapping[str, str]):
    """Field lines as the library wants them: ``items()`` keeps repeated lines, writing replaces."""

    def __init__(self, lines: Iterable[tuple[str, str]]) -> None:
        self._lines = list(lines)

    def items(self) -> list[tuple[str, str]]:  # type: ignore[override]  # repeated names are the point
        return list(self._lines)

    def __getitem__(self, name: str) -> str:
        for key, value in self._lines:
            if key.lower() == name.lower():
                return value
        raise KeyError(name)

    def __setitem__(self, name: str, value: str) -> None:
        self._lines = [line for line in self._lines if line[0].lower() != name.lower()]
        self._lines.append((name, value))

    def __delitem__(self, name: str) -> None:
        self._lines = [line for line in self._lines if line[0].lower() != name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name for name, _ in self._lines))

    def __len__(self) -> int:
        return len(self._lines)


@dataclass(slots=True)
class _Message:
    method: str
    url: str
    headers: _Fields


@dataclass(slots=True)
class _Answer:
    status_code: int
    headers: _Fields
    request: _Message


class _Verifier(HTTPMessageVerifier):
    """The library's verifier with our moment and our limits in place of its clock and defaults."""

    def __init__(self, *, algorithm: type[algorithms.HTTPSignatureAlgorithm], keys: MappingKeyResolver) -> None:
        super().__init__(signature_algorithm=algorithm, key_resolver=keys)

    def validate_created_and_expires(self, sig_input: object, max_age: timedelta | None = None) -> None:
        """Do nothing: :func:`_check_times` judges the verified parameters at the moment given to us."""


def _sign(
    message: _Message | _Answer, *, key: RequestKey, created: datetime, covered: tuple[str, ...], tag: str
) -> dict[str, str]:
    if created.tzinfo is None:
        raise ValueError("created must be aware")
    keys = MappingKeyResolver(public_keys={}, private_keys={key.keyid: key.private})
    signer = HTTPMessageSigner(signature_algorithm=ALGORITHMS[key.alg], key_resolver=keys)
    try:
        signer.sign(
            message,
            key_id=key.keyid,
            created=created,
            expires=created + LIFETIME,
            nonce=secrets.token_urlsafe(NONCE_BYTES),
            label=LABEL,
            tag=tag,
            covered_component_ids=covered,
            use_existing_digest="content-digest" in covered,  # else a preset digest is refused
        )
    except HTTPMessageSignaturesException as error:
        raise ValueError("the message cannot be signed") from error
    return {name: message.headers[name] for name in ("Signature-Input", "Signature")}


def _verify(
    message: _Message | _Answer, *, public_key: bytes, alg: str, now: datetime, want: tuple[tuple[str, ...], str]
) -> Proof:
    if now.tzinfo is None:
        raise ValueError("now must be aware")
    covered, tag = want
    keyid = key_id(public_key)
    if alg not in ALGORITHMS:
        raise _unauthenticated("the registered algorithm is not one of ours")
    try:
        keys = MappingKeyResolver(public_keys={keyid: _public_key(public_key)}, private_keys={})
        verifier = _Verifier(algorithm=ALGORITHMS[alg], keys=keys)
        results = verifier.verify(message, expect_tag=tag, expect_label=LABEL)
    except (InvalidSignature, HTTPMessageSignaturesException, ValueError) as error:
        raise _unauthenticated("the signature does not verify") from error
    if len(results) != 1:
        raise _unauthenticated("not exactly one signature")
    found = [name for name in results[0].covered_components if name != '"@signature-params"']
    wanted = [name if name.startswith('"') else f'"{name}"' for name in covered]
    if not set(wanted) <= set(found) or len(set(found)) != len(found) or set(results[0].parameters) != _PARAMETERS:
        raise _unauthenticated("not the components or parameters")
    return _check_times(results[0].parameters, now=now)


def _check_times(parameters: dict[str, int | str], *, now: datetime) -> Proof:
    created, expires, nonce = parameters["created"], parameters["expires"], parameters["nonce"]
    if not isinstance(created, int) or not isinstance(expires, int) or not isinstance(nonce, str):
        raise _unauthenticated("a parameter has the wrong type")
    if not 0 < expires - created <= LIFETIME.total_seconds():
        raise _unauthenticated("expires is not within 300 s of created")
    if not 22 <= len(nonce) <= 128:  # 128 bits take 22 characters of base64
        raise _unauthenticated("nonce is too short or too long")
    moment = now.timestamp()
    if expires < moment - SKEW.total_seconds():
        raise _unauthenticated("the signature has expired")
    if created > moment + SKEW.total_seconds():
        raise Problem("clock-disagreement", 503, "the request was signed in the future", retry_after=300)
    return Proof(str(parameters["keyid"]), nonce, datetime.fromtimestamp(expires, UTC))


def _public_key(spki: bytes) -> PublicKey:
    try:
        key = load_der_public_key(spki)
    except UnsupportedAlgorithm as error:
        raise ValueError("not a readable public key") from error
    if not isinstance(key, ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey):
        raise ValueError("this kind of key signs no requests")
    return key


def _unauthenticated(why: str) -> Problem:
    return Problem("unauthenticated", 401, why)
