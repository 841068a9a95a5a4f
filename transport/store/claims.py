"""T2: which dispatch a worker gets next (exchange.md 6, claim): one short transaction, never open during network work.

The partner served longest ago comes first; within it the lane, then the time it is due. Each question goes along one
index, so a long queue costs no more than a short one.
"""

from __future__ import annotations

from datetime import datetime

from transport.dispatch import AGEING, LEASE, Event, Key, Lane, Situation, State, apply
from transport.store import circuit as circuits
from transport.store.records import Record, number, text
from transport.store.statements import Connection
from transport.store.times import millis, moment
from transport.store.values import AttemptEnd, Claim, LedgerRef
from transport.store.writer import Unit

ANSWER_MAX = 16 * 1024
"""Bytes kept of an answer that proved nothing, for the person who looks into it."""


def claim_due(unit: Unit, *, now: datetime, owner: str, limit: int = 1) -> list[Claim]:
    """T2: lease up to ``limit`` due dispatches to a worker; ``owner`` is a token random per worker.

    The partner served longest ago comes first; within it the lane, then the time it is due. An open circuit lets
    nothing through, a half-open one a single dispatch; one slot of each partner is kept for lane 1. Past its deadline a
    dispatch is claimed exactly once more.
    """
    claims: list[Claim] = []
    _heal_clock(unit.connection, now)
    while len(claims) < limit:
        claim = _claim_one(unit.connection, now, owner)
        if claim is None:
            break
        claims.append(claim)
    return claims


def heal_clock(unit: Unit, now: datetime) -> int:
    """Make due what waits further ahead than it ever may, because the clock was ahead when it was written.

    Beside what each claim heals by itself: dispatches never tried, which claims would have to search for, and effects.
    Return how many rows were brought back.
    """
    at = millis(now)
    values = {"at": at, "ahead": at + _AHEAD_MS, "far": at + _EFFECT_MOST_MS}
    return sum(unit.connection.exec_driver_sql(statement, values).rowcount for statement in _HEALING)


_EFFECT_MOST_MS = 10 * 60_000
_HEALING = (
    "UPDATE dispatch SET next_at = :at WHERE state = 'queued' AND last_at IS NULL AND submitted_at > :ahead "
    "AND next_at > :at",
    "UPDATE effect SET next_at = :at WHERE state = 'waiting' AND next_at > :far",
    "UPDATE effect SET lease_until = :at WHERE state = 'running' AND lease_until > :far",
)


def _heal_clock(connection: Connection, now: datetime) -> None:
    """Make due what was last touched in the future: the clock was set back, and waiting for it could take for ever."""
    at = millis(now)
    connection.exec_driver_sql(
        "UPDATE dispatch SET next_at = CASE WHEN next_at > :at THEN :at ELSE next_at END, "
        "lease_until = CASE WHEN lease_until > :at THEN :at ELSE lease_until END, last_at = :at "
        "WHERE state IN ('queued', 'unknown', 'carrying') AND last_at > :ahead",
        {"at": at, "ahead": at + _AHEAD_MS},
    )


_AHEAD_MS = 60_000
"""Milliseconds the clocks of processes writing to one store may differ before it counts as set back."""


def _claim_one(connection: Connection, now: datetime, owner: str) -> Claim | None:
    for known in circuits.waited_for(connection, now):
        partner = circuits.held(connection, known) if known.lets(now) else None
        if partner is None or not partner.lets(now):
            continue
        lowest = circuits.free_lanes(connection, partner, now)
        if lowest is None:
            continue
        found = _best(connection, partner, lowest=lowest, now=now)
        if found is not None:
            claim = _lease(connection, found, now, owner)
            circuits.note_served(connection, partner.agency, now)
            return claim
    return None


_DUE = {
    # whoever held these lost the lease: found by the index on leases
    "lapsed": (
        "state = 'carrying' AND lease_until <= :now AND lane <= :lowest",
        "lane, next_at",
    ),
    "lane": ("state IN ('queued', 'unknown') AND lane = :lane AND next_at <= :now", "next_at"),
    "aged": (
        "state IN ('queued', 'unknown') AND lane = 3 AND next_at <= :now AND submitted_at <= :aged",
        "next_at",
    ),
}
_PLACED = "/*pg AND NOT EXISTS (SELECT 1 FROM ledger_pending q WHERE q.ticket = {row}sent_ticket)*/"
"""Nothing leaves before its leaf has its place: with a frozen log nothing is sent (ledger.md 6)."""
_FIND = "SELECT id, state, attempt, lane, next_at FROM dispatch WHERE recipient = :agency AND {due} "
_NOT_SPENT = (
    "AND NOT (final_try AND deadline <= :now AND state IN ('queued', 'unknown')) "
    + _PLACED.format(row="")
    + " ORDER BY {order} LIMIT 1 /*pg FOR UPDATE SKIP LOCKED*/"
)
_SMALLEST = f"""
    SELECT d.id, d.state, d.attempt, d.lane, d.next_at FROM dispatch d JOIN message m ON m.id = d.message
    WHERE d.recipient = :agency AND d.state IN ('queued', 'unknown') AND d.lane = :lane AND d.next_at <= :now
        AND NOT (d.final_try AND d.deadline <= :now) {_PLACED.format(row="d.")}
    ORDER BY m.size LIMIT 1 /*pg FOR UPDATE OF d SKIP LOCKED*/
"""  # noqa: S608 - made of constants


