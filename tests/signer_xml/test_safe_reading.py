"""XML of strangers is read within limits, or refused at once with a code."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from signer.errors import InputRefused, LimitExceeded
from signer.safexml import (
    NAMESPACES_MAX,
    RUN_MIN_BYTES,
    parse,
    parse_foreign,
    parse_skeleton,
    parse_tolerant,
    text_of,
)
from signer.trust import Limits

LIMITS = Limits()
LAUGHS = b"".join(b'<!ENTITY l%d "&l%d;&l%d;">' % (n, n - 1, n - 1) for n in range(1, 60))
RUN = b"QUFB" * 2000

REFUSED = {
    "empty": (b"", "EDOC-XML-001"),
    "not XML": (b"%PDF-1.7", "EDOC-XML-001"),
    "cut off": (b"<a><b></a>", "EDOC-XML-001"),
    "NUL": (b"<a>\x00</a>", "EDOC-XML-001"),
    "undeclared prefix": (b"<x:a/>", "EDOC-XML-001"),
    "unknown entity": (b"<a>&x;</a>", "EDOC-XML-001"),
    "DOCTYPE": (b"<!DOCTYPE a><a/>", "EDOC-XML-003"),
    "external DOCTYPE": (b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', "EDOC-XML-003"),
    "entity": (b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>', "EDOC-XML-003"),
    "billion laughs": (b'<!DOCTYPE a [<!ENTITY l0 "ha">' + LAUGHS + b"]><a>&l59;</a>", "EDOC-XML-003"),
    "laughs in an attribute": (b'<!DOCTYPE a [<!ENTITY l0 "ha">' + LAUGHS + b']><a b="&l59;"/>', "EDOC-XML-003"),
    "DOCTYPE behind a long comment": (b"<!--" + b" " * (1 << 21) + b"--><!DOCTYPE a><a/>", "EDOC-XML-003"),
    "UTF-16": ("\ufeff<a/>".encode("utf-16-le"), "EDOC-XML-004"),
    "Latin-1": (b'<?xml version="1.0" encoding="iso-8859-1"?><a/>', "EDOC-XML-004"),
    "depth": (b"<a>" * 300 + b"</a>" * 300, "EDOC-XML-002"),
    "depth bomb": (b"<a>" * 10**6 + b"</a>" * 10**6, "EDOC-XML-002"),
    "attributes": (b"<a " + b" ".join(b'b%d=""' % n for n in range(300)) + b"/>", "EDOC-XML-002"),
    "attribute bomb": (b"<a " + b" ".join(b'b%d=""' % n for n in range(10**5)) + b"/>", "EDOC-XML-002"),
    "namespaces": (
        b"<a " + b" ".join(b'xmlns:p%d="u"' % n for n in range(50_000)) + b">" + b"<b/>" * 10**5 + b"</a>",
        "EDOC-XML-002",
    ),
    "nested namespaces": (
        b"".join(b'<a xmlns:p%d="u" xmlns:q%d="u" xmlns:r%d="u">' % (n, n, n) for n in range(200)) + b"</a>" * 200,
        "EDOC-XML-002",
    ),
    "elements": (b"<a>" + b"<b/>" * 600_000 + b"</a>", "EDOC-XML-002"),
    "element bomb": (b"<a>" + b"<b/>" * 3 * 10**6 + b"</a>", "EDOC-XML-002"),
    "long text that is not base64": (b"<a>" + b"x.y " * 3_000_000 + b"</a>", "EDOC-XML-002"),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("read", [parse, parse_skeleton, parse_tolerant, parse_foreign])
def test_hostile_xml_is_refused_fast_with_its_code(name: str, read: Callable[..., object]) -> None:
    """A bomb costs no more than reading its bytes."""
    data, code = REFUSED[name]
    forgiven = {
        "parse_tolerant": {"UTF-16", "undeclared prefix"},
        "parse_foreign": {"UTF-16", "Latin-1", "DOCTYPE", "DOCTYPE behind a long comment"},
    }
    if name in forgiven.get(read.__name__, set()):
        read(data, limits=LIMITS)
        return
    start = time.process_time()
    with pytest.raises(InputRefused) as caught:
        read(data, limits=LIMITS)
    assert caught.value.code == code
    assert isinstance(caught.value, LimitExceeded) == (code == "EDOC-XML-002")
    assert time.process_time() - start < 5


def test_a_file_over_the_size_limit_is_not_parsed() -> None:
    with pytest.raises(LimitExceeded) as caught:
        parse(b"<a>" + b"x" * 100 + b"</a>", limits=Limits(xml_max_bytes=50))
    assert caught.value.facts["limit"] == "xml_max_bytes"


def test_an_attachment_of_fifty_megabytes_is_read_with_the_librarys_limits_on() -> None:
    text = "QUJD" * (50 * 2**20 // 3)
    root = parse(b"<a><b>" + text.encode() + b"</b><c>d</c></a>", limits=LIMITS)
    assert text_of(root[0]) == text
    assert root[1].text == "d"


@pytest.mark.parametrize(
    "data",
    [
        b"<a><!-->" + RUN + b"</--><b>x</b></a>",
        b"<a><![CDATA[>" + RUN + b"</]]></a>",
        b"<a><?pi >" + RUN + b"</?></a>",
        b"<a><b/>" + RUN + b"</a>",
        b"<a>" + RUN + b"</a>",
        b"<a><b>" + RUN + b"</b>" + RUN + b"</a>",
    ],
)
def test_a_run_of_base64_anywhere_reads_as_it_stands(data: bytes) -> None:
    """In a comment, CDATA, an instruction or beside an element: the tree is the ordinary parser's."""
    assert etree.tostring(parse(data, limits=LIMITS)) == etree.tostring(etree.fromstring(data))


