"""Parse XML from strangers: no entities, no network; limits before and after (signing.md 5.1 N1, edxml.md 12).

lxml refuses text nodes over 10 MB and that limit stays on (``huge_tree`` off). Attachments are larger, so long runs of
base64 that are the whole text of an element are cut out before the tree is built, and a random word stands in their
place (signing.md 5.4). A run counts as cut out only where its word is the whole text of exactly one element; if one
stands elsewhere (in a comment, say), nothing is cut out of that file.

Accepted encoding: UTF-8. ``parse_tolerant`` also reads UTF-16 with a byte order mark, ``parse_foreign`` UTF-16 and the
usual encodings of one byte per character.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import cast

from lxml import etree

from signer.doctype import read_doctype
from signer.errors import InputRefused, LimitExceeded
from signer.trust import Limits

RUN_MIN_BYTES = 4 * 1024
"""Runs from this length on are cut out; shorter ones are ordinary text."""

NAMESPACES_MAX = 512
"""Declarations of namespaces in force at one place."""

RUBBISH_MAX_BYTES = 64
"""Bytes before ``<?xml`` that a tolerant reader skips (edxml.md 12, 4)."""

_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=\n"
_BASE64_TOLERANT = _BASE64 + b"\r\t "
_DOCTYPE = re.compile(rb"<!DOCTYPE|<!ENTITY", re.IGNORECASE)
_ENCODING = re.compile(rb"""\sencoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")
_VERSION_11 = re.compile(rb"""\sversion\s*=\s*["']1\.1["']""")
_LINE_ENDS_11 = (b"\xc2\x85", b"\xe2\x80\xa8")
"""NEL and LINE SEPARATOR, which are line feeds to readers of XML 1.1 and themselves to those of 1.0."""
_ENCODINGS = frozenset(
    {"latin1", "iso-latin-1"}
    | {f"iso-8859-{n}" for n in (*range(1, 11), *range(13, 17))}
    | {f"windows-{n}" for n in (874, *range(1250, 1259))}
)
"""Encodings of one byte per character that foreign files may have besides UTF-8 and UTF-16."""
_MARK = b"\xef\xbb\xbf"
_USUAL = b'<?xml version="1.0" encoding="UTF-8"?>'
DECLARATION_MAX_BYTES = 1000
_DECLARATION = re.compile(r"^<\?xml[^>]*\?>")


KEPT_WHOLE = (b"X509Certificate>", b"EncapsulatedTimeStamp>")
"""Ends of start tags whose text stays in the tree: certificates and stamps of signatures, which may be long as well."""
KEPT_MAX_BYTES = 64 * 1024
KEPT_TAG_BYTES = 32


@dataclass(frozen=True)
class Skeleton:
    """XML whose long base64 runs have been replaced by words; ``runs`` holds the original bytes by word."""

    data: bytes
    runs: Mapping[str, bytes] = field(default_factory=dict)

    def put_back(self, root: etree._Element) -> None:
        """Put the runs back as the text of their elements."""
        for element in self._places(root):
            element.text = self.runs[element.text or ""]  # base64: ASCII, which may be set as bytes

    def fits(self, root: etree._Element) -> bool:
        """Tell whether each word is the whole text of exactly one element."""
        return sorted(e.text or "" for e in self._places(root)) == sorted(self.runs)

    def _places(self, root: etree._Element) -> list[etree._Element]:
        if not self.runs:
            return []
        return [e for e in root.iter(etree.Element) if e.text in self.runs and len(e) == 0]


def skeleton_of(data: bytes, *, alphabet: bytes = _BASE64) -> Skeleton:
    """Cut the long runs out of ``data``: text between ``>`` and ``</`` that holds only characters of ``alphabet``."""
    if len(data) < RUN_MIN_BYTES:
        return Skeleton(data)
    runs: dict[str, bytes] = {}
    mark, pieces, done = secrets.token_hex(16), [], 0
    for start, end in _long_segments(data):
        begin = data.rfind(b">", start, end) + 1
        if begin == 0 or end - begin < RUN_MIN_BYTES or data[end : end + 2] != b"</":
            continue
        if end - begin <= KEPT_MAX_BYTES and data[max(0, begin - KEPT_TAG_BYTES) : begin].endswith(KEPT_WHOLE):
            continue
        run = data[begin:end]
        if run.translate(None, alphabet):
            continue
        word = f"run{mark}x{len(runs)}"
        runs[word] = run.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in run else run
        pieces += [data[done:begin], word.encode("ascii")]
        done = end
    return Skeleton(b"".join((*pieces, data[done:])), runs) if runs else Skeleton(data)


