"""``edoc sign``: check the key once, sign each file, read it back, write it whole (console.md 4.1, signing.md 2, 3)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from edoc.errors import EdocError
from signer.errors import SignerError, SigningRefused
from transport.desk import checking, keys, trusting
from transport.desk.files import beside, check_target, read_input, write_output
from transport.errors import TransportError
from transport.present.errors import CommandError, Fault, fault

if TYPE_CHECKING:
    from signer.credential import Credential
    from signer.pdf.sign import Visible
    from signer.report import Reason, Report, Signer
    from signer.timestamp import Timestamper
    from signer.trust import Context, TrustStore
    from transport.desk.console import Console
    from transport.http.addresses import Reach
    from transport.settings import Settings

FORMATS = ("auto", "pades", "xades", "cades")
FORMS = ("auto", "none", "signature", "seal", "t1", "number", "date")


@dataclass(frozen=True, slots=True)
class Look:
    """What is drawn and where; ``box`` in mm from the upper left corner of the page, ``page`` from 1, -1 the last."""

    form: str = "auto"
    text: str | None = None
    image: str | None = None
    page: int | None = None
    box: tuple[float, float, float, float] | None = None
    field: str | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """What the command line asks."""

    files: tuple[str, ...]
    at: datetime
    role: str = "person"
    key: str | None = None
    certs: tuple[str, ...] = ()
    pin_fd: int | None = None
    pin_file: str | None = None
    trust: tuple[str, ...] = ()
    revocation: tuple[str, ...] = ()
    format: str = "auto"
    level: str | None = None
    profile: str | None = None
    tsa: str | None = None
    reason: str | None = None
    look: Look = field(default_factory=Look)
    attachment_of: str | None = None
    output: str | None = None
    out_dir: str | None = None
    force: bool = False
    dry_run: bool = False
    fail_fast: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file."""

    path: str
    status: str  # signed, refused, failed, skipped
    fault: Fault | None = None
    output: str | None = None
    sha256_in: str | None = None
    sha256_out: str | None = None
    format: str | None = None
    level: str | None = None
    visible: str | None = None
    page: int | None = None
    stamp: tuple[datetime | None, str | None] | None = None
    warnings: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class Desk:
    """Everything that is the same for all files of one call: the key is loaded once and held."""

    console: Console
    request: Request
    credential: Credential
    context: Context
    settings: Settings
    level: str
    profile: str
    timestamper: Timestamper | None
    precondition: Callable[[Report], Reason | None] | None
    warnings: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class Made:
    """A signed file before it is written."""

    data: bytes
    format: str
    level: str
    page: int | None = None
    warnings: tuple[Reason, ...] = ()


def sign(console: Console, request: Request) -> tuple[Desk, Iterator[Outcome]]:
    """Prepare the key and return it with the outcomes, which come one by one in the order of the files.

    Raises:
        CommandError, SignerError, TransportError: the call as a whole cannot go on; no file was signed.
    """
    if request.output and len(request.files) > 1:
        raise CommandError("EDOC-USE-016", first="-o", second="FILE FILE…")
    try:
        desk = _prepare(console, request)
    except SignerError as error:
        error.facts.setdefault("path", request.files[0])
        raise
    return desk, _outcomes(desk)


def signer_of(desk: Desk) -> Signer:
    """Return who the certificate of the key says signs."""
    from signer.judge import signer_of as described

    return described(desk.credential.certificate)


def _prepare(console: Console, request: Request) -> Desk:
    from transport import settings as configuration

    home = trusting.home_of(console)
    settings = configuration.load(home=home, config=console.config, environ=console.environ, overrides={})
    level = request.level or settings.sign_level
    profile = request.profile or settings.sign_profile
    name = request.key or settings.key(request.role) or _only_key(home, request.role)
    if not name:
        raise CommandError("EDOC-USE-030", path=request.files[0], role=request.role)
    store = trusting.store_of(console, trust=request.trust, revocation=request.revocation, kept_status=False)
    context = trusting.context_of(store, at=request.at, policy=settings.verify_policy)
    timestamper = _timestamper(request, settings, level)
    credential = keys.load(
        console, name, role=request.role, certs=request.certs, pin_fd=request.pin_fd, pin_file=request.pin_file
    )
    _fits(console, credential, request.role)
    context, warnings = _checked(credential, context, settings, profile=profile)
    desk = Desk(console, request, credential, context, settings, level, profile, timestamper, None, warnings)
    return replace(desk, precondition=_precondition(desk)) if request.role == "agency" else desk


