"""Receiving: judge, keep, answer (exchange.md 3.1, S8 to S11). Commit before the answer leaves.

Acceptance or refusal, receipt, inbox row, leaf and the effects that follow are one transaction. The same message again
meets the stored receipt; two requests that meet at the transaction get the receipt of the first.
"""

from __future__ import annotations

import hashlib
import logging
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time
from pathlib import Path
from typing import TYPE_CHECKING

from edoc.agencies import Directory
from edoc.documents import type_of
from edoc.envelopes import Envelope
from edoc.errors import CannotJudge
from signer.errors import LevelNotReached, SignerError, TimestampError
from transport import intake, points, receipts
from transport.dispatch import Key, lane_of
from transport.errors import Problem
from transport.http.wire import path_of
from transport.intake import VIETNAM, Delivery, Outcome, Refusal
from transport.ledger import event
from transport.node.office import STATUS_SOON, Office, milliseconds, peer_field, read_limits, record
from transport.store import directory as directories
from transport.store import effects, inbox
from transport.store.feed import known_blob
from transport.store.store import Conflict
from transport.store.values import Known, LedgerRef, NewArrival, NewReceipt, RefusedFacts, Ticket

if TYPE_CHECKING:
    from edoc.seal import OpenedEnvelope, UnsealedMessage
    from signer.report import Need
    from transport.store.statements import Connection
    from transport.store.store import Staged, Unit

log = logging.getLogger("edoc.receiving")

REASON_TEXTS = {
    "not-edxml": "tệp không phải edXML",
    "limits": "vượt giới hạn cho phép",
    "seal-missing": "thiếu chữ ký số gói tin",
    "seal-invalid": "chữ ký số gói tin không hợp lệ",
    "seal-algorithm": "thuật toán chữ ký số gói tin không được chấp nhận",
    "certificate-invalid": "chứng thư hết hạn, bị thu hồi hoặc không tin cậy",
    "seal-not-sender": "chữ ký số gói tin không phải của cơ quan gửi",
    "slip-mismatch": "phiếu gói tin không khớp với nơi gửi, mã hoặc loại gói tin",
    "wrong-addressee": "sai nơi nhận",
    "incomplete": "thiếu hoặc thừa tệp đính kèm",
    "not-strict": "sai thể thức gói tin",
    "secret-content": "có nội dung bí mật nhà nước",
}
"""What a refusal receipt says in Vietnamese (exchange.md 3.3)."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server sends: status, the receipt's bytes, and where the leaf stands."""

    status: int
    receipt: bytes
    ledger: LedgerRef | None


@dataclass(frozen=True, slots=True)
class Arrived:
    """One request on its way through S8 to S11."""

    delivery: Delivery
    sha256: str
    peer: LedgerRef | None
    now: datetime
    directory: Directory

    @property
    def key(self) -> Key:
        """K of the message."""
        return self.delivery.key


def receive(
    office: Office,
    key: Key,
    data: bytes,
    *,
    sha256: str,
    received_at: datetime,
    peer: LedgerRef | None,
    now: datetime,
) -> Answer:
    """S8 to S11: judge the bytes, sign the receipt, commit; return the answer to give.

    Raises:
        IdTaken: K was used for other bytes in the meantime.
        Problem: the bytes can be neither accepted nor refused now; this request has committed nothing.
        StoreError: nothing was stored, or, with ``unclear`` in its facts, nobody knows.
    """
    delivery = Delivery(key, data, milliseconds(received_at))
    return _receive(office, Arrived(delivery, sha256, peer, milliseconds(now), office.directory()), now)


def receive_file(
    office: Office,
    key: Key,
    file: Path,
    *,
    sha256: str,
    received_at: datetime,
    peer: LedgerRef | None,
    now: datetime,
) -> Answer:
    """S8 to S11 for a message that lies in a file of the spool: it is checked in one pass, and moved if accepted.

    Raises:
        IdTaken, Problem, StoreError: as ``receive``.
    """
    delivery = Delivery(key, b"", milliseconds(received_at), file, file.stat().st_size)
    return _receive(office, Arrived(delivery, sha256, peer, milliseconds(now), office.directory()), now)


