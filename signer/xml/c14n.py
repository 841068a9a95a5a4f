"""Canonical XML: Exclusive 1.0, inclusive 1.0 and 1.1, each with and without comments (signing.md 5.1, N2).

Own code, because libxml2's canonical form of subtrees has traps (N3), refuses relative namespace names and cannot leave
an element out. A document or an element can be given, also without some of the elements in it; such elements are left
out with all that is below them, so that the only element whose parent is not written is the first one. Output comes in
pieces, so that hashing needs no second copy of a large attachment. One pass, no recursion, no object per node.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from lxml import etree

from signer.xml.bases import join_bases as join_bases

EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
INCLUSIVE = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
INCLUSIVE_11 = "http://www.w3.org/2006/12/xml-c14n11"
XML = "http://www.w3.org/XML/1998/namespace"

WORD_MAX = 80
"""Longest word that stands for a run cut out (``signer.safexml``)."""

PARTS, PARTS_SIZE = 1024, 1 << 16
"""Parts, and characters in long ones, that are joined before they are handed out."""
LONG_TEXT = 1 << 12
STARTS_MAX, BOUND_MAX = 1000, 64
"""Start tags remembered, and namespaces in scope up to which they are."""


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
    Without it, every text that may be such a word is a piece of its own, so that the caller can replace it.
    """
    return _Writer(form, omit, runs).element(apex)


def canonical_document(
    root: etree._Element,
    form: Form = EXC,
    *,
    omit: Collection[etree._Element] = (),
    runs: Mapping[str, bytes] | None = None,
) -> Iterator[bytes]:
    """Yield the canonical octets of the whole document: root, and instructions and comments around it."""
    writer = _Writer(form, omit, runs)
    for node in reversed(list(root.itersiblings(preceding=True))):
        if piece := writer.outside(node):
            yield piece.encode("utf-8") + b"\n"
    yield from writer.element(root)
    for node in root.itersiblings():
        if piece := writer.outside(node):
            yield b"\n" + piece.encode("utf-8")


def digest(pieces: Iterable[bytes], algorithm: str = "sha256") -> bytes:
    """Hash canonical pieces."""
    state = hashlib.new(algorithm, usedforsecurity=False)
    for piece in pieces:
        state.update(piece)
    return state.digest()


Rendered = dict[str, str]
Name = tuple[str, str, str]  # namespace, local name, name as written
Attribute = tuple[str, str, str, str, int]  # namespace, local name, name as written, value, place in the element
Items = list[tuple[str, str]]
Tag = tuple[str, str, str, str]  # start without its bracket, end, prefix, namespace


class _State:
    """What is in scope at an element, and what has been rendered around it.

    ``names`` are the attribute names whose prefix is known for certain here, ``known`` what start tags came out as.
    """

    __slots__ = ("bound", "known", "names", "rendered")

    def __init__(self, bound: Rendered, rendered: Rendered) -> None:
        self.bound, self.rendered = bound, rendered
        self.names: dict[str, Name | None] = {}
        self.known: dict[tuple[object, ...], Start] = {}

    def name(self, name: str) -> Name | None:
        """Return an attribute's name as written; ``None`` where two prefixes are bound to its namespace."""
        if name in self.names:
            return self.names[name]
        uri, _, local = name[1:].partition("}")
        found = ["xml"] if uri == XML else [prefix for prefix, bound in self.bound.items() if bound == uri and prefix]
        self.names[name] = (uri, local, f"{found[0]}:{local}") if len(found) == 1 else None
        return self.names[name]


Start = tuple[str, _State, tuple[tuple[int, str], ...]]
"""A start tag behind its name: declarations, the state from there on, and attributes by place and written name."""


