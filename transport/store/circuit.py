"""A partner's circuit and its slots (exchange.md 6, ``partner``): kept in the partner's row, changed with the attempt.

Closed: up to ``cap`` requests at once, one kept for lane 1. Five transport failures in a row, or a 503 with
Retry-After, open it for 30 s, doubling to 10 minutes (60 s while lane 1 waits). When that time is over it is half-open:
one dispatch goes, and a registered answer closes it; the cap then begins at 1 and grows with each success.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from transport.dispatch import CIRCUIT_FAILURES, PARTNER_CAP, Lane, circuit_pause
from transport.store.dialect import is_postgres
from transport.store.records import Record, number, number_or_none, text
from transport.store.statements import Connection
from transport.store.times import millis, moment_or_none

LONGEST = timedelta(days=7)
"""Pause that no Retry-After exceeds: by then every deadline has passed."""


@dataclass(frozen=True, slots=True)
class Circuit:
    """State of a partner's circuit; ``open_for`` is the last pause, zero when it is closed."""

    agency: str
    cap: int
    failures: int
    open_until: datetime | None
    open_for: timedelta

    @property
    def closed(self) -> bool:
        """True when requests flow normally."""
        return self.open_for == timedelta(0)

    def lets(self, now: datetime) -> bool:
        """Say whether anything at all may be sent now; half-open counts."""
        return self.closed or self.open_until is None or self.open_until <= now or self._set_back(now)

    def _set_back(self, now: datetime) -> bool:
        """A clock that was set back must not keep a circuit open beyond its longest pause."""
        return self.open_until is not None and self.open_until > now + max(self.open_for, timedelta(minutes=10))


_CIRCUIT = "SELECT agency, cap, failures, open_until, open_for FROM partner "


def circuit(connection: Connection, agency: str) -> Circuit:
    """Return the circuit of a partner; one never tried is closed."""
    row = connection.exec_driver_sql(_CIRCUIT + "WHERE agency = ?", (agency,)).one_or_none()
    return _circuit(row) if row is not None else Circuit(agency, PARTNER_CAP, 0, None, timedelta(0))


_WAITED_FOR = f"""{_CIRCUIT}
    WHERE delivery <> 'pull' AND (
        EXISTS (SELECT 1 FROM dispatch d WHERE d.recipient = partner.agency AND d.state IN ('queued', 'unknown')
            AND d.next_at <= :now)
        OR EXISTS (SELECT 1 FROM dispatch d WHERE d.recipient = partner.agency AND d.state = 'carrying'
            AND d.lease_until <= :now))
    ORDER BY served_at, agency
"""  # noqa: S608 - made of constants


def waited_for(connection: Connection, now: datetime) -> list[Circuit]:
    """Return the circuits of partners to whom something is due, the one served longest ago first.

    Partners that fetch by themselves are none of them: nobody connects to those.
    """
    rows = connection.exec_driver_sql(_WAITED_FOR, {"now": millis(now)})
    return [_circuit(row) for row in rows]


def held(connection: Connection, partner: Circuit) -> Circuit | None:
    """Return a partner's circuit as it is now, nobody else changing it until the transaction ends.

    None when another process is claiming for this partner right now: then the next one is looked at.
    """
    if not is_postgres(connection):
        return partner
    row = connection.exec_driver_sql(
        _CIRCUIT + "WHERE agency = ? FOR UPDATE SKIP LOCKED", (partner.agency,)
    ).one_or_none()
    return None if row is None else _circuit(row)


def _changing(connection: Connection, agency: str) -> Circuit:
    """Return a partner's circuit for a change that rests on it."""
    row = connection.exec_driver_sql(_CIRCUIT + "WHERE agency = ? /*pg FOR UPDATE*/", (agency,)).one_or_none()
    return _circuit(row) if row is not None else Circuit(agency, PARTNER_CAP, 0, None, timedelta(0))


def _circuit(row: Record) -> Circuit:
    return Circuit(
        agency=text(row[0]),
        cap=number(row[1]),
        failures=number(row[2]),
        open_until=moment_or_none(number_or_none(row[3])),
        open_for=timedelta(milliseconds=number(row[4])),
    )


def free_lanes(connection: Connection, partner: Circuit, now: datetime) -> Lane | None:
    """Return the lowest lane that may use a slot of this partner now, None when there is no slot."""
    active = connection.exec_driver_sql(
        "SELECT count(*) FROM dispatch WHERE recipient = ? AND state = 'carrying' AND lease_until > ?",
        (partner.agency, millis(now)),
    ).scalar_one()
    if not partner.closed:
        return Lane.ORDINARY if active == 0 else None
    if active >= partner.cap:
        return None
    return Lane.FLASH if partner.cap > 1 and active >= partner.cap - 1 else Lane.ORDINARY


def note_served(connection: Connection, agency: str, now: datetime) -> None:
    """Put a partner behind the others, because it has just been served."""
    connection.exec_driver_sql(
        "UPDATE partner SET served_at = CASE WHEN served_at < :now THEN :now ELSE served_at + 1 END "
        "WHERE agency = :agency",
        {"now": millis(now), "agency": agency},
    )


def note_failure(connection: Connection, agency: str, now: datetime) -> None:
    """Count a transport failure; the fifth in a row, or one in half-open, opens the circuit."""
    state = _changing(connection, agency)
    connection.exec_driver_sql("UPDATE partner SET failures = failures + 1 WHERE agency = ?", (agency,))
    if state.failures + 1 >= CIRCUIT_FAILURES or not state.closed:
        open_circuit(connection, agency, now)


def open_circuit(connection: Connection, agency: str, now: datetime, at_least: timedelta = timedelta(0)) -> None:
    """Open a circuit, for longer than the last time."""
    state = _changing(connection, agency)
    flash = connection.exec_driver_sql(
        "SELECT 1 FROM dispatch WHERE recipient = ? AND lane = 1 AND state IN ('queued', 'unknown') LIMIT 1", (agency,)
    ).first()
    pause = min(max(circuit_pause(state.open_for, flash_waits=flash is not None), at_least), LONGEST)
    connection.exec_driver_sql(
        "UPDATE partner SET open_until = ?, open_for = ? WHERE agency = ?",
        (millis(now + pause), pause // timedelta(milliseconds=1), agency),
    )


def note_answer(connection: Connection, agency: str, *, success: bool) -> None:
    """A registered answer: an open circuit closes with cap 1; with a closed one a success adds a slot."""
    closed = connection.exec_driver_sql(
        "UPDATE partner SET cap = CASE WHEN open_for > 0 THEN 1 ELSE cap END, failures = 0, open_until = NULL, "
        "open_for = 0 WHERE agency = ? AND (failures > 0 OR open_for > 0)",
        (agency,),
    ).rowcount
    if success and not closed:
        connection.exec_driver_sql(
            "UPDATE partner SET cap = cap + 1 WHERE agency = ? AND cap < ?", (agency, PARTNER_CAP)
        )
