"""``edoc.mark/1`` and what a person reads of it."""

from __future__ import annotations

from dataclasses import dataclass

from transport.present.screen import Screen
from transport.present.text import sanitise


@dataclass(frozen=True, slots=True)
class Marked:
    """A file that was marked: where the copy lies, its digest, and what the mark says."""

    path: str
    output: str
    sha256: str
    mark: str


def document(marked: Marked) -> dict[str, object]:
    """Return ``edoc.mark/1``."""
    return {
        "schema": "edoc.mark/1",
        "path": marked.path,
        "output": marked.output,
        "sha256": marked.sha256,
        "mark": marked.mark,
    }


def line(marked: Marked, screen: Screen) -> str:
    """Return the line about a file that was marked."""
    if not screen.terminal:
        return sanitise(marked.output)
    shown = f"{marked.path} → {marked.output} · {marked.mark}"
    return f"{screen.paint(screen.sign('good'), 'good')} {sanitise(shown)}"
