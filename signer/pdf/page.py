"""Pages, form fields and widgets as a person sees them: millimetres from the upper left corner (signing.md 3.3).

The page is what is displayed: crop box, ``/Rotate`` and ``/UserUnit`` applied. Placement is computed in those
millimetres and turned into the user space of the page only when it is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.rw_common import PdfHandler

from signer.errors import InputRefused, LimitExceeded
from signer.pdf.formtree import CORNER_MAX, DEPTH_MAX, FIELDS_MAX, PAGES_MAX
from signer.pdf.geometry import MM, Box, Sheet
from signer.pdf.objects import dictionary_of, entry, follow, integer_of, is_name, items_of, reference
from signer.pdf.opening import open_pdf, reading
from signer.pdf.values import Reference
from signer.trust import Limits

__all__ = ["MM", "Box", "Field", "PageView", "PdfFacts", "describe", "fields", "overlap", "page_at", "pages"]


@dataclass(frozen=True, slots=True)
class PageView(Sheet):
    """Geometry of one page, its number from 1, and the object it is."""

    number: int
    reference: generic.Reference


@dataclass(frozen=True, slots=True)
class Field:
    """One form field: full name, type (``/Sig``, ``/Tx`` …), its dictionary, its widgets as (page, box), and the
    objects these are."""

    name: str
    kind: str | None
    dictionary: generic.DictionaryObject
    reference: generic.Reference | None
    value: generic.PdfObject | None
    widgets: tuple[tuple[int, Box], ...]
    holders: tuple[generic.Reference, ...] = ()

    @property
    def filled_signature(self) -> bool:
        """Say whether it is a signature field with something in it."""
        return self.kind == "/Sig" and self.value is not None


@dataclass(frozen=True, slots=True)
class PdfFacts:
    """What a file says about itself (``edoc inspect``)."""

    version: str
    pages: int
    revisions: int
    fields: tuple[tuple[str, str, bool], ...]  # name, type, filled
    page_size_mm: tuple[float, float] | None
    title: str | None


def pages(handler: PdfHandler) -> list[PageView]:
    """Return the pages in order. Faults of the page tree raise what the library raises; callers wrap it."""
    views: list[PageView] = []
    root = handler.root.raw_get("/Pages")
    _walk_pages(root, {}, views, set(), 0)
    return views


def _walk_pages(
    node: generic.PdfObject,
    inherited: dict[str, generic.PdfObject],
    views: list[PageView],
    seen: set[object],
    depth: int,
) -> None:
    if not isinstance(node, generic.IndirectObject) or node.reference in seen or depth > DEPTH_MAX:
        raise ValueError("page tree")
    seen.add(node.reference)
    dictionary = follow(node)
    if not isinstance(dictionary, generic.DictionaryObject):
        raise ValueError("page tree")
    if len(views) >= PAGES_MAX and "/Kids" not in dictionary:
        raise LimitExceeded("EDOC-PDF-002", "too many pages", limit="pages", value=PAGES_MAX, unit="page")
    known = dict(inherited)
    for key in ("/MediaBox", "/CropBox", "/Rotate"):
        if key in dictionary:
            known[key] = dictionary[key]
    if "/Kids" in dictionary:
        for kid in items_of(dictionary["/Kids"]):
            _walk_pages(kid, known, views, seen, depth + 1)
        return
    views.append(_view(len(views) + 1, node.reference, dictionary, known))


def _view(
    number: int, reference: generic.Reference, page: generic.DictionaryObject, known: dict[str, generic.PdfObject]
) -> PageView:
    media = _corners(known.get("/MediaBox")) or (0.0, 0.0, 612.0, 792.0)
    crop = _corners(known.get("/CropBox")) or media
    seen = (max(crop[0], media[0]), max(crop[1], media[1]), min(crop[2], media[2]), min(crop[3], media[3]))
    if seen[2] <= seen[0] or seen[3] <= seen[1]:
        seen = media
    rotation = (integer_of(known.get("/Rotate")) or 0) % 360
    unit = float(page["/UserUnit"]) if "/UserUnit" in page else 1.0
    if rotation % 90 or not 0 < unit <= 75_000:
        raise ValueError("page geometry")
    return PageView(*seen, rotation, unit, number, reference)


def _corners(value: generic.PdfObject | None) -> tuple[float, float, float, float] | None:
    if value is None or isinstance(value, generic.NullObject):
        return None
    corners = rectangle_of(value)
    if corners is None or max(map(abs, corners)) > CORNER_MAX:
        raise ValueError("page geometry")
    return corners


def rectangle_of(value: generic.PdfObject | None) -> tuple[float, float, float, float] | None:
    """Return a PDF rectangle with its corners in order, or ``None`` if it is none."""
    corners = [follow(one) for one in items_of(value)]
    numbers = [float(str(one)) for one in corners if isinstance(one, generic.NumberObject | generic.FloatObject)]
    if len(corners) != 4 or len(numbers) != 4:
        return None
    x1, y1, x2, y2 = numbers
    return min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)


def fields(handler: PdfHandler, views: Sequence[PageView]) -> list[Field]:
    """Return every terminal field of the form, and signature widgets on pages that the form does not list."""
    placed = _widgets_by_page(handler, views)
    walk = _Walk(placed, set())
    found: list[Field] = []
    for item in items_of(entry(entry(handler.root, "/AcroForm"), "/Fields")):
        found += walk.field(item, "", None, None, 0)
    for at, (_, _, widget) in placed.items():
        if at not in walk.seen and is_name(entry(widget, "/FT"), "/Sig"):
            found += walk.field(reference(at.idnum, at.generation, handler), "", None, None, 0)
    return found


def is_shared(handler: PdfHandler, views: Sequence[PageView], page: Reference) -> bool:
    """Say whether the list of annotations of a page is that of another page, too."""
    lists = {view.reference: _listed(handler, view) for view in views}
    own = lists.get(generic.Reference(page.number, page.generation, handler))
    return own is not None and sum(one == own for one in lists.values()) > 1


def _listed(handler: PdfHandler, view: PageView) -> generic.Reference | None:
    page = dictionary_of(handler.get_object(view.reference))
    held = page.raw_get("/Annots") if page is not None and "/Annots" in page else None
    return held.reference if isinstance(held, generic.IndirectObject) else None


_Placed = dict[generic.Reference, tuple[int, Box, generic.DictionaryObject]]


def _widgets_by_page(handler: PdfHandler, views: Sequence[PageView]) -> _Placed:
    placed: _Placed = {}
    for view in views:
        page = handler.get_object(view.reference)
        for item in items_of(entry(page, "/Annots")):
            widget = dictionary_of(item)
            if widget is None or not is_name(entry(widget, "/Subtype"), "/Widget"):
                continue
            rectangle = rectangle_of(entry(widget, "/Rect"))
            if rectangle and isinstance(item, generic.IndirectObject):
                placed[item.reference] = (view.number, view.box(rectangle), widget)
    return placed


@dataclass(frozen=True, slots=True)
class _Walk:
    """A walk over the tree of fields; what was seen is not walked again."""

    placed: _Placed
    seen: set[generic.Reference]

    def field(
        self,
        item: generic.PdfObject,
        prefix: str,
        kind: str | None,
        value: generic.PdfObject | None,
        depth: int,
    ) -> Iterator[Field]:
        """Yield the terminal fields under one node; name, type and value come down from above."""
        at = item.reference if isinstance(item, generic.IndirectObject) else None
        if at is not None and at in self.seen:
            return
        if depth > DEPTH_MAX:
            raise LimitExceeded("EDOC-PDF-002", "fields too deep", limit="pdf_nesting", value=depth, unit="level")
        if len(self.seen) > FIELDS_MAX:
            raise LimitExceeded("EDOC-PDF-002", "too many fields", limit="fields", value=FIELDS_MAX, unit="field")
        if at is not None:
            self.seen.add(at)
        dictionary = dictionary_of(item)
        if dictionary is None:
            return
        own = entry(dictionary, "/T")
        name = ".".join(filter(None, (prefix, "" if own is None else str(own))))
        kind = str(entry(dictionary, "/FT")) if "/FT" in dictionary else kind
        value = dictionary.raw_get("/V") if entry(dictionary, "/V") is not None else value
        kids = items_of(entry(dictionary, "/Kids"))
        named = [kid for kid in kids if "/T" in (dictionary_of(kid) or ())]
        if named:
            for kid in named:
                yield from self.field(kid, name, kind, value, depth + 1)
            return
        widgets = [kid.reference for kid in kids if isinstance(kid, generic.IndirectObject)]
        self.seen.update(widgets)
        holders = [one for one in (at, *widgets) if one is not None and one in self.placed]
        boxes = tuple(self.placed[one][:2] for one in holders)
        yield Field(name, kind, dictionary, at, value, boxes, tuple(holders))


def overlap(one: Box, other: Box) -> bool:
    """Say whether two boxes share more than a tenth of a millimetre."""
    across = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    down = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    return across > 0.1 and down > 0.1


def page_at(views: Sequence[PageView], number: int) -> PageView:
    """Return page 1…n, or the last one for -1.

    Raises:
        InputRefused: there is no such page.
    """
    index = len(views) if number == -1 else number
    if not 1 <= index <= len(views):
        raise InputRefused("EDOC-PDF-016", "no such page", page=number, pages=len(views))
    return views[index - 1]


def describe(data: bytes, *, limits: Limits | None = None) -> PdfFacts:
    """Return what a file says about itself, without judging anything.

    Raises:
        InputRefused: not a PDF, damaged or encrypted.
    """
    reader = open_pdf(data, limits=limits or Limits())
    with reading("pages and fields"):
        views = pages(reader)
        listed = tuple(
            (field.name, (field.kind or "/").removeprefix("/"), field.value is not None)
            for field in fields(reader, views)
        )
        version = "{}.{}".format(*reader.input_version)
        title = entry(follow(reader.trailer.raw_get("/Info")), "/Title") if "/Info" in reader.trailer else None
        return PdfFacts(
            version,
            len(views),
            int(reader.xrefs.total_revisions),
            listed,
            views[0].size if views else None,
            str(title) if isinstance(title, generic.TextStringObject) else None,
        )
