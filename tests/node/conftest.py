"""Two offices that know each other, fresh for each test."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from signer.devpki import DevPki
from tests.postgres import Server

if TYPE_CHECKING:
    from tests.world import World


@pytest.fixture(params=["sqlite", "postgresql"])
def databases(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """Addresses of empty databases by agency; none for SQLite."""
    if request.param == "sqlite":
        yield {}
        return
    server: Server = request.getfixturevalue("postgres")
    made = {code: server.create() for code in ("H99.01", "H99.02")}
    yield {code: server.url(name) for code, name in made.items()}
    for name in made.values():
        server.drop(name)


@pytest.fixture
def world(tmp_path: Path, pki: DevPki, now: datetime, databases: dict[str, str]) -> Iterator[World]:
    """Agencies A and B, each with a store, keys and an open ledger."""
    from tests import world as worlds

    made = worlds.build(tmp_path, pki, now, databases=databases)
    yield made
    made.close()
