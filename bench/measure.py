"""How a figure is measured: median of several runs, and its ratio to a floor measured in the same process."""

import json
import statistics
import sys
import time
from collections.abc import Callable
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


def measure(name: str, work: Callable[[], object], *, runs: int = 7, floor: float | None = None) -> Figure:
    """Run the work once to warm it, then ``runs`` times, and return milliseconds."""
    work()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        times.append((time.perf_counter() - start) * 1000)
    median = statistics.median(times)
    ratio = round(median / floor, 3) if floor else None
    rounded = (round(value, 4) for value in (median, min(times), max(times)))
    return Figure(name, *rounded, "ms", round(floor, 4) if floor else None, ratio, runs)


def report(*figures: Figure) -> None:
    """Print figures as JSON lines for the runner."""
    for figure in figures:
        sys.stdout.write(json.dumps(asdict(figure), ensure_ascii=False) + "\n")
