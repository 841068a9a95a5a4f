"""``edoc serve``: one server of a home, in one process or in several (console.md 4.4, exchange.md 9)."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from transport.desk import ledgers
from transport.desk.nodes import TRANSPORT_ANCHORS, Pins, networked, request_key, working
from transport.errors import SettingsError, TransportError

if TYPE_CHECKING:
    from transport.desk.console import Console
    from transport.http.reporting import Reporting
    from transport.present.errors import Fault
    from transport.settings import Settings

log = logging.getLogger("edoc.node")


@dataclass(frozen=True, slots=True)
class Listening:
    """How the server listens."""

    host: str = "127.0.0.1"
    port: int = 8443
    tls_cert: str | None = None
    tls_key: str | None = None
    client_ca: str | None = None
    courier: bool = True
    metrics_port: int | None = None
    behind_proxy: tuple[str, ...] = ()
    workers: int = 1


def no_network(texts: Sequence[str]) -> str | None:
    """Return the first text that is no address or network, ``None`` if all are."""
    import ipaddress

    for text in texts:
        try:
            ipaddress.ip_network(text)
        except ValueError:
            return text
    return None


@dataclass(frozen=True, slots=True)
class Part:
    """Which of a server's processes this is: number 0 also does what one process alone may do."""

    number: int = 0
    of: int = 1
    listener: socket.socket | None = None


def serve(console: Console, pins: Pins, wanted: Listening, *, on_ready: Callable[[dict[str, str]], None]) -> int:
    """Serve until SIGTERM or SIGINT; one server per home, in one process or in several. Return the exit code.

    Raises:
        SettingsError: a key is missing, the port is taken, another server holds the home, TLS cannot be used, or
            several processes are asked for on a database that only one may serve.
    """
    from transport.store.lock import ServerLock

    if wanted.workers == 1:
        with ServerLock(ledgers.settings_of(console).home):
            _serve(console, pins, wanted, on_ready=on_ready, part=Part())
        return 0
    from signer.errors import SignerError
    from transport.desk import overseer
    from transport.present import errors

    pins = replace(pins, answers={})
    with working(console, pins) as node:  # what is wrong is said once, and pass phrases are asked once
        request_key(node, console, pins)
        if not node.office.store.shared or not hasattr(os, "fork"):
            raise SettingsError("EDOC-CFG-017", "several processes need PostgreSQL", workers=wanted.workers)
        home = node.office.settings.home
    with ServerLock(home):
        try:
            shared = overseer.listener(wanted.host, wanted.port)
        except OSError as error:
            raise SettingsError(
                "EDOC-EXC-011", "the address cannot be listened on", host=wanted.host, port=wanted.port
            ) from error

        def work(number: int, ready: Callable[[dict[str, str]], None], failed: Callable[[str], None]) -> int:
            began = False

            def note(urls: dict[str, str]) -> None:
                nonlocal began
                began = True
                ready(urls)

            try:
                _serve(console, pins, wanted, on_ready=note, part=Part(number, wanted.workers, shared))
            except (TransportError, SignerError) as error:
                problem = errors.fault(error, console.lang)
                if not began:
                    failed(_as_printed(problem, console))
                return int(problem.exit_code)
            return 0

        return overseer.Overseer(work, wanted.workers, on_ready, lambda text: _print(text, console)).run()


def _as_printed(problem: Fault, console: Console) -> str:
    """Return an error as this call prints it; one worker's word is printed for all."""
    from transport.present import errors

    if console.json:
        return json.dumps(errors.document(problem), ensure_ascii=False, indent=2)
    return "\n".join(errors.lines(problem, console.lang))


def _print(text: str, console: Console) -> None:
    stream = sys.stdout if console.json else sys.stderr
    print(text, file=stream, flush=True)


def _serve(
    console: Console, pins: Pins, wanted: Listening, *, on_ready: Callable[[dict[str, str]], None], part: Part
) -> None:
    from transport.desk.receiptstamps import ReceiptStamps
    from transport.http.config import ServeConfig
    from transport.http.limits import HttpLimits
    from transport.http.reporting import Reporting, log_lines
    from transport.http.server import serve as run
    from transport.http.server import utc_now
    from transport.node import upkeep

    log_lines(sys.stderr, node="nut-1")
    with working(console, pins) as node:
        networked(node, console, pins)
        if node.office.settings.tsa_urls:
            node.office.timestamper = ReceiptStamps(node.office, clock=utc_now)
        if node.office.request is None:
            raise SettingsError("EDOC-CFG-022", "the node has no request key", agency=node.office.code)
        if part.number == 0:
            node.office.store.blobs.sweep()
        config = ServeConfig(
            spool=_spool(node.office.settings.home, part),
            host=wanted.host,
            port=wanted.port,
            demo=node.office.settings.demo,
            tls_cert=_path(wanted.tls_cert),
            tls_key=_path(wanted.tls_key),
            client_ca=_client_anchors(wanted, node.office.settings),
            proxies=tuple(dict.fromkeys((*node.office.settings.proxies, *wanted.behind_proxy))),
            metrics_port=_metrics_port(wanted.metrics_port, part),
            listener=part.listener,
            node_name=node.office.node_name,
            limits=HttpLimits.of(node.office.settings.limits),
            request_key=node.office.request,
            follow_trace=node.office.settings.follow_trace,
            uploads=node.office.settings.resumable_upload,
            uploads_folder=node.office.settings.home / "spool",  # parts may reach different processes
            endpoint=node.office.settings.endpoint,
            on_ready=on_ready,
        )
        report = Reporting(node=node.office.node_name)
        node.office.meter = report
        node.office.store.measured_by(lambda units, seconds: _measure(report, units, seconds))
        alone = part.number == 0
        if alone and node.office.store.without_standby():
            log.warning("database.no-synchronous-standby")
        beside = [lambda stop: upkeep.run(node.office, stop, clock=utc_now, alone=alone)]
        node.office.store.listen(lambda: node.office.on_work())
        beside += [node.run_effects, *([node.run_courier] if wanted.courier else [])]
        if part.of == 1:
            beside.append(node.run_bell)
        if wanted.courier and part.number == 0:
            beside.append(node.run_partners)
        if wanted.courier and part.number == 0 and node.office.settings.delivery == "pull":
            beside.append(node.run_puller)
        asyncio.run(run(node, config=config, alongside=beside, report=report))


def _spool(home: Path, part: Part) -> Path:
    """Return the folder of a process's bodies on their way in: one for each, emptied at its start (exchange.md 9)."""
    return home / "spool" if part.of == 1 else home / "spool" / f"worker-{part.number}"


def _metrics_port(port: int | None, part: Part) -> int | None:
    """Return the port of a process's operator pages: those after the first have the ports that follow."""
    return port + part.number if port else port


def _measure(report: Reporting, units: int, seconds: float) -> None:
    report.observe("commit_seconds", seconds)
    report.observe("commit_batch_size", units)


def _client_anchors(wanted: Listening, settings: Settings) -> Path | None:
    """Return whom client certificates must lead to: ``--client-ca``, else the anchors of use ``tls``, if any."""
    if wanted.client_ca:
        return Path(wanted.client_ca)
    kept = settings.home / TRANSPORT_ANCHORS
    return kept if kept.is_file() and wanted.tls_cert else None


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None
