"""Namespaces and element names of edXML, and how a reader recognises them (edxml.md 3, 12.1 to 12.3, 17).

The reader takes any prefix or none but wants the namespace; a tag that kept an undeclared prefix after recovery
(``edXML:Attachment`` without a namespace) is matched by what follows the colon.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache

from lxml import etree

from edoc.errors import NotEdxml

NAMESPACE = "http://www.mic.gov.vn/TBT/QCVN_102_2016"
PREFIX = "edXML"
DSIG = "http://www.w3.org/2000/09/xmldsig#"
SOAP = ("http://schemas.xmlsoap.org/soap/envelope/", "http://www.w3.org/2003/05/soap-envelope")
OLDER = ("http://www.e-doc.vn/Schema/", "http://www.inetcloud.vn/ns/edxml")

GUIDE_2012 = "512/BTTTT (2012)"
GUIDE_2014 = "2803/BTTTT (2014)"

Element = etree._Element


def split(element: Element) -> tuple[str | None, str]:
    """Return namespace and local name; a prefix that recovery left in the tag counts as the edXML namespace."""
    tag = element.tag
    return _parts(tag) if isinstance(tag, str) else (None, "")


@lru_cache(maxsize=256)
def _parts(tag: str) -> tuple[str | None, str]:
    namespace, brace, name = tag.rpartition("}")
    if brace:
        return namespace[1:], name
    prefix, colon, rest = name.partition(":")
    return (NAMESPACE, rest) if colon and prefix == PREFIX else (None, name)


def name_of(element: Element) -> str:
    """Return the local name of an edXML element, the empty text for anything else (comments, other namespaces)."""
    namespace, name = split(element)
    return name if namespace == NAMESPACE else ""


def undeclared(element: Element) -> bool:
    """Say whether an element or one of its attributes kept a prefix that was never declared."""
    tags = (element.tag, *element.attrib)
    return any(isinstance(tag, str) and ":" in tag and not tag.startswith("{") for tag in tags)


@lru_cache(maxsize=512)
def tags_of(*names: str) -> tuple[str, ...]:
    """Return the tags of edXML elements of these names, in their namespace or with a prefix that recovery left."""
    return tuple(tag for name in names for tag in (f"{{{NAMESPACE}}}{name}", f"{PREFIX}:{name}"))


def children(element: Element | None, *names: str) -> Iterator[Element]:
    """Return the child elements of one of these names, in the order of the file."""
    return iter(()) if element is None else element.iterchildren(*tags_of(*names))


def child(element: Element | None, *names: str) -> Element | None:
    """Return the first child element of one of these names, or ``None``."""
    return None if element is None else next(element.iterchildren(*tags_of(*names)), None)


Parts = Mapping[str, Element]
"""Child elements of one element by name, the first of each."""


def by_name(element: Element | None) -> Parts:
    """Return the first child element of each name, where many are asked for."""
    found: dict[str, Element] = {}
    for item in () if element is None else element:
        name = name_of(item)
        if name not in found:
            found[name] = item
    return found


def check_root(root: Element) -> None:
    """Refuse what is not edXML of QCVN 102:2016, naming an older format where it is one (edxml.md 17).

    Raises:
        NotEdxml: another root or namespace.
    """
    namespace, name = split(root)
    if name == "edXML" and namespace == NAMESPACE:
        return
    older = older_format(root)
    if older:
        raise NotEdxml("EDOC-DOC-003", "an older edXML format", format=older, root=name)
    raise NotEdxml("EDOC-DOC-002", "not an edXML file", root=name[:64], namespace=(namespace or "")[:128])


def older_format(root: Element) -> str | None:
    """Return the name of the older format a document element belongs to, or ``None``."""
    namespace, name = split(root)
    if namespace in SOAP or namespace in OLDER or OLDER[0] in root.nsmap.values() or OLDER[1] in root.nsmap.values():
        return GUIDE_2014
    own = {split(item)[1] for item in root}
    if name == "edXML" and namespace is None and own & {"Author", "AllDocument", "Document"}:
        return GUIDE_2012
    return None
