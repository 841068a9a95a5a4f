"""The geometry of a page as displayed: millimetres from its upper left corner (signing.md 3.3).

The page is what is displayed: crop box, ``/Rotate`` and ``/UserUnit`` applied.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MM = 72 / 25.4
"""Points of one millimetre."""

Box = tuple[float, float, float, float]
"""x, y, width, height in mm; y downwards from the top of the page."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A page's visible box in user space units (``left`` … ``top``), its rotation and unit."""

    left: float
    bottom: float
    right: float
    top: float
    rotation: int
    unit: float

    @property
    def size(self) -> tuple[float, float]:
        """Width and height as displayed, in mm."""
        across, up = (self.right - self.left) * self.unit / MM, (self.top - self.bottom) * self.unit / MM
        return (up, across) if self.rotation in (90, 270) else (across, up)

    def to_user(self, x: float, y: float) -> tuple[float, float]:
        """Return the user space point of a displayed point in mm."""
        u, v = x * MM / self.unit, y * MM / self.unit
        return {
            0: (self.left + u, self.top - v),
            90: (self.left + v, self.bottom + u),
            180: (self.right - u, self.bottom + v),
            270: (self.right - v, self.top - u),
        }[self.rotation]

    def to_mm(self, x: float, y: float) -> tuple[float, float]:
        """Return the displayed point in mm of a user space point."""
        if self.rotation == 0:
            u, v = x - self.left, self.top - y
        elif self.rotation == 90:
            u, v = y - self.bottom, x - self.left
        elif self.rotation == 180:
            u, v = self.right - x, y - self.bottom
        else:
            u, v = self.top - y, self.right - x
        return u * self.unit / MM, v * self.unit / MM

    def rectangle(self, box: Box) -> tuple[float, float, float, float]:
        """Return a box as a PDF rectangle (left, bottom, right, top) in user space."""
        x1, y1 = self.to_user(box[0], box[1])
        x2, y2 = self.to_user(box[0] + box[2], box[1] + box[3])
        return min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)

    def box(self, rectangle: Sequence[float]) -> Box:
        """Return a PDF rectangle as a box in mm."""
        x1, y1 = self.to_mm(rectangle[0], rectangle[1])
        x2, y2 = self.to_mm(rectangle[2], rectangle[3])
        return min(x1, x2), min(y1, y2), abs(x2 - x1), abs(y2 - y1)

    def holds(self, box: Box) -> bool:
        """Say whether a box lies on the page, to a tenth of a millimetre."""
        width, height = self.size
        x, y, w, h = box
        return x >= -0.1 and y >= -0.1 and x + w <= width + 0.1 and y + h <= height + 0.1


def touches_round(seal: Box, box: Box) -> bool:
    """Say whether the circle in a square reaches a box, by a tenth of a millimetre: the corners of a seal are empty."""
    x, y, d = seal[0] + seal[2] / 2, seal[1] + seal[3] / 2, seal[2]
    near_x = min(max(x, box[0]), box[0] + box[2])
    near_y = min(max(y, box[1]), box[1] + box[3])
    return (near_x - x) ** 2 + (near_y - y) ** 2 < (d / 2 - 0.1) ** 2


def raised(seal: Box, kept: Sequence[Box], *, most: float) -> Box | None:
    """Return where a seal touches none of these boxes: as it is, or raised as little as may be, in tenths of a
    millimetre, by ``most`` at most; ``None`` if that does not suffice."""
    for step in range(int(most * 10) + 1):
        box = seal if not step else (seal[0], seal[1] - step / 10, seal[2], seal[3])
        if not any(touches_round(box, one) for one in kept):
            return box
    return None
