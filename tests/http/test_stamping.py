"""Time stamps from authorities that are late, cut off, or false: the next one is asked (signing.md 7.2, R32)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from signer.algorithms import PolicyName
from signer.devpki import DevPki
from signer.errors import TimestampError
from signer.timestamp import obtain
from signer.trust import Context
from tests.http.stampers import DIGEST, House, request_for
from transport.demo.pkiserver import PkiServer
from transport.http.addresses import Reach
from transport.http.fetch import Ask, Session
from transport.http.pki import STAMP_TIME, HttpTimestamper
from transport.http.stamping import Authorities

DEMO = Reach(demo=True, plain=True)


@pytest.fixture(scope="module")
def stranger(now: datetime) -> DevPki:
    """An authority that nobody here trusts."""
    return DevPki.create(at=now - timedelta(days=30))


@pytest.fixture
def house(pki: DevPki, stranger: DevPki, now: datetime) -> Iterator[House]:
    found = House(pki, stranger, now)
    yield found
    found.stop()


def authorities(house: House, *paths: str, context: Context | None = None, timeout: float = 180) -> Authorities:
    urls = [house.base + path for path in paths]
    return Authorities(urls, reach=DEMO, context=context, timeout=timeout, pause=lambda _: None)


@pytest.mark.parametrize("fault", ["/other-imprint", "/other-nonce", "/untrusted", "/garbage", "/cut"])
def test_a_false_answer_leads_to_the_next_authority(house: House, context: Context, fault: str) -> None:
    with authorities(house, fault, "/good", context=context) as chosen:
        token = obtain(chosen, DIGEST, context=context)
        assert chosen.last_size == len(token)
        assert house.asked[-1] == "/good"
        before = len(house.asked)
        obtain(chosen, DIGEST)  # the one that answered well is asked first from now on
        assert house.asked[before:] == ["/good"]


def test_an_untrusted_authority_serves_nobody_who_says_whom_to_trust(house: House, context: Context) -> None:
    with authorities(house, "/untrusted", context=context) as chosen, pytest.raises(TimestampError) as caught:
        chosen.stamp(request_for(DIGEST))
    assert (caught.value.code, caught.value.facts["url"]) == ("EDOC-PKI-006", house.base + "/untrusted")


def test_one_that_is_late_is_given_up_for_the_next(house: House) -> None:
    with authorities(house, "/late", "/good", timeout=1.5) as chosen:
        assert obtain(chosen, DIGEST)
        assert set(house.asked) == {"/late", "/good"}


def test_all_that_were_tried_are_named_with_why(house: House) -> None:
    with (
        authorities(house, "/late", "/cut", "/other-nonce", timeout=1.5) as chosen,
        pytest.raises(TimestampError) as caught,
    ):
        obtain(chosen, DIGEST)
    told = str(caught.value.facts["url"])
    assert caught.value.code == "EDOC-PKI-007"
    parts = (
        "/late (timeout, EDOC-PKI-001)",
        "/cut (connection cut, EDOC-PKI-001)",
        "/other-nonce (nonce, EDOC-PKI-004)",
    )
    assert told.split("; ") == [house.base + part for part in parts]


def test_one_that_let_everybody_wait_is_remembered(house: House) -> None:
    """A batch does not wait the full time again for every file, and is told the same reasons."""
    with authorities(house, "/late", "/garbage", timeout=1.5) as chosen:
        told = []
        for number in range(5):
            with pytest.raises(TimestampError) as caught:
                obtain(chosen, bytes([number]) * 32)
            told.append(caught.value.facts["url"])
        assert house.asked.count("/late") == 1
        assert house.asked.count("/garbage") == 5  # it answers at once, so it may yet answer well
        assert set(told) == {f"{house.base}/late (timeout, EDOC-PKI-001); {house.base}/garbage (DER, EDOC-PKI-002)"}


def test_one_that_was_left_in_peace_is_asked_once_and_serves_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the rest one brief question shows whether an authority is back; then it is as before."""
    monkeypatch.setattr("transport.http.stamping.REST", 0.0)
    with authorities(house, "/flaky") as chosen:
        house.failing = 4
        for asked in (3, 4):
            with pytest.raises(TimestampError) as caught:
                obtain(chosen, DIGEST)
            assert (caught.value.code, caught.value.facts["reason"]) == ("EDOC-PKI-001", "HTTP 503")
            assert len(house.asked) == asked
        assert obtain(chosen, DIGEST)
        house.failing = 2
        assert obtain(chosen, DIGEST)


def test_a_batch_keeps_its_connection(house: House) -> None:
    with authorities(house, "/good") as chosen:
        for number in range(20):
            obtain(chosen, bytes([number]) * 32)
    assert (len(house.asked), house.connections) == (20, 1)


def test_a_kept_connection_that_was_closed_is_replaced(house: House) -> None:
    with Session(DEMO) as session:
        for _ in range(3):
            ask = Ask(
                "POST", house.base + "/closing", {"Content-Type": "application/timestamp-query"}, request_for(DIGEST)
            )
            assert session.fetch(ask, most=65536, timeout=5).status == 200
    assert len(house.asked) == 3


def test_threads_share_the_authorities(house: House) -> None:
    with authorities(house, "/garbage", "/good") as chosen:
        found: list[bytes] = []
        threads = [threading.Thread(target=lambda: found.append(obtain(chosen, DIGEST))) for _ in range(8)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
    assert len(found) == 8


def test_a_stamp_is_waited_for_three_minutes_at_least() -> None:
    assert STAMP_TIME >= 180
    assert HttpTimestamper("https://tsa.example/").timeout >= 180
    assert all(one.asker.timeout >= 180 for one in Authorities(["https://tsa.example/"])._all)


def test_the_demonstration_server_is_such_an_authority(now: datetime) -> None:
    with PkiServer(clock=lambda: now) as server:
        made = DevPki.create(at=now - timedelta(days=30), base_url=server.url)
        server.use(made)
        context = Context(trust=made.trust(at=now), at=now, policy=PolicyName.INTEROP)
        with Authorities([server.tsa_url], reach=DEMO, context=context) as chosen:
            assert obtain(chosen, DIGEST, context=context).startswith(b"\x30")
