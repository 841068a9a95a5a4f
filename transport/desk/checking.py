"""``edoc verify``: read, judge, and let the directory say what the signatures mean. Opens no connection by itself.

Every file of the call has its answer, in the order of the arguments, whatever becomes of the others (console.md 4.2).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from edoc import __version__
from edoc.errors import EdocError
from signer.errors import SignerError
from signer.inspect import recognise
from signer.report import Code, Indication, Reason, Report, SignatureReport, Verdict
from transport.desk import trusting
from transport.desk.fetching import Fetching, settings_of
from transport.desk.files import Source, opened, read_input
from transport.errors import TransportError
from transport.judging.combining import worst
from transport.judging.files import Judging
from transport.present.errors import CommandError, fault
from transport.present.verify import AnchorShown, Checked, Judgement

if TYPE_CHECKING:
    from edoc.agencies import Directory
    from signer.algorithms import AlgorithmTable
    from signer.trust import Context, Limits, Pictures
    from transport.desk.console import Console
    from transport.settings import Settings

POLICIES = ("strict", "interop", "integrity-only")
ROUNDS = 3
"""How often status answers are fetched for one file: the answers' own signers may need some too."""


@dataclass(frozen=True, slots=True)
class Request:
    """What the command line asks: the files and how they are to be judged."""

    files: tuple[str, ...]
    at: datetime
    policy: str | None = None  # None: as the settings say
    trust: tuple[str, ...] = ()
    trust_tsa: tuple[str, ...] = ()
    chain: tuple[str, ...] = ()
    revocation: tuple[str, ...] = ()
    contents: tuple[str, ...] = ()
    public_keys: tuple[str, ...] = ()
    agency: str | None = None
    require: str | None = None
    online: bool | None = None  # None: as the settings say
    jobs: int = 1
    now: datetime | None = None  # when the check is made; set by ``check``


def check(console: Console, request: Request, *, generated_at: datetime) -> tuple[list[Checked], Judgement]:
    """Judge the files in their order; one that cannot be read still has its entry.

    Raises:
        CommandError: trust or options cannot be used; then no file is judged.
    """
    judging, how = prepared(console, request, generated_at=generated_at)
    request = replace(request, online=how.network == "online", now=generated_at)
    if request.jobs > 1 and len(request.files) > 1:
        from transport.desk.batch import in_processes

        return in_processes(console, request, judging), how
    return [one(name, console, judging, request) for name in request.files], how


def prepared(console: Console, request: Request, *, generated_at: datetime) -> tuple[Judging, Judgement]:
    """Load everything the files are judged with, whole or not at all.

    Raises:
        CommandError, TrustError: something given cannot be used.
    """
    from transport.desk import giving

    store = trusting.store_of(
        console,
        trust=request.trust,
        trust_tsa=request.trust_tsa,
        chain=request.chain,
        revocation=request.revocation,
    )
    settings = settings_of(console)
    context = trusting.context_of(store, at=request.at, policy=request.policy or settings.verify_policy)
    limits = replace(context.limits, pdf_max_bytes=settings.limits["pdf_max_bytes"])
    context = replace(context, limits=limits, algorithms=_algorithms(console, settings))
    given = giving.given(console, request.contents, request.public_keys)
    context = replace(context, contents=given.contents, public_keys=given.public_keys)
    context = replace(context, pictures=_pictures(settings))
    directory = trusting.directory_of(console)
    if request.agency:
        _expected_agency(request, directory)
    keys = giving.log_keys(request.files, given, context=context)
    online = settings.verify_network == "online" if request.online is None else request.online
    judging = Judging(context, directory, keys, trusting.authorities_of(console))
    return judging, _judgement(context, generated_at, online=online)


def _algorithms(console: Console, settings: Settings) -> AlgorithmTable | None:
    """Return the algorithm table of the settings, ``None`` for the one that ships.

    Raises:
        CommandError: the file is unreadable or no such table.
    """
    name = settings.verify_algorithms
    if name is None:
        return None
    from signer.algorithms import load_table

    try:
        return load_table(read_input(name, console).decode("utf-8"))
    except ValueError as error:
        raise CommandError("EDOC-USE-049", path=name, detail=str(error)) from error


def _pictures(settings: Settings) -> Pictures | None:
    """Return what drawing pages may use, if the settings ask for pictures; never by what happens to be installed."""
    if not settings.verify_pictures:
        return None
    from signer.trust import Pictures

    return Pictures()


def _judgement(context: Context, generated_at: datetime, *, online: bool) -> Judgement:
    from signer.algorithms import built_in

    store, table = context.trust, context.algorithms or built_in()
    return Judgement(
        context.at,
        generated_at,
        context.policy.value,
        __version__,
        len({anchor.certificate for anchor in store.anchors}),
        store.fingerprint(),
        "online" if online else "offline",
        tuple(
            AnchorShown(anchor.certificate, tuple(sorted(purpose.value for purpose in anchor.purposes)))
            for anchor in store.anchors
        ),
        (table.name, table.edition, table.sha256),
    )


def one(name: str, console: Console, judging: Judging, request: Request) -> Checked:
    """Judge one file; whatever goes wrong with it is its own entry. A bug is exit 70 for this file, never a verdict."""
    try:
        with opened(name, console) as source:
            report = judged_source(source, console, judging, fetched_at=request.now if request.online else None)
        report = of_agency(report, request.agency, judging.directory)
    except (CommandError, SignerError, EdocError, TransportError) as error:
        return Checked(name, None, fault(error, console.lang, path=name))
    except Exception as error:  # the files after this one are judged all the same (console.md 2)
        _told(console, error)
        return Checked(name, None, fault(error, console.lang, path=name))
    return Checked(name, report, unmet=(*_not_of_agency(report, request.agency), *_required(report, request.require)))


