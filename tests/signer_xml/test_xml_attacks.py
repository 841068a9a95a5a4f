"""Ways to make a reader see something else than what was signed, each with the line it must get (signing.md 5.5)."""

from __future__ import annotations

import hashlib
import hmac
import re
from datetime import datetime

import pytest
from lxml import etree

from signer.algorithms import Scheme
from signer.devpki import DevIdentity
from signer.errors import NotVerified
from signer.report import Code, Covers, Integrity, Report, Verdict
from signer.trust import Context
from signer.xml.c14n import EXCLUSIVE, canonical, digest
from signer.xml.dsig import DS, OBJECT_TYPE, encode
from signer.xml.sign import sign_xml
from signer.xml.verify import inspect_xml, verify_xml
from signer.xml.xades import Layout, ReferenceLayout, sign

NOW = datetime.fromisoformat("2026-11-20T02:30:00Z")
PART = '<p Id="t"><amount>100</amount></p>'
OTHER = "<p><amount>999</amount></p>"


def _over_part(person: DevIdentity) -> str:
    """A signature over the element with the ID t alone, wherever it stands."""
    found = digest(canonical(etree.fromstring(PART)))
    layout = Layout("s", "v", "props", "r2", (ReferenceLayout("r1", "#t", digest=found),))
    return sign(layout, credential=person.credential, scheme=Scheme.ECDSA_SHA256, at=NOW)


def _enveloping(person: DevIdentity, *, extra: str = "") -> str:
    """A signature over an object in it, perhaps with another object beside."""
    payload = '<ds:Object Id="payload"><amount xmlns="">100</amount></ds:Object>'
    layout = Layout("s", "v", "props", "r2", (ReferenceLayout("r1", "#payload", type=OBJECT_TYPE),), objects=payload)
    text = sign(layout, credential=person.credential, scheme=Scheme.ECDSA_SHA256, at=NOW)
    return text.replace(payload, payload + extra)


def _report(text: str, context: Context) -> Report:
    return inspect_xml(text.encode(), context=context)


def _codes(report: Report) -> set[Code]:
    return {reason.code for reason in report.reasons}


def _is_broken(report: Report, code: Code) -> None:
    assert report.verdict is Verdict.INVALID
    assert any(s.integrity is Integrity.BROKEN for s in report.signatures)
    assert code in _codes(report)


def test_a_signature_over_a_part_is_valid_and_says_which(person: DevIdentity, context: Context) -> None:
    """The harmless neighbour of the attacks below."""
    report = _report(f"<doc>{PART}<note/>{_over_part(person)}</doc>", context)
    assert report.verdict is Verdict.VALID
    assert (report.signatures[0].covers, report.signatures[0].covered) == (Covers.PARTIAL, ("/doc/p",))
    assert [w.code for w in report.signatures[0].warnings if w.code is Code.PARTIAL_COVERAGE]
    with pytest.raises(NotVerified):
        verify_xml(f"<doc>{PART}{_over_part(person)}</doc>".encode(), covers="doc", context=context)


@pytest.mark.parametrize(
    "document",
    [
        "<doc><wrapper>{part}</wrapper>{other}{signature}</doc>",
        "<doc>{other}{signature}<extra>{part}</extra></doc>",
        "<doc>{part}<p><amount>999</amount></p>{signature}</doc>",
        "<doc><x><p/></x>{part}{signature}</doc>",
    ],
)
def test_an_unsigned_twin_of_the_signed_element_is_broken(document: str, person: DevIdentity, context: Context) -> None:
    """W3: the signed element is still there, and another of its name is what readers take."""
    text = document.format(part=PART, other=OTHER, signature=_over_part(person))
    _is_broken(_report(text, context), Code.XML_WRAPPING)


