"""What reading one file may cost, counted in work and not in seconds (signing.md 4.3, budgets; G3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from signer.errors import InputRefused, LimitExceeded
from signer.trust import Limits

TOIL = 48
"""What one octet costs that is gone through alone, in octets that are not."""
RATIO_FREE = 16 * 2**20
"""Octets of one stream that are not held against the ratio: a blank scan compresses a thousandfold."""


@dataclass(slots=True)
class Budget:
    """Counts what was loaded and decoded; the first step over a limit raises ``LimitExceeded``."""

    limits: Limits
    loaded: int = 0  # objects parsed
    decoded: int = 0  # octets that came out of filters

    def load(self) -> None:
        """Count one object that is parsed."""
        self.loaded += 1
        if self.loaded > self.limits.pdf_objects:
            over("pdf_objects", self.loaded, "object")

    def declare(self, rows: int) -> None:
        """Check the number of rows that cross-references declare."""
        if rows > self.limits.pdf_objects:
            over("pdf_objects", rows, "object")

    def room(self, size: int) -> int:
        """Return how many octets a stream of ``size`` octets may still become."""
        ratio = max(RATIO_FREE, size * self.limits.pdf_stream_ratio)
        return min(ratio, self.limits.pdf_decoded_bytes - self.decoded)

    def toil(self, octets: int) -> None:
        """Count octets that must be gone through one by one, as if so many more had been decoded."""
        self.decoded += octets * TOIL
        if self.decoded > self.limits.pdf_decoded_bytes:
            over("pdf_decoded_bytes", self.decoded, "byte")

    def decode(self, size: int, raw: int) -> None:
        """Count ``size`` octets decoded from ``raw``."""
        if size > max(RATIO_FREE, raw * self.limits.pdf_stream_ratio):
            over("pdf_stream_ratio", self.limits.pdf_stream_ratio, "ratio")
        self.decoded += size
        if self.decoded > self.limits.pdf_decoded_bytes:
            over("pdf_decoded_bytes", self.decoded, "byte")


def over(limit: str, value: int, unit: str) -> NoReturn:
    """Refuse what passes a limit.

    Raises:
        LimitExceeded: always.
    """
    raise LimitExceeded("EDOC-PDF-002", f"over the limit {limit}", limit=limit, value=value, unit=unit)


def damaged(where: str) -> InputRefused:
    """Return the error for a part of the file that cannot be read."""
    return InputRefused("EDOC-PDF-005", f"damaged PDF: {where}", where=where)
