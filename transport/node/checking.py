"""The advisory checks on a document's files: signatures, legal class (R2, R53, R65; exchange.md 3.1, advisory checks).

They never change a receipt; they are for the clerk's decision, and for the class that the sender's own leaf states.
"""

from __future__ import annotations

from datetime import datetime

from edoc import seal as seals
from edoc.documents import Attachment
from edoc.envelopes import Envelope
from signer.inspect import inspect_file
from signer.report import Report
from transport.intake import vietnam_day
from transport.judging.combining import combined
from transport.node.office import Office


def attachment_report(office: Office, attachment: Attachment, now: datetime, *, sender: str) -> Report:
    """Judge one file with this node's trust and the directory; status answers are fetched anew where that is possible.

    An answer kept from before may be days old and still within its time; a certificate revoked since then would pass.
    """
    fresh = office.fresh_context(now)
    report = inspect_file(attachment.content, context=fresh)
    if report.needs:
        richer = office.with_status(fresh, report.needs, now)
        context = office.context(now) if richer is None else richer
        report = inspect_file(attachment.content, context=context)
    table = office.authorities()
    return seals.annotate(report, office.directory(), vietnam_day(now), sender=sender, table=table)


def main_report(office: Office, message: Envelope, now: datetime) -> Report | None:
    """Judge the main document, the first attachment (edxml.md 7); ``None`` if there is none."""
    if not message.attachments:
        return None
    return attachment_report(office, message.attachments[0], now, sender=message.sender.organ_id)


def message_report(office: Office, message: Envelope, *, seal: Report, now: datetime) -> Report:
    """Judge a document message as a whole: the worst of its seal and its signed parts (console.md 5.3)."""
    parts = tuple(
        (attachment.name, attachment_report(office, attachment, now, sender=message.sender.organ_id))
        for attachment in message.attachments
    )
    return combined(seal, parts)
