"""A file of our profiles as our own writer writes it, examined by comparing octets (signing.md 5.4, 5.5).

What ``signer.xml.profilecheck`` finds out by walking trees can be read off the file itself where it is, octet for
octet, what the writer makes: a declaration, then the document in canonical form with the signature before the end tag.
libxml2 confirms that form; the signature is written anew from its values and compared; the parts that are hashed are
the ones the writer made. So every octet of the file is compared or hashed. Here an answer is only ever *everything
holds*: whatever is otherwise, also a digest or value that does not fit, is left to the general way, which says why.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass

from lxml import etree

from signer.report import Algorithm, Crypto
from signer.safexml import Skeleton
from signer.xml.dsig import DS, METHODS, check_value, decode_exact, public_key
from signer.xml.xades import (
    TOKENS_MAX,
    Layout,
    Values,
    issuer_serial,
    part_octets,
    signature_text,
    signed_info_octets,
    value_octets,
)

HEAD = b'<?xml version="1.0" encoding="UTF-8"?>\n'
LayoutOf = Callable[[etree._Element, str], Layout]
"""Gives the layout a signature must have; raises ``ValueError`` if its own parts cannot be read."""

CERTIFICATES_MAX = 10
"""Certificates in one signature of a profile."""

DECLARATIONS_MAX = 64
"""Declarations of prefixes in a file that is compared; ours have a dozen, and libxml2 looks through them ever again."""

_SIGNATURE = f"{{{DS}}}Signature"
_OPEN, _CLOSE = b"<ds:Signature ", b"</ds:Signature>"
_DECLARED, _INSTRUCTED = re.compile(rb"<!"), re.compile(rb"<\?")  # found sooner than by looking for octets
_IDS = re.compile(rb'=(?="([^"]*)")(?<=[ :][iI][dD]=)')
"""Attributes called ID in canonical form; also words of a text that look like one, which is on the safe side."""


@dataclass(frozen=True, slots=True)
class Written:
    """What holds about such a file: its octets without the signature, those of the signature, its values."""

    octets: bytes
    signature: bytes
    element: etree._Element
    layout: Layout
    values: Values
    algorithm: Algorithm | None
    stamped: bytes


def written(
    root: etree._Element, skeleton: Skeleton, *, layout_of: LayoutOf, document: bytes | None, rules: Rules
) -> Written | None:
    """Examine a file; ``None`` if it is not, octet for octet, what the writer makes, or anything does not hold.

    ``document`` is the SHA-256 behind ``URI=""`` where it was taken while the file passed.
    """
    try:
        return _written(root, skeleton, layout_of, document, rules)
    except (ValueError, LookupError, etree.LxmlError):
        return None


@dataclass(frozen=True, slots=True)
class Rules:
    """Which methods a profile takes, and the shortest keys by kind, in bits."""

    methods: frozenset[str]
    bits: dict[str, int]


def _written(
    root: etree._Element, skeleton: Skeleton, layout_of: LayoutOf, document: bytes | None, rules: Rules
) -> Written | None:
    data = skeleton.data
    start, end = data.rfind(_OPEN), data.rfind(b"</")
    if start < 0 or not data.startswith(HEAD) or not data.endswith(_CLOSE, start, end):
        return None
    body, signature = data[len(HEAD) :], data[start:end]
    if not _is_canonical(root, body) or len(root) == 0 or sum(1 for _ in root.iter(_SIGNATURE)) != 1:
        return None
    element, values = root[-1], _values(signature)
    if values.method not in rules.methods:
        return None
    layout = layout_of(element, values.signing_time)
    if len(values.digests) != len(layout.references) + 1 or signature_text(layout, values).encode() != signature:
        return None
    octets = data[len(HEAD) : start] + data[end:]
    if not _digests_hold(layout, values, document or _digest(octets, skeleton)) or not _is_named(values):
        return None
    algorithm = _algorithm(layout, values, rules)
    if algorithm is None:
        return None
    return Written(octets, signature, element, layout, values, algorithm, value_octets(layout, values))


def _is_canonical(root: etree._Element, body: bytes) -> bool:
    """Tell whether a file is its own canonical form, without comment, instruction, or an ID that stands twice."""
    if _DECLARED.search(body) or _INSTRUCTED.search(body):
        return False
    if body.count(b"=") > DECLARATIONS_MAX and body.count(b"xmlns") > DECLARATIONS_MAX:
        return False
    ids = _IDS.findall(body)
    if len(set(ids)) != len(ids):
        return False
    return etree.tostring(root.getroottree(), method="c14n", exclusive=True) == body


def _values(signature: bytes) -> Values:
    """Take the values out wherever they stand: the signature is written anew with them and compared.

    Raises:
        ValueError, LookupError: they are not there, or not as they are written.
    """
    *digests, certificate_digest = _decoded(b"<ds:DigestValue>", signature)
    certificates = _decoded(b"<ds:X509Certificate>", signature)
    tokens = _decoded(b"<xades:EncapsulatedTimeStamp>", signature)
    if not 1 <= len(certificates) <= CERTIFICATES_MAX or len(tokens) > TOKENS_MAX:
        raise ValueError("too many or no certificates, or too many time stamps")
    if len(set(certificates)) != len(certificates):
        raise ValueError("a certificate twice")
    value = _texts(b"<ds:SignatureValue ", signature)[0].partition(">")[2]
    return Values(
        method=_texts(b"<ds:SignatureMethod Algorithm=", signature)[0].split('"')[1],
        digests=tuple(digests),
        value=decode_exact(value),
        certificates=certificates,
        signing_time=_texts(b"<xades:SigningTime>", signature)[0],
        certificate_digest=certificate_digest,
        issuer_serial=_decoded(b"<xades:IssuerSerialV2>", signature)[0],
        tokens=tokens,
    )


def _texts(tag: bytes, signature: bytes) -> list[str]:
    """Return what stands behind each start tag, up to the next tag."""
    found = signature.split(tag)[1 : CERTIFICATES_MAX + 2]
    return [one[: one.find(b"<")].decode() for one in found]


def _decoded(tag: bytes, signature: bytes) -> tuple[bytes, ...]:
    return tuple(map(decode_exact, _texts(tag, signature)))


def _digest(octets: bytes, skeleton: Skeleton) -> bytes:
    """Return the SHA-256 of a document, its runs put back where their words stand."""
    state, done = hashlib.sha256(), 0
    for word, run in skeleton.runs.items():  # in the order of the file
        place = octets.index(word.encode("ascii"), done)
        state.update(octets[done:place])
        state.update(run)
        done = place + len(word)
    state.update(octets[done:])
    return state.digest()


def _digests_hold(layout: Layout, values: Values, document: bytes) -> bool:
    for reference, wanted in zip(layout.references, values.digests, strict=False):
        if not reference.uri:
            found = document
        else:
            found = hashlib.sha256(part_octets(layout, values, reference.uri[1:])).digest()
        if found != wanted:
            return False
    return hashlib.sha256(part_octets(layout, values, layout.properties_id)).digest() == values.digests[-1]


def _is_named(values: Values) -> bool:
    """W6: the certificate used is the one the signed properties name."""
    certificate = values.certificates[0]
    return (
        hashlib.sha256(certificate).digest() == values.certificate_digest
        and issuer_serial(certificate) == values.issuer_serial
    )


def _algorithm(layout: Layout, values: Values, rules: Rules) -> Algorithm | None:
    """Check the value over SignedInfo and return its algorithm; ``None`` if it does not fit."""
    key = public_key(values.certificates[0])
    if key is None:
        return None
    check = check_value(key, values.value, signed_info_octets(layout, values), METHODS[values.method])
    if check.crypto is not Crypto.OK or check.der or check.algorithm is None:
        return None
    return check.algorithm if check.algorithm.bits >= rules.bits.get(check.algorithm.key, 1 << 30) else None
