"""What was judged a moment ago is kept within bounds (exchange.md 3.1)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from edoc.seal import OpenedEnvelope
from transport.node import recent
from transport.node.recent import Recent

NOW = datetime(2026, 11, 25, 8, tzinfo=UTC)


def opened(name: str, size: int) -> OpenedEnvelope:
    """Return what is asked of a message here: its digest and size."""
    return cast("OpenedEnvelope", SimpleNamespace(data_sha256=name, size=size))


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, recent.BYTES + 5), st.booleans()), max_size=600))
def test_never_more_messages_or_bytes_than_allowed_and_the_newest_is_there(acts: list[tuple[int, int, bool]]) -> None:
    kept = Recent()
    for name, size, gone in acts:
        if gone:
            kept.done(str(name))
            assert kept.of(str(name)) is None
            continue
        kept.note(opened(str(name), size), NOW)
        assert (kept.of(str(name)) is not None) == (size <= recent.BYTES)
        held = [one for one in (kept.of(str(number)) for number in range(401)) if one is not None]
        assert len(held) <= recent.MANY
        assert sum(one.opened.size for one in held) <= recent.BYTES


def test_a_judgement_stands_for_a_minute_and_never_for_the_past() -> None:
    kept = Recent()
    kept.note(opened("a", 1), NOW)
    found = kept.of("a")
    assert found is not None
    ages = (-1, 0, 60, 61)
    assert [found.holds(NOW + timedelta(seconds=age)) for age in ages] == [False, True, True, False]
