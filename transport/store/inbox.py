"""What arrived: one row per K, one receipt per K, and the clerk's states (exchange.md 7 P0, console.md 4.4).

The recipient knows K as nothing, ``accepted`` (receipt and inbox row) or ``refused`` (receipt only). Both are written
by one unit together with the leaf; a second unit for the same K meets the unique key, is answered with ``Conflict`` and
its caller looks up the receipt that was there first.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime

from transport.dispatch import Key
from transport.errors import Refused
from transport.store import registers
from transport.store.inlist import ARRIVALS, find, rows, view
from transport.store.outbox import insert_receipt
from transport.store.outlist import receipt_for
from transport.store.records import number, text
from transport.store.statements import Connection
from transport.store.times import day_text, millis, moment
from transport.store.values import ArrivalView, Known, NewArrival, NewReceipt, RefusedFacts, Ticket
from transport.store.writer import Unit

__all__ = [
    "accept",
    "accept_document",
    "by_key",
    "find",
    "known",
    "known_to_be",
    "next_arrival_number",
    "record_verification",
    "refuse",
    "rows",
    "set_state",
]

ACCEPTANCE = "RelayAcceptance"

ARRIVAL_SERIES = "den"
"""Series of arrival numbers, common to paper and electronic documents of an agency and year (R56)."""

MOVES: dict[str, frozenset[str]] = {
    "arrived": frozenset({"refused", "accepted", "recall-asked"}),
    "accepted": frozenset({"assigned", "in-process", "finished", "recall-asked"}),
    "assigned": frozenset({"in-process", "finished", "recall-asked"}),
    "in-process": frozenset({"finished", "recall-asked"}),
    "finished": frozenset({"recall-asked", "deleted"}),
    "recall-asked": frozenset({"recalled", "arrived", "accepted", "assigned", "in-process", "finished"}),
    "refused": frozenset({"deleted"}),
    "recalled": frozenset({"deleted"}),
    "deleted": frozenset(),
}
"""States a document that arrived may go to (S1); after a refused recall only the earlier one."""


def known(connection: Connection, key: Key) -> Known | None:
    """Return what is known of K: its one receipt, and whether it accepted or refused; None for nothing."""
    row = connection.exec_driver_sql(
        "SELECT event, message_sha256, message_size, received_at FROM receipt "
        "WHERE direction = 'out' AND sender = ? AND recipient = ? AND message_id = ?",
        (key.sender, key.recipient, key.message_id),
    ).one_or_none()
    receipt = receipt_for(connection, "out", key) if row is not None else None
    if row is None or receipt is None:
        return None
    return Known(
        key=key,
        state="accepted" if text(row[0]).endswith(ACCEPTANCE) else "refused",
        sha256=text(row[1]),
        size=number(row[2]),
        received_at=moment(number(row[3])),
        receipt=receipt,
    )


def known_to_be(connection: Connection, key: Key, same: Callable[[str, str], bool]) -> Known | None:
    """Return what is known of K however its agencies are spelled: old and new code are one agency (exchange.md 1).

    ``same`` says whether two codes mean one agency; the answer carries the spelling under which K was received.
    """
    rows = connection.exec_driver_sql(
        "SELECT sender, recipient FROM receipt WHERE direction = 'out' AND message_id = ? ORDER BY id",
        (key.message_id,),
    ).all()
    for sender, recipient in rows:
        if same(text(sender), key.sender) and same(text(recipient), key.recipient):
            return known(connection, Key(text(sender), text(recipient), key.message_id))
    return None


def accept(unit: Unit, key: Key, arrival: NewArrival, receipt: NewReceipt, ticket: Ticket) -> int:
    """S11, acceptance: receipt and inbox row; return the row's number. The message's blob is durable or kept before.

    Raises:
        Conflict: K was answered before, by another request or process.
    """
    connection = unit.connection
    connection.exec_driver_sql(
        "INSERT INTO blob (digest, size, place) VALUES (?, ?, 'file') ON CONFLICT (digest) DO NOTHING",
        (arrival.sha256, arrival.size),
    )
    receipt_row = insert_receipt(connection, receipt, ticket, message=(arrival.sha256, arrival.size))
    values = {
        "sender": key.sender,
        "recipient": key.recipient,
        "message_id": key.message_id,
        "kind": arrival.kind,
        "sha256": arrival.sha256,
        "size": arrival.size,
        "received_at": millis(arrival.received_at),
        "arrived_at": millis(arrival.arrived_at),
        "lane": arrival.lane,
        "document_id": arrival.document_id,
        "number": arrival.number,
        "notation": arrival.notation,
        "date": day_text(arrival.date),
        "type": arrival.type,
        "subject": arrival.subject,
        "priority": arrival.priority,
        "attachments": arrival.attachments,
        "due": day_text(arrival.due),
        "status_code": arrival.status_code,
        "sender_name": arrival.sender_name,
        "receipt": receipt_row,
    }
    return int(connection.exec_driver_sql(_INSERT, values).scalar_one())


_INSERT = """
    INSERT INTO inbox (sender, recipient, message_id, kind, sha256, size, state, received_at, arrived_at, lane,
        document_id, number, notation, date, type, subject, priority, attachments, due, status_code, sender_name,
        receipt)
    VALUES (:sender, :recipient, :message_id, :kind, :sha256, :size, 'arrived', :received_at, :arrived_at, :lane,
        :document_id, :number, :notation, :date, :type, :subject, :priority, :attachments, :due, :status_code,
        :sender_name, :receipt)
    RETURNING id
