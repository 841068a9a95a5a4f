"""Random kills: a process of a running exchange dies at a random step, again and again; nothing may come of it (F1).

A step is a system call by which a process changes a file or says something (``shim.c``); the victim dies just before
a step whose number is drawn at random, as by ``kill -9``. Killed are A's node, B's node and A's ``edoc send``, in the
middle of work, while starting, and both nodes at once. After each round all work is let come to its end, and the
invariants are checked from outside. Clocks are turned on past leases and pauses, so that a round takes seconds.
"""

from __future__ import annotations

import json
import math
import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from tests.lab import invariants, shim
from tests.lab.lab import A, Lab, Template
from tests.lab.nodes import LabNode, NotInTime, Nursery
from tests.lab.shim import Control

OPEN_LETTERS = 4
FEW_STEPS, MOST_STEPS = 40, 150
"""Either node takes about 200 steps for one letter and its status 01, so each delivery meets several kills."""

STARTING_STEPS = 16
SUBMIT_STEPS = 45


@dataclass
class Tally:
    """What a campaign did."""

    kills: int = 0
    rounds: int = 0
    letters: int = 0
    delivered: int = 0
    quarantined: int = 0
    """Effects whose process was killed twice while they ran: put aside for a person, as exchange.md 7 P0 says."""
    victims: Counter[str] = field(default_factory=Counter)
    steps: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Take in what another campaign did."""
        for name in ("kills", "rounds", "letters", "delivered", "quarantined"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.victims += other.victims
        self.steps += other.steps
        self.faults += other.faults


@dataclass
class Campaign:
    """Kills in one laboratory."""

    lab: Lab
    dice: random.Random
    tally: Tally = field(default_factory=Tally)

    def round(self, kills: int) -> None:
        """Kill so many times, let the work end, and check."""
        before = self.tally.kills
        while self.tally.kills - before < kills:
            self.feed()
            self._one()
        self.finish()

    def finish(self) -> None:
        """Let all work come to its end, and check."""
        self._all_up()
        try:
            self.lab.settle(seconds=240)
        except NotInTime as error:
            self.tally.faults.append(f"I1: work does not end: {error}")
        for node in self.lab.nodes:  # what a killed command left half-written goes when a server starts
            assert node.stop() == 0, f"{node.code} does not end as asked"
            node.start()
        self.tally.rounds += 1
        self.tally.faults += invariants.check(self.lab.offices(), confirmed=self.lab.confirmed)
        self.tally.letters = len(self.lab.confirmed)
        question = "SELECT count(*) FROM dispatch WHERE state = 'delivered'"
        self.tally.delivered = int(str(self.lab.store(self.lab.a).one(question)))
        question = "SELECT count(*) FROM effect WHERE state = 'quarantined'"
        self.tally.quarantined = sum(int(str(self.lab.store(node).one(question))) for node in self.lab.nodes)

    def feed(self) -> None:
        """Keep some letters on the way."""
        self._all_up()
        question = "SELECT count(*) FROM dispatch WHERE state IN ('queued', 'carrying', 'unknown')"
        if int(str(self.lab.store(self.lab.a).one(question))) < OPEN_LETTERS:
            self._submit(killed=self.dice.random() < 0.4)

    def _submit(self, *, killed: bool) -> None:
        """Send a letter; perhaps the command dies, and a person gives it again."""
        lab = self.lab
        file = lab.folder / "letter.edxml"
        large = self.dice.random() < 0.25  # above 64 KiB: a blob of its own, and Expect
        content = b"%PDF-1.4\n" + self.dice.randbytes(90_000 if large else 2_000) + b"\n%%EOF\n"
        file.write_bytes(lab.letter(content=content, priority=self.dice.choice((0, 0, 1, 3))))
        words = ("send", str(file), "--queue-only", "--yes", "--allow-information-only")
        control = Control(lab.folder / "control-command", root=lab.a.home)
        control.block.clock_offset_ns = lab.a.control.block.clock_offset_ns
        if killed:
            control.kill_after(self.dice.randint(1, SUBMIT_STEPS))
            code, _ = lab.a.try_run(*words, control=control.path)
            if code == -9:
                self._count("edoc send", control.died_at)
            control.heal()
        code, text = lab.a.try_run(*words, control=control.path)
        assert code in (0, 4), f"edoc send: {code}: {text[-500:]}"
        lab.confirmed.append((A, str(json.loads(text)["message_id"])))

    def _one(self) -> None:
        """Kill one node, perhaps the other too, perhaps again while it starts."""
        lab = self.lab
        victim, other = self.dice.sample(lab.nodes, 2)
        self.end(victim, self.dice.randint(1, self.dice.choice((FEW_STEPS, MOST_STEPS))))
        if self.dice.random() < 0.15:
            self.end(other, self.dice.randint(1, 40))
        while self.dice.random() < 0.15:
            victim.control.kill_after(self.dice.randint(1, STARTING_STEPS))
            victim.start(ready=False)
            if victim.listening():
                victim.kill()
                self._count(f"{victim.code} starting", "after its start")
            else:
                self._count(f"{victim.code} starting", victim.died())

    def end(self, victim: LabNode, steps: int) -> None:
        """Let a node die at a step from now on; an idle one dies where it is."""
        victim.control.kill_after(steps)
        try:
            self.lab.hasten(lambda: not victim.alive(), seconds=1.2)
        except NotInTime:
            victim.kill()
            self._count(victim.code, "idle")
            return
        self._count(victim.code, victim.died())

    def _all_up(self) -> None:
        if all(node.alive() for node in self.lab.nodes):
            return
        self.lab.turn(timedelta(minutes=6))  # past leases and pauses: what starts now finds work at once
        for node in self.lab.nodes:
            node.control.heal()
            if not node.alive():
                node.start()

    def _count(self, victim: str, step: str) -> None:
        self.tally.kills += 1
        self.tally.victims[victim] += 1
        self.tally.steps[_class_of(step)] += 1


def _class_of(step: str) -> str:
    """Name a step without what is different each time."""
    kind, _, name = step.partition(" ")
    stem = "a blob" if len(name) in (32, 64) else "a folder" if len(name) == 2 else name
    return f"{kind} {stem}".strip()


@dataclass(frozen=True, slots=True)
class Wanted:
    """How long a campaign goes on: so many kills, or until that moment of ``time.monotonic``."""

    kills: int
    seed: int
    end: float = math.inf


def campaign(make: Callable[[], Lab], wanted: Wanted, *, tell: Callable[[Tally], None] | None = None) -> Tally:
    """Run as many kills as asked, in fresh offices every 200; stops at the first invariant that breaks."""
    total, n, kills, seed = Tally(), 0, wanted.kills, wanted.seed
    while total.kills < kills and not total.faults and time.monotonic() < wanted.end:
        lab = make()
        run = Campaign(lab, random.Random(f"{seed}/{n}"))
        lab.start()
        try:
            most = min(200, kills - total.kills)
            while run.tally.kills < most and not run.tally.faults and time.monotonic() < wanted.end:
                run.round(min(50, kills - total.kills - run.tally.kills))
        except Exception as error:  # what no one foresaw is a finding, and ends the campaign with its name
            run.tally.faults.append(f"{type(error).__name__}: {error}")
        finally:
            lab.close()
        total.add(run.tally)
        if run.tally.faults:
            total.faults.append(f"seed {seed}/{n}, kept in {lab.folder}")
        else:
            shutil.rmtree(lab.folder)
        n += 1
        if tell is not None:
            tell(total)
    return total


def in_folder(folder: Path, wanted: Wanted, *, tell: Callable[[Tally], None] | None = None) -> Tally:
    """Run a campaign with a nursery and a template of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=folder))
    nursery = Nursery(shim.build(folder))
    template = Template.make(folder / "template")
    numbers = iter(range(10**9))
    try:
        return campaign(lambda: Lab.make(nursery, template, folder / f"lab-{next(numbers)}"), wanted, tell=tell)
    finally:
        nursery.close()
