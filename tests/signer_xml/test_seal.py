"""The seal of a message: written in one form, verified in that form alone, and what is read is what was signed."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from signer.algorithms import PolicyName
from signer.credential import Role
from signer.devpki import DevIdentity, DevPki, DevTimestamper, Subject
from signer.errors import InputRefused, LimitExceeded, NotVerified
from signer.report import Code, Crypto, Integrity, Verdict
from signer.trust import Context, Limits, TrustStore
from signer.xml.c14n import canonical_document
from signer.xml.dsig import DS
from signer.xml.profiles import Slip, VerifiedSeal, inspect_seal, seal_xml, verify_seal
from signer.xml.spelling import is_plain
from tests.signer_xml.conftest import message

# Certificates with a changed byte make the library remark on them; they are judged, and the remarks are noise.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Parsed a serial number"),
    pytest.mark.filterwarnings("ignore:Attribute's length must be"),
]


def _codes(data: bytes, context: Context) -> set[str]:
    return {reason.code.value for reason in inspect_seal(data, context=context).report.reasons}


def test_a_sealed_message_is_valid_and_gives_back_what_was_sealed(sealed: bytes, slip: Slip, context: Context) -> None:
    verified = verify_seal(sealed, context=context)
    assert b"".join(canonical_document(verified.tree)) == b"".join(canonical_document(message()))
    assert verified.slip == slip
    assert verified.signing_time == slip.submitted_at
    assert verified.report.signatures[0].kind == "seal"
    assert verified.report.signatures[0].level == "XAdES-B-B"
    assert not list(verified.tree.iter(f"{{{DS}}}Signature"))


def test_the_layout_is_the_one_of_the_profile(sealed: bytes) -> None:
    """signing.md 5.4: ids, order, last child, three references; edxml.md 3: prefixes as the axis wants them."""
    root = etree.fromstring(sealed)
    assert root[-1].tag == f"{{{DS}}}Signature"
    assert re.findall(rb' Id="([^"]*)"', sealed) == [
        b"seal", b"seal-ref-1", b"seal-ref-2", b"seal-ref-3", b"seal-value", b"slip", b"seal-props"
    ]  # fmt: skip
    assert re.findall(rb' URI="([^"]*)"', sealed) == [b"", b"#slip", b"#seal-props"]
    assert re.findall(rb'ObjectReference="([^"]*)"', sealed) == [b"#seal-ref-1", b"#seal-ref-2"]
    assert b'<edXML:edXMLEnvelope xmlns:edXML="http://www.mic.gov.vn/TBT/QCVN_102_2016">' in sealed
    assert sealed.startswith(b'<?xml version="1.0" encoding="UTF-8"?>\n<edXML xmlns=')


@pytest.mark.parametrize("key_type", ["p256", "p384", "rsa2048", "rsa3072"])
def test_every_accepted_key_seals(key_type: str, pki: DevPki, slip: Slip, context: Context) -> None:
    identity = pki.issue(Role.EXCHANGE, Subject("Sở Mẫu A", organization="Sở Mẫu A"), key_type=key_type)
    data = seal_xml(message(), slip=slip, credential=identity.credential)
    assert verify_seal(data, context=context).certificate == identity.certificate


def test_a_seal_with_a_time_stamp_reaches_level_t(
    slip: Slip, exchange_a: DevIdentity, timestamper: DevTimestamper, context: Context
) -> None:
    data = seal_xml(message(), slip=slip, credential=exchange_a.credential, timestamper=timestamper)
    assert verify_seal(data, context=context).report.signatures[0].level == "XAdES-B-T"


def test_an_attachment_of_fifty_megabytes_is_sealed_and_checked(
    slip: Slip, exchange_a: DevIdentity, context: Context
) -> None:
    text = "QUJD" * (50 * 2**20 // 3)
    data = seal_xml(message(attachment=text), slip=slip, credential=exchange_a.credential)
    tree = verify_seal(data, context=context).tree
    assert tree.findtext(".//{*}Content") == text
    place = len(data) // 2
    changed = data[:place] + (b"Q" if data[place : place + 1] != b"Q" else b"R") + data[place + 1 :]
    assert _codes(changed, context) == {"HASH_FAILURE"}


@settings(max_examples=150, deadline=None)
@given(place=st.floats(min_value=0, max_value=1, exclude_max=True), value=st.integers(min_value=0, max_value=255))
def test_one_changed_byte_anywhere_never_verifies(sealed: bytes, context: Context, place: float, value: int) -> None:
    at = int(place * len(sealed))
    changed = sealed[:at] + bytes([value]) + sealed[at + 1 :]
    verdict = inspect_seal(changed, context=context).report.verdict
    assert (verdict is Verdict.VALID) == (changed == sealed)


def test_a_missing_byte_anywhere_never_verifies(sealed: bytes, context: Context) -> None:
    """Each line feed, blank and quotation mark, and a sample of all others."""
    places = [at for at, byte in enumerate(sealed) if byte in b"\n \"'=" or at % 50 == 0]
    for at in places:
        assert inspect_seal(sealed[:at] + sealed[at + 1 :], context=context).report.verdict is not Verdict.VALID


@settings(max_examples=60, deadline=None)
@given(
    place=st.floats(min_value=0, max_value=1, exclude_max=True), piece=st.sampled_from([b" ", b"\n", b"<!---->", b"x"])
)
def test_one_inserted_piece_anywhere_never_verifies(
    sealed: bytes, context: Context, place: float, piece: bytes
) -> None:
    at = int(place * (len(sealed) - 1))
    changed = sealed[:at] + piece + sealed[at:]
    assert inspect_seal(changed, context=context).report.verdict is not Verdict.VALID


SWAPS = {
    "white space in a tag": (b"<edXML xmlns", b"<edXML\nxmlns", {"MALFORMED"}),
    "single quotes": (b' note="a &amp; b"', b" note='a &amp; b'", {"MALFORMED"}),
    "unused declaration": (b"<AttachmentEncoded>", b'<AttachmentEncoded xmlns:x="urn:x">', {"MALFORMED"}),
    "carriage return": (b"th\xe1\xbb\xad\n", b"th\xe1\xbb\xad\r", {"MALFORMED"}),
    "CDATA": (b"QUJDREVG", b"<![CDATA[QUJDREVG]]>", {"MALFORMED"}),
    "split text": (b"QUJDREVG", b"QUJD<!---->REVG", {"MALFORMED"}),
    "instruction": (b"QUJDREVG", b"<?x y?>QUJDREVG", {"MALFORMED", "HASH_FAILURE"}),
    "content": (b"QUJDREVG", b"QUJDREVH", {"HASH_FAILURE"}),
    "slip": (b"<Sender>H99.01<", b"<Sender>H99.02<", {"HASH_FAILURE"}),
    "slip with a foreign field": (b"</Slip>", b"<Note>x</Note></Slip>", {"HASH_FAILURE", "SIGNED_PROPERTIES_INVALID"}),
    "signing time": (b":SigningTime>2026", b":SigningTime>2025", {"HASH_FAILURE", "SIGNED_PROPERTIES_INVALID"}),
    "other digest": (b"xmlenc#sha256", b"xmlenc#sha512", {"SIG_CRYPTO_FAILURE", "SIGNED_PROPERTIES_INVALID"}),
    "id of ours taken": (b"<AttachmentEncoded>", b'<AttachmentEncoded id="slip">', {"DUPLICATE_ID", "HASH_FAILURE"}),
    "id twice": (b"<Attachment>", b'<Attachment Id="x" xml:id="x">', {"HASH_FAILURE"}),
    "behind the seal": (b"</ds:Signature>", b"</ds:Signature>x", {"XML_WRAPPING", "HASH_FAILURE"}),
    "element behind the seal": (b"</ds:Signature>", b"</ds:Signature><x/>", {"XML_WRAPPING", "HASH_FAILURE"}),
}


@pytest.mark.parametrize("name", SWAPS)
def test_an_altered_seal_is_broken_with_its_reason(name: str, sealed: bytes, context: Context) -> None:
    old, new, expected = SWAPS[name]
    assert old in sealed
    report = inspect_seal(sealed.replace(old, new, 1), context=context).report
    assert report.verdict is Verdict.INVALID
    assert report.signatures[0].integrity is Integrity.BROKEN
    assert expected <= {reason.code.value for reason in report.reasons}


def test_a_second_seal_is_broken(sealed: bytes, context: Context) -> None:
    start, end = sealed.index(b"<ds:Signature "), sealed.index(b"</ds:Signature>") + len(b"</ds:Signature>")
    twice = sealed[:end] + sealed[start:end] + sealed[end:]
    assert {"XML_WRAPPING", "DUPLICATE_ID"} <= _codes(twice, context)


def test_a_seal_moved_into_the_envelope_is_broken(sealed: bytes, context: Context) -> None:
    start, end = sealed.index(b"<ds:Signature "), sealed.index(b"</ds:Signature>") + len(b"</ds:Signature>")
    moved = sealed[:start] + sealed[end:]
    moved = moved.replace(b"</edXML:edXMLEnvelope>", sealed[start:end] + b"</edXML:edXMLEnvelope>")
    assert "XML_WRAPPING" in _codes(moved, context)


def test_the_slip_of_another_message_is_broken(
    sealed: bytes, slip: Slip, exchange_a: DevIdentity, context: Context
) -> None:
    other = seal_xml(message(attachment="WFla"), slip=replace(slip, sender="H99.02"), credential=exchange_a.credential)
    pattern = re.compile(rb'<ds:Object Id="slip">.*?</ds:Object>')
    found = pattern.search(other)
    assert found is not None
    mixed = pattern.sub(lambda _: found.group(0), sealed)
    assert _codes(mixed, context) == {"HASH_FAILURE"}


def test_a_seal_under_another_certificate_is_broken(
    sealed: bytes, slip: Slip, exchange_b: DevIdentity, context: Context
) -> None:
    """W6: the report must not name another signer."""
    other = seal_xml(message(), slip=slip, credential=exchange_b.credential)
    pattern = re.compile(rb"<ds:KeyInfo>.*</ds:KeyInfo>")
    found = pattern.search(other)
    assert found is not None
    mixed = pattern.sub(lambda _: found.group(0), sealed)
    assert {"SIG_CRYPTO_FAILURE", "SIGNING_CERTIFICATE_MISMATCH"} <= _codes(mixed, context)


def test_an_altered_issuing_certificate_beside_the_seal_is_not_overlooked(
    sealed: bytes, pki: DevPki, context: Context
) -> None:
    """Even if the path can be built without it."""
    certificates = re.findall(rb"<ds:X509Certificate>([^<]*)<", sealed)
    assert len(certificates) == 2
    issuing = bytearray(certificates[1])
    issuing[-20] = ord("A") if issuing[-20] != ord("A") else ord("B")
    changed = sealed.replace(certificates[1], bytes(issuing))
    known = context.with_trust(TrustStore(intermediates=(pki.issuing.certificate,)))
    report = inspect_seal(changed, context=known).report
    assert report.verdict is Verdict.INDETERMINATE
    assert report.signatures[0].sub_indication is Code.CERTIFICATE_CHAIN_GENERAL_FAILURE
    assert inspect_seal(sealed, context=known).report.verdict is Verdict.VALID


def test_integrity_does_not_depend_on_trust(sealed: bytes, context: Context) -> None:
    """Unknown root: intact, and nobody vouches for it."""
    stranger = replace(context, trust=TrustStore())
    report = inspect_seal(sealed, context=stranger).report
    assert (report.verdict, report.signatures[0].integrity) == (Verdict.INDETERMINATE, Integrity.INTACT)
    assert report.signatures[0].sub_indication is Code.NO_CERTIFICATE_CHAIN_FOUND
    only = inspect_seal(sealed, context=replace(stranger, policy=PolicyName.INTEGRITY_ONLY)).report
    assert (only.verdict, only.signatures[0].crypto) == (Verdict.VALID, Crypto.OK)


def test_the_report_is_the_same_every_time(sealed: bytes, context: Context) -> None:
    assert inspect_seal(sealed, context=context).report == inspect_seal(sealed, context=context).report


def test_a_file_without_seal_or_that_is_no_xml_is_reported_and_not_raised(context: Context) -> None:
    plain = etree.tostring(message(), encoding="UTF-8")
    for data, code in ((plain, "NO_SIGNATURE"), (b"%PDF-1.7", "UNREADABLE"), (b"<!DOCTYPE a><a/>", "UNREADABLE")):
        inspection = inspect_seal(data, context=context)
        assert inspection.sealed is None
        assert inspection.report.verdict is Verdict.INDETERMINATE
        assert [reason.code.value for reason in inspection.report.reasons] == [code]
    small = replace(context, limits=Limits(xml_max_bytes=10))
    assert inspect_seal(plain, context=small).report.reasons[0].code is Code.LIMIT_EXCEEDED
    with pytest.raises(LimitExceeded):
        verify_seal(plain, context=small)
    with pytest.raises(InputRefused):
        verify_seal(b"%PDF-1.7", context=context)
    with pytest.raises(NotVerified) as caught:
        verify_seal(plain, context=context)
    assert caught.value.report.verdict is Verdict.INDETERMINATE


def test_a_seal_by_an_expired_certificate_is_not_valid(
    pki: DevPki, slip: Slip, now: datetime, context: Context
) -> None:
    identity = pki.issue(Role.EXCHANGE, Subject("Sở Mẫu A", organization="Sở Mẫu A"), variant="expired")
    data = seal_xml(message(), slip=slip, credential=identity.credential)
    report = inspect_seal(data, context=context).report
    assert report.verdict is Verdict.INDETERMINATE
    assert report.signatures[0].sub_indication is Code.OUT_OF_BOUNDS_NOT_REVOKED


@pytest.mark.parametrize("markup", ["<!-- c -->", "<?pi d?>", f'<ds:Signature xmlns:ds="{DS}"/>'])
def test_what_a_reader_would_refuse_is_not_sealed(markup: str, slip: Slip, exchange_a: DevIdentity) -> None:
    with pytest.raises(ValueError):
        seal_xml(etree.fromstring(f"<a>{markup}</a>"), slip=slip, credential=exchange_a.credential)


def test_a_key_that_is_too_weak_does_not_seal(pki: DevPki, slip: Slip) -> None:
    weak = pki.issue(Role.EXCHANGE, Subject("Sở Mẫu A", organization="Sở Mẫu A"), key_type="rsa1024")
    with pytest.raises(ValueError, match="2048"):
        seal_xml(message(), slip=slip, credential=weak.credential)


@pytest.mark.parametrize(
    "fields",
    [{"kind": "letter"}, {"sender": ""}, {"sender": " H99.01"}, {"message_id": "a\nb"}, {"supersedes": "x" * 300}],
)
def test_a_slip_holds_short_plain_texts(fields: dict[str, str], slip: Slip) -> None:
    with pytest.raises(ValueError):
        replace(slip, **fields)  # type: ignore[arg-type]  # wrong on purpose


def test_times_of_a_slip_need_an_offset_and_are_cut_to_milliseconds(
    slip: Slip, exchange_a: DevIdentity, context: Context
) -> None:
    with pytest.raises(ValueError, match="offset"):
        replace(slip, submitted_at=datetime(2026, 11, 20))
    finer = replace(slip, submitted_at=slip.submitted_at + timedelta(microseconds=-1))
    data = seal_xml(message(), slip=finer, credential=exchange_a.credential)
    assert b"<SubmittedAt>2026-11-20T02:29:59.999Z<" in data
    assert verify_seal(data, context=context).slip.submitted_at == slip.submitted_at - timedelta(milliseconds=1)


def test_verified_values_come_from_verification_alone(sealed: bytes, context: Context) -> None:
    good = verify_seal(sealed, context=context)
    with pytest.raises(TypeError):
        VerifiedSeal(good.tree, good.slip, good.certificate, good.chain, good.signing_time, good.report, object())


@pytest.mark.parametrize(
    ("data", "plain"),
    [
        (b"<a/>", True),
        (b"<a />", True),
        (b'<?xml version="1.0" encoding="UTF-8"?>\n<a b="&#xA;&gt;">&#xD;&lt;</a>', True),
        (b'<a xmlns="u" xmlns:p="v" p:b=""/>', True),
        (b"<a></a >", False),
        (b"<a ></a>", False),
        (b'<a b="" ></a>', False),
        (b"<a  b=''/>", False),
        (b'<a  b=""/>', False),
        (b'<a\tb=""/>', False),
        (b'<a b="\n"/>', False),
        (b"<a>&#65;</a>", False),
        (b"<a>&#xd;</a>", False),
        (b" <a/>", False),
        (b"<a/> ", False),
        (b"<a/>\n", False),
        (b'<?xml version="1.0" encoding="UTF-8"?><a/>', False),
        (b"\xef\xbb\xbf<a/>", False),
        (b'<?xml version="1.0" encoding="UTF-8" standalone="no"?><a/>', False),
        (b'<a xmlns:p="v"/>', False),
        (b'<p:a xmlns:p="v" xmlns:q="v"/>', False),
        (b'<p:a xmlns:p="v" xmlns="u"><p:b/></p:a>', False),
    ],
)
def test_plain_spelling_leaves_no_choice(data: bytes, plain: bool) -> None:
    etree.fromstring(data)
    assert is_plain(data) == plain


def test_a_message_that_is_large_beside_its_attachments_is_a_limit(
    slip: Slip, exchange_a: DevIdentity, context: Context
) -> None:
    """signing.md 5.4: 4 MiB are left when the attachments are cut out."""
    data = seal_xml(message(attachment="chữ " * 1_000_000), slip=slip, credential=exchange_a.credential)
    assert inspect_seal(data, context=context).report.reasons[0].facts["limit"] == "xml_skeleton_max_bytes"


def test_another_writer_may_put_the_properties_first_and_end_the_file_with_a_line_feed(
    slip: Slip, exchange_a: DevIdentity, context: Context
) -> None:
    """signing.md 5.4 fixes references and IDs, not which object stands first, nor what follows the root."""
    sealed = seal_xml(message(), slip=slip, credential=exchange_a.credential)
    objects = re.compile(rb'(<ds:Object Id="slip">.*?</ds:Object>)(<ds:Object>.*?</ds:Object>)', re.DOTALL)
    swapped, times = objects.subn(rb"\2\1", sealed)
    assert times == 1
    for other in (swapped, sealed + b"\n", swapped + b"\n"):
        assert verify_seal(other, context=context).slip == slip
    for broken in (sealed + b"\n\n", sealed + b" ", swapped.replace(b"</ds:Object></ds:S", b"</ds:Object> </ds:S")):
        assert broken not in (sealed, swapped)
        assert inspect_seal(broken, context=context).report.verdict is not Verdict.VALID
