"""The check of a whole log (ledger.md 11, ``verify``; R88): recompute everything, name the first wrong index.

What is compared: each leaf's bytes with its hash, its place with the order of indices, its ``prev`` with the chain of
its dispatch, hashes with the tiles of every level, tiles and leaves with the edge and root of the head, the head with
its signature, its time with the newest leaf, and the query table with the leaves it was derived from. On demand the
bytes behind ``receipt``, and a checkpoint that somebody else kept.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256

from transport.errors import LedgerError
from transport.ledger import checkpoint, event
from transport.ledger.canonical import Json
from transport.ledger.merkle import Edge, leaf_hash, verify_consistency
from transport.ledger.note import read_vkey
from transport.ledger.tiles import WIDTH
from transport.store.log_events import row_of
from transport.store.log_rows import OpenLog, as_bytes, read_tile
from transport.store.log_tiles import Findings, Problem, check_tiles, tree_of
from transport.store.statements import Connection
from transport.store.times import millis

Receipts = Callable[[str], bytes | None]
"""Gives the bytes behind a digest (hexadecimal), or ``None`` when they are not kept here."""

BROKEN = "broken"
NOT_PROVED = "not-proved"
PROVED = "proved"


@dataclass(frozen=True, slots=True)
class VerifyResult:
    """``edoc.ledger.verify/1``: ``result`` is proved, not-proved (a part is missing) or broken."""

    origin: str
    result: str
    size: int
    checked: int
    first_bad_index: int | None
    reason: str | None
    problems: tuple[Problem, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to check: a range of indices, or a random sample, and what to compare with.

    ``vkey`` is the log's key as the node's key file has it: who can write rows could exchange the one that is stored.
    """

    first: int = 0
    last: int | None = None
    sample: int | None = None
    against: bytes | None = None
    receipts: Receipts | None = None
    vkey: str | None = None


def verify(connection: Connection, log: OpenLog, wanted: Wanted) -> VerifyResult:
    """Check a log and say what does not hold; nothing is changed."""
    started = time.perf_counter()
    found = Findings()
    last = log.size - 1 if wanted.last is None else min(wanted.last, log.size - 1)
    whole = wanted.first <= 0 and last == log.size - 1 and wanted.sample is None
    if wanted.sample is not None:
        _check_sample(connection, log, wanted, found)
    elif whole:
        _check_whole(connection, log, wanted, found)
    else:
        _check_range(connection, log, (max(wanted.first, 0), last), wanted.receipts, found)
    check_tiles(connection, log, found)
    if not whole:
        _check_root(connection, log, found)
    if wanted.vkey not in (None, log.vkey):
        found.add("head", None, "the stored key is not the key of this log")
    _check_head(connection, log, found)
    if wanted.against is not None:
        _check_against(connection, log, wanted.against, found)
    return _result(log, found, time.perf_counter() - started)


def _result(log: OpenLog, found: Findings, seconds: float) -> VerifyResult:
    problems = tuple(sorted(found.problems, key=lambda one: (one.index is None, one.index or 0)))
    bad = [one for one in problems if one.code != "receipt-missing"]
    first = next((one.index for one in bad if one.index is not None), None)
    result = BROKEN if bad else NOT_PROVED if found.missing else PROVED
    reason = (bad or list(problems) or [Problem("", None, "")])[0].code or None
    return VerifyResult(log.origin, result, log.size, found.checked, first, reason, problems, seconds)


# --- leaves ----------------------------------------------------------------------------------------------------------

_Row = tuple[int, bytes, bytes | None]


def _rows(connection: Connection, log: OpenLog, first: int, last: int) -> Iterator[_Row]:
    rows = connection.exec_driver_sql(
        "SELECT e.idx, CAST(f.leaf AS BLOB), CAST(f.data AS BLOB)"
        " FROM ledger_entry e JOIN ledger_leaf f ON f.ticket = e.ticket"
        " WHERE e.log = ? AND e.idx >= ? AND e.idx <= ? ORDER BY e.idx",
        (log.id, first, last),
    )
    return ((int(i), as_bytes(leaf), None if data is None else as_bytes(data)) for i, leaf, data in rows)