def test_a_target_hidden_in_another_signature_is_broken(person: DevIdentity, context: Context) -> None:
    """W2."""
    hiding = f'<ds:Signature xmlns:ds="{DS}"><ds:Object>{PART}</ds:Object></ds:Signature>'
    _is_broken(_report(f"<doc><q/>{hiding}{_over_part(person)}</doc>", context), Code.XML_WRAPPING)
    stray = f'<ds:Object xmlns:ds="{DS}">{PART}</ds:Object>'
    _is_broken(_report(f"<doc><q/>{stray}{_over_part(person)}</doc>", context), Code.XML_WRAPPING)


@pytest.mark.parametrize("attribute", ["Id", "ID", "id", "xml:id"])
def test_an_id_on_two_elements_is_broken_whatever_it_is_called(
    attribute: str, person: DevIdentity, context: Context
) -> None:
    """W1, referenced or not."""
    text = f'<doc>{PART}<q {attribute}="t"/>{_over_part(person)}</doc>'
    _is_broken(_report(text, context), Code.DUPLICATE_ID)
    text = f'<doc>{PART}<q {attribute}="z"/><q Id="z"/>{_over_part(person)}</doc>'
    if attribute != "Id":
        _is_broken(_report(text, context), Code.DUPLICATE_ID)


def test_an_id_declared_in_the_file_counts_too(person: DevIdentity, context: Context) -> None:
    """W1 with a name of its own."""
    doctype = "<!DOCTYPE doc [<!ATTLIST q key ID #IMPLIED>]>"
    text = f'{doctype}<doc>{PART}<q key="t"/>{_over_part(person)}</doc>'
    report = _report(text, context)
    _is_broken(report, Code.DUPLICATE_ID)
    assert Code.DOCTYPE_PRESENT in {w.code for w in report.warnings}


def test_another_object_beside_the_signed_one_is_broken(person: DevIdentity, context: Context) -> None:
    """W4: a fake object in an enveloping signature."""
    assert _report(_enveloping(person), context).verdict is Verdict.VALID
    fake = '<ds:Object Id="fake"><amount xmlns="">999</amount></ds:Object>'
    _is_broken(_report(_enveloping(person, extra=fake), context), Code.XML_WRAPPING)
    _is_broken(_report(_enveloping(person, extra="<ds:Object>999</ds:Object>"), context), Code.XML_WRAPPING)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (' Target="#s"', ' Target="#other"'),
        (
            "</xades:QualifyingProperties>",
            "</xades:QualifyingProperties><xades:QualifyingProperties xmlns:xades='{x}'/>",
        ),
        ("<ds:Object><xades", "<ds:Object><x xmlns=''/></ds:Object><ds:Object><x xmlns=''><y/></x><xades"),
    ],
)
def test_properties_that_are_not_this_signatures_own_are_broken(
    old: str, new: str, person: DevIdentity, context: Context
) -> None:
    """W5; the last one is harmless."""
    text = _over_part(person)
    assert old in text
    changed = text.replace(old, new.format(x="http://uri.etsi.org/01903/v1.3.2#"))
    report = _report(f"<doc>{PART}{changed}</doc>", context)
    if old.startswith("<ds:Object"):
        assert report.verdict is Verdict.VALID
    else:
        _is_broken(report, Code.SIGNED_PROPERTIES_INVALID)


def test_properties_that_nobody_signed_are_broken(person: DevIdentity, context: Context) -> None:
    """W5: the reference without its Type, or to something else."""
    layout = Layout(
        "s", "v", "props", "r2", (ReferenceLayout("r1", "#t", digest=digest(canonical(etree.fromstring(PART)))),)
    )
    text = sign(layout, credential=person.credential, scheme=Scheme.ECDSA_SHA256, at=NOW)
    unsigned = re.sub(r' Type="http://uri.etsi.org/01903#SignedProperties"', "", text)
    report = _report(f"<doc>{PART}{unsigned}</doc>", context)
    assert {Code.SIG_CRYPTO_FAILURE, Code.SIGNED_PROPERTIES_INVALID} <= _codes(report)


