"""Comparing receipts with a partner after a restore from an older backup (exchange.md 16, F16; ledger.md 6).

A partner writes down the receipts it got from us and gave to us, one to a line. Here each is held against what this
node still knows: a receipt of ours without its row is a message that arrived and was lost; a receipt about a message of
ours that we do not know is one that was sent and forgotten. Nothing is changed, so a frozen node compares as well. The
partner need not be believed: our own signature stands on what we had received.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO

from edoc.agencies import Directory
from signer.algorithms import PolicyName
from signer.trust import Context, TrustStore
from transport import receipts
from transport.dispatch import Key
from transport.errors import LedgerError, ReceiptInvalid
from transport.intake import vietnam_day
from transport.receiptform import format_time, read_time
from transport.receipts import Expected, Receipt
from transport.store import directory as directories
from transport.store import inbox, receiptlist
from transport.store.statements import Connection
from transport.store.store import Store

SCHEMA = "edoc.receipts/1"
LINE_MAX = 256 * 1024
"""Bytes of a line: a receipt of at most 128 KiB in base64, and where its leaf stands."""

MISSING = "missing"
DIFFERS = "differs"


@dataclass(frozen=True, slots=True)
class Written:
    """What was written down for a partner."""

    code: str
    receipts: int


def write(store: Store, own: str, partner: str, out: Callable[[bytes], object], *, now: datetime) -> Written:
    """Write the receipts that a partner and we hold of each other, in lines of JSON; ``own`` is our code.

    Raises:
        UnknownAgency: the directory has no such partner.
    """
    directory = store.read(directories.load)
    entry = directory.find(partner)
    out(_line({"schema": SCHEMA, "from": own, "to": entry.code, "at": format_time(now)}))
    count = 0
    for held in receiptlist.with_partner(store, (entry.code, *entry.old_codes)):
        found: dict[str, object] = {"receipt": base64.b64encode(held.data).decode("ascii")}
        if held.index is not None:
            found |= {"origin": held.origin, "index": held.index}
        out(_line(found))
        count += 1
    out(_line({"end": count}))
    return Written(entry.code, count)


def _line(members: dict[str, object]) -> bytes:
    return json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


@dataclass(frozen=True, slots=True)
class Unmatched:
    """A message that the partner's receipts name and this node does not know, or knows otherwise.

    ``kind`` is the kind of the leaf that is gone: ``relayed``, ``relay-refused``, ``sent``. ``index`` is its place in
    the log that was lost, as far as the partner was told. ``proved`` is false where the receipt's signature could not
    be checked here: then it is the partner's word alone.
    """

    what: str  # missing, differs
    kind: str
    key: Key
    document: str | None
    sha256: str
    received_at: datetime
    index: int | None
    proved: bool


@dataclass(frozen=True, slots=True)
class Compared:
    """The partner whose list it was, when it was written, how many receipts it names, and what does not match."""

    partner: str
    at: datetime
    receipts: int
    unmatched: tuple[Unmatched, ...]


def compare(store: Store, own: str, source: BinaryIO, *, path: str, now: datetime) -> Compared:
    """Hold a partner's list against this node's rows.

    Raises:
        LedgerError: EDOC-LED-044, it is no such list, or was cut; EDOC-LED-045, it is for another agency.
    """
    directory = store.read(directories.load)
    lines = _lines(source, path)
    head = next(lines, None)
    if head is None or head.get("schema") != SCHEMA:
        raise _unreadable(path, "head")
    if not directory.same(str(head.get("to")), own):
        raise LedgerError("EDOC-LED-045", "the list is for another agency", path=path, agency=str(head.get("to"))[:64])
    partner = directory.canonical(str(head.get("from")))
    at = _moment(head.get("at"), path)
    look = _Looking(store, directory, own, partner, now)
    count, ended, found = 0, False, list[Unmatched]()
    for line in lines:
        if ended:
            raise _unreadable(path, "after-end")
        if "end" in line:
            ended = line["end"] == count
            if not ended:
                raise _unreadable(path, "count")
            continue
        count += 1
        if (one := look.at(line, path)) is not None:
            found.append(one)
    if not ended:
        raise _unreadable(path, "cut")
    return Compared(partner, at, count, tuple(found))


def _lines(source: BinaryIO, path: str) -> Iterator[dict[str, object]]:
    while line := source.readline(LINE_MAX + 1):
        try:
            found = json.loads(line) if len(line) <= LINE_MAX else None
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise _unreadable(path, "line")
        yield found


def _moment(value: object, path: str) -> datetime:
    try:
        return read_time(str(value))
    except ValueError:
        raise _unreadable(path, "head") from None


def _unreadable(path: str, detail: str) -> LedgerError:
    return LedgerError("EDOC-LED-044", "not a list of receipts for this node", path=path, detail=detail)


@dataclass(frozen=True, slots=True)
class _Looking:
    """Looks up one receipt after another."""

    store: Store
    directory: Directory
    own: str
    partner: str
    now: datetime

    def at(self, line: dict[str, object], path: str) -> Unmatched | None:
        """Return what a line names and this node does not have; ``None`` where all is well."""
        try:
            data = base64.b64decode(str(line["receipt"]), validate=True)
            receipt = receipts.parse(data)
        except (KeyError, binascii.Error, ReceiptInvalid):
            raise _unreadable(path, "receipt") from None
        issuer, about = self.directory.canonical(receipt.key.recipient), self.directory.canonical(receipt.key.sender)
        if (issuer, about) == (self._own, self.partner):
            kind = "relayed" if receipt.event == receipts.ACCEPTANCE else "relay-refused"
            what = self.store.read(lambda connection: self._received(connection, receipt, data))
        elif (issuer, about) == (self.partner, self._own):
            kind = "sent"
            what = self.store.read(lambda connection: self._sent(connection, receipt))
        else:
            raise _unreadable(path, "parties")
        if what is None:
            return None
        index = line.get("index")
        return Unmatched(
            what,
            kind,
            receipt.key,
            receipt.document_id,
            receipt.sha256,
            receipt.received_at,
            index if isinstance(index, int) and not isinstance(index, bool) and kind != "sent" else None,
            self._proved(receipt, data),
        )

    @property
    def _own(self) -> str:
        return self.directory.canonical(self.own)

    def _received(self, connection: Connection, receipt: Receipt, data: bytes) -> str | None:
        known = inbox.known_to_be(connection, receipt.key, self.directory.same)
        if known is None:
            return MISSING
        return None if known.receipt.data == data else DIFFERS

    def _sent(self, connection: Connection, receipt: Receipt) -> str | None:
        """A dispatch of ours that only lacks its receipt is no loss: its repeat brings the stored one (F17)."""
        asked = "SELECT m.sha256, d.recipient FROM message m JOIN dispatch d ON d.message = m.id WHERE m.message_id = ?"
        rows = connection.exec_driver_sql(asked, (receipt.key.message_id,)).all()
        ours = [str(digest) for digest, to in rows if self.directory.same(str(to), receipt.key.recipient)]
        if not ours:
            return MISSING
        return None if receipt.sha256 in ours else DIFFERS

    def _proved(self, receipt: Receipt, data: bytes) -> bool:
        """Say whether the receipt's signature is whole, by a key that was its issuer's on that day."""
        day = vietnam_day(receipt.issued_at)
        keys = tuple(one.sha256 for one in self.directory.certificates(receipt.key.recipient, "exchange", day))
        context = Context(trust=TrustStore(), at=self.now, policy=PolicyName.INTEGRITY_ONLY)
        expected = Expected(receipt.key, receipt.size, receipt.sha256, keys)
        try:
            receipts.verify(data, context=context, expected=expected)
        except ReceiptInvalid:
            return False
        return True