@given(st.lists(st.integers(min_value=0, max_value=3 * RUN_MIN_BYTES), max_size=5), st.booleans())
def test_cutting_runs_out_changes_nothing(lengths: list[int], with_lines: bool) -> None:
    """With and without cutting, the same tree."""
    texts = ["QUJDREVG\n"[: 9 if with_lines else 8] * (length // 8) for length in lengths]
    data = ("<a>" + "".join(f"<b>{text}</b>" for text in texts) + "</a>").encode()
    assert etree.tostring(parse(data, limits=LIMITS)) == etree.tostring(etree.fromstring(data))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"<a/>", ()),
        (b"\xef\xbb\xbf<a/>", ("byte-order-mark",)),
        ("\ufeff<?xml version='1.0' encoding='utf-16'?><a>\u1ebf</a>".encode("utf-16-be"), ("utf-16",)),
        (b"xx\r\n<?xml version='1.0'?><a/>", ("leading-bytes",)),
        (b"<a><x:b y:c='1'/></a>", ("undeclared-prefix",)),
    ],
)
def test_the_tolerant_reader_says_what_it_tolerated(data: bytes, words: tuple[str, ...]) -> None:
    assert parse_tolerant(data, limits=LIMITS)[1] == words


@pytest.mark.parametrize("data", [b"<a>b & c</a>", b"<a><b></a>", b"<a b='1' b='2'/>", b"<a/><b/>"])
def test_the_tolerant_reader_repairs_nothing_but_prefixes(data: bytes) -> None:
    with pytest.raises(InputRefused):
        parse_tolerant(data, limits=LIMITS)


def test_foreign_files_may_declare_defaults_and_ids_inside() -> None:
    """Attribute defaults count, as they do in the canonical form."""
    data = b'<!DOCTYPE a [<!ATTLIST a key ID #IMPLIED b CDATA "5">]><a key="k"/>'
    _, root = parse_foreign(data, limits=LIMITS)
    assert dict(root.attrib) == {"key": "k", "b": "5"}


@st.composite
def _nested(draw: st.DrawFn, depth: int = 0) -> str:
    facts = draw(st.sampled_from(["", ' k="="', ' k="1" l="2"', ' xmlns:p="urn:p"', ' k="&lt;" l="2" m="3"']))
    inner = draw(st.lists(_nested(depth + 1) | st.sampled_from(["t=", "&amp;"]), max_size=3 if depth < 5 else 0))
    return f"<a{facts}>{''.join(inner)}</a>" if inner else f"<a{facts}/>"


@settings(max_examples=200, deadline=None)
@given(
    _nested(),
    st.builds(Limits, xml_depth=st.integers(1, 7), xml_attributes=st.integers(0, 5), xml_elements=st.integers(1, 30)),
    st.booleans(),
)
def test_limits_are_passed_where_counting_says_so(text: str, limits: Limits, with_defaults: bool) -> None:
    """What the octets alone rule out is not looked for in the tree; attributes may also come from a DOCTYPE."""
    doctype = '<!DOCTYPE a [<!ATTLIST a d CDATA "1" e CDATA "2">]>' if with_defaults else ""
    data = (doctype + text).encode()
    root = parse_foreign(data, limits=Limits())[1]
    elements = list(root.iter(etree.Element))
    deepest = max(sum(1 for _ in item.iterancestors()) + 1 for item in elements)
    widest = max(len(item.attrib) for item in elements)
    within = deepest <= limits.xml_depth and widest <= limits.xml_attributes and len(elements) <= limits.xml_elements
    try:
        parse_foreign(data, limits=limits)
        assert within
    except LimitExceeded:
        assert not within


def test_a_doctype_may_not_declare_more_prefixes_than_anybody_needs() -> None:
    declared = "".join(f' xmlns:p{n} CDATA "urn:{n}"' for n in range(NAMESPACES_MAX + 1))
    with pytest.raises(LimitExceeded):
        parse_foreign(f"<!DOCTYPE a [<!ATTLIST a{declared}>]><a/>".encode(), limits=Limits(xml_attributes=10_000))
    spelled = "".join(f' xmlns:p{n}="urn:{n}"' for n in range(NAMESPACES_MAX + 1))
    with pytest.raises(LimitExceeded):
        parse_foreign(f"<a{spelled}/>".encode(), limits=Limits(xml_attributes=10_000))
