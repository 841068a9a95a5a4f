"""What a node tells its operator of the exchange: metrics and log events (exchange.md 13), never content (I8).

One registry per process part, never the global one. A log line is one JSON object with ``time, level, event, node,
trace_id, k, digest, attempt, problem``; no name of a person, no key, no byte of a message.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TextIO

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from transport.dispatch import Key
from transport.meter import LOG, Meter

if TYPE_CHECKING:
    from transport.store.gauges import Measures

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_FIELDS = (
    "node",
    "trace_id",
    "link",
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

    def __init__(self, *, node: str = "") -> None:
        super().__init__()
        self._node = node

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record; a traceback is named by its exception's type only."""
        moment = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, object] = {
            "time": f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z",
            "level": record.levelname.lower(),
            "event": record.getMessage() if record.name.startswith("edoc") else record.name,
        }
        if self._node:
            line["node"] = self._node
        for name in _FIELDS:
            if hasattr(record, name):
                line[name] = getattr(record, name)
        if record.exc_info and record.exc_info[0] is not None:  # False where a caller asked for none
            line["exception"] = record.exc_info[0].__name__
        return json.dumps(line, ensure_ascii=True, separators=(",", ":"), default=str)


def log_lines(stream: TextIO, *, node: str = "") -> None:
    """Write every log line of this process to a stream as JSON lines: events of the exchange, warnings of libraries.

    Without this a failure inside a library would print its traceback, which may quote what it worked on (I8).
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines(node=node))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("edoc").setLevel(logging.INFO)


_COUNTERS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("attempts", "attempts that ended", ("partner", "outcome")),
    ("accepted", "messages accepted", ("partner",)),
    ("refused", "messages refused by receipt", ("partner", "reason")),
    ("duplicates", "repeats answered with the stored receipt", ("partner",)),
    ("id_conflicts", "ids met with other bytes", ("partner",)),
    ("receipt_invalid", "receipts that settle nothing", ("partner",)),
    ("late_receipts", "receipts after a final state", ("partner",)),
    ("timestamp_missing", "receipts that stayed without time stamp", ()),
    ("lease_lost", "outcomes that came after their lease", ()),
    ("limit_hits", "limits passed", ("limit",)),
    ("auth_failures", "callers not authenticated", ("method",)),
    ("receive_bytes", "body bytes received", ("partner",)),
)
_HISTOGRAMS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("delivery_seconds", "from submit to delivered", ("lane",)),
    ("attempt_seconds", "time of an attempt", ("outcome",)),
    ("receive_seconds", "time of a receiving step", ("step",)),
    ("commit_seconds", "time of a commit", ()),
    ("commit_batch_size", "units in a commit", ()),
)
_GAUGES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("dispatches", "dispatches by state and lane", ("state", "lane")),
    ("dispatch_oldest_seconds", "age of the oldest open dispatch", ("lane",)),
    ("dispatch_overdue", "dispatches without receipt for their alarm time", ("lane",)),
    ("circuit_state", "0 closed, 1 half-open, 2 open", ("partner",)),
    ("partner_requests", "requests being answered", ("partner",)),
    ("disk_free_bytes", "free space", ("volume",)),
    ("spool_bytes", "bytes of bodies being received", ()),
    ("orphans", "blobs no row refers to", ()),
    ("certificate_days", "days until a certificate ends", ("key",)),
    ("revocation_age_seconds", "age of the newest status answer", ()),
    ("clock_offset_seconds", "how far partners' clocks are ahead of ours", ()),
)
_BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000)
PARTNERS_MAX = 1000
"""Values the label ``partner`` may have; what comes beyond them, and every stranger, is ``other``."""


class Reporting(Meter):
    """Counters, gauges, histograms and log events of a process, by the names of exchange.md 13."""

    def __init__(self, *, node: str = "") -> None:
        self.registry = CollectorRegistry()
        self._node = node
        self._partners: set[str] = set()
        r = self.registry
        self.counters = {name: Counter(f"edoc_{name}", text, labels, registry=r) for name, text, labels in _COUNTERS}
        self.histograms = {
            name: Histogram(f"edoc_{name}", text, labels, registry=r, buckets=_buckets(name))
            for name, text, labels in _HISTOGRAMS
        }
        self.gauges = {name: Gauge(f"edoc_{name}", text, labels, registry=r) for name, text, labels in _GAUGES}
        self.accepted, self.refused = self.counters["accepted"], self.counters["refused"]
        self.duplicates, self.conflicts = self.counters["duplicates"], self.counters["id_conflicts"]
        self.limit_hits, self.auth_failures = self.counters["limit_hits"], self.counters["auth_failures"]
        self.receive_bytes, self.step_seconds = self.counters["receive_bytes"], self.histograms["receive_seconds"]
        self.requests, self.spool = self.gauges["partner_requests"], self.gauges["spool_bytes"]
        self.disk_free = self.gauges["disk_free_bytes"]

    def exposition(self) -> bytes:
        """Return the Prometheus text."""
        return bytes(generate_latest(self.registry))

    def count(self, name: str, *labels: str, by: float = 1) -> None:
        """Add to a counter."""
        counter = self.counters[name]
        (counter.labels(*self._known(name, labels)) if labels else counter).inc(by)

    def observe(self, name: str, seconds: float, *labels: str) -> None:
        """Add an observation to a histogram."""
        histogram = self.histograms[name]
        (histogram.labels(*labels) if labels else histogram).observe(seconds)

    def _known(self, name: str, labels: tuple[str, ...]) -> tuple[str, ...]:
        """Keep the label ``partner`` within bounds: codes come from the directory, which may be long."""
        if _LABELS[name][:1] != ("partner",):
            return labels
        return (self.partner(labels[0]), *labels[1:])

    def partner(self, code: str) -> str:
        """Return the label of a partner."""
        if code in self._partners or len(self._partners) < PARTNERS_MAX:
            self._partners.add(code)
            return code
        return "other"

    def measured(self, found: Measures) -> None:
        """Set the gauges that come from the node's rows."""
        for name in ("dispatches", "dispatch_oldest_seconds", "dispatch_overdue", "circuit_state", "certificate_days"):
            self.gauges[name].clear()
        for (state, lane), many in found.dispatches.items():
            self.gauges["dispatches"].labels(state, str(lane)).set(many)
        for lane, age in found.oldest.items():
            self.gauges["dispatch_oldest_seconds"].labels(str(lane)).set(age)
        for lane, many in found.overdue.items():
            self.gauges["dispatch_overdue"].labels(str(lane)).set(many)
        for code, circuit in found.circuits.items():
            self.gauges["circuit_state"].labels(self.partner(code)).set(circuit)
        for key, days in found.certificate_days.items():
            self.gauges["certificate_days"].labels(key).set(days)
        self.gauges["orphans"].set(found.orphans)
        self.gauges["revocation_age_seconds"].set(-1 if found.revocation_age is None else found.revocation_age)
        self.gauges["clock_offset_seconds"].set(found.clock_offset or 0.0)

    def limit(self, name: str) -> None:
        """Count and log that a limit was passed."""
        self.limit_hits.labels(name).inc()
        self.event(logging.WARNING, "limit.hit", limit=name)

    def event(self, level: int, event: str, **fields: object) -> None:
        """Write one log line; ``fields`` are among those of exchange.md 13."""
        LOG.log(level, event, extra={"node": self._node, **fields})


_LABELS = {name: labels for name, _, labels in (*_COUNTERS, *_HISTOGRAMS, *_GAUGES)}


def _buckets(name: str) -> Sequence[float]:
    return _BATCH_SIZES if name == "commit_batch_size" else Histogram.DEFAULT_BUCKETS


def k_of(key: Key) -> str:
    """Return K as logs show it: codes and id, no name."""
    return f"{key.sender}/{key.recipient}/{key.message_id}"
