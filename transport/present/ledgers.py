"""The ledger as JSON and as lines (ledger.md 11): roots and proof hashes base64 as in notes, other digests hex."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from transport.present import catalogue
from transport.present.exits import Exit
from transport.present.screen import Screen
from transport.present.text import json_time, person_time, sanitise, seconds

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


class KeyLike(Protocol):
    """Which message, from whom to whom."""

    @property
    def sender(self) -> str: ...
    @property
    def recipient(self) -> str: ...
    @property
    def message_id(self) -> str: ...


class UnmatchedLike(Protocol):
    """A message that a partner's receipts name and this node does not know, or knows otherwise."""

    @property
    def what(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def key(self) -> KeyLike: ...
    @property
    def document(self) -> str | None: ...
    @property
    def sha256(self) -> str: ...
    @property
    def received_at(self) -> datetime: ...
    @property
    def index(self) -> int | None: ...
    @property
    def proved(self) -> bool: ...


class ComparedLike(Protocol):
    """What comparing a partner's receipts found."""

    @property
    def partner(self) -> str: ...
    @property
    def at(self) -> datetime: ...
    @property
    def receipts(self) -> int: ...
    @property
    def unmatched(self) -> Sequence[UnmatchedLike]: ...


class WrittenLike(Protocol):
    """What was written down for a partner."""

    @property
    def code(self) -> str: ...
    @property
    def receipts(self) -> int: ...


def verify_exit(found: ResultLike, compared: Sequence[ComparedLike] = ()) -> int:
    """Return the exit: two receipts for one message are broken, a message that is missing is not proved."""
    if any(one.what == "differs" for each in compared for one in each.unmatched):
        return Exit.REFUSED
    missing = Exit.INDETERMINATE if any(each.unmatched for each in compared) else Exit.DONE
    return RESULTS[found.result] or missing


def _unmatched(one: UnmatchedLike, partner: str) -> dict[str, object]:
    return {
        "index": one.index,
        "kind": one.kind,
        "msg": one.key.message_id,
        "what": one.what,
        "peer": partner,
        "from": one.key.sender,
        "to": one.key.recipient,
        "document_id": one.document,
        "sha256": one.sha256,
        "received_at": json_time(one.received_at),
        "proved": one.proved,
    }


def compared_lines(compared: Sequence[ComparedLike], screen: Screen) -> list[str]:
    """Return one line per partner, then one per message that does not match."""
    lines = []
    for each in compared:
        tone = "bad" if each.unmatched else "good"
        facts = {"peer": sanitise(each.partner), "receipts": each.receipts, "at": person_time(each.at)}
        words = catalogue.word("ledger.compared", screen.lang, missing=len(each.unmatched), **facts)
        lines.append(screen.paint(f"{screen.sign(tone)} {words}", tone))
        lines += [_unmatched_line(one, screen) for one in each.unmatched]
    if any(each.unmatched for each in compared):
        lines += catalogue.word("ledger.compared.next", screen.lang).split("|")
    return lines


def _unmatched_line(one: UnmatchedLike, screen: Screen) -> str:
    what = one.what if one.what == "differs" else one.kind
    words = catalogue.word(f"ledger.unmatched.{what}", screen.lang)
    claimed = () if one.proved else (catalogue.word("ledger.unmatched.claimed", screen.lang),)
    parts = (
        f"msg:{one.key.message_id}",
        sanitise(one.document or "-"),
        f"{sanitise(one.key.sender)} → {sanitise(one.key.recipient)}",
        person_time(one.received_at),
        words,
        *claimed,
    )
    return "    " + " · ".join(parts) if screen.terminal else "\t".join(parts)


def receipts_document(written: WrittenLike, path: str, sha256: str) -> dict[str, object]:
    """Return ``edoc.ledger.receipts/1``."""
    return {
        "schema": "edoc.ledger.receipts/1",
        "path": path,
        "to": written.code,
        "receipts": written.receipts,
        "sha256": sha256,
    }


def receipts_line(written: WrittenLike, path: str, lang: str) -> str:
    """Return what was written, and what the partner does with it."""
    facts = {"path": sanitise(path), "to": sanitise(written.code), "receipts": written.receipts}
    return catalogue.word("ledger.receipts", lang, **facts)


def verify_document(found: ResultLike, compared: Sequence[ComparedLike] = ()) -> dict[str, object]:
    """Return ``edoc.ledger.verify/1``."""
    return {
        "schema": "edoc.ledger.verify/1",
        "result": found.result,
        "size": found.size,
        "checked": found.checked,
        "first_bad_index": found.first_bad_index,
        "reason": found.reason,
        "problems": [{"code": item.code, "index": item.index, "text": item.text} for item in found.problems],
        "unmatched": [_unmatched(one, each.partner) for each in compared for one in each.unmatched],
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
