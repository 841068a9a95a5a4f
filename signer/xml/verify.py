"""Judge any signed XML, and hand back what was signed (signing.md 5.2, 5.5).

``inspect_xml`` reports and never raises for what the file contains. ``verify_xml`` must be told what has to be covered
and returns a tree rebuilt from the octets that were hashed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from lxml import etree

from signer.errors import InputRefused, LimitExceeded, NotVerified
from signer.judge import Facts, FileFacts, Judged, judge_signature, report_of
from signer.report import Code, Covers, Crypto, Integrity, Reason, Report, Verdict
from signer.safexml import parse_foreign, parser
from signer.trust import Context, TrustStore
from signer.xml.coverage import extent, wrapping
from signer.xml.document import SIGNATURE, Document, NodeSet
from signer.xml.dsig import DS, digest_label
from signer.xml.examine import BROKEN, Examined, examine

_TOKEN = object()


@dataclass(frozen=True, slots=True)
class VerifiedXml:
    """What a valid signature covers: ``tree`` is rebuilt from the octets that were hashed. Made here only."""

    tree: etree._Element
    covered: tuple[str, ...]
    excluded: tuple[str, ...]
    external: Mapping[str, str]  # name of detached content, its SHA-256
    certificate: bytes  # DER
    report: Report
    made_by: object = field(repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.made_by is not _TOKEN:
            raise TypeError("verified values come from verification only")


@dataclass(frozen=True)
class XmlFindings:
    """Signatures of a file as examined and judged; ``document`` is ``None`` if the file cannot be read."""

    report: Report
    document: Document | None = None
    examined: tuple[Examined, ...] = ()
    judged: tuple[Judged, ...] = ()


def inspect_xml(
    data: bytes, *, context: Context, content: Mapping[str, bytes] | None = None, kind: str = "xml"
) -> Report:
    """Judge every signature of an XML file; ``content`` is detached content by the exact name references use."""
    return find(data, context=context, content=content, kind=kind).report


def verify_xml(
    data: bytes, *, covers: str, context: Context, content: Mapping[str, bytes] | None = None
) -> VerifiedXml:
    """Return what is signed, if the file is valid and one signature covers ``covers``.

    ``covers`` is the document element's name (local, or ``{namespace}local``), or a path as reports write it.

    Raises:
        NotVerified: the verdict is not *valid*, or no signature covers what was asked for.
        InputRefused, LimitExceeded: not XML we read at all.
    """
    parse_foreign(data, limits=context.limits)
    findings = find(data, context=context, content=content)
    if findings.report.verdict is Verdict.VALID and findings.document is not None:
        for one in findings.examined:
            region = _covering(one, findings.document, covers)
            if region is not None and one.certificate is not None:
                return _verified(one, region, findings, _given(context) if content is None else content)
    code = findings.report.reasons[0].code if findings.report.reasons else Code.PARTIAL_COVERAGE
    raise NotVerified("EDOC-SIG-001", f"not verified: {code}", findings.report, reason=code.value)


def find(
    data: bytes, *, context: Context, content: Mapping[str, bytes] | None = None, kind: str = "xml"
) -> XmlFindings:
    """Examine and judge a file."""
    try:
        skeleton, root = parse_foreign(data, limits=context.limits)
    except InputRefused as error:
        over = isinstance(error, LimitExceeded)
        facts = {"limit": str(error.facts.get("limit", "-"))} if over else {}
        reasons = [Reason(Code.LIMIT_EXCEEDED if over else Code.UNREADABLE, facts)]
        if error.code == "EDOC-XML-003":
            reasons.append(Reason(Code.DOCTYPE_REFUSED))
        return XmlFindings(report_of(FileFacts(kind, None, data, reasons=tuple(reasons)), (), context=context))
    document = Document.of(root, skeleton, size=len(data))
    warnings = _file_warnings(document)
    if kind == "edxml":
        file = FileFacts(kind, "edXML", data, warnings=(*warnings, *_placeholders(root)))
        return XmlFindings(report_of(file, (), context=context), document)
    if len(document.signatures) > context.limits.signatures:
        reason = Reason(Code.LIMIT_EXCEEDED, {"limit": "signatures"})
        return XmlFindings(report_of(FileFacts(kind, "XML", data, reasons=(reason,)), (), context=context), document)
    examined = _examined(document, context, content)
    judged = tuple(judge_signature(facts_of(one, document), context=context) for one in examined)
    name = "XAdES" if any(one.properties.present for one in examined) else "XML-DSig" if examined else "XML"
    file = FileFacts(kind, name, data, warnings=warnings)
    return XmlFindings(report_of(file, judged, context=context), document, examined, judged)


def _file_warnings(document: Document) -> tuple[Reason, ...]:
    has_doctype = document.root.getroottree().docinfo.internalDTD is not None
    return (Reason(Code.DOCTYPE_PRESENT),) if has_doctype else ()


def _placeholders(root: etree._Element) -> tuple[Reason, ...]:
    """Signature elements of the edXML header are placeholders (edxml.md 8): noticed, never verified."""
    names = {"Signature", "DigitalSignature"}
    found = any(etree.QName(e).localname in names and (len(e) or e.text) for e in root.iter(etree.Element))
    return (Reason(Code.HEADER_SIGNATURE_PLACEHOLDER),) if found else ()


def examine_file(
    data: bytes, *, context: Context, content: Mapping[str, bytes]
) -> tuple[Document, tuple[Examined, ...]]:
    """Examine the signatures of a file over detached content, without judging who and when.

    Raises:
        InputRefused, LimitExceeded: not XML we read, or too many signatures.
    """
    skeleton, root = parse_foreign(data, limits=context.limits)
    document = Document.of(root, skeleton, size=len(data))
    if len(document.signatures) > context.limits.signatures:
        found = str(len(document.signatures))
        raise LimitExceeded("EDOC-XML-002", "too many signatures", limit="signatures", value=found, unit="")
    return document, _examined(document, context, content)


def _examined(document: Document, context: Context, content: Mapping[str, bytes] | None) -> tuple[Examined, ...]:
    """Examine each signature; detached content may be as many files as a container has (signing.md 5.2)."""
    limits = context.limits
    if content is not None:
        limits = replace(limits, references=max(limits.references, limits.zip_members))
    context = replace(context, limits=limits)
    given = _given(context) if content is None else content
    names: list[str] = []
    found = []
    for number, element in enumerate(document.signatures, start=1):
        name = element.get("Id") or f"signature-{number}"
        names.append(name if name not in names else f"{name}-{number}")
        found.append(examine(element, id=names[-1], document=document, content=given, context=context))
    return _archived_with(wrapping(found, document))


def _archived_with(examined: Sequence[Examined]) -> tuple[Examined, ...]:
    """Let a counter-signature share the archive stamps over it, and the validation data of what it stands in."""
    by_element = {one.element: one for one in examined}
    result = []
    for one in examined:
        digest = hashlib.sha256(one.value).hexdigest()
        around = [by_element[e] for e in one.element.iterancestors(SIGNATURE) if e in by_element]
        if one.counters is None or not around:
            result.append(one)
            continue
        shared = [s for other in around for s in other.stamps if s.kind == "archive" and digest in s.covers]
        stamps = (*one.stamps, *(replace(stamp, id=f"{one.id}-{stamp.id}") for stamp in shared))
        embedded, candidates = one.embedded, one.candidates
        for other in around:
            embedded, candidates = embedded.merged(other.embedded), (*candidates, *other.candidates)
        candidates = tuple(dict.fromkeys(candidates))
        result.append(replace(one, stamps=stamps, embedded=embedded, candidates=candidates))
    return tuple(result)


def _given(context: Context) -> Mapping[str, bytes]:
    """Return the contents the caller gave, by name; of two under one name the first counts."""
    return {one.name: one.data for one in reversed(context.contents)}


def facts_of(one: Examined, document: Document) -> Facts:
    """Return what ``signer.judge`` needs to know about an examined signature."""
    codes = {reason.code for reason in one.reasons}
    integrity = Integrity.INTACT
    if codes & BROKEN:
        integrity = Integrity.BROKEN
    elif not one.is_intact:
        integrity = Integrity.UNKNOWN
    covers, covered = extent(one, document)
    warnings = list(one.warnings)
    if covers is Covers.PARTIAL:
        warnings.append(Reason(Code.PARTIAL_COVERAGE, {"covered": ", ".join(covered) or "-"}))
    crypto = Crypto.UNKNOWN if integrity is Integrity.UNKNOWN else one.crypto
    if codes & {Code.HASH_FAILURE, Code.SIG_CRYPTO_FAILURE}:
        crypto = Crypto.BAD
    return Facts(
        id=one.id,
        crypto=crypto,
        integrity=integrity,
        covers=covers,
        level="XAdES-B-B" if _has_signed_properties(one) else "XMLDSIG",
        certificate=one.certificate,
        algorithm=one.algorithm,
        digests=tuple(dict.fromkeys(digest_label(r.digest) for r in one.references if r.digest)),
        candidates=one.candidates,
        embedded=one.embedded.merged(TrustStore(crls=one.crls)),
        signing_time=one.properties.signing_time,
        structural=one.reasons,
        stamps=one.stamps,
        warnings=tuple(warnings),
        covered=covered if covers is Covers.PARTIAL else (),
        value_sha256=hashlib.sha256(one.value).hexdigest() if one.value else None,
    )


def _has_signed_properties(one: Examined) -> bool:
    """Tell whether it is XAdES: signed properties, and a signed word about the signer's certificate (BES, B-B)."""
    key_info = one.element.find(f"{{{DS}}}KeyInfo")
    is_signed = any(region.apex is key_info and key_info is not None for region in one.regions)
    return one.properties.signed is not None and (one.properties.certificate is not None or is_signed)


