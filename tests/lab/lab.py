"""A laboratory: offices A and B as processes, a fault proxy before each, letters to send, and the check afterwards."""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from signer.devpki import DevIdentity, DevPki
from tests import world as worlds
from tests.lab import invariants
from tests.lab import reader as readers
from tests.lab.nodes import LabNode, Nursery, until
from tests.lab.proxy import FaultProxy
from tests.lab.reader import Store
from tests.lab.shim import Control
from tests.postgres import Server
from transport.demo.offices import free_ports

A, B = "H99.01", "H99.02"
LONG = bool(os.environ.get("EDOC_LAB_LONG"))
"""Whether tests shall try everything, as ``make chaos`` does, and not a part that fits into minutes."""

BOTH = pytest.mark.parametrize("lab", ["sqlite", "postgresql"], indirect=True)
"""For rows that hold on both databases (exchange.md 16)."""

_PLACE = "http://127.0.0.1:1"


@dataclass(frozen=True)
class Template:
    """The files of two offices, their authority and their keys."""

    folder: Path
    pki: DevPki
    identities: dict[str, dict[str, DevIdentity]]
    server: Server | None = None
    databases: Mapping[str, str] = field(default_factory=dict)
    """Names of the databases of which each laboratory gets copies; without a server each office has a file."""
    certificates: Mapping[str, str] = field(default_factory=dict)
    """Exchange certificates (SHA-256) by agency, where the identities are not known here."""

    @classmethod
    def make(cls, folder: Path, pki: DevPki | None = None, server: Server | None = None) -> Template:
        """Make the offices; their partner entries get real addresses with the copy."""
        now = datetime.now(UTC)
        pki = pki or DevPki.create(at=now.replace(microsecond=0) - timedelta(days=1))
        databases = {code: server.create() for code in (A, B)} if server is not None else {}
        urls = dict.fromkeys((A, B), f"{_PLACE}/exchange/v1")
        addresses = {code: server.url(name) for code, name in databases.items()} if server is not None else {}
        made = worlds.build(folder, pki, now, urls=urls, databases=addresses)
        made.close()
        for name in databases.values():
            assert server is not None
            turnable(server, name)
        return cls(folder, pki, {code: dict(its) for code, its in made.identities.items()}, server, databases)

    def copy(self, code: str, home: Path) -> str:
        """Copy an office to another home, with a database of its own; return that database's name, empty for a file."""
        shutil.copytree(self.folder / code, home)
        if self.server is None:
            return ""
        name = self.server.create(self.databases[code])
        self.server.run(f"ALTER DATABASE {name} SET search_path = public, lab_clock, pg_catalog")
        text = (home / "edoc.toml").read_text("utf-8")
        text = text.replace(self.server.url(self.databases[code]), self.server.url(name))
        (home / "edoc.toml").write_text(text, "utf-8")
        return name


