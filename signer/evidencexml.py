"""Evidence records in XML (RFC 6283): read into the same form as those of RFC 4998, the renewals in canonical XML."""

from __future__ import annotations

from copy import deepcopy

from lxml import etree

from signer.errors import InputRefused
from signer.evidencerecord import STAMPS_MAX, ArchiveStamp, Chain, Record, examine_record
from signer.judge import FileFacts, judge_signature, report_of
from signer.report import Code, Reason, Report
from signer.safexml import parse_foreign
from signer.trust import Context, Limits
from signer.xml.c14n import FORMS, Form
from signer.xml.document import Document, NodeSet, OverBudget
from signer.xml.dsig import DIGESTS, decode

ERS = "urn:ietf:params:xml:ns:ers"
_E = f"{{{ERS}}}"


def read_xml_record(data: bytes, *, limits: Limits | None = None) -> Record:
    """Read an EvidenceRecord in XML.

    Raises:
        ValueError: it is not one, or uses what is not known.
    """
    try:
        skeleton, root = parse_foreign(data, limits=limits or Limits())
    except InputRefused:
        raise ValueError("not XML") from None
    if root.tag != f"{_E}EvidenceRecord" or root.find(f"{_E}EncryptionInformation") is not None:
        raise ValueError("not an evidence record")
    sequence = root.find(f"{_E}ArchiveTimeStampSequence")
    listed = _ordered(sequence, "ArchiveTimeStampChain") if sequence is not None else []
    if sequence is None or not listed:
        raise ValueError("an evidence record without stamps")
    document = Document.of(root, skeleton, size=len(data))
    try:
        chains = tuple(_chain(one, number, sequence, document) for number, one in enumerate(listed))
    except OverBudget:
        raise ValueError("too much to canonicalise") from None
    if sum(len(one.stamps) for one in chains) > STAMPS_MAX:
        raise ValueError("too many stamps")
    return Record(chains)


def _ordered(parent: etree._Element, name: str) -> list[etree._Element]:
    """Return children in the order they state."""
    found = parent.findall(_E + name)
    try:
        return sorted(found, key=lambda one: int(one.get("Order") or ""))
    except ValueError:
        return found


def _chain(element: etree._Element, number: int, sequence: etree._Element, document: Document) -> Chain:
    method, form = element.find(f"{_E}DigestMethod"), element.find(f"{_E}CanonicalizationMethod")
    digest = DIGESTS.get(method.get("Algorithm") or "") if method is not None else None
    canonical = FORMS.get(form.get("Algorithm") or "") if form is not None else None
    if digest is None or canonical is None:
        raise ValueError("an algorithm that is not known")
    stamps = tuple(_stamp(one, digest, canonical, document) for one in _ordered(element, "ArchiveTimeStamp"))
    if not stamps:
        raise ValueError("a chain without stamps")
    before = _before(sequence, number, canonical) if number else ()
    return Chain(stamps, before, exact=False, canonical=lambda content: _canonical(content, canonical))


def _canonical(content: bytes, form: Form) -> bytes | None:
    """Return an object that is XML in canonical form; ``None`` if it is something else."""
    try:
        skeleton, root = parse_foreign(content, limits=Limits())
        document = Document.of(root, skeleton, size=len(content))
        return document.octets(NodeSet(None), form)
    except (InputRefused, OverBudget):
        return None


def _stamp(element: etree._Element, digest: str, canonical: Form, document: Document) -> ArchiveStamp:
    stamp = element.find(f"{_E}TimeStamp")
    token = stamp.find(f"{_E}TimeStampToken") if stamp is not None else None
    if stamp is None or token is None:
        raise ValueError("a stamp without token")
    tree = element.find(f"{_E}HashTree")
    lists = [] if tree is None else _ordered(tree, "Sequence")
    hashes = tuple(tuple(decode(one.text or "") for one in part.findall(f"{_E}DigestValue")) for part in lists)
    if len(hashes) > STAMPS_MAX or any(not part for part in hashes):
        raise ValueError("damaged hash tree")
    text = document.skeleton.runs.get(token.text or "", (token.text or "").encode("utf-8"))
    octets = document.octets(NodeSet(stamp), canonical)
    return ArchiveStamp(digest, hashes, decode(text.decode("utf-8")), octets)


def _before(sequence: etree._Element, number: int, canonical: Form) -> tuple[bytes, ...]:
    """Return the canonical sequence with the first chains alone: white space behind the last one kept, or not."""
    forms = []
    for keep in (True, False):
        root = deepcopy(sequence.getroottree().getroot())
        copy = root.find(f"{_E}ArchiveTimeStampSequence")
        assert copy is not None  # the original is there
        for chain in _ordered(copy, "ArchiveTimeStampChain")[number:]:
            previous = chain.getprevious()
            if keep and previous is not None:
                previous.tail = (previous.tail or "") + (chain.tail or "")
            chain.tail = None
            copy.remove(chain)
        text = etree.tostring(root)
        again, parsed = parse_foreign(text, limits=Limits())
        found = parsed.find(f"{_E}ArchiveTimeStampSequence")
        assert found is not None  # as above
        forms.append(Document.of(parsed, again, size=len(text)).octets(NodeSet(found), canonical))
    return tuple(dict.fromkeys(forms))


def inspect_xml_record(data: bytes, *, context: Context) -> Report:
    """Judge an evidence record in XML over the contents given; never raises for what the file contains."""
    try:
        record = read_xml_record(data, limits=context.limits)
    except ValueError:
        reason = Reason(Code.MALFORMED, {"where": "EvidenceRecord"})
        return report_of(FileFacts("xml", None, data, reasons=(reason,), broken=True), (), context=context)
    facts, _ = examine_record("evidence-0", record, [one.data for one in context.contents], context)
    return report_of(
        FileFacts("xml", "EvidenceRecord", data), [judge_signature(facts, context=context)], context=context
    )
