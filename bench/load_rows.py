"""The rows of exchange.md 17, each a function that starts the nodes it needs and returns its figures.

Times are in milliseconds unless a name says otherwise. A *letter* is one document with its receipt at both nodes; the
recipient's automatic status 01 is a second message with its own receipt, so a letter is two messages on the wire, and
processor time per letter is that of both nodes and of the submitting desk, for both messages and the clerk's check.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from load_floor import Floor
from load_generator import SMALL, Caller, Desk, Sample, percentile, run_letters, sealed
from load_large import carried, packed, queue_large
from load_nodes import Pair, Served, add_partner

from transport.demo.offices import free_ports

MIB = 1024 * 1024


class NotHere(Exception):
    """A row cannot be measured on this machine; the text says why."""


@dataclass(frozen=True, slots=True)
class Run:
    """What a row is measured with."""

    pair: Pair
    floor: Floor
    long: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """Figures of one row; ``scaled`` says how it was made smaller than the specification asks."""

    name: str
    facts: dict[str, float | int | str]
    scaled: str = ""


@dataclass
class Spent:
    """Processor seconds of both nodes and of this process since the start."""

    pair: Pair
    begun: tuple[float, float] = field(init=False)

    def __post_init__(self) -> None:
        self.begun = self._now()

    def _now(self) -> tuple[float, float]:
        return self.pair.a.processor() + self.pair.b.processor(), time.process_time()

    def since(self) -> float:
        """Return the seconds of all together."""
        nodes, ours = self._now()
        return nodes - self.begun[0] + ours - self.begun[1]


def need_postgres() -> None:
    """Raise ``NotHere`` if no PostgreSQL can be run."""
    from tests import postgres

    if (why := postgres.missing()) is not None:
        raise NotHere(why)


def quiet(pair: Pair, *, below: float = 0.1, most: float = 180.0) -> None:
    """Wait until both nodes use less than a tenth of a core: receipts, status messages and checks are done."""
    end = time.monotonic() + most
    while time.monotonic() < end:
        before = pair.a.processor() + pair.b.processor()
        time.sleep(1)
        if pair.a.processor() + pair.b.processor() - before < below:
            return


def _warm(desk: Desk) -> None:
    for _ in range(5):
        desk.submit()
    desk.drained(seconds=60)
    quiet(desk.pair, most=30)


def _took(samples: Sequence[Sample]) -> dict[str, float | int | str]:
    values = [one.took for one in samples]
    return {"p50": percentile(values, 0.5), "p99": percentile(values, 0.99)}


def _capacity(desk: Desk, count: int, *, size: int = SMALL) -> tuple[float, float]:
    """Queue letters as fast as they can be sealed, then return letters a second until all are delivered and CPU each.

    The time runs from the first submit to the last delivery, so sealing, carrying and checking are all in it.
    """
    spent, begun = Spent(desk.pair), time.monotonic()
    for _ in range(count):
        desk.submit(size)
    if not desk.drained(seconds=600):
        raise SystemExit("the queue did not drain")
    seconds = time.monotonic() - begun
    quiet(desk.pair, most=60)
    return count / seconds, 1000 * spent.since() / count


def sustained(run: Run) -> list[Row]:
    """10 kB letters: what the pair carries at most, then latency below that, open loop, and whether it stays so."""
    run.pair.start()
    desk = Desk(run.pair)
    _warm(desk)
    most, each = _capacity(desk, 1000 if run.long else 250)
    made = [
        Row(
            "10 kB letters, as many as go",
            {"letters/s": most, "CPU ms/letter": each, "CPU/floor": each / (2 * run.floor.processor)},
        )
    ]
    for share in (0.5, 0.8):
        seconds = 1800.0 if run.long else 20.0
        spent = Spent(run.pair)
        samples = run_letters(desk, rate=share * most, seconds=seconds)
        fifth = max(1, len(samples) // 6)
        drift = statistics.median(one.took for one in samples[-fifth:]) / statistics.median(
            one.took for one in samples[:fifth]
        )
        each = 1000 * spent.since() / max(1, len(samples))
        facts = {"letters/s": share * most, **_took(samples), "last/first": drift, "CPU ms/letter": each}
        scaled = "" if run.long else f"{seconds:.0f} s for 30 min"
        made.append(Row(f"10 kB letters, open loop at {share:.0%} of that", facts, scaled))
        desk.drained(seconds=60)
        quiet(run.pair)
    desk.close()
    return made


def megabyte(run: Run) -> list[Row]:
    """1 MB letters, as many as go."""
    run.pair.start()
    desk = Desk(run.pair)
    _warm(desk)
    most, each = _capacity(desk, 400 if run.long else 40, size=1_000_000)
    desk.close()
    facts: dict[str, float | int | str] = {"letters/s": most, "CPU ms/letter": each}
    return [Row("1 MB letters, as many as go", facts, "" if run.long else "40 letters")]


def group_and_duplicates(run: Run) -> list[Row]:
    """The recipient alone: 32 clients beside one, then the same messages again."""
    run.pair.start(a=False)
    count = 2000 if run.long else 200
    caller, messages = Caller(run.pair), sealed(run.pair, 2 * count + 5)
    caller.carry(messages[-5:], clients=1)
    quiet(run.pair)
    found: dict[str, tuple[float, float, float]] = {}
    for name, part, clients in (
        ("first 1", messages[:count], 1),
        ("first 32", messages[count : 2 * count], 32),
        ("again 1", messages[:count], 1),
        ("again 32", messages[count : 2 * count], 32),
    ):
        spent, begun = run.pair.b.processor(), time.monotonic()
        took = caller.carry(part, clients=clients)
        rate = count / (time.monotonic() - begun)
        found[name] = rate, percentile(took, 0.5), 1000 * (run.pair.b.processor() - spent) / count
        quiet(run.pair)
    caller.close()
    return [
        Row("acceptances, one client", _called(found["first 1"])),
        Row(
            "acceptances, 32 clients",
            {**_called(found["first 32"]), "gain": found["first 32"][0] / found["first 1"][0]},
        ),
        Row("duplicates, one client", {**_called(found["again 1"]), "gain": found["again 1"][0] / found["first 1"][0]}),
        Row(
            "duplicates, 32 clients",
            {**_called(found["again 32"]), "gain": found["again 32"][0] / found["first 32"][0]},
        ),
    ]


def _called(found: tuple[float, float, float]) -> dict[str, float | int | str]:
    return {"requests/s": found[0], "p50": found[1], "CPU ms at recipient": found[2]}


def lanes(run: Run) -> list[Row]:
    """Hỏa tốc (lane 1) alone, then while more of lane 3 is queued than can be carried."""
    run.pair.start()
    desk = Desk(run.pair)
    _warm(desk)
    seconds = 300.0 if run.long else 15.0
    idle = _took(run_letters(desk, rate=2, seconds=seconds, priority=3))
    for _ in range(3000 if run.long else 500):
        desk.submit()
    loaded = _took(run_letters(desk, rate=2, seconds=seconds, priority=3))
    left = desk.open()
    desk.close()
    bar = 2 * float(idle["p99"]) + 1000
    facts: dict[str, float | int | str] = {
        "idle p99": idle["p99"], "loaded p50": loaded["p50"], "loaded p99": loaded["p99"], "bar": bar,
        "lane 3 left": left,
    }  # fmt: skip
    return [Row("hỏa tốc under lane 3", facts, "" if run.long else f"{seconds:.0f} s, 2 a second")]


def dead_partner(run: Run) -> list[Row]:
    """How much a partner that does not answer takes from another: letters to B with and without its queue beside."""
    (silent,) = free_ports(1)
    add_partner(run.pair.a.home, "H99.03", f"https://localhost:{silent}/exchange/v1")
    run.pair.start()
    desk = Desk(run.pair)
    _warm(desk)
    count = 1000 if run.long else 150
    without, _ = _capacity(desk, count)
    for _ in range(count):
        desk.submit(to="H99.03")
    beside, _ = _capacity(desk, count)
    desk.close()
    facts: dict[str, float | int | str] = {"letters/s without": without, "beside": beside, "share": beside / without}
    return [Row("a dead partner beside", facts, "2 partners for 100")]


def queue(run: Run) -> list[Row]:
    """Many letters queued for one partner while the sender is down: its start, the first send, the drain."""
    run.pair.start(a=False)
    desk = Desk(run.pair)
    count = 100_000 if run.long else 1000
    begun = time.monotonic()
    for _ in range(count):
        desk.submit()
    queued = count / (time.monotonic() - begun)
    begun = time.monotonic()
    run.pair.a.start()
    while desk.open() == count:
        time.sleep(0.01)
    first = time.monotonic() - begun
    if not desk.drained(seconds=36_000 if run.long else 300):
        raise SystemExit("the queue did not drain")
    drain = count / (time.monotonic() - begun)
    desk.close()
    facts: dict[str, float | int | str] = {
        "start s": run.pair.a.started_in, "first delivered s": first, "drain/s": drain, "queued/s": queued,
    }  # fmt: skip
    return [Row(f"{count} queued for one partner", facts, "" if run.long else "1,000 for 100,000")]


def large(run: Run) -> list[Row]:
    """One large message from its first attempt to its receipt, and how much both nodes grew until it was checked."""
    file = packed(run.pair.folder, 2000 * MIB if run.long else 512 * MIB)
    run.pair.start()
    desk = Desk(run.pair)
    _warm(desk)
    before = {one.code: one.memory() for one in (run.pair.a, run.pair.b)}
    message_id, end = queue_large(desk, file), time.monotonic() + 1200
    while (done := carried(desk, message_id)) is None:
        if time.monotonic() > end:
            raise SystemExit("the large message was not delivered")
        time.sleep(0.1)
    quiet(run.pair)
    desk.close()
    size, seconds = done
    facts: dict[str, float | int | str] = {
        "MB/s": size / 1e6 / seconds, "seconds": seconds, "bar MB/s": min(60.0, 0.05 * run.floor.sha256_rate),
    }  # fmt: skip
    facts |= {f"growth of {one.code} MiB": _grown(one, before[one.code]) for one in (run.pair.a, run.pair.b)}
    return [Row(f"one message of {size // MIB} MiB", facts, "" if run.long else "512 MiB for 2 GiB")]


def _grown(served: Served, before: int) -> float:
    return (served.memory("VmHWM") - before) / MIB


def on_postgres(workers: int) -> Callable[[Run], list[Row]]:
    """Return the row of both offices on PostgreSQL with so many processes each."""

    def row(run: Run) -> list[Row]:
        run.pair.start()
        desk = Desk(run.pair)
        _warm(desk)
        most, each = _capacity(desk, 2000 if run.long else 80)
        samples = run_letters(desk, rate=most / 2, seconds=300.0 if run.long else 6.0)
        desk.close()
        facts = {"letters/s": most, "CPU ms/letter": each, **_took(samples)}
        return [
            Row(
                f"10 kB letters on PostgreSQL, {workers} process(es) each",
                facts,
                "latency at half the rate" if run.long else "80 letters; latency at half the rate, 6 s",
            )
        ]

    return row
