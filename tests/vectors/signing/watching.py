"""Signing one file in a process of its own: how it ended, how long the processor worked, how far memory grew."""

from __future__ import annotations

import os
import pickle
import resource
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from signer.errors import SignerError
from signer.pdf.sign import SignedPdf

CPU_SECONDS = 20
"""After so many seconds of work the system ends the process: a hang."""
MIB = 2**20
MEMORY_FREE, MEMORY_RATIO = 64 * MIB, 20
"""Octets that memory may grow by at any file, and times the size of the file besides (signing.md 10, A5)."""


@dataclass(frozen=True)
class Watched:
    """How it ended: ``signed``, the code of a refusal, or what escaped."""

    outcome: str
    signed: SignedPdf | None = None
    said: str = ""
    seconds: float = 0.0
    growth: int = 0

    def bounded(self, size: int) -> bool:
        """Say whether memory kept its bound for a file of ``size`` octets."""
        return self.growth <= MEMORY_FREE + MEMORY_RATIO * size


def watched(work: Callable[[], SignedPdf]) -> Watched:
    """Do the work in a forked process."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        with os.fdopen(writing, "wb") as out:
            pickle.dump(_done(work), out)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as back:
        answer = back.read()
    ended = os.waitpid(child, 0)[1]
    if not answer:
        return Watched(f"ended by signal {os.WTERMSIG(ended)}")
    found = pickle.loads(answer)
    assert isinstance(found, Watched)
    return found


def _done(work: Callable[[], SignedPdf]) -> Watched:
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    with open("/proc/self/clear_refs", "w") as peak:
        peak.write("5")
    before, start = _peak(), time.process_time()
    try:
        end: tuple[str, SignedPdf | None, str] = ("signed", work(), "")
    except SignerError as refused:
        end = (str(refused.code), None, f"{refused} {dict(refused.facts)}")
    except BaseException:  # whatever escapes is what we look for
        end = ("escaped", None, traceback.format_exc(limit=-4))
    return Watched(*end, time.process_time() - start, _peak() - before)


def _peak() -> int:
    with open("/proc/self/status") as status:
        return int(next(line for line in status if line.startswith("VmHWM")).split()[1]) * 1024
