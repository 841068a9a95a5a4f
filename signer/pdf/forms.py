"""The visible forms of signatures, laid out to the millimetre (signing.md 3.3; R35, R39 to R42). Nothing is guessed.

``signature`` and ``seal`` are pictures, ``t1`` and ``t2`` lines at the upper right, ``number`` and ``date`` values on a
line of the document, ``received`` the stamp of arrival.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from signer.errors import InputRefused
from signer.pdf.geometry import MM, Box, raised
from signer.pdf.layout import RED, Frame, Image, Layout, Line
from signer.pdf.measures import SEAL_LEAST, SEAL_MOST
from signer.pdf.options import Visible
from signer.pdf.page import PageView, page_at
from signer.pdf.png import Picture
from signer.pdf.typeface import Typeface, serif

TEXT_MAX = 400
VALUE_LEAST = 6.0
"""Least height of a number or a date, in mm."""
RECEIVED = (35.0, 50.0)
"""Width and height of the stamp of arrival, in mm; it may lie on its side."""
FRAME = 0.5
AGENCY_SIZE = 8.0
ROUNDING = 0.01
"""What boxes of fields may be off by, in mm, because a file writes them with two decimals."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What a form is laid out on: the pages, the place given (page, box), whether it is a field that keeps its size,
    the leader's widget, and the signing time."""

    views: Sequence[PageView]
    place: tuple[int, Box] | None
    fixed: bool
    leader: tuple[int, Box] | None
    at: datetime


def lay_out(visible: Visible, picture: Picture | None, ground: Ground) -> Layout:
    """Place a form.

    Raises:
        InputRefused: no place given or found, no picture, no text, or what is painted does not fit.
    """
    if visible.form in ("signature", "seal"):
        if picture is None:
            raise InputRefused("EDOC-PDF-011", "a picture is needed", detail=f"{visible.form}: PNG?")
        return (_signature if visible.form == "signature" else _seal)(visible, picture, ground)
    text = unicodedata.normalize("NFC", visible.text or "").strip()
    if not text or len(text) > TEXT_MAX:
        raise InputRefused("EDOC-PDF-020", "text missing or too long", form=visible.form, text=text[:40])
    makers: dict[str, Callable[[Visible, str, Ground], Layout]] = {"t1": _line, "t2": _line, "received": _received}
    return makers.get(visible.form, _value)(visible, text, ground)


def _placed(visible: Visible, ground: Ground) -> tuple[PageView, Box]:
    if ground.place is None:
        raise InputRefused("EDOC-PDF-017", "no place for the form", form=visible.form)
    return page_at(ground.views, ground.place[0]), ground.place[1]


def _fitted(picture: Picture, box: Box) -> Image:
    """Return a picture in a box, whole, in proportion and centred."""
    x, y, width, height = box
    scale = min(width / picture.width, height / picture.height)
    w, h = picture.width * scale, picture.height * scale
    return Image(picture, (x + (width - w) / 2, y + (height - h) / 2, w, h))


def _signature(visible: Visible, picture: Picture, ground: Ground) -> Layout:
    page, box = _placed(visible, ground)
    if min(box[2:]) <= 0:
        raise InputRefused("EDOC-PDF-013", "no box", box=_shown(box), page=page.number)
    return Layout(page, box, _fitted(picture, (0.0, 0.0, box[2], box[3])))


def _seal(visible: Visible, picture: Picture, ground: Ground) -> Layout:
    """R40: true size, right edge at one third of the leader's widget, centres level.

    The letters of the signer's name reach into that place as soon as the name is some 33 mm long: the seal is then
    raised as little as may be, by ``seal_rise`` at most.
    """
    d = visible.diameter
    if not SEAL_LEAST <= d <= SEAL_MOST:
        raise InputRefused("EDOC-PDF-013", "not a seal's size", box=f"{d:g} mm", page=visible.page)
    if ground.place is None and ground.leader is not None:
        x, y, w, h = ground.leader[1]
        page, level = page_at(ground.views, ground.leader[0]), (x + w / 3 - d, y + h / 2 - d / 2, d, d)
        kept = [one for number, one in visible.keep_out if number == page.number]
        box = raised(level, kept, most=visible.geometry.seal_rise) or level
        return Layout(page, box, _fitted(picture, (0.0, 0.0, d, d)), rise=level[1] - box[1])
    page, given = _placed(visible, ground)
    inner = _centred(given, d, d)
    if ground.fixed:
        _check_fits(visible, given, (d, d))
        return Layout(page, given, _fitted(picture, _within(inner, given)))
    return Layout(page, inner, _fitted(picture, (0.0, 0.0, d, d)))


