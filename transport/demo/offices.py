"""Two agencies for the demonstration: their folders, keys, trust and partner entries, made with the real commands.

Everything is done by ``edoc`` commands run as separate processes, as two offices would do it, on free loopback ports.
The certificates come from a demonstration authority (``signer.devpki``) and carry «THỬ NGHIỆM» in their subjects.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

READY_SECONDS = 120.0
"""How long a started node may take until it says that it is ready."""


class StepFailed(Exception):
    """A step of the demonstration did not hold; the text names the command, its exit code and what it said."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a command answered: exit code, the JSON document it printed, and its standard error."""

    code: int
    document: Mapping[str, object]
    errors: str
    output: str


def edoc(*arguments: str, home: Path | None = None, expect: Sequence[int] = (0,), stdin: str | None = None) -> Result:
    """Run one ``edoc`` command with ``--json`` and return what it answered.

    Raises:
        StepFailed: the exit code is not one of ``expect``.
    """
    command = [sys.executable, "-m", "edoc", "--json", *(("--home", str(home)) if home else ()), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, input=stdin, env=environment(), timeout=120)
    try:
        document = json.loads(done.stdout)
    except ValueError:
        document = {}
    if done.returncode not in expect:
        said = (done.stderr.strip() or done.stdout.strip())[-2000:]
        raise StepFailed(f"edoc {' '.join(arguments)}: exit {done.returncode}, not {tuple(expect)}: {said}")
    return Result(done.returncode, document if isinstance(document, dict) else {}, done.stderr, done.stdout)


def environment(**extra: str) -> dict[str, str]:
    """Return the environment for a command: ours, without settings of the caller, and finding our packages."""
    keep = {name: value for name, value in os.environ.items() if not name.startswith("EDOC_")}
    keep.pop("PYTHONDONTWRITEBYTECODE", None)  # some sixty commands follow; compiling each time would double their time
    here = str(Path(__file__).resolve().parent.parent.parent)
    keep["PYTHONPATH"] = os.pathsep.join(filter(None, (here, keep.get("PYTHONPATH", ""))))
    return {**keep, "EDOC_LANG": keep.get("EDOC_DEMO_LANG", "vi"), **extra}


def free_ports(count: int) -> list[int]:
    """Return loopback ports that were free a moment ago, all different."""
    held = [socket.socket() for _ in range(count)]
    try:
        for one in held:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in held]
    finally:
        for one in held:
            one.close()


@dataclass(slots=True)
class Office:
    """One agency of the demonstration: its folder, address and, while it runs, its process."""

    code: str
    name: str
    home: Path
    port: int
    process: subprocess.Popen[str] | None = field(default=None, repr=False)
    log: Path | None = None

    @property
    def url(self) -> str:
        """Address of the exchange, as partners know it."""
        return f"http://127.0.0.1:{self.port}/exchange/v1"

    def run(self, *arguments: str, expect: Sequence[int] = (0,)) -> Result:
        """Run a command in this office."""
        return edoc(*arguments, home=self.home, expect=expect)

    def start(self, **extra: str) -> None:
        """Start ``edoc serve`` and wait until it says that it is ready.

        Raises:
            StepFailed: the process ended, or did not become ready in time.
        """
        self.log = self.home.parent / f"{self.home.name}-serve.log"
        command = [sys.executable, "-m", "edoc", "--json", "--home", str(self.home), "serve", "--port", str(self.port)]
        with self.log.open("a", encoding="utf-8") as errors:
            self.process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment(**extra)
            )
        assert self.process.stdout is not None
        watchdog = threading.Timer(READY_SECONDS, self.process.kill)  # readline ends when the process does
        watchdog.start()
        line = self.process.stdout.readline()
        watchdog.cancel()
        if '"edoc.serve/1"' not in line:
            self.kill()
            raise StepFailed(f"{self.code}: edoc serve did not become ready: {self.log.read_text('utf-8')[-2000:]}")

    def stop(self) -> int:
        """Ask the node to stop, wait for it, and return its exit code."""
        if self.process is None:
            return 0
        self.process.terminate()
        try:
            code = self.process.wait(timeout=READY_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            code = -9
        self._forget()
        return code

    def kill(self) -> None:
        """End the node as by ``kill -9``."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                self.process.kill()
            self.process.wait()
            self._forget()

    def _forget(self) -> None:
        if self.process is not None and self.process.stdout is not None:
            self.process.stdout.close()
        self.process = None


def until(question: str, answer: object, *, seconds: float = READY_SECONDS) -> None:
    """Wait until calling ``answer`` gives something true; ask again every tenth of a second.

    Raises:
        StepFailed: it did not within ``seconds``; ``question`` says what was waited for.
    """
    assert callable(answer)
    end = time.monotonic() + seconds
    while not answer():
        if time.monotonic() > end:
            raise StepFailed(f"not within {seconds:.0f} s: {question}")
        time.sleep(0.1)
