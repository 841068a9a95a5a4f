"""A worker that is kept between files, for batches: starting one takes longer than what it does (signing.md 3.3).

It starts a process for each file, so none sees another's; that process gives up everything but its pipes before it
looks at the file (``signer.pdf.pictureworker``). An answer begins with a token that nobody could know before it was
asked for, so what an earlier file may have left in the pipe is not taken for it. A worker that fails, or answers too
late, is ended, and the next question starts another. Each process of ours has its own.
"""

from __future__ import annotations

import atexit
import json
import os
import secrets
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from threading import Lock, Timer
from typing import IO, TypeVar

from signer.pdf.pictures import command

Answer = TypeVar("Answer")
TOKEN = 16


class Kept:
    """The worker of this process, started when it is first asked."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._worker: subprocess.Popen[bytes] | None = None
        self._process = 0

    def ask(
        self, request: Mapping[str, object], data: bytes, *, seconds: int, read: Callable[[IO[bytes]], Answer | None]
    ) -> Answer | None:
        """Return what ``read`` makes of the answer; ``None`` where the worker, or ``read``, gives none.

        ``read`` takes exactly the octets of an answer, and returns ``None`` where they are not all there.
        """
        with self._lock:
            worker = self._running()
            watch = Timer(2 * seconds + 1, worker.kill)
            watch.daemon = True
            watch.start()
            found = None
            try:
                found = _asked(worker, request, data, read)
            finally:
                watch.cancel()
                if found is None:
                    self._end()
            return found

    def close(self) -> None:
        """End the worker, if there is one."""
        with self._lock:
            self._end()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._worker is not None and self._process != os.getpid():
            self._worker.returncode = 0  # it is the worker of the process we were forked from
            self._worker = None
        if self._worker is not None and self._worker.poll() is not None:
            self._end()
        if self._worker is None:
            self._worker = subprocess.Popen(
                [*command(), "keep"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={},
                start_new_session=True,  # an interrupt at the terminal is for us
            )
            self._process = os.getpid()
        return self._worker

    def _end(self) -> None:
        worker, self._worker = self._worker, None
        if worker is None or self._process != os.getpid():
            return
        for pipe in (worker.stdin, worker.stdout):
            assert pipe is not None
            with suppress(BrokenPipeError):  # it was gone before all was written
                pipe.close()
        worker.kill()
        worker.wait()


def _asked(
    worker: subprocess.Popen[bytes],
    request: Mapping[str, object],
    data: bytes,
    read: Callable[[IO[bytes]], Answer | None],
) -> Answer | None:
    assert worker.stdin is not None
    assert worker.stdout is not None
    token = secrets.token_bytes(TOKEN)
    head = json.dumps({**request, "size": len(data), "token": token.hex()}).encode("ascii") + b"\n"
    try:
        worker.stdin.write(head)
        worker.stdin.write(data)
        worker.stdin.flush()
    except BrokenPipeError:
        return None
    return read(worker.stdout) if worker.stdout.read(TOKEN) == token else None


KEPT = Kept()
atexit.register(KEPT.close)
