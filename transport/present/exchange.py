"""What goes and comes, as JSON (``Row``, ``Dispatch``, ``Receipt`` of console.md 2) and as lists (console.md 4.4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Protocol

from transport.ledger.event import Leaf
from transport.present import catalogue, errors
from transport.present.exits import Exit
from transport.present.screen import Screen, facts, table
from transport.present.text import VIETNAM, json_time, octets, person_date, person_time, sanitise
from transport.store.values import ArrivalView, DispatchView, Page, ReceiptView, Row, StatusView

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
        _short_ref(row.ref) if screen.terminal else row.ref,
        state_word(row.state, lang),
        catalogue.word(f"verdict.{row.verdict}", lang) if row.verdict else "",
        catalogue.word(f"class.{row.legal_class}", lang) if row.legal_class else "",
        number(row),
        ", ".join(names.get(code) or code for code in others),
        _shown(moment, screen),
        row.subject,
    ]


def _short_ref(ref: str) -> str:
    """Return a name short enough for a column that can still be typed: ``msg:`` and the first eight characters."""
    return ref[:12] if ref.startswith("msg:") else ref


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
    """Return ``edoc.send/1``; ``sent_at`` is when the first bytes left."""
    sent = [dispatch.sent_at for dispatch in dispatches if dispatch.sent_at]
    return {
        "schema": "edoc.send/1",
        "dry_run": False,
        "recipients": [agency(dispatch.key.recipient, names) for dispatch in dispatches],
        "message_id": message_id,
        "document_id": document_id,
        "sha256": sha256,
        "queued_at": _time(queued_at),
        "sent_at": _time(min(sent)) if sent else None,
        "dispatches": [dispatch_entry(dispatch, names, lang) for dispatch in dispatches],
    }


def would_send_document(recipients: Sequence[str], sha256: str, names: Names) -> dict[str, object]:
    """Return ``edoc.send/1`` of ``--dry-run``: whom it would go to, and the digest of the packed file."""
    return {
        "schema": "edoc.send/1",
        "dry_run": True,
        "recipients": [agency(code, names) for code in recipients],
        "message_id": None,
        "document_id": None,
        "sha256": sha256,
        "queued_at": None,
        "sent_at": None,
        "dispatches": [],
    }


def send_exit(dispatches: Sequence[DispatchView]) -> int:
    """Return 1 if one recipient refused or time ran out, 0 if all have it, else 4: queued, not yet delivered."""
    states = {dispatch.state.value for dispatch in dispatches}
    if states & {"refused", "expired", "recalled"}:
        return Exit.REFUSED
    return Exit.DONE if states == {"delivered"} else Exit.LATER


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


class LoggedEvent(Protocol):
    """A leaf in its place in the log."""

    @property
    def index(self) -> int: ...
    @property
    def leaf(self) -> Leaf: ...


class Shown(Protocol):
    """One document in full."""

    @property
    def row(self) -> Row: ...
    @property
    def files(self) -> Sequence[tuple[str, int, str, str]]: ...
    @property
    def verification(self) -> Mapping[str, object] | None: ...
    @property
    def timeline(self) -> Sequence[LoggedEvent]: ...
    @property
    def receipts(self) -> Sequence[ReceiptView]: ...
    @property
    def dispatches(self) -> Sequence[DispatchView]: ...
    @property
    def statuses(self) -> Sequence[StatusView]: ...


# --- one document ----------------------------------------------------------------------------------------------------


def show_document(shown: Shown, names: Names, lang: str) -> dict[str, object]:
    """Return ``edoc.show/1``."""
    return {
        "schema": "edoc.show/1",
        "document": row_entry(shown.row, names),
        "fields": {name: value for name, value in fields(shown.row, names, lang).items() if value},
        "files": [
            {"name": name, "size": size, "sha256": sha256, "content_type": content_type, "path": None}
            for name, size, sha256, content_type in shown.files
        ],
        "verification": dict(shown.verification) if shown.verification is not None else None,
        "timeline": [_event(entry) for entry in shown.timeline],
        "receipts": [receipt_entry(receipt, names) for receipt in shown.receipts],
        "dispatches": [dispatch_entry(dispatch, names, lang) for dispatch in shown.dispatches],
        "links": [],
    }


def _event(entry: LoggedEvent) -> dict[str, object]:
    """Return a line of the timeline; people stand in the ledger as commitments only, so they are not named here."""
    leaf = entry.leaf
    note = leaf.text("reason") or leaf.text("status")
    return {"at": json_time(leaf.at), "event": leaf.kind, "actor": None, "note": note, "ledger_index": entry.index}


def show_lines(shown: Shown, names: Names, screen: Screen) -> list[str]:
    """Return the document for a person: facts, files, recipients, timeline."""
    lang = screen.lang
    lines = facts(fields(shown.row, names, lang), screen)
    lines += ["", *_file_table(shown, screen)] if shown.files else []
    if shown.dispatches:
        lines += ["", *(dispatch_line(dispatch, names, screen) for dispatch in shown.dispatches)]
    if shown.timeline:
        headings = [catalogue.word(f"column.{name}", lang) for name in ("time", "event", "note", "index")]
        rows = [
            [person_time(entry.leaf.at), event_word(entry.leaf.kind, lang), _note(entry), str(entry.index)]
            for entry in shown.timeline
        ]
        lines += ["", *table(headings, rows, screen)]
    return lines


def _file_table(shown: Shown, screen: Screen) -> list[str]:
    headings = [catalogue.word(f"column.{name}", screen.lang) for name in ("number_of", "name", "size", "sha256")]
    rows = [
        [str(number), name, octets(size, screen.lang) if screen.terminal else str(size), sha256]
        for number, (name, size, sha256, _) in enumerate(shown.files, 1)
    ]
    return table(headings, rows, screen)


def _note(entry: LoggedEvent) -> str:
    return " ".join(filter(None, (entry.leaf.text("status"), entry.leaf.text("reason"))))


def event_word(kind: str, lang: str) -> str:
    """Return an event of the ledger in words; one without words stands for itself."""
    key = f"event.{kind}"
    return catalogue.word(key, lang) if catalogue.has_word(key) else kind


def status_document(shown: Shown, names: Names) -> dict[str, object]:
    """Return ``edoc.status/1`` of one document: what each recipient has reported last."""
    return {
        "schema": "edoc.status/1",
        "document": row_entry(shown.row, names),
        "recipients": [_told(code, shown, names) for code in shown.row.recipients],
    }


def _told(code: str, shown: Shown, names: Names) -> dict[str, object]:
    reports = [status for status in shown.statuses if status.key.recipient == code]
    last = max(reports, key=lambda status: status.recorded_at, default=None)
    return {
        "to": agency(code, names),
        "code": last.status.code if last else None,
        "at": json_time(last.recorded_at) if last else None,
        "note": (last.status.note or last.status.reason) if last else None,
    }


def status_lines(shown: Shown, names: Names, screen: Screen) -> list[str]:
    """Return how a document stands with each recipient."""
    rows = []
    for code in shown.row.recipients:
        told = _told(code, shown, names)
        state = next((one.state.value for one in shown.dispatches if one.key.recipient == code), shown.row.state)
        rows.append(
            [
                code,
                names.get(code, ""),
                state_word(state, screen.lang),
                str(told["code"] or ""),
                str(told["note"] or ""),
            ]
        )
    headings = [catalogue.word(f"column.{name}", screen.lang) for name in ("code", "name", "state", "status", "note")]
    return table(headings, rows, screen)


class Standing(Protocol):
    """The node at a glance."""

    @property
    def agency(self) -> str: ...
    @property
    def counts(self) -> Mapping[str, int]: ...
    @property
    def overdue(self) -> Sequence[Row]: ...
    @property
    def ledger_size(self) -> int: ...


def node_document(standing: Standing, names: Names, certificates: Sequence[Mapping[str, object]]) -> dict[str, object]:
    """Return ``edoc.status/1`` of the node; this version does not anchor its ledger, so it is never late."""
    return {
        "schema": "edoc.status/1",
        "agency": agency(standing.agency, names),
        "counts": dict(standing.counts),
        "overdue": [row_entry(row, names) for row in standing.overdue],
        "ledger": {"size": standing.ledger_size, "anchored_at": None, "late": False},
        "certificates": [dict(certificate) for certificate in certificates],
    }


def node_lines(
    standing: Standing, names: Names, certificates: Sequence[Mapping[str, object]], screen: Screen
) -> list[str]:
    """Return the node on one screen."""
    lang = screen.lang
    pairs = {catalogue.word("column.agency", lang): _named(standing.agency, names.get(standing.agency))}
    for name, count in standing.counts.items():
        book, _, state = name.partition("_")
        pairs[f"{catalogue.word(f'book.{book}', lang)} · {state_word(state, lang)}"] = str(count)
    pairs[catalogue.word("status.overdue", lang)] = str(len(standing.overdue))
    pairs[catalogue.word("status.ledger", lang)] = str(standing.ledger_size)
    for certificate in certificates:
        pairs[f"{catalogue.word('status.key', lang)} {certificate['name']}"] = str(certificate["until"])
    return facts(pairs, screen)


class Decision(Protocol):
    """A clerk's decision as taken."""

    @property
    def arrival(self) -> ArrivalView: ...
    @property
    def at(self) -> datetime: ...
    @property
    def number(self) -> int | None: ...
    @property
    def dispatches(self) -> Sequence[DispatchView]: ...


