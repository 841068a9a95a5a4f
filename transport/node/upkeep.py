"""What a server does beside its work: query table, guard, garbage, ballast (exchange.md 9), alarms (exchange.md 6).

Each job is tried again at its next turn when it fails: a full disk or a database that is away may pass.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from transport.node.office import Office
from transport.store import garbage, guard, outbox
from transport.store.ballast import Ballast
from transport.store.claims import heal_clock

DERIVE_SECONDS = 2.0
"""How far the ledger's query table may be behind (ledger.md 12: at most 5 s)."""
CLOCK_SECONDS = 60.0
GUARD_SECONDS = 3600.0
COLLECT_SECONDS = 3600.0
BALLAST_SECONDS = 60.0
ALARM_SECONDS = 30.0

log = logging.getLogger("edoc.node")


@dataclass(frozen=True, slots=True)
class Job:
    """Something to do every so often; ``alone``: by one process of a server only."""

    name: str
    seconds: float
    run: Callable[[], object]
    alone: bool = True


def jobs(office: Office, clock: Callable[[], datetime]) -> tuple[Job, ...]:
    """Return the jobs of a node."""
    store, ballast = office.store, Ballast(office.settings.home)
    side = office.log.side
    found = [
        Job("derive", DERIVE_SECONDS, lambda: store.do(lambda unit: office.log.derive(unit.connection))),
        Job("clock", CLOCK_SECONDS, lambda: store.do(lambda unit: heal_clock(unit, clock()))),
        Job("collect", COLLECT_SECONDS, lambda: _collect(office, clock())),
        Job("alarm", ALARM_SECONDS, lambda: _alarm(office, clock())),
    ]
    if not store.shared:
        found.append(Job("ballast", BALLAST_SECONDS, ballast.take))
    if side is not None:
        found.append(Job("guard", GUARD_SECONDS, lambda: guard.examine(store, side), alone=False))
    return tuple(found)


def _alarm(office: Office, now: datetime) -> None:
    """Tell, once for each, the dispatches that have no receipt at the alarm time of their lane."""
    for key, lane in office.store.do(lambda unit: outbox.alarms_due(unit, now=now)):
        k = f"{key.sender}/{key.recipient}/{key.message_id}"
        log.warning("dispatch.overdue", extra={"k": k, "lane": int(lane)})


def _collect(office: Office, now: datetime) -> object:
    """Collect garbage once the query table knows every leaf, and with it every digest that a leaf names."""
    while office.store.do(lambda unit: office.log.derive(unit.connection)):
        pass
    return garbage.collect(office.store, now=now)


async def run(office: Office, stop: asyncio.Event, *, clock: Callable[[], datetime], alone: bool = True) -> None:
    """Do each job at its time until told to stop; ``alone`` is false in the further processes of a server."""
    wanted = [job for job in jobs(office, clock) if alone or not job.alone]
    await asyncio.gather(*(_every(job, stop) for job in wanted))


async def _every(job: Job, stop: asyncio.Event) -> None:
    while not stop.is_set():
        try:
            await asyncio.to_thread(job.run)
        except Exception as error:  # a full disk, a locked database: it may pass, and the server goes on
            log.warning("upkeep.failed", extra={"job": job.name, "error": getattr(error, "code", type(error).__name__)})
        try:
            await asyncio.wait_for(stop.wait(), job.seconds)
        except TimeoutError:
            continue
