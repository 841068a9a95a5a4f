"""Steps 7 to 12 of the audit: proofs, checkpoints, keys, consistency, witnesses, time (ledger.md 10.2)."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from datetime import datetime, timedelta

from signer.report import Indication, Integrity
from transport.errors import LedgerError
from transport.evidence import layout
from transport.evidence.case import Case, Finding, broken, judged, not_proved, proved
from transport.evidence.package import CheckpointFile, EventFile, StatementFile
from transport.evidence.result import Result
from transport.ledger.merkle import ProofInvalid, verify_consistency, verify_inclusion
from transport.ledger.note import Note, NoteInvalid, VerifierKey, verify
from transport.ledger.proof import parse_consistency
from transport.ledger.statement import Statement, binds

LATE = timedelta(seconds=5)
"""An act stated later than the token over its leaf plus this is impossible (ledger.md 7, bracket)."""


def inclusion(case: Case) -> list[Finding]:
    """7: every leaf leads to the root of the checkpoint in its proof file."""
    findings = [_inclusion(one) for one in case.package.events]
    listed = case.package.listed or {}
    absent = sorted(name for name in listed if layout.role_of(name) == "proof" and name not in case.package.members)
    findings += [
        not_proved("proof-missing", name.removeprefix("ledger/").removesuffix(".tlog-proof")) for name in absent
    ]
    return findings if case.package.message_events else [*findings, not_proved("no-events")]


def _inclusion(one: EventFile) -> Finding:
    if one.proof is None or one.head is None:
        return broken("proof-form", one.name, fault=one.proof_fault)
    digest = one.leaf_hash
    if digest is None:
        return not_proved("leaf-missing", one.name)
    try:
        verify_inclusion(one.proof.index, one.head.size, digest, one.proof.path, one.head.root)
    except ProofInvalid:
        return broken("root-differs", one.name, index=str(one.proof.index), size=str(one.head.size))
    return proved(one.name, index=str(one.proof.index), size=str(one.head.size))


def checkpoint(case: Case) -> list[Finding]:
    """8: every checkpoint is signed by the key its log's statement announces."""
    findings = [broken("checkpoint-form", member=name) for name in case.package.unreadable_checkpoints]
    findings += [_checkpoint(case, one) for one in case.package.checkpoints]
    findings += _misplaced(case)
    return findings or [not_proved("checkpoint-missing")]


def _checkpoint(case: Case, one: CheckpointFile) -> Finding:
    detail = {"origin": one.head.origin, "size": str(one.head.size)}
    keys = [key for key, _ in case.log_keys(one.head.origin)]
    try:
        signed = verify(one.note, keys)
    except NoteInvalid:
        return broken("checkpoint-signature", **detail)
    return proved(**detail) if signed else not_proved("log-key-unknown", **detail)


def _misplaced(case: Case) -> list[Finding]:
    """A file called after a log and size must hold the checkpoint of that log and size."""
    findings = []
    for one in case.package.checkpoints:
        if layout.role_of(one.name) in ("checkpoint", "cosigned"):
            stem = one.name.rpartition("/")[2].partition("-")[0]
            if one.name != f"{layout.log_folder(one.head.origin)}{stem}-{one.head.size}":
                findings.append(broken("checkpoint-misplaced", member=one.name))
    return findings


# --- 9 ---------------------------------------------------------------------------------------------------------------


def log_key(case: Case) -> list[Finding]:
    """9: the key of each log is stated by its agency, and a leaf of that log names the statement."""
    findings = [_log_key(case, origin) for origin in case.origins]
    return findings or [not_proved("checkpoint-missing")]


def _log_key(case: Case, origin: str) -> Finding:
    used = _used_keys(case, origin)
    if not used:
        return not_proved("statement-missing", origin=origin)
    named = [one for _, one in used if _bound(case, origin, one)]
    if not named:
        leaves = case.bindings(origin)
        known = {one.sha256 for one in case.package.statements}
        if any(one.leaf is not None and one.leaf.text("receipt") in known for one in leaves):
            return broken("binding-differs", origin=origin)
        return not_proved("binding-missing", origin=origin) if not leaves else broken("binding-differs", origin=origin)
    return _stated(case, origin, named[-1])


