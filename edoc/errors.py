"""Errors of the package: one base with a code that ``transport.present`` can put into words.

``code`` is ``EDOC-<AREA>-<NNN>`` of the catalogue (console.md 2); ``facts`` are the values its sentences need, never a
secret and never document content. The exception's own text is for developers.
"""

from __future__ import annotations


class EdocError(Exception):
    """Base of every error this package raises."""

    def __init__(self, code: str, message: str, **facts: object) -> None:
        super().__init__(message)
        self.code = code
        self.facts = facts


class NotEdxml(EdocError):
    """The bytes are not an edXML message this reader takes (edxml.md 12); ``facts`` name the format found."""


class LimitPassed(NotEdxml):
    """A message passes a stated limit; ``facts`` hold ``limit`` (its name), ``value`` and ``unit``."""


class NotStrict(EdocError):
    """A value or layout breaks the strict writer's rules (edxml.md 13); ``facts`` name the element and the limit."""


class Incomplete(NotStrict):
    """Manifest, attachments and their bytes disagree (R5); ``facts`` name what is missing or too much."""


class SecretContent(EdocError):
    """A document is marked mật, tối mật or tuyệt mật and never exchanged (R1); ``facts`` name where the mark stands."""


class SealRefused(EdocError):
    """A sealed message fails a hard check; ``reason`` is its code of exchange.md 3.3."""

    def __init__(self, code: str, message: str, reason: str, **facts: object) -> None:
        super().__init__(code, message, **facts)
        self.reason = reason


class CannotJudge(EdocError):
    """Trust or revocation data needed for the answer is missing: neither accepted nor refused blindly."""


class MoveRefused(EdocError):
    """A status move that the table does not allow (regulations.md 10, S1)."""


class InvalidReason(EdocError):
    """A return reason that is not in the list S3, or ``other`` without a note."""


class GrantRefused(EdocError):
    """An entry of the authority table that the rules of capacities do not allow (R26, R29)."""


class CopyRefused(EdocError):
    """A copy or conversion in a direction that does not exist, or of a scan that is not good enough (R47 to R52)."""


class InvalidCode(EdocError):
    """A text that is no identification code of an agency (R78, R79)."""


class UnknownAgency(EdocError):
    """The directory has no open agency of this code; ``facts`` propose the nearest three, or the successor."""


class ClosedAgency(UnknownAgency):
    """The agency's code is closed on that day; ``facts`` name the successor (R80)."""
