"""What the audit asks of the container's seal: which members it names, and whether it holds (signing.md 6, R2, R3).

A seal covers members, not itself: parts of the signature file and the whole manifest are covered by nothing. So that no
byte of a package can change unseen, both must be spelled exactly as the writer spells them.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from dataclasses import replace
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import unquote

from signer.errors import SignerError
from transport.evidence import layout
from transport.evidence.package import Package

if TYPE_CHECKING:
    from lxml import etree

    from signer.report import Report
    from signer.trust import Context

_HEAD = b'<?xml version="1.0" encoding="UTF-8"?>\n'
_ASIC = "http://uri.etsi.org/02918/v1.2.1#"
_DS = "{http://www.w3.org/2000/09/xmldsig#}"
_MANIFEST = "{urn:oasis:names:tc:opendocument:xmlns:manifest:1.0}"


def sealed_names(package: Package) -> frozenset[str] | None:
    """Return the members that the seal's references name, there or not; ``None`` without a readable seal."""
    found: set[str] = set()
    for _, data in package.by_role("signature"):
        root = _parse(data)
        if root is None:
            return None
        found |= {unquote(uri) for uri in _references(root)}
    return frozenset(found) or None


def _references(root: etree._Element) -> Iterator[str]:
    for element in root.iter(f"{_DS}Reference"):
        uri = element.get("URI")
        if uri and not uri.startswith("#"):
            yield uri


def listed_in_manifest(data: bytes) -> frozenset[str] | None:
    """Return the members a manifest lists; ``None`` when it is not a manifest or lists something twice."""
    root = _parse(data)
    if root is None or root.tag != f"{_MANIFEST}manifest":
        return None
    paths = [element.get(f"{_MANIFEST}full-path") for element in root.iter(f"{_MANIFEST}file-entry")]
    names = [path for path in paths if path is not None and path != "/"]
    return frozenset(names) if len(set(names)) == len(names) and None not in paths else None


def manifest_as_written(names: frozenset[str]) -> bytes:
    """Return the one manifest that lists these members."""
    entries = [("/", layout.MEDIA_TYPE), *((name, layout.media_type_of(name)) for name in sorted(names))]
    lines = "".join(
        f'<manifest:file-entry manifest:full-path="{escape(name)}" manifest:media-type="{escape(media)}"/>'
        for name, media in entries
    )
    opening = f'<manifest:manifest xmlns:manifest="{_MANIFEST[1:-1]}" manifest:version="1.2">'
    return _HEAD + f"{opening}{lines}</manifest:manifest>".encode()


def seal_as_written(data: bytes) -> bool:
    """Tell whether a signature file is spelled as ours: canonical, no space between, one certificate, our own names."""
    from lxml import etree

    root = _parse(data)
    if root is None or root.tag != f"{{{_ASIC}}}XAdESSignatures" or dict(root.nsmap) != {"asic": _ASIC}:
        return False
    try:
        canonical = etree.tostring(root, method="c14n", exclusive=True, with_comments=True)
    except etree.LxmlError:  # namespaces that canonical form does not know
        return False
    if data != _HEAD + canonical:
        return False
    nodes = list(root.iter())
    if any(not isinstance(node.tag, str) or node.tail for node in nodes) or any(len(n) and n.text for n in nodes):
        return False
    values = root.findall(f"{_DS}Signature/{_DS}SignatureValue")
    certificates = root.findall(f".//{_DS}X509Certificate")
    plain = all(_is_base64(node.text or "") for node in (*values, *certificates))
    return plain and len(certificates) == 1 and [dict(one.attrib) for one in values] == [{"Id": "sig-value"}]


def _is_base64(text: str) -> bool:
    try:
        return base64.b64encode(base64.b64decode(text, validate=True)).decode("ascii") == text
    except (ValueError, binascii.Error):
        return False


def inspect_package_seal(package: Package, *, context: Context) -> tuple[Report, ...]:
    """Judge every signature file over the members as they are; a missing member is its reason's business."""
    from signer.xml.verify import inspect_xml

    wide = replace(context.limits, references=context.limits.zip_members)  # a reference for each member
    context = replace(context, limits=wide)
    return tuple(
        inspect_xml(data, context=context, content=package.members) for _, data in package.by_role("signature")
    )


def _parse(data: bytes) -> etree._Element | None:
    from signer.safexml import parse
    from signer.trust import Limits

    try:
        return parse(data, limits=Limits())
    except SignerError:
        return None
