"""Receipts, their evidence copies, and key statements: signed declarations with one exact form (exchange.md 5).

``signer`` judges the signature; here the declaration must also be what its only writer could have written, or its
signature vouches for something nobody reads the same way (signing.md 5.4).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from signer.report import Code, Reason, Report, Verdict
from transport.errors import LedgerError, ReceiptInvalid
from transport.judging.combining import worst
from transport.judging.files import malformed, spoiled

if TYPE_CHECKING:
    from transport.judging.files import Judging

COPY_FORMAT = "receipt evidence copy"
STATEMENT_FORMAT = "ledger key statement"


def receipt(data: bytes, report: Report, *, judging: Judging) -> Report:
    """Judge a receipt, or an evidence copy: its receipt and the ledger proofs beside it."""
    from transport.receipts import parse

    if b"EvidenceCopy" in data[:1024]:
        return _copy(data, report, judging)
    if not report.signatures:
        return report
    try:
        parse(data)
    except ReceiptInvalid:
        return spoiled(report, malformed("receipt"))
    return report


def _copy(data: bytes, report: Report, judging: Judging) -> Report:
    """The copy itself is not signed: it counts as the receipt in it, and proofs that do not fit spoil it."""
    from transport.judging.proofs import judge_proof
    from transport.receipts import parse_evidence_copy

    try:
        inner, proofs = parse_evidence_copy(data)
    except ReceiptInvalid:
        reason = malformed("EvidenceCopy")
        return replace(report, format=COPY_FORMAT, verdict=Verdict.INVALID, signatures=(), reasons=(reason,))
    own = judging.inspect(inner)
    parts = tuple(
        (
            f"{proof.origin}/{proof.index}.tlog-proof",
            judge_proof(
                proof.text.encode("utf-8"),
                context=judging.context,
                keys=judging.keys,
                leaf=bytes.fromhex(proof.leaf),
            ),
        )
        for proof in proofs
    )
    broken = [part for _, part in parts if part.verdict is Verdict.INVALID]
    open_ = [Reason(Code.PART_NOT_VALID, {"name": name}) for name, part in parts if part.verdict is not Verdict.VALID]
    return replace(
        own,
        format=COPY_FORMAT,
        sha256=report.sha256,
        size=report.size,
        verdict=worst(own.verdict, *(part.verdict for part in broken)),
        reasons=(*own.reasons, *((Reason(Code.PROOF_INVALID),) if broken else ())),
        warnings=(*own.warnings, *open_),
        parts=parts,
    )


def statement(data: bytes, report: Report) -> Report:
    """Judge a key statement of a ledger (``keys.xml``)."""
    from transport.ledger.statement import parse

    report = replace(report, format=STATEMENT_FORMAT)
    if not report.signatures:
        return report
    try:
        parse(data)
    except LedgerError:
        return spoiled(report, malformed("LedgerKeys"))
    return report