def _best(connection: Connection, partner: circuits.Circuit, *, lowest: Lane, now: datetime) -> Record | None:
    """Return the dispatch of one partner that comes first, or None when nothing is due."""
    at = millis(now)
    values: dict[str, object] = {
        "agency": partner.agency,
        "now": at,
        "aged": millis(now - AGEING),
        "lowest": int(lowest),
    }
    if (found := _first(connection, "lapsed", values)) is not None:
        return found
    for lane in Lane:
        if lane > lowest:
            break
        values["lane"] = int(lane)
        if not partner.closed:
            found = connection.exec_driver_sql(_SMALLEST, values).first()
        else:
            found = _first(connection, "lane", values)
            if lane is Lane.URGENT:
                found = _earlier(found, _first(connection, "aged", values))
        if found is not None:
            return found
    return None


def _first(connection: Connection, name: str, values: dict[str, object]) -> Record | None:
    due, order = _DUE[name]
    return connection.exec_driver_sql((_FIND + _NOT_SPENT).format(due=due, order=order), values).first()


def _earlier(one: Record | None, other: Record | None) -> Record | None:
    if one is None or other is None:
        return one if other is None else other
    return one if number(one[4]) <= number(other[4]) else other


def _lease(connection: Connection, found: Record, now: datetime, owner: str) -> Claim | None:
    row_id, state, attempt = number(found[0]), State(text(found[1])), number(found[2])
    apply(Situation(state), Event.CLAIM)
    at = millis(now)
    changed = connection.exec_driver_sql(
        "UPDATE dispatch SET state = 'carrying', attempt = attempt + 1, failures = failures + 1, owner = :owner, "
        "lease_until = :lease, exposed = exposed OR state = 'carrying', last_at = :now, "
        "first_at = coalesce(first_at, :now), final_try = final_try OR deadline <= :now "
        "WHERE id = :id AND state = :state AND attempt = :attempt",
        {
            "owner": owner,
            "lease": millis(now + LEASE),
            "now": at,
            "id": row_id,
            "state": state.value,
            "attempt": attempt,
        },
    ).rowcount
    if changed != 1:
        return None
    if state is State.CARRYING:
        end_attempt(connection, (row_id, attempt), at, AttemptEnd("lease-lost"))
    connection.exec_driver_sql(
        "INSERT INTO attempt (dispatch, n, owner, started_at) VALUES (?, ?, ?, ?)", (row_id, attempt + 1, owner, at)
    )
    return _claim(connection, row_id, came_from=state)


_CLAIM = """
    SELECT m.sender, d.recipient, m.message_id, d.owner, d.attempt, d.lane, m.sha256, m.size, d.exposed,
        d.recall_requested, d.submitted_at, d.deadline, d.trace, l.origin, e.idx, f.leaf, d.failures,
        d.problem_status, d.problem
    FROM dispatch d JOIN message m ON m.id = d.message
    LEFT JOIN ledger_leaf f ON f.ticket = d.sent_ticket LEFT JOIN ledger_entry e ON e.ticket = d.sent_ticket
    LEFT JOIN ledger_log l ON l.id = e.log
    WHERE d.id = ?
"""


def _claim(connection: Connection, number: int, *, came_from: State) -> Claim:
    row = connection.exec_driver_sql(_CLAIM, (number,)).one()
    return Claim(
        dispatch_id=number,
        key=Key(row[0], row[1], row[2]),
        owner=row[3],
        attempt=row[4],
        lane=row[5],
        sha256=row[6],
        size=row[7],
        exposed=bool(row[8]),
        recall_requested=bool(row[9]),
        came_from=came_from,
        submitted_at=moment(row[10]),
        deadline=moment(row[11]),
        trace=row[12],
        sent=None if row[14] is None else LedgerRef(row[13], row[14], bytes(row[15]).hex()),
        failures=row[16],
        last_status=row[17],
        last_problem=row[18],
    )


def end_attempt(connection: Connection, attempt: tuple[int, int], at: int, end: AttemptEnd) -> None:
    """Close the record of an attempt (dispatch, n); one that is closed stays as it is."""
    connection.exec_driver_sql(
        "UPDATE attempt SET ended_at = ?, outcome = ?, status = ?, problem = ?, body = ?, peer = ? "
        "WHERE dispatch = ? AND n = ? AND ended_at IS NULL",
        (at, end.outcome, end.status, end.problem, end.body[:ANSWER_MAX] or None, end.peer, *attempt),
    )