def _centred(box: Box, width: float, height: float) -> Box:
    return box[0] + (box[2] - width) / 2, box[1] + (box[3] - height) / 2, width, height


def _within(inner: Box, outer: Box) -> Box:
    return inner[0] - outer[0], inner[1] - outer[1], inner[2], inner[3]


def _shown(box: Box) -> str:
    return ", ".join(f"{value:.1f}" for value in box)


def _check_fits(visible: Visible, box: Box, size: tuple[float, float]) -> None:
    if box[2] < size[0] - ROUNDING or box[3] < size[1] - ROUNDING:
        raise InputRefused(
            "EDOC-PDF-052", "the box is too small", form=visible.form, size="{:g} × {:g}".format(*size), box=_shown(box)
        )


def _value(visible: Visible, text: str, ground: Ground) -> Layout:
    page, box = _placed(visible, ground)
    return Layout(page, box, lines=(value_line(text, box, size=visible.geometry.value_size, form=visible.form),))


def value_line(text: str, box: Box, *, size: float, form: str) -> Line:
    """Return a number or date: centred, its baseline at three quarters of the box; the date line is in italics.

    Raises:
        InputRefused: the box is lower than 6 mm or narrower than the text.
    """
    face = serif("italic" if form == "date" else "regular")
    width = face.width(text, size) / MM
    if box[3] < VALUE_LEAST - ROUNDING or width > box[2] + 0.1:
        raise InputRefused("EDOC-PDF-020", "the text does not fit its box", form=form, text=text[:40])
    return Line((box[2] - width) / 2, box[3] * 3 / 4, text, size, face)


def _line(visible: Visible, text: str, ground: Ground) -> Layout:
    """T1 and T2: one line of 10 pt at the upper right, smaller down to 8 pt, then two lines."""
    measures, face = visible.geometry, serif()
    moment = measures.moment(ground.at)
    whole = text if text.endswith(moment) else f"{text.rstrip('; ')}; {moment}"
    if ground.place is None:
        page = page_at(ground.views, visible.page)
        room = min(measures.line_width, page.size[0] - 2 * measures.line_right)
    else:
        page, given = _placed(visible, ground)
        room = given[2]
    size, texts = _broken(visible, whole, face, room)
    widths = [face.width(one, size) / MM for one in texts]
    height = measures.line_height + measures.line_step * (len(texts) - 1)
    rise = measures.line_height * 0.76  # 3.8 of 5: the baseline below the upper edge of the box
    if ground.place is not None:
        _check_fits(visible, given, (max(widths), height))
        box = given
    else:
        right, wide = page.size[0] - measures.line_right, max(widths)
        box = (right - wide, measures.line_baseline - rise, wide, height)
    lines = tuple(
        Line(box[2] - width, rise + measures.line_step * row, one, size, face)
        for row, (one, width) in enumerate(zip(texts, widths, strict=True))
    )
    return Layout(page, box, lines=lines)


def _broken(visible: Visible, text: str, face: Typeface, room: float) -> tuple[float, list[str]]:
    """Return size and lines: one that fits as large as may be, else two of the least size."""
    size, least = visible.geometry.line_size, visible.geometry.line_size_least
    while size >= least - 1e-9:
        if face.width(text, size) / MM <= room:
            return size, [text]
        size -= 0.5
    for gap in ("; ", " "):
        parts = text.split(gap)
        for cut in range(len(parts) - 1, 0, -1):
            lines = [gap.join(parts[:cut]) + gap.rstrip(), gap.join(parts[cut:])]
            if max(face.width(one, least) for one in lines) / MM <= room:
                return least, lines
    raise InputRefused("EDOC-PDF-020", "the line is too long", form=visible.form, text=text[:40])


WORD_SIZE, ENTRY_SIZE, ENTRY_LEAST = 14.0, 9.0, 6.0
LAST_STEP = 4.6
"""Distance of the line beneath the last one of an upright stamp, in mm."""
RECEIVED_LABELS = ("Số", "Ngày", "Chuyển", "Số và ký hiệu HS")


def _received(visible: Visible, text: str, ground: Ground) -> Layout:
    """The stamp of arrival (NĐ30, App. IV): agency, the word ĐẾN, and four lines that are filled or dotted."""
    page, given = _placed(visible, ground)
    size = RECEIVED if given[3] >= given[2] else RECEIVED[::-1]
    _check_fits(visible, given, size)
    inner = _centred(given, *size)
    box = given if ground.fixed else inner
    x, y, width, height = _within(inner, box)
    frame = Frame((x, y, width, height), FRAME, RED)
    lines = tuple(_stamp_lines(visible, text, (x, y, width, height)))
    return Layout(page, box, lines=lines, frames=(frame,))


