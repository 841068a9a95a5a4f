"""Can the file be read in two ways? (signing.md 4.1, D2; 4.2, C6; G5)

A strict reader follows ``startxref`` and ``/Prev``; a recovering one scans for objects and lets the last win. Whatever
lies behind the first signed range must be known to the strict reading, or a person may be shown something that nobody
signed. In hybrid files the objects that only newer readers see must not be reachable from what is displayed.
"""

from __future__ import annotations

import re
from bisect import bisect_right

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.reader import PdfFileReader

from signer.pdf.objects import follow, items_of

_OBJECT = re.compile(rb"(?<![0-9])(\d{1,10})[\0\t\n\f\r ]+(\d{1,5})[\0\t\n\f\r ]+obj\b")
_STARTXREF = re.compile(rb"startxref[\0\t\n\f\r ]+(\d{1,12})")
_HIDDEN_BEHIND = frozenset({"/StructTreeRoot", "/Parent", "/P", "/StructParents", "/Metadata", "/PieceInfo"})


def differ(data: bytes, reader: PdfFileReader, start: int) -> str | None:
    """Return what two readers may see differently behind ``start``, or ``None``."""
    known = _known_offsets(reader)
    chain = {int(reader.xrefs.get_startxref_for_revision(i)) for i in range(reader.xrefs.total_revisions)}
    for match in _STARTXREF.finditer(data, start):
        if int(match[1]) not in chain:
            return "startxref"
    ordered = sorted(known)
    for match in _OBJECT.finditer(data, start):
        if match.start() not in known and not _inside_stream(data, ordered, match.start()):
            return f"object {int(match[1])}"
    return "hybrid" if _hybrid_shows(reader) else None


def _known_offsets(reader: PdfFileReader) -> set[int]:
    """Return the offsets of all objects that some revision's cross-references name, and of the sections themselves."""
    found: set[int] = set()
    for revision in range(reader.xrefs.total_revisions):
        found.add(int(reader.xrefs.get_startxref_for_revision(revision)))
        data = reader.xrefs.get_xref_data(revision)
        for section in (data, data.hybrid.xref_data if data.hybrid is not None else None):
            if section is not None:
                found |= {offset for _, offset in section.standard_xrefs.values() if isinstance(offset, int)}
        if data.hybrid is not None:
            found.add(int(data.hybrid.meta_info.start_location))
    return found


def _inside_stream(data: bytes, ordered: list[int], position: int) -> bool:
    """Say whether a position lies in the stream of a known object: bytes there only look like an object."""
    index = bisect_right(ordered, position)
    if index == 0:
        return False
    begin = ordered[index - 1]
    stream = data.find(b"stream", begin, position)
    return stream >= 0 and data.find(b"endstream", stream, position) < 0


def _hybrid_shows(reader: PdfFileReader) -> bool:
    hidden: set[generic.Reference] = set()
    for revision in range(reader.xrefs.total_revisions):
        data = reader.xrefs.get_xref_data(revision)
        if data.hybrid is not None:
            refs = data.hybrid.xref_data.explicit_refs_in_revision
            hidden |= {generic.Reference(number, generation, reader) for number, generation in refs}
    if not hidden:
        return False
    root = reader.root
    stack: list[generic.PdfObject | None] = [root.raw_get(key) for key in root if key not in _HIDDEN_BEHIND]
    seen: set[generic.Reference] = set()
    while stack:
        item = stack.pop()
        if isinstance(item, generic.IndirectObject):
            if item.reference in hidden:
                return True
            if item.reference in seen:
                continue
            seen.add(item.reference)
            item = follow(item)
        if isinstance(item, generic.DictionaryObject):
            stack += [item.raw_get(key) for key in item if key not in _HIDDEN_BEHIND]
        elif isinstance(item, generic.ArrayObject):
            stack += items_of(item)
    return False
