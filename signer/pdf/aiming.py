"""Where a signature goes, decided over pages and fields, whichever reader found them (signing.md 3.2, 3.3)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from signer import asn1
from signer.cms import find_certificate
from signer.errors import InputRefused
from signer.judge import signer_of
from signer.pdf.objects import dictionary_of
from signer.pdf.options import PdfOptions
from signer.pdf.page import Box, Field, PageView, page_at
from signer.pdf.placement import Layout, Wish, check_place, lay_out
from signer.pdf.plain import painted
from signer.pdf.png import Picture, read_png
from signer.pdf.target import Lock, Target
from signer.pdf.values import Reference
from signer.pdf.writing import text_string


@lru_cache(maxsize=16)
def _picture(image: bytes) -> Picture:
    return read_png(image)


def aim(
    options: PdfOptions, views: Sequence[PageView], known: Sequence[Field], *, existing: Field | None = None
) -> Target:
    """Return what the signature adds; ``existing`` is the empty field that takes it.

    Raises:
        InputRefused: the visible form has no place, or no such page or field.
    """
    if not views:
        raise InputRefused("EDOC-PDF-016", "no such page", page=1, pages=0)
    layout = layout_for(options, views, known, existing)
    page = layout.page if layout else views[0]
    return Target(
        name=existing.name if existing else free_name([one.name for one in known]),
        page=Reference(page.reference.idnum, page.reference.generation),
        existing=_reference(existing),
        rectangle=page.rectangle(layout.box) if layout else (0.0, 0.0, 0.0, 0.0),
        painted=painted(layout) if layout else None,
        lock=_asked_lock(options),
        certify=2 if options.certify else None,
        number=page.number if layout else None,
    )


def _reference(field: Field | None) -> Reference | None:
    if field is None or field.reference is None:
        return None
    return Reference(field.reference.idnum, field.reference.generation)


def _asked_lock(options: PdfOptions) -> Lock | None:
    if not options.lock:
        return None
    return Lock("All") if "*" in options.lock else Lock("Include", tuple(map(text_string, options.lock)))


def layout_for(
    options: PdfOptions, views: Sequence[PageView], known: Sequence[Field], existing: Field | None
) -> Layout | None:
    """Return what is painted, and where; ``None`` for an invisible signature.

    Raises:
        InputRefused: it has no place.
    """
    visible = options.visible
    if visible is None:
        return None
    box, page = visible.box_mm, visible.page
    made = [one for one in existing.widgets if min(one[1][2:]) > 0] if existing else []
    if made:
        page, box = made[0]
    elif existing is not None and existing.widgets:
        raise InputRefused("EDOC-PDF-017", "the field has no place on a page", form=visible.form)
    picture = _picture(visible.image) if visible.image is not None and visible.form in ("signature", "seal") else None
    wish = Wish(visible.form, page, box, visible.diameter_mm, visible.text, options.at)
    layout = lay_out(wish, views=views, picture=picture, leader=leader_widget(known))
    if made:  # the widget keeps its rectangle, so what is painted must be laid out for exactly it
        layout = _within(layout, page_at(views, page), made[0][1])
    check_place(layout, form=visible.form, others=known, own=existing.name if existing else None)
    return layout


def _within(layout: Layout, page: PageView, box: Box) -> Layout:
    if layout.frame is not None:
        x, y = layout.box[0] - box[0], layout.box[1] - box[1]
        frame = (layout.frame[0] + x, layout.frame[1] + y, layout.frame[2], layout.frame[3])
        return Layout(page, box, layout.picture, frame)
    if layout.box != box:
        raise InputRefused("EDOC-PDF-017", "a line of this form has a place of its own", form="t1")
    return layout


def leader_widget(known: Sequence[Field]) -> tuple[int, Box] | None:
    """Return page and box of the last visible signature by a person: the competent person's, which a seal covers."""
    found = None
    for one in known:
        visible = [widget for widget in one.widgets if min(widget[1][2:]) > 0]
        if one.filled_signature and visible and _by_person(one):
            found = visible[0]
    return found


def _by_person(one: Field) -> bool:
    try:
        held = dictionary_of(one.value)
        assert held is not None
        contents = bytes(held["/Contents"])
        signed = asn1.read_signed_data(contents)
        certificate = find_certificate(signed.signers[0], signed.certificates)
    except (ValueError, KeyError, IndexError, TypeError, AssertionError):
        return False
    return certificate is not None and signer_of(certificate).type == "person"


def free_name(names: Sequence[str]) -> str:
    """Return the lowest free ``Signature<n>``."""
    taken = {int(m[1]) for name in names if (m := re.fullmatch(r"Signature([1-9]\d{0,8})", name))}
    return f"Signature{next(n for n in range(1, len(taken) + 2) if n not in taken)}"
