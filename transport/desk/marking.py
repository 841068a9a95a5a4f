"""``edoc mark``: an urgency stamp or circulation mark on a PDF nobody has signed yet (signing.md 3.3).

The input is never changed; the marked copy lies beside it. A signed file is refused: what a page shows does not change
after the first signature.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from signer.errors import SignerError
from transport.desk.files import beside, check_target, read_input, write_output
from transport.present.errors import CommandError
from transport.present.marking import Marked

if TYPE_CHECKING:
    from transport.desk.console import Console

NAMES = {
    "hoa-toc": "HỎA TỐC",
    "thuong-khan": "THƯỢNG KHẨN",
    "khan": "KHẨN",
    "xem-xong-tra-lai": "XEM XONG TRẢ LẠI",
    "luu-hanh-noi-bo": "LƯU HÀNH NỘI BỘ",
}


@dataclass(frozen=True, slots=True)
class Request:
    """What the command line asks; ``mark`` is a name of ``NAMES``, the box in mm, ``page`` -1 the last."""

    file: str
    mark: str
    page: int
    box: tuple[float, float, float, float] | None
    output: str | None = None
    force: bool = False


def mark(console: Console, request: Request) -> Marked:
    """Put the mark on a copy.

    Raises:
        CommandError, SignerError: no place given, the file is signed or cannot be changed, nothing can be written.
    """
    from signer.pdf.marks import mark_pdf

    if request.box is None:
        raise CommandError("EDOC-USE-003", name="--box", command="edoc mark")
    target = None if request.output == "-" else Path(request.output or beside(request.file, "marked"))
    if target is not None:
        check_target(target, force=request.force, inputs=(request.file,))
    text = NAMES[request.mark]
    data = read_input(request.file, console)
    try:
        made = mark_pdf(data, text, box_mm=request.box, page=request.page)
    except SignerError as error:
        error.facts.setdefault("path", request.file)
        raise
    if target is None:
        console.binary(made)
    else:
        write_output(target, made, force=request.force)
    return Marked(request.file, str(target or "-"), hashlib.sha256(made).hexdigest(), text)
