"""What each start loads: counted in fresh processes by ``sys.modules``, not by the clock (dependencies.md 5)."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"pyhanko", "sqlmodel", "sqlalchemy", "aiohttp", "lxml", "cryptography", "jinja2", "rich"}

PROBE = """
import json, runpy, sys
sys.argv = ["edoc", *{argv!r}]
try:
    runpy.run_module("edoc", run_name="__main__", alter_sys=False)
except SystemExit:
    pass
sys.stderr.write(json.dumps(sorted(sys.modules)))
"""


def loaded(*argv: str, cwd: Path = ROOT) -> set[str]:
    """Return the names of the modules a call of the command has loaded when it ends."""
    import json

    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(argv=list(argv))],
        cwd=cwd,
        capture_output=True,
        check=False,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(cwd), "EDOC_HOME": str(cwd / "no-home")},
    )
    last = done.stderr.decode().splitlines()[-1]
    return set(json.loads(last[last.index("[") :]))


def heavy(modules: set[str], names: set[str]) -> set[str]:
    """Return which of the names were loaded."""
    return {name for name in names if name in modules}


def test_version_is_answered_without_typer() -> None:
    assert heavy(loaded("--version"), HEAVY | {"typer", "pydantic"}) == set()


@pytest.mark.parametrize("line", [("--help",), ()])
def test_the_front_page_loads_typer_alone(line: tuple[str, ...]) -> None:
    assert heavy(loaded(*line), HEAVY | ({"pydantic"} if line else set())) == set()


def test_help_of_every_command_loads_nothing_heavy() -> None:
    import cli

    for name in cli.command_names():
        assert heavy(loaded(*name.split(), "--help"), HEAVY) == set(), name
