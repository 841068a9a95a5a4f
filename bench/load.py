"""Load on the exchange: the rows of exchange.md 17 and the floor beside them. ``python bench/load.py [--long] [ROW …]``

Prints a table and appends a JSON line per row to ``bench/load.jsonl``. The short mode takes a few minutes and is scaled
down; each row says by what. Postgres rows need a server's programs and the extra ``postgres``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import load_rows as rows
from load_abuse import abuse
from load_floor import Floor, measure_floor
from load_nodes import database_server, pair

ROWS: dict[str, Callable[[rows.Run], list[rows.Row]]] = {
    "sustained": rows.sustained,
    "megabyte": rows.megabyte,
    "group": rows.group_and_duplicates,
    "lanes": rows.lanes,
    "dead": rows.dead_partner,
    "queue": rows.queue,
    "large": rows.large,
    "abuse": abuse,
    "postgres-1": rows.on_postgres(1),
    "postgres-2": rows.on_postgres(2),
}


@dataclass(frozen=True, slots=True)
class Machine:
    """Where and when it was measured."""

    at: str
    cores: int
    load: float  # mean number of processes that wanted a core in the minute before
    python: str
    sqlite: str
    kernel: str


def machine() -> Machine:
    """Describe this machine."""
    return Machine(
        time.strftime("%Y-%m-%dT%H:%MZ", time.gmtime()),
        os.cpu_count() or 1,
        round(os.getloadavg()[0], 2),
        platform.python_version(),
        sqlite3.sqlite_version,
        platform.release(),
    )


def main() -> None:
    """Measure the rows asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=" ".join(ROWS))
    parser.add_argument("--long", action="store_true", help="the sizes of exchange.md 17; takes hours")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that nodes and folders do not stay behind
    if unknown := set(asked.rows) - set(ROWS):
        parser.error(f"no such row: {' '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory(prefix="edoc-load-") as name:
        for row in asked.rows or ROWS:
            try:
                _one(Path(name), row, long=asked.long)
            except rows.NotHere as why:
                sys.stdout.write(f"{row}: left out: {why}\n")


def _one(folder: Path, row: str, *, long: bool) -> None:
    here = machine()
    if row.startswith("postgres"):
        rows.need_postgres()
        with database_server() as server:
            databases = {code: server.url(server.create()) for code in ("H99.01", "H99.02")}
            _measured(folder / row, row, here, databases=databases, long=long)
        return
    _measured(folder / row, row, here, databases={}, long=long)


def _measured(folder: Path, row: str, here: Machine, *, databases: dict[str, str], long: bool) -> None:
    workers = int(row.rpartition("-")[2]) if databases else 1
    with pair(folder, databases=databases, workers=workers) as offices:
        floor = measure_floor(folder, offices.a.tls, offices.root)
        for made in ROWS[row](rows.Run(offices, floor, long=long)):
            _told(made, floor, here)


def _told(made: rows.Row, floor: Floor, here: Machine) -> None:
    facts = "; ".join(f"{name} {_shown(value)}" for name, value in made.facts.items())
    sys.stdout.write(f"{made.name}: {facts}" + (f" [{made.scaled}]" if made.scaled else "") + "\n")
    sys.stdout.flush()
    line = {**asdict(made), "floor": asdict(floor), "machine": asdict(here)}
    with (Path(__file__).resolve().parent / "load.jsonl").open("a", encoding="utf-8") as results:
        results.write(json.dumps(line, ensure_ascii=False) + "\n")


def _shown(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