def _receive(office: Office, arrived: Arrived, now: datetime) -> Answer:
    key, sha256 = arrived.key, arrived.sha256
    outcome = judge(office, arrived.delivery, now, directory=arrived.directory)
    points.reached("receive.judged")
    staged = _stage(office, arrived) if outcome.opened is not None else None
    points.reached("receive.blob-durable")
    receipt, signed = _sign(office, arrived, outcome)
    points.reached("receive.receipt-signed")
    new = _new_receipt(key, receipt, signed)
    try:
        ticket = office.store.do(lambda unit: _commit(office, unit, arrived, outcome, staged, new))
    except Conflict:
        return _stored_answer(office, key, sha256)
    points.reached("receive.committed")
    if outcome.opened is not None:
        if arrived.delivery.file is None:
            office.recent.note(outcome.opened, arrived.now)
        office.on_effects()
    return Answer(201 if outcome.opened is not None else 422, signed, office.ref(ticket))


def _stage(office: Office, arrived: Arrived) -> Staged:
    """S9: make the bytes durable; a file of the spool is moved to its address, not copied."""
    file = arrived.delivery.file
    if file is None:
        return office.store.stage(arrived.delivery.data)
    return office.store.stage_file(file, arrived.sha256, arrived.delivery.size)


class IdTaken(Problem):
    """Another request has used K for other bytes in the meantime; ``known`` is what stands (S4)."""

    def __init__(self, known: Known) -> None:
        super().__init__("message-id-conflict", 409, "the id is taken", receipt=path_of(known.key, "/receipt"))
        self.known = known


def known_of(office: Office, key: Key) -> Known | None:
    """Return what is known of K, however its agencies are spelled."""

    def look(connection: Connection) -> Known | None:
        # the directory is asked only where the spelling differs: this question is put for every request
        return inbox.known_to_be(
            connection, key, lambda one, other: one == other or directories.load(connection).same(one, other)
        )

    return office.store.read(look)


def enter_conflict(office: Office, key: Key, *, sha256: str, now: datetime) -> None:
    """S4: leaf ``id-conflict`` for K, spelled as it was received, under another digest: once per K and digest."""
    evidence = record("IdConflict", msg=key.message_id, sender=key.sender, recipient=key.recipient, env=sha256)
    digest = hashlib.sha256(evidence).hexdigest()
    fields: dict[str, event.Value] = {"env": sha256, "reason": "message-id-conflict"}

    def work(unit: Unit) -> None:
        unit.hold(f"conflict {digest}")
        if known_blob(unit.connection, digest):  # its leaf may be written and not yet placed
            return
        kept = unit.keep(evidence)
        office.append(unit, "id-conflict", at=now, evidence=kept, rtype="record", key=key, side="r", fields=fields)

    if not office.store.read(lambda connection: known_blob(connection, digest)):
        office.store.do(work)


def _stored_answer(office: Office, key: Key, sha256: str) -> Answer:
    """Return the answer for a message that was answered in the meantime: the stored receipt, byte for byte (S4).

    Raises:
        IdTaken: it was answered for other bytes.
        Problem: there is none.
    """
    known = known_of(office, key)
    if known is None:
        raise Problem("internal", 500, "K was taken and is not known")
    if known.sha256 != sha256:
        raise IdTaken(known)
    return answer_of(known)


def answer_of(known: Known) -> Answer:
    """Return the answer that repeats a stored receipt."""
    return Answer(200 if known.state == "accepted" else 422, known.receipt.data, known.receipt.ledger)


def judge(office: Office, delivery: Delivery, now: datetime, *, directory: Directory) -> Outcome:
    """Run the hard checks; missing status answers are fetched once, then judged again.

    Raises:
        Problem: ``trust-unavailable`` when trust or revocation data is missing, ``clock-disagreement``.
    """
    context, limits = office.context(now), read_limits(office.settings)
    try:
        return intake.judge(delivery, context=context, directory=directory, limits=limits)
    except CannotJudge as missing:
        richer = office.with_status(context, _needs(missing), now, within=STATUS_SOON)
    if richer is not None:
        try:
            return intake.judge(delivery, context=richer, directory=directory, limits=limits)
        except CannotJudge:
            pass
    raise Problem("trust-unavailable", 503, "revocation status of the seal is not at hand", retry_after=30)


