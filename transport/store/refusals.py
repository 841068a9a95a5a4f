"""Codes of what a database or a disk refuses, and the conflict of a unique key: the same words for every database."""

from __future__ import annotations

from transport.errors import StoreError

FULL = "EDOC-STO-002"
BUSY = "EDOC-STO-003"
FAILED = "EDOC-STO-004"
READ_ONLY = "EDOC-STO-005"
DAMAGED_DATABASE = "EDOC-STO-007"
UNREADABLE = "EDOC-STO-001"


class Conflict(StoreError):
    """A unique key is taken: somebody stored the same thing first. ``columns`` are those of the violated key."""

    def __init__(self, columns: tuple[str, ...]) -> None:
        super().__init__("EDOC-STO-010", f"already stored: {', '.join(columns)}", columns=columns)
        self.columns = columns

    @property
    def table(self) -> str:
        """Name of the table whose key is taken."""
        return self.columns[0].partition(".")[0] if self.columns else ""
