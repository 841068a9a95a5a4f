"""Statuses of a document's dispatch, as its two agencies tell each other in status messages (S1, R59).

Each is recorded once per carrying message; repeated and older ones are logged and change nothing.
"""

from __future__ import annotations

from datetime import datetime

from transport.dispatch import Key
from transport.store.records import Record, number, text, text_or_none
from transport.store.statements import Connection
from transport.store.times import millis, moment
from transport.store.values import NewStatus, StatusView
from transport.store.writer import Unit

_COLUMNS = (
    "direction, carrier, code, at, reason, note, unit, person, sender, recipient, message_id, recorded_at, applied"
)
_SELECT = f"SELECT {_COLUMNS} FROM status "  # noqa: S608 - made of constants


def record(unit: Unit, key: Key, status: NewStatus, *, now: datetime, applied: bool = True) -> bool:
    """Record a status of the document's dispatch ``key``; false when its carrier was recorded before.

    ``applied`` false keeps a status whose move is not in the table of S1. One received and applied becomes the
    dispatch's newest status unless a later one has been recorded.
    """
    connection = unit.connection
    values = {
        "direction": status.direction,
        "carrier": status.carrier,
        "code": status.code,
        "at": millis(status.at),
        "reason": status.reason,
        "note": status.note,
        "unit": status.unit,
        "person": status.person,
        "sender": key.sender,
        "recipient": key.recipient,
        "message_id": key.message_id,
        "recorded_at": millis(now),
        "applied": applied,
    }
    names = ", ".join(f":{name}" for name in values)
    made = connection.exec_driver_sql(
        f"INSERT INTO status ({_COLUMNS}) VALUES ({names}) ON CONFLICT (direction, carrier) DO NOTHING",  # noqa: S608
        values,
    ).rowcount
    if made != 1:
        return False
    if status.direction == "in" and applied:
        connection.exec_driver_sql(
            "UPDATE dispatch SET last_status = :code WHERE recipient = :recipient AND message = "
            "(SELECT id FROM message WHERE sender = :sender AND message_id = :message_id)",
            values,
        )
    return True


def statuses(connection: Connection, message_id: str, recipient: str | None = None) -> tuple[StatusView, ...]:
    """Return the statuses of a document, of one recipient or of all, in the order they were recorded."""
    found = connection.exec_driver_sql(
        _SELECT + "WHERE message_id = ? AND (CAST(? AS TEXT) IS NULL OR recipient = ?) ORDER BY id",
        (message_id, recipient, recipient),
    )
    return tuple(_view(row) for row in found)


def latest(connection: Connection, key: Key, direction: str) -> StatusView | None:
    """Return the newest applied status of a dispatch in one direction, None if there is none."""
    row = connection.exec_driver_sql(
        _SELECT + "WHERE sender = ? AND recipient = ? AND message_id = ? AND direction = ? AND applied "
        "ORDER BY id DESC LIMIT 1",
        (key.sender, key.recipient, key.message_id, direction),
    ).one_or_none()
    return None if row is None else _view(row)


def _view(row: Record) -> StatusView:
    return StatusView(
        key=Key(text(row[8]), text(row[9]), text(row[10])),
        status=NewStatus(
            direction=text(row[0]),
            carrier=text(row[1]),
            code=text(row[2]),
            at=moment(number(row[3])),
            reason=text_or_none(row[4]),
            note=text_or_none(row[5]),
            unit=text_or_none(row[6]),
            person=text_or_none(row[7]),
        ),
        recorded_at=moment(number(row[11])),
        applied=bool(row[12]),
    )
