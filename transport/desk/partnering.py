"""``edoc agency add`` without certificates: the keys come from the partner's metadata, confirmed by fingerprint (4.6).

The fingerprint is the SHA-256 of the key that signed the metadata: the partner's ``edoc key list`` shows it. It is
compared by a person, or given by a script that had it from elsewhere.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from transport.desk import ledgers, nodes, tables
from transport.present.errors import CommandError

if TYPE_CHECKING:
    from edoc.agencies import Agency
    from transport.desk.console import Console
    from transport.metadata import Changes, Metadata


@dataclass(frozen=True, slots=True)
class Found:
    """Metadata as fetched, its signature verified by the key whose ``fingerprint`` a person is to confirm."""

    metadata: Metadata
    keyid: str
    fingerprint: str
    change: Changes


def fetch(console: Console, given: tables.NewAgency, *, now: datetime) -> Found:
    """Fetch the metadata of an agency's node and verify that the key it names has signed it.

    Raises:
        CommandError: no address was given.
        Refused, TryLater: it cannot be fetched, is not in its form, or not of this agency.
    """
    from edoc.agencies import Agency, Directory, check_code
    from transport import metadata
    from transport.desk import trusting
    from transport.node import partners

    if given.url is None:
        raise CommandError("EDOC-USE-003", name="--url", command="edoc agency add")
    url = given.url if given.url.rstrip("/").endswith("/exchange/v1") else given.url.rstrip("/") + "/exchange/v1"
    body, headers = asyncio.run(_fetched(console, url))
    found, keyid, _ = partners.verified(Directory(()), given.code, url, body, headers, now=now)
    directory = trusting.directory_of(console)
    held = directory.get(given.code) if directory is not None else None
    mine = found.agency(given.code)
    entry = held or Agency(check_code(given.code), given.name or (mine.name if mine else given.code))
    entry = replace(
        entry,
        name=given.name or entry.name,
        old_codes=tuple(dict.fromkeys((*entry.old_codes, *(mine.former if mine else ()), *given.old_codes))),
        aliases=tuple(dict.fromkeys((*entry.aliases, *given.aliases))),
        successor=mine.successor if mine else None,
    )
    change = metadata.changes(entry, found, today=now)
    key = found.request_key(keyid)
    assert key is not None
    return Found(found, keyid, key.sha256, change)


async def _fetched(console: Console, url: str) -> tuple[bytes, tuple[tuple[str, str], ...]]:
    from cryptography.hazmat.primitives.asymmetric import ec

    from transport.courier import utc_now
    from transport.http.addresses import Reach
    from transport.http.client import HttpCarrier
    from transport.http.wire import RequestKey

    settings = ledgers.settings_of(console)
    reach = Reach.of(settings.network_private, demo=settings.demo)
    nobody = RequestKey.of(ec.generate_private_key(ec.SECP256R1()))  # metadata is for anyone: nothing is signed
    with nodes.reading(console) as office:
        tls = nodes.channel(office, settings)
    async with HttpCarrier(request_key=nobody, clock=utc_now, reach=reach, tls=tls) as carrier:
        return await carrier.metadata(url)


def confirm(console: Console, found: Found, *, now: datetime) -> Agency:
    """Enter what a person has confirmed; the entry of before stays in the history."""
    from transport.node import partners

    with tables.changing(console) as office:
        partners.apply(office, found.change.entry.code, found.metadata, found.change, keyid=found.keyid, now=now)
        tables.record(office, "agency.add", subject=found.change.entry.code, now=now, note=found.fingerprint)
    return found.change.entry
