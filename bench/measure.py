"""How a figure is measured: median of several runs, and its ratio to a floor measured in the same process."""

import json
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Figure:
    """One line of ``bench/results.jsonl``; times in ``unit``, ``ratio`` = median / floor."""

    name: str
    median: float
    min: float
    max: float
    unit: str
    floor: float | None
    ratio: float | None
    runs: int


def measure(
    name: str,
    work: Callable[[], object],
    *,
    runs: int = 7,
    floor: float | None = None,
    elsewhere: Callable[[], float] | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Figure:
    """Run the work once to warm it, then ``runs`` times, and return milliseconds.

    ``elsewhere`` counts the seconds that somebody else needed meanwhile (a time-stamping authority): taken off.
    ``clock`` is ``processor`` where others use the machine at the same time.
    """
    work()
    times = []
    for _ in range(runs):
        start, away = clock(), elsewhere() if elsewhere else 0.0
        work()
        away = elsewhere() - away if elsewhere else 0.0
        times.append((clock() - start - away) * 1000)
    return figure(name, times, floor=floor)


def processor() -> float:
    """Return the seconds that processors worked for this process and for those it started and waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def figure(name: str, times: Sequence[float], *, unit: str = "ms", floor: float | None = None) -> Figure:
    """Return the figure of times that were measured."""
    median = statistics.median(times)
    ratio = round(median / floor, 3) if floor else None
    rounded = (round(value, 4) for value in (median, min(times), max(times)))
    return Figure(name, *rounded, unit, round(floor, 4) if floor else None, ratio, len(times))


def report(*figures: Figure) -> None:
    """Print figures as JSON lines for the runner."""
    for each in figures:
        sys.stdout.write(json.dumps(asdict(each), ensure_ascii=False) + "\n")
        sys.stdout.flush()
