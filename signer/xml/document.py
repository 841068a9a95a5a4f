"""A parsed XML file as references look at it: its IDs, its signatures, and octets with long runs put back."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol

from lxml import etree

from signer.doctype import read_doctype
from signer.safexml import Skeleton
from signer.xml.c14n import EXC, Form, canonical, canonical_document
from signer.xml.dsig import DS
from signer.xml.quick import write_document

SIGNATURE = f"{{{DS}}}Signature"
_SAML = "{urn:oasis:names:tc:SAML:1.0:"
_SAML_IDS = {
    "AssertionID": f"{_SAML}assertion}}Assertion",
    "RequestID": f"{_SAML}protocol}}Request",
    "ResponseID": f"{_SAML}protocol}}Response",
}
"""Attributes that are IDs by the schema of SAML 1.x, each on one element."""

OUTPUT_RATIO = 64
"""Canonical octets of one signature, as a multiple of the file (signing.md 5.1, N2)."""
OUTPUT_FLOOR_BYTES = 1024 * 1024
FILE_RATIO, FILE_FLOOR_BYTES, FILE_ENOUGH_BYTES = 16, 64 * 1024 * 1024, 256 * 1024 * 1024
"""What all signatures of a file may make together: ``OUTPUT_RATIO`` times the file up to enough, then less."""
COPY_RATIO = 4
"""What copying a file costs, as a part of what making its octets costs."""
QUICK_MIN_BYTES = 64 * 1024
"""Size from which on a whole document is canonicalised by libxml2."""


class _Hash(Protocol):
    def digest(self) -> bytes: ...


class OverBudget(Exception):
    """Canonical output passed its budget; the signature is not computable."""


class Budget:
    """Canonical octets that may still be made: by one signature, whatever it references, and by all of the file.

    Other work is counted in octets too. Content given by the caller adds to what may be made of it.
    """

    __slots__ = ("given", "left", "within")

    def __init__(self, left: int, within: Budget | None = None) -> None:
        self.left, self.within = left, within
        self.given: set[str] = set()

    @classmethod
    def of_signature(cls, size: int, within: Budget | None = None) -> Budget:
        """Return the budget of one signature of a file of that size."""
        return cls(max(OUTPUT_RATIO * size, OUTPUT_FLOOR_BYTES), within)

    @classmethod
    def of_file(cls, size: int) -> Budget:
        """Return the budget of all signatures of a file of that size together."""
        return cls(max(FILE_FLOOR_BYTES, FILE_RATIO * size, min(OUTPUT_RATIO * size, FILE_ENOUGH_BYTES)))

    def admit(self, name: str, size: int) -> None:
        """Count content that was given from outside as input, once."""
        if name not in self.given:
            self.given.add(name)
            self.left += OUTPUT_RATIO * size
        if self.within is not None:
            self.within.admit(name, size)

    def spend(self, octets: int) -> None:
        """Take octets off.

        Raises:
            OverBudget: there are not as many left.
        """
        self.left -= octets
        if self.left < 0:
            raise OverBudget
        if self.within is not None:
            self.within.spend(octets)


@dataclass(frozen=True)
class NodeSet:
    """A document (``apex`` is ``None``) or an element with what is below it, without ``omit``."""

    apex: etree._Element | None
    omit: frozenset[etree._Element] = frozenset()
    comments: bool = False


@dataclass(frozen=True)
class Document:
    """The root, the runs cut out, and which element has which ID. Proxies are held, so identity is lasting."""

    root: etree._Element
    skeleton: Skeleton
    ids: dict[str, list[etree._Element]] = field(default_factory=dict)
    signatures: tuple[etree._Element, ...] = ()
    size: int = 0
    digests: dict[tuple[NodeSet, Form, str], bytes] = field(default_factory=dict)  # those computed already
    places: dict[etree._Element, dict[etree._Element, int]] = field(default_factory=dict)  # likewise, for paths

    @classmethod
    def of(cls, root: etree._Element, skeleton: Skeleton, *, size: int) -> Document:
        """Collect IDs (attributes named ``id`` in any case, ``xml:id``, declared ones) and signatures."""
        return cls(root, skeleton, _ids(root, skeleton), tuple(root.iter(SIGNATURE)), size)

    def duplicate_id(self) -> str | None:
        """Return an ID value that two elements have (W1), or ``None``."""
        seen: dict[str, etree._Element] = {}
        for value, elements in self.ids.items():
            trimmed = " ".join(value.split())  # as readers do that know the attribute for an ID
            if len(elements) > 1 or seen.setdefault(trimmed, elements[0]) is not elements[0]:
                return trimmed
        return None

    def budget(self) -> Budget:
        """Return the budget of one signature of this file."""
        return Budget.of_signature(self.size, self.together)

    @cached_property
    def together(self) -> Budget:
        """The budget of all signatures of this file."""
        return Budget.of_file(self.size)

    @cached_property
    def stamping(self) -> Budget:
        """The budget of the time stamps of all signatures together: each is over the whole file again."""
        return Budget.of_signature(self.size)

    def is_empty(self, nodes: NodeSet) -> bool:
        """Tell whether no element is left in a node set."""
        apex = nodes.apex if nodes.apex is not None else self.root
        return bool(nodes.omit) and (apex in nodes.omit or any(e in nodes.omit for e in apex.iterancestors()))

    def pieces(self, nodes: NodeSet, form: Form) -> Iterator[bytes]:
        """Yield canonical octets with runs put back."""
        return self._pieces(nodes, form, self.skeleton.runs)

    def skeleton_pieces(self, nodes: NodeSet, form: Form) -> Iterator[bytes]:
        """Yield canonical octets in which words stand for runs."""
        return self._pieces(nodes, form, {})

    def _pieces(self, nodes: NodeSet, form: Form, runs: Mapping[str, bytes]) -> Iterator[bytes]:
        actual = _with_comments(form, nodes)
        if nodes.apex is None:
            return canonical_document(self.root, actual, omit=nodes.omit, runs=runs)
        if self.is_empty(nodes):
            return iter(())
        return canonical(nodes.apex, actual, omit=nodes.omit, runs=runs)

    def digest(self, nodes: NodeSet, form: Form, algorithm: str, budget: Budget | None = None) -> bytes:
        """Hash canonical octets piece by piece; what was hashed before costs nothing.

        Raises:
            OverBudget: more than ``OUTPUT_RATIO`` times the file.
        """
        key = (nodes, form, algorithm)
        if key in self.digests:
            return self.digests[key]
        allowed = budget or self.budget()
        state = self._quick(nodes, form, algorithm, allowed)
        if state is None:
            state = hashlib.new(algorithm, usedforsecurity=False)
            for piece in self.pieces(nodes, form):
                state.update(piece)
                allowed.spend(len(piece))
        self.digests[key] = state.digest()
        return self.digests[key]

    def _quick(self, nodes: NodeSet, form: Form, algorithm: str, budget: Budget) -> _Hash | None:
        """Hash a whole large document by way of libxml2, where that is possible."""
        if nodes.apex not in {None, self.root} or self.size < QUICK_MIN_BYTES or self.skeleton.runs:
            return None
        if nodes.apex is not None and (self.root.getnext() is not None or self.root.getprevious() is not None):
            return None
        state = hashlib.new(algorithm, usedforsecurity=False)
        if nodes.omit:
            budget.spend(self.size // COPY_RATIO)

        def take(octets: bytes) -> None:
            state.update(octets)
            budget.spend(len(octets))

        if write_document(self.root, _with_comments(form, nodes), take, omit=nodes.omit):
            return state
        return None

    def agrees(self, nodes: NodeSet, form: Form, octets: bytes) -> bool:
        """Tell whether octets made for handing them on, words in the places of runs, are those that were hashed."""
        if self.skeleton.runs:
            return True  # one way only was gone
        known = {name: value for (of, how, name), value in self.digests.items() if of == nodes and how == form}
        return all(hashlib.new(name, octets, usedforsecurity=False).digest() == value for name, value in known.items())

    def octets(self, nodes: NodeSet, form: Form = EXC, budget: Budget | None = None) -> bytes:
        """Return canonical octets.

        Raises:
            OverBudget: as ``digest``.
        """
        found, allowed = [], budget or self.budget()
        for piece in self.pieces(nodes, form):
            found.append(piece)
            allowed.spend(len(piece))
        return b"".join(found)

    def text(self, nodes: NodeSet) -> str:
        """Return the text of the nodes, runs put back, without comments and instructions."""
        if self.is_empty(nodes):
            return ""
        stack: list[etree._Element | str] = [nodes.apex if nodes.apex is not None else self.root]
        found: list[str] = []
        while stack:
            node = stack.pop()
            if isinstance(node, str):
                found.append(node)
            elif isinstance(node.tag, str) and node not in nodes.omit:
                run = self.skeleton.runs.get(node.text or "")
                found.append(str(run, "ascii") if run is not None else node.text or "")
                for child in reversed(node):
                    stack += [child.tail or "", child]
        return "".join(found)

    def path(self, element: etree._Element) -> str:
        """Return where an element stands, as ``/name/child[2]``, with local names only."""
        parts = []
        for node in (element, *element.iterancestors()):
            name, place = etree.QName(node).localname, self._place(node)
            parts.append(f"{name}[{place}]" if place > 1 else name)
        return "/" + "/".join(reversed(parts))

    def _place(self, node: etree._Element) -> int:
        """Return which of its name an element is below its parent, from 1."""
        parent = node.getparent()
        if parent is None:
            return 1
        if parent not in self.places:
            counts: dict[str, int] = {}
            found: dict[etree._Element, int] = {}
            for child in parent.iterchildren(etree.Element):
                found[child] = counts[str(child.tag)] = counts.get(str(child.tag), 0) + 1
            self.places[parent] = found
        return self.places[parent][node]


def _with_comments(form: Form, nodes: NodeSet) -> Form:
    """Return the form as it comes out for nodes, which may hold no comments."""
    return form if nodes.comments or not form.comments else replace(form, comments=False)


def text_of(element: etree._Element | None) -> str:
    """Return the text of an element as readers get it: comments in it do not cut it off; ``""`` without one."""
    if element is None:
        return ""
    if len(element) == 0:
        return element.text or ""
    return "".join((element.text or "", *(child.tail or "" for child in element)))


def _ids(root: etree._Element, skeleton: Skeleton) -> dict[str, list[etree._Element]]:
    declared = _declared_ids(root, skeleton)
    kinds: dict[str, bool | None] = {}  # is it an ID? None: that depends on the element
    found: dict[str, list[etree._Element]] = {}
    for element in root.iter(etree.Element):
        for name, value in element.items():
            if name not in kinds:
                local = name.rpartition("}")[2]
                depends = local in _SAML_IDS or any(local == attribute for _, attribute in declared)
                kinds[name] = True if local.lower() == "id" else None if depends else False
            kind = kinds[name]
            if kind or (kind is None and _is_id(element, name, declared)):
                holders = found.setdefault(value, [])
                if not holders or holders[-1] is not element:
                    holders.append(element)
    return found


def _is_id(element: etree._Element, name: str, declared: frozenset[tuple[str, str]]) -> bool:
    return _SAML_IDS.get(name) == element.tag or ((etree.QName(element).localname, name.rpartition("}")[2]) in declared)


def _declared_ids(root: etree._Element, skeleton: Skeleton) -> frozenset[tuple[str, str]]:
    """Return the attributes the file declares as IDs, by local names of element and attribute."""
    if root.getroottree().docinfo.internalDTD is None:
        return frozenset()
    found = read_doctype(skeleton.data.decode("utf-8"))
    return found.ids if found is not None else frozenset()
