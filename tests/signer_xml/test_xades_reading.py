"""XAdES of other programs and older versions, read for what it is (signing.md 5.3; 5.5, W5, W6, W8)."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from lxml import etree

from signer.credential import Role
from signer.devpki import DevIdentity, DevPki, DevTimestamper, Subject
from signer.report import Code, Covers, Indication, Integrity, SignatureReport, Verdict
from signer.trust import Content, Context
from signer.xml.dsig import encode
from signer.xml.verify import inspect_xml
from signer.xml.xades import XADES, issuer_serial
from tests.signer_xml.xades_house import (
    TYPE,
    XADES111,
    XADES122,
    Foreign,
    canonical,
    certificate_reference,
    digest_text,
    finder,
    stamp,
)


def _only(data: bytes, context: Context) -> SignatureReport:
    (found,) = inspect_xml(data, context=context).signatures
    return found


def _codes(found: SignatureReport) -> set[Code]:
    return {reason.code for reason in found.reasons}


def _warnings(found: SignatureReport) -> set[tuple[Code, str]]:
    return {(w.code, w.facts.get("where", "")) for w in found.warnings}


@pytest.mark.parametrize(
    ("space", "type_"),
    [(XADES, TYPE), (XADES122, f"{XADES122}SignedProperties"), (XADES111, f"{XADES111}SignedProperties")],
)
def test_every_version_of_the_namespace_is_read(space: str, type_: str, person: DevIdentity, context: Context) -> None:
    found = _only(Foreign(person, space=space, type=f' Type="{type_}"').file(), context)
    assert (found.indication, found.level, found.covers) == (Indication.PASSED, "XAdES-B-B", Covers.WHOLE)
    assert found.signing_time is not None
    assert not {w for w in _warnings(found) if w[0] is Code.PROPERTIES_DEVIATE}
    broken = Foreign(person, space=space, type=f' Type="{type_}"').file().replace(b"02:30:00Z", b"02:30:01Z")
    assert _only(broken, context).integrity is Integrity.BROKEN


def _format(name: str) -> str:
    return f'<x:DataObjectFormat ObjectReference="{name}"><x:MimeType>text/xml</x:MimeType></x:DataObjectFormat>'


class TestDeviations:
    """Harmless ones are warnings, and never more (signing.md 5.3)."""

    @pytest.mark.parametrize(
        ("changes", "where"),
        [
            ({"target": "s"}, "Target"),
            ({"target": ""}, "Target"),
            ({"target": "#S"}, "Target"),
            ({"type": f' Type="{XADES122}SignedProperties"'}, "reference to SignedProperties"),
            ({"space": XADES122, "type": ""}, "reference to SignedProperties"),
            (
                {"data": _format("s-r1")},
                "DataObjectFormat",
            ),
        ],
    )
    def test_what_is_signed_and_by_whom_stays_clear(
        self, changes: dict[str, str], where: str, person: DevIdentity, context: Context
    ) -> None:
        found = _only(Foreign(person).changed(**changes).file(), context)
        assert found.indication is Indication.PASSED
        assert (Code.PROPERTIES_DEVIATE, where) in _warnings(found)

    @pytest.mark.parametrize(
        "changes",
        [
            {"target": "#other"},
            {"type": ""},
            {"type": ' Type="http://example.org/SignedProperties"'},
            {"data": _format("#nothing")},
        ],
    )
    def test_what_points_elsewhere_is_broken(
        self, changes: dict[str, str], person: DevIdentity, context: Context
    ) -> None:
        """W5."""
        found = _only(Foreign(person).changed(**changes).file(), context)
        assert found.integrity is Integrity.BROKEN
        assert Code.SIGNED_PROPERTIES_INVALID in _codes(found)

    def test_a_target_that_is_another_elements_name_is_broken(self, person: DevIdentity, context: Context) -> None:
        data = Foreign(person, target="#S").file('<doc><b Id="S">x</b>@</doc>')
        assert Code.SIGNED_PROPERTIES_INVALID in _codes(_only(data, context))


class TestCertificateReference:
    """W6: the report must name the signer whom the signer named."""

    def _serial(self, number: str, name: str = "CN=ai đó") -> str:
        return (
            f"<x:IssuerSerial><ds:X509IssuerName>{name}</ds:X509IssuerName>"
            f"<ds:X509SerialNumber>{number}</ds:X509SerialNumber></x:IssuerSerial>"
        )

    def test_the_whole_path_may_be_listed_in_any_order_in_the_first_form(
        self, person: DevIdentity, context: Context
    ) -> None:
        chain = person.chain
        about = certificate_reference(*chain, person.certificate)
        found = _only(Foreign(person, about=about, key_info=(*chain, person.certificate)).file(), context)
        assert (found.indication, found.signer.name) == (Indication.PASSED, "Nguyễn Văn Mẫu")

    def test_in_the_second_form_another_place_than_the_first_is_noted(
        self, person: DevIdentity, context: Context
    ) -> None:
        about = certificate_reference(*person.chain, person.certificate, version="V2")
        found = _only(Foreign(person, about=about).file(), context)
        assert found.indication is Indication.PASSED
        assert (Code.PROPERTIES_DEVIATE, "SigningCertificateV2") in _warnings(found)

    def test_both_forms_at_once_must_agree(self, person: DevIdentity, agency: DevIdentity, context: Context) -> None:
        second = certificate_reference(person.certificate, version="V2")
        good = Foreign(person, about=certificate_reference(person.certificate) + second)
        assert _only(good.file(), context).indication is Indication.PASSED
        bad = Foreign(person, about=certificate_reference(agency.certificate) + second)
        assert Code.SIGNING_CERTIFICATE_MISMATCH in _codes(_only(bad.file(), context))

    @pytest.mark.parametrize("form", ["{0}", "000{0}", " {0}\n"])
    def test_a_name_written_differently_is_noted_and_the_number_decides(
        self, form: str, person: DevIdentity, context: Context
    ) -> None:
        number = form.format(person.credential.x509.serial_number)
        about = certificate_reference(person.certificate, issuer_serial=self._serial(number))
        found = _only(Foreign(person, about=about).file(), context)
        assert found.indication is Indication.PASSED
        assert (Code.PROPERTIES_DEVIATE, "IssuerSerial") in _warnings(found)

    def test_the_right_name_in_another_order_is_not_even_noted(self, person: DevIdentity, context: Context) -> None:
        parts = person.credential.x509.issuer.rfc4514_string().split(",")
        serial = self._serial(str(person.credential.x509.serial_number), ", ".join(reversed(parts)))
        about = certificate_reference(person.certificate, issuer_serial=serial)
        assert not {w for w in _warnings(_only(Foreign(person, about=about).file(), context)) if w[1]}

    def test_an_old_digest_identifies_with_a_warning(self, person: DevIdentity, context: Context) -> None:
        """It is no signature: identifiers are not judged (signing.md 1.4)."""
        old = encode(hashlib.sha1(person.certificate, usedforsecurity=False).digest())
        about = (
            '<x:SigningCertificate><x:Cert><x:CertDigest><ds:DigestMethod Algorithm="http://www.w3.org/2000/09/'
            f'xmldsig#sha1"/><ds:DigestValue>{old}</ds:DigestValue></x:CertDigest></x:Cert></x:SigningCertificate>'
        )
        found = _only(Foreign(person, about=about).file(), context)
        assert found.indication is Indication.PASSED
        assert "SigningCertificate (SHA-1)" in {w.facts.get("algorithm") for w in found.warnings}

    @pytest.mark.parametrize("number", ["...", "", "0x10"])
    def test_a_number_that_cannot_be_read_says_nothing(
        self, number: str, person: DevIdentity, context: Context
    ) -> None:
        about = certificate_reference(person.certificate, issuer_serial=self._serial(number))
        found = _only(Foreign(person, about=about).file(), context)
        assert found.indication is Indication.PASSED
        assert (Code.PROPERTIES_DEVIATE, "IssuerSerial") in _warnings(found)

    def test_another_number_is_another_certificate(
        self, person: DevIdentity, agency: DevIdentity, context: Context
    ) -> None:
        about = certificate_reference(person.certificate, issuer_serial=self._serial("12345"))
        assert Code.SIGNING_CERTIFICATE_MISMATCH in _codes(_only(Foreign(person, about=about).file(), context))
        other = f"<x:IssuerSerialV2>{encode(issuer_serial(agency.certificate))}</x:IssuerSerialV2>"
        about = certificate_reference(person.certificate, issuer_serial=other, version="V2")
        found = _only(Foreign(person, about=about).file(), context)
        assert (found.integrity, Code.SIGNING_CERTIFICATE_MISMATCH in _codes(found)) == (Integrity.BROKEN, True)

    def test_a_digest_of_another_certificate_is_broken(
        self, person: DevIdentity, agency: DevIdentity, context: Context
    ) -> None:
        found = _only(Foreign(person, about=certificate_reference(agency.certificate)).file(), context)
        assert (found.integrity, Code.SIGNING_CERTIFICATE_MISMATCH in _codes(found)) == (Integrity.BROKEN, True)


POLICY = b"urn:oid:1.2.3.4 this is what the signer agreed to\n"


class TestPolicies:
    """Implied ones ask nothing; explicit ones must be at hand, and be the ones the signer meant."""

    def _about(self, person: DevIdentity, digest: bytes = POLICY, *, transforms: str = "") -> str:
        return (
            certificate_reference(person.certificate)
            + "<x:SignaturePolicyIdentifier><x:SignaturePolicyId><x:SigPolicyId><x:Identifier>urn:oid:1.2.3.4"
            f"</x:Identifier></x:SigPolicyId>{transforms}<x:SigPolicyHash>{digest_text(digest)}</x:SigPolicyHash>"
            "<x:SigPolicyQualifiers><x:SigPolicyQualifier><x:SPURI>http://policy.invalid/a.txt</x:SPURI>"
            "</x:SigPolicyQualifier></x:SigPolicyQualifiers></x:SignaturePolicyId></x:SignaturePolicyIdentifier>"
        )

    def test_an_implied_policy_is_no_hindrance(self, person: DevIdentity, context: Context) -> None:
        implied = "<x:SignaturePolicyIdentifier><x:SignaturePolicyImplied/></x:SignaturePolicyIdentifier>"
        about = certificate_reference(person.certificate) + implied
        assert _only(Foreign(person, about=about).file(), context).indication is Indication.PASSED

    @pytest.mark.parametrize("name", ["urn:oid:1.2.3.4", "1.2.3.4", "http://policy.invalid/a.txt"])
    def test_an_explicit_policy_is_known_if_its_document_is_given(
        self, name: str, person: DevIdentity, context: Context
    ) -> None:
        data = Foreign(person, about=self._about(person)).file()
        without = _only(data, context)
        assert (without.integrity, without.sub_indication) == (Integrity.INTACT, Code.SIGNATURE_POLICY_NOT_AVAILABLE)
        given = replace(context, contents=(Content(name, POLICY),))
        assert _only(data, given).indication is Indication.PASSED
        other = replace(context, contents=(Content(name, POLICY + b"!"),))
        found = _only(data, other)
        assert (found.integrity, found.sub_indication) == (Integrity.INTACT, Code.POLICY_PROCESSING_ERROR)

    def test_the_document_may_stand_in_the_signatures_own_store(self, person: DevIdentity, context: Context) -> None:
        def store(document: bytes) -> str:
            return (
                '<x141:SignaturePolicyStore xmlns:x141="http://uri.etsi.org/01903/v1.4.1#"><x141:SPDocSpecification/>'
                f"<x141:SignaturePolicyDocument>{encode(document)}</x141:SignaturePolicyDocument>"
                "</x141:SignaturePolicyStore>"
            )

        about = self._about(person)
        assert (
            _only(Foreign(person, about=about).file(unsigned=[store(POLICY)]), context).indication is Indication.PASSED
        )
        wrong = _only(Foreign(person, about=about).file(unsigned=[store(b"other")]), context)
        assert wrong.sub_indication is Code.POLICY_PROCESSING_ERROR

    def test_a_policy_in_xml_is_compared_in_the_form_the_signer_named(
        self, person: DevIdentity, context: Context
    ) -> None:
        text = b"<p  a='1'><r>rules</r><SignPolicyDigest>abc</SignPolicyDigest></p>"
        meant = b'<p a="1"><r>rules</r></p>'
        filter2 = "http://www.w3.org/2002/06/xmldsig-filter2"
        transforms = (
            '<ds:Transforms><ds:Transform Algorithm="http://www.w3.org/TR/2001/REC-xml-c14n-20010315"/>'
            f'<ds:Transform Algorithm="{filter2}"><f:XPath xmlns:f="{filter2}" Filter="subtract">'
            "/*/*[local-name()='SignPolicyDigest']</f:XPath></ds:Transform></ds:Transforms>"
        )
        data = Foreign(person, about=self._about(person, meant, transforms=transforms)).file()
        given = replace(context, contents=(Content("1.2.3.4", text),))
        assert _only(data, given).indication is Indication.PASSED

    def test_a_transform_that_is_not_known_cannot_be_applied(self, person: DevIdentity, context: Context) -> None:
        transforms = '<ds:Transforms><ds:Transform Algorithm="urn:x"/></ds:Transforms>'
        data = Foreign(person, about=self._about(person, transforms=transforms)).file()
        given = replace(context, contents=(Content("1.2.3.4", POLICY),))
        assert _only(data, given).sub_indication is Code.POLICY_PROCESSING_ERROR


class TestContentStamps:
    """Stamps over what is signed, made before it was (5.2.8): they prove the data, not the signature."""

    def test_all_data_objects(self, person: DevIdentity, timestamper: DevTimestamper, context: Context) -> None:
        whole = canonical(etree.fromstring("<doc><b>x</b></doc>"))
        data = stamp("AllDataObjectsTimeStamp", whole, timestamper)
        found = _only(Foreign(person, data=data).file(), context)
        assert [(t.kind, t.integrity, t.indication) for t in found.timestamps] == [
            ("content", Integrity.INTACT, Indication.PASSED)
        ]
        assert (found.level, found.time_source) == ("XAdES-B-B", "validation-time")
        other = stamp("AllDataObjectsTimeStamp", whole + b" ", timestamper)
        found = _only(Foreign(person, data=other).file(), context)
        assert (found.integrity, found.sub_indication) == (Integrity.INTACT, Code.SIG_CONSTRAINTS_FAILURE)
        assert Code.TIMESTAMP_INVALID in _codes(found)

    def test_some_data_objects(self, person: DevIdentity, timestamper: DevTimestamper, context: Context) -> None:
        payload = '<ds:Object Id="o1">one</ds:Object><ds:Object Id="o2">two</ds:Object>'
        root = etree.fromstring(f'<a xmlns:ds="http://www.w3.org/2000/09/xmldsig#">{payload}</a>')
        more = (('Id="r-o1"', "o1"), ('Id="r-o2"', "o2"))
        include = '<x:Include URI="#r-o2" referencedData="true"/>'
        second = stamp("IndividualDataObjectsTimeStamp", canonical(root[1]), timestamper, before=include)
        good = Foreign(person, data=second, objects=payload, more=more)
        assert [t.integrity for t in _only(good.file(), context).timestamps] == [Integrity.INTACT]
        first = stamp("IndividualDataObjectsTimeStamp", canonical(root[0]), timestamper, before=include)
        assert [t.integrity for t in _only(good.changed(data=first).file(), context).timestamps] == [Integrity.BROKEN]
        by_object = _only(good.changed(data=second.replace("#r-o2", "#o2")).file(), context)
        assert (
            by_object.integrity,
            (Code.PROPERTIES_DEVIATE, "IndividualDataObjectsTimeStamp") in _warnings(by_object),
        ) == (
            Integrity.INTACT,
            True,
        )
        astray = second.replace("#r-o2", "#r-o3")
        assert Code.SIGNED_PROPERTIES_INVALID in _codes(_only(good.changed(data=astray).file(), context))


class TestSignatureStamps:
    """Over the signature's value, however that is said."""

    @pytest.mark.parametrize("space", [XADES, XADES122, XADES111])
    @pytest.mark.parametrize(
        "how", ["", '<x:Include URI="#s-v"/>', '<x:HashDataInfo uri="#s-v"><ds:Transforms/></x:HashDataInfo>']
    )
    def test_implied_and_explicit_forms(
        self, space: str, how: str, person: DevIdentity, timestamper: DevTimestamper, context: Context
    ) -> None:
        kind = Foreign(person, space=space, type=f' Type="{TYPE if space == XADES else space + "SignedProperties"}"')
        text = kind.text()
        value = canonical(finder(text.replace("{unsigned}", "").encode(), space)("ds:SignatureValue"))
        made = stamp("SignatureTimeStamp", value, timestamper, before=how)
        found = _only(_with(text, made), context)
        assert (found.level, found.time_source, found.indication) == ("XAdES-B-T", "timestamp", Indication.PASSED)
        elsewhere = stamp("SignatureTimeStamp", value + b" ", timestamper, before=how)
        assert _only(_with(text, elsewhere), context).level == "XAdES-B-B"

    def test_a_stamp_that_leaves_the_value_out_proves_nothing(
        self, person: DevIdentity, timestamper: DevTimestamper, context: Context
    ) -> None:
        text = Foreign(person).text()
        properties = canonical(finder(text.replace("{unsigned}", "").encode())("x:SignedProperties"))
        made = stamp("SignatureTimeStamp", properties, timestamper, before='<x:Include URI="#s-p"/>')
        found = _only(_with(text, made), context)
        assert (found.level, found.timestamps[0].integrity) == ("XAdES-B-B", Integrity.BROKEN)

    def test_an_archive_stamp_that_points_at_what_it_is_over_proves_that_alone(
        self, person: DevIdentity, timestamper: DevTimestamper, context: Context
    ) -> None:
        """The older versions name the parts; what is not named is not proved."""
        kind = Foreign(person, space=XADES122, type=f' Type="{XADES122}SignedProperties"')
        text = kind.text()
        value = canonical(finder(text.replace("{unsigned}", "").encode(), XADES122)("ds:SignatureValue"))
        made = stamp("ArchiveTimeStamp", value, timestamper, before='<x:Include URI="#s-v"/>')
        found = _only(_with(text, made), context)
        assert [(t.kind, t.integrity) for t in found.timestamps] == [("archive", Integrity.INTACT)]
        assert found.time_source == "archive-timestamp"
        without = stamp("ArchiveTimeStamp", value, timestamper, before='<x:Include URI="#s-p"/>')
        assert _only(_with(text, without), context).timestamps[0].integrity is Integrity.BROKEN

    def test_a_stamp_in_xml_is_named_and_stays_unknown(self, person: DevIdentity, context: Context) -> None:
        made = "<x:SignatureTimeStamp><x:XMLTimeStamp><any/></x:XMLTimeStamp></x:SignatureTimeStamp>"
        found = _only(Foreign(person).file(unsigned=[made]), context)
        assert [t.integrity for t in found.timestamps] == [Integrity.UNKNOWN]
        assert "XMLTimeStamp" in {w.facts.get("algorithm") for w in found.warnings}
        assert (found.level, found.indication) == ("XAdES-B-B", Indication.PASSED)

    def test_more_stamps_than_anybody_needs_are_a_limit(
        self, person: DevIdentity, timestamper: DevTimestamper, context: Context
    ) -> None:
        text = Foreign(person).text()
        value = canonical(finder(text.replace("{unsigned}", "").encode())("ds:SignatureValue"))
        found = _only(_with(text, stamp("SignatureTimeStamp", value, timestamper) * 60), context)
        assert len(found.timestamps) == 50
        assert Code.LIMIT_EXCEEDED in {w.code for w in found.warnings}


