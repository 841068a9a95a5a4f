"""``edoc extend``: lift the signatures of a copy to a higher level, or renew its archive stamp (console.md 4.1, R72).

The input is never changed. What a level needs, time stamps and status answers, is asked for here; ``signer`` says what
is missing and puts it in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from edoc.errors import EdocError
from signer.errors import LevelNotReached, SignerError
from signer.inspect import recognise
from signer.report import Need
from transport.desk import trusting
from transport.desk.fetching import settings_of
from transport.desk.files import beside, check_target, read_input, write_output
from transport.errors import TransportError
from transport.present.errors import CommandError, fault
from transport.present.extending import Lifted

if TYPE_CHECKING:
    from signer.timestamp import Timestamper
    from signer.trust import Context
    from transport.desk.console import Console
    from transport.settings import Settings

LEVELS = ("t", "lt", "lta")
ROUNDS = 4
"""How often missing status is fetched: path, its answers' signers, the authority of the new stamp, theirs."""


@dataclass(frozen=True, slots=True)
class Request:
    """What the command line asks."""

    files: tuple[str, ...]
    level: str
    at: datetime
    trust: tuple[str, ...] = ()
    chain: tuple[str, ...] = ()
    revocation: tuple[str, ...] = ()
    tsa: str | None = None
    output: str | None = None
    force: bool = False


@dataclass(frozen=True, slots=True)
class _Desk:
    console: Console
    request: Request
    context: Context
    settings: Settings
    timestamper: Timestamper | None


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
    desk = _Desk(console, request, context, settings, _timestamper(request, settings))
    return [_one(desk, name) for name in request.files]


def _timestamper(request: Request, settings: Settings) -> Timestamper | None:
    url = request.tsa or settings.tsa_url
    if not url:
        return None  # renewing validation data alone may need none; who needs one says so
    from transport.http.addresses import Reach
    from transport.http.pki import HttpTimestamper

    reach = Reach.of(settings.network_private, demo=settings.demo)
    return HttpTimestamper(url, timeout=settings.tsa_timeout, reach=reach)


def _one(desk: _Desk, name: str) -> Lifted:
    try:
        return _lifted(desk, name)
    except (CommandError, SignerError, EdocError, TransportError) as error:
        return Lifted(name, fault=fault(error, desk.console.lang, path=name))


def _lifted(desk: _Desk, name: str) -> Lifted:
    target = _target(desk, name)
    if target is not None:
        check_target(target, force=desk.request.force, inputs=desk.request.files)
    data, before, after = _made(desk, read_input(name, desk.console))
    if target is None:
        desk.console.binary(data)
    else:
        write_output(target, data, force=desk.request.force)
    return Lifted(name, str(target) if target else "-", _lowest(before), _lowest(after))


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


_Made = tuple[bytes, tuple[str, ...], tuple[str, ...]]


def _made(desk: _Desk, data: bytes) -> _Made:
    """Return the lifted copy; what is missing is fetched and the lifting tried again."""
    lift = _lifter(data)
    context, last = desk.context, None
    for _ in range(ROUNDS):
        try:
            return lift(data, replace(desk, context=context))
        except LevelNotReached as error:
            last = error
            needs = error.facts.get("needs")
            wanted = [need for need in needs if isinstance(need, Need)] if isinstance(needs, tuple) else []
            found = _fetched(desk, wanted) if wanted else context
            if found is context:
                raise
            context = context.with_trust(found.trust)
    assert last is not None
    raise last


def _fetched(desk: _Desk, needs: Sequence[Need]) -> Context:
    from transport.http.addresses import Reach
    from transport.http.pki import fetch_status

    reach = Reach.of(desk.settings.network_private, demo=desk.settings.demo)
    return replace(desk.context, trust=fetch_status(needs, reach=reach).coming_from("online"))


def _lifter(data: bytes) -> Callable[[bytes, _Desk], _Made]:
    """Return what lifts files of this kind.

    Raises:
        CommandError: nothing does.
    """
    kind = recognise(data)
    if kind == "xml":
        return _lift_xml
    if kind == "asic":
        return _lift_container
    raise CommandError("EDOC-USE-051", kind=kind)


def _lift_xml(data: bytes, desk: _Desk) -> _Made:
    from signer.xml.extend import extend_xml

    made = extend_xml(data, to=desk.request.level, context=desk.context, timestamper=desk.timestamper)
    return made.data, made.before, made.after


def _lift_container(data: bytes, desk: _Desk) -> _Made:
    from signer.asicextend import extend_asice

    made = extend_asice(data, to=desk.request.level, context=desk.context, timestamper=desk.timestamper)
    return made.data, made.before, made.after
