"""``edoc doctor``: is this installation, and the node in this folder, fit for work? (console.md 4.6, dependencies.md 2)

Each check is one function that returns findings; nothing is repaired. Sentences are made in ``transport.present``.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shutil
import sqlite3
import stat
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib import metadata, util
from pathlib import Path

DISTRIBUTION = "edoc-exchange"
NAMES = ("signer", "edoc", "transport", "cli")
DISK_RESERVE = 1 << 30  # bytes that should be free in the home
BUILT = datetime(2026, 11, 1, tzinfo=UTC)  # no clock can truly be before this
KEY_WARNING = timedelta(days=60)  # R108


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found: ``status`` is ok, warn, fail or skip."""

    id: str
    status: str
    facts: Mapping[str, object] = field(default_factory=dict)


def examine(*, home: Path | None, now: datetime, quick: bool) -> tuple[Finding, ...]:
    """Run every check; without a node those of the node are skipped. ``quick`` leaves out what reads whole files."""
    checks: list[Callable[[], Finding]] = [_python, _libraries, _beside, _alone]
    if not quick:
        checks.append(_unchanged)
    checks += [_fonts, lambda: _clock(now)]
    found = [check() for check in checks]
    return (*found, *_node(home, now, quick=quick))


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("python", "ok" if sys.version_info >= (3, 11) else "fail", {"version": version})


def _libraries() -> Finding:
    """Every required library is installed in its range."""
    try:
        wanted = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return Finding("libraries", "skip", {"problem": DISTRIBUTION})
    wrong = [problem for line in wanted if "extra ==" not in line if (problem := _out_of_range(line))]
    return Finding("libraries", "fail" if wrong else "ok", {"problem": "; ".join(wrong), "count": len(wanted)})


def _out_of_range(requirement: str) -> str | None:
    match = re.match(r"([\w.\-]+)(?:\[[^\]]*\])?\s*([^;]*)", requirement)
    if match is None:
        return requirement
    name, ranges = match[1], match[2]
    try:
        installed = metadata.version(name)
    except metadata.PackageNotFoundError:
        return f"{name}: –"
    for operator, bound in re.findall(r"(>=|<=|<|>|==|!=)\s*([\w.]+)", ranges):
        if not _holds(_numbers(installed), operator, _numbers(bound)):
            return f"{name} {installed} ({ranges.strip()})"
    return None


def _numbers(version: str) -> tuple[int, ...]:
    numbers = [int(part) for part in re.findall(r"\d+", version.split("+")[0])[:4]]
    return (*numbers, *([0] * (4 - len(numbers))))


def _holds(left: tuple[int, ...], operator: str, right: tuple[int, ...]) -> bool:
    answers = {">=": left >= right, "<=": left <= right, "<": left < right, ">": left > right}
    return answers.get(operator, (left == right) == (operator == "=="))


def _beside() -> Finding:
    """Our four names come from one place."""
    places = {name: _origin(name) for name in NAMES}
    root = Path(__file__).resolve().parent.parent
    foreign = [f"{name}: {path}" for name, path in places.items() if path is None or root not in path.parents]
    return Finding("beside", "fail" if foreign else "ok", {"problem": "; ".join(foreign), "path": root})


def _origin(name: str) -> Path | None:
    spec = util.find_spec(name)
    return Path(spec.origin).resolve() if spec is not None and spec.origin else None


def _alone() -> Finding:
    """No other distribution ships files under our names."""
    owners = metadata.packages_distributions()
    others = [f"{name}: {', '.join(owners[name])}" for name in NAMES if set(owners.get(name, ())) - {DISTRIBUTION}]
    return Finding("alone", "fail" if others else "ok", {"problem": "; ".join(others)})


