"""Several processes that do one kind of work, each its share, with what they were forked with (signing.md 2, batch).

A key that is open in memory is there in each of them, and never leaves any. A piece of work that brings its process
down is lost alone: another process takes the next one. When the crew is let go, its processes end what they are at as
they would end by a signal: no half file remains.
"""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.context import ForkContext, ForkProcess
from types import TracebackType
from typing import Generic, Self, TypeVar

from transport.desk import parcels as parcels  # facts of reasons travel between the processes

Answer = TypeVar("Answer")
GOODBYE = 10.0
"""Seconds a process has for ending what it is at."""


def available() -> bool:
    """Say whether processes can be forked here; without, a batch is worked off one by one."""
    return "fork" in multiprocessing.get_all_start_methods()


def cores() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(slots=True)
class _Worker:
    process: ForkProcess
    pipe: connection.Connection[object, object]
    at: int | None = None  # the piece it works on


class Crew(Generic[Answer]):
    """Processes forked from this one that answer ``work(item)``; a context that lets them go."""

    def __init__(self, work: Callable[[str], Answer], jobs: int) -> None:
        self._work = work
        self._context: ForkContext = multiprocessing.get_context("fork")
        self._workers: list[_Worker] = []
        for _ in range(jobs):
            self._hire()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers:
            worker.pipe.close()
            if kind is not None:
                worker.process.terminate()
        for worker in self._workers:
            worker.process.join(GOODBYE)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()

    def answers(
        self, items: Sequence[str], *, enough: Callable[[Answer | None], bool] = lambda _: False
    ) -> Iterator[tuple[int, Answer | None]]:
        """Yield index and answer as they come, ``None`` for a piece that brought its process down.

        After an answer for which ``enough`` is true nothing new is begun; what is at work is waited for.
        """
        waiting = deque(enumerate(items))
        while waiting or self._busy():
            for worker in self._workers:
                if worker.at is None and waiting:
                    worker.at, item = waiting.popleft()
                    _send(worker, item)
            for worker in self._ready():
                index, answer = self._received(worker)
                if enough(answer):
                    waiting.clear()
                yield index, answer

    def _busy(self) -> list[_Worker]:
        return [worker for worker in self._workers if worker.at is not None]

    def _ready(self) -> list[_Worker]:
        pipes = {worker.pipe: worker for worker in self._busy()}
        return [pipes[pipe] for pipe in connection.wait(list(pipes)) if pipe in pipes]

    def _received(self, worker: _Worker) -> tuple[int, Answer | None]:
        index, worker.at = worker.at, None
        assert index is not None
        try:
            answer: Answer = worker.pipe.recv()  # type: ignore[assignment]  # our own process, told what to answer
        except (EOFError, OSError):
            self._replace(worker)
            return index, None
        return index, answer

    def _replace(self, worker: _Worker) -> None:
        worker.pipe.close()
        worker.process.join()
        self._workers.remove(worker)
        self._hire()

    def _hire(self) -> None:
        ours, theirs = self._context.Pipe()
        known = [worker.pipe for worker in self._workers]
        process = self._context.Process(target=_serve, args=(self._work, theirs, [*known, ours]), daemon=True)
        process.start()
        theirs.close()
        self._workers.append(_Worker(process, ours))


def _send(worker: _Worker, item: str) -> None:
    try:
        worker.pipe.send(item)
    except OSError:  # the process has ended; that is seen when its answer is waited for
        return


def _serve(
    work: Callable[[str], object],
    pipe: connection.Connection[object, object],
    others: Sequence[connection.Connection[object, object]],
) -> None:
    """Answer until the other end is closed; an error that is a bug ends the process, and its piece with it."""
    for other in others:  # ends that belong to the parent: kept open here, they would hide that it is gone
        other.close()
    try:
        while True:
            pipe.send(work(str(pipe.recv())))
    except (EOFError, OSError, KeyboardInterrupt, SystemExit):
        return
