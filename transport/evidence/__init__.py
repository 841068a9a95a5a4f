"""The evidence package of one message and its offline audit (ledger.md 10).

:func:`build` packs what one or both logs say about a message, the bytes behind it and what is needed to check it, into
one sealed ASiC-E file. :func:`audit` checks such a file with nothing but the file and the caller's trust, in fifteen
named steps, each *proved*, *not proved* or *broken*. Both are pure; what is heavy is loaded when they are called.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from transport.evidence.parts import ConsistencyLink, EvidenceParts, LeafOpening
from transport.evidence.result import (
    STEPS,
    AuditedEvent,
    AuditItem,
    AuditResult,
    Check,
    Identity,
    MessageFacts,
    Result,
    check_only,
    combined,
)

if TYPE_CHECKING:
    from edoc.agencies import Directory
    from signer.credential import Credential
    from signer.timestamp import Timestamper
    from signer.trust import Context

__all__ = [
    "STEPS",
    "AuditItem",
    "AuditResult",
    "AuditedEvent",
    "Check",
    "ConsistencyLink",
    "EvidenceParts",
    "Identity",
    "LeafOpening",
    "MessageFacts",
    "Result",
    "audit",
    "build",
    "combined",
]


def build(
    parts: EvidenceParts,
    *,
    credential: Credential,
    at: datetime,
    timestamper: Timestamper | None = None,
    context: Context | None = None,
) -> bytes:
    """Return the sealed package. With ``context`` it also carries the result of steps 3 to 15 at export.

    Raises ``LedgerError`` EDOC-LED-041 when the parts contradict each other, and what sealing raises.
    """
    from transport.evidence.packing import pack

    return pack(parts, credential=credential, at=at, timestamper=timestamper, context=context)


def audit(
    data: bytes,
    *,
    context: Context,
    only: Sequence[str] = (),
    directory: Directory | None = None,
    policy_file: bytes | None = None,
    software: str = "",
    path: str = "",
    checked_at: datetime | None = None,
) -> AuditResult:
    """Audit one package at ``context.at`` with the caller's trust. ``only`` names the steps that are needed.

    Trust comes from ``context`` alone, never from the file; ``directory`` is what agency codes are proved by.
    ``checked_at`` is the moment of the check itself where it differs from the moment judged at.

    Raises ``LedgerError``: EDOC-LED-040 when the file is no container at all, EDOC-LED-042 for an unknown step.
    """
    from transport.evidence.auditing import Question, audit_package

    question = Question(context, check_only(only), directory, policy_file, software)
    item = audit_package(data, question, path=path)
    return AuditResult(checked_at or context.at, context.at, software, question.only, (item,))
