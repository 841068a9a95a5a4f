"""Time stamps of XAdES in all their forms, and the octets each should be over (EN 319 132-1, 5.2.8, 5.3, 5.5, A.1.5).

Content stamps are over the data of references; signature stamps over ``SignatureValue``; stamps over references of
validation data (with or without the value) over these; archive stamps over everything before them. Older versions of
the namespaces point at what is stamped by ``Include`` or ``HashDataInfo``. Where the standard changed its mind (are
objects stamped again that references cover?), either reading is taken: each stamps all that counts.

A stamp in a form that cannot be computed is listed as unknown, one whose token is over something else as broken.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from lxml import etree

from signer import asn1
from signer.cms import DIGEST_NAMES
from signer.judge import Stamp
from signer.report import Code, Reason
from signer.xml.c14n import EXC, FORMS, INCLUSIVE, Form, digest
from signer.xml.document import NodeSet, OverBudget
from signer.xml.dsig import DS
from signer.xml.references import Setting, method_form, output
from signer.xml.unsigned import TOKEN, local, material, named_by, octets_of, properties_of

STAMPS_MAX = 50
"""Time stamps read in one signature."""

Variant = Callable[[], Iterator[bytes]]
_D = f"{{{DS}}}"
_OVER_DATA = {"AllDataObjectsTimeStamp", "IndividualDataObjectsTimeStamp"}
_OVER_REFERENCES = {"SigAndRefsTimeStamp", "SigAndRefsTimeStampV2", "RefsOnlyTimeStamp", "RefsOnlyTimeStampV2"}
_UNSIGNED = {"SignatureTimeStamp", "ArchiveTimeStamp", *_OVER_REFERENCES}
_REFERENCES_1 = {"CompleteCertificateRefs", "AttributeCertificateRefs"}
_REFERENCES_2 = {"CompleteCertificateRefsV2", "AttributeCertificateRefsV2"}
_REFERENCES = {"CompleteRevocationRefs", "AttributeRevocationRefs"}
_INCLUDES = {"Include", "HashDataInfo"}
_XML_TOKEN = "XMLTimeStamp"  # noqa: S105  # an element's name


@dataclass(frozen=True, slots=True)
class Listed:
    """A reference of SignedInfo: as in the octets that are signed, as in the file, and whether it is to properties."""

    element: etree._Element
    original: etree._Element | None
    to_properties: bool


@dataclass(frozen=True, slots=True)
class Scene:
    """A signature whose stamps are looked for: where it stands, its references, its properties."""

    id: str
    setting: Setting
    listed: tuple[Listed, ...]
    qualifying: etree._Element
    proved: dict[etree._Element, tuple[str, ...]] = field(default_factory=dict)  # what is in a part, once known

    @property
    def signature(self) -> etree._Element:
        """The ``ds:Signature``."""
        return self.setting.signature


@dataclass(frozen=True, slots=True)
class StampsFound:
    """The stamps in the order of the file, and what could not be read or computed."""

    stamps: tuple[Stamp, ...] = ()
    warnings: tuple[Reason, ...] = ()


def find_stamps(scene: Scene) -> StampsFound:
    """Return the time stamps of a signature; never raises for what they hold."""
    scene = replace(scene, setting=replace(scene.setting, budget=scene.setting.document.stamping))
    stamps: list[Stamp] = []
    warnings: list[Reason] = []
    for element in _elements(scene):
        for found in element.iterchildren(etree.Element):
            if local(found) not in {TOKEN, _XML_TOKEN}:
                continue
            if len(stamps) >= STAMPS_MAX:
                return StampsFound(tuple(stamps), (*warnings, Reason(Code.LIMIT_EXCEEDED, {"limit": "timestamps"})))
            stamp, noticed = _stamp(scene, element, found, number=len(stamps) + 1)
            stamps.append(stamp)
            warnings += [one for one in noticed if one not in warnings]
    return StampsFound(tuple(stamps), tuple(warnings))


def _elements(scene: Scene) -> list[etree._Element]:
    space = f"{{{etree.QName(scene.qualifying).namespace}}}"
    signed = scene.qualifying.iterfind(f"{space}SignedProperties/{space}SignedDataObjectProperties/*")
    over_data = [e for e in signed if isinstance(e.tag, str) and local(e) in _OVER_DATA]
    return over_data + [e for e in properties_of(scene.qualifying) if local(e) in _UNSIGNED]


def _stamp(
    scene: Scene, element: etree._Element, found: etree._Element, *, number: int
) -> tuple[Stamp, tuple[Reason, ...]]:
    name = local(element)
    kind = "content" if name in _OVER_DATA else "signature" if name == "SignatureTimeStamp" else "archive"
    whole = name not in _OVER_REFERENCES
    proves = not name.startswith("RefsOnly")
    stamp = Stamp(f"{scene.id}-timestamp-{number}", kind, b"", b"", counts=whole, proves_value=proves)
    if local(found) != TOKEN:
        return _uncomputable(stamp, _unsupported(local(found)))
    try:
        stamp = replace(stamp, token=octets_of(found, scene.setting.document))
    except ValueError:
        return stamp, ()  # not base64: a token that cannot be read
    forms = _forms(element)
    if not forms:
        return _uncomputable(stamp, _unsupported("CanonicalizationMethod"))
    try:
        variants = [variant for form in forms for variant in _variants(scene, element, form)]
        stamp = replace(stamp, imprint=_imprint(stamp.token, variants, scene.setting))
    except _Astray:
        return replace(stamp, faults=(Reason(Code.FORMAT_FAILURE),)), ()
    except OverBudget:
        return _uncomputable(stamp, Reason(Code.LIMIT_EXCEEDED, {"limit": "canonical-octets"}))
    except ValueError as error:
        return _uncomputable(stamp, Reason(Code.SIGNED_DATA_NOT_FOUND, {"name": str(error)}))
    covers = tuple(covered_by(scene, element)) if kind == "archive" else ()
    return replace(stamp, covers=covers), ()


class _Astray(Exception):
    """A stamp points at something that is not there, or leaves out what its kind is over."""


def _uncomputable(stamp: Stamp, reason: Reason) -> tuple[Stamp, tuple[Reason, ...]]:
    return replace(stamp, uncomputable=True), (reason,)


def _unsupported(name: str) -> Reason:
    return Reason(Code.ALGORITHM_UNSUPPORTED, {"algorithm": name})


def _forms(element: etree._Element) -> list[Form]:
    """Return the canonical forms to try: the one named; without a name the standard's, then the one many use."""
    methods = element.findall(f"{_D}CanonicalizationMethod")
    if not methods or (len(methods) == 1 and not methods[0].get("Algorithm")):
        return [FORMS[INCLUSIVE], EXC]
    form = method_form(methods[0])
    return [form] if form is not None and len(methods) == 1 else []


