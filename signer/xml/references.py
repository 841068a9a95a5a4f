"""References of XML-DSig: what they point at, their transforms, and whether the digest holds (signing.md 5.1, 5.2).

The list of transforms is closed: enveloped signature, base64, the C14N family, and the two usual ways of leaving all
signatures out. All else, XSLT included, is unsupported, which makes the signature not computable but never valid.
External content is looked up by exact name in what the caller gives; nothing is fetched.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from lxml import etree

from signer.errors import InputRefused
from signer.report import Code, Reason
from signer.safexml import parse_foreign
from signer.trust import Limits
from signer.xml.c14n import FORMS, INCLUSIVE, Form
from signer.xml.document import SIGNATURE, Document, NodeSet, OverBudget
from signer.xml.dsig import BASE64, DIGESTS, DS, ENVELOPED, decode, digest_bytes

TRANSFORMS_MAX = 6
XPATH = "http://www.w3.org/TR/1999/REC-xpath-19991116"
FILTER2 = "http://www.w3.org/2002/06/xmldsig-filter2"
EXC_NS = "http://www.w3.org/2001/10/xml-exc-c14n#"

_NOT_SIGNATURES = re.compile(r"\s*not\(\s*ancestor-or-self::([\w.-]+):Signature\s*\)\s*")
_SUBTRACT = re.compile(r"\s*/descendant::([\w.-]+):Signature\s*")
_POINTER = re.compile(r"#xpointer\(\s*(?:(?P<root>/)|id\(\s*(?:'(?P<a>[^']*)'|\"(?P<b>[^\"]*)\")\s*\))\s*\)")


class Unsupported(Exception):
    """A transform, pointer or algorithm outside the list."""


class Missing(Exception):
    """The content is not at hand."""


@dataclass(frozen=True)
class Evaluated:
    """A reference after evaluation: its target in the file (or the external name), and why it does not hold, if so."""

    uri: str
    type: str | None
    id: str | None
    target: NodeSet | None
    external: str | None
    digest: str | None
    form: Form = FORMS[INCLUSIVE]
    reasons: tuple[Reason, ...] = ()

    @property
    def holds(self) -> bool:
        """The digest was computed and is equal."""
        return not self.reasons


def evaluate(
    reference: etree._Element,
    *,
    document: Document,
    signature: etree._Element,
    content: Mapping[str, bytes],
) -> Evaluated:
    """Evaluate a ``ds:Reference``, as found in SignedInfo or a manifest, of ``signature`` in ``document``."""
    uri, kind, name = reference.get("URI"), reference.get("Type"), reference.get("Id")
    target: NodeSet | None = None
    external: str | None = None
    digest_name: str | None = None
    form = FORMS[INCLUSIVE]
    reasons: tuple[Reason, ...] = ()
    try:
        if uri is None:
            raise Unsupported("Reference without URI")
        digest_name, wanted = _wanted(reference)
        if uri == "" or uri.startswith("#"):
            target = _resolve(uri, document)
        else:
            external = _name(uri, content)
        state: NodeSet | bytes = target if target is not None else content[external or ""]
        found, target, form = _transformed(state, reference, document, signature, digest_name)
        if found != wanted:
            reasons = (Reason(Code.HASH_FAILURE, {"part": uri or "document"}),)
    except Unsupported as error:
        facts = {"algorithm": str(error)}
        reasons = (Reason(Code.CRYPTO_CONSTRAINTS_FAILURE, facts), Reason(Code.ALGORITHM_UNSUPPORTED, facts))
    except Missing as error:
        reasons = (Reason(Code.SIGNED_DATA_NOT_FOUND, {"name": str(error)}),)
    except OverBudget:
        facts = {"limit": "canonical-octets"}
        reasons = (Reason(Code.CRYPTO_CONSTRAINTS_FAILURE, facts), Reason(Code.LIMIT_EXCEEDED, facts))
    except (ValueError, InputRefused) as error:
        reasons = (Reason(Code.FORMAT_FAILURE), Reason(Code.MALFORMED, {"where": f"Reference: {error}"}))
    return Evaluated(uri or "", kind, name, target, external, digest_name, form, reasons)


def _wanted(reference: etree._Element) -> tuple[str, bytes]:
    methods = reference.findall(f"{{{DS}}}DigestMethod")
    values = reference.findall(f"{{{DS}}}DigestValue")
    if len(methods) != 1 or len(values) != 1:
        raise ValueError("digest")
    algorithm = methods[0].get("Algorithm", "")
    if algorithm not in DIGESTS:
        raise Unsupported(algorithm)
    return DIGESTS[algorithm], decode(values[0].text or "")


def _resolve(uri: str, document: Document) -> NodeSet:
    """Find what a same-document reference points at. Plain forms leave comments out, ``xpointer`` keeps them (N2)."""
    if uri == "":
        return NodeSet(None)
    pointer = _POINTER.fullmatch(uri)
    if pointer and pointer["root"]:
        return NodeSet(None, comments=True)
    name = (pointer["a"] if pointer["a"] is not None else pointer["b"]) if pointer else uri[1:]
    if pointer is None and "(" in uri:
        raise Unsupported(uri)
    found = document.ids.get(name, [])
    if len(found) > 1:
        raise ValueError("an id that occurs more than once")
    if not found:
        raise Missing(uri)
    return NodeSet(found[0], comments=pointer is not None)


def _name(uri: str, content: Mapping[str, bytes]) -> str:
    """Return the name of external content: the address as it stands, or percent-decoded; never one of two."""
    found = [name for name in dict.fromkeys((uri, unquote(uri))) if name in content]
    if not found:
        raise Missing(unquote(uri))
    if len(found) > 1:
        raise ValueError("an address that names two files")
    return found[0]


def _transformed(
    state: NodeSet | bytes, reference: etree._Element, document: Document, signature: etree._Element, digest_name: str
) -> tuple[bytes, NodeSet | None, Form]:
    """Apply the transforms; return the digest, the nodes in this file that it is over, and their canonical form."""
    transforms = reference.findall(f"{{{DS}}}Transforms/{{{DS}}}Transform")
    if len(transforms) > TRANSFORMS_MAX:
        raise Unsupported(f"{len(transforms)} transforms")
    owner, nodes = document, state if isinstance(state, NodeSet) else None
    form = FORMS[INCLUSIVE]
    for position, transform in enumerate(transforms, start=1):
        algorithm = transform.get("Algorithm", "")
        if algorithm in FORMS:
            if isinstance(state, bytes):
                owner, state = _parsed(state)
            form = _form(transform, algorithm)
            if position == len(transforms):
                return owner.digest(state, form, digest_name), nodes, form
            state = owner.octets(state, form)
        elif algorithm == BASE64:
            nodes = None  # the text is covered, the markup around it is not
            state = decode(owner.text(state)) if isinstance(state, NodeSet) else decode(str(state, "ascii"))
        else:
            state = _filtered(state, transform, algorithm, document, signature)
            nodes = state
    if isinstance(state, bytes):
        return digest_bytes(digest_name, state), nodes, form
    return owner.digest(state, FORMS[INCLUSIVE], digest_name), nodes, FORMS[INCLUSIVE]


def _parsed(octets: bytes) -> tuple[Document, NodeSet]:
    skeleton, root = parse_foreign(octets, limits=Limits())
    return Document.of(root, skeleton, size=len(octets)), NodeSet(None, comments=True)


def _form(transform: etree._Element, algorithm: str) -> Form:
    form = FORMS[algorithm]
    lists = transform.findall(f"{{{EXC_NS}}}InclusiveNamespaces")
    if not lists:
        return form
    if not form.exclusive or len(lists) > 1:
        raise ValueError("InclusiveNamespaces")
    listed = (lists[0].get("PrefixList") or "").split()
    prefixes = frozenset("" if name == "#default" else name for name in listed)
    return Form(True, form.comments, prefixes)


def method_form(method: etree._Element) -> Form | None:
    """Return the canonical form that a ``CanonicalizationMethod`` (or a ``Transform``) names; ``None`` if unknown."""
    algorithm = method.get("Algorithm", "")
    if algorithm not in FORMS:
        return None
    try:
        return _form(method, algorithm)
    except ValueError:
        return None


def _filtered(
    state: NodeSet | bytes, transform: etree._Element, algorithm: str, document: Document, signature: etree._Element
) -> NodeSet:
    """Apply a transform that leaves signatures out. Nothing else is filtered: an XPath can be a lock on anything."""
    if not isinstance(state, NodeSet):
        raise Unsupported(algorithm)
    if algorithm == ENVELOPED:
        apex = state.apex if state.apex is not None else document.root
        if signature is not apex and apex not in signature.iterancestors():
            raise ValueError("an enveloped signature outside of what it signs")
        return NodeSet(state.apex, state.omit | {signature}, state.comments)
    if leaves_out(transform):
        apex = state.apex if state.apex is not None else document.root
        return NodeSet(state.apex, state.omit | frozenset(apex.iter(SIGNATURE)), state.comments)
    raise Unsupported(algorithm)


def leaves_out(transform: etree._Element) -> bool:
    """Tell whether a transform is one of the two that leave every signature out, in exactly the form we know."""
    algorithm = transform.get("Algorithm", "")
    children = list(transform.iterchildren(etree.Element))
    if len(children) != 1 or len(children[0]):
        return False
    only = children[0]
    if algorithm == XPATH and only.tag == f"{{{DS}}}XPath":
        found = _NOT_SIGNATURES.fullmatch(only.text or "")
    elif algorithm == FILTER2 and only.tag == f"{{{FILTER2}}}XPath" and only.get("Filter") == "subtract":
        found = _SUBTRACT.fullmatch(only.text or "")
    else:
        return False
    return found is not None and only.nsmap.get(found[1]) == DS


def leaves_signatures_out(signature: etree._Element, root: etree._Element) -> bool:
    """Tell whether a signature stays whole when another one is put into the document element."""
    for reference in signature.iterfind(f"{{{DS}}}SignedInfo/{{{DS}}}Reference"):
        uri = reference.get("URI", "")
        whole = uri == "" or uri.startswith("#xpointer(/") or uri[1:] in {str(v) for v in root.attrib.values()}
        transforms = reference.findall(f"{{{DS}}}Transforms/{{{DS}}}Transform")
        if whole and not any(leaves_out(one) for one in transforms):
            return False
    return True
