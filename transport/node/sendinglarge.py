"""Sending a packed file too large to be held: read, sealed and queued in one pass each (exchange.md 12).

The rules are those of ``sending``; memory holds the largest file that is judged before sending, never the message.
"""

from __future__ import annotations

import hashlib
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from edoc.sealstream import PackedFile, SealedFile, read_packed_streamed, seal_streamed
from transport import points
from transport.dispatch import lane_of
from transport.errors import Refused
from transport.intake import PIECE, vietnam_day
from transport.node.office import Office, milliseconds, read_limits
from transport.node.sending import Clocking, Sent, Submission, as_sent, check_rules, clocking_of, queue, tell_submitted
from transport.store import outbox

if TYPE_CHECKING:
    from edoc.envelopes import Envelope

JUDGED_MAX = 64 * 1024 * 1024
"""Largest main document in bytes that is judged before it is sent; a larger one only informs."""


def send_file(
    office: Office, packed: Path, *, to: Sequence[str] | None, now: datetime, allow_information_only: bool = False
) -> Sent:
    """Seal a large packed file and queue it for its recipients; the same file again gives the same ids.

    Raises:
        EdocError, SignerError: not a strict edXML document, or an agency that is unknown.
        Refused: a rule forbids it.
        StoreError: the disk is full or failed; nothing was queued.
    """
    source = _digest_of(packed)
    if (before := office.store.read(lambda connection: outbox.by_source(connection, source))) is not None:
        return as_sent(before, repeated=True)
    spool = office.settings.home / "spool"
    spool.mkdir(mode=0o700, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=spool, prefix="send-") as folder:
        read = read_packed_streamed(_pieces(packed), Path(folder), limits=read_limits(office.settings))
        directory = office.directory()
        recipients = check_rules(office, read.message, directory=directory, day=vietnam_day(now), to=to)
        clocking = _clocking(office, read, now)
        if clocking.legal_class == "information-only" and not allow_information_only:
            raise Refused("EDOC-EXC-040", "the main document lacks valid signatures", ref=read.message.document_id)
        at, target = milliseconds(now), Path(folder) / "sealed"
        sealed = _sealed(office, read, target, at)
        points.reached("submit.sealed")
        submission = Submission(
            sealed,
            office.code,
            recipients,
            clocking,
            int(lane_of("edoc", int(read.message.document.priority or 0))),
            at,
            source_sha256=source,
            files=tuple(one.sha256 for one in read.attachments),
        )
        staged = office.store.stage_file(target, sealed.sha256, sealed.size)
        points.reached("submit.blob-durable")
        office.store.do(lambda unit: queue(office, unit, submission, staged))
        points.reached("submit.committed")
        tell_submitted(office, submission)
    office.on_work()
    message_id = sealed.slip.message_id
    found = office.store.read(lambda connection: outbox.dispatches(connection, message_id))
    return Sent(message_id, read.message.document_id, sealed.sha256, at, found, repeated=False)


def recipients_of(office: Office, packed: Path, to: Sequence[str] | None, *, now: datetime) -> tuple[str, ...]:
    """Check every rule of sending and return the recipients; nothing is sealed or queued.

    Raises:
        EdocError, SignerError, Refused: as ``send_file``.
    """
    with tempfile.TemporaryDirectory(prefix="edoc-send-") as folder:
        message = read_packed_streamed(_pieces(packed), Path(folder), limits=read_limits(office.settings)).message
        return check_rules(office, message, directory=office.directory(), day=vietnam_day(now), to=to)


def digest_of(path: Path) -> str:
    """Return the SHA-256 (hexadecimal) of a file."""
    return _digest_of(path)


def _sealed(office: Office, read: PackedFile, target: Path, at: datetime) -> SealedFile:
    with target.open("wb") as out:
        return seal_streamed(
            read.message,
            read.large,
            out,
            message_id=str(uuid.uuid4()),
            credential=office.exchange_key(at),
            at=at,
        )


def _clocking(office: Office, read: PackedFile, now: datetime) -> Clocking:
    """Judge the main document if it can be held."""
    main = read.message.attachments[0]
    held = read.large.get(main.content_id)
    if held is None:
        return clocking_of(office, read.message, now)
    if held.size > JUDGED_MAX:
        return Clocking(now, "registered", "information-only")
    whole: Envelope = replace(read.message, attachments=(replace(main, content=held.path.read_bytes()),))
    return clocking_of(office, whole, now)


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece


def _digest_of(path: Path) -> str:
    hashed = hashlib.sha256()
    for piece in _pieces(path):
        hashed.update(piece)
    return hashed.hexdigest()
