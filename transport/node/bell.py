"""The bell of a home: a command that has queued something rings it, and the server of the same home hears it.

A hint and nothing more: the poll carries correctness (exchange.md 6, wake-up). The bell is a Unix datagram socket in
the home, whose folder only its owner may enter; what is sent to it is not read. Where there are none, nobody rings.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

NAME = "serve.bell"
_HEARD_AT_ONCE = 64 * 1024


def ring(home: Path) -> None:
    """Ring the bell of a home; without a server there nothing happens."""
    if not hasattr(socket, "AF_UNIX") or not (home / NAME).exists():
        return
    with (
        suppress(OSError),
        _reachable(home) as address,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as line,
    ):
        line.sendto(b"!", address)


@contextmanager
def hearing(home: Path, heard: Callable[[], None]) -> Iterator[None]:
    """Call ``heard`` on the running event loop when the bell rings, however often at once, until the block ends."""
    line = _hung_up(home)
    if line is None:
        yield
        return
    loop = asyncio.get_running_loop()

    def hear() -> None:
        with suppress(OSError):
            while line.recv(_HEARD_AT_ONCE):
                pass
        heard()

    try:
        loop.add_reader(line, hear)
    except NotImplementedError:
        line.close()
        yield
        return
    try:
        yield
    finally:
        loop.remove_reader(line)
        line.close()
        with suppress(OSError):
            (home / NAME).unlink()


def _hung_up(home: Path) -> socket.socket | None:
    """Return the bell's socket, in the place of one that an earlier server left; ``None`` where that cannot be."""
    if not hasattr(socket, "AF_UNIX"):
        return None
    line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        (home / NAME).unlink(missing_ok=True)
        with _reachable(home) as address:
            line.bind(address)
        os.chmod(home / NAME, 0o600)
    except OSError:
        line.close()
        return None
    return line


@contextmanager
def _reachable(home: Path) -> Iterator[str]:
    """Yield the bell's address; a long one is reached through the folder's descriptor, for addresses are short."""
    address = str(home / NAME)
    if len(os.fsencode(address)) < 100:
        yield address
        return
    folder = os.open(home, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{NAME}"
    finally:
        os.close(folder)
