"""Draw the pictures of the README: ``python samples/pictures.py``. Needs ``pdftoppm`` (poppler-utils)."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOTS_PER_INCH = 80


def draw(source: Path, target: Path) -> None:
    """Draw the first page of a PDF as PNG."""
    stem = target.with_suffix("")
    command = ["pdftoppm", "-r", str(DOTS_PER_INCH), "-png", "-singlefile", str(source), str(stem)]
    subprocess.run(command, check=True)


if __name__ == "__main__":
    draw(ROOT / "samples" / "letter.signed.pdf", ROOT / "docs" / "pictures" / "letter.png")
