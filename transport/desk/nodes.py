"""The node at the desk: opened for one command, with its keys only where the command needs them."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from transport.desk import ledgers, secrets
from transport.errors import SettingsError
from transport.present.errors import CommandError

if TYPE_CHECKING:
    import ssl

    from signer.credential import PassphraseSource, Secret
    from transport.desk.console import Console
    from transport.evidence import AuditResult
    from transport.http.wire import RequestKey
    from transport.node.node import Node
    from transport.node.office import Office, StatusFetcher
    from transport.node.opening import Created
    from transport.node.proving import Package as BuiltPackage
    from transport.node.sending import Sent
    from transport.settings import Settings
    from transport.store.values import DispatchView, RowFilter

log = logging.getLogger("edoc.node")

FINAL = frozenset({"delivered", "refused", "expired", "recalled"})
TRANSPORT_ANCHORS = "transport-anchors.pem"


@dataclass(frozen=True, slots=True)
class Pins:
    """Where this call finds pass phrases; ``answers`` are those a process of before was given, by what was asked."""

    pin_fd: int | None = None
    pin_file: str | None = None
    answers: dict[str, Secret | None] | None = None


def passphrase(console: Console, pins: Pins) -> PassphraseSource:
    """Return what is asked for pass phrases; ``None`` where there is nobody to ask, and the key decides."""
    ask = secrets.source(console, pin_fd=pins.pin_fd, pin_file=pins.pin_file)
    known = pins.answers if pins.answers is not None else {}

    def answer(what: str) -> Secret | None:
        if what in known:
            return known[what]
        try:
            found = ask(what)
        except CommandError as error:
            if error.code != "EDOC-USE-023":
                raise
            found = None
        if pins.answers is not None:
            known[what] = found
        return found

    return answer


def login() -> str:
    """Return who is at the desk: the name of the system's account."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid()) if hasattr(os, "getuid") else "-"


@contextmanager
def working(console: Console, pins: Pins = Pins(), *, need_exchange: bool = True) -> Iterator[Node]:
    """Open the node with its exchange key, and its ways to the network."""
    from transport.node.node import Node

    settings = ledgers.settings_of(console)
    with Node.open(settings, passphrase=passphrase(console, pins), need_exchange=need_exchange) as node:
        yield node


@contextmanager
def reading(console: Console) -> Iterator[Office]:
    """Open the node for questions: no key is touched, nothing can be written."""
    from transport.node.office import Office
    from transport.store.log import Log
    from transport.store.store import Store

    settings = ledgers.settings_of(console)
    if not settings.agency_code:
        raise SettingsError("EDOC-CFG-021", "the settings name no agency", home=str(settings.home))
    with Store.open(settings, read_only=True) as store:
        yield Office(settings, store, Log(), settings.agency_code, settings.agency_name or settings.agency_code)


def names(office: Office) -> dict[str, str]:
    """Return the names of the agencies known, by code."""
    return {**{agency.code: agency.name for agency in office.directory().agencies}, office.code: office.name}


def host_of(code: str) -> str:
    """Return the host in the name of the log of an agency that named none: ``h99-01.edoc.example``."""
    return f"{code.lower().replace('.', '-')}.edoc.example"


def init(console: Console, *, code: str, name: str, host: str | None, now: datetime, db: str | None = None) -> Created:
    """Make the node of an agency in the home.

    Raises:
        CommandError: there is one already, or the code is none.
        StoreError: the folder cannot be made or written.
    """
    from edoc.agencies import check_code
    from transport.desk import trusting
    from transport.node.opening import create
    from transport.settings import load

    home = trusting.home_of(console)
    if home.exists() and any(home.iterdir()):
        raise CommandError("EDOC-USE-034", home=home)
    settings = load(
        home=home, config=console.config, environ=console.environ, overrides={"database.url": db} if db else {}
    )
    return create(settings, code=check_code(code), name=name, host=host or host_of(code), now=now)


# --- the network -----------------------------------------------------------------------------------------------------


