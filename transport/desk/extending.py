"""``edoc extend``: lift the signatures of a copy to a higher level, or renew its archive stamp (console.md 4.1, R72).

The input is never changed. What a level needs, time stamps and status answers, is asked for here; ``signer`` says what
is missing and puts it in.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from edoc.errors import EdocError
from signer.errors import SignerError
from signer.inspect import recognise
from signer.trust import Content
from transport.desk import trusting
from transport.desk.fetching import settings_of
from transport.desk.files import beside, check_target, read_input, write_output
from transport.desk.giving import given
from transport.desk.lifting import Answers, fetcher, lifted, timestamper_of
from transport.errors import TransportError
from transport.present.errors import CommandError, fault
from transport.present.extending import Lifted

if TYPE_CHECKING:
    from signer.extending import Extended
    from signer.timestamp import Timestamper
    from signer.trust import Context
    from transport.desk.console import Console

LEVELS = ("t", "lt", "lta")
DETACHED = ".p7s"
"""Ending of a signature that lies beside what it is over."""


@dataclass(frozen=True, slots=True)
class Request:
    """What the command line asks."""

    files: tuple[str, ...]
    level: str
    at: datetime
    trust: tuple[str, ...] = ()
    chain: tuple[str, ...] = ()
    revocation: tuple[str, ...] = ()
    tsa: tuple[str, ...] = ()
    contents: tuple[str, ...] = ()
    output: str | None = None
    force: bool = False


@dataclass(frozen=True, slots=True)
class _Desk:
    console: Console
    request: Request
    context: Context
    answers: Answers
    timestamper: Timestamper | None
    started: float = field(default_factory=time.monotonic)

    def now(self) -> datetime:
        """Return the moment: when the call began, and what has passed since; a batch may take hours."""
        return self.request.at + timedelta(seconds=int(time.monotonic() - self.started))


def extend(console: Console, request: Request) -> list[Lifted]:
    """Lift a copy of every file; a bad one never stops the others.

    Raises:
        CommandError: options or trust cannot be used.
    """
    if request.output is not None and len(request.files) > 1:
        raise CommandError("EDOC-USE-004", name="-o", value=request.output, expected="FILE")
    settings = settings_of(console)
    store = trusting.store_of(console, trust=request.trust, chain=request.chain, revocation=request.revocation)
    context = trusting.context_of(store, at=request.at, policy="interop")
    context = replace(context, contents=given(console, request.contents, ()).contents)
    desk = _Desk(console, request, context, Answers(fetcher(settings)), timestamper_of(request.tsa, settings))
    return [_one(desk, name) for name in request.files]


def _one(desk: _Desk, name: str) -> Lifted:
    try:
        return _lifted(desk, name)
    except (CommandError, SignerError, EdocError, TransportError) as error:
        return Lifted(name, fault=fault(error, desk.console.lang, path=name))


def _lifted(desk: _Desk, name: str) -> Lifted:
    target = _target(desk, name)
    if target is not None:
        check_target(target, force=desk.request.force, inputs=_read(desk.request))
    data = read_input(name, desk.console)
    if not data:
        raise CommandError("EDOC-USE-040", path=name)
    made = _made(desk, name, data)
    if target is None:
        desk.console.binary(made.data)
    else:
        write_output(target, made.data, force=desk.request.force)
    return Lifted(name, str(target) if target else "-", _lowest(made.before), _lowest(made.after))


def _read(request: Request) -> tuple[str, ...]:
    """Return the files of the call, none of which is written over: ``--content`` may be ``NAME=FILE``."""
    contents = (part for text in request.contents for part in (text, text.partition("=")[2]) if part)
    return (*request.files, *contents, *request.trust, *request.chain, *request.revocation)


def _made(desk: _Desk, name: str, data: bytes) -> Extended:
    kind, context = recognise(data), replace(desk.context, at=desk.now())
    if kind == "cms" and not context.contents:
        context = replace(context, contents=_beside(desk, name))
    return lifted(
        data,
        kind,
        to=desk.request.level,
        context=context,
        timestamper=desk.timestamper,
        fetch=desk.answers.for_file(),
    )


def _beside(desk: _Desk, name: str) -> tuple[Content, ...]:
    """Return the file that a detached signature lies beside: ``x.pdf`` of ``x.pdf.p7s``."""
    content = Path(name).with_suffix("")
    if Path(name).suffix.lower() != DETACHED or not content.is_file():
        return ()
    return (Content("", read_input(str(content), desk.console)),)


def _target(desk: _Desk, name: str) -> Path | None:
    output = desk.request.output
    if output == "-":
        return None
    return Path(output) if output is not None else beside(name, "extended")


def _lowest(levels: Sequence[str]) -> str | None:
    """Return the lowest of the levels of a file's signatures; that is the level of the file."""
    order = ("B-B", "B-T", "B-LT", "B-LTA")

    def rank(level: str) -> int:
        return next((place for place, end in enumerate(order) if level.endswith(end)), -1)

    return min(levels, key=rank, default=None)
