"""Signing a PDF from file to file: the input is mapped, never held, and the output is input ‖ tail (signing.md 3.4).

The output appears by rename only, under its name and complete, or not at all (R33). Read back it is by the same rule as
in memory, unless the options leave that to the caller.
"""

from __future__ import annotations

import mmap
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from signer.algorithms import Scheme
from signer.errors import InputRefused, LimitExceeded
from signer.pdf.finishing import disagreement, read_back
from signer.pdf.sign import Job, Outcome
from signer.report import Reason

_COPIED = 4 * 1024 * 1024
"""Octets copied at once where the system copies nothing by itself."""


@dataclass(frozen=True, slots=True)
class SignedFile:
    """A signed file: where it is, how large, and what ``SignedPdf`` says about it."""

    path: Path
    size: int
    field: str
    page: int | None
    level: str
    scheme: Scheme
    warnings: tuple[Reason, ...]
    way: str
    token_size: int | None


def sign_pdf_file(source: Path, target: Path, *, job: Job) -> SignedFile:
    """Sign the PDF at ``source`` into a new file at ``target``, which is replaced if it is there.

    Raises:
        InputRefused, LimitExceeded, SigningRefused, LevelNotReached, CredentialError: as ``sign_pdf``.
        OSError: a file cannot be read or written.
    """
    with mapped(source, job.limits.pdf_max_bytes) as data:
        done = job.done(cast("bytes", data))
        options = job.options
        with _appearing(target) as temporary:
            _write(source, temporary, done)
            if options.read_back:
                data.forget()  # the output is mapped in its place
                with mapped(temporary, job.limits.pdf_max_bytes + len(done.reserved.tail)) as signed:
                    read_back(cast("bytes", signed), limits=job.limits)
        size = len(data) + len(done.reserved.tail)
    return SignedFile(
        target,
        size,
        done.target.name,
        done.target.number,
        f"PAdES-B-{options.level.upper()}",
        done.scheme,
        disagreement(done.token, options.at),
        done.path,
        None if done.token is None else len(done.token),
    )


class Mapped(mmap.mmap):
    """A mapped file that answers what reading asks of octets."""

    def startswith(self, prefix: bytes, start: int = 0) -> bool:
        """Say whether ``prefix`` stands at an offset."""
        return self[start : start + len(prefix)] == prefix

    def forget(self) -> None:
        """Let the system take the pages back; they are read again when asked for."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self.madvise(mmap.MADV_DONTNEED)

    def count(self, part: bytes) -> int:
        """Return how often something stands in the file."""
        found, at = 0, self.find(part)
        while at >= 0:
            found, at = found + 1, self.find(part, at + len(part))
        return found


@contextmanager
def mapped(path: Path, limit: int) -> Iterator[Mapped]:
    """Map a file for reading. The map stands for its octets: it is sliced, searched, hashed as they would be.

    The file must not be cut short meanwhile: the system ends a program that reads behind the end of a mapped file.

    Raises:
        InputRefused: the file is empty; LimitExceeded: it is larger than ``limit``.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if not size:
            raise InputRefused("EDOC-PDF-003", "the file is empty", path=str(path))
        if size > limit:
            raise LimitExceeded("EDOC-PDF-002", "too large", limit="pdf_max_bytes", value=size, unit="byte")
        with Mapped(file.fileno(), 0, access=mmap.ACCESS_READ) as held:
            yield held


def _write(source: Path, target: Path, done: Outcome) -> None:
    """Copy the input by the system's own means where it has any, and add the tail."""
    with source.open("rb") as before, target.open("wb") as after:
        left = len(done.reserved.before)
        while left:
            moved = _copied(before.fileno(), after.fileno(), left)
            if not moved:
                raise OSError("the input was cut short while it was signed")
            left -= moved
        after.seek(0, os.SEEK_END)
        after.write(done.reserved.tail)
        after.flush()
        os.fsync(after.fileno())


def _copied(before: int, after: int, size: int) -> int:
    if hasattr(os, "copy_file_range"):
        with suppress(OSError):
            return os.copy_file_range(before, after, size)
    chunk = os.read(before, min(size, _COPIED))
    return os.write(after, chunk)


@contextmanager
def _appearing(target: Path) -> Iterator[Path]:
    """Give a temporary file beside the target that takes its name at the end, or disappears."""
    handle, name = tempfile.mkstemp(prefix=f".{target.name[:100]}.", suffix=".tmp", dir=target.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with suppress(OSError):
            shutil.copymode(target, temporary) if target.exists() else temporary.chmod(0o644)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
