"""A parsed XML file as references look at it: its IDs, its signatures, and octets with long runs put back."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from lxml import etree

from signer.safexml import Skeleton
from signer.xml.c14n import EXC, WORD_MAX, Form, canonical, canonical_document
from signer.xml.dsig import DS

SIGNATURE = f"{{{DS}}}Signature"
_ID_DECLARED = re.compile(rb"([^\s<>\"'=]+)\s+ID\s+#(?:IMPLIED|REQUIRED)")
OUTPUT_RATIO = 64
"""Canonical octets of one signature, as a multiple of the file (signing.md 5.1, N2)."""
OUTPUT_FLOOR_BYTES = 1024 * 1024


class OverBudget(Exception):
    """Canonical output passed its budget; the signature is not computable."""


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

    @classmethod
    def of(cls, root: etree._Element, skeleton: Skeleton, *, size: int) -> Document:
        """Collect IDs (attributes named ``id`` in any case, ``xml:id``, declared ones) and signatures."""
        return cls(root, skeleton, _ids(root, skeleton), tuple(root.iter(SIGNATURE)), size)

    def duplicate_id(self) -> str | None:
        """Return an ID value that two elements have (W1), or ``None``."""
        return next((value for value, elements in self.ids.items() if len(elements) > 1), None)

    def pieces(self, nodes: NodeSet, form: Form) -> Iterator[bytes]:
        """Yield canonical octets with runs put back."""
        runs = {word.encode("ascii"): run for word, run in self.skeleton.runs.items()}
        for piece in self.skeleton_pieces(nodes, form):
            yield runs.get(piece, piece) if runs and len(piece) <= WORD_MAX else piece

    def skeleton_pieces(self, nodes: NodeSet, form: Form) -> Iterator[bytes]:
        """Yield canonical octets in which words stand for runs."""
        actual = Form(form.exclusive, form.comments and nodes.comments, form.prefixes, form.version_11)
        if nodes.apex is None:
            return canonical_document(self.root, actual, omit=nodes.omit)
        return canonical(nodes.apex, actual, omit=nodes.omit)

    def digest(self, nodes: NodeSet, form: Form, algorithm: str) -> bytes:
        """Hash canonical octets piece by piece.

        Raises:
            OverBudget: more than ``OUTPUT_RATIO`` times the file.
        """
        state, left = hashlib.new(algorithm, usedforsecurity=False), self.budget
        for piece in self.pieces(nodes, form):
            state.update(piece)
            left -= len(piece)
            if left < 0:
                raise OverBudget
        return state.digest()

    def octets(self, nodes: NodeSet, form: Form = EXC) -> bytes:
        """Return canonical octets.

        Raises:
            OverBudget: as ``digest``.
        """
        found, left = [], self.budget
        for piece in self.pieces(nodes, form):
            found.append(piece)
            left -= len(piece)
            if left < 0:
                raise OverBudget
        return b"".join(found)

    def text(self, nodes: NodeSet) -> str:
        """Return the text of the nodes, runs put back, without comments and instructions."""
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

    @property
    def budget(self) -> int:
        """Canonical octets allowed for one reference."""
        return max(OUTPUT_RATIO * self.size, OUTPUT_FLOOR_BYTES)

    def path(self, element: etree._Element) -> str:
        """Return where an element stands, as ``/name/child[2]``, with local names only."""
        parts = []
        for node in (element, *element.iterancestors()):
            name = etree.QName(node).localname
            place = sum(sibling.tag == node.tag for sibling in node.itersiblings(preceding=True)) + 1
            parts.append(f"{name}[{place}]" if place > 1 else name)
        return "/" + "/".join(reversed(parts))


def _ids(root: etree._Element, skeleton: Skeleton) -> dict[str, list[etree._Element]]:
    declared = _declared_ids(root, skeleton)
    found: dict[str, list[etree._Element]] = {}
    for element in root.iter(etree.Element):
        for name, value in element.attrib.items():
            local = etree.QName(str(name)).localname
            if local.lower() == "id" or local in declared:
                holders = found.setdefault(str(value), [])
                if element not in holders:
                    holders.append(element)
    return found


def _declared_ids(root: etree._Element, skeleton: Skeleton) -> frozenset[str]:
    """Return local names of attributes that the file declares as IDs, on whatever element; rather too many."""
    if root.getroottree().docinfo.internalDTD is None:
        return frozenset()
    return frozenset(name.decode("utf-8").rpartition(":")[2] for name in _ID_DECLARED.findall(skeleton.data))
