"""Partners' metadata and the hourly ping: what is taken by itself, and what waits for a person (exchange.md 3 E7, 8).

A change takes effect alone only if it is signed by a key already known to be the partner's, its new certificates chain
to configured anchors, and it is about the same agencies. Older versions are refused; what was in force stays as it is
until a newer version is good.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Literal, Protocol

from edoc.agencies import Agency, Directory
from signer.report import Code
from transport import metadata
from transport.courier import Told
from transport.errors import Problem, Refused, TransportError
from transport.http.wire import (
    RequestView,
    ResponseView,
    alg_of,
    key_id_of,
    parse_heads,
    verify_response,
)
from transport.intake import vietnam_day
from transport.metadata import Changes, Metadata
from transport.names import HeadRef
from transport.node.office import Office, milliseconds, record
from transport.receiptform import read_time
from transport.store import directory as directories
from transport.store import metadata_rows
from transport.store.store import Unit
from transport.store.values import Partner

EVERY = timedelta(hours=1)
"""How often an active partner is asked (E7)."""
LOOK_SECONDS = 60.0
REFRESH_SECONDS = 10.0
"""How long a dispatch whose recipient was not known waits for its partner's metadata: well within its lease."""

CLOCK_WARN = timedelta(seconds=5)

log = logging.getLogger("edoc.partners")


class Asking(Protocol):
    """Asks a partner's node; raises ``TransportError`` for whatever happens."""

    async def ping(self, endpoint: str, heads: tuple[HeadRef, ...] = ()) -> Told: ...
    async def metadata(self, url: str) -> tuple[bytes, tuple[tuple[str, str], ...]]: ...


Taken = Literal["same", "applied", "waiting"]


class Partners:
    """Keeps an office's knowledge of its partners' nodes."""

    def __init__(self, office: Office, asking: Asking, *, clock: Callable[[], datetime]) -> None:
        self._office, self._asking, self._clock = office, asking, clock

    async def run(self, stop: asyncio.Event) -> None:
        """Ask every active partner once an hour, until told to stop."""
        while not stop.is_set():
            try:
                for partner in await asyncio.to_thread(self._due):
                    if not stop.is_set():
                        await self.turn(partner)
            except Exception as error:  # the database may come back
                log.error("partners.failed", extra={"error": type(error).__name__})
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), LOOK_SECONDS)

    def _due(self) -> list[Partner]:
        seen = {one.agency: one for one in self._office.store.read(metadata_rows.seen)}
        now = self._clock()
        due = []
        for partner in self._office.partners().values():
            before = seen.get(partner.code)
            asked = before.pinged_at if before is not None else None
            mine = self._office.directory().same(partner.code, self._office.code)
            if partner.url and not mine and (asked is None or abs(now - asked) >= EVERY):
                due.append(partner)
        return due

    async def turn(self, partner: Partner) -> Taken | None:
        """Ping one partner and fetch its metadata; return what became of them, ``None`` if it did not answer."""
        url = partner.url or ""
        asked_at = self._clock()
        heads = self._office.gossip.heads(partner.code, now=asked_at)
        offset, taken = None, None
        try:
            told = await self._asking.ping(url, heads)
            offset = self._offset(told, asked_at)
            await asyncio.to_thread(self._hear, partner.code, told)
            body, headers = await self._asking.metadata(url)
            taken = await asyncio.to_thread(take, self._office, partner.code, url, body, headers, now=self._clock())
        except (TransportError, ValueError) as error:
            code = error.code if isinstance(error, TransportError) else "form"
            log.warning("partners.no-answer", extra={"k": partner.code, "problem": code})
        answered = offset is not None
        await asyncio.to_thread(
            self._office.store.do,
            lambda unit: metadata_rows.note_seen(
                unit, partner.code, asked_at=asked_at, answered=answered, fetched=taken is not None, offset=offset
            ),
        )
        return taken

    async def refresh(self, code: str) -> None:
        """Ask a partner anew between an ``unknown-recipient`` and the one more try (exchange.md 3.2).

        What it says of itself may name another endpoint; a partner that does not answer in time changes nothing.
        """
        partner = await asyncio.to_thread(
            self._office.store.read, lambda connection: directories.partner(connection, code)
        )
        if partner is None or not partner.url:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(REFRESH_SECONDS):
                await self.turn(partner)

    def _offset(self, told: Told, asked_at: datetime) -> float:
        """Return how far the partner's clock is ahead of ours in seconds; raises ``ValueError`` without its time."""
        middle = asked_at + (self._clock() - asked_at) / 2
        offset = read_time(str(told.members.get("time"))) - middle
        if abs(offset) > CLOCK_WARN:
            log.warning("clock.differs", extra={"problem": "clock-disagreement"})
        return offset.total_seconds()

    def _hear(self, code: str, told: Told) -> None:
        value = next((text for name, text in told.headers if name.lower() == "edoc-heads"), None)
        self._office.gossip.heard(code, parse_heads(value), now=self._clock())


