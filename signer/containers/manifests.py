"""Manifests of a container: what a CAdES signature or time stamp is over (EN 319 162-1, A.4), and the list of files.

A manifest is hashed by the signature; its references hash the objects. Names are percent-decoded, and one that could
name two files names none. What cannot be read is ``None``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from lxml import etree

from signer.cms import digest_with
from signer.errors import InputRefused
from signer.safexml import parse
from signer.trust import Limits
from signer.xml.dsig import DIGESTS, DS, decode

ASIC = "http://uri.etsi.org/02918/v1.2.1#"
LISTED = "urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"


@dataclass(frozen=True, slots=True)
class Reference:
    """One object a manifest names; ``holds`` is ``None`` if the object is absent or its digest cannot be computed."""

    uri: str
    name: str | None
    digest: str | None  # in the names of CMS
    holds: bool | None
    media_type: str | None


@dataclass(frozen=True, slots=True)
class Manifest:
    """An ``ASiCManifest`` as read: the signature it belongs to, and its references compared with the members."""

    name: str
    signature: str | None
    references: tuple[Reference, ...]

    @property
    def covered(self) -> frozenset[str]:
        """Members whose digests hold."""
        return frozenset(one.name for one in self.references if one.name is not None and one.holds)


def read_manifest(
    name: str, members: Mapping[str, bytes], *, limits: Limits, known: dict[tuple[str, str], bytes] | None = None
) -> Manifest | None:
    """Read a manifest and compare what it names with the members of the container.

    ``known`` are digests by member and algorithm: a member that many manifests name is hashed once.
    """
    known = {} if known is None else known
    try:
        root = parse(members[name], limits=limits)
    except InputRefused:
        return None
    if etree.QName(root).localname not in {"ASiCManifest", "ASiCArchiveManifest", "ASiCEvidenceRecordManifest"}:
        return None
    own = f"{{{etree.QName(root).namespace or ''}}}"
    signatures = root.findall(f"{own}SigReference")
    if len(signatures) != 1:
        return None
    listed = root.findall(f"{own}DataObjectReference")
    references = tuple(_reference(one, members, known) for one in listed)
    names = [one.name for one in references if one.name is not None]
    if not listed or len(set(names)) != len(names):
        return None
    return Manifest(name, member_of(signatures[0].get("URI") or "", members), references)


def _reference(element: etree._Element, members: Mapping[str, bytes], known: dict[tuple[str, str], bytes]) -> Reference:
    uri = element.get("URI") or ""
    name = member_of(uri, members)
    method = element.find(f"{{{DS}}}DigestMethod")
    digest = DIGESTS.get(method.get("Algorithm") or "") if method is not None else None
    holds: bool | None = None
    try:
        value = decode(element.findtext(f"{{{DS}}}DigestValue") or "")
        if name is not None and digest is not None:
            if (name, digest) not in known:
                known[name, digest] = digest_with(digest, members[name])
            holds = known[name, digest] == value
    except ValueError:
        holds = False if name is not None else None
    return Reference(uri, name, digest, holds, element.get("MimeType"))


def member_of(uri: str, names: Collection[str]) -> str | None:
    """Return the member an address names: as it stands, or percent-decoded; one of two is none."""
    plain = uri.removeprefix("./").removeprefix("/")
    found = [name for name in dict.fromkeys((uri, plain, unquote(plain))) if name in names]
    return found[0] if len(found) == 1 else None


def listed_files(data: bytes, names: Collection[str]) -> dict[str, str] | None:
    """Return names and media types of ``META-INF/manifest.xml``, files of the container's own and folders left out."""
    try:
        root = parse(data, limits=Limits())
    except InputRefused:
        return None
    entries: dict[str, str] = {}
    if root.tag != f"{{{LISTED}}}manifest":
        return None
    for element in root.iterchildren(etree.Element):
        path = element.get(f"{{{LISTED}}}full-path")
        if element.tag != f"{{{LISTED}}}file-entry" or path is None:
            return None
        if path == "mimetype" or path.startswith("META-INF/") or path.endswith("/"):
            continue
        path = path if path in names else member_of(path, names) or path
        if path in entries:
            return None
        entries[path] = element.get(f"{{{LISTED}}}media-type") or ""
    return entries
