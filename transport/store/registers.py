"""Numbers of the registers: one counter per agency, series and year, without gaps (R17 to R20, R56).

A number is taken in the unit that uses it: when the unit fails, the number has not been given. None is given twice.
Paper documents take theirs from the same counter.
"""

from __future__ import annotations

from datetime import datetime

from transport.store.records import number as whole
from transport.store.statements import Connection
from transport.store.times import millis
from transport.store.writer import Unit

OUTGOING_SERIES = "di"
"""Default series of outgoing administrative documents; agencies may have more (R19)."""


def take(unit: Unit, agency: str, series: str, year: int) -> int:
    """Return the next number of a series, from 1 on 1 January; it is given with the unit or not at all."""
    return whole(
        unit.connection.exec_driver_sql(
            "INSERT INTO register_series (agency, series, year, last) VALUES (?, ?, ?, 1) "
            "ON CONFLICT (agency, series, year) DO UPDATE SET last = register_series.last + 1 RETURNING last",
            (agency, series, year),
        ).scalar_one()
    )


def note_holder(unit: Unit, *, agency: str, series: str, year: int, number: int, holder: str, at: datetime) -> None:
    """Record to what a number was given.

    Raises:
        Conflict: the number has been given before.
    """
    unit.connection.exec_driver_sql(
        "INSERT INTO register_number (agency, series, year, number, holder, at) VALUES (?, ?, ?, ?, ?, ?)",
        (agency, series, year, number, holder, millis(at)),
    )


def last(connection: Connection, agency: str, series: str, year: int) -> int:
    """Return the last number given in a series, 0 when none was."""
    found = connection.exec_driver_sql(
        "SELECT last FROM register_series WHERE agency = ? AND series = ? AND year = ?", (agency, series, year)
    ).scalar_one_or_none()
    return 0 if found is None else whole(found)
