"""The numbered checks on what arrives (exchange.md 3.1 S8, 3.3): accept, refuse with one reason, or cannot judge now.

The hard checks, in the order of exchange.md 3.3; each has one reason to fail and its own code:

1.  ``not-edxml``, ``limits``: XML of one message, within the limits of chapter 10
2.  ``seal-missing``, ``seal-invalid``, ``seal-algorithm``: one seal, holding, by an accepted algorithm
3.  ``certificate-invalid``: a path to a trusted root at the time of arrival, not revoked (R62, R64)
4.  ``seal-not-sender``: the sealing certificate is the sender's exchange certificate on that day (R66)
5.  ``slip-mismatch``: message id, sender and kind of the slip are those of the path and of the file
6.  ``wrong-addressee``: the recipient of the path is named in the file (M5)
7.  ``incomplete``: manifest, attachments and their bytes agree (R5)
8.  ``not-strict``: the rest of the strict writer's rules (M6)
9.  ``secret-content``: no secrecy marking (R1)

Steps 1 to 3 and 7 to 9 raise ``SealRefused`` in ``edoc.seal``; 4 to 6 are here, because they need the request's path
and the directory. Missing trust data is ``CannotJudge``: neither accepted nor refused blindly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

from edoc.agencies import Directory
from edoc.edxml import ReadLimits
from edoc.errors import SealRefused
from edoc.seal import OpenedEnvelope, UnsealedMessage, read_unsealed, unseal
from signer.trust import Context
from transport.dispatch import Key
from transport.errors import Problem

VIETNAM = timezone(timedelta(hours=7))
"""Vietnamese time, unchanged since 1975; days are counted in it (R7)."""

SEAL_SKEW = timedelta(seconds=300)
"""How far ahead of our clock a seal may be (exchange.md 10, ``clock_skew_seal``)."""


PIECE = 256 * 1024
"""Bytes of a large message that are looked at at once."""

UNSTREAMED_MAX = 16 * 1024 * 1024
"""Largest message in bytes that is still held whole when it cannot be checked in one pass."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a request brought: the path's key, the bytes or the file that holds them, and when the last arrived."""

    key: Key
    data: bytes = field(repr=False)
    received_at: datetime
    file: Path | None = None
    file_size: int = 0

    @property
    def size(self) -> int:
        """Bytes of the message."""
        return len(self.data) if self.file is None else self.file_size

    def pieces(self) -> Iterator[bytes]:
        """Return the bytes of the file piece by piece."""
        assert self.file is not None
        with self.file.open("rb") as file:
            while piece := file.read(PIECE):
                yield piece


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the bytes are refused: a code of exchange.md 3.3, and the field it is about."""

    reason: str
    field: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of the hard checks: exactly one of ``opened`` and ``refusal``; what was unsealed is kept beside."""

    opened: OpenedEnvelope | None
    refusal: Refusal | None
    unsealed: UnsealedMessage | None = None


Check = Callable[[Delivery, UnsealedMessage, Directory], Refusal | None]


def vietnam_day(moment: datetime) -> date:
    """Return the calendar day in Vietnam of an instant (R7)."""
    return moment.astimezone(VIETNAM).date()


def check_sender(delivery: Delivery, message: UnsealedMessage, directory: Directory) -> Refusal | None:
    """4: the sealing certificate is registered as the sender's exchange certificate on the day of arrival (R66)."""
    known = directory.certificates(delivery.key.sender, "exchange", vietnam_day(delivery.received_at))
    if message.certificate_sha256 in {certificate.sha256 for certificate in known}:
        return None
    return Refusal("seal-not-sender")


def check_slip(delivery: Delivery, message: UnsealedMessage, directory: Directory) -> Refusal | None:
    """5: what the slip states is what the path and the file say; another id is another message (M2)."""
    slip = message.slip
    if slip.message_id != delivery.key.message_id:
        return Refusal("slip-mismatch", "MessageId")
    if not directory.same(slip.sender, delivery.key.sender) or not directory.same(
        message.sender_code, delivery.key.sender
    ):
        return Refusal("slip-mismatch", "Sender")
    if slip.kind != message.kind:
        return Refusal("slip-mismatch", "Kind")
    return None


def check_addressee(delivery: Delivery, message: UnsealedMessage, directory: Directory) -> Refusal | None:
    """6: the recipient of the path is one of the agencies the file is addressed to (M5)."""
    if any(directory.same(code, delivery.key.recipient) for code in message.recipient_codes):
        return None
    return Refusal("wrong-addressee", "To" if message.kind == "edoc" else "ResponseFor")


CHECKS: tuple[Check, ...] = (check_sender, check_slip, check_addressee)


def judge(delivery: Delivery, *, context: Context, directory: Directory, limits: ReadLimits | None = None) -> Outcome:
    """Run the hard checks on a delivery in their order; one that lies in a file is checked in one pass.

    Raises:
        CannotJudge: trust or revocation data needed for the answer is missing (503 ``trust-unavailable``).
        Problem: ``clock-disagreement``, the seal lies more than 300 s ahead of our clock.
    """
    try:
        unsealed, read = _unsealed(delivery, context, limits)
    except SealRefused as refused:
        return Outcome(None, Refusal(refused.reason))
    if unsealed.slip.submitted_at > context.at + SEAL_SKEW:
        raise Problem("clock-disagreement", 503, "the seal lies in the future")
    for check in CHECKS:
        if refusal := check(delivery, unsealed, directory):
            return Outcome(None, refusal, unsealed)
    try:
        return Outcome(read(), None, unsealed)
    except SealRefused as refused:
        field_name = refused.facts.get("field")
        return Outcome(None, Refusal(refused.reason, str(field_name) if field_name else None), unsealed)


def _unsealed(
    delivery: Delivery, context: Context, limits: ReadLimits | None
) -> tuple[UnsealedMessage, Callable[[], OpenedEnvelope]]:
    """Verify the seal, whole or in one pass; return what it covers and how its content is read."""
    if delivery.file is None:
        whole = unseal(delivery.data, context=context)
        return whole, lambda: read_unsealed(whole, limits=limits)
    from edoc.sealstream import open_streamed, unseal_streamed
    from signer.xml.stream import NotStreamable

    try:
        streamed = unseal_streamed(delivery.pieces(), context=context)
    except NotStreamable:
        if delivery.size > UNSTREAMED_MAX:  # M4: a seal can be checked in one forward pass
            raise SealRefused("EDOC-DOC-053", "refused: seal-invalid", "seal-invalid") from None
        held = unseal(delivery.file.read_bytes(), context=context)
        return held, lambda: read_unsealed(held, limits=limits)
    return streamed.unsealed, lambda: open_streamed(streamed, limits=limits)
