"""What a server tells by itself while nobody asks (exchange.md 6, 13)."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.world import letter
from transport.node import upkeep

if TYPE_CHECKING:
    from tests.world import World

A, B = "H99.01", "H99.02"


def test_a_letter_without_receipt_after_its_time_is_told_once_and_a_delivered_one_never(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    office = world.nodes[A].office
    delivered = world.nodes[A].send(letter(at=world.clock.now), now=world.clock.now, allow_information_only=True)
    world.settle()
    world.clock.turn(timedelta(minutes=1))
    waiting = world.nodes[A].send(letter(at=world.clock.now), now=world.clock.now, allow_information_only=True)
    (alarm,) = [job for job in upkeep.jobs(office, world.clock) if job.name == "alarm"]
    with caplog.at_level(logging.WARNING, "edoc.node"):
        alarm.run()
        assert not overdue(caplog), "an ordinary letter has four hours"
        world.clock.turn(timedelta(hours=4, minutes=1))
        alarm.run()
        alarm.run()
    assert overdue(caplog) == [f"{A}/{B}/{waiting.message_id}"]
    assert delivered.message_id != waiting.message_id


def overdue(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return which dispatches were told to be overdue."""
    return [vars(record)["k"] for record in caplog.records if record.getMessage() == "dispatch.overdue"]
