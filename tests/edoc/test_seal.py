"""Sealed messages: what was sealed comes out, what was not is refused with its code of exchange.md 3.3."""

from __future__ import annotations

import shutil
import subprocess
import uuid
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from edoc.documents import Attachment
from edoc.edxml import ReadLimits, read, serialize, write
from edoc.envelopes import Envelope, Message, StatusMessage
from edoc.errors import CannotJudge, EdocError, LimitPassed, NotEdxml, NotStrict, SealRefused, SecretContent
from edoc.seal import OpenedEnvelope, SealedEnvelope, open_sealed, packed, peek, read_unsealed, seal, unseal
from signer.credential import Role
from signer.devpki import DevIdentity, DevPki, Subject
from signer.trust import Context, TrustStore
from signer.xml.profiles import Slip, seal_xml

ID = "6f1d2c9a-8f57-4f0e-b0a5-90d3c1b7e2f4"


@pytest.fixture
def sealed(letter: Envelope, exchange_a: DevIdentity, now: datetime) -> SealedEnvelope:
    """The letter, sealed by H99.01 now."""
    return seal(letter, message_id=ID, credential=exchange_a.credential, at=now)


def sealed_tree(tree: etree._Element, identity: DevIdentity, at: datetime, *, kind: str = "edoc") -> bytes:
    """Seal any tree, as a careless or hostile sender would."""
    return seal_xml(tree, slip=Slip(ID, "H99.01", kind, at), credential=identity.credential)


def reason_of(data: bytes, context: Context) -> str:
    with pytest.raises(SealRefused) as refused:
        open_sealed(data, context=context)
    return refused.value.reason


def test_what_was_sealed_comes_out(sealed: SealedEnvelope, letter: Envelope, context: Context) -> None:
    """Message, slip, certificate, digests; the seal is valid."""
    opened = open_sealed(sealed.data, context=context)
    assert opened.message == letter
    assert opened.slip == sealed.slip
    assert (opened.data_sha256, opened.size) == (sealed.sha256, sealed.size)
    assert [item.name for item in opened.attachments] == ["120-SMA-VP.signed.pdf"]
    assert opened.report.verdict == "valid"


def test_a_status_message_is_sealed_the_same_way(
    accepted: StatusMessage, exchange_b: DevIdentity, context: Context, now: datetime
) -> None:
    """Its recipient is the other party of the document (M5)."""
    result = seal(accepted, message_id=ID, credential=exchange_b.credential, at=now)
    assert result.recipients == ("H99.01",)
    assert open_sealed(result.data, context=context).message == accepted


def test_unsealing_tells_who_and_for_whom_before_anything_is_read(sealed: SealedEnvelope, context: Context) -> None:
    """The checks that need the path of a request stand between the two steps."""
    unsealed = unseal(sealed.data, context=context)
    assert (unsealed.kind, unsealed.sender_code, unsealed.recipient_codes) == ("edoc", "H99.01", ("H99.02",))
    assert isinstance(read_unsealed(unsealed), OpenedEnvelope)


@given(draw=st.data())
@settings(max_examples=60, deadline=None)
def test_one_changed_byte_never_opens_as_another_message(
    draw: st.DataObject, sealed_once: SealedEnvelope, context: Context
) -> None:
    """Whatever byte is changed: refused, or what is read is the same."""
    at = draw.draw(st.integers(0, sealed_once.size - 1))
    value = draw.draw(st.integers(0, 255))
    changed = sealed_once.data[:at] + bytes([value]) + sealed_once.data[at + 1 :]
    try:
        opened = open_sealed(changed, context=context)
    except (SealRefused, CannotJudge):
        return
    assert opened.message == sealed_once.message
    assert opened.slip == sealed_once.slip


@pytest.fixture(scope="module")
def sealed_once(pki: DevPki, now: datetime) -> SealedEnvelope:
    identity = pki.issue(Role.EXCHANGE, Subject("Sở Mẫu A", organization="Sở Mẫu A", tax_number="0100000001"))
    vectors = Path(__file__).parent.parent / "vectors" / "edxml" / "examples"
    message = peek((vectors / "14-1-new.edxml").read_bytes()).message
    return seal(message, message_id=ID, credential=identity.credential, at=now)


def test_a_message_without_seal_is_refused(letter: Envelope, context: Context) -> None:
    """The packed file alone is not a message of the exchange."""
    assert reason_of(packed(letter), context) == "seal-missing"


