"""What follows an acceptance, each thing once (exchange.md 7, P0): status 01, the clerk's check, a reported status.

An effect was called for in the transaction of the act. Here is what each kind comes to: a unit of statements, and what
is told once it is stored; ``ending`` claims effects and ends them.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from edoc import __version__, sealstream
from edoc import seal as seals
from edoc.envelopes import Envelope, Party, ResponseFor, StaffInfo, StatusMessage
from edoc.lifecycle import observed, parse_description, who_may_send
from edoc.matching import KnownDocument, match, may_report
from signer.report import Report as JudgedReport
from signer.xml.profiles import inspect_seal
from transport import points
from transport.courier import HELD_MAX
from transport.dispatch import Key, lane_of
from transport.errors import StoreError
from transport.intake import PIECE, vietnam_day
from transport.ledger import event
from transport.node import checking
from transport.node.office import Office, milliseconds
from transport.node.sending import Clocking, Submission, queue, tell_submitted
from transport.present import verify as present_verify
from transport.store import inbox, outbox, statuses
from transport.store.store import Staged, Unit
from transport.store.values import ArrivalView, EffectClaim, NewStatus, SentMessage

log = logging.getLogger("edoc.effects")

KIND_OF_CODE = event.KIND_OF_STATUS
"""Ledger kind of each status code (ledger.md 4.3)."""


@dataclass(frozen=True, slots=True)
class Report:
    """A status to tell the sender of a document that arrived: code, words and who decided."""

    code: str
    description: str = ""
    person: str | None = None
    reason: str | None = None
    note: str | None = None
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """What an effect comes to: the unit that stores it, and what is told once it is stored."""

    work: Callable[[Unit], None]
    told: Callable[[], None]


def arrival_of(office: Office, inbox_id: int) -> ArrivalView:
    """Return an inbox entry by its number.

    Raises:
        StoreError: it is gone.
    """
    found = office.store.read(lambda connection: inbox.by_id(connection, inbox_id))
    if found is None:
        raise StoreError("EDOC-STO-013", "no such inbox entry", ref=f"in:{inbox_id}")
    return found


def message_of(office: Office, sha256: str, size: int = 0) -> Envelope | StatusMessage:
    """Return what a stored message says: verified at arrival or sealed here, its bytes hashed again.

    A message too large to be held (by its ``size``) is read as it passes; its attachments are then without content.
    """
    if size > HELD_MAX:
        return looked_at(office, sha256).message
    if (judged := office.recent.of(sha256)) is not None:
        return judged.opened.message
    return seals.peek(office.store.fetch(sha256)).message


def looked_at(office: Office, sha256: str) -> sealstream.Looked:
    """Return what a large stored message says, with sizes and digests of its attachments."""
    with office.store.reading(sha256) as file:
        return sealstream.look(iter(partial(file.read, PIECE), b""))


# --- status 01 -------------------------------------------------------------------------------------------------------


def _status_01(office: Office, effect: EffectClaim, now: datetime) -> Done:
    """Tell the sender that the document has arrived, at any hour (R12, R59)."""
    arrival = arrival_of(office, int(effect.facts["inbox"]))
    submission, staged = prepare_status(office, arrival, Report("01"), now)
    points.reached("effect.sealed")

    def told() -> None:
        tell_submitted(office, submission)
        office.on_work()

    return Done(lambda unit: tell(office, unit, arrival, Report("01"), submission, staged), told)


def prepare_status(office: Office, arrival: ArrivalView, report: Report, now: datetime) -> tuple[Submission, Staged]:
    """Seal a status message about a document that arrived; its bytes are durable when this returns."""
    document = message_of(office, arrival.sha256, arrival.size)
    assert isinstance(document, Envelope)
    at = milliseconds(now)
    message = StatusMessage(
        sender=_own_party(office, document),
        response_for=ResponseFor(
            organ_id=document.sender.organ_id,
            code=document.document.code,
            date=document.document.date,
            document_id=document.document_id,
        ),
        code=report.code,
        description=report.description,
        staff=StaffInfo(staff=report.person) if report.person else None,
        timestamp=at,
    )
    sealed = seals.seal(message, message_id=str(uuid.uuid4()), credential=office.exchange_key(at), at=at)
    lane = lane_of("status", 0, report.code, document_lane=int(lane_of("edoc", arrival.row.priority)))
    clocking = Clocking(at, "registered", "information-only")
    submission = Submission(
        sealed,
        office.code,
        (office.directory().canonical(arrival.key.sender),),  # the document may have named it by an old code
        clocking,
        int(lane),
        at,
        cause=arrival.key.message_id,
    )
    return submission, office.store.stage(sealed.data)


def _own_party(office: Office, document: Envelope) -> Party:
    """Name ourselves as the document named us, so that the sender recognises its recipient."""
    directory = office.directory()
    named = next((p for p in document.recipients if directory.same(p.organ_id, office.code)), None)
    return named or Party(office.code, office.name, address="-")


def tell(
    office: Office, unit: Unit, arrival: ArrivalView, report: Report, submission: Submission, staged: Staged
) -> None:
    """Queue a sealed status, write its leaf into the document's chain, and record it, in a unit of the caller."""
    sealed = submission.sealed
    queue(office, unit, submission, staged)
    fields: dict[str, event.Value] = {"status": report.code, "env": arrival.sha256, "doc": arrival.row.document_id}
    if report.reason:
        fields["reason"] = report.reason
    if report.unit and KIND_OF_CODE.get(report.code) != "status-other":
        fields["unit"] = report.unit
    people = {"actor": report.person or "", "note": report.note or ""}
    office.append(
        unit,
        KIND_OF_CODE.get(report.code, "status-other"),
        at=submission.now,
        evidence=sealed.sha256,
        rtype="status",
        key=arrival.key,
        side="r",
        people=people,
        fields=fields,
    )
    new = NewStatus(
        direction="out",
        carrier=sealed.slip.message_id,
        code=report.code,
        at=submission.now,
        reason=report.reason,
        note=report.note,
        unit=report.unit,
        person=report.person,
    )
    statuses.record(unit, arrival.key, new, now=submission.now)


