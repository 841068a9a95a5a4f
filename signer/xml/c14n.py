"""Canonical XML: Exclusive 1.0, inclusive 1.0 and 1.1, each with and without comments (signing.md 5.1, N2).

Own code, because libxml2's canonical form of subtrees has traps (N3) and cannot leave an element out. A document or an
element can be given, also without some of the elements in it. Output comes in pieces, so that hashing needs no second
copy of a large attachment.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from lxml import etree

EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
INCLUSIVE = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
INCLUSIVE_11 = "http://www.w3.org/2006/12/xml-c14n11"
XML = "http://www.w3.org/XML/1998/namespace"

WORD_MAX = 80
"""Longest word that stands for a run cut out (``signer.safexml``)."""


@dataclass(frozen=True, slots=True)
class Form:
    """Which canonical form; ``prefixes`` is the PrefixList of the exclusive one, the default namespace as ``""``."""

    exclusive: bool
    comments: bool = False
    prefixes: frozenset[str] = frozenset()
    version_11: bool = False


EXC = Form(exclusive=True)

FORMS: Mapping[str, Form] = {
    EXCLUSIVE: EXC,
    EXCLUSIVE + "WithComments": Form(exclusive=True, comments=True),
    INCLUSIVE: Form(exclusive=False),
    INCLUSIVE + "#WithComments": Form(exclusive=False, comments=True),
    INCLUSIVE_11: Form(exclusive=False, version_11=True),
    INCLUSIVE_11 + "#WithComments": Form(exclusive=False, comments=True, version_11=True),
}
"""The canonicalisation algorithms of XML-DSig by their identifiers."""


def canonical(
    apex: etree._Element,
    form: Form = EXC,
    *,
    omit: Collection[etree._Element] = (),
    runs: Mapping[str, bytes] | None = None,
) -> Iterator[bytes]:
    """Yield the canonical octets of an element and what is below it, leaving the elements ``omit`` out.

    ``runs`` maps a text that stands for cut-out base64 to its bytes (``signer.safexml``); such text is replaced.
    """
    return _Writer(form, omit, runs or {}).element(apex)


def canonical_document(
    root: etree._Element,
    form: Form = EXC,
    *,
    omit: Collection[etree._Element] = (),
    runs: Mapping[str, bytes] | None = None,
) -> Iterator[bytes]:
    """Yield the canonical octets of the whole document: root, and instructions and comments around it."""
    writer = _Writer(form, omit, runs or {})
    for node in reversed(list(root.itersiblings(preceding=True))):
        if piece := writer.outside(node):
            yield piece + b"\n"
    yield from writer.element(root)
    for node in root.itersiblings():
        if piece := writer.outside(node):
            yield b"\n" + piece


def digest(pieces: Iterable[bytes], algorithm: str = "sha256") -> bytes:
    """Hash canonical pieces."""
    state = hashlib.new(algorithm, usedforsecurity=False)
    for piece in pieces:
        state.update(piece)
    return state.digest()


Rendered = dict[str, str]


class _Writer:
    def __init__(self, form: Form, omit: Collection[etree._Element], runs: Mapping[str, bytes]) -> None:
        self.form, self.omit, self.runs = form, frozenset(omit), runs

    def element(self, apex: etree._Element) -> Iterator[bytes]:
        """Walk without recursion: a stack of (node, namespaces rendered above it), and closing tags between."""
        stack: list[tuple[etree._Element | bytes, Rendered]] = [(apex, {})]
        while stack:
            node, above = stack.pop()
            if isinstance(node, bytes):
                yield node
                continue
            if node in self.omit:
                continue
            if not isinstance(node.tag, str):
                if piece := self.outside(node):
                    yield piece
                continue
            start, rendered = self._start(node, above, is_apex=node is apex)
            yield start
            if node.text:
                yield self._text(node.text)
            stack.append((f"</{_qname(node)}>".encode(), above))
            for child in reversed(node):
                if child.tail:
                    stack.append((_escape(child.tail), above))
                stack.append((child, rendered))

    def outside(self, node: etree._Element) -> bytes:
        """Return an instruction or, if asked for, a comment; nothing for anything else."""
        if isinstance(node, etree._ProcessingInstruction):
            data = f" {node.text}" if node.text else ""
            return f"<?{node.target}{data.replace(chr(13), '&#xD;')}?>".encode()
        if isinstance(node, etree._Comment) and self.form.comments:
            return f"<!--{(node.text or '').replace(chr(13), '&#xD;')}-->".encode()
        return b""

    def _text(self, text: str) -> bytes:
        if self.runs and len(text) <= WORD_MAX and text in self.runs:  # long texts are not hashed in vain
            return self.runs[text]
        return _escape(text)

    def _start(self, node: etree._Element, above: Rendered, *, is_apex: bool) -> tuple[bytes, Rendered]:
        """Return the start tag, and the namespaces rendered from here on."""
        uri, local = _split(str(node.tag))
        prefix = node.prefix or ""
        attributes = _attributes(node)
        wanted = self._needed(node, prefix, uri, attributes) if self.form.exclusive else _in_scope(node)
        declared = {p: u for p, u in wanted.items() if above.get(p, "") != u}
        if is_apex and not self.form.exclusive:
            attributes = [a for a in attributes if a[1] != XML] + self._inherited(node, attributes)
        start = f"<{prefix}:{local}" if prefix else f"<{local}"
        if not declared and not attributes:
            return f"{start}>".encode(), above
        parts = [start, *(_declaration(p, declared[p]) for p in sorted(declared))]
        for own, namespace, name, value in sorted(attributes, key=lambda a: (a[1], a[2])):
            qualified = f"{own}:{name}" if namespace else name
            parts.append(f' {qualified}="{_quote(value)}"')
        parts.append(">")
        return "".join(parts).encode("utf-8"), {**above, **declared} if declared else above

    def _needed(self, node: etree._Element, prefix: str, uri: str, attributes: list[Attribute]) -> Rendered:
        """Return the namespaces that the exclusive form renders: those in sight, and those of the PrefixList."""
        wanted = {own: namespace for own, namespace, _, _ in attributes if own and namespace != XML}
        if uri != XML:
            wanted[prefix] = uri
        if self.form.prefixes:
            wanted |= {p: u for p, u in _in_scope(node).items() if p in self.form.prefixes}
        return wanted

    def _inherited(self, apex: etree._Element, own: list[Attribute]) -> list[Attribute]:
        """Return the apex's ``xml:`` attributes: inclusive forms give it those of its ancestors.

        1.1 leaves ``xml:id`` out and joins the values of ``xml:base``.
        """
        found = {local: value for _, uri, local, value in own if uri == XML}
        bases = [found["base"]] if "base" in found else []
        for ancestor in apex.iterancestors():
            for name, value in ancestor.attrib.items():
                uri, local = _split(str(name))
                if uri != XML or (self.form.version_11 and local == "id"):
                    continue
                if local == "base":
                    bases.append(str(value))
                found.setdefault(local, str(value))
        if self.form.version_11 and bases:
            found["base"] = join_bases(bases)
        return [("xml", XML, local, value) for local, value in found.items() if value or local != "base"]


def join_bases(bases: Sequence[str]) -> str:
    """Join ``xml:base`` values, innermost first, as Canonical XML 1.1 (2.4) does: relative ones stay relative."""
    joined = bases[-1]
    for base in reversed(bases[:-1]):
        joined = _join(joined, base)
    return joined


def _join(base: str, reference: str) -> str:
    above, below = urlsplit(base), urlsplit(reference)
    if below.scheme:
        parts = below._replace(path=_without_dots(below.path))
    elif below.netloc:
        parts = below._replace(scheme=above.scheme, path=_without_dots(below.path))
    elif not below.path:
        parts = above._replace(query=below.query or above.query)
    elif below.path.startswith("/"):
        parts = above._replace(path=_without_dots(below.path), query=below.query)
    else:
        merged = above.path.rpartition("/")[0] + "/" + below.path if "/" in above.path else below.path
        parts = above._replace(path=_without_dots(merged), query=below.query)
    return urlunsplit(parts._replace(fragment=""))


def _without_dots(path: str) -> str:
    """Remove ``.`` and ``..`` where something stands before them; leading ``..`` of a relative path stay."""
    kept: list[str] = []
    segments = path.split("/")
    for segment in segments:
        if segment == ".." and kept and kept[-1] not in {"..", ""}:
            kept.pop()
        elif segment == ".." and kept == [""]:
            continue
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in {".", ".."} and kept and kept[-1] not in {"", ".."}:
        kept.append("")
    return "/".join(kept)


def _in_scope(node: etree._Element) -> Rendered:
    """Return the namespaces in scope by prefix; the default one always, as ``""`` if there is none."""
    found = {prefix or "": uri or "" for prefix, uri in node.nsmap.items() if prefix != "xml"}
    found.setdefault("", "")
    return found


Attribute = tuple[str, str, str, str]  # prefix, namespace, local name, value


def _attributes(node: etree._Element) -> list[Attribute]:
    found: list[Attribute] = []
    for position, (name, value) in enumerate(node.attrib.items(), start=1):
        uri, local = _split(str(name))
        prefix = ""
        if uri == XML:
            prefix = "xml"
        elif uri:  # lxml gives no prefix of attributes, and two prefixes may name one namespace
            qualified = str(node.xpath(f"name(@*[{position}])"))
            prefix = qualified.partition(":")[0]
        found.append((prefix, uri, local, str(value)))
    return found


def _split(name: str) -> tuple[str, str]:
    if name.startswith("{"):
        uri, _, local = name[1:].partition("}")
        return uri, local
    return "", name


def _qname(node: etree._Element) -> str:
    local = _split(str(node.tag))[1]
    return f"{node.prefix}:{local}" if node.prefix else local


def _declaration(prefix: str, uri: str) -> str:
    return f' xmlns:{prefix}="{_quote(uri)}"' if prefix else f' xmlns="{_quote(uri)}"'


def _escape(text: str) -> bytes:
    if "&" in text or "<" in text or ">" in text or "\r" in text:
        text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#xD;")
    return text.encode("utf-8")


def _quote(text: str) -> str:
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    return text.replace("\t", "&#x9;").replace("\n", "&#xA;").replace("\r", "&#xD;")
