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
from edoc.edxml.names import DSIG, Element, Parts, by_name, check_root, child, children, name_of, split, undeclared
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
from edoc.values import clean, parse_integer

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
    parts = by_name(header)
    if "StatusCode" in parts:
        message: Message = _read_status(parts, notes)
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
    parts = by_name(header)
    sender = text(by_name(parts.get("From")), "OrganId")
    if "StatusCode" in parts:
        return Outline("status", sender, (text(by_name(parts.get("ResponseFor")), "OrganId"),))
    return Outline("edoc", sender, tuple(text(by_name(item), "OrganId") for item in children(header, "To")))


def _missing(element: str) -> NotEdxml:
    return NotEdxml("EDOC-DOC-005", "an element without which it is no message is missing", element=element)


def _header(tree: Element) -> Element:
    header = child(child(child(tree, "edXMLEnvelope"), "edXMLHeader"), "MessageHeader")
    if header is None:
        raise _missing("MessageHeader")
    return header


def _read_sender(parts: Parts) -> Party:
    sender = by_name(parts.get("From"))
    code = text(sender, "OrganId")
    if not code:
        raise _missing("From/OrganId")
    if not valid_organ_id(code):
        raise NotEdxml("EDOC-DOC-007", "the sender's code is no code", element="From/OrganId")
    return _party(sender)


def _party(found: Parts) -> Party:
    return Party(
        text(found, "OrganId"),
        text(found, "OrganName"),
        address=text(found, "OrganAdd"),
        email=text(found, "Email"),
        telephone=text(found, "Telephone"),
        fax=text(found, "Fax"),
        website=text(found, "Website"),
        in_charge=text(found, "OrganizationInCharge"),
    )


def _read_recipients(header: Element, notes: Notes) -> tuple[Party, ...]:
    found: dict[str, Party] = {}
    for part in children(header, "To"):
        party = _party(by_name(part))
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
    parts = by_name(header)
    sender = _read_sender(parts)
    recipients = _read_recipients(header, notes)
    edxml_header = child(child(tree, "edXMLEnvelope"), "edXMLHeader")
    if any(_is_header_signature(item) for item in (() if edxml_header is None else edxml_header)):
        notes.warn("header-signature")
    trace = child(edxml_header, "TraceHeaderList")
    return Envelope(
        sender,
        recipients,
        _read_document(parts, notes),
        found.attachments,
        business=_read_business(trace, notes),
        response_for=tuple(
            item for part in children(header, "ResponseFor") if (item := _response(by_name(part), notes))
        ),
        trace=tuple(_read_hop(by_name(part), notes) for part in children(trace, "TraceHeader")),
    )


def _is_header_signature(element: Element) -> bool:
    """8: an element in place of a signature; empty ones are absent."""
    namespace, name = split(element)
    here = name in ("Signature", "DigitalSignature") and (name_of(element) or namespace == DSIG)
    return bool(here) and (len(element) > 0 or bool(own_text(element).strip()))


def _read_document(parts: Parts, notes: Notes) -> Document:
    code, made, more = (by_name(parts.get(name)) for name in ("Code", "PromulgationInfo", "OtherInfo"))
    if "Code" not in parts:
        notes.warn("code-missing")
    if "PromulgationInfo" not in parts:
        notes.warn("promulgation-missing")
    return Document(
        text(code, "CodeNumber"),
        text(code, "CodeNotation"),
        read_date(made, "PromulgationDate", notes),
        _read_type(by_name(parts.get("DocumentType")), notes),
        text(parts, "Subject"),
        content=text(parts, "Content"),
        place=text(made, "Place"),
        signer=_read_signer(by_name(parts.get("SignerInfo"))),
        priority=read_choice(more, "Priority", Priority, notes),
        due=read_date(parts, "DueDate", notes),
        to_places=_texts(parts.get("ToPlaces"), "Place"),
        pages=read_integer(more, "PageAmount", notes),
        copies=read_integer(more, "PromulgationAmount", notes),
        sphere=text(more, "SphereOfPromulgation"),
        typist=text(more, "TyperNotation"),
        appendices=_texts(more.get("Appendixes"), "Appendix"),
        steering=_read_steering(parts, notes),
        document_id=text(parts, "DocumentId"),
    )


def _texts(parent: Element | None, name: str) -> tuple[str, ...]:
    values = (own_text(item).strip() for item in children(parent, name))
    return tuple(value for value in values if value)


