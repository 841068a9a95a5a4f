"""HTTP of the second implementation: request signatures (RFC 9421), digests (RFC 9530) and a client over plain sockets.

exchange.md 3 and 4 alone. Every answer with a body must carry its digest. The client waits for ``100 Continue``
itself, which no client of the standard library does.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
import socket
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.client import parse_headers
from typing import BinaryIO
from urllib.parse import quote, unquote, urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

MESSAGE_TYPE = "application/vnd.edoc.message+xml; v=1"
RECEIPT_TYPE = "application/vnd.edoc.receipt+xml; v=1"
PROBLEM_TYPE = "application/problem+json"
TAG, METADATA_TAG, LIFE = "edoc-exchange-v1", "edoc-metadata-v1", 300
DERIVED = ("@method", "@authority", "@path", "@query")
WITH_BODY = ("content-type", "content-length", "content-digest")

RequestKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey
PublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey


class Unsigned(Exception):
    """A request or an answer carries no signature that holds; the text says which rule."""


class Cut(Exception):
    """The connection ended before an answer was complete."""


def digest_of(data: bytes) -> str:
    """Return a Content-Digest field."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(data).digest()).decode()}:"


def path_of(recipient: str, sender: str, message_id: str) -> str:
    """Return K as a path below BASE."""
    return f"/to/{quote(recipient, safe='')}/from/{quote(sender, safe='')}/{quote(message_id, safe='')}"


def k_of(path: str) -> tuple[str, str, str] | None:
    """Read K from a path below BASE: recipient, sender, id."""
    found = re.fullmatch(r"/to/([^/]+)/from/([^/]+)/([^/]+)", path)
    return None if found is None else (unquote(found[1]), unquote(found[2]), unquote(found[3]))


def key_id(key: PublicKey) -> str:
    """Return base64url of the SHA-256 of the SubjectPublicKeyInfo, without padding."""
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.urlsafe_b64encode(hashlib.sha256(spki).digest()).decode().rstrip("=")


# --- RFC 9421 --------------------------------------------------------------------------------------------------------


def algorithm_of(key: PublicKey) -> str:
    """Return the one algorithm of exchange.md 4 for a key."""
    if isinstance(key, ec.EllipticCurvePublicKey):
        return {256: "ecdsa-p256-sha256", 384: "ecdsa-p384-sha384"}[key.curve.key_size]
    return "ed25519" if isinstance(key, ed25519.Ed25519PublicKey) else "rsa-pss-sha512"


@dataclass(frozen=True, slots=True)
class Covered:
    """What a signature speaks about: values of the components by name, in any order."""

    values: Mapping[str, str]

    @classmethod
    def request(cls, method: str, url: str, headers: Mapping[str, str]) -> Covered:
        """The components of a request; ``url`` is absolute, its path as in the request line."""
        place = urlsplit(url)
        port = {"https": ":443", "http": ":80"}[place.scheme]
        authority = place.netloc.lower().removesuffix(port)
        made = {"@method": method, "@authority": authority, "@path": place.path, "@query": "?" + place.query}
        return cls({**made, **{name.lower(): value.strip() for name, value in headers.items()}})


def sign_headers(covered: Covered, key: RequestKey, *, now: int, names: Sequence[str] = ()) -> dict[str, str]:
    """Return Signature-Input and Signature of a request at a moment (seconds since 1970)."""
    names = names or (DERIVED + (WITH_BODY if "content-digest" in covered.values else ()))
    public = key.public_key()
    params = (
        f"({' '.join(chr(34) + name + chr(34) for name in names)});created={now};expires={now + LIFE}"
        f';nonce="{secrets.token_urlsafe(24)}";keyid="{key_id(public)}";alg="{algorithm_of(public)}";tag="{TAG}"'
    )
    value = base64.b64encode(_compute(key, _base(covered, [f'"{name}"' for name in names], params))).decode()
    return {"Signature-Input": f"edoc={params}", "Signature": f"edoc=:{value}:"}


