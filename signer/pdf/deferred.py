"""Signing a PDF in two steps, with a key that is elsewhere (signing.md 2, deferred).

``prepare_pdf`` makes a file with reserved space and says what is to be signed; anybody signs that digest; ``embed``
puts the value in, after it has checked the certificate, the value, and that the file is the one prepared. What lies
between the steps is one file: a line ``EDOC-PREPARED/1``, a line of JSON (UTF-8), and the octets of the PDF as they
are. The JSON is one object:

======================== ==============================================================================
``sha256``, ``size``     of the PDF that follows
``before``               octets of the input, the beginning of the PDF
``gap``                  two offsets: from ``<`` to behind ``>`` of the reserved space
``digest``               what is to be signed: the digest of ``attributes`` by the scheme's function, hex
``scheme``               name of the signature scheme, as in ``signer.algorithms``
``attributes``           the signed attributes, DER as base64
``certificate, chain``   the signer's certificate and those above it, DER as base64
``field``, ``page``      name of the field; page from 1, or null
``level``, ``at``        ``b`` or ``t``; the claimed time, ISO 8601
``path``                 ``fast`` or ``general``
======================== ==============================================================================

It holds no secret. Nothing in it is believed: all of it is computed again, or follows from the value.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from signer.algorithms import Scheme
from signer.credential import Credential, Role, verify_value
from signer.errors import CredentialError, InputRefused, LevelNotReached, SignerError, SigningRefused
from signer.pdf import cms
from signer.pdf.finishing import disagreement, form_for, read_back, stamped
from signer.pdf.options import PdfOptions
from signer.pdf.reserved import Reserved
from signer.pdf.sign import Job, SignedPdf
from signer.precondition import Precondition
from signer.timestamp import Timestamper
from signer.trust import Context, Limits

MAGIC = b"EDOC-PREPARED/1\n"
HEADER_MAX = 256 * 1024
SUM = "sum"
"""Octets of the JSON: some certificates and attributes."""
CHAIN_MAX = 20


@dataclass(frozen=True, slots=True)
class Prepared:
    """A file with reserved space, and what is to be signed for it."""

    data: bytes = field(repr=False)
    before: int
    gap: tuple[int, int]
    attributes: bytes = field(repr=False)
    scheme: Scheme
    certificate: bytes = field(repr=False)
    chain: tuple[bytes, ...] = field(repr=False)
    field: str
    page: int | None
    level: str
    at: datetime
    path: str

    @property
    def sha256(self) -> str:
        """SHA-256 of the file with reserved space, hexadecimal."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def digest(self) -> bytes:
        """What is to be signed: the digest of the signed attributes, made with ``scheme.digest``."""
        return hashlib.new(self.scheme.digest, self.attributes).digest()

    def to_bytes(self) -> bytes:
        """Return the one file that goes from step to step."""
        described = {
            "sha256": self.sha256,
            "size": len(self.data),
            "before": self.before,
            "gap": list(self.gap),
            "digest": self.digest.hex(),
            "scheme": self.scheme.value,
            "attributes": _text(self.attributes),
            "certificate": _text(self.certificate),
            "chain": [_text(one) for one in self.chain],
            "field": self.field,
            "page": self.page,
            "level": self.level,
            "at": self.at.isoformat(),
            "path": self.path,
        }
        line = json.dumps({**described, SUM: _sum(described)}, ensure_ascii=False, separators=(",", ":")).encode()
        return b"".join((MAGIC, line, b"\n", self.data))


