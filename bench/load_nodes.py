"""Two real nodes for the load generator: ``edoc serve`` as processes, TLS on loopback, ECDSA P-256, no TSA.

The offices are those of the tests (``tests.world``); the limits that protect a node from one partner (rate, requests
at once) are raised, for here one partner is the whole load. Everything lies in a folder of the caller.
"""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from signer.credential import Role
from signer.devpki import DevIdentity, DevPki, Subject
from tests import postgres, world
from transport.demo.offices import environment, free_ports
from transport.node.node import Node
from transport.store import directory as directories

A, B = "H99.01", "H99.02"
READY_SECONDS = 60.0
TICK = os.sysconf("SC_CLK_TCK")
LIMITS = """rate_per_partner = 10000.0
requests_per_partner = 64
requests_max = 128
connections_per_address = 500
message_max_bytes = 2147483648
attachment_max_bytes = 2147483648
"""


def now() -> datetime:
    """Read the clock."""
    return datetime.now(UTC)


@dataclass
class Served:
    """One office as a process, perhaps with several workers."""

    code: str
    home: Path
    port: int
    tls: Path
    workers: int = 1
    process: subprocess.Popen[str] | None = field(default=None, repr=False)
    started_in: float = 0.0  # seconds from the start of the process to its word that it listens

    @property
    def endpoint(self) -> str:
        """Where partners call it."""
        return f"https://localhost:{self.port}/exchange/v1"

    def start(self, *more: str) -> None:
        """Start and wait until it listens."""
        words = [sys.executable, "-m", "edoc", "--json", "--home", str(self.home), "serve", "--port", str(self.port)]
        words += ["--tls-cert", str(self.tls), "--tls-key", str(self.tls), *more]
        words += ["--workers", str(self.workers)] if self.workers > 1 else []
        begun = time.monotonic()
        with self.home.with_name(f"{self.code}.log").open("a", encoding="utf-8") as errors:
            self.process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment())
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if '"edoc.serve/1"' not in line:
            raise SystemExit(f"{self.code} does not listen: {self.home.with_name(f'{self.code}.log')}")
        self.started_in = time.monotonic() - begun

    def stop(self) -> None:
        """End the process and wait for it."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(READY_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process = None

    def processes(self) -> list[int]:
        """Return the process and its workers."""
        assert self.process is not None
        found, waiting = [], [self.process.pid]
        while waiting:
            one = waiting.pop()
            found.append(one)
            for task in Path(f"/proc/{one}/task").glob("*/children"):
                waiting += [int(child) for child in task.read_text().split()]
        return found

    def processor(self) -> float:
        """Return the seconds that processors worked for it."""
        return sum(_processor(one) for one in self.processes()) if self.process is not None else 0.0

    def memory(self, name: str = "VmRSS") -> int:
        """Return resident memory in bytes: ``VmRSS`` now, ``VmHWM`` at most so far."""
        total = 0
        for one in self.processes():
            for line in Path(f"/proc/{one}/status").read_text().splitlines():
                if line.startswith(name + ":"):
                    total += int(line.split()[1]) * 1024
        return total

    def forget_peak(self) -> None:
        """Begin a new measurement of ``VmHWM``."""
        for one in self.processes():
            Path(f"/proc/{one}/clear_refs").write_text("5")


def _processor(process: int) -> float:
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICK


@dataclass
class Pair:
    """Both offices, their keys, and what a caller at A needs."""

    folder: Path
    a: Served
    b: Served
    identities: Mapping[str, Mapping[str, DevIdentity]]
    root: Path

    def start(self, *, a: bool = True) -> None:
        """Start both nodes, or B alone."""
        self.b.start()
        if a:
            self.a.start()

    def stop(self) -> None:
        """Stop both nodes."""
        self.a.stop()
        self.b.stop()

    def anchors(self) -> ssl.SSLContext:
        """Return the context with which a caller knows both nodes."""
        from transport.http.tls import client_context

        return client_context(self.root)


@contextmanager
def pair(folder: Path, *, databases: Mapping[str, str] | None = None, workers: int = 1) -> Iterator[Pair]:
    """Make two offices, not yet started; whatever runs is stopped at the end, and the folder is removed."""
    folder.mkdir(parents=True)
    made = _make(folder, databases or {}, workers)
    try:
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _make(folder: Path, databases: Mapping[str, str], workers: int) -> Pair:
    pki = DevPki.create(at=now().replace(microsecond=0) - timedelta(days=1))
    ports = dict(zip((A, B), free_ports(2), strict=True))
    urls = {code: f"https://localhost:{port}/exchange/v1" for code, port in ports.items()}
    built = world.build(folder, pki, now(), urls=urls, databases=databases)
    tls = pki.issue(Role.TLS, Subject("localhost", organization="localhost", dns=("localhost",)))
    chain = "".join(map(ssl.DER_cert_to_PEM_cert, (tls.certificate, *tls.chain)))
    channel, root = folder / "tls.pem", folder / "root.pem"
    channel.write_bytes(tls.pem + chain.encode())
    root.write_text(ssl.DER_cert_to_PEM_cert(pki.root.certificate))
    for code, node in built.nodes.items():
        _trust(node, pki)
        settings = folder / code / "edoc.toml"
        more = f'{LIMITS}[exchange]\nendpoint = "{urls[code]}"\n'
        settings.write_text(settings.read_text("utf-8") + more, "utf-8")
    built.close()
    served = {code: Served(code, folder / code, ports[code], channel, workers) for code in (A, B)}
    return Pair(folder, served[A], served[B], built.identities, root)


def _trust(node: Node, pki: DevPki) -> None:
    uses = ["signers", "tsa", "transport"]
    adding = partial(directories.add_anchor, certificate=pki.root.certificate, uses=uses, subject="root", now=now())
    node.office.store.do(adding)


def add_partner(home: Path, code: str, url: str) -> None:
    """Enter a partner with B's keys under another code and address, for queues to partners that are not there."""
    node = Node.open(world.settings_of(home))
    entry = node.office.directory().get(B)
    assert entry is not None
    other = replace(entry, code=code, name=f"Sở Mẫu {code}")
    node.office.store.do(partial(directories.add, agency=other, now=now(), url=url))
    node.close()


@contextmanager
def database_server() -> Iterator[postgres.Server]:
    """Run a PostgreSQL server that flushes (the tests' own does not), with otherwise plain settings."""
    with postgres.running() as server:
        server.stop()
        options = f"-p {server.port} -k {server.folder} -c listen_addresses=127.0.0.1 -c max_connections=300"
        data, log = str(server.folder / "data"), str(server.folder / "log")
        postgres._call(server.folder, "pg_ctl", "-D", data, "-o", options, "-l", log, "-w", "start")
        yield server
