"""What the act needs beside the key: the rule R28, the form of a copy, what is stated of the signer (R26, R28, R47).

``edoc`` supplies the rules; here they are put before the key is used. What the authority table says stands in
``authorising``, what is asked of copies in ``copying``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from transport.desk.authorising import Authorising, authorising
from transport.desk.files import read_input
from transport.present.errors import CommandError

if TYPE_CHECKING:
    from signer.report import Reason, Report
    from transport.desk.signdesk import Desk


@dataclass(frozen=True, slots=True)
class Ready:
    """What an act brings to every file.

    ``precondition`` is asked about exactly the bytes about to be signed, ``attachment`` about separate appendices in
    its place; ``notes`` are remarks in words.
    """

    precondition: Callable[[Report], Reason | None] | None = None
    attachment: Callable[[Report], Reason | None] | None = None
    notes: tuple[str, ...] = ()


def ready_for(desk: Desk) -> Ready:
    """Settle what the act needs, before any file is touched.

    Raises:
        CommandError, EdocError: the act is not allowed.
    """
    act, table = desk.request.act, table_of(desk)
    table.check(desk.key.shown)
    notes = table.notes(desk.key.shown)
    if act.role != "agency":
        return Ready(notes=notes)
    if act.copy:
        return Ready(_allowed, notes=notes)
    rule = _rule(desk, table)
    return Ready(rule, _by_main(desk, rule) if act.attachment_of else None, notes=notes)


def table_of(desk: Desk) -> Authorising:
    """Return the authority table of the node as this act asks it."""
    shown = desk.key.shown
    return authorising(desk.console, desk.settings, desk.request, sha256=shown.sha256 if shown else None)


def roles_of(desk: Desk) -> tuple[str, ...]:
    """Return what a signature states of its maker: capacity and position, of the table where not given (R26, R37)."""
    return table_of(desk).roles(desk.credential)


def _allowed(report: Report) -> Reason | None:
    """A copy is the agency's own act (R28)."""
    return None


def _rule(desk: Desk, table: Authorising) -> Callable[[Report], Reason | None]:
    """Return the rule R28; that a person signed without authority is told with its reason (R26).

    The rule raises CommandError (EDOC-DOC-081) where it knows why.
    """
    from edoc.agencies import Directory
    from edoc.seal import agency_precondition

    asked_of = table.question() if table.agency is not None else None
    rule = agency_precondition(desk.directory or Directory(()), table.day, table=table.table, asked=asked_of)

    def asked(report: Report) -> Reason | None:
        objection = rule(report)
        if objection is None or "why" not in objection.facts:
            return objection
        from transport.present import catalogue

        why = catalogue.word(f"authority.{objection.facts['why']}", desk.console.lang)
        raise CommandError("EDOC-DOC-081", name=objection.facts["name"], agency=table.agency, why=why)

    return asked


def _by_main(desk: Desk, rule: Callable[[Report], Reason | None]) -> Callable[[Report], Reason | None]:
    """Return the rule for a separate appendix: its main document decides (R28, R41)."""
    from transport.desk.signdesk import authorised

    main = desk.request.act.attachment_of
    assert main is not None
    answer = rule(authorised(desk, read_input(main, desk.console)))
    return lambda _: answer
