"""Where requests end, and when patience does: pure parts of the server, at limit − 1, limit, limit + 1."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transport.errors import Problem
from transport.http.framing import Framer
from transport.http.limits import Buckets, Gauge, HttpLimits, RateWatch
from transport.http.spool import Disk, Spool

LIMITS = HttpLimits(request_line_max_bytes=100, header_max_bytes=200, headers_max=4)
ONE = b"PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
TWO = b"GET /b HTTP/1.1\r\nHost: h\r\n\r\n"


@given(st.lists(st.sampled_from([ONE, TWO]), min_size=1, max_size=4), st.lists(st.integers(0, 200), max_size=12))
def test_requests_pass_unchanged_however_the_bytes_are_cut(requests: list[bytes], cuts: list[int]) -> None:
    whole = b"".join(requests)
    framer, passed, at = Framer(LIMITS), b"", 0
    for cut in [*sorted(one for one in cuts if one < len(whole)), len(whole)]:
        passed += framer.feed(whole[at:cut])
        at = cut
        assert whole.startswith(passed)
    assert passed == whole
    assert not framer.started
    assert not framer.in_body


@given(st.binary(max_size=400), st.integers(1, 40))
def test_any_bytes_either_pass_as_whole_requests_or_are_refused(data: bytes, step: int) -> None:
    framer, passed = Framer(LIMITS), b""
    with suppress(Problem):
        for at in range(0, len(data), step):
            passed += framer.feed(data[at : at + step])
    assert data.startswith(passed) or data.replace(b"\r\n", b"", 1).startswith(passed)


def head(line: int = 0, fields: int = 0, count: int = 1) -> bytes:
    """A head with a request line, fields, and number of fields of this size."""
    first = b"GET /" + b"x" * (line - len(b"GET / HTTP/1.1")) + b" HTTP/1.1" if line else b"GET / HTTP/1.1"
    names = [b"Host: h"] + [b"X: y"] * (count - 1)
    size = sum(len(one) + 2 for one in names)
    if fields:
        names[-1] += b"z" * (fields - size)
    return b"\r\n".join([first, *names]) + b"\r\n\r\n"


@pytest.mark.parametrize(
    ("name", "at", "status"),
    [("line", 100, 414), ("fields", 200, 431), ("count", 4, 431)],
)
def test_head_limits_are_exact(name: str, at: int, status: int) -> None:
    for value in (at - 1, at):
        whole = head(**{name: value})
        assert Framer(LIMITS).feed(whole) == whole
    with pytest.raises(Problem) as caught:
        Framer(LIMITS).feed(head(**{name: at + 1}))
    assert caught.value.status == status


def test_an_endless_head_is_refused_before_it_is_stored() -> None:
    for start, status in ((b"GET /", 414), (b"GET / HTTP/1.1\r\nX: ", 431)):
        framer = Framer(LIMITS)
        framer.feed(start)
        with pytest.raises(Problem) as caught:
            sum(len(framer.feed(b"x" * 10)) for _ in range(40))
        assert caught.value.status == status


def test_the_rate_is_judged_over_a_window_after_the_first_one() -> None:
    limits = HttpLimits(body_rate_window=30.0, body_min_rate=100)
    slow = RateWatch(limits, now=0.0)
    assert all(slow.received(99, now=float(second)) for second in range(1, 30))
    assert not slow.received(99, now=30.0)
    steady = RateWatch(limits, now=0.0)
    assert all(steady.received(100, now=float(second)) for second in range(1, 300))
    fading = RateWatch(limits, now=0.0)
    assert all(fading.received(1000, now=float(second)) for second in range(1, 61))
    verdicts = [fading.received(1, now=float(second)) for second in range(61, 95)]
    assert verdicts[0]
    assert not verdicts[-1]


def test_patience_ends_with_the_idle_time_or_the_total_time() -> None:
    watch = RateWatch(HttpLimits(body_idle_time=30.0, body_total_time=100.0), now=0.0)
    assert watch.patience(10.0) == 20.0
    watch.received(1, now=95.0)
    assert watch.patience(95.0) == 5.0


def test_buckets_let_a_burst_pass_and_then_the_rate() -> None:
    buckets = Buckets(rate=2.0, burst=3)
    assert [buckets.take("a", now=0.0) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    assert buckets.take("b", now=0.0) == 0.0
    assert buckets.take("a", now=0.5) == 0.0
    assert buckets.take("a", now=0.5) > 0


@given(st.lists(st.tuples(st.booleans(), st.sampled_from("ab")), max_size=60))
def test_a_gauge_never_passes_its_limits_and_returns_to_nothing(moves: list[tuple[bool, str]]) -> None:
    gauge, inside = Gauge(most=5, each=3), {"a": 0, "b": 0}
    for enters, name in moves:
        if enters:
            inside[name] += gauge.enter(name)
        elif inside[name]:
            gauge.leave(name)
            inside[name] -= 1
        assert (gauge.of("a"), gauge.of("b"), gauge.total) == (inside["a"], inside["b"], sum(inside.values()))
        assert gauge.total <= 5
        assert max(inside.values()) <= 3
    for name, number in inside.items():
        for _ in range(number):
            gauge.leave(name)
    assert gauge.total == 0


def test_limits_come_from_the_settings_by_name() -> None:
    limits = HttpLimits.of({"message_max_bytes": 1000, "header_time": 3, "rate_per_partner": 5.0, "pdf_max_bytes": 7})
    assert (limits.message_max_bytes, limits.header_time, limits.rate_per_partner, limits.rate_burst) == (
        1000,
        3,
        5,
        10,
    )
    with pytest.raises(ValueError):
        HttpLimits.of({"message_max_bytes": 3 * 2**30})


class Chunks:
    """A body that comes in given pieces."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = list(pieces)

    async def readany(self) -> bytes:
        """The next piece."""
        return self.pieces.pop(0) if self.pieces else b""


