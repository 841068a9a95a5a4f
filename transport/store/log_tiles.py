"""What the check of a log finds, and its part about tiles: each stored tile against what lies below (ledger.md 12)."""

from __future__ import annotations

from dataclasses import dataclass, field

from transport.ledger.merkle import root_of
from transport.ledger.tiles import WIDTH, TileTree, split_hashes
from transport.store.log_rows import OpenLog, as_bytes, read_tile
from transport.store.statements import Connection

MAX_PROBLEMS = 100


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that does not hold: a code, the index of the leaf if there is one, words for developers."""

    code: str
    index: int | None
    text: str


@dataclass(slots=True)
class Findings:
    """What was found so far, and what is carried from leaf to leaf."""

    problems: list[Problem] = field(default_factory=list)
    missing: bool = False
    checked: int = 0
    newest: int = 0
    chains: dict[tuple[str, str, str, str], str] = field(default_factory=dict)

    def add(self, code: str, index: int | None, text: str) -> None:
        """Note a problem; beyond the first hundred they are all alike."""
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(code, index, text))


def check_tiles(connection: Connection, log: OpenLog, found: Findings) -> None:
    """Check that exactly the full tiles are stored, and that each holds the hashes below it and their root."""
    count, level = log.size // WIDTH, 0
    while count:
        for n in range(count):
            _check_tile(connection, log, level, n, found)
        count, level = count // WIDTH, level + 1
    extra = connection.exec_driver_sql("SELECT count(*) FROM ledger_tile WHERE log = ?", (log.id,)).scalar_one()
    if extra != _tile_count(log.size):
        found.add("tile", None, "there are more or fewer tiles than the log has")


def _tile_count(size: int) -> int:
    total = 0
    while size := size // WIDTH:
        total += size
    return total


def _check_tile(connection: Connection, log: OpenLog, level: int, n: int, found: Findings) -> None:
    start = n * WIDTH ** (level + 1)
    row = connection.exec_driver_sql(
        "SELECT CAST(root AS BLOB), CAST(data AS BLOB) FROM ledger_tile WHERE log = ? AND level = ? AND n = ?",
        (log.id, level, n),
    ).one_or_none()
    if row is None:
        found.add("tile", start, f"tile {level}/{n} is missing")
        return
    below = _below(connection, log, level, n)
    hashes = _hashes(row[1])
    for place, (kept, made) in enumerate(zip(hashes, below, strict=False)):
        if kept != made:
            found.add("tile", start + place * WIDTH**level, f"tile {level}/{n} holds another hash")
            return
    if len(below) != WIDTH or len(hashes) != WIDTH or root_of(hashes) != row[0]:
        found.add("tile", start, f"the root of tile {level}/{n} is wrong")


def _hashes(value: object) -> tuple[bytes, ...]:
    try:
        return split_hashes(as_bytes(value))
    except ValueError:
        return ()


def _below(connection: Connection, log: OpenLog, level: int, n: int) -> list[bytes]:
    bounds = (log.id, n * WIDTH, (n + 1) * WIDTH)
    if level == 0:
        rows = connection.exec_driver_sql(
            "SELECT CAST(f.leaf AS BLOB) FROM ledger_entry e JOIN ledger_leaf f ON f.ticket = e.ticket"
            " WHERE e.log = ? AND e.idx >= ? AND e.idx < ? ORDER BY e.idx",
            bounds,
        )
    else:
        rows = connection.exec_driver_sql(
            "SELECT CAST(root AS BLOB) FROM ledger_tile WHERE log = ? AND n >= ? AND n < ? AND level = ? ORDER BY n",
            (*bounds, level - 1),
        )
    return [as_bytes(row[0]) for row in rows]


def tree_of(connection: Connection, log: OpenLog, size: int) -> TileTree:
    """Return the log's tree as its tiles have it."""
    return TileTree(size, lambda level, n, width: read_tile(connection, log.id, level, n, width))
