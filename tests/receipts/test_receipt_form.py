"""The exact form of a receipt: one writer, and a reader that takes only what it could have written (Q4)."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from signer.xml.c14n import canonical_document
from transport.dispatch import Key
from transport.errors import ReceiptInvalid
from transport.receiptform import canonical, octets_of, read_exact
from transport.receipts import (
    ACCEPTANCE,
    NAMESPACE,
    REJECTION,
    AttachmentDigest,
    Issuer,
    ProofText,
    ReasonLine,
    Receipt,
    build,
    evidence_copy,
    format_time,
    parse,
    parse_evidence_copy,
    read_time,
)

HEXES = st.binary(min_size=32, max_size=32).map(bytes.hex)
TEXTS = (
    st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="￾￿"), min_size=1, max_size=40)
    .map(str.strip)
    .filter(bool)
)
MOMENTS = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))
CODES = st.from_regex(r"[A-Z][0-9]{2}(\.[0-9]{2}){0,3}", fullmatch=True)
RECEIPTS = st.builds(
    Receipt,
    receipt_id=st.uuids().map(str),
    event=st.just(ACCEPTANCE),
    issuer=st.builds(Issuer, organ_id=CODES, organ_name=TEXTS, node=st.just("nut-1")),
    key=st.builds(Key, sender=CODES, recipient=CODES, message_id=st.uuids().map(str)),
    size=st.integers(0, 2**53 - 1),
    sha256=HEXES,
    received_at=MOMENTS,
    issued_at=MOMENTS,
    ledger_origin=st.just("vb.example:8443/edoc-ledger/2026-2"),
    kind=st.sampled_from([None, "edoc", "status"]),
    document_id=st.none() | TEXTS,
    submitted_at=st.none() | MOMENTS,
    seal_certificate=st.none() | HEXES,
    attachments=st.lists(
        st.builds(AttachmentDigest, content_id=TEXTS, size=st.integers(0, 10**9), sha256=HEXES), max_size=3
    ).map(tuple),
)
REASONS = st.lists(
    st.builds(ReasonLine, code=st.just("not-strict"), text=TEXTS, field=st.none() | TEXTS), min_size=1, max_size=20
).map(tuple)


@given(RECEIPTS, REASONS)
def test_the_reader_is_the_inverse_of_the_writer(one: Receipt, reasons: tuple[ReasonLine, ...]) -> None:
    for receipt in (one, replace(one, event=REJECTION, reasons=reasons)):
        written = etree.tostring(build(receipt), encoding="UTF-8")
        assert read_exact(etree.fromstring(written)) == receipt


@given(RECEIPTS, REASONS)
def test_what_is_written_is_the_canonical_form_of_a_tree_built_element_by_element(
    one: Receipt, reasons: tuple[ReasonLine, ...]
) -> None:
    for receipt in (one, replace(one, event=REJECTION, reasons=reasons)):
        grown = b"".join(canonical_document(_grown(receipt)))
        assert octets_of(receipt) == grown == canonical(build(receipt))


def _grown(receipt: Receipt) -> etree._Element:
    """Build the tree of a receipt without its writer."""

    def add(parent: etree._Element, name: str, text: str | None, **facts: str) -> etree._Element:
        if text is not None:
            element = etree.SubElement(parent, f"{{{NAMESPACE}}}{name}", facts)
            element.text = text or None
            return element
        return parent

    def hashed(digest: str | None) -> str | None:
        return None if digest is None else base64.b64encode(bytes.fromhex(digest)).decode()

    sha256 = "http://www.w3.org/2001/04/xmlenc#sha256"
    root = etree.Element(f"{{{NAMESPACE}}}Receipt", {"Version": "1"}, nsmap={None: NAMESPACE})
    add(root, "ReceiptId", receipt.receipt_id)
    add(root, "Event", receipt.event)
    add(root, "Policy", receipt.policy)
    issuer = add(root, "Issuer", "")
    add(issuer, "OrganId", receipt.issuer.organ_id)
    add(issuer, "OrganName", receipt.issuer.organ_name)
    add(issuer, "Node", receipt.issuer.node)
    add(add(root, "Sender", ""), "OrganId", receipt.key.sender)
    add(add(root, "Recipient", ""), "OrganId", receipt.key.recipient)
    message = add(root, "Message", "")
    add(message, "MessageId", receipt.key.message_id)
    add(message, "Kind", receipt.kind)
    add(message, "DocumentId", receipt.document_id)
    add(message, "SubmittedAt", None if receipt.submitted_at is None else format_time(receipt.submitted_at))
    add(message, "Size", str(receipt.size))
    add(message, "Digest", hashed(receipt.sha256), Algorithm=sha256)
    add(message, "SealCertificate", hashed(receipt.seal_certificate), Algorithm=sha256)
    for one in receipt.attachments:
        facts = {"ContentId": one.content_id, "Size": str(one.size), "Algorithm": sha256}
        add(message, "Attachment", hashed(one.sha256), **facts)
    add(root, "ReceivedAt", format_time(receipt.received_at))
    add(root, "IssuedAt", format_time(receipt.issued_at))
    for line in receipt.reasons:
        element = add(root, "Reason", line.text, Code=line.code, **({"Field": line.field} if line.field else {}))
        element.set("{http://www.w3.org/XML/1998/namespace}lang", "vi")
    add(add(root, "Ledger", ""), "Origin", receipt.ledger_origin)
    return root


def test_elements_stand_in_the_order_of_the_specification(receipt: Receipt) -> None:
    full = replace(receipt, event=REJECTION, reasons=(ReasonLine("not-strict", "sai thể thức", "SubjectName"),))
    names = [etree.QName(element).localname for element in build(full).iter()]
    assert " ".join(names) == (
        "Receipt ReceiptId Event Policy Issuer OrganId OrganName Node Sender OrganId Recipient OrganId "
        "Message MessageId Kind DocumentId SubmittedAt Size Digest SealCertificate Attachment "
        "ReceivedAt IssuedAt Reason Ledger Origin"
    )
    reason = build(full).find(f"{{{NAMESPACE}}}Reason")
    assert reason is not None
    assert dict(reason.attrib) == {
        "Code": "not-strict",
        "Field": "SubjectName",
        "{http://www.w3.org/XML/1998/namespace}lang": "vi",
    }


@given(MOMENTS)
def test_times_are_utc_with_milliseconds_and_read_back(moment: datetime) -> None:
    text = format_time(moment)
    assert len(text) == 24
    assert read_time(text) == moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def test_a_time_of_another_zone_is_written_in_utc() -> None:
    vietnam = timezone(timedelta(hours=7))
    assert format_time(datetime(2026, 11, 20, 9, 30, 1, 204999, vietnam)) == "2026-11-20T02:30:01.204Z"
    with pytest.raises(ValueError):
        format_time(datetime(2026, 11, 20))


@pytest.mark.parametrize(
    "changes",
    [
        {"receipt_id": "0B0C7F0E-3B0E-4A51-9A53-2F4C6D0B7A11"},
        {"event": "not a uri"},
        {"event": REJECTION},
        {"reasons": (ReasonLine("not-strict", "x"),)},
        {"key": Key("H99.01", "H99 02", "6f1d2c9a-8f57-4f0e-b0a5-90d3c1b7e2f4")},
        {"key": Key("H99.01", "H99.02", "1")},
        {"size": -1},
        {"sha256": "AB" * 32},
        {"kind": "letter"},
        {"document_id": ""},
        {"document_id": "x" * 256},
        {"document_id": "a\nb"},
        {"document_id": " a"},
        {"document_id": "a\u0000"},
        {"document_id": "\ud800"},
        {"ledger_origin": "somewhere"},
        {"ledger_origin": "x" * 200 + "/edoc-ledger/2026"},
        {"received_at": datetime(2026, 11, 20)},
        {"seal_certificate": "00"},
        {"attachments": (AttachmentDigest("cid:1", 1, "00" * 32),) * 201},
    ],
)
def test_values_outside_the_form_are_misuse(receipt: Receipt, changes: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        replace(receipt, **changes)  # type: ignore[arg-type]  # the table of wrong values is the test


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"<ReceiptId>", b"<!-- x --><ReceiptId>"),
        (b"<ReceiptId>", b"<?x y?><ReceiptId>"),
        (b"<ReceiptId>", b"\t<ReceiptId>"),
        (b"<ReceiptId>", b"x<ReceiptId>"),
        (b"<Node>nut-1</Node>", b"<Node>nut-1</Node>\xc2\xa0"),
        (b"<Node>nut-1</Node>", b"<Node>\nnut-1</Node>"),
        (b"<ReceiptId>", b"<ReceiptId xml:space='preserve'>"),
        (b'Version="1"', b'Version="2"'),
        (b'Version="1"', b'Version="1" Extra="1"'),
        (b'Version="1"', b"Version='1'"),
        (b'Version="1"', b'Version="&#49;"'),
        (b"<Kind>edoc</Kind>", b"<Kind>edoc</Kind><Kind>edoc</Kind>"),
        (b"<Kind>edoc</Kind>", b"<Kind>edoc</Kind><New/>"),
        (b"<Node>nut-1</Node>", b"<Node><![CDATA[nut-1]]></Node>"),
        (b"<Node>nut-1</Node>", b"<Node>nut-1<b/></Node>"),
        (b"<Policy>urn:edoc:exchange-policy:1</Policy>", b""),
        (b"<Size>40</Size>", b"<Size>040</Size>"),
        (b"<Size>40</Size>", b"<Size>+40</Size>"),
        (b"02:30:00.000Z</IssuedAt>", b"02:30:00Z</IssuedAt>"),
        (b"02:30:00.000Z</IssuedAt>", b"09:30:00.000+07:00</IssuedAt>"),
        (b'Size="131072"', b'Size="131072 "'),
        (b"xmlenc#sha256", b"xmlenc#sha512"),
        (b"urn:edoc:receipt:1", b"urn:edoc:receipt:2"),
        (b"urn:edoc:receipt:1", b"relative"),
    ],
)
def test_anything_the_writer_could_not_have_made_is_refused(issued: bytes, old: bytes, new: bytes) -> None:
    assert old in issued
    with pytest.raises(ReceiptInvalid) as caught:
        parse(issued.replace(old, new, 1))
    assert caught.value.reason == "receipt-form"


@pytest.mark.parametrize(
    "data",
    [b"", b"x", b"<Receipt/>", b"<!DOCTYPE a []><a/>", b"\xff\xfe<\x00a\x00/\x00>\x00", b"<a>" * 400, b" " * 140_000],
)
def test_bytes_that_are_no_receipt_are_refused(data: bytes) -> None:
    with pytest.raises(ReceiptInvalid) as caught:
        parse(data)
    assert caught.value.reason == "receipt-form"


def test_a_receipt_without_signature_is_none(receipt: Receipt) -> None:
    with pytest.raises(ReceiptInvalid):
        parse(etree.tostring(build(receipt), encoding="UTF-8"))


def test_what_was_issued_reads_back(receipt: Receipt, issued: bytes) -> None:
    assert parse(issued) == receipt
    assert len(issued) < 10_000


PROOF = ProofText("soa.example/edoc-ledger/2026", 7, "ef" * 32, "c2sp.org/tlog-proof@v1\nindex 7\n\n— x y\n")


def test_an_evidence_copy_carries_the_exact_bytes_and_the_proofs(issued: bytes) -> None:
    for proofs in ((), (PROOF,), (PROOF, replace(PROOF, origin="sob.example/edoc-ledger/2026"))):
        copy = evidence_copy(issued, proofs)
        assert parse_evidence_copy(copy) == (issued, proofs)
    with pytest.raises(ValueError):
        evidence_copy(issued, (PROOF,) * 3)


def test_an_evidence_copy_is_never_taken_for_a_receipt(issued: bytes) -> None:
    with pytest.raises(ReceiptInvalid):
        parse(evidence_copy(issued))
    with pytest.raises(ReceiptInvalid):
        parse_evidence_copy(issued)
    with pytest.raises(ReceiptInvalid):
        parse_evidence_copy(evidence_copy(issued, (PROOF,)).replace(b'Index="7"', b'Index="07"'))


@pytest.mark.parametrize("declaration", ["", '<?xml version="1.0" encoding="UTF-8"?>\n'])
def test_another_office_may_spell_empty_elements_as_one_tag(receipt: Receipt, issued: bytes, declaration: str) -> None:
    """The page fixes elements, not a serialiser: what other libraries write reads as the same receipt, and no more."""
    foreign = declaration.encode() + etree.tostring(etree.fromstring(issued), encoding="UTF-8", xml_declaration=False)
    assert foreign != issued
    assert parse(foreign) == receipt
    copied = etree.tostring(etree.fromstring(evidence_copy(foreign, (PROOF,))), encoding="UTF-8", xml_declaration=False)
    assert parse_evidence_copy(declaration.encode() + copied) == (foreign, (PROOF,))
    for freer in (foreign.replace(b" Version", b"  Version"), foreign + b"\n", foreign.replace(b'"1"', b"'1'", 1)):
        with pytest.raises(ReceiptInvalid):
            parse(freer)