def test_a_placeholder_in_the_header_is_no_seal(context: Context) -> None:
    """What vendors write into the header counts for nothing (edxml.md 8)."""
    name = "derived/vnpt-document-new.edxml"
    data = (Path(__file__).parent.parent / "vectors" / "edxml" / name).read_bytes()
    assert reason_of(data, context) == "seal-missing"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"khong phai XML",
        b"%PDF-1.7",
        b"<edXML/>",
        b'<!DOCTYPE a><edXML xmlns="http://www.mic.gov.vn/TBT/QCVN_102_2016"/>',
        b'<e:edXML xmlns:e="http://www.e-doc.vn/Schema/"/>',
    ],
)
def test_what_is_no_edxml_is_refused_as_such(data: bytes, context: Context) -> None:
    """Before any question about a seal."""
    assert reason_of(data, context) == "not-edxml"


def test_two_seals_are_not_one_message(sealed: SealedEnvelope, context: Context) -> None:
    """Exactly one seal (M1)."""
    start = sealed.data.index(b"<ds:Signature")
    end = sealed.data.index(b"</ds:Signature>") + len(b"</ds:Signature>")
    twice = sealed.data[:end] + sealed.data[start:end] + sealed.data[end:]
    assert reason_of(twice, context) == "not-edxml"


def test_too_deep_or_too_many_is_refused_as_limits(
    letter: Envelope, exchange_a: DevIdentity, context: Context, now: datetime
) -> None:
    """Limits of exchange.md 10, even under a good seal."""
    tree = write(letter)
    part = tree[0]
    for _ in range(31):
        part = etree.SubElement(part, "x")
    assert reason_of(sealed_tree(tree, exchange_a, now), context) == "limits"
    tree = write(letter)
    for _ in range(1001):
        etree.SubElement(tree, "x")
    assert reason_of(sealed_tree(tree, exchange_a, now), context) == "limits"


def test_changed_content_is_seal_invalid(sealed: SealedEnvelope, context: Context) -> None:
    """Bytes and seal disagree."""
    assert reason_of(sealed.data.replace("Sở Mẫu B".encode(), "Sở Mẫu C".encode()), context) == "seal-invalid"


def test_a_value_of_another_key_is_seal_invalid(
    sealed: SealedEnvelope, letter: Envelope, exchange_b: DevIdentity, context: Context, now: datetime
) -> None:
    """The slip of one message under the seal of another."""
    other = seal(letter, message_id=str(uuid.uuid4()), credential=exchange_b.credential, at=now)
    head, tail = sealed.data.split(b"<ds:KeyInfo", 1)
    swapped = head + b"<ds:KeyInfo" + other.data.split(b"<ds:KeyInfo", 1)[1]
    assert tail
    assert reason_of(swapped, context) == "seal-invalid"


@pytest.mark.parametrize("variant", ["expired", "not-yet-valid", "wrong-usage", "unknown-root"])
def test_a_bad_certificate_is_certificate_invalid(
    variant: str, letter: Envelope, pki: DevPki, context: Context, now: datetime
) -> None:
    """Expired, not yet valid, for another use, or without a path to a trusted root (R62, R64)."""
    identity = pki.issue(Role.EXCHANGE, Subject("Sở Mẫu A", organization="Sở Mẫu A"), variant=variant)
    assert reason_of(sealed_tree(write(letter), identity, now), context) == "certificate-invalid"


def test_a_revoked_certificate_is_certificate_invalid(letter: Envelope, now: datetime) -> None:
    """Revoked before the seal was made."""
    own = DevPki.create(at=now - timedelta(days=30))
    identity = own.issue(Role.EXCHANGE, Subject("Sở Mẫu A", organization="Sở Mẫu A"))
    data = sealed_tree(write(letter), identity, now)
    trusting = Context(trust=own.trust(at=now), at=now, policy="interop")  # type: ignore[arg-type]  # its text
    assert isinstance(open_sealed(data, context=trusting), OpenedEnvelope)
    own.revoke(identity.certificate, at=now - timedelta(days=1))
    assert reason_of(data, replace(trusting, trust=own.trust(at=now))) == "certificate-invalid"


def test_without_trust_data_nothing_is_judged(sealed: SealedEnvelope, context: Context) -> None:
    """No anchor at all: neither accepted nor refused blindly."""
    with pytest.raises(CannotJudge):
        open_sealed(sealed.data, context=replace(context, trust=TrustStore()))


