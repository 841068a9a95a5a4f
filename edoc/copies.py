"""Copies and conversions between paper and file: directions, quality of scans, marks, numbers (R47 to R52; NĐ30 25).

Sao y and sao lục never lead from file to file: the electronic original is sent as it is. A scan has its measures (R48),
a converted file says that it was converted, when and by whom (R50), copies made on paper share one series of numbers
(R49), and what is held as a signed original is not scanned again (R52).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from edoc.errors import CopyRefused
from edoc.numbering import render_number
from edoc.values import VIETNAM, clean

DPI_LEAST = 200
"""Dots per inch of a scan (NĐ30, Appendix I, part II)."""

VERSION_LEAST = (1, 4)
"""Version of PDF of a scan."""

_PAPERS = ((297.0, 420.0), (210.0, 297.0), (148.0, 210.0), (105.0, 148.0), (215.9, 330.2), (215.9, 279.4))
_PAPER_TOLERANCE = 5.0


class Form(StrEnum):
    """Forms of copy: sao y, sao lục, trích sao."""

    SY = "sy"
    SL = "sl"
    TRS = "trs"

    @property
    def words(self) -> str:
        """How the line T2 begins (R42)."""
        return {"sy": "SAO Y", "sl": "SAO LỤC", "trs": "TRÍCH SAO"}[self.value]

    @property
    def abbreviation(self) -> str:
        """How the symbol of a copy on paper begins (regulations.md 12)."""
        return {"sy": "SY", "sl": "SL", "trs": "TrS"}[self.value]


class Medium(StrEnum):
    """What a document is on."""

    PAPER = "paper"
    FILE = "file"


_EITHER = {(Medium.PAPER, Medium.PAPER), (Medium.FILE, Medium.PAPER), (Medium.PAPER, Medium.FILE)}

DIRECTIONS: dict[Form, frozenset[tuple[Medium, Medium]]] = {
    Form.SY: frozenset(_EITHER),
    Form.SL: frozenset(_EITHER),
    Form.TRS: frozenset({*_EITHER, (Medium.FILE, Medium.FILE)}),
}
"""From what to what each form leads (R47)."""


def check_direction(form: Form, source: Medium, target: Medium, *, name: str) -> None:
    """Refuse a direction that does not exist.

    Raises:
        CopyRefused: EDOC-DOC-085.
    """
    if (source, target) not in DIRECTIONS[form]:
        raise CopyRefused("EDOC-DOC-085", "no such copy", path=name, form=form.words)


def copy_line(form: Form, agency: str | None) -> str:
    """Return what the line T2 says before date and time: ``SAO Y; Sở Mẫu A``."""
    name = clean(agency)
    return f"{form.words}; {name}" if name else form.words


def copy_number(form: Form, number: int, agency: str) -> str:
    """Return number and symbol of a copy on paper: ``05/SY-SMA``; the three forms share the numbers (R49)."""
    return f"{render_number(number)}/{form.abbreviation}-{clean(agency)}"


def conversion_mark(person: str, at: datetime) -> str:
    """Return what a file made from paper says of that: the mark, who and when (R50). ``at`` is aware.

    Raises:
        ValueError: the time has no offset.
    """
    if at.tzinfo is None:
        raise ValueError("a time needs an offset")
    return f"Chuyển đổi từ bản giấy; {clean(person)}; {at.astimezone(VIETNAM):%d/%m/%Y; %H:%M:%S} +07:00"


class PageLike(Protocol):
    """One page of a file, as far as it is a picture."""

    @property
    def number(self) -> int: ...
    @property
    def size_mm(self) -> tuple[float, float]: ...
    @property
    def dpi(self) -> int | None: ...
    @property
    def colour(self) -> bool | None: ...
    @property
    def is_scan(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class ScanFault:
    """What of a scan is not as it must be: ``version``, ``resolution``, ``colour``, ``paper`` or ``no-scan``.

    ``hard`` faults refuse the job, the others are remarked on: the true size of the paper is not in the file, and a
    page that is no picture may be typed off.
    """

    what: str
    value: str
    page: int | None = None

    @property
    def hard(self) -> bool:
        """Whether the job is refused."""
        return self.what in ("version", "resolution", "colour")


def scan_faults(version: str, pages: Sequence[PageLike]) -> tuple[ScanFault, ...]:
    """Return what is wrong with a scan, each fault with its value, in the order of the pages (R48)."""
    found = [] if _version(version) >= VERSION_LEAST else [ScanFault("version", version)]
    for page in pages:
        found += _page_faults(page)
    return tuple(found)


def _page_faults(page: PageLike) -> list[ScanFault]:
    if not page.is_scan:
        return [ScanFault("no-scan", "-", page.number)]
    found = []
    if page.dpi is not None and page.dpi < DPI_LEAST:
        found.append(ScanFault("resolution", str(page.dpi), page.number))
    if page.colour is False:
        found.append(ScanFault("colour", "-", page.number))
    short, long = sorted(page.size_mm)
    if not any(abs(short - a) <= _PAPER_TOLERANCE and abs(long - b) <= _PAPER_TOLERANCE for a, b in _PAPERS):
        found.append(ScanFault("paper", f"{short:.0f} × {long:.0f}", page.number))
    return found


def _version(text: str) -> tuple[int, int]:
    major, _, minor = text.partition(".")
    try:
        return int(major), int(minor)
    except ValueError:
        return 0, 0


def refuse_held(name: str, reference: str, legal_class: str | None) -> None:
    """Refuse a scan of a document that is held as a signed electronic original (R52).

    Raises:
        CopyRefused: EDOC-DOC-087.
    """
    if legal_class == "original":
        raise CopyRefused("EDOC-DOC-087", "held as an electronic original", path=name, reference=reference)
