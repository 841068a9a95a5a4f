"""Signature policies a signer names (EN 319 132-1, 5.2.9, 5.2.10; EN 319 102-1, 5.2.4).

An implied policy asks nothing of the file. An explicit one is known only where its document is at hand: among the
contents the caller gave, by its identifier or its address, or in the ``SignaturePolicyStore`` of the signature. Then
the digest the signer gave of it must hold. What the document says is for people: nothing in it is applied.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence

from lxml import etree

from signer import der
from signer.errors import InputRefused
from signer.report import Code, Reason
from signer.safexml import parse_foreign
from signer.trust import Context
from signer.xml.c14n import FORMS, INCLUSIVE
from signer.xml.document import Document, NodeSet, OverBudget, text_of
from signer.xml.dsig import DIGESTS, DS, decode
from signer.xml.references import FILTER2, method_form

TRANSFORMS_MAX = 3
_CHILDREN = re.compile(r"""/\*/\*\[\s*local-name\(\s*\)\s*=\s*(['"])([\w.-]+)\1\s*\]""")


def policy_reasons(identifier: etree._Element | None, stored: str | None, *, context: Context) -> tuple[Reason, ...]:
    """Return what holds against the signature because of its ``SignaturePolicyIdentifier``.

    ``stored`` is the text (base64) of the policy document in the signature's own store.
    """
    explicit = _child(identifier, "SignaturePolicyId")
    if identifier is None or explicit is None:
        return ()
    named = text_of(_child(_child(explicit, "SigPolicyId"), "Identifier")).strip()
    facts = {"policy": named or "-"}
    document = _document(explicit, named, stored, context)
    if document is None:
        return (Reason(Code.SIGNATURE_POLICY_NOT_AVAILABLE, facts),)
    try:
        fits = _digest_holds(explicit, document, context)
    except (ValueError, KeyError, InputRefused, OverBudget):
        fits = False
    return () if fits else (Reason(Code.POLICY_PROCESSING_ERROR, facts),)


def _child(element: etree._Element | None, name: str) -> etree._Element | None:
    """Return the child of this local name, in the namespace of its parent."""
    if element is None:
        return None
    return element.find(f"{{{etree.QName(element).namespace}}}{name}")


def _document(explicit: etree._Element, named: str, stored: str | None, context: Context) -> bytes | None:
    given: Mapping[str, bytes] = {one.name: one.data for one in reversed(context.contents) if one.name}
    for name in _names(explicit, named):
        if name in given:
            return given[name]
    if stored is None:
        return None
    try:
        return decode(stored)
    except ValueError:
        return None


def _names(explicit: etree._Element, named: str) -> Iterator[str]:
    """Yield the names under which the policy may have been given: its identifier, and its addresses."""
    yield named
    yield named.removeprefix("urn:oid:")
    qualifiers = _child(explicit, "SigPolicyQualifiers")
    if qualifiers is not None:
        for element in qualifiers.iter(f"{{{etree.QName(explicit).namespace}}}SPURI"):
            yield text_of(element).strip()


def _digest_holds(explicit: etree._Element, document: bytes, context: Context) -> bool:
    """Compare the digest of the document, after the transforms the signer names.

    Raises:
        ValueError, KeyError, InputRefused, OverBudget: it cannot be computed.
    """
    holder = _child(explicit, "SigPolicyHash")
    method = holder.find(f"{{{DS}}}DigestMethod") if holder is not None else None
    value = holder.find(f"{{{DS}}}DigestValue") if holder is not None else None
    if method is None or value is None:
        raise ValueError("no digest of the policy")
    name, wanted = DIGESTS[method.get("Algorithm", "")], decode(text_of(value))
    listed = explicit.findall(f"{{{DS}}}Transforms/{{{DS}}}Transform")
    octets = _transformed(document, listed, context)
    digests = [hashlib.new(name, one, usedforsecurity=False).digest() for one in (octets, *_signed_part(document))]
    return wanted in digests


def _transformed(document: bytes, listed: Sequence[etree._Element], context: Context) -> bytes:
    """Apply transforms: canonical forms, and the filter that leaves the policy's own digest out.

    Raises:
        ValueError: another transform, or too many.
    """
    if len(listed) > TRANSFORMS_MAX:
        raise ValueError("too many transforms")
    for transform in listed:
        form, left_out = method_form(transform), _left_out(transform)
        if form is None and left_out is None:
            raise ValueError("a transform that is not known")
        skeleton, root = parse_foreign(document, limits=context.limits)
        read = Document.of(root, skeleton, size=len(document))
        omit = frozenset(e for e in root.iterchildren(etree.Element) if etree.QName(e).localname == left_out)
        document = read.octets(NodeSet(None, omit, comments=True), form or FORMS[INCLUSIVE + "#WithComments"])
    return document


def _left_out(transform: etree._Element) -> str | None:
    """Return the name of the children of the root that a filter leaves out, if it is just that."""
    children = list(transform.iterchildren(etree.Element))
    if transform.get("Algorithm") != FILTER2 or [c.tag for c in children] != [f"{{{FILTER2}}}XPath"]:
        return None
    found = _CHILDREN.fullmatch(text_of(children[0]).strip())
    return found[2] if found is not None and children[0].get("Filter") == "subtract" else None


def _signed_part(document: bytes) -> list[bytes]:
    """Return what the digest of a policy in ASN.1 is over: algorithm and rules (TR 102 272, 4)."""
    try:
        parts = der.whole(document).expect(der.SEQUENCE).parts()
    except ValueError:
        return []
    if len(parts) not in (2, 3):
        return []
    return [parts[0].encoded + parts[1].encoded, parts[0].content + parts[1].content]
