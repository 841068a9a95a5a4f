"""See what is signed: what signatures cover, and the ways to be misled about it (signing.md 5.5, W1 to W4, W8).

Runs after the mathematics of all signatures, because an element counts as covered by any intact one. The rules are read
so that a copy that can be mistaken for the signed part is broken, and a file that merely repeats names is not:

W1: two elements with one ID value, referenced or not.
W2: a reference into another signature, unless it counter-signs that one's value or is made inside of it; or into a
``ds:Object`` that stands in no signature and that none covers.
W3: *twin* is an element that no intact signature covers and that bears the name of an element **a reference points at**
(or of the content of a ``ds:Object`` it points at), wherever it stands: a reader that looks for the name may take it.
Names of elements further inside are no sign by themselves, for parts of an invoice share them; they count only
**inside a signature**, where references leave content out and no honest content of that name can stand.
W4: a signature over data in one of its objects has **another** object with data that no intact signature covers.
Qualifying properties and keys are no data; signature properties are, once the signature covers some of them. An object
of which a part is signed is covered partially.

W2 to W4 are asked of intact signatures only: nobody believes the others, and their references tell nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lxml import etree

from signer.report import Code, Covers, Crypto, Reason
from signer.xml.document import SIGNATURE, Document, NodeSet
from signer.xml.dsig import DS, DS11, MORE, MORE_2007, MORE_2021
from signer.xml.examine import BROKEN, Examined
from signer.xml.references import EXC_NS, FILTER2
from signer.xml.regions import Coverage

ETSI = "{http://uri.etsi.org/01903/"
_OBJECT, _VALUE = f"{{{DS}}}Object", f"{{{DS}}}SignatureValue"
_PROPERTIES = f"{{{DS}}}SignatureProperties"
_OURS = (
    ETSI,
    *(f"{{{name}}}" for name in (DS, DS11, MORE, MORE_2007, MORE_2021, EXC_NS, FILTER2)),
)
"""Namespaces of signatures themselves: their elements are no content that could be mistaken."""
_COMPANIONS = (
    "{http://docs.oasis-open.org/wss/",
    "{http://schemas.xmlsoap.org/ws/",
    "{http://www.w3.org/2001/04/xmlenc#}",
    "{http://www.w3.org/2009/xmlenc11#}",
    "{http://uri.etsi.org/19132/",
    "{urn:ietf:params:xml:ns:ers}",
)
"""Namespaces of what stands in KeyInfo and unsigned properties beside these."""
_KEYS = frozenset(
    {f"{{{DS}}}{name}" for name in ("KeyInfo", "X509Data", "X509Certificate", "KeyValue")}
    | {f"{{{DS11}}}DEREncodedKeyValue"}
)
_PARTS = frozenset(f"{{{DS}}}{name}" for name in ("SignedInfo", "SignatureValue", "KeyInfo", "Object"))
_ABOUT_ITSELF = frozenset({f"{{{DS}}}KeyInfo", _PROPERTIES, f"{{{DS}}}SignatureProperty"})


@dataclass(frozen=True)
class _Loose:
    """First element of each name that no intact signature covers: anywhere, and inside a signature."""

    coverage: Coverage
    anywhere: dict[str, etree._Element]
    hidden: dict[str, etree._Element]
    stowed: bool = False  # data that nobody signed stands in a signature, and is no part of one


def wrapping(examined: Sequence[Examined], document: Document) -> tuple[Examined, ...]:
    """Return the signatures with what is misleading about their coverage added to their reasons."""
    loose = _loose(examined, document)
    twice = document.duplicate_id()
    result = []
    for one in examined:
        reasons: list[Reason] = []
        if twice is not None:
            reasons += [Reason(Code.FORMAT_FAILURE), Reason(Code.DUPLICATE_ID, {"id": twice})]
        path = None
        if one.is_intact:  # of what does not hold or cannot be computed nobody will believe anything
            path = _misplaced(one, document, loose) or _fake_object(one, document, loose)
            path = path or _twin(one, document, loose) or _stranger(one, document)
            one = replace(one, stowed=loose.stowed)
        if path is not None:
            reasons += [Reason(Code.FORMAT_FAILURE), Reason(Code.XML_WRAPPING, {"path": path})]
        if one.is_intact and _covers_no_content(one):
            reasons += [Reason(Code.FORMAT_FAILURE), Reason(Code.CONTENT_NOT_SIGNED, {"name": "/"})]
        if one.counters is not None and not _counter_signs(one):
            reasons += [Reason(Code.FORMAT_FAILURE), Reason(Code.COUNTER_SIGNATURE_BROKEN)]
        result.append(one.with_reasons(reasons))
    return tuple(result)


def _loose(examined: Sequence[Examined], document: Document) -> _Loose:
    intact = [one for one in examined if one.is_intact]
    infos = [NodeSet(info) for one in intact for info in one.element.findall(f"{{{DS}}}SignedInfo")]
    coverage = Coverage([*infos, *(region for one in intact for region in one.regions)], document)
    anywhere: dict[str, etree._Element] = {}
    hidden: dict[str, etree._Element] = {}
    if not intact:
        return _Loose(coverage, anywhere, hidden)
    stowed = False
    texts = {one.text for signature in intact for one in signature.references}
    for element in coverage.uncovered():
        tag = str(element.tag)
        if element in texts:
            continue
        if _is_ours(tag):
            stowed = stowed or (tag in {SIGNATURE, _OBJECT} and bool(_own_text(element).strip()))
            continue
        known = tag in anywhere and tag in hidden
        if known and (stowed or tag.startswith(_COMPANIONS)):
            continue
        anywhere.setdefault(tag, element)
        if next(element.iterancestors(SIGNATURE), None) is not None:
            hidden.setdefault(tag, element)
            stowed = stowed or (_carries(element) and not tag.startswith(_COMPANIONS))
    return _Loose(coverage, anywhere, hidden, stowed)


def _misplaced(one: Examined, document: Document, loose: _Loose) -> str | None:
    """W2: a target inside a signature that does not hold this one, or in a ds:Object of none."""
    for region in one.regions:
        if region.apex is None or _is_value_of_another(region.apex):
            continue
        if loose.stowed and _is_stray_object(region.apex):
            return document.path(region.apex)
        for ancestor in region.apex.iterancestors(SIGNATURE, _OBJECT):
            if ancestor.tag == _OBJECT:
                parent = ancestor.getparent()
                stray = (parent is None or parent.tag != SIGNATURE) and not loose.coverage.covers(ancestor)
            else:
                stray = ancestor is not one.element and ancestor not in one.element.iterancestors()
            if stray:
                return document.path(region.apex)
    return None


def _is_stray_object(element: etree._Element) -> bool:
    """Tell whether a target is a ``ds:Object`` that stands in no signature: readers look for it in one."""
    parent = element.getparent()
    return element.tag == _OBJECT and (parent is None or parent.tag != SIGNATURE)


def _is_value_of_another(element: etree._Element) -> bool:
    parent = element.getparent()
    return element.tag == _VALUE and parent is not None and parent.tag == SIGNATURE


def _fake_object(one: Examined, document: Document, loose: _Loose) -> str | None:
    """W4: a signature over data in one of its objects leaves no other data in its objects uncovered."""
    own = one.element.findall(_OBJECT)
    targets = _targets(one)
    is_over_data = any(_holds_signed_data(holder, targets) for holder in own)
    is_over_properties = any(target.tag == _PROPERTIES for target in targets)
    for holder in own:
        if holder in targets or any(holder in target.iterancestors() for target in targets):
            continue  # a part of it is signed: that is partial coverage, and said as such
        for child in holder.iterchildren(etree.Element):
            is_property = child.tag == _PROPERTIES
            applies = is_over_properties if is_property else is_over_data
            if applies and not _is_no_data(child) and _has_loose_data(child, targets, loose.coverage):
                return document.path(child)
        if is_over_data and _own_text(holder).strip():
            return document.path(holder)
    return None


def _targets(one: Examined) -> set[etree._Element]:
    """Return the elements that references which hold point at, as nodes or as text alone."""
    found = {region.apex for region in one.regions if region.apex is not None}
    return found | {r.text for r in one.references if r.holds and r.text is not None and len(r.text) == 0}


def _holds_signed_data(holder: etree._Element, targets: set[etree._Element]) -> bool:
    if holder in targets:
        return _has_data(holder)
    return any(
        holder in target.iterancestors() and not _is_qualifying(target) and target.tag not in _ABOUT_ITSELF
        for target in targets
    )


def _has_data(holder: etree._Element) -> bool:
    children = list(holder.iterchildren(etree.Element))
    return bool(_own_text(holder).strip()) or any(not _is_no_data(e) and e.tag != _PROPERTIES for e in children)


def _has_loose_data(top: etree._Element, targets: set[etree._Element], coverage: Coverage) -> bool:
    """Tell whether something below that carries data (text, or an element with nothing in it) is not covered."""
    for element in top.iter(etree.Element):
        if _carries(element) and element not in targets and not coverage.covers(element):
            return True
    return False


def _carries(element: etree._Element) -> bool:
    """Tell whether an element carries data itself, and does not merely hold others."""
    return next(element.iterchildren(etree.Element), None) is None or bool(_own_text(element).strip())


def _own_text(element: etree._Element) -> str:
    return "".join((element.text or "", *(child.tail or "" for child in element)))


def _is_qualifying(element: etree._Element) -> bool:
    return str(element.tag).startswith(ETSI)


def _is_no_data(element: etree._Element) -> bool:
    """Qualifying properties, and keys that KeyInfo refers to."""
    return _is_qualifying(element) or element.tag in _KEYS


def _twin(one: Examined, document: Document, loose: _Loose) -> str | None:
    """W3, as the module says."""
    heads = [region.apex if region.apex is not None else document.root for region in one.regions]
    heads += [child for head in heads if head.tag == _OBJECT for child in head.iterchildren(etree.Element)]
    texts = [reference.text for reference in one.references if reference.holds and reference.text is not None]
    for name in {str(head.tag) for head in (*heads, *texts) if not _is_ours(str(head.tag))}:
        if name in loose.anywhere and loose.anywhere[name] not in heads:
            return document.path(loose.anywhere[name])
    if loose.hidden:
        own, chosen = Coverage(one.regions, document), set(heads)
        for head in dict.fromkeys(heads):
            if any(above in chosen for above in head.iterancestors()):
                continue  # looked at with what it stands in
            for element in head.iter(etree.Element):
                if element.tag in loose.hidden and own.covers(element):
                    return document.path(loose.hidden[str(element.tag)])
    return None


def _stranger(one: Examined, document: Document) -> str | None:
    """What is no part of a signature stands in none: nothing would say who means it."""
    found = next((e for e in one.element.iterchildren(etree.Element) if e.tag not in _PARTS), None)
    return document.path(found) if found is not None else None


def _is_ours(tag: str) -> bool:
    return tag.startswith(_OURS)


def _covers_no_content(one: Examined) -> bool:
    """Tell whether a signature is over its own parts alone; content beside it only looks signed."""
    if one.counters is not None:
        return False
    for reference in one.references:
        target = reference.target
        if reference.external is not None or reference.text is not None:
            return False
        if target is not None and (target.apex is None or not _is_about(target.apex, one.element)):
            return False
    return True


def _is_about(apex: etree._Element, signature: etree._Element) -> bool:
    """Tell whether an element is a part of the signature that says something about the signature itself."""
    if signature not in apex.iterancestors():
        return False
    is_empty_object = apex.tag == _OBJECT and not _has_data(apex)
    return apex.tag in _ABOUT_ITSELF or _is_qualifying(apex) or is_empty_object


def _counter_signs(one: Examined) -> bool:
    """W8: over the SignatureValue of the signature it stands in, and not broken."""
    value = one.counters.find(_VALUE) if one.counters is not None else None
    if one.crypto is Crypto.BAD or {reason.code for reason in one.reasons} & BROKEN:
        return False
    return value is not None and any(r.target is not None and r.target.apex is value for r in one.references)


def extent(one: Examined, document: Document) -> tuple[Covers, tuple[str, ...]]:
    """Return how much of the file a signature covers, and the paths of what it covers (external names included)."""
    regions = [r for r in one.regions if r.apex is None or not _is_about(r.apex, one.element)]
    elements = [r.apex if r.apex is not None else document.root for r in regions]
    paths = [document.path(element) for element in elements]
    paths += [f"{document.path(r.text)}/text()" for r in one.references if r.holds and r.text is not None]
    external = [r.external for r in one.references if r.holds and r.external is not None]
    if one.stowed:  # something in a signature is read by people and signed by nobody
        whole = False
    elif document.root is one.element:  # the file is the signature: enveloping, or detached over what was given
        whole = _covers_its_objects(one, document, has_external=bool(external))
    else:
        whole = any(_is_whole(region, document) for region in regions)
    return (Covers.WHOLE if whole else Covers.PARTIAL), tuple(dict.fromkeys((*paths, *external)))


def _is_whole(region: NodeSet, document: Document) -> bool:
    is_document = region.apex is None or region.apex is document.root
    return is_document and all(o.tag == SIGNATURE for o in region.omit)


def _covers_its_objects(one: Examined, document: Document, *, has_external: bool) -> bool:
    """Tell whether a signature that is the whole file covers all data in it, or external content beside none."""
    own, targets = one.element.findall(_OBJECT), _targets(one)
    coverage = Coverage(one.regions, document)
    for holder in own:
        if holder in targets:
            continue
        children = [e for e in holder.iterchildren(etree.Element) if not _is_no_data(e)]
        if _own_text(holder).strip() or any(_has_loose_data(e, targets, coverage) for e in children):
            return False
    return has_external or any(_holds_signed_data(holder, targets) for holder in own)
