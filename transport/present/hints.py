"""What to do next after ``edoc verify``: a few lines beside the answer, on standard error (console.md 1, "Streams").

The answer itself says what was found and why; these say which option or act settles it. Each is said once per call.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from signer.report import Code, Report, Verdict
from transport.present import catalogue
from transport.present.verify import Checked, Judgement, reasons_of

_BY_CODE = (
    Code.NO_CERTIFICATE_CHAIN_FOUND,
    Code.SIGNED_DATA_NOT_FOUND,
    Code.TRY_LATER,
    Code.ENCRYPTED,
    Code.NO_SIGNATURE,
)
"""Codes with a remedy of the person who asks, in the order they are told."""


def hints(files: Sequence[Checked], how: Judgement, lang: str) -> list[str]:
    """Return the lines for all files of a call, none if everything is valid and as asked."""
    return [catalogue.word(f"hint.{name}", lang) for name in dict.fromkeys(_named(files, how))]


def _named(files: Sequence[Checked], how: Judgement) -> Iterator[str]:
    reports = [part for file in files if file.report is not None for part in _with_parts(file.report)]
    if any(report.verdict is Verdict.INVALID for report in reports):
        yield "INVALID"
    undecided = [report for report in reports if report.verdict is Verdict.INDETERMINATE]
    codes = {reason.code for report in undecided for reason in reasons_of(report)}
    if Code.CRYPTO_CONSTRAINTS_FAILURE in codes:
        codes.discard(Code.TRY_LATER)  # an answer may be there whose own algorithm is refused
    for code in _BY_CODE:
        if code in codes:
            no_anchor = code is Code.NO_CERTIFICATE_CHAIN_FOUND and not how.anchors
            yield "NO_ANCHOR" if no_anchor else code.value
    if any(report.size == 0 for report in reports):
        yield "EMPTY"
    if any(file.unmet and file.report is not None and file.report.legal_class is None for file in files):
        yield "NO_DIRECTORY"


def _with_parts(report: Report) -> Iterator[Report]:
    yield report
    for _, part in report.parts:
        yield from _with_parts(part)
