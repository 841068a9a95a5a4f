"""What a node tells its operator of the exchange: metrics and log events (exchange.md 13), never content (I8).

One registry per process part, never the global one. A log line is one JSON object with ``time, level, event, node,
trace_id, k, digest, attempt, problem``; no name of a person, no key, no byte of a message.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import TextIO

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from transport.dispatch import Key

LOG = logging.getLogger("edoc.exchange")
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_FIELDS = (
    "event",
    "node",
    "trace_id",
    "k",
    "digest",
    "attempt",
    "problem",
    "instance",
    "limit",
    "steps",
    "kind",
    "code",
    "error",
)


class JsonLines(logging.Formatter):
    """One JSON object a line, of the fields of exchange.md 13 alone: the message text itself is a fixed event name."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record; a traceback is named by its exception's type only."""
        moment = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, object] = {
            "time": f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z",
            "level": record.levelname.lower(),
            "event": record.getMessage() if record.name.startswith("edoc") else record.name,
        }
        for name in _FIELDS:
            if hasattr(record, name):
                line[name] = getattr(record, name)
        if record.exc_info is not None and record.exc_info[0] is not None:
            line["exception"] = record.exc_info[0].__name__
        return json.dumps(line, ensure_ascii=True, separators=(",", ":"), default=str)


def log_lines(stream: TextIO) -> None:
    """Write every log line of this process to a stream as JSON lines: events of the exchange, warnings of libraries.

    Without this a failure inside a library would print its traceback, which may quote what it worked on (I8).
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("edoc").setLevel(logging.INFO)


class Reporting:
    """Counters, histograms and log events of the receiving side. Label ``partner``: only callers that authenticated."""

    def __init__(self, *, node: str = "") -> None:
        self.registry = CollectorRegistry()
        self._node = node
        r = self.registry
        self.accepted = Counter("edoc_accepted", "messages accepted", ["partner"], registry=r)
        self.refused = Counter("edoc_refused", "messages refused by receipt", ["partner", "reason"], registry=r)
        self.duplicates = Counter(
            "edoc_duplicates", "repeats answered with the stored receipt", ["partner"], registry=r
        )
        self.conflicts = Counter("edoc_id_conflicts", "ids met with other bytes", ["partner"], registry=r)
        self.limit_hits = Counter("edoc_limit_hits", "limits passed", ["limit"], registry=r)
        self.auth_failures = Counter("edoc_auth_failures", "callers not authenticated", ["method"], registry=r)
        self.receive_bytes = Counter("edoc_receive_bytes", "body bytes received", ["partner"], registry=r)
        self.requests = Gauge("edoc_partner_requests", "requests being answered", ["partner"], registry=r)
        self.spool = Gauge("edoc_spool_bytes", "bytes of bodies being received", registry=r)
        self.disk_free = Gauge("edoc_disk_free_bytes", "free space", ["volume"], registry=r)
        self.step_seconds = Histogram("edoc_receive_seconds", "time of a receiving step", ["step"], registry=r)

    def exposition(self) -> bytes:
        """Return the Prometheus text."""
        return bytes(generate_latest(self.registry))

    def limit(self, name: str) -> None:
        """Count and log that a limit was passed."""
        self.limit_hits.labels(name).inc()
        self.event(logging.WARNING, "limit.hit", limit=name)

    def event(self, level: int, event: str, **fields: object) -> None:
        """Write one log line; ``fields`` are among those of exchange.md 13."""
        LOG.log(level, event, extra={"node": self._node, **fields})


def k_of(key: Key) -> str:
    """Return K as logs show it: codes and id, no name."""
    return f"{key.sender}/{key.recipient}/{key.message_id}"
