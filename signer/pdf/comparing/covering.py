"""How much of a page fields take, and whether they stay within their rectangles (signing.md 4.3, ``overlay``)."""

from __future__ import annotations

from signer.pdf.comparing.painting import area_within, is_seen, leaves_its_rectangle
from signer.pdf.comparing.view import Field, View

_CARD = 20_000.0
"""Square units (25 cm²) that a place made for a signature may take on any page."""


def over_large(view: View, field: Field, *, made: bool = False) -> bool:
    """Say whether the widgets of a field together take more than a quarter of a page.

    On a page as small as a card, a place that was ``made`` for a signature before may take up to a half.
    """
    return any(area > _allowance(view, page, made=made) for page, area in areas_of(view, field).items())


def _allowance(view: View, page: int, *, made: bool) -> float:
    size = size_of(view, page)
    return max(size / 4, min(size / 2, _CARD)) if made else size / 4


def areas_of(view: View, field: Field) -> dict[int, float]:
    """Return what the widgets of a field take of each page that shows them, in square units."""
    areas: dict[int, float] = {}
    for widget in field.widgets:
        box = view.rectangle(widget.entries.get("Rect"))
        if box is None or not is_seen(view, widget):
            continue
        for page in widget.pages:
            areas[page] = areas.get(page, 0.0) + area_within(box, view.pages[page - 1].box)
    return areas


def size_of(view: View, page: int) -> float:
    """Return the size of what is shown of a page, in square units."""
    left, bottom, right, top = view.pages[page - 1].box
    return (right - left) * (top - bottom)


def leaves(view: View, field: Field) -> bool:
    """Say whether a widget of a field may draw outside its rectangle."""
    return any(leaves_its_rectangle(view, widget.entries) for widget in field.widgets)
