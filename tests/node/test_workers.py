"""``edoc serve --workers N`` on PostgreSQL: several processes, one address, nothing lost and nothing doubled."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.request import urlopen

import pytest

from signer.devpki import DevPki
from tests import world as worlds
from tests.postgres import Server
from transport.demo.offices import free_ports
from transport.desk import serving as desk
from transport.desk.console import Console
from transport.desk.nodes import Pins
from transport.node.node import Node
from transport.store.store import Store

A, B = "H99.01", "H99.02"
ROOT = Path(__file__).parents[2]


def until(what: str, holds: Callable[[], bool], *, seconds: float = 60) -> None:
    """Wait for a condition."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"not in time: {what}"
        threading.Event().wait(0.05)


@contextmanager
def serving(home: Path, port: int, *options: str) -> Iterator[tuple[subprocess.Popen[bytes], dict[str, str]]]:
    """Run ``edoc serve`` on a home until the block ends, and give its ready line's addresses."""
    command = [sys.executable, "-m", "edoc", "serve", "--home", str(home), "--port", str(port), "--json", *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with (home / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, stdin=subprocess.DEVNULL, cwd=home, env=environment
        )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line, (home / "log.txt").read_text("utf-8")
        yield process, json.loads(line)["urls"]
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(60)
        assert code == 0, (home / "log.txt").read_text("utf-8")


@pytest.fixture
def homes(tmp_path: Path, postgres: Server) -> Iterator[dict[str, tuple[Path, int]]]:
    """Two offices on PostgreSQL that know each other's addresses."""
    now = datetime.now(UTC)
    pki = DevPki.create(at=now.replace(microsecond=0) - timedelta(days=1))
    ports = dict(zip((A, B), free_ports(2), strict=True))
    urls = {code: f"http://127.0.0.1:{port}/exchange/v1" for code, port in ports.items()}
    names = {code: postgres.create() for code in (A, B)}
    databases = {code: postgres.url(name) for code, name in names.items()}
    worlds.build(tmp_path, pki, now, urls=urls, databases=databases).close()
    yield {code: (tmp_path / code, port) for code, port in ports.items()}
    for name in names.values():
        postgres.drop(name)


def number(home: Path, question: str) -> int:
    """Ask a home's database a question whose answer is a number."""
    with Store.open(worlds.settings_of(home), read_only=True) as store:
        return int(store.read(lambda connection: connection.exec_driver_sql(question).scalar_one()))


def queue(home: Path, many: int) -> list[str]:
    """Queue letters and return their ids."""
    with Node.open(worlds.settings_of(home), need_exchange=True) as node, ThreadPoolExecutor(4) as pool:

        def one(number: int) -> str:
            now = datetime.now(UTC)
            data = worlds.letter(f"{number}", at=now, name=f"{number}-SMA-VP.pdf")
            return node.send(data, now=now, allow_information_only=True).message_id

        return list(pool.map(one, range(1, many + 1)))


def children(process: subprocess.Popen[bytes]) -> list[int]:
    """Return the process ids of a server's workers."""
    found = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text("ascii")
    return [int(word) for word in found.split()]


@pytest.mark.process
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="looks at workers in /proc")
def test_three_processes_on_each_side_carry_every_letter_once_though_one_is_killed(
    homes: dict[str, tuple[Path, int]],
) -> None:
    (a, a_port), (b, b_port) = homes[A], homes[B]
    ids = queue(a, 24)
    with serving(b, b_port, "--workers", "3") as (receiver, _):
        assert len(children(receiver)) == 3
        with serving(a, a_port, "--workers", "3") as (sender, _):
            first = set(children(sender))
            until("some letters are there", lambda: number(b, "SELECT count(*) FROM inbox") >= 3)
            os.kill(min(first), signal.SIGKILL)
            os.kill(children(receiver)[0], signal.SIGKILL)
            delivered = "SELECT count(*) FROM dispatch WHERE state = 'delivered' AND message IN "
            letters = "(SELECT id FROM message WHERE kind = 'edoc')"
            until("all are delivered", lambda: number(a, delivered + letters) == len(ids), seconds=150)
            until("the killed worker is back", lambda: len(children(sender)) == 3)
            assert set(children(sender)) != first
            told = "SELECT count(*) FROM status WHERE direction = 'in' AND code = '01'"
            until("every arrival is told back", lambda: number(a, told) == len(ids), seconds=150)
    assert number(b, "SELECT count(*) FROM inbox WHERE kind = 'edoc'") == len(ids)
    assert number(b, "SELECT count(*) FROM receipt WHERE direction = 'out'") == number(b, "SELECT count(*) FROM inbox")
    assert number(a, "SELECT count(*) FROM ledger_pending") == number(b, "SELECT count(*) FROM ledger_pending") == 0
    assert number(a, "SELECT count(DISTINCT owner) FROM attempt") >= 2, "more than one process carried"
    for home in (a, b):
        with Node.open(worlds.settings_of(home)) as node:
            assert node.office.store.read(node.office.log.verify).result == "proved"


