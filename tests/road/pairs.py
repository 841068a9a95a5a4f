"""Two offices as real processes on loopback, each test with its own folders, keys, databases and ports."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from signer.devpki import DevPki
from tests import world as worlds
from transport.demo.offices import Office, free_ports, until
from transport.node.node import Node

A, B = "H99.01", "H99.02"


@dataclass
class Pair:
    """Offices A and B as processes; their stores are read with ``sqlite3`` alone, as an independent reader would."""

    a: Office
    b: Office
    pki: DevPki

    def queue(self, number: str = "120") -> str:
        """Queue a letter at A, in this process, and return its message id."""
        now = datetime.now(UTC)
        data = worlds.letter(number, at=now, name=f"{number}-SMA-VP.pdf")
        with Node.open(worlds.settings_of(self.a.home), need_exchange=True) as node:
            return node.send(data, now=now, allow_information_only=True).message_id

    def state(self, message_id: str) -> str:
        """Return the state of the one dispatch of a message at A."""
        question = "SELECT d.state FROM dispatch d JOIN message m ON m.id = d.message WHERE m.message_id = ?"
        return str(ask(self.a.home, question, message_id)[0][0])

    def delivered(self, message_id: str, *, seconds: float = 60) -> None:
        """Wait until A has its receipt."""
        until(f"{message_id} delivered", lambda: self.state(message_id) == "delivered", seconds=seconds)

    def check(self, message_id: str) -> None:
        """Check what must hold after any fault: one row, one receipt, equal bytes, both logs sound (I2 to I6)."""
        inbox = ask(self.b.home, "SELECT count(*) FROM inbox WHERE message_id = ?", message_id)
        assert inbox == [(1,)], "exactly one inbox row at B (I3)"
        ours = ask(self.a.home, "SELECT data FROM receipt WHERE direction = 'in' AND message_id = ?", message_id)
        theirs = ask(self.b.home, "SELECT data FROM receipt WHERE direction = 'out' AND message_id = ?", message_id)
        assert len(ours) == len(theirs) == 1, "exactly one receipt at each side (I4)"
        assert ours == theirs, "byte-identical"
        sent = ask(self.a.home, "SELECT sha256 FROM message WHERE message_id = ?", message_id)[0][0]
        arrived = ask(self.b.home, "SELECT sha256 FROM inbox WHERE message_id = ?", message_id)[0][0]
        assert sent == arrived, "the same bytes (I5)"
        for home in (self.a.home, self.b.home):
            settings = worlds.settings_of(home)
            with Node.open(settings) as node:
                assert node.office.store.read(node.office.log.verify).result == "proved", "the log verifies (I6)"
                digest = sent if home == self.b.home else ours[0][0] and sent
                assert node.office.store.fetch(str(digest)), "the message is readable there (I2)"


def ask(home: Path, question: str, *values: object) -> list[tuple[object, ...]]:
    """Ask a home's database with the standard library alone."""
    with closing(sqlite3.connect(f"file:{home / 'edoc.db'}?mode=ro", uri=True, timeout=10)) as connection:
        return [tuple(row) for row in connection.execute(question, values)]


def make_pair(folder: Path) -> Pair:
    """Make two offices in a folder, on free ports, with keys, trust, partner entries and open ledgers."""
    now = datetime.now(UTC)
    pki = DevPki.create(at=now.replace(microsecond=0) - timedelta(days=1))
    ports = dict(zip((A, B), free_ports(2), strict=True))
    urls = {code: f"http://127.0.0.1:{port}/exchange/v1" for code, port in ports.items()}
    worlds.build(folder, pki, now, urls=urls).close()
    a, b = (Office(code, worlds.ORGANS[code], folder / code, port) for code, port in ports.items())
    return Pair(a, b, pki)
