"""Vectors in the manner of the examples printed in the standards of canonical form (signing.md 5.1, N2).

Canonical XML 1.0 and 1.1, chapter 3 (what node sets leave out is beyond us); 1.1, 2.4 and Appendix A; Exclusive XML
Canonicalization, chapter 2. Entities are refused in foreign files, so the example about them is one of refusal.
"""

from __future__ import annotations

import pytest
from lxml import etree

from signer.errors import InputRefused
from signer.safexml import parse_foreign
from signer.trust import Limits
from signer.xml.bases import join, without_dots
from signer.xml.c14n import EXC, FORMS, INCLUSIVE, INCLUSIVE_11, Form, canonical, canonical_document

C10, C11 = FORMS[INCLUSIVE], FORMS[INCLUSIVE_11]
WITH_COMMENTS = {form: Form(form.exclusive, comments=True, version_11=form.version_11) for form in (C10, C11, EXC)}


def _canonical(data: bytes, form: Form) -> str:
    _, root = parse_foreign(data, limits=Limits())
    return b"".join(canonical_document(root, form)).decode()


OUTSIDE = b"""<?xml version="1.0"?>

<?xml-stylesheet   href="doc.xsl"
   type="text/xsl"   ?>

<!DOCTYPE doc>

<doc>Hello, world!<!-- Comment 1 --></doc>

<?pi-without-data     ?>

<!-- Comment 2 -->

<!-- Comment 3 -->
"""
OUTSIDE_PLAIN = """<?xml-stylesheet href="doc.xsl"
   type="text/xsl"   ?>
<doc>Hello, world!</doc>
<?pi-without-data?>"""
OUTSIDE_COMMENTS = """<?xml-stylesheet href="doc.xsl"
   type="text/xsl"   ?>
<doc>Hello, world!<!-- Comment 1 --></doc>
<?pi-without-data?>
<!-- Comment 2 -->
<!-- Comment 3 -->"""


@pytest.mark.parametrize("form", [C10, C11, EXC])
def test_3_1_instructions_comments_and_what_is_outside_of_the_document_element(form: Form) -> None:
    assert _canonical(OUTSIDE, form) == OUTSIDE_PLAIN
    assert _canonical(OUTSIDE, WITH_COMMENTS[form]) == OUTSIDE_COMMENTS


WHITE_SPACE = """<doc>
   <clean>   </clean>
   <dirty>   A   B   </dirty>
   <mixed>
      A
      <clean>   </clean>
      B
      <dirty>   A   B   </dirty>
      C
   </mixed>
</doc>"""


@pytest.mark.parametrize("form", [C10, C11, EXC])
def test_3_2_white_space_in_content_stays(form: Form) -> None:
    assert _canonical(WHITE_SPACE.encode(), form) == WHITE_SPACE
    assert _canonical(WHITE_SPACE.replace("\n", "\r\n").encode(), form) == WHITE_SPACE


TAGS = b"""<!DOCTYPE doc [<!ATTLIST e9 attr CDATA "default">]>
<doc>
   <e1   />
   <e2   ></e2>
   <e3   name = "elem3"   id="elem3"   />
   <e4   name="elem4"   id="elem4"   ></e4>
   <e5 a:attr="out" b:attr="sorted" attr2="all" attr="I'm"
      xmlns:b="http://www.ietf.org"
      xmlns:a="http://www.w3.org"
      xmlns="http://example.org"/>
   <e6 xmlns="" xmlns:a="http://www.w3.org">
      <e7 xmlns="http://www.ietf.org">
         <e8 xmlns="" xmlns:a="http://www.w3.org">
            <e9 xmlns="" xmlns:a="http://www.ietf.org"/>
         </e8>
      </e7>
   </e6>
</doc>"""
TAGS_CANONICAL = """<doc>
   <e1></e1>
   <e2></e2>
   <e3 id="elem3" name="elem3"></e3>
   <e4 id="elem4" name="elem4"></e4>
   <e5 xmlns="http://example.org" xmlns:a="http://www.w3.org" xmlns:b="http://www.ietf.org" attr="I'm" attr2="all" \
b:attr="sorted" a:attr="out"></e5>
   <e6 xmlns:a="http://www.w3.org">
      <e7 xmlns="http://www.ietf.org">
         <e8 xmlns="">
            <e9 xmlns:a="http://www.ietf.org" attr="default"></e9>
         </e8>
      </e7>
   </e6>
</doc>"""


