"""What PDF/A-1 asks of a signature that later parts do not (ISO 19005-1, 6.4, 6.9; signing.md 3.3, fonts).

Every form field has an appearance there, even one that shows nothing; transparency is forbidden and only told
(``PDFA_LEVEL``). PDF/A-2 and 3 (ISO 19005-2, 6.3.3, 6.4.1) ask nothing that signing does not do anyway: letters of a
form are an embedded subset with a map to text, its widget is printed, the file's metadata and output intent stay.
"""

from __future__ import annotations

import re
from dataclasses import replace
from mmap import mmap

from signer.errors import InputRefused, LimitExceeded
from signer.pdf.reading import PdfFile, State
from signer.pdf.target import Painted, Target
from signer.pdf.values import Name, Reference, Stream
from signer.trust import Limits

HEADER = re.compile(rb"%PDF-1\.[0-4]")
"""PDF/A-1 builds on PDF 1.4."""
_PART = re.compile(rb"""pdfaid:part[\0-\x20]*(?:=[\0-\x20]*["']|>)[\0-\x20]*1(?![0-9])""")
"""XMP of a PDF/A-1 file stands in it unpacked (ISO 19005-1, 6.7.2)."""
_NOTHING = Painted(
    0,
    (Stream({"Type": Name("XObject"), "Subtype": Name("Form"), "BBox": (0, 0, 0, 0), "Resources": {}}, b""),),
)


def says_part_1(data: bytes) -> bool:
    """Say whether something in these octets claims to be PDF/A-1."""
    return _PART.search(data) is not None


def with_appearance(data: bytes | mmap, target: Target, state: State | None = None) -> Target:
    """Return the target with an empty appearance, if the file is PDF/A-1 and the new field would have none.

    ``state`` is the file as it was read, if it was.
    """
    if target.painted is not None or target.existing is not None or not HEADER.match(data[:8]):
        return target
    return replace(target, painted=_NOTHING) if says_part_1(_metadata(data, state)) else target


def _metadata(data: bytes | mmap, state: State | None) -> bytes:
    """Return the metadata of the catalogue; nothing if there are none, or they cannot be read."""
    try:
        state = state or PdfFile(bytes(data), limits=Limits()).latest
        held = state.root.get("Metadata")
        stream = state.resolve(held) if isinstance(held, Reference) else held
        return state.decoded(stream) if isinstance(stream, Stream) else b""
    except (InputRefused, LimitExceeded):
        return b""