def verified(
    directory: Directory,
    code: str,
    url: str,
    body: bytes,
    headers: tuple[tuple[str, str], ...],
    *,
    now: datetime,
) -> tuple[Metadata, str, bool]:
    """Return metadata whose signature holds, the id of its key, and whether that key is known to be the partner's.

    Raises:
        Refused: not in its form, expired, not signed, or the signature does not hold.
    """
    found = metadata.parse(body, now=now)
    keyid = key_id_of(headers)
    known = [
        one
        for one in directory.certificates(code, "request", vietnam_day(now))
        if directories.key_id(one.data) == keyid
    ]
    own = found.request_key(keyid) if keyid is not None else None
    key = known[0].data if known else own.data if own is not None else None
    if keyid is None or key is None:
        raise Refused("EDOC-EXC-074", "the metadata is not signed by a key we know or it names", url=url)
    view = ResponseView(200, headers, RequestView("GET", url))
    try:
        verify_response(view, public_key=key, alg=alg_of(key), now=now)
        _check_digest(body, headers)
    except (Problem, ValueError):
        raise Refused("EDOC-EXC-074", "the metadata's signature does not hold", url=url) from None
    return found, keyid, bool(known)


def _check_digest(body: bytes, headers: tuple[tuple[str, str], ...]) -> None:
    from hashlib import sha256

    from transport.http.wire import header, parse_digest

    if parse_digest(header(headers, "content-digest")) != sha256(body).hexdigest():
        raise ValueError("the body differs from its digest")


def take(
    office: Office, code: str, url: str, body: bytes, headers: tuple[tuple[str, str], ...], *, now: datetime
) -> Taken:
    """Take metadata that was fetched: apply it, or keep it for a person (exchange.md 8, trust).

    Raises:
        Refused: not in its form, of other agencies, expired, older than the one held, or its signature does not hold.
    """
    directory = office.directory()
    found, keyid, known = verified(directory, code, url, body, headers, now=now)
    held = office.store.read(lambda connection: metadata_rows.held(connection, code))
    if held is not None and held.sha256 == found.sha256:
        return "same"
    if held is not None and found.issued_at < held.issued_at:
        raise Refused("EDOC-EXC-073", "the metadata is older than the one held", agency=code)
    entry = directory.get(code)
    if entry is None:
        raise Refused("EDOC-EXC-072", "the agency is not in the directory", agency=code)
    change = metadata.changes(entry, found, today=now)
    if known and not change.asks and _chained(office, change, now):
        apply(office, code, found, change, keyid=keyid, now=now)
        return "applied"
    office.store.do(lambda unit: metadata_rows.keep(unit, code, found, keyid=keyid, state="waiting", now=now))
    office.meter.event(logging.WARNING, "partner.changed", k=code, problem="waiting")
    return "waiting"


_NO_STATUS = frozenset({Code.TRY_LATER})


def _chained(office: Office, change: Changes, now: datetime) -> bool:
    """Say whether every new certificate has a path to configured anchors; of what revokes them S8 asks each time."""
    from signer.chain import judge_path
    from signer.trust import Purpose

    context = office.context(now)
    for one in change.added:
        if one.use != "exchange":
            continue
        path = judge_path(
            one.data, purpose=Purpose.SIGNERS, time=now, proved=False, context=context, candidates=change.chain
        )
        if set(path.sub_indications) - _NO_STATUS:
            return False
    return True


def apply(office: Office, code: str, found: Metadata, change: Changes, *, keyid: str, now: datetime) -> None:
    """Let metadata take effect: directory entry, address, delivery; the version of before stays (R66)."""
    entry: Agency = change.entry
    evidence = record("operation", action="partner.changed", result="ok", agency=code, sha256=found.sha256)

    opened = office.log_is_open()

    def work(unit: Unit) -> None:
        before = metadata_rows.held(unit.connection, code)
        same = before is not None and _alike(before.data, found)
        metadata_rows.keep(unit, code, found, keyid=keyid, state="active", now=now)
        directories.add(unit, entry, now=now, url=change.endpoint, delivery=change.delivery)
        if same or not opened:
            return
        office.append(
            unit,
            "operation",
            at=milliseconds(now),
            evidence=unit.keep(evidence),
            rtype="record",
            people={"subject": code},
            fields={"action": "partner.changed", "result": "ok"},
        )

    office.store.do(work)
    office.meter.event(logging.INFO, "partner.changed", k=code, digest=found.sha256)


def _alike(before: bytes, found: Metadata) -> bool:
    """Say whether two versions differ in their times and heads alone."""
    import json

    def lasting(data: bytes) -> object:
        members = json.loads(data)
        return {name: value for name, value in members.items() if name not in ("issued_at", "expires_at", "ledger")}

    return bool(lasting(before) == lasting(found.data))
