"""Nodes of the laboratory: real ``edoc serve`` processes on loopback, each under the fault shim.

``Nursery`` forks them from one process that has the product loaded (``zygote.py``). ``LabNode`` is one office: its
home, its port, its control block and, while it runs, its process. What is waited for is a condition, never a time.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab.shim import Control
from transport.demo.offices import environment

READY_SECONDS = 60.0


class NotInTime(AssertionError):
    """Something that must come did not."""


def until(question: str, answer: Callable[[], object], *, seconds: float = 60.0) -> None:
    """Wait until ``answer`` gives something true, asking fifty times a second."""
    end = time.monotonic() + seconds
    while not answer():
        if time.monotonic() > end:
            raise NotInTime(f"not within {seconds:.0f} s: {question}")
        time.sleep(0.02)


class Nursery:
    """Forks ``edoc`` commands; one for a whole run of the laboratory. ``tree`` holds another edition's files."""

    def __init__(self, shim: Path, tree: Path | None = None) -> None:
        ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket = ours
        words = [sys.executable, "-P", str(Path(__file__).with_name("zygote.py")), str(its.fileno())]
        env = environment(LD_PRELOAD=str(shim))
        if tree is not None:
            env["PYTHONPATH"] = str(tree)
        self._process = subprocess.Popen(words, pass_fds=[its.fileno()], env=env, stdin=subprocess.DEVNULL, cwd=tree)
        its.close()
        self._ended: dict[int, int] = {}
        self._hear(READY_SECONDS)

    def close(self) -> None:
        """End the nursery; what it forked ends by itself or was ended before."""
        self._socket.close()
        self._process.wait(READY_SECONDS)

    def fork(
        self, arguments: Sequence[str], control: Path, *, stdout: int, stderr: int, env: dict[str, str] | None = None
    ) -> int:
        """Start a command and return its process id; the descriptors stay the caller's."""
        order = {"arguments": list(arguments), "control": str(control), "environment": env or {}}
        socket.send_fds(self._socket, [json.dumps(order).encode()], [stdout, stderr])
        while True:
            said = self._hear(READY_SECONDS)
            if "started" in said:
                return said["started"]

    def code_of(self, process: int, *, seconds: float = READY_SECONDS) -> int:
        """Wait until a command has ended and return its exit code, negative for a signal."""
        end = time.monotonic() + seconds
        while process not in self._ended:
            left = end - time.monotonic()
            if left <= 0:
                raise NotInTime(f"process {process} did not end within {seconds:.0f} s")
            self._hear(left)
        return self._ended.pop(process)

    def has_ended(self, process: int) -> bool:
        """Tell whether a command has ended."""
        while select.select([self._socket], [], [], 0)[0]:
            self._hear(1)
        return process in self._ended

    def _hear(self, seconds: float) -> dict[str, int]:
        if not select.select([self._socket], [], [], seconds)[0]:
            return {}
        data = self._socket.recv(4096)
        if not data:
            raise NotInTime("the nursery has ended")
        said: dict[str, int] = json.loads(data)
        if "ended" in said:
            self._ended[said["ended"]] = said["code"]
        return said


@dataclass
class LabNode:
    """One office under test."""

    nursery: Nursery
    code: str
    home: Path
    port: int
    control: Control
    pid: int | None = None
    operator_port: int | None = None
    _out: int = field(default=-1, repr=False)

    @property
    def log(self) -> Path:
        """Where the log of all its processes goes."""
        return self.home.parent / f"log-{self.code}.jsonl"

    def start(self, *more: str, ready: bool = True, env: dict[str, str] | None = None) -> None:
        """Start ``edoc serve``; with ``ready`` wait until it listens, else it may die before (and ``alive`` tells)."""
        words = ["--json", "--home", str(self.home), "serve", "--port", str(self.port), *more]
        if self.operator_port is not None:
            words += ["--metrics-port", str(self.operator_port)]
        self._out, writing = os.pipe()
        errors = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            self.pid = self.nursery.fork(words, self.control.path, stdout=writing, stderr=errors, env=env)
        finally:
            os.close(writing)
            os.close(errors)
        if ready and not self.listening():
            code = self.nursery.code_of(self.pid)
            self._forget()
            raise NotInTime(f"{self.code} did not start ({code}): {self.log.read_text('utf-8')[-2000:]}")

    def listening(self, *, seconds: float = READY_SECONDS) -> bool:
        """Wait until the node says that it listens; false if it died before."""
        said = b""
        end = time.monotonic() + seconds
        while b"\n" not in said:
            if not select.select([self._out], [], [], max(0.0, end - time.monotonic()))[0]:
                raise NotInTime(f"{self.code} neither listens nor dies")
            more = os.read(self._out, 4096)
            if not more:
                return False
            said += more
        return b'"edoc.serve/1"' in said

    def alive(self) -> bool:
        """Tell whether the process is there."""
        return self.pid is not None and not self.nursery.has_ended(self.pid)

    def died(self, *, seconds: float = 60.0) -> str:
        """Wait until the shim or a point has killed the process; return at which step."""
        assert self.pid is not None
        code = self.nursery.code_of(self.pid, seconds=seconds)
        assert code == -9, f"{self.code} ended with {code}"
        self._forget()
        return self.control.died_at

    def kill(self) -> None:
        """End the process as by ``kill -9``."""
        if self.pid is None:
            return
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self.nursery.code_of(self.pid)
        self._forget()

    def stop(self) -> int:
        """Ask the process to end and return its exit code."""
        assert self.pid is not None
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)
        code = self.nursery.code_of(self.pid)
        self._forget()
        return code

    def pause(self) -> None:
        """Stop the process where it is (SIGSTOP)."""
        assert self.pid is not None
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let a stopped process go on."""
        assert self.pid is not None
        os.kill(self.pid, signal.SIGCONT)

    def run(self, *arguments: str, expect: Sequence[int] = (0,), seconds: float = 60.0) -> dict[str, object]:
        """Run another command on this home and return the document it prints."""
        code, text = self.try_run(*arguments, seconds=seconds)
        assert code in expect, f"edoc {' '.join(arguments)}: {code}: {text[-2000:]}"
        try:
            document = json.loads(text)
        except ValueError:
            return {}
        return document if isinstance(document, dict) else {}

    def try_run(self, *arguments: str, control: Path | None = None, seconds: float = 60.0) -> tuple[int, str]:
        """Run another command on this home, perhaps under a block of its own; return its code and what it printed."""
        reading, writing = os.pipe()
        errors = os.open(self.log.with_name("log-commands.txt"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        words = ["--json", "--home", str(self.home), *arguments]
        try:
            child = self.nursery.fork(words, control or self.control.path, stdout=writing, stderr=errors)
        finally:
            os.close(writing)
            os.close(errors)
        with os.fdopen(reading, "rb") as said:
            text = said.read().decode("utf-8", "replace")
        return self.nursery.code_of(child, seconds=seconds), text

    def descriptors(self) -> int:
        """Count the open descriptors of the process."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def resident(self) -> int:
        """Return the private memory of the process in bytes (shared pages of the nursery do not count)."""
        total = 0
        with open(f"/proc/{self.pid}/smaps_rollup", encoding="ascii") as lines:
            for line in lines:
                if line.startswith(("Private_Clean", "Private_Dirty")):
                    total += int(line.split()[1]) * 1024
        return total

    def _forget(self) -> None:
        self.pid = None
        with suppress(OSError):
            os.close(self._out)
        self._out = -1
