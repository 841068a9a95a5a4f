"""Signed properties of XAdES of any writer and version: what is signed about signer and time (signing.md 5.3, W5, W6).

Versions 1.1.1, 1.2.2, 1.3.1 and 1.3.2 of the namespace are read, with either form of the certificate reference. The
properties count only as this signature's own and signed as such. What deviates from the schema without effect on what
is signed, and by whom, is a warning.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from lxml import etree

from signer.report import Code, Reason
from signer.trust import Context
from signer.xml.certref import CertificateReferences, read_references
from signer.xml.document import Document, NodeSet, text_of
from signer.xml.dsig import DS
from signer.xml.policy import policy_reasons
from signer.xml.references import Evaluated
from signer.xml.unsigned import material, properties_of
from signer.xml.xades import PROPERTIES_TYPE, XADES

BEFORE_1_3_2 = tuple(f"http://uri.etsi.org/01903/v{number}#" for number in ("1.1.1", "1.2.2", "1.3.1"))
NAMESPACES = (XADES, *BEFORE_1_3_2)
_TYPES: Mapping[str, tuple[str, ...]] = {
    XADES: (PROPERTIES_TYPE,),
    **{space: (f"{space}SignedProperties", PROPERTIES_TYPE) for space in BEFORE_1_3_2},
}
"""The ``Type`` of the reference to the properties, by the version of their namespace."""
_NOT_COMPUTED = frozenset({Code.ALGORITHM_UNSUPPORTED, Code.LIMIT_EXCEEDED})
_ANY_TYPE = re.compile(r"http://uri\.etsi\.org/01903(?:/v[\d.]+)?#SignedProperties")


@dataclass(frozen=True, slots=True)
class Properties:
    """What the signed properties say; ``present`` is false for plain XML-DSig.

    ``element`` is the ``QualifyingProperties``, ``signed`` the ``SignedProperties`` in it.
    """

    present: bool = False
    signing_time: datetime | None = None
    certificate: CertificateReferences | None = None
    reasons: tuple[Reason, ...] = ()
    warnings: tuple[Reason, ...] = ()
    element: etree._Element | None = None
    signed: etree._Element | None = None


def read_properties(
    signature: etree._Element, references: Sequence[Evaluated], *, document: Document, context: Context
) -> Properties:
    """Read the properties of a signature; W5: exactly one, its own, and signed as such."""
    found = [e for space in NAMESPACES for e in signature.iter(f"{{{space}}}QualifyingProperties")]
    everywhere = [e for e in found if next(e.iterancestors(f"{{{DS}}}Signature"), None) is signature]
    own = [e for e in everywhere if (holder := e.getparent()) is not None and holder.tag == f"{{{DS}}}Object"]
    own = [e for e in own if (holder := e.getparent()) is not None and holder.getparent() is signature]
    if not everywhere and not any(_is_typed(one) for one in references):
        return Properties()
    signed = own[0].findall(f"{_space(own[0])}SignedProperties") if len(own) == 1 else []
    if len(everywhere) != 1 or len(signed) != 1 or _has_others(signature, signed[0]):
        return Properties(True, reasons=_invalid("QualifyingProperties"))
    faults, deviations = _check(signature, own[0], signed[0], references)
    return _read(own[0], signed[0], faults=faults, deviations=deviations, document=document, context=context)


def _has_others(signature: etree._Element, signed: etree._Element) -> bool:
    """Tell whether other ``SignedProperties`` stand in the signature, outside of signatures in it."""
    found = [e for space in NAMESPACES for e in signature.iter(f"{{{space}}}SignedProperties") if e is not signed]
    return any(next(e.iterancestors(f"{{{DS}}}Signature"), None) is signature for e in found)


def _space(element: etree._Element) -> str:
    return f"{{{etree.QName(element).namespace}}}"


def _is_typed(reference: Evaluated) -> bool:
    return _ANY_TYPE.fullmatch(reference.type or "") is not None


def _read(
    qualifying: etree._Element,
    signed: etree._Element,
    *,
    faults: Sequence[str],
    deviations: Sequence[str],
    document: Document,
    context: Context,
) -> Properties:
    space = _space(qualifying)
    holder = signed.find(f"{space}SignedSignatureProperties")
    about = list(holder.iterchildren(etree.Element)) if holder is not None else []
    times = [e for e in about if e.tag == f"{space}SigningTime"]
    time = _time(text_of(times[0])) if len(times) == 1 else None
    identifier = next((e for e in about if e.tag == f"{space}SignaturePolicyIdentifier"), None)
    reasons = _invalid(faults[0]) if faults else ()
    reasons = (*reasons, *policy_reasons(identifier, _stored_policy(qualifying, document), context=context))
    certificate: CertificateReferences | None = None
    try:
        certificate = read_references([e for e in about if str(e.tag).startswith(space)])
    except ValueError:
        reasons = (*reasons, *_invalid("SigningCertificate"))
    if times and time is None:
        deviations = (*deviations, "SigningTime")
    warnings = tuple(Reason(Code.PROPERTIES_DEVIATE, {"where": where}) for where in dict.fromkeys(deviations))
    return Properties(True, time, certificate, reasons, warnings, qualifying, signed)


def _invalid(where: str) -> tuple[Reason, ...]:
    return (Reason(Code.FORMAT_FAILURE), Reason(Code.SIGNED_PROPERTIES_INVALID, {"where": where}))


def _stored_policy(qualifying: etree._Element, document: Document) -> str | None:
    """Return the text of the policy document in the signature's own store."""
    for one in properties_of(qualifying):
        if etree.QName(one).localname == "SignaturePolicyStore":
            held = one.find(f"{_space(one)}SignaturePolicyDocument")
            return document.text(NodeSet(held)) if held is not None else None
    return None


