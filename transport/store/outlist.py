"""What the outbox tells: dispatches, attempts, and the list of sent documents (console.md 4.4, ``outbox``)."""

from __future__ import annotations

from transport.dispatch import Key, State
from transport.store.paging import LIMIT_MAX, cursor, end_of_day, is_past, position
from transport.store.records import Record, data, number, number_or_none, text, text_or_none
from transport.store.refs import ambiguous, not_found, parse_ref
from transport.store.statements import Connection
from transport.store.times import day_or_none, millis, moment, moment_or_none
from transport.store.values import (
    AttemptView,
    DispatchView,
    LedgerRef,
    Page,
    ReceiptView,
    Row,
    RowFilter,
    SentMessage,
)

STATES = ("refused", "expired", "unknown", "carrying", "queued", "recalled", "delivered")
"""State of a sent document: the first of these that one of its dispatches is in."""

_RANK = "CASE d.state " + " ".join(f"WHEN '{state}' THEN {n}" for n, state in enumerate(STATES)) + " END"

_COUNTS = f"""
    SELECT rank, count(*) FROM (
        SELECT min({_RANK}) AS rank FROM dispatch d JOIN message m ON m.id = d.message
        WHERE m.kind = 'edoc' GROUP BY d.message) AS worst
    GROUP BY rank
"""  # noqa: S608 - made of constants
_STATES_OF = f"""
    SELECT d.recipient, d.state, d.sent_at, d.last_status, d.deadline, {_RANK} FROM dispatch d
    WHERE d.message = ? ORDER BY d.id
"""  # noqa: S608 - made of constants
_STATE_IS = f"(SELECT min({_RANK}) FROM dispatch d WHERE d.message = m.id) = :rank"  # noqa: S608 - made of constants

_DISPATCH = """
    SELECT d.id, m.sender, d.recipient, m.message_id, d.state, d.lane, d.attempt, d.exposed, d.submitted_at, d.next_at,
        d.deadline, d.settled_at, d.sent_at, d.problem, d.last_status, d.receipt
    FROM dispatch d JOIN message m ON m.id = d.message
"""
_RECEIPT = """
    SELECT r.receipt_id, r.direction, r.sender, r.recipient, r.message_id, r.event, r.sha256, r.data, r.issued_at,
        l.origin, e.idx, f.leaf
    FROM receipt r JOIN ledger_leaf f ON f.ticket = r.ticket LEFT JOIN ledger_entry e ON e.ticket = r.ticket
    LEFT JOIN ledger_log l ON l.id = e.log
"""


def receipt_view(record: Record) -> ReceiptView:
    """Return the value of a receipt's row, selected as ``_RECEIPT`` does."""
    index = record[10]
    return ReceiptView(
        receipt_id=text(record[0]),
        direction=text(record[1]),
        key=Key(text(record[2]), text(record[3]), text(record[4])),
        event=text(record[5]),
        sha256=text(record[6]),
        data=data(record[7]),
        issued_at=moment(number(record[8])),
        ledger=None if index is None else LedgerRef(text(record[9]), number(index), data(record[11]).hex()),
    )


def receipt_for(connection: Connection, direction: str, key: Key) -> ReceiptView | None:
    """Return the one receipt of a direction and K, None if there is none yet."""
    record = connection.exec_driver_sql(
        _RECEIPT + "WHERE r.direction = ? AND r.sender = ? AND r.recipient = ? AND r.message_id = ?",
        (direction, key.sender, key.recipient, key.message_id),
    ).one_or_none()
    return None if record is None else receipt_view(record)


def receipts_of(connection: Connection, message_id: str) -> tuple[ReceiptView, ...]:
    """Return all receipts about a message, given and got."""
    records = connection.exec_driver_sql(_RECEIPT + "WHERE r.message_id = ? ORDER BY r.id", (message_id,))
    return tuple(receipt_view(record) for record in records)


def dispatches(connection: Connection, message_id: str) -> tuple[DispatchView, ...]:
    """Return the dispatches of a message in the order of its recipients."""
    records = connection.exec_driver_sql(_DISPATCH + "WHERE m.message_id = ? ORDER BY d.id", (message_id,)).all()
    return tuple(view_of(connection, record) for record in records)


