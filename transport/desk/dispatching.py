"""``edoc dispatch``: lists, reasons, acts on dispatches, transport by hand (console.md 4.4; exchange.md 6, 7 P4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from transport.desk import nodes
from transport.desk.values import choice
from transport.present.errors import CommandError

if TYPE_CHECKING:
    from transport.desk.console import Console
    from transport.node.byhand import Imported
    from transport.node.office import Office
    from transport.store.dispatchlist import Detail, DispatchPage
    from transport.store.takeback import Act
    from transport.store.values import DispatchView, ReceiptView

STATES = ("queued", "carrying", "unknown", "delivered", "refused", "expired", "recalled")


@dataclass(frozen=True, slots=True)
class Listing:
    """What ``dispatch list`` and ``dead`` ask, as typed."""

    state: str | None = None
    to: str | None = None
    lane: int | None = None
    limit: int = 50
    after: str | None = None
    dead: bool = False


def listed(office: Office, asked: Listing, *, now: datetime) -> DispatchPage:
    """Return a page of dispatches, newest first.

    Raises:
        CommandError: no such state or lane, or an impossible limit.
        UnknownAgency: the directory has none of that name.
    """
    from transport.store import dispatchlist

    if asked.state is not None:
        choice(asked.state, "--state", STATES)
    if asked.lane is not None and asked.lane not in (1, 2, 3):
        raise CommandError("EDOC-USE-004", name="--lane", value=asked.lane, expected="1|2|3")
    if not 1 <= asked.limit <= 500:
        raise CommandError("EDOC-USE-004", name="--limit", value=asked.limit, expected="1…500")
    code = office.directory().find(asked.to).code if asked.to else None
    question = dispatchlist.Asked(
        state=asked.state, recipient=code, lane=asked.lane, dead=asked.dead, limit=asked.limit, after=asked.after
    )
    return office.store.read(lambda connection: dispatchlist.dispatches(connection, question, now=now))


def explained(office: Office, ref: str, to: str | None, *, now: datetime) -> tuple[Detail, ...]:
    """Return the dispatches of a message with all that explains why they stand where they stand.

    Raises:
        RefError, Refused: no such message, or it has no dispatch to that agency.
    """
    from transport.node.handling import chosen

    return details(office, chosen(office, ref, to, now=now)[1], now=now)


def details(office: Office, views: Sequence[DispatchView], *, now: datetime) -> tuple[Detail, ...]:
    """Return dispatches with their attempts."""
    from transport.store import dispatchlist

    def question(view: DispatchView) -> Detail | None:
        return office.store.read(lambda connection: dispatchlist.detail(connection, view.key, now=now))

    return tuple(found for view in views if (found := question(view)) is not None)


@dataclass(frozen=True, slots=True)
class Wanted:
    """An act on dispatches as typed: ``take-back``, ``requeue`` or ``retry`` of a message, for one agency or all."""

    act: str
    ref: str
    to: str | None
    reason: str
    note: str


def act(console: Console, wanted: Wanted, *, now: datetime) -> tuple[tuple[Detail, ...], dict[str, str]]:
    """Do the act and return the dispatches it was done on, with the names of agencies.

    Raises:
        RefError, Refused: no such message, no such reason, or no dispatch whose state allows it.
    """
    from transport.desk import tables
    from transport.node import handling
    from transport.store.takeback import Act

    does = {"take-back": handling.take_back, "requeue": handling.requeue, "retry": handling.retry}[wanted.act]
    named: Act = Act(nodes.login(), wanted.reason, wanted.note)
    with tables.changing(console) as office:
        after = does(office, wanted.ref, wanted.to, named, now=now)
        return details(office, after, now=now), nodes.names(office)


@dataclass(frozen=True, slots=True)
class Exported:
    """A file that was written: of a message, with its dispatch, or of a receipt of ours."""

    path: str
    items: tuple[Detail, ...]
    receipt: ReceiptView | None
    names: dict[str, str]


def export(console: Console, ref: str, to: str | None, *, output: str | None, force: bool, now: datetime) -> Exported:
    """Write a message that was sent, or the receipt of one that arrived, to a file to be carried by hand (R95).

    Raises:
        RefError, Refused: nothing fits, several recipients and none named, or the dispatch's state forbids it.
        CommandError: the file cannot be written.
    """
    from transport.desk import files, tables
    from transport.node import byhand
    from transport.store.refs import RefError

    with tables.changing(console) as office:
        names = nodes.names(office)
        try:
            target = _target(output, ref, "edxml")
            files.check_target(target, force=force)
            out = byhand.hand_out(office, ref, to, person=nodes.login(), now=now)
        except RefError as missing:
            if missing.code != "EDOC-STO-013":
                raise
        else:
            with office.store.reading(out.sha256) as source:
                files.write_from(target, source, digest=out.sha256, force=force)
            return Exported(str(target), details(office, (out.dispatch,), now=now), None, names)
        target = _target(output, ref, "receipt.xml")
        files.check_target(target, force=force)
        data, receipt = byhand.receipt_file(office, ref, now=now)
        files.write_output(target, data, force=force)
        return Exported(str(target), (), receipt, names)


def _target(output: str | None, ref: str, suffix: str) -> Path:
    if output is not None:
        return Path(output)
    plain = "".join(char if char.isalnum() or char in "-." else "-" for char in ref)
    return Path(f"{plain}.{suffix}")


@dataclass(frozen=True, slots=True)
class BroughtIn:
    """What an imported file did: its result, our receipt's file where it was a message, the dispatch it settled."""

    result: Imported
    receipt: ReceiptView | None
    path: str | None
    items: tuple[Detail, ...]
    names: dict[str, str]


def bring(
    console: Console, pins: nodes.Pins, file: str, *, output: str | None, force: bool, now: datetime
) -> BroughtIn:
    """Take in a message or a receipt that came as a file; of a message the receipt is written to a file (R95).

    Raises:
        Refused: the seal does not hold, K is taken, or no dispatch has this receipt.
        ReceiptInvalid: the receipt does not settle anything.
        Problem: nothing can be decided now.
    """
    from transport.desk import files
    from transport.node import byhand

    large = nodes.PackedInput.of(file, console)
    receipt = large.path is None and byhand.is_receipt(large.data)
    target = None if receipt else Path(output) if output else _beside(file)
    if target is not None:
        files.check_target(target, force=force, inputs=[file])
    with nodes.working(console, pins, need_exchange=not receipt) as node:
        office = node.office
        office.fetch_status = nodes.status_source(office.settings)
        names = nodes.names(office)
        if large.path is not None:
            result = byhand.bring_message_file(office, large.path, now=now)
        else:
            result = (byhand.bring_receipt if receipt else byhand.bring_message)(office, large.data, now=now)
        if target is None:
            return BroughtIn(result, None, None, _settled(office, result, now), names)
        node.follow(now=now)
        given = byhand.given(office, result.key)
        files.write_output(target, byhand.copy_of(office, given), force=force)
        return BroughtIn(result, given, str(target), (), names)


def _beside(file: str) -> Path:
    if file == "-":
        raise CommandError("EDOC-USE-003", name="-o", command="edoc dispatch import")
    return Path(file).with_suffix(".receipt.xml")


def _settled(office: Office, result: Imported, now: datetime) -> tuple[Detail, ...]:
    from transport.store import dispatchlist

    found = office.store.read(lambda connection: dispatchlist.detail(connection, result.key, now=now))
    return () if found is None else (found,)
