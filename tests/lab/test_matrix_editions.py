"""The fault matrix, F20: editions of the program beside each other, with work in flight (exchange.md 9, 16)."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from signer.devpki import DevPki
from tests.lab import shim
from tests.lab.editions import Edition, edition
from tests.lab.lab import Lab
from tests.lab.nodes import LabNode, Nursery, until
from tests.postgres import Server
from transport.demo.offices import free_ports
from transport.store.schema import REVISION

pytestmark = [pytest.mark.process, pytest.mark.timeout(3600)]
Record = Callable[[str, object], None]

BEFORE_THE_LAST_STEP = "79d9282"
"""The commit before step 0004 of the schema: it knows SQLite alone."""
ONE_STEP_BEFORE = "e43e705"
"""An edition of step 0004, which may work on one PostgreSQL database beside this one of step 0005."""


@pytest.fixture
def pki() -> DevPki:
    """An authority nothing is asked of: the offices are made by another edition, with its own."""
    return DevPki.create(at=datetime.now(UTC).replace(microsecond=0) - timedelta(days=1))


@pytest.fixture(scope="module")
def built_shim(tmp_path_factory: pytest.TempPathFactory, nursery: Nursery) -> Path:
    """The shim, for nurseries of other editions."""
    assert nursery
    return shim.build(tmp_path_factory.mktemp("shim-editions"))


@pytest.fixture
def former(tmp_path: Path) -> Edition:
    """The edition before the newest step of the schema."""
    return edition(BEFORE_THE_LAST_STEP, tmp_path / "former")


@pytest.fixture
def nurse(built_shim: Path) -> Iterator[Callable[[Edition], Nursery]]:
    """Makes nurseries that run another edition."""
    made: list[Nursery] = []

    def make(of: Edition) -> Nursery:
        made.append(Nursery(built_shim, of.tree))
        return made[-1]

    yield make
    for one in made:
        one.close()


def upgrade(node: LabNode, nursery: Nursery) -> None:
    """Stop a node, let this edition bring its database to its step, and start it as this edition."""
    assert node.stop() == 0
    node.nursery = nursery
    node.run("migrate")
    node.start()


def test_f20_editions_before_and_after_a_step_of_the_schema_exchange_with_each_other(
    nursery: Nursery,
    nurse: Callable[[Edition], Nursery],
    former: Edition,
    pki: DevPki,
    tmp_path: Path,
    record_property: Record,
) -> None:
    """Both offices are of the former edition; first B, then A is upgraded, each with letters under way."""
    assert former.step < REVISION
    lab = Lab.make(nurse(former), former.template(tmp_path / "template", pki), tmp_path / "lab", endpoint=False)
    try:
        lab.start()
        ids = [lab.submit() for _ in range(3)]
        lab.reach(ids[0], "delivered")
        lab.b.kill()
        ids += [lab.submit() for _ in range(2)]
        lab.b.start()
        upgrade(lab.b, nursery)
        ids += [lab.submit() for _ in range(3)]
        lab.hasten(partial(_delivered, lab, ids))
        assert lab.store(lab.b).one("SELECT version_num FROM alembic_version") == REVISION
        assert lab.store(lab.a).one("SELECT version_num FROM alembic_version") == former.step
        lab.settle()
        lab.check()
        lab.b.kill()
        ids += [lab.submit() for _ in range(2)]
        upgrade(lab.a, nursery)
        lab.b.start()
        ids.append(lab.submit())
        lab.hasten(partial(_delivered, lab, ids))
        lab.settle()
        lab.check()
    finally:
        lab.close()
    record_property("cases", len(ids))


def _delivered(lab: Lab, ids: list[str]) -> bool:
    return all(lab.state(one) == "delivered" for one in ids)


def test_f20_two_editions_serve_one_database_with_work_in_flight(
    nursery: Nursery,
    nurse: Callable[[Edition], Nursery],
    postgres: Server,
    pki: DevPki,
    tmp_path: Path,
    record_property: Record,
) -> None:
    """A's gateways are of two editions on one PostgreSQL database, and so are B's; any of them may die."""
    earlier = edition(ONE_STEP_BEFORE, tmp_path / "earlier")
    assert earlier.step < REVISION
    old_nursery = nurse(earlier)
    lab = Lab.make(nursery, earlier.template(tmp_path / "template", pki, postgres), tmp_path / "lab")
    others = [_beside(lab, node, old_nursery) for node in lab.nodes]
    try:
        for node in lab.nodes:
            node.run("migrate")
        lab.start()
        for node in others:
            node.start()
        ids = [lab.submit() for _ in range(6)]
        lab.hasten(partial(_delivered, lab, ids))
        _both_carried(lab, others[0])
        for node in (others[0], lab.a):
            ids += [lab.submit() for _ in range(3)]
            node.kill()
            lab.hasten(partial(_delivered, lab, ids))
            node.start()
        lab.settle()
        lab.check()
    finally:
        for node in others:
            node.kill()
        lab.close()
    record_property("cases", len(ids))


def _beside(lab: Lab, node: LabNode, nursery: Nursery) -> LabNode:
    """Return a second gateway of an office: another edition, with a home of its own, on the same database."""
    ports, home = free_ports(2), lab.folder / f"{node.code}-2"
    shutil.copytree(node.home, home)
    return LabNode(nursery, node.code, home, ports[0], node.control, operator_port=ports[1])


def _both_carried(lab: Lab, other: LabNode) -> None:
    owners = "SELECT count(DISTINCT owner) FROM attempt"
    until(
        "both editions of A's gateway have carried something", lambda: _more(lab) or lab.store(lab.a).one(owners) == 2
    )
    assert other.alive()


def _more(lab: Lab) -> bool:
    lab.submit()
    return False