@dataclass(frozen=True, slots=True)
class _Stamp:
    """Baselines of a stamp of arrival in mm from its upper edge: agency (of so many lines), the word ĐẾN, each entry.

    ``beside`` is how far the first two entries stand to the right, behind the word; 0 puts all of them beneath it.
    """

    agency: float
    agency_step: float
    agency_lines: int
    word: float
    entries: tuple[float, ...]
    beside: float = 0.0


_UPRIGHT_STAMP = _Stamp(5.2, 3.6, 3, 19.5, (26.0, 31.6, 37.2, 42.8))
_LYING_STAMP = _Stamp(5.0, 3.5, 2, 18.6, (15.5, 20.5, 26.0, 31.5), beside=14.0)
"""As the decree draws it: the word stands to the left of number and date."""


def _stamp_lines(visible: Visible, text: str, box: Box) -> list[Line]:
    x, y, width, height = box
    agency, *values = [part.strip() for part in text.split(";")]
    if not agency or len(values) > len(RECEIVED_LABELS):
        raise InputRefused("EDOC-PDF-020", "not the parts of a stamp", form=visible.form, text=text[:40])
    stamp, margin = _UPRIGHT_STAMP if height > width else _LYING_STAMP, 2.0
    head = _heading(visible, agency.upper(), (width - 2 * margin, stamp.agency_lines))
    spare = stamp.agency_lines - len(head)  # lines that are not needed: the others stand in the middle of their room
    top = y + stamp.agency + spare * stamp.agency_step / 2
    lines = [_middle(one, box, top + stamp.agency_step * row, size=AGENCY_SIZE) for row, one in enumerate(head)]
    if stamp.beside:
        lines.append(_middle("ĐẾN", (x + margin, y, stamp.beside - margin, height), y + stamp.word, size=WORD_SIZE))
    else:
        lines.append(_middle("ĐẾN", box, y + stamp.word - 1.2 * spare, size=WORD_SIZE))
    for row, (label, baseline) in enumerate(zip(RECEIVED_LABELS, stamp.entries, strict=True)):
        start = margin + (stamp.beside if row < 2 else 0.0)
        place = (x + start, y + baseline, width - margin - start)
        lines += _entry(visible, label, values[row] if row < len(values) else "", place)
    return lines


def _heading(visible: Visible, agency: str, room: tuple[float, int]) -> list[str]:
    """Break the agency's name into lines of a width (mm), as many as there is room for."""
    bold, lines = serif("bold"), [""]
    for word in agency.split():
        longer = f"{lines[-1]} {word}".strip()
        if bold.width(longer, AGENCY_SIZE) / MM > room[0] and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = longer
    if len(lines) > room[1] or max(bold.width(one, AGENCY_SIZE) for one in lines) / MM > room[0]:
        raise InputRefused("EDOC-PDF-020", "the agency's name is too long", form=visible.form, text=agency[:40])
    return lines


def _middle(text: str, box: Box, baseline: float, *, size: float) -> Line:
    bold = serif("bold")
    return Line(box[0] + (box[2] - bold.width(text, size) / MM) / 2, baseline, text, size, bold, RED)


def _entry(visible: Visible, label: str, value: str, place: tuple[float, float, float]) -> list[Line]:
    """Return one line of the stamp: its label in red, its value in black, or dots to write on.

    What finds no room behind the last label stands in the line beneath it.
    """
    x, baseline, room = place
    face, size = serif(), ENTRY_SIZE
    start = face.width(f"{label}: ", size) / MM
    found = [Line(x, baseline, f"{label}:", size, face, RED)]
    if not value:
        dots = "." * max(0, int((room - start) * MM / face.width(".", size)))
        return [*found, Line(x + start, baseline, dots, size, face, RED)] if dots else found
    if face.width(value, size) / MM > room - start and label == RECEIVED_LABELS[-1] and room < RECEIVED[0]:
        start, baseline = 0.0, baseline + LAST_STEP
    while face.width(value, size) / MM > room - start and size > ENTRY_LEAST:
        size -= 0.5
    if face.width(value, size) / MM > room - start:
        raise InputRefused("EDOC-PDF-020", "the value is too wide", form=visible.form, text=value[:40])
    return [*found, Line(x + start, baseline, value, size, face)]
