"""Runs every benchmark of this folder and appends one JSON line per figure to ``bench/results.jsonl``.

A benchmark is a file ``bench_*.py``; run as a program it prints its figures as JSON lines (see ``measure.py``).
"""

import json
import os
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
FIELDS = {"name", "median", "min", "max", "unit", "floor", "ratio", "runs"}


def figures(script: Path) -> list[str]:
    """Run one benchmark and return its lines, each checked to be a figure."""
    environment = {**os.environ, "PYTHONPATH": f"{FOLDER.parent}{os.pathsep}{FOLDER}"}
    done = subprocess.run([sys.executable, str(script)], stdout=subprocess.PIPE, text=True, check=True, env=environment)
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    for line in lines:
        if set(json.loads(line)) != FIELDS:
            raise SystemExit(f"{script.name}: not a figure: {line}")
    return lines


def main() -> None:
    """Run the benchmarks named on the command line, or all."""
    wanted = sys.argv[1:]
    for script in sorted(FOLDER.glob("bench_*.py")):
        if wanted and script.stem.removeprefix("bench_") not in wanted:
            continue
        for line in figures(script):
            print(line, flush=True)
            with (FOLDER / "results.jsonl").open("a", encoding="utf-8") as results:
                results.write(line + "\n")


if __name__ == "__main__":
    main()
