"""Receipts and key statements: enveloped signatures in one form, at most 128 KiB."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from signer import asn1
from signer.devpki import DevIdentity, DevPki, DevTimestamper
from signer.errors import LimitExceeded, NotVerified, TimestampError
from signer.report import Code, Integrity, Verdict
from signer.trust import Anchor, Context, Purpose, TrustStore
from signer.xml.c14n import canonical_document
from signer.xml.profiles import (
    DECLARATION_MAX_BYTES,
    inspect_declaration,
    inspect_seal,
    sign_declaration,
    verify_declaration,
)
from signer.xml.tokens import is_exact
from tests.signer_xml.conftest import RECEIPT

# Certificates with a changed byte make the library remark on them; they are judged, and the remarks are noise.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Parsed a serial number"),
    pytest.mark.filterwarnings("ignore:Attribute's length must be"),
]


def test_a_declaration_is_valid_and_gives_back_what_was_declared(
    declared: bytes, context: Context, now: datetime
) -> None:
    verified = verify_declaration(declared, context=context)
    assert b"".join(canonical_document(verified.tree)) == RECEIPT.encode()
    assert verified.signing_time == now
    assert verified.report.kind == "receipt"
    assert verified.report.signatures[0].level == "XAdES-B-T"


def test_the_layout_is_the_one_of_the_profile(declared: bytes) -> None:
    assert re.findall(rb' Id="([^"]*)"', declared) == [b"sig", b"sig-ref-1", b"sig-ref-2", b"sig-value", b"sig-props"]
    assert re.findall(rb' URI="([^"]*)"', declared) == [b"", b"#sig-props"]
    assert declared.endswith(b"</ds:Signature></Receipt>")


def test_without_a_time_stamp_the_level_is_b(exchange_b: DevIdentity, now: datetime, context: Context) -> None:
    data = sign_declaration(etree.fromstring(RECEIPT), credential=exchange_b.credential, at=now)
    report = verify_declaration(data, context=context).report
    assert report.signatures[0].level == "XAdES-B-B"
    assert [w.code for w in report.signatures[0].warnings] == [Code.SIGNING_TIME_NOT_PROVED]


@settings(max_examples=250, deadline=None)
@given(place=st.floats(min_value=0, max_value=1, exclude_max=True), value=st.integers(min_value=0, max_value=255))
def test_one_changed_byte_anywhere_never_verifies(declared: bytes, context: Context, place: float, value: int) -> None:
    at = int(place * len(declared))
    changed = declared[:at] + bytes([value]) + declared[at + 1 :]
    verdict = inspect_declaration(changed, context=context).report.verdict
    assert (verdict is Verdict.VALID) == (changed == declared)


BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="


@settings(max_examples=250, deadline=None)
@given(place=st.floats(min_value=0, max_value=1, exclude_max=True), value=st.sampled_from([bytes([c]) for c in BASE64]))
def test_one_changed_character_of_the_time_stamp_or_a_certificate_never_verifies(
    declared: bytes, context: Context, place: float, value: bytes
) -> None:
    """These stand beside the signature, not under it, and other base64 still reads as base64."""
    texts = re.compile(rb"(?:Certificate|TimeStamp)>([A-Za-z0-9+/=]+)")
    places = [n for found in texts.finditer(declared) for n in range(*found.span(1))]
    at = places[int(place * len(places))]
    changed = declared[:at] + value + declared[at + 1 :]
    verdict = inspect_declaration(changed, context=context).report.verdict
    assert (verdict is Verdict.VALID) == (changed == declared)


def test_a_time_stamp_by_an_authority_that_is_not_trusted_only_warns(declared: bytes, context: Context) -> None:
    """console.md 5.3: the time is not proved, the rest stands."""
    anchors = tuple(Anchor(one.certificate, frozenset({Purpose.SIGNERS})) for one in context.trust.anchors)
    signers_only = replace(context, trust=replace(context.trust, anchors=anchors))
    report = inspect_declaration(declared, context=signers_only).report
    assert report.verdict is Verdict.VALID
    assert Code.TIMESTAMP_UNTRUSTED in {w.code for w in report.signatures[0].warnings}


def test_a_time_stamp_by_somebody_who_claims_a_known_name_is_doubted(
    exchange_b: DevIdentity, now: datetime, context: Context
) -> None:
    impostor = DevTimestamper(DevPki.create(at=now - timedelta(days=30)), lambda: now)
    data = sign_declaration(etree.fromstring(RECEIPT), credential=exchange_b.credential, at=now, timestamper=impostor)
    report = inspect_declaration(data, context=context).report
    assert report.verdict is Verdict.INDETERMINATE
    assert Code.CERTIFICATE_CHAIN_GENERAL_FAILURE in {r.code for r in report.reasons}


def test_a_stamp_of_another_signature_is_found_out(
    declared: bytes, exchange_b: DevIdentity, now: datetime, timestamper: DevTimestamper, context: Context
) -> None:
    other = sign_declaration(
        etree.fromstring(RECEIPT), credential=exchange_b.credential, at=now, timestamper=timestamper
    )
    pattern = re.compile(rb"(?<=EncapsulatedTimeStamp>)[^<]+")
    foreign = pattern.findall(other)[0]
    report = inspect_declaration(pattern.sub(foreign, declared), context=context).report
    assert report.verdict is Verdict.INDETERMINATE
    assert {Code.SIG_CONSTRAINTS_FAILURE, Code.TIMESTAMP_INVALID} <= {r.code for r in report.reasons}
    assert report.signatures[0].integrity is Integrity.INTACT


def test_the_writer_takes_no_stamp_that_its_reader_refuses(
    exchange_b: DevIdentity, now: datetime, timestamper: DevTimestamper
) -> None:
    """A token whose list of digests names another one than was used."""

    class Sloppy:
        def stamp(self, request: bytes) -> bytes:
            answer = timestamper.stamp(request)
            _, token = asn1.read_timestamp_response(answer)
            assert token is not None
            assert is_exact(token)
            at = answer.index(bytes.fromhex("060960864801650304020105003081"))
            return answer[: at + 10] + b"\x03" + answer[at + 11 :]

    with pytest.raises(TimestampError) as caught:
        sign_declaration(etree.fromstring(RECEIPT), credential=exchange_b.credential, at=now, timestamper=Sloppy())
    assert caught.value.code == "EDOC-PKI-004"


ALTERED = {
    "content": (b"<Size>42<", b"<Size>43<"),
    "an attribute more": (b' Version="1"', b' Version="1" x="1"'),
    "signature method": (b"ecdsa-sha256", b"ecdsa-sha384"),
    "canonical form": (b"2001/10/xml-exc-c14n#", b"2001/10/xml-exc-c14n#WithComments"),
    "a transform less": (
        b'<ds:Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"></ds:Transform>',
        b"",
    ),
    "empty-element tags": (b"></ds:DigestMethod>", b"/>"),
    "another object": (b"</ds:Signature>", b"<ds:Object>x</ds:Object></ds:Signature>"),
    "unsigned property": (
        b"</xades:UnsignedSignatureProperties>",
        b"<xades:CertificateValues></xades:CertificateValues></xades:UnsignedSignatureProperties>",
    ),
    "another id": (b'Id="sig-value"', b'Id="value"'),
    "other properties named": (b'Target="#sig"', b'Target="#x"'),
}


@pytest.mark.parametrize("name", ALTERED)
def test_anything_the_writer_would_not_write_is_refused(name: str, declared: bytes, context: Context) -> None:
    old, new = ALTERED[name]
    assert old in declared
    changed = declared.replace(old, new, 1)
    if name == "empty-element tags":  # another spelling of the same: the digests still hold
        assert inspect_declaration(changed, context=context).report.verdict is Verdict.VALID
        return
    with pytest.raises(NotVerified) as caught:
        verify_declaration(changed, context=context)
    assert caught.value.report.verdict is not Verdict.VALID
    assert caught.value.report.signatures[0].integrity is not Integrity.INTACT


def test_a_seal_is_no_declaration_and_the_other_way_round(sealed: bytes, declared: bytes, context: Context) -> None:
    assert inspect_declaration(sealed, context=context).report.verdict is Verdict.INVALID
    assert inspect_seal(declared, context=context).report.verdict is Verdict.INVALID


def test_a_declaration_over_its_limit_is_neither_written_nor_read(
    exchange_b: DevIdentity, now: datetime, context: Context
) -> None:
    root = etree.fromstring(f"<a>{'x' * DECLARATION_MAX_BYTES}</a>")
    with pytest.raises(ValueError, match="bytes"):
        sign_declaration(root, credential=exchange_b.credential, at=now)
    with pytest.raises(LimitExceeded):
        verify_declaration(etree.tostring(root), context=context)
    report = inspect_declaration(etree.tostring(root), context=context).report
    assert report.reasons[0].code is Code.LIMIT_EXCEEDED


def test_an_unknown_root_leaves_it_intact_and_undecided(declared: bytes, context: Context) -> None:
    report = inspect_declaration(declared, context=replace(context, trust=TrustStore())).report
    assert (report.verdict, report.signatures[0].integrity) == (Verdict.INDETERMINATE, Integrity.INTACT)