@pytest.mark.parametrize("form", [C10, C11])
def test_3_3_start_and_end_tags(form: Form) -> None:
    """Order of attributes, superfluous declarations, defaults of the DOCTYPE."""
    assert _canonical(TAGS, form) == TAGS_CANONICAL


CHARACTERS = b"""<!DOCTYPE doc [
<!ATTLIST normId id ID #IMPLIED>
<!ATTLIST normNames attr NMTOKENS #IMPLIED>
]>
<doc>
   <text>First line&#x0d;&#10;Second line</text>
   <value>&#x32;</value>
   <compute><![CDATA[value>"0" && value<"10" ?"valid":"error"]]></compute>
   <compute expr='value>"0" &amp;&amp; value&lt;"10" ?"valid":"error"'>valid</compute>
   <norm attr=' &apos;   &#x20;&#13;&#xa;&#9;   &apos; '/>
   <normNames attr='   A   &#x20;&#13;&#xa;&#9;   B   '/>
   <normId id=' &apos;   &#x20;&#13;&#xa;&#9;   &apos; '/>
</doc>"""
CHARACTERS_CANONICAL = """<doc>
   <text>First line&#xD;
Second line</text>
   <value>2</value>
   <compute>value&gt;"0" &amp;&amp; value&lt;"10" ?"valid":"error"</compute>
   <compute expr="value>&quot;0&quot; &amp;&amp; value&lt;&quot;10&quot; ?&quot;valid&quot;:&quot;error&quot;">\
valid</compute>
   <norm attr=" '    &#xD;&#xA;&#x9;   ' "></norm>
   <normNames attr="A &#xD;&#xA;&#x9; B"></normNames>
   <normId id="' &#xD;&#xA;&#x9; '"></normId>
</doc>"""


@pytest.mark.parametrize("form", [C10, C11, EXC])
def test_3_4_character_references_and_the_normalisation_of_declared_attributes(form: Form) -> None:
    assert _canonical(CHARACTERS, form) == CHARACTERS_CANONICAL


ENTITIES = [
    b'<!DOCTYPE doc [<!ATTLIST doc attrExtEnt ENTITY #IMPLIED> <!ENTITY ent1 "Hello">]><doc>&ent1;</doc>',
    b'<!DOCTYPE doc [<!ENTITY ent2 SYSTEM "world.txt">]><doc/>',
    b'<!DOCTYPE doc [<!NOTATION gif SYSTEM "viewgif.exe"> <!ENTITY e SYSTEM "earth.gif" NDATA gif>]><doc/>',
    b'<!DOCTYPE doc [<!ENTITY % p "x"> %p;]><doc/>',
    b'<!DOCTYPE doc SYSTEM "doc.dtd"><doc/>',
    b'<!DOCTYPE doc PUBLIC "-//x" "doc.dtd" []><doc/>',
    b'<!DOCTYPE doc [<!ATTLIST doc a CDATA "&e;">]><doc/>',
]


@pytest.mark.parametrize("data", ENTITIES)
def test_3_5_entities_and_external_parts_are_refused(data: bytes) -> None:
    """N1."""
    with pytest.raises(InputRefused) as caught:
        parse_foreign(data, limits=Limits())
    assert caught.value.code == "EDOC-XML-003"