def _fits(console: Console, credential: Credential, role: str) -> None:
    """Refuse a key that this node knows for another role: R28 and R29 cannot be passed by with the wrong word.

    Raises:
        CommandError: the certificate is an agency's, for the exchange, or a person's, and another act is asked for.
    """
    from signer.chain import common_name, public_key_der
    from transport.store import quick

    home = trusting.node_home(console)
    if home is None:
        return
    ours = {credential.sha256, hashlib.sha256(public_key_der(credential.certificate)).hexdigest()}
    known = {key.role for key in quick.keys(home) if key.sha256 in ours}
    listed = (item for agency in quick.directory(home).agencies for item in agency.certificates)
    known |= {item.use for item in listed if item.sha256 in ours}
    if known and role not in known:
        raise CommandError("EDOC-KEY-016", known=sorted(known), role=role, subject=common_name(credential.x509.subject))


def _only_key(home: Path, role: str) -> str | None:
    """Return the newest imported key of a role, where the settings name none."""
    from transport.store import quick

    found = [key for key in quick.keys(home) if key.role == role]
    return max(found, key=lambda key: key.added_at).name if found else None


def _timestamper(request: Request, settings: Settings, level: str) -> Timestamper | None:
    if level == "b":
        return None
    url = request.tsa or settings.tsa_url
    if not url:
        raise CommandError("EDOC-USE-032", path=request.files[0])
    from transport.http.pki import HttpTimestamper

    return HttpTimestamper(url, timeout=settings.tsa_timeout, reach=_reach(settings))


def _reach(settings: Settings) -> Reach:
    """Return where connections may go: loopback in the demonstration only, private networks as configured."""
    from transport.http.addresses import Reach

    return Reach.of(settings.network_private, demo=settings.demo)


def _checked(
    credential: Credential, context: Context, settings: Settings, *, profile: str
) -> tuple[Context, tuple[Reason, ...]]:
    """Check the key before it is used (R27); status answers of its own certificate are fetched once if missing."""
    from signer.checks import check_credential

    try:
        return context, check_credential(credential, context=context, profile=profile)
    except SigningRefused as refused:
        if not refused.facts.get("needs"):
            raise
        context = context.with_trust(_fetched(refused, settings))
    return context, check_credential(credential, context=context, profile=profile)


def _fetched(refused: SigningRefused, settings: Settings) -> TrustStore:
    from signer.report import Need
    from transport.http.pki import fetch_status

    needs = refused.facts["needs"]
    wanted = [need for need in needs if isinstance(need, Need)] if isinstance(needs, tuple) else []
    return fetch_status(wanted, reach=_reach(settings))


def _informed(desk: Desk, data: bytes) -> Desk:
    """Return the desk with the status of those who signed the file before: R28 is judged with it."""
    from signer.inspect import inspect_file
    from transport.http.pki import fetch_status

    needs = inspect_file(data, context=desk.context).needs
    if not needs:
        return desk
    return replace(desk, context=desk.context.with_trust(fetch_status(needs, reach=_reach(desk.settings))))


def _precondition(desk: Desk) -> Callable[[Report], Reason | None]:
    """Return the rule R28 for what is about to be signed; an appendix is judged by its main document."""
    from edoc.agencies import Directory
    from edoc.seal import agency_precondition

    directory = trusting.directory_of(desk.console) or Directory(())
    rule = agency_precondition(directory, desk.request.at.date())
    main = desk.request.attachment_of
    if main is None:
        return rule
    data = read_input(main, desk.console)
    report = checking.judged(data, context=_informed(desk, data).context, directory=directory)
    answer = rule(report)
    return lambda _: answer


def _outcomes(desk: Desk) -> Iterator[Outcome]:
    for name in desk.request.files:
        outcome = _one(desk, name)
        yield outcome
        if desk.request.fail_fast and outcome.status != "signed":
            return


def _one(desk: Desk, name: str) -> Outcome:
    try:
        return _signed(desk, name)
    except (CommandError, SignerError, EdocError, TransportError) as error:
        found = fault(error, desk.console.lang, path=name)
        return Outcome(name, "refused" if found.exit_code == 1 else "failed", found)


def _signed(desk: Desk, name: str) -> Outcome:
    request = desk.request
    target = _target(desk, name)
    if target is not None:
        check_target(target, force=request.force, inputs=request.files)
    data = read_input(name, desk.console)
    kind = _format(desk, name, data)
    before = Outcome(
        name,
        "skipped" if request.dry_run else "signed",
        output=str(target) if target else "-",
        sha256_in=hashlib.sha256(data).hexdigest(),
        format=kind,
        level=f"{kind}-B-{desk.level.upper()}",
        visible=_form(desk, kind),
        warnings=desk.warnings,
    )
    if request.dry_run:
        return before
    made = _make(_informed(desk, data) if request.role == "agency" else desk, kind, data)
    stamp = _read_back(desk, name, made, data)
    if target is None:
        desk.console.binary(made.data)
    else:
        write_output(target, made.data, force=request.force)
    return replace(
        before,
        sha256_out=hashlib.sha256(made.data).hexdigest(),
        level=made.level,
        page=made.page,
        stamp=stamp,
        warnings=(*desk.warnings, *made.warnings),
    )


