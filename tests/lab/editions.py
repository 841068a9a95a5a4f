"""Editions of the program that were before this one: their files, a nursery that runs them, offices made by them.

An edition is a commit of this repository; its files are taken from the history, unchanged, and run under the same shim.
Nothing of them is imported here: offices are made, and commands run, by processes that have that edition loaded.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from signer.devpki import DevPki
from tests.lab.lab import A, B, Template, turnable
from tests.postgres import Server
from transport.demo.offices import environment

ROOT = Path(__file__).parents[2]
PARTS = ("cli.py", "edoc", "signer", "transport", "tests/world.py")

_MAKE = """
import hashlib, json, sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from signer.devpki import DevPki
from tests import world
now = datetime.now(UTC)
pki = DevPki.create(at=now.replace(microsecond=0) - timedelta(days=1))
urls = dict.fromkeys(world.ORGANS, "http://127.0.0.1:1/exchange/v1")
more = json.loads(sys.argv[2])
made = world.build(Path(sys.argv[1]), pki, now, urls=urls, **({"databases": more} if more else {}))
made.close()
print(json.dumps({code: its["exchange"].credential.sha256 for code, its in made.identities.items()}))
"""


@dataclass(frozen=True, slots=True)
class Edition:
    """The files of an edition, and the step of the schema it works with."""

    tree: Path
    step: str

    def run(self, script: str, *arguments: str) -> str:
        """Run Python with this edition as its program and return what it printed."""
        command = [sys.executable, "-P", "-c", script, *arguments]
        env = {**environment(), "PYTHONPATH": str(self.tree)}
        done = subprocess.run(command, cwd=self.tree, env=env, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    def template(self, folder: Path, pki: DevPki, server: Server | None = None) -> Template:
        """Let this edition make the two offices, by its own steps of the schema."""
        databases = {code: server.create() for code in (A, B)} if server is not None else {}
        addresses = {code: server.url(name) for code, name in databases.items()} if server is not None else {}
        certificates = json.loads(self.run(_MAKE, str(folder), json.dumps(addresses)))
        for name in databases.values():
            assert server is not None
            turnable(server, name)
        return Template(folder, pki, {}, server, databases, certificates)


def _whole_history() -> bool:
    """Tell whether this is a checkout with all its history, not a shallow one and not an archive."""
    asked = ["git", "-C", str(ROOT), "rev-parse", "--is-shallow-repository"]
    try:
        return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip() == "false"
    except (OSError, subprocess.CalledProcessError):
        return False


def edition(commit: str, folder: Path) -> Edition:
    """Take an edition from the history; where there is none (a shallow checkout, an archive) the test is skipped."""
    asked = ["git", "-C", str(ROOT), "archive", commit, *PARTS]
    try:
        files = subprocess.run(asked, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        reason = f"the history of the repository does not hold {commit}"
        if os.environ.get("CI") == "true" and _whole_history():
            pytest.fail(reason)
        pytest.skip(reason)
    folder.mkdir(parents=True)
    subprocess.run(["tar", "-x", "-C", str(folder)], input=files, check=True)
    text = (folder / "transport" / "store" / "schema.py").read_text("utf-8")
    step = text.partition('REVISION = "')[2].partition('"')[0]
    return Edition(folder, step)