def _used_keys(case: Case, origin: str) -> list[tuple[VerifierKey, StatementFile]]:
    """Return the announced keys that signed a checkpoint of the log."""
    found = []
    for key, one in case.log_keys(origin):
        notes = [item.note for item in case.package.checkpoints if item.head.origin == origin]
        if any(_signed_by(note, key) for note in notes):
            found.append((key, one))
    return found


def _signed_by(note: Note, key: VerifierKey) -> bool:
    try:
        return bool(verify(note, [key]))
    except NoteInvalid:
        return False


def _bound(case: Case, origin: str, one: StatementFile) -> bool:
    """Whether a leaf that is proved to stand in the log names this statement."""
    return any(
        event.leaf is not None and binds(event.leaf, one.sha256) and _inclusion(event).result is Result.PROVED
        for event in case.bindings(origin)
    )


def _stated(case: Case, origin: str, one: StatementFile) -> Finding:
    stated = one.statement
    assert stated is not None
    report = case.declaration(one.data).report
    result, codes = case.word_of(report)
    objection = case.identify("log", report, code=stated.agency_code)
    fault = _statement_fault(case, origin, stated)
    if fault is not None:
        return broken(fault, origin=origin)
    if result is not Result.PROVED:
        return judged(result, codes, origin=origin)
    signer = report.signatures[0].signer
    if stated.agency_name not in (signer.organization, signer.name):
        return broken("name-differs", origin=origin)
    if objection is not None:
        return not_proved(objection, origin=origin)
    entry = stated.log(origin)
    times = [at for one in case.package.message_events if one.origin == origin and (at := stated_at(one)) is not None]
    if entry is None or not all(entry.in_force(at) for at in times):
        return not_proved("not-in-force", origin=origin)
    return proved(origin=origin, agency=stated.agency_name, serial=str(stated.serial))


def _statement_fault(case: Case, origin: str, stated: Statement) -> str | None:
    """What contradicts: a key withdrawn before, a log of an agency that is neither sender nor recipient here."""
    entry = stated.log(origin)
    for other in case.package.statements:
        gone = None if other.statement is None or entry is None else other.statement.withdrawal(entry.vkey)
        heads = [one.head.size for one in case.package.checkpoints if one.head.origin == origin]
        if gone is not None and max(heads, default=0) > gone.last_size:
            return "withdrawn"
    wanted = {"s": "from", "r": "to"}
    for one in case.package.message_events:
        side = None if one.leaf is None or one.origin != origin else one.leaf.text("side")
        if (
            side in wanted
            and one.leaf is not None
            and not case.same_agency(one.leaf.text(wanted[side]), stated.agency_code)
        ):
            return "wrong-agency"
    return None


def stated_at(one: EventFile) -> datetime | None:
    """Return the time a leaf states, if this version can read it."""
    if one.leaf is None or "v" in one.leaf.unknown:
        return None
    return one.leaf.at


# --- 10 --------------------------------------------------------------------------------------------------------------


def consistency(case: Case) -> list[Finding]:
    """10: the checkpoints of a log follow from one another; one size has one root."""
    findings = [finding for origin in case.origins for finding in _consistent(case, origin)]
    return findings or [not_proved("checkpoint-missing")]


def _consistent(case: Case, origin: str) -> Iterable[Finding]:
    heads: dict[int, bytes] = {}
    for one in case.package.checkpoints:
        if one.head.origin == origin and heads.setdefault(one.head.size, one.head.root) != one.head.root:
            return [broken("two-roots", origin=origin, size=str(one.head.size))]
    sizes = sorted(heads)
    findings = [_link(case, origin, heads, (old, new)) for old, new in itertools.pairwise(sizes)]
    return findings or [proved(origin=origin, size=str(sizes[-1]))]


def _link(case: Case, origin: str, heads: dict[int, bytes], sizes: tuple[int, int]) -> Finding:
    old, new = sizes
    detail = {"origin": origin, "old": str(old), "new": str(new)}
    data = case.package.link(origin, old, new)
    if data is None or old == 0:
        return not_proved("link-missing", **detail)
    try:
        path = parse_consistency(data.decode("ascii", "replace"))
        verify_consistency(old, new, path, old_root=heads[old], new_root=heads[new])
    except LedgerError:
        return broken("not-consistent", **detail)
    return proved(**detail)


