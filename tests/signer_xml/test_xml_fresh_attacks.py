"""Attacks on the verifier for XML found by looking for them: work without end, readings that differ (signing.md 5)."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from time import process_time

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from lxml import etree

from signer.devpki import DevIdentity
from signer.report import Code, Covers, Integrity, Report, Verdict
from signer.trust import Context
from signer.xml.c14n import EXCLUSIVE, canonical
from signer.xml.dsig import BASE64, DS, DS11, ENC, encode
from signer.xml.verify import inspect_xml
from tests.signer_xml.makers import ENVELOPED_TRANSFORM, EXC_TRANSFORM, Maker, Ref
from tests.signer_xml.xades_house import Foreign, certificate_reference

SECONDS = 15
"""Far more than any of these takes, far less than without a bound."""


def _with_prefixes(names: str) -> str:
    return (
        f'<Transform Algorithm="{EXCLUSIVE}"><ec:InclusiveNamespaces xmlns:ec="{EXCLUSIVE}" PrefixList="{names}"/>'
        "</Transform>"
    )


def _unsigned(person: DevIdentity, refs: list[Ref], *, id: str = "s", objects: str = "", info: str = "") -> str:
    maker = Maker(person, id=id, info=info or None)
    return maker._text([replace(ref, digest=ref.digest or "AAAA") for ref in refs], objects, value="AAAA")


def _in_time(data: str, context: Context) -> Report:
    before = process_time()
    report = inspect_xml(data.encode(), context=context)
    assert process_time() - before < SECONDS
    assert report.verdict is not Verdict.VALID
    return report


def _codes(report: Report) -> set[Code]:
    return {reason.code for signature in report.signatures for reason in signature.reasons}


# --- work without end ------------------------------------------------------------------------------------------------


def test_many_signatures_over_a_large_document_share_one_budget(person: DevIdentity, context: Context) -> None:
    body = "".join(f"<a{i % 50} x='1'>t{i}</a{i % 50}>" for i in range(20_000))
    refs = [Ref("", ENVELOPED_TRANSFORM + _with_prefixes(f"p{number}")) for number in range(100)]
    signatures = "".join(_unsigned(person, refs, id=f"s{number}") for number in range(20))
    assert Code.LIMIT_EXCEEDED in _codes(_in_time(f"<r>{body}{signatures}</r>", context))


def test_manifests_of_manifests_do_not_multiply(person: DevIdentity, context: Context) -> None:
    held, target, objects = '<leaf Id="m0">x</leaf>', "m0", ""
    for depth in range(1, 4):
        octets = b"".join(canonical(etree.fromstring(held)))
        objects += f'<ds:Object xmlns:ds="{DS}">{held}</ds:Object>'
        reference = (
            f'<ds:Reference URI="#{target}"><ds:Transforms><ds:Transform Algorithm="{EXCLUSIVE}"/></ds:Transforms>'
            f'<ds:DigestMethod Algorithm="{ENC}sha256"/>'
            f"<ds:DigestValue>{encode(hashlib.sha256(octets).digest())}</ds:DigestValue></ds:Reference>"
        )
        target = f"m{depth}"
        held = f'<ds:Manifest xmlns:ds="{DS}" Id="{target}">{reference * 100}</ds:Manifest>'
    objects += f'<ds:Object xmlns:ds="{DS}">{held}</ds:Object>'
    digest = encode(hashlib.sha256(b"".join(canonical(etree.fromstring(held)))).digest())
    text = _unsigned(person, [Ref("#m3", digest=digest)] * 20, objects=objects)
    assert Code.LIMIT_EXCEEDED in _codes(_in_time(f"<r>{text}</r>", context))


def test_key_info_is_read_once_however_often_it_refers_to_it(person: DevIdentity, context: Context) -> None:
    certificates = f"<ds:X509Certificate>{encode(person.certificate)}</ds:X509Certificate>" * 2000
    holder = f'<ds:Object><ds:X509Data Id="k">{certificates}</ds:X509Data></ds:Object>'
    text = _unsigned(person, [Ref("")], objects=holder, info='<ds:RetrievalMethod URI="#k"/>' * 2000)
    _in_time(f"<r>{text}</r>", context)


def test_text_that_is_parsed_again_and_again_is_counted(person: DevIdentity, context: Context) -> None:
    inner = encode(("<q>" + "<a>b</a>" * 30_000 + "</q>").encode())
    refs = [Ref("#b", f'<Transform Algorithm="{BASE64}"/>{_with_prefixes(f"p{n}")}') for n in range(100)]
    signatures = "".join(_unsigned(person, refs, id=f"s{number}") for number in range(20))
    assert Code.LIMIT_EXCEEDED in _codes(_in_time(f'<r><b Id="b">{inner}</b>{signatures}</r>', context))


def test_many_faults_are_told_once_in_no_time(person: DevIdentity, context: Context) -> None:
    parts = "".join(f'<p Id="p{number}"/>' for number in range(100))
    refs = [Ref(f"#p{number}") for number in range(100)]
    signatures = "".join(_unsigned(person, refs, id=f"s{number}") for number in range(100))
    _in_time(f"<r>{parts}{signatures}</r>", context)


def test_names_hidden_in_a_signature_are_compared_in_one_pass(person: DevIdentity, context: Context) -> None:
    shown = "".join(f"<n{number % 15_000}/>" for number in range(45_000))
    hidden = "".join(f"<n{number}>h</n{number}>" for number in range(15_000, 30_000))
    held = f'<ds:Object><q xmlns="">{hidden}</q></ds:Object>'
    refs = [Ref("", ENVELOPED_TRANSFORM + EXC_TRANSFORM)]
    text = Maker(person).signed(f"<r>{shown}{{signature}}</r>", refs, objects=held)
    before = process_time()
    report = inspect_xml(text.encode(), context=context)
    assert process_time() - before < SECONDS
    assert report.signatures[0].covers is Covers.PARTIAL


def test_large_content_beside_a_small_signature_has_a_budget_of_its_own(person: DevIdentity, context: Context) -> None:
    content = "<q>" + "<a>b</a>" * 200_000 + "</q>"
    ref = Ref("x.xml", EXC_TRANSFORM, octets=content.encode())
    text = Maker(person).signed("<r>{signature}</r>", [ref])
    report = inspect_xml(text.encode(), context=context, content={"x.xml": content.encode()})
    assert report.signatures[0].integrity is Integrity.INTACT


# --- what nobody signed ----------------------------------------------------------------------------------------------

HELD = f'<ds:Object xmlns:ds="{DS}" Id="o"><order xmlns="">good</order></ds:Object>'
STOWED = {
    "an object": ("</ds:Signature>", "<ds:Object><evil xmlns=''>pay</evil></ds:Object></ds:Signature>"),
    "a child of its own": ("</ds:Signature>", "<evil xmlns=''>pay</evil></ds:Signature>"),
    "text in an object": ("</ds:Signature>", "<ds:Object>pay</ds:Object></ds:Signature>"),
    "text of its own": ("</ds:Signature>", "pay</ds:Signature>"),
    "a part of KeyInfo": ("</ds:KeyInfo>", "<evil xmlns=''>pay</evil></ds:KeyInfo>"),
}


@pytest.mark.parametrize("place", STOWED)
@pytest.mark.parametrize("enveloping", [False, True])
def test_what_nobody_signed_in_a_signature_leaves_no_whole_document(
    place: str, enveloping: bool, person: DevIdentity, context: Context
) -> None:
    if enveloping:
        text = Maker(person).signed("{signature}", [Ref("#o")], objects=HELD)
    else:
        text = Maker(person).signed("<r><a>1</a>{signature}</r>", [Ref("", ENVELOPED_TRANSFORM + EXC_TRANSFORM)])
    before, after = (inspect_xml(t.encode(), context=context) for t in (text, text.replace(*STOWED[place])))
    assert before.signatures[0].covers is Covers.WHOLE
    assert after.verdict is Verdict.INVALID or after.signatures[0].covers is Covers.PARTIAL


def test_tokens_of_web_services_in_key_info_are_no_content(person: DevIdentity, context: Context) -> None:
    space = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
    token = f'<w:SecurityTokenReference xmlns:w="{space}"><w:Reference URI="#x"/></w:SecurityTokenReference>'
    text = Maker(person).signed("<r>{signature}</r>", [Ref("", ENVELOPED_TRANSFORM + EXC_TRANSFORM)])
    report = inspect_xml(text.replace("</ds:KeyInfo>", f"{token}</ds:KeyInfo>").encode(), context=context)
    assert report.signatures[0].covers is Covers.WHOLE


def test_an_object_moved_out_of_its_signature_with_another_in_its_place(person: DevIdentity, context: Context) -> None:
    text = Maker(person).signed("<x>{signature}</x>", [Ref("#o")], objects=HELD)
    moved = text.replace(HELD, '<ds:Object><evil xmlns="">bad</evil></ds:Object>').replace("<x>", f"<x>{HELD}")
    report = inspect_xml(moved.encode(), context=context)
    assert report.signatures[0].integrity is Integrity.BROKEN
    assert Code.XML_WRAPPING in _codes(report)


def test_text_that_is_signed_has_twins_too_and_its_markup_is_not_claimed(person: DevIdentity, context: Context) -> None:
    transform = f'<Transform Algorithm="{BASE64}"/>'
    text = Maker(person).signed('<x><d Id="b">QUJD</d>{signature}</x>', [Ref("#b", transform, octets=b"ABC")])
    assert inspect_xml(text.encode(), context=context).signatures[0].covered == ("/x/d/text()",)
    report = inspect_xml(text.replace("<x>", "<x><d>RVZJTA==</d>").encode(), context=context)
    assert Code.XML_WRAPPING in _codes(report)


@pytest.mark.parametrize("name", ["Id", "xml:id", "wsu:ID"])
def test_ids_that_differ_in_blanks_are_one_id(name: str, person: DevIdentity, context: Context) -> None:
    text = Maker(person).signed('<env xmlns:wsu="u"><b Id="b">ok</b>{signature}</env>', [Ref("#b")])
    report = inspect_xml(text.replace("<b ", f'<e {name}=" b "/><b ').encode(), context=context)
    assert Code.DUPLICATE_ID in _codes(report)


# --- files that are read in two ways ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "declaration",
    [
        f'<?xml version="1.0"{" " * 310}encoding="ISO-2022-JP"?>',
        f'<?xml version="1.0"{" " * 2000}encoding="UTF-8"?>',
        '<?xml version="1.0" encoding="Extended_UNIX_Code_Packed_Format_for_Japanese"?>',
    ],
)
def test_an_encoding_is_not_overlooked_in_a_long_declaration(
    declaration: str, person: DevIdentity, context: Context
) -> None:
    text = Maker(person).signed("<r>{signature}</r>", [Ref("", ENVELOPED_TRANSFORM + EXC_TRANSFORM)])
    for space in ("", " " * 310):  # the harmless neighbour
        plain = f'<?xml version="1.0"{space} encoding="UTF-8"{space}?>{text}'
        assert inspect_xml(plain.encode(), context=context).verdict is Verdict.VALID
    report = inspect_xml((declaration + text).encode(), context=context)
    assert [reason.code for reason in report.reasons] == [Code.UNREADABLE]


@pytest.mark.parametrize("character", ["\u0085", "\u2028"])
def test_line_ends_of_xml_1_1_are_not_read_as_those_of_1_0(
    character: str, person: DevIdentity, context: Context
) -> None:
    document = f"<r><a>x{character}y</a>{{signature}}</r>"
    text = Maker(person).signed(document, [Ref("", ENVELOPED_TRANSFORM + EXC_TRANSFORM)])
    assert inspect_xml(f'<?xml version="1.0"?>{text}'.encode(), context=context).verdict is Verdict.VALID
    assert inspect_xml(f'<?xml version="1.1"?>{text}'.encode(), context=context).verdict is Verdict.INDETERMINATE
    assert inspect_xml(f'<?xml version="1.1"?>{text.replace(character, "")}'.encode(), context=context).signatures


# --- the signer's own words ------------------------------------------------------------------------------------------


def test_a_key_value_does_not_replace_the_certificate_the_signer_named(
    person: DevIdentity, agency: DevIdentity, context: Context
) -> None:
    point = person.credential.public_key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    key = (
        f'<ds:KeyValue><e:ECKeyValue xmlns:e="{DS11}"><e:NamedCurve URI="urn:oid:1.2.840.10045.3.1.7"/>'
        f"<e:PublicKey>{encode(point)}</e:PublicKey></e:ECKeyValue></ds:KeyValue>"
    )
    about = certificate_reference(agency.certificate)
    data = Foreign(person, about=about, key_info=(agency.certificate,)).file()
    report = inspect_xml(data.replace(b"<ds:KeyInfo>", b"<ds:KeyInfo>" + key.encode()), context=context)
    assert report.signatures[0].integrity is Integrity.BROKEN
    assert Code.SIG_CRYPTO_FAILURE in _codes(report)


def test_signed_properties_stand_in_no_other_place_of_the_signature(person: DevIdentity, context: Context) -> None:
    fake = '<x:SignedProperties Id="z"><x:SignedSignatureProperties/></x:SignedProperties>'
    assert inspect_xml(Foreign(person).file(), context=context).verdict is Verdict.VALID
    report = inspect_xml(Foreign(person).file(unsigned=[fake]), context=context)
    assert Code.SIGNED_PROPERTIES_INVALID in _codes(report)


@pytest.mark.parametrize("before", ["<ds:SignedInfo>", "<ds:SignatureValue>", "<ds:KeyInfo>", "</ds:Signature>"])
@pytest.mark.parametrize("stranger", ['<x xmlns="urn:x"/>', "<SignedInfo xmlns=''/>", "<ds:Manifest/>"])
def test_a_signature_with_strange_children_is_broken(
    before: str, stranger: str, person: DevIdentity, context: Context
) -> None:
    text = Maker(person).signed("<r>{signature}</r>", [Ref("", ENVELOPED_TRANSFORM + EXC_TRANSFORM)])
    report = inspect_xml(text.replace(before, stranger + before).encode(), context=context)
    assert report.signatures[0].integrity is Integrity.BROKEN
    assert Code.XML_WRAPPING in _codes(report)
