"""The fault matrix, F4 on PostgreSQL: a database that is stopped, paused, or lost in the middle of COMMIT."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.lab import invariants
from tests.lab.lab import LONG, Lab, Template
from tests.lab.nodes import Nursery, until
from tests.lab.pgwire import DatabaseWire
from tests.lab.stranger import Stranger, read_answer
from tests.lab.test_matrix_disk import ready
from tests.postgres import Server, running

pytestmark = [pytest.mark.process, pytest.mark.timeout(3600)]
Record = Callable[[str, object], None]


@pytest.fixture(scope="module")
def own(postgres: Server) -> Iterator[Server]:
    """A server of these tests alone, which they may stop."""
    assert postgres
    with running() as server:
        yield server


@pytest.fixture
def served(nursery: Nursery, own: Server, tmp_path: Path) -> Iterator[Lab]:
    """Two offices on that server."""
    lab = Lab.make(nursery, Template.make(tmp_path / "template", server=own), tmp_path / "lab")
    yield lab
    lab.close()


@contextmanager
def paused(server: Server) -> Iterator[None]:
    """Stop every process of the server where it is, and let them go on."""
    main = int((server.folder / "data" / "postmaster.pid").read_text("ascii").split()[0])
    children = Path(f"/proc/{main}/task/{main}/children").read_text("ascii").split()
    processes = [main, *map(int, children)]
    for one in processes:
        os.kill(one, signal.SIGSTOP)
    try:
        yield
    finally:
        for one in processes:
            os.kill(one, signal.SIGCONT)


def test_f04_postgresql_stopped_or_paused_loses_nothing(served: Lab, own: Server, record_property: Record) -> None:
    """503 or silence, ``/readyz`` false; when the server is back the work goes on by itself, on both sides."""
    lab = served
    lab.start()
    stranger = Stranger.of(lab)
    ids = [lab.submit() for _ in range(3)]
    stopped = stranger.message()
    own.stop("immediate")
    said = stranger.put(stopped)
    assert (said.status, said.problem) in ((503, "unavailable"), (0, "")), said
    until("B says that it is not ready", lambda: not ready(lab.b))
    own.start()
    until("B is ready again", lambda: ready(lab.b))
    stranger.settled(stopped)
    lab.hasten(lambda: all(lab.state(one) == "delivered" for one in ids))
    held = stranger.message()
    with paused(own):
        waiting = stranger.connect(held)
    with waiting:
        assert read_answer(waiting).status in (201, 202, 503)
    stranger.settled(held)
    lab.settle()
    lab.check()
    record_property("cases", 2)


def test_f04_postgresql_lost_in_the_middle_of_commit(served: Lab, own: Server, record_property: Record) -> None:
    """Before COMMIT is heard, or after it was done: the answer is silence, or what is true; one receipt in the end."""
    lab, wire = served, DatabaseWire(own.port)
    settings = lab.b.home / "edoc.toml"
    settings.write_text(settings.read_text("utf-8").replace(f":{own.port}/", f":{wire.port}/"), "utf-8")
    lab.b.start()
    stranger = Stranger.of(lab)
    stranger.settled(stranger.message())
    until("B is idle", lambda: not lab.store(lab.b).ask("SELECT 1 FROM effect WHERE state IN ('waiting', 'running')"))
    rounds = 12 if LONG else 3
    for n in range(2 * rounds):
        message = stranger.message()
        before = wire.cuts
        wire.fault = ("before", "after")[n % 2]
        said = stranger.put(message)
        assert wire.cuts > before
        assert said.status in (0, 201, 202, 503), said
        known = lab.store(lab.b).rows("receipt", "message_id = ?", message.message_id)
        assert said.status != 201 or known, "an acceptance of what is not there"
        again = stranger.settled(message)
        assert not known or known[0]["data"] == again.body
    until("B is idle", lambda: not lab.store(lab.b).ask("SELECT 1 FROM effect WHERE state IN ('waiting', 'running')"))
    until("its leaves have their places", lambda: not lab.store(lab.b).ask("SELECT 1 FROM ledger_pending"))
    faults = invariants.check(lab.offices(), finished=False)
    assert not faults, faults
    wire.close()
    record_property("cases", 2 * rounds)
