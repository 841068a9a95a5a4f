"""The exact form of a receipt: its values, the only writer and the only reader (exchange.md 5, Q4).

Promises: :func:`build` is the only writer and :func:`parse` its exact inverse, so whatever the writer could not have
produced is refused. Another office's serialiser may spell the same tree in the ways a seal may be spelled too: with or
without declaration, empty elements as one tag (``signer.xml.spelling``); nothing that is read can hide in them. Times
are aware, in UTC and cut to milliseconds; digests are lower-case hexadecimal SHA-256 in values and base64 in the XML.
Nothing here says that a statement is true: that is ``transport.receipts.verify``.
"""

from __future__ import annotations

import base64
import binascii
import re
import uuid
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime

from lxml import etree

from signer.errors import SignerError
from transport.errors import ReceiptInvalid
from transport.names import Key

NAMESPACE = "urn:edoc:receipt:1"
ACCEPTANCE = "http://uri.etsi.org/19522/Event/RelayAcceptance"
REJECTION = "http://uri.etsi.org/19522/Event/RelayRejection"
EVENTS = (ACCEPTANCE, REJECTION)
POLICY = "urn:edoc:exchange-policy:1"
MEDIA_TYPE = "application/vnd.edoc.receipt+xml; v=1"
MAX_BYTES = 128 * 1024
MAX_ATTACHMENTS = 200
MAX_REASONS = 20

_HEAD = b'<?xml version="1.0" encoding="UTF-8"?>\n'
_SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
_SIGNATURE = "{http://www.w3.org/2000/09/xmldsig#}Signature"
_HEX = re.compile(r"[0-9a-f]{64}")
_AGENCY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NODE = re.compile(r"[!-~]{1,64}")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]{1,200}")
_ORIGIN = re.compile(r"[A-Za-z0-9.:\[\]-]+/edoc-ledger/[0-9]{4}(-[0-9]{1,4})?")
_REASON = re.compile(r"[a-z][a-z0-9-]{0,63}")
_TIME = re.compile(r"(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})\.(\d{3})Z", re.ASCII)
_NUMBER = re.compile(r"0|[1-9][0-9]{0,15}")
# Text as XML 1.0 carries it unchanged: no control characters, and no CR, LF, TAB (attributes would fold them).
_TEXT = re.compile(r"[ -~\u00a0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]*")


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who states the receipt: agency code, its name (≤ 200), the node (≤ 64 visible ASCII)."""

    organ_id: str
    organ_name: str
    node: str

    def __post_init__(self) -> None:
        _match(_AGENCY, self.organ_id, "Issuer/OrganId")
        _text(self.organ_name, 200, "Issuer/OrganName", least=1)
        _match(_NODE, self.node, "Issuer/Node")


@dataclass(frozen=True, slots=True)
class AttachmentDigest:
    """One attachment, decoded: its content id, size in bytes, SHA-256 (hexadecimal)."""

    content_id: str
    size: int
    sha256: str

    def __post_init__(self) -> None:
        _text(self.content_id, 255, "Attachment/@ContentId", least=1)
        _number(self.size, "Attachment/@Size")
        _match(_HEX, self.sha256, "Attachment")


@dataclass(frozen=True, slots=True)
class ReasonLine:
    """Why a message was refused: code of exchange.md 3.3, Vietnamese text (≤ 500), the field if there is one."""

    code: str
    text: str
    field: str | None = None

    def __post_init__(self) -> None:
        _match(_REASON, self.code, "Reason/@Code")
        _text(self.text, 500, "Reason", least=1)
        if self.field is not None:
            _text(self.field, 255, "Reason/@Field", least=1)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a recipient's node states about one dispatch (exchange.md 5). Raises ``ValueError`` outside its form."""

    receipt_id: str
    event: str
    issuer: Issuer
    key: Key
    size: int
    sha256: str
    received_at: datetime
    issued_at: datetime
    ledger_origin: str
    kind: str | None = None
    document_id: str | None = None
    submitted_at: datetime | None = None
    seal_certificate: str | None = None
    attachments: tuple[AttachmentDigest, ...] = ()
    reasons: tuple[ReasonLine, ...] = ()
    policy: str = POLICY

    def __post_init__(self) -> None:
        for name in ("received_at", "issued_at", "submitted_at"):
            moment = getattr(self, name)
            if moment is not None:
                object.__setattr__(self, name, _milliseconds(moment, name))
        _uuid(self.receipt_id, "ReceiptId")
        _match(_URI, self.event, "Event")
        _match(_URI, self.policy, "Policy")
        _match(_AGENCY, self.key.sender, "Sender/OrganId")
        _match(_AGENCY, self.key.recipient, "Recipient/OrganId")
        _uuid(self.key.message_id, "Message/MessageId")
        self._check_message()
        if len(self.ledger_origin) > 200:
            raise ValueError("Ledger/Origin is longer than 200 characters")
        _match(_ORIGIN, self.ledger_origin, "Ledger/Origin")
        self._check_reasons()

    def _check_message(self) -> None:
        if self.kind not in (None, "edoc", "status"):
            raise ValueError("Message/Kind must be edoc or status")
        if self.document_id is not None:
            _text(self.document_id, 255, "Message/DocumentId", least=1)
        _number(self.size, "Message/Size")
        _match(_HEX, self.sha256, "Message/Digest")
        if self.seal_certificate is not None:
            _match(_HEX, self.seal_certificate, "Message/SealCertificate")
        if len(self.attachments) > MAX_ATTACHMENTS:
            raise ValueError(f"more than {MAX_ATTACHMENTS} attachments")

    def _check_reasons(self) -> None:
        if len(self.reasons) > MAX_REASONS:
            raise ValueError(f"more than {MAX_REASONS} reasons")
        if self.event == REJECTION and not self.reasons:
            raise ValueError("a rejection needs a reason")
        if self.event == ACCEPTANCE and self.reasons:
            raise ValueError("an acceptance has no reason")


