"""A clock that was ahead when a message was queued: once it is right, the first attempt does not wait (F11)."""

from __future__ import annotations

from datetime import timedelta

from tests import world as worlds
from tests.wire.conftest import A, Place, utc_now
from transport.desk import nodes


def test_what_a_clock_a_day_ahead_queued_is_tried_at_once_by_the_command_that_carries(place: Place) -> None:
    node, ahead = place.nodes[A], utc_now() + timedelta(days=1)
    data = worlds.letter("120", at=ahead, name="120-SMA-VP.pdf")
    message_id = node.send(data, now=ahead, allow_information_only=True).message_id
    (view,) = nodes.carry(node, message_id, seconds=1.0)
    assert view.attempts >= 1
    assert view.state.value == "queued", "nobody listens there; it was tried all the same"
