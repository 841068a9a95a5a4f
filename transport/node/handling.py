"""What a person does with dispatches: take back, requeue, hurry (exchange.md 6, T8 to T10).

Each act names its person and reason and is one transaction with its leaf. Of several recipients those are meant whose
dispatch allows it; where none does, the act is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from transport import intake
from transport.dispatch import Key, NotAllowed, State
from transport.errors import Refused
from transport.ledger import event
from transport.ledger.schema import REASONS
from transport.node.office import Office, milliseconds, record
from transport.store import outbox, takeback
from transport.store.store import Unit
from transport.store.takeback import Act
from transport.store.values import DispatchView, SentMessage


def check_act(act: Act) -> None:
    """Check that a reason is one of ledger.md 4.5, and that ``other`` has its words.

    Raises:
        Refused: it is not.
    """
    if act.reason not in REASONS:
        raise Refused("EDOC-EXC-060", "no such reason", reason=act.reason)
    if act.reason == "other" and not act.note:
        raise Refused("EDOC-EXC-061", "the reason other needs a note", reason=act.reason)


def chosen(office: Office, ref: str, to: str | None, *, now: datetime) -> tuple[SentMessage, tuple[DispatchView, ...]]:
    """Return a sent message and its dispatches, or the one to an agency.

    Raises:
        RefError: nothing fits the name, or several do.
        Refused: the message was not sent to that agency.
    """
    year = intake.vietnam_day(now).year
    message = office.store.read(lambda connection: outbox.find(connection, ref, year=year))
    if to is None:
        return message, message.dispatches
    directory = office.directory()
    named = directory.find(to).code
    found = tuple(one for one in message.dispatches if directory.same(one.key.recipient, named))
    if not found:
        raise Refused("EDOC-EXC-043", "the message has no dispatch to this agency", recipient=named)
    return message, found


def take_back(office: Office, ref: str, to: str | None, act: Act, *, now: datetime) -> tuple[DispatchView, ...]:
    """T8, T9: take back the dispatches of a message, or the one to an agency.

    What has never left is recalled at once; of what may have left no byte leaves any more, and it is recalled once the
    recipient has twice known nothing of it.

    Raises:
        RefError, Refused: no such message or dispatch, or none of them can be taken back any more.
    """

    def work(unit: Unit, one: DispatchView) -> None:
        after = takeback.ask(unit, one.key, act, now=now)
        if after.situation.state is State.RECALLED:
            taken_back_leaf(office, unit, one.key, after.sha256, act=act, now=now)

    return _on_each(office, chosen(office, ref, to, now=now), act, work)


def taken_back_leaf(office: Office, unit: Unit, key: Key, sha256: str, *, act: Act, now: datetime) -> None:
    """Write the leaf ``taken-back`` in the unit that makes the dispatch ``recalled`` (T8, T9)."""
    _act_leaf(office, unit, "taken-back", key, sha256, act=act, now=now)


def requeue(office: Office, ref: str, to: str | None, act: Act, *, now: datetime) -> tuple[DispatchView, ...]:
    """T10: send again what expired or was refused by a problem: same id, same bytes, new deadline.

    Raises:
        RefError, Refused: no such message or dispatch, or none of them can be queued again.
    """

    def work(unit: Unit, one: DispatchView) -> None:
        after = takeback.requeue(unit, one.key, now=now)
        _act_leaf(office, unit, "requeued", one.key, after.sha256, act=act, now=now)

    return _on_each(office, chosen(office, ref, to, now=now), act, work)


def retry(office: Office, ref: str, to: str | None, act: Act, *, now: datetime) -> tuple[DispatchView, ...]:
    """Make waiting dispatches due now; the ledger keeps who asked for it.

    Raises:
        RefError, Refused: no such message or dispatch, or none of them waits.
    """

    def work(unit: Unit, one: DispatchView) -> None:
        takeback.retry(unit, one.key, now=now)
        evidence = record("operation", action="dispatch.retry", result="ok", msg=one.key.message_id)
        office.append(
            unit,
            "operation",
            at=now,
            evidence=unit.keep(evidence),
            rtype="record",
            people={"actor": act.person, "subject": f"msg:{one.key.message_id}", "note": act.note or act.reason},
            fields={"action": "dispatch.retry", "result": "ok"},
        )

    return _on_each(office, chosen(office, ref, to, now=now), act, work)


def _on_each(
    office: Office,
    of: tuple[SentMessage, tuple[DispatchView, ...]],
    act: Act,
    work: Callable[[Unit, DispatchView], None],
) -> tuple[DispatchView, ...]:
    """Do an act on those dispatches whose state allows it; if none does, say so.

    Raises:
        Refused: the table has no such move for any of them.
    """
    check_act(act)
    message, wanted = of
    refused = 0
    for one in wanted:
        try:
            office.store.do(lambda unit, one=one: work(unit, one))  # type: ignore[misc]  # bound now, on purpose
        except NotAllowed:
            refused += 1
    after = again(office, message, wanted)
    if refused == len(wanted):
        raise Refused(
            "EDOC-EXC-062",
            "the dispatch's state does not allow this",
            ref=message.row.ref,
            state=", ".join(sorted({one.state.value for one in after})),
        )
    office.on_work()
    return after


def again(office: Office, message: SentMessage, wanted: tuple[DispatchView, ...]) -> tuple[DispatchView, ...]:
    """Return the same dispatches as they stand now."""
    ids = {one.dispatch_id for one in wanted}
    found = office.store.read(lambda connection: outbox.dispatches(connection, message.message_id))
    return tuple(one for one in found if one.dispatch_id in ids)


def _act_leaf(office: Office, unit: Unit, kind: str, key: Key, sha256: str, *, act: Act, now: datetime) -> None:
    at = milliseconds(now)
    name = {"taken-back": "TakenBack", "requeued": "Requeued"}[kind]
    facts = record(name, msg=key.message_id, sender=key.sender, recipient=key.recipient, reason=act.reason)
    fields: dict[str, event.Value] = {"env": sha256, "reason": act.reason}
    office.append(
        unit,
        kind,
        at=at,
        evidence=unit.keep(facts),
        rtype="record",
        key=key,
        side="s",
        people={"actor": act.person, "note": act.note},
        fields=fields,
    )