def request_key(node: Node, console: Console, pins: Pins) -> RequestKey | None:
    """Load the key that signs requests; ``None`` if none was imported."""
    from signer.credential import Role
    from signer.errors import CredentialError
    from transport.http.wire import RequestKey
    from transport.node.opening import key_entry, read_key

    entry = key_entry(node.office, Role.REQUEST)
    if entry is None:
        return None
    data = read_key(node.office.settings.home, entry)
    secret = passphrase(console, pins)(entry.name) if b"ENCRYPTED" in data else None
    try:
        return RequestKey.from_pem(data, secret.reveal() if secret else None)
    except ValueError:
        raise CredentialError("EDOC-KEY-002", "the request key cannot be opened", path=entry.name) from None


def networked(node: Node, console: Console, pins: Pins) -> Node:
    """Give the node its request key and its ways to the network, within what the settings allow."""
    from transport.courier import utc_now
    from transport.desk.receiptstamps import ReceiptStamps
    from transport.http.addresses import Reach

    settings = node.office.settings
    reach = Reach.of(settings.network_private, demo=settings.demo)
    node.office.request = request_key(node, console, pins)
    node.office.channel = own_channel(node.office)
    return node.with_network(
        tls=channel(node.office, settings),
        reach=reach,
        fetch_status=status_source(settings),
        timestamper=ReceiptStamps(node.office, clock=utc_now) if settings.tsa_urls else None,
    )


def channel(office: Office, settings: Settings) -> ssl.SSLContext | None:
    """Return the TLS context with the anchors of use ``tls``; the system's anchors are never used."""
    from transport.http.tls import client_context
    from transport.store import directory

    anchors = [entry.data for entry in office.store.read(directory.anchors) if "transport" in entry.uses]
    if not anchors:
        return None
    import ssl

    from signer.credential import Role
    from transport.node.opening import key_entry, write_private

    path = settings.home / TRANSPORT_ANCHORS
    write_private(path, "".join(map(ssl.DER_cert_to_PEM_cert, anchors)).encode("ascii"))
    entry = key_entry(office, Role.TLS)
    return client_context(path, certificate=None if entry is None else directory.key_path(settings.home, entry))


def own_channel(office: Office) -> bytes | None:
    """Return the certificate (DER) with which this node calls others over TLS, ``None`` without one."""
    from signer.credential import Role
    from signer.errors import SignerError
    from signer.trust import load_certificates
    from transport.node.opening import key_entry, read_key

    entry = key_entry(office, Role.TLS)
    if entry is None:
        return None
    try:
        return load_certificates(read_key(office.settings.home, entry))[0]
    except SignerError:
        return None


def carry(node: Node, message_id: str, *, seconds: float) -> tuple[DispatchView, ...]:
    """Carry here until every recipient has answered or the time is up; a running server may do it instead."""
    from transport.courier import utc_now
    from transport.store.claims import heal_clock

    end = time.monotonic() + seconds

    def enough() -> bool:
        return time.monotonic() >= end or all(one.state.value in FINAL for one in node.dispatches(message_id))

    if not enough():
        # a clock that was ahead may have queued it: what waits for that moment is due now (exchange.md 6)
        node.office.store.do(lambda unit: heal_clock(unit, utc_now()))
        asyncio.run(_carry(node, enough, seconds))
    return node.dispatches(message_id)


async def _carry(node: Node, enough: Callable[[], bool], seconds: float) -> None:
    stop = asyncio.Event()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds + 5.0):
            await node.run_courier(stop, until=enough)


# --- lists -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Listing:
    """What a list command asks, as typed."""

    state: str | None = None
    agency: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    search: str | None = None
    overdue: bool = False
    limit: int = 50
    after: str | None = None


