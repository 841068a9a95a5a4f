"""Pages and fields of an ordinary file, for placing a signature: found by our own reader (signing.md 3.4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pyhanko.pdf_utils import generic

from signer.pdf.aiming import aim
from signer.pdf.formtree import FormField, PageBox, fields_of, mapping, pages_of
from signer.pdf.objects import dictionary
from signer.pdf.options import PdfOptions
from signer.pdf.page import Field, PageView
from signer.pdf.permitting import why_forbidden
from signer.pdf.reading.state import State
from signer.pdf.tail.ordinary import NotOrdinary, Ordinary
from signer.pdf.target import Target
from signer.pdf.values import Reference, Stream
from signer.trust import Limits


def target_of(file: Ordinary, options: PdfOptions, *, limits: Limits) -> Target:
    """Return what the signature adds.

    Raises:
        NotOrdinary: pages, fields or the field asked for are not plain.
        InputRefused: the visible form has no place; the general path says it, too.
    """
    if options.certify or options.lock or options.fill:
        raise NotOrdinary
    odd: list[str] = []
    boxes = pages_of(file.state, odd=odd)
    if odd:
        raise NotOrdinary
    found = fields_of(file.state, boxes)
    views = [_view(box) for box in boxes]
    existing = None
    if options.field is not None:
        existing = _plain_field(found, options.field)
    known = [_field(file.state, one) for one in found]
    place = next((new for one, new in zip(found, known, strict=True) if one is existing), None)
    target = aim(options, views, known, existing=place)
    if file.signed and why_forbidden(file.state, target.name, limits=limits):
        raise NotOrdinary
    return replace(target, apart=True) if _is_shared(boxes, target) else target


def _is_shared(boxes: Sequence[PageBox], target: Target) -> bool:
    """Say whether the page's list of annotations is that of another page, too."""
    own = next((box.dictionary.get("Annots") for box in boxes if box.reference == target.page), None)
    return isinstance(own, Reference) and sum(box.dictionary.get("Annots") == own for box in boxes) > 1


def _view(box: PageBox) -> PageView:
    sheet, at = box.sheet, box.reference
    if sheet is None or at is None:
        raise NotOrdinary
    place = generic.Reference(at.number, at.generation)
    return PageView(sheet.left, sheet.bottom, sheet.right, sheet.top, sheet.rotation, sheet.unit, box.number, place)


def _plain_field(found: tuple[FormField, ...], name: str) -> FormField:
    """Return an empty signature field that is its own widget and demands nothing."""
    named = [one for one in found if one.name == name]
    if len(named) != 1 or named[0].kind != "Sig" or named[0].value is not None:
        raise NotOrdinary
    entries = named[0].dictionary
    plain = {"SV", "Lock", "Kids", "AP", "V"}.isdisjoint(entries) and entries.get("Subtype") == "Widget"
    if not plain or named[0].where is None or named[0].where.steps:
        raise NotOrdinary
    return named[0]


def _field(state: State, one: FormField) -> Field:
    """Return a field as placing looks at it: name, type, widgets, and the CMS of a signature."""
    at = one.where.holder if one.where is not None and not one.where.steps else None
    reference = generic.Reference(at.number, at.generation) if isinstance(at, Reference) else None
    kind = f"/{one.kind}" if one.kind else None
    entries = dictionary({})
    return Field(one.name, kind, entries, reference, _value(state, one), one.widgets)


def _value(state: State, one: FormField) -> generic.PdfObject | None:
    if one.value is None:
        return None
    held = mapping(state, one.value)
    contents = held.get("Contents") if isinstance(held, Mapping) and not isinstance(held, Stream) else None
    made = dictionary({})
    if isinstance(contents, bytes):
        made[generic.NameObject("/Contents")] = generic.ByteStringObject(contents)
    return made