# --- 11, 12 ----------------------------------------------------------------------------------------------------------


def witnesses(case: Case) -> list[Finding]:
    """11: each log's newest checkpoint is cosigned by a witness of another agency with an accepted statement."""
    if case.question.policy_file is not None:
        return [not_proved("policy-not-judged")]
    findings = [_witnessed(case, origin) for origin in case.origins]
    return findings or [not_proved("checkpoint-missing")]


def _witnessed(case: Case, origin: str) -> Finding:
    own = {one.statement.agency_code for _, one in case.log_keys(origin) if one.statement is not None}
    known = [
        (witness.key, one)
        for one in case.package.statements
        if one.statement is not None and one.statement.agency_code not in own
        for witness in one.statement.witnesses
    ]
    accepted = 0
    for note in (one.note for one in case.package.checkpoints if one.head.origin == origin):
        try:
            signed = {str(found.key) for found in verify(note, [key for key, _ in known])}
        except NoteInvalid:
            return broken("cosignature", origin=origin)
        for key, one in known:
            if str(key) in signed and case.word_of(case.declaration(one.data).report)[0] is Result.PROVED:
                accepted += 1
    return proved(origin=origin, witnesses=str(accepted)) if accepted else not_proved("no-witness", origin=origin)


def time(case: Case) -> list[Finding]:
    """12: a time stamp over each log's checkpoint, good until now, and no act stated later than it proves."""
    findings = [_timed(case, origin) for origin in case.origins]
    return findings or [not_proved("checkpoint-missing")]


def _timed(case: Case, origin: str) -> Finding:
    words = []
    for one in case.package.checkpoints:
        token = case.package.token(origin, one.head.size) if one.head.origin == origin else None
        if token is not None:
            words.append(_token(case, one, token)[0])
    if not words:
        return not_proved("no-token", origin=origin)
    worst = next((one for one in words if one.result is not Result.PROVED), None)
    if worst is not None:
        return worst
    return _bracket(case, origin)


def _token(case: Case, one: CheckpointFile, token: bytes) -> tuple[Finding, datetime | None]:
    """Judge a token over the note as the log signed it (its text and the log's own line), once."""
    if one.name not in case.tokens:
        case.tokens[one.name] = _judge_token(case, one, token)
    return case.tokens[one.name]


def _judge_token(case: Case, one: CheckpointFile, token: bytes) -> tuple[Finding, datetime | None]:
    from signer.timestamp import judge_token

    own = str(Note(one.note.text, one.note.signatures[:1])).encode("utf-8")
    stamp, _ = judge_token(token, imprint=own, id=one.name, kind="content", context=case.context)
    detail = {"origin": one.head.origin, "size": str(one.head.size)}
    if stamp.integrity is Integrity.BROKEN or stamp.indication is Indication.FAILED or stamp.time is None:
        return broken("token", **detail), None
    if stamp.indication is not Indication.PASSED or not case.trusting:
        return not_proved("token-not-trusted", **detail), None
    return proved(**detail), stamp.time


def proved_times(case: Case, origin: str | None) -> list[tuple[int, datetime]]:
    """Return the sizes of a log that a good token dates, with the time, the smallest first."""
    found = []
    for one in case.package.checkpoints:
        token = case.package.token(one.head.origin, one.head.size) if one.head.origin == origin else None
        if token is not None:
            at = _token(case, one, token)[1]
            if at is not None:
                found.append((one.head.size, at))
    return sorted(found)


def not_after(case: Case, one: EventFile) -> datetime | None:
    """Return the earliest time by which a leaf is proved to have existed."""
    if one.proof is None:
        return None
    index = one.proof.index
    return min((at for size, at in proved_times(case, one.origin) if size > index), default=None)


def _bracket(case: Case, origin: str) -> Finding:
    dated = 0
    for one in case.package.message_events:
        at = stated_at(one)
        if one.origin != origin or at is None:
            continue
        bound = not_after(case, one)
        if bound is None:
            return not_proved("event-not-dated", one.name, origin=origin)
        if at > bound + LATE:
            return broken("stated-after-token", one.name, origin=origin)
        dated += 1
    return proved(origin=origin, events=str(dated))
