"""Examine a signature of one of our profiles: structure and mathematics, then the judgement (signing.md 5.4, 5.5)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache

from lxml import etree

from signer import asn1, certificates
from signer.certificates import is_issued_by
from signer.judge import Facts, Judged, Stamp, judge_signature
from signer.report import Algorithm, Code, Covers, Crypto, Indication, Integrity, Reason
from signer.safexml import Skeleton, parser
from signer.trust import Context
from signer.xml.aswritten import LayoutOf as LayoutOf
from signer.xml.aswritten import Rules, written
from signer.xml.c14n import WORD_MAX, canonical, canonical_document, digest
from signer.xml.dsig import DS, METHODS, MORE, MORE_2007, check_value, public_key
from signer.xml.spelling import is_plain
from signer.xml.tokens import is_exact
from signer.xml.xades import Values, issuer_serial, read_time, signature_text, values_of

_SIGNATURE = f"{{{DS}}}Signature"
_PROFILE_METHODS = frozenset({MORE + "ecdsa-sha256", MORE + "rsa-sha256", MORE_2007 + "sha256-rsa-MGF1"})
_LEAST_BITS = {"RSA": 2048, "EC": 256}
_RULES = Rules(_PROFILE_METHODS, _LEAST_BITS)
_BROKEN = {Code.FORMAT_FAILURE, Code.HASH_FAILURE, Code.SIG_CRYPTO_FAILURE}


@dataclass(frozen=True)
class Found:
    """A signature of a profile as examined; ``octets`` are those behind ``URI=""``, runs still cut out."""

    id: str
    values: Values | None
    reasons: tuple[Reason, ...]
    crypto: Crypto
    algorithm: Algorithm | None
    octets: bytes
    signature: bytes  # canonical octets of the ds:Signature
    stamped: bytes  # canonical octets of SignatureValue
    skeleton: Skeleton
    compared: etree._Element | None = None  # the signature, where every octet of the file was compared

    def rebuilt(self) -> etree._Element:
        """Return the document's root, rebuilt from the octets that were hashed."""
        root = etree.fromstring(self.octets, parser())
        self.skeleton.put_back(root)
        return root

    def rebuilt_signature(self) -> etree._Element:
        """Return the signature, rebuilt from the octets that were compared with the layout."""
        return etree.fromstring(self.signature, parser()) if self.compared is None else self.compared


def examine(
    root: etree._Element, skeleton: Skeleton, *, layout_of: LayoutOf, document: bytes | None = None
) -> Found | None:
    """Examine the one signature a file of a profile has; ``None`` if there is none.

    ``document`` is the SHA-256 behind ``URI=""`` where it was taken while the file passed (``signer.xml.stream``).
    """
    own = written(root, skeleton, layout_of=layout_of, document=document, rules=_RULES)
    if own is None:
        return examine_generally(root, skeleton, layout_of=layout_of, document=document)
    return Found(
        own.layout.id,
        own.values,
        (),
        Crypto.OK,
        own.algorithm,
        own.octets,
        own.signature,
        own.stamped,
        skeleton,
        own.element,
    )


def examine_generally(
    root: etree._Element, skeleton: Skeleton, *, layout_of: LayoutOf, document: bytes | None = None
) -> Found | None:
    """Examine a file as ``examine`` does, whoever wrote it, and say what does not hold."""
    signatures = list(root.iter(_SIGNATURE))
    if not signatures:
        return None
    signature = signatures[-1]
    reasons = _place(root, signature, count=len(signatures)) + _ids(root) + _nodes(root, skeleton)
    octets, hashed = _hashed(root, signature, skeleton)
    document = document or hashed
    written = b"".join(canonical(signature))
    try:
        values = values_of(signature)
    except ValueError as error:
        reasons += _format(Code.MALFORMED, {"where": str(error)})
        return Found(
            signature.get("Id", "-"), None, tuple(reasons), Crypto.UNKNOWN, None, octets, written, b"", skeleton
        )
    reasons += _layout(signature, values, written, layout_of)
    reasons += _references(signature, values, document)
    crypto, algorithm, more = _value(signature, values)
    reasons += more + _certificate(values)
    if any(r.code in {Code.HASH_FAILURE, Code.SIG_CRYPTO_FAILURE} for r in reasons):
        crypto = Crypto.BAD
    stamped = b"".join(canonical(_child(signature, "SignatureValue")))
    return Found(
        signature.get("Id", "-"), values, tuple(reasons), crypto, algorithm, octets, written, stamped, skeleton
    )


def _format(code: Code, facts: Mapping[str, str]) -> list[Reason]:
    return [Reason(Code.FORMAT_FAILURE), Reason(code, facts)]


def _place(root: etree._Element, signature: etree._Element, *, count: int) -> list[Reason]:
    """W2 to W4: one signature, last child of the root, nothing behind it."""
    if count == 1 and signature.getparent() is root and signature.getnext() is None and not signature.tail:
        return []
    return _format(Code.XML_WRAPPING, {"path": root.getroottree().getelementpath(signature)})