def _sum(described: Mapping[str, object]) -> str:
    """Return the SHA-256 of a description: what is not under the signature, such as the chain, came over whole."""
    text = json.dumps(described, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


class Elsewhere:
    """The port of a key that is elsewhere: it signs nothing."""

    def sign(self, digests: Sequence[bytes], scheme: Scheme) -> list[bytes]:
        """Refuse.

        Raises:
            CredentialError: always.
        """
        raise CredentialError("EDOC-KEY-006", "the key is elsewhere", scheme=scheme.value)


def elsewhere(certificate: bytes, role: Role, chain: Sequence[bytes] = ()) -> Credential:
    """Return a credential whose key is elsewhere, for ``prepare_pdf`` and the checks before it."""
    return Credential(certificate, role, Elsewhere(), tuple(chain))


def prepare_pdf(
    data: bytes,
    *,
    credential: Credential,
    options: PdfOptions,
    precondition: Precondition | None = None,
    context: Context | None = None,
) -> Prepared:
    """Reserve space for a signature and say what is to be signed; the credential's key is not used.

    Raises:
        TypeError: an agency's credential without precondition and context.
        InputRefused: the file cannot be signed, or the visible form has no place.
        SigningRefused: the role does not sign documents, or the precondition does not hold.
    """
    job = Job(credential, options, None, precondition, context)
    form = form_for(credential, options)
    aimed, reserved = job.ready(data, form, form.room(options))
    job.ask(data)
    return Prepared(
        reserved.whole(),
        len(data),
        reserved.gap,
        form.template.attributes(reserved.digest(form.scheme.digest)),
        form.scheme,
        credential.certificate,
        credential.chain,
        aimed.target.name,
        aimed.target.number,
        options.level,
        options.at,
        aimed.path,
    )


def embed(
    prepared: Prepared, value: bytes, *, timestamper: Timestamper | None = None, limits: Limits | None = None
) -> SignedPdf:
    """Put a signature value into the file it was made for; ECDSA values in DER, or as r and s of equal length.

    Raises:
        InputRefused: the prepared file does not fit itself.
        CredentialError: the value is not one by the certificate's key over what was to be signed.
        LevelNotReached: level T and no time stamp.
        SigningRefused: the finished file is not intact.
    """
    credential = elsewhere(prepared.certificate, Role.PERSON, prepared.chain)
    template, reserved = _checked(prepared, credential)
    value = _fitting(prepared, credential, value)
    token = None
    if prepared.level == "t":
        if timestamper is None:
            raise LevelNotReached("EDOC-PDF-022", "level T needs a time stamp", level="PAdES-B-T", missing="TSA")
        token = stamped(timestamper, value)
    content = template.signed_data(prepared.attributes, value, token)
    if len(content) > reserved.room:
        raise _refused("reserved space")
    reserved.embed(content)
    signed = reserved.whole()
    report = read_back(signed, limits=limits or Limits())
    if report.signatures[-1].id != prepared.field or len(signed) != len(prepared.data):
        raise SigningRefused("EDOC-PDF-021", "the new signature is not the last", field=prepared.field, reason="-")
    claimed = report.signatures[-1].signing_time
    if claimed is None or claimed != prepared.at.replace(microsecond=0):
        raise _refused("time")
    level = f"PAdES-B-{prepared.level.upper()}"
    warnings = disagreement(token, prepared.at)
    size = None if token is None else len(token)
    return SignedPdf(signed, prepared.field, prepared.page, level, prepared.scheme, warnings, prepared.path, size)


def _checked(prepared: Prepared, credential: Credential) -> tuple[cms.Template, Reserved]:
    """Compute again what the prepared file says: place and emptiness of the gap, certificate, attributes."""
    start, end = prepared.gap
    data = prepared.data
    if not 0 < prepared.before < start < end - 2 <= len(data) - 2 or data[start : end : end - start - 1] != b"<>":
        raise _refused("reserved space")
    if data[start + 1 : end - 1].strip(b"0"):
        raise _refused("reserved space is not empty")
    try:
        _ = credential.bits
        reserved = Reserved(data[: prepared.before], bytearray(data[prepared.before :]), prepared.gap)
        digest = reserved.digest(prepared.scheme.digest)
        for commitment in (None, *cms.COMMITMENTS):
            template = cms.template(credential, prepared.scheme, commitment=commitment)
            if template.attributes(digest) == prepared.attributes:
                return template, reserved
    except (ValueError, AssertionError, KeyError, UnsupportedAlgorithm, x509.InvalidVersion, CredentialError):
        raise _refused("certificate") from None
    raise _refused("signed attributes")


def _fitting(prepared: Prepared, credential: Credential, value: bytes) -> bytes:
    """Return the value as it stands in a CMS, checked with the certificate's key."""
    spelled = [value]
    if isinstance(credential.public_key, ec.EllipticCurvePublicKey) and value and len(value) % 2 == 0:
        half = len(value) // 2
        spelled.append(encode_dss_signature(int.from_bytes(value[:half], "big"), int.from_bytes(value[half:], "big")))
    for one in spelled:
        if verify_value(credential.public_key, one, prepared.digest, prepared.scheme):
            return one
    raise CredentialError("EDOC-PDF-043", "the value does not fit the prepared file")


def read_prepared(data: bytes) -> Prepared:
    """Read what ``Prepared.to_bytes`` wrote.

    Raises:
        InputRefused: it is no prepared file, or the PDF in it is not the one it describes.
    """
    if not data.startswith(MAGIC):
        raise _refused("no prepared file")
    end = data.find(b"\n", len(MAGIC), len(MAGIC) + HEADER_MAX)
    if end < 0:
        raise _refused("description")
    try:
        described = json.loads(data[len(MAGIC) : end].decode())
        whole = described.pop(SUM) == _sum(described)
        prepared, sha256, size, digest = _read(described, data[end + 1 :])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, binascii.Error, SignerError):
        raise _refused("description") from None
    if not whole:
        raise _refused("description")
    if size != len(prepared.data) or sha256 != prepared.sha256:
        raise _refused("the file is not the one prepared")
    if digest != prepared.digest.hex():
        raise _refused("digest")
    return prepared


