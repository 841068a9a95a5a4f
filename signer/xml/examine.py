"""Examine one XML signature of any writer: references, SignedInfo, value, properties (signing.md 5.2, 5.5).

SignedInfo is canonicalised from the file and parsed again from those octets; only what these octets say counts (N3).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from lxml import etree

from signer.report import Algorithm, Code, Crypto, Reason
from signer.safexml import parser
from signer.trust import Limits
from signer.xml.c14n import Form
from signer.xml.document import SIGNATURE, Document, NodeSet, OverBudget
from signer.xml.dsig import DS, MANIFEST_TYPE, METHODS, Method, check_value, decode, public_key
from signer.xml.keyinfo import Offered, offered
from signer.xml.properties import Properties, embedded_certificates, read_properties
from signer.xml.references import Evaluated, evaluate, method_form
from signer.xml.xades import XADES

BROKEN = frozenset({Code.FORMAT_FAILURE, Code.HASH_FAILURE, Code.SIG_CRYPTO_FAILURE})
_UNKNOWN = frozenset({Code.CRYPTO_CONSTRAINTS_FAILURE, Code.SIGNED_DATA_NOT_FOUND})


@dataclass(frozen=True)
class Examined:
    """What the mathematics says about one signature, and what it covers."""

    element: etree._Element
    id: str
    references: tuple[Evaluated, ...] = ()
    properties: Properties = field(default_factory=Properties)
    crypto: Crypto = Crypto.UNKNOWN
    algorithm: Algorithm | None = None
    certificate: bytes | None = None
    candidates: tuple[bytes, ...] = ()
    value: bytes = b""
    reasons: tuple[Reason, ...] = ()
    counters: etree._Element | None = None  # the signature this one is a counter-signature of

    @property
    def is_intact(self) -> bool:
        """Everything was computed and holds."""
        codes = {reason.code for reason in self.reasons}
        return self.crypto is Crypto.OK and not codes & (BROKEN | _UNKNOWN)

    @property
    def regions(self) -> tuple[NodeSet, ...]:
        """Parts of the file that hold."""
        return tuple(r.target for r in self.references if r.holds and r.target is not None)

    def with_reasons(self, more: Sequence[Reason]) -> Examined:
        """Return the same with more reasons."""
        return replace(self, reasons=(*self.reasons, *more))


def examine(
    element: etree._Element, *, id: str, document: Document, content: Mapping[str, bytes], limits: Limits
) -> Examined:
    """Examine a signature; ``content`` is what external references may name."""
    base = Examined(element, id, counters=_counters(element))
    infos, values = element.findall(f"{{{DS}}}SignedInfo"), element.findall(f"{{{DS}}}SignatureValue")
    if len(infos) != 1 or len(values) != 1:
        return base.with_reasons(_malformed("Signature"))
    try:
        value = decode(values[0].text or "")
        octets, info = _signed_info(infos[0], document)
    except (ValueError, etree.XMLSyntaxError):
        return base.with_reasons(_malformed("SignedInfo"))
    except (KeyError, OverBudget) as error:
        name = str(error.args[0]) if error.args else "canonical-octets"
        return base.with_reasons(_unsupported(name))
    listed = info.findall(f"{{{DS}}}Reference")
    if not 1 <= len(listed) <= limits.references:
        return base.with_reasons(_unsupported(f"{len(listed)} references"))
    references = _references(listed, document=document, signature=element, content=content)
    properties = read_properties(element, references)
    reasons = [reason for one in references for reason in one.reasons] + list(properties.reasons)
    checked = _check_value(element, info, octets, value, properties)
    return replace(
        checked,
        id=id,
        counters=base.counters,
        references=references,
        reasons=(*reasons, *checked.reasons),
    )


def _counters(element: etree._Element) -> etree._Element | None:
    parent = element.getparent()
    if parent is None or parent.tag != f"{{{XADES}}}CounterSignature":
        return None
    return next(parent.iterancestors(SIGNATURE), None)


def _malformed(where: str) -> list[Reason]:
    return [Reason(Code.FORMAT_FAILURE), Reason(Code.MALFORMED, {"where": where})]


def _unsupported(name: str) -> list[Reason]:
    facts = {"algorithm": name}
    return [Reason(Code.CRYPTO_CONSTRAINTS_FAILURE, facts), Reason(Code.ALGORITHM_UNSUPPORTED, facts)]


def _signed_info(element: etree._Element, document: Document) -> tuple[bytes, etree._Element]:
    """Return the canonical octets of SignedInfo, and the tree they make.

    Raises:
        ValueError: no canonicalisation method.
        KeyError: one we do not compute.
    """
    methods = element.findall(f"{{{DS}}}CanonicalizationMethod")
    if len(methods) != 1:
        raise ValueError("CanonicalizationMethod")
    form = method_form(methods[0])
    if form is None:
        raise KeyError(methods[0].get("Algorithm", ""))
    octets = document.octets(NodeSet(element, comments=form.comments), form)
    return octets, etree.fromstring(octets, parser())


def _references(
    listed: Sequence[etree._Element],
    *,
    document: Document,
    signature: etree._Element,
    content: Mapping[str, bytes],
) -> tuple[Evaluated, ...]:
    """Evaluate references; those of a manifest follow the reference to it and count only if all hold (W7)."""
    found: list[Evaluated] = []
    for one in listed:
        result = evaluate(one, document=document, signature=signature, content=content)
        found.append(result)
        manifest = result.target.apex if result.target is not None else None
        if manifest is None or (result.type != MANIFEST_TYPE and manifest.tag != f"{{{DS}}}Manifest"):
            continue
        inner = manifest.findall(f"{{{DS}}}Reference") if manifest.tag == f"{{{DS}}}Manifest" else []
        nested = [evaluate(r, document=document, signature=signature, content=content) for r in inner[:100]]
        if len(inner) > 100 or not all(r.holds for r in nested):
            nested = [replace(r, target=None, external=None) for r in nested]
        found += nested
    return tuple(found)


def _check_value(
    element: etree._Element, info: etree._Element, octets: bytes, value: bytes, properties: Properties
) -> Examined:
    """Find the signer's certificate and check the value: the one the properties name, else the one that fits (W6)."""
    given = offered(element)
    candidates = tuple(dict.fromkeys((*given.certificates, *embedded_certificates(properties))))
    base = Examined(element, "", properties=properties, candidates=candidates, value=value)
    named = info.findtext(f"{{{DS}}}SignatureMethod/{{{DS}}}HMACOutputLength")
    uri = info.find(f"{{{DS}}}SignatureMethod")
    method = METHODS.get(uri.get("Algorithm", "")) if uri is not None else None
    if method is None or named is not None:
        return base.with_reasons(_unsupported(uri.get("Algorithm", "") if uri is not None else "-"))
    certificate, mismatch = _signer(candidates, properties, octets, value, method)
    reasons = [Reason(Code.FORMAT_FAILURE), Reason(Code.SIGNING_CERTIFICATE_MISMATCH)] if mismatch else []
    if certificate is None:
        return _with_bare_key(base, given, octets, value, method).with_reasons(reasons)
    key = public_key(certificate)
    if key is None:
        return replace(base, certificate=certificate).with_reasons([*reasons, *_unsupported("certificate")])
    check = check_value(key, value, octets, method)
    if check.crypto is Crypto.BAD:
        reasons.append(Reason(Code.SIG_CRYPTO_FAILURE))
    elif check.crypto is Crypto.UNKNOWN:
        reasons += _unsupported(method.scheme)
    return replace(base, certificate=certificate, crypto=check.crypto, algorithm=check.algorithm).with_reasons(reasons)