def dispatch_for(connection: Connection, key: Key) -> DispatchView | None:
    """Return the dispatch of a key, None if there is none."""
    record = connection.exec_driver_sql(
        _DISPATCH + "WHERE m.sender = ? AND m.message_id = ? AND d.recipient = ?",
        (key.sender, key.message_id, key.recipient),
    ).one_or_none()
    return None if record is None else view_of(connection, record)


def view_of(connection: Connection, record: Record) -> DispatchView:
    """Return the value of a dispatch's row, selected as ``_DISPATCH`` does."""
    key = Key(text(record[1]), text(record[2]), text(record[3]))
    return DispatchView(
        dispatch_id=number(record[0]),
        key=key,
        state=State(text(record[4])),
        lane=number(record[5]),
        attempts=number(record[6]),
        exposed=bool(record[7]),
        submitted_at=moment(number(record[8])),
        next_at=moment_or_none(number_or_none(record[9])),
        deadline=moment(number(record[10])),
        settled_at=moment_or_none(number_or_none(record[11])),
        sent_at=moment_or_none(number_or_none(record[12])),
        problem=text_or_none(record[13]),
        last_status=text_or_none(record[14]),
        receipt=None if record[15] is None else receipt_for(connection, "in", key),
    )


def attempts(connection: Connection, dispatch_id: int) -> tuple[AttemptView, ...]:
    """Return the attempts made for a dispatch, first to last."""
    records = connection.exec_driver_sql(
        "SELECT n, owner, started_at, ended_at, outcome, status, problem, peer FROM attempt "
        "WHERE dispatch = ? ORDER BY n",
        (dispatch_id,),
    )
    return tuple(
        AttemptView(n, owner, moment(start), moment_or_none(end), result, status, problem, peer)
        for n, owner, start, end, result, status, problem, peer in records
    )


_MESSAGE = """
    SELECT m.id, m.message_id, m.document_id, m.number, m.notation, m.date, m.type, m.subject, m.sender, m.priority,
        m.legal_class, m.submitted_at, m.due, m.attachments, m.sha256, m.size, m.kind, m.lane, m.source_sha256
    FROM message m
"""


def by_source(connection: Connection, sha256: str) -> SentMessage | None:
    """Return the message that was made of a packed file, so that sending it again returns the same ids."""
    record = connection.exec_driver_sql(
        _MESSAGE + "WHERE m.source_sha256 = ? OR m.sha256 = ? ORDER BY m.id LIMIT 1", (sha256, sha256)
    ).first()
    return None if record is None else _sent(connection, record)


def find(connection: Connection, ref: str, *, year: int | None = None) -> SentMessage:
    """Return the sent message a REF names; ``year`` is the present year in Vietnam.

    Raises:
        RefError: nothing fits, or several do.
    """
    parsed = parse_ref(ref, year=year)
    where, values = {
        "message": ("m.message_id >= ? AND m.message_id < ? || '~'", (parsed.value, parsed.value)),
        "arrival": ("1 = 0", ()),
        "document": ("m.document_id = ? AND m.kind = 'edoc'", (parsed.value,)),
        "symbol": (
            "m.number = ? AND m.notation = ? AND m.kind = 'edoc' "
            "AND (CAST(? AS TEXT) IS NULL OR substr(m.date, 1, 4) = ?)",
            (parsed.value, parsed.notation, parsed.year and str(parsed.year), parsed.year and str(parsed.year)),
        ),
    }[parsed.kind]
    records = connection.exec_driver_sql(f"{_MESSAGE} WHERE {where} ORDER BY m.id DESC LIMIT 11", values).all()
    if not records:
        raise not_found(ref)
    if len(records) > 1:
        raise ambiguous(ref, [f"msg:{record[1]}" for record in records])
    return _sent(connection, records[0])


ABOUT_MAX = 50
"""Documents looked at when a status names one by its code alone."""


def about(connection: Connection, *, document_id: str, code: str) -> tuple[SentMessage, ...]:
    """Return the documents sent that a status may be about, newest first: by DocumentId, else by number/notation.

    The words are the other side's: they are compared whole, and are no REF.
    """
    number_, _, notation = code.partition("/")
    for where, values in (
        ("m.document_id = ?", (document_id,)),
        ("m.number = ? AND m.notation = ?", (number_, notation)),
    ):
        records = connection.exec_driver_sql(
            f"{_MESSAGE} WHERE m.kind = 'edoc' AND {where} ORDER BY m.id DESC LIMIT {ABOUT_MAX}", values
        ).all()
        if records and values[0]:
            return tuple(_sent(connection, record) for record in records)
    return ()