def _without_reference(text: str) -> str:
    start, end = text.index("<edXML:Reference>"), text.index("</edXML:Reference>")
    return text[:start] + text[end + len("</edXML:Reference>") :]


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (_without_reference, "incomplete"),
        (lambda t: t.replace("<ContentId>cid:7d4c", "<ContentId>cid:0000"), "incomplete"),
        (lambda t: t.replace("JVBERi0xLjQKJSVFT0YK", "JVBERi0xLjQKJSVFT0Y"), "incomplete"),
        (lambda t: t.replace("JVBERi0xLjQKJSVFT0YK", "?"), "incomplete"),
        (lambda t: t.replace("JVBERi0xLjQKJSVFT0YK", "JVBERi0xLjQK\nJSVFT0YK"), "not-strict"),
        (lambda t: t.replace(">2026/11/19<", ">2026-11-19<"), "not-strict"),
        (lambda t: t.replace(">2026/11/19<", ">2026/12/24<", 1), "not-strict"),
        (lambda t: t.replace("<edXML:Priority>0<", "<edXML:Priority>7<"), "not-strict"),
        (lambda t: t.replace("<edXML:Code>", "<edXML:Strange>1</edXML:Strange><edXML:Code>"), "not-strict"),
        (lambda t: t.replace("<edXML:Subject>V/v", "<edXML:Subject> V/v"), "not-strict"),
        (lambda t: t.replace("Bussiness", "Business"), "not-strict"),
        (lambda t: t.replace("<edXML:Code>", '<edXML:Code a="1">'), "not-strict"),
        (lambda t: t.replace("edXML:", "q:").replace("xmlns:edXML", "xmlns:q"), "not-strict"),
        (lambda t: t.replace(">H99.02<", ">H99.01<", 1), "not-strict"),
        (lambda t: t.replace("<edXML:Subject>V/v", "<edXML:Subject>[MẬT] V/v"), "secret-content"),
    ],
)
def test_under_a_good_seal_the_content_must_be_strict(
    edit: object, reason: str, written: str, exchange_a: DevIdentity, context: Context, now: datetime
) -> None:
    """Missing files, undecodable text, other spellings, secrets: each with its code (M6, R1, R5)."""
    assert callable(edit)
    text = edit(written)
    assert text != written
    data = sealed_tree(etree.fromstring(text.encode("utf-8")), exchange_a, now)
    assert reason_of(data, context) == reason


def test_limits_of_size_are_the_callers(sealed: SealedEnvelope, context: Context) -> None:
    """Attachment and file, at the limit and one less."""
    size = 15
    assert isinstance(
        open_sealed(sealed.data, context=context, limits=ReadLimits(attachment_bytes=size)), OpenedEnvelope
    )
    with pytest.raises(SealRefused) as refused:
        open_sealed(sealed.data, context=context, limits=ReadLimits(attachment_bytes=size - 1))
    assert refused.value.reason == "limits"
    exact = replace(context, limits=replace(context.limits, xml_max_bytes=sealed.size))
    assert isinstance(open_sealed(sealed.data, context=exact), OpenedEnvelope)
    short = replace(context, limits=replace(context.limits, xml_max_bytes=sealed.size - 1))
    assert reason_of(sealed.data, short) == "limits"
    assert peek(sealed.data, max_bytes=sealed.size).sealed
    with pytest.raises(LimitPassed):
        peek(sealed.data, max_bytes=sealed.size - 1)


def test_other_white_space_between_elements_is_free(
    written: str, letter: Envelope, exchange_a: DevIdentity, context: Context, now: datetime
) -> None:
    """Another strict writer may indent differently, or leave out what only says that nothing is urgent."""
    dense = etree.fromstring(written.encode("utf-8"), etree.XMLParser(remove_blank_text=True))
    assert open_sealed(sealed_tree(dense, exchange_a, now), context=context).message == letter


def test_large_attachments_pass_through_unchanged(
    letter: Envelope, exchange_a: DevIdentity, context: Context, now: datetime
) -> None:
    """Texts over the parser's limit of 10 MB are cut out and put back."""
    content = b"%PDF-1.7\n" + bytes(range(256)) * 40_000
    big = replace(letter, attachments=(Attachment("lon.pdf", content, "application/pdf"),))
    result = seal(big, message_id=ID, credential=exchange_a.credential, at=now)
    opened = open_sealed(result.data, context=context).message
    assert isinstance(opened, Envelope)
    assert opened.attachments[0].content == content


