"""Where a signature goes, decided over pages and fields, whichever reader found them (signing.md 3.2, 3.3)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from signer import asn1
from signer.cms import find_certificate
from signer.errors import InputRefused
from signer.judge import signer_of
from signer.pdf.appearance import painted
from signer.pdf.filling import fillings_for
from signer.pdf.forms import Ground, lay_out
from signer.pdf.layout import Layout
from signer.pdf.objects import dictionary_of
from signer.pdf.options import PdfOptions, Visible
from signer.pdf.page import Box, Field, PageView
from signer.pdf.placement import check_place
from signer.pdf.png import Picture, read_png
from signer.pdf.remarks import remarks_on
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
    fillings = fillings_for(options, views, known)
    filled = existing is None and options.field is not None and any(one.name == options.field for one in fillings)
    layout = None if filled else layout_for(options, views, known, existing)
    page = layout.page if layout else views[0]
    return Target(
        name=existing.name if existing else free_name([one.name for one in known]),
        page=Reference(page.reference.idnum, page.reference.generation),
        existing=_reference(existing),
        rectangle=page.rectangle(layout.box) if layout else (0.0, 0.0, 0.0, 0.0),
        painted=painted(layout) if layout else None,
        fillings=fillings,
        lock=_asked_lock(options),
        certify=2 if options.certify else None,
        number=page.number if layout else None,
        notes=remarks_on(layout, options.visible) if layout and options.visible else (),
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
    made = [one for one in existing.widgets if min(one[1][2:]) > 0] if existing else []
    if existing is not None and existing.widgets and not made:
        raise InputRefused("EDOC-PDF-017", "the field has no place on a page", form=visible.form)
    given = (visible.page, visible.box_mm) if visible.box_mm is not None else None
    place = made[0] if made else given
    ground = Ground(views, place, bool(made), leader_widget(known) if place is None else None, options.at)
    layout = lay_out(visible, _picture_for(visible), ground)
    check_place(layout, visible, others=known, own=existing.name if existing else None)
    return layout


def _picture_for(visible: Visible) -> Picture | None:
    return _picture(visible.image) if visible.image is not None and visible.form in ("signature", "seal") else None


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
