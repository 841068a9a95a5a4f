"""What the courier asks of the office: claim, load, settle (exchange.md 6, T2 to T7; 5, Q3).

Only a verified receipt or a registered final problem ends a dispatch (I10). Each end is one transaction: the row, the
receipt and the leaf stand together or not at all.
"""

from __future__ import annotations

import hashlib
import json
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from edoc.agencies import Directory
from signer.errors import NotVerified, SignerError
from signer.report import Need
from transport import points, receipts
from transport.courier import EXPECT_ABOVE_BYTES, HELD_MAX, PARTS_ABOVE_BYTES, Parcel, Reply
from transport.dispatch import (
    ASK_FIRST_BYTES,
    FINAL,
    Answer,
    Ended,
    Event,
    Key,
    NotAllowed,
    Situation,
    State,
    Transition,
    apply,
    decide,
)
from transport.errors import ReceiptInvalid, StoreError
from transport.http.wire.fields import UPLOAD_DRAFT
from transport.intake import PIECE, vietnam_day
from transport.ledger import event
from transport.ledger.schema import REFUSALS
from transport.node.handling import taken_back_leaf
from transport.node.office import STATUS_SOON, Office, milliseconds, peer_field, record
from transport.receipts import Expected, VerifiedReceipt
from transport.store import circuit as circuits
from transport.store import metadata_rows, outbox, takeback
from transport.store.store import Unit
from transport.store.values import AttemptEnd, Claim, LedgerRef, NewReceipt

log = logging.getLogger("edoc.outgoing")

LIMIT_KEPT_BYTES = 16 * 1024
"""Bytes kept of an answer that proves nothing, for the person who looks into it."""


class _AlreadySettled(Exception):
    """The receipt had settled the dispatch before: the unit is taken back, nothing is written twice."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What came beside a receipt: the place of the other side's leaf, HTTP status, address; nothing for one by hand."""

    ledger: LedgerRef | None = None
    status: int | None = None
    peer: str | None = None


