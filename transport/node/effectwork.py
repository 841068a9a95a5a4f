"""Working off effects so that one whose handler hangs keeps nobody waiting (exchange.md 7, P0; 16, F10).

Each handler runs in a thread of its own. One that has not ended within seconds is left to itself, its lease is renewed
while it works, and the next effect is claimed. One that outlasts its time is given up: a thread cannot be ended from
outside, so that counts as if it had taken its process down; the second time the effect is quarantined and shown. What a
handler that was given up brings later changes nothing: effects end by compare-and-set on owner and start.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from transport.node import following
from transport.node.office import Office
from transport.store import effects
from transport.store.values import EffectClaim

log = logging.getLogger("edoc.effects")

PATIENCE = 5.0
"""Seconds until the next effect is worked on beside one that is still at it."""
SECONDS = {"check": 2400.0}
"""How long a handler may take; a check may judge a large message twice, each in a process with a limit of its own."""
SECONDS_ELSE = 300.0
RENEW_EVERY = 10.0
ASIDE_MAX = 4
"""Handlers at work beside each other, at most."""
LOST_MAX = 16
"""Threads that never came back after which this process works off no more effects: it needs a person and a restart."""


@dataclass(slots=True, eq=False)
class _Running:
    effect: EffectClaim
    began: float
    renewed: float
    done: threading.Event = field(default_factory=threading.Event)
    ended: bool = False


class EffectWork:
    """Effects of one process. ``turn`` is called again and again, by one thread at a time."""

    def __init__(self, office: Office, *, clock: Callable[[], datetime], owner: str) -> None:
        self._office = office
        self._clock = clock
        self._owner = owner
        self._aside: list[_Running] = []
        self._lost: list[_Running] = []

    def turn(self) -> int:
        """Work off what is due; return how many effects were ended meanwhile."""
        ended = self._look_after()
        while len(self._aside) < ASIDE_MAX and len(self._lost) < LOST_MAX:
            effect = following.claim(self._office, self._clock(), self._owner)
            if effect is None:
                break
            running = self._start(effect)
            if running.done.wait(PATIENCE):
                ended += running.ended
            else:
                self._aside.append(running)
            ended += self._look_after()
        return ended

    def close(self, seconds: float) -> None:
        """Wait so long for handlers that are still at work; the lease of what does not end lapses."""
        end = time.monotonic() + seconds
        for running in self._aside:
            running.done.wait(max(0.0, end - time.monotonic()))

    def _start(self, effect: EffectClaim) -> _Running:
        now = time.monotonic()
        running = _Running(effect, now, now)
        name = f"edoc-effect-{effect.effect_id}"
        threading.Thread(target=self._run, args=(running,), name=name, daemon=True).start()
        return running

    def _run(self, running: _Running) -> None:
        try:
            running.ended = following.run_effect(self._office, running.effect, self._clock)
        except Exception as error:  # not even its failure could be noted: the lease lapses
            log.error("effects.failed", extra={"error": type(error).__name__})
        finally:
            running.done.set()

    def _look_after(self) -> int:
        """Renew leases, give up what outlasts its time; return how many have ended."""
        came_back = [one for one in self._aside if one.done.is_set()]
        self._aside = [one for one in self._aside if one not in came_back]
        self._lost = [one for one in self._lost if not one.done.is_set()]
        for running in tuple(self._aside):
            age = time.monotonic() - running.began
            if age > SECONDS.get(running.effect.kind, SECONDS_ELSE):
                self._give_up(running)
            elif time.monotonic() - running.renewed > RENEW_EVERY:
                self._renew(running)
        return sum(one.ended for one in came_back)

    def _renew(self, running: _Running) -> None:
        running.renewed = time.monotonic()
        self._office.store.do(lambda unit: effects.renew(unit, running.effect, now=self._clock()))

    def _give_up(self, running: _Running) -> None:
        self._aside.remove(running)
        self._lost.append(running)
        log.error("effect.hangs", extra={"kind": running.effect.kind, "lost": len(self._lost)})
        self._office.store.do(lambda unit: effects.give_up(unit, running.effect, now=self._clock()))