def test_a_certificate_exchanged_is_broken(person: DevIdentity, agency: DevIdentity, context: Context) -> None:
    """W6."""
    text = _over_part(person).replace(encode(person.certificate), encode(agency.certificate))
    report = _report(f"<doc>{PART}{text}</doc>", context)
    assert {Code.SIG_CRYPTO_FAILURE, Code.SIGNING_CERTIFICATE_MISMATCH} <= _codes(report)
    assert report.signatures[0].integrity is Integrity.BROKEN


def _with_manifest(person: DevIdentity, wanted: bytes) -> str:
    manifest = (
        f'<ds:Object><ds:Manifest Id="m"><ds:Reference URI="#t"><ds:Transforms><ds:Transform Algorithm="{EXCLUSIVE}">'
        '</ds:Transform></ds:Transforms><ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256">'
        f"</ds:DigestMethod><ds:DigestValue>{encode(wanted)}</ds:DigestValue></ds:Reference></ds:Manifest></ds:Object>"
    )
    layout = Layout("s", "v", "props", "r2", (ReferenceLayout("r1", "#m", type=f"{DS}Manifest"),), objects=manifest)
    return sign(layout, credential=person.credential, scheme=Scheme.ECDSA_SHA256, at=NOW)


def test_content_counts_through_a_manifest_only_if_its_references_hold(person: DevIdentity, context: Context) -> None:
    """W7."""
    good = digest(canonical(etree.fromstring(PART)))
    report = _report(f"<doc>{PART}{_with_manifest(person, good)}</doc>", context)
    assert report.verdict is Verdict.VALID
    assert "/doc/p" in report.signatures[0].covered
    _is_broken(_report(f"<doc>{PART}{_with_manifest(person, bytes(32))}</doc>", context), Code.HASH_FAILURE)


def _countersigned(person: DevIdentity, agency: DevIdentity, *, target: str) -> str:
    inner = _over_part(person)
    value = canonical(etree.fromstring(inner).find(f"{{{DS}}}SignatureValue"))  # type: ignore[arg-type]  # it is there
    layout = Layout("c", "cv", "cprops", "c2", (ReferenceLayout("c1", target, digest=digest(value)),))
    counter = sign(layout, credential=agency.credential, scheme=Scheme.ECDSA_SHA256, at=NOW)
    unsigned = (
        "<xades:UnsignedProperties><xades:UnsignedSignatureProperties><xades:CounterSignature>"
        f"{counter}</xades:CounterSignature></xades:UnsignedSignatureProperties></xades:UnsignedProperties>"
    )
    at = inner.index("</xades:QualifyingProperties>")
    return f"<doc>{PART}{inner[:at]}{unsigned}{inner[at:]}</doc>"


def test_a_counter_signature_must_be_over_the_value_it_counters(
    person: DevIdentity, agency: DevIdentity, context: Context
) -> None:
    """W8: its own entry in the report, and broken by itself."""
    good = _report(_countersigned(person, agency, target="#v"), context)
    assert [s.integrity for s in good.signatures] == [Integrity.INTACT, Integrity.INTACT]
    bad = _report(_countersigned(person, agency, target="#t"), context)
    assert bad.verdict is Verdict.INVALID
    assert Code.COUNTER_SIGNATURE_BROKEN in _codes(bad)
    assert bad.signatures[0].integrity is Integrity.INTACT


def test_a_public_key_is_never_a_secret(person: DevIdentity, context: Context) -> None:
    """W9: HMAC keyed with what everybody has."""
    text = _over_part(person).replace(
        "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256", "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256"
    )
    info = etree.fromstring(text).find(f"{{{DS}}}SignedInfo")
    assert info is not None
    value = hmac.new(person.certificate, b"".join(canonical(info)), hashlib.sha256).digest()
    text = re.sub(r'(<ds:SignatureValue Id="v">)[^<]*', lambda m: m[1] + encode(value), text)
    report = _report(f"<doc>{PART}{text}</doc>", context)
    assert report.verdict is Verdict.INDETERMINATE
    assert report.signatures[0].integrity is Integrity.UNKNOWN
    assert Code.ALGORITHM_UNSUPPORTED in _codes(report)


