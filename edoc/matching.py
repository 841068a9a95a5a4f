"""Which document a status, revocation or update is about, and whether its sender may say so (edxml.md 9; R60).

Matched by DocumentId; else by agency, code and date; else by agency and code when only one document fits. What matches
nothing is kept and shown by the caller, never dropped. Nothing in a file is authenticated by this: the caller compares
``From`` with the sender its seal or the axis names.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

from edoc.agencies import code_key
from edoc.envelopes import BusinessKind, Envelope, ResponseFor, StatusMessage
from edoc.lifecycle import who_may_send
from edoc.values import clean

Same = Callable[[str, str], bool]
"""Do two codes mean the same agency? Usually ``Directory.same``."""


@dataclass(frozen=True, slots=True)
class KnownDocument:
    """What is needed of a document that was sent or received, to find it again."""

    document_id: str
    sender: str
    recipients: tuple[str, ...]
    code: str
    date: date | None


def same_code(first: str, second: str) -> bool:
    """Say whether two codes are equal without letter case: for when there is no directory."""
    return code_key(first) == code_key(second)


def match(response: ResponseFor, known: Sequence[KnownDocument], *, same: Same = same_code) -> KnownDocument | None:
    """Return the document a ``ResponseFor`` means, or ``None`` when none or several fit.

    The agency named may be the document's sender or, in a take back or revocation, one of its recipients.
    """
    if response.document_id:
        named = [item for item in known if clean(item.document_id) == clean(response.document_id)]
        if named:
            return _only([item for item in named if _party(item, response, same)]) or _only(named)
    fitting = [item for item in known if item.code == response.code and _party(item, response, same)]
    dated = [item for item in fitting if item.date is not None and item.date == response.date]
    return _only(dated) or _only(fitting)


def may_report(status: StatusMessage, document: KnownDocument, *, same: Same = same_code) -> bool:
    """Say whether this agency may send this status about this document: 13 its sender, all others a recipient."""
    role = who_may_send(status.code)
    sender, other = status.sender.organ_id, status.response_for.organ_id
    if role == "sender":
        return same(sender, document.sender) and _among(other, document.recipients, same)
    return role == "recipient" and _among(sender, document.recipients, same) and same(other, document.sender)


def may_change(message: Envelope, original: KnownDocument, *, same: Same = same_code) -> bool:
    """Say whether a revocation, update or replacement comes from the sender of the original."""
    return message.business.kind != BusinessKind.NEW and same(message.sender.organ_id, original.sender)


def originals_of(message: Envelope) -> tuple[str, ...]:
    """Return the DocumentIds a revocation, update or replacement is about, wherever the writer put them (6.1)."""
    business = message.business
    found: list[str] = []
    if business.kind in (BusinessKind.REVOKE, BusinessKind.UPDATE):
        found.append(business.original_document_id)
    if business.kind == BusinessKind.REVOKE:
        found += [item.document_id for item in message.response_for]
    if business.kind == BusinessKind.REPLACE:
        found += [item.document_id for item in business.replaced]
    return tuple(dict.fromkeys(filter(None, found)))


def _party(document: KnownDocument, response: ResponseFor, same: Same) -> bool:
    return same(response.organ_id, document.sender) or _among(response.organ_id, document.recipients, same)


def _among(code: str, codes: Sequence[str], same: Same) -> bool:
    return any(same(code, item) for item in codes)


def _only(found: Sequence[KnownDocument]) -> KnownDocument | None:
    return found[0] if len(found) == 1 else None
