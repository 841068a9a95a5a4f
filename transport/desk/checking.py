"""``edoc verify``: read, judge, and let the directory say what the signatures mean. Opens no connection."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from edoc import __version__
from edoc.errors import EdocError
from signer.errors import SignerError
from signer.report import Code, Indication, Integrity, Need, Reason, Report, SignatureReport, Verdict
from transport.desk import trusting
from transport.desk.files import read_input
from transport.present.errors import CommandError, fault
from transport.present.verify import Checked, Judgement, reasons_of

if TYPE_CHECKING:
    from edoc.agencies import Directory
    from signer.trust import Context, TrustStore
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
    online: bool = False


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
        _expected_agency(request, directory)
    checked = [_one(name, console, context, directory, request) for name in request.files]
    network = "online" if request.online else "offline"
    how = Judgement(
        request.at, generated_at, request.policy, __version__, len(store.anchors), store.fingerprint(), network
    )
    return checked, how


def _one(name: str, console: Console, context: Context, directory: Directory | None, request: Request) -> Checked:
    try:
        data = read_input(name, console)
        report = judged(data, context=context, directory=directory)
        if request.online and (needs := _needs(report)):
            report = judged(data, context=context.with_trust(_fetched(console, needs)), directory=directory)
    except (CommandError, SignerError, EdocError) as error:
        return Checked(name, None, fault(error, console.lang, path=name))
    report = _of_agency(report, request.agency, directory)
    return Checked(name, report, unmet=(*_not_of_agency(report, request.agency), *_required(report, request.require)))


def _needs(report: Report) -> tuple[Need, ...]:
    """Return the status answers that were missing, those of the parts included."""
    return (*report.needs, *(need for _, part in report.parts for need in _needs(part)))


def _fetched(console: Console, needs: tuple[Need, ...]) -> TrustStore:
    """Fetch status answers for this call (``--online``); they are kept in memory only."""
    from transport.http.addresses import Reach
    from transport.http.pki import fetch_status
    from transport.settings import load

    home = trusting.home_of(console)
    settings = load(home=home, config=console.config, environ=console.environ, overrides={})
    return fetch_status(needs, reach=Reach.of(settings.network_private, demo=settings.demo))


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
    """Judge the attachments of a message too; the worst verdict counts, and the main part must be signed.

    What a message says of itself is shown only under an intact seal; without any seal its parts speak for themselves.
    """
    from edoc.envelopes import Envelope
    from edoc.seal import peek

    sealed = any(signature.integrity is Integrity.INTACT for signature in report.signatures)
    if report.signatures and not sealed:
        return report
    try:
        message = peek(data).message
    except EdocError as error:
        return _unread(report, error)
    described = replace(report, document=description(message)) if sealed else report
    if not isinstance(message, Envelope) or not message.attachments:
        return described
    parts = tuple(
        (item.name, judged(item.content, context=context, directory=directory)) for item in message.attachments
    )
    return _combined(described, parts)


def _unread(report: Report, error: EdocError) -> Report:
    """A message whose document cannot be read is not valid by its seal alone: its parts were never judged."""
    reasons = (Reason(Code.MALFORMED, {"where": f"edXML ({error.code})"}), *report.reasons)
    verdict = Verdict.INDETERMINATE if report.verdict is Verdict.VALID else report.verdict
    return replace(report, verdict=verdict, reasons=reasons)


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


def _expected_agency(request: Request, directory: Directory | None) -> None:
    """Refuse an agency nobody can know (``--agency``).

    Raises:
        CommandError: there is no directory.
        UnknownAgency: the directory has no such agency; the nearest are proposed.
    """
    if directory is None or request.agency is None:
        raise CommandError("EDOC-USE-038", agency=request.agency)
    directory.find(request.agency)


def _of_agency(report: Report, wanted: str | None, directory: Directory | None) -> Report:
    """Ask the agency signatures, and only those, to be of this agency (signing.md 1.3, last paragraph)."""
    if wanted is None or directory is None:
        return report
    code = directory.find(wanted).code
    asked = tuple(_asked(signature, code, directory) for signature in report.signatures)
    if asked == report.signatures:
        return report
    verdict = Verdict.INDETERMINATE if report.verdict is Verdict.VALID else report.verdict
    return replace(report, signatures=asked, verdict=verdict)


def _asked(signature: SignatureReport, code: str, directory: Directory) -> SignatureReport:
    found = signature.signer.agency
    if signature.kind != "seal" or (found is not None and directory.same(found, code)):
        return signature
    mismatch = Reason(Code.IDENTITY_MISMATCH, {"expected": code, "found": found or "-"})
    if signature.indication is not Indication.PASSED:
        return replace(signature, reasons=(*signature.reasons, mismatch))
    reasons = (Reason(Code.SIG_CONSTRAINTS_FAILURE, {"detail": code}), mismatch)
    return replace(
        signature, indication=Indication.INDETERMINATE, sub_indication=Code.SIG_CONSTRAINTS_FAILURE, reasons=reasons
    )


def _not_of_agency(report: Report, wanted: str | None) -> tuple[Reason, ...]:
    """Return why ``--agency`` is not met: no agency signature of that agency that passed."""
    if wanted is None or any(s.kind == "seal" and s.indication is Indication.PASSED for s in report.signatures):
        return ()
    return (Reason(Code.MISSING_AGENCY_SIGNATURE),)


def _required(report: Report, require: str | None) -> tuple[Reason, ...]:
    """Return why ``--require`` is not met; the verdict of the file stays what it is."""
    enough = {"original": {"original"}, "copy": {"original", "copy"}}
    if require is None or report.legal_class in enough[require]:
        return ()
    sealed = any(s.kind == "seal" and s.indication is Indication.PASSED for s in report.signatures)
    return (Reason(Code.MISSING_PERSON_SIGNATURE if sealed else Code.MISSING_AGENCY_SIGNATURE),)