def _long_segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield where ``<`` does not occur for ``RUN_MIN_BYTES`` or more; most of the file is jumped over."""
    at = -1
    while True:
        near = data.rfind(b"<", at + 1, at + 1 + RUN_MIN_BYTES)
        if near >= 0:
            at = near
            continue
        following = data.find(b"<", at + 1 + RUN_MIN_BYTES)
        if following < 0:
            return
        yield at + 1, following
        at = following


def parser(*, recover: bool = False, defaults: bool = False) -> etree.XMLParser:
    """Return a parser that loads nothing, resolves nothing and keeps libxml2's own limits."""
    return etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=defaults,
        huge_tree=False,
        recover=recover,
        remove_blank_text=False,
        collect_ids=False,
    )


def text_of(element: etree._Element) -> str:
    """Return an element's text, long runs included; empty if there is none."""
    return element.text or ""


def parse(data: bytes, *, limits: Limits, doctype_allowed: bool = False) -> etree._Element:
    """Parse well-formed UTF-8 and return the root, long texts included.

    With ``doctype_allowed`` an internal subset without entities is read (N1).

    Raises:
        InputRefused: not XML, not UTF-8, or a DOCTYPE (or entity) that is not accepted.
        LimitExceeded: size, depth, attributes or number of elements.
    """
    skeleton, root = parse_skeleton(data, limits=limits, doctype_allowed=doctype_allowed)
    skeleton.put_back(root)
    return root


def parse_skeleton(
    data: bytes, *, limits: Limits, doctype_allowed: bool = False, most: int | None = None
) -> tuple[Skeleton, etree._Element]:
    """Parse as ``parse`` does, but leave the words of cut runs in the tree.

    ``most`` bytes are parsed once the runs are cut out; more is refused before a tree is built of it.

    Raises:
        InputRefused, LimitExceeded: as ``parse``.
    """
    _check_size(data, limits)
    _check_encoding(data)
    for skeleton in (skeleton_of(data), Skeleton(data)):
        if most is not None and len(skeleton.data) > most:
            raise _over("xml_skeleton_max_bytes", len(skeleton.data), unit="byte")
        _check_start(skeleton.data, limits, doctype_allowed=doctype_allowed)
        root = _tree(skeleton.data, defaults=doctype_allowed)
        if skeleton.fits(root):
            break
    _check_tree(root, limits, data=skeleton.data, doctype_allowed=doctype_allowed)
    return skeleton, root


def parse_cut(skeleton: Skeleton, *, limits: Limits) -> etree._Element:
    """Parse a file whose runs have been cut out while it passed.

    Raises:
        InputRefused, LimitExceeded: as ``parse``.
    """
    _check_encoding(skeleton.data)
    _check_start(skeleton.data, limits, doctype_allowed=False)
    root = _tree(skeleton.data)
    _check_tree(root, limits, data=skeleton.data, doctype_allowed=False)
    return root


def parse_foreign(data: bytes, *, limits: Limits) -> tuple[Skeleton, etree._Element]:
    """Parse signed XML that others wrote: in more encodings, and an internal subset without entities (N1).

    Other encodings are coded anew as UTF-8, which is what canonical form does with them; long runs of base64 may hold
    white space of any kind.

    Raises:
        InputRefused, LimitExceeded: as ``parse``.
    """
    _check_size(data, limits)
    data = _in_utf8(data)
    _check_encoding(data)
    for skeleton in (skeleton_of(data, alphabet=_BASE64_TOLERANT), Skeleton(data)):
        _check_start(skeleton.data, limits, doctype_allowed=True)
        root = _tree(skeleton.data, defaults=True)
        if skeleton.fits(root):
            break
    _check_tree(root, limits, data=skeleton.data, doctype_allowed=True)
    return skeleton, root


def parse_tolerant(data: bytes, *, limits: Limits) -> tuple[etree._Element, tuple[str, ...]]:
    """Parse what other systems write (edxml.md 12, 3 and 4); return the root and words for what was tolerated.

    Words: ``byte-order-mark``, ``utf-16``, ``leading-bytes``, ``undeclared-prefix``. In recovery an undeclared prefix
    stays inside the tag name; no other fault is recovered from.

    Raises:
        InputRefused: not XML even so, or a DOCTYPE.
        LimitExceeded: as ``parse``.
    """
    _check_size(data, limits)
    data, tolerated = _unwrapped(data)
    _check_encoding(data)
    for skeleton in (skeleton_of(data, alphabet=_BASE64_TOLERANT), Skeleton(data)):
        _check_start(skeleton.data, limits, doctype_allowed=False)
        recovered = False
        try:
            root = _tree(skeleton.data)
        except LimitExceeded:
            raise
        except InputRefused:
            root, recovered = _recovered(skeleton.data), True
        if skeleton.fits(root):
            break
    _check_tree(root, limits, data=skeleton.data, doctype_allowed=False)
    skeleton.put_back(root)
    return root, (*tolerated, "undeclared-prefix") if recovered else tuple(tolerated)


