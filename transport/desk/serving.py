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
from transport.errors import SettingsError

if TYPE_CHECKING:
    from transport.desk.console import Console
    from transport.http.config import ServeConfig
    from transport.http.reporting import Reporting
    from transport.http.server import Alongside
    from transport.node.node import Node
    from transport.present.errors import Fault
    from transport.settings import Settings

log = logging.getLogger("edoc.node")

Ready = Callable[[dict[str, str]], None]
"""Told the addresses once the server listens."""


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


def serve(console: Console, pins: Pins, wanted: Listening, *, on_ready: Ready) -> int:
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
    return _several(console, replace(pins, answers={}), wanted, on_ready)


def _several(console: Console, pins: Pins, wanted: Listening, on_ready: Ready) -> int:
    """Serve with several processes, once it is clear that they can begin."""
    from transport.desk import overseer
    from transport.store.lock import ServerLock

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

        def work(number: int, ready: Ready, failed: Callable[[str], None]) -> int:
            return _worker(console, pins, wanted, (Part(number, wanted.workers, shared), ready, failed))

        return overseer.Overseer(work, wanted.workers, on_ready, lambda text: _print(text, console)).run()


def _worker(console: Console, pins: Pins, wanted: Listening, own: tuple[Part, Ready, Callable[[str], None]]) -> int:
    """Serve as one of several processes. What keeps it from beginning is told once for all, what ends it later here."""
    from transport.present import errors

    part, ready, failed = own
    began = False

    def note(urls: dict[str, str]) -> None:
        nonlocal began
        began = True
        ready(urls)

    try:
        _serve(console, pins, wanted, on_ready=note, part=part)
    except Exception as error:  # the edge of a process: whatever ends it has words, as for the command itself
        problem = errors.fault(error, console.lang)
        if began:
            log.error("worker.ended", extra={"error": type(error).__name__, "problem": problem.code})
        else:
            failed(_as_printed(problem, console))
        return int(problem.exit_code)
    return 0


def _as_printed(problem: Fault, console: Console) -> str:
    """Return an error as this call prints it; one worker's word is printed for all."""
    from transport.present import errors

    if console.json:
        return json.dumps(errors.document(problem), ensure_ascii=False, indent=2)
    return "\n".join(errors.lines(problem, console.lang))


def _print(text: str, console: Console) -> None:
    stream = sys.stdout if console.json else sys.stderr
    print(text, file=stream, flush=True)


def _serve(console: Console, pins: Pins, wanted: Listening, *, on_ready: Ready, part: Part) -> None:
    from transport.http.reporting import Reporting, log_lines
    from transport.http.server import serve as run

    log_lines(sys.stderr, node="nut-1")
    with working(console, pins) as node:
        networked(node, console, pins)
        config = _config(node, wanted, on_ready=on_ready, part=part)
        if part.number == 0:
            node.office.store.blobs.sweep()
        report = Reporting(node=node.office.node_name)
        node.office.meter = report
        node.office.store.measured_by(lambda units, seconds: _measure(report, units, seconds))
        if part.number == 0 and node.office.store.without_standby():
            log.warning("database.no-synchronous-standby")
        node.office.store.listen(lambda: node.office.on_work())
        asyncio.run(run(node, config=config, alongside=_alongside(node, wanted, part), report=report))


def _config(node: Node, wanted: Listening, *, on_ready: Ready, part: Part) -> ServeConfig:
    """Return how one process listens.

    Raises:
        SettingsError: EDOC-CFG-022, the node has no request key.
    """
    from transport.http.config import ServeConfig
    from transport.http.limits import HttpLimits

    office, settings = node.office, node.office.settings
    if office.request is None:
        raise SettingsError("EDOC-CFG-022", "the node has no request key", agency=office.code)
    return ServeConfig(
        spool=_spool(settings.home, part),
        host=wanted.host,
        port=wanted.port,
        demo=settings.demo,
        tls_cert=_path(wanted.tls_cert),
        tls_key=_path(wanted.tls_key),
        client_ca=_client_anchors(wanted, settings),
        proxies=tuple(dict.fromkeys((*settings.proxies, *wanted.behind_proxy))),
        metrics_port=_metrics_port(wanted.metrics_port, part),
        listener=part.listener,
        node_name=office.node_name,
        limits=HttpLimits.of(settings.limits),
        request_key=office.request,
        follow_trace=settings.follow_trace,
        uploads=settings.resumable_upload,
        uploads_folder=settings.home / "spool",  # parts may reach different processes
        endpoint=settings.endpoint,
        on_ready=on_ready,
    )


def _alongside(node: Node, wanted: Listening, part: Part) -> list[Alongside]:
    """Return what runs beside the listener: some of it in every process, some in the first alone."""
    from transport.http.server import utc_now
    from transport.node import upkeep

    first = part.number == 0
    beside: list[Alongside] = [lambda stop: upkeep.run(node.office, stop, clock=utc_now, alone=first), node.run_effects]
    if part.of == 1:
        beside.append(node.run_bell)
    if wanted.courier:
        beside.append(node.run_courier)
    if wanted.courier and first:
        beside.append(node.run_partners)
    if wanted.courier and first and node.office.settings.delivery == "pull":
        beside.append(node.run_puller)
    return beside


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
