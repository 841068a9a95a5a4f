"""Going on after an end: which inputs have their signed output already (console.md 4.1, ``--resume``).

An output counts only if it is this very input with one more signature, by this very certificate, of the level asked for
or higher, and every signature in it is intact. What is there and does not count is left alone, and told.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from transport.desk.files import is_regular, read_input
from transport.desk.signplan import CONTAINER, DETACHED, form_of
from transport.desk.signrequest import LEVELS, Outcome

if TYPE_CHECKING:
    from signer.report import Report, SignatureReport
    from signer.trust import Context
    from transport.desk.signdesk import Desk


def finished(desk: Desk, name: str, kind: str, target: Path) -> Outcome | None:
    """Return what a former run made of an input; ``None`` if there is nothing, or it does not count.

    Raises:
        CommandError: a file cannot be read.
    """
    if not target.is_file() or not is_regular(name):
        return None
    data, made = read_input(name, desk.console), read_input(str(target), desk.console)
    last = _ours(desk, kind, name, data=data, made=made)
    if last is None or not _reaches(last.level, desk.level):
        return None
    stamps = last.timestamps
    return Outcome(
        name,
        "skipped",
        output=str(target),
        sha256_in=hashlib.sha256(data).hexdigest(),
        sha256_out=hashlib.sha256(made).hexdigest(),
        format=kind,
        level=last.level,
        visible=form_of(desk.request, kind, name, picture=desk.picture is not None),
        signed_at=last.signing_time,
        stamp=(stamps[0].time, stamps[0].tsa) if stamps else None,
    )


def _ours(desk: Desk, kind: str, name: str, *, data: bytes, made: bytes) -> SignatureReport | None:
    """Return the new signature, if it is the only new one, ours, and everything is intact."""
    from signer.report import Integrity

    report = reported(desk, kind, data=data, made=made)
    if not report.signatures or any(one.integrity is not Integrity.INTACT for one in report.signatures):
        return None
    if not _holds(kind, name, data=data, made=made):
        return None
    before = set() if kind in (DETACHED, CONTAINER) else {one.id for one in _report(desk, data).signatures}
    new = [one for one in report.signatures if one.id not in before and one.kind != "timestamp"]
    ours = [one for one in new if one.signer.certificate_sha256 == desk.credential.sha256]
    return ours[0] if len(new) == len(ours) == 1 else None


def _reaches(level: str, wanted: str) -> bool:
    reached = level.rpartition("-B-")[2].lower()
    return reached in LEVELS and LEVELS.index(reached) >= LEVELS.index(wanted)


def reported(desk: Desk, kind: str, *, data: bytes, made: bytes) -> Report:
    """Return what a signed file holds; only whether it is intact is asked."""
    from signer.trust import Content

    context = _integrity(desk)
    if kind == DETACHED:
        context = replace(context, contents=(Content("", data),))
    from signer.inspect import inspect_file

    return inspect_file(made, context=context, with_parts=False)


def _integrity(desk: Desk) -> Context:
    from signer.algorithms import PolicyName

    return replace(desk.context, policy=PolicyName.INTEGRITY_ONLY)


def _report(desk: Desk, data: bytes) -> Report:
    from signer.inspect import inspect_file

    return inspect_file(data, context=_integrity(desk), with_parts=False)


def _holds(kind: str, name: str, *, data: bytes, made: bytes) -> bool:
    """Say whether the output is this very input, signed."""
    if kind == DETACHED:
        return True  # intact over this content
    if kind == CONTAINER:
        from signer.asic import read_container

        return read_container(made).members.get(PurePath(name).name) == data
    return grown(data, made)


def grown(data: bytes, made: bytes) -> bool:
    """Say whether ``made`` is ``data`` with something put in at one place: behind a PDF, before the end of an XML."""
    if len(made) <= len(data):
        return False
    if made.startswith(data):
        return True
    start = next(at for at, (one, other) in enumerate(zip(data, made, strict=False)) if one != other)
    return made.endswith(data[start:])
