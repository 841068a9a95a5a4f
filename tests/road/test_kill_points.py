"""kill -9 at every named point of a delivery, on either side: the ordinary path resumes, nothing lost or doubled (F1).

Several points of a group are tried at the same time, each with its own pair of offices, because a dead worker's lease
takes half a minute to lapse and that is the only recovery there is.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from tests.road.pairs import Pair, ask
from tests.world import letter
from transport import points
from transport.demo.offices import Office, environment, until

pytestmark = [pytest.mark.process, pytest.mark.timeout(600)]

AT_ONCE = 3
"""Pairs of offices that run at the same time."""

Make = Callable[[], Pair]


def together(names: tuple[str, ...], pairs: list[Pair], story: Callable[[Pair, str], None]) -> None:
    """Tell a story once for each point, all at the same time; every failure names its point."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        futures = {name: pool.submit(story, pair, name) for name, pair in zip(names, pairs, strict=True)}
    failures = {name: error for name, future in futures.items() if (error := future.exception()) is not None}
    assert not failures


def died(office: Office) -> None:
    """Wait until a node's process was killed, and see that it was."""
    process = office.process
    assert process is not None
    until(f"{office.code} died", lambda: process.poll() is not None, seconds=60)
    assert process.returncode == -9
    office.kill()


def receiver_dies(pair: Pair, point: str) -> None:
    """B dies at the point while it receives; after its restart the letter is there once."""
    pair.b.start(EDOC_STOP_AT=point)
    message_id = pair.queue()
    pair.a.start()
    died(pair.b)
    pair.b.start()
    pair.delivered(message_id, seconds=120)
    arrival_told_once(pair, message_id)
    pair.check(message_id)


def sender_dies(pair: Pair, point: str) -> None:
    """A dies at the point while it sends; after its restart the letter is delivered once."""
    pair.b.start()
    message_id = pair.queue()
    pair.a.start(EDOC_STOP_AT=point)
    died(pair.a)
    pair.a.start()
    pair.delivered(message_id, seconds=120)
    arrival_told_once(pair, message_id)
    pair.check(message_id)


def arrival_told_once(pair: Pair, message_id: str) -> None:
    """Status 01 is sealed once, and arrives at A once (I3)."""
    told = "SELECT count(*) FROM status WHERE direction = 'in' AND code = '01' AND message_id = ?"
    until("status 01 at A", lambda: ask(pair.a.home, told, message_id) == [(1,)], seconds=120)
    sealed = "SELECT count(*) FROM message WHERE kind = 'status' AND status_code = '01' AND cause = ?"
    assert ask(pair.b.home, sealed, message_id) == [(1,)]


def test_a_receiver_killed_at_any_step_ends_with_one_row_and_one_receipt(pairs: Make) -> None:
    together(points.RECEIVE, [pairs() for _ in points.RECEIVE], receiver_dies)


def test_a_sender_killed_at_any_step_delivers_once(pairs: Make) -> None:
    together(points.CARRY, [pairs() for _ in points.CARRY], sender_dies)


def test_a_receiver_killed_while_it_tells_the_arrival_tells_it_once(pairs: Make) -> None:
    together(points.EFFECT, [pairs() for _ in points.EFFECT], receiver_dies)


def submit_dies(pair: Pair, point: str) -> None:
    """``edoc send`` dies at the point; the same command again gives one message, delivered once."""

    file = pair.a.home.parent / "letter.edxml"
    file.write_bytes(letter(at=datetime.now(UTC)))
    command = ("send", str(file), "--queue-only", "--yes", "--allow-information-only")
    words = [sys.executable, "-m", "edoc", "--home", str(pair.a.home), *command]
    killed = subprocess.run(words, env=environment(EDOC_STOP_AT=point), capture_output=True, timeout=120)
    assert killed.returncode == -9
    pair.a.run(*command, expect=(0, 4))
    rows = ask(pair.a.home, "SELECT message_id FROM message WHERE kind = 'edoc'")
    assert len(rows) == 1, "the same file is one message"
    message_id = str(rows[0][0])
    pair.b.start()
    pair.a.start()
    pair.delivered(message_id, seconds=120)
    arrival_told_once(pair, message_id)
    pair.check(message_id)


def test_a_send_command_killed_at_any_step_sends_once_when_repeated(pairs: Make) -> None:
    together(points.SUBMIT, [pairs() for _ in points.SUBMIT], submit_dies)


def test_every_named_point_has_been_tried() -> None:
    groups = (points.RECEIVE, points.CARRY, points.EFFECT, points.SUBMIT)
    assert set().union(*groups) == points.POINTS
    assert len(points.POINTS) >= 12
