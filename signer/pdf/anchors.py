"""The place of the leader's signature, found by the text that is printed there (signing.md 3.3; R39).

Looked for is the signer's name on a line of its own, as the decree sets it: the signature stands 2 mm above it and in
its middle. Where no name is given, the line of the position (``KT. CHỦ TỊCH``) leads there. Capitals, the two ways to
write Vietnamese letters (NFC, NFD) and the two places of a tone mark (``Hòa``, ``Hoà``) make no difference, nor do
spaces. The last page with the text counts. What is not found, or stands in more than one place there, is refused: a
place is never guessed. Needs the extra ``preview``.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from signer.errors import InputRefused, LimitExceeded
from signer.pdf.formtree import FormField, fields_of, pages_of
from signer.pdf.geometry import Box, Sheet
from signer.pdf.letters import PrintedLine, lines_of_pages
from signer.pdf.measures import Geometry
from signer.pdf.options import Visible
from signer.pdf.pictures import is_possible
from signer.pdf.reading import PdfFile
from signer.trust import Limits

TEXT_MAX = 200
ABOVE_MOST = 70.0
"""Greatest distance from the line of the position down to the name, in mm."""
NEXT_LINE = 9.0
"""Greatest distance from one line of the position to the next, in mm."""
STATE_NAMES = ("CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM", "Độc lập - Tự do - Hạnh phúc")
_TONE = re.compile("([ou])([\u0300\u0301\u0303\u0309\u0323])([aey])")
_NOTE = re.compile(r"[(\[«].*$", re.DOTALL)
_TITLES = (
    "(?:(?:gs|pgs|ts|ths|bs|ds|ks|cn)[.]?(?:ck[12i]{1,2}[.]?)?|giáosư|phógiáosư|tiếnsĩ|thạcsĩ|bácsĩ|nhàgiáo(?:nhândân|ưutú)|"
    "(?:đại|thượng|trung|thiếu)(?:tướng|tá|úy)|đạitướng|đôđốc|phóđôđốc|chuẩnđôđốc)+"
)
"""Ranks and degrees that may stand before the name (NĐ30, App. I.II.7 đ), without spaces."""


def aimed(data: bytes, visible: Visible, *, name: str | None, position: str | None = None) -> Visible:
    """Return the form with its place: ``signature`` above the printed name, ``seal`` kept off it; others as they are.

    A form that has its box stays as it is. ``name`` is the signer's name as in the certificate; a note in brackets
    behind it does not count. ``position`` is a line such as ``KT. CHỦ TỊCH``; it tells names apart that are printed
    more than once, and leads to the place where no name is given.

    Raises:
        InputRefused: ``signature`` only: the extra is missing, the text is not there or not in one place only, or the
            file cannot be read.
        LimitExceeded: ``signature`` only: the file is over a limit.
    """
    if visible.form == "seal":
        return replace(visible, keep_out=(*visible.keep_out, *_kept_out(data, visible, name)))
    if visible.form != "signature" or visible.box_mm is not None:
        return visible
    wanted = _Wanted(_cleaned(_NOTE.sub("", name or "")), _cleaned(position or ""))
    if not wanted.name and not wanted.position:
        raise InputRefused("EDOC-PDF-017", "nothing to look for", form="signature")
    if not is_possible():
        raise InputRefused("EDOC-PDF-050", "the extra preview is missing", form="signature", name=wanted.shown)
    page, box = _place(data, wanted, visible.geometry)
    return replace(visible, page=page, box_mm=box)


def folded(text: str) -> str:
    """Return a text as it is compared: without spaces, capitals and ways of writing; tone marks behind both vowels."""
    bare = "".join(one for one in unicodedata.normalize("NFKC", text) if not one.isspace())
    plain = unicodedata.normalize("NFD", unicodedata.normalize("NFC", bare).casefold())
    return unicodedata.normalize("NFC", _TONE.sub(r"\1\3\2", plain))


_TITLES_FOLDED = re.compile(folded(_TITLES))


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is looked for: the name and the line of the position; either may be empty."""

    name: str
    position: str

    @property
    def shown(self) -> str:
        """What a message names."""
        return self.name or self.position


def _cleaned(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())[:TEXT_MAX]


def _sheets(data: bytes) -> tuple[int, list[tuple[int, Sheet]]]:
    """Return how many pages there are, and those that have a geometry, the last one first."""
    pages = pages_of(PdfFile(data, limits=Limits()).latest)
    return len(pages), [(one.number, one.sheet) for one in reversed(pages) if one.sheet is not None]


_FOUND: OrderedDict[tuple[bytes, _Wanted, Geometry], tuple[int, Box]] = OrderedDict()
_FOUND_MAX = 16


def _place(data: bytes, wanted: _Wanted, geometry: Geometry) -> tuple[int, Box]:
    """Return where a signature goes. What was found is kept: a file is looked at before the key is, and then signed."""
    key = hashlib.sha256(data).digest(), wanted, geometry
    found = _FOUND.get(key)
    if found is None:
        found = _FOUND[key] = _searched(data, wanted, geometry)
        while len(_FOUND) > _FOUND_MAX:
            with suppress(KeyError):  # another thread was faster
                _FOUND.popitem(last=False)
    return found


