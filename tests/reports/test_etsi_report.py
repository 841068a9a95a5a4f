"""The validation report of ETSI TS 119 102-2: elements of the schema in its order, every signature, every reference."""

import base64
import hashlib
from datetime import datetime, timedelta

import pytest
from lxml import etree

from signer.algorithms import PolicyName
from signer.credential import Role
from signer.devpki import DevPki, Subject
from signer.trust import Context
from signer.xml.sign import sign_xml
from tests.reports.conftest import judgement
from transport.judging.files import Judging
from transport.present.reports import etsi
from transport.present.verify import Checked, Judgement

Files = tuple[list[Checked], Judgement]
NS = {"v": etsi.NAMESPACE, "ds": etsi.DS, "xades": etsi.XADES}
ORDER = {
    "ValidationReport": ("SignatureValidationReport", "SignatureValidationObjects", "SignatureValidator"),
    "SignatureValidationReport": (
        "SignatureIdentifier", "ValidationConstraintsEvaluationReport", "ValidationTimeInfo", "SignersDocument",
        "SignatureAttributes", "SignerInformation", "SignatureQuality", "SignatureValidationProcess",
        "SignatureValidationStatus",
    ),
    "SignatureIdentifier": ("DigestAlgAndValue", "SignatureValue", "HashOnly", "DocHashOnly", "DAIdentifier"),
    "ValidationTimeInfo": ("ValidationTime", "BestSignatureTime"),
    "BestSignatureTime": ("POETime", "TypeOfProof", "POEObject"),
    "POE": ("POETime", "TypeOfProof", "POEObject"),
    "SignerInformation": ("SignerCertificate", "Signer"),
    "SignatureValidationStatus": ("MainIndication", "SubIndication", "AssociatedValidationReportData"),
    "AssociatedValidationReportData": (
        "TrustAnchor", "CertificateChain", "RelatedValidationObject", "RevocationStatusInformation",
        "CryptoInformation", "AdditionalValidationReportData",
    ),
    "CertificateChain": ("SigningCertificate", "IntermediateCertificate", "TrustAnchor"),
    "CryptoInformation": ("ValidationObjectId", "Algorithm", "AlgorithmParameters", "SecureAlgorithm", "NotAfter"),
    "ValidationObject": ("ObjectType", "ValidationObjectRepresentation", "POE", "POEProvisioning", "ValidationReport"),
    "ReportData": ("Type", "Value"),
}  # fmt: skip
"""Children of an element in the order of the schema."""


@pytest.fixture(scope="module")
def root(files: Files) -> etree._Element:
    """The report over all files, read again."""
    return etree.fromstring(etsi.report(*files))


def texts(root: etree._Element, path: str) -> list[str]:
    """Return the texts of the elements a path finds."""
    return [element.text or "" for element in root.iterfind(path, NS)]


def test_children_stand_in_the_order_of_the_schema(root: etree._Element) -> None:
    for element in root.iter():
        name = etree.QName(element)
        order = ORDER.get(name.localname) if name.namespace == etsi.NAMESPACE else None
        if order is not None:
            places = [order.index(etree.QName(child).localname) for child in element]
            assert places == sorted(places), name.localname


def test_every_reference_leads_to_an_object_and_ids_are_unique(root: etree._Element) -> None:
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(set(ids)) == len(ids)
    references = {element.get("VOReference") for element in root.iter() if element.get("VOReference")}
    assert references
    assert references <= set(ids)


def test_there_is_an_entry_for_every_signature_and_for_files_without(files: Files, root: etree._Element) -> None:
    def count(file: Checked) -> int:
        if file.report is None:
            return 1
        parts = sum(count(Checked("", part)) for _, part in file.report.parts)
        return max(1, len(file.report.signatures)) + parts

    assert len(root.findall("v:SignatureValidationReport", NS)) == sum(map(count, files[0]))


def test_indications_are_those_of_the_judgement(root: etree._Element) -> None:
    main = texts(root, "v:SignatureValidationReport/v:SignatureValidationStatus/v:MainIndication")
    assert main[:4] == ["urn:etsi:019102:mainindication:total-passed"] * 4
    assert main[4] == "urn:etsi:019102:mainindication:total-failed"
    assert main[8] == "urn:etsi:019102:mainindication:indeterminate"
    subs = set(texts(root, ".//v:SubIndication"))
    assert "urn:etsi:019102:subindication:HASH_FAILURE" in subs
    assert "urn:etsi:019102:subindication:NO_CERTIFICATE_CHAIN_FOUND" in subs


def test_certificates_and_answers_are_in_the_report_byte_for_byte(files: Files, root: etree._Element) -> None:
    report = files[0][0].report
    assert report is not None
    held = {hashlib.sha256(base64.b64decode(text)).hexdigest() for text in texts(root, ".//v:base64")}
    assert {hashlib.sha256(item.data).hexdigest() for item in report.evidence} <= held
    kinds = set(texts(root, ".//v:ObjectType"))
    assert {f"urn:etsi:019102:validationObject:{kind}" for kind in ("certificate", "CRL", "timestamp")} <= kinds
    assert len(root.findall(".//v:ValidationObject/v:POE", NS)) == len(root.findall(".//v:ValidationObject", NS))


def test_the_signed_document_is_told_by_its_digest(files: Files, root: etree._Element) -> None:
    report = files[0][0].report
    assert report is not None
    first = root.find("v:SignatureValidationReport/v:SignersDocument/v:DigestAlgAndValue/ds:DigestValue", NS)
    assert first is not None
    assert base64.b64decode(first.text or "").hex() == report.sha256


def test_names_from_files_stay_text(root: etree._Element) -> None:
    values = texts(root, ".//v:Value")
    assert any(value.startswith("<script>alert(1)</script>\\u001b") for value in values)
    assert not any("\x1b" in value or "\u202e" in value for value in values)


def test_a_revoked_signer_is_reported_with_the_time(now: datetime) -> None:
    pki = DevPki.create(at=now - timedelta(days=30))
    signer = pki.issue(Role.PERSON, Subject("Nguyễn Văn Mẫu", organization="Sở Mẫu A"))
    pki.revoke(signer.certificate, now - timedelta(hours=1))
    how = Context(trust=pki.trust(at=now), at=now, policy=PolicyName.INTEROP)
    signed = sign_xml(b"<a>x</a>", credential=signer.credential, at=now)
    entry = Checked("a.xml", Judging(how).judge(signed))
    data = etsi.report([entry], judgement(how))
    assert data == etsi.report([entry], judgement(how))
    read = etree.fromstring(data)
    assert texts(read, ".//v:RevocationTime") == [(now - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")]
    assert texts(read, ".//v:SubIndication") == ["urn:etsi:019102:subindication:REVOKED_NO_POE"]
