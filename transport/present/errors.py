"""Errors as a person and a program see them: four lines, or ``edoc.error/1`` (console.md 2).

The exceptions of the three packages carry a code and facts; the sentences, the exit code and whether trying again
helps come from the catalogue.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import PurePath

from edoc.errors import EdocError
from signer.errors import SignerError
from transport.errors import TransportError
from transport.present import catalogue
from transport.present.text import json_time, sanitise

LABELS = {"vi": ("vì sao", "làm gì", "mã"), "en": ("why", "next", "code")}

_LEFT_OUT: object = object()
"""Facts that mean nothing to a program outside, such as certificates, stay inside."""

_BY_ERRNO = {
    errno.ENOSPC: "EDOC-USE-011",
    errno.EDQUOT: "EDOC-USE-011",
    errno.EACCES: "EDOC-USE-010",
    errno.EPERM: "EDOC-USE-010",
    errno.EROFS: "EDOC-USE-010",
    errno.ENOENT: "EDOC-USE-008",
    errno.ENOTDIR: "EDOC-USE-008",
    errno.EISDIR: "EDOC-USE-015",
    errno.ENAMETOOLONG: "EDOC-USE-008",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One error in words. ``detail`` holds the facts for a program; none of them is a secret."""

    code: str
    message: str
    why: str | None
    next: str | None
    retryable: bool
    exit_code: int
    detail: Mapping[str, object] = field(default_factory=dict)


class CommandError(Exception):
    """A command cannot go on: a code of the catalogue and its facts."""

    def __init__(self, code: str, **facts: object) -> None:
        super().__init__(code)
        self.code = code
        self.facts = facts


Known = SignerError | EdocError | TransportError | CommandError
KNOWN = (SignerError, EdocError, TransportError, CommandError)


def fault_of(code: str, facts: Mapping[str, object], lang: str) -> Fault:
    """Put a code and its facts into words; a code without entry is itself an internal error that keeps its name."""
    facts = _in_words(facts, lang)
    entry = catalogue.find(code)
    if entry is None:
        facts = {**facts, "missing": code}
        entry = catalogue.find(catalogue.UNKNOWN_CODE)
        if entry is None:
            raise LookupError(f"the catalogue lacks {catalogue.UNKNOWN_CODE}")
    texts, shown = entry.texts[lang], _told(facts, lang)
    return Fault(
        code=code,
        message=catalogue.fill(texts["what"], shown),
        why=_sentence(texts.get("why", ""), shown),
        next=_sentence(texts.get("next", ""), shown),
        retryable=entry.retryable,
        exit_code=entry.exit,
        detail={key: plain for key, value in facts.items() if (plain := _plain(value)) is not _LEFT_OUT},
    )


def _in_words(facts: Mapping[str, object], lang: str) -> Mapping[str, object]:
    """Put what the operating system said into the language asked for, where it is one of the usual things."""
    key = f"os.{facts.get('errno')}"
    return {**facts, "reason": catalogue.word(key, lang)} if catalogue.has_word(key) else facts


_FAMILIES = {
    "form": "form",
    "pin": "token.state",
    "reason": "refusal",
    "state": "stands",
    "detail": "detail",
    **dict.fromkeys(("cause", "missing", "status", "where"), "cause"),
}
"""Facts whose values have words of their own in the catalogue, and the family of these words."""


def _told(facts: Mapping[str, object], lang: str) -> Mapping[str, object]:
    """Return the facts as the sentences show them: a seal is «con dấu» there; for programs it stays ``seal``."""
    words = {name: _word(family, facts[name], lang) for name, family in _FAMILIES.items() if name in facts}
    url = facts.get("url")
    if isinstance(url, str):  # several addresses, each with its reason in brackets
        words["url"] = re.sub(r" \(([^()]+)\)", lambda found: f" ({_word('cause', found[1], lang)})", url)
    return {**facts, **words}


def _word(family: str, value: object, lang: str) -> object:
    if not isinstance(value, str):
        return value
    parts = value.split(", ")
    keys = [f"{family}.{part}" for part in parts]
    return ", ".join(
        catalogue.word(key, lang) if catalogue.has_word(key) else part for key, part in zip(keys, parts, strict=True)
    )


def _sentence(template: str, facts: Mapping[str, object]) -> str | None:
    """Return the sentence, or ``None`` where there is nothing to say (an empty template, a lone missing fact)."""
    text = catalogue.fill(template, facts).replace(" (-)", "")
    says_nothing = text in {"", "-"} or (template.count("{") == 1 and text.endswith(": -"))
    return None if says_nothing else text


def fault(error: BaseException, lang: str, **facts: object) -> Fault:
    """Put an exception into words; ``facts`` fill what the place of the error did not know, such as the path."""
    if isinstance(error, KNOWN):
        return fault_of(error.code, {**facts, **error.facts}, lang)
    if isinstance(error, OSError):
        return fault_of(_BY_ERRNO.get(error.errno or 0, "EDOC-USE-017"), {**_os_facts(error), **facts}, lang)
    return fault_of("EDOC-INT-001", {"kind": type(error).__name__, **facts}, lang)


def _os_facts(error: OSError) -> dict[str, object]:
    return {"path": error.filename or "-", "reason": error.strerror or type(error).__name__, "errno": error.errno}


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return json_time(value)
    if isinstance(value, date):
        return value.isoformat()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (tuple, list, set, frozenset)):
        plain = [one for item in value if (one := _plain(item)) is not _LEFT_OUT]
        return plain if plain or not value else _LEFT_OUT
    return str(value) if isinstance(value, PurePath) else _LEFT_OUT


def lines(problem: Fault, lang: str) -> list[str]:
    """Return the four lines: what, why, what next, code."""
    why, following, code = LABELS[lang]
    shown = [f"edoc: {sanitise(problem.message)}"]
    if problem.why:
        shown.append(f"  {why}: {sanitise(problem.why)}")
    if problem.next:
        shown.append(f"  {following}: {sanitise(problem.next)}")
    return [*shown, f"  {code}: {problem.code}"]


def as_json(problem: Fault) -> dict[str, object]:
    """Return ``Error`` of console.md 2."""
    return {
        "code": problem.code,
        "message": problem.message,
        "why": problem.why,
        "next": problem.next,
        "retryable": problem.retryable,
        "exit_code": int(problem.exit_code),
        "detail": dict(problem.detail),
    }


def document(problem: Fault) -> dict[str, object]:
    """Return ``edoc.error/1``, the answer of a command that failed as a whole."""
    return {"schema": "edoc.error/1", "error": as_json(problem)}