def _needs(missing: CannotJudge) -> Sequence[Need]:
    found = missing.facts.get("needs")
    return found if isinstance(found, tuple) else ()


def _sign(office: Office, arrived: Arrived, outcome: Outcome) -> tuple[receipts.Receipt, bytes]:
    """Build and sign the receipt, outside any transaction (S10)."""
    receipt = _receipt(office, arrived, outcome)
    try:
        credential = office.exchange_key(receipt.issued_at)
    except SignerError:
        raise _no_receipt() from None
    if office.timestamper is not None:
        try:
            return receipt, receipts.issue(receipt, credential=credential, timestamper=office.timestamper)
        except (TimestampError, LevelNotReached):  # Q2, prefer: without an answer in time it stays B-B for good
            office.meter.count("timestamp_missing")
            log.warning("receipt.timestamp_missing", extra={"k": arrived.key.message_id})
    try:
        return receipt, receipts.issue(receipt, credential=credential, timestamper=None)
    except SignerError:
        raise _no_receipt() from None


def _no_receipt() -> Problem:
    return Problem("receipt-unavailable", 503, "the receipt cannot be signed now", retry_after=60)


def _receipt(office: Office, arrived: Arrived, outcome: Outcome) -> receipts.Receipt:
    unsealed, opened = outcome.unsealed, outcome.opened
    reasons: tuple[receipts.ReasonLine, ...] = ()
    if outcome.refusal is not None:
        reasons = (_reason_line(outcome.refusal),)
    return receipts.Receipt(
        receipt_id=str(uuid.uuid4()),
        event=receipts.ACCEPTANCE if opened is not None else receipts.REJECTION,
        issuer=receipts.Issuer(arrived.key.recipient, office.name, office.node_name),
        key=arrived.key,
        size=arrived.delivery.size,
        sha256=arrived.sha256,
        received_at=arrived.delivery.received_at,
        issued_at=max(arrived.now, arrived.delivery.received_at),
        ledger_origin=office.log.signer.origin if office.log.signer else "-",
        kind=unsealed.slip.kind if unsealed else None,
        document_id=(opened.message.document_id or None) if opened else None,
        submitted_at=unsealed.slip.submitted_at if unsealed else None,
        seal_certificate=unsealed.certificate_sha256 if unsealed else None,
        attachments=_attachments(opened),
        reasons=reasons,
    )


def _reason_line(refusal: Refusal) -> receipts.ReasonLine:
    return receipts.ReasonLine(refusal.reason, REASON_TEXTS[refusal.reason], refusal.field)


def _attachments(opened: OpenedEnvelope | None) -> tuple[receipts.AttachmentDigest, ...]:
    if opened is None:
        return ()
    return tuple(receipts.AttachmentDigest(a.content_id, a.size, a.sha256) for a in opened.attachments)


def _new_receipt(key: Key, receipt: receipts.Receipt, signed: bytes) -> NewReceipt:
    return NewReceipt(
        direction="out",
        key=key,
        receipt_id=receipt.receipt_id,
        event=receipt.event,
        sha256=hashlib.sha256(signed).hexdigest(),
        data=signed,
        received_at=receipt.received_at,
        issued_at=receipt.issued_at,
    )


