"""Where a visible form goes and what it says, in millimetres (signing.md 3.3; R35, R39 to R42). Nothing is guessed.

A layout is the page, the box and what is painted into it: a picture scaled into the box, or lines of text with their
baselines. Boxes off the page, over another widget or in the keep-out of the state's name are refused; a seal over the
leader's signature is what R40 asks for.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from signer.errors import InputRefused
from signer.pdf.page import MM, Box, Field, PageView, overlap, page_at
from signer.pdf.png import Picture
from signer.pdf.typeface import Typeface, serif

FORMS = ("signature", "seal", "number", "date", "t1", "t2")
VIETNAM = timezone(timedelta(hours=7))
STATE_NAME: Box = (105.0, 15.0, 90.0, 25.0)
"""Keep-out of the Quốc hiệu on page 1."""
TEXT_MAX = 400
LINE_RIGHT, LINE_BASELINE, LINE_TOP, LINE_HEIGHT, LINE_WIDTH, LINE_STEP = 10.0, 12.0, 8.2, 5.0, 120.0, 4.0
"""T1 and T2: distance from the right edge, baseline and top from the upper edge, height, widest, second line (mm)."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text: where it begins and its baseline, in mm within the box; size in points."""

    x: float
    baseline: float
    text: str
    size: float


@dataclass(frozen=True, slots=True)
class Layout:
    """A visible form ready to be painted. ``frame`` is where the picture goes, within the box."""

    page: PageView
    box: Box
    picture: Picture | None = None
    frame: Box | None = None
    face: Typeface | None = None
    lines: tuple[Line, ...] = ()

    @property
    def text(self) -> str | None:
        """The text painted, if any."""
        return " ".join(line.text for line in self.lines) or None


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for: form, page (1…n, -1 the last), box in mm, diameter of a seal in mm, text."""

    form: str
    page: int
    box: Box | None
    diameter: float
    text: str | None
    at: datetime


def lay_out(
    wish: Wish, *, views: Sequence[PageView], picture: Picture | None, leader: tuple[int, Box] | None
) -> Layout:
    """Place a form; ``leader`` is page and box of the competent person's widget, where a seal goes by itself.

    Raises:
        InputRefused: no place given or found, no picture, no text, or the text does not fit.
    """
    if wish.form == "signature":
        if wish.box is None:
            raise InputRefused("EDOC-PDF-017", "no place for the signature", form=wish.form)
        page = page_at(views, wish.page)
        shown = _picture(picture, wish.form)
        return Layout(page, wish.box, shown, _fitted(shown, wish.box[2], wish.box[3]))
    if wish.form == "seal":
        return _seal(wish, views, _picture(picture, wish.form), leader)
    text = unicodedata.normalize("NFC", wish.text or "").strip()
    if not text or len(text) > TEXT_MAX:
        raise InputRefused("EDOC-PDF-020", "text missing or too long", form=wish.form, text=text[:40])
    if wish.form in ("t1", "t2"):
        return _line(page_at(views, 1), text, wish.at)
    if wish.box is None:
        raise InputRefused("EDOC-PDF-017", "no place for the text", form=wish.form)
    return _value(wish, page_at(views, wish.page), text, wish.box)


def _picture(picture: Picture | None, form: str) -> Picture:
    if picture is None:
        raise InputRefused("EDOC-PDF-011", "a picture is needed", detail=f"form {form} needs a PNG")
    return picture


def _fitted(picture: Picture, width: float, height: float) -> Box:
    """Return where a picture goes in a box, whole, in proportion and centred."""
    scale = min(width / picture.width, height / picture.height)
    w, h = picture.width * scale, picture.height * scale
    return (width - w) / 2, (height - h) / 2, w, h


def _seal(wish: Wish, views: Sequence[PageView], picture: Picture, leader: tuple[int, Box] | None) -> Layout:
    """R40: true size, right edge at one third of the leader's widget, centres level."""
    d = wish.diameter
    if not 5 <= d <= 60:
        raise InputRefused("EDOC-PDF-013", "not a seal's size", box=f"{d:g} mm", page=wish.page)
    if wish.box is not None:
        x, y, w, h = wish.box
        page, box = page_at(views, wish.page), (x + (w - d) / 2, y + (h - d) / 2, d, d)
    elif leader is not None:
        x, y, w, h = leader[1]
        page, box = page_at(views, leader[0]), (x + w / 3 - d, y + h / 2 - d / 2, d, d)
    else:
        raise InputRefused("EDOC-PDF-017", "no leader's signature to seal", form=wish.form)
    if page.number == 1 and overlap(box, STATE_NAME):
        raise InputRefused("EDOC-PDF-014", "the seal would cover the state's name", field="Quốc hiệu", page=1)
    return Layout(page, box, picture, _fitted(picture, d, d))