def test_comments_do_not_split_what_a_reader_gets(person: DevIdentity, context: Context) -> None:
    """W10: the canonical form leaves them out, and so does the tree that is handed on."""
    data = sign_xml(b"<doc><to>good@x<!-- -->.evil</to></doc>", credential=person.credential, at=NOW)
    assert verify_xml(data, covers="doc", context=context).tree.findtext("to") == "good@x.evil"


def test_a_signature_over_its_properties_alone_is_not_over_the_content_beside(
    person: DevIdentity, context: Context
) -> None:
    """The file is the signature, and what it shows is signed by nobody."""
    shown = '<ds:Object><amount xmlns="">999</amount></ds:Object>'
    layout = Layout("s", "v", "props", "r2", (), objects=shown)
    text = sign(layout, credential=person.credential, scheme=Scheme.ECDSA_SHA256, at=NOW)
    report = _report(text, context)
    assert report.signatures[0].covers is Covers.PARTIAL
    assert report.signatures[0].covered == ()
    for document in (text, f"<doc><amount>999</amount>{text}</doc>", f"<doc>{text.replace(shown, '')}</doc>"):
        _is_broken(_report(document, context), Code.CONTENT_NOT_SIGNED)


@pytest.mark.parametrize(
    ("before", "broken"),
    [
        ("</ds:KeyInfo>", True),
        ("</ds:Signature>", True),
        ("</xades:QualifyingProperties>", True),
        ("<amount>100", False),
    ],
)
def test_content_put_into_an_enveloped_signature_is_a_twin(
    before: str, broken: bool, person: DevIdentity, context: Context
) -> None:
    """W3: the reference leaves the signature out, a reader that looks for the name does not."""
    text = sign_xml(b"<doc><amount>100</amount></doc>", credential=person.credential, at=NOW).decode()
    more = '<ds:Object><amount xmlns="">999</amount></ds:Object>' if "Signature" in before else "<amount xmlns=''/>"
    assert text.count(before) == 1
    report = _report(text.replace(before, more + before), context)
    _is_broken(report, Code.XML_WRAPPING if broken else Code.HASH_FAILURE)


def test_an_enveloping_signature_beside_an_unsigned_twin_is_broken(person: DevIdentity, context: Context) -> None:
    """W3: what the object holds counts as well as the object."""
    _is_broken(_report(f"<doc><amount>999</amount>{_enveloping(person)}</doc>", context), Code.XML_WRAPPING)
    assert _report(f"<doc><note/>{_enveloping(person)}</doc>", context).verdict is Verdict.VALID


def test_a_name_that_recurs_outside_the_signed_part_is_no_attack(person: DevIdentity, context: Context) -> None:
    """The harmless neighbour: an invoice names its seller in the signed part and where the seller signs."""
    report = _report(f"<doc>{PART}<signers><amount>{_over_part(person)}</amount></signers></doc>", context)
    assert report.verdict is Verdict.VALID


