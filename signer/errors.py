"""Errors of the package: one base, three families, each with a code that ``transport.present`` can put into words.

``code`` is ``EDOC-<AREA>-<NNN>`` of the catalogue (console.md 2); ``facts`` are the values its sentences need (names,
times, sizes; never a secret). The text of the exception itself is for developers: lower case, English, no full stop.
Misuse by the caller is ``TypeError`` or ``ValueError`` and is not in this family.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from signer.report import Report


class SignerError(Exception):
    """Base of every error this package raises."""

    def __init__(self, code: str, message: str, **facts: object) -> None:
        super().__init__(message)
        self.code = code
        self.facts = facts


class InputRefused(SignerError):
    """What was given cannot be signed or read: wrong format, damaged, encrypted, over a limit."""


class LimitExceeded(InputRefused):
    """The input passes a stated limit; ``facts`` hold ``limit`` (its name), ``value`` and ``unit``."""


class CredentialError(SignerError):
    """A key, certificate or pass phrase is missing, wrong or does not fit."""


class KeyLost(CredentialError):
    """The key is gone for the rest of the run (token pulled out, PIN locked, authorisation used up): a batch stops."""


class SigningRefused(SignerError):
    """A rule forbids using this key now or on this file (signing.md 2, K1 to K8)."""


class TrustError(SignerError):
    """Trust anchors, status answers or chains that were given cannot be loaded."""


class TimestampError(SignerError):
    """A time-stamping authority did not answer, or its answer does not fit the request."""


class LevelNotReached(SignerError):
    """The level asked for cannot be made; ``facts`` say what is missing, and by ``reason`` the code of signing.md 8."""

    def __init__(self, code: str, message: str, **facts: object) -> None:
        super().__init__(code, message, **{"reason": "LEVEL_NOT_REACHED", **facts})


class NotVerified(SignerError):
    """Raised by ``verify_*`` unless the verdict is *valid*; carries the whole report."""

    def __init__(self, code: str, message: str, report: Report, **facts: object) -> None:
        super().__init__(code, message, **facts)
        self.report = report
