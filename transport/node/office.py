"""What all work of a node shares: settings, store, log, keys, trust and directory, and how a leaf is written."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, time, timedelta
from functools import partial
from typing import TYPE_CHECKING, Protocol

from edoc.agencies import Directory
from edoc.edxml import ReadLimits
from signer.algorithms import PolicyName
from signer.errors import SigningRefused
from signer.trust import Anchor, Context, Limits, TrustStore
from transport.anchoruses import anchors_for
from transport.dispatch import Key
from transport.errors import LedgerError, SettingsError
from transport.ledger import event
from transport.meter import SILENT, Meter
from transport.node import bell
from transport.node.gossip import Gossip
from transport.node.recent import Recent
from transport.store import directory as directories
from transport.store import people
from transport.store.kept import Kept
from transport.store.values import LedgerRef, Partner, Ticket

if TYPE_CHECKING:
    from edoc.authorities import AuthorityTable
    from signer.credential import Credential
    from signer.report import Need
    from signer.timestamp import Timestamper
    from transport.http.wire import RequestKey
    from transport.settings import Settings
    from transport.store.log import Log
    from transport.store.statements import Connection
    from transport.store.store import Store, Unit

STATUS_SOON = 5.0
"""Seconds that a partner's request, or a receipt on its way to settle, waits for status answers in all."""


class StatusFetcher(Protocol):
    """Obtains status answers over the network."""

    def __call__(self, needs: Sequence[Need], *, within: float = ...) -> TrustStore:
        """Return what could be had within so many seconds, which may be nothing."""
        ...


STATUS_KEPT = timedelta(days=8)
"""How long fetched status answers are looked at again; older ones no longer serve the present."""


@dataclass
class Office:
    """An agency's node, open: everything its work needs, nothing it does."""

    settings: Settings
    store: Store
    log: Log
    code: str
    name: str
    exchange: Credential | None = None
    request: RequestKey | None = None
    channel: bytes | None = None  # certificate (DER) with which this node calls others over TLS
    timestamper: Timestamper | None = None
    fetch_status: StatusFetcher | None = None
    node_name: str = "nut-1"
    meter: Meter = SILENT
    on_work: Callable[[], None] = field(init=False)  # something is due: wake the courier, here or in the server
    on_effects: Callable[[], None] = field(init=False)  # something was accepted: wake who works off effects
    ring: Callable[[], None] = field(init=False)  # what both do where nobody works: call the server of this home
    recent: Recent = field(default_factory=Recent)
    gossip: Gossip = field(init=False)
    kept: Kept = field(init=False)
    _trusted: tuple[object, TrustStore] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.gossip = Gossip(self)
        self.kept = Kept(self.store)
        self.ring = partial(bell.ring, self.settings.home)
        self.on_work = self.on_effects = self.ring

    def heard(self) -> None:
        """Wake what works here because the bell was rung; nothing is rung again."""
        for call in (self.on_work, self.on_effects):
            if call is not self.ring:
                call()

    def exchange_key(self, now: datetime | None = None) -> Credential:
        """Return the key that seals messages and signs receipts; with ``now`` it must be within its days then.

        Raises:
            SettingsError: there is none yet, or it was not opened.
            SigningRefused: its certificate has expired, or is not valid yet: nobody would believe what it signs.
        """
        if self.exchange is None:
            raise SettingsError("EDOC-CFG-020", "the node has no exchange key", agency=self.code)
        if now is not None:
            _check_days(self.exchange, now)
        return self.exchange

    def directory(self) -> Directory:
        """Return the directory as it stands now."""
        return self.kept.get("directory", directories.load)

    def partners(self) -> Mapping[str, Partner]:
        """Return how every agency is reached, by its code, as it stands now."""
        return self.kept.get("partners", lambda c: {one.code: one for one in directories.partners(c)})

    def authorities(self) -> AuthorityTable:
        """Return the authority table as it stands now (R26)."""
        return self.kept.get("authorities", people.load)

    def trust(self, now: datetime) -> TrustStore:
        """Return the anchors of this node with the status answers fetched of late."""
        since = now - STATUS_KEPT
        day = datetime.combine(since.date(), time(), since.tzinfo)
        anchored, answers = self.kept.get(("trust", day), partial(_trusted, since=day))
        fresh = tuple(one for one in answers if one[0] >= since)
        key = (anchored, fresh)
        if self._trusted is None or self._trusted[0] != key:
            crls = tuple(data for _, kind, data in fresh if kind == "crl")
            ocsps = tuple(data for _, kind, data in fresh if kind == "ocsp")
            self._trusted = (key, replace(anchored, crls=crls, ocsps=ocsps).coming_from("store"))
        return self._trusted[1]

    def context(self, now: datetime, *, limits: Limits | None = None) -> Context:
        """Return a judgement at ``now`` with this node's trust and policy."""
        policy = PolicyName(self.settings.verify_policy)
        return Context(trust=self.trust(now), at=now, policy=policy, limits=limits or message_limits(self.settings))

    def fresh_context(self, now: datetime) -> Context:
        """Return a judgement without the status answers kept: what arrives is judged by answers of the day (R62)."""
        context = self.context(now)
        return replace(context, trust=replace(context.trust, crls=(), ocsps=()))

    def with_status(
        self, context: Context, needs: Sequence[Need], now: datetime, *, within: float | None = None
    ) -> Context | None:
        """Fetch missing status answers, keep them (R69), and return the context with them; ``None`` if none came.

        ``within`` are the seconds they are waited for, where somebody waits for the outcome.
        """
        if not needs or self.fetch_status is None:
            return None
        fetched = self.fetch_status(needs) if within is None else self.fetch_status(needs, within=within)
        if not fetched.crls and not fetched.ocsps:
            return None
        self.store.do(lambda unit: keep_status(unit, fetched, now))
        return context.with_trust(fetched.coming_from("online"))

    def log_is_open(self) -> bool:
        """Say whether acts can be entered in the ledger: it is opened by the first exchange key."""
        try:
            self.store.read(self.log.head)
        except LedgerError:
            return False
        return self.log.signer is not None

    def append(
        self,
        unit: Unit,
        kind: str,
        *,
        at: datetime,
        evidence: str,
        rtype: str,
        key: Key | None = None,
        side: str | None = None,
        people: Mapping[str, str] | None = None,
        fields: Mapping[str, event.Value] | None = None,
    ) -> Ticket:
        """Add a leaf to the unit: chained to the last one of the same dispatch and side, people only as commitments.

        ``evidence`` is the SHA-256 (hexadecimal) of the bytes behind it; with ``people`` the act is a person's.
        """
        named = {name: value for name, value in (people or {}).items() if value}
        committed, openings = event.commit_all(named)
        whole: dict[str, event.Value] = {
            "at": milliseconds(at),
            "auto": "actor" not in named,
            "receipt": evidence,
            "rtype": rtype,
            **{name: value for name, value in (fields or {}).items() if value is not None and value != ""},
            **committed,
        }
        if key is not None and side is not None:
            whole |= {"msg": key.message_id, "from": key.sender, "to": key.recipient, "side": side}
            last = self.log.last_of(
                unit.connection, sender=key.sender, recipient=key.recipient, message_id=key.message_id, side=side
            )
            if last is not None:
                whole["prev"] = last
        ticket = unit.append(event.build(kind, whole))
        self.log.keep_openings(unit.connection, ticket.leaf, openings)
        return ticket

    def ref(self, ticket: Ticket) -> LedgerRef | None:
        """Return where a leaf stands, once its transaction is committed."""
        if ticket.index is None or self.log.signer is None:
            return None
        return LedgerRef(self.log.signer.origin, ticket.index, ticket.leaf.hex())