"""


def refuse(unit: Unit, key: Key, receipt: NewReceipt, ticket: Ticket, facts: RefusedFacts) -> None:
    """S11, refusal: the receipt alone; the bytes are not kept (exchange.md 3.3).

    Raises:
        Conflict: K was answered before, by another request or process.
    """
    insert_receipt(unit.connection, receipt, ticket, message=(facts.sha256, facts.size), reason=facts.reason)


def by_key(connection: Connection, key: Key) -> ArrivalView | None:
    """Return the inbox entry of K, None if there is none."""
    row = connection.exec_driver_sql(
        ARRIVALS + "WHERE i.sender = ? AND i.recipient = ? AND i.message_id = ?",
        (key.sender, key.recipient, key.message_id),
    ).one_or_none()
    return None if row is None else view(row, None)


def by_id(connection: Connection, inbox_id: int) -> ArrivalView | None:
    """Return an inbox entry by the number ``accept`` gave, None if there is none."""
    row = connection.exec_driver_sql(ARRIVALS + "WHERE i.id = ?", (inbox_id,)).one_or_none()
    return None if row is None else view(row, None)


def next_arrival_number(unit: Unit, agency: str, year: int) -> int:
    """Return the next arrival number of an agency and year, without gaps: it is given with the unit or not at all."""
    return registers.take(unit, agency, ARRIVAL_SERIES, year)


def accept_document(
    unit: Unit, inbox_id: int, *, year: int, now: datetime, by: str | None, due: date | None = None
) -> int:
    """The clerk accepts a document that arrived: it gets its arrival number (R56), which is returned.

    Raises:
        Refused: EDOC-STO-015, it is not in a state that can be accepted.
    """
    row = unit.connection.exec_driver_sql("SELECT recipient FROM inbox WHERE id = ?", (inbox_id,)).one()
    set_state(unit, inbox_id, "accepted", now=now, by=by)
    arrival = next_arrival_number(unit, text(row[0]), year)
    unit.connection.exec_driver_sql(
        "UPDATE inbox SET arrival_year = ?, arrival_number = ?, accepted_at = ?, due = coalesce(?, due) WHERE id = ?",
        (year, arrival, millis(now), day_text(due), inbox_id),
    )
    registers.note_holder(
        unit, agency=text(row[0]), series=ARRIVAL_SERIES, year=year, number=arrival, holder=f"in:{inbox_id}", at=now
    )
    return arrival


def set_state(
    unit: Unit,
    inbox_id: int,
    state: str,
    *,
    now: datetime,
    by: str | None = None,
    reason: str | None = None,
    note: str | None = None,
) -> None:
    """Move an inbox entry to another state of S1, as compare-and-set on the state it was in.

    Raises:
        Refused: EDOC-STO-015, the table of S1 has no such move.
    """
    connection = unit.connection
    row = connection.exec_driver_sql(
        "SELECT state, earlier_state FROM inbox WHERE id = ? /*pg FOR UPDATE*/", (inbox_id,)
    ).one()
    before = text(row[0])
    back = before == "recall-asked" and state not in ("recalled", row[1])
    if state not in MOVES[before] or back:
        raise Refused("EDOC-STO-015", "this move is not in the table", state=before, wanted=state)
    connection.exec_driver_sql(
        "UPDATE inbox SET state = :state, earlier_state = :earlier, "
        "decided_by = coalesce(:by, decided_by), reason = coalesce(:reason, reason), note = coalesce(:note, note) "
        "WHERE id = :id AND state = :before",
        {
            "state": state,
            "earlier": before if state == "recall-asked" else None,
            "by": by,
            "reason": reason,
            "note": note,
            "id": inbox_id,
            "before": before,
        },
    )


def record_verification(
    unit: Unit, inbox_id: int, *, verdict: str, legal_class: str | None, verification: bytes
) -> bool:
    """Keep the result of the advisory checks as it was at arrival (R53); false when there was one already."""
    return (
        unit.connection.exec_driver_sql(
            "UPDATE inbox SET verdict = ?, legal_class = ?, verification = ? WHERE id = ? AND verdict IS NULL",
            (verdict, legal_class, verification, inbox_id),
        ).rowcount
        == 1
    )
