"""edXML messages as a whole: the seal, what it says, and every attachment opened and judged (console.md 5.3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from edoc.envelopes import Envelope, StatusMessage
from edoc.errors import EdocError
from edoc.seal import peek
from signer.report import Code, Integrity, Reason, Report, Verdict
from transport.judging.combining import Parts, combined, worst
from transport.judging.visible import mismatches

Judge = Callable[[bytes], Report]


def with_parts(data: bytes, report: Report, *, judge: Judge) -> Report:
    """Judge the attachments of a message too; the worst verdict counts, and the main part must be signed.

    What a message says of itself is shown only under an intact seal; without any seal its parts speak for themselves.
    """
    sealed = any(signature.integrity is Integrity.INTACT for signature in report.signatures)
    if report.signatures and not sealed:
        return report
    try:
        peeked = peek(data)
    except EdocError as error:
        return _unread(report, error)
    message, report = peeked.message, replace(report, format=peeked.format)
    described = replace(report, document=description(message)) if sealed else report
    if isinstance(message, StatusMessage):
        return described
    return opened(described, message, tuple((item.name, judge(item.content)) for item in message.attachments))


def opened(report: Report, message: Envelope, parts: Parts) -> Report:
    """Return the report of a message with those of its parts, and what the letter shows otherwise than it states."""
    noticed = mismatches(*parts[0], message.document) if parts else ()  # appendices have numbers of their own
    return combined(replace(report, warnings=(*report.warnings, *noticed)), parts)


def _unread(report: Report, error: EdocError) -> Report:
    """A message whose document cannot be read is not valid by its seal alone: its parts were never judged."""
    reasons = (Reason(Code.MALFORMED, {"where": f"edXML ({error.code})"}), *report.reasons)
    return replace(report, verdict=worst(report.verdict, Verdict.INDETERMINATE), reasons=reasons)


def description(message: Envelope | StatusMessage) -> Mapping[str, str]:
    """Return ``document`` of console.md 5.1: what the message says about itself; what it does not say is empty."""
    if isinstance(message, StatusMessage):
        return {
            "document_id": message.response_for.document_id or "",
            "number": "",
            "notation": message.response_for.code or "",
            "date": message.response_for.date.isoformat() if message.response_for.date else "",
            "from": message.sender.organ_id,
            "to": message.response_for.organ_id,
            "subject": "",
            "status_code": message.code,
        }
    document = message.document
    return {
        "document_id": document.document_id or "",
        "number": str(document.number or ""),
        "notation": document.notation or "",
        "date": document.date.isoformat() if document.date else "",
        "from": message.sender.organ_id,
        "to": ", ".join(party.organ_id for party in message.recipients),
        "subject": document.subject or "",
    }
