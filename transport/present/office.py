"""The node and its tables, as JSON and as lines (console.md 4.6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Protocol

from transport.present import catalogue
from transport.present.screen import Screen, table
from transport.present.text import json_time, pad, person_time, sanitise, seconds

_TONES = {"ok": "good", "warn": "open", "fail": "bad", "skip": "dim"}


class Examined(Protocol):
    """A finding of ``edoc doctor``."""

    @property
    def id(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def facts(self) -> Mapping[str, object]: ...


def _sentence(finding: Examined, lang: str) -> tuple[str, str | None]:
    """Return what was found and, unless all is well, what to do."""
    key = f"doctor.{finding.id}.{finding.status}"
    text = catalogue.word(key if catalogue.has_word(key) else f"doctor.{finding.id}", lang, **finding.facts)
    remedy = f"doctor.{finding.id}.next"
    if finding.status not in {"warn", "fail"} or not catalogue.has_word(remedy):
        return text, None
    return text, catalogue.word(remedy, lang, **finding.facts)


def doctor_document(findings: Sequence[Examined], lang: str) -> dict[str, object]:
    """Return ``edoc.doctor/1``."""
    checks = []
    for finding in findings:
        text, remedy = _sentence(finding, lang)
        checks.append({"id": finding.id, "status": finding.status, "text": text, "next": remedy})
    return {"schema": "edoc.doctor/1", "checks": checks}


def doctor_lines(findings: Sequence[Examined], screen: Screen) -> list[str]:
    """Return one line per check, and the remedy below one that is not well."""
    lines = []
    for finding in findings:
        text, remedy = _sentence(finding, screen.lang)
        word = catalogue.word(f"doctor.status.{finding.status}", screen.lang)
        if not screen.terminal:
            lines.append("\t".join(sanitise(cell) for cell in (word, finding.id, text, remedy or "")))
            continue
        tone = _TONES[finding.status]
        sign = screen.sign(tone) if tone in {"good", "bad", "open"} else "–"
        lines.append(f"{screen.paint(pad(f'{sign} {word}', 14), tone)}{sanitise(text)}")
        if remedy:
            lines.append(f"{' ' * 14}→ {sanitise(remedy)}")
    return lines


# --- tables of the node ----------------------------------------------------------------------------------------------


class CertificateLike(Protocol):
    """A certificate registered for an agency."""

    @property
    def sha256(self) -> str: ...


class AgencyLike(Protocol):
    """An agency of the directory."""

    @property
    def code(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def old_codes(self) -> tuple[str, ...]: ...
    @property
    def valid_from(self) -> date | None: ...
    @property
    def valid_to(self) -> date | None: ...
    @property
    def successor(self) -> str | None: ...
    @property
    def certificates(self) -> Sequence[CertificateLike]: ...


def agency_document(agencies: Sequence[AgencyLike], urls: Mapping[str, str | None]) -> dict[str, object]:
    """Return ``edoc.agency/1``."""
    return {"schema": "edoc.agency/1", "agencies": [_agency(item, urls.get(item.code)) for item in agencies]}


def _agency(item: AgencyLike, url: str | None) -> dict[str, object]:
    return {
        "code": item.code,
        "name": item.name,
        "url": url,
        "old_codes": list(item.old_codes),
        "valid_from": item.valid_from.isoformat() if item.valid_from else None,
        "valid_to": item.valid_to.isoformat() if item.valid_to else None,
        "successor": item.successor,
        "certificates": [certificate.sha256 for certificate in item.certificates],
    }


def agency_lines(agencies: Sequence[AgencyLike], urls: Mapping[str, str | None], screen: Screen) -> list[str]:
    """Return the table of agencies."""
    rows = [[item.code, item.name, urls.get(item.code) or "", str(len(item.certificates))] for item in agencies]
    return table(_headings(("code", "name", "url", "certificates"), screen), rows, screen)


def _headings(names: Sequence[str], screen: Screen) -> list[str]:
    return [catalogue.word(f"column.{name}", screen.lang) for name in names]


@dataclass(frozen=True, slots=True)
class AnchorRow:
    """A trusted certificate as it is listed."""

    sha256: str
    subject: str
    not_after: datetime
    use: str
    added_at: datetime | None = None
    basis: str | None = None


def trust_document(anchors: Sequence[AnchorRow]) -> dict[str, object]:
    """Return ``edoc.trust/1``."""
    return {
        "schema": "edoc.trust/1",
        "anchors": [
            {
                "sha256": item.sha256,
                "subject": item.subject,
                "not_after": json_time(item.not_after),
                "use": item.use,
                "added_at": json_time(item.added_at) if item.added_at else None,
                "basis": item.basis,
            }
            for item in anchors
        ],
    }


def trust_lines(anchors: Sequence[AnchorRow], screen: Screen) -> list[str]:
    """Return the table of anchors."""
    rows = [[item.subject, item.use, person_time(item.not_after), item.sha256] for item in anchors]
    return table(_headings(("subject_name", "use", "until", "sha256"), screen), rows, screen)


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key as it is listed; ``kind`` is ``file`` or ``token``. What only a certificate says may be missing."""

    name: str
    role: str
    kind: str
    subject: str | None
    serial: str | None
    issuer: str | None
    not_after: datetime | None
    sha256: str