def sign_metadata(
    key: RequestKey, *, status: int, authority: str, headers: Mapping[str, str], now: int
) -> dict[str, str]:
    """Return the signature fields of the metadata answer (exchange.md 8)."""
    values = {"@status": str(status), '@authority";req': authority}
    values.update({name: headers[name] for name in ("content-type", "content-digest")})
    names = ['"@status"', '"content-type"', '"content-digest"', '"@authority";req']
    public = key.public_key()
    params = (
        f'({" ".join(names)});created={now};expires={now + LIFE};nonce="{secrets.token_urlsafe(24)}"'
        f';keyid="{key_id(public)}";alg="{algorithm_of(public)}";tag="{METADATA_TAG}"'
    )
    value = base64.b64encode(_compute(key, _base(Covered(values), names, params))).decode()
    return {"Signature-Input": f"edoc={params}", "Signature": f"edoc=:{value}:"}


def _base(covered: Covered, names: Sequence[str], params: str) -> bytes:
    lines = []
    for name in names:
        value = covered.values.get(name[1:-1] if name.endswith('"') else name[1:])
        if value is None:
            raise Unsigned(f"{name} is covered and not there")
        lines.append(f"{name}: {value}\n")
    return "".join([*lines, f'"@signature-params": {params}']).encode("ascii")


def _compute(key: RequestKey, octets: bytes) -> bytes:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(octets)
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(octets, padding.PSS(padding.MGF1(hashes.SHA512()), salt_length=64), hashes.SHA512())
    size = key.curve.key_size // 8
    r, s = decode_dss_signature(key.sign(octets, ec.ECDSA(hashes.SHA256() if size == 32 else hashes.SHA384())))
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")


@dataclass(frozen=True, slots=True)
class Input:
    """One member of Signature-Input, read: covered names as written, parameters, the text that was signed."""

    label: str
    names: tuple[str, ...]
    params: Mapping[str, str]
    text: str
    signature: bytes


def read_input(headers: Mapping[str, str], tag: str) -> Input:
    """Find the signature with a tag in the fields of a message. Raises Unsigned."""
    pattern = r'([a-z*][a-z0-9_.*-]*)=(\(([^()]*)\)((?:;[a-z]+(?:="[^"]*"|=\d+)?)*))(?:,\s*|$)'
    for label, text, names, rest in re.findall(pattern, headers.get("signature-input", "")):
        params = {name: value.strip('"') for name, value in re.findall(r";([a-z]+)=(\"[^\"]*\"|\d+)", rest)}
        if params.get("tag") == tag:
            value = re.search(rf"(?:^|,\s*){re.escape(label)}=:([A-Za-z0-9+/=]*):", headers.get("signature", ""))
            if value is None:
                break
            return Input(label, tuple(names.split(" ")), params, text, base64.b64decode(value[1]))
    raise Unsigned("no signature with this tag")


def check_request(covered: Covered, keys: Mapping[str, PublicKey], *, now: int, body: bool) -> str:
    """Check a request signature; return the key's id. Raises Unsigned."""
    found = read_input(covered.values, TAG)
    wanted = {f'"{name}"' for name in DERIVED + (WITH_BODY if body else ())}
    if found.label != "edoc" or not wanted <= set(found.names):
        raise Unsigned("label or covered components")
    created, expires = int(found.params.get("created", 0)), int(found.params.get("expires", 0))
    if not created - 60 <= now <= expires + 60 or not created < expires <= created + LIFE:
        raise Unsigned("outside its time")
    if len(found.params.get("nonce", "")) < 16:
        raise Unsigned("nonce")
    return _check(found, covered, keys)


def check_metadata(headers: Mapping[str, str], status: int, authority: str, keys: Mapping[str, PublicKey]) -> str:
    """Check the signature of a metadata answer; return the key's id. Raises Unsigned."""
    found = read_input(headers, METADATA_TAG)
    if not {'"@status"', '"content-type"', '"content-digest"', '"@authority";req'} <= set(found.names):
        raise Unsigned("covered components of the metadata")
    return _check(found, Covered({**headers, "@status": str(status), '@authority";req': authority}), keys)


