"""The laboratory: one nursery for the session, and for each test two fresh offices behind fault proxies."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

from tests.lab import shim
from tests.lab.lab import Lab, Template
from tests.lab.nodes import Nursery
from tests.postgres import Server


@pytest.fixture(scope="session")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    """The process from which nodes are forked."""
    if not shim.available():
        reason = "the fault shim needs Linux and a C compiler"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    made = Nursery(shim.build(tmp_path_factory.mktemp("shim")))
    yield made
    made.close()


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """Two offices that know each other, as files; each test gets a copy."""
    return Template.make(tmp_path_factory.mktemp("template"))


@pytest.fixture(scope="session")
def template_postgresql(tmp_path_factory: pytest.TempPathFactory, postgres: Server) -> Template:
    """The same two offices, each with a database of its own on one PostgreSQL server."""
    return Template.make(tmp_path_factory.mktemp("template-postgresql"), server=postgres)


@pytest.fixture
def labs(nursery: Nursery, template: Template, tmp_path: Path) -> Iterator[Callable[..., Lab]]:
    """Make laboratories; their processes and proxies end with the test."""
    made: list[Lab] = []

    def make(**how: object) -> Lab:
        made.append(Lab.make(nursery, template, tmp_path / f"lab-{len(made)}", **how))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def lab(request: pytest.FixtureRequest, nursery: Nursery, labs: Callable[..., Lab], tmp_path: Path) -> Iterator[Lab]:
    """One laboratory: offices A and B, stopped; tests marked ``BOTH`` get it on SQLite and on PostgreSQL."""
    if getattr(request, "param", "sqlite") == "sqlite":
        yield labs()
        return
    made = Lab.make(nursery, request.getfixturevalue("template_postgresql"), tmp_path / "lab-postgresql")
    yield made
    made.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Tell ``make chaos`` what became of each row of the fault matrix."""
    report = yield
    where = os.environ.get("EDOC_LAB_REPORT")
    if where and report.when == "call":
        found = re.match(r"test_f([0-9]{2})_(.*)", item.name)
        line = {
            "row": f"F{int(found[1])}" if found else "",
            "test": (found[2] if found else item.name.removeprefix("test_")).replace("_", " "),
            "cases": dict(report.user_properties).get("cases", 1),
            "outcome": "expected failure" if hasattr(report, "wasxfail") else report.outcome,
            "seconds": round(report.duration, 1),
        }
        with open(where, "a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
    return report