def _covering(one: Examined, document: Document, covers: str) -> NodeSet | None:
    root = document.root
    for region in one.regions:
        apex = region.apex if region.apex is not None else root
        if covers.startswith("/") and document.path(apex) == covers:
            return region
        if apex is root and covers in {str(root.tag), etree.QName(root).localname}:
            return region
    return None


def _verified(one: Examined, region: NodeSet, findings: XmlFindings, content: Mapping[str, bytes]) -> VerifiedXml:
    document = findings.document
    assert document is not None
    assert one.certificate is not None
    reference = next(r for r in one.references if r.target is region)
    octets = b"".join(document.skeleton_pieces(region, reference.form))
    if not document.agrees(region, reference.form, octets):
        raise NotVerified(
            "EDOC-SIG-001", "two readings of one document differ", findings.report, reason="READINGS_DIFFER"
        )
    tree = etree.fromstring(octets, parser())
    document.skeleton.put_back(tree)
    _, covered = extent(one, document)
    names = [r.external for r in one.references if r.holds and r.external is not None]
    return VerifiedXml(
        tree=tree,
        covered=covered,
        excluded=tuple(document.path(element) for element in region.omit),
        external={name: hashlib.sha256(content[name]).hexdigest() for name in names if name in content},
        certificate=one.certificate,
        report=findings.report,
        made_by=_TOKEN,
    )
