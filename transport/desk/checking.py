"""``edoc verify``: read, judge, and let the directory say what the signatures mean. Opens no connection."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from edoc import __version__
from edoc.errors import EdocError
from signer.errors import SignerError
from signer.report import Code, Integrity, Reason, Report, Verdict
from transport.desk import trusting
from transport.desk.files import read_input
from transport.present.errors import CommandError, fault
from transport.present.verify import Checked, Judgement, reasons_of

if TYPE_CHECKING:
    from edoc.agencies import Directory
    from signer.trust import Context, Expectation
    from transport.desk.console import Console

MEANING = ("strict", "interop")  # policies under which signatures mean something


@dataclass(frozen=True, slots=True)
class Request:
    """What the command line asks: the files and how they are to be judged."""

    files: tuple[str, ...]
    at: datetime
    policy: str = "interop"
    trust: tuple[str, ...] = ()
    trust_tsa: tuple[str, ...] = ()
    chain: tuple[str, ...] = ()
    revocation: tuple[str, ...] = ()
    agency: str | None = None
    require: str | None = None


def check(console: Console, request: Request, *, generated_at: datetime) -> tuple[list[Checked], Judgement]:
    """Judge the files in their order; one that cannot be read still has its entry.

    Raises:
        CommandError: trust or options cannot be used; then no file is judged.
    """
    store = trusting.store_of(
        console,
        trust=request.trust,
        trust_tsa=request.trust_tsa,
        chain=request.chain,
        revocation=request.revocation,
    )
    context = trusting.context_of(store, at=request.at, policy=request.policy)
    directory = trusting.directory_of(console)
    if request.agency:
        context = replace(context, expectation=_expected(request, directory))
    checked = [_one(name, console, context, directory, request) for name in request.files]
    how = Judgement(request.at, generated_at, request.policy, __version__, len(store.anchors), store.fingerprint())
    return checked, how


def _one(name: str, console: Console, context: Context, directory: Directory | None, request: Request) -> Checked:
    try:
        data = read_input(name, console)
        report = judged(data, context=context, directory=directory)
    except (CommandError, SignerError, EdocError) as error:
        return Checked(name, None, fault(error, console.lang, path=name))
    return Checked(name, _required(report, request.require))


def judged(data: bytes, *, context: Context, directory: Directory | None) -> Report:
    """Return the report of one file, with its parts and what the directory knows of its signers."""
    from signer.inspect import inspect_file

    report = inspect_file(data, context=context)
    if report.kind == "edxml":
        report = _with_parts(data, report, context=context, directory=directory)
    if directory is None or context.policy.value not in MEANING:
        return report
    from edoc.seal import annotate

    return annotate(report, directory, context.at.date())


def _with_parts(data: bytes, report: Report, *, context: Context, directory: Directory | None) -> Report:
    """Judge the attachments of a message too; the worst verdict counts, and the main part must be signed."""
    from edoc.envelopes import Envelope
    from edoc.seal import peek

    if not any(signature.integrity is Integrity.INTACT for signature in report.signatures):
        return report
    try:
        message = peek(data).message
    except EdocError:
        return report
    described = replace(report, document=description(message))
    if not isinstance(message, Envelope) or not message.attachments:
        return described
    parts = tuple(
        (item.name, judged(item.content, context=context, directory=directory)) for item in message.attachments
    )
    return _combined(described, parts)


def description(message: object) -> dict[str, str]:
    """Return ``document`` of console.md 5.1: what the message says about itself."""
    from edoc.envelopes import Envelope, StatusMessage

    if isinstance(message, Envelope):
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
    assert isinstance(message, StatusMessage)
    return {"from": message.sender.organ_id, "status_code": message.code}


def _combined(report: Report, parts: tuple[tuple[str, Report], ...]) -> Report:
    """Take the worst verdict of seal, main part and signed parts; unsigned appendices do not count (console.md 5.3)."""
    counted = [part for number, (_, part) in enumerate(parts) if number == 0 or part.signatures]
    verdicts = {report.verdict, *(part.verdict for part in counted)}
    worst = next(one for one in (Verdict.INVALID, Verdict.INDETERMINATE, Verdict.VALID) if one in verdicts)
    reasons = list(report.reasons)
    reasons += [reason for part in counted for reason in reasons_of(part) if reason not in reasons]
    return replace(report, verdict=worst, reasons=tuple(reasons), parts=parts, legal_class=parts[0][1].legal_class)


def _required(report: Report, require: str | None) -> Report:
    """Make a file invalid whose legal class is not the one asked for (``--require``)."""
    if require is None or report.legal_class == require or (require == "copy" and report.legal_class == "original"):
        return report
    missing = Reason(Code.MISSING_AGENCY_SIGNATURE)
    return replace(report, verdict=Verdict.INVALID, reasons=(missing, *report.reasons))


def _expected(request: Request, directory: Directory | None) -> Expectation:
    """Return the certificates of the agency asked for (``--agency``)."""
    from signer.trust import Expectation

    if directory is None or request.agency is None:
        raise CommandError("EDOC-USE-038", agency=request.agency)
    agency = directory.find(request.agency)
    found = directory.certificates(agency.code, "agency", request.at.date())
    return Expectation(tuple(item.sha256 for item in found))
