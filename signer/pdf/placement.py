"""Where a visible form may go: on its page, over no other widget, off state's and signer's name (signing.md 3.3).

A seal over the leader's signature is what R40 asks for.
"""

from __future__ import annotations

from collections.abc import Sequence

from signer.errors import InputRefused
from signer.pdf.geometry import raised
from signer.pdf.layout import Layout
from signer.pdf.options import Visible
from signer.pdf.page import Field, overlap


def check_place(layout: Layout, visible: Visible, *, others: Sequence[Field], own: str | None) -> None:
    """Refuse a box off the page, over another widget or in a keep-out; ``own`` is the field that is being filled.

    Fields that were made beforehand may lie over one another as their maker wanted, the seal's over the leader's.

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
        if own is not None and field.kind == "/Sig" and not field.filled_signature:
            continue
        for page, box in field.widgets:
            if page == layout.page.number and overlap(box, layout.box):
                raise InputRefused("EDOC-PDF-014", "the box covers another field", field=field.name, page=page)


def _check_kept_out(layout: Layout, visible: Visible) -> None:
    """R40: a seal touches neither the state's name on page 1 nor the signer's name where that was found."""
    number = layout.page.number
    if number == 1 and overlap(layout.box, visible.geometry.state_name):
        raise InputRefused("EDOC-PDF-014", "the seal would cover the state's name", field="Quốc hiệu", page=1)
    kept = [box for page, box in visible.keep_out if page == number]
    free = raised(layout.box, kept, most=layout.box[3])
    if free == layout.box:
        return
    if free is None or not layout.page.holds(free) or (number == 1 and overlap(free, visible.geometry.state_name)):
        raise InputRefused("EDOC-PDF-014", "the seal would cover the signer's name", field="họ tên", page=number)
    shown = ",".join(f"{value:.1f}" for value in free)
    raise InputRefused("EDOC-PDF-057", "the seal would cover the signer's name", box=shown, page=number)
