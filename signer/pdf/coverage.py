"""Does the signed range vouch for what a reader sees? Judged on the original bytes (signing.md 4.2).

C1 the form of ``/ByteRange`` · C2 the gap is one hexadecimal string · C3 that string is ``/Contents`` of the dictionary
the field leads to, once, in a direct object · C4 the signed prefix alone is a complete document with this field · C5
ranges end where an update ends, gaps are not shared · C6 what follows is harmless or an update.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.reader import PdfFileReader

from signer.errors import InputRefused
from signer.pdf.opening import READING_FAULTS, open_pdf, split_trailing
from signer.pdf.page import Field, fields, pages
from signer.pdf.syntax import SPACE, SyntaxFault, Token, integers, name_of, object_at
from signer.report import Covers
from signer.trust import Limits

_UPDATE = re.compile(rb"\bobj\b|\bxref\b|\btrailer\b|startxref")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a signature's dictionary stands: object number, offset of the object, tokens of range and contents."""

    number: int
    generation: int
    offset: int
    dictionary: Token
    byte_range: tuple[int, ...] | None
    contents: Token | None


@dataclass(frozen=True, slots=True)
class Coverage:
    """What is covered: the two ranges, the revision they end in (1 = first), and which rules do not hold."""

    covers: Covers
    ranges: tuple[tuple[int, int], tuple[int, int]] | None  # (start, end) twice
    gap: tuple[int, int] | None
    faults: tuple[str, ...]
    trailing: int = 0
    revision: int | None = None


def locate(data: bytes, reader: PdfFileReader, field: Field, revision: int) -> Place | None:
    """Find the signature dictionary of a field, as of a revision; ``None`` if it stands where no signature can."""
    try:
        if isinstance(field.value, generic.IndirectObject):
            reference, path = field.value.reference, tuple[str, ...]()
        elif field.reference is not None:
            reference, path = field.reference, ("/V",)
        else:
            return None
        offset = reader.xrefs.get_historical_ref(reference, revision - 1)
        if not isinstance(offset, int):
            return None  # in an object stream: compressed, so nothing a range could leave out
        token = object_at(data, offset, reference.idnum, reference.generation)
        for key in path:
            (token,) = token.all(key)
    except (*READING_FAULTS, SyntaxFault):
        return None
    if token.kind != "dictionary":
        return None
    ranges, contents = token.all("/ByteRange"), token.all("/Contents")
    numbers = integers(data, ranges[0]) if len(ranges) == 1 else None
    hexed = contents[0] if len(contents) == 1 and contents[0].kind == "hex" else None
    return Place(reference.idnum, reference.generation, offset, token, numbers, hexed)


def sub_filter(data: bytes, place: Place) -> str:
    """Return the ``/SubFilter`` without its slash, or an empty text."""
    found = place.dictionary.all("/SubFilter")
    return name_of(data, found[0])[1:] if len(found) == 1 and found[0].kind == "name" else ""


def cover(data: bytes, place: Place, field: Field, *, reader: PdfFileReader, limits: Limits) -> Coverage:
    """Judge C1 to C4 and C6 for one signature."""
    numbers = place.byte_range
    if numbers is None or len(numbers) != 4:
        return Coverage(Covers.PARTIAL, None, None, ("C1",))
    zero, a, b, c = numbers
    if zero != 0 or not 0 < a < b or c <= 0 or b + c > len(data):
        return Coverage(Covers.PARTIAL, None, None, ("C1",))
    faults = []
    if not _is_hex_string(data[a:b]):
        faults.append("C2")
    if not _is_contents(place, data, a, b) or place.offset >= a or not _within(place, a, b, b + c):
        faults.append("C3")
    if _defined_twice(reader, place):
        faults.append("C3")
    covers, trailing = _reach(data, b + c)
    revision = _complete(data[: b + c], field, place, reader=reader, limits=limits)
    last = int(reader.xrefs.total_revisions)
    if revision is None:
        faults.append("C4")
        covers = Covers.PARTIAL
    elif covers is Covers.REVISION and revision == last:
        faults.append("C6")  # an update that the chain of cross-references does not lead to
    elif covers is Covers.WHOLE and revision != last:
        faults.append("C5")
    return Coverage(covers, ((0, a), (b, b + c)), (a, b), tuple(dict.fromkeys(faults)), trailing, revision or last)


def _is_hex_string(gap: bytes) -> bool:
    """C2: one string of hexadecimal digits, all of one case, and white space around or in it.

    Writers use one case; a digit of the other case is a byte changed without changing the value.
    """
    inner = gap.strip(SPACE)
    if not (inner.startswith(b"<") and inner.endswith(b">")):
        return False
    digits = inner[1:-1].translate(None, SPACE)
    lower, upper = digits.translate(None, b"0123456789abcdef"), digits.translate(None, b"0123456789ABCDEF")
    return not lower or not upper


def _is_contents(place: Place, data: bytes, a: int, b: int) -> bool:
    token = place.contents
    if token is None:
        return False
    return not data[a : token.start].strip(SPACE) and not data[token.end : b].strip(SPACE) and a <= token.start < b


def _within(place: Place, a: int, b: int, end: int) -> bool:
    """C3: the dictionary lies inside the ranges, around the gap."""
    return place.dictionary.start < a and b <= place.dictionary.end <= end


def _defined_twice(reader: PdfFileReader, place: Place) -> bool:
    reference = generic.Reference(place.number, place.generation, reader)
    try:
        return bool(reader.xrefs.get_introducing_revision(reference) != reader.xrefs.get_last_change(reference))
    except READING_FAULTS:
        return True


def _reach(data: bytes, end: int) -> tuple[Covers, int]:
    """C6: nothing, white space or bytes without structure behind the range are harmless."""
    rest = data[end:]
    if _UPDATE.search(rest):
        return Covers.REVISION, 0
    return Covers.WHOLE, len(rest) if rest.strip(SPACE) else 0


def _complete(prefix: bytes, field: Field, place: Place, *, reader: PdfFileReader, limits: Limits) -> int | None:
    """C4: return the revision that the signed bytes are, if they alone lead to this dictionary by this field.

    That revision must be one of the chain of the whole file: an update that goes back past it hides it.
    """
    if split_trailing(prefix)[1] or not prefix.rstrip(SPACE).endswith(b"%%EOF"):
        return None
    try:
        alone = open_pdf(prefix, limits=limits)
        revision = int(alone.xrefs.total_revisions)
        if reader.xrefs.get_startxref_for_revision(revision - 1) != alone.last_startxref:
            return None
        for one in fields(alone, pages(alone)):
            if one.name == field.name and one.kind == "/Sig":
                found = locate(prefix, alone, one, revision)
                same = found is not None and (found.offset, found.byte_range) == (place.offset, place.byte_range)
                return revision if same else None
    except (*READING_FAULTS, InputRefused):
        return None
    return None


def shared_gaps(gaps: Sequence[tuple[int, int] | None]) -> frozenset[int]:
    """C5: return the indices of signatures whose gap overlaps another's."""
    clash = set()
    for i, one in enumerate(gaps):
        for j, other in enumerate(gaps):
            if i < j and one and other and one[0] < other[1] and other[0] < one[1]:
                clash |= {i, j}
    return frozenset(clash)
