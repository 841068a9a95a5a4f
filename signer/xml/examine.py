"""Examine one XML signature of any writer: references, SignedInfo, value, properties (signing.md 5.2, 5.5).

SignedInfo is canonicalised from the file and parsed again from those octets; only what these octets say counts (N3).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from lxml import etree

from signer.judge import Stamp
from signer.report import Algorithm, Code, Crypto, Reason
from signer.safexml import parser
from signer.trust import Context, TrustStore
from signer.xml import counter
from signer.xml.document import Document, NodeSet, OverBudget, text_of
from signer.xml.dsig import DS, decode, method_of, public_key
from signer.xml.keyinfo import given_keys, offered
from signer.xml.properties import Properties, embedded_certificates, read_properties
from signer.xml.references import Evaluated, Setting, evaluate, method_form, over_limit
from signer.xml.stamps import Listed, Scene, find_stamps
from signer.xml.unsigned import material, properties_of
from signer.xml.values import Method, Secret, ValueCheck, check_value

BROKEN = frozenset({Code.FORMAT_FAILURE, Code.HASH_FAILURE, Code.SIG_CRYPTO_FAILURE})
MANIFEST_DEPTH = 3
"""Manifests in manifests that are followed."""
_MANIFEST = f"{{{DS}}}Manifest"
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
    crls: tuple[bytes, ...] = ()  # beside the certificates in KeyInfo
    reasons: tuple[Reason, ...] = ()
    warnings: tuple[Reason, ...] = ()
    counters: etree._Element | None = None  # the signature this one is a counter-signature of
    stamps: tuple[Stamp, ...] = ()
    embedded: TrustStore = field(default_factory=TrustStore)  # validation data in the unsigned properties
    scene: Scene | None = None  # where its stamps stand
    stowed: bool = False  # elements that nobody signed stand in a signature of the file

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
    element: etree._Element, *, id: str, document: Document, content: Mapping[str, bytes], context: Context
) -> Examined:
    """Examine a signature; ``content`` is what external references may name."""
    base = Examined(element, id, counters=counter.by_place(element))
    infos, values = element.findall(f"{{{DS}}}SignedInfo"), element.findall(f"{{{DS}}}SignatureValue")
    if len(infos) != 1 or len(values) != 1:
        return base.with_reasons(_malformed("Signature"))
    setting = Setting(document, element, content, document.budget(), context.limits)
    try:
        value = decode(text_of(values[0]))
        octets, info = _signed_info(infos[0], setting)
    except (ValueError, etree.XMLSyntaxError):
        return base.with_reasons(_malformed("SignedInfo"))
    except OverBudget:
        return base.with_reasons(over_limit("canonical-octets"))
    except KeyError as error:
        return base.with_reasons(_unsupported(str(error.args[0])))
    listed = info.findall(f"{{{DS}}}Reference")
    if not listed:
        return base.with_reasons(_malformed("SignedInfo"))
    if len(listed) > context.limits.references:
        return base.with_reasons(over_limit("references"))
    originals = infos[0].findall(f"{{{DS}}}Reference")
    references = _references(listed, originals, setting)
    properties = read_properties(element, references, document=document, context=context)
    reasons = [reason for one in references for reason in one.reasons] + list(properties.reasons)
    checked = _compared(_check_value(info, octets, value, properties, setting=setting, context=context))
    if base.counters is None and counter.claims(references):
        base = replace(base, counters=counter.by_type(element, references))
        if base.counters is None:
            reasons += [Reason(Code.FORMAT_FAILURE), Reason(Code.COUNTER_SIGNATURE_BROKEN)]
    examined = replace(
        checked,
        id=id,
        counters=base.counters,
        references=references,
        reasons=(*reasons, *checked.reasons),
        warnings=(*properties.warnings, *checked.warnings),
    )
    return _with_stamps(examined, listed, originals, setting)


def _compared(checked: Examined) -> Examined:
    """Compare the certificate with what the signer said of it (W6)."""
    if checked.properties.certificate is None or checked.certificate is None:
        return checked
    against, noticed = checked.properties.certificate.compare(checked.certificate)
    known = {reason.code for reason in checked.reasons}
    reasons = [] if Code.SIGNING_CERTIFICATE_MISMATCH in known else against
    return replace(checked, warnings=(*checked.warnings, *noticed)).with_reasons(reasons)


def _with_stamps(
    examined: Examined, listed: Sequence[etree._Element], originals: Sequence[etree._Element], setting: Setting
) -> Examined:
    """Add the time stamps and the validation data that stand in the properties."""
    qualifying, signed = examined.properties.element, examined.properties.signed
    if qualifying is None:
        return examined
    same = len(listed) == len(originals)
    uri = f"#{signed.get('Id')}" if signed is not None else None
    scene = Scene(
        examined.id,
        setting,
        tuple(
            Listed(one, originals[n] if same else None, to_properties=one.get("URI") == uri or _is_typed(one))
            for n, one in enumerate(listed)
        ),
        qualifying,
    )
    found = find_stamps(scene)
    store = material(properties_of(qualifying), setting.document, nested=False).store
    warnings = (*examined.warnings, *found.warnings)
    return replace(examined, stamps=found.stamps, embedded=store, scene=scene, warnings=warnings)


def _is_typed(reference: etree._Element) -> bool:
    return (reference.get("Type") or "").endswith("#SignedProperties")


def _malformed(where: str) -> list[Reason]:
    return [Reason(Code.FORMAT_FAILURE), Reason(Code.MALFORMED, {"where": where})]


def _unsupported(name: str) -> list[Reason]:
    facts = {"algorithm": name}
    return [Reason(Code.CRYPTO_CONSTRAINTS_FAILURE, facts), Reason(Code.ALGORITHM_UNSUPPORTED, facts)]


def _signed_info(element: etree._Element, setting: Setting) -> tuple[bytes, etree._Element]:
    """Return the canonical octets of SignedInfo, and the tree they make.

    Raises:
        ValueError: no canonicalisation method.
        KeyError: one we do not compute.
        OverBudget: longer than is allowed.
    """
    methods = element.findall(f"{{{DS}}}CanonicalizationMethod")
    if len(methods) != 1:
        raise ValueError("CanonicalizationMethod")
    form = method_form(methods[0])
    if form is None:
        raise KeyError(methods[0].get("Algorithm", ""))
    octets = setting.document.octets(NodeSet(element, comments=form.comments), form, setting.budget)
    return octets, etree.fromstring(octets, parser())


def _references(
    listed: Sequence[etree._Element], originals: Sequence[etree._Element], setting: Setting
) -> tuple[Evaluated, ...]:
    """Evaluate references; those of a manifest follow the reference to it and count only if all hold (W7)."""
    found: list[Evaluated] = []
    for position, one in enumerate(listed):
        original = originals[position] if len(originals) == len(listed) else None
        result = evaluate(one, setting=setting, original=original)
        found.append(result)
        if result.holds and result.target is not None and result.target.apex is not None:
            found += _in_manifests(result.target.apex, setting, depth=MANIFEST_DEPTH)
    return tuple(found)


def _in_manifests(apex: etree._Element, setting: Setting, *, depth: int) -> list[Evaluated]:
    """Evaluate the references of a manifest, or of the manifests in an object; nested ones as well."""
    manifests = [apex] if apex.tag == _MANIFEST else apex.findall(_MANIFEST) if apex.tag == f"{{{DS}}}Object" else []
    found: list[Evaluated] = []
    for manifest in manifests:
        listed = manifest.findall(f"{{{DS}}}Reference")
        if len(listed) > setting.limits.references or depth == 0:
            found.append(Evaluated("", None, None, None, None, None, reasons=over_limit("references")))
            continue
        nested = []
        for one in listed:
            result = evaluate(one, setting=setting, original=one)
            nested.append(result)
            inner = result.target.apex if result.holds and result.target is not None else None
            if inner is not None and inner is not apex:
                nested += _in_manifests(inner, setting, depth=depth - 1)
        if not all(one.holds for one in nested):
            nested = [_of_failed_manifest(one) for one in nested]
        found += [replace(one, in_manifest=True) for one in nested]
    return found


def _of_failed_manifest(one: Evaluated) -> Evaluated:
    """Nothing is covered through a manifest of which one reference fails."""
    reasons = one.reasons
    if any(reason.code is Code.HASH_FAILURE for reason in reasons):
        reasons = (*reasons, Reason(Code.MANIFEST_MISMATCH, {"name": one.uri or "document"}))
    return replace(one, target=None, external=None, text=None, reasons=reasons)


# --- the value -------------------------------------------------------------------------------------------------------


def _check_value(
    info: etree._Element,
    octets: bytes,
    value: bytes,
    properties: Properties,
    *,
    setting: Setting,
    context: Context,
) -> Examined:
    """Find the signer's certificate and check the value: the one the properties name, else the one that fits (W6)."""
    given = offered(setting.signature, document=setting.document, context=context, content=setting.content)
    candidates = (*given.certificates, *embedded_certificates(properties, setting.document), *given.named)
    candidates = tuple(dict.fromkeys((*candidates, *_known(candidates, properties, context))))
    base = Examined(setting.signature, "", properties=properties, candidates=candidates, value=value, crls=given.crls)
    methods = info.findall(f"{{{DS}}}SignatureMethod")
    if len(methods) != 1:
        return base.with_reasons(_malformed("SignatureMethod"))
    try:
        method = method_of(methods[0])
    except KeyError as error:
        return base.with_reasons(_unsupported(str(error.args[0])))
    except ValueError as error:
        return base.with_reasons(_malformed(str(error)))
    if method.scheme == "hmac":
        keys: tuple[object, ...] = tuple(Secret(secret) for secret in context.secrets)
        return _with_bare_key(base, keys, octets, value, method) if keys else base.with_reasons(_unsupported("HMAC"))
    certificate, mismatch = _signer(candidates, properties, octets, value, method)
    if mismatch and certificate not in given.certificates and not _fits(certificate, octets, value, method):
        certificate, mismatch = None, False  # authorities beside the signature; the signer's is not at hand
    keys = given.keys or (() if given.certificates or certificate else given_keys(context))
    if mismatch:
        base = base.with_reasons([Reason(Code.FORMAT_FAILURE), Reason(Code.SIGNING_CERTIFICATE_MISMATCH)])
    if properties.certificate is not None and certificate is not None:
        keys = ()  # the signer said whose key it is
    if certificate is None or (keys and not mismatch and not _fits(certificate, octets, value, method)):
        bare = _with_bare_key(base, keys, octets, value, method)
        if certificate is None or bare.crypto is Crypto.OK:
            return bare
    return _with_certificate(base, certificate, octets, value, method)


