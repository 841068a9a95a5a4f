"""What the audit asks of the container's seal: which members it names, and whether it holds (signing.md 6, R2, R3)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import unquote

from signer.errors import SignerError
from transport.evidence.package import Package

if TYPE_CHECKING:
    from lxml import etree

    from signer.report import Report
    from signer.trust import Context

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


def inspect_package_seal(package: Package, *, context: Context) -> tuple[Report, ...]:
    """Judge every signature file over the members as they are; a missing member is its reason's business."""
    from signer.xml.verify import inspect_xml

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