@pytest.mark.parametrize(
    "data",
    [
        b'<?xml version="1.0" encoding="ISO-8859-1"?><doc>\xa9</doc>',
        '<?xml version="1.0" encoding="UTF-16"?><doc>©</doc>'.encode("utf-16"),
        '<?xml version="1.0" encoding="UTF-16"?><doc>©</doc>'.encode("utf-16-be"),
        '<?xml version="1.0" encoding="windows-1252"?><doc>©</doc>'.encode("cp1252"),
        '\ufeff<?xml version="1.0" encoding="UTF-8"?><doc>©</doc>'.encode(),
        b"<doc>&#169;</doc>",
    ],
)
def test_3_6_the_canonical_form_is_in_utf_8_whatever_the_file_is_in(data: bytes) -> None:
    assert _canonical(data, C10) == "<doc>©</doc>"


# --- parts of documents ----------------------------------------------------------------------------------------------

PART = """<doc xmlns="http://www.ietf.org" xmlns:w3c="http://www.w3.org" xml:base="something/else" xml:lang="vi" \
xml:id="top" xml:x="1">
   <e1>
      <e2 xmlns="" xml:id="abc" xml:base="../bar/">
         <e3 id="E3" xml:base="foo"/>
      </e2>
   </e1>
</doc>"""


def _part(data: str, name: str, form: Form) -> str:
    element = etree.fromstring(data).find(f".//{{*}}{name}")
    assert element is not None
    return b"".join(canonical(element, form)).decode()


def test_3_7_attributes_of_the_xml_namespace_come_from_above_as_each_version_has_it() -> None:
    """1.0 gives the first element all of them; 1.1 (3.8) language and space, and joins the bases."""
    inherited = 'xml:lang="vi" xml:x="1"'
    assert _part(PART, "e3", C10) == (
        f'<e3 xmlns:w3c="http://www.w3.org" id="E3" xml:base="foo" xml:id="abc" {inherited}></e3>'
    )
    assert _part(PART, "e3", C11) == (
        '<e3 xmlns:w3c="http://www.w3.org" id="E3" xml:base="bar/foo" xml:lang="vi"></e3>'
    )
    assert _part(PART, "e3", EXC) == '<e3 id="E3" xml:base="foo"></e3>'


def test_bases_alone_stay_as_they_are_and_none_is_made_up() -> None:
    assert _part('<a><b xml:base="../x/./y"/></a>', "b", C11) == '<b xml:base="../x/./y"></b>'
    assert _part('<a><b xml:base=""/></a>', "b", C10) == '<b xml:base=""></b>'
    assert _part('<a xml:base="x/"><b xml:base="../"/></a>', "b", C11) == "<b></b>"
    assert _part('<a xml:base="x/y"><b/></a>', "b", C11) == '<b xml:base="x/y"></b>'


MOVED = [
    '<n0:local xmlns:n0="foo:bar" xmlns:n3="ftp://example.org"><n1:elem2 xmlns:n1="http://example.net" xml:lang="en">'
    '<n3:stuff xmlns:n3="ftp://example.org"></n3:stuff></n1:elem2></n0:local>',
    '<n2:pdu xmlns:n1="http://example.com" xmlns:n2="http://foo.example" xml:lang="fr" xml:space="retain">'
    '<n1:elem2 xmlns:n1="http://example.net" xml:lang="en"><n3:stuff xmlns:n3="ftp://example.org"></n3:stuff>'
    "</n1:elem2></n2:pdu>",
]


def test_exclusive_2_2_an_element_comes_out_equal_in_both_of_its_surroundings() -> None:
    expected = (
        '<n1:elem2 xmlns:n1="http://example.net" xml:lang="en">'
        '<n3:stuff xmlns:n3="ftp://example.org"></n3:stuff></n1:elem2>'
    )
    assert {_part(data, "elem2", EXC) for data in MOVED} == {expected}
    assert len({_part(data, "elem2", C10) for data in MOVED}) == 2