# --- the clerk's check -----------------------------------------------------------------------------------------------


def _check(office: Office, effect: EffectClaim, now: datetime) -> Done:
    """Judge seal and files and keep the result with the document (R53, R69)."""
    arrival = arrival_of(office, int(effect.facts["inbox"]))
    if arrival.size > HELD_MAX:
        report = judge_apart(office, arrival.sha256, now)
    else:
        report = _judged_again(office, arrival.sha256, now)
    kept = kept_verification(office, report, name=f"msg:{arrival.key.message_id}", now=now)

    def work(unit: Unit) -> None:
        inbox.record_verification(
            unit,
            arrival.inbox_id,
            verdict=report.verdict.value,
            legal_class=report.legal_class or "information-only",
            verification=kept,
        )

    def told() -> None:
        office.recent.done(arrival.sha256)
        log.info("message.checked", extra={"k": str(arrival.key.message_id), "verdict": report.verdict.value})

    return Done(work, told)


def _judged_again(office: Office, sha256: str, now: datetime) -> JudgedReport:
    """Judge a message that arrived; the seal's judgement at arrival stands if it was made just now (``Recent``)."""
    judged = office.recent.of(sha256)
    if judged is None or not judged.holds(now) or not isinstance(judged.opened.message, Envelope):
        return judge_arrival(office, office.store.fetch(sha256), now)
    return _with_files(office, judged.opened.message, judged.opened.report, now)


def kept_verification(office: Office, report: JudgedReport, *, name: str, now: datetime) -> bytes:
    """Return the ``edoc.verify/1`` that is kept with a document (R69): policy, time, software and anchors included."""
    context = office.context(now)
    how = present_verify.Judgement(
        at=now,
        generated_at=now,
        policy=context.policy.value,
        network="online" if office.fetch_status else "offline",
        version=__version__,
        anchors=len(context.trust.anchors),
        anchors_sha256=context.trust.fingerprint(),
    )
    document = present_verify.document([present_verify.Checked(name, report)], how, "vi")
    return json.dumps(document, ensure_ascii=False).encode("utf-8")


def judge_apart(office: Office, sha256: str, now: datetime) -> JudgedReport:
    """Judge a large sealed message in a process of its own, whose memory ends with it; see ``transport.node.apart``."""
    from transport.node.apart import judge

    return judge(office, sha256, now=now)


