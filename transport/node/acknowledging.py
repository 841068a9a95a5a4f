"""Receipts that come by themselves: put by a recipient that fetches, or brought as a file (exchange.md 7, P2 and P4).

The receipt is the acknowledgement, and it settles by the conditions of Q3 and in the transaction of T7 like any other.
The same receipt again changes nothing; another one for the same K is kept, entered as ``receipt-invalid``, and refused.
"""

from __future__ import annotations

import hashlib
import logging
from datetime import datetime

from signer.errors import SignerError
from transport.dispatch import Key
from transport.errors import Problem, ReceiptInvalid
from transport.node.office import Office
from transport.node.outgoing import Answered, Outgoing, needs_of, shown
from transport.store import outbox, outlist
from transport.store.log import EventFilter
from transport.store.values import LedgerRef, ReceiptView


class SecondReceipt(ReceiptInvalid):
    """There is another receipt for this K already; ``stored`` is the one that stands."""

    def __init__(self, stored: ReceiptView) -> None:
        super().__init__(
            "EDOC-EXC-106", "another receipt stands for this message", "receipt-second", stored=stored.sha256
        )
        self.stored = stored


def acknowledge(office: Office, key: Key, data: bytes, *, peer: LedgerRef | None, now: datetime) -> bool:
    """Settle our dispatch K by a receipt that came by itself; false if this receipt had settled it before.

    Raises:
        Problem: ``unknown-message``, no such dispatch; ``trust-unavailable``, nothing can be judged now.
        ReceiptInvalid: it does not verify, or is a second one: entered in the ledger, nothing is settled.
    """
    dispatch = office.store.read(lambda connection: outlist.dispatch_for(connection, key))
    if dispatch is None:
        raise Problem("unknown-message", 404, "there is no such dispatch")
    if dispatch.receipt is not None:
        if dispatch.receipt.data == data:
            return False
        second = SecondReceipt(dispatch.receipt)
        _enter_invalid(office, key, data, second, now)
        raise second
    message = office.store.read(lambda connection: outbox.find(connection, f"msg:{key.message_id}"))
    outgoing = Outgoing(office)
    try:
        verified = outgoing.verify(key, data, size=message.size, sha256=message.sha256, now=now)
    except ReceiptInvalid as error:
        if needs_of(error):
            raise Problem(
                "trust-unavailable", 503, "the receipt's signer cannot be judged now", retry_after=60
            ) from None
        _enter_invalid(office, key, data, error, now)
        raise
    except SignerError:
        raise Problem("trust-unavailable", 503, "the receipt cannot be judged now", retry_after=60) from None
    return outgoing.apply_receipt(key, data, verified, Answered(peer), now=now)


def _enter_invalid(office: Office, key: Key, data: bytes, error: ReceiptInvalid, now: datetime) -> None:
    """Keep bytes that settle nothing, with their leaf, once per K and bytes."""
    digest = hashlib.sha256(data).hexdigest()
    office.meter.count("receipt_invalid", key.recipient)
    office.meter.event(logging.ERROR, "receipt.invalid", k=shown(key), problem=error.reason)
    known = office.store.read(lambda connection: office.log.events(connection, EventFilter(msg=key.message_id)))
    if any(one.leaf.kind == "receipt-invalid" and one.leaf.text("receipt") == digest for one in known):
        return
    staged = office.store.stage(data)
    office.store.do(
        lambda unit: office.append(
            unit,
            "receipt-invalid",
            at=now,
            evidence=unit.keep(staged),
            rtype="receipt",
            key=key,
            side="s",
            fields={"reason": error.reason},
        )
    )
