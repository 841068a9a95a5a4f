"""What a field that nobody signed draws or does (signing.md 4.3, *blank* and ``empty-field``).

Content is not interpreted but looked through for operators, strings included: what looks like painting is painting.
A frame is what a blank field may show: rectangles in plain colours, and one level line under what will be written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pyhanko.pdf_utils import generic

from signer.pdf.objects import dictionary_of, entry, is_name, items_of

_TOKEN = re.compile(rb"/?[^\0\t\n\f\r ()<>\[\]{}/%]+")
_SHOWING = frozenset({b"Tj", b"TJ", b"'", b'"', b"Do", b"sh", b"BI"})
_PATH = frozenset({b"S", b"s", b"f", b"F", b"f*", b"B", b"B*", b"b", b"b*"})
_NO_FRAME = frozenset({b"c", b"v", b"y", b"scn", b"SCN"})  # curves draw letters, patterns draw anything
_PLAIN_WORDS = (
    "/Type /Subtype /Rect /P /F /AP /NM /M /MK /BS /Border /H /StructParent"
    " /FT /T /TU /TM /Ff /V /DA /Q /Kids /Parent /Lock /SV"
)
_PLAIN = frozenset(_PLAIN_WORDS.split())
_LEVEL = re.compile(rb"(?<![^\s])[-+.\d]+\s+([-+.\d]+)\s+m\s+[-+.\d]+\s+\1\s+l\b")


def holders(field: generic.DictionaryObject) -> list[generic.DictionaryObject]:
    """Return a field and its widgets."""
    kids = [dictionary_of(kid) for kid in items_of(entry(field, "/Kids"))]
    return [field, *(kid for kid in kids if kid is not None)]


def draws_nothing(field: generic.DictionaryObject) -> bool:
    """Say whether a field has no ink of its own at all: no painting, no background, border, caption or icon."""
    inked = any(_tokens(data) & (_SHOWING | _PATH) for data in _appearances(field))
    return not inked and not any(entry(one, "/MK") for one in holders(field))


def draws_a_frame_at_most(field: generic.DictionaryObject) -> bool:
    """Say whether a field shows no text, no picture and no path but a border or background."""
    return all(_is_frame(data) for data in _appearances(field))


def acts(field: generic.DictionaryObject) -> bool:
    """Say whether something happens when a field is shown, entered or clicked."""
    return any(key in one for one in holders(field) for key in ("/A", "/AA", "/PA", "/Dest"))


def is_a_plain_widget(field: generic.DictionaryObject) -> bool:
    """Say whether a field and its widgets hold what signature fields hold, and are no other kind of annotation."""
    return all(
        _PLAIN.issuperset(one)
        and ("/Type" not in one or is_name(entry(one, "/Type"), "/Annot"))
        and ("/Subtype" not in one or is_name(entry(one, "/Subtype"), "/Widget"))
        for one in holders(field)
    )


def _appearances(field: generic.DictionaryObject) -> Iterator[bytes]:
    for holder in holders(field):
        stack: list[tuple[generic.PdfObject | None, int]] = [(entry(holder, "/AP"), 0)]
        while stack:
            found, depth = stack.pop()
            if isinstance(found, generic.StreamObject):
                yield found.data
            elif isinstance(found, generic.DictionaryObject) and depth < 3:
                stack += [(entry(found, key), depth + 1) for key in found]


def _tokens(data: bytes) -> frozenset[bytes]:
    return frozenset(_TOKEN.findall(data))


def _is_frame(data: bytes) -> bool:
    tokens = _tokens(data)
    if tokens & _SHOWING:
        return False
    if not tokens & _PATH:
        return True
    lines = len(re.findall(rb"(?<![^\s])[ml](?![^\s])", data))
    return not tokens & _NO_FRAME and (lines == 0 or (lines == 2 and _LEVEL.search(data) is not None))
