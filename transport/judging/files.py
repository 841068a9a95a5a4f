"""One file of any kind, judged with everything at hand: its parts, the ledgers' keys, and what the directory knows.

``signer`` judges signatures and knows no agencies, messages or ledgers; this module adds what they mean (signing.md
1.3, last paragraph; console.md 5). It opens no connection and reads no clock.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from signer.inspect import inspect_file, recognise
from signer.report import Code, Indication, Integrity, Reason, Report, SignatureReport, Verdict
from signer.trust import Context

if TYPE_CHECKING:
    from edoc.agencies import Directory
    from edoc.authorities import AuthorityTable
    from transport.judging.logkeys import KeyInHand

MEANING = ("strict", "interop")  # policies under which signatures mean something


@dataclass(frozen=True, slots=True)
class Judging:
    """Everything files are judged with: trust, time and policy, the node's tables, the ledgers' keys at hand."""

    context: Context
    directory: Directory | None = None
    keys: tuple[KeyInHand, ...] = ()
    authorities: AuthorityTable | None = None

    def judge(self, data: bytes) -> Report:
        """Return the report of one file, with its parts and what the directory knows of its signers."""
        return self.known(self.inspect(data))

    def known(self, report: Report) -> Report:
        """Return the report with what the node knows of the signers, where signatures mean something."""
        if self.directory is None or self.context.policy.value not in MEANING:
            return report
        from edoc.authorities import AuthorityTable
        from edoc.seal import annotate
        from edoc.values import vietnam_day

        table = self.authorities or AuthorityTable()
        return annotate(report, self.directory, vietnam_day(self.context.at), table=table)

    def inspect(self, data: bytes) -> Report:
        """Return the report without the directory's knowledge."""
        kind = recognise(data)
        proof = self._proof(data) if kind in {"proof", "unknown"} else None
        if proof is not None:
            return proof
        report = inspect_file(data, context=self.context)
        if kind == "receipt":
            report = replace(report, kind=kind)
        more = _MORE.get(report.kind)
        return more(self, data, report) if more else report

    def _proof(self, data: bytes) -> Report | None:
        from transport.judging.proofs import judge_proof, recognise_proof

        if recognise_proof(data) is None:
            return None
        return judge_proof(data, context=self.context, keys=self.keys)


def _message(judging: Judging, data: bytes, report: Report) -> Report:
    from transport.judging.messages import with_parts

    return with_parts(data, report, judge=judging.inspect)


def _receipt(judging: Judging, data: bytes, report: Report) -> Report:
    from transport.judging.declared import receipt

    return receipt(data, report, judging=judging)


def _xml(judging: Judging, data: bytes, report: Report) -> Report:
    from transport.judging.declared import statement
    from transport.judging.logkeys import MARK

    return statement(data, report) if MARK in data[:4096] else report


def _container(judging: Judging, data: bytes, report: Report) -> Report:
    from transport.judging.containers import with_proofs

    return with_proofs(data, report, judging=judging)


_MORE: dict[str, Callable[[Judging, bytes, Report], Report]] = {
    "edxml": _message,
    "receipt": _receipt,
    "xml": _xml,
    "asic": _container,
}


def spoiled(report: Report, reason: Reason) -> Report:
    """Return the report of a file that is not in the only form its maker writes: its signatures vouch for nothing."""
    signatures = tuple(_spoiled(one) for one in report.signatures)
    return replace(report, verdict=Verdict.INVALID, signatures=signatures, reasons=(reason, *report.reasons))


def _spoiled(signature: SignatureReport) -> SignatureReport:
    failed = Reason(Code.FORMAT_FAILURE, signature=signature.id)
    if signature.indication is Indication.FAILED:
        return replace(signature, integrity=Integrity.BROKEN)
    return replace(
        signature,
        integrity=Integrity.BROKEN,
        indication=Indication.FAILED,
        sub_indication=Code.FORMAT_FAILURE,
        reasons=(failed, *signature.reasons),
    )


def malformed(where: str) -> Reason:
    """Return the reason for a known kind that is not in its form."""
    return Reason(Code.MALFORMED, {"where": where})
