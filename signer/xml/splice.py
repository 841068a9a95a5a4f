"""Put elements into an XML file without touching any other byte of it: what extending a signature needs.

Places are found by counting elements, so that the file is neither written anew nor searched for text that could stand
in a comment.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.parsers import expat

from lxml import etree

from signer.errors import InputRefused


def before_end_of(data: bytes, insertions: Sequence[tuple[etree._Element, str]]) -> bytes:
    """Return the file with text (ASCII) before the end tags of elements; each belongs to the tree of ``data``.

    Raises:
        InputRefused: the file is in an encoding wider than a byte, or an element has no end tag.
    """
    if b"\x00" in data[:4] or data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputRefused("EDOC-XML-004", "an encoding other than UTF-8", encoding="utf-16")
    ends = _ends(data, {_number(element) for element, _ in insertions})
    pieces, done = [], 0
    for at, text in sorted((ends[_number(element)], text) for element, text in insertions):
        if data[at : at + 2] != b"</":
            raise InputRefused("EDOC-XML-001", "an element without an end tag", line="0")
        pieces += [data[done:at], text.encode("ascii")]
        done = at
    return b"".join((*pieces, data[done:]))


def _number(element: etree._Element) -> int:
    """Return which element of the file it is, from 0."""
    for number, one in enumerate(element.getroottree().iter(etree.Element)):
        if one is element:
            return number
    raise AssertionError("an element of another tree")


def _ends(data: bytes, wanted: set[int]) -> dict[int, int]:
    """Return where the end tags of elements start.

    Raises:
        InputRefused: the file cannot be read in this way.
    """
    parser = expat.ParserCreate()
    opened: list[int] = []
    found: dict[int, int] = {}
    count = 0

    def start(name: str, attributes: object) -> None:
        nonlocal count
        opened.append(count)
        count += 1

    def end(name: str) -> None:
        number = opened.pop()
        if number in wanted:
            found[number] = parser.CurrentByteIndex

    parser.StartElementHandler, parser.EndElementHandler = start, end
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise InputRefused("EDOC-XML-001", "not well-formed XML", line=str(error.lineno)) from None
    return found