def _imprint(token: bytes, variants: Sequence[Variant], setting: Setting) -> Callable[[str], bytes]:
    """Compute the digest of the reading that the token is over, else of the first.

    Raises:
        ValueError, OverBudget: it cannot be computed.
    """
    algorithm, wanted = _stated(token)
    if algorithm not in DIGEST_NAMES:
        return lambda name: b""
    first, computed = b"", set()
    for variant in variants:
        state = hashlib.new(algorithm, usedforsecurity=False)
        for piece in variant():
            setting.budget.spend(len(piece))
            state.update(piece)
        found = state.digest()
        first = first or found
        computed.add(found)
        if found == wanted:
            break
    chosen = wanted if wanted in computed else first
    return lambda name: chosen if name == algorithm else b""


def _stated(token: bytes) -> tuple[str, bytes]:
    try:
        content = asn1.read_signed_data(token).content
        info = asn1.read_tst_info(content or b"")
    except ValueError:
        return "", b""
    return info.digest, info.imprint


# --- what stamps are over --------------------------------------------------------------------------------------------


def _variants(scene: Scene, element: etree._Element, form: Form) -> list[Variant]:
    """Return the readings of what a stamp is over, the standard's first."""
    name = local(element)
    included = [child for child in element.iterchildren(etree.Element) if local(child) in _INCLUDES]
    if name == "AllDataObjectsTimeStamp":
        return [lambda: _data(scene, form, properties=False)]
    if name == "IndividualDataObjectsTimeStamp":
        return [lambda: _included(scene, included, form)]
    if included:
        return _explicit(scene, element, included, form)
    if name == "SignatureTimeStamp":
        return [lambda: _own(scene, form, "SignatureValue")]
    if name in _OVER_REFERENCES:
        return [_over_references(scene, name, _reference_properties(scene, element), form)]
    newer = "v1.4.1" in str(element.tag)
    return [_over_everything(scene, element, one, form) for one in _objects(scene, newer=newer)]


