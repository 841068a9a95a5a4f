"""Copies at the desk: ``edoc sign --as agency --copy`` (R47, R48, R50, R52). The rules stand in ``edoc.copies``.

A copy is a PDF, because its form is stated in the line T2. One made from paper carries the mark of the conversion in
its signature; a node keeps mark, time and person beside it.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from transport.desk import trusting
from transport.desk.authorising import account_at_desk
from transport.present.errors import CommandError

if TYPE_CHECKING:
    from edoc.copies import Form, ScanFault
    from signer.pdf.scans import ScanFacts
    from transport.desk.console import Console
    from transport.desk.signdesk import Desk
    from transport.store.store import Unit

FROM_PAPER = "paper-to-file"


def line_of(desk: Desk) -> str:
    """Return what the line T2 says before date and time: ``SAO Y; Sở Mẫu A``."""
    from edoc.copies import copy_line

    name = desk.settings.agency_name
    if name is None:  # without a node the certificate says it; one that is hidden before its PIN is opened for that
        from signer.chain import common_name

        name = common_name(desk.credential.x509.subject)
    return copy_line(_form(desk), name)


def looked_at(desk: Desk, name: str, kind: str, data: bytes) -> tuple[str, ...]:
    """Refuse what may not be copied, and return remarks in words; nothing for an act that is no copy.

    Raises:
        CopyRefused: the direction does not exist, the scan is not good enough, or the original is held as a file.
        CommandError: the file is no PDF.
    """
    if desk.request.act.copy is None:
        return ()
    from edoc.copies import Form, Medium, check_direction, scan_faults
    from signer.inspect import inspect_file

    form = _form(desk)
    signed = bool(inspect_file(data, context=desk.context).signatures)
    check_direction(form, Medium.FILE if signed else Medium.PAPER, Medium.FILE, name=name)
    if kind != "PAdES":
        raise CommandError("EDOC-DOC-088", path=name, form=form.words, kind=kind)
    facts = _facts(desk, data)
    if any(page.is_scan for page in facts.pages) or form is not Form.TRS:
        _refuse_held(desk, name)
    faults = scan_faults(facts.version, facts.pages)
    _refuse_faults(desk, name, [fault for fault in faults if fault.hard])
    quiet = {"no-scan"} if form is Form.TRS else set()
    return tuple(_said(fault, desk.console.lang) for fault in faults if fault.what not in quiet)


def _form(desk: Desk) -> Form:
    from edoc.copies import Form

    return Form(desk.request.act.copy or "")


def _facts(desk: Desk, data: bytes) -> ScanFacts:
    from signer.pdf.scans import scan_facts

    return scan_facts(data, limits=desk.context.limits)


def _refuse_faults(desk: Desk, name: str, faults: list[ScanFault]) -> None:
    if not faults:
        return
    from edoc.errors import CopyRefused

    said = [_said(fault, desk.console.lang) for fault in faults[:3]]
    raise CopyRefused("EDOC-DOC-086", "the scan is not good enough", path=name, faults="; ".join(said))


def _said(fault: ScanFault, lang: str) -> str:
    from transport.present import catalogue

    return catalogue.word(f"copy.{fault.what}", lang, value=fault.value, page=fault.page or "-")


def _refuse_held(desk: Desk, name: str) -> None:
    """Refuse a scan of a document the node holds as a signed original; ``--of REF`` says which it is of (R52)."""
    reference = desk.request.act.copy_of
    if reference is None or trusting.node_home(desk.console) is None:
        return
    from edoc.copies import refuse_held

    refuse_held(name, reference, _class_of(desk.console, reference, desk))


def _class_of(console: Console, reference: str, desk: Desk) -> str | None:
    """Return the legal class of a document of the node, ``None`` if it has none of this name."""
    from transport.desk import nodes
    from transport.node import looking
    from transport.store.refs import RefError

    with nodes.reading(console) as office:
        try:
            return looking.find(office, reference, desk.request.at).row.legal_class
        except RefError as error:
            if error.code == "EDOC-STO-013":
                return None
            raise


# --- the mark of a conversion ----------------------------------------------------------------------------------------


def reason_of(desk: Desk, data: bytes) -> str | None:
    """Return the reason that stands in the signature: as given, and the mark of a conversion behind it."""
    return "; ".join(part for part in (desk.request.reason, mark_of(desk, data)) if part) or None


def mark_of(desk: Desk, data: bytes) -> str | None:
    """Return the mark a file made from paper carries in its signature (R50); ``None`` for one that was not.

    Sao y and sao lục have no other source; an extract was made from paper if a page of it is a scan.
    """
    if desk.request.act.copy is None:
        return None
    from edoc.copies import Form, conversion_mark

    if _form(desk) is Form.TRS and not any(page.is_scan for page in _facts(desk, data).pages):
        return None
    return conversion_mark(person_at_desk(desk.console), desk.request.at)


def person_at_desk(console: Console) -> str:
    """Return the full name of who converts: of the account of the node, else the account of the system."""
    account, table = account_at_desk(), trusting.authorities_of(console)
    person = table.account(account) if table is not None else None
    return person.full_name if person else account


def keep(desk: Desk, name: str, data: bytes, made: bytes | None) -> None:
    """Keep mark, time and person of a conversion in the node, and enter it in the ledger; without a node nothing.

    ``made`` is the signed file; ``None`` for one that is signed elsewhere later on.

    Raises:
        SettingsError, StoreError: it cannot be kept; then nothing is delivered.
    """
    if desk.request.act.copy is None or trusting.node_home(desk.console) is None:
        return
    mark = mark_of(desk, data)
    if mark is None:
        return
    from transport.desk import tables
    from transport.store import people, quick

    before, after = (None if one is None else hashlib.sha256(one).hexdigest() for one in (data, made))
    with tables.changing(desk.console) as office:
        conversion = people.Conversion(
            agency=office.code,
            form=desk.request.act.copy,
            direction=FROM_PAPER,
            person=person_at_desk(desk.console),
            document=desk.request.act.copy_of or name,
            at=desk.request.at,
            sha256_in=before,
            sha256_out=after,
        )
        logged = office.log.signer is not None and quick.head(office.settings.home) is not None

        def work(unit: Unit) -> None:
            people.keep_conversion(unit, conversion)
            if logged:
                action = f"copy.{conversion.form}"
                subject = after or before or "-"
                tables.append_operation(office, unit, action, subject=subject, now=desk.request.at, note=mark)

        office.store.do(work)
