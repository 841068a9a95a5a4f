"""What no log of the product may hold: keys, PINs, personal names, content, traces (exchange.md 15, I8).

Every line that the program would write while tests run is looked at, and every log that processes of the tests have
left. The words are the placeholders and secrets that the tests themselves put in.
"""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterator
from pathlib import Path

from transport.http.reporting import JsonLines

NAMES = ("Nguyễn Văn Mẫu", "Trần Thị Mẫu", "Lê Văn Mẫu")
SECRETS = ("mau-4271", "so-mau-88", "ma-pin-4711", "PRIVATE KEY-----")
CONTENT = ("%PDF-1", "JVBERi0", "<SignatureValue", "Về việc")
TRACES = ("Traceback (most recent call last)",)
FORBIDDEN = (*NAMES, *SECRETS, *CONTENT, *TRACES)
LOGS = ("*.log", "log.txt")
"""How tests name the files in which a process of the program writes its log."""
OTHERS = ("spy.log",)
"""Logs of other programs: what a token's driver is told, PIN and all, by a program made to listen."""


def found_in(line: str) -> str | None:
    """Return what a line must not hold, also where JSON has escaped its letters."""
    texts = [line]
    with contextlib.suppress(ValueError):
        texts.append(json.dumps(json.loads(line), ensure_ascii=False))
    return next((word for word in FORBIDDEN for text in texts if word in text), None)


def found_below(folder: Path) -> Iterator[tuple[str, int, str, str]]:
    """Yield file, number of the line, what it must not hold, and the lines there, for each such line below a folder."""
    for pattern in LOGS:
        for path in sorted(folder.rglob(pattern)):
            if not path.is_file() or path.name in OTHERS:
                continue
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
            for number, line in enumerate(lines, 1):
                if (word := found_in(line)) is not None:
                    yield str(path), number, word, "\n".join(lines[number - 1 : number + 30])


class Listener(logging.Handler):
    """Looks at each line the program would write in this process."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonLines())
        self.heard: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep what a line must not hold, with the line."""
        line = self.format(record)
        if (word := found_in(line)) is not None:
            self.heard.append((word, line))