def _unchanged() -> Finding:
    """Every installed file has the hash of RECORD and nothing lies beside them; not asked of an editable install."""
    try:
        files = metadata.files(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return Finding("unchanged", "skip", {"problem": DISTRIBUTION})
    ours = [file for file in files if file.parts[0] in {"signer", "edoc", "transport", "cli.py"}]
    if not ours:
        return Finding("unchanged", "skip", {"problem": "editable"})
    changed = [str(file) for file in ours if file.hash and not _same(Path(str(file.locate())), file.hash.value)]
    extra = _extra(Path(str(ours[0].locate())).parents[len(ours[0].parts) - 1], {str(file) for file in ours})
    wrong = [*changed, *extra]
    return Finding("unchanged", "fail" if wrong else "ok", {"problem": "; ".join(wrong[:5]), "count": len(ours)})


def _same(path: Path, expected: str) -> bool:
    try:
        digest = hashlib.sha256(path.read_bytes()).digest()
    except OSError:
        return False
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == expected


def _extra(root: Path, known: set[str]) -> list[str]:
    found = (path for name in NAMES[:3] for path in (root / name).rglob("*") if path.is_file())
    relative = (path.relative_to(root).as_posix() for path in found if "__pycache__" not in path.parts)
    return [name for name in relative if name not in known]


def _fonts() -> Finding:
    folder = Path(__file__).resolve().parent.parent / "signer" / "pdf" / "fonts"
    fonts = [path for path in folder.glob("*") if path.suffix in {".ttf", ".otf"}] if folder.is_dir() else []
    empty = [path.name for path in fonts if not path.stat().st_size]
    return Finding("fonts", "ok" if fonts and not empty else "fail", {"problem": str(folder), "count": len(fonts)})


def _clock(now: datetime) -> Finding:
    return Finding("clock", "ok" if now > BUILT else "fail", {"now": now})


def _node(home: Path | None, now: datetime, *, quick: bool) -> Iterator[Finding]:
    if home is None:
        yield Finding("home", "skip")
        return
    yield _home(home)
    yield _disk(home)
    database = _database(home, quick=quick)
    yield database
    if database.status == "fail":
        return
    yield _keys(home, now)
    yield _partners(home)


def _home(home: Path) -> Finding:
    mode = stat.S_IMODE(home.stat().st_mode)
    private = os.name == "nt" or mode & 0o077 == 0
    return Finding("home", "ok" if private else "warn", {"path": home, "mode": f"{mode:04o}"})


def _disk(home: Path) -> Finding:
    free = shutil.disk_usage(home).free
    return Finding("disk", "ok" if free >= DISK_RESERVE else "warn", {"free": f"{free / 1e9:.1f} GB"})


def _database(home: Path, *, quick: bool) -> Finding:
    """The database opens read-only and, unless quick, every page of it is read."""
    from transport.store import quickly

    if quickly.on_server(home):
        return _server(home)
    path = home / "edoc.db"
    question = "PRAGMA quick_check(1)" if quick else "PRAGMA integrity_check(1)"
    try:
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
            answer = str(connection.execute(question).fetchone()[0])
    except sqlite3.Error as error:
        return Finding("database", "fail", {"path": path, "problem": str(error)})
    return Finding("database", "ok" if answer == "ok" else "fail", {"path": path, "problem": answer})


def _server(home: Path) -> Finding:
    """The database's server answers, and the node's tables are there."""
    from transport.errors import TransportError
    from transport.store import quickly

    try:
        with quickly.reading(home) as asked:
            row = None if asked is None else asked.ask("SHOW server_version").fetchone()
            there = asked is not None and asked.has("ledger_log")
    except TransportError as error:
        return Finding(
            "database", "fail", {"path": "PostgreSQL", "problem": str(error.facts.get("reason", error.code))}
        )
    shown = f"PostgreSQL {row[0]}" if row else "PostgreSQL"
    return Finding("database", "ok" if there else "fail", {"path": shown, "problem": "no tables"})


def _keys(home: Path, now: datetime) -> Finding:
    """No certificate of the node has ended; those that end within 60 days are named (R108)."""
    from transport.store import quick

    ends = [(key.name, key.not_after) for key in quick.keys(home) if key.not_after is not None]
    ended = [name for name, end in ends if end <= now]
    soon = [name for name, end in ends if now < end <= now + KEY_WARNING]
    status = "fail" if ended else "warn" if soon else "ok"
    return Finding("keys", status, {"problem": ", ".join(ended or soon), "count": len(ends)})


def _partners(home: Path) -> Finding:
    from transport.store import quick

    agencies = quick.directory(home).agencies
    return Finding("partners", "ok" if agencies else "warn", {"count": len(agencies)})
