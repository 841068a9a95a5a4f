"""Our canonical form is that of the standard: compared with libxml2 on documents and with xmlsec1 on subtrees."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from signer.devpki import DevIdentity
from signer.xml.c14n import FORMS, Form, canonical, canonical_document, join_bases
from signer.xml.document import OverBudget
from signer.xml.dsig import DS
from signer.xml.quick import write_document

NAMES = st.sampled_from(["a", "b", "c", "é"])
PREFIXES = st.sampled_from(["", "p:", "q:", "r:"])
TEXTS = st.text(st.sampled_from("xế<>&\"'\t\n\r ]"), max_size=8)
URIS = st.sampled_from(["urn:1", "urn:2", "urn:3"])


def _escaped(text: str) -> str:
    for char, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        text = text.replace(char, entity)
    return text.replace("\r", "&#13;").replace("\n", "&#10;").replace("\t", "&#9;")


@st.composite
def elements(draw: st.DrawFn, depth: int = 0) -> str:
    """An element with declarations, attributes, comments, instructions and children."""
    name = draw(PREFIXES) + draw(NAMES)
    declared = draw(st.dictionaries(st.sampled_from(["", "p", "q"]), URIS, max_size=2))
    parts = [f' xmlns{":" if p else ""}{p}="{u}"' for p, u in declared.items()]
    if "" not in declared and depth and draw(st.booleans()):
        parts.append(' xmlns=""')
    chosen = draw(st.dictionaries(st.tuples(st.sampled_from(["", "r:", "xml:"]), NAMES), TEXTS, max_size=3))
    parts += [f' {prefix}{local}="{_escaped(value)}"' for (prefix, local), value in chosen.items()]
    children = draw(st.lists(_content(depth), max_size=3 if depth < 3 else 0))
    return f"<{name}{''.join(parts)}>{''.join(children)}</{name}>"


def _content(depth: int) -> st.SearchStrategy[str]:
    return st.one_of(
        TEXTS.map(_escaped),
        st.sampled_from(["<!-- c -->", "<?pi  data?>", "<?pi?>", "<![CDATA[<&>]]>"]),
        elements(depth + 1),
    )


@st.composite
def documents(draw: st.DrawFn) -> bytes:
    """A whole document; the prefixes p, q and r are always bound."""
    around = st.lists(st.sampled_from(["<!-- x -->", "<?y z?>"]), max_size=2).map("".join)
    inner = "".join(draw(st.lists(_content(0), max_size=3)))
    root = f'<p:root xmlns:p="urn:p" xmlns:q="urn:q" xmlns:r="urn:r">{inner}</p:root>'
    return f"{draw(around)}{root}{draw(around)}".encode()


@settings(max_examples=300, deadline=None)
@given(documents(), st.booleans(), st.booleans())
def test_documents_come_out_as_libxml2_makes_them(data: bytes, exclusive: bool, comments: bool) -> None:
    root = etree.fromstring(data)
    ours = b"".join(canonical_document(root, Form(exclusive=exclusive, comments=comments)))
    theirs = etree.tostring(root.getroottree(), method="c14n", exclusive=exclusive, with_comments=comments)
    assert ours == theirs


@settings(max_examples=100, deadline=None)
@given(documents())
def test_the_canonical_form_of_a_canonical_document_is_itself(data: bytes) -> None:
    once = b"".join(canonical_document(etree.fromstring(data)))
    assert b"".join(canonical_document(etree.fromstring(once))) == once


@settings(max_examples=100, deadline=None)
@given(documents())
def test_leaving_an_element_out_is_as_if_it_had_never_been_there(data: bytes) -> None:
    root = etree.fromstring(data)
    before = b"".join(canonical_document(root))
    extra = etree.SubElement(root, "{urn:x}extra")
    assert b"".join(canonical_document(root, omit=(extra,))) == before


def test_the_inclusive_form_of_an_inner_element_has_no_stray_declarations() -> None:
    """N3: with the default namespace declared above the element, libxml2 writes xmlns="" where nothing is unbound."""
    root = etree.fromstring(f'<Signature xmlns="{DS}"><SignedInfo><A><B/></A></SignedInfo></Signature>')
    octets = b"".join(canonical(root[0], Form(exclusive=False)))
    assert octets == f'<SignedInfo xmlns="{DS}"><A><B></B></A></SignedInfo>'.encode()


def test_relative_namespace_names_are_canonicalised_too() -> None:
    """libxml2 refuses them, and some tools write them."""
    assert b"".join(canonical_document(etree.fromstring(b'<a xmlns="u"/>'))) == b'<a xmlns="u"></a>'


SUBTREE = '<r xmlns="urn:d" xmlns:p="urn:p" xmlns:u="urn:u" xml:lang="vi" xml:id="top">{body}{template}</r>'
BODIES = {
    "default namespace from above": '<x xml:id="t"><y><p:z a="1"/></y></x>',
    "unbound default namespace": '<p:x xml:id="t"><y xmlns=""><z/></y></p:x>',
    "prefix only in an attribute": '<p:x xml:id="t"><y u:a="1" b="&#10;&quot;"/>&#13;</p:x>',
    "comments and instructions": '<x xml:id="t"><!-- c --><?pi d?>text</x>',
    "xml attributes": '<x xml:id="t" xml:space="preserve"><y xml:lang="en"/></x>',
    "redeclared prefix": '<p:x xml:id="t"><p:y xmlns:p="urn:other"><p:z xmlns:p="urn:p"/></p:y></p:x>',
}
ALGORITHMS = {
    "http://www.w3.org/2001/10/xml-exc-c14n#": Form(exclusive=True),
    "http://www.w3.org/TR/2001/REC-xml-c14n-20010315": Form(exclusive=False),
    "http://www.w3.org/2006/12/xml-c14n11": Form(exclusive=False, version_11=True),
}


@pytest.mark.tool("xmlsec1")
@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_subtrees_come_out_as_xmlsec1_makes_them(
    body: str, algorithm: str, person: DevIdentity, now: datetime, xmlsec1: Callable[..., bool]
) -> None:
    """A signature over an inner element, made with our octets, verifies in xmlsec1."""
    from signer.algorithms import Scheme
    from signer.xml.c14n import digest
    from signer.xml.xades import Layout, ReferenceLayout, sign

    root = etree.fromstring(SUBTREE.format(body=BODIES[body], template=""))
    found = digest(canonical(root[0], ALGORITHMS[algorithm]))
    reference = ReferenceLayout("r1", "#t", (algorithm,), digest=found)
    layout = Layout("s", "v", "props", "r2", (reference,))
    text = sign(layout, credential=person.credential, scheme=Scheme.ECDSA_SHA256, at=now)
    root.append(etree.fromstring(text))
    assert xmlsec1(etree.tostring(root))


@pytest.mark.parametrize(
    ("bases", "joined"),
    [
        (["c"], "c"),
        (["c", "http://x/a/b"], "http://x/a/c"),
        (["../c", "http://x/a/b/"], "http://x/a/c"),
        (["../c", "a/b/"], "a/c"),
        (["../../c", "a/"], "../c"),
        (["/c", "http://x/a"], "http://x/c"),
        (["c/", "b/", "http://x/a/"], "http://x/a/b/c/"),
    ],
)
def test_bases_are_joined_as_canonical_xml_1_1_does(bases: list[str], joined: str) -> None:
    assert join_bases(bases) == joined


@settings(max_examples=200, deadline=None)
@given(
    documents(),
    st.sampled_from([*FORMS.values(), Form(exclusive=True, prefixes=frozenset({"p", "q", "r"}))]),
    st.data(),
)
def test_the_quick_way_for_whole_documents_gives_the_same_octets(
    data: bytes, form: Form, chosen: st.DataObject
) -> None:
    """libxml2 writes what we write, whatever elements are left out, or says that it cannot."""
    root = etree.fromstring(data)
    inner = [element for element in root.iter(etree.Element) if element is not root]
    omit = chosen.draw(st.lists(st.sampled_from(inner), max_size=3, unique=True)) if inner else []
    found: list[bytes] = []
    if write_document(root, form, found.append, omit=omit):
        assert b"".join(found) == b"".join(canonical_document(root, form, omit=omit))
    else:
        assert omit
        assert root.getnext() is not None or root.getprevious() is not None


def test_the_quick_way_says_what_it_cannot_do_and_stops_when_it_is_told() -> None:
    assert not write_document(etree.fromstring(b'<a xmlns="u"/>'), Form(exclusive=True), lambda octets: None)
    listed = Form(exclusive=True, prefixes=frozenset({""}))
    assert not write_document(etree.fromstring(b'<p:a xmlns:p="urn:p" xmlns="urn:d"/>'), listed, lambda octets: None)

    def over(octets: bytes) -> None:
        raise OverBudget

    with pytest.raises(OverBudget):
        write_document(etree.fromstring(b"<a>" + b"<b/>" * 10_000 + b"</a>"), Form(exclusive=True), over)