def accept_document(decided: Decision, *, despite: str | None) -> dict[str, object]:
    """Return ``edoc.accept/1``."""
    return {
        "schema": "edoc.accept/1",
        "ref": decided.arrival.row.ref,
        "arrival_number": decided.number,
        "accepted_at": json_time(decided.at),
        "verdict": decided.arrival.verdict,
        "legal_class": decided.arrival.legal_class,
        "decided_despite": despite,
    }


def return_document(decided: Decision, names: Names, lang: str, *, reason: str, note: str | None) -> dict[str, object]:
    """Return ``edoc.return/1``."""
    return {
        "schema": "edoc.return/1",
        "ref": decided.arrival.row.ref,
        "returned_at": json_time(decided.at),
        "reason": reason,
        "note": note,
        "dispatch": dispatch_entry(decided.dispatches[0], names, lang) if decided.dispatches else None,
    }


def decision_line(decided: Decision, screen: Screen) -> str:
    """Return the line about a decision: what the document now is, and its arrival number."""
    row = decided.arrival.row
    text = catalogue.word(
        "decision.number" if decided.number else "decision.done",
        screen.lang,
        ref=sanitise(number(row) or row.ref),
        state=state_word(decided.arrival.state, screen.lang),
        number=decided.number,
    )
    return f"{screen.paint(screen.sign('good'), 'good')} {text}"


# --- questions, small documents --------------------------------------------------------------------------------------


def question(act: str, ref: str, lang: str) -> str:
    """Return the question before an act that leaves the office."""
    return catalogue.word(f"question.{act}", lang, ref=sanitise(ref))


def send_question(file: str, recipients: Sequence[str], lang: str) -> str:
    """Return the question before sending: which file, to whom."""
    return catalogue.word("question.send", lang, ref=sanitise(file), to=sanitise(", ".join(recipients)))


def would_send_lines(recipients: Sequence[str], sha256: str, names: Names, lang: str) -> list[str]:
    """Return what ``--dry-run`` prints: one line per recipient."""
    return [
        catalogue.word("send.would", lang, to=sanitise(_named(code, names.get(code))), sha256=sha256)
        for code in recipients
    ]


def serve_document(pid: int, urls: Mapping[str, str]) -> dict[str, object]:
    """Return ``edoc.serve/1``."""
    return {"schema": "edoc.serve/1", "pid": pid, "urls": dict(urls)}