def _sent(connection: Connection, record: Record) -> SentMessage:
    return SentMessage(
        row=_row(connection, record, None),
        sha256=text(record[14]),
        size=number(record[15]),
        kind=text(record[16]),
        lane=number(record[17]),
        source_sha256=text_or_none(record[18]),
        dispatches=dispatches(connection, text(record[1])),
    )


def rows(connection: Connection, asked: RowFilter) -> Page:
    """Return a page of sent documents, urgent ones first, then the newest; with the counts by state."""
    where, values = _conditions(asked)
    limit = max(1, min(asked.limit, LIMIT_MAX))
    order = "ORDER BY m.priority DESC, m.submitted_at DESC, m.id DESC"
    records = connection.exec_driver_sql(
        f"{_MESSAGE} WHERE {' AND '.join(where)} {order} LIMIT :limit", {**values, "limit": limit + 1}
    ).all()
    page = records[:limit]
    following = None
    if len(records) > limit:
        last = page[-1]
        following = cursor((last[9], last[11], last[0]))
    return Page(tuple(_row(connection, record, asked) for record in page), following, counts(connection))


def counts(connection: Connection) -> dict[str, int]:
    """Return how many sent documents are in each state."""
    found = connection.exec_driver_sql(_COUNTS)
    return {STATES[rank]: found_number for rank, found_number in found}


def _conditions(asked: RowFilter) -> tuple[list[str], dict[str, object]]:
    where, values = ["m.kind = 'edoc'"], dict[str, object]()
    if asked.state is not None:
        rank = STATES.index(asked.state) if asked.state in STATES else -1
        where.append(_STATE_IS)
        values["rank"] = rank
    if asked.agency is not None:
        where.append("EXISTS (SELECT 1 FROM dispatch d WHERE d.message = m.id AND d.recipient = :agency)")
        values["agency"] = asked.agency
    for name, sign, moment_ in (("since", ">=", asked.since), ("until", "<=", asked.until)):
        if moment_ is not None:
            where.append(f"m.submitted_at {sign} :{name}")
            values[name] = millis(moment_)
    if asked.search:
        where.append(
            "(instr(folded(m.subject), folded(:search)) > 0 OR instr(folded(m.document_id), folded(:search)) > 0 "
            "OR instr(folded(m.number || '/' || m.notation), folded(:search)) > 0)"
        )
        values["search"] = asked.search
    if asked.overdue:
        where.append(
            "EXISTS (SELECT 1 FROM dispatch d WHERE d.message = m.id AND (d.state = 'expired' "
            "OR (d.state IN ('queued', 'unknown', 'carrying') AND d.deadline < :now)))"
        )
        values["now"] = millis(asked.now) if asked.now else 0
    if asked.after is not None:
        where.append("(m.priority, m.submitted_at, m.id) < (:p1, :p2, :p3)")
        values["p1"], values["p2"], values["p3"] = position(asked.after)
    return where, values


def _row(connection: Connection, record: Record, asked: RowFilter | None) -> Row:
    states = connection.exec_driver_sql(_STATES_OF, (record[0],)).all()
    worst = min((state[5] for state in states), default=len(STATES) - 1)
    now = asked.now if asked else None
    late = [s for s in states if s[1] in ("queued", "unknown", "carrying") and is_past(moment(s[4]), now)]
    sent = [state[2] for state in states if state[2] is not None]
    codes = sorted({state[3] for state in states if state[3]})
    return Row(
        ref=f"msg:{record[1]}",
        message_id=text(record[1]),
        document_id=text(record[2]),
        number=text(record[3]),
        notation=text(record[4]),
        date=day_or_none(text_or_none(record[5])),
        type=text(record[6]),
        subject=text(record[7]),
        sender=text(record[8]),
        recipients=tuple(state[0] for state in states),
        priority=number(record[9]),
        state=STATES[worst],
        status_code=codes[-1] if codes else None,
        verdict=None,
        legal_class=text_or_none(record[10]),
        sent_at=moment(min(sent)) if sent else None,
        arrived_at=None,
        due_at=end_of_day(day_or_none(text_or_none(record[12]))),
        overdue=bool(late) or any(state[1] == "expired" for state in states),
        arrival_number=None,
        attachments=number(record[13]),
    )
