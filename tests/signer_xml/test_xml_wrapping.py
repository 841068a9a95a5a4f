"""Wrapping attacks in every form of signature, and the honest files beside them that stay intact (W1 to W4, A1, A3)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest
from lxml import etree

from signer.devpki import DevIdentity
from signer.errors import NotVerified
from signer.report import Code, Covers, Integrity, Report, Verdict
from signer.trust import Context
from signer.xml.c14n import FORMS, INCLUSIVE
from signer.xml.dsig import DS, MANIFEST_TYPE, OBJECT_TYPE, encode
from signer.xml.verify import inspect_xml, verify_xml
from tests.signer_xml.makers import ENVELOPED_TRANSFORM, EXC_TRANSFORM, Maker, Ref

PAY = '<pay Id="b"><to>A</to><sum>100</sum></pay>'
EVIL = "<pay{id}><to>X</to><sum>999</sum></pay>"
OTHER_ID, SAME_ID = EVIL.format(id=' Id="c"'), EVIL.format(id=' Id="b"')
HIDING = f'<ds:Signature xmlns:ds="{DS}"><ds:SignedInfo/><ds:SignatureValue/><ds:Object>{{}}</ds:Object></ds:Signature>'
STRAY = f'<ds:Object xmlns:ds="{DS}">{{}}</ds:Object>'


def _beside(identity: DevIdentity) -> tuple[str, str]:
    """A signature beside the part it is over; return the document, and the part as it stands in it."""
    text = Maker(identity).signed(f"<env><head/><body>{PAY}</body>{{signature}}</env>", [Ref("#b")])
    return text, PAY


def _within(identity: DevIdentity) -> tuple[str, str]:
    """A signature inside the part it is over."""
    inner = PAY.replace("</pay>", "{signature}</pay>")
    text = Maker(identity).signed(
        f"<env><head/><body>{inner}</body></env>", [Ref("#b", ENVELOPED_TRANSFORM + EXC_TRANSFORM)]
    )
    return text, text[text.index("<pay") : text.index("</pay>") + 6]


def _around(identity: DevIdentity) -> tuple[str, str]:
    """A signature around the part it is over, in a document of its own."""
    part = '<pay xmlns=""><to>A</to><sum>100</sum></pay>'
    holder = f'<ds:Object xmlns:ds="{DS}" Id="b">{part}</ds:Object>'
    text = Maker(identity).signed("<env><head/><body>{signature}</body></env>", [Ref("#b")], objects=holder)
    return text, holder


SHAPES = {"beside": _beside, "within": _within, "around": _around}


def _into_signature(text: str, more: str) -> str:
    return text.replace("</ds:Signature>", f"<ds:Object>{more}</ds:Object></ds:Signature>", 1)


Attack = Callable[[str, str], str]
ATTACKS: dict[str, Attack] = {
    "part moved to the head, another in its place": lambda text, part: (
        text.replace(part, "§").replace("<head/>", f"<head>{part}</head>").replace("§", OTHER_ID)
    ),
    "part moved to the head, one without an ID in its place": lambda text, part: (
        text.replace(part, "§").replace("<head/>", f"<head>{part}</head>").replace("§", EVIL.format(id=""))
    ),
    "part moved to the head, one of the same ID in its place": lambda text, part: (
        text.replace(part, "§").replace("<head/>", f"<head>{part}</head>").replace("§", SAME_ID)
    ),
    "part moved into a new element of any name": lambda text, part: text.replace(
        part, f"<wrapper>{part}</wrapper>{OTHER_ID}"
    ),
    "another one before": lambda text, part: text.replace(part, OTHER_ID + part),
    "another one behind": lambda text, part: text.replace(part, part + OTHER_ID),
    "another one deep in the head": lambda text, part: text.replace(
        "<head/>", f"<head><x><y>{OTHER_ID}</y></x></head>"
    ),
    "the whole document inside of another one": lambda text, part: (
        f"<env><head/><body>{OTHER_ID}</body><old>{text}</old></env>"
    ),
    "part moved into a signature of nobody": lambda text, part: text.replace(part, HIDING.format(part) + OTHER_ID),
    "part moved into an object of no signature": lambda text, part: text.replace(part, STRAY.format(part) + OTHER_ID),
    "another one in a signature of nobody": lambda text, part: text.replace("<head/>", HIDING.format(OTHER_ID)),
    "another one in the signature": lambda text, part: _into_signature(text, OTHER_ID),
    "another one in the signature's keys": lambda text, part: text.replace(
        "</ds:KeyInfo>", f"{OTHER_ID}</ds:KeyInfo>", 1
    ),
    "the ID on another element": lambda text, part: text.replace("<head/>", '<head Id="b"/>'),
    "the ID in small letters on another element": lambda text, part: text.replace("<head/>", '<head id="b"/>'),
}


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_part_that_can_be_mistaken_is_broken(shape: str, attack: str, person: DevIdentity, context: Context) -> None:
    """Caught in all three forms, and never by the mathematics alone where that holds."""
    text, part = SHAPES[shape](person)
    changed = ATTACKS[attack](text, part)
    assert changed != text
    report = _report(changed, context)
    assert report.verdict is Verdict.INVALID
    assert all(s.integrity is not Integrity.INTACT for s in report.signatures)
    assert {r.code for r in report.reasons} & {Code.XML_WRAPPING, Code.DUPLICATE_ID, Code.HASH_FAILURE}
    with pytest.raises(NotVerified):
        verify_xml(changed.encode(), covers="env", context=context)


NEIGHBOURS: dict[str, Attack] = {
    "nothing": lambda text, part: text,
    "an unsigned element of another name": lambda text, part: text.replace("<head/>", "<head><note>x</note></head>"),
    "names from inside the part elsewhere": lambda text, part: text.replace(
        "<head/>", "<head><to>B</to><sum>5</sum><party><to>C</to></party></head>"
    ),
    "comments, instructions and white space outside": lambda text, part: f"<?x y?>\n<!-- c -->\n{text}".replace(
        "<head/>", "\n  <head/>\n  <!-- d -->"
    ).replace("</body>", "\n</body>"),
    "one more ID": lambda text, part: text.replace("<head/>", '<head Id="z"/>'),
    "the whole document inside of another one": lambda text, part: f"<outer><x/>{text}</outer>",
    "a declaration and an encoding": lambda text, part: '<?xml version="1.0" encoding="UTF-8"?>\r\n' + text,
    "a document type with IDs": lambda text, part: "<!DOCTYPE env [<!ATTLIST head key ID #IMPLIED>]>" + text,
}


@pytest.mark.parametrize("neighbour", NEIGHBOURS)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_harmless_change_beside_the_part_leaves_it_intact(
    shape: str, neighbour: str, person: DevIdentity, context: Context
) -> None:
    text, part = SHAPES[shape](person)
    report = _report(NEIGHBOURS[neighbour](text, part), context)
    assert (report.verdict, report.signatures[0].integrity) == (Verdict.VALID, Integrity.INTACT), report.reasons
    assert report.signatures[0].covers is Covers.PARTIAL
    assert any(path.endswith(("/pay", "/Object")) for path in report.signatures[0].covered)


def _report(text: str, context: Context) -> Report:
    return inspect_xml(text.encode(), context=context)


def _is_intact(text: str, context: Context, *, count: int = 1) -> Report:
    report = _report(text, context)
    assert [s.integrity for s in report.signatures] == [Integrity.INTACT] * count, report.reasons
    return report


# --- honest files of usual makers -------------------------------------------------------------------------------------


def test_parts_of_one_name_each_signed_by_itself_are_no_twins(
    person: DevIdentity, agency: DevIdentity, context: Context
) -> None:
    two = '<list><item Id="i1">1</item><item Id="i2">2</item>{signature}</list>'
    first = Maker(person, id="s1").signed(two, [Ref("#i1")])
    assert _report(first, context).signatures[0].integrity is Integrity.BROKEN
    both = Maker(agency, id="s2").signed(first.replace("</list>", "{signature}</list>"), [Ref("#i2")])
    _is_intact(both, context, count=2)


def test_an_invoice_signed_by_seller_and_buyer(person: DevIdentity, agency: DevIdentity, context: Context) -> None:
    """Electronic invoices and tax returns in use: data part by ID, the time in an object, transforms named by habit."""
    habit = ENVELOPED_TRANSFORM + EXC_TRANSFORM
    text = (
        '<HDon><DLHDon Id="data"><TTChung><Ten>Hóa đơn</Ten></TTChung><NDHDon><NBan><Ten>Sở Mẫu A</Ten></NBan>'
        "<NMua><Ten>Sở Mẫu B</Ten></NMua></NDHDon></DLHDon><DSCKS><NBan>{signature}</NBan><NMua/></DSCKS></HDon>"
    )
    for number, (identity, place) in enumerate(((person, "<NMua/>"), (agency, "")), start=1):
        time = (
            f'<Object Id="time{number}"><SignatureProperties xmlns=""><SignatureProperty Target="#s{number}">'
            "<SigningTime>2026-11-20T09:30:00</SigningTime></SignatureProperty></SignatureProperties></Object>"
        )
        maker = Maker(identity, id=f"s{number}", prefix="", c14n=INCLUSIVE)
        text = maker.signed(text, [Ref("#data", habit), Ref(f"#time{number}", EXC_TRANSFORM)], objects=time)
        if place:
            text = text.replace(place, "<NMua>{signature}</NMua>")
    report = _is_intact(text, context, count=2)
    assert report.verdict is Verdict.VALID
    assert report.signatures[0].covered[0] == "/HDon/DLHDon"
    assert _report(text.replace("Sở Mẫu B<", "Sở Mẫu C<"), context).verdict is Verdict.INVALID
    other = text.replace("<DSCKS>", '<DLHDon Id="data2"><NDHDon/></DLHDon><DSCKS>')
    assert Code.XML_WRAPPING in {r.code for r in _report(other, context).reasons}


def test_an_assertion_signed_inside_of_a_signed_response(
    person: DevIdentity, agency: DevIdentity, context: Context
) -> None:
    """Single sign-on: the inner signature first, the outer one over all of it."""
    habit = ENVELOPED_TRANSFORM + EXC_TRANSFORM
    inner = (
        '<a:Assertion xmlns:a="urn:a" ID="_a1"><a:Issuer>A</a:Issuer>{signature}<a:Subject>x</a:Subject></a:Assertion>'
    )
    response = '<p:Response xmlns:p="urn:p" ID="_r1"><a:Issuer xmlns:a="urn:a">A</a:Issuer>§{inner}</p:Response>'
    text = Maker(person, id="s1").signed(response.replace("{inner}", inner).replace("§", ""), [Ref("#_a1", habit)])
    at = text.index("<a:Assertion")
    text = Maker(agency, id="s2").signed(text[:at] + "{signature}" + text[at:], [Ref("#_r1", habit)])
    report = _is_intact(text, context, count=2)
    assert Covers.WHOLE in {s.covers for s in report.signatures}
    evil = '<a:Assertion xmlns:a="urn:a" ID="_evil"><a:Subject>root</a:Subject></a:Assertion>'
    only_inner = Maker(person, id="s1").signed(
        response.replace("{inner}", inner).replace("§", ""), [Ref("#_a1", habit)]
    )
    for place in ("<a:Assertion", "</p:Response>"):
        assert _report(only_inner.replace(place, evil + place, 1), context).verdict is Verdict.INVALID


def test_a_signature_over_another_one_or_over_its_value_counter_signs(
    person: DevIdentity, agency: DevIdentity, context: Context
) -> None:
    first = Maker(person, id="s1").signed(f"<doc>{PAY}{{signature}}</doc>", [Ref("#b")])
    whole = Maker(agency, id="s2").signed(first.replace("</doc>", "{signature}</doc>"), [Ref("#s1")])
    _is_intact(whole, context, count=2)
    named = first.replace("<ds:SignatureValue>", '<ds:SignatureValue Id="v1">')
    value = Maker(agency, id="s2").signed(named.replace("</doc>", "{signature}</doc>"), [Ref("#v1")])
    _is_intact(value, context, count=2)


def test_several_objects_in_one_signature(person: DevIdentity, context: Context) -> None:
    """W4: fake data beside signed data is broken; all signed, or beside none, it is not."""
    one, two = '<ds:Object Id="o1"><a xmlns="">1</a></ds:Object>', '<ds:Object Id="o2">MTIz</ds:Object>'
    both = Maker(person).signed("{signature}", [Ref("#o1"), Ref("#o2")], objects=one + two)
    assert _is_intact(both, context).signatures[0].covers is Covers.WHOLE
    data = Maker(person).signed("{signature}", [Ref("#o1")], objects=one)
    for more in ("<ds:Object>MTIz</ds:Object>", '<ds:Object><z xmlns="">9</z></ds:Object>'):
        assert _report(data.replace("</ds:Signature>", f"{more}</ds:Signature>"), context).verdict is Verdict.INVALID
    properties = (
        '<ds:Object><ds:SignatureProperties><ds:SignatureProperty Target="#s"><t xmlns="urn:t">1</t>'
        "</ds:SignatureProperty></ds:SignatureProperties></ds:Object>"
    )
    for more in (properties, "<ds:Object/>", "<ds:Object>\n</ds:Object>", "<ds:Object><ds:KeyInfo/></ds:Object>"):
        _is_intact(data.replace("</ds:Signature>", f"{more}</ds:Signature>"), context)
    beside = Maker(person).signed(f"<doc>{PAY}{{signature}}</doc>", [Ref("#b")])
    _is_intact(_into_signature(beside, '<vendor xmlns="urn:v">1</vendor>'), context)


def test_a_part_of_an_object_is_covered_partially(person: DevIdentity, context: Context) -> None:
    holder = '<ds:Object><all xmlns=""><part Id="o1">1</part><rest>2</rest></all></ds:Object>'
    text = Maker(person).signed("{signature}", [Ref("#o1")], objects=holder)
    assert _is_intact(text, context).signatures[0].covers is Covers.PARTIAL


def test_a_fake_manifest_beside_the_signed_one_is_broken(person: DevIdentity, context: Context) -> None:
    """W4, W7."""

    def manifest(name: str, value: str) -> str:
        return (
            f'<ds:Object><ds:Manifest Id="{name}"><ds:Reference URI="#b"><ds:Transforms><ds:Transform Algorithm="'
            'http://www.w3.org/2001/10/xml-exc-c14n#"/></ds:Transforms><ds:DigestMethod Algorithm="'
            f'http://www.w3.org/2001/04/xmlenc#sha256"/><ds:DigestValue>{value}</ds:DigestValue></ds:Reference>'
            "</ds:Manifest></ds:Object>"
        )

    good = encode(hashlib.sha256(PAY.encode()).digest())
    refs = [Ref("#m", type=MANIFEST_TYPE)]
    text = Maker(person).signed(f"<doc>{PAY}{{signature}}</doc>", refs, objects=manifest("m", good))
    assert "/doc/pay" in _is_intact(text, context).signatures[0].covered
    fake = text.replace("</ds:Signature>", manifest("n", good) + "</ds:Signature>")
    assert Code.XML_WRAPPING in {r.code for r in _report(fake, context).reasons}
    wrong = Maker(person).signed(f"<doc>{PAY}{{signature}}</doc>", refs, objects=manifest("m", encode(bytes(32))))
    codes = {r.code for r in _report(wrong, context).reasons}
    assert {Code.HASH_FAILURE, Code.MANIFEST_MISMATCH} <= codes


def test_an_object_with_a_manifest_of_things_outside_waits_for_them(person: DevIdentity, context: Context) -> None:
    """As in office files: a signed object lists parts of the package; without them nothing is said to be whole."""
    holder = (
        '<ds:Object Id="o"><ds:Manifest><ds:Reference URI="/word/document.xml?ContentType=x"><ds:DigestMethod '
        'Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/><ds:DigestValue>AAAA</ds:DigestValue></ds:Reference></ds:Manifest>'
        "</ds:Object>"
    )
    text = Maker(person).signed("{signature}", [Ref("#o", type=OBJECT_TYPE)], objects=holder)
    report = _report(text, context)
    assert report.signatures[0].integrity is Integrity.UNKNOWN
    assert Code.SIGNED_DATA_NOT_FOUND in {r.code for r in report.reasons}


# --- what is handed on ------------------------------------------------------------------------------------------------


def test_what_is_handed_on_is_the_part_that_was_hashed(person: DevIdentity, context: Context) -> None:
    for shape in SHAPES:
        text, _ = SHAPES[shape](person)
        path = {"beside": "/env/body/pay", "within": "/env/body/pay", "around": "/env/body/Signature/Object"}[shape]
        verified = verify_xml(text.encode(), covers=path, context=context)
        assert verified.tree.xpath("string(.)") == "A100"
        assert verified.tree.find(f".//{{{DS}}}Signature") is None
        assert verified.tree.getparent() is None


def test_only_the_signed_reading_of_a_filter_counts(person: DevIdentity, context: Context) -> None:
    """A prefix that means XML-DSig leaves signatures out; one that means something else is no such filter."""
    for bound, integrity in ((DS, Integrity.INTACT), ("urn:other", Integrity.UNKNOWN)):
        transform = (
            '<Transform Algorithm="http://www.w3.org/TR/1999/REC-xpath-19991116"><ds:XPath xmlns:q="'
            f'{bound}">not(ancestor-or-self::q:Signature)</ds:XPath></Transform>{EXC_TRANSFORM}'
        )
        refs = [Ref("", transform, octets=b"<doc><a>1</a></doc>")]
        text = Maker(person).signed("<doc><a>1</a>{signature}</doc>", refs)
        assert _report(text, context).signatures[0].integrity is integrity


def test_an_empty_selection_covers_nothing(person: DevIdentity, context: Context) -> None:
    """A signature that leaves itself out and is all there is; one whose target lies inside of it."""
    root = Maker(person).signed("{signature}", [Ref("", ENVELOPED_TRANSFORM + EXC_TRANSFORM, octets=b"")])
    inside = Maker(person).signed(
        "<doc>{signature}</doc>",
        [Ref("#o", ENVELOPED_TRANSFORM + EXC_TRANSFORM, octets=b"")],
        objects='<ds:Object Id="o"><pay xmlns="">1</pay></ds:Object>',
    )
    for text in (root, inside):
        report = _report(text, context)
        assert report.verdict is Verdict.INVALID
        assert Code.CONTENT_NOT_SIGNED in {r.code for r in report.reasons}


def test_a_default_namespace_and_indented_lines(person: DevIdentity, context: Context) -> None:
    """N3: the shape of SignedInfo that many tools write, in the inclusive form."""
    document = '<doc xmlns="urn:d" xmlns:x="urn:x">\r\n  <pay Id="b" x:y="1">100</pay>\r\n{signature}\r\n</doc>'
    assert FORMS[INCLUSIVE].exclusive is False
    maker = Maker(person, prefix="", c14n=INCLUSIVE, indent="    ")
    text = maker.signed(document, [Ref("", ENVELOPED_TRANSFORM + EXC_TRANSFORM)])
    assert _is_intact(text, context).signatures[0].covers is Covers.WHOLE
    assert etree.fromstring(text).tag == "{urn:d}doc"
