"""Where a visible form may go: on its page, over no other widget, off state's and signer's name (signing.md 3.3).

A seal over the leader's signature is what R40 asks for.
"""

from __future__ import annotations

from collections.abc import Sequence

from signer.errors import InputRefused
from signer.pdf.geometry import Box
from signer.pdf.layout import Layout
from signer.pdf.options import Visible
from signer.pdf.page import Field, overlap


def check_place(layout: Layout, visible: Visible, *, others: Sequence[Field], own: str | None) -> None:
    """Refuse a box off the page, over another widget or in a keep-out; ``own`` is the field that is being filled.

    Raises:
        InputRefused: as said.
    """
    shown = ", ".join(f"{value:.1f}" for value in layout.box)
    if not layout.page.holds(layout.box) or min(layout.box[2:]) <= 0:
        raise InputRefused("EDOC-PDF-013", "the box is off the page", box=shown, page=layout.page.number)
    if visible.form == "seal":
        _check_kept_out(layout, visible)
    for field in others:
        if field.name == own or (visible.form == "seal" and field.filled_signature):
            continue
        for page, box in field.widgets:
            if page == layout.page.number and overlap(box, layout.box):
                raise InputRefused("EDOC-PDF-014", "the box covers another field", field=field.name, page=page)


def _check_kept_out(layout: Layout, visible: Visible) -> None:
    """R40: a seal touches neither the state's name on page 1 nor the signer's name where that was found."""
    number = layout.page.number
    if number == 1 and overlap(layout.box, visible.geometry.state_name):
        raise InputRefused("EDOC-PDF-014", "the seal would cover the state's name", field="Quốc hiệu", page=1)
    for page, box in visible.keep_out:
        if page == number and _round_touches(layout.box, box):
            raise InputRefused("EDOC-PDF-014", "the seal would cover the signer's name", field="họ tên", page=page)


def _round_touches(seal: Box, box: Box) -> bool:
    """Say whether the circle in a square reaches a box: the corners of a seal are empty."""
    x, y, d = seal[0] + seal[2] / 2, seal[1] + seal[3] / 2, seal[2]
    near_x = min(max(x, box[0]), box[0] + box[2])
    near_y = min(max(y, box[1]), box[1] + box[3])
    return (near_x - x) ** 2 + (near_y - y) ** 2 < (d / 2 - 0.1) ** 2