def _signer(
    candidates: Sequence[bytes], properties: Properties, octets: bytes, value: bytes, method: Method
) -> tuple[bytes | None, bool]:
    """Return the certificate to check with, and whether the signed reference names another one."""
    if properties.certificate is not None:
        named = next((der for der in candidates if properties.certificate.names(der)), None)
        if named is not None:
            return named, False
    fitting = next((der for der in candidates if _fits(der, octets, value, method)), None)
    chosen = fitting or (candidates[0] if candidates else None)
    return chosen, properties.certificate is not None and chosen is not None


def _fits(certificate: bytes, octets: bytes, value: bytes, method: Method) -> bool:
    key = public_key(certificate)
    return key is not None and check_value(key, value, octets, method).crypto is Crypto.OK


def _with_bare_key(base: Examined, given: Offered, octets: bytes, value: bytes, method: Method) -> Examined:
    """Without a certificate the bytes can still be intact; nobody has signed them, though."""
    checks = [check_value(key, value, octets, method) for key in given.keys]
    good = next((check for check in checks if check.crypto is Crypto.OK), None)
    if good is not None:
        return replace(base, crypto=Crypto.OK, algorithm=good.algorithm)
    if checks:
        return replace(base, crypto=Crypto.BAD).with_reasons([Reason(Code.SIG_CRYPTO_FAILURE)])
    return base


def form_of(examined: Examined, region: NodeSet) -> Form:
    """Return the canonical form in which a region was hashed."""
    return next(r.form for r in examined.references if r.target is region)