def judge_arrival(office: Office, data: bytes, now: datetime) -> JudgedReport:
    """Judge a sealed document message as ``edoc verify`` would, with this node's trust and directory.

    The seal held at arrival. Where status answers are missing by now the verdict is open; the check never fails for it.
    """
    context = office.context(now)
    report = inspect_seal(data, context=context).report
    if report.needs and (richer := office.with_status(context, report.needs, now)) is not None:
        report = inspect_seal(data, context=richer).report
    message = seals.peek(data).message
    assert isinstance(message, Envelope)
    return _with_files(office, message, report, now)


def _with_files(office: Office, message: Envelope, report: JudgedReport, now: datetime) -> JudgedReport:
    """Judge a document message as a whole, its seal having been judged."""
    seal = seals.annotate(report, office.directory(), vietnam_day(now), sender=message.sender.organ_id)
    return checking.message_report(office, message, seal=seal, now=now)


# --- a status that was reported --------------------------------------------------------------------------------------


def _apply_status(office: Office, effect: EffectClaim, now: datetime) -> Done:
    """Apply a status message to its document, if its sender may say so (edxml.md 9); else keep and show it."""
    arrival = arrival_of(office, int(effect.facts["inbox"]))
    message = message_of(office, arrival.sha256)
    assert isinstance(message, StatusMessage)
    found = find_document(office, message, arrival.key.sender)

    def work(unit: Unit) -> None:
        if found is None:
            log.warning("status.unmatched", extra={"k": arrival.key.message_id, "code": message.code})
        else:
            _record_status(office, unit, arrival, message, found, now)

    return Done(work, lambda: office.recent.done(arrival.sha256))


HANDLERS = {"status-01": _status_01, "check": _check, "apply-status": _apply_status}


@dataclass(frozen=True, slots=True)
class About:
    """Our document that a status is about, and the dispatch to the agency that reports."""

    sent: SentMessage
    key: Key


def find_document(office: Office, message: StatusMessage, reporter: str) -> About | None:
    """Return our document that a status is about, sent to the agency that reports; ``None`` for none or several.

    The reporter is the sender whose seal was verified, never what the status says (edxml.md 9).
    """
    about, same = message.response_for, office.directory().same
    asked = partial(outbox.about, document_id=about.document_id, code=about.code)
    known: dict[KnownDocument, About] = {}
    for sent in office.store.read(asked):
        key = next((one.key for one in sent.dispatches if same(one.key.recipient, reporter)), None)
        if key is not None:  # the newest of several transmissions of one document stands for it
            known.setdefault(_known_document(office, sent, key), About(sent, key))
    matched = match(about, tuple(known), same=same)
    if matched is None or not may_report(message, matched, same=same):
        return None
    return known[matched]


def _known_document(office: Office, sent: SentMessage, key: Key) -> KnownDocument:
    row = sent.row
    return KnownDocument(row.document_id, office.code, (key.recipient,), f"{row.number}/{row.notation}", row.date)


def _record_status(
    office: Office, unit: Unit, arrival: ArrivalView, message: StatusMessage, about: About, now: datetime
) -> None:
    sent, key = about.sent, about.key
    unit.hold(f"status {key.message_id} {key.recipient}")
    before = statuses.latest(unit.connection, key, "in")
    state = observed(before.status.code if before else None, message.code)
    applied = who_may_send(message.code) == "recipient" and (state == message.code or message.code in ("15", "16"))
    reason, note = parse_description(message.description) if message.code == "02" else (None, message.description)
    new = NewStatus(
        direction="in",
        carrier=arrival.key.message_id,
        code=message.code,
        at=message.timestamp or now,
        reason=reason,
        note=note or None,
        person=message.staff.staff if message.staff else None,
    )
    if not statuses.record(unit, key, new, now=now, applied=applied):
        return
    if message.code in ("13", "15", "16"):  # the recall process has leaves of its own, with the notice they refer to
        return
    fields: dict[str, event.Value] = {"status": message.code, "env": sent.sha256, "doc": sent.row.document_id}
    if reason:
        fields["reason"] = reason
    office.append(
        unit,
        KIND_OF_CODE.get(message.code, "status-other"),
        at=now,
        evidence=arrival.sha256,
        rtype="status",
        key=key,
        side="s",
        fields=fields,
    )
