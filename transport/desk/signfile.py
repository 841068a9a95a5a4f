"""One file from its bytes to its signed output: looked at, signed, read back, written whole (signing.md 2; R33)."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edoc.errors import EdocError
from signer.errors import SignerError
from transport.desk import copying, resuming, signmakers
from transport.desk.files import check_target, read_input, write_output
from transport.desk.signplan import form_of, format_of, target_of
from transport.desk.signrequest import Made, Outcome
from transport.errors import TransportError
from transport.present.errors import CommandError, fault

if TYPE_CHECKING:
    from datetime import datetime

    from signer.report import Reason
    from transport.desk.signdesk import Desk

EXISTS = "EDOC-USE-009"


def sign_one(desk: Desk, name: str) -> Outcome:
    """Sign one file and say what became of it.

    Raises:
        KeyRefused: the key cannot be used, for any file.
    """
    try:
        return _signed(desk.moved_on(), name)
    except (CommandError, SignerError, EdocError, TransportError, OSError) as error:
        desk.key.note(error)
        found = fault(error, desk.console.lang, path=name)
        return Outcome(name, "refused" if found.exit_code == 1 else "failed", found)


def _signed(desk: Desk, name: str) -> Outcome:
    delivery = desk.request.delivery
    target, data = None, b""
    if name != "-":
        data = read_input(name, desk.console)
        target = target_of(desk.request, name, format_of(desk.request.format, data, name))
        if delivery.resume and target is not None:
            before = resuming.finished(desk, name, format_of(desk.request.format, data, name), target)
            if before is not None:
                return before
    elif delivery.output not in (None, "-"):
        target = Path(str(delivery.output))
    if target is not None:
        check_target(target, force=delivery.force, inputs=desk.untouched)
    data = data if name != "-" else read_input(name, desk.console)
    kind = format_of(desk.request.format, data, name)
    plan = _planned(desk, name, kind, data=data, target=target)
    plan = replace(plan, notes=(*plan.notes, *_looked_at(desk, name, kind, data)))
    if delivery.dry_run:
        signmakers.ask(desk, name, data)
        return replace(plan, warnings=desk.key.checked())
    made = signmakers.raised(desk, signmakers.made(desk, name, kind, data), data)
    return _delivered(desk, plan, made, data=data, target=target)


def _planned(desk: Desk, name: str, kind: str, *, data: bytes, target: Path | None) -> Outcome:
    return Outcome(
        name,
        "skipped" if desk.request.delivery.dry_run else "signed",
        output=str(target) if target else "-",
        sha256_in=hashlib.sha256(data).hexdigest(),
        format=kind,
        level=signmakers.level_of(desk, kind),
        visible=form_of(desk.request, kind, name, picture=desk.picture is not None),
        signed_at=desk.request.at,
        notes=desk.ready.notes,
    )


def _looked_at(desk: Desk, name: str, kind: str, data: bytes) -> tuple[str, ...]:
    """Check the file, then the certificate, before a PIN is asked for (K1 to K7); return remarks on a copy in words.

    A key that is open and checked needs no more of this: signing itself looks at the file first.
    """
    notes = copying.looked_at(desk, name, kind, data)
    if not desk.key.was_checked or desk.request.delivery.dry_run:
        signmakers.signable(desk, name, kind, data)
        desk.key.checked()
    return notes


def _delivered(desk: Desk, plan: Outcome, made: Made, *, data: bytes, target: Path | None) -> Outcome:
    stamp = _read_back(desk, plan.path, made, data)
    copying.keep(desk, plan.path, data, made.data)
    if target is None:
        desk.console.binary(made.data)
    else:
        try:
            write_output(target, made.data, force=desk.request.delivery.force)
        except CommandError as error:
            other = _meanwhile(desk, plan, error, target)
            if other is None:
                raise
            return other
    return replace(
        plan,
        sha256_out=hashlib.sha256(made.data).hexdigest(),
        level=made.level,
        page=made.page,
        stamp=stamp,
        warnings=(*desk.key.checked(), *made.warnings, *degraded(made.level)),
    )


def degraded(level: str) -> tuple[Reason, ...]:
    """R32: a signature without time stamp is marked as such in the result, as in every later report."""
    from signer.report import Code, Reason

    return (Reason(Code.SIGNING_TIME_NOT_PROVED),) if level.endswith("B-B") else ()


def _meanwhile(desk: Desk, plan: Outcome, error: CommandError, target: Path) -> Outcome | None:
    """Return what another process made of the file meanwhile, such as one left over from a run that was killed."""
    if error.code != EXISTS or not desk.request.delivery.resume:
        return None
    return resuming.finished(desk, plan.path, plan.format or "", target)


def _read_back(desk: Desk, name: str, made: Made, data: bytes) -> tuple[datetime | None, str | None] | None:
    """Judge the finished file and deliver it only if every signature, old and new, is intact (R33).

    Raises:
        CommandError: one is not.
    """
    from signer.report import Integrity

    report = resuming.reported(desk, made.format, data=data, made=made.data)
    wrong = [item.id for item in report.signatures if item.integrity is not Integrity.INTACT]
    if wrong or not report.signatures:
        raise CommandError("EDOC-USE-041", path=name, signatures=wrong)
    ours = [item for item in report.signatures if item.signer.certificate_sha256 == desk.credential.sha256]
    stamps = ours[-1].timestamps if ours else ()
    return (stamps[0].time, stamps[0].tsa) if stamps else None
