"""The sender's side of pull (exchange.md 7, P1 to P3): what waits for a recipient, its bytes, its receipt.

Only the connection is turned round: the dispatch, its receipt and its transaction are those of push.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime
from typing import BinaryIO

from edoc.agencies import Directory
from transport.dispatch import Key, NotAllowed
from transport.errors import Problem, ReceiptInvalid, StoreError, TransportError
from transport.http.channel import spki_of
from transport.http.wire import Caller, path_of
from transport.intake import vietnam_day
from transport.node.acknowledging import SecondReceipt, acknowledge
from transport.node.office import Office
from transport.store import feed, takeback
from transport.store.feed import FeedItem
from transport.store.values import LedgerRef


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes of a message that was just handed out; ``open`` gives them, whoever reads hashes."""

    sha256: str
    size: int
    open: AbstractContextManager[BinaryIO]


def registered(directory: Directory, caller: Caller, day: date) -> bool:
    """Say whether the key a caller authenticated with is registered for its node on a day."""
    if caller.alg == "tls":
        known = [spki_of(one.data) for one in directory.certificates(caller.code, "tls", day)]
    else:
        known = [one.data for one in directory.certificates(caller.code, "request", day)]
    return caller.public_key in known


def check_fetcher(office: Office, caller: Caller, recipient: str, sender: str | None, *, now: datetime) -> None:
    """Check that the caller is the recipient's node by the directory of the day, and the sender is served here.

    Raises:
        Problem: ``forbidden``, ``unknown-message``.
    """
    directory, day = office.directory(), vietnam_day(now)
    if not registered(directory, caller, day):
        raise Problem("forbidden", 403, "the key is not registered today")
    if not any(directory.same(code, recipient) for code in caller.agencies):
        raise Problem("forbidden", 403, "the caller does not speak for this agency")
    if sender is not None and not directory.same(sender, office.code):
        raise Problem("unknown-message", 404, "the sender is not served here")


def waiting(office: Office, recipient: str, *, limit: int, after: str | None) -> Sequence[FeedItem]:
    """E4: return what waits for a recipient.

    Raises:
        Problem: ``bad-request``, ``after`` is no position.
    """
    code = office.directory().canonical(recipient)
    try:
        return office.store.read(lambda connection: feed.waiting(connection, code, limit=limit, after=after))
    except TransportError as error:
        if error.code != "EDOC-STO-014":
            raise
        raise Problem("bad-request", 400, "not a position of this feed") from None


def content(office: Office, key: Key, *, now: datetime) -> Content:
    """E5, T11: note that the recipient may hold the message from now on, then open its bytes.

    Raises:
        Problem: ``unknown-message``: there is none, or no body leaves any more; ``unavailable``, it cannot be read.
    """
    spelled = _ours(office, key)
    try:
        found = office.store.do(lambda unit: takeback.hand_out(unit, spelled, now=now))
    except NotAllowed:
        raise Problem("unknown-message", 404, "its state lets no body leave") from None
    except StoreError:
        raise
    except TransportError:
        raise Problem("unknown-message", 404, "there is no such dispatch") from None
    return Content(found.sha256, found.size, office.store.reading(found.sha256))


def take_receipt(office: Office, key: Key, data: bytes, *, peer: LedgerRef | None, now: datetime) -> None:
    """E6: settle by the recipient's receipt (Q3, T7); the same bytes again are as good.

    Raises:
        Problem: ``message-id-conflict`` for a second receipt, ``bad-request`` for one that does not verify,
            ``unknown-message``, ``trust-unavailable``.
    """
    try:
        acknowledge(office, _ours(office, key), data, peer=peer, now=now)
    except SecondReceipt as second:
        link = path_of(second.stored.key, "/receipt")
        raise Problem("message-id-conflict", 409, "another receipt stands", receipt=link) from None
    except ReceiptInvalid:
        raise Problem("bad-request", 400, "the receipt does not settle this message") from None


def _ours(office: Office, key: Key) -> Key:
    """Return K as our dispatch spells it: old and new code of an agency are the same."""
    return Key(office.code, office.directory().canonical(key.recipient), key.message_id)
