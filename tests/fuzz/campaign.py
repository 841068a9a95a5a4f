"""A campaign of changed files against the verifier; ``python -m tests.fuzz.campaign --cases 1000000`` is ``make fuzz``.

Case number n of a seed is the same mutation of it every time. Counted are cases, answers, cases per second; found are
false acceptances, errors that escaped, and files over which the verifier sat too long. What is found is kept as files.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from random import Random

from signer.inspect import inspect_file
from signer.report import Report
from tests.fuzz.mutations import mutate
from tests.fuzz.oracles import Case, objection
from tests.fuzz.seeds import MAKERS, Seed, seeds

SECONDS_MAX = 10.0
"""CPU seconds over one small file that count as a hang."""


@dataclass
class Tally:
    """What a run of cases gave."""

    cases: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    answers: Counter[str] = field(default_factory=Counter)
    found: list[tuple[str, str, bytes]] = field(default_factory=list)  # seed, why, file

    def add(self, other: Tally) -> None:
        """Count another run in."""
        self.cases += other.cases
        self.seconds += other.seconds
        self.slowest = max(self.slowest, other.slowest)
        self.answers += other.answers
        self.found += other.found


def judged(data: bytes, seed: Seed) -> Report:
    """Ask the verifier."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # remarks of libraries on odd certificates
        return inspect_file(data, context=seed.context)


def run(seed: Seed, first: int, count: int, *, salt: int = 0) -> Tally:
    """Run cases ``first`` to ``first + count`` of a seed."""
    tally, before = Tally(), judged(seed.data, seed)
    for number in range(first, first + count):
        data = mutate(seed.data, seed.kind, Random(f"{salt}/{seed.name}/{number}"))
        _one(seed, data, before, tally)
    return tally


def _one(seed: Seed, data: bytes, before: Report, tally: Tally) -> None:
    start = time.process_time()
    try:
        after = judged(data, seed)
    except Exception:  # whatever escapes is what we look for
        tally.found.append((seed.name, traceback.format_exc(limit=-4), data))
        after = None
    spent = time.process_time() - start
    tally.cases += 1
    tally.seconds += spent
    tally.slowest = max(tally.slowest, spent)
    if spent > SECONDS_MAX:
        tally.found.append((seed.name, f"{spent:.1f} s over one file", data))
    if after is None:
        return
    words = "+".join(sorted({one.integrity.value for one in after.signatures})) or "no signature"
    tally.answers[f"{after.verdict.value}/{words}"] += 1
    why = objection(Case(seed, data, before, after)) if data != seed.data else None
    if why:
        tally.found.append((seed.name, f"false acceptance: {why}", data))


def keep(tally: Tally, folder: Path) -> None:
    """Write what was found to files, each with its reason beside it."""
    for name, why, data in tally.found:
        folder.mkdir(parents=True, exist_ok=True)
        stem = f"{name}-{sha256(data).hexdigest()[:12]}"
        (folder / f"{stem}.bin").write_bytes(data)
        (folder / f"{stem}.txt").write_text(why, encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a campaign; 1 if anything was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=1_000_000)
    parser.add_argument("--kinds", nargs="*", choices=sorted(MAKERS), default=sorted(MAKERS))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--salt", type=int, default=0, help="another salt gives other mutations")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-found"))
    chosen = parser.parse_args(arguments)
    started, total = time.monotonic(), Counter[str]()
    findings = 0
    per_kind = chosen.cases // len(chosen.kinds)
    for kind in chosen.kinds:
        tally = Tally()
        made = seeds(kind)
        each = -(-per_kind // len(made))
        with ProcessPoolExecutor(chosen.jobs) as pool:
            chunk = min(each, 2_000)
            futures = [
                pool.submit(run, seed, first, min(chunk, each - first), salt=chosen.salt)
                for first in range(0, each, chunk)
                for seed in made
            ]
            for future in futures:
                part = future.result()
                keep(part, chosen.keep)
                tally.add(part)
        findings += len(tally.found)
        total["cases"] += tally.cases
        rate = round(tally.cases / tally.seconds) if tally.seconds else 0
        line = {"kind": kind, "cases": tally.cases, "found": len(tally.found), "per_cpu_second": rate}
        print(json.dumps({**line, "slowest_s": round(tally.slowest, 2), "answers": dict(tally.answers.most_common())}))
        sys.stdout.flush()
    print(f"{total['cases']} cases in {time.monotonic() - started:.0f} s, found {findings}")
    return 1 if findings else 0


if __name__ == "__main__":
    raise SystemExit(main())
