"""Dispatches: submit, claim, outcome, settlement (exchange.md 6, T1 to T7), each one compare-and-set statement.

A claim is a lease of 30 seconds with the attempt's number as fence; a worker that lost its lease changes nothing.
Nothing here is recovery: a row whose lease has lapsed is simply claimable. A verified receipt needs no fence, it is
true whoever brings it; the compare-and-set on the state applies it once.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

from transport.dispatch import (
    ALARM,
    GRACE,
    LEASE,
    Event,
    Key,
    Lane,
    NotAllowed,
    Situation,
    State,
    Transition,
    apply,
)
from transport.errors import TransportError
from transport.store import circuit as circuits
from transport.store.claims import claim_due, end_attempt
from transport.store.dialect import is_reading
from transport.store.outlist import about, attempts, by_source, dispatches, find, rows, view_of
from transport.store.records import Record, text
from transport.store.refusals import Conflict
from transport.store.statements import Connection
from transport.store.times import day_text, millis
from transport.store.values import (
    AttemptEnd,
    Claim,
    NewMessage,
    NewReceipt,
    Settled,
    Ticket,
)
from transport.store.writer import Unit

__all__ = [
    "about",
    "attempts",
    "by_source",
    "claim_due",
    "dispatches",
    "expire_due",
    "find",
    "outcome",
    "renew",
    "rows",
    "settle",
    "situation",
    "submit",
    "view_of",
]

EXPIRE_AT_ONCE = 500


def submit(
    unit: Unit, message: NewMessage, recipients: Sequence[str], tickets: Sequence[Ticket] = ()
) -> tuple[int, ...]:
    """T1: record a message and one queued dispatch per recipient; return the dispatches' numbers (M3, M5).

    ``tickets`` are the leaves ``sent``, one per recipient in the same order; a claim then carries the leaf's place.

    Raises:
        Conflict: this message id, or the packed file it was made from, has been submitted before.
    """
    connection = unit.connection
    if message.source_sha256 is not None:  # the same file sent twice at once is one message
        unit.hold(f"source {message.source_sha256}")
        if by_source(connection, message.source_sha256) is not None:
            raise Conflict(("message.source_sha256",))
    connection.exec_driver_sql(
        "INSERT INTO blob (digest, size, place) VALUES (?, ?, 'file') ON CONFLICT (digest) DO NOTHING",
        (message.sha256, message.size),
    )
    message_row = connection.exec_driver_sql(_INSERT_MESSAGE, _message_row(message)).scalar_one()
    trace = secrets.token_hex(16)
    made = []
    for position, recipient in enumerate(recipients):
        _know_partner(connection, recipient)
        made.append(
            connection.exec_driver_sql(
                _INSERT_DISPATCH,
                {
                    "message": message_row,
                    "recipient": recipient,
                    "lane": message.lane,
                    "at": millis(message.submitted_at),
                    "deadline": millis(message.deadline),
                    "ticket": tickets[position].id if tickets else None,
                    "trace": trace,
                },
            ).scalar_one()
        )
    return tuple(made)


def _know_partner(connection: Connection, agency: str) -> None:
    """Enter a partner that is not yet known; one that is, is left alone: its table is watched (``kept``)."""
    if connection.exec_driver_sql("SELECT 1 FROM partner WHERE agency = ?", (agency,)).first() is None:
        connection.exec_driver_sql(
            "INSERT INTO partner (agency, delivery, auth, cap, served_at, failures, open_for, updated_at) "
            "VALUES (?, 'push', 'signature', 4, 0, 0, 0, 0) ON CONFLICT (agency) DO NOTHING",
            (agency,),
        )


_INSERT_MESSAGE = """
    INSERT INTO message (sender, message_id, kind, sha256, size, lane, submitted_at, deadline, document_id, number,
        notation, date, type, subject, priority, attachments, due, legal_class, status_code, cause, source_sha256)
    VALUES (:sender, :message_id, :kind, :sha256, :size, :lane, :submitted_at, :deadline, :document_id, :number,
        :notation, :date, :type, :subject, :priority, :attachments, :due, :legal_class, :status_code, :cause,
        :source_sha256)
    RETURNING id
"""
_INSERT_DISPATCH = """
    INSERT INTO dispatch (message, recipient, state, lane, exposed, recall_requested, attempt, failures, final_try,
        next_at, deadline, submitted_at, by_receipt, sent_ticket, trace)
    VALUES (:message, :recipient, 'queued', :lane, FALSE, FALSE, 0, 0, FALSE, :at, :deadline, :at, FALSE, :ticket,
        :trace)
    RETURNING id
