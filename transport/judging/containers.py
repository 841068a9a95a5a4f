"""Containers with more than signed files in them: evidence packages carry proofs, checkpoints and key statements.

The container is judged by its own signatures (console.md 5.3); these members are parts of it, and one that is not valid
is warned of. Statements in the container give the keys for its proofs, as far as the caller's trust covers them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from signer.asic import read_container
from signer.errors import InputRefused
from signer.report import Code, Reason, Report, Verdict
from transport.judging.declared import receipt, statement
from transport.judging.logkeys import MARK, of_statements
from transport.judging.messages import with_parts
from transport.judging.proofs import judge_proof, recognise_proof

if TYPE_CHECKING:
    from transport.judging.files import Judging

_FOLDERS = ("ledger/",)


def with_proofs(data: bytes, report: Report, *, judging: Judging) -> Report:
    """Add the proofs and checkpoints of a container to its parts, and say more of those that ``signer`` found."""
    if b".tlog-proof" not in data:
        return report
    try:
        members = dict(read_container(data, limits=judging.context.limits).objects)
    except InputRefused:
        return report
    return _read_on(report, members, judging)


def _read_on(report: Report, members: dict[str, bytes], judging: Judging) -> Report:
    """Judge messages, receipts and statements as such, one level deep, and the proofs with the statements' keys."""
    keys = (*judging.keys, *of_statements(members.values(), context=judging.context))
    informed = replace(judging, keys=keys)
    parts = [(name, _known(part, members.get(name, b""), informed)) for name, part in report.parts]
    named = {name for name, _ in parts}
    proofs = [
        (name, judge_proof(value, context=judging.context, keys=keys))
        for name, value in members.items()
        if name not in named and name.startswith(_FOLDERS) and recognise_proof(value)
    ]
    bad = [Reason(Code.PART_NOT_VALID, {"name": n}) for n, part in proofs if part.verdict is not Verdict.VALID]
    order = {name: place for place, name in enumerate(members)}
    parts = sorted([*parts, *proofs], key=lambda part: order.get(part[0], len(order)))
    return replace(report, parts=tuple(parts), warnings=(*report.warnings, *bad))


def _known(part: Report, data: bytes, judging: Judging) -> Report:
    if part.kind == "edxml":
        return replace(with_parts(data, part, judge=judging.inspect), parts=())  # one level, but its verdict is whole
    if part.kind == "receipt":
        return receipt(data, part, judging=judging)
    return statement(data, part) if MARK in data[:4096] else part
