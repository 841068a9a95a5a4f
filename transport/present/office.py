"""The node and its tables, as JSON and as lines (console.md 4.6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from transport.present import catalogue
from transport.present.screen import Screen
from transport.present.text import pad, sanitise

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