def _read(described: object, data: bytes) -> tuple[Prepared, str, int, str]:
    held = _Described(described)
    start, end = held.numbers("gap")
    page = None if held.of("page") is None else held.number("page")
    level, path, at = held.text("level"), held.text("path"), datetime.fromisoformat(held.text("at"))
    chain = held.of("chain")
    if level not in ("b", "t") or path not in ("fast", "general") or at.tzinfo is None:
        raise ValueError("description")
    if not isinstance(chain, list) or len(chain) > CHAIN_MAX:
        raise ValueError("chain")
    prepared = Prepared(
        data,
        held.number("before"),
        (start, end),
        _octets(held.of("attributes")),
        Scheme(held.text("scheme")),
        _octets(held.of("certificate")),
        tuple(_octets(one) for one in chain),
        held.text("field"),
        page,
        level,
        at,
        path,
    )
    return prepared, held.text("sha256"), held.number("size"), held.text("digest")


class _Described:
    """The JSON object, each value of the type it must have."""

    def __init__(self, value: object) -> None:
        if not isinstance(value, dict):
            raise TypeError("description")
        self._entries: dict[str, object] = value

    def of(self, key: str) -> object:
        """Return a value that must be there."""
        return self._entries[key]

    def text(self, key: str) -> str:
        """Return a text."""
        value = self._entries[key]
        if not isinstance(value, str):
            raise TypeError(key)
        return value

    def number(self, key: str) -> int:
        """Return a whole number."""
        value = self._entries[key]
        if type(value) is not int or not 0 <= value < 2**63:
            raise TypeError(key)
        return value

    def numbers(self, key: str) -> tuple[int, int]:
        """Return a pair of whole numbers."""
        value = self._entries[key]
        if not isinstance(value, list) or len(value) != 2 or not all(type(one) is int for one in value):
            raise TypeError(key)
        return value[0], value[1]


def _text(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")


def _octets(value: object) -> bytes:
    if not isinstance(value, str):
        raise TypeError("base64")
    return base64.b64decode(value, validate=True)


def _refused(where: str) -> InputRefused:
    return InputRefused("EDOC-PDF-042", f"prepared file: {where}", where=where)
