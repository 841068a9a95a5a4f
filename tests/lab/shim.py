"""The fault shim as the laboratory sees it: building it, and the control block of one process (``shim.c``).

The block is a small file mapped by both sides: what the laboratory writes into it holds from the next system call of
the process on. Nothing of the product knows of it.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import shutil
import subprocess
from datetime import timedelta
from enum import IntFlag
from pathlib import Path

SOURCE = Path(__file__).with_name("shim.c")
FOR_EVER = 1 << 62


class Kind(IntFlag):
    """What kind of step a process takes: it changes a file, or says something on a socket."""

    OPEN = 1
    WRITE = 2
    FLUSH = 4
    RENAME = 8
    UNLINK = 16
    MKDIR = 32
    TRUNCATE = 64
    SEND = 128
    CREATE = 256


class Block(ctypes.Structure):
    """``struct control`` of ``shim.c``, field by field."""

    _fields_ = (
        ("clock_offset_ns", ctypes.c_int64),
        ("steps", ctypes.c_uint64),
        ("kill_at", ctypes.c_uint64),
        ("killed_kind", ctypes.c_uint64),
        ("fault_kinds", ctypes.c_uint64),
        ("fault_errno", ctypes.c_int64),
        ("fault_from", ctypes.c_uint64),
        ("fault_count", ctypes.c_uint64),
        ("matched", ctypes.c_uint64),
        ("faults", ctypes.c_uint64),
        ("free_bytes", ctypes.c_int64),
        ("recording", ctypes.c_uint64),
        ("short_write", ctypes.c_uint64),
        ("root", ctypes.c_char * 256),
        ("fault_path", ctypes.c_char * 256),
        ("journal", ctypes.c_char * 256),
        ("killed_path", ctypes.c_char * 256),
    )


def available() -> bool:
    """Tell whether the shim can be built here: a C compiler on Linux."""
    return shutil.which("cc") is not None and Path("/proc/self/fd").is_dir()


def build(folder: Path) -> Path:
    """Compile the shim into a folder and return where it is."""
    made = folder / "shim.so"
    if not made.exists():
        flags = ["-shared", "-fPIC", "-O1", "-Wall", "-Werror"]
        subprocess.run(["cc", *flags, "-o", str(made), str(SOURCE), "-ldl", "-lpthread"], check=True)
    return made


class Control:
    """The control block of one process; a new process on the same home gets the same block."""

    def __init__(self, path: Path, *, root: Path) -> None:
        self.path = path
        with path.open("wb") as file:
            file.truncate(ctypes.sizeof(Block))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), ctypes.sizeof(Block))
        self.block = Block.from_buffer(self._map)
        self.block.free_bytes = -1
        self.block.root = f"{root}/".encode()

    def turn(self, by: timedelta) -> None:
        """Turn the clock of the process, on top of what it was turned before."""
        self.block.clock_offset_ns += int(by / timedelta(microseconds=1)) * 1000

    @property
    def offset(self) -> timedelta:
        """How far the clock of the process is ahead of ours."""
        return timedelta(microseconds=int(self.block.clock_offset_ns) // 1000)

    def kill_after(self, steps: int) -> None:
        """Let the process die at the given step from now on, as by ``kill -9``; 0 takes the order back."""
        self.block.killed_path = b""
        self.block.kill_at = 0
        self.block.steps = 0
        self.block.kill_at = steps

    def fail(self, kinds: Kind, path: str, *, error: int = errno.ENOSPC, nth: int = 1, times: int = FOR_EVER) -> None:
        """Let steps of some kinds fail whose path holds ``path``: from the nth on, so many times."""
        block = self.block
        block.fault_kinds = 0
        block.fault_path, block.fault_errno = path.encode(), error
        block.fault_from, block.fault_count = nth, times
        block.matched = block.faults = 0
        block.fault_kinds = int(kinds)

    def heal(self) -> None:
        """End all faults; the clock stays where it is."""
        self.block.fault_kinds = 0
        self.block.kill_at = 0
        self.block.free_bytes = -1

    def record(self, journal: Path) -> None:
        """Journal what the next process does that attaches to this block."""
        self.block.journal = str(journal).encode()
        self.block.recording = 1

    @property
    def died_at(self) -> str:
        """What the process was about to do when the shim killed it; empty if it was not the shim."""
        where = self.block.killed_path.decode("utf-8", "replace")
        return f"{Kind(self.block.killed_kind).name} {Path(where).name}" if where else ""