def key_document(keys: Sequence[KeyRow], *, now: datetime) -> dict[str, object]:
    """Return ``edoc.key/1``; nothing of a private part is in it."""
    return {"schema": "edoc.key/1", "keys": [_key(item, now) for item in keys]}


def _key(item: KeyRow, now: datetime) -> dict[str, object]:
    return {
        "name": item.name,
        "role": item.role,
        "kind": item.kind,
        "subject": item.subject,
        "serial": item.serial,
        "issuer": item.issuer,
        "not_after": json_time(item.not_after) if item.not_after else None,
        "days_left": (item.not_after - now).days if item.not_after else None,
        "sha256": item.sha256,
    }


def key_lines(keys: Sequence[KeyRow], screen: Screen) -> list[str]:
    """Return the table of keys."""
    rows = [
        [item.name, item.role, item.subject or "", person_time(item.not_after) if item.not_after else "", item.sha256]
        for item in keys
    ]
    return table(_headings(("name", "role", "subject_name", "until", "sha256"), screen), rows, screen)


def requested(item: KeyRow, request: str, lang: str) -> str:
    """Return where a new key and the request for its certificate lie."""
    return catalogue.word("key.requested", lang, file=sanitise(item.name), request=sanitise(request))


class TokenLike(Protocol):
    """A token that is plugged in."""

    @property
    def label(self) -> str: ...
    @property
    def serial(self) -> str: ...
    @property
    def manufacturer(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def pin(self) -> str: ...


def token_lines(token: TokenLike, keys: Sequence[KeyRow], screen: Screen) -> list[str]:
    """Return a token and how its PIN stands, and below it each certificate with the address to sign with."""
    state = catalogue.word(f"token.state.{token.pin}", screen.lang)
    maker = f"{token.manufacturer} {token.model}".strip()
    lines = ["\t".join(sanitise(cell) for cell in (token.label, token.serial, maker, state))]
    if screen.terminal:
        lines = [f"{sanitise(token.label)} · {sanitise(token.serial)} · {sanitise(maker)} · {state}"]
    for item in keys:
        until = person_time(item.not_after) if item.not_after else ""
        cells = [sanitise(cell) for cell in (item.subject or "", until, item.name)]
        lines.append("    " + (" · ".join(cells) if screen.terminal else "\t".join(cells)))
    return lines


def token_tested(item: KeyRow, schemes: Sequence[str], screen: Screen) -> list[str]:
    """Return what a token's key did when it was tried."""
    what = catalogue.word("token.tested", screen.lang, subject=sanitise(item.subject or "-"))
    return [f"{screen.sign('good')} {what}: {', '.join(schemes)}"]


def question(key: str, lang: str, what: str, lines: Sequence[str]) -> str:
    """Return the question before an act on trust: what, and the fingerprints to compare."""
    listed = "".join(f"\n    {sanitise(line)}" for line in lines)
    return catalogue.word(f"question.{key}", lang, what=sanitise(what)) + listed + ("\n" if lines else "")


def not_an_authority(subject: str, lang: str) -> str:
    """Return the warning about an anchor that is neither an authority nor self-signed."""
    return catalogue.word("trust.not_authority", lang, subject=sanitise(subject))


class CreatedLike(Protocol):
    """What ``init`` made."""

    @property
    def home(self) -> Path: ...
    @property
    def database(self) -> str: ...
    @property
    def origin(self) -> str: ...
    @property
    def vkey(self) -> str: ...
    @property
    def paths(self) -> Sequence[str]: ...


def init_document(created: CreatedLike, *, agency: str) -> dict[str, object]:
    """Return ``edoc.init/1``."""
    key_id = created.vkey.split("+")[1] if created.vkey.count("+") >= 2 else created.vkey
    return {
        "schema": "edoc.init/1",
        "home": str(created.home),
        "agency": agency,
        "database": created.database,
        "ledger": {"origin": created.origin, "key_id": key_id, "vkey": created.vkey},
        "created": list(created.paths),
    }


def init_lines(created: CreatedLike, lang: str) -> list[str]:
    """Return what was made, and the three commands that come next."""
    made = catalogue.word("init.made", lang, home=sanitise(str(created.home)), origin=sanitise(created.origin))
    return [made, *(f"  {sanitise(path)}" for path in created.paths), *catalogue.word("init.next", lang).split("|")]


class MigrationLike(Protocol):
    """What ``migrate`` found or did."""

    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...
    @property
    def steps(self) -> Sequence[str]: ...
    @property
    def done(self) -> bool: ...
    @property
    def copy(self) -> Path | None: ...


def migrate_document(found: MigrationLike) -> dict[str, object]:
    """Return ``edoc.migrate/1``; ``applied`` are the steps taken, ``pending`` those still to take."""
    applied, pending = (found.steps, ()) if found.done else ((), found.steps)
    return {
        "schema": "edoc.migrate/1",
        "from": found.start,
        "to": found.end,
        "applied": list(applied),
        "pending": list(pending),
        "backup": str(found.copy) if found.copy else None,
    }


def migrate_lines(found: MigrationLike, lang: str) -> list[str]:
    """Return what was done, or what is to do."""
    key = "migrate.nothing" if not found.steps else "migrate.done" if found.done else "migrate.pending"
    copy = sanitise(str(found.copy)) if found.copy else "-"
    return [catalogue.word(key, lang, start=found.start, end=found.end, copy=copy)]


# --- the demonstration -----------------------------------------------------------------------------------------------


class StepLike(Protocol):
    """A step of the demonstration that was done."""

    @property
    def n(self) -> int: ...
    @property
    def of(self) -> int: ...
    @property
    def text(self) -> str: ...
    @property
    def ok(self) -> bool: ...
    @property
    def seconds(self) -> float: ...


def step_line(step: StepLike, screen: Screen) -> str:
    """Return ``[ 6/15] ✔ text · 0,4 s``."""
    tone = "good" if step.ok else "bad"
    head = f"[{step.n:2}/{step.of}] {screen.paint(screen.sign(tone), tone)}"
    return f"{head} {sanitise(step.text)} · {seconds(step.seconds, screen.lang)}"


def demo_document(steps: Sequence[StepLike], *, folder: str) -> dict[str, object]:
    """Return ``edoc.demo/1``."""
    told = [{"n": step.n, "text": step.text, "ok": step.ok, "seconds": round(step.seconds, 3)} for step in steps]
    return {"schema": "edoc.demo/1", "dir": folder, "steps": told}


def demo_ending(steps: Sequence[StepLike], *, folder: str, program: str, lang: str) -> list[str]:
    """Return what to try next with the program as it was started, or where to look when a step did not hold."""
    key = "demo.done" if steps and all(step.ok for step in steps) else "demo.failed"
    return catalogue.word(key, lang, dir=sanitise(folder), program=sanitise(program)).split("|")


def demo_verdicts(summary: Mapping[str, object], screen: Screen) -> list[str]:
    """Return the table of verdicts that the demonstration came to, from its ``summary.json``."""
    found = summary.get("verdicts")
    rows = (
        [[str(one["file"]), str(one["verdict"]), str(one["why"])] for one in found] if isinstance(found, list) else []
    )
    return ["", *table(_headings(("name", "result", "note"), screen), rows, screen), ""] if rows else []