def _ids(root: etree._Element) -> list[Reason]:
    """W1: one ID value on two elements, whatever the ID attribute is called."""
    seen: set[str] = set()
    for element in root.iter(etree.Element):
        for name, value in element.attrib.items():
            if str(name).rpartition("}")[2].lower() == "id":
                if str(value) in seen:
                    return _format(Code.DUPLICATE_ID, {"id": str(value)})
                seen.add(str(value))
    return []


def _nodes(root: etree._Element, skeleton: Skeleton) -> list[Reason]:
    """W10 and the spelling: no comment, no instruction, nothing that could be spelled differently.

    A line feed may end the file, as many writers end theirs: it is no part of the document.
    """
    nodes = (*root.itersiblings(preceding=True), *root.itersiblings(), *root.iter())
    if any(not isinstance(node.tag, str) for node in nodes):
        return _format(Code.MALFORMED, {"where": "comment or instruction"})
    if not is_plain(skeleton.data.removesuffix(b"\n")):
        return _format(Code.MALFORMED, {"where": "spelling"})
    return []


def _hashed(root: etree._Element, signature: etree._Element, skeleton: Skeleton) -> tuple[bytes, bytes]:
    """Return the octets behind ``URI=""`` with runs cut out, and their SHA-256 with runs put back, in one pass."""
    runs = {word.encode("ascii"): run for word, run in skeleton.runs.items()}
    state, kept = hashlib.sha256(), []
    for piece in canonical_document(root, omit=(signature,)):
        state.update(runs.get(piece, piece) if len(piece) <= WORD_MAX else piece)
        kept.append(piece)
    return b"".join(kept), state.digest()


def _layout(signature: etree._Element, values: Values, written: bytes, layout_of: LayoutOf) -> list[Reason]:
    """Write the signature anew from its values; it must come out as it was found."""
    try:
        layout = layout_of(signature, values.signing_time)
        if values.method in _PROFILE_METHODS and len(values.digests) == len(layout.references) + 1:
            expected = signature_text(layout, values).encode("utf-8")
        elif values.method not in METHODS:
            return []  # said by _value; nothing is accepted with it
        else:
            return _format(Code.SIGNED_PROPERTIES_INVALID, {"where": "SignedInfo"})
    except ValueError as error:
        return _format(Code.SIGNED_PROPERTIES_INVALID, {"where": str(error)})
    if expected != written:
        return _format(Code.SIGNED_PROPERTIES_INVALID, {"where": "layout"})
    return []


def _references(signature: etree._Element, values: Values, document: bytes) -> list[Reason]:
    """Compare the digests: the document, then each object in the signature that is referenced by ``#Id``."""
    reasons = []
    references = signature.findall(f"{{{DS}}}SignedInfo/{{{DS}}}Reference")
    if len(references) != len(values.digests):
        return _format(Code.MALFORMED, {"where": "Reference"})
    for reference, wanted in zip(references, values.digests, strict=True):
        uri = reference.get("URI")
        found = document if uri == "" else _object_digest(signature, uri or "-")
        if found != wanted:
            reasons.append(Reason(Code.HASH_FAILURE, {"part": uri or "document"}))
    return reasons


def _object_digest(signature: etree._Element, uri: str) -> bytes | None:
    found = [e for e in signature.iter(etree.Element) if uri.startswith("#") and e.get("Id") == uri[1:]]
    return digest(canonical(found[0])) if len(found) == 1 else None


def _value(signature: etree._Element, values: Values) -> tuple[Crypto, Algorithm | None, list[Reason]]:
    """Check the value over SignedInfo as it is canonicalised from the file (N3)."""
    method, key = METHODS.get(values.method), public_key(values.certificates[0])
    if method is None:
        facts = {"algorithm": values.method}
        return Crypto.UNKNOWN, None, [Reason(Code.CRYPTO_CONSTRAINTS_FAILURE, facts), _unsupported(values.method)]
    if key is None:
        return Crypto.UNKNOWN, None, [Reason(Code.NO_SIGNING_CERTIFICATE_FOUND)]
    octets = b"".join(canonical(_child(signature, "SignedInfo")))
    check = check_value(key, values.value, octets, method)
    reasons: list[Reason] = []
    if check.der:
        reasons += _format(Code.MALFORMED, {"where": "SignatureValue"})
    if check.crypto is Crypto.BAD:
        reasons.append(Reason(Code.SIG_CRYPTO_FAILURE))
    elif check.crypto is Crypto.UNKNOWN or values.method not in _PROFILE_METHODS:
        reasons += [Reason(Code.CRYPTO_CONSTRAINTS_FAILURE, {"algorithm": values.method}), _unsupported(values.method)]
    elif check.algorithm and check.algorithm.bits < _LEAST_BITS.get(check.algorithm.key, 1 << 30):
        named = {"algorithm": f"{check.algorithm.key} {check.algorithm.bits}"}
        reasons.append(Reason(Code.CRYPTO_CONSTRAINTS_FAILURE, named))
    return check.crypto, check.algorithm, reasons


