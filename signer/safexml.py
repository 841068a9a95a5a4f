"""Parse XML from strangers: no DTD, no entities, no network; limits before and while parsing (signing.md 5.1, edxml.md 12).

lxml refuses text nodes over 10 MB and that limit stays on. Attachments are larger, so long runs of base64 that are the
whole text of an element are cut out before the tree is built, and a random word stands in their place (signing.md 5.4). A run
is handed back only where its word is the whole text of exactly one element; anywhere else the file is refused.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass

from lxml import etree

from signer.errors import InputRefused, LimitExceeded
from signer.trust import Limits

RUN_MIN_BYTES = 64 * 1024
"""Runs from this length on are cut out; shorter ones are ordinary text."""

RUBBISH_MAX_BYTES = 64
"""Bytes before ``<?xml`` that a tolerant reader skips (edxml.md 12, 4)."""

_RUN = re.compile(rb">([A-Za-z0-9+/=\n]{%d,})</" % RUN_MIN_BYTES)
_DOCTYPE = re.compile(rb"<!DOCTYPE|<!ENTITY", re.IGNORECASE)


@dataclass(frozen=True)
class Skeleton:
    """XML whose long base64 runs have been replaced by words; ``runs`` holds the original bytes by word."""

    data: bytes
    runs: dict[str, bytes]

    @classmethod
    def of(cls, data: bytes) -> Skeleton:
        """Cut the long runs out of ``data``."""
        runs: dict[str, bytes] = {}
        mark = secrets.token_hex(16)

        def replaced(found: re.Match[bytes]) -> bytes:
            word = f"run{mark}x{len(runs)}"
            runs[word] = found.group(1)
            return b">" + word.encode("ascii") + b"</"

        return cls(_RUN.sub(replaced, data), runs)

    def check(self, root: etree._Element) -> None:
        """Check that each word is the whole text of exactly one element.

        Raises:
            InputRefused: a run stands elsewhere: in a comment, beside other text, or in markup.
        """
        if not self.runs:
            return
        found = [e.text for e in root.iter(etree.Element) if e.text in self.runs and len(e) == 0]
        if sorted(found, key=str) != sorted(self.runs):
            raise InputRefused("EDOC-XML-004", "base64 text stands where no element's text is")

    def put_back(self, root: etree._Element) -> None:
        """Put the runs back as the text of their elements."""
        if self.runs:
            for element in root.iter(etree.Element):
                if element.text in self.runs:
                    element.text = self.runs[element.text].decode("ascii")


def parser(*, recover: bool = False) -> etree.XMLParser:
    """Return a parser that loads nothing, resolves nothing and keeps libxml2's own limits."""
    return etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        huge_tree=False,
        recover=recover,
        remove_blank_text=False,
        collect_ids=False,
    )


def parse(data: bytes, *, limits: Limits) -> etree._Element:
    """Parse well-formed XML without DOCTYPE and return its root, long texts included.

    Raises:
        InputRefused: not XML, or a DOCTYPE.
        LimitExceeded: size, depth, attributes or number of elements.
    """
    skeleton, root = parse_skeleton(data, limits=limits)
    skeleton.put_back(root)
    return root


def parse_skeleton(data: bytes, *, limits: Limits) -> tuple[Skeleton, etree._Element]:
    """Parse as ``parse`` does, but leave the words of cut runs in the tree.

    Raises:
        InputRefused: not XML, or a DOCTYPE.
        LimitExceeded: size, depth, attributes or number of elements.
    """
    skeleton = _prepare(data, limits)
    root = _tree(skeleton.data, recover=False)
    _check_tree(root, skeleton, limits)
    return skeleton, root


def parse_tolerant(data: bytes, *, limits: Limits) -> tuple[etree._Element, tuple[str, ...]]:
    """Parse what other systems write (edxml.md 12, 3 and 4); return the root and words for what was tolerated.

    Words: ``byte-order-mark``, ``utf-16``, ``leading-bytes``, ``undeclared-prefix``. In recovery an undeclared prefix stays inside
    the tag name.

    Raises:
        InputRefused: not XML even so, or a DOCTYPE.
        LimitExceeded: as ``parse``.
    """
    data, tolerated = _unwrapped(data)
    skeleton = _prepare(data, limits)
    try:
        root = _tree(skeleton.data, recover=False)
    except InputRefused:
        root = _tree(skeleton.data, recover=True)
        tolerated.append("undeclared-prefix")
    _check_tree(root, skeleton, limits)
    skeleton.put_back(root)
    return root, tuple(tolerated)


def _unwrapped(data: bytes) -> tuple[bytes, list[str]]:
    """Remove byte order mark, UTF-16 and rubbish before the declaration."""
    tolerated = []
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            text = data.decode("utf-16")
        except UnicodeDecodeError:
            raise InputRefused("EDOC-XML-001", "UTF-16 cannot be decoded") from None
        data = re.sub(r"^<\?xml[^>]*\?>", "", text).encode("utf-8")
        tolerated.append("utf-16")
    elif data.startswith(b"\xef\xbb\xbf"):
        data = data[3:]
        tolerated.append("byte-order-mark")
    start = data.find(b"<?xml", 0, RUBBISH_MAX_BYTES + 5)
    if start > 0:
        data = data[start:]
        tolerated.append("leading-bytes")
    return data, tolerated


def _prepare(data: bytes, limits: Limits) -> Skeleton:
    if len(data) > limits.xml_max_bytes:
        raise LimitExceeded("EDOC-XML-002", "too large", limit="xml_max_bytes", value=str(len(data)), unit="byte")
    skeleton = Skeleton.of(data)
    if _DOCTYPE.search(skeleton.data) or b"\x00" in skeleton.data[:1024]:
        raise InputRefused("EDOC-XML-003", "a DOCTYPE is not accepted")
    return skeleton


def _tree(data: bytes, *, recover: bool) -> etree._Element:
    try:
        root = etree.fromstring(data, parser(recover=recover))
    except etree.XMLSyntaxError as error:
        raise InputRefused("EDOC-XML-001", "not well-formed XML", line=str(error.lineno or 0)) from None
    except ValueError:
        raise InputRefused("EDOC-XML-001", "not XML") from None
    if root is None:
        raise InputRefused("EDOC-XML-001", "not XML", line="0")
    if root.getroottree().docinfo.doctype:
        raise InputRefused("EDOC-XML-003", "a DOCTYPE is not accepted")
    return root


def _check_tree(root: etree._Element, skeleton: Skeleton, limits: Limits) -> None:
    count = 0
    for element, depth in walk(root):
        count += 1
        if depth > limits.xml_depth:
            raise LimitExceeded("EDOC-XML-002", "too deep", limit="xml_depth", value=str(depth), unit="")
        if len(element.attrib) > limits.xml_attributes:
            found = str(len(element.attrib))
            raise LimitExceeded("EDOC-XML-002", "too many attributes", limit="xml_attributes", value=found, unit="")
        if count > limits.xml_elements:
            raise LimitExceeded("EDOC-XML-002", "too many elements", limit="xml_elements", value=str(count), unit="")
    skeleton.check(root)


def walk(root: etree._Element) -> Iterator[tuple[etree._Element, int]]:
    """Yield each element with its depth, the root at 1; neither recursive nor slow on deep trees."""
    depth = 0
    for event, element in etree.iterwalk(root, events=("start", "end")):
        if event == "start":
            depth += 1
            yield element, depth
        else:
            depth -= 1