# --- W5 --------------------------------------------------------------------------------------------------------------


def _check(
    signature: etree._Element, qualifying: etree._Element, signed: etree._Element, references: Sequence[Evaluated]
) -> tuple[list[str], list[str]]:
    """Return what makes the properties invalid, and what is unusual without effect."""
    faults: list[str] = []
    deviations: list[str] = []
    for found, where in (
        (_target(signature, qualifying), "Target"),
        (_reference(etree.QName(qualifying).namespace or "", signed, references), "reference to SignedProperties"),
        *((one, "DataObjectFormat") for one in _formats(signed, references)),
        *((one, "IndividualDataObjectsTimeStamp") for one in _included(signed, references)),
    ):
        if found is not None:
            (deviations if found else faults).append(where)
    return faults, deviations


def _target(signature: etree._Element, qualifying: etree._Element) -> bool | None:
    """``None``: names this signature; true: meant to; false: names something else."""
    target, own = qualifying.get("Target") or "", signature.get("Id") or ""
    if target == f"#{own}" and own:
        return None
    meant = target.removeprefix("#").lower() in {"", own.lower()}
    taken = target.startswith("#") and any(
        e.get("Id") == target[1:] for e in signature.getroottree().iter(etree.Element)
    )
    return meant and not taken


def _reference(space: str, signed: etree._Element, references: Sequence[Evaluated]) -> bool | None:
    """``None``: referenced as the standard asks; true: with the ``Type`` of another version; false: not, or twice."""
    typed = [one for one in references if _is_typed(one) and not one.in_manifest]
    pointing = [
        one for one in references if one.target is not None and one.target.apex is signed and not one.in_manifest
    ]
    if any({reason.code for reason in one.reasons} & _NOT_COMPUTED for one in typed):
        return None  # it is not known where it points, and the signature is not computable
    if any(one.target is None or one.target.apex is not signed for one in typed) or len(typed) > 1 or not pointing:
        return False
    if not typed:
        return space in BEFORE_1_3_2 and not pointing[0].type
    return None if typed[0].type in _TYPES[space] else True


def _formats(signed: etree._Element, references: Sequence[Evaluated]) -> list[bool | None]:
    """W5: each format is of a reference. Some name what the reference points at, or leave the ``#`` out."""
    space = _space(signed)
    names, places = {one.id for one in references if one.id}, {one.uri for one in references if one.uri}
    found: list[bool | None] = []
    for one in signed.iterfind(f"{space}SignedDataObjectProperties/{space}DataObjectFormat"):
        name = one.get("ObjectReference")
        if name is None:
            found.append(True)
        elif name.startswith("#") and name[1:] in names:
            found.append(None)
        else:
            found.append(name in names or name in places)
    return found


def _included(signed: etree._Element, references: Sequence[Evaluated]) -> list[bool | None]:
    space, names = _space(signed), {one.id for one in references if one.id}
    places = {one.uri for one in references if one.uri}
    path = f"{space}SignedDataObjectProperties/{space}IndividualDataObjectsTimeStamp"
    found: list[bool | None] = []
    for stamp in signed.iterfind(path):
        for one in stamp.iterchildren(f"{space}Include", f"{space}HashDataInfo"):
            uri = one.get("URI") or one.get("uri") or ""
            found.append(None if uri.startswith("#") and uri[1:] in names else uri in names or uri in places)
    return found


def _time(text: str) -> datetime | None:
    """Read ``xs:dateTime``; a time without offset is taken as UTC, since a claimed time proves nothing anyway."""
    trimmed = re.sub(r"\.(\d{1,6})\d*", lambda found: "." + found[1].ljust(6, "0"), text.strip())
    try:
        moment = datetime.fromisoformat(trimmed)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def embedded_certificates(properties: Properties, document: Document) -> tuple[bytes, ...]:
    """Return the certificates in the unsigned properties; they are offered, not trusted."""
    if properties.element is None:
        return ()
    return material(properties_of(properties.element), document, nested=False).certificates
