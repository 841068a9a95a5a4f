"""Many files at once: as many processes as ``--jobs`` says, answers in the order of the arguments.

Processes, not threads: judging is computation. A file that brings its process down is told as an internal error of its
own; the others are judged all the same.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import TYPE_CHECKING

from transport.desk import checking
from transport.desk import parcels as parcels  # facts of reasons travel between the processes
from transport.present.errors import CommandError, fault
from transport.present.verify import Checked

if TYPE_CHECKING:
    from transport.desk.console import Console
    from transport.judging.files import Judging

_work: tuple[Console, checking.Request, Judging] | None = None  # set in each process before its first file


def in_processes(console: Console, request: checking.Request, judging: Judging) -> list[Checked]:
    """Judge the files in several processes; standard input is read in this one."""
    done: list[Checked] = []
    with _pool(console, request, judging, min(request.jobs, len(request.files))) as pool:
        futures = [(name, None if name == "-" else pool.submit(_one, name)) for name in request.files]
        for name, future in futures:
            done.append(_answer(name, future, (console, request, judging)))
    return done


def _answer(name: str, future: Future[Checked] | None, work: tuple[Console, checking.Request, Judging]) -> Checked:
    console, request, judging = work
    if future is None:
        return checking.one(name, console, judging, request)
    try:
        return future.result()
    except BrokenProcessPool:
        return _alone(name, work)


def _alone(name: str, work: tuple[Console, checking.Request, Judging]) -> Checked:
    """Judge a file in a process of its own, after some file ended a process; it was this one, or it is judged now."""
    console, request, judging = work
    try:
        with _pool(console, request, judging, 1) as pool:
            return pool.submit(_one, name).result()
    except BrokenProcessPool:
        return Checked(name, None, fault(CommandError("EDOC-INT-003", path=name), console.lang))


@contextmanager
def _pool(console: Console, request: checking.Request, judging: Judging, jobs: int) -> Iterator[ProcessPoolExecutor]:
    methods = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("fork" if "fork" in methods else "spawn")
    with ProcessPoolExecutor(jobs, context, _start, (console, request, judging)) as pool:
        yield pool


def _start(console: Console, request: checking.Request, judging: Judging) -> None:
    global _work
    _work = console, request, judging


def _one(name: str) -> Checked:
    if _work is None:
        raise RuntimeError("the process was not told what to do")
    console, request, judging = _work
    return checking.one(name, console, judging, request)
