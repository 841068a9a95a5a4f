"""The strict writer: exactly the layout, prefixes and order that deployed systems take (edxml.md 3, 5 to 9, 13).

Inside the envelope every element carries the prefix ``edXML``, outside none carries any, both in one namespace: some
receivers refuse other layouts. Lines are indented by two spaces as in chapter 14. The same parts become a tree, or
directly its canonical form: what a seal is over and what a strict reader compares with.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from datetime import date

from lxml import etree

from edoc.documents import Attachment, Document, classify
from edoc.edxml import strict
from edoc.edxml.limits import ReadLimits
from edoc.edxml.names import NAMESPACE, PREFIX, Element
from edoc.envelopes import (
    Business,
    Envelope,
    Hop,
    Message,
    Party,
    ResponseFor,
    StaffInfo,
    StatusMessage,
    UpdateInfo,
    completed,
)
from edoc.values import render_date, render_moment

DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>\n'


class Part:
    """An element to be written: its name, whether it bears the prefix, its text or the parts inside it."""

    __slots__ = ("name", "parts", "prefixed", "text", "version")

    def __init__(self, name: str, *, prefixed: bool) -> None:
        self.name, self.prefixed = name, prefixed
        self.text: str | None = None
        self.version: str | None = None
        self.parts: list[Part] = []


def write(message: Message, *, on: date | None = None, limits: ReadLimits | None = None) -> Element:
    """Return the tree of a message, indented. Content, DocumentId are filled in as rule 13.4 says.

    ``on`` is the day after which no document may be dated.

    Raises:
        NotStrict: a rule of the strict writer is broken.
        LimitPassed: an attachment is too large.
    """
    whole = completed(message)
    strict.check(whole, on=on, limits=limits)
    made = _composed(whole)
    root = etree.Element(_tag(made.name), nsmap={None: NAMESPACE})
    _grow(root, made)
    etree.indent(root, space="  ")
    return root


def canonical(message: Message, *, on: date | None = None, limits: ReadLimits | None = None) -> bytes:
    """Return the exclusive canonical form of what ``write`` makes of a message, without making a tree.

    Raises:
        NotStrict, LimitPassed: as ``write``.
    """
    whole = completed(message)
    strict.check(whole, on=on, limits=limits)
    made = _composed(whole)
    out = [f'<edXML xmlns="{NAMESPACE}">']
    for part in made.parts:
        _spell(part, "\n  ", out)
    out.append("\n</edXML>")
    return "".join(out).encode("utf-8")


def serialize(tree: Element) -> bytes:
    """Return the file of a tree: UTF-8 without BOM, with declaration, ``\\n`` line ends, a line end at the end."""
    return DECLARATION + etree.tostring(tree, encoding="utf-8", xml_declaration=False) + b"\n"


def _tag(name: str) -> str:
    return f"{{{NAMESPACE}}}{name}"


def _composed(whole: Message) -> Part:
    root = Part("edXML", prefixed=False)
    envelope = Part("edXMLEnvelope", prefixed=True)
    root.parts.append(envelope)
    header = _part(envelope, "edXMLHeader")
    if isinstance(whole, StatusMessage):
        _write_status(_part(header, "MessageHeader"), whole)
    else:
        _write_header(_part(header, "MessageHeader"), whole)
        _write_trace(_part(header, "TraceHeaderList"), whole.trace, whole.business)
        _write_manifest(_part(envelope, "edXMLBody"), whole.attachments)
        _write_files(_part(root, "AttachmentEncoded"), whole.attachments)
    return root


def _grow(element: Element, made: Part) -> None:
    """Put the parts into a tree."""
    for part in made.parts:
        declared = {PREFIX: NAMESPACE} if part.name == "edXMLEnvelope" else None
        grown = etree.SubElement(element, _tag(part.name), nsmap=declared)
        if part.version is not None:
            grown.set("version", part.version)
        if part.text is not None:
            grown.text = part.text
        _grow(grown, part)


def _spell(part: Part, line: str, out: list[str]) -> None:
    """Add an element in canonical form; ``line`` is the line feed and blanks that stand before it."""
    name = f"{PREFIX}:{part.name}" if part.prefixed else part.name
    text = part.text or ""
    if "&" in text or "<" in text or ">" in text or "\r" in text:
        text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#xD;")
    if not part.parts and part.version is None:
        out.append(f"{line}<{name}>{text}</{name}>")
        return
    more = f' xmlns:{PREFIX}="{NAMESPACE}"' if part.name == "edXMLEnvelope" else ""
    more += f' version="{part.version}"' if part.version is not None else ""
    out.append(f"{line}<{name}{more}>{text}")
    deeper = f"{line}  "
    for inner in part.parts:
        _spell(inner, deeper, out)
    out.append(f"{line}</{name}>" if part.parts else f"</{name}>")


def _part(parent: Part, name: str) -> Part:
    part = Part(name, prefixed=parent.prefixed)
    parent.parts.append(part)
    return part


def _text(parent: Part, name: str, value: str | int | None) -> None:
    """Write an element with a value; nothing for no value (13.1: no empty elements)."""
    if value is None or value == "":
        return
    _part(parent, name).text = str(value)


def _write_party(parent: Part, party: Party) -> None:
    for name, value in (
        ("OrganId", party.organ_id),
        ("OrganizationInCharge", party.in_charge),
        ("OrganName", party.name),
        ("OrganAdd", party.address),
        ("Email", party.email),
        ("Telephone", party.telephone),
        ("Fax", party.fax),
        ("Website", party.website),
    ):
        _text(parent, name, value)


def _write_header(header: Part, message: Envelope) -> None:
    document = message.document
    _write_party(_part(header, "From"), message.sender)
    for recipient in message.recipients:
        _write_party(_part(header, "To"), recipient)
    _write_identity(header, document)
    _text(header, "Subject", document.subject)
    _text(header, "Content", document.content)
    _write_signer(header, document)
    _text(header, "DueDate", render_date(document.due) if document.due else None)
    _write_list(header, "ToPlaces", "Place", document.to_places)
    _write_other(_part(header, "OtherInfo"), document)
    for response in message.response_for:
        _write_response(header, response)
    _text(header, "SteeringType", int(document.steering))
    _text(header, "DocumentId", document.document_id)


def _write_identity(header: Part, document: Document) -> None:
    code = _part(header, "Code")
    _text(code, "CodeNumber", document.number)
    _text(code, "CodeNotation", document.notation)
    promulgation = _part(header, "PromulgationInfo")
    _text(promulgation, "Place", document.place)
    _text(promulgation, "PromulgationDate", render_date(document.date) if document.date else None)
    kind = classify(document.type_name)
    group = _part(header, "DocumentType")
    _text(group, "Type", kind.group)
    _text(group, "TypeName", document.type_name)
    _text(group, "TypeDetail", kind.number)


def _write_signer(header: Part, document: Document) -> None:
    signer = document.signer
    if signer is None or not (signer.competence or signer.position or signer.full_name):
        return
    part = _part(header, "SignerInfo")
    _text(part, "Competence", signer.competence)
    _text(part, "Position", signer.position)
    _text(part, "FullName", signer.full_name)


def _write_other(other: Part, document: Document) -> None:
    _text(other, "Priority", int(document.priority))
    _text(other, "SphereOfPromulgation", document.sphere)
    _text(other, "TyperNotation", document.typist)
    _text(other, "PromulgationAmount", document.copies)
    _text(other, "PageAmount", document.pages)
    _write_list(other, "Appendixes", "Appendix", document.appendices)


def _write_list(parent: Part, name: str, item: str, values: Iterable[str]) -> None:
    values = tuple(values)
    if values:
        part = _part(parent, name)
        for value in values:
            _text(part, item, value)


def _write_response(header: Part, response: ResponseFor) -> None:
    part = _part(header, "ResponseFor")
    _text(part, "OrganId", response.organ_id)
    _text(part, "Code", response.code)
    _text(part, "PromulgationDate", render_date(response.date) if response.date else None)
    _text(part, "DocumentId", response.document_id)


def _write_staff(parent: Part, staff: StaffInfo) -> None:
    part = _part(parent, "StaffInfo")
    _text(part, "Department", staff.department)
    _text(part, "Staff", staff.staff)
    # Some receivers want both elements, empty or not; the empty text keeps them written with an end tag.
    _part(part, "Mobile").text = staff.mobile
    _part(part, "Email").text = staff.email


def _write_trace(trace: Part, hops: Iterable[Hop], business: Business) -> None:
    for hop in hops:
        part = _part(trace, "TraceHeader")
        _text(part, "OrganId", hop.organ_id)
        _text(part, "Timestamp", render_moment(hop.at) if hop.at else None)
    part = _part(trace, "Bussiness")
    _text(part, "BussinessDocType", int(business.kind))
    _text(part, "BussinessDocReason", business.reason)
    if business.update is not None:
        _write_update(_part(part, "BussinessDocumentInfo"), business.update)
    _text(part, "DocumentId", business.original_document_id)
    _write_staff(part, business.staff)
    _text(part, "Paper", int(business.paper))
    if business.replaced:
        replaced = _part(part, "ReplacementInfoList")
        for item in business.replaced:
            info = _part(replaced, "ReplacementInfo")
            _text(info, "DocumentId", item.document_id)
            _write_list(info, "OrganIdList", "OrganId", item.organ_ids)


def _write_update(part: Part, update: UpdateInfo) -> None:
    _text(part, "DocumentInfo", int(update.document_changed))
    _text(part, "DocumentReceiver", int(update.receivers_changed))
    if update.receivers:
        receivers = _part(part, "ReceiverList")
        for item in update.receivers:
            receiver = _part(receivers, "Receiver")
            _text(receiver, "OrganId", item.organ_id)
            _text(receiver, "ReceiverType", int(item.added))


def _write_manifest(body: Part, attachments: Iterable[Attachment]) -> None:
    manifest = _part(body, "edXMLManifest")
    manifest.version = "1.0"
    for item in attachments:
        reference = _part(manifest, "Reference")
        _text(reference, "ContentId", item.content_id)
        _text(reference, "ContentType", item.content_type)
        _text(reference, "Description", item.description)
        _text(reference, "AttachmentName", item.name)


def _write_files(files: Part, attachments: Iterable[Attachment]) -> None:
    for item in attachments:
        part = _part(files, "Attachment")
        _text(part, "ContentId", item.content_id)
        _text(part, "AttachmentName", item.name)
        _text(part, "Description", item.description)
        _text(part, "ContentType", item.content_type)
        _text(part, "ContentTransferEncoded", base64.b64encode(item.content).decode("ascii"))


def _write_status(header: Part, message: StatusMessage) -> None:
    _write_party(_part(header, "From"), message.sender)
    _write_response(header, message.response_for)
    if message.staff is not None:
        _write_staff(header, message.staff)
    _text(header, "StatusCode", message.code)
    _text(header, "Description", message.description)
    _text(header, "Timestamp", render_moment(message.timestamp) if message.timestamp else None)
