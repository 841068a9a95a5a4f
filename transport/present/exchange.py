"""What goes and comes, as JSON (``Row``, ``Dispatch``, ``Receipt`` of console.md 2) and as lists (console.md 4.4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime

from transport.present import catalogue, errors
from transport.present.screen import Screen, table
from transport.present.text import VIETNAM, json_time, person_date, person_time, sanitise
from transport.store.values import DispatchView, Page, ReceiptView, Row

Names = Mapping[str, str]  # agency code → name

_TONES = {
    "delivered": "good",
    "refused": "bad",
    "expired": "bad",
    "recalled": "bad",
    "queued": "open",
    "carrying": "open",
    "unknown": "open",
}


def agency(code: str, names: Names) -> dict[str, object]:
    """Return ``Agency``."""
    return {"code": code, "name": names.get(code) or None}


def _time(moment: datetime | None) -> str | None:
    return json_time(moment) if moment is not None else None


def _day(day: date | None) -> str | None:
    return day.isoformat() if day is not None else None


def receipt_entry(receipt: ReceiptView, names: Names) -> dict[str, object]:
    """Return ``Receipt``; only receipts that were verified are kept, so its verdict is *valid*."""
    issuer = receipt.key.recipient
    place = receipt.ledger
    return {
        "id": receipt.receipt_id,
        "event": receipt.event,
        "at": json_time(receipt.issued_at),
        "from": agency(issuer, names),
        "sha256": receipt.sha256,
        "ledger": {"origin": place.origin, "index": place.index} if place else None,
        "verdict": "valid",
    }


def dispatch_entry(dispatch: DispatchView, names: Names, lang: str) -> dict[str, object]:
    """Return ``Dispatch``."""
    problem = _problem(dispatch.problem, lang)
    return {
        "id": str(dispatch.dispatch_id),
        "to": agency(dispatch.key.recipient, names),
        "state": dispatch.state.value,
        "lane": dispatch.lane,
        "attempts": dispatch.attempts,
        "next_at": _time(dispatch.next_at),
        "deadline": json_time(dispatch.deadline),
        "receipt": receipt_entry(dispatch.receipt, names) if dispatch.receipt else None,
        "problem": errors.as_json(problem) if problem else None,
    }


def _problem(name: str | None, lang: str) -> errors.Fault | None:
    return errors.fault_of("EDOC-EXC-001", {"problem": name}, lang) if name else None


def row_entry(row: Row, names: Names) -> dict[str, object]:
    """Return ``Row``."""
    return {
        "ref": row.ref,
        "message_id": row.message_id,
        "document_id": row.document_id,
        "number": row.number,
        "notation": row.notation,
        "date": _day(row.date),
        "type": row.type,
        "subject": row.subject,
        "from": {"code": row.sender, "name": row.sender_name or names.get(row.sender) or None},
        "to": [agency(code, names) for code in row.recipients],
        "priority": row.priority,
        "state": row.state,
        "status_code": row.status_code,
        "verdict": row.verdict,
        "legal_class": row.legal_class,
        "sent_at": _time(row.sent_at),
        "arrived_at": _time(row.arrived_at),
        "due_at": _time(row.due_at),
        "overdue": row.overdue,
        "arrival_number": row.arrival_number,
        "attachments": row.attachments,
    }


def list_document(book: str, page: Page, names: Names) -> dict[str, object]:
    """Return ``edoc.inbox/1`` or ``edoc.outbox/1``."""
    items = [row_entry(row, names) for row in page.rows]
    return {"schema": f"edoc.{book}/1", "items": items, "next": page.next, "counts": dict(page.counts)}


def list_lines(book: str, page: Page, names: Names, screen: Screen) -> list[str]:
    """Return the list a person reads: ref, state, verdict, class, number, other side, time, subject."""
    heads = ("ref", "state", "verdict", "class", "number", "agency", "time", "subject")
    rows = [_cells(book, row, names, screen) for row in page.rows]
    headings = [catalogue.word(f"column.{head}", screen.lang) for head in heads]
    lines = table(headings, rows, screen)
    if screen.terminal and not rows:
        return [catalogue.word("list.empty", screen.lang)]
    return lines


def _cells(book: str, row: Row, names: Names, screen: Screen) -> list[str]:
    lang = screen.lang
    others = [row.sender] if book == "inbox" else list(row.recipients)
    moment = row.arrived_at if book == "inbox" else row.sent_at
    return [
        row.ref,
        state_word(row.state, lang),
        catalogue.word(f"verdict.{row.verdict}", lang) if row.verdict else "",
        catalogue.word(f"class.{row.legal_class}", lang) if row.legal_class else "",
        number(row),
        ", ".join(names.get(code) or code for code in others),
        _shown(moment, screen),
        row.subject,
    ]


def _shown(moment: datetime | None, screen: Screen) -> str:
    if moment is None:
        return ""
    return f"{moment.astimezone(VIETNAM):%d/%m/%Y %H:%M}" if screen.terminal else person_time(moment)


def number(row: Row) -> str:
    """Return number and notation as written on the document: ``120/SMA-VP``."""
    return f"{row.number}/{row.notation}" if row.number and row.notation else row.number or row.notation


def state_word(state: str, lang: str) -> str:
    """Return a state in words; one without words stands for itself."""
    key = f"state.{'unknown_dispatch' if state == 'unknown' else state}"
    return catalogue.word(key, lang) if catalogue.has_word(key) else state


def send_document(
    *,
    message_id: str,
    document_id: str,
    sha256: str,
    queued_at: datetime | None,
    dispatches: Sequence[DispatchView],
    names: Names,
    lang: str,
) -> dict[str, object]:
    """Return ``edoc.send/1``; ``sent_at`` is when the first recipient's receipt was settled or sending began."""
    sent = [dispatch.sent_at for dispatch in dispatches if dispatch.sent_at]
    return {
        "schema": "edoc.send/1",
        "message_id": message_id,
        "document_id": document_id,
        "sha256": sha256,
        "queued_at": _time(queued_at),
        "sent_at": _time(min(sent)) if sent else None,
        "dispatches": [dispatch_entry(dispatch, names, lang) for dispatch in dispatches],
    }


