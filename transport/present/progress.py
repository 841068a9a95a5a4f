"""How far a batch is: a bar on a terminal, a plain line now and then elsewhere (console.md 1, row "Terminal or pipe").

The bar appears after half a second, on the error stream, and is gone before a result is printed and at the end. Without
a terminal, or on a dumb one, a line comes every ten seconds. Under ``-q`` and ``--json`` there is neither.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO

from transport.present import catalogue

if TYPE_CHECKING:
    from transport.desk.console import Console

FIRST = 0.5
"""Seconds before the bar appears."""
EVERY = 0.1
"""Seconds between two pictures of the bar."""
PLAIN = 10.0
"""Seconds between two plain lines."""
WIDTH = 30


class Progress:
    """Says how many of ``total`` are done."""

    def __init__(
        self,
        console: Console,
        total: int,
        *,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._total = total
        self._lang = console.lang
        self._signs = console.signs
        self._clock = clock
        self._silent = console.quiet or console.json or total < 2
        self._bar = self._stream.isatty() and console.environ.get("TERM") != "dumb"
        self._start = clock()
        self._next = self._start + (FIRST if self._bar else PLAIN)
        self._drawn = False

    def told(self, done: int) -> None:
        """Show that ``done`` are through, if it is time to."""
        now = self._clock()
        if self._silent or now < self._next or done >= self._total:
            return
        self._next = now + (EVERY if self._bar else PLAIN)
        if self._bar:
            self._write(f"\r\x1b[K{self._picture(done)}")
            self._drawn = True
        else:
            text = catalogue.word("progress.line", self._lang, done=done, total=self._total)
            self._write(f"edoc: {text}\n")

    def clear(self) -> None:
        """Take the bar away, before something else is printed."""
        if self._drawn:
            self._write("\r\x1b[K")
            self._drawn = False

    def _picture(self, done: int) -> str:
        filled = WIDTH * done // self._total
        full, empty = ("█", "░") if self._signs else ("#", ".")
        seconds = int(self._clock() - self._start)
        return (
            f"edoc: {full * filled}{empty * (WIDTH - filled)} {done}/{self._total} · {seconds // 60}:{seconds % 60:02}"
        )

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:  # nobody looks any more; the work goes on
            self._silent = True