def _commit(
    office: Office, unit: Unit, arrived: Arrived, outcome: Outcome, staged: Staged | None, new: NewReceipt
) -> Ticket:
    """S11: blob row, leaf, receipt, inbox row and effects, together or not at all.

    Raises:
        Conflict: K has its receipt, perhaps under another spelling of its agencies, which the unique key does not see.
    """
    unit.hold(f"K {arrived.key.message_id}")
    if inbox.known_to_be(unit.connection, arrived.key, arrived.directory.same) is not None:
        raise Conflict(("receipt.message_id",))
    if outcome.opened is None:
        assert outcome.refusal is not None
        ticket = _refusal_leaf(office, unit, arrived, outcome.refusal, outcome.unsealed, new)
        facts = RefusedFacts(arrived.sha256, arrived.delivery.size, outcome.refusal.reason)
        inbox.refuse(unit, arrived.key, new, ticket, facts)
    else:
        assert staged is not None
        unit.keep(staged)
        ticket = _acceptance_leaf(office, unit, arrived, outcome.opened, new)
        inbox_id = inbox.accept(unit, arrived.key, _arrival(arrived, outcome.opened), new, ticket)
        _call_for_effects(unit, arrived, outcome.opened, inbox_id)
    points.reached("receive.in-transaction")
    return ticket


def _acceptance_leaf(office: Office, unit: Unit, arrived: Arrived, opened: OpenedEnvelope, new: NewReceipt) -> Ticket:
    fields: dict[str, event.Value] = {
        "env": arrived.sha256,
        **event.file_fields([a.sha256 for a in opened.attachments]),
        "prio": _priority(opened),
        "due": due_today(arrived.now),
        "doc": opened.message.document_id,
        **(peer_field(arrived.peer) or {}),
    }
    return office.append(
        unit,
        "relayed",
        at=new.issued_at,
        evidence=new.sha256,
        rtype="receipt",
        key=arrived.key,
        side="r",
        fields=fields,
    )


def _refusal_leaf(
    office: Office,
    unit: Unit,
    arrived: Arrived,
    refusal: Refusal,
    unsealed: UnsealedMessage | None,
    new: NewReceipt,
) -> Ticket:
    fields: dict[str, event.Value] = {
        "env": arrived.sha256,
        "reason": refusal.reason,
        **(peer_field(arrived.peer) or {}),
    }
    return office.append(
        unit,
        "relay-refused",
        at=new.issued_at,
        evidence=new.sha256,
        rtype="receipt",
        key=arrived.key,
        side="r",
        fields=fields,
    )


def _arrival(arrived: Arrived, opened: OpenedEnvelope) -> NewArrival:
    message = opened.message
    facts = NewArrival(
        kind=message.kind,
        sha256=arrived.sha256,
        size=arrived.delivery.size,
        received_at=arrived.delivery.received_at,
        arrived_at=arrived.now,
        lane=int(lane_of(message.kind, _priority(opened))),
        document_id=message.document_id,
        sender_name=message.sender.name,
    )
    if not isinstance(message, Envelope):
        return replace(facts, lane=int(lane_of("status", 0, message.code)), status_code=message.code)
    document = message.document
    return replace(
        facts,
        number=document.number,
        notation=document.notation,
        date=document.date,
        type=document.type_name,
        subject=document.subject,
        priority=_priority(opened),
        attachments=len(message.attachments),
        due=document.due,
    )


def _priority(opened: OpenedEnvelope) -> int:
    message = opened.message
    return min(max(int(message.document.priority or 0), 0), 4) if isinstance(message, Envelope) else 0


def _abbreviation(opened: OpenedEnvelope) -> str | None:
    message = opened.message
    known = type_of(message.document.type_name) if isinstance(message, Envelope) else None
    return known.abbreviation[:10] if known and known.abbreviation else None


def _call_for_effects(unit: Unit, arrived: Arrived, opened: OpenedEnvelope, inbox_id: int) -> None:
    """What follows an acceptance, each once: status 01 and the clerk's check, or the status that was reported."""
    cause = f"{arrived.key.sender}/{arrived.key.recipient}/{arrived.key.message_id}"
    facts = {"inbox": str(inbox_id)}
    kinds = ("status-01", "check") if opened.message.kind == "edoc" else ("apply-status",)
    for kind in kinds:
        effects.add(unit, cause=cause, kind=kind, facts=facts, now=arrived.now)


def due_today(now: datetime) -> datetime:
    """Return the end of the day in Vietnam: acceptance or return is due the same day (R12).

    R12 allows the end of the next working day; without a table of holidays that day is not guessed (R14).
    """
    local = now.astimezone(VIETNAM)
    return datetime.combine(local.date(), time(23, 59, 59, 999000), VIETNAM)