def _with(text: str, *unsigned: str) -> bytes:
    listed = "".join(unsigned)
    wrapped = f"<x:UnsignedSignatureProperties>{listed}</x:UnsignedSignatureProperties>"
    return text.replace("{unsigned}", f"<x:UnsignedProperties>{wrapped}</x:UnsignedProperties>").encode()


class TestStampsOverReferences:
    """References to validation data, and the stamps over these, with the value or without (A.1)."""

    def _references(self, person: DevIdentity, version: str) -> str:
        prefix = "x141" if version else "x"
        return (
            f'<{prefix}:CompleteCertificateRefs{version} xmlns:x141="http://uri.etsi.org/01903/v1.4.1#">'
            f"<{prefix}:CertRefs><x:Cert><x:CertDigest>{digest_text(person.chain[0])}</x:CertDigest></x:Cert>"
            f"</{prefix}:CertRefs></{prefix}:CompleteCertificateRefs{version}>"
        )

    @pytest.mark.parametrize("version", ["", "V2"])
    @pytest.mark.parametrize("name", ["SigAndRefsTimeStamp", "RefsOnlyTimeStamp"])
    def test_both_kinds_in_both_versions(
        self, name: str, version: str, person: DevIdentity, timestamper: DevTimestamper, context: Context
    ) -> None:
        text = Foreign(person).text()
        references = self._references(person, version)
        draft = _with(text, references)
        prefix = "x141" if version else "x"
        refs = canonical(finder(draft)(f"{prefix}:CompleteCertificateRefs{version}"))
        value = canonical(finder(draft)("ds:SignatureValue"))
        octets = refs if name.startswith("Refs") else value + refs
        made = stamp(name + version, octets, timestamper, prefix=prefix)
        found = _only(_with(text, references, made), context)
        assert [(t.kind, t.integrity) for t in found.timestamps] == [("archive", Integrity.INTACT)]
        assert found.level == "XAdES-B-B", "a stamp over references alone is neither T nor LTA"
        proved = name.startswith("SigAnd")
        assert (found.time_source == "archive-timestamp") is proved
        changed = _with(text, references.replace("CertRefs>", "CertRefs >", 1), made)
        assert _only(changed, context).timestamps[0].integrity is Integrity.INTACT
        cut = _only(_with(text, references.replace("CertRefs><", "CertRefs> <", 1), made), context)
        assert cut.timestamps[0].integrity is Integrity.BROKEN