def _check_whole(connection: Connection, log: OpenLog, wanted: Wanted, found: Findings) -> None:
    edge = Edge()
    subtrees = _subtrees(log)
    events = _events(connection, log)
    for index, leaf, data in _rows(connection, log, 0, 2**62):
        if index != edge.size:
            found.add("gap", edge.size, "a leaf is missing")
            break
        computed = _check_leaf(log, (index, leaf, data), found)
        edge.append(computed)
        fields = _fields(index, data, found)
        _check_chain(log, index, fields, computed, found)
        _check_receipt(index, fields, wanted.receipts, found)
        _check_event(log, (index, computed, fields), next(events, None), found)
        if index + 1 in subtrees and not found.problems:
            _check_subtree(edge, index + 1, subtrees[index + 1], found)
    if next(events, None) is not None:
        found.add("event", None, "the query table holds more than the log")
    if edge.size != log.size:
        found.add("size", min(edge.size, log.size), "the head counts another number of leaves")
    elif edge.root() != log.root:
        found.add("root", None, "the leaves lead to another root than the head's")
    elif edge.to_bytes() != log.edge:
        found.add("edge", None, "the stored edge is not that of the leaves")
    if found.newest != log.at and log.size:
        found.add("head-time", None, "the head's time is not that of the newest leaf")


def _check_range(
    connection: Connection, log: OpenLog, bounds: tuple[int, int], receipts: Receipts | None, found: Findings
) -> None:
    first, last = bounds
    expected = first
    for index, leaf, data in _rows(connection, log, first, last):
        if index != expected:
            found.add("gap", expected, "a leaf is missing")
            return
        computed = _check_leaf(log, (index, leaf, data), found)
        _check_receipt(index, _fields(index, data, found), receipts, found)
        _check_intree_of(connection, log, index, computed, found)
        expected += 1
    if expected <= last:
        found.add("gap", expected, "a leaf is missing")


def _check_sample(connection: Connection, log: OpenLog, wanted: Wanted, found: Findings) -> None:
    for _ in range(min(wanted.sample or 0, log.size)):
        index = secrets.randbelow(log.size)
        _check_range(connection, log, (index, index), wanted.receipts, found)


def _check_leaf(log: OpenLog, row: _Row, found: Findings) -> bytes:
    """Return the leaf's hash, computed from its bytes while they are kept."""
    index, leaf, data = row
    found.checked += 1
    if data is None:
        if index >= log.min_index:
            found.add("data-missing", index, "the leaf's bytes are gone")
        return leaf
    computed = leaf_hash(data)
    if computed != leaf:
        found.add("leaf", index, "the leaf's bytes have another hash")
    return computed


_Fields = dict[str, Json]


def _fields(index: int, data: bytes | None, found: Findings) -> _Fields | None:
    """Return what a leaf says; ``None`` when its bytes are gone or cannot be read."""
    if data is None:
        return None
    try:
        fields = json.loads(data)
        if isinstance(fields, dict):
            return fields
    except (ValueError, RecursionError):
        pass
    found.add("form", index, "the leaf cannot be read")
    return None


def _check_chain(log: OpenLog, index: int, fields: _Fields | None, computed: bytes, found: Findings) -> None:
    if fields is None:
        return
    try:
        found.newest = max(found.newest, millis(event.read_time(str(fields.get("at")))))
    except ValueError:
        found.add("form", index, "the leaf's time cannot be read")
    if "side" not in fields:
        return
    sender, recipient, message, side = (str(fields.get(name)) for name in ("from", "to", "msg", "side"))
    chain = (sender, recipient, message, side)
    before = found.chains.get(chain)
    continued = before is None and log.id > 1  # a later shard: the event before may stand in an earlier one
    if fields.get("prev") != before and not continued:
        found.add("prev", index, "prev does not name the event before")
    found.chains[chain] = computed.hex()