@dataclass(frozen=True, slots=True)
class Outgoing:
    """The office's side of the courier; ``began`` remembers when this worker claimed what it still carries."""

    office: Office
    began: dict[tuple[int, int], datetime] = field(default_factory=dict)
    clock: Callable[[], datetime] | None = None  # what leases go by, where it is not the caller's word

    def _now(self, told: datetime) -> datetime:
        return told if self.clock is None else self.clock()

    def claim(self, now: datetime, owner: str, limit: int) -> list[Claim]:
        """End what has passed its deadline, then lease what is due (T6, T2)."""
        now = self._now(now)

        def work(unit: Unit) -> tuple[list[Key], list[Claim]]:
            expired = self._expire(unit, now)
            return expired, outbox.claim_due(unit, now=now, owner=owner, limit=limit)

        expired, claims = self.office.store.do(work)
        meter = self.office.meter
        for key in expired:
            meter.event(logging.ERROR, "dispatch.settled", k=shown(key), problem="no-answer")
        for claim in claims:
            self.began[claim.dispatch_id, claim.attempt] = now
            meter.event(logging.INFO, "dispatch.claimed", **_facts(claim))
        return claims

    def _expire(self, unit: Unit, now: datetime) -> list[Key]:
        keys = outbox.expire_due(unit, now=now)
        for key in keys:
            found = outbox.find(unit.connection, f"msg:{key.message_id}")
            evidence = record("RelayFailure", msg=key.message_id, sender=key.sender, recipient=key.recipient)
            fields: dict[str, event.Value] = {"env": found.sha256, "reason": "no-answer", "due": milliseconds(now)}
            self.office.append(
                unit,
                "relay-failed",
                at=now,
                evidence=unit.keep(evidence),
                rtype="record",
                key=key,
                side="s",
                fields=fields,
            )
        return keys

    def parcel(self, claim: Claim, now: datetime) -> Parcel | None:
        """Load the frozen bytes, hashed again; a damaged blob is never sent (F17)."""
        partner = self.office.partners().get(claim.key.recipient)
        if partner is None or not partner.url:
            self.settle(claim, Reply("unreachable"), now)
            return None
        try:
            data = self._held(claim)
        except StoreError as error:
            self.office.meter.event(logging.ERROR, "blob.mismatch", **_facts(claim, error.code))
            self.settle(claim, Reply("unreachable"), now)
            return None
        unknown = claim.exposed or claim.came_from is State.UNKNOWN
        return Parcel(
            key=claim.key,
            data=data,
            sha256=claim.sha256,
            size=claim.size,
            endpoint=partner.url,
            ask_first=unknown and (claim.size > ASK_FIRST_BYTES or claim.last_status == 202),
            ledger=claim.sent,
            expect=unknown or claim.size > EXPECT_ABOVE_BYTES,
            trace=claim.trace,
            heads=self.office.gossip.heads(claim.key.recipient, now=now),
            resumable=claim.size > PARTS_ABOVE_BYTES and self._takes_parts(claim.key.recipient),
            source=None if data else lambda: self.office.store.reading(claim.sha256),
        )

    def _takes_parts(self, agency: str) -> bool:
        """Say whether the recipient's metadata names the feature, in the version of the draft we speak."""
        held = self.office.store.read(lambda connection: metadata_rows.held(connection, agency))
        protocol = json.loads(held.data).get("protocol", {}) if held is not None else {}
        return "resumable-upload" in protocol.get("features", []) and protocol.get("upload_draft") == UPLOAD_DRAFT

    def _held(self, claim: Claim) -> bytes:
        """Return the bytes of a message after hashing them again; of a large one nothing, it is read as it goes.

        Raises:
            StoreError: missing, damaged or unreadable.
        """
        if claim.size <= HELD_MAX:
            return self.office.store.fetch(claim.sha256)
        digest = hashlib.sha256()
        with self.office.store.reading(claim.sha256) as file:
            while piece := file.read(PIECE):
                digest.update(piece)
        if digest.hexdigest() != claim.sha256:
            raise StoreError("EDOC-STO-006", "stored bytes were changed or damaged", digest=claim.sha256, path="-")
        return b""

    def renew(self, claim: Claim, now: datetime) -> bool:
        """Prolong the lease."""
        now = self._now(now)
        return self.office.store.do(lambda unit: outbox.renew(unit, claim, now=now))

    def settle(self, claim: Claim, reply: Reply, now: datetime) -> None:
        """Apply what the reply means (T3, T4, T5, T7)."""
        now = self._now(now)
        if reply.heads:
            self.office.gossip.heard(claim.key.recipient, reply.heads, now=now)
        if reply.kind == "receipt":
            try:
                verified = self.verify(claim.key, reply.body, size=claim.size, sha256=claim.sha256, now=now)
            except (ReceiptInvalid, SignerError) as error:
                if isinstance(error, ReceiptInvalid) and needs_of(error):
                    self._undecided(claim, reply, now)
                else:
                    self._receipt_invalid(claim, reply, now, error)
                return
            points.reached("settle.verified")
            answered = Answered(reply.ledger, reply.status, reply.peer)
            self.apply_receipt(claim.key, reply.body, verified, answered, now=now)
            accepted = verified.receipt.event == receipts.ACCEPTANCE
            self._ended(claim, "delivered" if accepted else "refused", now)
            return
        self._without_receipt(claim, reply, now)

    def verify(self, key: Key, data: bytes, *, size: int, sha256: str, now: datetime) -> VerifiedReceipt:
        """Check the conditions of Q3; missing status answers are fetched once.

        Raises:
            ReceiptInvalid: with the first condition that fails.
        """
        context, directory = self.office.context(now), self.office.directory()
        expected = Expected(key, size, sha256, _exchange_certificates(directory, key.recipient, now))
        try:
            return receipts.verify(data, context=context, expected=expected)
        except ReceiptInvalid as error:
            needs = needs_of(error)
            richer = self.office.with_status(context, needs, now, within=STATUS_SOON) if needs else None
            if richer is None:
                raise
        return receipts.verify(data, context=richer, expected=expected)

    def apply_receipt(
        self,
        key: Key,
        data: bytes,
        verified: VerifiedReceipt,
        answered: Answered,
        *,
        now: datetime,
    ) -> bool:
        """T7: receipt, final state and leaf in one transaction; false if this receipt had settled it before."""
        try:
            before = self.office.store.do(lambda unit: self._settle_unit(unit, key, data, verified, answered, now))
        except _AlreadySettled:
            return False
        points.reached("settle.committed")
        meter = self.office.meter
        meter.event(logging.INFO, "dispatch.settled", k=shown(key), digest=verified.receipt.sha256)
        if before.late:
            meter.count("late_receipts", key.recipient)
            meter.event(logging.ERROR, "receipt.late", k=shown(key), digest=verified.receipt.sha256)
        if before.circuit_was_open:
            meter.event(logging.INFO, "circuit.closed", k=key.recipient)
        if verified.receipt.event == receipts.ACCEPTANCE:
            meter.observe("delivery_seconds", (now - before.submitted_at).total_seconds(), str(before.lane))
        self.office.on_work()
        return True

    def _settle_unit(
        self,
        unit: Unit,
        key: Key,
        data: bytes,
        verified: VerifiedReceipt,
        answered: Answered,
        now: datetime,
    ) -> _Before:
        receipt = verified.receipt
        accepted = receipt.event == receipts.ACCEPTANCE
        situation = outbox.situation(unit.connection, key)
        if situation is None or not _settles(situation, accepted=accepted):
            raise _AlreadySettled
        new = NewReceipt(
            direction="in",
            key=key,
            receipt_id=receipt.receipt_id,
            event=receipt.event,
            sha256=hashlib.sha256(data).hexdigest(),
            data=data,
            received_at=receipt.received_at,
            issued_at=receipt.issued_at,
        )
        before = _before(unit, key, late=situation.state in FINAL)
        if before.late:
            fields: dict[str, event.Value] = {"env": receipt.sha256}
            self.office.append(
                unit,
                "late-receipt",
                at=now,
                evidence=new.sha256,
                rtype="receipt",
                key=key,
                side="s",
                fields=fields,
            )
        leaf: dict[str, event.Value] = {"env": receipt.sha256, **(peer_field(answered.ledger) or {})}
        note = ""
        if not accepted:
            reason = receipt.reasons[0].code
            note = "" if reason in REFUSALS else reason  # a code of a newer partner still ends the dispatch
            leaf["reason"] = "other" if note else reason
        ticket = self.office.append(
            unit,
            "relayed" if accepted else "relay-refused",
            at=now,
            evidence=new.sha256,
            rtype="receipt",
            key=key,
            side="s",
            people={"note": note},
            fields=leaf,
        )
        outbox.settle(
            unit,
            key,
            state=State.DELIVERED if accepted else State.REFUSED,
            receipt=new,
            ticket=ticket,
            now=now,
            end=AttemptEnd("delivered" if accepted else "refused", status=answered.status, peer=answered.peer),
        )
        points.reached("settle.in-transaction")
        return before

    def _without_receipt(self, claim: Claim, reply: Reply, now: datetime) -> None:
        answer = _answer_of(reply, recalling=claim.recall_requested)
        ended = Ended(
            answer,
            claim.lane,
            claim.failures,
            exposed_before=claim.exposed,
            exposed=reply.exposed,
            problem=reply.problem,
            retry_after=reply.retry_after,
            once_more=reply.problem == "unknown-recipient" != claim.last_problem,
        )
        transition = decide(ended, random.uniform)
        end = AttemptEnd(
            _outcome_word(transition, reply), reply.status, reply.problem, reply.body[:LIMIT_KEPT_BYTES], reply.peer
        )
        self._outcome(claim, transition, now, end)

    def _outcome(self, claim: Claim, transition: Transition, now: datetime, end: AttemptEnd) -> bool:
        """Apply what follows from an attempt without receipt, and tell it; false if the claim had been replaced."""

        def work(unit: Unit) -> tuple[bool, bool, bool]:
            before = circuits.circuit(unit.connection, claim.key.recipient).closed
            applied = self._outcome_unit(unit, claim, transition, now, end)
            return applied, before, circuits.circuit(unit.connection, claim.key.recipient).closed

        applied, before, after = self.office.store.do(work)
        meter = self.office.meter
        self._ended(claim, end.outcome if applied else "lease-lost", now)
        if not applied:
            meter.count("lease_lost")
            meter.event(logging.WARNING, "dispatch.lease_lost", **_facts(claim, end.problem))
        elif transition.to in FINAL:
            meter.event(logging.WARNING, "dispatch.settled", **_facts(claim, end.problem))
        if before is not after:
            meter.event(logging.WARNING, "circuit.closed" if after else "circuit.opened", k=claim.key.recipient)
        return applied

    def _ended(self, claim: Claim, outcome: str, now: datetime) -> None:
        """Count an attempt that ended, by its outcome."""
        began = self.began.pop((claim.dispatch_id, claim.attempt), now)
        self.office.meter.count("attempts", claim.key.recipient, outcome)
        self.office.meter.observe("attempt_seconds", max(0.0, (now - began).total_seconds()), outcome)

    def _outcome_unit(self, unit: Unit, claim: Claim, transition: Transition, now: datetime, end: AttemptEnd) -> bool:
        if not outbox.outcome(unit, claim, transition, now=now, end=end):
            return False
        if transition.event is Event.FINAL_PROBLEM:
            self._final_problem(unit, claim, transition.problem or "", now)
        if end.problem == "unknown-message" and claim.recall_requested:
            self._absent(unit, claim, now)
        return True

    def _absent(self, unit: Unit, claim: Claim, now: datetime) -> None:
        """T9: the recipient knows nothing of it; the second time, ten minutes later, it is recalled."""
        act = takeback.absent(unit, claim, now=now)
        if act is not None:
            taken_back_leaf(self.office, unit, claim.key, claim.sha256, act=act, now=now)

    def _final_problem(self, unit: Unit, claim: Claim, problem: str, now: datetime) -> None:
        """T5: the leaf with the problem's name as its reason; an id that is taken gets a leaf of its own too."""
        key = claim.key
        evidence = unit.keep(
            record("RelayRejection", msg=key.message_id, sender=key.sender, recipient=key.recipient, problem=problem)
        )
        fields: dict[str, event.Value] = {"env": claim.sha256, "reason": problem}
        for kind in ("id-conflict", "relay-refused") if problem == "message-id-conflict" else ("relay-refused",):
            self.office.append(unit, kind, at=now, evidence=evidence, rtype="record", key=key, side="s", fields=fields)

    def _undecided(self, claim: Claim, reply: Reply, now: datetime) -> None:
        """T4 for a receipt whose certificate's status is not at hand: nothing is judged blindly, it is asked again."""
        log.warning("receipt.undecided", extra={"k": shown(claim.key), "attempt": claim.attempt})
        self._without_receipt(claim, Reply("nothing", reply.status, reply.body, exposed=True), now)

    def _receipt_invalid(self, claim: Claim, reply: Reply, now: datetime, error: ReceiptInvalid | SignerError) -> None:
        """T4 for a receipt that does not verify: unknown, bytes kept, leaf and alarm."""
        reason = error.reason if isinstance(error, ReceiptInvalid) else "receipt-signature"
        ended = Ended(Answer.NOTHING, claim.lane, claim.failures, exposed_before=claim.exposed, exposed=True)
        transition = decide(ended, random.uniform)
        end = AttemptEnd("no-proof", reply.status, reason, reply.body[:LIMIT_KEPT_BYTES], reply.peer)

        evidence = self.office.store.stage(reply.body)

        def work(unit: Unit) -> None:
            if outbox.outcome(unit, claim, transition, now=now, end=end):
                self.office.append(
                    unit,
                    "receipt-invalid",
                    at=now,
                    evidence=unit.keep(evidence),
                    rtype="receipt",
                    key=claim.key,
                    side="s",
                    fields={"reason": reason},
                )

        self.office.store.do(work)
        self._ended(claim, "no-proof", now)
        self.office.meter.count("receipt_invalid", claim.key.recipient)
        self.office.meter.event(logging.ERROR, "receipt.invalid", **_facts(claim, reason))


