"""The answer of an audit: words, steps and values of ``edoc.audit/1`` (ledger.md 10.2, 10.4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from transport.errors import LedgerError

_NOTHING: Mapping[str, str] = MappingProxyType({})


class Result(StrEnum):
    """The three words. They map to valid, indeterminate and invalid."""

    PROVED = "proved"  # đã chứng minh
    NOT_PROVED = "not-proved"  # chưa chứng minh được: something needed is missing, unknown or no longer judgeable
    BROKEN = "broken"  # sai lệch: what is there contradicts itself


STEPS: tuple[str, ...] = (
    "container",
    "seal",
    "content",
    "envelope",
    "receipts",
    "leaf",
    "inclusion",
    "checkpoint",
    "log-key",
    "consistency",
    "witnesses",
    "time",
    "chain",
    "peer",
    "deadlines",
)
"""The steps of ledger.md 10.2 in their order; a step's number is its place, counted from 1."""

PEER = "peer"
INFORMING = "deadlines"


def number_of(step: str) -> int:
    """Return the number of a step."""
    return STEPS.index(step) + 1


def check_only(only: Sequence[str]) -> tuple[str, ...]:
    """Return the steps named, in their order. Raises ``LedgerError`` EDOC-LED-042 for an unknown name."""
    for name in only:
        if name not in STEPS:
            raise LedgerError("EDOC-LED-042", "there is no such step", step=name, known=STEPS)
    return tuple(name for name in STEPS if name in only)


def combined(results: Iterable[Result]) -> Result:
    """Return the worst of several words; of none at all: proved."""
    found = set(results)
    return next((word for word in (Result.BROKEN, Result.NOT_PROVED) if word in found), Result.PROVED)


@dataclass(frozen=True, slots=True)
class Check:
    """One line of an audit: a step, for the whole package or for one event (``own/01-sent``)."""

    no: int
    id: str
    result: Result
    needed: bool
    event: str | None = None
    reasons: tuple[str, ...] = ()
    detail: Mapping[str, str] = field(default_factory=lambda: _NOTHING)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who acted: certified name, agency code as claimed, whether a directory of the caller's proves the code."""

    role: str  # exporter, sender, recipient, log
    name: str | None
    code: str | None
    code_proved: bool
    certificate_sha256: str | None


@dataclass(frozen=True, slots=True)
class MessageFacts:
    """The message a package is about, as its leaves say."""

    msg: str | None
    doc: str | None
    sender: str | None
    recipients: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AuditedEvent:
    """One leaf of the package. ``at`` is what it states, ``not_after`` what a time stamp proves, if any."""

    no: int
    name: str
    side: str | None
    kind: str
    at: datetime | None
    not_after: datetime | None
    origin: str | None
    index: int | None
    leaf: str | None
    status: str | None
    result: Result


@dataclass(frozen=True, slots=True)
class AuditItem:
    """The audit of one package."""

    path: str
    sha256: str
    result: Result
    scope: str  # both-sides, one-side
    message: MessageFacts
    identities: tuple[Identity, ...]
    checks: tuple[Check, ...]
    events: tuple[AuditedEvent, ...]

    def step(self, name: str) -> Result:
        """Return the word of a step: the worst of its lines."""
        return combined(check.result for check in self.checks if check.id == name)

    def reasons(self, name: str) -> tuple[str, ...]:
        """Return the reason codes of a step, each once."""
        return tuple(dict.fromkeys(code for check in self.checks if check.id == name for code in check.reasons))


@dataclass(frozen=True, slots=True)
class AuditResult:
    """``edoc.audit/1``: when it was checked, the moment judged at, what was asked for, the packages."""

    checked_at: datetime
    at: datetime
    software: str
    only: tuple[str, ...]
    items: tuple[AuditItem, ...]

    @property
    def result(self) -> Result:
        """The word over all packages."""
        return combined(item.result for item in self.items)
