"""The clerk's decisions on what arrived: accept, return, tell progress (R53 to R59; regulations.md 10, S1).

Each is one transaction: the move, the arrival number, the sealed status for the sender with its dispatch, and the leaf.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

from edoc.lifecycle import status_description
from transport.errors import Refused
from transport.intake import vietnam_day
from transport.node.following import Report, prepare_status, tell
from transport.node.office import Office
from transport.node.sending import tell_submitted
from transport.store import inbox, inlist, outbox
from transport.store.store import Unit
from transport.store.values import ArrivalView, DispatchView

STATE_OF_CODE = {"04": "assigned", "05": "in-process", "06": "finished"}
"""Inbox states that ``status --set`` reaches, by their codes (S1)."""


class NotDecided(Refused):
    """The document's check leaves it open, and the clerk did not say ``--despite``: exit code 3 (R3, R53)."""


@dataclass(frozen=True, slots=True)
class Acceptance:
    """How a clerk accepts: remark for the sender (R55), reason despite an open check, unit, deadline, person."""

    person: str
    remark: str | None = None
    despite: str | None = None
    unit: str | None = None
    note: str | None = None
    due: date | None = None


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision as taken: the entry after it, the arrival number if it got one, and the status on its way."""

    arrival: ArrivalView
    at: datetime
    number: int | None
    dispatches: tuple[DispatchView, ...]


def find_arrival(office: Office, ref: str, now: datetime) -> ArrivalView:
    """Return the document that arrived under a name a person typed."""
    year = vietnam_day(now).year
    return office.store.read(lambda connection: inlist.find(connection, ref, year=year))


def accept(office: Office, ref: str, act: Acceptance, *, now: datetime) -> Decided:
    """Accept a document: arrival number, status 03 (R53, R56).

    Raises:
        Refused: the check found it invalid or is still pending, or it is not waiting for a decision.
        NotDecided: the check leaves it open and ``despite`` is missing.
    """
    arrival = find_arrival(office, ref, now)
    if arrival.verdict is None:
        raise Refused("EDOC-EXC-050", "the check of the document is not finished", ref=ref)
    if arrival.verdict == "invalid":
        raise Refused("EDOC-EXC-051", "the check found the document invalid", ref=ref)
    open_question = arrival.verdict != "valid" or arrival.legal_class == "information-only"
    if open_question and not act.despite:
        raise NotDecided("EDOC-EXC-052", "the check leaves the document open", ref=ref, verdict=arrival.verdict)
    words = "đã tiếp nhận" + (f"; lưu ý: {act.remark}" if act.remark else "")
    report = Report("03", words, person=act.person, note=act.despite or act.note, unit=act.unit)
    year = vietnam_day(now).year

    def move(unit: Unit) -> int:
        return inbox.accept_document(unit, arrival.inbox_id, year=year, now=now, by=act.person, due=act.due)

    return _decide(office, arrival, report, move, now)


def give_back(office: Office, ref: str, *, reason: str, note: str | None, by: str, now: datetime) -> Decided:
    """Return a document through the system with a reason of S3: status 02 (R54).

    Raises:
        InvalidReason: no such reason, or ``other`` without a note.
        Refused: it is not waiting for a decision.
    """
    arrival = find_arrival(office, ref, now)
    report = Report("02", status_description(reason, note or ""), person=by, reason=reason, note=note)

    def move(unit: Unit) -> None:
        inbox.set_state(unit, arrival.inbox_id, "refused", now=now, by=by, reason=reason, note=note)

    return _decide(office, arrival, report, move, now)


def set_status(
    office: Office, ref: str, code: str, *, unit_name: str | None, person: str, note: str | None, now: datetime
) -> Decided:
    """Tell the sender how far the work is: 04 assigned, 05 in process, 06 finished (R59).

    Raises:
        Refused: the table of S1 has no such move.
    """
    arrival = find_arrival(office, ref, now)
    report = Report(code, note or "", person=person, unit=unit_name, note=note)

    def move(unit: Unit) -> None:
        inbox.set_state(unit, arrival.inbox_id, STATE_OF_CODE[code], now=now, by=person, note=note)

    return _decide(office, arrival, report, move, now)


def _decide(
    office: Office,
    arrival: ArrivalView,
    report: Report,
    move: Callable[[Unit], int | None],
    now: datetime,
) -> Decided:
    submission, staged = prepare_status(office, arrival, report, now)

    def work(unit: Unit) -> int | None:
        number = move(unit)  # first: a move the table does not allow takes everything back
        tell(office, unit, arrival, report, submission, staged)
        return number

    number = office.store.do(work)
    tell_submitted(office, submission)
    office.on_work()
    after = office.store.read(lambda connection: inbox.by_id(connection, arrival.inbox_id))
    message_id = submission.sealed.slip.message_id
    carried = office.store.read(lambda connection: outbox.dispatches(connection, message_id))
    return Decided(after or arrival, submission.now, number, carried)