def build(receipt: Receipt) -> etree._Element:
    """Return the unsigned ``Receipt`` tree, elements in the order of exchange.md 5, no white space between."""
    return etree.fromstring(octets_of(receipt))


def octets_of(receipt: Receipt) -> bytes:
    """Return the exclusive canonical form of the unsigned receipt: what a signature is over."""
    reasons = "".join(
        _element("Reason", line.text, Code=line.code, Field=line.field, **{"xml:lang": "vi"})
        for line in receipt.reasons
    )
    parts = (
        f'<Receipt xmlns="{NAMESPACE}" Version="1">',
        _element("ReceiptId", receipt.receipt_id),
        _element("Event", receipt.event),
        _element("Policy", receipt.policy),
        "<Issuer>",
        _element("OrganId", receipt.issuer.organ_id),
        _element("OrganName", receipt.issuer.organ_name),
        _element("Node", receipt.issuer.node),
        "</Issuer>",
        f"<Sender>{_element('OrganId', receipt.key.sender)}</Sender>",
        f"<Recipient>{_element('OrganId', receipt.key.recipient)}</Recipient>",
        _message(receipt),
        _element("ReceivedAt", format_time(receipt.received_at)),
        _element("IssuedAt", format_time(receipt.issued_at)),
        reasons,
        f"<Ledger>{_element('Origin', receipt.ledger_origin)}</Ledger>",
        "</Receipt>",
    )
    return "".join(parts).encode("utf-8")


def parse(data: bytes) -> Receipt:
    """Read a receipt's statements without verifying its signature: for lists and look-ups, never for settling.

    Raises ``ReceiptInvalid`` with reason ``receipt-form`` unless :func:`build` could have written exactly this.
    """
    return parse_octets(data)[0]


def parse_octets(data: bytes) -> tuple[Receipt, bytes]:
    """Read a receipt as :func:`parse` does, and return with it the octets of :func:`octets_of`."""
    root = parse_exact(data)
    if len(root) == 0 or root[-1].tag != _SIGNATURE:
        raise refuse_form("no signature at the end")
    root.remove(root[-1])
    return read_with_octets(root)


def format_time(moment: datetime) -> str:
    """Return ``YYYY-MM-DDTHH:MM:SS.mmmZ`` of an aware moment, cut to milliseconds."""
    utc = _milliseconds(moment, "time")
    day, time = f"{utc.year:04}-{utc.month:02}-{utc.day:02}", f"{utc.hour:02}:{utc.minute:02}:{utc.second:02}"
    return f"{day}T{time}.{utc.microsecond // 1000:03}Z"


def read_time(text: str) -> datetime:
    """Return the moment of :func:`format_time`'s text. Raises ``ValueError``."""
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError("not a time in UTC with milliseconds")
    *parts, milliseconds = (int(group) for group in found.groups())
    year, month, day, hour, minute, second = parts
    return datetime(year, month, day, hour, minute, second, milliseconds * 1000, tzinfo=UTC)


# --- writing ---------------------------------------------------------------------------------------------------------


