"""How results are laid out on a terminal and in a pipe (console.md 1, row "Terminal or pipe").

A terminal gets columns, colours and shortened values; a pipe gets one record per line, separated by tabs, nothing
shortened. A verdict is always a sign **and** a word, never colour alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from transport.present.text import pad, sanitise, shorten, width

_COLORS = {"good": "32", "bad": "31", "open": "33", "dim": "2", "strong": "1"}
_SIGNS = {"good": ("✔", "[OK]"), "bad": ("✘", "[X]"), "open": ("?", "[?]")}


@dataclass(frozen=True, slots=True)
class Screen:
    """What is known of the place results go to."""

    lang: str = "vi"
    terminal: bool = False
    color: bool = False
    columns: int = 80
    signs: bool = True  # the encoding has ✔ and ✘

    def sign(self, tone: str) -> str:
        """Return the sign of a tone: good, bad or open."""
        return _SIGNS[tone][0 if self.signs else 1]

    def paint(self, text: str, tone: str) -> str:
        """Return the text in the colour of its tone, where colour is wanted."""
        return f"\x1b[{_COLORS[tone]}m{text}\x1b[0m" if self.color and tone in _COLORS else text


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], screen: Screen) -> list[str]:
    """Return the lines of a table. In a pipe: the records alone, tab-separated, without headings."""
    clean = [[sanitise(cell) for cell in row] for row in rows]
    if not screen.terminal:
        return ["\t".join(row) for row in clean]
    if not rows:
        return []
    widths = _fit([max(width(cell) for cell in column) for column in zip(headings, *clean, strict=True)], screen)
    head = "  ".join(pad(shorten(cell, size), size) for cell, size in zip(headings, widths, strict=True)).rstrip()
    body = [
        "  ".join(pad(shorten(cell, size), size) for cell, size in zip(row, widths, strict=True)).rstrip()
        for row in clean
    ]
    return [screen.paint(head, "strong"), *body]


def _fit(widths: list[int], screen: Screen) -> list[int]:
    """Narrow the widest columns until the table fits the terminal."""
    widths = list(widths)
    while sum(widths) + 2 * (len(widths) - 1) > screen.columns and max(widths) > 8:
        widest = widths.index(max(widths))
        widths[widest] -= 1
    return widths


def facts(pairs: Mapping[str, str], screen: Screen) -> list[str]:
    """Return name and value, one pair a line; empty values are left out."""
    shown = {sanitise(name): sanitise(value) for name, value in pairs.items() if value}
    if not screen.terminal:
        return [f"{name}\t{value}" for name, value in shown.items()]
    longest = max((width(name) for name in shown), default=0)
    return [f"{pad(name, longest)}  {value}" for name, value in shown.items()]
