"""``edoc.audit/1`` and ``edoc.evidence/1``, and the lines a person reads: one per step with its word (ledger.md 10)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache

from transport.evidence.result import STEPS, AuditedEvent, AuditItem, AuditResult, Check, Identity, Result
from transport.present import catalogue
from transport.present.exits import Exit
from transport.present.screen import Screen
from transport.present.text import json_time, pad, sanitise

EXITS = {Result.PROVED: Exit.DONE, Result.NOT_PROVED: Exit.INDETERMINATE, Result.BROKEN: Exit.REFUSED}
TONES = {Result.PROVED: "good", Result.NOT_PROVED: "open", Result.BROKEN: "bad"}


@cache
def _texts() -> Mapping[str, Mapping[str, Mapping[str, str]]]:
    return catalogue.read("audit")  # type: ignore[return-value]  # the form is checked by tests/console


def _text(table: str, key: str, lang: str, facts: Mapping[str, object] | None = None) -> str:
    found = _texts().get(table, {}).get(key)
    return catalogue.fill(found[lang], facts or {}) if found else key


def reason_text(code: str, lang: str, facts: Mapping[str, object]) -> str:
    """Return a reason of the audit in words; codes in capitals are those of signing.md 8."""
    if code.isupper():
        return catalogue.reason(code, facts, lang)
    return _text("reasons", code, lang, facts)


def check_text(check: Check, lang: str) -> str:
    """Return a line of the audit in words: the step, its word, and why."""
    why = "; ".join(reason_text(code, lang, check.detail) for code in check.reasons)
    words = f"{_text('steps', check.id, lang)}: {_text('results', check.result.value, lang)}"
    return f"{words} ({why})" if why else words


def document(results: Sequence[AuditResult], lang: str) -> dict[str, object]:
    """Return ``edoc.audit/1`` over all files; head and steps asked for are those of the first."""
    head = results[0]
    return {
        "schema": "edoc.audit/1",
        "checked_at": json_time(head.checked_at),
        "at": json_time(head.at),
        "software": head.software,
        "only": list(head.only),
        "items": [_item(item, lang) for result in results for item in result.items],
    }


def _item(item: AuditItem, lang: str) -> dict[str, object]:
    message = item.message
    return {
        "path": item.path,
        "sha256": item.sha256,
        "result": item.result.value,
        "scope": item.scope,
        "message": {"msg": message.msg, "doc": message.doc, "from": message.sender, "to": list(message.recipients)},
        "identities": [_identity(identity) for identity in item.identities],
        "checks": [_check(check, lang) for check in item.checks],
        "events": [_event(event) for event in item.events],
    }


def _identity(identity: Identity) -> dict[str, object]:
    return {
        "role": identity.role,
        "name": identity.name,
        "code": identity.code,
        "code_proved": identity.code_proved,
        "certificate_sha256": identity.certificate_sha256,
    }


def _check(check: Check, lang: str) -> dict[str, object]:
    return {
        "no": check.no,
        "id": check.id,
        "event": check.event,
        "needed": check.needed,
        "result": check.result.value,
        "reasons": list(check.reasons),
        "text": check_text(check, lang),
        "detail": dict(check.detail),
    }


def _event(event: AuditedEvent) -> dict[str, object]:
    return {
        "no": event.no,
        "name": event.name,
        "side": event.side,
        "kind": event.kind,
        "at": json_time(event.at) if event.at else None,
        "not_after": json_time(event.not_after) if event.not_after else None,
        "origin": event.origin,
        "index": event.index,
        "leaf": event.leaf,
        "status": event.status,
        "result": event.result.value,
    }


def lines(item: AuditItem, only: Sequence[str], screen: Screen) -> list[str]:
    """Return the audit of one package: what was asked for, the word over all, then one line per step."""
    lang = screen.lang
    if not screen.terminal:
        return [_record(item, name, lang) for name in _steps(item)]
    word = _text("results", item.result.value, lang).upper()
    tone = TONES[item.result]
    head = f"{screen.paint(f'{screen.sign(tone)} {word}', tone)}  {sanitise(item.path)}"
    shown = [f"{catalogue.word('audit.only', lang)}: {', '.join(only)}"] if only else []
    shown.append(f"{head} · {_text('scopes', item.scope, lang)}")
    return [*shown, *(_line(item, name, screen) for name in _steps(item))]


def _steps(item: AuditItem) -> Iterable[str]:
    present = {check.id for check in item.checks}
    return (name for name in STEPS if name in present)


def _line(item: AuditItem, name: str, screen: Screen) -> str:
    result = item.step(name)
    sign = screen.paint(screen.sign(TONES[result]), TONES[result])
    needed = any(check.needed for check in item.checks if check.id == name)
    mark = "" if needed else f" · {catalogue.word('audit.informs', screen.lang)}"
    title = pad(_text("steps", name, screen.lang), 30)
    word = _text("results", result.value, screen.lang)
    return f"  {sign} {pad(name, 12)} {title} {word}{_why(item, name, screen.lang)}{mark}"


def _why(item: AuditItem, name: str, lang: str) -> str:
    found = [
        reason_text(code, lang, check.detail) for check in item.checks if check.id == name for code in check.reasons
    ]
    return f": {sanitise('; '.join(dict.fromkeys(found)))}" if found else ""


def _record(item: AuditItem, name: str, lang: str) -> str:
    cells = (item.path, name, _text("results", item.step(name).value, lang), _why(item, name, lang).removeprefix(": "))
    return "\t".join(sanitise(cell) for cell in cells)


def evidence_document(
    *, path: str, sha256: str, events: Sequence[str], checkpoint: tuple[str, int], audit: AuditResult
) -> dict[str, object]:
    """Return ``edoc.evidence/1``; *complete* means that no step lacks a part of the package."""
    item = audit.items[0]
    return {
        "schema": "edoc.evidence/1",
        "path": path,
        "sha256": sha256,
        "events": list(events),
        "checkpoint": {"origin": checkpoint[0], "size": checkpoint[1]},
        "complete": item.scope == "both-sides" and item.step("content") is Result.PROVED,
        "result": audit.result.value,
    }