def _told(console: Console, error: Exception) -> None:
    if console.debug and not console.json:
        import traceback

        traceback.print_exception(error)


def judged_source(source: Source, console: Console, judging: Judging, *, fetched_at: datetime | None) -> Report:
    """Judge an open file; its size is held against the limit of its kind before it is read.

    ``fetched_at`` is the time of a check with ``--online``, ``None`` without.
    """
    kind = recognise(source.head)
    limit, name = limit_of(kind, judging.context.limits)
    data = source.read(limit)
    if data is None:
        return _large(source, kind, name, judging)
    report = judging.judge(data)
    return report if fetched_at is None else _with_more(data, report, judging, Fetching(console, fetched_at))


def _with_more(data: bytes, report: Report, judging: Judging, fetching: Fetching) -> Report:
    """Judge again with what could be fetched; answers have signers whose own status may be missing too."""
    for _ in range(ROUNDS):
        found = fetching.more(report)
        if found is None:
            break
        judging = replace(judging, context=judging.context.with_trust(found))
        report = judging.judge(data)
    return report


def limit_of(kind: str, limits: Limits) -> tuple[int, str]:
    """Return how many bytes of a kind are read at most, and the name of that limit (signing.md 4.3, 5.1, 6)."""
    if kind in {"xml", "edxml", "receipt", "proof"}:
        return limits.xml_max_bytes, "xml_max_bytes"
    if kind == "asic":
        return limits.zip_max_bytes, "zip_max_bytes"
    return limits.pdf_max_bytes, "pdf_max_bytes" if kind == "pdf" else "max_bytes"


def _large(source: Source, kind: str, limit: str, judging: Judging) -> Report:
    """Judge a sealed message in one pass; anything else over its limit is hashed, named and left undecided."""
    if kind == "edxml":
        from signer.xml.stream import NotStreamable
        from transport.judging.streaming import judge_stream

        try:
            return judge_stream(source.pieces(), judging=judging)
        except NotStreamable:
            source = _again(source)
    digest, size = hashlib.sha256(), 0
    for piece in source.pieces():
        digest.update(piece)
        size += len(piece)
    code = Code.UNSUPPORTED_FORMAT if kind == "unknown" else Code.LIMIT_EXCEEDED
    reason = Reason(code, {"limit": limit} if code is Code.LIMIT_EXCEEDED else {})
    return Report(kind, None, Verdict.INDETERMINATE, digest.hexdigest(), size, reasons=(reason,))


def _again(source: Source) -> Source:
    """Return the file from its start, where that is possible."""
    if source.stream.seekable():
        source.stream.seek(0)
        return replace(source, head=b"")
    return source


def judged(data: bytes, *, context: Context, directory: Directory | None) -> Report:
    """Return the report of one file, with its parts and what the directory knows of its signers."""
    return Judging(context, directory).judge(data)


# --- what the command line asks for beyond the verdict ---------------------------------------------------------------


def _expected_agency(request: Request, directory: Directory | None) -> None:
    """Refuse an agency nobody can know (``--agency``).

    Raises:
        CommandError: there is no directory.
        UnknownAgency: the directory has no such agency; the nearest are proposed.
    """
    if directory is None or request.agency is None:
        raise CommandError("EDOC-USE-038", agency=request.agency)
    directory.find(request.agency)


def of_agency(report: Report, wanted: str | None, directory: Directory | None) -> Report:
    """Ask the agency signatures, and only those, to be of this agency (signing.md 1.3, last paragraph)."""
    if wanted is None or directory is None:
        return report
    code = directory.find(wanted).code
    asked = tuple(_asked(signature, code, directory) for signature in report.signatures)
    if asked == report.signatures:
        return report
    why = [reason for signature in asked for reason in signature.reasons if reason not in report.reasons]
    reasons = (*report.reasons, *(reason for reason in why if reason.signature is not None))
    return replace(report, signatures=asked, verdict=worst(report.verdict, Verdict.INDETERMINATE), reasons=reasons)


def _asked(signature: SignatureReport, code: str, directory: Directory) -> SignatureReport:
    found = signature.signer.agency
    if signature.kind != "seal" or (found is not None and directory.same(found, code)):
        return signature
    mismatch = Reason(Code.IDENTITY_MISMATCH, {"expected": code, "found": found or "-"}, signature.id)
    if signature.indication is not Indication.PASSED:
        return replace(signature, reasons=(*signature.reasons, mismatch))
    reasons = (Reason(Code.SIG_CONSTRAINTS_FAILURE, {"detail": code}, signature.id), mismatch)
    return replace(
        signature, indication=Indication.INDETERMINATE, sub_indication=Code.SIG_CONSTRAINTS_FAILURE, reasons=reasons
    )


def _sealed(signatures: Sequence[SignatureReport]) -> bool:
    return any(s.kind == "seal" and s.indication is Indication.PASSED for s in signatures)


def _not_of_agency(report: Report, wanted: str | None) -> tuple[Reason, ...]:
    """Return why ``--agency`` is not met: no agency signature of that agency that passed."""
    return () if wanted is None or _sealed(report.signatures) else (Reason(Code.MISSING_AGENCY_SIGNATURE),)


def _required(report: Report, require: str | None) -> tuple[Reason, ...]:
    """Return why ``--require`` is not met; the verdict of the file stays what it is."""
    enough = {"original": {"original"}, "copy": {"original", "copy"}}
    if require is None or report.legal_class in enough[require]:
        return ()
    return (Reason(Code.MISSING_PERSON_SIGNATURE if _sealed(report.signatures) else Code.MISSING_AGENCY_SIGNATURE),)