def row_filter(office: Office, asked: Listing, *, now: datetime) -> RowFilter:
    """Return the question for the store; the agency by code or alias.

    Raises:
        UnknownAgency: the directory has none of that name; the nearest are proposed.
    """
    from transport.store.values import RowFilter

    if not 1 <= asked.limit <= 1000:
        raise CommandError("EDOC-USE-004", name="--limit", value=asked.limit, expected="1…1000")
    code = office.directory().find(asked.agency).code if asked.agency else None
    return RowFilter(
        state=asked.state,
        agency=code,
        since=asked.since,
        until=asked.until,
        search=asked.search,
        overdue=asked.overdue,
        limit=asked.limit,
        after=asked.after,
        now=now,
    )


LARGE_BYTES = 16 * 1024 * 1024
"""Packed files above this are not held whole (exchange.md 12)."""


@dataclass(frozen=True, slots=True)
class PackedInput:
    """A packed file as given: its bytes, or its path where it is large."""

    data: bytes
    path: Path | None = None

    @classmethod
    def of(cls, name: str, console: Console) -> PackedInput:
        """Open a file of the command line.

        Raises:
            CommandError: it cannot be read.
        """
        from transport.desk.files import read_input

        path = Path(name)
        if name != "-" and path.is_file() and path.stat().st_size > LARGE_BYTES:
            return cls(b"", path)
        return cls(read_input(name, console))

    @property
    def sha256(self) -> str:
        """SHA-256 (hexadecimal) of the file."""
        from hashlib import sha256

        from transport.node.sendinglarge import digest_of

        return sha256(self.data).hexdigest() if self.path is None else digest_of(self.path)

    def recipients(self, office: Office, to: Sequence[str], *, now: datetime) -> tuple[str, ...]:
        """Check every rule of sending and return the recipients; nothing is sealed or queued."""
        from transport.node import sendinglarge

        if self.path is None:
            return recipients_of(office, self.data, to, now=now)
        return sendinglarge.recipients_of(office, self.path, to or None, now=now)

    def send(self, node: Node, to: Sequence[str] | None, *, now: datetime, allow_information_only: bool) -> Sent:
        """Seal and queue it; see ``sending.send``."""
        from transport.node import sendinglarge

        if self.path is None:
            return node.send(self.data, now=now, to=to, allow_information_only=allow_information_only)
        return sendinglarge.send_file(
            node.office, self.path, to=to, now=now, allow_information_only=allow_information_only
        )


def recipients_of(office: Office, data: bytes, to: Sequence[str], *, now: datetime) -> tuple[str, ...]:
    """Check every rule of sending and return the recipients; nothing is sealed or queued (``--dry-run``)."""
    from edoc.seal import read_packed
    from transport.intake import vietnam_day
    from transport.node.sending import check_rules

    message = read_packed(data)
    return check_rules(office, message, directory=office.directory(), day=vietnam_day(now), to=to or None)


def status_source(settings: Settings) -> StatusFetcher:
    """Return how missing status answers are fetched, within what the settings allow to be reached."""
    from transport.http.addresses import Reach
    from transport.http.statuses import StatusServices

    return StatusServices(reach=Reach.of(settings.network_private, demo=settings.demo))


@dataclass(frozen=True, slots=True)
class Package:
    """How an evidence package is wanted."""

    to: str | None = None
    content: bool = True
    withhold: tuple[str, ...] = ()
    peer: bytes | None = None


def evidence(
    console: Console, pins: Pins, ref: str, wanted: Package, *, now: datetime
) -> tuple[BuiltPackage, AuditResult]:
    """Build the package and return it with its audit; the export is an entry of the ledger.

    Raises:
        RefError, LedgerError: there is no such document, or the log does not hold it.
    """
    from transport.evidence import AuditResult
    from transport.node.proving import Asked

    with working(console, pins) as node:
        recipient = node.office.directory().find(wanted.to).code if wanted.to else None
        asked = Asked(
            person=login(), recipient=recipient, content=wanted.content, withhold=wanted.withhold, peer=wanted.peer
        )
        package = node.evidence(ref, asked, now=now)
    assert isinstance(package.audit, AuditResult)
    return package, package.audit
