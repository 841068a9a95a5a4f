"""What the tests of the console share: the command, run as a process or in the process of the tests.

Whatever depends on the process itself (start-up, streams, signals, environment) is tested with real processes. What
the commands do with files and tables is tested by the same ``cli.main`` in this process, which is ten times quicker.
"""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from signer.devpki import DevPki
from transport.demo.pkiserver import PkiServer

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
    """Runs the command in a folder, with an environment that holds nothing of the person running the tests."""

    def __init__(self, folder: Path, *, inside: bool = False) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.inside = inside

    def here(self) -> "Edoc":
        """Return the same desk, its commands run in this process."""
        return Edoc(self.folder, inside=True)

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
        if self.inside:
            return self._inside([str(word) for word in arguments], stdin, self.environment(env))
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

    def _inside(self, arguments: list[str], stdin: bytes, environment: Mapping[str, str]) -> Ran:
        """Run ``cli.main`` here: own streams, folder and environment, and the signal handler put back."""
        import cli

        streams = [io.TextIOWrapper(io.BytesIO(data), encoding="utf-8") for data in (stdin, b"", b"")]
        saved, handler, before = dict(os.environ), signal.getsignal(signal.SIGTERM), (sys.stdin, sys.stdout, sys.stderr)
        code = 0
        try:
            os.environ.clear()
            os.environ.update(environment)
            sys.stdin, sys.stdout, sys.stderr = streams
            with contextlib.chdir(self.folder):
                cli.main(arguments)
        except SystemExit as ended:
            code = int(ended.code or 0)
        finally:
            sys.stdin, sys.stdout, sys.stderr = before
            os.environ.clear()
            os.environ.update(saved)
            signal.signal(signal.SIGTERM, handler)
        raw, err = (_written(stream) for stream in streams[1:])
        return Ran(code, raw.decode("utf-8", "replace"), err.decode("utf-8"), raw)


def _written(stream: io.TextIOWrapper) -> bytes:
    stream.flush()
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue()


@pytest.fixture
def edoc(tmp_path: Path) -> Edoc:
    """The command, run in an empty folder."""
    return Edoc(tmp_path)


@pytest.fixture(scope="module")
def services() -> Iterator[tuple[str, DevPki]]:
    """An authority with time stamps and status on loopback, and its address."""
    with PkiServer(clock=lambda: datetime.now(UTC)) as server:
        pki = DevPki.create(at=datetime.now(UTC) - timedelta(days=30), base_url=server.url)
        server.use(pki)
        yield server.url, pki
