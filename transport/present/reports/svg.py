"""The certificate path as a picture (SVG): the root above, the signer below. No script, style or reference in it."""

from __future__ import annotations

from html import escape

from transport.present.reports.blocks import Node, Picture
from transport.present.text import shorten

WIDTH, BOX, LINE, GAP, PAD = 640, 34, 18, 34, 14
"""Pixels: width of the picture, height of a box without its lines, of a line, of the arrow, inner margin."""
_COLORS = {"good": "#1b6e3c", "bad": "#a4161a", "open": "#8a5a00", "plain": "#44515f"}
_SIGNS = {"good": "✔", "bad": "✘", "open": "?", "plain": ""}
_TEXT = 62  # columns of a line; the whole text stands in the table below the picture


def draw(picture: Picture, *, font: str = "sans-serif") -> str:
    """Return the picture as an ``svg`` element whose width follows its place."""
    y, parts = 2, []
    for place, node in enumerate(picture.nodes):
        if place:
            parts.append(_arrow(y))
            y += GAP
        parts.append(_box(node, y))
        y += _height(node)
    alt = escape(picture.alt)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 2}" width="{WIDTH}" height="{y + 2}" '
        f'role="img" aria-label="{alt}" font-family="{escape(font)}"><title>{alt}</title>{"".join(parts)}</svg>'
    )


def _height(node: Node) -> int:
    return BOX + LINE * (1 + len(node.lines))


def _box(node: Node, y: int) -> str:
    color, dash = _COLORS[node.tone], ' stroke-dasharray="6 4"' if node.tone == "open" else ""
    drawn = [
        f'<rect x="2" y="{y}" width="{WIDTH - 4}" height="{_height(node)}" rx="6" fill="#ffffff" stroke="{color}" '
        f'stroke-width="1.5"{dash}/>',
        f'<rect x="2" y="{y}" width="8" height="{_height(node)}" fill="{color}"/>',
        _line(f"{_SIGNS[node.tone]} {node.role}".strip(), y + 20, size=12, color=color),
        _line(node.name, y + 42, size=16, color="#14181d", weight="bold"),
    ]
    for place, text in enumerate(node.lines):
        drawn.append(_line(text, y + 62 + LINE * place, size=13, color="#44515f"))
    return "".join(drawn)


def _line(text: str, y: int, *, size: int, color: str, weight: str = "normal") -> str:
    columns = _TEXT * 16 // max(size, 13)
    shown = escape(shorten(text, columns))
    return f'<text x="{PAD + 10}" y="{y}" font-size="{size}" font-weight="{weight}" fill="{color}">{shown}</text>'


def _arrow(y: int) -> str:
    middle, end = WIDTH // 2, y + GAP
    return (
        f'<path d="M{middle} {y + 2} V{end - 9}" stroke="#44515f" stroke-width="1.5" fill="none"/>'
        f'<path d="M{middle - 6} {end - 10} h12 l-6 8 z" fill="#44515f"/>'
    )