def _message(receipt: Receipt) -> str:
    submitted = None if receipt.submitted_at is None else format_time(receipt.submitted_at)
    sealed = None if receipt.seal_certificate is None else _base64(receipt.seal_certificate)
    attachments = "".join(
        _element("Attachment", _base64(one.sha256), Algorithm=_SHA256, ContentId=one.content_id, Size=str(one.size))
        for one in receipt.attachments
    )
    parts = (
        "<Message>",
        _element("MessageId", receipt.key.message_id),
        _element("Kind", receipt.kind),
        _element("DocumentId", receipt.document_id),
        _element("SubmittedAt", submitted),
        _element("Size", str(receipt.size)),
        _element("Digest", _base64(receipt.sha256), Algorithm=_SHA256),
        _element("SealCertificate", sealed, Algorithm=_SHA256),
        attachments,
        "</Message>",
    )
    return "".join(parts)


def _element(name: str, text: str | None, **attributes: str | None) -> str:
    """Spell an element in canonical form, attributes given in their order there; nothing for no text."""
    if text is None:
        return ""
    facts = "".join(f' {key}="{_quoted(value)}"' for key, value in attributes.items() if value is not None)
    if "&" in text or "<" in text or ">" in text:
        text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f"<{name}{facts}>{text}</{name}>"


def _quoted(text: str) -> str:
    """The forms of the values leave out TAB, LF and CR, which would be written as references too."""
    if "&" in text or "<" in text or '"' in text:
        return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    return text


def _tag(name: str) -> str:
    return f"{{{NAMESPACE}}}{name}"


def _base64(digest: str) -> str:
    return base64.b64encode(bytes.fromhex(digest)).decode("ascii")


# --- reading ---------------------------------------------------------------------------------------------------------


class _Cursor:
    """Walks the children of one element in the order of the writer; anything unexpected is a ``ValueError``."""

    def __init__(self, element: etree._Element) -> None:
        self._left: list[etree._Element] = list(element)

    def next(self, name: str) -> etree._Element:
        element = self.maybe(name)
        if element is None:
            raise ValueError(f"{name} is missing or out of order")
        return element

    def maybe(self, name: str) -> etree._Element | None:
        if self._left and self._left[0].tag == _tag(name):
            return self._left.pop(0)
        return None

    def many(self, name: str) -> Iterator[etree._Element]:
        while (element := self.maybe(name)) is not None:
            yield element

    def text(self, name: str) -> str:
        return self.next(name).text or ""

    def maybe_text(self, name: str) -> str | None:
        element = self.maybe(name)
        return None if element is None else element.text or ""


def parse_exact(data: bytes, *, most: int = MAX_BYTES) -> etree._Element:
    """Parse bytes that :func:`spelled` gives back unchanged, or any plain spelling of that tree.

    No DOCTYPE, comment or instruction in either.
    """
    from signer.safexml import parse as parse_xml
    from signer.trust import Limits
    from signer.xml.spelling import is_plain

    if len(data) > most:
        raise refuse_form(f"longer than {most} bytes")
    try:
        root = parse_xml(data, limits=Limits())
    except SignerError as error:
        raise refuse_form("not well-formed XML") from error
    if next(root.iter(etree.Comment, etree.ProcessingInstruction, etree.Entity), None) is not None:
        raise refuse_form("comment or processing instruction")
    try:
        same = data == spelled(root) or is_plain(data)
    except etree.C14NError as error:  # such as a relative namespace name
        raise refuse_form("no canonical form") from error
    if not same:
        raise refuse_form("bytes differ from what a writer makes")
    return root


def is_ours(data: bytes, octets: bytes) -> bool:
    """Tell whether a file is the receipt of these octets as the writer spells it, one signature before the end tag."""
    end = octets.rindex(b"</")
    before = _HEAD + octets[:end] + b"<ds:Signature "
    after = b"</ds:Signature>" + octets[end:]
    return data.startswith(before) and data.endswith(after) and len(data) <= MAX_BYTES


def spelled(root: etree._Element) -> bytes:
    """Return the one spelling of our files: a declaration, then exclusive canonical XML (signing.md 5.4)."""
    return _HEAD + etree.tostring(root.getroottree(), method="c14n", exclusive=True)


def read_exact(root: etree._Element) -> Receipt:
    """Read a tree without its signature and compare it with what :func:`build` makes of the result."""
    return read_with_octets(root)[0]


def read_with_octets(root: etree._Element) -> tuple[Receipt, bytes]:
    """Read a tree as :func:`read_exact` does, and return with it the octets of :func:`octets_of`."""
    try:
        receipt = _read(root)
    except ValueError as error:
        raise refuse_form(str(error)) from error
    octets = octets_of(receipt)
    if canonical(root) != octets:
        refuse_unless_exact(_close_set(root), build(receipt))
    return receipt, octets


