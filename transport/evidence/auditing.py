"""The audit itself: opens the package, runs the fifteen steps in their order, says the words (ledger.md 10.2).

Every step always runs, also when an earlier one failed: an auditor wants the whole picture. A step that was not asked
for can still be *broken*, and then the package is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from hashlib import sha256

from signer.errors import SignerError
from transport.errors import LedgerError
from transport.evidence import act_steps, file_steps, log_steps, story_steps
from transport.evidence.case import Case, Finding, Question, not_proved
from transport.evidence.package import EventFile, Package
from transport.evidence.result import (
    INFORMING,
    PEER,
    STEPS,
    AuditedEvent,
    AuditItem,
    Check,
    MessageFacts,
    Result,
    combined,
    number_of,
)
from transport.ledger.canonical import Json, dump

__all__ = ["Question", "audit_package", "report_at_export"]

Step = Callable[[Case], list[Finding]]

RUN: Mapping[str, Step] = {
    "container": file_steps.container,
    "seal": file_steps.seal,
    "content": file_steps.content,
    "envelope": act_steps.envelope,
    "receipts": act_steps.receipts,
    "leaf": act_steps.leaf,
    "inclusion": log_steps.inclusion,
    "checkpoint": log_steps.checkpoint,
    "log-key": log_steps.log_key,
    "consistency": log_steps.consistency,
    "witnesses": log_steps.witnesses,
    "time": log_steps.time,
    "chain": story_steps.chain,
    "peer": story_steps.peer,
    "deadlines": story_steps.deadlines,
}
"""The steps by name, in the order of ledger.md 10.2."""

_PER_EVENT = ("receipts", "leaf", "inclusion")


def audit_package(data: bytes, question: Question, *, path: str = "") -> AuditItem:
    """Audit one file. Raises ``LedgerError`` EDOC-LED-040 when it is no container at all."""
    members, faults = open_container(data, path=path)
    case = Case(Package(members), question, faults)
    checks = run(case, STEPS)
    return AuditItem(
        path=path,
        sha256=sha256(data).hexdigest(),
        result=overall(checks),
        scope=story_steps.scope(case),
        message=_message(case),
        identities=tuple(case.identities),
        checks=checks,
        events=tuple(_event(case, number, one, checks) for number, one in enumerate(case.package.message_events, 1)),
    )


def open_container(data: bytes, *, path: str = "") -> tuple[Mapping[str, bytes], tuple[str, ...]]:
    """Return the members of a container, or none and what is wrong with it.

    Raises ``LedgerError`` EDOC-LED-040 when the file is no ZIP at all.
    """
    from signer.asic import read_container

    if b"PK\x05\x06" not in data or b"PK\x03\x04" not in data:
        raise LedgerError("EDOC-LED-040", "not a container", path=path, detail="không phải tệp ZIP / not a ZIP file")
    try:
        container = read_container(data)
    except SignerError:
        return {}, ("zip",)
    return container.members, ("not-as-written",) if "not-plain" in container.warnings else ()


def run(case: Case, steps: tuple[str, ...]) -> tuple[Check, ...]:
    """Run steps and return their lines."""
    checks = []
    for name in steps:
        needed = _needed(case, name)
        findings = RUN[name](case) or [not_proved("nothing-to-check")]
        checks += [_check(name, needed=needed, finding=finding) for finding in findings]
    return tuple(checks)


def overall(checks: tuple[Check, ...]) -> Result:
    """Broken if anything is; proved if everything needed is; else not proved."""
    if any(check.result is Result.BROKEN for check in checks):
        return Result.BROKEN
    return combined(check.result for check in checks if check.needed)


def _needed(case: Case, name: str) -> bool:
    if case.question.only:
        return name in case.question.only
    if name == PEER:
        return story_steps.has_peer(case)
    return name != INFORMING


def _check(name: str, *, needed: bool, finding: Finding) -> Check:
    return Check(number_of(name), name, finding.result, needed, finding.event, finding.reasons, finding.detail)


# --- what the package is about ---------------------------------------------------------------------------------------


def _message(case: Case) -> MessageFacts:
    leaves = case.package.leaves
    recipients = dict.fromkeys(to for leaf in leaves if (to := leaf.text("to")) is not None)
    return MessageFacts(
        msg=next((leaf.text("msg") for leaf in leaves if leaf.text("msg")), None),
        doc=next((leaf.text("doc") for leaf in leaves if leaf.text("doc")), None),
        sender=next((leaf.text("from") for leaf in leaves if leaf.text("from")), None),
        recipients=tuple(recipients),
    )


def _event(case: Case, number: int, one: EventFile, checks: tuple[Check, ...]) -> AuditedEvent:
    leaf = one.leaf
    mine = [check.result for check in checks if check.event == one.name and check.id in _PER_EVENT]
    return AuditedEvent(
        no=number,
        name=one.name,
        side=None if leaf is None else leaf.text("side"),
        kind=one.name.partition("-")[2] if leaf is None else leaf.kind,
        at=leaf.at if leaf is not None and "v" not in leaf.unknown else None,
        not_after=log_steps.not_after(case, one),
        origin=one.origin,
        index=None if one.proof is None else one.proof.index,
        leaf=None if one.leaf_hash is None else one.leaf_hash.hex(),
        status=None if leaf is None else leaf.text("status"),
        result=combined(mine),
    )


def report_at_export(members: Mapping[str, bytes], question: Question) -> bytes:
    """Return ``report.json``: what steps 3 to 15 say about the members before they are sealed."""
    case = Case(Package(dict(members)), replace(question, only=()))
    checks = run(case, STEPS[2:])
    facts: dict[str, Json] = {
        "schema": "edoc.evidence.report/1",
        "software": question.software,
        "at": question.context.at.isoformat(timespec="seconds"),
        "trust": question.context.trust.fingerprint(),
        "checks": [_line(check) for check in checks],
    }
    return dump(facts)


def _line(check: Check) -> Json:
    facts: dict[str, Json] = {"no": check.no, "id": check.id, "result": check.result.value, "needed": check.needed}
    if check.event is not None:
        facts["event"] = check.event
    return {**facts, "reasons": list(check.reasons), "detail": dict(check.detail)}