def _known(candidates: Sequence[bytes], properties: Properties, context: Context) -> tuple[bytes, ...]:
    """Return certificates given by the caller that the signed properties name, if the signature brings none of them."""
    wanted = properties.certificate
    if wanted is None or any(wanted.names(der) for der in candidates):
        return ()
    known = (*context.trust.intermediates, *(anchor.certificate for anchor in context.trust.anchors))
    return tuple(der for der in known if wanted.names(der))


def _with_certificate(base: Examined, certificate: bytes, octets: bytes, value: bytes, method: Method) -> Examined:
    key = public_key(certificate)
    if key is None:
        return replace(base, certificate=certificate).with_reasons(_unsupported("certificate"))
    return replace(_concluded(base, check_value(key, value, octets, method), method), certificate=certificate)


def _concluded(base: Examined, check: ValueCheck, method: Method) -> Examined:
    reasons: list[Reason] = []
    if check.crypto is Crypto.BAD:
        reasons.append(Reason(Code.SIG_CRYPTO_FAILURE))
    elif check.crypto is Crypto.UNKNOWN:
        reasons += _unsupported(method.scheme)
    warnings = (Reason(Code.SIGNATURE_VALUE_DER),) if check.der else ()
    return replace(base, crypto=check.crypto, algorithm=check.algorithm, warnings=warnings).with_reasons(reasons)