def _searched(data: bytes, wanted: _Wanted, geometry: Geometry) -> tuple[int, Box]:
    total, sheets = _sheets(data)
    for number, lines in lines_of_pages(data, sheets, total=total):
        found = _named(lines, wanted) if wanted.name else _positioned(lines, wanted.position)
        if len(found) > 1:
            places = "; ".join(f"{box[0]:.0f}, {box[1]:.0f}" for box in (one.box for one in found))
            raise InputRefused(
                "EDOC-PDF-056", "in several places", form="signature", name=wanted.shown, page=number, places=places
            )
        if found:
            beneath = _name_under(lines, found[0]) if not wanted.name else found[0]
            return number, _above(beneath, geometry) if beneath else _below(lines, found[0], geometry)
    raise InputRefused("EDOC-PDF-055", "not found", form="signature", name=wanted.shown, pages=total)


def _above(line: PrintedLine, geometry: Geometry) -> Box:
    """R39: in the middle above the name, its lower edge ``signature_gap`` above the top of the name."""
    width, height = geometry.signature_width, geometry.signature_height
    return line.middle - width / 2, line.box[1] - geometry.signature_gap - height, width, height


def _below(lines: Sequence[PrintedLine], position: PrintedLine, geometry: Geometry) -> Box:
    """Where no name is printed: beneath the position, in its middle."""
    last = _last_of_block(lines, position)
    width, height = geometry.signature_width, geometry.signature_height
    return position.middle - width / 2, last.bottom + geometry.signature_gap, width, height


def _named(lines: Sequence[PrintedLine], wanted: _Wanted) -> list[PrintedLine]:
    """Return the lines that are the name; if there are several, those under the position."""
    found = _distinct([one for one in lines if _is_name(one.text, wanted.name)])
    if len(found) < 2 or not wanted.position:
        return found
    above = _positioned(lines, wanted.position)
    return [one for one in found if any(_name_under(lines, line) == one for line in above)] or found


def _is_name(text: str, name: str) -> bool:
    printed, sought = folded(text), folded(name)
    if not printed.endswith(sought):
        return False
    before = printed[: len(printed) - len(sought)]
    return not before or _TITLES_FOLDED.fullmatch(before) is not None


def _positioned(lines: Sequence[PrintedLine], position: str) -> list[PrintedLine]:
    sought = folded(position)
    return _distinct([one for one in lines if folded(one.text) == sought])


def _distinct(found: Sequence[PrintedLine]) -> list[PrintedLine]:
    """Leave out what is printed over itself, as some programs make bold letters."""
    kept: list[PrintedLine] = []
    for one in found:
        near = any(abs(one.box[0] - each.box[0]) < 1 and abs(one.box[1] - each.box[1]) < 1 for each in kept)
        if not near:
            kept.append(one)
    return kept


def _in_column(line: PrintedLine, head: PrintedLine) -> bool:
    """Say whether a line stands in the column under another: their middles are close, as centred lines' are."""
    return line is not head and abs(line.middle - head.middle) <= max(10.0, head.box[2] / 4)


def _last_of_block(lines: Sequence[PrintedLine], position: PrintedLine) -> PrintedLine:
    """Return the last line of the position, which may take two (``KT. GIÁM ĐỐC`` / ``PHÓ GIÁM ĐỐC``)."""
    last = position
    for one in sorted(lines, key=lambda each: each.box[1]):
        if _in_column(one, position) and last.bottom < one.bottom and one.box[1] - last.bottom < NEXT_LINE:
            last = one
    return last


def _name_under(lines: Sequence[PrintedLine], position: PrintedLine) -> PrintedLine | None:
    """Return the line under a position where its holder's name is printed; ``None`` if there is none."""
    last = _last_of_block(lines, position)
    under = [one for one in lines if _in_column(one, position) and NEXT_LINE <= one.box[1] - last.bottom <= ABOVE_MOST]
    return min(under, key=lambda one: one.box[1], default=None)


def _kept_out(data: bytes, visible: Visible, name: str | None) -> tuple[tuple[int, Box], ...]:
    """Return the letters of the signer's name, and of the state's on page 1, as far as they are found."""
    if not is_possible():
        return ()
    try:
        return tuple(_kept_letters(data, visible, _cleaned(_NOTE.sub("", name or ""))))
    except (InputRefused, LimitExceeded, OSError):  # signing itself says what is wrong with the file
        return ()


def _kept_letters(data: bytes, visible: Visible, name: str) -> Iterator[tuple[int, Box]]:
    state = PdfFile(data, limits=Limits()).latest
    pages = pages_of(state)
    sheets = [(one.number, one.sheet) for one in pages if one.sheet is not None]
    wanted = _pages_of_seals(fields_of(state, pages), visible, len(pages))
    names = {folded(one) for one in STATE_NAMES}
    for number, lines in lines_of_pages(data, [one for one in sheets if one[0] in wanted], total=len(pages)):
        for line in lines:
            if (name and _is_name(line.text, name)) or (number == 1 and folded(line.text) in names):
                yield from ((number, one.ink) for one in line.letters if min(one.ink[2:]) > 0)


def _pages_of_seals(fields: Sequence[FormField], visible: Visible, last: int) -> set[int]:
    """Return the pages where a seal may come to stand: the one given, those of signatures; and the first."""
    signed = {page for one in fields if one.kind == "Sig" for page, box in one.widgets if min(box[2:]) > 0}
    return {1, last if visible.page == -1 else visible.page, *signed}
