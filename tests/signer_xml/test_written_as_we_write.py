"""The short way for files as our writer writes them finds what the general way finds, never more (signing.md 5.4)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from signer.devpki import DevIdentity
from signer.errors import InputRefused
from signer.safexml import parse_skeleton
from signer.trust import Limits
from signer.xml.aswritten import HEAD
from signer.xml.c14n import EXCLUSIVE, canonical, canonical_document
from signer.xml.dsig import DS
from signer.xml.profilecheck import Found, examine, examine_generally
from signer.xml.profiles import (
    Slip,
    declaration_layout_of,
    seal_layout,
    seal_layout_of,
    seal_xml,
    sign_declaration,
)
from signer.xml.quick import document_octets
from signer.xml.xades import (
    Layout,
    ReferenceLayout,
    Values,
    parsed_part,
    part_octets,
    read_time,
    signature_text,
    signed_info_octets,
    value_octets,
)
from tests.signer_xml.conftest import message

SETTINGS = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def _both(data: bytes, *, seal: bool = True) -> tuple[Found | None, Found | None] | None:
    """Examine a file both ways; ``None`` if it cannot be read as XML at all."""
    layout_of = seal_layout_of if seal else declaration_layout_of
    try:
        skeleton, root = parse_skeleton(data, limits=Limits())
    except InputRefused:
        return None
    found = examine(root, skeleton, layout_of=layout_of)
    general = examine_generally(root, skeleton, layout_of=layout_of)
    return found and replace(found, compared=None), general


def test_our_files_are_found_whole_by_comparing_alone(sealed: bytes, declared: bytes) -> None:
    for data, layout_of in ((sealed, seal_layout_of), (declared, declaration_layout_of)):
        skeleton, root = parse_skeleton(data, limits=Limits())
        found = examine(root, skeleton, layout_of=layout_of)
        assert found is not None
        assert found.compared is not None
        assert not found.reasons


def test_both_ways_find_the_same_in_whole_files(sealed: bytes, declared: bytes) -> None:
    for data, seal in ((sealed, True), (declared, False), (sealed, False), (declared, True), (sealed + b"\n", True)):
        both = _both(data, seal=seal)
        assert both is not None
        assert both[0] == both[1]


@SETTINGS
@given(place=st.floats(0, 1, exclude_max=True), piece=st.binary(max_size=3), removed=st.integers(0, 3))
def test_both_ways_find_the_same_in_changed_files(
    sealed: bytes, declared: bytes, place: float, piece: bytes, removed: int
) -> None:
    for data, seal in ((sealed, True), (declared, False)):
        at = int(place * len(data))
        both = _both(data[:at] + piece + data[at + removed :], seal=seal)
        assert both is None or both[0] == both[1]


@SETTINGS
@given(place=st.floats(0, 1, exclude_max=True), value=st.sampled_from(b"abZ019+/=<>\"' &:-#"))
def test_both_ways_find_the_same_where_one_character_is_another(sealed: bytes, place: float, value: int) -> None:
    at = int(place * len(sealed))
    both = _both(sealed[:at] + bytes([value]) + sealed[at + 1 :])
    assert both is None or both[0] == both[1]


@pytest.mark.parametrize(
    "body",
    [
        '<m xmlns="urn:m"  a="1"></m>',
        '<m xmlns="urn:m" a="1"/>',
        "<m xmlns=\"urn:m\" a='1'></m>",
        '<m xmlns="urn:m" b="1" a="1"></m>',
        '<m a="1" xmlns="urn:m"></m>',
        '<m xmlns="urn:m" xmlns:u="urn:unused"></m>',
        '<m xmlns="urn:m"><!-- c --></m>',
        '<m xmlns="urn:m"><?p i?></m>',
        '<m xmlns="urn:m"><![CDATA[x]]></m>',
        '<m xmlns="urn:m">&#65;</m>',
        '<m xmlns="urn:m">&quot;</m>',
        '<m xmlns="urn:m">a>b</m>',
        '<m xmlns="urn:m">a\r\nb</m>',
        '<m xmlns="urn:m"><a Id="x"></a><b ID="x"></b></m>',
        '<m xmlns="urn:m"><a Id="slip"></a></m>',
        '<m xmlns="urn:m" xml:id="seal"></m>',
        '<m xmlns="urn:m" xmlns:p="urn:p"><p:a p:iD="x"></p:a><b id="x"></b></m>',
        '<m xmlns="urn:m"> id="<a Id="x"></a><b id="x"></b></m>',
        '<m xmlns="relative"></m>',
        '<m xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:Signature></ds:Signature></m>',
        '<m xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:Object></ds:Object></m>',
        '<m xmlns:q="http://www.w3.org/2000/09/xmldsig#"><q:Signature></q:Signature></m>',
        '<m xmlns:ds="urn:other"><ds:Signature></ds:Signature></m>',
        '<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"></ds:Signature>',
        '<m xmlns="urn:m" a="1">x</m>',
        "<m>" + "".join(f'<p{n}:a xmlns:p{n}="urn:{n}"></p{n}:a>' for n in range(70)) + "</m>",
        '<m xmlns="urn:m" a="&amp;&lt;&quot;&#x9;&#xA;&#xD;">&amp;&lt;&gt;&#xD; ế</m>',
    ],
)
@pytest.mark.parametrize("dishonest", [False, True], ids=["canonical", "as-spelled"])
def test_a_digest_over_octets_that_are_not_canonical_helps_nobody(
    body: str, dishonest: bool, slip: Slip, exchange_a: DevIdentity
) -> None:
    """A signer may hash the octets as spelled instead of their canonical form; both ways say the same of it."""
    root = etree.fromstring(body.encode())
    canonical_body = b"".join(canonical_document(root))
    hashed = body.encode() if dishonest else canonical_body
    carrier = etree.fromstring(b"<m></m>")
    cut = seal_xml(
        carrier, slip=slip, credential=exchange_a.credential, digest_of=lambda _: hashlib.sha256(hashed).digest()
    )
    signature = cut[len(HEAD) + len(b"<m>") : -len(b"</m>")]
    for spelled in (body.encode(), canonical_body):
        end = spelled.rindex(b"</") if b"</" in spelled else len(spelled) - 2
        whole = spelled[:end] + signature + spelled[end:]
        if b"</" not in spelled:
            whole = spelled[:-2] + b">" + signature + b"</m>"
        both = _both(HEAD + whole)
        assert both is not None
        assert both[0] == both[1]


@pytest.mark.parametrize("attachment", ["QUJD" * 2000, "QUJD" * 100, ""], ids=["long", "short", "none"])
def test_runs_that_were_cut_out_are_hashed_where_they_stood(
    attachment: str, slip: Slip, exchange_a: DevIdentity
) -> None:
    data = seal_xml(message(attachment=attachment), slip=slip, credential=exchange_a.credential)
    both = _both(data)
    assert both is not None
    found, general = both
    assert found is not None
    assert general is not None
    assert not found.reasons
    assert replace(found, skeleton=general.skeleton) == general
    if attachment:
        altered = _both(data.replace(b"QUJDQUJD", b"QUJDQUJE", 1))
        assert altered is not None
        assert altered[0] == altered[1]
        assert altered[0] is not None
        assert altered[0].reasons


BYTES = st.binary(max_size=40)
IDS = st.text(st.sampled_from("abc-1"), min_size=1, max_size=5).map(lambda text: f"i{text}")
TEXTS = st.text(st.sampled_from("xế<>&\"' "), max_size=8)


@st.composite
def signatures(draw: st.DrawFn) -> tuple[Layout, Values]:
    """A layout with a document, an object and signed properties, and values of any length."""
    ids = draw(st.lists(IDS, min_size=7, max_size=7, unique=True))
    mime, text = draw(TEXTS), draw(TEXTS)
    odd = draw(st.sampled_from(["", '<T xmlns=""/>', '<u:T xmlns:u="urn:u"  b="2" a="1"/>']))
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    layout = Layout(
        id=ids[0],
        value_id=ids[1],
        properties_id=ids[2],
        properties_reference_id=ids[3],
        references=(
            ReferenceLayout(ids[4], "", (EXCLUSIVE,), digest=b"d", mime=mime or "text/xml"),
            ReferenceLayout(ids[5], f"#{ids[6]}"),
        ),
        objects=f'<ds:Object Id="{ids[6]}"><S xmlns="urn:s"><ds:X></ds:X>{escaped}{odd}</S></ds:Object>',
        objects_last=draw(st.booleans()),
    )
    values = Values(
        method="urn:m",
        digests=tuple(draw(st.lists(BYTES, min_size=3, max_size=3))),
        value=draw(BYTES),
        certificates=tuple(draw(st.lists(BYTES, min_size=1, max_size=3))),
        signing_time="2026-01-02T03:04:05.678Z",
        certificate_digest=draw(BYTES),
        issuer_serial=draw(BYTES),
        tokens=tuple(draw(st.lists(BYTES, max_size=2))),
    )
    return layout, values


@settings(max_examples=150, deadline=None)
@given(signatures())
def test_parts_are_written_as_their_canonical_form_is(made: tuple[Layout, Values]) -> None:
    layout, values = made
    root = etree.fromstring(signature_text(layout, values))
    for id in (layout.properties_id, layout.references[1].uri[1:]):
        assert part_octets(layout, values, id) == parsed_part(layout, values, id)
    for name, octets in (("SignedInfo", signed_info_octets), ("SignatureValue", value_octets)):
        element = root.find(f"{{{DS}}}{name}")
        assert element is not None
        assert octets(layout, values) == b"".join(canonical(element))


@settings(max_examples=100, deadline=None)
@given(st.text(st.characters(exclude_categories=("Cs", "Cc", "Z")), min_size=1, max_size=30), st.datetimes())
def test_a_slip_is_written_as_its_canonical_form_is(text: str, moment: datetime) -> None:
    try:
        slip = Slip(text, "a&b<c>'\"", "edoc", moment.replace(tzinfo=UTC), supersedes=text)
    except ValueError:
        return
    layout = seal_layout(slip, document=b"d")
    values = Values("urn:m", (b"1", b"2", b"3"), b"v", (b"c",), "t", b"d", b"i")
    assert layout.objects_exact
    assert part_octets(layout, values, "slip") == parsed_part(layout, values, "slip")


def test_parts_with_more_properties_are_read_from_the_signature(now: datetime) -> None:
    more = "<xades:SignerRoleV2><ds:X></ds:X></xades:SignerRoleV2>"
    layout = Layout(
        "a", "b", "c", "d", (ReferenceLayout("e", "", digest=b"d"),), about_signer=more.replace(DS, "urn:x")
    )
    values = Values("urn:m", (b"1", b"2"), b"v", (b"c",), "t", b"d", b"i")
    assert part_octets(layout, values, "c") == parsed_part(layout, values, "c")
    with pytest.raises(ValueError, match="called nobody"):
        part_octets(layout, values, "nobody")


@pytest.mark.parametrize(
    "make",
    [
        lambda: etree.fromstring('<m xmlns="relative"><a b="1"/></m>'),
        lambda: etree.fromstring('<m xmlns="urn:m" xmlns:p="urn:p"><p:a p:b="1" b="ế&#13;"/> \n</m>'),
        lambda: _grown(),
    ],
)
def test_the_octets_of_a_document_are_its_canonical_form(make: Callable[[], etree._Element]) -> None:
    root = make()
    assert document_octets(root) == b"".join(canonical_document(root))


def _grown() -> etree._Element:
    """A tree that was never parsed, with empty texts and declarations here and there."""
    root = etree.Element("{urn:a}m", nsmap={None: "urn:a", "u": "urn:unused"})
    etree.SubElement(root, "{urn:b}x", {"{urn:b}k": "<", "k": "\t"}, nsmap={"p": "urn:b"}).text = ""
    etree.SubElement(root, "y").tail = "&"
    return root


@settings(max_examples=200, deadline=None)
@given(st.datetimes(min_value=datetime(1000, 1, 1), max_value=datetime(9998, 12, 31)))
def test_times_are_read_as_they_are_written(moment: datetime) -> None:
    cut = moment.replace(microsecond=moment.microsecond // 1000 * 1000, tzinfo=UTC)
    text = f"{cut:%Y-%m-%dT%H:%M:%S}.{cut.microsecond // 1000:03d}Z"
    assert read_time(text) == cut


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-02-30T00:00:00.000Z",
        "2026-01-01T24:00:00.000Z",
        "2026-01-01T00:00:60.000Z",
        "0000-01-01T00:00:00.000Z",
        "2026-01-01T00:00:00Z",
        "2026-01-01T00:00:00.000+00:00",
        "٢٠٢٦-01-01T00:00:00.000Z",
        "2026-01-01T00:00:00.000Z\n",
    ],
)
def test_no_other_text_is_a_time(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_time(text)


def test_a_declaration_is_signed_over_what_libxml2_says(now: datetime, exchange_b: DevIdentity) -> None:
    root = etree.fromstring('<r xmlns="urn:r"><a b="2" a="1"/></r>')
    data = sign_declaration(root, credential=exchange_b.credential, at=now)
    both = _both(data, seal=False)
    assert both is not None
    assert both[0] == both[1]
    assert both[0] is not None
    assert both[0].octets == b"".join(canonical_document(root))
