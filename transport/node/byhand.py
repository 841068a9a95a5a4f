"""Transport by hand: a message as a file, its receipt back as a file (exchange.md 7, P4; R95).

A message carried by hand is the same frozen bytes as on the wire; it counts as handed out before the first byte is
written. What comes by hand goes through the checks and the transaction of what comes by wire, but only the sender's own
seal may use up a message id: nobody authenticated the hand that brought the file.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from edoc.errors import CannotJudge, SealRefused
from edoc.seal import UnsealedMessage, unseal
from transport import intake, receipts
from transport.dispatch import Key, NotAllowed
from transport.errors import Problem, Refused
from transport.ledger import event
from transport.node import receiving
from transport.node.acknowledging import acknowledge
from transport.node.handling import again, chosen
from transport.node.office import Office, milliseconds
from transport.receipts import ProofText
from transport.store import inlist, outlist, takeback
from transport.store.faults import from_disk
from transport.store.refs import RefError, parse_ref
from transport.store.store import Unit
from transport.store.takeback import Found
from transport.store.values import DispatchView, Known, LedgerRef, ReceiptView

if TYPE_CHECKING:
    from signer.report import Need
    from signer.trust import Context


@dataclass(frozen=True, slots=True)
class HandedOut:
    """A message ready to be carried by hand: the digest under which the store has its bytes, and its dispatch."""

    sha256: str
    size: int
    dispatch: DispatchView


def hand_out(office: Office, ref: str, to: str | None, *, person: str, now: datetime) -> HandedOut:
    """T11 by hand: note that the bytes are about to leave, then say which bytes they are.

    Raises:
        RefError, Refused: no such message or dispatch, several recipients and none named, or its state forbids it.
    """
    message, wanted = chosen(office, ref, to, now=now)
    if len(wanted) != 1:
        raise Refused("EDOC-EXC-063", "say for which recipient", ref=ref, count=len(wanted))
    one = wanted[0]

    def work(unit: Unit) -> Found:
        after = takeback.hand_out(unit, one.key, now=now)
        fields: dict[str, event.Value] = {"msg": one.key.message_id}
        office.append(
            unit,
            "exported",
            at=milliseconds(now),
            evidence=message.sha256,
            rtype="file",
            people={"actor": person},
            fields=fields,
        )
        return after

    try:
        office.store.do(work)
    except NotAllowed:
        raise Refused(
            "EDOC-EXC-062", "the dispatch's state does not allow this", ref=message.row.ref, state=one.state.value
        ) from None
    return HandedOut(message.sha256, message.size, again(office, message, wanted)[0])


@dataclass(frozen=True, slots=True)
class Imported:
    """What a file brought: ``message`` or ``receipt``; for a message our receipt, with the leaf it stands in."""

    kind: str
    key: Key
    receipt: bytes
    ledger: LedgerRef | None
    state: str  # accepted, refused, delivered
    repeated: bool


def bring_message(office: Office, data: bytes, *, now: datetime) -> Imported:
    """Receive a message that came as a file: S8 to S11, as if it had come by wire (P4).

    Raises:
        Refused: the seal does not hold or is not the sender's, so that nothing is answered for it; K is taken.
        Problem: it can be neither accepted nor refused now.
    """
    key = key_by_seal(office, data, now=now)
    digest = hashlib.sha256(data).hexdigest()
    known = receiving.known_of(office, key)
    if known is not None:
        return _repeated(office, known, digest, now)
    try:
        answer = receiving.receive(office, key, data, sha256=digest, received_at=now, peer=None, now=now)
    except receiving.IdTaken as taken:
        return _repeated(office, taken.known, digest, now)
    state = "accepted" if answer.status in (200, 201) else "refused"
    return Imported("message", key, answer.receipt, answer.ledger, state, repeated=False)


def bring_message_file(office: Office, file: Path, *, now: datetime) -> Imported:
    """Receive a message too large to be held that came as a file; as ``bring_message``, in one pass each.

    Raises:
        Refused, Problem: as ``bring_message``.
        StoreError: the disk is full or failed; nothing was stored.
    """
    from edoc.sealstream import unseal_streamed
    from signer.xml.stream import NotStreamable

    context = office.context(now)
    try:
        unsealed = unseal_streamed(_pieces(file), context=context).unsealed
    except CannotJudge as missing:
        richer = office.with_status(context, _needs(missing), now)
        if richer is None:
            raise Problem("trust-unavailable", 503, "revocation status of the seal is not at hand") from None
        unsealed = unseal_streamed(_pieces(file), context=richer).unsealed
    except (SealRefused, NotStreamable) as refused:
        reason = refused.reason if isinstance(refused, SealRefused) else "seal-invalid"
        raise Refused("EDOC-EXC-065", "the seal does not hold", reason=reason) from None
    key = _own_key(office, unsealed.slip.sender, unsealed.slip.message_id, unsealed.certificate_sha256, now)
    known = receiving.known_of(office, key)
    if known is not None:
        return _repeated(office, known, unsealed.data_sha256, now)
    copy = _into_spool(office, file)
    try:
        answer = receiving.receive_file(
            office, key, copy, sha256=unsealed.data_sha256, received_at=now, peer=None, now=now
        )
    except receiving.IdTaken as taken:
        return _repeated(office, taken.known, unsealed.data_sha256, now)
    finally:
        copy.unlink(missing_ok=True)
    state = "accepted" if answer.status in (200, 201) else "refused"
    return Imported("message", key, answer.receipt, answer.ledger, state, repeated=False)


def _into_spool(office: Office, file: Path) -> Path:
    """Copy a file to where it can be moved from in one step; the person's own file stays."""
    spool = office.settings.home / "spool"
    try:
        spool.mkdir(mode=0o700, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=spool, prefix="body-")
        with os.fdopen(descriptor, "wb") as target, file.open("rb") as source:
            shutil.copyfileobj(source, target, intake.PIECE)
    except OSError as error:
        raise from_disk(error, "copying a file", spool) from error
    return Path(name)