COUNTERSIGNED = "http://uri.etsi.org/01903#CountersignedSignature"


class TestCounterSignatures:
    """Entries of their own; one that does not fit is broken, and the main signature stays what it is (W8)."""

    def _value(self, text: str, id: str) -> bytes:
        return canonical(finder(text.replace("{unsigned}", "").encode())(f"ds:SignatureValue[@Id='{id}']"))

    def _counter(self, of: str, by: DevIdentity, *, id: str, value: str = "s-v", type_: str = COUNTERSIGNED) -> str:
        attributes = f'URI="#{value}"' + (f' Type="{type_}"' if type_ else "")
        return Foreign(by, id=id, target=f"#{id}", over=(attributes, self._value(of, value))).text("@")

    def _inside(self, text: str) -> str:
        return f"<x:CounterSignature>{text}</x:CounterSignature>"

    @pytest.mark.parametrize("type_", [COUNTERSIGNED, ""])
    def test_a_counter_signature_has_its_own_entry(
        self, type_: str, person: DevIdentity, agency: DevIdentity, context: Context
    ) -> None:
        text = Foreign(person).text()
        counter = self._counter(text, agency, id="c", type_=type_).replace("{unsigned}", "")
        report = inspect_xml(_with(text, self._inside(counter)), context=context)
        assert [(s.id, s.signer.name, s.indication) for s in report.signatures] == [
            ("s", "Nguyễn Văn Mẫu", Indication.PASSED),
            ("c", "Sở Mẫu A", Indication.PASSED),
        ]
        assert (report.verdict, report.signatures[1].covers) == (Verdict.VALID, Covers.PARTIAL)

    def test_counter_signatures_may_be_nested(self, person: DevIdentity, agency: DevIdentity, context: Context) -> None:
        text = Foreign(person).text()
        first = self._counter(text, agency, id="c")
        second = self._counter(first, person, id="d", value="c-v").replace("{unsigned}", "")
        unsigned = f"<x:UnsignedSignatureProperties>{self._inside(second)}</x:UnsignedSignatureProperties>"
        nested = first.replace("{unsigned}", f"<x:UnsignedProperties>{unsigned}</x:UnsignedProperties>")
        report = inspect_xml(_with(text, self._inside(nested)), context=context)
        assert [(s.id, s.integrity) for s in report.signatures] == [(i, Integrity.INTACT) for i in ("s", "c", "d")]
        assert report.verdict is Verdict.VALID
        skipping = self._counter(text, person, id="d").replace("{unsigned}", "")
        unsigned = f"<x:UnsignedSignatureProperties>{self._inside(skipping)}</x:UnsignedSignatureProperties>"
        nested = first.replace("{unsigned}", f"<x:UnsignedProperties>{unsigned}</x:UnsignedProperties>")
        report = inspect_xml(_with(text, self._inside(nested)), context=context)
        assert Code.COUNTER_SIGNATURE_BROKEN in _codes(report.signatures[2])

    def test_one_over_another_value_or_changed_is_broken_and_the_main_signature_is_not(
        self, person: DevIdentity, agency: DevIdentity, context: Context
    ) -> None:
        text, other = Foreign(person).text(), Foreign(person).text()
        counter = self._counter(text, agency, id="c").replace("{unsigned}", "")
        foreign = self._counter(other, agency, id="c").replace("{unsigned}", "")
        at_properties = self._counter(text, agency, id="c").replace("{unsigned}", "")
        at_properties = at_properties.replace("02:30:00Z", "02:30:09Z")
        for wrong in (foreign, at_properties, counter.replace('URI="#s-v"', 'URI="#s-p"')):
            report = inspect_xml(_with(text, self._inside(wrong)), context=context)
            assert (report.signatures[0].indication, report.verdict) == (Indication.PASSED, Verdict.INVALID)
            assert (report.signatures[1].indication, report.signatures[1].integrity) == (
                Indication.FAILED,
                Integrity.BROKEN,
            )
            assert Code.COUNTER_SIGNATURE_BROKEN in _codes(report.signatures[1])

    def test_a_counter_signature_may_stand_beside_and_say_so_by_its_type(
        self, person: DevIdentity, agency: DevIdentity, context: Context
    ) -> None:
        octets = canonical(etree.fromstring('<b Id="b">x</b>'))
        text = Foreign(person, over=('URI="#b"', octets)).text('<doc><b Id="b">x</b>@</doc>')
        counter = self._counter(text, agency, id="c").replace("{unsigned}", "")
        report = inspect_xml(f"<list>{text.replace('{unsigned}', '')}{counter}</list>".encode(), context=context)
        assert report.verdict is Verdict.VALID
        assert [(s.id, s.integrity, s.covers) for s in report.signatures] == [
            ("s", Integrity.INTACT, Covers.PARTIAL),
            ("c", Integrity.INTACT, Covers.PARTIAL),
        ]

    def test_the_type_on_something_else_is_broken(self, person: DevIdentity, context: Context) -> None:
        octets = canonical(etree.fromstring('<b Id="b">x</b>'))
        kind = Foreign(person, over=(f'URI="#b" Type="{COUNTERSIGNED}"', octets))
        found = _only(kind.file('<doc><b Id="b">x</b>@</doc>'), context)
        assert (found.integrity, Code.COUNTER_SIGNATURE_BROKEN in _codes(found)) == (Integrity.BROKEN, True)


def test_signature_levels_of_old_forms(person: DevIdentity, context: Context) -> None:
    """Without a word about the certificate it is plain XML-DSig; a signed KeyInfo is such a word."""
    found = _only(Foreign(person, about="").file(), context)
    assert (found.level, found.indication) == ("XMLDSIG", Indication.PASSED)


def test_large_certificates_are_read(pki: DevPki, context: Context) -> None:
    """Their base64 is cut out while the file is parsed."""
    subject = Subject("Trần Thị Mẫu", dns=tuple(f"may-{n:03}.invalid" for n in range(300)))
    signer = pki.issue(Role.PERSON, subject)
    assert len(signer.certificate) > 4096
    found = _only(Foreign(signer).file(), context)
    assert (found.indication, found.signer.name) == (Indication.PASSED, "Trần Thị Mẫu")
