"""The command line: declares the commands, calls one function each and prints (console.md 1 to 4).

Typer is the only library loaded at start; everything else is imported inside the commands, so that help stays quick
(dependencies.md 5). Common options are declared once and added to every command.
"""

import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, NoReturn, TypeVar, cast

from transport.desk.console import Console, flush, prepare_streams
from transport.present.exits import Exit

import typer  # isort: skip  # after the language is known to be ours to choose: Typer binds its titles at import
from typer.core import TyperCommand, TyperGroup  # isort: skip

if TYPE_CHECKING:
    from typer._click import Context, Parameter
    from typer.core import TyperOption as Option

    from transport.desk.dispatching import Listing as DispatchListing
    from transport.desk.dispatching import Wanted as DispatchAct
    from transport.desk.nodes import Listing
    from transport.desk.tables import NewAgency
    from transport.present.help import Parameter as Shown
    from transport.present.office import KeyRow
    from transport.present.people import UserRow

Act = TypeVar("Act", bound=Callable[..., int])

ALIASES = {"ky": "sign", "kiem-tra": "verify", "gui": "send"}


def now() -> datetime:
    """Read the clock: once per act, here and nowhere below."""
    return datetime.now(UTC)


def generated_at() -> datetime:
    """Return the time a report is made, fixed by ``SOURCE_DATE_EPOCH`` where that is set."""
    fixed = os.environ.get("SOURCE_DATE_EPOCH", "")
    return datetime.fromtimestamp(int(fixed), UTC) if fixed.isascii() and fixed.isdigit() else now()


# --- common options ------------------------------------------------------------------------------------------------


def _keep(ctx: typer.Context, param: typer.CallbackParam, value: object) -> object:
    """Put a common option that was given into the console of this call."""
    if value in (None, False):
        return value
    console = cast(Console, ctx.find_root().obj)
    if param.name == "pin":
        from transport.present.errors import CommandError

        raise CommandError("EDOC-USE-007")
    if param.name in {"home", "config"}:
        value = Path(str(value))
    setattr(console, str(param.name), value)
    return value


def _one_of(*choices: str) -> object:
    """Return a callback that accepts only these words."""

    def check(ctx: typer.Context, param: typer.CallbackParam, value: str | None) -> object:
        if value is not None and value not in choices:
            raise _bad_value(param.opts[0], value, "|".join(choices))
        return _keep(ctx, param, value)

    return check


def _option_missing(name: str, command: str) -> Exception:
    from transport.present.errors import CommandError

    return CommandError("EDOC-USE-003", name=name, command=command)


def _bad_value(name: str, value: object, expected: str) -> Exception:
    from transport.present.errors import CommandError

    return CommandError("EDOC-USE-004", name=name, value=value, expected=expected)


def _common_options(
    json: Annotated[bool, typer.Option("--json", callback=_keep, expose_value=False)] = False,
    lang: Annotated[
        str | None, typer.Option("--lang", metavar="vi|en", callback=_one_of("vi", "en"), expose_value=False)
    ] = None,
    home: Annotated[str | None, typer.Option("--home", metavar="DIR", callback=_keep, expose_value=False)] = None,
    config: Annotated[str | None, typer.Option("--config", metavar="FILE", callback=_keep, expose_value=False)] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", callback=_keep, expose_value=False)] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", callback=_keep, expose_value=False)] = False,
    debug: Annotated[bool, typer.Option("--debug", callback=_keep, expose_value=False)] = False,
    color: Annotated[
        str | None,
        typer.Option("--color", metavar="WHEN", callback=_one_of("auto", "always", "never"), expose_value=False),
    ] = None,
    pin: Annotated[str | None, typer.Option("--pin", callback=_keep, expose_value=False, hidden=True)] = None,
) -> None:
    """Declare the options every command takes, once."""


_declaring = typer.Typer(add_completion=False)
_declaring.command()(_common_options)
COMMON: "list[Parameter]" = list(typer.main.get_command(_declaring).params)
COMMON_NAMES = frozenset(name for option in COMMON for name in option.opts)


def _parameters(params: "Sequence[Parameter]") -> "list[Shown]":
    """Return what the help page needs to know about the parameters of a command."""
    from transport.present.help import Parameter as Shown

    shown = []
    for item in params:
        if getattr(item, "hidden", False) or COMMON_NAMES & set(item.opts) or item.name == "help":
            continue
        argument = item.param_type_name == "argument"
        flag = getattr(item, "is_flag", False)
        metavar = "" if flag else (item.metavar or str(item.name).upper())
        names = (metavar,) if argument else (*item.opts, *item.secondary_opts)
        many = item.nargs == -1 or getattr(item, "multiple", False)
        shown.append(Shown(names, argument, metavar, item.required, many))
    return shown


def _path_of(ctx: "Context") -> str:
    """Return the name of a command without the program: ``ledger head``."""
    return ctx.command_path.partition(" ")[2]


def _print_help(ctx: "Context", param: "Parameter", value: bool) -> None:
    """Print the page ourselves, so that a closed pipe ends the printing and nothing else."""
    if value and not ctx.resilient_parsing:
        console_of(ctx).say(_page_of(ctx))
        ctx.exit()


def _page_of(ctx: "Context") -> list[str]:
    """Return the help page of the program, a noun or a command."""
    from transport.present import help as pages

    lang, name, declared = console_of(ctx).lang, _path_of(ctx), ctx.command
    if not isinstance(declared, EdocGroup):
        return pages.page(ALIASES.get(name, name), _parameters(declared.params), lang)
    if name:
        return pages.group_page(name, {word: pages.title(f"{name} {word}", lang) for word in declared.commands}, lang)
    from edoc import __version__

    return pages.front(lang, whole=True, version=__version__)


class EdocCommand(TyperCommand):
    """A command with the common options and our help page."""

    def get_params(self, ctx: "Context") -> "list[Parameter]":
        return [*super().get_params(ctx), *COMMON]

    def get_help_option(self, ctx: "Context") -> "Option | None":
        return _with_our_page(super().get_help_option(ctx))


class EdocGroup(TyperGroup):
    """A noun with its verbs, or the whole program."""

    def get_params(self, ctx: "Context") -> "list[Parameter]":
        return [*super().get_params(ctx), *COMMON]

    def get_help_option(self, ctx: "Context") -> "Option | None":
        return _with_our_page(super().get_help_option(ctx))

    def resolve_command(self, ctx: "Context", args: list[str]) -> object:  # type: ignore[override]  # a narrower name for the same triple
        if args and args[0] not in self.commands:
            from transport.present.errors import CommandError

            known = [name for name, command in self.commands.items() if not command.hidden]
            raise CommandError("EDOC-USE-001", name=args[0], nearest=_nearest(args[0], known, console_of(ctx).lang))
        return super().resolve_command(ctx, args)


def _with_our_page(option: "Option | None") -> "Option | None":
    if option is not None:
        option.callback = _print_help
    return option


def _nearest(word: str, known: Sequence[str], lang: str) -> str:
    from difflib import get_close_matches

    found = get_close_matches(word, known, n=3, cutoff=0.5)
    label = "gần nhất" if lang == "vi" else "nearest"
    return f"{label}: {', '.join(found)}" if found else ""


def console_of(ctx: "Context | typer.Context") -> Console:
    """Return the console of this call."""
    return cast(Console, ctx.find_root().obj)