def _recovered(data: bytes) -> etree._Element:
    """Parse once more, forgiving prefixes that are not declared and nothing else."""
    lenient = parser(recover=True)
    root = _tree(data, using=lenient)
    if any(entry.domain != etree.ErrorDomains.NAMESPACE for entry in lenient.error_log):
        line = next((e.line for e in lenient.error_log if e.domain != etree.ErrorDomains.NAMESPACE), 0)
        raise InputRefused("EDOC-XML-001", "not well-formed XML", line=str(line))
    return root


def _unwrapped(data: bytes) -> tuple[bytes, list[str]]:
    """Remove byte order mark, UTF-16 and rubbish before the declaration."""
    tolerated = []
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        data = _from_utf16(data)
        tolerated.append("utf-16")
    elif data.startswith(b"\xef\xbb\xbf"):
        data = data[3:]
        tolerated.append("byte-order-mark")
    start = data.find(b"<?xml", 0, RUBBISH_MAX_BYTES + 5)
    if start > 0:
        data = data[start:]
        tolerated.append("leading-bytes")
    return data, tolerated


def _from_utf16(data: bytes) -> bytes:
    try:
        return _DECLARATION.sub("", data.decode("utf-16")).encode("utf-8")
    except UnicodeError:
        raise InputRefused("EDOC-XML-001", "UTF-16 cannot be decoded", line="1") from None


def _in_utf8(data: bytes) -> bytes:
    """Code a file of a known encoding as UTF-8; anything else is returned as it is, to be refused."""
    if data.startswith(_MARK):
        return data
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return _from_utf16(data)
    if data.startswith((b"<\x00?\x00", b"\x00<\x00?")):
        return _from_utf16((b"\xff\xfe" if data.startswith(b"<") else b"\xfe\xff") + data)
    named = _declared(data)
    if named in {"utf-16", "unicode"}:  # eight bits wide all the same: text that was declared before it was coded
        named = "utf-8"
    elif named not in _ENCODINGS:
        return data
    try:
        return _DECLARATION.sub("", data.decode(named)).encode("utf-8")
    except UnicodeError:
        raise InputRefused("EDOC-XML-001", f"{named} cannot be decoded", line="1") from None


def _declared(data: bytes) -> str:
    """Return the encoding a file declares, in lower case; ``-`` where the declaration cannot be understood."""
    start = len(_MARK) if data.startswith(_MARK) else 0
    if data[start : start + 5] != b"<?xml" or not data[start + 5 : start + 6].isspace():
        return "utf-8"
    head, closed, _ = data[start : start + DECLARATION_MAX_BYTES].partition(b"?>")
    found = _ENCODING.search(head)
    if found is not None and closed:
        return found.group(1).decode("ascii").lower()
    return "-" if b"encoding" in head or not closed else "utf-8"


def _check_size(data: bytes, limits: Limits) -> None:
    if len(data) > limits.xml_max_bytes:
        raise _over("xml_max_bytes", len(data), unit="byte")


def _check_encoding(data: bytes) -> None:
    """Only UTF-8: in other encodings the checks on bytes below would look at something else than the parser."""
    if data.startswith(_USUAL):
        return
    named = _declared(data)
    wide = b"\x00" in data[:2] or data.startswith((b"\xff\xfe", b"\xfe\xff"))
    if wide or named not in {"utf-8", "utf8", "us-ascii", "ascii"}:
        raise InputRefused("EDOC-XML-004", "an encoding other than UTF-8", encoding=named)
    if _VERSION_11.search(data[:DECLARATION_MAX_BYTES].partition(b"?>")[0]) and any(e in data for e in _LINE_ENDS_11):
        raise InputRefused("EDOC-XML-001", "line ends that versions of XML read differently", line="0")


