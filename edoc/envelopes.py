"""What travels: an envelope with a document, or a status message about one (edxml.md 5, 6, 9; exchange.md 2, M5).

Parties are named by code. Moments are aware, in UTC and whole seconds, as the wire states them. Enumerations keep
values outside their lists, so that a reader can show them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import IntEnum

from edoc.documents import Attachment, Document, secret_field
from edoc.documents import has_secret_mark as _marked
from edoc.numbering import document_id_of
from edoc.values import clean, tidy, whole_seconds

Day = date


class BusinessKind(IntEnum):
    """What a document message does (edxml.md 6.1)."""

    NEW = 0
    REVOKE = 1
    UPDATE = 2
    REPLACE = 3


NEW_DOCUMENT = "Văn bản điện tử mới"


@dataclass(frozen=True, slots=True)
class Party:
    """An agency as a message names it."""

    organ_id: str
    name: str
    address: str = ""
    email: str = ""
    telephone: str = ""
    fax: str = ""
    website: str = ""
    in_charge: str = ""

    def __post_init__(self) -> None:
        tidy(self, "organ_id", "name", "address", "email", "telephone", "fax", "website", "in_charge")


@dataclass(frozen=True, slots=True)
class StaffInfo:
    """The person to contact."""

    department: str = ""
    staff: str = ""
    mobile: str = ""
    email: str = ""

    def __post_init__(self) -> None:
        tidy(self, "department", "staff", "mobile", "email")


@dataclass(frozen=True, slots=True)
class ResponseFor:
    """The document that is answered, revoked or reported on. ``organ_id`` is explained in edxml.md 5 and 9."""

    organ_id: str
    code: str
    date: Day | None
    document_id: str = ""

    def __post_init__(self) -> None:
        tidy(self, "organ_id", "code", "document_id")


@dataclass(frozen=True, slots=True)
class ReceiverChange:
    """A recipient an update adds to or removes from the list."""

    organ_id: str
    added: bool

    def __post_init__(self) -> None:
        tidy(self, "organ_id")


@dataclass(frozen=True, slots=True)
class UpdateInfo:
    """What an update changes: data, recipients, and which recipients."""

    document_changed: bool = False
    receivers_changed: bool = False
    receivers: tuple[ReceiverChange, ...] = ()


@dataclass(frozen=True, slots=True)
class Replacement:
    """A document that is replaced, and for whom (nobody named = for all)."""

    document_id: str
    organ_ids: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        tidy(self, "document_id")
        object.__setattr__(self, "organ_ids", tuple(map(clean, self.organ_ids)))


@dataclass(frozen=True, slots=True)
class Business:
    """Why the document is sent (edxml.md 6). ``kind`` outside 0 to 3 is kept and shown as unknown."""

    kind: int = BusinessKind.NEW
    reason: str = NEW_DOCUMENT
    original_document_id: str = ""
    update: UpdateInfo | None = None
    replaced: tuple[Replacement, ...] = ()
    paper: bool = False
    staff: StaffInfo = field(default_factory=StaffInfo)

    def __post_init__(self) -> None:
        tidy(self, "reason", "original_document_id")


@dataclass(frozen=True, slots=True)
class Hop:
    """A system the file passed, and when; a code that was missing or ``null`` is empty."""

    organ_id: str
    at: datetime | None

    def __post_init__(self) -> None:
        tidy(self, "organ_id")
        if self.at is not None:
            object.__setattr__(self, "at", whole_seconds(self.at))


@dataclass(frozen=True, slots=True)
class Envelope:
    """A document message: from one agency to one or more, with the document and its files."""

    sender: Party
    recipients: tuple[Party, ...]
    document: Document
    attachments: tuple[Attachment, ...]
    business: Business = field(default_factory=Business)
    response_for: tuple[ResponseFor, ...] = ()
    trace: tuple[Hop, ...] = ()

    @property
    def kind(self) -> str:
        """``edoc``: the message type of a document."""
        return "edoc"

    @property
    def recipient_codes(self) -> tuple[str, ...]:
        """The agencies addressed, in the order of the file (M5)."""
        return tuple(party.organ_id for party in self.recipients)

    @property
    def document_id(self) -> str:
        """The DocumentId of the document sent."""
        return self.document.document_id


@dataclass(frozen=True, slots=True)
class StatusMessage:
    """A status message: what an agency reports of a document. ``code`` has two digits when it is a standard one."""

    sender: Party
    response_for: ResponseFor
    code: str
    description: str = ""
    staff: StaffInfo | None = None
    timestamp: datetime | None = None

    def __post_init__(self) -> None:
        tidy(self, "code", "description")
        if self.timestamp is not None:
            object.__setattr__(self, "timestamp", whole_seconds(self.timestamp))

    @property
    def kind(self) -> str:
        """``status``: the message type of a status message."""
        return "status"

    @property
    def recipient_codes(self) -> tuple[str, ...]:
        """The one agency addressed: the other party of the document (M5)."""
        return (self.response_for.organ_id,)

    @property
    def document_id(self) -> str:
        """The DocumentId of the document reported on."""
        return self.response_for.document_id


Message = Envelope | StatusMessage


def completed(message: Message, *, at: datetime | None = None) -> Message:
    """Return the message with what the writer adds by itself (edxml.md 13.4).

    Content is a copy of the subject if empty, DocumentId is made from agency, date and code if empty, and without a
    trace the sender's own hop is noted at ``at``; a status message without a time gets ``at``.
    """
    if isinstance(message, StatusMessage):
        return replace(message, timestamp=at) if message.timestamp is None and at is not None else message
    document = message.document
    identity = document.document_id
    if identity and document.content and (message.trace or at is None):
        return message
    if not identity and document.date is not None:
        identity = document_id_of(message.sender.organ_id, document.date, document.code)
    document = replace(document, content=document.content or document.subject, document_id=identity)
    trace = message.trace or ((Hop(message.sender.organ_id, at),) if at is not None else ())
    return replace(message, document=document, trace=trace)


def secret_mark(message: Message) -> str | None:
    """Return where a message carries a secrecy mark (an element's name), or ``None`` (R1)."""
    if isinstance(message, StatusMessage):
        return None
    found = secret_field(message.document)
    if found:
        return found
    for attachment in message.attachments:
        if _marked(attachment.name.partition(".")[0]) or _marked(attachment.description):
            return "AttachmentName" if _marked(attachment.name.partition(".")[0]) else "Description"
    return None