"""


def _message_row(message: NewMessage) -> dict[str, object]:
    return {
        "sender": message.sender,
        "message_id": message.message_id,
        "kind": message.kind,
        "sha256": message.sha256,
        "size": message.size,
        "lane": message.lane,
        "submitted_at": millis(message.submitted_at),
        "deadline": millis(message.deadline),
        "document_id": message.document_id,
        "number": message.number,
        "notation": message.notation,
        "date": day_text(message.date),
        "type": message.type,
        "subject": message.subject,
        "priority": message.priority,
        "attachments": message.attachments,
        "due": day_text(message.due),
        "legal_class": message.legal_class,
        "status_code": message.status_code,
        "cause": message.cause,
        "source_sha256": message.source_sha256,
    }


def renew(unit: Unit, claim: Claim, *, now: datetime) -> bool:
    """Prolong a lease by 30 seconds; false when the claim has been replaced, and its worker should stop."""
    return (
        unit.connection.exec_driver_sql(
            "UPDATE dispatch SET lease_until = CASE WHEN lease_until > :lease THEN lease_until ELSE :lease END, "
            "last_at = :now WHERE id = :id AND state = 'carrying' AND owner = :owner AND attempt = :attempt",
            {
                "lease": millis(now + LEASE),
                "now": millis(now),
                "id": claim.dispatch_id,
                "owner": claim.owner,
                "attempt": claim.attempt,
            },
        ).rowcount
        == 1
    )


def outcome(unit: Unit, claim: Claim, transition: Transition, *, now: datetime, end: AttemptEnd) -> bool:
    """T3, T4, T5: record how an attempt ended without a receipt; false when the claim had been replaced.

    Fenced: compare-and-set on carrying, owner and attempt, so a late worker changes nothing (its answer is dropped).

    Raises:
        ValueError: the transition is one of those a receipt makes; use ``settle``.
    """
    if transition.event not in (Event.SETBACK, Event.NO_PROOF, Event.FINAL_PROBLEM):
        raise ValueError(f"{transition.event} is not the outcome of an attempt without receipt")
    connection = unit.connection
    at = millis(now)
    changed = connection.exec_driver_sql(
        "UPDATE dispatch SET state = :state, owner = NULL, lease_until = NULL, exposed = exposed OR :exposed, "
        "next_at = CASE WHEN :final THEN NULL WHEN deadline < :now THEN :now WHEN :next < :now THEN :now "
        "WHEN :next > deadline THEN deadline ELSE :next END, last_at = :now, "
        "problem = :problem, problem_status = :status, settled_at = CASE WHEN :final THEN :now END "
        "WHERE id = :id AND state = 'carrying' AND owner = :owner AND attempt = :attempt",
        {
            "state": transition.to.value,
            "exposed": transition.exposed,
            "final": transition.to is State.REFUSED,
            "now": at,
            "next": millis(now + (transition.pause or timedelta(0))),
            "problem": transition.problem or end.problem,
            "status": end.status,
            "id": claim.dispatch_id,
            "owner": claim.owner,
            "attempt": claim.attempt,
        },
    ).rowcount
    if changed != 1:
        return False
    end_attempt(connection, (claim.dispatch_id, claim.attempt), at, end)
    _note_circuit(connection, claim.key.recipient, transition, now)
    return True


def _note_circuit(connection: Connection, agency: str, transition: Transition, now: datetime) -> None:
    if transition.opens_circuit is not None:
        circuits.open_circuit(connection, agency, now, transition.opens_circuit)
    elif transition.transport_failure:
        circuits.note_failure(connection, agency, now)
    elif transition.answered:
        circuits.note_answer(connection, agency, success=False)


_SITUATION = """
    SELECT d.id, d.state, d.exposed, d.by_receipt, d.recall_requested, d.attempt, m.sha256, m.size
    FROM dispatch d JOIN message m ON m.id = d.message
    WHERE m.sender = ? AND m.message_id = ? AND d.recipient = ?