def _pieces(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        while piece := opened.read(intake.PIECE):
            yield piece


def _needs(missing: CannotJudge) -> tuple[Need, ...]:
    needs = missing.facts.get("needs")
    return needs if isinstance(needs, tuple) else ()


def _repeated(office: Office, known: Known, digest: str, now: datetime) -> Imported:
    """Return the receipt that stands for the same bytes; other bytes are entered and refused."""
    if known.sha256 != digest:
        receiving.enter_conflict(office, known.key, sha256=digest, now=now)
        raise Refused("EDOC-EXC-064", "the message id is taken by other bytes", msg=known.key.message_id)
    return Imported("message", known.key, known.receipt.data, known.receipt.ledger, known.state, repeated=True)


def key_by_seal(office: Office, data: bytes, *, now: datetime) -> Key:
    """Return K of a sealed message by its own seal, which must hold and be the sender's.

    Raises:
        Refused: it does not hold, or is not the sender's.
        Problem: it cannot be judged now.
    """
    context = office.context(now)
    try:
        unsealed = unseal(data, context=context)
    except CannotJudge as missing:
        richer = office.with_status(context, _needs(missing), now)
        if richer is None:
            raise Problem("trust-unavailable", 503, "revocation status of the seal is not at hand") from None
        unsealed = _unsealed_with(data, richer)
    except SealRefused as refused:
        raise Refused("EDOC-EXC-065", "the seal does not hold", reason=refused.reason) from None
    return _own_key(office, unsealed.slip.sender, unsealed.slip.message_id, unsealed.certificate_sha256, now)


def _unsealed_with(data: bytes, context: Context) -> UnsealedMessage:
    try:
        return unseal(data, context=context)
    except CannotJudge:
        raise Problem("trust-unavailable", 503, "revocation status of the seal is not at hand") from None
    except SealRefused as refused:
        raise Refused("EDOC-EXC-065", "the seal does not hold", reason=refused.reason) from None


def _own_key(office: Office, sender: str, message_id: str, certificate: str, now: datetime) -> Key:
    known = office.directory().certificates(sender, "exchange", intake.vietnam_day(now))
    if certificate not in {one.sha256 for one in known}:
        raise Refused("EDOC-EXC-065", "the seal is not the sender's", reason="seal-not-sender")
    return Key(sender, office.code, message_id)


def bring_receipt(office: Office, data: bytes, *, now: datetime) -> Imported:
    """Settle a dispatch by a receipt that came as a file, alone or as an ``EvidenceCopy``: Q3, then T7 (P4).

    Raises:
        ReceiptInvalid: it is not in its form, does not verify, or is a second one.
        Refused: no dispatch of ours is about it.
        Problem: it cannot be judged now.
    """
    receipt, peer = _unwrapped(data)
    key = receipts.parse(receipt).key
    try:
        first = acknowledge(office, key, receipt, peer=peer, now=now)
    except Problem as problem:
        if problem.name != "unknown-message":
            raise
        raise Refused("EDOC-EXC-066", "no dispatch of ours has this receipt", msg=key.message_id) from None
    after = office.store.read(lambda connection: outlist.dispatch_for(connection, key))
    assert after is not None
    assert after.receipt is not None
    return Imported("receipt", key, receipt, after.receipt.ledger, after.state.value, repeated=not first)


def is_receipt(data: bytes) -> bool:
    """Say whether a file wants to be a receipt or its copy for export, by its root; anything else is a message."""
    return b'xmlns="urn:edoc:receipt:1"' in data[:512]


def _unwrapped(data: bytes) -> tuple[bytes, LedgerRef | None]:
    if b"<EvidenceCopy" not in data[:512]:
        return data, None
    receipt, proofs = receipts.parse_evidence_copy(data)
    origin = receipts.parse(receipt).ledger_origin
    theirs = next((one for one in proofs if one.origin == origin), None)
    return receipt, None if theirs is None else LedgerRef(theirs.origin, theirs.index, theirs.leaf)


def receipt_file(office: Office, ref: str, *, now: datetime) -> tuple[bytes, ReceiptView]:
    """Return the file form of the receipt we gave for a message that arrived, with the proof of its leaf (Q4).

    Raises:
        RefError: nothing that arrived has this name.
    """
    found = _given_receipt(office, ref, now)
    return copy_of(office, found), found


def given(office: Office, key: Key) -> ReceiptView:
    """Return the receipt we gave for K.

    Raises:
        RefError: there is none.
    """
    found = office.store.read(lambda connection: outlist.receipt_for(connection, "out", key))
    if found is None:
        raise RefError("EDOC-STO-013", "there is no such receipt", ref=f"msg:{key.message_id}")
    return found


def copy_of(office: Office, receipt: ReceiptView) -> bytes:
    """Return the ``EvidenceCopy`` of a receipt, with the proof of our leaf where it is placed."""
    place = receipt.ledger
    if place is None:
        return receipts.evidence_copy(receipt.data)
    text = office.store.read(lambda connection: office.log.proof_for_leaf(connection, place.leaf))
    return receipts.evidence_copy(receipt.data, [ProofText(place.origin, place.index, place.leaf, text)])


def _given_receipt(office: Office, ref: str, now: datetime) -> ReceiptView:
    year = intake.vietnam_day(now).year
    parsed = parse_ref(ref, year=year)
    if parsed.kind == "message":  # also of what was refused: it has a receipt and no row
        about = office.store.read(lambda connection: outlist.receipts_of(connection, parsed.value))
        ours = [one for one in about if one.direction == "out"]
        if len(ours) == 1:
            return ours[0]
    arrival = office.store.read(lambda connection: inlist.find(connection, ref, year=year))
    return given(office, arrival.key)