class _Writer:
    """One canonicalisation. ``state`` is that at the element the walk is in."""

    def __init__(self, form: Form, omit: Collection[etree._Element], runs: Mapping[str, bytes] | None) -> None:
        self.form, self.omit, self.runs = form, frozenset(omit), runs
        self.tags: dict[tuple[str, str | None], Tag] = {}
        self.state, self.remembered = _State({}, {}), 0

    def element(self, apex: etree._Element) -> Iterator[bytes]:
        """Walk the tree once, handing out what has been written whenever it is enough.

        One loop, because this is where checking a signature spends its time.
        """
        omit, tags, simple, looks_for_words = self.omit, self.tags, not self.form.prefixes, self.runs != {}
        parts: list[str] = []
        add = parts.append
        frames: list[tuple[str, _State]] = []
        own: Rendered = {}  # what the coming element declares
        long = 0  # characters in start tags that declare something
        text: str | None
        walker = etree.iterwalk(apex, events=("start", "end", "start-ns", "comment", "pi"))
        for event, node in cast("Iterator[tuple[str, etree._Element]]", walker):
            if event == "start":
                if omit and node in omit:
                    walker.skip_subtree()
                    frames.append(("", self.state))
                    own = {}
                    continue
                start, end, prefix, uri = tags.get((node.tag, node.prefix)) or self._tag(node)  # type: ignore[arg-type]  # names of elements are texts
                frames.append((end, self.state))
                items = node.items()
                if own or not simple or node is apex or self.state.rendered.get(prefix, "") != uri:
                    start += self._start(node, items, own) if node is not apex else self._first(node, items)
                    own = {}
                    long += len(start)
                elif items:
                    start += _plain(items) or self._start(node, items, own)
                add(start + ">")
                text = node.text
            elif event == "end":
                end, self.state = frames.pop()
                add(end)
                text = node.tail if frames else None
            elif event == "start-ns":
                name, value = cast("tuple[str | None, str | None]", node)
                own[name or ""] = value or ""
                continue
            else:
                add(self.outside(node))
                text = node.tail
            if text:
                if "&" in text or "<" in text or ">" in text or "\r" in text:
                    text = _escaped(text)
                if looks_for_words and len(text) <= WORD_MAX and self._is_word(text):
                    yield "".join(parts).encode("utf-8")
                    parts.clear()
                    yield (self.runs or {}).get(text) or text.encode("utf-8")
                    continue
                add(text)
                if len(text) > LONG_TEXT:
                    long = PARTS_SIZE
            if len(parts) >= PARTS or long >= PARTS_SIZE:
                yield "".join(parts).encode("utf-8")
                parts.clear()
                long = 0
        yield "".join(parts).encode("utf-8")

    def _first(self, apex: etree._Element, items: Items) -> str:
        """Return what stands behind the name in the first start tag: it answers for what its ancestors declare."""
        bound = _in_scope(apex)
        self.state = _State(bound, {})
        attributes = self._attributes(apex, items)
        if not self.form.exclusive:
            attributes = self._inherited(apex, attributes)
        wanted = self._in_sight(apex, attributes) if self.form.exclusive else bound
        declared = {p: u for p, u in wanted.items() if u}
        self.state = _State(bound, declared)
        return _declarations(declared) + "".join([f' {name}="{_value(value)}"' for _, _, name, value, _ in attributes])

    def _start(self, node: etree._Element, items: Items, own: Rendered) -> str:
        """Return what stands behind the name in a start tag; from here on its declarations are in scope."""
        before = self.state
        key = (node.tag, node.prefix, *[name for name, _ in items], *own.items())
        found = before.known.get(key)
        if found is None:
            found = self._new_start(node, items, own)
        declarations, self.state, order = found
        return declarations + "".join([f' {name}="{_value(items[place][1])}"' for place, name in order])

    def _new_start(self, node: etree._Element, items: Items, own: Rendered) -> Start:
        before = self.state
        if own:
            self.state = _State({**before.bound, **own}, before.rendered)
        attributes, rendered = self._attributes(node, items), before.rendered
        wanted = self._in_sight(node, attributes) if self.form.exclusive else own
        declared = {p: u for p, u in wanted.items() if rendered.get(p, "") != u}
        if declared:
            names = self.state.names
            self.state = _State(self.state.bound, {**rendered, **declared})
            self.state.names = names
        found = (_declarations(declared), self.state, tuple((place, name) for _, _, name, _, place in attributes))
        certain = all(self.state.name(name) for name, _ in items if name.startswith("{"))
        if certain and self.remembered < STARTS_MAX and len(before.bound) <= BOUND_MAX:
            key = (node.tag, node.prefix, *[name for name, _ in items], *own.items())
            before.known[key] = found
            self.remembered += 1
        return found

    def outside(self, node: etree._Element) -> str:
        """Return an instruction or, if asked for, a comment; nothing for anything else."""
        if isinstance(node, etree._ProcessingInstruction):
            data = f" {node.text}" if node.text else ""
            return f"<?{node.target}{data}?>".replace("\r", "&#xD;")
        if isinstance(node, etree._Comment) and self.form.comments:
            return f"<!--{node.text or ''}-->".replace("\r", "&#xD;")
        return ""

    def _is_word(self, text: str) -> bool:
        return text.startswith("run") if self.runs is None else text in self.runs

    def _tag(self, node: etree._Element) -> Tag:
        """Return start (without ``>``) and end tag of elements of this name, their prefix and namespace."""
        name, prefix = str(node.tag), node.prefix
        uri, _, local = name[1:].partition("}") if name.startswith("{") else ("", "", name)
        qualified = f"{prefix}:{local}" if prefix else local
        self.tags[name, prefix] = found = (f"<{qualified}", f"</{qualified}>", prefix or "", uri)
        return found

    def _attributes(self, node: etree._Element, items: Items) -> list[Attribute]:
        """Return the attributes in canonical order, by namespace and then by local name."""
        found: list[Attribute] = []
        for place, (name, value) in enumerate(items):
            if name.startswith("{"):
                named = self.state.name(name)
                if named is None:  # lxml gives no prefix of attributes, and two prefixes may name one namespace
                    uri, _, local = name[1:].partition("}")
                    named = (uri, local, str(node.xpath(f"name(@*[{place + 1}])")))
                found.append((*named, value, place))
            else:
                found.append(("", name, name, value, place))
        return sorted(found) if len(found) > 1 else found

    def _in_sight(self, node: etree._Element, attributes: list[Attribute]) -> Rendered:
        """Return the namespaces that the exclusive form renders: those in sight, and those of the PrefixList."""
        _, _, prefix, uri = self.tags[str(node.tag), node.prefix]
        bound = self.state.bound
        wanted = {p: bound[p] for p in self.form.prefixes if p in bound}
        if uri != XML:
            wanted[prefix] = uri
        for namespace, _, name, _, _ in attributes:
            if namespace and namespace != XML:
                wanted[name.partition(":")[0]] = namespace
        return wanted

    def _inherited(self, apex: etree._Element, attributes: list[Attribute]) -> list[Attribute]:
        """Return the attributes with the ``xml:`` ones of ancestors: inclusive forms give them to the first element.

        1.0 gives it all of them. 1.1 (2.4) gives ``xml:lang`` and ``xml:space``, and joins the values of ``xml:base``.
        """
        own = {local: value for uri, local, _, value, _ in attributes if uri == XML}
        found, bases = dict(own), []
        for ancestor in apex.iterancestors():
            for name, value in ancestor.items():
                uri, _, local = name[1:].partition("}")
                if uri != XML:
                    continue
                if not self.form.version_11 or local in {"lang", "space"}:
                    found.setdefault(local, value)
                elif local == "base":
                    bases.append(value)
        if bases:
            found["base"] = join_bases(([own["base"]] if "base" in own else []) + bases)
            if not found["base"]:
                del found["base"]
        others = [attribute for attribute in attributes if attribute[0] != XML]
        return sorted([*others, *((XML, local, f"xml:{local}", value, 0) for local, value in found.items())])


def _in_scope(node: etree._Element) -> Rendered:
    """Return the namespaces in scope by prefix; the default one always, as ``""`` if there is none."""
    found = {prefix or "": uri or "" for prefix, uri in node.nsmap.items() if prefix != "xml"}
    found.setdefault("", "")
    return found


def _plain(items: Items) -> str:
    """Return attributes without namespaces, in canonical order; nothing if one has a namespace."""
    for name, _ in items:
        if name[0] == "{":
            return ""
    if len(items) > 1:
        items.sort()
    return "".join([f' {name}="{_value(value)}"' for name, value in items])


def _declarations(declared: Rendered) -> str:
    return "".join(
        [f' xmlns:{p}="{_quoted(declared[p])}"' if p else f' xmlns="{_quoted(declared[p])}"' for p in sorted(declared)]
    )


def _value(text: str) -> str:
    if text.isalnum():
        return text
    return _quoted(text) if "&" in text or "<" in text or '"' in text or not text.isprintable() else text


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#xD;")


def _quoted(text: str) -> str:
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    return text.replace("\t", "&#x9;").replace("\n", "&#xA;").replace("\r", "&#xD;")