def _unsupported(algorithm: str) -> Reason:
    return Reason(Code.ALGORITHM_UNSUPPORTED, {"algorithm": algorithm})


def _child(signature: etree._Element, name: str) -> etree._Element:
    element = signature.find(f"{{{DS}}}{name}")
    assert element is not None  # values_of has found it
    return element


def _certificate(values: Values) -> list[Reason]:
    """W6: the certificate used is the one the signed properties name."""
    certificate = values.certificates[0]
    try:
        named = issuer_serial(certificate) == values.issuer_serial
    except ValueError:
        named = False
    if hashlib.sha256(certificate).digest() == values.certificate_digest and named:
        return []
    return _format(Code.SIGNING_CERTIFICATE_MISMATCH, {})


# --- judgement -------------------------------------------------------------------------------------------------------


def judged(found: Found, *, kind: str, context: Context) -> Judged:
    """Judge an examined signature; certificates and stamps carried along must themselves hold."""
    facts = _facts(found, kind)
    result = judge_signature(facts, context=context)
    if found.values is None or result.signature.indication is not Indication.PASSED:
        return result
    doubtful = [*_stamp_doubts(found.values, result), *_doubtful(found.values, result, context)]
    if doubtful:
        return judge_signature(replace(facts, structural=(*facts.structural, *doubtful)), context=context)
    return result


def _stamp_doubts(values: Values, result: Judged) -> list[Reason]:
    """A stamp of a profile can be checked in full: its shell is exact, and its mathematics holds."""
    intact = all(stamp.integrity is Integrity.INTACT for stamp in result.signature.timestamps)
    if intact and all(is_exact(token) for token in values.tokens):
        return []
    return [Reason(Code.SIG_CONSTRAINTS_FAILURE), Reason(Code.TIMESTAMP_INVALID)]


def _facts(found: Found, kind: str) -> Facts:
    codes = {reason.code for reason in found.reasons}
    integrity = Integrity.INTACT
    if codes & _BROKEN:
        integrity = Integrity.BROKEN
    elif found.crypto is not Crypto.OK:
        integrity = Integrity.UNKNOWN
    values = found.values
    if values is None:
        return Facts(
            found.id, found.crypto, integrity, Covers.WHOLE, "XMLDSIG", None, structural=found.reasons, kind=kind
        )
    stamps = tuple(
        Stamp(f"{found.id}-timestamp-{n}", "signature", token, found.stamped)
        for n, token in enumerate(values.tokens, start=1)
    )
    return Facts(
        id=found.id,
        crypto=found.crypto,
        integrity=integrity,
        covers=Covers.WHOLE,
        level="XAdES-B-B",
        certificate=values.certificates[0],
        algorithm=found.algorithm,
        digests=("SHA-256",),
        candidates=values.certificates,
        signing_time=_time(values.signing_time),
        structural=found.reasons,
        stamps=stamps,
        kind=kind,
        value_sha256=hashlib.sha256(values.value).hexdigest(),
    )


def _time(text: str) -> datetime | None:
    try:
        return read_time(text)
    except ValueError:
        return None


def _doubtful(values: Values, result: Judged, context: Context) -> list[Reason]:
    """Certificates beside a signature are not signed by it: each must be known, or signed by one that is.

    Otherwise one that was altered on the way would go unseen, because the path was found without it. Certificates of a
    stamp whose authority nobody here knows are left alone, unless they claim to be, or be from, one that is known.
    """
    known = {item.data for item in result.evidence if item.kind == "certificate"}
    known |= {anchor.certificate for anchor in context.trust.anchors} | set(context.trust.intermediates)
    carried = [(der, True) for der in values.certificates]
    for token, stamp in zip(values.tokens, result.signature.timestamps, strict=False):
        trusted = stamp.indication is Indication.PASSED
        carried += [(der, trusted) for der in _token_certificates(token)]
    issuers = (*known, *values.certificates)
    for der, must_hold in carried:
        if der in known or any(_issued(der, issuer) for issuer in issuers if issuer != der):
            continue
        if must_hold or _claims(der, issuers):
            return [Reason(Code.CERTIFICATE_CHAIN_GENERAL_FAILURE, {"detail": hashlib.sha256(der).hexdigest()})]
    return []


def _claims(der: bytes, known: Sequence[bytes]) -> bool:
    """Tell whether a certificate names a known one as its issuer, or as itself, or cannot be read at all."""
    try:
        names = asn1.names(der)
        return any(asn1.names(one)[0] in names for one in known)
    except ValueError:
        return True


def _token_certificates(token: bytes) -> Sequence[bytes]:
    try:
        return asn1.read_signed_data(token).certificates
    except ValueError:
        return ()


@lru_cache(maxsize=512)
def _issued(der: bytes, issuer: bytes) -> bool:
    try:
        return is_issued_by(certificates.certificate(der), certificates.certificate(issuer)) is True
    except ValueError:
        return False