def _own(scene: Scene, form: Form, *names: str) -> Iterator[bytes]:
    """Yield parts of XML-DSig in the signature, those that are there."""
    for name in names:
        for element in scene.signature.findall(f"{_D}{name}")[:1]:
            yield from _pieces(scene, element, form)


def _pieces(scene: Scene, element: etree._Element, form: Form) -> Iterator[bytes]:
    return scene.setting.document.pieces(NodeSet(element, comments=True), form)


def _data(scene: Scene, form: Form, *, properties: bool) -> Iterator[bytes]:
    """Yield the data behind the references of SignedInfo, with or without the signed properties."""
    for one in scene.listed:
        if properties or not one.to_properties:
            yield from output(one.element, setting=scene.setting, form=form, original=one.original)


def _over_references(scene: Scene, name: str, properties: Sequence[etree._Element], form: Form) -> Variant:
    def pieces() -> Iterator[bytes]:
        if not name.startswith("RefsOnly"):
            yield from _own(scene, form, "SignatureValue")
        for one in properties:
            yield from _pieces(scene, one, form)

    return pieces


def archive_digest(scene: Scene, algorithm: str = "sha256") -> bytes:
    """Return the imprint of an archive stamp that would come behind all properties there are (exclusive form).

    Raises:
        ValueError, OverBudget: it cannot be computed.
    """
    return digest(_over_everything(scene, None, _objects(scene, newer=True)[0], EXC)(), algorithm)


def value_digest(scene: Scene, algorithm: str = "sha256") -> bytes:
    """Return the imprint of a signature stamp: over ``SignatureValue`` in exclusive form."""
    return digest(_own(scene, EXC, "SignatureValue"), algorithm)


def _over_everything(
    scene: Scene, element: etree._Element | None, objects: Sequence[etree._Element], form: Form
) -> Variant:
    """Clause 5.5.2.2: data of all references, SignedInfo, value, KeyInfo, earlier properties, the other objects."""

    def pieces() -> Iterator[bytes]:
        yield from _data(scene, form, properties=True)
        yield from _own(scene, form, "SignedInfo", "SignatureValue", "KeyInfo")
        for one in (*before(scene, element), *objects):
            yield from _pieces(scene, one, form)

    return pieces


def before(scene: Scene, element: etree._Element | None) -> list[etree._Element]:
    """Return the unsigned properties that stand before one; all of them without one."""
    listed = properties_of(scene.qualifying)
    return listed[: listed.index(element)] if element is not None and element in listed else listed


def _reference_properties(scene: Scene, element: etree._Element) -> list[etree._Element]:
    """Return the properties a stamp over references is over: those of its own version that stand before it."""
    name = local(element)
    own = _REFERENCES | (_REFERENCES_2 if name.endswith("V2") else _REFERENCES_1)
    stamps = set() if name.startswith("RefsOnly") else {"SignatureTimeStamp"}
    return [e for e in before(scene, element) if local(e) in own | stamps]


def _objects(scene: Scene, *, newer: bool) -> list[list[etree._Element]]:
    """Return the objects at the end: all but the properties' own (1.4.1), or those no reference names (1.3.2)."""
    every = [e for e in scene.signature.findall(f"{_D}Object") if e not in scene.qualifying.iterancestors()]
    named = {(one.element.get("URI") or "").removeprefix("#") for one in scene.listed}
    unnamed = [e for e in every if e.get("Id") not in named]
    if every == unnamed:
        return [every]
    return [every, unnamed] if newer else [unnamed, every]


