"""One office at work: every use case is one method. It fetches and stores; it decides nothing (architecture, rule 1).

The methods that the exchange server calls are those of ``transport.http.ports``; the rest is what commands call. All
are synchronous but the two loops at the end, which run beside the server.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from signer.credential import PassphraseSource
from transport.courier import Courier, utc_now
from transport.dispatch import Key
from transport.errors import Problem, SettingsError
from transport.http import wire
from transport.http.channel import spki_of
from transport.http.client import HttpCarrier
from transport.http.limits import HttpLimits
from transport.http.pulling import HttpFetcher
from transport.intake import vietnam_day
from transport.names import HeadRef
from transport.node import bell, deciding, ending, fetching, looking, opening, proving, readiness, receiving, sending
from transport.node.deciding import Acceptance, Decided
from transport.node.effectwork import EffectWork
from transport.node.incoming import Fetched
from transport.node.looking import Screen, Shown
from transport.node.office import Office, record
from transport.node.outgoing import Outgoing
from transport.node.partners import Partners
from transport.node.receiving import Answer
from transport.node.sending import Sent
from transport.puller import Puller
from transport.store import directory as directories
from transport.store import gauges, outbox
from transport.store.feed import FeedItem
from transport.store.gauges import Measures
from transport.store.values import DispatchView, Known, LedgerRef, Page, RowFilter

if TYPE_CHECKING:
    import ssl

    from transport.http.addresses import Reach
    from transport.settings import Settings
    from transport.store.statements import Connection

log = logging.getLogger("edoc.node")

EFFECT_POLL_SECONDS = 1.0
"""How often effects are looked for beside the wake-ups."""
EFFECT_STOP_SECONDS = 30.0
"""How long a stopping server waits for effects that are being worked on."""


class Node:
    """An open node. Close it, or use it in ``with``."""

    def __init__(self, office: Office, *, tls: ssl.SSLContext | None = None, reach: Reach | None = None) -> None:
        self.office = office
        self._tls, self._reach = tls, reach
        self._held: set[Key] = set()
        self._lock = threading.Lock()
        self._conflicting = threading.Lock()

    @classmethod
    def open(
        cls, settings: Settings, *, passphrase: PassphraseSource | None = None, need_exchange: bool = False
    ) -> Node:
        """Open the node of a home.

        Raises:
            SettingsError: no node here, or no exchange key where one is needed.
            CredentialError: a key cannot be opened.
        """
        return cls(opening.open_office(settings, passphrase=passphrase, need_exchange=need_exchange))

    def with_network(
        self,
        *,
        tls: ssl.SSLContext | None,
        reach: Reach | None,
        fetch_status: Callable[..., object] | None = None,
        timestamper: object | None = None,
    ) -> Node:
        """Give the node its ways to the network: TLS anchors, addresses it may reach, status and time-stamp sources."""
        self._tls, self._reach = tls, reach
        if fetch_status is not None:
            self.office.fetch_status = fetch_status  # type: ignore[assignment]  # the one function of http.pki
        if timestamper is not None:
            self.office.timestamper = timestamper  # type: ignore[assignment]  # as above
        return self

    def close(self) -> None:
        """Let go of the store."""
        self.office.store.close()

    def __enter__(self) -> Node:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- what the exchange server asks ------------------------------------------------------------------------------

    def partner_for(self, keyid: str) -> wire.Caller | None:
        """Return whose request key this is, or ``None``; whether it is registered today is judged with the parties."""
        return self.office.kept.get("callers", _callers).get(keyid)

    def partner_by_certificate(self, certificate: bytes) -> wire.Caller | None:
        """Return whose node has registered the key of a client certificate, or ``None`` (exchange.md 4, mTLS)."""
        spki = spki_of(certificate)
        for partner in self.office.partners().values():
            if any(spki_of(one) == spki for one in partner.certificates):
                return wire.Caller(partner.code, (partner.code,), spki, "tls", partner.calls_by)
        return None

    def check_parties(self, partner: wire.Caller, key: Key, now: datetime) -> None:
        """S2, S3: the sender is the caller's agency, the recipient is served here and its code is open today.

        Raises:
            Problem: ``forbidden``, ``unknown-recipient``, ``recipient-moved``.
        """
        directory, day = self.office.directory(), vietnam_day(now)
        if not fetching.registered(directory, partner, day):
            raise Problem("forbidden", 403, "the key is not registered today")
        if not any(directory.same(code, key.sender) for code in partner.agencies):
            raise Problem("forbidden", 403, "the caller does not speak for this agency")
        if not directory.same(key.recipient, self.office.code):
            raise Problem("unknown-recipient", 404, "the recipient is not served here")
        if directory.get(key.recipient) is not None and not directory.open_on(key.recipient, day):
            successor = directory.successor_of(key.recipient)
            raise Problem("recipient-moved", 410, "the code is closed", successor=successor.code if successor else None)

    def known(self, key: Key) -> Known | None:
        """S4: return what is known of K; old and new code of an agency are the same."""
        return receiving.known_of(self.office, key)

    def conflict(self, key: Key, *, sha256: str, now: datetime) -> None:
        """S4: leaf ``id-conflict`` for K, spelled as it was received, under another digest: once per K and digest."""
        with self._conflicting:  # two requests with the same bytes: the second finds the leaf of the first
            receiving.enter_conflict(self.office, key, sha256=sha256, now=now)

    def ready(self) -> tuple[bool, dict[str, str]]:
        """Tell whether the node can receive: database writable, ledger guard passed, receipt key, sane clock (E9)."""
        return readiness.ready(self.office, utc_now())

    def measures(self, now: datetime) -> Measures:
        """Return what the operator's page shows of queues, circuits, certificates and clocks (exchange.md 13)."""
        return self.office.store.read(lambda connection: gauges.measures(connection, now=now))

    @contextmanager
    def busy(self, key: Key) -> Iterator[None]:
        """Hold K in this process while its body is received.

        Raises:
            Problem: ``in-progress``, another request holds it.
        """
        with self._lock:
            if key in self._held:
                raise Problem("in-progress", 409, "K is being received in another request", retry_after=1)
            self._held.add(key)
        try:
            yield
        finally:
            with self._lock:
                self._held.discard(key)

    def receive(
        self, key: Key, data: bytes, *, sha256: str, received_at: datetime, peer: LedgerRef | None, now: datetime
    ) -> Answer:
        """S8 to S11; see ``receiving.receive``."""
        try:
            return receiving.receive(self.office, key, data, sha256=sha256, received_at=received_at, peer=peer, now=now)
        except receiving.IdTaken as taken:
            self.conflict(taken.known.key, sha256=sha256, now=now)
            raise

    def receive_file(
        self, key: Key, file: Path, *, sha256: str, received_at: datetime, peer: LedgerRef | None, now: datetime
    ) -> Answer:
        """S8 to S11 for a large message that lies in the spool; see ``receiving.receive_file``."""
        try:
            return receiving.receive_file(
                self.office, key, file, sha256=sha256, received_at=received_at, peer=peer, now=now
            )
        except receiving.IdTaken as taken:
            self.conflict(taken.known.key, sha256=sha256, now=now)
            raise

    def heads(self, agency: str, now: datetime) -> tuple[HeadRef, ...]:
        """Return the heads of logs to name to a partner (ledger.md 8)."""
        return self.office.gossip.heads(agency, now=now)

    def heard(self, agency: str, named: tuple[HeadRef, ...], now: datetime) -> None:
        """Compare the heads a partner names with what is known."""
        self.office.gossip.heard(agency, named, now=now)

    def metadata(self, now: datetime) -> dict[str, object]:
        """Return what this node says of itself (exchange.md 8)."""
        return proving.metadata(self.office, now)

    # --- what partners that fetch ask -------------------------------------------------------------------------------

    def check_fetcher(self, caller: wire.Caller, recipient: str, sender: str | None, now: datetime) -> None:
        """E4 to E6: the caller is the recipient's node, the sender is served here. See ``fetching``."""
        fetching.check_fetcher(self.office, caller, recipient, sender, now=now)

    def waiting(self, recipient: str, *, limit: int, after: str | None) -> Sequence[FeedItem]:
        """E4: what waits for a recipient."""
        return fetching.waiting(self.office, recipient, limit=limit, after=after)

    def content(self, key: Key, now: datetime) -> fetching.Content:
        """E5: note that the recipient may hold the message, then open its bytes."""
        return fetching.content(self.office, key, now=now)

    def take_receipt(self, key: Key, data: bytes, *, peer: LedgerRef | None, now: datetime) -> None:
        """E6: settle by the recipient's receipt."""
        fetching.take_receipt(self.office, key, data, peer=peer, now=now)

    # --- what commands ask -------------------------------------------------------------------------------------------

    def open_log(self, *, now: datetime) -> bool:
        """Open the ledger with the exchange key's statement, if it is not open; tell whether it was opened now."""
        return opening.open_log(self.office, now=now)

    def note(
        self, action: str, *, person: str, subject: str, now: datetime, note: str = "", result: str = "ok"
    ) -> None:
        """Append a leaf ``operation``: trust, keys, directory, configuration (R38, R88). People only as commitments."""
        evidence = record("operation", action=action, result=result)
        self.office.store.do(
            lambda unit: self.office.append(
                unit,
                "operation",
                at=now,
                evidence=unit.keep(evidence),
                rtype="record",
                people={"actor": person, "subject": subject, "note": note},
                fields={"action": action, "result": result},
            )
        )

    def send(
        self, data: bytes, *, now: datetime, to: Sequence[str] | None = None, allow_information_only: bool = False
    ) -> Sent:
        """Seal a packed file and queue it; the same file again gives the same ids. See ``sending.send``."""
        return sending.send(self.office, data, to=to, now=now, allow_information_only=allow_information_only)

    def dispatches(self, message_id: str) -> tuple[DispatchView, ...]:
        """Return how a message stands with each recipient."""
        return self.office.store.read(lambda connection: outbox.dispatches(connection, message_id))

    def inbox(self, asked: RowFilter) -> Page:
        """Return a page of documents that arrived."""
        return looking.inbox(self.office, asked)

    def outbox(self, asked: RowFilter) -> Page:
        """Return a page of documents that were sent."""
        return looking.outbox_rows(self.office, asked)

    def show(self, ref: str, *, now: datetime) -> Shown:
        """Return one document in full."""
        return looking.show(self.office, ref, now)

    def file(self, ref: str, number: int, *, now: datetime) -> tuple[str, bytes]:
        """Return one file of a document, as exchanged."""
        return looking.file_of(self.office, ref, number, now)

    def screen(self, *, now: datetime) -> Screen:
        """Return the node at a glance."""
        return looking.screen(self.office, now)

    def accept(self, ref: str, act: Acceptance, *, now: datetime) -> Decided:
        """Accept a document that arrived; a pending check is made first."""
        self.follow(now=now)
        return deciding.accept(self.office, ref, act, now=now)

    def give_back(self, ref: str, *, reason: str, note: str | None, by: str, now: datetime) -> Decided:
        """Return a document through the system with a reason."""
        return deciding.give_back(self.office, ref, reason=reason, note=note, by=by, now=now)

    def set_status(
        self, ref: str, code: str, *, person: str, unit: str | None = None, note: str | None = None, now: datetime
    ) -> Decided:
        """Tell the sender how far the work is."""
        return deciding.set_status(self.office, ref, code, unit_name=unit, person=person, note=note, now=now)

    def follow(self, *, now: datetime) -> int:
        """Work off what acts have called for, here and now."""
        return ending.run_effects(self.office, clock=lambda: now, owner=secrets.token_hex(8))

    def evidence(self, ref: str, asked: proving.Asked, *, now: datetime) -> proving.Package:
        """Build the evidence package of a message, and audit it. See ``proving.evidence``."""
        return proving.evidence(self.office, ref, asked, now=now)

    # --- loops beside the server -------------------------------------------------------------------------------------

    async def run_courier(self, stop: asyncio.Event, *, until: Callable[[], bool] | None = None) -> None:
        """Carry what is due until told to stop, or until ``until`` says that nothing is left to wait for."""
        if self.office.request is None:
            raise SettingsError("EDOC-CFG-022", "the node has no request key", agency=self.office.code)
        key = self.office.request
        limits = HttpLimits.of(self.office.settings.limits)
        async with HttpCarrier(
            request_key=key, clock=utc_now, tls=self._tls, reach=self._reach, limits=limits
        ) as carrier:
            outgoing = Outgoing(self.office, clock=self.office.store.clock(utc_now))
            partners = Partners(self.office, carrier, clock=utc_now)
            courier = Courier(outgoing, carrier, owner=secrets.token_hex(16), refresh=partners.refresh)
            loop = asyncio.get_running_loop()

            def wake() -> None:
                loop.call_soon_threadsafe(courier.wake)

            self.office.on_work = wake
            self.office.store.listen(wake)
            try:
                await courier.run(stop, until=until)
            finally:
                self.office.on_work = self.office.ring

    async def run_puller(self, stop: asyncio.Event) -> None:
        """Fetch what waits for this agency at its partners, until told to stop (exchange.md 7)."""
        if self.office.request is None:
            raise SettingsError("EDOC-CFG-022", "the node has no request key", agency=self.office.code)
        limits = HttpLimits.of(self.office.settings.limits)
        key = self.office.request
        spool = self.office.settings.home / "spool"
        async with HttpCarrier(
            request_key=key, clock=utc_now, tls=self._tls, reach=self._reach, limits=limits
        ) as carrier:
            fetched = Fetched(self.office, self, utc_now)
            fetcher = HttpFetcher(carrier, taking=fetched, spool=spool, limits=limits, clock=utc_now)
            await Puller(fetched, fetcher).run(stop)

    async def run_partners(self, stop: asyncio.Event) -> None:
        """Ping every active partner hourly and take what it says of itself, until told to stop (exchange.md 3, 8)."""
        if self.office.request is None:
            raise SettingsError("EDOC-CFG-022", "the node has no request key", agency=self.office.code)
        limits, key = HttpLimits.of(self.office.settings.limits), self.office.request
        async with HttpCarrier(
            request_key=key, clock=utc_now, tls=self._tls, reach=self._reach, limits=limits
        ) as carrier:
            await Partners(self.office, carrier, clock=utc_now).run(stop)

    async def run_effects(self, stop: asyncio.Event) -> None:
        """Work off effects until told to stop: as soon as something was accepted, and whenever a pause has passed."""
        clock = self.office.store.clock(utc_now)
        work = EffectWork(self.office, clock=clock, owner=secrets.token_hex(16))
        loop, called = asyncio.get_running_loop(), asyncio.Event()

        def call() -> None:
            loop.call_soon_threadsafe(called.set)

        self.office.on_effects = call
        stopping = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                called.clear()
                try:
                    await asyncio.to_thread(work.turn)
                except Exception as error:  # a full disk, a locked database: it may pass, and the server goes on
                    log.error("effects.failed", extra={"error": type(error).__name__})
                waiting = asyncio.create_task(called.wait())
                pause = EFFECT_POLL_SECONDS
                await asyncio.wait({waiting, stopping}, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
                waiting.cancel()
            await asyncio.to_thread(work.close, EFFECT_STOP_SECONDS)
        finally:
            self.office.on_effects = self.office.ring
            stopping.cancel()

    async def run_bell(self, stop: asyncio.Event) -> None:
        """Hear commands that have queued something in this home, until told to stop (exchange.md 6, wake-up)."""
        with bell.hearing(self.office.settings.home, self.office.heard):
            await stop.wait()


def _callers(connection: Connection) -> dict[str, wire.Caller]:
    """Return who calls with which request key; where two have registered one, it is the first by code."""
    found: dict[str, wire.Caller] = {}
    for partner in directories.partners(connection):
        for known, spki in partner.request_keys:
            caller = wire.Caller(partner.code, (partner.code,), spki, wire.alg_of(spki), partner.calls_by)
            found.setdefault(known, caller)
    return found
