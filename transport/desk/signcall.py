"""``edoc sign`` as one call: the words of the command line become a request, outcomes become lines, JSON, an exit code.

Console.md 4.1. Everything a word can be wrong in is told before a key is looked for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from transport.desk import signrequest
from transport.desk.signrequest import Act, Delivery, KeyChoice, Look, Outcome, Request
from transport.desk.values import box_of, choice, page_of, whole_number
from transport.present import documents
from transport.present.errors import CommandError
from transport.present.exits import Exit, worst

if TYPE_CHECKING:
    from collections.abc import Callable

    from signer.report import Signer
    from transport.desk.console import Console

JOBS_MOST = 64
BASIS_MAX = 1000
"""Characters of the basis of an override, at most."""


@dataclass(frozen=True, slots=True)
class Given:
    """The words of the command line, as they stand there."""

    files: tuple[str, ...]
    role: str = "person"
    key: KeyChoice = field(default_factory=KeyChoice)
    unsafe_unknown_status: bool = False
    basis: str | None = None
    trust: tuple[str, ...] = ()
    revocation: tuple[str, ...] = ()
    format: str = "auto"
    level: str | None = None
    profile: str | None = None
    tsa: tuple[str, ...] = ()
    capacity: str | None = None
    position: str | None = None
    type: str | None = None
    area: str | None = None
    reason: str | None = None
    visible: str = "auto"
    text: str | None = None
    image: str | None = None
    page: str | None = None
    box: str | None = None
    into: str | None = None
    attachment: bool = False
    of: str | None = None
    copy: str | None = None
    delivery: Delivery = field(default_factory=Delivery)
    recursive: bool = False
    glob: str = "*"
    prepare: bool = False
    embed: str | None = None
    value: str | None = None


def run(console: Console, given: Given, *, at: datetime) -> int:
    """Do what the command line asks, and return the exit code.

    Raises:
        CommandError, SignerError, EdocError, TransportError: the call as a whole cannot go on.
    """
    if given.embed is not None or given.value is not None:
        return _embed(console, given, at)
    request = request_of(given, at)
    if given.prepare:
        return _prepare(console, request)
    return _sign(console, request)


def request_of(given: Given, at: datetime) -> Request:
    """Return the request the words make.

    Raises:
        CommandError: a word is wrong, or two do not go together.
    """
    if not given.files:
        raise CommandError("EDOC-USE-003", name="FILE", command="edoc sign")
    if given.attachment and given.of is None:
        raise CommandError("EDOC-USE-003", name="--of", command="edoc sign")
    if given.attachment != (given.of is not None) and not (given.copy and given.of):
        raise CommandError(
            "EDOC-USE-004", name="--attachment", value=given.of or "-", expected="--attachment --of FILE"
        )
    role = choice(given.role, "--as", signrequest.ROLES)
    copy = choice(given.copy, "--copy", signrequest.COPIES) if given.copy else None
    return Request(
        files=_files(given),
        at=at,
        act=_act(given, role, copy),
        key=_key(given),
        look=_look(given),
        delivery=_delivery(given.delivery),
        trust=given.trust,
        revocation=given.revocation,
        format=choice(given.format, "--format", signrequest.FORMATS),
        level=_level(given),
        profile=choice(given.profile, "--profile", signrequest.PROFILES) if given.profile else None,
        tsa=given.tsa,
        reason=given.reason,
        elsewhere=given.prepare,
    )


def _act(given: Given, role: str, copy: str | None) -> Act:
    main, source = (given.of, None) if given.attachment else (None, given.of)
    return signrequest.checked_act(
        Act(role, given.capacity, given.position, main, copy, given.type, source, given.area)
    )


def _level(given: Given) -> str | None:
    return choice(given.level, "--level", signrequest.LEVELS) if given.level else None


def _files(given: Given) -> tuple[str, ...]:
    """Return the files in the order of the arguments, each once; of folders what signing did not leave there."""
    from transport.desk.gathering import gathered

    written = [name for name in (given.delivery.output, given.delivery.manifest) if name]
    names = tuple(dict.fromkeys(given.files))
    if not given.recursive:
        return names
    return gathered(names, recursive=True, glob=given.glob, left_out=written, signed=False)


def _look(given: Given) -> Look:
    form = choice(given.visible, "--visible", signrequest.FORMS)
    if given.copy and form not in ("auto", "t2"):
        raise CommandError("EDOC-USE-004", name="--visible", value=form, expected="t2 (--copy)")
    if form == "t2" and not given.copy:  # the line says that this is a copy
        raise CommandError("EDOC-USE-004", name="--visible", value=form, expected="--copy sy|sl|trs")
    return Look(form, given.text, given.image, page_of(given.page), box_of(given.box), given.into)


def _key(given: Given) -> KeyChoice:
    if given.unsafe_unknown_status != (given.basis is not None) or given.basis == "":
        raise CommandError(
            "EDOC-USE-004",
            name="--unsafe-unknown-status",
            value=given.basis or "-",
            expected="--unsafe-unknown-status --basis TEXT",
        )
    from edoc.values import has_control, readable

    basis = given.basis
    if basis is not None and (not readable(basis) or has_control(basis) or len(basis) > BASIS_MAX):
        raise CommandError("EDOC-USE-004", name="--basis", value=basis[:40], expected=f"1…{BASIS_MAX}")
    key = given.key
    return KeyChoice(key.name, key.certs, key.pins, key.module, basis)


def _delivery(delivery: Delivery) -> Delivery:
    if delivery.output and delivery.out_dir:
        raise CommandError("EDOC-USE-016", first="-o", second="--out-dir")
    if delivery.jobs is not None:
        whole_number(delivery.jobs, "--jobs", least=1, most=JOBS_MOST)
    return delivery


# --- signing ---------------------------------------------------------------------------------------------------------


def _sign(console: Console, request: Request) -> int:
    from transport.desk.manifests import Manifest
    from transport.desk.signing import sign
    from transport.present.progress import Progress

    desk, outcomes = sign(console, request)
    done: list[Outcome] = []
    said: set[str] = set()

    def told() -> dict[str, object]:
        return documents.sign_document(
            done,
            signer=desk.signer,
            profile=desk.profile,
            at=request.at,
            dry_run=request.delivery.dry_run,
            lang=console.lang,
        )

    manifest = Manifest(request.delivery.manifest, told) if request.delivery.manifest else None
    progress = Progress(console, len(request.files))
    try:
        for outcome in outcomes:
            done.append(outcome)
            progress.clear()
            _tell(console, outcome, lambda: desk.signer, said=said)
            progress.told(len(done))
            if manifest is not None:
                manifest.update()
    finally:
        progress.clear()
        if manifest is not None:
            manifest.write()
    if console.json:
        console.document(told())
    elif len(request.files) > 1:
        console.note(documents.sign_summary(done, console.lang, asked=len(request.files)))
    return worst(outcome.fault.exit_code if outcome.fault else Exit.DONE for outcome in done)


def _tell(console: Console, outcome: Outcome, signer: Callable[[], Signer], *, said: set[str]) -> None:
    """Say what became of one file: a line, or the four lines of an error (R33); beside it remarks not ``said`` yet."""
    if console.json:
        return
    if outcome.fault:
        console.fail(outcome.fault)
        return
    if outcome.output != "-":
        console.say(documents.sign_line(outcome, signer=signer(), screen=console.screen()))
    for text in documents.sign_warnings(outcome, console.lang):
        if text not in said:
            said.add(text)
            console.warn(f"{documents.shown_path(outcome.path)}: {documents.shown_path(text)}")


# --- two steps -------------------------------------------------------------------------------------------------------


def _prepare(console: Console, request: Request) -> int:
    from transport.desk import deferring

    desk, outcome = deferring.prepare(console, request)
    if console.json:
        console.document(
            documents.sign_document(
                [outcome],
                signer=desk.signer,
                profile=desk.profile,
                at=request.at,
                dry_run=request.delivery.dry_run,
                lang=console.lang,
            )
        )
    elif outcome.output == "-":
        assert outcome.prepared is not None
        console.note(outcome.prepared.digest)
    else:
        console.say(documents.prepared_line(outcome, console.screen()))
    return Exit.DONE


def _embed(console: Console, given: Given, at: datetime) -> int:
    from transport.desk import deferring

    if given.embed is None or given.value is None:
        raise CommandError(
            "EDOC-USE-004", name="--embed", value=given.embed or "-", expected="--embed P --value SIGNATURE -o FILE"
        )
    if given.files:
        raise CommandError("EDOC-USE-016", first="--embed", second="FILE")
    request = Request(
        files=(),
        at=at,
        delivery=_delivery(given.delivery),
        trust=given.trust,
        revocation=given.revocation,
        level=_level(given),
        tsa=given.tsa,
    )
    found = deferring.embed(console, request, prepared=given.embed, value=given.value)
    if console.json:
        console.document(
            documents.sign_document(
                [found.outcome], signer=found.signer, profile=found.profile, at=at, dry_run=False, lang=console.lang
            )
        )
    else:
        _tell(console, found.outcome, lambda: found.signer, said=set())
    return Exit.DONE