def _trusted(connection: Connection, since: datetime) -> tuple[TrustStore, tuple[tuple[datetime, str, bytes], ...]]:
    """Return what a node trusts, and the status answers fetched since then with their times."""
    anchors: list[Anchor] = []
    intermediates: list[bytes] = []
    for entry in directories.anchors(connection):
        found = anchors_for(entry.data, entry.uses)
        anchors += found
        if not found:
            intermediates.append(entry.data)
    return TrustStore(tuple(anchors), tuple(intermediates)), directories.status_answers(connection, since=since)


def _check_days(credential: Credential, now: datetime) -> None:
    certificate = credential.x509
    starts, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    facts = {"path": credential.role.value, "subject": certificate.subject.rfc4514_string()}
    if now > ends:
        raise SigningRefused("EDOC-KEY-004", "the certificate has expired", not_after=ends, **facts)
    if now < starts:
        raise SigningRefused("EDOC-KEY-010", "the certificate is not valid yet", not_before=starts, **facts)


def message_limits(settings: Settings) -> Limits:
    """Return the limits for sealed messages (exchange.md 10), stricter in depth than for other XML."""
    return Limits(
        xml_max_bytes=settings.limit("message_max_bytes"),
        xml_depth=settings.limit("xml_depth_max"),
        xml_attributes=settings.limit("xml_attributes_max"),
        xml_skeleton_max_bytes=settings.limit("xml_skeleton_max_bytes"),
        xml_stream_max_bytes=settings.limit("message_max_bytes"),
    )


def read_limits(settings: Settings) -> ReadLimits:
    """Return the limits for what a message holds (exchange.md 10)."""
    return ReadLimits(
        depth=settings.limit("xml_depth_max"),
        attributes=settings.limit("xml_attributes_max"),
        of_a_kind=settings.limit("xml_elements_of_a_kind_max"),
        attachments=settings.limit("attachments_max"),
        recipients=settings.limit("recipients_max"),
        attachment_bytes=settings.limit("attachment_max_bytes"),
        zip_ratio=settings.limit("zip_ratio_max"),
    )


def keep_status(unit: Unit, fetched: TrustStore, now: datetime) -> None:
    """Keep fetched status answers, so that what was judged with them can be judged again (R69)."""
    for kind, answers in (("crl", fetched.crls), ("ocsp", fetched.ocsps)):
        for answer in answers:
            directories.keep_revocation(unit, kind, answer, fetched_at=now, next_update=None)


def milliseconds(moment: datetime) -> datetime:
    """Cut a moment to whole milliseconds, as leaves, slips and receipts write it."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def record(event_name: str, **facts: str | int | None) -> bytes:
    """Return the bytes of a ``record``: canonical JSON of an act's plain facts, kept as evidence behind its leaf."""
    whole = {"event": event_name, **{name: value for name, value in facts.items() if value is not None}}
    return json.dumps(whole, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode("utf-8")


def peer_field(peer: LedgerRef | None) -> Mapping[str, event.Value] | None:
    """Return the field ``peer`` of a leaf: a claim about the other side's log until its proof is checked."""
    if peer is None:
        return None
    return {"peer": {"origin": peer.origin, "index": peer.index, "leaf": peer.leaf}}
