"""See what is signed: what signatures cover, and the ways to be misled about it (signing.md 5.5, W1 to W4, W8).

Runs after the mathematics of all signatures, because an element counts as covered by any intact one.
"""

from __future__ import annotations

from collections.abc import Sequence

from lxml import etree

from signer.report import Code, Covers, Reason
from signer.xml.document import SIGNATURE, Document, NodeSet
from signer.xml.dsig import DS
from signer.xml.examine import Examined
from signer.xml.xades import XADES

_OBJECT = f"{{{DS}}}Object"
_QUALIFYING = f"{{{XADES}}}QualifyingProperties"


def wrapping(examined: Sequence[Examined], document: Document) -> tuple[Examined, ...]:
    """Return the signatures with what is misleading about their coverage added to their reasons."""
    covered = covered_elements([region for one in examined if one.is_intact for region in one.regions], document)
    twice = document.duplicate_id()
    result = []
    for one in examined:
        reasons: list[Reason] = []
        if twice is not None:
            reasons += [Reason(Code.FORMAT_FAILURE), Reason(Code.DUPLICATE_ID, {"id": twice})]
        path = _misplaced(one, document) or _fake_object(one) or _twin(one, document, covered)
        if path is not None:
            reasons += [Reason(Code.FORMAT_FAILURE), Reason(Code.XML_WRAPPING, {"path": path})]
        if one.is_intact and _covers_no_content(one):
            reasons += [Reason(Code.FORMAT_FAILURE), Reason(Code.CONTENT_NOT_SIGNED, {"name": "/"})]
        if one.counters is not None and not _is_counter_signature(one):
            reasons += [Reason(Code.FORMAT_FAILURE), Reason(Code.COUNTER_SIGNATURE_BROKEN)]
        result.append(one.with_reasons(reasons))
    return tuple(result)


def covered_elements(regions: Sequence[NodeSet], document: Document) -> set[etree._Element]:
    """Return every element that one of the regions covers."""
    covered: set[etree._Element] = set()
    for region in dict.fromkeys(regions):
        stack = [region.apex if region.apex is not None else document.root]
        while stack:
            element = stack.pop()
            if element in region.omit:
                continue
            covered.add(element)
            stack.extend(element.iterchildren(etree.Element))
    return covered


def _misplaced(one: Examined, document: Document) -> str | None:
    """W2: a target inside a signature that does not hold this one, or in a ds:Object of none."""
    for region in one.regions:
        if region.apex is None:
            continue
        for ancestor in region.apex.iterancestors(SIGNATURE, _OBJECT):
            if ancestor.tag == _OBJECT:
                parent = ancestor.getparent()
                stray = parent is None or parent.tag != SIGNATURE
            else:
                stray = ancestor is not one.element and ancestor not in one.element.iterancestors()
            if stray:
                return document.path(region.apex)
    return None


def _fake_object(one: Examined) -> str | None:
    """W4: a signature over one of its objects leaves no other content in its objects uncovered."""
    own = one.element.findall(_OBJECT)
    targets = {region.apex for region in one.regions}
    signed = [o for o in own if o in targets or any(e in targets and e.getparent() is o for e in o if not _is_props(e))]
    if not signed:
        return None
    for holder in own:
        loose = [e for e in holder.iterchildren(etree.Element) if e not in targets and not _is_props(e)]
        texts = [holder.text or "", *(e.tail or "" for e in holder)]
        if holder not in targets and (loose or any(text.strip() for text in texts)):
            return f"Object[{own.index(holder) + 1}]"
    return None


def _is_props(element: etree._Element) -> bool:
    return element.tag == _QUALIFYING


def _twin(one: Examined, document: Document, covered: set[etree._Element]) -> str | None:
    """W3: an element of the same name as a covered one, that no intact signature covers.

    Anywhere in the file if the name is that of a target; inside a signature, where references leave content out, if it
    is that of anything covered. Elsewhere names recur in good files, as in an invoice signed by its parts.
    """
    targets = {region.apex if region.apex is not None else document.root for region in one.regions}
    heads = [*targets, *(child for t in targets if t.tag == _OBJECT for child in t.iterchildren(etree.Element))]
    names = {str(e.tag) for e in heads if not _is_ours(e)}
    if not names or not one.is_intact:
        return None
    inner = {str(e.tag) for e in covered_elements(one.regions, document) if not _is_ours(e)}
    for element in document.root.iter(etree.Element):
        if element in covered or element in targets or element.tag not in inner:
            continue
        if element.tag in names or next(element.iterancestors(SIGNATURE), None) is not None:
            return document.path(element)
    return None


def _is_ours(element: etree._Element) -> bool:
    return str(element.tag).startswith((f"{{{DS}}}", f"{{{XADES}}}"))


def _covers_no_content(one: Examined) -> bool:
    """Tell whether a signature is over its own parts alone; content beside it only looks signed."""
    if one.counters is not None:
        return False
    apexes = [r.target.apex if r.target is not None else None for r in one.references]
    return all(apex is not None and apex.tag != _OBJECT and _is_ours(apex) for apex in apexes)


def _is_counter_signature(one: Examined) -> bool:
    """W8: over the SignatureValue of the signature it stands in, and holding."""
    value = one.counters.find(f"{{{DS}}}SignatureValue") if one.counters is not None else None
    return one.is_intact and value is not None and any(region.apex is value for region in one.regions)


def extent(one: Examined, document: Document) -> tuple[Covers, tuple[str, ...]]:
    """Return how much of the file a signature covers, and the paths of what it covers (external names included)."""
    regions = [r for r in one.regions if r.apex is None or r.apex.tag != f"{{{XADES}}}SignedProperties"]
    paths = [document.path(r.apex if r.apex is not None else document.root) for r in regions]
    external = [r.external for r in one.references if r.holds and r.external is not None]
    whole = any(
        (r.apex is None or r.apex is document.root) and all(o.tag == SIGNATURE for o in r.omit) for r in regions
    )
    if document.root is one.element:  # the file is the signature: enveloping, or detached over what was given
        whole = _covers_its_objects(one, has_external=bool(external))
    return (Covers.WHOLE if whole else Covers.PARTIAL), tuple(dict.fromkeys((*paths, *external)))


def _covers_its_objects(one: Examined, *, has_external: bool) -> bool:
    """Tell whether a signature that is the whole file covers all content in it, or external content beside none."""
    targets = {region.apex for region in one.regions}
    contents = [child for holder in one.element.findall(_OBJECT) for child in holder.iterchildren(etree.Element)]
    loose = [e for e in contents if not _is_props(e) and e not in targets and e.getparent() not in targets]
    texts = [o for o in one.element.findall(_OBJECT) if o not in targets and (o.text or "").strip()]
    own = any(target is not None and target.tag == _OBJECT for target in targets) or any(e in targets for e in contents)
    return not loose and not texts and (own or has_external)
