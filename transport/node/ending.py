"""One effect from its claim to its end (exchange.md 7, P0): at least once, its result at most once.

An effect was called for in the transaction of the act; here it is claimed, worked out, and ended in the transaction
that holds its result. A crash between leaves it claimable again. What each kind comes to is in ``following``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future
from datetime import datetime

from transport import points
from transport.node.following import HANDLERS, Done
from transport.node.office import Office
from transport.store import effects
from transport.store.store import Unit
from transport.store.values import EffectClaim

log = logging.getLogger("edoc.effects")

AT_ONCE = 4
"""Effects claimed together. Few: a process that ends counts against each of them, begun or not."""


class _Replaced(Exception):
    """Another worker has the effect by now: the unit is taken back."""


Begun = tuple[Done, "Future[None]"] | Exception
"""An effect whose unit is with the store, or what went wrong before."""


def run_effects(office: Office, *, clock: Callable[[], datetime], owner: str) -> int:
    """Work off what is due; return how many effects were ended. One that fails does not stop the others.

    Several are claimed at once, and what they come to is stored in one commit where the store can. A server works them
    off by ``effectwork``, which does not wait for one that hangs.
    """
    ended = 0
    while claims := claim(office, clock(), owner):
        begun = [(effect, begin(office, effect, clock)) for effect in claims]
        ended += sum(end(office, effect, made, clock) for effect, made in begun)
    return ended


def claim(office: Office, now: datetime, owner: str) -> tuple[EffectClaim, ...]:
    """Lease the effects that are due longest; none if nothing is due, without taking the lock of writing."""
    if not office.store.read(lambda connection: effects.due(connection, now=now)):
        return ()
    return office.store.do(lambda unit: effects.claim(unit, now=now, owner=owner, limit=AT_ONCE))


def begin(office: Office, effect: EffectClaim, clock: Callable[[], datetime]) -> Begun:
    """Do what was called for and hand its unit to the store; an error is what became of it."""
    points.reached("effect.started")
    try:
        now = clock()
        done = HANDLERS[effect.kind](office, effect, now)

        def work(unit: Unit) -> None:
            done.work(unit)
            _finish(unit, effect, now)

        return done, office.store.write(work)
    except Exception as error:
        return error


def end(office: Office, effect: EffectClaim, made: Begun, clock: Callable[[], datetime]) -> bool:
    """Wait for an effect's commit and tell it; false when it failed, which is noted, or is another's by now."""
    try:
        if isinstance(made, Exception):
            raise made
        done, stored = made
        stored.result()
        points.reached("effect.committed")
        done.told()
    except _Replaced:
        return False
    except Exception as error:  # it is tried again after a pause, and quarantined the fifth time
        log.error("effect.failed", extra={"kind": effect.kind, "error": type(error).__name__})
        _fail(office, effect, clock(), type(error).__name__)
        return False
    return True


def _fail(office: Office, effect: EffectClaim, now: datetime, error: str) -> None:
    office.store.do(lambda unit: effects.fail(unit, effect, now=now, error=error))


def _finish(unit: Unit, effect: EffectClaim, now: datetime) -> None:
    if not effects.finish(unit, effect, now=now):
        raise _Replaced
    points.reached("effect.in-transaction")
