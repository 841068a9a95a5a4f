"""``edoc dispatch`` in JSON (``edoc.dispatch/1``) and for a person: attempts, why it waits, what was done (4.4)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from transport.present import catalogue
from transport.present.exchange import Names, dispatch_entry, dispatch_line, receipt_entry, state_word
from transport.present.screen import Screen, table
from transport.present.text import json_time, person_time, sanitise
from transport.store.dispatchlist import Detail
from transport.store.values import AttemptView, ReceiptView


def document(
    items: Sequence[Detail],
    names: Names,
    lang: str,
    *,
    following: str | None = None,
    path: str | None = None,
    receipt: ReceiptView | None = None,
) -> dict[str, object]:
    """Return ``edoc.dispatch/1``; ``path`` is a file that was written, ``receipt`` one that was given for a message."""
    return {
        "schema": "edoc.dispatch/1",
        "items": [entry(one, names, lang) for one in items],
        "next": following,
        "path": path,
        "receipt": receipt_entry(receipt, names) if receipt is not None else None,
    }


def entry(one: Detail, names: Names, lang: str) -> dict[str, object]:
    """Return ``Dispatch`` with its ref, its attempts and what else is queryable (exchange.md 6)."""
    view = one.view
    return {
        **dispatch_entry(view, names, lang),
        "ref": f"msg:{view.key.message_id}",
        "mode": one.mode,
        "exposed": view.exposed,
        "recall_requested": one.recall_requested,
        "submitted_at": json_time(view.submitted_at),
        "first_at": _time(one.first_at),
        "last_at": _time(one.last_at),
        "settled_at": _time(view.settled_at),
        "attempts_log": [_attempt(attempt) for attempt in one.attempts],
    }


def _attempt(attempt: AttemptView) -> dict[str, object]:
    return {
        "n": attempt.n,
        "start": json_time(attempt.started_at),
        "end": _time(attempt.ended_at),
        "outcome": attempt.outcome,
        "status": attempt.status,
        "problem": attempt.problem,
        "peer": attempt.peer,
    }


def _time(moment: datetime | None) -> str | None:
    return json_time(moment) if moment is not None else None


def lines(items: Sequence[Detail], names: Names, screen: Screen) -> list[str]:
    """Return the list a person reads: ref, recipient, state, lane, attempts, next try, deadline, last problem."""
    heads = ("ref", "agency", "state", "lane", "attempts", "next", "deadline", "problem")
    if screen.terminal and not items:
        return [catalogue.word("list.empty", screen.lang)]
    rows = [_cells(one, names, screen) for one in items]
    return table([catalogue.word(f"column.{head}", screen.lang) for head in heads], rows, screen)


def _cells(one: Detail, names: Names, screen: Screen) -> list[str]:
    view = one.view
    code = view.key.recipient
    ref = f"msg:{view.key.message_id}"
    return [
        ref[:12] if screen.terminal else ref,
        names.get(code) or code,
        state_word(view.state.value, screen.lang),
        str(view.lane),
        str(view.attempts),
        person_time(view.next_at) if view.next_at else "",
        person_time(view.deadline),
        view.problem or "",
    ]


def why_lines(items: Sequence[Detail], names: Names, screen: Screen) -> list[str]:
    """Return, per dispatch, how it stands, why it waits, and every attempt with its answer."""
    found: list[str] = []
    for one in items:
        found += [dispatch_line(one.view, names, screen), f"  {reason(one, screen.lang)}"]
        found += [f"  {_attempt_line(attempt, screen.lang)}" for attempt in one.attempts]
    return found


def reason(one: Detail, lang: str) -> str:
    """Return in words why a dispatch stands where it stands."""
    view = one.view
    if one.recall_requested and view.state.value in ("queued", "carrying", "unknown"):
        name = "why.recalling.second" if one.absent_at else "why.recalling"
        return catalogue.word(name, lang, at=one.absent_at or view.submitted_at)
    if view.state.value in ("queued", "unknown") and one.mode == "pull":
        return catalogue.word("why.pull", lang)
    if view.state.value in ("queued", "unknown") and one.circuit_until is not None:
        return catalogue.word("why.circuit", lang, at=one.circuit_until)
    name = {"queued": "why.waits", "unknown": "why.unknown"}.get(view.state.value, f"why.{view.state.value}")
    at = view.next_at or view.settled_at or view.submitted_at
    problem = _refusal(one) or (problem_words(view.problem, lang) if view.problem else None)
    if problem is None and catalogue.has_word(f"{name}.yet"):
        name = f"{name}.yet"
    return catalogue.word(name, lang, at=at, problem=sanitise(problem or "-"), deadline=view.deadline)


def problem_words(name: str, lang: str) -> str:
    """Return a problem in words with its name in brackets; a name we have no words for stands for itself."""
    from transport.http.wire import PROBLEMS

    row = PROBLEMS.get(name)
    words = (row.en if lang == "en" else row.vi) if row is not None else None
    if words is None and catalogue.has_word(f"refusal.{name}"):
        words = catalogue.word(f"refusal.{name}", lang)
    return f"{words} ({name})" if words else name


def _refusal(one: Detail) -> str | None:
    """Return why the recipient refused, by its receipt: the code and its words."""
    receipt = one.view.receipt
    if receipt is None or not receipt.event.endswith("RelayRejection"):
        return None
    from transport.receiptform import parse

    lines = parse(receipt.data).reasons
    return "; ".join(f"{line.code}: {line.text}" for line in lines)


def _attempt_line(attempt: AttemptView, lang: str) -> str:
    parts = [f"{attempt.n}.", person_time(attempt.started_at)]
    how = f"attempt.{attempt.outcome or 'open'}"
    parts.append(catalogue.word(how, lang) if catalogue.has_word(how) else sanitise(attempt.outcome or "-"))
    parts += [f"HTTP {attempt.status}"] if attempt.status else []
    parts += [sanitise(problem_words(attempt.problem, lang))] if attempt.problem else []
    return " · ".join([" ".join(parts[:2]), *parts[2:]])


def brought_line(kind: str, state: str, path: str | None, screen: Screen) -> str:
    """Return the line about a file that was taken in: what became of it, and where our receipt lies."""
    tone = "good" if state in ("accepted", "delivered") else "bad"
    text = catalogue.word(
        f"brought.{kind}", screen.lang, state=state_word(state, screen.lang), path=sanitise(path or "-")
    )
    return f"{screen.paint(screen.sign(tone), tone)} {text}"
