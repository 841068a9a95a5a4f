"""Errors of the package: one base with a code that ``transport.present`` can put into words.

``code`` is ``EDOC-<AREA>-<NNN>`` of the catalogue (console.md 2); ``facts`` are the values its sentences need, never a
secret and never document content. The exception's own text is for developers.
"""

from __future__ import annotations


class TransportError(Exception):
    """Base of every error this package raises."""

    def __init__(self, code: str, message: str, **facts: object) -> None:
        super().__init__(message)
        self.code = code
        self.facts = facts


class SettingsError(TransportError):
    """Settings, home or database are missing or wrong; the command ends with exit code 6."""


class StoreError(TransportError):
    """The database, blob folder or disk failed; nothing was stored."""


class LedgerError(TransportError):
    """The ledger is broken, frozen or does not hold what was asked for."""


class ReceiptInvalid(TransportError):
    """Bytes that should be a receipt are not, or do not fit the dispatch; ``reason`` is a code of ledger.md 4.5."""

    def __init__(self, code: str, message: str, reason: str, **facts: object) -> None:
        super().__init__(code, message, **facts)
        self.reason = reason


class Problem(TransportError):
    """A registered problem (exchange.md 3.2), raised or received: last part of its type, and HTTP status."""

    def __init__(
        self, name: str, status: int, message: str, *, retry_after: int | None = None, **facts: object
    ) -> None:
        super().__init__("EDOC-EXC-001", message, problem=name, status=status, **facts)
        self.name = name
        self.status = status
        self.retry_after = retry_after


class Refused(TransportError):
    """A rule forbids the act, or the other side said no: a definite no, exit code 1."""


class TryLater(TransportError):
    """Network, partner or service did not answer; the same command may succeed later, exit code 4."""