app = typer.Typer(
    cls=EdocGroup,
    add_completion=False,
    rich_markup_mode=None,
    invoke_without_command=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def start(ctx: typer.Context) -> int:
    """Without a command: the daily verbs."""
    if ctx.invoked_subcommand is None:
        from edoc import __version__
        from transport.present import help as pages

        console_of(ctx).say(pages.front(console_of(ctx).lang, whole=False, version=__version__))
    return Exit.DONE


def command(name: str, *, group: typer.Typer = app, alias: str | None = None) -> Callable[[Act], Act]:
    """Declare a command with the common options; its alias is hidden."""

    def declare(function: Act) -> Act:
        group.command(name, cls=EdocCommand)(function)
        if alias:
            group.command(alias, cls=EdocCommand, hidden=True)(function)
        return function

    return declare


# --- options that several commands take ------------------------------------------------------------------------------

Texts = list[str] | None
Files = Annotated[list[str], typer.Argument(metavar="FILE")]
TrustOption = Annotated[Texts, typer.Option("--trust", metavar="PATH")]
RevocationOption = Annotated[Texts, typer.Option("--revocation", metavar="PATH")]
AtOption = Annotated[str | None, typer.Option("--at", metavar="TIME")]
PinFd = Annotated[int | None, typer.Option("--pin-fd", metavar="N")]
PinFile = Annotated[str | None, typer.Option("--pin-file", metavar="FILE")]
PinKeyring = Annotated[bool, typer.Option("--pin-keyring")]
Module = Annotated[str | None, typer.Option("--module", metavar="FILE")]
Output = Annotated[str | None, typer.Option("-o", "--output", metavar="FILE")]
Force = Annotated[bool, typer.Option("--force")]
DryRun = Annotated[bool, typer.Option("--dry-run")]
Yes = Annotated[bool, typer.Option("--yes")]


def _moment(text: str | None, console: Console) -> datetime:
    """Return ``--at``, or now."""
    if text is None:
        return now()
    from transport.desk.values import moment

    return moment(text, console)


# --- documents -------------------------------------------------------------------------------------------------------


@command("sign", alias="ky")
def sign(
    ctx: typer.Context,
    files: Annotated[Texts, typer.Argument(metavar="FILE")] = None,
    as_: Annotated[str, typer.Option("--as", metavar="person|agency")] = "person",
    key: Annotated[str | None, typer.Option("--key", metavar="KEY")] = None,
    cert: Annotated[Texts, typer.Option("--cert", metavar="FILE")] = None,
    trust: TrustOption = None,
    revocation: RevocationOption = None,
    format_: Annotated[str, typer.Option("--format", metavar="auto|pades|xades|cades|asic")] = "auto",
    level: Annotated[str | None, typer.Option("--level", metavar="b|t|lt|lta")] = None,
    profile: Annotated[str | None, typer.Option("--profile", metavar="interop|strict")] = None,
    tsa: Annotated[Texts, typer.Option("--tsa", metavar="URL")] = None,
    capacity: Annotated[str | None, typer.Option("--capacity", metavar="TEXT")] = None,
    position: Annotated[str | None, typer.Option("--position", metavar="TEXT")] = None,
    type_: Annotated[str | None, typer.Option("--type", metavar="TYPE")] = None,
    area: Annotated[str | None, typer.Option("--area", metavar="TEXT")] = None,
    reason: Annotated[str | None, typer.Option("--reason", metavar="TEXT")] = None,
    visible: Annotated[str, typer.Option("--visible", metavar="FORM")] = "auto",
    text: Annotated[str | None, typer.Option("--text", metavar="TEXT")] = None,
    image: Annotated[str | None, typer.Option("--image", metavar="PNG")] = None,
    page: Annotated[str | None, typer.Option("--page", metavar="N|last")] = None,
    box: Annotated[str | None, typer.Option("--box", metavar="X,Y,W,H")] = None,
    field: Annotated[str | None, typer.Option("--field", metavar="NAME")] = None,
    attachment: Annotated[bool, typer.Option("--attachment")] = False,
    of: Annotated[str | None, typer.Option("--of", metavar="FILE")] = None,
    copy: Annotated[str | None, typer.Option("--copy", metavar="sy|sl|trs")] = None,
    pin_fd: PinFd = None,
    pin_file: PinFile = None,
    pin_keyring: PinKeyring = False,
    module: Module = None,
    unsafe_unknown_status: Annotated[bool, typer.Option("--unsafe-unknown-status")] = False,
    basis: Annotated[str | None, typer.Option("--basis", metavar="TEXT")] = None,
    output: Output = None,
    out_dir: Annotated[str | None, typer.Option("--out-dir", metavar="DIR")] = None,
    force: Force = False,
    dry_run: DryRun = False,
    fail_fast: Annotated[bool, typer.Option("--fail-fast")] = False,
    recursive: Annotated[bool, typer.Option("-r", "--recursive")] = False,
    glob: Annotated[str, typer.Option("--glob", metavar="PATTERN")] = "*",
    jobs: Annotated[int | None, typer.Option("--jobs", metavar="N")] = None,
    resume: Annotated[bool, typer.Option("--resume")] = False,
    manifest: Annotated[str | None, typer.Option("--manifest", metavar="FILE")] = None,
    prepare: Annotated[bool, typer.Option("--prepare")] = False,
    embed: Annotated[str | None, typer.Option("--embed", metavar="P")] = None,
    value: Annotated[str | None, typer.Option("--value", metavar="SIGNATURE")] = None,
) -> int:
    from transport.desk import signcall
    from transport.desk.secrets import Pins
    from transport.desk.signrequest import Delivery, KeyChoice

    given = signcall.Given(
        files=tuple(files or ()),
        role=as_,
        key=KeyChoice(key, tuple(cert or ()), Pins(pin_fd, pin_file, pin_keyring), module),
        unsafe_unknown_status=unsafe_unknown_status,
        basis=basis,
        trust=tuple(trust or ()),
        revocation=tuple(revocation or ()),
        format=format_,
        level=level,
        profile=profile,
        tsa=tuple(tsa or ()),
        capacity=capacity,
        position=position,
        type=type_,
        area=area,
        reason=reason,
        visible=visible,
        text=text,
        image=image,
        page=page,
        box=box,
        into=field,
        attachment=attachment,
        of=of,
        copy=copy,
        delivery=Delivery(output, out_dir, force, dry_run, fail_fast, resume, jobs, manifest),
        recursive=recursive,
        glob=glob,
        prepare=prepare,
        embed=embed,
        value=value,
    )
    return signcall.run(console_of(ctx), given, at=now())


@command("extend")
def extend(
    ctx: typer.Context,
    files: Files,
    level: Annotated[str, typer.Option("--level", metavar="t|lt|lta")] = "lta",
    trust: TrustOption = None,
    chain: Annotated[Texts, typer.Option("--chain", metavar="PATH")] = None,
    revocation: RevocationOption = None,
    tsa: Annotated[Texts, typer.Option("--tsa", metavar="URL")] = None,
    content: Annotated[Texts, typer.Option("--content", metavar="[NAME=]FILE")] = None,
    output: Output = None,
    force: Force = False,
) -> int:
    from transport.desk import extending
    from transport.desk.values import choice
    from transport.present import extending as present
    from transport.present.exits import worst

    console = console_of(ctx)
    request = extending.Request(
        files=tuple(files),
        level=choice(level, "--level", extending.LEVELS),
        at=now(),
        trust=tuple(trust or ()),
        chain=tuple(chain or ()),
        revocation=tuple(revocation or ()),
        tsa=tuple(tsa or ()),
        contents=tuple(content or ()),
        output=output,
        force=force,
    )
    lifted = extending.extend(console, request)
    if console.json:
        console.document(present.document(lifted))
    else:
        for file in lifted:
            if file.fault:
                console.fail(file.fault)
            elif file.output != "-":
                console.say(present.line(file, console.screen()))
    return worst(file.fault.exit_code if file.fault else Exit.DONE for file in lifted)


@command("mark")
def mark(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE")],
    stamp: Annotated[str, typer.Option("--mark", metavar="MARK")],
    box: Annotated[str | None, typer.Option("--box", metavar="X,Y,W,H")] = None,
    page: Annotated[str | None, typer.Option("--page", metavar="N|last")] = None,
    output: Output = None,
    force: Force = False,
) -> int:
    from transport.desk import marking
    from transport.desk.values import box_of, choice, page_of
    from transport.present import marking as present

    console = console_of(ctx)
    named = choice(stamp, "--mark", tuple(marking.NAMES))
    marked = marking.mark(console, marking.Request(file, named, page_of(page) or 1, box_of(box), output, force))
    if console.json:
        console.document(present.document(marked))
    elif marked.output != "-":
        console.say(present.line(marked, console.screen()))
    return Exit.DONE


@command("verify", alias="kiem-tra")
def verify(
    ctx: typer.Context,
    files: Files,
    trust: TrustOption = None,
    trust_tsa: Annotated[Texts, typer.Option("--trust-tsa", metavar="PATH")] = None,
    chain: Annotated[Texts, typer.Option("--chain", metavar="PATH")] = None,
    revocation: RevocationOption = None,
    content: Annotated[Texts, typer.Option("--content", metavar="[NAME=]FILE")] = None,
    public_key: Annotated[Texts, typer.Option("--public-key", metavar="FILE")] = None,
    at: AtOption = None,
    policy: Annotated[str | None, typer.Option("--policy", metavar="POLICY")] = None,
    online: Annotated[bool | None, typer.Option("--online/--offline")] = None,
    agency: Annotated[str | None, typer.Option("--agency", metavar="AGENCY")] = None,
    require: Annotated[str | None, typer.Option("--require", metavar="original|copy")] = None,
    report: Annotated[str | None, typer.Option("--report", metavar="html|pdf|xml")] = None,
    output: Output = None,
    force: Force = False,
    recursive: Annotated[bool, typer.Option("-r", "--recursive")] = False,
    glob: Annotated[str, typer.Option("--glob", metavar="PATTERN")] = "*",
    jobs: Annotated[int, typer.Option("--jobs", metavar="N")] = 1,
) -> int:
    from transport.desk import checking, reporting
    from transport.desk.gathering import gathered
    from transport.desk.values import choice, whole_number

    console = console_of(ctx)
    wanted = reporting.wanted(console, report, output, force=force, inputs=files)
    request = checking.Request(
        files=gathered(files, recursive=recursive, glob=glob, left_out=[output] if output else []),
        contents=tuple(content or ()),
        public_keys=tuple(public_key or ()),
        jobs=whole_number(jobs, "--jobs", least=1, most=64),
        at=_moment(at, console),
        policy=choice(policy, "--policy", checking.POLICIES) if policy is not None else None,
        trust=tuple(trust or ()),
        trust_tsa=tuple(trust_tsa or ()),
        chain=tuple(chain or ()),
        revocation=tuple(revocation or ()),
        agency=agency,
        require=choice(require, "--require", ("original", "copy")) if require else None,
        online=online,
    )
    checked, how = checking.check(console, request, generated_at=generated_at())
    return reporting.answer(console, wanted, checked, how)


@command("pack")
def pack(
    ctx: typer.Context,
    main_file: Annotated[str, typer.Argument(metavar="MAIN")],
    attach: Annotated[Texts, typer.Argument(metavar="ATTACH")] = None,
    from_: Annotated[str | None, typer.Option("--from", metavar="AGENCY")] = None,
    from_name: Annotated[str | None, typer.Option("--from-name", metavar="TEXT")] = None,
    number: Annotated[str | None, typer.Option("--number", metavar="N")] = None,
    notation: Annotated[str | None, typer.Option("--notation", metavar="TEXT")] = None,
    date: Annotated[str | None, typer.Option("--date", metavar="DATE")] = None,
    place: Annotated[str | None, typer.Option("--place", metavar="TEXT")] = None,
    type_: Annotated[str | None, typer.Option("--type", metavar="TYPE")] = None,
    subject: Annotated[str | None, typer.Option("--subject", metavar="TEXT")] = None,
    to: Annotated[Texts, typer.Option("--to", metavar="AGENCY")] = None,
    priority: Annotated[str | None, typer.Option("--priority", metavar="LEVEL")] = None,
    due: Annotated[str | None, typer.Option("--due", metavar="DATE")] = None,
    reply_to: Annotated[str | None, typer.Option("--reply-to", metavar="ID")] = None,
    signer: Annotated[str | None, typer.Option("--signer", metavar="TEXT")] = None,
    paper: Annotated[bool, typer.Option("--paper")] = False,
    meta: Annotated[str | None, typer.Option("--meta", metavar="FILE")] = None,
    trust: TrustOption = None,
    output: Output = None,
    force: Force = False,
    allow: Annotated[bool, typer.Option("--allow-information-only")] = False,
) -> int:
    from transport.desk import packing
    from transport.present import documents

    console = console_of(ctx)
    given = packing.Facts(
        from_, from_name, number, notation, date, place, type_, subject, tuple(to or ()), priority, due, reply_to,
        signer, paper,
    )  # fmt: skip
    facts = packing.merged(given, packing.read_meta(meta, console)) if meta else given
    made = packing.pack(
        console,
        [main_file, *(attach or ())],
        facts,
        at=now(),
        trust=trust or (),
        output=output,
        force=force,
        allow_information_only=allow,
    )
    if console.json:
        console.document(documents.pack_document(made, [packing.entry(*item) for item in made.files]))
    elif made.path != "-":
        console.say(made.path)
    return Exit.DONE


@command("inspect")
def inspect_(ctx: typer.Context, file: Annotated[str, typer.Argument(metavar="FILE")]) -> int:
    from transport.desk import packing
    from transport.present import documents

    console = console_of(ctx)
    looked = packing.inspect(console, file, at=now())
    found = documents.inspect_document(
        path=looked.path,
        report=looked.report,
        document=looked.document,
        files=[packing.entry(*item) for item in looked.files],
        pdf=looked.pdf,
        warnings=looked.warnings,
    )
    if console.json:
        console.document(found)
    else:
        console.say(documents.inspect_lines(found, console.screen()))
    return Exit.DONE


@command("unpack")
def unpack(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE")],
    folder: Annotated[str | None, typer.Option("-d", "--dir", metavar="DIR")] = None,
    only: Annotated[int | None, typer.Option("--only", metavar="N")] = None,
    names: Annotated[str, typer.Option("--names", metavar="original|transport")] = "original",
) -> int:
    from transport.desk import packing
    from transport.desk.values import choice
    from transport.present import documents

    console = console_of(ctx)
    transport = choice(names, "--names", ("original", "transport")) == "transport"
    taken = packing.unpack(console, file, folder=folder, only=only, transport_names=transport)
    if console.json:
        console.document(
            documents.unpack_document(
                [packing.entry(item.name, item.data, item.content_type, item.path) for item in taken],
                [item.name for item in taken if item.renamed],
            )
        )
        return Exit.DONE
    for item in taken:
        if item.renamed:
            console.warn(documents.renamed(item.name, str(item.path), console.lang))
        console.say(documents.shown_path(item.path))
    return Exit.DONE


# --- exchange --------------------------------------------------------------------------------------------------------

Ref = Annotated[str, typer.Argument(metavar="REF")]


@command("send", alias="gui")
def send(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE")],
    to: Annotated[Texts, typer.Option("--to", metavar="AGENCY")] = None,
    wait: Annotated[float, typer.Option("--wait", metavar="SECONDS")] = 20.0,
    queue_only: Annotated[bool, typer.Option("--queue-only")] = False,
    allow: Annotated[bool, typer.Option("--allow-information-only")] = False,
    pin_fd: PinFd = None,
    pin_file: PinFile = None,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> int:
    from transport.desk import nodes
    from transport.present import exchange

    console, pins = console_of(ctx), nodes.Pins(pin_fd, pin_file)
    packed = nodes.PackedInput.of(file, console)
    with nodes.reading(console) as office:
        names = nodes.names(office)
        recipients = packed.recipients(office, to or (), now=now())
    if dry_run:
        return _would_send(console, recipients, packed.sha256, names)
    act = exchange.send_question(file, [names.get(code) or code for code in recipients], console.lang)
    if not console.confirmed(act, yes=yes):
        return Exit.REFUSED
    with nodes.working(console, pins) as node:
        node.office.fetch_status = nodes.status_source(node.office.settings)
        sent = packed.send(node, to, now=now(), allow_information_only=allow)
        dispatches = sent.dispatches
        if not queue_only:
            dispatches = nodes.carry(nodes.networked(node, console, pins), sent.message_id, seconds=wait)
    if console.json:
        console.document(
            exchange.send_document(
                message_id=sent.message_id,
                document_id=sent.document_id,
                sha256=sent.sha256,
                queued_at=sent.queued_at,
                dispatches=dispatches,
                names=names,
                lang=console.lang,
            )
        )
    else:
        console.say(exchange.dispatch_line(one, names, console.screen()) for one in dispatches)
    return exchange.send_exit(dispatches)


def _would_send(console: Console, recipients: Sequence[str], digest: str, names: dict[str, str]) -> int:
    from transport.present import exchange

    if console.json:
        console.document(exchange.would_send_document(recipients, digest, names))
    else:
        console.say(exchange.would_send_lines(recipients, digest, names, console.lang))
    return Exit.DONE


@command("serve")
def serve(
    ctx: typer.Context,
    host: Annotated[str, typer.Option("--host", metavar="ADDRESS")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", metavar="N")] = 8443,
    tls_cert: Annotated[str | None, typer.Option("--tls-cert", metavar="FILE")] = None,
    tls_key: Annotated[str | None, typer.Option("--tls-key", metavar="FILE")] = None,
    client_ca: Annotated[str | None, typer.Option("--client-ca", metavar="FILE")] = None,
    behind_proxy: Annotated[Texts, typer.Option("--behind-proxy", metavar="CIDR")] = None,
    no_courier: Annotated[bool, typer.Option("--no-courier")] = False,
    metrics_port: Annotated[int | None, typer.Option("--metrics-port", metavar="N")] = None,
    workers: Annotated[int, typer.Option("--workers", metavar="N")] = 1,
    pin_fd: PinFd = None,
    pin_file: PinFile = None,
) -> int:
    from transport.desk import serving
    from transport.desk.nodes import Pins
    from transport.present import exchange

    console = console_of(ctx)
    if not 0 <= port <= 65535:
        raise _bad_value("--port", port, "0…65535")
    if not 1 <= workers <= 64:
        raise _bad_value("--workers", workers, "1…64")
    if metrics_port is not None and not 0 <= metrics_port <= 65536 - workers:
        raise _bad_value("--metrics-port", metrics_port, f"0…{65536 - workers}")
    if bad := serving.no_network(behind_proxy or ()):
        raise _bad_value("--behind-proxy", bad, "10.0.0.10/32")
    if tls_key is not None and tls_cert is None:  # a certificate alone may have its key in the same file
        raise _option_missing("--tls-cert", "edoc serve")

    def ready(urls: dict[str, str]) -> None:
        if console.json:
            console.document(exchange.serve_document(os.getpid(), urls), one_line=True)
        else:
            for name, url in urls.items():
                console.warn(f"{name}: {url}")

    proxies = tuple(behind_proxy or ())
    wanted = serving.Listening(host, port, tls_cert, tls_key, client_ca, not no_courier, metrics_port, proxies, workers)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    return serving.serve(console, Pins(pin_fd, pin_file), wanted, on_ready=ready)


def _list(console: Console, book: str, listing: "Listing") -> int:
    """Print a page of the inbox or outbox."""
    from transport.desk import nodes
    from transport.node import looking
    from transport.present import exchange

    with nodes.reading(console) as office:
        names, question = nodes.names(office), nodes.row_filter(office, listing, now=now())
        page = (looking.inbox if book == "inbox" else looking.outbox_rows)(office, question)
    if console.json:
        console.document(exchange.list_document(book, page, names))
    else:
        console.say(exchange.list_lines(book, page, names, console.screen()))
    return Exit.REFUSED if listing.overdue and page.rows else Exit.DONE


def _time(text: str | None, console: Console) -> datetime | None:
    return _moment(text, console) if text else None


StateOption = Annotated[str | None, typer.Option("--state", metavar="STATE")]
SinceOption = Annotated[str | None, typer.Option("--since", metavar="TIME")]
UntilOption = Annotated[str | None, typer.Option("--until", metavar="TIME")]
SearchOption = Annotated[str | None, typer.Option("--search", metavar="TEXT")]
LimitOption = Annotated[int, typer.Option("--limit", metavar="N")]
AfterOption = Annotated[str | None, typer.Option("--after", metavar="CURSOR")]


@command("inbox")
def inbox(
    ctx: typer.Context,
    state: StateOption = None,
    from_: Annotated[str | None, typer.Option("--from", metavar="AGENCY")] = None,
    since: SinceOption = None,
    until: UntilOption = None,
    search: SearchOption = None,
    overdue: Annotated[bool, typer.Option("--overdue")] = False,
    limit: LimitOption = 50,
    after: AfterOption = None,
) -> int:
    from transport.desk.nodes import Listing

    console = console_of(ctx)
    times = _time(since, console), _time(until, console)
    return _list(console, "inbox", Listing(state, from_, *times, search, overdue, limit, after))


@command("outbox")
def outbox(
    ctx: typer.Context,
    state: StateOption = None,
    to: Annotated[str | None, typer.Option("--to", metavar="AGENCY")] = None,
    since: SinceOption = None,
    until: UntilOption = None,
    search: SearchOption = None,
    overdue: Annotated[bool, typer.Option("--overdue")] = False,
    limit: LimitOption = 50,
    after: AfterOption = None,
) -> int:
    from transport.desk.nodes import Listing

    console = console_of(ctx)
    times = _time(since, console), _time(until, console)
    return _list(console, "outbox", Listing(state, to, *times, search, overdue, limit, after))


@command("show")
def show(
    ctx: typer.Context,
    ref: Ref,
    file: Annotated[int | None, typer.Option("--file", metavar="N")] = None,
    print_: Annotated[str | None, typer.Option("--print", metavar="plain|certified")] = None,
    copy: Annotated[str | None, typer.Option("--copy", metavar="sy|sl|trs")] = None,
    receipts: Annotated[bool, typer.Option("--receipts")] = False,
    output: Output = None,
    force: Force = False,
) -> int:
    from transport.desk import nodes
    from transport.node import looking
    from transport.present import exchange

    console = console_of(ctx)
    if print_ is not None or copy is not None:
        return _on_paper(console, ref, file=file, kind=print_, copy=copy, output=output, force=force)
    with nodes.reading(console) as office:
        if file is not None:
            return _one_file(console, looking.file_of(office, ref, file, now()), output, force=force)
        names, shown = nodes.names(office), looking.show(office, ref, now())
    if receipts and output:
        data = b"\n".join(receipt.data for receipt in shown.receipts)
        return _one_file(console, ("receipt.xml", data), output, force=force)
    if console.json:
        console.document(exchange.show_document(shown, names, console.lang))
    else:
        console.say(exchange.show_lines(shown, names, console.screen()))
        console.say(receipt.data.decode("utf-8").rstrip() for receipt in shown.receipts if receipts)
    return Exit.DONE


def _on_paper(
    console: Console, ref: str, *, file: int | None, kind: str | None, copy: str | None, output: str | None, force: bool
) -> int:
    """Write the rendition of a document for paper; where it goes is looked at before a number is taken."""
    from transport.desk import files, packing, printing
    from transport.desk.signrequest import COPIES
    from transport.desk.values import choice

    def may_write(name: str) -> None:
        if output != "-":
            files.check_target(Path(output) if output else Path(packing.safe_name(name, 1)), force=force)

    wanted = printing.Wanted(
        ref,
        1 if file is None else file,
        choice(kind or "certified", "--print", printing.KINDS),
        choice(copy, "--copy", COPIES) if copy else None,
    )
    return _one_file(console, printing.printed(console, wanted, may_write=may_write, now=now()), output, force=force)


def _one_file(console: Console, found: tuple[str, bytes], output: str | None, *, force: bool) -> int:
    """Write one file of a document where asked, or under a safe form of its own name."""
    from transport.desk import files, packing

    name, data = found
    if output == "-":
        console.binary(data)
        return Exit.DONE
    target = Path(output) if output else Path(packing.safe_name(name, 1))
    files.check_target(target, force=force)
    files.write_output(target, data, force=force)
    if not console.json:
        console.say(str(target))
    else:
        console.document(
            {
                "schema": "edoc.unpack/1",
                "verified": False,
                "files": [packing.entry(name, data, "", target)],
                "warnings": [],
            }
        )
    return Exit.DONE


@command("accept")
def accept(
    ctx: typer.Context,
    ref: Ref,
    remark: Annotated[str | None, typer.Option("--remark", metavar="TEXT")] = None,
    despite: Annotated[str | None, typer.Option("--despite", metavar="TEXT")] = None,
    assign: Annotated[str | None, typer.Option("--assign", metavar="UNIT")] = None,
    note: Annotated[str | None, typer.Option("--note", metavar="TEXT")] = None,
    due: Annotated[str | None, typer.Option("--due", metavar="DATE")] = None,
    pin_fd: PinFd = None,
    pin_file: PinFile = None,
) -> int:
    from transport.desk import nodes
    from transport.desk.values import day
    from transport.node.deciding import Acceptance
    from transport.present import exchange

    console = console_of(ctx)
    act = Acceptance(nodes.login(), remark, despite, assign, note, day(due, "--due") if due else None)
    with nodes.working(console, nodes.Pins(pin_fd, pin_file)) as node:
        node.office.fetch_status = nodes.status_source(node.office.settings)
        decided = node.accept(ref, act, now=now())
    if console.json:
        console.document(exchange.accept_document(decided, despite=despite))
    else:
        console.say(exchange.decision_line(decided, console.screen()))
    return Exit.DONE


@command("return")
def return_(
    ctx: typer.Context,
    ref: Ref,
    reason: Annotated[str, typer.Option("--reason", metavar="CODE")],
    by: Annotated[str, typer.Option("--by", metavar="NAME")],
    note: Annotated[str | None, typer.Option("--note", metavar="TEXT")] = None,
    pin_fd: PinFd = None,
    pin_file: PinFile = None,
    yes: Yes = False,
) -> int:
    from edoc.lifecycle import RETURN_REASONS
    from transport.desk import nodes
    from transport.desk.values import choice
    from transport.present import exchange

    console = console_of(ctx)
    choice(reason, "--reason", [item.code for item in RETURN_REASONS])
    if reason == "other" and not note:
        raise _missing("--note", "edoc return")
    if not console.confirmed(exchange.question("return", ref, console.lang), yes=yes):
        return Exit.REFUSED
    with nodes.working(console, nodes.Pins(pin_fd, pin_file)) as node:
        decided = node.give_back(ref, reason=reason, note=note, by=by, now=now())
        names = nodes.names(node.office)
    if console.json:
        console.document(exchange.return_document(decided, names, console.lang, reason=reason, note=note))
    else:
        console.say(exchange.decision_line(decided, console.screen()))
    return Exit.DONE


def _missing(name: str, path: str) -> Exception:
    from transport.present.errors import CommandError

    return CommandError("EDOC-USE-003", name=name, command=path)


STEPS = {"assigned": "04", "in-process": "05", "finished": "06"}


@command("status")
def status(
    ctx: typer.Context,
    ref: Annotated[str | None, typer.Argument(metavar="REF")] = None,
    step: Annotated[str | None, typer.Option("--set", metavar="STEP")] = None,
    unit: Annotated[str | None, typer.Option("--unit", metavar="TEXT")] = None,
    person: Annotated[str | None, typer.Option("--person", metavar="NAME")] = None,
    note: Annotated[str | None, typer.Option("--note", metavar="TEXT")] = None,
    pin_fd: PinFd = None,
    pin_file: PinFile = None,
) -> int:
    console = console_of(ctx)
    if ref is None:
        if step is not None:
            raise _missing("REF", "edoc status")
        return _node_status(console)
    from transport.desk import nodes
    from transport.desk.values import choice
    from transport.node import looking
    from transport.present import exchange

    if step is not None:
        choice(step, "--set", tuple(STEPS))
        with nodes.working(console, nodes.Pins(pin_fd, pin_file)) as node:
            node.set_status(ref, STEPS[step], person=person or nodes.login(), unit=unit, note=note, now=now())
    with nodes.reading(console) as office:
        names, shown = nodes.names(office), looking.status_of(office, ref, now())
    if console.json:
        console.document(exchange.status_document(shown, names))
    else:
        console.say(exchange.status_lines(shown, names, console.screen()))
    return Exit.DONE


def _node_status(console: Console) -> int:
    """Print the node on one screen."""
    from transport.desk import glancing
    from transport.present import exchange

    names, standing, certificates = glancing.look(console, now=now())
    if console.json:
        console.document(exchange.node_document(standing, names, certificates))
    else:
        console.say(exchange.node_lines(standing, names, certificates, console.screen()))
    return Exit.DONE


# --- proof -----------------------------------------------------------------------------------------------------------


@command("evidence")
def evidence(
    ctx: typer.Context,
    ref: Ref,
    output: Annotated[str, typer.Option("-o", "--output", metavar="FILE")],
    to: Annotated[str | None, typer.Option("--to", metavar="AGENCY")] = None,
    withhold: Annotated[Texts, typer.Option("--withhold", metavar="FIELD")] = None,
    no_content: Annotated[bool, typer.Option("--no-content")] = False,
    peer: Annotated[str | None, typer.Option("--peer", metavar="FILE")] = None,
    force: Force = False,
    pin_fd: PinFd = None,
    pin_file: PinFile = None,
) -> int:
    from transport.desk import files, nodes
    from transport.present import audits

    console, target = console_of(ctx), Path(output)
    files.check_target(target, force=force, inputs=[peer] if peer else [])
    other = files.read_input(peer, console) if peer else None
    wanted = nodes.Package(to, not no_content, tuple(withhold or ()), other)
    package, audit = nodes.evidence(console, nodes.Pins(pin_fd, pin_file), ref, wanted, now=now())
    files.write_output(target, package.data, force=force)
    if console.json:
        console.document(
            audits.evidence_document(
                path=output,
                sha256=package.sha256,
                events=package.events,
                checkpoint=(package.origin, package.size),
                audit=audit,
            )
        )
    else:
        console.say(output)
        for item in audit.items:
            console.say(audits.lines(item, audit.only, console.screen()))
    return audits.EXITS[audit.result]


@command("audit")
def audit(
    ctx: typer.Context,
    files: Files,
    trust: TrustOption = None,
    policy_file: Annotated[str | None, typer.Option("--policy-file", metavar="FILE")] = None,
    directory: Annotated[str | None, typer.Option("--directory", metavar="FILE")] = None,
    at: AtOption = None,
    only: Annotated[str | None, typer.Option("--only", metavar="STEP,…")] = None,
) -> int:
    from transport.desk import auditing
    from transport.present import audits
    from transport.present.exits import worst

    console, steps = console_of(ctx), tuple(filter(None, (only or "").split(",")))
    moment = _moment(at, console)
    request = auditing.Request(tuple(files), moment, generated_at(), tuple(trust or ()), steps, directory, policy_file)
    audited = auditing.audit(console, request)
    results = [one.result for one in audited if one.result is not None]
    codes = [one.fault.exit_code for one in audited if one.fault is not None]
    if console.json and results:
        console.document(audits.document(results, console.lang))
    for one in audited:
        if one.fault is not None and not (console.json and results):
            console.fail(one.fault)
        elif one.result is not None and not console.json:
            console.say(
                line for item in one.result.items for line in audits.lines(item, one.result.only, console.screen())
            )
    return worst([*codes, *(audits.EXITS[item.result] for result in results for item in result.items)])


# --- the ledger ------------------------------------------------------------------------------------------------------

ledger = typer.Typer(cls=EdocGroup, rich_markup_mode=None)
app.add_typer(ledger, name="ledger")


@command("head", group=ledger)
def ledger_head(ctx: typer.Context) -> int:
    from transport.desk import ledgers
    from transport.present import ledgers as present

    console, head = console_of(ctx), ledgers.head(console_of(ctx))
    if console.json:
        console.document(present.head_document(head))
    else:
        console.say(head.note.rstrip("\n"))
    return present.head_exit(head)


@command("open", group=ledger)
def ledger_open(
    ctx: typer.Context,
    after_loss: Annotated[str, typer.Option("--after-loss", metavar="FILE")],
    yes: Yes = False,
    pin_fd: PinFd = None,
    pin_file: PinFile = None,
) -> int:
    from transport.desk import ledgers, nodes
    from transport.present import ledgers as present

    console = console_of(ctx)
    if not console.confirmed(present.open_question(console.lang), yes=yes):
        return Exit.REFUSED
    opened = ledgers.open_after_loss(console, nodes.Pins(pin_fd, pin_file), after_loss, now=now())
    if console.json:
        console.document(present.open_document(opened))
    else:
        console.say(present.open_line(opened, console.lang))
    return Exit.DONE


@command("verify", group=ledger)
def ledger_verify(
    ctx: typer.Context,
    first: Annotated[int, typer.Option("--from", metavar="I")] = 0,
    last: Annotated[int | None, typer.Option("--to", metavar="I")] = None,
    receipts: Annotated[bool, typer.Option("--receipts")] = False,
    against: Annotated[str | None, typer.Option("--against", metavar="FILE")] = None,
    peer: Annotated[list[str] | None, typer.Option("--peer", metavar="FILE")] = None,
) -> int:
    from transport.desk import ledgers
    from transport.present import ledgers as present

    console = console_of(ctx)
    found = ledgers.verify(console, ledgers.Wanted(first, last, receipts, against))
    compared = ledgers.compare(console, peer, now=now()) if peer else ()
    if console.json:
        console.document(present.verify_document(found, compared))
    else:
        console.say(present.verify_lines(found, console.screen()))
        console.say(present.compared_lines(compared, console.screen()))
    return present.verify_exit(found, compared)


@command("receipts", group=ledger)
def ledger_receipts(
    ctx: typer.Context,
    code: Annotated[str, typer.Argument(metavar="CODE")],
    output: Annotated[str, typer.Option("-o", "--output", metavar="FILE")],
    force: Force = False,
) -> int:
    from transport.desk import files, ledgers
    from transport.present import ledgers as present

    console = console_of(ctx)
    if output == "-":
        raise _bad_value("-o", output, "FILE.jsonl")
    files.check_target(Path(output), force=force)
    written, digest = ledgers.receipts_for(console, code, Path(output), now=now())
    if console.json:
        console.document(present.receipts_document(written, output, digest))
    else:
        console.say(present.receipts_line(written, output, console.lang))
    return Exit.DONE


@command("prove", group=ledger)
def ledger_prove(
    ctx: typer.Context,
    ref: Annotated[str, typer.Argument(metavar="REF")],
    output: Output = None,
    force: Force = False,
) -> int:
    from transport.desk import files, ledgers
    from transport.present import ledgers as present

    console = console_of(ctx)
    text, proof, _ = ledgers.prove(console, ref)
    if output and output != "-":
        target = Path(output)
        files.check_target(target, force=force, inputs=[ref])
        files.write_output(target, text.encode("utf-8"), force=force)
    if console.json:
        head = proof.head
        console.document(
            present.prove_document(
                origin=head.origin,
                size=head.size,
                index=proof.index,
                leaf=proof.leaf().hex(),
                path=proof.path,
                checkpoint=proof.checkpoint,
            )
        )
    else:
        console.say(output if output and output != "-" else text.rstrip("\n"))
    return Exit.DONE


# --- dispatches ------------------------------------------------------------------------------------------------------

dispatch_ = typer.Typer(cls=EdocGroup, rich_markup_mode=None)
app.add_typer(dispatch_, name="dispatch")
ToOption = Annotated[str | None, typer.Option("--to", metavar="AGENCY")]
ReasonOption = Annotated[str, typer.Option("--reason", metavar="CODE")]
NoteOption = Annotated[str, typer.Option("--note", metavar="TEXT")]


def _dispatches(console: Console, listing: "DispatchListing") -> int:
    """Print a page of dispatches."""
    from transport.desk import dispatching, nodes
    from transport.present import dispatches

    with nodes.reading(console) as office:
        names, page = nodes.names(office), dispatching.listed(office, listing, now=now())
    if console.json:
        console.document(dispatches.document(page.items, names, console.lang, following=page.next))
    else:
        console.say(dispatches.lines(page.items, names, console.screen()))
    return Exit.DONE


@command("list", group=dispatch_)
def dispatch_list(
    ctx: typer.Context,
    state: StateOption = None,
    to: ToOption = None,
    lane: Annotated[int | None, typer.Option("--lane", metavar="N")] = None,
    limit: LimitOption = 50,
    after: AfterOption = None,
) -> int:
    from transport.desk.dispatching import Listing as Wanted

    return _dispatches(console_of(ctx), Wanted(state, to, lane, limit, after))


@command("dead", group=dispatch_)
def dispatch_dead(ctx: typer.Context, to: ToOption = None, limit: LimitOption = 50, after: AfterOption = None) -> int:
    from transport.desk.dispatching import Listing as Wanted

    return _dispatches(console_of(ctx), Wanted(None, to, None, limit, after, dead=True))


@command("why", group=dispatch_)
def dispatch_why(ctx: typer.Context, ref: Ref, to: ToOption = None) -> int:
    from transport.desk import dispatching, nodes
    from transport.present import dispatches

    console = console_of(ctx)
    with nodes.reading(console) as office:
        names, items = nodes.names(office), dispatching.explained(office, ref, to, now=now())
    if console.json:
        console.document(dispatches.document(items, names, console.lang))
    else:
        console.say(dispatches.why_lines(items, names, console.screen()))
    return Exit.DONE


def _act_on_dispatches(console: Console, wanted: "DispatchAct", *, yes: bool) -> int:
    """Ask where the act leaves the office or cannot be undone, do it, print what it left."""
    from transport.desk import dispatching
    from transport.present import dispatches, exchange

    if wanted.act != "retry":
        question = exchange.question(f"dispatch.{wanted.act}", wanted.ref, console.lang)
        if not console.confirmed(question, yes=yes):
            return Exit.REFUSED
    items, names = dispatching.act(console, wanted, now=now())
    if console.json:
        console.document(dispatches.document(items, names, console.lang))
    else:
        console.say(dispatches.why_lines(items, names, console.screen()))
    return Exit.DONE


@command("retry", group=dispatch_)
def dispatch_retry(
    ctx: typer.Context, ref: Ref, to: ToOption = None, reason: ReasonOption = "request", note: NoteOption = ""
) -> int:
    from transport.desk.dispatching import Wanted

    return _act_on_dispatches(console_of(ctx), Wanted("retry", ref, to, reason, note), yes=True)


@command("take-back", group=dispatch_)
def dispatch_take_back(
    ctx: typer.Context, ref: Ref, reason: ReasonOption, to: ToOption = None, note: NoteOption = "", yes: Yes = False
) -> int:
    from transport.desk.dispatching import Wanted

    return _act_on_dispatches(console_of(ctx), Wanted("take-back", ref, to, reason, note), yes=yes)


@command("requeue", group=dispatch_)
def dispatch_requeue(
    ctx: typer.Context, ref: Ref, reason: ReasonOption, to: ToOption = None, note: NoteOption = "", yes: Yes = False
) -> int:
    from transport.desk.dispatching import Wanted

    return _act_on_dispatches(console_of(ctx), Wanted("requeue", ref, to, reason, note), yes=yes)


@command("export", group=dispatch_)
def dispatch_export(
    ctx: typer.Context,
    ref: Ref,
    to: ToOption = None,
    output: Output = None,
    force: Force = False,
    yes: Yes = False,
) -> int:
    from transport.desk import dispatching
    from transport.present import dispatches, exchange

    console = console_of(ctx)
    if not console.confirmed(exchange.question("dispatch.export", ref, console.lang), yes=yes):
        return Exit.REFUSED
    done = dispatching.export(console, ref, to, output=output, force=force, now=now())
    if console.json:
        console.document(
            dispatches.document(done.items, done.names, console.lang, path=done.path, receipt=done.receipt)
        )
    else:
        console.say(done.path)
    return Exit.DONE


@command("import", group=dispatch_)
def dispatch_import(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE")],
    output: Output = None,
    force: Force = False,
    pin_fd: PinFd = None,
    pin_file: PinFile = None,
) -> int:
    from transport.desk import dispatching, nodes
    from transport.present import dispatches

    console = console_of(ctx)
    pins = nodes.Pins(pin_fd, pin_file)
    done = dispatching.bring(console, pins, file, output=output, force=force, now=now())
    if console.json:
        console.document(
            dispatches.document(done.items, done.names, console.lang, path=done.path, receipt=done.receipt)
        )
    else:
        console.say(dispatches.brought_line(done.result.kind, done.result.state, done.path, console.screen()))
    return Exit.REFUSED if done.result.kind == "message" and done.result.state == "refused" else Exit.DONE


# --- tables of the node ----------------------------------------------------------------------------------------------

agency = typer.Typer(cls=EdocGroup, rich_markup_mode=None)
trust_ = typer.Typer(cls=EdocGroup, rich_markup_mode=None)
key_ = typer.Typer(cls=EdocGroup, rich_markup_mode=None)
token_ = typer.Typer(cls=EdocGroup, rich_markup_mode=None)
user_ = typer.Typer(cls=EdocGroup, rich_markup_mode=None)
app.add_typer(agency, name="agency")
app.add_typer(trust_, name="trust")
app.add_typer(key_, name="key")
key_.add_typer(token_, name="token")
app.add_typer(user_, name="user")


@command("add", group=agency)
def agency_add(
    ctx: typer.Context,
    code: Annotated[str, typer.Argument(metavar="CODE")],
    name: Annotated[str | None, typer.Option("--name", metavar="TEXT")] = None,
    url: Annotated[str | None, typer.Option("--url", metavar="URL")] = None,
    cert: Annotated[Texts, typer.Option("--cert", metavar="[USE=]FILE")] = None,
    alias: Annotated[Texts, typer.Option("--alias", metavar="TEXT")] = None,
    old_code: Annotated[Texts, typer.Option("--old-code", metavar="CODE")] = None,
    sha256: Annotated[str | None, typer.Option("--sha256", metavar="HEX")] = None,
    auth: Annotated[str | None, typer.Option("--auth", metavar="HOW")] = None,
    delivery: Annotated[str | None, typer.Option("--delivery", metavar="HOW")] = None,
    yes: Yes = False,
) -> int:
    from transport.desk import tables
    from transport.desk.values import choice
    from transport.present import office

    console = console_of(ctx)
    if auth is not None:
        choice(auth, "--auth", ("mtls", "signature", "both"))
    if delivery is not None:
        choice(delivery, "--delivery", ("push", "pull"))
    given = tables.NewAgency(code, name, url, tuple(cert or ()), tuple(alias or ()), tuple(old_code or ()), auth)
    if not cert and url is not None:
        return _agency_by_metadata(console, given, sha256)
    entry = tables.agency(console, given)
    act = office.question("agency.add", console.lang, entry.name, [f"{c.use} {c.sha256}" for c in entry.certificates])
    if not console.confirmed(act, yes=yes):
        return Exit.REFUSED
    tables.add_agency(console, entry, tables.Reached(url, delivery, auth), now=now())
    if console.json:
        console.document(office.agency_document([entry], {entry.code: url}))
    else:
        console.say(office.agency_lines([entry], {entry.code: url}, console.screen()))
    return Exit.DONE


def _agency_by_metadata(console: Console, given: "NewAgency", sha256: str | None) -> int:
    """Add an agency by the metadata of its node; the key that signed it is confirmed by its fingerprint."""
    from transport.desk import partnering
    from transport.present import office
    from transport.present.errors import CommandError

    found = partnering.fetch(console, given, now=now())
    entry, endpoint = found.change.entry, found.change.endpoint
    if sha256 is not None and sha256.lower() != found.fingerprint:
        raise CommandError("EDOC-USE-080", found=found.fingerprint, wanted=sha256)
    lines = [f"SHA-256 {found.fingerprint}", endpoint, *(f"{c.use} {c.sha256}" for c in found.change.added)]
    act = office.question("agency.confirm", console.lang, f"{entry.name} ({entry.code})", lines)
    if not console.confirmed(act, yes=sha256 is not None):
        return Exit.REFUSED
    partnering.confirm(console, found, now=now())
    if console.json:
        console.document(office.agency_document([entry], {entry.code: endpoint}))
    else:
        console.say(office.agency_lines([entry], {entry.code: endpoint}, console.screen()))
    return Exit.DONE


@command("list", group=agency)
def agency_list(
    ctx: typer.Context, search: Annotated[str | None, typer.Option("--search", metavar="TEXT")] = None
) -> int:
    from transport.desk import tables
    from transport.present import office

    console = console_of(ctx)
    found, partners = tables.agencies(console, search)
    urls = {code: partner.url for code, partner in partners.items()}
    if console.json:
        console.document(office.agency_document(found, urls))
    else:
        console.say(office.agency_lines(found, urls, console.screen()))
    return Exit.DONE


@command("add", group=trust_)
def trust_add(
    ctx: typer.Context,
    files: Files,
    use: Annotated[Texts, typer.Option("--for", metavar="USE")] = None,
    basis: Annotated[str | None, typer.Option("--basis", metavar="TEXT")] = None,
    sha256: Annotated[str | None, typer.Option("--sha256", metavar="HEX")] = None,
    yes: Yes = False,
) -> int:
    from transport.desk import tables
    from transport.desk.values import choice
    from transport.present import office

    console, at = console_of(ctx), now()
    uses = [choice(word, "--for", tables.ANCHOR_USES) for text in use or ["signers"] for word in text.split(",")]
    found = tables.certificates(console, files)
    tables.expect_fingerprint(found, sha256)
    for item in found:
        if not item.authority:
            console.warn(office.not_an_authority(item.subject, console.lang))
    act = office.question("trust.add", console.lang, ", ".join(uses), [f"{c.subject} {c.sha256}" for c in found])
    if not console.confirmed(act, yes=yes or sha256 is not None):
        return Exit.REFUSED
    tables.add_anchors(console, found, uses, basis=basis, now=at)
    rows = [office.AnchorRow(c.sha256, c.subject, c.not_after, ",".join(uses), at, basis) for c in found]
    if console.json:
        console.document(office.trust_document(rows))
    else:
        console.say(office.trust_lines(rows, console.screen()))
    return Exit.DONE


@command("import", group=trust_)
def trust_import(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE")],
    signer: Annotated[list[str], typer.Option("--signer", metavar="FILE")],
    basis: Annotated[str | None, typer.Option("--basis", metavar="TEXT")] = None,
    yes: Yes = False,
) -> int:
    from transport.desk import tables
    from transport.present import office

    console, at = console_of(ctx), now()
    listed = tables.trust_list(console, file, signer, now=at)
    found = tables.anchors_of(listed)
    what = f"{listed.territory} {listed.sequence}"
    act = office.question("trust.import", console.lang, what, [f"{c.subject} {c.sha256}" for c, _ in found])
    if not console.confirmed(act, yes=yes):
        return Exit.REFUSED
    tables.add_listed(console, found, basis=basis or what, now=at)
    rows = [office.AnchorRow(c.sha256, c.subject, c.not_after, ",".join(uses), at, basis or what) for c, uses in found]
    if console.json:
        console.document(office.trust_document(rows))
    else:
        console.say(office.trust_lines(rows, console.screen()))
    return Exit.DONE


@command("list", group=trust_)
def trust_list(ctx: typer.Context) -> int:
    from transport.desk import tables
    from transport.present import office

    console = console_of(ctx)
    rows = [
        office.AnchorRow(
            entry.sha256, entry.subject, tables.describe(entry.data).not_after, ",".join(entry.uses), entry.added_at
        )
        for entry in tables.anchors(console)
    ]
    if console.json:
        console.document(office.trust_document(rows))
    else:
        console.say(office.trust_lines(rows, console.screen()))
    return Exit.DONE


@command("import", group=key_)
def key_import(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE")],
    name: Annotated[str, typer.Option("--name", metavar="NAME")],
    role: Annotated[str, typer.Option("--role", metavar="ROLE")],
    cert: Annotated[Texts, typer.Option("--cert", metavar="FILE")] = None,
    link: Annotated[str | None, typer.Option("--link", metavar="PERSON")] = None,
    module: Module = None,
    pin_fd: PinFd = None,
    pin_file: PinFile = None,
    pin_keyring: PinKeyring = False,
) -> int:
    from transport.desk import nodekeys
    from transport.desk.keys import Pins
    from transport.desk.values import choice

    role, pins = choice(role, "--role", nodekeys.ROLES), Pins(pin_fd, pin_file, pin_keyring)
    given = nodekeys.NewKey(file, name, role, tuple(cert or ()), pins, module, link)
    console, at = console_of(ctx), now()
    return _keys_shown(console, [nodekeys.import_key(console, given, now=at)], at)


def _keys_shown(console: Console, rows: "Sequence[KeyRow]", at: datetime) -> int:
    from transport.present import office

    if console.json:
        console.document(office.key_document(rows, now=at))
    else:
        console.say(office.key_lines(rows, console.screen()))
    return Exit.DONE


@command("list", group=key_)
def key_list(ctx: typer.Context) -> int:
    from transport.desk import nodekeys

    console = console_of(ctx)
    return _keys_shown(console, nodekeys.listed(console), now())


@command("csr", group=key_)
def key_csr(
    ctx: typer.Context,
    subject: Annotated[str, typer.Option("--subject", metavar="NAME")],
    output: Annotated[str, typer.Option("-o", "--output", metavar="FILE")],
    type_: Annotated[str, typer.Option("--type", metavar="rsa3072|p256")] = "rsa3072",
    role: Annotated[str, typer.Option("--role", metavar="ROLE")] = "person",
    pin_fd: PinFd = None,
    pin_file: PinFile = None,
    force: Force = False,
) -> int:
    from transport.desk import nodekeys
    from transport.desk.keys import Pins
    from transport.desk.values import choice
    from transport.present import office

    console, kind = console_of(ctx), choice(type_, "--type", nodekeys.TYPES)
    role, pins = choice(role, "--role", nodekeys.ROLES), Pins(pin_fd, pin_file)
    row = nodekeys.request_certificate(console, nodekeys.NewRequest(subject, kind, output, role, pins, force))
    if console.json:
        console.document(office.key_document([row], now=now()))
    else:
        console.say(office.requested(row, output, console.lang))
    return Exit.DONE


@command("list", group=token_)
def token_list(ctx: typer.Context, module: Module = None) -> int:
    from transport.desk import nodekeys
    from transport.present import office

    console, at = console_of(ctx), now()
    found = nodekeys.plugged(console, module)
    if console.json:
        console.document(office.key_document([row for one in found for row in one.rows], now=at))
    for one in () if console.json else found:
        console.say(office.token_lines(one.facts, one.rows, console.screen()))
    return Exit.DONE


@command("test", group=token_)
def token_test(
    ctx: typer.Context,
    key: Annotated[str | None, typer.Argument(metavar="KEY")] = None,
    module: Module = None,
    pin_fd: PinFd = None,
    pin_file: PinFile = None,
    pin_keyring: PinKeyring = False,
) -> int:
    from transport.desk import nodekeys
    from transport.desk.keys import Pins
    from transport.present import office

    console, pins = console_of(ctx), Pins(pin_fd, pin_file, pin_keyring)
    row, schemes = nodekeys.tried(console, key, pins=pins, module=module)
    if console.json:
        console.document(office.key_document([row], now=now()))
    else:
        console.say(office.token_tested(row, schemes, console.screen()))
    return Exit.DONE


# --- people of the node ----------------------------------------------------------------------------------------------

UserName = Annotated[str, typer.Argument(metavar="NAME")]
RoleOption = Annotated[list[str], typer.Option("--role", metavar="ROLE")]


def _users_shown(console: Console, rows: "Sequence[UserRow]", at: datetime) -> int:
    from edoc.values import vietnam_day
    from transport.present import catalogue, people
    from transport.present.text import sanitise

    for row in rows:
        if {"admin", "clerk"} <= set(row.roles) and row.active:
            console.warn(catalogue.word("user.admin_and_clerk", console.lang, name=sanitise(row.name)))
    if console.json:
        console.document(people.user_document(rows, today=vietnam_day(at)))
    else:
        console.say(people.user_lines(rows, console.screen(), today=vietnam_day(at)))
    return Exit.DONE


@command("add", group=user_)
def user_add(
    ctx: typer.Context,
    name: UserName,
    role: RoleOption,
    full_name: Annotated[str | None, typer.Option("--name", metavar="TEXT")] = None,
    cert: Annotated[Texts, typer.Option("--cert", metavar="FILE")] = None,
) -> int:
    from transport.desk import users

    console, at = console_of(ctx), now()
    row = users.add(console, name, full_name or name, roles=role, certs=cert or (), now=at)
    return _users_shown(console, [row], at)


@command("list", group=user_)
def user_list(ctx: typer.Context) -> int:
    from transport.desk import users

    console = console_of(ctx)
    return _users_shown(console, users.listed(console), now())


@command("role", group=user_)
def user_role(ctx: typer.Context, name: UserName, role: RoleOption) -> int:
    from transport.desk import users

    console, at = console_of(ctx), now()
    return _users_shown(console, [users.set_roles(console, name, roles=role, now=at)], at)


@command("grant", group=user_)
def user_grant(
    ctx: typer.Context,
    name: UserName,
    position: Annotated[str | None, typer.Option("--position", metavar="TEXT")] = None,
    capacity: Annotated[str | None, typer.Option("--capacity", metavar="TEXT")] = None,
    agency_: Annotated[str | None, typer.Option("--agency", metavar="AGENCY")] = None,
    type_: Annotated[Texts, typer.Option("--type", metavar="TYPE")] = None,
    area: Annotated[Texts, typer.Option("--area", metavar="TEXT")] = None,
    start: Annotated[str | None, typer.Option("--from", metavar="DATE")] = None,
    last: Annotated[str | None, typer.Option("--to", metavar="DATE")] = None,
    basis: Annotated[str | None, typer.Option("--basis", metavar="TEXT")] = None,
    source: Annotated[int | None, typer.Option("--source", metavar="N")] = None,
    agency_key: Annotated[str | None, typer.Option("--agency-key", metavar="NAME|all")] = None,
    end: Annotated[int | None, typer.Option("--end", metavar="N")] = None,
    cert: Annotated[Texts, typer.Option("--cert", metavar="FILE")] = None,
) -> int:
    from transport.desk import users
    from transport.desk.values import day

    given = users.Grant(
        name=name,
        capacity=capacity or "",
        position=position or "",
        agency=agency_,
        types=tuple(type_ or ()),
        areas=tuple(area or ()),
        start=day(start, "--from") if start else None,
        last=day(last, "--to") if last else None,
        basis=basis or "",
        source=source,
        agency_key=agency_key,
        end=end,
        certs=tuple(cert or ()),
    )
    console, at = console_of(ctx), now()
    return _users_shown(console, [users.grant(console, given, now=at)], at)


@command("disable", group=user_)
def user_disable(ctx: typer.Context, name: UserName) -> int:
    from transport.desk import users

    console, at = console_of(ctx), now()
    return _users_shown(console, [users.disable(console, name, now=at)], at)


@command("init")
def init(
    ctx: typer.Context,
    agency_code: Annotated[str, typer.Option("--agency", metavar="CODE")],
    name: Annotated[str, typer.Option("--name", metavar="TEXT")],
    host: Annotated[str | None, typer.Option("--host", metavar="HOST")] = None,
    db: Annotated[str | None, typer.Option("--db", metavar="URL")] = None,
) -> int:
    from transport.desk import nodes
    from transport.present import office

    console = console_of(ctx)
    created = nodes.init(console, code=agency_code, name=name, host=host, now=now(), db=db)
    if console.json:
        console.document(office.init_document(created, agency=agency_code))
    else:
        console.say(office.init_lines(created, console.lang))
    return Exit.DONE


# --- the installation ------------------------------------------------------------------------------------------------


@command("migrate")
def migrate(
    ctx: typer.Context, check: Annotated[bool, typer.Option("--check")] = False, dry_run: DryRun = False
) -> int:
    from transport.desk import migrating
    from transport.present import office

    console = console_of(ctx)
    found = migrating.migrate(console, only_look=check or dry_run, now=now())
    if console.json:
        console.document(office.migrate_document(found))
    else:
        console.say(office.migrate_lines(found, console.lang))
    return Exit.REFUSED if check and found.steps else Exit.DONE


@command("backup")
def backup(
    ctx: typer.Context,
    target: Annotated[str, typer.Argument(metavar="DEST")],
    dry_run: Annotated[bool, typer.Option("--dry-run")] = False,
) -> int:
    from transport.desk import keeping as desk
    from transport.present import keeping

    console = console_of(ctx)
    done = desk.backup(console, Path(target), now=now(), dry_run=dry_run)
    if console.json:
        console.document(keeping.done_document(done, command="backup"))
    else:
        console.say(keeping.done_lines(done, command="backup", lang=console.lang))
    return Exit.DONE


@command("restore")
def restore(
    ctx: typer.Context,
    source: Annotated[str, typer.Argument(metavar="SRC")],
    dry_run: Annotated[bool, typer.Option("--dry-run")] = False,
) -> int:
    from transport.desk import keeping as desk
    from transport.present import keeping

    console = console_of(ctx)
    done = desk.restore(console, Path(source), dry_run=dry_run)
    if console.json:
        console.document(keeping.done_document(done, command="restore"))
    else:
        word = "restore.checked" if dry_run else "restore"
        console.say(keeping.done_lines(done, command=word, lang=console.lang))
    return Exit.DONE


@command("doctor")
def doctor(ctx: typer.Context, quick: Annotated[bool, typer.Option("--quick")] = False) -> int:
    from transport.desk.trusting import node_home
    from transport.doctor import examine
    from transport.present import office

    console = console_of(ctx)
    findings = examine(home=node_home(console), now=now(), quick=quick)
    if console.json:
        console.document(office.doctor_document(findings, console.lang))
    else:
        console.say(office.doctor_lines(findings, console.screen()))
    return Exit.REFUSED if any(finding.status == "fail" for finding in findings) else Exit.DONE


@command("demo")
def demo(ctx: typer.Context, folder: Annotated[str, typer.Option("--dir", metavar="DIR")] = "edoc-demo") -> int:
    from time import monotonic

    from transport.demo.story import FolderTaken, tell
    from transport.present import office
    from transport.present.errors import CommandError

    console, told = console_of(ctx), []
    try:
        for step in tell(Path(folder), clock=now, seconds=monotonic):
            told.append(step)
            if not console.json:
                console.say(office.step_line(step, console.screen()))
    except FolderTaken as taken:
        raise CommandError("EDOC-USE-045", path=folder) from taken
    if console.json:
        console.document(office.demo_document(told, folder=folder))
    else:
        console.say(office.demo_verdicts(_summary(Path(folder)), console.screen()))
        console.say(office.demo_ending(told, folder=folder, program=_program(), lang=console.lang))
    return Exit.DONE if told and all(step.ok for step in told) else Exit.REFUSED


def _program() -> str:
    """Return how this program is started from here: its name where the shell finds it, else the path it has."""
    import shutil

    if shutil.which("edoc"):
        return "edoc"
    started = os.path.relpath(sys.argv[0])
    return started if os.path.basename(started) == "edoc" else "python -m edoc"


def _summary(folder: Path) -> dict[str, object]:
    """Return what the demonstration wrote down; nothing if it did not come that far."""
    import json

    try:
        found: dict[str, object] = json.loads((folder / "summary.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found


# --- help, version ---------------------------------------------------------------------------------------------------


@command("version")
def version(ctx: typer.Context) -> int:
    from transport.desk import about

    console, facts = console_of(ctx), about.version()
    if console.json:
        console.document(facts)
    else:
        console.say(about.version_lines(facts, console.screen()))
    return Exit.DONE


@command("help")
def help_(ctx: typer.Context, topic: Annotated[list[str] | None, typer.Argument(metavar="TOPIC")] = None) -> int:
    from transport.desk import about

    console = console_of(ctx)
    words = topic or []
    if words and words[0] in commands():
        return run_line([*words, "--help"], console)
    console.say(about.topic(words, console.lang))
    return Exit.DONE


# --- running ---------------------------------------------------------------------------------------------------------


def commands() -> dict[str, object]:
    """Return the commands by name, as the program offers them."""
    return dict(cast(EdocGroup, typer.main.get_command(app)).commands)


def command_names() -> list[str]:
    """Return every command a person can see, in the order of declaration: ``sign``, ``ledger head`` …"""
    return [name for name in _names(commands(), "") if name not in ALIASES]


def _names(found: Mapping[str, object], before: str) -> list[str]:
    names = []
    for name, one in found.items():
        names += _names(dict(one.commands), f"{before}{name} ") if isinstance(one, EdocGroup) else [f"{before}{name}"]
    return names


def help_parameters(name: str) -> "list[Shown]":
    """Return the arguments and options of a command, without the common ones."""
    found: dict[str, object] = commands()
    for word in name.split():
        declared = cast(EdocGroup, found[word])
        found = dict(getattr(declared, "commands", {}))
    return _parameters(declared.params)


def help_lines(name: str, lang: str) -> list[str]:
    """Return the help page of a command in a language."""
    from transport.present import help as pages

    return pages.page(name, help_parameters(name), lang)


def run_line(argv: Sequence[str], console: Console) -> int:
    """Run one command line and return its exit code; errors are printed as ours, never as Typer's."""
    from transport.present import errors

    try:
        result = typer.main.get_command(app).main(args=list(argv), prog_name="edoc", standalone_mode=False, obj=console)
    except typer.TyperException as error:
        from transport.desk.usage import translate

        return console.fail(errors.fault(translate(error), console.lang))
    except (typer.Abort, EOFError, KeyboardInterrupt):
        return Exit.INTERRUPTED
    except BrokenPipeError:
        return Exit.DONE
    except Exception as error:
        fault = errors.fault(error, console.lang)
        code = console.fail(fault)
        if console.debug or code == Exit.INTERNAL:
            _trace(error, console)
        return code
    return result if isinstance(result, int) else Exit.DONE


def _trace(error: BaseException, console: Console) -> None:
    import traceback

    if console.debug and not console.json:
        traceback.print_exception(error)


def _terminated(signum: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(Exit.TERMINATED)


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the command line of this process and exit with its code."""
    prepare_streams()
    arguments = list(sys.argv[1:] if argv is None else argv)
    signal.signal(signal.SIGTERM, _terminated)
    console = Console(arguments, os.environ)
    code = run_line(arguments, console)
    sys.exit(flush() or code)