def _close_set(root: etree._Element) -> etree._Element:
    """Return a copy without line feeds and blanks between elements, which the page's example shows and we never write.

    They say nothing, and the signature covers them where they stand.
    """
    copy = deepcopy(root)
    for element in copy.iter():
        if len(element) and not (element.text or "").strip(" \n"):
            element.text = None
        if element is not copy and not (element.tail or "").strip(" \n"):
            element.tail = None
    return copy


def refuse_unless_exact(found: etree._Element, written: etree._Element) -> None:
    """Raise ``ReceiptInvalid`` unless both trees have the same canonical bytes."""
    if canonical(found) != canonical(written):
        raise refuse_form("not in the exact form")


def _read(root: etree._Element) -> Receipt:
    if root.tag != _tag("Receipt"):
        raise ValueError("the root is not Receipt")
    at = _Cursor(root)
    receipt_id, event, policy = at.text("ReceiptId"), at.text("Event"), at.text("Policy")
    who = _Cursor(at.next("Issuer"))
    issuer = Issuer(who.text("OrganId"), who.text("OrganName"), who.text("Node"))
    sender = _Cursor(at.next("Sender")).text("OrganId")
    recipient = _Cursor(at.next("Recipient")).text("OrganId")
    message = _Cursor(at.next("Message"))
    message_id = message.text("MessageId")
    kind, document_id = message.maybe_text("Kind"), message.maybe_text("DocumentId")
    submitted = message.maybe_text("SubmittedAt")
    size, digest = _read_number(message.text("Size")), _read_digest(message.text("Digest"))
    certificate = message.maybe_text("SealCertificate")
    attachments = tuple(_read_attachment(element) for element in message.many("Attachment"))
    received, issued = read_time(at.text("ReceivedAt")), read_time(at.text("IssuedAt"))
    reasons = tuple(
        ReasonLine(element.get("Code", ""), element.text or "", element.get("Field")) for element in at.many("Reason")
    )
    return Receipt(
        receipt_id=receipt_id,
        event=event,
        issuer=issuer,
        key=Key(sender, recipient, message_id),
        size=size,
        sha256=digest,
        received_at=received,
        issued_at=issued,
        ledger_origin=_Cursor(at.next("Ledger")).text("Origin"),
        kind=kind,
        document_id=document_id,
        submitted_at=None if submitted is None else read_time(submitted),
        seal_certificate=None if certificate is None else _read_digest(certificate),
        attachments=attachments,
        reasons=reasons,
        policy=policy,
    )


def _read_attachment(element: etree._Element) -> AttachmentDigest:
    size = _read_number(element.get("Size", ""))
    return AttachmentDigest(element.get("ContentId", ""), size, _read_digest(element.text or ""))


def _read_number(text: str) -> int:
    if _NUMBER.fullmatch(text) is None:
        raise ValueError("not a number as written")
    return int(text)


def _read_digest(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).hex()
    except binascii.Error as error:
        raise ValueError("not base64") from error


def canonical(element: etree._Element) -> bytes:
    """Return the exclusive canonical form of a tree, comments included."""
    return etree.tostring(element, method="c14n", exclusive=True, with_comments=True)


def refuse_form(message: str) -> ReceiptInvalid:
    """Return the error for bytes that are not in the exact form."""
    return ReceiptInvalid("EDOC-EXC-101", f"not a receipt in its exact form: {message}", "receipt-form", detail=message)


# --- values ----------------------------------------------------------------------------------------------------------


def _match(pattern: re.Pattern[str], value: str, name: str) -> None:
    if pattern.fullmatch(value) is None:
        raise ValueError(f"{name} is not in its form")


def _text(value: str, most: int, name: str, *, least: int = 0) -> None:
    if not least <= len(value) <= most:
        raise ValueError(f"{name} must have {least} to {most} characters")
    if _TEXT.fullmatch(value) is None or value != value.strip():
        raise ValueError(f"{name} holds characters XML does not carry unchanged")


def _number(value: int, name: str) -> None:
    if not 0 <= value < 2**53:
        raise ValueError(f"{name} is out of range")


def _uuid(value: str, name: str) -> None:
    try:
        same = str(uuid.UUID(value)) == value
    except ValueError:
        same = False
    if not same:
        raise ValueError(f"{name} is not a UUID in lower case")


def _milliseconds(moment: datetime, name: str) -> datetime:
    if moment.tzinfo is None:
        raise ValueError(f"{name} must be aware")
    utc = moment.astimezone(UTC)
    return utc.replace(microsecond=utc.microsecond // 1000 * 1000)
