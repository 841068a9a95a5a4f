"""Counter-signatures (EN 319 132-1, 5.2.7; W8): which signature a signature countersigns.

One stands in the unsigned properties of the signature it countersigns; the other stands anywhere and says so by the
``Type`` of a reference to that signature's value. Either has an entry of its own in reports.
"""

from __future__ import annotations

from collections.abc import Sequence

from lxml import etree

from signer.xml.document import SIGNATURE
from signer.xml.dsig import DS
from signer.xml.references import Evaluated
from signer.xml.unsigned import local

TYPE = "http://uri.etsi.org/01903#CountersignedSignature"
_VALUE = f"{{{DS}}}SignatureValue"


def by_place(element: etree._Element) -> etree._Element | None:
    """Return the signature in whose ``CounterSignature`` property this one stands."""
    parent = element.getparent()
    if parent is None or local(parent) != "CounterSignature":
        return None
    return next(parent.iterancestors(SIGNATURE), None)


def by_type(element: etree._Element, references: Sequence[Evaluated]) -> etree._Element | None:
    """Return the signature whose value a reference of that type points at; another one, and its value itself."""
    for reference in references:
        target = reference.target.apex if reference.target is not None else None
        if reference.type == TYPE and target is not None and target.tag == _VALUE:
            parent = target.getparent()
            if parent is not None and parent is not element:
                return parent
    return None


def claims(references: Sequence[Evaluated]) -> bool:
    """Tell whether a reference says that the signature is a counter-signature."""
    return any(reference.type == TYPE for reference in references)
