"""The ledger as JSON and as lines (ledger.md 11): roots and proof hashes base64 as in notes, other digests hex."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from transport.present import catalogue
from transport.present.exits import Exit
from transport.present.screen import Screen
from transport.present.text import json_time, sanitise, seconds

RESULTS = {"proved": Exit.DONE, "not-proved": Exit.INDETERMINATE, "broken": Exit.REFUSED}
TONES = {"proved": "good", "not-proved": "open", "broken": "bad"}


class HeadLike(Protocol):
    """The newest signed state of a log."""

    @property
    def origin(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def root(self) -> bytes: ...
    @property
    def note(self) -> str: ...
    @property
    def at(self) -> datetime: ...
    @property
    def state(self) -> str: ...
    @property
    def reason(self) -> str | None: ...


class ProblemLike(Protocol):
    """Something in the log that does not hold."""

    @property
    def code(self) -> str: ...
    @property
    def index(self) -> int | None: ...
    @property
    def text(self) -> str: ...


class ResultLike(Protocol):
    """What recomputing the log found."""

    @property
    def origin(self) -> str: ...
    @property
    def result(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def checked(self) -> int: ...
    @property
    def first_bad_index(self) -> int | None: ...
    @property
    def reason(self) -> str | None: ...
    @property
    def problems(self) -> Sequence[ProblemLike]: ...
    @property
    def seconds(self) -> float: ...
    @property
    def unmatched(self) -> Sequence[tuple[int, str, str]]: ...


def head_document(head: HeadLike) -> dict[str, object]:
    """Return ``edoc.ledger.head/1``; this version has no anchors and no witnesses."""
    return {
        "schema": "edoc.ledger.head/1",
        "origin": head.origin,
        "size": head.size,
        "root": base64.b64encode(head.root).decode("ascii"),
        "at": json_time(head.at),
        "checkpoint": head.note,
        "anchors": [],
        "quorum": None,
        "pending": 0,
        "state": head.state,
        "freeze_reason": head.reason if head.state == "frozen" else None,
    }


def head_exit(head: HeadLike) -> int:
    """Return 1 for a frozen log."""
    return Exit.REFUSED if head.state == "frozen" else Exit.DONE


def verify_document(found: ResultLike) -> dict[str, object]:
    """Return ``edoc.ledger.verify/1``."""
    return {
        "schema": "edoc.ledger.verify/1",
        "result": found.result,
        "size": found.size,
        "checked": found.checked,
        "first_bad_index": found.first_bad_index,
        "reason": found.reason,
        "problems": [{"code": item.code, "index": item.index, "text": item.text} for item in found.problems],
        "unmatched": [{"index": index, "kind": kind, "msg": msg} for index, kind, msg in found.unmatched],
        "seconds": round(found.seconds, 3),
    }


def verify_lines(found: ResultLike, screen: Screen) -> list[str]:
    """Return the result in one line, then what does not hold."""
    tone = TONES.get(found.result, "open")
    word = catalogue.word(f"audit.{found.result}", screen.lang)
    facts = catalogue.word(
        "ledger.verified",
        screen.lang,
        checked=found.checked,
        size=found.size,
        origin=sanitise(found.origin),
        seconds=seconds(found.seconds, screen.lang),
    )
    lines = [f"{screen.paint(f'{screen.sign(tone)} {word}', tone)} · {facts}"]
    for item in found.problems:
        index = "-" if item.index is None else str(item.index)
        lines.append(
            "\t".join((index, item.code, sanitise(item.text)))
            if not screen.terminal
            else f"    {index}: {item.code} · {sanitise(item.text)}"
        )
    return lines


def prove_document(
    *, origin: str, size: int, index: int, leaf: str, path: Sequence[bytes], checkpoint: str
) -> Mapping[str, object]:
    """Return ``edoc.ledger.prove/1``."""
    return {
        "schema": "edoc.ledger.prove/1",
        "origin": origin,
        "index": index,
        "size": size,
        "leaf": leaf,
        "hashes": [base64.b64encode(one).decode("ascii") for one in path],
        "checkpoint": checkpoint,
        "anchored": False,
    }


class OpenedLike(Protocol):
    """A log that was opened after another."""

    @property
    def origin(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def leaf(self) -> str: ...


def open_question(lang: str) -> str:
    """Return what is asked before a new log is opened: it cannot be undone."""
    return catalogue.word("ledger.open.confirm", lang)


def open_document(opened: OpenedLike) -> dict[str, object]:
    """Return ``edoc.ledger.open/1``."""
    return {"schema": "edoc.ledger.open/1", "origin": opened.origin, "size": opened.size, "leaf": opened.leaf}


def open_line(opened: OpenedLike, lang: str) -> str:
    """Return which log is written from now on."""
    return catalogue.word("ledger.open.done", lang, origin=sanitise(opened.origin), size=opened.size)
