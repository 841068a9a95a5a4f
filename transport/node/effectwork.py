"""Working off effects so that one whose handler hangs keeps nobody waiting (exchange.md 7, P0; 16, F10).

Handlers run in a thread, several effects one after another. One that has not ended within seconds is left to itself
there, its lease is renewed while it works, and the effects behind it go to another thread. One that outlasts its time
is given up: a thread cannot be ended from outside, so that counts as if it had taken its process down; the second time
the effect is quarantined and shown. What a handler that was given up brings later changes nothing: effects end by
compare-and-set on owner and start.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from transport.node import ending
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
    """Effects that a thread works off one after another; ``current`` is the one it is at."""

    waiting: deque[EffectClaim]
    began: float
    renewed: float
    current: EffectClaim | None = None
    done: threading.Event = field(default_factory=threading.Event)
    ended: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self) -> EffectClaim | None:
        """Go on to the next effect."""
        with self.lock:
            self.began = self.renewed = time.monotonic()
            self.current = self.waiting.popleft() if self.waiting else None
            return self.current

    def rest(self) -> deque[EffectClaim]:
        """Take away what has not been begun."""
        with self.lock:
            rest, self.waiting = self.waiting, deque()
            return rest


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
        while self._may_go_on() and (claims := ending.claim(self._office, self._clock(), self._owner)):
            waiting = deque(claims)
            while waiting and self._may_go_on():
                running = self._start(waiting)
                waiting = self._patiently(running)
                ended += running.ended if running.done.is_set() else 0
                ended += self._look_after()
            for effect in waiting:
                self._office.store.do(lambda unit, effect=effect: effects.release(unit, effect))  # type: ignore[misc]
        return ended

    def _may_go_on(self) -> bool:
        return len(self._aside) < ASIDE_MAX and len(self._lost) < LOST_MAX

    def _patiently(self, running: _Running) -> deque[EffectClaim]:
        """Wait for a thread to end; put one aside that is too long at an effect, and return what it has not begun."""
        while not running.done.wait(max(0.01, PATIENCE - (time.monotonic() - running.began))):
            if time.monotonic() - running.began >= PATIENCE:
                self._aside.append(running)
                return running.rest()
        return deque()

    def close(self, seconds: float) -> None:
        """Wait so long for handlers that are still at work; the lease of what does not end lapses."""
        end = time.monotonic() + seconds
        for running in self._aside:
            running.done.wait(max(0.0, end - time.monotonic()))

    def _start(self, waiting: deque[EffectClaim]) -> _Running:
        now = time.monotonic()
        running = _Running(waiting, now, now)
        name = f"edoc-effect-{waiting[0].effect_id}"
        threading.Thread(target=self._run, args=(running,), name=name, daemon=True).start()
        return running

    def _run(self, running: _Running) -> None:
        try:
            begun = []
            while (effect := running.take()) is not None:
                begun.append((effect, ending.begin(self._office, effect, self._clock)))
            for effect, made in begun:
                running.ended += ending.end(self._office, effect, made, self._clock)
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
            effect, now = running.current, time.monotonic()
            if effect is None:  # done, and with the store
                continue
            if now - running.began > SECONDS.get(effect.kind, SECONDS_ELSE):
                self._give_up(running, effect)
            elif now - running.renewed > RENEW_EVERY:
                running.renewed = now
                self._office.store.do(lambda unit, effect=effect: effects.renew(unit, effect, now=self._clock()))  # type: ignore[misc]
        return sum(one.ended for one in came_back)

    def _give_up(self, running: _Running, effect: EffectClaim) -> None:
        self._aside.remove(running)
        self._lost.append(running)
        log.error("effect.hangs", extra={"kind": effect.kind, "lost": len(self._lost)})
        self._office.store.do(lambda unit: effects.give_up(unit, effect, now=self._clock()))