def _target(desk: Desk, name: str) -> Path | None:
    """Return where the signed file goes; ``None`` is standard output."""
    request = desk.request
    if request.output == "-" or (name == "-" and request.output is None):
        return None
    if request.output:
        return Path(request.output)
    target = beside(name, "signed")
    if request.format == "cades":
        target = target.with_name(f"{Path(name).name}.p7s")
    return Path(request.out_dir) / target.name if request.out_dir else target


def _format(desk: Desk, name: str, data: bytes) -> str:
    """Return ``PAdES`` or ``XAdES`` by content, or as asked for; ``CAdES`` takes any file."""
    from signer.inspect import recognise

    if not data:
        raise CommandError("EDOC-USE-040", path=name)
    if desk.request.format == "cades":
        return "CAdES"
    kind = recognise(data)
    wanted = desk.request.format
    if kind == "pdf" and wanted in {"auto", "pades"}:
        return "PAdES"
    if kind in {"xml", "edxml"} and wanted in {"auto", "xades"}:
        return "XAdES"
    raise CommandError("EDOC-USE-031", path=name, format=kind if wanted == "auto" else f"{kind} / {wanted}")


def _form(desk: Desk, kind: str) -> str:
    """Return what is drawn (R35, R39 to R42)."""
    look = desk.request.look
    if kind != "PAdES":
        return "none"
    if look.form != "auto":
        return look.form
    if desk.request.role == "person":
        return "signature" if look.image else "none"
    return "t1" if desk.request.attachment_of else "seal" if look.image else "none"


def _make(desk: Desk, kind: str, data: bytes) -> Made:
    makers = {"PAdES": _pdf, "XAdES": _xml, "CAdES": _cms}
    return makers[kind](desk, data)


def _cms(desk: Desk, data: bytes) -> Made:
    from signer.cades.sign import sign_cades

    signed = sign_cades(
        data,
        credential=desk.credential,
        at=desk.request.at,
        level=desk.level,
        timestamper=desk.timestamper,
        profile=desk.profile,
        precondition=desk.precondition,
        context=desk.context,
    )
    return Made(signed, "CAdES", f"CAdES-B-{desk.level.upper()}")


def _xml(desk: Desk, data: bytes) -> Made:
    from signer.xml.sign import sign_xml

    signed = sign_xml(
        data, credential=desk.credential, at=desk.request.at, level=desk.level, timestamper=desk.timestamper
    )
    return Made(signed, "XAdES", f"XAdES-B-{desk.level.upper()}")


def _pdf(desk: Desk, data: bytes) -> Made:
    from signer.pdf.sign import PdfOptions, sign_pdf

    options = PdfOptions(
        at=desk.request.at,
        level=desk.level,
        profile=desk.profile,
        visible=_visible(desk),
        reason=desk.request.reason,
        field=desk.request.look.field,
    )
    signed = sign_pdf(
        data,
        credential=desk.credential,
        options=options,
        timestamper=desk.timestamper,
        precondition=desk.precondition,
        context=desk.context,
    )
    return Made(signed.data, "PAdES", signed.level, signed.page, signed.warnings)


def _visible(desk: Desk) -> Visible | None:
    from signer.pdf.sign import Visible

    look, form = desk.request.look, _form(desk, "PAdES")
    if form == "none":
        return None
    image = read_input(look.image, desk.console) if look.image else None
    text = look.text
    if form == "t1" and text is None:
        raise CommandError("EDOC-USE-003", name="--text", command="edoc sign")
    return Visible(form=form, page=look.page or 1, box_mm=look.box, image=image, text=text)


def _read_back(desk: Desk, name: str, made: Made, data: bytes) -> tuple[datetime | None, str | None] | None:
    """Judge the finished file and deliver it only if every signature, old and new, is intact (R33)."""
    from signer.inspect import inspect_file
    from signer.report import Integrity
    from signer.trust import Content

    context = replace(desk.context, contents=(Content("", data),)) if made.format == "CAdES" else desk.context
    report = inspect_file(made.data, context=context)
    wrong = [item.id for item in report.signatures if item.integrity is not Integrity.INTACT]
    if wrong or not report.signatures:
        raise CommandError("EDOC-USE-041", path=name, signatures=wrong)
    ours = [item for item in report.signatures if item.signer.certificate_sha256 == desk.credential.sha256]
    stamps = ours[-1].timestamps if ours else ()
    return (stamps[0].time, stamps[0].tsa) if stamps else None