@dataclass
class Lab:
    """Two offices under test. ``to_b`` stands before B, on the way from A; ``to_a`` the other way round."""

    folder: Path
    template: Template
    a: LabNode
    b: LabNode
    to_a: FaultProxy
    to_b: FaultProxy
    databases: tuple[str, ...] = ()
    confirmed: list[tuple[str, str]] = field(default_factory=list)
    more_certificates: dict[str, list[str]] = field(default_factory=dict)
    """Exchange certificates that came later, by agency."""
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(100))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def make(
        cls, nursery: Nursery, template: Template, folder: Path, *, reserve: int = 0, endpoint: bool = True
    ) -> Lab:
        """Copy the offices and give them free ports; ``reserve`` is the disk they keep free, in bytes.

        ``endpoint`` says that their edition knows the setting ``exchange.endpoint``.
        """
        ports = free_ports(6)
        folder.mkdir(parents=True)
        nodes, proxies, databases = {}, {}, []
        for n, code in enumerate((A, B)):
            home = folder / code
            databases.append(template.copy(code, home))
            settings = (home / "edoc.toml").read_text("utf-8")
            wanted = settings.replace("disk_reserve_bytes = 0", f"disk_reserve_bytes = {reserve}")
            (home / "edoc.toml").write_text(wanted, "utf-8")
            if endpoint:
                set_endpoint(home, ports[2 + n])
            control = Control(folder / f"control-{code}", root=home)
            nodes[code] = LabNode(nursery, code, home, ports[n], control, operator_port=ports[4 + n])
            proxies[code] = FaultProxy(ports[2 + n], ports[n])
        for code in (A, B):
            for other in (A, B):
                set_url(folder / code, other, proxies[other].port)
        names = tuple(one for one in databases if one)
        return cls(folder, template, nodes[A], nodes[B], proxies[A], proxies[B], names)

    def close(self) -> None:
        """End everything."""
        for node in (self.a, self.b):
            node.kill()
        for proxy in (self.to_a, self.to_b):
            proxy.close()
        for node in self.nodes:
            readers.forget(self.store(node).url)
        for name in self.databases:
            assert self.template.server is not None
            self.template.server.drop(name)

    @property
    def nodes(self) -> tuple[LabNode, LabNode]:
        """Both offices."""
        return self.a, self.b

    def start(self) -> None:
        """Start both nodes."""
        for node in self.nodes:
            node.start()

    def store(self, node: LabNode) -> Store:
        """Read a node's store from outside."""
        return Store(node.home)

    # --- letters -----------------------------------------------------------------------------------------------------

    def letter(self, **facts: object) -> bytes:
        """Return a packed letter of A to B with a number of its own."""
        with self._lock:
            number = str(next(self._numbers))
        at = datetime.now(UTC) + self.a.control.offset
        return worlds.letter(number, at=at, **facts)  # type: ignore[arg-type]  # facts of the letter, by name

    def submit(self, **facts: object) -> str:
        """Let A queue a letter by its own command and return the message id."""
        file = self.folder / f"letter-{threading.get_ident()}.edxml"
        file.write_bytes(self.letter(**facts))
        words = ("send", str(file), "--queue-only", "--yes", "--allow-information-only")
        message_id = str(self.a.run(*words, expect=(0, 4))["message_id"])
        self.confirmed.append((A, message_id))
        return message_id

    def state(self, message_id: str) -> str:
        """Return the state of the one dispatch of a message."""
        question = "SELECT d.state FROM dispatch d JOIN message m ON m.id = d.message WHERE m.message_id = ?"
        return str(self.store(self.a).one(question, message_id))

    def reach(self, message_id: str, *states: str, seconds: float = 60.0) -> str:
        """Wait until a message of A is in one of the states; return which."""
        until(f"{message_id} is {states}", lambda: self.state(message_id) in states, seconds=seconds)
        return self.state(message_id)

    def attempts(self, message_id: str) -> int:
        """Count the attempts of a message that have ended."""
        question = (
            "SELECT count(*) FROM attempt t JOIN dispatch d ON d.id = t.dispatch JOIN message m ON m.id = d.message "
            "WHERE m.message_id = ? AND t.ended_at IS NOT NULL"
        )
        return int(str(self.store(self.a).one(question, message_id)))

    # --- time --------------------------------------------------------------------------------------------------------

    def turn(self, by: timedelta) -> None:
        """Turn the clocks of both offices."""
        for node in self.nodes:
            self.turn_one(node, by)

    def turn_one(self, node: LabNode, by: timedelta) -> None:
        """Turn the clock of one office: of its processes, and of its database where that has one."""
        node.control.turn(by)
        if self.databases:
            self.store(node).change("UPDATE lab_clock.turned SET by = ?", node.control.offset)

    def hasten(
        self, done: Callable[[], object], *, step: timedelta = timedelta(minutes=11), seconds: float = 90.0
    ) -> None:
        """Wait until something is so, turning both clocks past leases, pauses and open circuits meanwhile.

        A turn is made only once each node had time to use the one before: a second and a half of ours.
        """
        end, next_turn = time.monotonic() + seconds, time.monotonic()

        def look() -> bool:
            nonlocal next_turn
            if done():
                return True
            if time.monotonic() >= next_turn:
                self.turn(step)
                next_turn = time.monotonic() + 1.5
            return False

        until("what was hastened", look, seconds=end - time.monotonic())

    # --- the check ---------------------------------------------------------------------------------------------------

    def offices(self) -> invariants.Offices:
        """Return what the check reads."""
        certificates = {code: [one] for code, one in self.template.certificates.items()}
        for code, its in self.template.identities.items():
            certificates.setdefault(code, []).append(its["exchange"].credential.sha256)
        for code, more in self.more_certificates.items():
            certificates[code] += more
        bodies = [
            (one.path, one.body_sha256)
            for proxy in (self.to_a, self.to_b)
            for one in proxy.puts()
            if one.body and f"content-length: {len(one.body)}\r\n".encode() in one.head.lower()
        ]
        homes = {node.code: node.home for node in self.nodes}
        return invariants.Offices(homes, certificates, bodies, [node.log for node in self.nodes])

    def idle(self) -> bool:
        """Tell whether no dispatch and no effect is open at either office, and every leaf has its place."""
        for node in self.nodes:
            store = self.store(node)
            if store.ask("SELECT 1 FROM dispatch WHERE state IN ('queued', 'carrying', 'unknown') LIMIT 1"):
                return False
            if store.ask("SELECT 1 FROM effect WHERE state IN ('waiting', 'running') LIMIT 1"):
                return False
            if store.url and store.ask("SELECT 1 FROM ledger_pending LIMIT 1"):
                return False
        return True

    def settle(self, *, step: timedelta = timedelta(minutes=11), seconds: float = 120.0) -> None:
        """Let all work come to its end, however many pauses the faults have brought about."""
        self.hasten(self.idle, step=step, seconds=seconds)

    def check(self, *, finished: bool = True) -> None:
        """Hold the run to the invariants."""
        faults = invariants.check(self.offices(), confirmed=self.confirmed, finished=finished)
        assert not faults, "\n".join(faults)


def set_url(home: Path, agency: str, port: int) -> None:
    """Write where a partner is reached, as its directory entry would say."""
    url = f"http://127.0.0.1:{port}/exchange/v1"
    Store(home).change("UPDATE partner SET url = ? WHERE agency = ?", url, agency)


def turnable(server: Server, name: str) -> None:
    """Give a database a clock that can be turned: its own function of that name is found before the system's."""
    url = f"postgresql://{server.url(name).partition('://')[2]}"
    for statement in (
        "CREATE SCHEMA lab_clock",
        "CREATE TABLE lab_clock.turned (by interval NOT NULL)",
        "INSERT INTO lab_clock.turned VALUES ('0')",
        "CREATE FUNCTION lab_clock.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS "
        "'SELECT pg_catalog.clock_timestamp() + by FROM lab_clock.turned'",
    ):
        readers.postgres(url, statement)
    readers.forget(url)


def set_endpoint(home: Path, port: int) -> None:
    """Write into the settings where partners reach this node; it counts from its next start."""
    path = home / "edoc.toml"
    text, _, _ = path.read_text("utf-8").partition("\n[exchange]\n")
    path.write_text(f'{text}\n[exchange]\nendpoint = "http://127.0.0.1:{port}/exchange/v1"\n', "utf-8")


def sha256(data: bytes) -> str:
    """Return the digest in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()
