"""``edoc.extend/1`` and what a person reads of it (console.md 4.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transport.present import errors
from transport.present.screen import Screen
from transport.present.text import sanitise


@dataclass(frozen=True, slots=True)
class Lifted:
    """What became of one file: where the copy lies, its level before and after, or why there is none."""

    path: str
    output: str | None = None
    before: str | None = None
    after: str | None = None
    fault: errors.Fault | None = None


def document(files: Sequence[Lifted]) -> dict[str, object]:
    """Return ``edoc.extend/1``."""
    return {
        "schema": "edoc.extend/1",
        "files": [
            {
                "path": file.path,
                "output": file.output,
                "from": file.before,
                "to": file.after,
                "error": errors.as_json(file.fault) if file.fault else None,
            }
            for file in files
        ],
    }


def line(file: Lifted, screen: Screen) -> str:
    """Return the line about a file that was lifted."""
    shown = [f"{file.path} → {file.output}", f"{file.before} → {file.after}"]
    if not screen.terminal:
        return "\t".join(sanitise(text) for text in (file.path, str(file.output), str(file.before), str(file.after)))
    return f"{screen.paint(screen.sign('good'), 'good')} {' · '.join(sanitise(text) for text in shown)}"
