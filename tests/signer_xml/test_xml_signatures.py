"""Signing any XML, reading what others sign, and what other programs say of ours (signing.md 5.2 to 5.4)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509 import load_der_x509_certificate
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from signxml.algorithms import CanonicalizationMethod, DigestAlgorithm, SignatureMethod
from signxml.algorithms import SignatureConstructionMethod as Method
from signxml.signer import XMLSigner
from signxml.verifier import XMLVerifier

from signer.algorithms import Scheme
from signer.credential import Role
from signer.devpki import DevIdentity, DevTimestamper, key_pem, pem
from signer.errors import InputRefused, LevelNotReached, NotVerified, SigningRefused
from signer.report import Code, Covers, Integrity, Reason, Report, Verdict
from signer.trust import Context
from signer.xml.c14n import canonical_document
from signer.xml.dsig import encode
from signer.xml.sign import sign_xml
from signer.xml.verify import inspect_xml, verify_xml
from signer.xml.xades import Layout, ReferenceLayout, sign

# Certificates with a changed byte make the library remark on them; they are judged, and the remarks are noise.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Parsed a serial number"),
    pytest.mark.filterwarnings("ignore:Attribute's length must be"),
]

DOCUMENTS = {
    "plain": b"<doc><b>x</b></doc>",
    "empty": b"<doc/>",
    "comments around": b'<?xml version="1.0"?>\n<!-- a -->\n<doc>\n  <b/>\n</doc>\n<!-- </doc> -->\n',
    "default namespace": '<doc xmlns="urn:d" xmlns:p="urn:p"><p:b a="1">chữ</p:b></doc>'.encode(),
    "prefix": b'<p:doc xmlns:p="urn:p" xmlns="urn:d"><b Id="sig"/></p:doc>',
    "ids taken": b'<doc><b Id="sig-props"/><c id="sig2"/></doc>',
    "single quotes and spaces": b"<doc  a='1'><b /></doc >",
}


@pytest.mark.tool("xmlsec1")
@pytest.mark.parametrize("name", DOCUMENTS)
@pytest.mark.parametrize("level", ["b", "t"])
def test_a_signed_document_is_valid_here_and_for_xmlsec1(
    name: str,
    level: str,
    person: DevIdentity,
    timestamper: DevTimestamper,
    now: datetime,
    context: Context,
    xmlsec1: Callable[..., bool],
) -> None:
    data = sign_xml(DOCUMENTS[name], credential=person.credential, at=now, level=level, timestamper=timestamper)
    verified = verify_xml(data, covers="doc", context=context)
    assert b"".join(canonical_document(verified.tree)) == b"".join(
        canonical_document(etree.fromstring(DOCUMENTS[name]))
    ).replace(b"<!-- a -->\n", b"").replace(b"\n<!-- </doc> -->", b"")
    signature = verified.report.signatures[0]
    assert (signature.level, signature.covers) == (f"XAdES-B-{level.upper()}", Covers.WHOLE)
    assert xmlsec1(data)
    at = data.index(b"doc>" if name == "plain" else b"SignatureValue") + 40
    assert not xmlsec1(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])


@pytest.mark.tool("xmlsec1")
def test_seals_and_declarations_verify_in_xmlsec1_and_not_after_a_flipped_byte(
    sealed: bytes, declared: bytes, xmlsec1: Callable[..., bool]
) -> None:
    """Without further options than the root (signing.md 5.4)."""
    for data, inside in ((sealed, b"QUJDREVG"), (declared, b">42<"), (sealed, b"H99.01"), (declared, b"2026-11")):
        assert xmlsec1(data)
        at = data.index(inside) + 2
        assert not xmlsec1(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])


def test_seals_and_declarations_verify_in_signxml(sealed: bytes, declared: bytes, pki, now: datetime) -> None:  # type: ignore[no-untyped-def]
    for data in (sealed, declared):
        leaf = re.search(rb"<ds:X509Certificate>([^<]*)<", data)
        assert leaf is not None
        certificate = b"-----BEGIN CERTIFICATE-----\n" + leaf[1] + b"\n-----END CERTIFICATE-----\n"
        count = 3 if data is sealed else 2
        checked = XMLVerifier().verify(data, x509_cert=certificate.decode(), expect_references=count)
        assert isinstance(checked, list)
        assert checked[0].signed_xml is not None
        assert etree.QName(checked[0].signed_xml).localname in {"edXML", "Receipt"}


def test_the_bytes_of_the_document_stay_as_they_are(person: DevIdentity, now: datetime) -> None:
    for name in ("plain", "comments around", "single quotes and spaces"):
        data = sign_xml(DOCUMENTS[name], credential=person.credential, at=now)
        start, end = data.index(b"<ds:Signature "), data.index(b"</ds:Signature>") + len(b"</ds:Signature>")
        assert data[:start] + data[end:] == DOCUMENTS[name]


def test_parallel_signatures_leave_each_other_out(
    person: DevIdentity, rsa_person: DevIdentity, now: datetime, context: Context
) -> None:
    first = sign_xml(DOCUMENTS["plain"], credential=person.credential, at=now, parallel=True)
    both = sign_xml(first, credential=rsa_person.credential, at=now)
    report = inspect_xml(both, context=context)
    assert report.verdict is Verdict.VALID
    assert [s.covers for s in report.signatures] == [Covers.WHOLE, Covers.WHOLE]


def test_a_document_whose_signature_would_break_is_not_signed_again(person: DevIdentity, now: datetime) -> None:
    first = sign_xml(DOCUMENTS["plain"], credential=person.credential, at=now)
    with pytest.raises(InputRefused) as caught:
        sign_xml(first, credential=person.credential, at=now)
    assert caught.value.code == "EDOC-XML-005"


def test_an_agencys_key_is_used_only_by_its_rule(agency: DevIdentity, context: Context, now: datetime) -> None:
    """R28: without the rule nothing is signed; the rule sees the report of these bytes, and its word is final."""
    with pytest.raises(TypeError):
        sign_xml(DOCUMENTS["plain"], credential=agency.credential, at=now)
    seen: list[Report] = []

    def rule(report: Report) -> Reason | None:
        seen.append(report)
        return None if len(seen) == 1 else Reason(Code.MISSING_PERSON_SIGNATURE)

    signed = sign_xml(DOCUMENTS["plain"], credential=agency.credential, at=now, precondition=rule, context=context)
    assert inspect_xml(signed, context=context).signatures
    with pytest.raises(SigningRefused):
        sign_xml(DOCUMENTS["plain"], credential=agency.credential, at=now, precondition=rule, context=context)
    assert [one.sha256 for one in seen] == [hashlib.sha256(DOCUMENTS["plain"]).hexdigest()] * 2


def test_an_exchange_key_signs_no_documents(exchange_a: DevIdentity, now: datetime) -> None:
    with pytest.raises(SigningRefused):
        sign_xml(DOCUMENTS["plain"], credential=exchange_a.credential, at=now)
    with pytest.raises(SigningRefused):
        sign_xml(DOCUMENTS["plain"], credential=replace(exchange_a.credential, role=Role.TLS), at=now)


def test_level_t_needs_an_authority(person: DevIdentity, now: datetime) -> None:
    with pytest.raises(LevelNotReached):
        sign_xml(DOCUMENTS["plain"], credential=person.credential, at=now, level="t")


@pytest.mark.parametrize("scheme", [Scheme.RSA_PKCS1_SHA256, Scheme.RSA_PKCS1_SHA512, Scheme.RSA_PSS_SHA256])
def test_rsa_schemes_are_written_and_read(
    scheme: Scheme, rsa_person: DevIdentity, now: datetime, context: Context
) -> None:
    data = sign_xml(DOCUMENTS["plain"], credential=rsa_person.credential, at=now, scheme=scheme)
    report = inspect_xml(data, context=context)
    assert report.verdict is Verdict.VALID
    assert report.signatures[0].algorithm is not None
    assert report.signatures[0].algorithm.signature == scheme.family


def test_an_attachment_of_fifty_megabytes_is_signed_and_checked(
    person: DevIdentity, now: datetime, context: Context
) -> None:
    text = "QUJD" * (50 * 2**20 // 3)
    data = sign_xml(f"<doc><b>{text}</b></doc>".encode(), credential=person.credential, at=now)
    assert verify_xml(data, covers="doc", context=context).tree.findtext("b") == text


@settings(max_examples=150, deadline=None)
@given(place=st.floats(min_value=0, max_value=1, exclude_max=True), value=st.integers(min_value=0, max_value=255))
def test_after_one_changed_byte_the_verified_content_is_equal_or_there_is_none(
    person: DevIdentity, context: Context, now: datetime, place: float, value: int
) -> None:
    """A4: in a foreign layout a byte may change that nobody reads; what is handed on never does."""
    data = _signed_once(person, now)
    expected = b"".join(canonical_document(verify_xml(data, covers="doc", context=context).tree))
    at = int(place * len(data))
    changed = data[:at] + bytes([value]) + data[at + 1 :]
    try:
        found = verify_xml(changed, covers="doc", context=context)
    except (NotVerified, InputRefused):
        return
    assert b"".join(canonical_document(found.tree)) == expected


_CACHE: dict[bytes, bytes] = {}


def _signed_once(person: DevIdentity, now: datetime) -> bytes:
    if person.certificate not in _CACHE:
        document = "<doc a='1'>\n <b>chữ &amp; số</b><c/></doc>".encode()
        _CACHE[person.certificate] = sign_xml(document, credential=person.credential, at=now)
    return _CACHE[person.certificate]


FORMS = [
    CanonicalizationMethod.CANONICAL_XML_1_0,
    CanonicalizationMethod.CANONICAL_XML_1_1,
    CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0,
    CanonicalizationMethod.CANONICAL_XML_1_0_WITH_COMMENTS,
    CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0_WITH_COMMENTS,
]


def _by_signxml(identity: DevIdentity, method: Method, form: CanonicalizationMethod) -> bytes:
    is_rsa = identity.credential.key_type == "RSA"
    signer = XMLSigner(
        method=method,
        signature_algorithm=SignatureMethod.RSA_SHA256 if is_rsa else SignatureMethod.ECDSA_SHA256,
        digest_algorithm=DigestAlgorithm.SHA256,
        c14n_algorithm=form,
    )
    key = load_pem_private_key(key_pem(identity.key), None)
    comment = "" if form.value.endswith("omments") else "<!-- c -->"  # signxml signs comments, the standard does not
    root = etree.fromstring(f'<doc xmlns="urn:d" xmlns:p="urn:p"><p:b a="1">chữ{comment}</p:b><c xmlns=""/></doc>')
    signed = signer.sign(root, key=key, cert=[pem(identity.certificate).decode(), pem(identity.chain[0]).decode()])  # type: ignore[arg-type]  # as documented
    return etree.tostring(signed, encoding="UTF-8")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("method", [Method.enveloped, Method.enveloping])
@pytest.mark.parametrize("key", ["person", "rsa_person"])
def test_what_signxml_signs_is_read(
    form: CanonicalizationMethod, method: Method, key: str, request: pytest.FixtureRequest, context: Context
) -> None:
    """Inclusive and exclusive, RSA and EC: intact, trusted, and the whole of it."""
    identity: DevIdentity = request.getfixturevalue(key)
    data = _by_signxml(identity, method, form)
    report = inspect_xml(data, context=context)
    assert report.verdict is Verdict.VALID
    assert (report.signatures[0].level, report.signatures[0].covers) == ("XMLDSIG", Covers.WHOLE)
    broken = inspect_xml(data.replace(b'a="1"', b'a="2"'), context=context)
    assert broken.verdict is Verdict.INVALID
    assert broken.reasons[0].code is Code.HASH_FAILURE


def test_detached_content_is_looked_up_by_name_and_never_fetched(
    person: DevIdentity, now: datetime, context: Context
) -> None:
    digest = hashlib.sha256(b"letter").digest()
    layout = Layout("s", "v", "props", "r2", (ReferenceLayout("r1", "a%20letter.txt", (), digest=digest),))
    data = sign(layout, credential=person.credential, scheme=Scheme.ECDSA_SHA256, at=now).encode()
    assert inspect_xml(data, context=context, content={"a letter.txt": b"letter"}).verdict is Verdict.VALID
    assert inspect_xml(data, context=context, content={"a letter.txt": b"other"}).reasons[0].code is Code.HASH_FAILURE
    missing = inspect_xml(data, context=context)
    assert (missing.verdict, missing.signatures[0].integrity) == (Verdict.INDETERMINATE, Integrity.UNKNOWN)
    assert missing.reasons[0].code is Code.SIGNED_DATA_NOT_FOUND


def test_a_bare_key_leaves_the_bytes_intact_and_nobody_named(
    person: DevIdentity, now: datetime, context: Context
) -> None:
    data = sign_xml(DOCUMENTS["plain"], credential=person.credential, at=now)
    data = re.sub(rb"<ds:Object>.*</ds:Object>", b"", data)
    key = load_der_x509_certificate(person.certificate).public_key()
    spki = encode(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    info = f'<dsig11:DEREncodedKeyValue xmlns:dsig11="http://www.w3.org/2009/xmldsig11#">{spki}</dsig11:DEREncodedKeyValue>'
    data = re.sub(rb"<ds:X509Data>.*</ds:X509Data>", info.encode(), data)
    report = inspect_xml(data, context=context)
    # the reference to the properties that are gone cannot be computed; without it only the key is missing
    assert report.verdict is not Verdict.VALID
    assert Code.NO_SIGNING_CERTIFICATE_FOUND in {r.code for r in report.reasons}


def test_a_file_without_signature_says_so(context: Context) -> None:
    report = inspect_xml(DOCUMENTS["plain"], context=context)
    assert (report.verdict, report.format) == (Verdict.INDETERMINATE, "XML")
    assert report.reasons[0].code is Code.NO_SIGNATURE


def test_what_must_be_covered_is_asked_for_by_name_or_path(
    person: DevIdentity, now: datetime, context: Context
) -> None:
    data = sign_xml(DOCUMENTS["default namespace"], credential=person.credential, at=now)
    for covers in ("doc", "{urn:d}doc", "/doc"):
        assert verify_xml(data, covers=covers, context=context).covered == ("/doc",)
    for covers in ("b", "{urn:p}doc", "/doc/b"):
        with pytest.raises(NotVerified):
            verify_xml(data, covers=covers, context=context)
