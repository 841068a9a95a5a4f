"""The clerk's check of a large message in a process of its own: memory and time end with it (exchange.md 11, 12).

What the node knows goes along as frozen values; the bytes are read there from the stored file, once.
"""

from __future__ import annotations

import multiprocessing
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from transport.errors import StoreError
from transport.intake import PIECE

if TYPE_CHECKING:
    from edoc.agencies import Directory
    from signer.report import Report
    from signer.trust import Context
    from transport.node.office import Office

SECONDS = 900.0
"""How long a check may take before it is given up."""
MEMORY_BYTES = 4 * 2**30
"""Address space of the process, where the system can limit it."""


def judge(office: Office, sha256: str, *, now: datetime) -> Report:
    """Judge a large sealed message and its attachments with this node's trust and directory.

    Raises:
        StoreError: it cannot be read, or the check did not end.
    """
    context, directory = office.context(now), office.directory()
    with _file(office, sha256) as path:
        report = _apart(path, context, directory)
        if report.needs and (richer := office.with_status(context, report.needs, now)) is not None:
            report = _apart(path, richer, directory)
    return report


@contextmanager
def _file(office: Office, sha256: str) -> Iterator[Path]:
    """Give the stored bytes as a file: the one they lie in, or a copy where they lie elsewhere."""
    with office.store.reading(sha256) as source:
        name = getattr(source, "name", None)
        if isinstance(name, str | Path) and Path(name).is_file():
            yield Path(name)
            return
        with tempfile.NamedTemporaryFile(dir=office.settings.home, prefix=".check-") as copy:
            shutil.copyfileobj(source, copy, PIECE)
            copy.flush()
            yield Path(copy.name)


def _apart(path: Path, context: Context, directory: Directory) -> Report:
    from signer.report import Report
    from transport.desk import parcels as parcels  # facts of reasons travel between the processes

    method = multiprocessing.get_context("spawn")
    ours, theirs = method.Pipe(duplex=False)
    process = method.Process(target=_work, args=(theirs, path, context, directory), daemon=True)
    process.start()
    theirs.close()
    try:
        found = ours.recv() if ours.poll(SECONDS) else None
    except (EOFError, OSError):
        found = None
    finally:
        ours.close()
        process.kill()
        process.join()
    if not isinstance(found, Report):
        raise StoreError("EDOC-STO-001", "the check did not end", doing="checking", reason="memory or time")
    return found


def _work(pipe: Connection, path: Path, context: Context, directory: Directory) -> None:
    from transport.desk import parcels as parcels

    _limit_memory()
    pipe.send(check(path, context, directory))


def check(path: Path, context: Context, directory: Directory) -> Report:
    """Judge the file; called in the other process."""
    from signer.xml.profiles import inspect_seal
    from signer.xml.stream import NotStreamable
    from transport.judging.files import Judging
    from transport.judging.streaming import judge_stream

    judging = Judging(context, directory)
    try:
        with path.open("rb") as file:
            return judge_stream(iter(lambda: file.read(PIECE), b""), judging=judging)
    except NotStreamable:
        return judging.known(inspect_seal(path.read_bytes(), context=context).report)


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # a system that limits nothing
        return
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