def _value(wish: Wish, page: PageView, text: str, box: Box) -> Layout:
    """Number and date: 13 pt, centred, baseline at three quarters of the box; the date line is in italics."""
    if box[3] < 6:
        raise InputRefused("EDOC-PDF-020", "the box is too low", form=wish.form, text=text[:40])
    face = serif(italic=wish.form == "date")
    width = face.width(text, 13) / MM
    if width > box[2] + 0.1:
        raise InputRefused("EDOC-PDF-020", "the text is too wide", form=wish.form, text=text[:40])
    return Layout(page, box, face=face, lines=(Line((box[2] - width) / 2, box[3] * 3 / 4, text, 13),))


def moment(at: datetime) -> str:
    """Return date and time as T1 and T2 write them (section 6 of the regulations)."""
    local = at.astimezone(VIETNAM)
    return f"{local:%d/%m/%Y}; {local:%H:%M:%S} +07:00"


def _line(page: PageView, text: str, at: datetime) -> Layout:
    """T1 and T2: one line of 10 pt at the upper right, smaller down to 8 pt, then two lines."""
    whole = text if text.endswith("+07:00") else f"{text.rstrip('; ')}; {moment(at)}"
    face, room = serif(), min(LINE_WIDTH, page.size[0] - 2 * LINE_RIGHT)
    for size in (10.0, 9.5, 9.0, 8.5, 8.0):
        width = face.width(whole, size) / MM
        if width <= room:
            return _lines(page, face, size, [whole])
    parts = whole.split("; ")
    for cut in range(len(parts) - 1, 0, -1):
        lines = ["; ".join(parts[:cut]) + ";", "; ".join(parts[cut:])]
        if max(face.width(one, 8) for one in lines) / MM <= room:
            return _lines(page, face, 8.0, lines)
    raise InputRefused("EDOC-PDF-020", "the line is too long", form="t1", text=whole[:40])


def _lines(page: PageView, face: Typeface, size: float, texts: Sequence[str]) -> Layout:
    widths = [face.width(one, size) / MM for one in texts]
    wide = max(widths)
    box = (page.size[0] - LINE_RIGHT - wide, LINE_TOP, wide, LINE_HEIGHT + LINE_STEP * (len(texts) - 1))
    lines = tuple(
        Line(wide - width, LINE_BASELINE - LINE_TOP + LINE_STEP * row, one, size)
        for row, (one, width) in enumerate(zip(texts, widths, strict=True))
    )
    return Layout(page, box, face=face, lines=lines)


def check_place(layout: Layout, *, form: str, others: Sequence[Field], own: str | None) -> None:
    """Refuse a box off the page or over another widget; ``own`` is the field that is being filled.

    Raises:
        InputRefused: as said.
    """
    shown = ", ".join(f"{value:.1f}" for value in layout.box)
    if not layout.page.holds(layout.box) or min(layout.box[2:]) <= 0:
        raise InputRefused("EDOC-PDF-013", "the box is off the page", box=shown, page=layout.page.number)
    for field in others:
        if field.name == own or (form == "seal" and field.filled_signature):
            continue
        for page, box in field.widgets:
            if page == layout.page.number and overlap(box, layout.box):
                raise InputRefused("EDOC-PDF-014", "the box covers another field", field=field.name, page=page)