@dataclass(frozen=True, slots=True)
class _Before:
    """What stood before a receipt settled a dispatch: for what is counted and told."""

    late: bool
    circuit_was_open: bool
    lane: int
    submitted_at: datetime


def _before(unit: Unit, key: Key, *, late: bool) -> _Before:
    lane, submitted_at = takeback.timing(unit.connection, key)
    was_open = not circuits.circuit(unit.connection, key.recipient).closed
    return _Before(late, was_open, lane, submitted_at)


def _facts(claim: Claim, problem: str | None = None) -> dict[str, object]:
    """Return what a log line about an attempt names (exchange.md 13)."""
    facts = {"k": shown(claim.key), "digest": claim.sha256, "attempt": claim.attempt, "trace_id": claim.trace}
    return facts if problem is None else {**facts, "problem": problem}


def _settles(situation: Situation, *, accepted: bool) -> bool:
    try:
        apply(situation, Event.ACCEPTANCE if accepted else Event.REJECTION)
    except NotAllowed:
        return False
    return True


def _answer_of(reply: Reply, *, recalling: bool) -> Answer:
    if reply.kind == "problem":
        absent = recalling and reply.problem == "unknown-message"
        return Answer.ABSENT if absent else Answer.PROBLEM
    if reply.kind == "unreachable":
        return Answer.UNREACHABLE
    if reply.status == 202:
        return Answer.PENDING
    if reply.status is not None and 300 <= reply.status < 400:
        return Answer.REDIRECT
    return Answer.NOTHING


def _outcome_word(transition: Transition, reply: Reply) -> str:
    if transition.event is Event.FINAL_PROBLEM:
        return "refused"
    return {"problem": "problem", "unreachable": "unreachable"}.get(reply.kind, "no-proof")


def _exchange_certificates(directory: Directory, code: str, now: datetime) -> tuple[str, ...]:
    return tuple(one.sha256 for one in directory.certificates(code, "exchange", vietnam_day(now)))


def needs_of(error: ReceiptInvalid) -> tuple[Need, ...]:
    """Return the status answers that were missing when a receipt's signature could not be judged."""
    cause = error.__cause__
    return cause.report.needs if isinstance(cause, NotVerified) else ()


def shown(key: Key) -> str:
    """K as logs write it."""
    return f"to/{key.recipient}/from/{key.sender}/{key.message_id}"
