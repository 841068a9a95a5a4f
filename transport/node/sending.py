"""Sending: seal once, freeze, queue one dispatch per recipient (exchange.md 2, M1 to M7; T1).

A message is frozen at submit: the blob is durable before the transaction, and message, dispatches and leaves ``sent``
are one transaction. The same packed file sent again gives the same ids.
"""

from __future__ import annotations

import hashlib
import logging
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import TYPE_CHECKING

from edoc import seal as seals
from edoc.agencies import Directory
from edoc.documents import Attachment, type_of
from edoc.envelopes import Envelope, Message, StatusMessage, secret_mark
from signer.report import Indication, Report
from transport import points
from transport.dispatch import Key, deadline_for, lane_of
from transport.errors import Refused
from transport.intake import vietnam_day
from transport.ledger import event
from transport.node.checking import main_report
from transport.node.office import Office, milliseconds, record
from transport.store import outbox
from transport.store.store import Conflict
from transport.store.values import DispatchView, NewMessage, SentMessage, Ticket

if TYPE_CHECKING:
    from edoc.sealstream import SealedFile
    from transport.store.store import Staged, Unit


@dataclass(frozen=True, slots=True)
class Sent:
    """A message as queued (or as it had been queued before): ids and dispatches."""

    message_id: str
    document_id: str
    sha256: str
    queued_at: datetime
    dispatches: tuple[DispatchView, ...]
    repeated: bool


@dataclass(frozen=True, slots=True)
class Clocking:
    """When the deadline for sending began and how that is known (R15)."""

    clock: datetime
    basis: str  # timestamp, claimed, registered
    legal_class: str


@dataclass(frozen=True, slots=True)
class Submission:
    """A sealed message about to be queued."""

    sealed: seals.SealedEnvelope | SealedFile
    sender: str
    recipients: tuple[str, ...]
    clocking: Clocking
    lane: int
    now: datetime
    source_sha256: str | None = None
    cause: str | None = None
    files: tuple[str, ...] | None = None  # digests of the attachments of a message that is not held


def send(
    office: Office, data: bytes, *, to: Sequence[str] | None, now: datetime, allow_information_only: bool = False
) -> Sent:
    """Seal a packed file and queue it for its recipients, or for those of ``to``.

    Raises:
        EdocError: not a strict edXML document, or an agency that is unknown.
        Refused: a rule forbids it: foreign sender, closed or own recipient, secrecy marking, unsigned document.
    """
    source = hashlib.sha256(data).hexdigest()
    if (before := office.store.read(lambda connection: outbox.by_source(connection, source))) is not None:
        return as_sent(before, repeated=True)
    message = seals.read_packed(data)
    directory, day = office.directory(), vietnam_day(now)
    recipients = check_rules(office, message, directory=directory, day=day, to=to)
    clocking = clocking_of(office, message, now)
    if clocking.legal_class == "information-only" and not allow_information_only:
        raise Refused("EDOC-EXC-040", "the main document lacks valid signatures", ref=message.document_id)
    at = milliseconds(now)
    sealed = seals.seal(message, message_id=str(uuid.uuid4()), credential=office.exchange_key(at), at=at)
    points.reached("submit.sealed")
    lane = lane_of("edoc", int(message.document.priority or 0))
    submission = Submission(sealed, office.code, recipients, clocking, int(lane), at, source_sha256=source)
    try:
        submit(office, submission)
    except Conflict:  # the same file was sent at the same time by another process
        before = office.store.read(lambda connection: outbox.by_source(connection, source))
        if before is None:
            raise
        return as_sent(before, repeated=True)
    found = office.store.read(lambda connection: outbox.dispatches(connection, sealed.slip.message_id))
    return Sent(sealed.slip.message_id, message.document_id, sealed.sha256, at, found, repeated=False)


def as_sent(before: SentMessage, *, repeated: bool) -> Sent:
    """Return a message that was queued before as sending it gives it."""
    submitted = min(one.submitted_at for one in before.dispatches)
    return Sent(before.message_id, before.row.document_id, before.sha256, submitted, before.dispatches, repeated)


def check_rules(
    office: Office, message: Envelope, *, directory: Directory, day: date, to: Sequence[str] | None
) -> tuple[str, ...]:
    """Check what the law asks before a document leaves; return the recipients as directory codes.

    Raises:
        UnknownAgency: a recipient is not in the directory.
        Refused: R1 secrecy, R22 DocumentId, R23, R80 recipients, foreign sender.
    """
    if (where := secret_mark(message)) is not None:
        raise Refused("EDOC-EXC-041", "the document carries a secrecy marking", field=where)
    if not directory.same(message.sender.organ_id, office.code):
        raise Refused(
            "EDOC-EXC-042", "the sender is another agency", sender=message.sender.organ_id, agency=office.code
        )
    named = {directory.find(code, on=day).code: code for code in message.recipient_codes}
    wanted = named if not to else {directory.find(code, on=day).code: code for code in to}
    for code in wanted:
        if code not in named:
            raise Refused("EDOC-EXC-043", "the file is not addressed to this agency", recipient=code)
        if not directory.open_on(code, day):
            successor = directory.successor_of(code)
            raise Refused(
                "EDOC-EXC-044",
                "the agency's code is closed",
                recipient=code,
                successor=successor.code if successor else "-",
            )
        if not directory.certificates(code, "exchange", day):
            raise Refused("EDOC-EXC-045", "the directory has no exchange certificate of the agency", recipient=code)
    return tuple(wanted)


