"""What work tells its operator (exchange.md 13): counts, durations and events, by the names used there.

The work knows only this; who counts is decided where a process begins. Without anybody to count, nothing is counted,
and events go to the log alone. Labels are codes and words of closed lists, never content (I8).
"""

from __future__ import annotations

import logging

LOG = logging.getLogger("edoc.exchange")


class Meter:
    """Counts nothing; events become log lines. ``transport.http.reporting`` has the one that counts."""

    def count(self, name: str, *labels: str, by: float = 1) -> None:
        """Add to a counter, named without ``edoc_`` and ``_total``."""

    def observe(self, name: str, seconds: float, *labels: str) -> None:
        """Add an observation to a histogram, named without ``edoc_``."""

    def event(self, level: int, event: str, **fields: object) -> None:
        """Write one log line; ``fields`` are among those of exchange.md 13."""
        LOG.log(level, event, extra=fields)


SILENT = Meter()
"""For work whose process counts nothing."""
