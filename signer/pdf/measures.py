"""Measures of the visible forms, in millimetres and points: what the decree and an agency lay down (regulations.md 6).

The defaults are those of signing.md 3.3. An agency may have others; they are one frozen value, handed in.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta, timezone

from signer.errors import InputRefused
from signer.pdf.geometry import Box

VIETNAM = timezone(timedelta(hours=7))
OFFSET, ISO = "offset", "iso"
VALUE_SIZES = (13.0, 14.0)
"""Sizes of number and date in points."""
SEAL_LEAST, SEAL_MOST = 5.0, 60.0
MEASURE_MOST = 500.0
HIGHEST = 0.89 * 25.4 / 72
"""Height of the highest Vietnamese letter above the baseline, in mm for each point of its size."""


@dataclass(frozen=True, slots=True)
class Geometry:
    """Where visible forms stand, and how large they are; lengths in mm, sizes of letters in points.

    ``seal_rise`` is the most a seal may be raised to stay off the signer's name; ``signature_gap`` lies between the
    signature and the name below it; ``line_…`` are T1 and T2: distance of the right edge from the page's, baseline from
    its top, height and greatest width, distance of a second line, size and least size. ``state_name`` is kept free of
    seals on page 1. ``time_template`` is ``offset`` (``05/01/2026; 14:30:05 +07:00``) or ``iso``
    (``2026-01-05T14:30:05+07:00``).
    """

    seal_diameter: float = 36.0
    seal_rise: float = 4.0
    signature_width: float = 50.0
    signature_height: float = 25.0
    signature_gap: float = 2.0
    line_right: float = 10.0
    line_baseline: float = 12.0
    line_height: float = 5.0
    line_width: float = 120.0
    line_step: float = 4.0
    line_size: float = 10.0
    line_size_least: float = 8.0
    value_size: float = 13.0
    state_name: Box = (105.0, 15.0, 90.0, 25.0)
    time_template: str = OFFSET

    def __post_init__(self) -> None:
        lengths = [getattr(self, one.name) for one in fields(self) if one.name not in ("state_name", "time_template")]
        if not all(math.isfinite(one) and 0 <= one <= MEASURE_MOST for one in (*lengths, *self.state_name)):
            raise ValueError("a measure is out of range")
        if not SEAL_LEAST <= self.seal_diameter <= SEAL_MOST:
            raise ValueError("no diameter of a seal")
        if self.value_size not in VALUE_SIZES or self.time_template not in (OFFSET, ISO):
            raise ValueError("no such size or template")
        if not 4 <= self.line_size_least <= self.line_size <= 20 or min(self.line_width, self.line_height) < 1:
            raise ValueError("no measures of a line")
        if self.line_size * HIGHEST > self.line_height * 0.76:  # its baseline, 3.8 of 5 below the upper edge
            raise ValueError("letters higher than their line")

    @classmethod
    def of(cls, settings: Mapping[str, object]) -> Geometry:
        """Return the measures an agency has set, by the names of this class; what is not set keeps its default.

        Raises:
            InputRefused: an unknown name, or a value out of range.
        """
        names = {one.name for one in fields(cls)}
        held: dict[str, object] = {}
        for name, value in settings.items():
            if name not in names:
                raise InputRefused("EDOC-PDF-054", "no such measure", name=name, value=str(value))
            held[name] = _measure(name, value)
        try:
            return cls(**held)  # type: ignore[arg-type]  # each value was checked by its name
        except ValueError as error:
            shown = ", ".join(f"{name}={value}" for name, value in settings.items())
            raise InputRefused("EDOC-PDF-054", str(error), name="geometry", value=shown) from None

    def moment(self, at: datetime) -> str:
        """Return date and time as T1 and T2 write them, in the time of Vietnam."""
        local = at.astimezone(VIETNAM)
        if self.time_template == ISO:
            return local.isoformat(timespec="seconds")
        return f"{local:%d/%m/%Y}; {local:%H:%M:%S} +07:00"


def _measure(name: str, value: object) -> object:
    """Return a setting in the type of its measure."""
    try:
        if name == "time_template":
            return str(value)
        if name == "state_name":
            parts = value.split(",") if isinstance(value, str) else list(value)  # type: ignore[call-overload]
            if len(parts) != 4:
                raise ValueError
            return tuple(float(one) for one in parts)
        if isinstance(value, int | float | str) and not isinstance(value, bool):
            return float(value)
    except (TypeError, ValueError):
        pass
    raise InputRefused("EDOC-PDF-054", "not a measure", name=name, value=str(value)[:60])