def dispatch_line(dispatch: DispatchView, names: Names, screen: Screen) -> str:
    """Return the line about one recipient: state, receipt and its place in the ledger, or when the next try is."""
    tone = _TONES.get(dispatch.state.value, "open")
    code = dispatch.key.recipient
    parts = [f"{names.get(code) or code} ({code})", state_word(dispatch.state.value, screen.lang)]
    if dispatch.receipt:
        parts.append(catalogue.word("dispatch.receipt", screen.lang, at=dispatch.receipt.issued_at))
    elif dispatch.next_at and dispatch.state.value in {"queued", "unknown"}:
        parts.append(catalogue.word("dispatch.next", screen.lang, at=dispatch.next_at))
    if dispatch.problem:
        parts.append(dispatch.problem)
    return f"{screen.paint(screen.sign(tone), tone)} " + " · ".join(sanitise(part) for part in parts)


def fields(row: Row, names: Names, lang: str) -> dict[str, str]:
    """Return the facts of a document with their names, for ``show``."""
    return {
        catalogue.word("column.number", lang): number(row),
        catalogue.word("column.date", lang): person_date(row.date) if row.date else "",
        catalogue.word("column.type", lang): row.type,
        catalogue.word("column.subject", lang): row.subject,
        catalogue.word("column.from", lang): _named(row.sender, row.sender_name or names.get(row.sender)),
        catalogue.word("column.to", lang): ", ".join(_named(code, names.get(code)) for code in row.recipients),
        catalogue.word("column.document", lang): row.document_id,
        catalogue.word("column.message", lang): row.message_id,
        catalogue.word("column.state", lang): state_word(row.state, lang),
        catalogue.word("column.verdict", lang): catalogue.word(f"verdict.{row.verdict}", lang) if row.verdict else "",
        catalogue.word("column.class", lang): (
            catalogue.word(f"class.{row.legal_class}", lang) if row.legal_class else ""
        ),
        catalogue.word("column.sent", lang): person_time(row.sent_at) if row.sent_at else "",
        catalogue.word("column.arrived", lang): person_time(row.arrived_at) if row.arrived_at else "",
        catalogue.word("column.due", lang): person_time(row.due_at) if row.due_at else "",
        catalogue.word("column.arrival", lang): str(row.arrival_number or ""),
        catalogue.word("column.attachments", lang): str(row.attachments),
    }


def _named(code: str, name: str | None) -> str:
    return f"{name} ({code})" if name else code
