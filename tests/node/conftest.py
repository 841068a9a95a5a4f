"""Two offices that know each other, fresh for each test."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from signer.devpki import DevPki

if TYPE_CHECKING:
    from tests.world import World


@pytest.fixture
def world(tmp_path: Path, pki: DevPki, now: datetime) -> Iterator[World]:
    """Agencies A and B, each with a store, keys and an open ledger."""
    from tests import world as worlds

    made = worlds.build(tmp_path, pki, now)
    yield made
    made.close()