def _signer(
    candidates: Sequence[bytes], properties: Properties, octets: bytes, value: bytes, method: Method
) -> tuple[bytes | None, bool]:
    """Return the certificate to check with, and whether the signed reference names another one."""
    if properties.certificate is not None:
        named = [der for der in candidates if properties.certificate.names(der)]
        if named:  # the older form may name the whole path: the signer's is the one that fits
            return next((der for der in named if len(named) > 1 and _fits(der, octets, value, method)), named[0]), False
    fitting = next((der for der in candidates if _fits(der, octets, value, method)), None)
    chosen = fitting or (candidates[0] if candidates else None)
    return chosen, properties.certificate is not None and chosen is not None


def _fits(certificate: bytes | None, octets: bytes, value: bytes, method: Method) -> bool:
    key = public_key(certificate) if certificate is not None else None
    return key is not None and check_value(key, value, octets, method).crypto is Crypto.OK


def _with_bare_key(base: Examined, keys: Sequence[object], octets: bytes, value: bytes, method: Method) -> Examined:
    """Without a certificate the bytes can still be intact; nobody has signed them, though."""
    checks = [check_value(key, value, octets, method) for key in keys]
    for wanted in (Crypto.OK, Crypto.BAD, Crypto.UNKNOWN):
        found = next((check for check in checks if check.crypto is wanted), None)
        if found is not None:
            return _concluded(base, found, method)
    return base