TRANSFORMS = {
    "XSLT": '<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xslt-19991116"></ds:Transform>',
    "XPath of any kind": '<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xpath-19991116"><ds:XPath>true()'
    "</ds:XPath></ds:Transform>",
    "XPath that is almost the known one": '<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xpath-19991116">'
    "<ds:XPath>not(ancestor-or-self::ds:Signature) and true()</ds:XPath></ds:Transform>",
    "filter that intersects": '<ds:Transform Algorithm="http://www.w3.org/2002/06/xmldsig-filter2"><XPath '
    'xmlns="http://www.w3.org/2002/06/xmldsig-filter2" Filter="intersect">/descendant::ds:Signature</XPath>'
    "</ds:Transform>",
    "unknown": '<ds:Transform Algorithm="urn:x"></ds:Transform>',
    "seven": "".join(f'<ds:Transform Algorithm="{EXCLUSIVE}"></ds:Transform>' for _ in range(7)),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms_outside_the_list_are_never_valid(name: str, person: DevIdentity, context: Context) -> None:
    found = digest(canonical(etree.fromstring(PART)))
    reference = ReferenceLayout("r1", "#t", (TRANSFORMS[name],), digest=found)
    layout = Layout("s", "v", "props", "r2", (reference,))
    text = sign(layout, credential=person.credential, scheme=Scheme.ECDSA_SHA256, at=NOW)
    report = _report(f"<doc>{PART}{text}</doc>", context)
    assert report.verdict is Verdict.INDETERMINATE
    assert report.signatures[0].integrity is Integrity.UNKNOWN
    assert (Code.LIMIT_EXCEEDED if name == "seven" else Code.ALGORITHM_UNSUPPORTED) in _codes(report)


@pytest.mark.parametrize("uri", ["#xpointer(//p)", "#missing", "http://example.invalid/a.xml", "file:///etc/passwd"])
def test_pointers_and_addresses_are_never_followed(uri: str, person: DevIdentity, context: Context) -> None:
    layout = Layout("s", "v", "props", "r2", (ReferenceLayout("r1", uri, digest=bytes(32)),))
    text = sign(layout, credential=person.credential, scheme=Scheme.ECDSA_SHA256, at=NOW)
    report = _report(f"<doc>{PART}{text}</doc>", context)
    assert report.verdict is Verdict.INDETERMINATE
    assert _codes(report) & {Code.SIGNED_DATA_NOT_FOUND, Code.ALGORITHM_UNSUPPORTED}


@pytest.mark.parametrize(
    "signature",
    [
        f'<ds:Signature xmlns:ds="{DS}"/>',
        f'<ds:Signature xmlns:ds="{DS}"><ds:SignedInfo/><ds:SignatureValue/></ds:Signature>',
        f'<ds:Signature xmlns:ds="{DS}"><ds:SignedInfo/><ds:SignedInfo/><ds:SignatureValue/></ds:Signature>',
    ],
)
def test_a_signature_that_cannot_be_read_is_listed(signature: str, context: Context) -> None:
    """G4: nothing found is left out."""
    report = _report(f"<doc>{signature}</doc>", context)
    assert len(report.signatures) == 1
    assert report.signatures[0].integrity is Integrity.BROKEN
    assert report.verdict is Verdict.INVALID


def test_too_many_signatures_or_references_are_a_limit(person: DevIdentity, context: Context) -> None:
    many = f'<ds:Signature xmlns:ds="{DS}"/>' * 101
    assert _report(f"<doc>{many}</doc>", context).reasons[0].code is Code.LIMIT_EXCEEDED
    references = tuple(ReferenceLayout(f"r{n}", "#t", digest=bytes(32)) for n in range(1, 102))
    layout = Layout("s", "v", "props", "r0", references)
    text = sign(layout, credential=person.credential, scheme=Scheme.ECDSA_SHA256, at=NOW)
    report = _report(f"<doc>{PART}{text}</doc>", context)
    assert report.verdict is Verdict.INDETERMINATE
    assert Code.LIMIT_EXCEEDED in _codes(report)


def test_placeholders_of_the_edxml_header_are_warned_of_and_not_judged(context: Context) -> None:
    """edxml.md 8."""
    text = (
        '<edXML xmlns="http://www.mic.gov.vn/TBT/QCVN_102_2016"><edXMLHeader><Signature><SignatureValue>x'
        "</SignatureValue></Signature></edXMLHeader></edXML>"
    )
    report = inspect_xml(text.encode(), context=context, kind="edxml")
    assert report.signatures == ()
    assert [w.code for w in report.warnings] == [Code.HEADER_SIGNATURE_PLACEHOLDER]
    assert report.reasons[0].code is Code.NO_SIGNATURE