def _check(found: Input, covered: Covered, keys: Mapping[str, PublicKey]) -> str:
    name = found.params.get("keyid", "")
    key = keys.get(name)
    if key is None or found.params.get("alg", algorithm_of(key)) != algorithm_of(key):
        raise Unsigned("key or algorithm")
    octets, value = _base(covered, found.names, found.text), found.signature
    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(value, octets)
        elif isinstance(key, rsa.RSAPublicKey):
            key.verify(value, octets, padding.PSS(padding.MGF1(hashes.SHA512()), salt_length=64), hashes.SHA512())
        else:
            half = len(value) // 2
            pair = encode_dss_signature(int.from_bytes(value[:half], "big"), int.from_bytes(value[half:], "big"))
            key.verify(pair, octets, ec.ECDSA(hashes.SHA256() if half == 32 else hashes.SHA384()))
    except InvalidSignature:
        raise Unsigned("the value does not fit") from None
    return name


# --- a client --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: status, fields in lower case, body; whether ``100 Continue`` came before."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    continued: bool = False

    @property
    def problem(self) -> str:
        """The name of the problem, or nothing."""
        if self.headers.get("content-type", "").split(";")[0] != PROBLEM_TYPE:
            return ""
        kind = json.loads(self.body)["type"]
        assert isinstance(kind, str)
        return kind.removeprefix("urn:edoc:problem:")


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it goes out."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes = b""
    expect: bool = False


def exchange(request: Request, *, tls: ssl.SSLContext | None = None, limit: float = 30.0) -> Answer:
    """Send a request on a connection of its own and read the answer. Raises Cut."""
    place = urlsplit(request.url)
    assert place.hostname is not None
    raw: socket.socket = socket.create_connection((place.hostname, place.port or 443), timeout=limit)
    with raw if tls is None else tls.wrap_socket(raw, server_hostname=place.hostname) as connection:
        target = place.path + (f"?{place.query}" if place.query else "")
        fields = {"Host": place.netloc, "Accept-Encoding": "identity", "Connection": "close", **request.headers}
        if request.expect:
            fields["Expect"] = "100-continue"
        lines = [f"{request.method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
        connection.sendall("\r\n".join([*lines, "", ""]).encode("ascii"))
        with connection.makefile("rb") as answers:
            first = _head(answers) if request.expect else None
            continued = first is not None and first[0] == 100
            if request.body and (continued or not request.expect):
                connection.sendall(request.body)
            status, fields = first if first is not None and not continued else _head(answers)
            body = b"" if request.method == "HEAD" or status in (204, 304) else _body(answers, fields)
            return Answer(status, fields, body, continued)


def _head(answers: BinaryIO) -> tuple[int, dict[str, str]]:
    """Read a status line and the fields behind it, names in lower case. Raises Cut."""
    line = answers.readline(4096)
    found = re.fullmatch(rb"HTTP/1\.1 (\d{3}) ?[^\r\n]*\r\n", line)
    if found is None:
        raise Cut("no status line")
    fields: dict[str, str] = {}
    for name, value in parse_headers(answers).items():
        known = fields.get(name.lower())
        fields[name.lower()] = value if known is None else f"{known}, {value}"
    return int(found[1]), fields


def _body(answers: BinaryIO, fields: Mapping[str, str]) -> bytes:
    """Read a body of stated length and compare it with its digest. Raises Cut."""
    if "transfer-encoding" in fields:
        raise Cut("a body without length")
    length = int(fields.get("content-length", -1))
    body = answers.read(length)
    if length >= 0 and len(body) != length:
        raise Cut("the body is shorter than its length")
    if body and digest_of(body) != fields.get("content-digest", digest_of(body) if fields.get("content-range") else ""):
        raise Cut("digest missing or another one")
    return body
