"""``edoc serve --workers N``: several processes behind one address, on a database they can share (exchange.md 9).

The overseer opens the listening socket, forks the workers before anything has threads, hands signals on, and starts a
worker again that ended by itself. It holds no key and serves nothing. A worker that cannot begin ends them all.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType

DRAIN_SECONDS = 40.0
"""How long workers may finish what is under way; a worker drains for 30 s itself."""
AGAIN_SECONDS = 1.0
"""Pause before a worker that ended by itself is started again."""

Worker = Callable[[int, Callable[[dict[str, str]], None], Callable[[str], None]], int]
"""Serves as the worker of a number, calls back when ready or with why it cannot begin, returns its exit code."""


@dataclass
class Overseer:
    """The processes of one server: ``work`` runs in each of them."""

    work: Worker
    many: int
    on_ready: Callable[[dict[str, str]], None]
    on_failed: Callable[[str], None]
    _children: dict[int, int] = field(default_factory=dict)  # process id to number
    _ready: dict[int, dict[str, str]] = field(default_factory=dict)
    _told: dict[int, int] = field(default_factory=dict)  # descriptor to number
    _failed: bool = False
    _stopping: bool = False
    _code: int = 0

    def run(self) -> int:
        """Run the workers until SIGTERM or SIGINT; return the exit code."""
        for name in ("SIGTERM", "SIGINT", "SIGHUP"):
            signal.signal(getattr(signal, name), self._hand_on)
        for number in range(self.many):
            self._start(number)
        while self._children:
            self._listen()
            self._reap()
        self._listen()  # the last word of a worker that could not begin
        return self._code

    def _start(self, number: int) -> None:
        reading, writing = os.pipe()
        process = os.fork()
        if process == 0:
            os.close(reading)
            for name in ("SIGTERM", "SIGINT", "SIGHUP"):
                signal.signal(getattr(signal, name), signal.SIG_DFL)
            code = 70
            try:
                code = self.work(
                    number,
                    lambda urls: _tell(writing, {"urls": urls}),
                    lambda reason: _tell(writing, {"failed": reason}),
                )
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        os.close(writing)
        self._children[process] = number
        self._told[reading] = number

    def _listen(self) -> None:
        """Hear which workers are ready; the first time all are, the server is. One reason why not is passed on."""
        heard, _, _ = select.select(list(self._told), [], [], 0.2)
        for descriptor in heard:
            number = self._told.pop(descriptor)
            with os.fdopen(descriptor, "rb") as pipe:
                line = pipe.readline()
            told = json.loads(line) if line else {}
            if "failed" in told and not self._failed:
                self._failed = True
                self.on_failed(told["failed"])
            if "urls" in told and number not in self._ready:
                self._ready[number] = told["urls"]
                if len(self._ready) == self.many:
                    self.on_ready(self._ready[0])

    def _reap(self) -> None:
        while self._children:
            process, status = os.waitpid(-1, os.WNOHANG)
            if process == 0:
                return
            number = self._children.pop(process, None)
            if number is None:
                continue
            code = os.waitstatus_to_exitcode(status)
            if self._stopping:
                self._code = self._code or max(code, 0)
            elif number not in self._ready:  # it never began: settings, keys, port; the others would fail alike
                self._code = code if code > 0 else 70
                self._stop(signal.SIGTERM)
            else:
                time.sleep(AGAIN_SECONDS)
                self._start(number)

    def _hand_on(self, number: int, _frame: FrameType | None) -> None:
        if number == getattr(signal, "SIGHUP", None):
            self._send(number)
        else:
            self._stop(signal.SIGTERM)

    def _stop(self, number: int) -> None:
        self._stopping = True
        self._send(number)
        signal.signal(signal.SIGALRM, lambda *_: self._send(signal.SIGKILL))
        signal.alarm(int(DRAIN_SECONDS))

    def _send(self, number: int) -> None:
        for process in list(self._children):
            try:
                os.kill(process, number)
            except ProcessLookupError:
                continue


def _tell(descriptor: int, what: dict[str, object]) -> None:
    with os.fdopen(descriptor, "wb") as pipe:
        pipe.write(json.dumps(what).encode("utf-8") + b"\n")


def listener(host: str, port: int) -> socket.socket:
    """Open the socket that the workers share.

    Raises:
        OSError: the address cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=1024)
