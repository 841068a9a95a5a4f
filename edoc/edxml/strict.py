"""The rules a message keeps before it is written (edxml.md 13.2 to 13.9, lengths of chapter 5, R83; M6).

Each rule is one check with one reason to fail. A value is never cut or changed: an over-long subject is an error for
the clerk. ``facts`` name the element, not its content.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import date
from functools import cache

from edoc.agencies import CODE_MAX, code_key
from edoc.documents import Priority, Steering
from edoc.edxml.files import name_fault, type_fault
from edoc.edxml.limits import ReadLimits, check_size
from edoc.envelopes import (
    Business,
    BusinessKind,
    Envelope,
    Message,
    Party,
    ResponseFor,
    StaffInfo,
    StatusMessage,
)
from edoc.errors import Incomplete, NotStrict
from edoc.lifecycle import NEEDS_DESCRIPTION, WIRE_CODES
from edoc.numbering import document_id_parts
from edoc.values import clean, has_control

LENGTHS = {
    "OrganId": CODE_MAX,
    "OrganizationInCharge": 500,
    "OrganName": 200,
    "OrganAdd": 500,
    "Telephone": 20,
    "Fax": 20,
    "Website": 200,
    "CodeNumber": 11,
    "CodeNotation": 30,
    "Code": 42,
    "PromulgationInfo/Place": 50,
    "TypeName": 100,
    "Subject": 500,
    "Content": 500,
    "Competence": 100,
    "Position": 100,
    "FullName": 50,
    "ToPlaces/Place": 150,
    "SphereOfPromulgation": 100,
    "TyperNotation": 10,
    "Appendix": 500,
    "DocumentId": 255,
    "BussinessDocReason": 500,
    "Department": 200,
    "Staff": 100,
    "Mobile": 20,
    "Email": 100,
    "Attachment/Description": 500,
    "ContentType": 100,
    "Description": 500,
}
"""Characters, by element. Where chapter 5 and R83 are silent the figure is ours."""

COUNT_MAX = 999
"""Pages and copies have three digits (R83)."""

_ORGAN_ID = re.compile(r"[^\s,<>&\"']{1,64}")
_CONTENT_ID = re.compile(r"cid:[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
_MEDIA_TYPE = re.compile(r"[0-9A-Za-z!#$&^_.+-]+/[0-9A-Za-z!#$&^_.+-]+", re.ASCII)

_PRIORITIES, _STEERINGS, _KINDS = frozenset(Priority), frozenset(Steering), frozenset(BusinessKind)

Texts = Iterator[tuple[str, str, bool]]
"""Element (or parent/element), value, must it be there."""


def valid_organ_id(code: str) -> bool:
    """Say whether a text can be an OrganId: 1 to 64 visible characters without comma or XML characters (10.1)."""
    return bool(_ORGAN_ID.fullmatch(code)) and not has_control(code)


def check(message: Message, *, on: date | None = None, limits: ReadLimits | None = None) -> None:
    """Check a complete message against the strict writer's rules; with ``on`` no document is dated after that day.

    Raises:
        NotStrict: a rule is broken; ``Incomplete`` when it is about attachments that are missing.
        LimitPassed: an attachment is larger than the limit.
    """
    if isinstance(message, StatusMessage):
        _check_status(message)
        return
    _check_texts(_envelope_texts(message))
    _check_parties(message, limits or ReadLimits())
    _check_document(message, on)
    _check_business(message)
    for response in message.response_for:
        _check_response(response)
    _check_attachments(message, limits or ReadLimits())


def fault(code: str, field: str, message: str, **facts: object) -> NotStrict:
    """Return the error of a broken rule at an element."""
    return NotStrict(code, message, field=field, **facts)


def missing(field: str) -> NotStrict:
    """Return the error of a value that must be there."""
    return fault("EDOC-DOC-011", field, "a value is missing")


def invalid(field: str, expected: str) -> NotStrict:
    """Return the error of a value that has not the form it must have."""
    return fault("EDOC-DOC-012", field, "a value has the wrong form", expected=expected)


def _check_texts(texts: Texts) -> None:
    for field, value, needed in texts:
        if not value:
            if needed:
                raise missing(field)
            continue
        if has_control(value) or clean(value) != value:
            raise fault("EDOC-DOC-013", field, "a value holds control characters")
        limit = LENGTHS.get(field) or LENGTHS[field.rpartition("/")[2]]
        if len(value) > limit:
            raise fault("EDOC-DOC-010", field, "a value is too long", length=len(value), limit=limit)


def _party_texts(where: str, party: Party) -> Texts:
    organ_id, in_charge, name, address, email, telephone, fax, website = _party_fields(where)
    yield organ_id, party.organ_id, True
    yield in_charge, party.in_charge, False
    yield name, party.name, True
    yield address, party.address, True
    yield email, party.email, False
    yield telephone, party.telephone, False
    yield fax, party.fax, False
    yield website, party.website, False


@cache
def _party_fields(where: str) -> tuple[str, ...]:
    names = ("OrganId", "OrganizationInCharge", "OrganName", "OrganAdd", "Email", "Telephone", "Fax", "Website")
    return tuple(f"{where}/{name}" for name in names)


def _staff_texts(staff: StaffInfo) -> Texts:
    yield "StaffInfo/Department", staff.department, False
    yield "StaffInfo/Staff", staff.staff, False
    yield "StaffInfo/Mobile", staff.mobile, False
    yield "StaffInfo/Email", staff.email, False


def _response_texts(response: ResponseFor) -> Texts:
    yield "ResponseFor/OrganId", response.organ_id, True
    yield "ResponseFor/Code", response.code, True
    yield "ResponseFor/DocumentId", response.document_id, False


def _document_texts(message: Envelope) -> Texts:
    document = message.document
    yield "CodeNumber", document.number, True
    yield "CodeNotation", document.notation, True
    yield "PromulgationInfo/Place", document.place, False
    yield "TypeName", document.type_name, True
    yield "Subject", document.subject, True
    yield "Content", document.content, True
    if document.signer is not None:
        yield "Competence", document.signer.competence, False
        yield "Position", document.signer.position, False
        yield "FullName", document.signer.full_name, False
    yield from (("ToPlaces/Place", place, True) for place in document.to_places)
    yield "SphereOfPromulgation", document.sphere, False
    yield "TyperNotation", document.typist, False
    yield from (("Appendix", name, True) for name in document.appendices)
    yield "DocumentId", document.document_id, True


def _envelope_texts(message: Envelope) -> Texts:
    yield from _party_texts("From", message.sender)
    for party in message.recipients:
        yield from _party_texts("To", party)
    yield from _document_texts(message)
    for response in message.response_for:
        yield from _response_texts(response)
    for hop in message.trace:
        yield "TraceHeader/OrganId", hop.organ_id, True
    yield "BussinessDocReason", message.business.reason, True
    yield "Bussiness/DocumentId", message.business.original_document_id, False
    yield from _staff_texts(message.business.staff)
    for replacement in message.business.replaced:
        yield "ReplacementInfo/DocumentId", replacement.document_id, True
    for attachment in message.attachments:
        yield "Attachment/Description", attachment.description, False
        yield "ContentType", attachment.content_type, True


def _check_organ_ids(field: str, codes: Iterable[str]) -> None:
    for code in codes:
        if not valid_organ_id(code) or len(code) > CODE_MAX:
            raise invalid(field, "OrganId")


def _check_parties(message: Envelope, limits: ReadLimits) -> None:
    """13.4, 13.8: sender and recipients with valid codes, nobody twice, the sender not among them."""
    if not message.recipients:
        raise missing("To")
    if len(message.recipients) > limits.recipients:
        raise fault(
            "EDOC-DOC-010", "To", "too many recipients", length=len(message.recipients), limit=limits.recipients
        )
    _check_organ_ids("From/OrganId", (message.sender.organ_id,))
    _check_organ_ids("To/OrganId", message.recipient_codes)
    seen = {code_key(message.sender.organ_id)}
    for code in message.recipient_codes:
        if code_key(code) in seen:
            raise fault("EDOC-DOC-015", "To", "sender or a recipient twice among the recipients", agency=code)
        seen.add(code_key(code))
    if len(message.trace) != 1 or message.trace[0].at is None:
        raise missing("TraceHeader")
    _check_organ_ids("TraceHeader/OrganId", (message.trace[0].organ_id,))


def _check_document(message: Envelope, on: date | None) -> None:
    document = message.document
    if document.date is None:
        raise missing("PromulgationDate")
    if on is not None and document.date > on:
        raise fault("EDOC-DOC-014", "PromulgationDate", "the date lies in the future", date=document.date, today=on)
    if "," in document.number or "," in document.notation:
        raise invalid("Code", "number/notation")
    if document_id_parts(document.document_id) is None:
        raise invalid("DocumentId", "OrganId,yyyy/MM/dd,number/notation")
    if document.priority not in _PRIORITIES:
        raise invalid("Priority", "0-4")
    if document.steering not in _STEERINGS:
        raise invalid("SteeringType", "0-2")
    for field, count in (("PageAmount", document.pages), ("PromulgationAmount", document.copies)):
        if count is not None and not 0 <= count <= COUNT_MAX:
            raise invalid(field, f"0-{COUNT_MAX}")


def _check_business(message: Envelope) -> None:
    """6.1: what each of the four kinds must and must not carry."""
    business = message.business
    if business.kind not in _KINDS:
        raise invalid("BussinessDocType", "0-3")
    if business.kind in (BusinessKind.REVOKE, BusinessKind.UPDATE) and not business.original_document_id:
        raise missing("Bussiness/DocumentId")
    if business.kind == BusinessKind.REVOKE and not message.response_for:
        raise missing("ResponseFor")
    if business.kind == BusinessKind.UPDATE and business.update is None:
        raise missing("BussinessDocumentInfo")
    if business.kind == BusinessKind.REPLACE and not business.replaced:
        raise missing("ReplacementInfoList")
    _check_extras(business)
    _check_organ_ids(
        "Receiver/OrganId", (item.organ_id for item in business.update.receivers) if business.update else ()
    )
    _check_organ_ids("OrganIdList/OrganId", (code for item in business.replaced for code in item.organ_ids))


def _check_extras(business: Business) -> None:
    if business.original_document_id and business.kind not in (BusinessKind.REVOKE, BusinessKind.UPDATE):
        raise invalid("Bussiness/DocumentId", "BussinessDocType 1, 2")
    if business.update is not None and business.kind != BusinessKind.UPDATE:
        raise invalid("BussinessDocumentInfo", "BussinessDocType 2")
    if business.replaced and business.kind != BusinessKind.REPLACE:
        raise invalid("ReplacementInfoList", "BussinessDocType 3")


def _check_response(response: ResponseFor) -> None:
    _check_organ_ids("ResponseFor/OrganId", (response.organ_id,))
    if response.date is None:
        raise missing("ResponseFor/PromulgationDate")


def _check_attachments(message: Envelope, limits: ReadLimits) -> None:
    """13.5, 13.6: at least one file, each with content, a good and unique name, its own ContentId and true type."""
    if not message.attachments:
        raise Incomplete("EDOC-DOC-017", "no attachment", field="Attachment")
    if len(message.attachments) > limits.attachments:
        count = len(message.attachments)
        raise fault("EDOC-DOC-010", "Attachment", "too many attachments", length=count, limit=limits.attachments)
    names: set[str] = set()
    identities: set[str] = set()
    for position, item in enumerate(message.attachments, 1):
        reason = name_fault(item.name)
        if reason is None and item.name.casefold() in names:
            reason = "duplicate"
        if reason is not None:
            raise fault("EDOC-DOC-016", "AttachmentName", "a bad file name", position=position, reason=reason)
        if not _CONTENT_ID.fullmatch(item.content_id) or item.content_id in identities:
            raise invalid("ContentId", "cid:UUID")
        if item.fault or not item.content:
            raise Incomplete("EDOC-DOC-017", "an attachment without content", field="ContentTransferEncoded")
        check_size("attachment_max_bytes", len(item.content), limits.attachment_bytes)
        _check_type(item.name, item.content_type, item.content)
        names.add(item.name.casefold())
        identities.add(item.content_id)


def _check_type(name: str, content_type: str, content: bytes) -> None:
    if not _MEDIA_TYPE.fullmatch(content_type):
        raise invalid("ContentType", "media type")
    disagreement = type_fault(name, content_type, content)
    if disagreement is not None:
        raise fault("EDOC-DOC-009", "ContentType", "extension, media type and bytes disagree", reason=disagreement)


def _check_status(message: StatusMessage) -> None:
    """Chapter 9: a standard code, the document fully named, a reason where one is due."""
    _check_texts(_status_texts(message))
    _check_organ_ids("From/OrganId", (message.sender.organ_id,))
    _check_response(message.response_for)
    if not message.response_for.document_id:
        raise missing("ResponseFor/DocumentId")
    if code_key(message.sender.organ_id) == code_key(message.response_for.organ_id):
        raise fault("EDOC-DOC-015", "ResponseFor/OrganId", "a status to oneself", agency=message.sender.organ_id)
    if message.code not in WIRE_CODES:
        raise invalid("StatusCode", " ".join(WIRE_CODES))
    if message.code in NEEDS_DESCRIPTION and not message.description:
        raise missing("Description")
    if message.timestamp is None:
        raise missing("Timestamp")


def _status_texts(message: StatusMessage) -> Texts:
    yield from _party_texts("From", message.sender)
    yield from _response_texts(message.response_for)
    if message.staff is not None:
        yield from _staff_texts(message.staff)
    yield "Description", message.description, False