def _read_type(part: Parts, notes: Notes) -> str:
    """11.3: the name decides; the numbers are used in three ways and only hinted at."""
    name = text(part, "TypeName")
    numbers = "/".join(filter(None, (text(part, "Type"), text(part, "TypeDetail"))))
    if not name and numbers:
        notes.unread("type-by-number", "DocumentType", numbers)
    return name


def _read_signer(part: Parts) -> SignerInfo | None:
    signer = SignerInfo(text(part, "Competence"), text(part, "Position"), text(part, "FullName"))
    return None if signer == SignerInfo() else signer


def _read_steering(parts: Parts, notes: Notes) -> int:
    """11.2: 3 belongs to a numbering that counts 1, 2, 3 and is read as 2."""
    if parse_integer(text(parts, "SteeringType")) == 3:
        notes.warn("steering-numbering")
        return Steering.REPORT
    return read_choice(parts, "SteeringType", Steering, notes)


def _response(part: Parts, notes: Notes) -> ResponseFor | None:
    found = ResponseFor(
        text(part, "OrganId"),
        text(part, "Code"),
        read_date(part, "PromulgationDate", notes),
        text(part, "DocumentId"),
    )
    return None if found == ResponseFor("", "", None) else found


def _read_hop(part: Parts, notes: Notes) -> Hop:
    code = text(part, "OrganId")
    return Hop("" if code == "null" else code, read_moment(part, "Timestamp", notes))


def _staff(part: Parts) -> StaffInfo:
    return StaffInfo(text(part, "Department"), text(part, "Staff"), text(part, "Mobile"), text(part, "Email"))


def _read_business(trace: Element | None, notes: Notes) -> Business:
    part = child(trace, "Bussiness", "Business")
    if part is None:
        return Business(reason="", paper=read_flag(by_name(trace), "Paper", notes))
    if any(name_of(item).startswith("Business") for item in part.iter(etree.Element)):
        notes.warn("business-spelling")
    parts = by_name(part)
    kind, reason = (
        child(part, "BussinessDocType", "BusinessDocType"),
        child(part, "BussinessDocReason", "BusinessDocReason"),
    )
    return Business(
        kind=0 if kind is None else read_choice(parts, name_of(kind), BusinessKind, notes),
        reason="" if reason is None else clean(own_text(reason)),
        original_document_id=text(parts, "DocumentId"),
        update=_read_update(child(part, "BussinessDocumentInfo", "BusinessDocumentInfo"), notes),
        replaced=_read_replaced(parts.get("ReplacementInfoList")),
        paper=read_flag(parts if "Paper" in parts else by_name(trace), "Paper", notes),
        staff=_staff(by_name(parts["StaffInfo"])) if "StaffInfo" in parts else StaffInfo(),
    )


def _read_update(part: Element | None, notes: Notes) -> UpdateInfo | None:
    if part is None or not (len(part) or own_text(part).strip()):
        return None
    parts = by_name(part)
    receivers = tuple(
        ReceiverChange(code, read_flag(item, "ReceiverType", notes))
        for item in map(by_name, children(parts.get("ReceiverList"), "Receiver"))
        if (code := text(item, "OrganId"))
    )
    return UpdateInfo(read_flag(parts, "DocumentInfo", notes), read_flag(parts, "DocumentReceiver", notes), receivers)


def _read_replaced(part: Element | None) -> tuple[Replacement, ...]:
    return tuple(
        Replacement(identity, _texts(item.get("OrganIdList"), "OrganId"))
        for item in map(by_name, children(part, "ReplacementInfo"))
        if (identity := text(item, "DocumentId"))
    )


def _read_status(parts: Parts, notes: Notes) -> StatusMessage:
    sender = _read_sender(parts)
    response = _response(by_name(parts["ResponseFor"]), notes) if "ResponseFor" in parts else None
    if response is None:
        raise _missing("ResponseFor")
    code = text(parts, "StatusCode")
    if not code:
        raise _missing("StatusCode")
    number = parse_integer(code)
    staff = parts.get("StaffInfo")
    return StatusMessage(
        sender,
        response,
        f"{number:02d}" if number is not None and len(code) < 2 else code,
        description=text(parts, "Description"),
        staff=None if staff is None else _staff(by_name(staff)),
        timestamp=read_moment(parts, "Timestamp", notes),
    )
