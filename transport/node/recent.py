"""Messages that have just been judged, kept until what follows their acceptance is done (exchange.md 3.1, P0).

A message is judged and read before it is accepted. Its arrival is told and its files are checked within the same
second, in the same process; what was read then need not be read a second time. Nothing here is needed: what is not
found is read from the store and judged again.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edoc.seal import OpenedEnvelope

MANY, BYTES = 256, 16 * 1024 * 1024
"""Messages, and bytes of all of them, that are kept; the oldest make room."""
FRESH = timedelta(seconds=60)
"""How long the judgement at arrival stands for one made now."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A message that was opened, and when its seal was judged."""

    opened: OpenedEnvelope
    at: datetime

    def holds(self, now: datetime) -> bool:
        """Say whether the judgement stands for one made at ``now``."""
        return timedelta(0) <= now - self.at <= FRESH


class Recent:
    """Messages of late, by the SHA-256 (hexadecimal) of their bytes; shared by the threads of a process."""

    def __init__(self) -> None:
        self._held: OrderedDict[str, Judged] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def note(self, opened: OpenedEnvelope, at: datetime) -> None:
        """Keep a message that was judged at a moment."""
        with self._lock:
            self._drop(opened.data_sha256)
            if opened.size > BYTES:
                return
            self._held[opened.data_sha256] = Judged(opened, at)
            self._bytes += opened.size
            while len(self._held) > MANY or self._bytes > BYTES:
                self._drop(next(iter(self._held)))

    def of(self, sha256: str) -> Judged | None:
        """Return a message if it is still kept."""
        with self._lock:
            return self._held.get(sha256)

    def done(self, sha256: str) -> None:
        """Let go of a message: nothing follows any more."""
        with self._lock:
            self._drop(sha256)

    def _drop(self, sha256: str) -> None:
        held = self._held.pop(sha256, None)
        if held is not None:
            self._bytes -= held.opened.size
