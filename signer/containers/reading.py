"""A container's members and type, before anything is judged (signing.md 6, Z1, Z2; EN 319 162-1, 4.3, 4.4)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from signer.errors import InputRefused
from signer.trust import Limits
from signer.zips import Member, read_zip, write_zip, zip_comment

MEDIA_TYPE = "application/vnd.etsi.asic-e+zip"
SIMPLE_MEDIA_TYPE = "application/vnd.etsi.asic-s+zip"
MIMETYPE = "mimetype"
MANIFEST = "META-INF/manifest.xml"
OWN = "META-INF/"
_KNOWN_TYPES = {MEDIA_TYPE, SIMPLE_MEDIA_TYPE}
_OFFICE = "application/vnd.oasis.opendocument."
_SIGNS = re.compile(r"META-INF/[^/]*(?:signatures[^/]*\.xml|\.p7s|\.tst|evidencerecord[^/]*|\.ers)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Container:
    """A container as read: its type, every member by name (``mimetype`` too), and words for what is unusual.

    Words: ``mimetype-missing``, ``mimetype-compressed``, ``mimetype-elsewhere``, ``mimetype-odd``, ``not-plain`` (not
    as we write it: compressed, dated, with extra fields or other attributes).
    """

    mimetype: str | None
    members: Mapping[str, bytes]
    warnings: tuple[str, ...] = ()

    @property
    def objects(self) -> Mapping[str, bytes]:
        """The data objects: everything outside ``META-INF/`` but ``mimetype``."""
        return {n: d for n, d in self.members.items() if n != MIMETYPE and not n.startswith(OWN)}

    @property
    def signature_files(self) -> tuple[str, ...]:
        """Names of the XAdES signature files, in the order of their names."""
        return tuple(sorted(n for n in self.members if n.startswith(OWN) and _is_signatures(n)))

    @property
    def is_simple(self) -> bool:
        """Tell whether it says that it is ASiC-S."""
        return self.mimetype is not None and "asic-s" in self.mimetype


def _is_signatures(name: str) -> bool:
    own = name.removeprefix(OWN).lower()
    return "/" not in own and "signatures" in own and own.endswith(".xml")


def read_container(data: bytes, *, limits: Limits | None = None) -> Container:
    """Read a container's members; signatures are not looked at.

    Raises:
        InputRefused: not a ZIP that all readers see alike, or its type is another one.
        LimitExceeded: too many or too large members.
    """
    members = read_zip(data, limits=limits or Limits())
    warnings = [] if _is_plain(data, members) else ["not-plain"]
    typed = _mimetype(members, warnings, zip_comment(data))
    return Container(typed, MappingProxyType({m.name: m.data for m in members}), tuple(warnings))


def _is_plain(data: bytes, members: Sequence[Member]) -> bool:
    """Tell whether the file is byte for byte what ``write_zip`` makes of its members."""
    if not all(m.stored and m.plain for m in members):
        return False
    return write_zip([(m.name, m.data) for m in members]) == data


def _mimetype(members: Sequence[Member], warnings: list[str], comment: bytes) -> str | None:
    """Return the type a container states; one that states none is a container if it shows what it is (Z2)."""
    shown = any(_SIGNS.fullmatch(m.name) for m in members)
    found = next((m for m in members if m.name == MIMETYPE), None)
    if found is None:
        if not shown:
            raise InputRefused("EDOC-SIG-012", "a ZIP file, but no signed container")
        stated = re.fullmatch(r"\s*mimetype=(\S+)\s*", comment.decode("latin-1"))
        if stated is not None and stated[1] in _KNOWN_TYPES:
            return stated[1]
        warnings.append("mimetype-missing")
        return None
    if members[0] is not found:
        if not shown:
            raise InputRefused("EDOC-SIG-010", "mimetype is not the first member", where=MIMETYPE)
        warnings.append("mimetype-elsewhere")
    if not found.stored:
        warnings.append("mimetype-compressed")
    text = found.data.decode("utf-8", "replace")
    typed = text.strip(" \t\r\n\ufeff")
    if typed.startswith(_OFFICE) or (typed not in _KNOWN_TYPES and not shown):
        raise InputRefused("EDOC-SIG-012", "a container of another type")
    if typed != text or typed not in _KNOWN_TYPES:
        warnings.append("mimetype-odd")
    return typed
