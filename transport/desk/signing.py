"""``edoc sign``: check the key once, sign each file, read it back, write it whole (console.md 4.1, signing.md 2, 3)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from edoc.errors import EdocError
from signer.errors import SignerError
from signer.report import Integrity
from transport.desk import checking, keys, trusting
from transport.desk.checkedkey import CheckedKey, KeyRefused, KeyRules
from transport.desk.files import beside, check_target, read_input, write_output
from transport.errors import TransportError
from transport.present.errors import CommandError, Fault, fault

if TYPE_CHECKING:
    from signer.credential import Credential
    from signer.pdf.options import Visible
    from signer.report import Reason, Report, SignatureReport, Signer
    from signer.timestamp import Timestamper
    from signer.trust import Context
    from transport.desk.console import Console
    from transport.desk.keys import Pins
    from transport.http.addresses import Reach
    from transport.settings import Settings

FORMATS = ("auto", "pades", "xades", "cades")
FORMS = ("auto", "none", "signature", "seal", "t1", "number", "date", "received")
LEVELS = ("b", "t", "lt", "lta")


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
    pins: Pins = keys.NO_PINS
    module: str | None = None
    unknown_status_basis: str | None = None
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
    resume: bool = False


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
    key: CheckedKey
    context: Context
    settings: Settings
    level: str
    profile: str
    timestamper: Timestamper | None
    precondition: Callable[[Report], Reason | None] | None

    @property
    def credential(self) -> Credential:
        """The key that signs; checked and unlocked when it is first used."""
        return self.key.credential


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
    _refuse_shared_targets(request)
    try:
        desk = _prepare(console, request)
    except SignerError as error:
        error.facts.setdefault("path", request.files[0])
        raise
    return desk, _outcomes(desk)


def write_manifest(path: str, document: dict[str, object]) -> None:
    """Write what became of every file so far, whole or not at all; a former one is replaced.

    Raises:
        CommandError, TransportError: it cannot be written there.
    """
    import json

    text = json.dumps(document, ensure_ascii=False, indent=2, default=str)
    write_output(Path(path), f"{text}\n".encode(), force=True)


def _refuse_shared_targets(request: Request) -> None:
    """Refuse a batch in which two files would become one: nothing is signed then."""
    taken: dict[Path, str] = {}
    for name in request.files:
        with suppress(CommandError):  # a name that is no file is told when its turn comes
            target = _target(request, name)
            if target is not None and taken.setdefault(target.absolute(), name) != name:
                shared = taken[target.absolute()], name, str(target)
                break
    else:
        return
    raise CommandError("EDOC-USE-052", first=shared[0], second=shared[1], output=shared[2])


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
    held = keys.open_key(
        console,
        name,
        role=request.role,
        certs=request.certs,
        pins=request.pins,
        module=request.module,
        expected=len(request.files),
    )
    key = CheckedKey(held, KeyRules(console, settings, context, profile, request.unknown_status_basis))
    _fits(console, key.credential, request.role)
    desk = Desk(console, request, key, context, settings, level, profile, timestamper, None)
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
    from transport.desk.lifting import timestamper_of

    found = timestamper_of(request.tsa, settings)
    if found is None:
        raise CommandError("EDOC-USE-032", path=request.files[0])
    return found


def _reach(settings: Settings) -> Reach:
    """Return where connections may go: loopback in the demonstration only, private networks as configured."""
    from transport.http.addresses import Reach

    return Reach.of(settings.network_private, demo=settings.demo)


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
    try:
        for name in desk.request.files:
            outcome = _one(desk, name)
            yield outcome
            if desk.key.lost or (desk.request.fail_fast and outcome.fault is not None):
                return
    except KeyRefused as refused:
        raise refused.error from None
    finally:
        desk.key.close()


def _one(desk: Desk, name: str) -> Outcome:
    try:
        return _signed(desk, name)
    except (CommandError, SignerError, EdocError, TransportError) as error:
        desk.key.note(error)
        found = fault(error, desk.console.lang, path=name)
        return Outcome(name, "refused" if found.exit_code == 1 else "failed", found)


def _signed(desk: Desk, name: str) -> Outcome:
    request = desk.request
    target = _target(request, name)
    if request.resume and target is not None and target.is_file():
        finished = _finished(desk, name, target)
        if finished is not None:
            return finished
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
    )
    if request.dry_run:
        return replace(before, warnings=desk.key.checked())
    made = _raised(desk, _make(_informed(desk, data) if request.role == "agency" else desk, kind, data), data)
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
        warnings=(*desk.key.checked(), *made.warnings),
    )


def _finished(desk: Desk, name: str, target: Path) -> Outcome | None:
    """Return what a former run made of this very input, with this very key, at the level asked for; else ``None``."""
    data, made = read_input(name, desk.console), read_input(str(target), desk.console)
    detached = desk.request.format == "cades"
    if not detached and not _grown(data, made):
        return None
    after = _judged(desk, made, data if detached else None)
    before = () if detached else _judged(desk, data, None).signatures
    known = {one.id for one in before}
    ours = [one for one in after.signatures if one.id not in known and _is_ours(desk, one)]
    whole = all(one.integrity is Integrity.INTACT for one in after.signatures)
    if not ours or not whole or not _reaches(ours[-1].level, desk.level):
        return None
    kind = _format(desk, name, data)
    return Outcome(
        name,
        "skipped",
        output=str(target),
        sha256_in=hashlib.sha256(data).hexdigest(),
        sha256_out=hashlib.sha256(made).hexdigest(),
        format=kind,
        level=ours[-1].level,
        visible=_form(desk, kind),
        stamp=_stamp_of(ours[-1]),
    )


def _judged(desk: Desk, data: bytes, content: bytes | None) -> Report:
    from signer.inspect import inspect_file
    from signer.trust import Content

    given = desk.context if content is None else replace(desk.context, contents=(Content("", content),))
    return inspect_file(data, context=given)


def _is_ours(desk: Desk, one: SignatureReport) -> bool:
    return one.signer.certificate_sha256 == desk.credential.sha256


def _stamp_of(one: SignatureReport) -> tuple[datetime | None, str | None] | None:
    return (one.timestamps[0].time, one.timestamps[0].tsa) if one.timestamps else None


def _reaches(level: str, wanted: str) -> bool:
    reached = level.rpartition("-B-")[2].lower()
    return reached in LEVELS and LEVELS.index(reached) >= LEVELS.index(wanted)


def _grown(data: bytes, made: bytes) -> bool:
    """Say whether ``made`` is ``data`` with something put in at one place: behind a PDF, before the end of an XML."""
    if len(made) <= len(data):
        return False
    if made.startswith(data):
        return True
    start = next(at for at, (one, other) in enumerate(zip(data, made, strict=False)) if one != other)
    return made.endswith(data[start:])


def _raised(desk: Desk, made: Made, data: bytes) -> Made:
    """Return a signed file at the level asked for; LT and LTA are reached from T (signing.md 3.1)."""
    if desk.level not in ("lt", "lta"):
        return made
    from transport.desk.lifting import fetcher, lifted

    whole = lifted(
        made.data,
        made.format,
        to=desk.level,
        context=desk.context,
        timestamper=desk.timestamper,
        fetch=fetcher(desk.settings),
        content=data if made.format == "CAdES" else None,
    )
    return replace(made, data=whole.data, level=f"{made.format}-B-{desk.level.upper()}")


def _first_level(desk: Desk) -> str:
    """Return the level a file is signed at before it is lifted."""
    return "b" if desk.level == "b" else "t"


def _target(request: Request, name: str) -> Path | None:
    """Return where the signed file goes; ``None`` is standard output."""
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
        level=_first_level(desk),
        timestamper=desk.timestamper,
        profile=desk.profile,
        precondition=desk.precondition,
        context=desk.context,
    )
    return Made(signed, "CAdES", f"CAdES-B-{desk.level.upper()}")


def _xml(desk: Desk, data: bytes) -> Made:
    from signer.xml.sign import sign_xml

    signed = sign_xml(
        data,
        credential=desk.credential,
        at=desk.request.at,
        level=_first_level(desk),
        timestamper=desk.timestamper,
        precondition=desk.precondition,
        context=desk.context,
    )
    return Made(signed, "XAdES", f"XAdES-B-{desk.level.upper()}")


def _pdf(desk: Desk, data: bytes) -> Made:
    from signer.pdf.sign import PdfOptions, sign_pdf

    options = PdfOptions(
        at=desk.request.at,
        level=_first_level(desk),
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
    from signer.pdf.options import Visible

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
    report = _judged(desk, made.data, data if made.format == "CAdES" else None)
    wrong = [item.id for item in report.signatures if item.integrity is not Integrity.INTACT]
    if wrong or not report.signatures:
        raise CommandError("EDOC-USE-041", path=name, signatures=wrong)
    ours = [item for item in report.signatures if _is_ours(desk, item)]
    return _stamp_of(ours[-1]) if ours else None
