"""The strict writer's rules (edxml.md 13): each broken rule is an error with its element, nothing is cut or changed."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date

import pytest
from lxml import etree

from edoc.documents import Attachment, Document
from edoc.edxml import ReadLimits, read, serialize, write
from edoc.edxml.strict import LENGTHS
from edoc.envelopes import (
    Business,
    BusinessKind,
    Envelope,
    Hop,
    Party,
    ReceiverChange,
    Replacement,
    ResponseFor,
    StatusMessage,
    UpdateInfo,
)
from edoc.errors import Incomplete, LimitPassed, NotStrict

ORIGINAL = "H99.01,2026/11/18,119/SMA-VP"
ANSWERED = ResponseFor("H99.01", "119/SMA-VP", date(2026, 11, 18), ORIGINAL)
PDF = b"%PDF-1.4\n"

Change = Callable[[Envelope], Envelope]


def document(**values: object) -> Change:
    return lambda letter: replace(letter, document=replace(letter.document, **values))  # type: ignore[arg-type]  # by name


def recipients(*parties: Party) -> Change:
    return lambda letter: replace(letter, recipients=parties)


def files(*attachments: Attachment) -> Change:
    return lambda letter: replace(letter, attachments=attachments)


def business(**values: object) -> Change:
    return lambda letter: replace(letter, business=replace(letter.business, **values))  # type: ignore[arg-type]  # by name


def pdf(name: str) -> Attachment:
    return Attachment(name, PDF, "application/pdf")


def answering(**values: object) -> Change:
    answered = replace(ANSWERED, **values)  # type: ignore[arg-type]  # by name
    return lambda letter: replace(letter, response_for=(answered,))


def refused(letter: Envelope | StatusMessage) -> NotStrict:
    with pytest.raises(NotStrict) as error:
        write(letter, on=date(2026, 11, 20))
    return error.value


B = Party("H99.02", "Sở Mẫu B", address="Số 2 phố Mẫu")


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        (lambda m: replace(m, sender=replace(m.sender, name="")), "EDOC-DOC-011", "From/OrganName"),
        (lambda m: replace(m, sender=replace(m.sender, address="")), "EDOC-DOC-011", "From/OrganAdd"),
        (recipients(replace(B, address="")), "EDOC-DOC-011", "To/OrganAdd"),
        (recipients(), "EDOC-DOC-011", "To"),
        (document(number=""), "EDOC-DOC-011", "CodeNumber"),
        (document(notation=""), "EDOC-DOC-011", "CodeNotation"),
        (document(date=None), "EDOC-DOC-011", "PromulgationDate"),
        (document(type_name=""), "EDOC-DOC-011", "TypeName"),
        (document(subject=""), "EDOC-DOC-011", "Subject"),
        (lambda m: replace(m, trace=()), "EDOC-DOC-011", "TraceHeader"),
        (lambda m: replace(m, trace=(*m.trace, *m.trace)), "EDOC-DOC-011", "TraceHeader"),
        (lambda m: replace(m, trace=(Hop("H99.01", None),)), "EDOC-DOC-011", "TraceHeader"),
        (business(reason=""), "EDOC-DOC-011", "BussinessDocReason"),
        (document(subject="a\tb"), "EDOC-DOC-013", "Subject"),
        (document(subject="a\u202eb"), "EDOC-DOC-013", "Subject"),
        (document(place="a\x7fb"), "EDOC-DOC-013", "PromulgationInfo/Place"),
        (document(subject="a\ud800b"), "EDOC-DOC-013", "Subject"),
        (document(subject="a\uffffb"), "EDOC-DOC-013", "Subject"),
        (document(date=date(2026, 11, 21)), "EDOC-DOC-014", "PromulgationDate"),
        (recipients(B, replace(B, organ_id="h99.02")), "EDOC-DOC-015", "To"),
        (recipients(replace(B, organ_id="H99.01")), "EDOC-DOC-015", "To"),
        (recipients(replace(B, organ_id="H99,02")), "EDOC-DOC-012", "To/OrganId"),
        (recipients(replace(B, organ_id="X" * 36)), "EDOC-DOC-010", "To/OrganId"),
        (document(number="1,2"), "EDOC-DOC-012", "Code"),
        (document(document_id="tuy-y"), "EDOC-DOC-012", "DocumentId"),
        (document(priority=5), "EDOC-DOC-012", "Priority"),
        (document(steering=3), "EDOC-DOC-012", "SteeringType"),
        (document(pages=1000), "EDOC-DOC-012", "PageAmount"),
        (document(copies=-1), "EDOC-DOC-012", "PromulgationAmount"),
        (business(kind=4), "EDOC-DOC-012", "BussinessDocType"),
        (business(kind=BusinessKind.REVOKE), "EDOC-DOC-011", "Bussiness/DocumentId"),
        (business(kind=BusinessKind.REVOKE, original_document_id=ORIGINAL), "EDOC-DOC-011", "ResponseFor"),
        (business(kind=BusinessKind.UPDATE, original_document_id=ORIGINAL), "EDOC-DOC-011", "BussinessDocumentInfo"),
        (business(kind=BusinessKind.REPLACE), "EDOC-DOC-011", "ReplacementInfoList"),
        (business(original_document_id=ORIGINAL), "EDOC-DOC-012", "Bussiness/DocumentId"),
        (business(update=UpdateInfo()), "EDOC-DOC-012", "BussinessDocumentInfo"),
        (business(replaced=(Replacement(ORIGINAL),)), "EDOC-DOC-012", "ReplacementInfoList"),
        (files(), "EDOC-DOC-017", "Attachment"),
        (files(Attachment("a.pdf", b"", "application/pdf")), "EDOC-DOC-017", "ContentTransferEncoded"),
        (files(Attachment("a/b.pdf", PDF, "application/pdf")), "EDOC-DOC-016", "AttachmentName"),
        (files(pdf("a.pdf"), pdf("A.PDF")), "EDOC-DOC-016", "AttachmentName"),
        (files(Attachment("a.pdf", PDF, "application/pdf", content_id="cid:1")), "EDOC-DOC-012", "ContentId"),
        (files(Attachment("a.dgn", PDF, "pdf")), "EDOC-DOC-012", "ContentType"),
        (files(Attachment("a.pdf", PDF, "application/zip")), "EDOC-DOC-009", "ContentType"),
        (files(Attachment("a.pdf", b"PK\x03\x04", "application/pdf")), "EDOC-DOC-009", "ContentType"),
        (answering(date=None), "EDOC-DOC-011", "ResponseFor/PromulgationDate"),
        (answering(code=""), "EDOC-DOC-011", "ResponseFor/Code"),
    ],
)  # fmt: skip
def test_a_broken_rule_is_an_error_with_its_element(letter: Envelope, change: Change, code: str, field: str) -> None:
    """One breach each, told by code and element."""
    error = refused(change(letter))
    assert (error.code, error.facts["field"]) == (code, field)


@pytest.mark.parametrize(
    ("name", "limit", "change"),
    [
        ("CodeNumber", 11, "number"),
        ("CodeNotation", 30, "notation"),
        ("PromulgationInfo/Place", 50, "place"),
        ("TypeName", 100, "type_name"),
        ("Subject", 500, "subject"),
        ("Content", 500, "content"),
        ("SphereOfPromulgation", 100, "sphere"),
        ("TyperNotation", 10, "typist"),
    ],
)
def test_lengths_hold_at_the_limit_and_refuse_one_more(letter: Envelope, name: str, limit: int, change: str) -> None:
    """R83 and chapter 5, counted in characters, never cut."""
    assert LENGTHS[name] == limit
    write(document(**{change: "ạ" * limit})(letter))
    error = refused(document(**{change: "ạ" * (limit + 1)})(letter))
    assert (error.facts["field"], error.facts["length"], error.facts["limit"]) == (name, limit + 1, limit)


def test_counts_hold_at_the_limit_and_refuse_one_more(letter: Envelope) -> None:
    """500 recipients, 200 attachments."""
    many = tuple(replace(B, organ_id=f"H98.{number}") for number in range(501))
    write(recipients(*many[:500])(letter))
    assert refused(recipients(*many)(letter)).facts["length"] == 501
    names = tuple(Attachment(f"{number}.pdf", PDF, "application/pdf") for number in range(201))
    write(files(*names[:200])(letter))
    assert refused(files(*names)(letter)).facts["length"] == 201


def test_an_attachment_over_the_limit_is_refused(letter: Envelope) -> None:
    """50 MB unless told otherwise."""
    size = len(letter.attachments[0].content)
    write(letter, limits=ReadLimits(attachment_bytes=size))
    with pytest.raises(LimitPassed):
        write(letter, limits=ReadLimits(attachment_bytes=size - 1))


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"code": "07"}, "StatusCode"),
        ({"code": "3"}, "StatusCode"),
        ({"code": "02", "description": ""}, "Description"),
        ({"code": "13", "description": ""}, "Description"),
        ({"code": "16", "description": ""}, "Description"),
        ({"timestamp": None}, "Timestamp"),
        ({"response_for": replace(ANSWERED, document_id="")}, "ResponseFor/DocumentId"),
        ({"response_for": replace(ANSWERED, code="")}, "ResponseFor/Code"),
        ({"response_for": replace(ANSWERED, organ_id="H99.02")}, "ResponseFor/OrganId"),
    ],
)
def test_a_status_names_its_document_fully(accepted: StatusMessage, values: dict[str, object], field: str) -> None:
    """A standard code, all of ResponseFor, a reason for 02, 13, 16 (chapter 9)."""
    assert refused(replace(accepted, **values)).facts["field"] == field  # type: ignore[arg-type]  # by name


def test_the_file_is_plain(letter: Envelope) -> None:
    """UTF-8, one declaration, plain line ends, no empty elements but two, prefixes exactly so (13.1, 13.2)."""
    data = serialize(write(letter))
    text = data.decode("utf-8")
    assert text.startswith(
        '<?xml version="1.0" encoding="UTF-8"?>\n<edXML xmlns="http://www.mic.gov.vn/TBT/QCVN_102_2016">\n'
    )
    assert "\r" not in text
    assert text.endswith("</edXML>\n")
    assert re.findall(r"<([\w:]+)></", text) == ["edXML:Mobile"]
    assert "/>" not in text
    inside = text[text.index("<edXML:edXMLEnvelope") : text.index("</edXML:edXMLEnvelope>")]
    assert not re.findall(r"<(?!/?edXML:)", inside)
    outside = text[text.index("<AttachmentEncoded>") :]
    assert "edXML:" not in outside
    assert "Signature" not in text


def test_what_the_writer_adds_by_itself(letter: Envelope) -> None:
    """Content from the subject, DocumentId from agency, date and code (13.4)."""
    bare = document(content="", document_id="")(letter)
    assert read(write(bare), strict=True).message == letter


def test_the_four_kinds_are_written_and_read(letter: Envelope) -> None:
    """New, revocation, update, replacement (6.1)."""
    kinds = (
        Business(),
        Business(BusinessKind.REVOKE, "Thu hồi", original_document_id=ORIGINAL),
        Business(
            BusinessKind.UPDATE,
            "Cập nhật",
            original_document_id=ORIGINAL,
            update=UpdateInfo(True, True, (ReceiverChange("H99.03", False), ReceiverChange("H99.02", True))),
        ),
        Business(
            BusinessKind.REPLACE, "Thay thế", replaced=(Replacement(ORIGINAL, ("H99.02",)), Replacement(ORIGINAL))
        ),
    )
    for kind in kinds:
        message = replace(letter, business=kind, response_for=(ANSWERED,))
        assert read(write(message), strict=True).message == message


def test_text_is_normalised_when_a_value_is_made() -> None:
    """NFC and trimmed, so that what is compared is what is sent."""
    made = Document("01 ", " SMA-VP", None, "Co\u0302ng va\u0306n", "Hop\n")
    assert (made.number, made.notation, made.type_name, made.subject) == ("01", "SMA-VP", "Công văn", "Hop")


def test_incomplete_is_told_apart() -> None:
    """The receiver answers with another code than for other breaches."""
    assert issubclass(Incomplete, NotStrict)


def test_what_is_optional_and_says_nothing_may_be_left_out_by_another_writer(letter: Envelope) -> None:
    """Urgency 0 and the addresses of the person to ask are 0..1 (chapters 5, 6); an empty element is none of ours."""
    text = serialize(write(letter)).decode("utf-8")
    for silent in ("<edXML:Mobile></edXML:Mobile>", "<edXML:Priority>0</edXML:Priority>"):
        assert text.count(silent) == 1
        text = re.sub(rf"\s*{silent}", "", text)
        read(etree.fromstring(text.encode("utf-8")), strict=True)
    empty = re.sub(r"<edXML:StaffInfo>.*?</edXML:StaffInfo>", "<edXML:StaffInfo/>", text, flags=re.DOTALL)
    with pytest.raises(NotStrict):
        read(etree.fromstring(empty.encode("utf-8")), strict=True)