def _check_start(data: bytes, limits: Limits, *, doctype_allowed: bool) -> None:
    """Refuse before a tree is built what need not be built: entities, and far more nodes than elements are allowed.

    Each element has two tags at most; as many comments and instructions again, and as many attributes, are enough.
    """
    if data.count(b"<") > 4 * limits.xml_elements + 64:
        raise _over("xml_elements", data.count(b"<") // 2)
    if data.count(b"=") > 4 * limits.xml_elements + 64:
        raise _over("xml_attributes", data.count(b"="))
    found = _DOCTYPE.search(data)
    if found and not (doctype_allowed and _is_harmless(data)):
        raise InputRefused("EDOC-XML-003", "a DOCTYPE that is not accepted")


def _is_harmless(data: bytes) -> bool:
    """Tell whether the DOCTYPE declares elements, attributes and notations only, all inside the file.

    Where there is none, the word stands in a comment or CDATA section, or the file is not well-formed.
    """
    try:
        read_doctype(data.decode("utf-8"))
    except ValueError:
        return False
    return True


def _tree(data: bytes, *, defaults: bool = False, using: etree.XMLParser | None = None) -> etree._Element:
    strict = parser(defaults=defaults)
    try:
        root = etree.fromstring(data, using or strict)
    except etree.XMLSyntaxError as error:
        if "Resource limit" in str(error) or "xcessive depth" in str(error) or "XML_PARSE_HUGE" in str(error):
            limit = "xml_depth" if "depth" in str(error).lower() else "xml_text"
            raise _over(limit, 0) from None
        raise InputRefused("EDOC-XML-001", "not well-formed XML", line=str(error.lineno or 0)) from None
    except ValueError:
        raise InputRefused("EDOC-XML-001", "not XML", line="0") from None
    if root is None:
        raise InputRefused("EDOC-XML-001", "not XML", line="0")
    # the library forgets that a prefix is not declared when a warning about something else follows
    if using is None and (line := next((e.line for e in strict.error_log if e.level > _WARNING), None)) is not None:
        raise InputRefused("EDOC-XML-001", "not well-formed XML", line=str(line))
    return root


_WARNING = etree.ErrorLevels.WARNING


def _check_tree(root: etree._Element, limits: Limits, *, data: bytes, doctype_allowed: bool) -> None:
    """Check the tree of ``data`` against the limits; what the octets alone rule out is not looked for in the tree."""
    dtd = root.getroottree().docinfo.internalDTD
    if dtd is not None and not (doctype_allowed and not dtd.system_url and not dtd.external_id and not dtd.entities()):
        raise InputRefused("EDOC-XML-003", "a DOCTYPE that is not accepted")
    if b"&" in data and next(root.iter(etree.Entity), None) is not None:
        raise InputRefused("EDOC-XML-003", "an entity that is not accepted")
    spelled = dtd is None  # all that is in the tree, which has nothing from a DTD
    brackets, equals = data.count(b"<"), data.count(b"=")
    if not spelled or (equals > NAMESPACES_MAX and data.count(b"xmlns") > NAMESPACES_MAX):
        _check_namespaces(root)
    if brackets > limits.xml_depth and _deeper(limits.xml_depth)(root):
        raise _over("xml_depth", limits.xml_depth + 1)
    if not (spelled and equals <= limits.xml_attributes) and _wider(limits.xml_attributes)(root):
        raise _over("xml_attributes", limits.xml_attributes + 1)
    if brackets > limits.xml_elements:
        count = int(cast("float", _COUNT(root)))
        if count > limits.xml_elements:
            raise _over("xml_elements", count)


def _check_namespaces(root: etree._Element) -> None:
    """Refuse a place where more prefixes are declared than anybody needs: each element there would cost as much."""
    declared = most = 0
    for event, _ in etree.iterwalk(root, events=("start-ns", "end-ns")):
        declared += 1 if event == "start-ns" else -1
        most = max(most, declared)
    if most > NAMESPACES_MAX:
        raise _over("xml_namespaces", most)


_COUNT = etree.XPath("count(//*)")


@cache
def _deeper(depth: int) -> etree.XPath:
    """Ask for an element below ``depth`` levels; a question put to libxml2, because a walk costs more than parsing."""
    return etree.XPath(f"boolean({'/*' * (depth + 1)})")


@cache
def _wider(attributes: int) -> etree.XPath:
    """Ask for an element with more than so many attributes."""
    return etree.XPath(f"count(//@*) > {attributes} and boolean(//*[@*[{attributes + 1}]])")


def _over(limit: str, value: int, *, unit: str = "") -> LimitExceeded:
    return LimitExceeded("EDOC-XML-002", f"over the limit {limit}", limit=limit, value=str(value), unit=unit)