"""
_SITUATION_TO_CHANGE = _SITUATION + " /*pg FOR UPDATE OF d*/"


def situation(connection: Connection, key: Key) -> Situation | None:
    """Return what the table of transitions looks at, None when there is no such dispatch.

    In a unit the dispatch is the unit's until it ends: whoever decides on it sees what holds then.
    """
    question = _SITUATION if is_reading(connection) else _SITUATION_TO_CHANGE
    row = connection.exec_driver_sql(question, (key.sender, key.message_id, key.recipient)).one_or_none()
    return None if row is None else _situation(row)


def _situation(row: Record) -> Situation:
    return Situation(State(text(row[1])), bool(row[2]), bool(row[3]), bool(row[4]))


def settle(
    unit: Unit,
    key: Key,
    *,
    state: State,
    receipt: NewReceipt,
    ticket: Ticket,
    now: datetime,
    end: AttemptEnd | None = None,
) -> Settled:
    """T7: apply a verified receipt, once. ``state`` is delivered or refused, as the receipt says.

    The answer's ``first`` is false when the table has no such move (a receipt had settled it before): then nothing is
    written but the caller's leaf, which it takes back by raising. Look at ``situation`` before appending leaves.

    Raises:
        TransportError: EDOC-STO-013, there is no such dispatch.
    """
    connection = unit.connection
    row = connection.exec_driver_sql(_SITUATION_TO_CHANGE, (key.sender, key.message_id, key.recipient)).one_or_none()
    if row is None:
        raise TransportError("EDOC-STO-013", "there is no such dispatch", ref=f"msg:{key.message_id}")
    before = _situation(row)
    assert before.state is not None
    event = Event.ACCEPTANCE if state is State.DELIVERED else Event.REJECTION
    try:
        after = apply(before, event)
    except NotAllowed:
        return Settled(False, before.state)
    receipt_row = insert_receipt(connection, receipt, ticket, message=(row[6], row[7]))
    assert after.state is state
    connection.exec_driver_sql(
        "UPDATE dispatch SET state = :state, owner = NULL, lease_until = NULL, next_at = NULL, settled_at = :now, "
        "last_at = :now, sent_at = :sent, receipt = :receipt, by_receipt = :refused "
        "WHERE id = :id AND state = :before AND NOT by_receipt",
        {
            "state": state.value,
            "now": millis(now),
            "sent": millis(receipt.received_at),
            "receipt": receipt_row,
            "refused": state is State.REFUSED,
            "id": row[0],
            "before": before.state.value,
        },
    )
    default = AttemptEnd("delivered" if state is State.DELIVERED else "refused")
    end_attempt(connection, (row[0], row[5]), millis(now), end or default)
    circuits.note_answer(connection, key.recipient, success=True)
    return Settled(True, before.state)


def insert_receipt(
    connection: Connection, receipt: NewReceipt, ticket: Ticket, *, message: tuple[str, int], reason: str | None = None
) -> int:
    """Write a receipt row; ``message`` is the digest and size of the message it is about.

    Raises:
        Conflict: K has its receipt already, found when the unit is committed or a statement fails.
    """
    key = receipt.key
    return int(
        connection.exec_driver_sql(
            "INSERT INTO receipt (direction, sender, recipient, message_id, receipt_id, event, sha256, data, "
            "message_sha256, message_size, received_at, issued_at, reason, ticket) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
            (
                receipt.direction,
                key.sender,
                key.recipient,
                key.message_id,
                receipt.receipt_id,
                receipt.event,
                receipt.sha256,
                receipt.data,
                *message,
                millis(receipt.received_at),
                millis(receipt.issued_at),
                reason,
                ticket.id,
            ),
        ).scalar_one()
    )


def expire_due(unit: Unit, *, now: datetime) -> list[Key]:
    """T6: end dispatches whose deadline has passed and whose attempt at it was made; return their keys.

    Where no attempt can be made because the partner's circuit is open, the 30 seconds of grace are enough.
    """
    rows = unit.connection.exec_driver_sql(
        "SELECT d.id, m.sender, d.recipient, m.message_id FROM dispatch d JOIN message m ON m.id = d.message "
        "LEFT JOIN partner p ON p.agency = d.recipient "
        "WHERE d.state IN ('queued', 'unknown') AND d.deadline <= :now "
        "AND (d.final_try OR p.delivery = 'pull' OR (p.open_until > :now AND d.deadline <= :grace)) "
        "ORDER BY d.deadline LIMIT :limit",
        {"now": millis(now), "grace": millis(now - GRACE), "limit": EXPIRE_AT_ONCE},
    ).all()
    expired = []
    for row_id, *key in rows:
        changed = unit.connection.exec_driver_sql(
            "UPDATE dispatch SET state = 'expired', next_at = NULL, settled_at = :now, "
            "problem = coalesce(problem, 'no-answer') WHERE id = :id AND state IN ('queued', 'unknown')",
            {"now": millis(now), "id": row_id},
        ).rowcount
        if changed == 1:
            expired.append(Key(*key))
    return expired


def alarms_due(unit: Unit, *, now: datetime) -> list[tuple[Key, Lane]]:
    """Return, once each, the dispatches that have gone without receipt for their lane's alarm time."""
    found = []
    for lane, after in ALARM.items():
        rows = unit.connection.exec_driver_sql(
            "UPDATE dispatch SET alarmed_at = :now WHERE state IN ('queued', 'unknown', 'carrying') "
            "AND lane = :lane AND alarmed_at IS NULL AND submitted_at <= :since RETURNING message, recipient",
            {"now": millis(now), "lane": int(lane), "since": millis(now - after)},
        ).all()
        for message, recipient in rows:
            sender, message_id = unit.connection.exec_driver_sql(
                "SELECT sender, message_id FROM message WHERE id = ?", (message,)
            ).one()
            found.append((Key(sender, recipient, message_id), lane))
    return found
