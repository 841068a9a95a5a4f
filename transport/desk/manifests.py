"""The result file of a batch: the JSON of the command, whole at every moment, and never far behind (console.md 4.1).

It is written anew when as much time has passed as ten writings take, so that a batch of thousands is not slowed, and at
the end. What a crash leaves is a whole document about the files done until then.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from transport.desk.files import write_output

PATIENCE = 10
"""How many times as long as a writing takes nothing is written."""


class Manifest:
    """Keeps a file up to date with what ``told`` says."""

    def __init__(
        self, path: str, told: Callable[[], Mapping[str, object]], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._path = Path(path)
        self._told = told
        self._clock = clock
        self._next = 0.0

    def update(self) -> None:
        """Write what is known now, if the last writing is long enough ago.

        Raises:
            CommandError: it cannot be written there.
        """
        start = self._clock()
        if start < self._next:
            return
        self.write()
        end = self._clock()
        self._next = end + PATIENCE * (end - start)

    def write(self) -> None:
        """Write what is known now; a former one is replaced.

        Raises:
            CommandError: it cannot be written there.
        """
        text = json.dumps(self._told(), ensure_ascii=False, indent=2)
        write_output(self._path, f"{text}\n".encode(), force=True)
