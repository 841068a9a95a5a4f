"""What the tests of the console share: the command as a process, as a person or a script runs it."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Ran:
    """How a call of the command ended."""

    code: int
    out: str
    err: str
    raw: bytes

    @property
    def json(self) -> Any:
        """The one document of ``--json``."""
        assert self.out.endswith("\n")
        return json.loads(self.out)


class Edoc:
    """Runs ``python -m edoc`` in a folder, with an environment that holds nothing of the person running the tests."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
        return {
            **kept,
            "PYTHONPATH": str(ROOT),
            "HOME": str(self.folder),
            "EDOC_HOME": str(self.home),
            "LC_ALL": "C.UTF-8",
            **(extra or {}),
        }

    def __call__(
        self, *arguments: str | Path, stdin: bytes = b"", env: Mapping[str, str] | None = None, **options: Any
    ) -> Ran:
        done = subprocess.run(
            [sys.executable, "-m", "edoc", *map(str, arguments)],
            input=stdin,
            capture_output=True,
            cwd=self.folder,
            env=self.environment(env),
            timeout=500,
            check=False,
            **options,
        )
        return Ran(done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8"), done.stdout)


@pytest.fixture
def edoc(tmp_path: Path) -> Edoc:
    """The command, run in an empty folder."""
    return Edoc(tmp_path)
