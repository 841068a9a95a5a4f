"""A receipt settles a dispatch only if all conditions of Q3 hold; the first that fails is named (ledger.md 4.5)."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
import ssl
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from signer.credential import Role
from signer.devpki import DevIdentity, DevPki, DevTimestamper, Subject
from signer.trust import Anchor, Context, Purpose, TrustStore
from signer.xml.profiles import sign_declaration
from transport.dispatch import Key
from transport.errors import ReceiptInvalid
from transport.receipts import REJECTION, Expected, ReasonLine, Receipt, build, issue, parse, verify


def test_a_good_receipt_is_verified_and_handed_back(
    receipt: Receipt, issued: bytes, expected: Expected, context: Context, exchange_b: DevIdentity
) -> None:
    verified = verify(issued, context=context, expected=expected)
    assert verified.receipt == receipt
    assert verified.certificate == exchange_b.certificate
    assert verified.report.verdict.value == "valid"
    assert verified.findings == ()


def test_with_a_time_stamp_it_is_level_t(
    receipt: Receipt, expected: Expected, context: Context, exchange_b: DevIdentity, timestamper: DevTimestamper
) -> None:
    data = issue(receipt, credential=exchange_b.credential, timestamper=timestamper)
    report = verify(data, context=context, expected=expected).report
    assert report.signatures[0].level.endswith("-T")
    assert report.signatures[0].time_source == "timestamp"


def test_an_untrusted_stamp_is_a_finding_and_a_damaged_one_a_failure(
    stamped: bytes, expected: Expected, context: Context, pki: DevPki
) -> None:
    data = stamped
    signers = Anchor(pki.root.certificate, frozenset({Purpose.SIGNERS}))
    no_tsa = replace(context, trust=replace(context.trust, anchors=(signers,)))
    warnings = verify(data, context=no_tsa, expected=expected).report.signatures[0].warnings
    assert "TIMESTAMP_UNTRUSTED" in {warning.code.value for warning in warnings}
    start = data.index(b">", data.index(b"EncapsulatedTimeStamp")) + 1
    token = bytearray(base64.b64decode(data[start : data.index(b"<", start)]))
    token[-1] ^= 1
    damaged = data[:start] + base64.b64encode(token) + data[data.index(b"<", start) :]
    for one in (context, no_tsa):
        assert refused(damaged, context=one, expected=expected) == "receipt-signature"


def test_a_refusal_is_a_receipt_too(
    receipt: Receipt, expected: Expected, context: Context, exchange_b: DevIdentity
) -> None:
    no = replace(receipt, event=REJECTION, reasons=(ReasonLine("wrong-addressee", "không gửi cho cơ quan này"),))
    data = issue(no, credential=exchange_b.credential)
    assert verify(data, context=context, expected=expected).receipt == no


def test_odd_times_are_a_finding_not_a_failure(
    receipt: Receipt, expected: Expected, context: Context, exchange_b: DevIdentity, now: datetime
) -> None:
    odd = replace(receipt, received_at=now + timedelta(days=1), submitted_at=now + timedelta(days=2))
    verified = verify(issue(odd, credential=exchange_b.credential), context=context, expected=expected)
    assert verified.findings == ("received-after-issued", "submitted-after-received")


def refused(data: bytes, *, context: Context, expected: Expected) -> str:
    """The reason for which a receipt does not settle."""
    with pytest.raises(ReceiptInvalid) as caught:
        verify(data, context=context, expected=expected)
    return caught.value.reason


@pytest.mark.parametrize(
    "changes",
    [
        {"key": Key("H99.03", "H99.02", "6f1d2c9a-8f57-4f0e-b0a5-90d3c1b7e2f4")},
        {"key": Key("H99.01", "H99.03", "6f1d2c9a-8f57-4f0e-b0a5-90d3c1b7e2f4")},
        {"key": Key("H99.01", "H99.02", "7f1d2c9a-8f57-4f0e-b0a5-90d3c1b7e2f4")},
        {"size": 41},
        {"sha256": "00" * 32},
    ],
)
def test_a_receipt_of_another_dispatch_does_not_settle(
    issued: bytes, expected: Expected, context: Context, changes: dict[str, object]
) -> None:
    other = replace(expected, **changes)  # type: ignore[arg-type]  # the table of wrong values is the test
    assert refused(issued, context=context, expected=other) == "receipt-mismatch"


def test_a_receipt_issued_in_anothers_name_does_not_settle(
    receipt: Receipt, expected: Expected, context: Context, exchange_b: DevIdentity
) -> None:
    lent = replace(receipt, issuer=replace(receipt.issuer, organ_id="H99.03"))
    data = issue(lent, credential=exchange_b.credential)
    assert refused(data, context=context, expected=expected) == "receipt-mismatch"


def test_a_certificate_not_bound_to_the_recipient_does_not_settle(
    receipt: Receipt, expected: Expected, context: Context, exchange_a: DevIdentity
) -> None:
    data = issue(receipt, credential=exchange_a.credential)
    assert refused(data, context=context, expected=expected) == "receipt-signer"


@pytest.mark.parametrize("changes", [{"event": "http://uri.etsi.org/19522/Event/Other"}, {"policy": "urn:other:9"}])
def test_an_unknown_event_or_policy_does_not_settle(
    receipt: Receipt, expected: Expected, context: Context, exchange_b: DevIdentity, changes: dict[str, str]
) -> None:
    data = issue(replace(receipt, **changes), credential=exchange_b.credential)  # type: ignore[arg-type]
    assert refused(data, context=context, expected=expected) == "receipt-unknown"


def test_without_trust_nothing_settles(issued: bytes, expected: Expected, context: Context) -> None:
    nobody = replace(context, trust=TrustStore())
    assert refused(issued, context=nobody, expected=expected) == "receipt-signature"


def test_a_revoked_key_does_not_settle(receipt: Receipt, expected: Expected, context: Context, now: datetime) -> None:
    pki = DevPki.create(at=now - timedelta(days=30))
    one = pki.issue(Role.EXCHANGE, Subject("Sở Mẫu B", organization="Sở Mẫu B", tax_number="0100000002"))
    data = issue(receipt, credential=one.credential)
    expects = replace(expected, certificates=(hashlib.sha256(one.certificate).hexdigest(),))
    good = replace(context, trust=pki.trust(at=now))
    assert verify(data, context=good, expected=expects).receipt == receipt
    pki.revoke(one.certificate, at=now - timedelta(days=1))
    bad = replace(context, trust=pki.trust(at=now))
    assert refused(data, context=bad, expected=expects) == "receipt-signature"


@pytest.mark.parametrize("variant", ["expired", "not-yet-valid", "unknown-root"])
def test_an_unfit_certificate_does_not_settle(
    receipt: Receipt, expected: Expected, context: Context, pki: DevPki, variant: str
) -> None:
    subject = Subject("Sở Mẫu B", organization="Sở Mẫu B", tax_number="0100000002")
    one = pki.issue(Role.EXCHANGE, subject, variant=variant)
    data = issue(receipt, credential=one.credential)
    expects = replace(expected, certificates=(hashlib.sha256(one.certificate).hexdigest(),))
    assert refused(data, context=context, expected=expects) == "receipt-signature"


@pytest.fixture(scope="session")
def stamped(receipt: Receipt, exchange_b: DevIdentity, timestamper: DevTimestamper) -> bytes:
    """The receipt with a time stamp."""
    return issue(receipt, credential=exchange_b.credential, timestamper=timestamper)


@pytest.mark.parametrize("level", ["B-B", "B-T"])
@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_one_changed_byte_never_verifies(
    issued: bytes, stamped: bytes, expected: Expected, context: Context, level: str, data: st.DataObject
) -> None:
    whole = issued if level == "B-B" else stamped
    at = data.draw(st.integers(0, len(whole) - 1))
    value = data.draw(st.integers(0, 255).filter(lambda one: one != whole[at]))
    changed = whole[:at] + bytes([value]) + whole[at + 1 :]
    assert refused(changed, context=context, expected=expected) in {"receipt-form", "receipt-signature"}


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_one_byte_more_or_less_never_verifies(
    issued: bytes, expected: Expected, context: Context, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(issued)))
    if data.draw(st.booleans()) and at < len(issued):
        changed = issued[:at] + issued[at + 1 :]
    else:
        changed = issued[:at] + data.draw(st.binary(min_size=1, max_size=1)) + issued[at:]
    if changed != issued:
        assert refused(changed, context=context, expected=expected) in {"receipt-form", "receipt-signature"}


@pytest.mark.tool("xmlsec1")
@pytest.mark.skipif(shutil.which("xmlsec1") is None, reason="xmlsec1 is not installed")
def test_xmlsec1_verifies_a_receipt(issued: bytes, pki: DevPki, tmp_path: Path) -> None:
    def check(data: bytes) -> int:
        (tmp_path / "receipt.xml").write_bytes(data)
        (tmp_path / "root.pem").write_text(ssl.DER_cert_to_PEM_cert(pki.root.certificate))
        (tmp_path / "ca.pem").write_text(ssl.DER_cert_to_PEM_cert(pki.issuing.certificate))
        command = [
            "xmlsec1", "--verify", "--trusted-pem", "root.pem", "--untrusted-pem", "ca.pem",
            "--verification-gmt-time", "2026-11-20 02:30:00",
            "--id-attr:Id", "http://uri.etsi.org/01903/v1.3.2#:SignedProperties", "receipt.xml",
        ]  # fmt: skip
        return subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode

    assert check(issued) == 0
    assert check(issued.replace(b"<Kind>edoc</Kind>", b"<Kind>status</Kind>")) != 0


def test_a_receipt_laid_out_as_in_the_page_s_example_is_read(
    receipt: Receipt, issued: bytes, expected: Expected, context: Context, exchange_b: DevIdentity
) -> None:
    """Lines and indentation between elements that were signed with it; those added later break the signature."""
    tree = build(receipt)
    etree.indent(tree, space="  ")
    laid_out = sign_declaration(tree, credential=exchange_b.credential, at=receipt.issued_at)
    assert laid_out.count(b"\n  <") > 10
    assert verify(laid_out, context=context, expected=expected).receipt == receipt
    for later in (b"\n  <Event>", b" <ds:SignatureValue", b"\n<ds:KeyInfo", b"\n</ds:Signature>"):
        name = later.lstrip()
        changed = issued.replace(name, later, 1)
        assert changed != issued
        assert refused(changed, context=context, expected=expected) == "receipt-signature"


SPELLINGS: dict[str, Callable[[bytes], bytes]] = {
    "as issued": lambda data: data,
    "a line feed at the end": lambda data: data + b"\n",
    "no declaration": lambda data: data.partition(b"\n")[2],
    "one-tag elements": lambda data: re.sub(rb"<([a-zA-Z:]+)([^<>]*)></\1>", rb"<\1\2/>", data),
    "a blank between elements": lambda data: data.replace(b"</Event>", b"</Event>\n", 1),
    "another quotation mark": lambda data: data.replace(b'Version="1"', b"Version='1'", 1),
    "a prefix nobody needs": lambda data: data.replace(b"<Sender>", b'<Sender xmlns:q="urn:q">', 1),
    "a relative namespace": lambda data: data.replace(b"<Sender>", b'<Sender xmlns:q="q">', 1),
    "a comment": lambda data: data.replace(b"<Sender>", b"<Sender><!-- c -->", 1),
    "another node": lambda data: data.replace(b"<Node>", b"<Node>x", 1),
    "no signature": lambda data: data.partition(b"<ds:Signature ")[0] + b"</Receipt>",
    "two signatures": lambda data: data.replace(b"</Receipt>", data[data.index(b"<ds:Signature ") :], 1),
    "too long": lambda data: data + b" " * 128 * 1024,
}


def _in_two_steps(data: bytes, context: Context, expected: Expected) -> object:
    """Judge the form first, whatever the signature says, and then verify."""
    try:
        parse(data)
        return verify(data, context=context, expected=expected)
    except ReceiptInvalid as error:
        return error.code, error.reason, dict(error.facts)


def _at_once(data: bytes, context: Context, expected: Expected) -> object:
    try:
        return verify(data, context=context, expected=expected)
    except ReceiptInvalid as error:
        return error.code, error.reason, dict(error.facts)


@pytest.mark.parametrize("name", SPELLINGS)
@pytest.mark.parametrize("signed_so", [False, True], ids=["changed", "signed-so"])
def test_a_form_that_is_not_exact_comes_first_whatever_the_signature_says(
    name: str,
    signed_so: bool,
    issued: bytes,
    expected: Expected,
    context: Context,
    exchange_b: DevIdentity,
    now: datetime,
) -> None:
    """``signed-so`` signs the changed tree itself: its signature holds, and yet it is no receipt unless it is exact."""
    data = SPELLINGS[name](issued)
    if signed_so:
        try:
            root = etree.fromstring(data)
            root.remove(root[-1])
            data = SPELLINGS[name](sign_declaration(root, credential=exchange_b.credential, at=now))
        except ValueError:
            return
    assert _at_once(data, context, expected) == _in_two_steps(data, context, expected)


@settings(max_examples=150, deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), piece=st.binary(max_size=2), removed=st.integers(0, 2))
def test_changed_receipts_fail_by_the_same_condition_in_either_order(
    issued: bytes, expected: Expected, context: Context, place: float, piece: bytes, removed: int
) -> None:
    at = int(place * len(issued))
    data = issued[:at] + piece + issued[at + removed :]
    assert _at_once(data, context, expected) == _in_two_steps(data, context, expected)
