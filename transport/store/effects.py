"""What an act calls for afterwards: at least once, under a unique key of cause and kind (exchange.md 7 P0).

The act's own unit adds the effect; a worker claims it, does it, and ends it in the unit that holds its result, so that
a status message is sealed once. A handler that fails five times, or twice takes its process down or does not end, is
quarantined and shown; the others go on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta

from transport.store.records import number, text
from transport.store.statements import Connection
from transport.store.times import millis
from transport.store.values import EffectClaim
from transport.store.writer import Unit

LEASE = timedelta(seconds=30)
FAILURES_MAX = 5
CRASHES_MAX = 2
PAUSE = timedelta(seconds=5)
"""Pause after the first failure of a handler; it doubles."""


def add(unit: Unit, *, cause: str, kind: str, facts: Mapping[str, str], now: datetime) -> bool:
    """Call for an effect in the unit of its act; false when the same cause has called for it before."""
    return (
        unit.connection.exec_driver_sql(
            "INSERT INTO effect (cause, kind, facts, state, starts, failures, crashes, next_at, created_at) "
            "VALUES (?, ?, ?, 'waiting', 0, 0, 0, ?, ?) ON CONFLICT (cause, kind) DO NOTHING",
            (cause, kind, json.dumps(dict(facts), ensure_ascii=False, sort_keys=True), millis(now), millis(now)),
        ).rowcount
        == 1
    )


def due(connection: Connection, *, now: datetime) -> bool:
    """Say whether there is anything to claim, so that nobody takes the lock of writing for nothing."""
    found = connection.exec_driver_sql(
        "SELECT CASE WHEN EXISTS (SELECT 1 FROM effect WHERE state = 'waiting' AND next_at <= :now) "
        "OR EXISTS (SELECT 1 FROM effect WHERE state = 'running' AND lease_until <= :now) THEN 1 ELSE 0 END",
        {"now": millis(now)},
    )
    return bool(number(found.scalar_one()))


def claim(unit: Unit, *, now: datetime, owner: str, limit: int = 1) -> tuple[EffectClaim, ...]:
    """Lease effects due longest ago to a worker for 30 seconds, at most ``limit``; none if nothing is due.

    One whose worker vanished counts as a crash; after the second it is quarantined instead of being handed out again.
    After the first it is handed out alone, so that those beside it are not counted with it.
    """
    connection = unit.connection
    values = {"now": millis(now), "owner": owner, "lease": millis(now + LEASE), "most": CRASHES_MAX, "limit": limit}
    connection.exec_driver_sql(
        "UPDATE effect SET crashes = crashes + 1, owner = NULL, lease_until = NULL, last_error = 'process ended', "
        "state = CASE WHEN crashes + 1 >= :most THEN 'quarantined' ELSE 'waiting' END, "
        "ended_at = CASE WHEN crashes + 1 >= :most THEN :now END WHERE state = 'running' AND lease_until <= :now",
        values,
    )
    rows = connection.exec_driver_sql(_LEASE_ALONE, values).all() or connection.exec_driver_sql(_LEASE, values).all()
    found = sorted(rows, key=lambda row: (number(row[5]), number(row[0])))
    return tuple(
        EffectClaim(
            number(row[0]),
            text(row[1]),
            text(row[2]),
            {str(name): str(value) for name, value in json.loads(text(row[3])).items()},
            owner,
            number(row[4]),
        )
        for row in found
    )


_LEASE = """
    UPDATE effect SET state = 'running', owner = :owner, lease_until = :lease, starts = starts + 1 WHERE id IN
        (SELECT id FROM effect WHERE state = 'waiting' AND next_at <= :now AND crashes = 0
        ORDER BY next_at, id LIMIT :limit /*pg FOR UPDATE SKIP LOCKED*/)
    RETURNING id, cause, kind, facts, starts, next_at
"""
_LEASE_ALONE = """
    UPDATE effect SET state = 'running', owner = :owner, lease_until = :lease, starts = starts + 1 WHERE id IN
        (SELECT id FROM effect WHERE state = 'waiting' AND next_at <= :now AND crashes > 0
        ORDER BY next_at, id LIMIT 1 /*pg FOR UPDATE SKIP LOCKED*/)
    RETURNING id, cause, kind, facts, starts, next_at
