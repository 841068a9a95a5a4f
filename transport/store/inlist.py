"""What the inbox tells: entries, and the list of documents that arrived (console.md 4.4, ``inbox``)."""

from __future__ import annotations

from datetime import datetime

from transport.dispatch import Key
from transport.store.paging import LIMIT_MAX, cursor, end_of_day, is_past, position
from transport.store.records import Record, data_or_none, number, number_or_none, text, text_or_none
from transport.store.refs import ambiguous, not_found, parse_ref
from transport.store.statements import Connection
from transport.store.times import day_or_none, millis, moment, moment_or_none
from transport.store.values import ArrivalView, Page, Row, RowFilter

DONE = ("refused", "finished", "recalled", "deleted")
"""States in which nothing is due any more."""

ARRIVALS = """
    SELECT i.id, i.sender, i.recipient, i.message_id, i.kind, i.sha256, i.size, i.state, i.arrived_at, i.document_id,
        i.number, i.notation, i.date, i.type, i.subject, i.priority, i.attachments, i.due, i.status_code, i.sender_name,
        i.verdict, i.legal_class, i.verification, i.arrival_number, i.accepted_at, i.decided_by, i.note, i.received_at,
        (SELECT s.code FROM status s WHERE s.direction = 'out' AND s.sender = i.sender AND s.recipient = i.recipient
            AND s.message_id = i.message_id AND s.applied ORDER BY s.id DESC LIMIT 1), i.arrival_year, i.reason
    FROM inbox i
"""


def view(record: Record, now: datetime | None) -> ArrivalView:
    """Return the value of an inbox row, selected by ``ARRIVALS``."""
    return ArrivalView(
        inbox_id=number(record[0]),
        key=Key(text(record[1]), text(record[2]), text(record[3])),
        row=_row(record, now),
        sha256=text(record[5]),
        size=number(record[6]),
        state=text(record[7]),
        verdict=text_or_none(record[20]),
        legal_class=text_or_none(record[21]),
        verification=data_or_none(record[22]),
        accepted_at=moment_or_none(number_or_none(record[24])),
        decided_by=text_or_none(record[25]),
        note=text_or_none(record[26]),
        kind=text(record[4]),
        received_at=moment(number(record[27])),
        arrival_year=number_or_none(record[29]),
        reason=text_or_none(record[30]),
    )


def _row(record: Record, now: datetime | None) -> Row:
    due = end_of_day(day_or_none(text_or_none(record[17])))
    arrival = number_or_none(record[23])
    return Row(
        ref=f"msg:{record[3]}" if arrival is None else f"in:{arrival}/{record[29]}",
        message_id=text(record[3]),
        document_id=text(record[9]),
        number=text(record[10]),
        notation=text(record[11]),
        date=day_or_none(text_or_none(record[12])),
        type=text(record[13]),
        subject=text(record[14]),
        sender=text(record[1]),
        recipients=(text(record[2]),),
        priority=number(record[15]),
        state=text(record[7]),
        status_code=text_or_none(record[28]),
        verdict=text_or_none(record[20]),
        legal_class=text_or_none(record[21]),
        sent_at=moment(number(record[27])),
        arrived_at=moment(number(record[8])),
        due_at=due,
        overdue=record[7] not in DONE and is_past(due, now),
        arrival_number=arrival,
        attachments=number(record[16]),
        sender_name=text(record[19]),
    )


def find(connection: Connection, ref: str, *, year: int | None = None) -> ArrivalView:
    """Return the document that arrived and that a REF names; ``year`` is the present year in Vietnam.

    Raises:
        RefError: nothing fits, or several do.
    """
    parsed = parse_ref(ref, year=year)
    asked_year = None if parsed.year is None else str(parsed.year)
    where, values = {
        "message": ("i.message_id >= ? AND i.message_id < ? || '~'", (parsed.value, parsed.value)),
        "arrival": (
            "i.arrival_number = ? AND (CAST(? AS INTEGER) IS NULL OR i.arrival_year = ?)",
            (_digits(parsed.value), parsed.year, parsed.year),
        ),
        "document": ("i.document_id = ? AND i.kind = 'edoc'", (parsed.value,)),
        "symbol": (
            "i.number = ? AND i.notation = ? AND i.kind = 'edoc' "
            "AND (CAST(? AS TEXT) IS NULL OR substr(i.date, 1, 4) = ?)",
            (parsed.value, parsed.notation, asked_year, asked_year),
        ),
    }[parsed.kind]
    records = connection.exec_driver_sql(f"{ARRIVALS} WHERE {where} ORDER BY i.id DESC LIMIT 11", values).all()
    if not records:
        raise not_found(ref)
    if len(records) > 1:
        raise ambiguous(ref, [f"msg:{record[3]}" for record in records])
    return view(records[0], None)


def _digits(value: str) -> int:
    return int(value) if value.isdigit() else -1


def rows(connection: Connection, asked: RowFilter) -> Page:
    """Return a page of documents that arrived, urgent ones first, then the newest; with the counts by state."""
    where, values = _conditions(asked)
    limit = max(1, min(asked.limit, LIMIT_MAX))
    order = "ORDER BY i.priority DESC, i.arrived_at DESC, i.id DESC"
    records = connection.exec_driver_sql(
        f"{ARRIVALS} WHERE {' AND '.join(where)} {order} LIMIT :limit", {**values, "limit": limit + 1}
    ).all()
    page = records[:limit]
    following = None
    if len(records) > limit:
        last = page[-1]
        following = cursor((number(last[15]), number(last[8]), number(last[0])))
    return Page(tuple(_row(record, asked.now) for record in page), following, counts(connection))


def counts(connection: Connection) -> dict[str, int]:
    """Return how many documents that arrived are in each state."""
    found = connection.exec_driver_sql("SELECT state, count(*) FROM inbox WHERE kind = 'edoc' GROUP BY state")
    return {text(state): number(many) for state, many in found}


def _conditions(asked: RowFilter) -> tuple[list[str], dict[str, object]]:
    where, values = ["i.kind = 'edoc'"], dict[str, object]()
    for name, value in (("state", asked.state), ("sender", asked.agency)):
        if value is not None:
            where.append(f"i.{name} = :{name}")
            values[name] = value
    for name, sign, at in (("since", ">=", asked.since), ("until", "<=", asked.until)):
        if at is not None:
            where.append(f"i.arrived_at {sign} :{name}")
            values[name] = millis(at)
    if asked.search:
        where.append(
            "(instr(folded(i.subject), folded(:search)) > 0 OR instr(folded(i.document_id), folded(:search)) > 0 "
            "OR instr(folded(i.number || '/' || i.notation), folded(:search)) > 0 "
            "OR instr(folded(i.sender_name), folded(:search)) > 0)"
        )
        values["search"] = asked.search
    if asked.overdue:
        where.append("i.state NOT IN ('refused', 'finished', 'recalled', 'deleted') AND i.due < :today")
        values["today"] = _today(asked.now)
    if asked.after is not None:
        where.append("(i.priority, i.arrived_at, i.id) < (:p1, :p2, :p3)")
        values["p1"], values["p2"], values["p3"] = position(asked.after)
    return where, values


def _today(now: datetime | None) -> str:
    """Return today's date in Vietnam; without a present moment nothing is overdue."""
    from transport.store.paging import VIETNAM

    return now.astimezone(VIETNAM).date().isoformat() if now is not None else ""
