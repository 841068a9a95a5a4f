"""What ``backup`` and ``restore`` say (console.md 4.9)."""

from __future__ import annotations

from typing import Protocol

from transport.present import catalogue
from transport.present.text import sanitise


class DoneLike(Protocol):
    """A backup that was written or read."""

    @property
    def path(self) -> str: ...
    @property
    def sha256(self) -> str: ...
    @property
    def ledger_size(self) -> int: ...
    @property
    def files(self) -> int: ...
    @property
    def verified(self) -> bool: ...


def done_document(done: DoneLike, *, command: str) -> dict[str, object]:
    """Return ``edoc.backup/1`` or ``edoc.restore/1``."""
    return {
        "schema": f"edoc.{command}/1",
        "path": done.path,
        "sha256": done.sha256,
        "ledger_size": done.ledger_size,
        "files": done.files,
        "verified": done.verified,
    }


def done_lines(done: DoneLike, *, command: str, lang: str) -> list[str]:
    """Return what was done; after a restore also what a person has to decide."""
    facts = {"path": sanitise(done.path), "files": done.files, "size": done.ledger_size, "sha256": done.sha256}
    word = command if done.verified else f"{command}.dry"
    return catalogue.word(f"keeping.{word}", lang, **facts).split("|")
