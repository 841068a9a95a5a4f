"""The tolerant reader: takes what deployed systems write, refuses what is no message, says what it tolerated.

Tolerances and refusals are those of edxml.md 12, by number: 1 prefixes, order, unknown elements; 2 ``Business…``;
3 undeclared prefixes; 5 empty elements; 6 missing elements; 7 ContentIds; 8 and 9 attachments; 10 trace headers;
11 dates; 12 status codes (4 belongs to parsing). With ``strict`` nothing is tolerated: what was understood is written
anew and must be the same tree (M6). What is not understood stays in the original bytes, which the caller keeps.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from lxml import etree

from edoc.agencies import code_key
from edoc.documents import Document, Priority, SignerInfo, Steering
from edoc.edxml import compare, manifest
from edoc.edxml.limits import ReadLimits, check_tree
from edoc.edxml.names import DSIG, Element, by_name, check_root, child, children, name_of, split, undeclared
from edoc.edxml.strict import valid_organ_id
from edoc.edxml.values import (
    Notes,
    ReadWarning,
    TextOf,
    own_text,
    read_choice,
    read_date,
    read_flag,
    read_integer,
    read_moment,
    text,
    text_in,
)
from edoc.envelopes import (
    Business,
    BusinessKind,
    Envelope,
    Hop,
    Message,
    Party,
    ReceiverChange,
    Replacement,
    ResponseFor,
    StaffInfo,
    StatusMessage,
    UpdateInfo,
)
from edoc.errors import NotEdxml
from edoc.values import parse_integer

Warning_ = ReadWarning

__all__ = ["ReadResult", "ReadWarning", "Warning_", "outline", "read"]


@dataclass(frozen=True, slots=True)
class ReadResult:
    """A message read, and what was tolerated (nothing, when read strictly)."""

    message: Message
    warnings: tuple[ReadWarning, ...]


@dataclass(frozen=True, slots=True)
class Outline:
    """Who a file says it is from and for, and its kind; texts are empty where the file does not say."""

    kind: str
    sender: str
    recipients: tuple[str, ...]


def read(
    tree: Element,
    *,
    strict: bool = False,
    on: date | None = None,
    limits: ReadLimits | None = None,
    text_of: TextOf = own_text,
    known: compare.Known | None = None,
) -> ReadResult:
    """Read a message from the tree of a file. ``text_of`` gives the text of an element whose run was cut out.

    ``on`` is the day after which, read strictly, no document may be dated. ``known`` is what the caller wrote: if that
    message is read again, the file must be as it was written then.

    Raises:
        NotEdxml: another root, an older format, or an element is missing without which it is no message.
        LimitPassed: depth, attributes, elements of a kind or sizes.
        NotStrict: read strictly, the tree is not what the strict writer would have written; ``Incomplete`` when
            manifest, attachments and bytes disagree.
    """
    bounds = limits or ReadLimits()
    check_root(tree)
    check_tree(tree, bounds)
    notes = Notes()
    if not strict and any(undeclared(element) for element in tree.iter(etree.Element)):
        notes.warn("undeclared-prefix")
    found = manifest.read_files(tree, notes, limits=bounds, text_of=text_of, strict=strict)
    header = _header(tree)
    if child(header, "StatusCode") is not None:
        message: Message = _read_status(header, notes)
    else:
        message = _read_envelope(tree, header, found, notes)
    if strict:
        compare.must_be_strict(tree, message, found.differences, compare.Rules(on, bounds, text_of, known))
        return ReadResult(message, ())
    return ReadResult(message, notes.warnings)


def outline(tree: Element) -> Outline:
    """Return sender, recipients and kind as a file states them, without judging it further (M5).

    Raises:
        NotEdxml: another root or an older format.
    """
    check_root(tree)
    header = child(child(child(tree, "edXMLEnvelope"), "edXMLHeader"), "MessageHeader")
    sender = text(child(header, "From"), "OrganId")
    if child(header, "StatusCode") is not None:
        return Outline("status", sender, (text(child(header, "ResponseFor"), "OrganId"),))
    return Outline("edoc", sender, tuple(text(item, "OrganId") for item in children(header, "To")))


def _missing(element: str) -> NotEdxml:
    return NotEdxml("EDOC-DOC-005", "an element without which it is no message is missing", element=element)


def _header(tree: Element) -> Element:
    header = child(child(child(tree, "edXMLEnvelope"), "edXMLHeader"), "MessageHeader")
    if header is None:
        raise _missing("MessageHeader")
    return header


def _read_sender(header: Element) -> Party:
    part = child(header, "From")
    code = text(part, "OrganId")
    if part is None or not code:
        raise _missing("From/OrganId")
    if not valid_organ_id(code):
        raise NotEdxml("EDOC-DOC-007", "the sender's code is no code", element="From/OrganId")
    return _party(part)


def _party(part: Element) -> Party:
    found = by_name(part)
    return Party(
        text_in(found, "OrganId"),
        text_in(found, "OrganName"),
        address=text_in(found, "OrganAdd"),
        email=text_in(found, "Email"),
        telephone=text_in(found, "Telephone"),
        fax=text_in(found, "Fax"),
        website=text_in(found, "Website"),
        in_charge=text_in(found, "OrganizationInCharge"),
    )


def _read_recipients(header: Element, notes: Notes) -> tuple[Party, ...]:
    found: dict[str, Party] = {}
    for part in children(header, "To"):
        party = _party(part)
        if not valid_organ_id(party.organ_id):
            notes.unread("recipient-unread", "To/OrganId", party.organ_id)
        elif code_key(party.organ_id) in found:
            notes.warn("recipient-twice", agency=party.organ_id)
        else:
            found[code_key(party.organ_id)] = party
    if not found:
        raise _missing("To")
    return tuple(found.values())


def _read_envelope(tree: Element, header: Element, found: manifest.Files, notes: Notes) -> Envelope:
    sender = _read_sender(header)
    recipients = _read_recipients(header, notes)
    edxml_header = child(child(tree, "edXMLEnvelope"), "edXMLHeader")
    if any(_is_header_signature(item) for item in (() if edxml_header is None else edxml_header)):
        notes.warn("header-signature")
    trace = child(edxml_header, "TraceHeaderList")
    return Envelope(
        sender,
        recipients,
        _read_document(header, notes),
        found.attachments,
        business=_read_business(trace, notes),
        response_for=tuple(item for part in children(header, "ResponseFor") if (item := _response(part, notes))),
        trace=tuple(_read_hop(part, notes) for part in children(trace, "TraceHeader")),
    )


def _is_header_signature(element: Element) -> bool:
    """8: an element in place of a signature; empty ones are absent."""
    namespace, name = split(element)
    here = name in ("Signature", "DigitalSignature") and (name_of(element) or namespace == DSIG)
    return bool(here) and (len(element) > 0 or bool(own_text(element).strip()))


def _read_document(header: Element, notes: Notes) -> Document:
    parts = by_name(header)
    promulgation, other = parts.get("PromulgationInfo"), parts.get("OtherInfo")
    code, made, more = by_name(parts.get("Code")), by_name(promulgation), by_name(other)
    if "Code" not in parts:
        notes.warn("code-missing")
    if promulgation is None:
        notes.warn("promulgation-missing")
    return Document(
        text_in(code, "CodeNumber"),
        text_in(code, "CodeNotation"),
        read_date(promulgation, "PromulgationDate", notes),
        _read_type(parts.get("DocumentType"), notes),
        text_in(parts, "Subject"),
        content=text_in(parts, "Content"),
        place=text_in(made, "Place"),
        signer=_read_signer(parts.get("SignerInfo")),
        priority=read_choice(other, "Priority", Priority, notes),
        due=read_date(header, "DueDate", notes),
        to_places=_texts(parts.get("ToPlaces"), "Place"),
        pages=read_integer(other, "PageAmount", notes),
        copies=read_integer(other, "PromulgationAmount", notes),
        sphere=text_in(more, "SphereOfPromulgation"),
        typist=text_in(more, "TyperNotation"),
        appendices=_texts(more.get("Appendixes"), "Appendix"),
        steering=_read_steering(header, notes),
        document_id=text_in(parts, "DocumentId"),
    )


def _texts(parent: Element | None, name: str) -> tuple[str, ...]:
    values = (own_text(item).strip() for item in children(parent, name))
    return tuple(value for value in values if value)


def _read_type(part: Element | None, notes: Notes) -> str:
    """11.3: the name decides; the numbers are used in three ways and only hinted at."""
    name = text(part, "TypeName")
    numbers = "/".join(filter(None, (text(part, "Type"), text(part, "TypeDetail"))))
    if not name and numbers:
        notes.unread("type-by-number", "DocumentType", numbers)
    return name


def _read_signer(part: Element | None) -> SignerInfo | None:
    signer = SignerInfo(text(part, "Competence"), text(part, "Position"), text(part, "FullName"))
    return None if signer == SignerInfo() else signer


def _read_steering(header: Element, notes: Notes) -> int:
    """11.2: 3 belongs to a numbering that counts 1, 2, 3 and is read as 2."""
    if parse_integer(text(header, "SteeringType")) == 3:
        notes.warn("steering-numbering")
        return Steering.REPORT
    return read_choice(header, "SteeringType", Steering, notes)


def _response(part: Element, notes: Notes) -> ResponseFor | None:
    found = ResponseFor(
        text(part, "OrganId"),
        text(part, "Code"),
        read_date(part, "PromulgationDate", notes),
        text(part, "DocumentId"),
    )
    return None if found == ResponseFor("", "", None) else found


def _read_hop(part: Element, notes: Notes) -> Hop:
    code = text(part, "OrganId")
    return Hop("" if code == "null" else code, read_moment(part, "Timestamp", notes))


def _staff(part: Element) -> StaffInfo:
    return StaffInfo(text(part, "Department"), text(part, "Staff"), text(part, "Mobile"), text(part, "Email"))


def _read_business(trace: Element | None, notes: Notes) -> Business:
    part = child(trace, "Bussiness", "Business")
    if part is None:
        return Business(reason="", paper=read_flag(trace, "Paper", notes))
    if any(name_of(item).startswith("Business") for item in part.iter(etree.Element)):
        notes.warn("business-spelling")
    kind = child(part, "BussinessDocType", "BusinessDocType")
    staff = child(part, "StaffInfo")
    replaced = child(part, "ReplacementInfoList")
    return Business(
        kind=0 if kind is None else read_choice(part, name_of(kind), BusinessKind, notes),
        reason=text(part, "BussinessDocReason", "BusinessDocReason"),
        original_document_id=text(part, "DocumentId"),
        update=_read_update(child(part, "BussinessDocumentInfo", "BusinessDocumentInfo"), notes),
        replaced=tuple(
            _replacement(item) for item in children(replaced, "ReplacementInfo") if text(item, "DocumentId")
        ),
        paper=read_flag(part if child(part, "Paper") is not None else trace, "Paper", notes),
        staff=StaffInfo() if staff is None else _staff(staff),
    )


def _read_update(part: Element | None, notes: Notes) -> UpdateInfo | None:
    if part is None or not (len(part) or own_text(part).strip()):
        return None
    receivers = tuple(
        ReceiverChange(text(item, "OrganId"), read_flag(item, "ReceiverType", notes))
        for item in children(child(part, "ReceiverList"), "Receiver")
        if text(item, "OrganId")
    )
    return UpdateInfo(read_flag(part, "DocumentInfo", notes), read_flag(part, "DocumentReceiver", notes), receivers)


def _replacement(part: Element) -> Replacement:
    return Replacement(text(part, "DocumentId"), _texts(child(part, "OrganIdList"), "OrganId"))


def _read_status(header: Element, notes: Notes) -> StatusMessage:
    sender = _read_sender(header)
    part = child(header, "ResponseFor")
    response = None if part is None else _response(part, notes)
    if response is None:
        raise _missing("ResponseFor")
    code = text(header, "StatusCode")
    if not code:
        raise _missing("StatusCode")
    number = parse_integer(code)
    staff = child(header, "StaffInfo")
    return StatusMessage(
        sender,
        response,
        f"{number:02d}" if number is not None and len(code) < 2 else code,
        description=text(header, "Description"),
        staff=None if staff is None else _staff(staff),
        timestamp=read_moment(header, "Timestamp", notes),
    )
