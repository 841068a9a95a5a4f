"""The node at a glance, with the driver alone: ``edoc status`` answers within a third of a second (dependencies.md 5).

The same questions as ``inlist.counts`` and ``outlist.counts`` answer; a test compares them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from transport.errors import StoreError
from transport.store.paging import VIETNAM
from transport.store.quickly import reading

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
    WHERE kind = 'edoc' AND state NOT IN ('refused', 'finished', 'recalled', 'deleted') AND due < {today}
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
    today = now.astimezone(VIETNAM).date().isoformat()
    with reading(home) as connection:
        if connection is None:
            raise StoreError("EDOC-STO-001", "cannot read the database", doing="reading", reason="no database")
        counts = {f"in_{state}": many for state, many in connection.ask(_IN).fetchall()}
        counts |= {f"out_{_STATES[rank]}": many for rank, many in connection.ask(_OUT).fetchall()}
        late = connection.ask(_OVERDUE.format(today=connection.mark), (today,)).fetchone()
    return Glance(counts, int(late[0]) if late else 0)