"""


def finish(unit: Unit, effect: EffectClaim, *, now: datetime) -> bool:
    """End an effect in the unit that stores its result; false when another worker has it by now: then take back."""
    return (
        unit.connection.exec_driver_sql(
            "UPDATE effect SET state = 'done', owner = NULL, lease_until = NULL, ended_at = ? "
            "WHERE id = ? AND state = 'running' AND owner = ? AND starts = ?",
            (millis(now), effect.effect_id, effect.owner, effect.starts),
        ).rowcount
        == 1
    )


def renew(unit: Unit, effect: EffectClaim, *, now: datetime) -> bool:
    """Prolong the lease of an effect that is being worked on by 30 seconds; false when another worker has it by now."""
    return (
        unit.connection.exec_driver_sql(
            "UPDATE effect SET lease_until = ? WHERE id = ? AND state = 'running' AND owner = ? AND starts = ?",
            (millis(now + LEASE), effect.effect_id, effect.owner, effect.starts),
        ).rowcount
        == 1
    )


def release(unit: Unit, effect: EffectClaim) -> bool:
    """Give back an effect that was claimed and not begun; false when another worker has it by now."""
    return (
        unit.connection.exec_driver_sql(
            "UPDATE effect SET state = 'waiting', owner = NULL, lease_until = NULL "
            "WHERE id = ? AND state = 'running' AND owner = ? AND starts = ?",
            (effect.effect_id, effect.owner, effect.starts),
        ).rowcount
        == 1
    )


def give_up(unit: Unit, effect: EffectClaim, *, now: datetime) -> bool:
    """Take an effect from a handler that does not end: as if it had taken its process down, the second time it is
    quarantined. False when another worker has the effect by now."""
    return (
        unit.connection.exec_driver_sql(
            "UPDATE effect SET crashes = crashes + 1, owner = NULL, lease_until = NULL, last_error = 'does not end', "
            "state = CASE WHEN crashes + 1 >= :most THEN 'quarantined' ELSE 'waiting' END, "
            "ended_at = CASE WHEN crashes + 1 >= :most THEN :now END "
            "WHERE id = :id AND state = 'running' AND owner = :owner AND starts = :starts",
            {
                "most": CRASHES_MAX,
                "now": millis(now),
                "id": effect.effect_id,
                "owner": effect.owner,
                "starts": effect.starts,
            },
        ).rowcount
        == 1
    )


def fail(unit: Unit, effect: EffectClaim, *, now: datetime, error: str) -> bool:
    """Note that a handler failed; it is tried again after a pause, the fifth time it is quarantined.

    ``error`` is a code or a class name, never content. False when another worker has the effect by now.
    """
    return (
        unit.connection.exec_driver_sql(
            "UPDATE effect SET failures = failures + 1, owner = NULL, lease_until = NULL, last_error = :error, "
            "state = CASE WHEN failures + 1 >= :most THEN 'quarantined' ELSE 'waiting' END, "
            "ended_at = CASE WHEN failures + 1 >= :most THEN :now END, next_at = :now + :pause * (1 << failures) "
            "WHERE id = :id AND state = 'running' AND owner = :owner AND starts = :starts",
            {
                "error": error[:200],
                "most": FAILURES_MAX,
                "now": millis(now),
                "pause": PAUSE // timedelta(milliseconds=1),
                "id": effect.effect_id,
                "owner": effect.owner,
                "starts": effect.starts,
            },
        ).rowcount
        == 1
    )


def counts(connection: Connection) -> dict[str, int]:
    """Return how many effects are waiting, running, done and quarantined."""
    found = connection.exec_driver_sql("SELECT state, count(*) FROM effect GROUP BY state")
    return {text(state): number(many) for state, many in found}


def state_of(connection: Connection, cause: str, kind: str) -> str | None:
    """Return the state of an effect, None when nothing called for it."""
    found = connection.exec_driver_sql(
        "SELECT state FROM effect WHERE cause = ? AND kind = ?", (cause, kind)
    ).scalar_one_or_none()
    return None if found is None else text(found)