def clocking_of(office: Office, message: Envelope, now: datetime) -> Clocking:
    """Judge the main document as the recipient will: its legal class, and when its leader signed (R2, R15)."""
    report = main_report(office, message, now)
    clock, basis = _leader_time(report, now)
    legal_class = report.legal_class if report is not None else None
    return Clocking(clock, basis, legal_class or "information-only")


def _leader_time(report: Report | None, now: datetime) -> tuple[datetime, str]:
    for signature in report.signatures if report is not None else ():
        if signature.kind == "signature" and signature.indication is Indication.PASSED:
            if signature.time_source == "timestamp":
                return signature.best_signature_time, "timestamp"
            if signature.signing_time is not None:
                return signature.signing_time, "claimed"
    return now, "registered"


def submit(office: Office, submission: Submission) -> None:
    """T1 for all recipients: blob durable, then message, dispatches and leaves in one transaction (M3).

    Raises:
        Conflict: the message id or the packed file is in the outbox already.
    """
    assert isinstance(submission.sealed, seals.SealedEnvelope)
    staged = office.store.stage(submission.sealed.data)
    points.reached("submit.blob-durable")
    office.store.do(lambda unit: queue(office, unit, submission, staged))
    points.reached("submit.committed")
    tell_submitted(office, submission)
    office.on_work()


def tell_submitted(office: Office, submission: Submission) -> None:
    """Write a log line for each dispatch that was queued (exchange.md 13)."""
    sealed = submission.sealed
    for recipient in submission.recipients:
        k = f"to/{recipient}/from/{submission.sender}/{sealed.slip.message_id}"
        office.meter.event(logging.INFO, "message.submitted", k=k, digest=sealed.sha256)


def queue(office: Office, unit: Unit, submission: Submission, staged: Staged) -> None:
    """Write the rows and leaves of a submit in a unit of the caller."""
    unit.keep(staged)
    tickets = [_sent_leaf(office, unit, submission, recipient) for recipient in submission.recipients]
    outbox.submit(unit, _new_message(submission), submission.recipients, tickets)
    points.reached("submit.in-transaction")


def _sent_leaf(office: Office, unit: Unit, submission: Submission, recipient: str) -> Ticket:
    message, sealed = submission.sealed.message, submission.sealed
    key = Key(submission.sender, recipient, sealed.slip.message_id)
    due = deadline_for(message.kind, submission.now)
    evidence = record(
        "SubmissionAcceptance",
        msg=key.message_id,
        sender=key.sender,
        recipient=key.recipient,
        env=sealed.sha256,
        size=sealed.size,
        message_type=message.kind,
    )
    fields: dict[str, event.Value] = {
        "env": sealed.sha256,
        **event.file_fields(
            submission.files or [hashlib.sha256(a.content).hexdigest() for a in attachments_of(message)]
        ),
        "class": submission.clocking.legal_class,
        "prio": priority_of(message),
        "clock": milliseconds(submission.clocking.clock),
        "basis": submission.clocking.basis,
        "due": due,
        "doc": message.document_id,
    }
    if (abbreviation := _abbreviation(message)) is not None:
        fields["dtype"] = abbreviation
    return office.append(
        unit, "sent", at=submission.now, evidence=unit.keep(evidence), rtype="record", key=key, side="s", fields=fields
    )


def attachments_of(message: Message) -> tuple[Attachment, ...]:
    """Return a message's attachments; a status message has none."""
    return message.attachments if isinstance(message, Envelope) else ()


def priority_of(message: Message) -> int:
    """Return a message's urgency as a digit of 0 to 4."""
    return min(max(int(message.document.priority or 0), 0), 4) if isinstance(message, Envelope) else 0


def _abbreviation(message: Message) -> str | None:
    known = type_of(message.document.type_name) if isinstance(message, Envelope) else None
    return known.abbreviation[:10] if known and known.abbreviation else None


def _new_message(submission: Submission) -> NewMessage:
    sealed, message = submission.sealed, submission.sealed.message
    facts = NewMessage(
        message_id=sealed.slip.message_id,
        sender=submission.sender,
        kind=message.kind,
        sha256=sealed.sha256,
        size=sealed.size,
        lane=submission.lane,
        submitted_at=submission.now,
        deadline=deadline_for(message.kind, submission.now),
        document_id=message.document_id,
        legal_class=submission.clocking.legal_class if message.kind == "edoc" else None,
        cause=submission.cause,
        source_sha256=submission.source_sha256,
        status_code=message.code if isinstance(message, StatusMessage) else None,
    )
    if not isinstance(message, Envelope):
        return facts
    document = message.document
    return replace(
        facts,
        number=document.number,
        notation=document.notation,
        date=document.date,
        type=document.type_name,
        subject=document.subject,
        priority=priority_of(message),
        attachments=len(message.attachments),
        due=document.due,
    )
