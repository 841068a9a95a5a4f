"""Whole documents in canonical form by libxml2: the same octets in a fraction of the time (signing.md 5.1, N2, N3).

libxml2 serves whole parsed documents only. What it cannot do (relative namespace names, texts that stand for runs cut
out) goes the general way; that both ways agree is a property test, and what is handed on is always made and compared
the general way (``signer.xml.verify``).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection

from lxml import etree

from signer.xml.c14n import Form, canonical_document

_WITHOUT_NAMESPACE = etree.XPath("boolean(//*[namespace-uri() = ''])")


class _Sink:
    """Takes the octets in pieces, as a file would."""

    def __init__(self, take: Callable[[bytes], None]) -> None:
        self.take = take

    def write(self, data: bytes) -> int:
        """Hand a piece on."""
        self.take(data)
        return len(data)

    def close(self) -> None:
        """Nothing is left to do."""


def write_document(
    root: etree._Element, form: Form, take: Callable[[bytes], None], *, omit: Collection[etree._Element] = ()
) -> bool:
    """Hand the canonical octets of a document to ``take``, piece by piece; tell whether libxml2 could.

    If not, some octets may have been handed out already. What ``take`` raises comes back.
    """
    tree = root.getroottree()
    if "" in form.prefixes:  # lxml passes on only prefixes that occur in the file
        return False
    if omit:
        has_company = root.getnext() is not None or root.getprevious() is not None
        if root in omit or has_company:  # what stands around the document element is copied in another order
            return False
        tree = _without(tree, omit)
    prefixes = sorted(form.prefixes)
    try:
        tree.write_c14n(
            _Sink(take),
            exclusive=form.exclusive,
            with_comments=form.comments,
            inclusive_ns_prefixes=prefixes or None,
        )
    except etree.LxmlError:
        return False
    return True


def document_octets(root: etree._Element) -> bytes:
    """Return the exclusive canonical form of a whole document, by libxml2 where it can.

    Elements without a namespace, in a tree that was not parsed, come out of libxml2 in their parent's: they go the
    general way.
    """
    if _WITHOUT_NAMESPACE(root):
        return b"".join(canonical_document(root))
    try:
        return etree.tostring(root.getroottree(), method="c14n", exclusive=True, with_comments=False)
    except etree.LxmlError:
        return b"".join(canonical_document(root))


def _without(tree: etree._ElementTree, omit: Collection[etree._Element]) -> etree._ElementTree:
    """Copy a document and leave elements out; the text behind them stays."""
    places = [_steps(element) for element in omit]
    copied = copy.deepcopy(tree)
    root = copied.getroot()
    found = []
    for steps in places:
        element = root
        for step in steps:
            element = element[step]
        found.append(element)
    for element in found:
        parent = element.getparent()
        if parent is None:
            continue
        if element.tail:
            before = element.getprevious()
            if before is not None:
                before.tail = (before.tail or "") + element.tail
            else:
                parent.text = (parent.text or "") + element.tail
        parent.remove(element)
    return copied


def _steps(element: etree._Element) -> list[int]:
    """Return the way from the root: which child at each level, comments and instructions counted."""
    steps = []
    parent = element.getparent()
    while parent is not None:
        steps.append(parent.index(element))
        element, parent = parent, parent.getparent()
    return steps[::-1]
