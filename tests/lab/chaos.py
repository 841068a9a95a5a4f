"""``make chaos``: the laboratory at length. Random kills by number, then the fault matrix in its long form; a table.

    python -m tests.lab.chaos --kills 10000 --workers 2 --seed 1 --folder build/chaos

Each worker has offices, processes and a nursery of its own. What is printed is also written to ``chaos.json`` in the
folder; the homes and logs of a run that broke an invariant are kept there. Exit code 1 if anything broke.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

from tests.lab.kills import Tally, Wanted, in_folder


def main() -> int:
    """Run what the command line asks for."""
    asked = argparse.ArgumentParser(description="the fault laboratory at length")
    asked.add_argument("--kills", type=int, default=10_000)
    asked.add_argument("--minutes", type=float, default=24 * 60.0, help="kill no longer than this")
    asked.add_argument("--workers", type=int, default=2)
    asked.add_argument("--seed", type=int, default=int(time.time()))
    asked.add_argument("--folder", type=Path, default=Path("build/chaos"))
    asked.add_argument("--no-matrix", action="store_true", help="random kills only")
    asked.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    wanted = asked.parse_args()
    if wanted.worker is not None:
        end = time.monotonic() + 60 * wanted.minutes
        return _work(wanted.folder, Wanted(wanted.kills, wanted.seed, end))
    wanted.folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    tally = kill_at_random(wanted.folder, wanted)
    seconds = time.monotonic() - began
    rows = [] if wanted.no_matrix else matrix(wanted.folder)
    result = {"seed": wanted.seed, "kills": _plain(tally), "seconds": round(seconds), "matrix": rows}
    (wanted.folder / "chaos.json").write_text(json.dumps(result, ensure_ascii=False, indent=1) + "\n", "utf-8")
    print(table(tally, seconds, rows))
    return int(bool(tally.faults) or any(row["outcome"] != "passed" for row in rows))


def kill_at_random(folder: Path, wanted: argparse.Namespace) -> Tally:
    """Share the kills among workers, tell how far they are, and add up what they did."""
    tallies: dict[int, Tally] = {}
    threads = [
        threading.Thread(target=_follow, args=(folder, number, wanted, tallies)) for number in range(wanted.workers)
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    total = Tally()
    for tally in tallies.values():
        total.add(tally)
    return total


def _follow(folder: Path, number: int, wanted: argparse.Namespace, tallies: dict[int, Tally]) -> None:
    facts = {
        "--worker": number,
        "--kills": -(-wanted.kills // wanted.workers),
        "--minutes": wanted.minutes,
        "--seed": wanted.seed * 1000 + number,
        "--folder": folder / f"worker-{number}",
    }
    words = [str(word) for fact in facts.items() for word in fact]
    command = [sys.executable, "-m", "tests.lab.chaos", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        for line in worker.stdout:
            tallies[number] = _read(json.loads(line))
            done = sum(tally.kills for tally in tallies.values())
            broken = sum(len(tally.faults) for tally in tallies.values())
            print(f"{time.strftime('%H:%M:%S')}  {done} kills, {broken} faults", file=sys.stderr, flush=True)
    if worker.returncode:
        lost = tallies.setdefault(number, Tally())
        lost.faults.append(f"worker {number} ended with {worker.returncode}")


def _work(folder: Path, wanted: Wanted) -> int:
    in_folder(folder, wanted, tell=lambda tally: print(json.dumps(_plain(tally)), flush=True))
    return 0


def _plain(tally: Tally) -> dict[str, object]:
    return {name: dict(value) if isinstance(value, Counter) else value for name, value in vars(tally).items()}


def _read(members: dict[str, object]) -> Tally:
    counters = {"victims", "steps"}
    return Tally(**{name: Counter(value) if name in counters else value for name, value in members.items()})  # type: ignore[arg-type,call-overload]  # as ``_plain`` made them


def matrix(folder: Path) -> list[dict[str, object]]:
    """Run the fault matrix in its long form and return one row for each test."""
    report = folder / "matrix.jsonl"
    report.unlink(missing_ok=True)
    tests = sorted(str(path) for path in Path(__file__).parent.glob("test_*.py"))
    environment = {**os.environ, "EDOC_LAB_LONG": "1", "EDOC_LAB_REPORT": str(report.resolve())}
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "--timeout", "3600", *tests], env=environment
    )
    if not report.exists():
        return []
    return [json.loads(line) for line in report.read_text("utf-8").splitlines()]


def table(tally: Tally, seconds: float, rows: list[dict[str, object]]) -> str:
    """Return what happened as a table in Markdown."""
    victims = ", ".join(f"{name} {count}" for name, count in tally.victims.most_common())
    lines = [
        "| what | how often | result |",
        "|---|---|---|",
        f"| random kills (F1): {victims} | {tally.kills} kills in {tally.rounds} rounds, {seconds / 60:.0f} min | "
        f"{tally.letters} letters, {tally.delivered} delivered once, {tally.quarantined} effects put aside, "
        f"{'no invariant broken' if not tally.faults else f'BROKEN: {tally.faults}'} |",
    ]
    lines += [f"| {row['row']} {row['test']} | {row['cases']} cases | {row['outcome']} |" for row in rows]
    steps = ", ".join(f"{name} {count}" for name, count in tally.steps.most_common(20))
    return "\n".join([*lines, "", f"Steps before which processes died: {steps}"])


if __name__ == "__main__":
    sys.exit(main())