def test_inclusive_2_1_an_element_takes_its_surroundings_along() -> None:
    assert _part(MOVED[0], "elem2", C10) == (
        '<n1:elem2 xmlns:n0="foo:bar" xmlns:n1="http://example.net" xmlns:n3="ftp://example.org" xml:lang="en">'
        "<n3:stuff></n3:stuff></n1:elem2>"
    )
    assert _part(MOVED[1], "elem2", C10) == (
        '<n1:elem2 xmlns:n1="http://example.net" xmlns:n2="http://foo.example" xml:lang="en" xml:space="retain">'
        '<n3:stuff xmlns:n3="ftp://example.org"></n3:stuff></n1:elem2>'
    )


def test_a_prefix_list_takes_the_listed_prefixes_along() -> None:
    listed = Form(exclusive=True, prefixes=frozenset({"n0", "n3", ""}))
    assert _part(MOVED[0], "elem2", listed) == (
        '<n1:elem2 xmlns:n0="foo:bar" xmlns:n1="http://example.net" xmlns:n3="ftp://example.org" xml:lang="en">'
        "<n3:stuff></n3:stuff></n1:elem2>"
    )


# 1.1, Appendix A: what the changed algorithm makes of paths; 2.4: of two references
PATHS = {
    "no/.././/pseudo-netpath/seg/file.ext": "pseudo-netpath/seg/file.ext",
    "no/..//.///pseudo-netpath/seg/file.ext": "pseudo-netpath/seg/file.ext",
    "yes/no//..//.///pseudo-netpath/seg/file.ext": "yes/pseudo-netpath/seg/file.ext",
    "no/../yes": "yes",
    "no/../yes/": "yes/",
    "no/../yes/no/..": "yes/",
    "../../no/../..": "../../../",
    "no/../..": "../",
    "no/..": "",
    "no/../": "",
    "/a/b/c/./../../g": "/a/g",
    "mid/content=5/../6": "mid/6",
    "../../..": "../../../",
    "no/../../": "../",
    "..yes/..no/..no/..no/../../../..yes": "..yes/..yes",
    "..yes/..no/..no/..no/../../../..yes/": "..yes/..yes/",
    "../..": "../../",
    "../../../": "../../../",
    ".": "",
    "./": "",
    "./.": "",
    "//no/..": "/",
    "../../no/..": "../../",
    "yes/no/../": "yes/",
    "yes/no/no/no/../../..": "yes/",
    "yes/no/../yes/no/no/../..": "yes/yes/",
    "/no/../": "/",
    "/yes/no/no/../..": "/yes/",
    "../../..no/..": "../../",
    "..yes/..no/..no/../..": "..yes/",
    "..yes/...no/..no/..no/../../..": "..yes/",
    "/..yes/..no/..no/..no/../../..": "/..yes/",
    "/": "/",
    "/./.": "/",
    "/..": "/",
    "/../../..": "/",
    "//..//..": "/",
    "/./.././.././..": "/",
    "..": "../",
    "../": "../",
}


@pytest.mark.parametrize("path", PATHS)
def test_dots_are_removed_as_appendix_a_of_1_1_has_it(path: str) -> None:
    assert without_dots(path) == PATHS[path]


@pytest.mark.parametrize(
    ("base", "reference", "joined"),
    [
        ("abc/", "../", ""),
        ("../", "../", "../../"),
        ("..", "..", "../../"),
        ("http://a/b/c?q", "?r", "http://a/b/c?r"),
        ("http://a", "x", "http://a/x"),
        ("http://a/b", "//c/../d", "http://c/d"),
        ("http://a/b", "urn:x", "urn:x"),
        ("http://a/b#f", "", "http://a/b"),
    ],
)
def test_references_are_joined_as_2_4_of_1_1_has_it(base: str, reference: str, joined: str) -> None:
    assert join(base, reference) == joined


def test_output_stays_in_pieces_when_declarations_multiply() -> None:
    """A long namespace name that each element renders anew is handed out as it goes, never as a whole."""
    uri = "urn:" + "x" * 50_000
    root = etree.fromstring(f'<a xmlns:p="{uri}">{"<p:b/>" * 200}</a>')
    sizes = [len(piece) for piece in canonical(root)]
    assert sum(sizes) > 200 * 50_000
    assert max(sizes) < 300_000
