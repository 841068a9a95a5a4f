"""Where and how a node listens: one frozen value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from socket import socket

from transport.http.limits import HttpLimits
from transport.http.wire import RequestKey


@dataclass(frozen=True, slots=True)
class ServeConfig:
    """Where and how a node listens. ``port`` and ``metrics_port`` 0 take a free one; ``None``: no operator's page."""

    spool: Path
    host: str = "127.0.0.1"
    port: int = 8443
    demo: bool = False
    tls_cert: Path | None = None
    tls_key: Path | None = None
    client_ca: Path | None = None
    proxies: tuple[str, ...] = ()  # TLS proxies whose Client-Cert is believed, in CIDR form
    endpoint: str | None = None  # as partners call this node; requests for another authority are not ours
    follow_trace: bool = False  # continue a partner's trace instead of linking to it
    uploads: bool = False  # resumable upload (exchange.md 12)
    uploads_folder: Path | None = None  # shared by all processes of a server; ``None``: the spool
    metrics_host: str = "127.0.0.1"
    metrics_port: int | None = 0
    node_name: str = ""
    limits: HttpLimits = field(default_factory=HttpLimits)
    request_key: RequestKey | None = None
    listener: socket | None = None  # opened before, shared by several processes
    on_ready: Callable[[dict[str, str]], None] | None = None

    @property
    def scheme(self) -> str:
        """``https``, or ``http`` without a certificate."""
        return "http" if self.tls_cert is None else "https"