# --- stamps that point at what they are over -------------------------------------------------------------------------


def _explicit(scene: Scene, element: etree._Element, included: Sequence[etree._Element], form: Form) -> list[Variant]:
    """Return the readings of a stamp with ``Include`` or ``HashDataInfo``: these alone, or the implied parts with them.

    Raises:
        _Astray: a stamp over the signature that leaves its value out.
    """
    name, targets = local(element), [_target(scene, one) for one in included]
    has_value = any(
        t is not None and t.tag == f"{_D}SignatureValue" and t.getparent() is scene.signature for t in targets
    )
    found: list[Variant] = []
    if has_value or name.startswith("RefsOnly"):
        found.append(lambda: _included(scene, included, form))
    if name == "SignatureTimeStamp":
        found.append(lambda: _own(scene, form, "SignatureValue"))
    elif not name.startswith("RefsOnly"):
        found.append(lambda: _distributed(scene, element, included, form))
    return found


def _distributed(
    scene: Scene, element: etree._Element, included: Sequence[etree._Element], form: Form
) -> Iterator[bytes]:
    """Yield the implied parts with the properties that are pointed at (clauses 5.5.2.3, A.1.5.1.3)."""
    if local(element) in _OVER_REFERENCES:
        yield from _own(scene, form, "SignatureValue")
        yield from _included(scene, included, form)
        return
    yield from _data(scene, form, properties=True)
    yield from _own(scene, form, "SignedInfo", "SignatureValue", "KeyInfo")
    yield from _included(scene, included, form)
    for one in _objects(scene, newer="v1.4.1" in str(element.tag))[0]:
        yield from _pieces(scene, one, form)


def _included(scene: Scene, included: Sequence[etree._Element], form: Form) -> Iterator[bytes]:
    """Yield what is pointed at; the data of a reference where that is asked for."""
    for one in included:
        target = _target(scene, one)
        if target is None:
            raise _Astray
        listed = next((r for r in scene.listed if r.original is target), None)
        if listed is not None and one.get("referencedData", "true") in {"true", "1"}:
            yield from output(listed.element, setting=scene.setting, form=form, original=listed.original)
        else:
            yield from _pieces(scene, target, _asked(one) or form)


def _asked(included: etree._Element) -> Form | None:
    """Return the canonical form that the oldest version names for each part."""
    transforms = list(included.iter(f"{_D}Transform"))
    return method_form(transforms[-1]) if transforms else None


def _target(scene: Scene, included: etree._Element) -> etree._Element | None:
    uri = included.get("URI") or included.get("uri") or ""
    found = scene.setting.document.ids.get(uri.removeprefix("#"), [])
    return found[0] if len(found) == 1 else None


# --- what stamps prove -----------------------------------------------------------------------------------------------


def covered_by(scene: Scene, element: etree._Element) -> Iterator[str]:
    """Yield the SHA-256 of what a stamp proves: validation data, tokens, values of counter-signatures."""
    name = local(element)
    included = [child for child in element.iterchildren(etree.Element) if local(child) in _INCLUDES]
    pointed_at = [target for one in included if (target := _target(scene, one)) is not None]
    if name in _OVER_REFERENCES:
        covered = pointed_at if included else _reference_properties(scene, element)
        everything = (*properties_of(scene.qualifying), *scene.signature.findall(f"{_D}KeyInfo"))
        yield from _proved(scene, covered)
        yield from named_by(covered, material(everything, scene.setting.document, nested=False))
    elif included:  # what is implied beside may or may not be part of it
        yield from _proved(scene, pointed_at)
    else:
        signed = [e for e in _elements(scene) if local(e) in _OVER_DATA]
        yield from _proved(scene, (*scene.signature.findall(f"{_D}KeyInfo"), *signed, *before(scene, element)))


def _proved(scene: Scene, parts: Sequence[etree._Element]) -> Iterator[str]:
    for part in parts:
        if part not in scene.proved:
            scene.proved[part] = tuple(material((part,), scene.setting.document).digests())
        yield from scene.proved[part]