@pytest.mark.parametrize("message_id", ["", "abc", ID.upper(), ID + " "])
def test_a_message_id_is_a_uuid_in_lower_case(
    message_id: str, letter: Envelope, exchange_a: DevIdentity, now: datetime
) -> None:
    """M2."""
    with pytest.raises(ValueError, match="UUID"):
        seal(letter, message_id=message_id, credential=exchange_a.credential, at=now)


def test_secrets_are_neither_packed_nor_sealed(letter: Envelope, exchange_a: DevIdentity, now: datetime) -> None:
    """R1: refused before anything is written; the error names the place, not the content."""
    secret = replace(letter, document=replace(letter.document, sphere="Tối mật"))
    with pytest.raises(SecretContent) as refused:
        packed(secret)
    assert refused.value.facts == {"field": "SphereOfPromulgation"}
    with pytest.raises(SecretContent):
        seal(secret, message_id=ID, credential=exchange_a.credential, at=now)


def test_a_document_dated_tomorrow_is_not_sealed(letter: Envelope, exchange_a: DevIdentity, now: datetime) -> None:
    """13.8, days counted in Vietnam."""
    tomorrow = replace(letter, document=replace(letter.document, date=date(2026, 11, 21)))
    with pytest.raises(NotStrict):
        seal(tomorrow, message_id=ID, credential=exchange_a.credential, at=now)


def test_packing_is_the_strict_writers_file(letter: Envelope, now: datetime) -> None:
    """Without a trace or content the writer adds them; looking gives the message back."""
    bare = replace(letter, trace=(), document=replace(letter.document, content="", document_id=""))
    data = packed(bare, at=now)
    assert data == serialize(write(letter))
    seen = peek(data)
    assert (seen.message, seen.format, seen.sealed, seen.warnings) == (letter, "edXML document", False, ())


def test_looking_sees_sealed_messages_too(sealed: SealedEnvelope, letter: Envelope) -> None:
    """Without verifying anything, in a type of its own."""
    seen = peek(sealed.data)
    assert (seen.message, seen.sealed) == (letter, True)
    assert not isinstance(seen, OpenedEnvelope)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "EDOC-DOC-001"),
        (b"\x00\x01\x02", "EDOC-DOC-001"),
        (b"xin chao", "EDOC-DOC-001"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><a/>', "EDOC-DOC-004"),
        (b"<html/>", "EDOC-DOC-002"),
        (b'MIME-Version: 1.0\r\nContent-Type: multipart/related; boundary="x"\r\n\r\n--x\r\n', "EDOC-DOC-003"),
        (b"--x\r\nContent-Type: text/xml\r\n\r\n<SOAP-ENV:Envelope/>", "EDOC-DOC-003"),
    ],
)
def test_what_looking_cannot_read_is_named(data: bytes, code: str) -> None:
    """Each kind of file has its own message for the clerk."""
    with pytest.raises(NotEdxml) as refused:
        peek(data)
    assert refused.value.code == code


def test_a_truncated_file_is_never_read_by_recovery(letter: Envelope) -> None:
    """Recovery is for undeclared prefixes only: half a message is no message."""
    data = packed(letter)
    for length in range(0, len(data) - 2, 37):
        with pytest.raises(EdocError):
            peek(data[:length])


@pytest.mark.tool("xmlsec1")
def test_xmlsec1_verifies_a_sealed_message(sealed: SealedEnvelope, pki: DevPki, tmp_path: Path) -> None:
    """Another program, knowing only the root, says the same."""
    program = shutil.which("xmlsec1")
    if program is None:
        pytest.skip("xmlsec1 is not installed")
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    root = tmp_path / "root.pem"
    root.write_bytes(x509.load_der_x509_certificate(pki.root.certificate).public_bytes(Encoding.PEM))
    file = tmp_path / "sealed.edxml"
    file.write_bytes(sealed.data)
    command = [program, "--verify", "--verification-time", "2026-11-20 02:30:00", "--trusted-pem", str(root), str(file)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_a_message_read_is_the_message_written(letter: Envelope, accepted: StatusMessage) -> None:
    """Both kinds, through the bytes."""
    messages: tuple[Message, ...] = (letter, accepted)
    for message in messages:
        tree = etree.fromstring(serialize(write(message)))
        assert read(tree, strict=True).message == message
