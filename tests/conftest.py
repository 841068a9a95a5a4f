"""Fixtures shared by all tests: one moment, one demonstration authority, the usual people and agencies."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from signer.algorithms import PolicyName
from signer.credential import Role
from signer.devpki import DevIdentity, DevPki, DevTimestamper, Subject
from signer.trust import Context
from tests import postgres as postgres_server
from tests.silence import Listener, found_below

NOW = datetime(2026, 11, 20, 2, 30, tzinfo=UTC)


@pytest.fixture(scope="session", autouse=True)
def silence(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listener]:
    """I8: no log of the whole test run holds a secret, a personal name, content or a trace."""
    listener = Listener()
    logging.getLogger().addHandler(listener)
    logging.getLogger("edoc").setLevel(logging.INFO)
    yield listener
    logging.getLogger().removeHandler(listener)
    assert listener.heard == []
    for path, number, word, lines in found_below(tmp_path_factory.getbasetemp()):
        pytest.fail(f"{path}, line {number}, holds {word!r}:\n{lines}")


@pytest.fixture(scope="session")
def now() -> datetime:
    """The moment at which tests happen."""
    return NOW


@pytest.fixture(scope="session")
def pki(now: datetime) -> DevPki:
    """An authority that is thirty days old; its certificates name no status source."""
    return DevPki.create(at=now - timedelta(days=30))


@pytest.fixture(scope="session")
def person(pki: DevPki) -> DevIdentity:
    """The leader of agency A."""
    return pki.issue(Role.PERSON, Subject("Nguyễn Văn Mẫu", organization="Sở Mẫu A", title="Phó Giám đốc"))


@pytest.fixture(scope="session")
def agency(pki: DevPki) -> DevIdentity:
    """The agency A itself: its signature on documents."""
    return pki.issue(Role.AGENCY, Subject("Sở Mẫu A", organization="Sở Mẫu A", tax_number="0100000001"))


@pytest.fixture(scope="session")
def exchange_a(pki: DevPki) -> DevIdentity:
    """The exchange key of agency A (H99.01)."""
    return pki.issue(Role.EXCHANGE, Subject("Sở Mẫu A", organization="Sở Mẫu A", tax_number="0100000001"))


@pytest.fixture(scope="session")
def exchange_b(pki: DevPki) -> DevIdentity:
    """The exchange key of agency B (H99.02)."""
    return pki.issue(Role.EXCHANGE, Subject("Sở Mẫu B", organization="Sở Mẫu B", tax_number="0100000002"))


@pytest.fixture(scope="session")
def context(pki: DevPki, now: datetime) -> Context:
    """A judgement at that moment, trusting the authority, with fresh revocation lists."""
    return Context(trust=pki.trust(at=now), at=now, policy=PolicyName.INTEROP)


@pytest.fixture(scope="session")
def timestamper(pki: DevPki, now: datetime) -> DevTimestamper:
    """The authority's time stamps, all of that moment."""
    return DevTimestamper(pki, lambda: now)


@pytest.fixture(scope="session")
def postgres() -> Iterator[postgres_server.Server]:
    """A PostgreSQL server of this test run; without one the test is skipped by name, under CI=true it fails."""
    if (reason := postgres_server.missing()) is not None:
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with postgres_server.running() as server:
        yield server
