"""The node at a glance, with ``sqlite3`` alone: ``edoc status`` answers within a third of a second (dependencies.md 5).

The same questions as ``inlist.counts`` and ``outlist.counts`` answer; a test compares them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from transport.errors import StoreError
from transport.store.paging import VIETNAM
from transport.store.quick import DATABASE

_STATES = ("refused", "expired", "unknown", "carrying", "queued", "recalled", "delivered")
_RANK = "CASE d.state " + " ".join(f"WHEN '{state}' THEN {n}" for n, state in enumerate(_STATES)) + " END"
_IN = "SELECT state, count(*) FROM inbox WHERE kind = 'edoc' GROUP BY state"
_OUT = f"""
    SELECT rank, count(*) FROM (
        SELECT min({_RANK}) AS rank FROM dispatch d JOIN message m ON m.id = d.message
        WHERE m.kind = 'edoc' GROUP BY d.message) AS worst
    GROUP BY rank
"""  # noqa: S608 - made of constants
_OVERDUE = """
    SELECT count(*) FROM inbox
    WHERE kind = 'edoc' AND state NOT IN ('refused', 'finished', 'recalled', 'deleted') AND due < ?
"""


@dataclass(frozen=True, slots=True)
class Glance:
    """Counts by state (``in_arrived``, ``out_delivered`` …) and how many documents are past their day."""

    counts: Mapping[str, int]
    overdue: int


def glance(home: Path, *, now: datetime) -> Glance:
    """Return the counts of both books.

    Raises:
        StoreError: the database cannot be read.
    """
    path = home / DATABASE
    today = now.astimezone(VIETNAM).date().isoformat()
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5.0)) as connection:
            counts = {f"in_{state}": many for state, many in connection.execute(_IN)}
            counts |= {f"out_{_STATES[rank]}": many for rank, many in connection.execute(_OUT)}
            ((overdue,),) = connection.execute(_OVERDUE, (today,))
    except sqlite3.DatabaseError as error:
        raise StoreError(
            "EDOC-STO-001", "cannot read the database", doing="reading", path=str(path), reason=str(error)
        ) from error
    return Glance(counts, overdue)