def _check_receipt(index: int, fields: _Fields | None, receipts: Receipts | None, found: Findings) -> None:
    if receipts is None or fields is None or fields.get("rtype") == "file":
        return  # a file that was handed out is kept by whoever got it; the leaf holds its digest
    digest = str(fields.get("receipt"))
    kept = receipts(digest)
    if kept is None:
        found.missing = True
        found.add("receipt-missing", index, "the evidence bytes are not kept here")
    elif sha256(kept).hexdigest() != digest:
        found.add("receipt", index, "the evidence bytes have another digest")


def _check_intree_of(connection: Connection, log: OpenLog, index: int, computed: bytes, found: Findings) -> None:
    hashes = read_tile(connection, log.id, 0, index // WIDTH, min(WIDTH, log.size - index // WIDTH * WIDTH))
    if index % WIDTH >= len(hashes) or hashes[index % WIDTH] != computed:
        found.add("tile", index, "the tile holds another hash for this leaf")


# --- the query table -------------------------------------------------------------------------------------------------


def _events(connection: Connection, log: OpenLog) -> Iterator[dict[str, object]]:
    rows = connection.exec_driver_sql("SELECT * FROM ledger_event WHERE log = ? ORDER BY idx", (log.id,))
    return (dict(row) for row in rows.mappings())


def _check_event(
    log: OpenLog, leaf: tuple[int, bytes, _Fields | None], derived: dict[str, object] | None, found: Findings
) -> None:
    index, computed, fields = leaf
    if fields is None or derived is None:
        return
    try:
        same = derived == row_of(log.id, index, computed, fields)  # SQLite keeps booleans as 0 and 1, which are equal
    except (ValueError, TypeError):
        same = False
    if not same:
        found.add("event", index, "the query table says something else than the leaf")


# --- tree ------------------------------------------------------------------------------------------------------------


def _subtrees(log: OpenLog) -> dict[int, tuple[int, bytes]]:
    """Return, by the size at which it ends, the start and root of each complete subtree of the stored edge."""
    try:
        hashes = Edge.from_bytes(log.size, log.edge).hashes
    except ValueError:
        return {}
    found, at = {}, 0
    for one in hashes:
        width = 1 << ((log.size - at).bit_length() - 1)
        found[at + width] = (at, one)
        at += width
    return found


def _check_subtree(edge: Edge, end: int, stored: tuple[int, bytes], found: Findings) -> None:
    start, root = stored
    if edge.hashes[-1] != root:
        found.add("edge", start, f"the leaves from here to {end - 1} have another root than the head's edge")


def _check_root(connection: Connection, log: OpenLog, found: Findings) -> None:
    try:
        if tree_of(connection, log, log.size).root() != log.root:
            found.add("root", None, "the tiles lead to another root than the head's")
    except LedgerError:
        found.add("root", None, "the tiles do not make a tree of this size")


# --- head ------------------------------------------------------------------------------------------------------------


def _check_head(connection: Connection, log: OpenLog, found: Findings) -> None:
    try:
        key = read_vkey(log.vkey)
        signed = checkpoint.open_checkpoint(log.note, log=key).checkpoint
        if (signed.origin, signed.size, signed.root) != (log.origin, log.size, log.root):
            found.add("head", None, "the signed checkpoint states another head")
    except LedgerError as error:
        found.add("head", None, f"the checkpoint does not verify: {error}")
    anchors = connection.exec_driver_sql("SELECT size, note FROM ledger_anchor WHERE log = ?", (log.id,))
    for _, note in anchors.all():
        _check_against(connection, log, str(note).encode(), found)


def _check_against(connection: Connection, log: OpenLog, note: bytes, found: Findings) -> None:
    """Compare with a checkpoint kept elsewhere: our log must extend it, and it must be signed by our log key."""
    try:
        other = checkpoint.open_checkpoint(note, log=read_vkey(log.vkey)).checkpoint
        if other.size > log.size:
            found.add("against", log.size, "a signed checkpoint is ahead of this log")
            return
        root = tree_of(connection, log, other.size).root() if other.size else other.root
        if root != other.root:
            found.add("against", None, f"the log had another root at size {other.size}")
            return
        path = tree_of(connection, log, log.size).consistency(other.size)
        verify_consistency(other.size, log.size, path, old_root=other.root, new_root=log.root)
    except LedgerError as error:
        found.add("against", None, f"the checkpoint does not fit this log: {error}")
