"""What a visible form consists of, ready to be painted: a box on a page, and in it a picture, frames and lines.

Everything is in millimetres from the upper left corner of the box, as the page is displayed (signing.md 3.3).
"""

from __future__ import annotations

from dataclasses import dataclass

from signer.pdf.geometry import Box
from signer.pdf.page import PageView
from signer.pdf.png import Picture
from signer.pdf.typeface import Typeface

Colour = tuple[float, float, float]
BLACK: Colour = (0.0, 0.0, 0.0)
RED: Colour = (1.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text: where it begins and its baseline in mm, size in points."""

    x: float
    baseline: float
    text: str
    size: float
    face: Typeface
    colour: Colour = BLACK


@dataclass(frozen=True, slots=True)
class Image:
    """A picture and where it goes."""

    picture: Picture
    box: Box


@dataclass(frozen=True, slots=True)
class Frame:
    """A rectangle drawn with a line of this weight (mm); ``box`` is its outer edge."""

    box: Box
    weight: float
    colour: Colour


@dataclass(frozen=True, slots=True)
class Layout:
    """A visible form ready to be painted; ``rise`` is how much higher it stands than asked for, in mm."""

    page: PageView
    box: Box
    image: Image | None = None
    lines: tuple[Line, ...] = ()
    frames: tuple[Frame, ...] = ()
    rise: float = 0.0

    @property
    def text(self) -> str | None:
        """The text painted, if any."""
        return " ".join(line.text for line in self.lines) or None