@pytest.mark.parametrize("size", [1, 65_535, 65_536, 65_537, 600_000])
async def test_a_spool_holds_exactly_what_came(tmp_path: Path, size: int) -> None:
    body = bytes(n % 251 for n in range(size))
    pieces = [body[at : at + 10_000] for at in range(0, size, 10_000)]
    with Spool(tmp_path, HttpLimits(), size=size) as spool:
        digest = await spool.fill(Chunks(*pieces), clock=lambda: 0.0)
        assert digest == hashlib.sha256(body).hexdigest()
        assert spool.data() == body
        assert len(os.listdir(tmp_path)) == (1 if size > 65_536 else 0)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("pieces", [(b"12345", b"6"), (b"1234",), ()])
async def test_more_or_less_than_announced_is_refused(tmp_path: Path, pieces: tuple[bytes, ...]) -> None:
    with Spool(tmp_path, HttpLimits(), size=5) as spool:
        with pytest.raises(Problem) as caught:
            await spool.fill(Chunks(*pieces), clock=lambda: 0.0)
        assert caught.value.name == "digest-mismatch"


async def test_a_body_that_comes_too_slowly_is_refused(tmp_path: Path) -> None:
    ticks = iter(float(n) for n in range(1000))
    with Spool(tmp_path, HttpLimits(), size=100) as spool, pytest.raises(Problem) as caught:
        await spool.fill(Chunks(*[b"x"] * 100), clock=lambda: next(ticks))
    assert (caught.value.name, caught.value.status) == ("timeout", 408)


async def test_a_spool_that_cannot_write_is_low_on_storage(tmp_path: Path) -> None:
    with Spool(tmp_path / "missing", HttpLimits(), size=100_000) as spool:
        with pytest.raises(Problem) as caught:
            await spool.fill(Chunks(b"x" * 100_000), clock=lambda: 0.0)
        assert (caught.value.name, caught.value.status) == ("storage-low", 507)


def test_reservations_count_until_they_are_given_back(tmp_path: Path) -> None:
    disk = Disk(tmp_path, HttpLimits(disk_reserve_bytes=0, disk_reserve_percent=0))
    disk.reserve(1000)
    with pytest.raises(Problem):
        disk.reserve(2**62)
    assert disk.reserved == 1000
    disk.release(1000)
    assert disk.reserved == 0