@pytest.mark.process
def test_each_worker_has_operator_pages_of_its_own_and_the_server_one_address(
    homes: dict[str, tuple[Path, int]],
) -> None:
    home, port = homes[B]
    metrics = neighbours()
    with serving(home, port, "--workers", "2", "--metrics-port", str(metrics)) as (_, urls):
        assert urls["exchange"].startswith(f"http://127.0.0.1:{port}/")
        for offset in range(2):
            until("alive", lambda offset=offset: alive(metrics + offset))  # type: ignore[misc]


def neighbours() -> int:
    """Return the first of two free ports that follow each other."""
    for first in free_ports(200):
        with socket.socket() as one, socket.socket() as two:
            try:
                one.bind(("127.0.0.1", first))
                two.bind(("127.0.0.1", first + 1))
            except OSError:
                continue
            return first
    raise AssertionError("no two ports beside each other are free")


@pytest.mark.process
@pytest.mark.parametrize("form", ["text", "json"])
def test_a_server_whose_worker_cannot_begin_says_why_once(homes: dict[str, tuple[Path, int]], form: str) -> None:
    """The port of the second worker's operator pages is taken: exit code 6, one error, whichever way it is printed."""
    home, _ = homes[B]
    metrics = neighbours()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", metrics + 1))
        taken.listen()
        command = [sys.executable, "-m", "edoc", "serve", "--home", str(home), "--port", "0", "--workers", "2"]
        command += ["--metrics-port", str(metrics), *(["--json"] if form == "json" else [])]
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 6
    if form == "json":
        assert json.loads(done.stdout)["error"]["code"] == "EDOC-EXC-011"
    else:
        assert done.stderr.count("EDOC-EXC-011") == 1


def alive(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.mark.process
def test_a_sqlite_home_is_served_by_one_process_only(tmp_path: Path, pki: DevPki, now: datetime) -> None:
    worlds.build(tmp_path, pki, now).close()
    command = [sys.executable, "-m", "edoc", "serve", "--home", str(tmp_path / A), "--port", "0", "--workers", "2"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 6
    assert "EDOC-CFG-017" in done.stderr


@pytest.mark.parametrize("after", [False, True])
def test_whatever_ends_a_worker_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, after: bool
) -> None:
    """Also what nobody foresaw: to the server before the worker is ready, in the log afterwards; exit code 70."""

    def fall(*_: object, on_ready: desk.Ready, part: desk.Part) -> None:
        if after:
            on_ready({"exchange": "http://127.0.0.1:1/"})
        raise LookupError("unforeseen")

    monkeypatch.setattr(desk, "_serve", fall)
    ready, failed = list[dict[str, str]](), list[str]()
    console = Console(["serve", "--json", "--home", str(tmp_path)], {})
    own = (desk.Part(1, 2), ready.append, failed.append)
    assert desk._worker(console, Pins(), desk.Listening(workers=2), own) == 70
    told = [record for record in caplog.records if record.getMessage() == "worker.ended"]
    assert (len(ready), len(failed), len(told)) == ((1, 0, 1) if after else (0, 1, 0))
    assert all("unforeseen" not in text for text in failed)
