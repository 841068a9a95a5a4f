"""The report as PDF/A-2a, tagged, the same bytes for the same page (dependencies.md, extra ``report``).

The typesetter gets values as JSON alone, our own fonts, and neither the system's fonts nor community packages.
"""

from __future__ import annotations

import json
from datetime import datetime
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from transport.present.errors import CommandError
from transport.present.reports import svg
from transport.present.reports.blocks import Answers, Banner, Block, Facts, Grid, Heading, Page, Picture, Points
from transport.present.reports.words import Words
from transport.present.text import person_time

EXTRA = "report"
STANDARD: Final = "a-2a"


def is_possible() -> bool:
    """Say whether the typesetter is installed."""
    return find_spec("typst") is not None


def render(page: Page) -> bytes:
    """Return the PDF.

    Raises:
        CommandError: the extra is not installed, or the typesetter refuses the page.
    """
    try:
        import typst
    except ImportError as error:
        raise CommandError("EDOC-USE-026", extra=EXTRA) from error
    template = resources.files(__package__).joinpath("report.typ").read_bytes()
    with resources.as_file(resources.files("transport.present").joinpath("fonts")) as fonts:
        made = typst.compile(
            template,
            font_paths=typst.Fonts(include_system_fonts=False, font_paths=[Path(fonts)]),
            ignore_system_fonts=True,
            format="pdf",
            pdf_standards=STANDARD,
            sys_inputs={"page": json.dumps(as_values(page), ensure_ascii=False)},
            timestamp=datetime.fromisoformat(page.made_at),
        )
    assert isinstance(made, bytes)
    return made


def as_values(page: Page) -> dict[str, object]:
    """Return the page as the typesetter reads it: JSON values only."""
    return {
        "lang": page.lang,
        "title": page.title,
        "lines": list(page.lines),
        "foot": page.foot,
        "made_at": person_time(datetime.fromisoformat(page.made_at)),
        "word_page": Words(page.lang)("page"),
        "blocks": [_block(block) for block in page.blocks],
    }


def _block(block: Block) -> dict[str, object]:
    match block:
        case Heading():
            return {"kind": "heading", "level": block.level, "text": block.text}
        case Banner():
            return {"kind": "banner", "tone": block.tone, "word": block.word[2:], "sentence": block.sentence}
        case Facts():
            return {"kind": "facts", "rows": [list(row) for row in block.rows]}
        case Answers():
            return {"kind": "answers", "rows": [list(row) for row in block.rows]}
        case Grid():
            return {"kind": "grid", "head": list(block.head), "rows": block.rows, "widths": _widths(block)}
        case Points():
            return {"kind": "points", "items": [list(item) for item in block.items]}
        case Picture():
            return {"kind": "picture", "svg": svg.draw(block, font="Edoc Serif"), "alt": block.alt}


def _widths(block: Grid) -> list[float]:
    """Return the share of each column: by its longest text, within bounds, so that no column starves."""
    columns = zip(block.head, *block.rows, strict=True)
    return [float(min(34, max(9, *(len(cell) for cell in column)))) for column in columns]
