"""References of XML-DSig: what they point at, their transforms, and whether the digest holds (signing.md 5.1, 5.2).

The list of transforms is closed: enveloped signature, base64, the C14N family, and the two usual ways of leaving all
signatures out. All else, XSLT included, is unsupported, which makes the signature not computable but never valid.
External content is looked up by exact name in what the caller gives; nothing is fetched.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from lxml import etree

from signer.errors import InputRefused, LimitExceeded
from signer.report import Code, Reason
from signer.safexml import parse_foreign
from signer.trust import Limits
from signer.xml.c14n import FORMS, INCLUSIVE, Form
from signer.xml.document import SIGNATURE, Budget, Document, NodeSet, OverBudget, text_of
from signer.xml.dsig import BASE64, DIGESTS, DS, ENVELOPED, decode, digest_bytes

TRANSFORMS_MAX = 6
REFERENCE_COST = 1024
"""What a reference costs besides its octets, counted in octets: manifests can make many of a few."""
XPATH = "http://www.w3.org/TR/1999/REC-xpath-19991116"
FILTER2 = "http://www.w3.org/2002/06/xmldsig-filter2"
EXC_NS = "http://www.w3.org/2001/10/xml-exc-c14n#"

_NOT_SIGNATURES = re.compile(r"\s*not\s*\(\s*ancestor-or-self\s*::\s*([\w.-]+):Signature\s*\)\s*")
_SUBTRACT = re.compile(r"\s*/\s*descendant\s*::\s*([\w.-]+):Signature\s*")
_POINTER = re.compile(r"#xpointer\(\s*(?:(?P<root>/)|id\(\s*(?:'(?P<a>[^']*)'|\"(?P<b>[^\"]*)\")\s*\))\s*\)")


class Unsupported(Exception):
    """A transform, pointer or algorithm outside the list."""


class Missing(Exception):
    """The content is not at hand."""


@dataclass(frozen=True)
class Evaluated:
    """A reference after evaluation: its target in the file (or the external name), and why it does not hold, if so.

    ``text`` is an element of which the text alone is covered, as base64 of something else.
    """

    uri: str
    type: str | None
    id: str | None
    target: NodeSet | None
    external: str | None
    digest: str | None
    form: Form = FORMS[INCLUSIVE]
    reasons: tuple[Reason, ...] = ()
    text: etree._Element | None = None
    in_manifest: bool = False

    @property
    def holds(self) -> bool:
        """The digest was computed and is equal."""
        return not self.reasons


@dataclass(frozen=True)
class Setting:
    """Where a reference stands: the file, its signature, what external addresses may name, and what is left to do."""

    document: Document
    signature: etree._Element
    content: Mapping[str, bytes]
    budget: Budget
    limits: Limits


def evaluate(reference: etree._Element, *, setting: Setting, original: etree._Element | None = None) -> Evaluated:
    """Evaluate a ``ds:Reference``, as found in SignedInfo or a manifest.

    ``original`` is the same element in the file, where ``reference`` was read from canonical octets: exclusive form
    drops the declarations of prefixes that stand in the text of an XPath alone.
    """
    work = _Work(setting, original)
    reasons: tuple[Reason, ...] = ()
    try:
        setting.budget.spend(REFERENCE_COST)
        digest_name, wanted = _wanted(reference)
        work.digest = digest_name
        state = work.content(reference.get("URI"))
        if work.transformed(state, reference) != wanted:
            reasons = (Reason(Code.HASH_FAILURE, {"part": reference.get("URI") or "document"}),)
    except Unsupported as error:
        facts = {"algorithm": str(error)}
        reasons = (Reason(Code.CRYPTO_CONSTRAINTS_FAILURE, facts), Reason(Code.ALGORITHM_UNSUPPORTED, facts))
    except Missing as error:
        reasons = (Reason(Code.SIGNED_DATA_NOT_FOUND, {"name": str(error)}),)
    except (OverBudget, LimitExceeded) as error:
        limit = str(error.facts.get("limit", "-")) if isinstance(error, LimitExceeded) else "canonical-octets"
        reasons = over_limit(limit)
    except (ValueError, InputRefused) as error:
        reasons = (Reason(Code.FORMAT_FAILURE), Reason(Code.MALFORMED, {"where": f"Reference: {error}"}))
    return Evaluated(
        uri=reference.get("URI") or "",
        type=reference.get("Type"),
        id=reference.get("Id"),
        target=work.nodes if work.nodes is not None and not setting.document.is_empty(work.nodes) else None,
        external=work.external,
        digest=work.digest,
        form=work.form,
        reasons=reasons,
        text=work.text,
    )


def output(
    reference: etree._Element, *, setting: Setting, form: Form, original: etree._Element | None = None
) -> Iterator[bytes]:
    """Yield what the reference processing of XML-DSig (4.4.3.2) makes of a ``ds:Reference``: what time stamps are over.

    Nodes come in ``form`` unless a transform of the reference names another one. Nothing is spent of the budget.

    Raises:
        ValueError: it cannot be processed, or its data is not at hand.
        OverBudget: it takes too much.
    """
    work = _Work(setting, original)
    try:
        state, asked = work.applied(work.content(reference.get("URI")), reference)
    except (Unsupported, Missing, InputRefused) as error:
        raise ValueError(f"reference: {error}") from None
    if isinstance(state, bytes):
        return iter((state,))
    return work.owner.pieces(state, asked or form)


def over_limit(limit: str) -> tuple[Reason, ...]:
    """Return the reasons of a signature that takes more work than is allowed."""
    facts = {"limit": limit}
    return (Reason(Code.CRYPTO_CONSTRAINTS_FAILURE, {"algorithm": limit}), Reason(Code.LIMIT_EXCEEDED, facts))


def _wanted(reference: etree._Element) -> tuple[str, bytes]:
    methods = reference.findall(f"{{{DS}}}DigestMethod")
    values = reference.findall(f"{{{DS}}}DigestValue")
    if len(methods) != 1 or len(values) != 1:
        raise ValueError("digest")
    algorithm = methods[0].get("Algorithm", "")
    if algorithm not in DIGESTS:
        raise Unsupported(algorithm)
    return DIGESTS[algorithm], decode(text_of(values[0]))


def _resolve(uri: str, document: Document) -> NodeSet:
    """Find what a same-document reference points at. Plain forms leave comments out, ``xpointer`` keeps them (N2)."""
    if uri == "":
        return NodeSet(None)
    pointer = _POINTER.fullmatch(uri) or _POINTER.fullmatch(unquote(uri))
    if pointer and pointer["root"]:
        return NodeSet(None, comments=True)
    name = (pointer["a"] if pointer["a"] is not None else pointer["b"]) if pointer else uri[1:]
    if pointer is None and "(" in uri:
        raise Unsupported(uri)
    found = [e for one in dict.fromkeys((name, unquote(name))) for e in document.ids.get(one, [])]
    if len(found) > 1:
        raise ValueError("an id that occurs more than once")
    if not found:
        raise Missing(uri)
    return NodeSet(found[0], comments=pointer is not None)


def _name(uri: str | None, content: Mapping[str, bytes]) -> str:
    """Return the name of external content: the address as it stands, or percent-decoded; never one of two.

    Content under the empty name serves whatever is asked for, and a reference without an address, as does content that
    is the only one given.
    """
    if uri is None:
        if "" in content or len(content) == 1:
            return next(iter(content))
        raise Unsupported("Reference without URI")
    found = [name for name in dict.fromkeys((uri, unquote(uri))) if name in content]
    if not found and "" in content:
        return ""
    if not found:
        raise Missing(unquote(uri))
    if len(found) > 1:
        raise ValueError("an address that names two files")
    return found[0]


class _Work:
    """The way from what a reference names to the octets that are hashed, and what is covered on the way.

    ``nodes`` are the nodes in this file that the digest is over, ``form`` the canonical form they were last in.
    """

    def __init__(self, setting: Setting, original: etree._Element | None) -> None:
        self.setting, self.original = setting, original
        self.owner = setting.document
        self.nodes: NodeSet | None = None
        self.text: etree._Element | None = None
        self.external: str | None = None
        self.digest: str | None = None
        self.form = FORMS[INCLUSIVE]

    def content(self, uri: str | None) -> NodeSet | bytes:
        """Return what an address names."""
        if uri is not None and (uri == "" or uri.startswith("#")):
            self.nodes = _resolve(uri, self.owner)
            return self.nodes
        name = _name(uri, self.setting.content)
        self.external = name or uri or "-"
        data = self.setting.content[name]
        self.setting.budget.admit(name, len(data))
        return data

    def transformed(self, state: NodeSet | bytes, reference: etree._Element) -> bytes:
        """Apply the transforms and hash."""
        assert self.digest is not None
        state, form = self.applied(state, reference)
        if isinstance(state, bytes):
            return digest_bytes(self.digest, state)
        self.form = form or FORMS[INCLUSIVE]
        return self.owner.digest(state, self.form, self.digest, self.setting.budget)

    def applied(self, state: NodeSet | bytes, reference: etree._Element) -> tuple[NodeSet | bytes, Form | None]:
        """Apply the transforms; nodes come with the form that the last of them asks for, if it is one of these."""
        transforms, originals = transforms_of(reference), transforms_of(self.original)
        if len(transforms) > TRANSFORMS_MAX:
            raise LimitExceeded("EDOC-XML-002", "too many transforms", limit="transforms", value=str(len(transforms)))
        for position, transform in enumerate(transforms):
            algorithm = transform.get("Algorithm", "")
            original = originals[position] if len(originals) == len(transforms) else None
            if algorithm in FORMS:
                state = self._parsed(state)
                self.form = _form(transform, algorithm)
                if position == len(transforms) - 1:
                    return state, self.form
                state = self.owner.octets(state, self.form, self.setting.budget)
            elif algorithm == BASE64:
                state = self._decoded(state)
            else:
                state = self._filtered(state, transform, original)
        return state, None

    def _parsed(self, state: NodeSet | bytes) -> NodeSet:
        if isinstance(state, NodeSet):
            return state
        self.setting.budget.spend(len(state))
        try:
            skeleton, root = parse_foreign(state, limits=self.setting.limits)
        except InputRefused as error:
            if error.code == "EDOC-XML-003":
                raise Unsupported("DOCTYPE") from None
            raise
        self.owner = Document.of(root, skeleton, size=len(state))
        return NodeSet(None, comments=True)

    def _decoded(self, state: NodeSet | bytes) -> bytes:
        """Decode base64: the text is covered, the markup around it is not."""
        if isinstance(state, bytes):
            return decode(str(state, "ascii"))
        if self.owner is self.setting.document and not self.owner.is_empty(state):
            self.text = state.apex if state.apex is not None else self.owner.root
        self.nodes = None
        text = self.owner.text(state)
        self.setting.budget.spend(len(text))
        return decode(text)

    def _filtered(self, state: NodeSet | bytes, transform: etree._Element, original: etree._Element | None) -> NodeSet:
        """Leave signatures out. Nothing else is filtered: an XPath can be a lock on anything."""
        algorithm, own = transform.get("Algorithm", ""), self.setting.signature
        if algorithm == ENVELOPED:
            if not isinstance(state, NodeSet) or self.owner is not self.setting.document:
                raise Unsupported(algorithm)
            apex = state.apex if state.apex is not None else self.owner.root
            gone: frozenset[etree._Element] = frozenset()
            if own is apex or own in apex.iterancestors():
                gone = frozenset({apex})
            elif apex in own.iterancestors():  # elsewhere it leaves nothing out; writers name the transform by habit
                gone = frozenset({own})
            found = NodeSet(state.apex, state.omit | gone, state.comments)
        elif leaves_out(transform, original):
            found = self._without_signatures(self._parsed(state))
            if self.nodes is not None and self.owner is not self.setting.document:
                self.nodes = _less(self.nodes, self.setting.document)
                return found
        else:
            raise Unsupported(algorithm)
        if self.owner is self.setting.document:
            self.nodes = found
        return found

    def _without_signatures(self, state: NodeSet) -> NodeSet:
        return _less(state, self.owner)


def _less(nodes: NodeSet, owner: Document) -> NodeSet:
    """Return nodes without any signature; nothing is left of nodes inside of one."""
    apex = nodes.apex if nodes.apex is not None else owner.root
    inside = apex.tag == SIGNATURE or next(apex.iterancestors(SIGNATURE), None) is not None
    left_out = {apex} if inside else frozenset(apex.iter(SIGNATURE))
    return NodeSet(nodes.apex, nodes.omit | left_out, nodes.comments)


def transforms_of(reference: etree._Element | None) -> list[etree._Element]:
    """Return the transforms of a reference.

    Raises:
        ValueError: two lists of them.
    """
    lists = reference.findall(f"{{{DS}}}Transforms") if reference is not None else []
    if len(lists) > 1:
        raise ValueError("Transforms")
    return lists[0].findall(f"{{{DS}}}Transform") if lists else []


def _form(transform: etree._Element, algorithm: str) -> Form:
    form = FORMS[algorithm]
    lists = transform.findall(f"{{{EXC_NS}}}InclusiveNamespaces")
    if not lists or not form.exclusive:
        return form
    if len(lists) > 1:
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


def leaves_out(transform: etree._Element, original: etree._Element | None = None) -> bool:
    """Tell whether a transform is one of the two that leave every signature out, in exactly the form we know.

    The prefix in the expression must be bound to the namespace of XML-DSig, here or in the file.
    """
    algorithm = transform.get("Algorithm", "")
    children = list(transform.iterchildren(etree.Element))
    if len(children) != 1 or next(children[0].iterchildren(etree.Element), None) is not None:
        return False
    only = children[0]
    if algorithm == XPATH and only.tag == f"{{{DS}}}XPath":
        found = _NOT_SIGNATURES.fullmatch(text_of(only))
    elif algorithm == FILTER2 and only.tag == f"{{{FILTER2}}}XPath" and only.get("Filter") == "subtract":
        found = _SUBTRACT.fullmatch(text_of(only))
    else:
        return False
    if found is None:
        return False
    if found[1] in only.nsmap:
        return only.nsmap[found[1]] == DS
    there = next(original.iterchildren(etree.Element), None) if original is not None else None
    return there is not None and there.nsmap.get(found[1]) == DS


def leaves_signatures_out(signature: etree._Element, root: etree._Element) -> bool:
    """Tell whether a signature stays whole when another one is put into the document element."""
    for reference in signature.iterfind(f"{{{DS}}}SignedInfo/{{{DS}}}Reference"):
        uri = reference.get("URI", "")
        whole = uri == "" or uri.startswith("#xpointer(/") or uri[1:] in {str(v) for v in root.attrib.values()}
        transforms = reference.findall(f"{{{DS}}}Transforms/{{{DS}}}Transform")
        if whole and not any(leaves_out(one) for one in transforms):
            return False
    return True
