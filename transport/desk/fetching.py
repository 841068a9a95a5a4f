"""What ``edoc verify --online`` fetches: status answers that are missing, and issuers a signature did not bring.

A node keeps the status answers, so that the same can be judged again (R69); without a node they serve this call alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from signer.report import Code, Need, Report
from signer.trust import TrustStore
from transport.desk import trusting
from transport.errors import TransportError
from transport.present.errors import fault
from transport.settings import Settings, load

if TYPE_CHECKING:
    from transport.desk.console import Console
    from transport.http.addresses import Reach


@dataclass(slots=True)
class Fetching:
    """What was asked for one file; nothing is asked for twice."""

    console: Console
    at: datetime
    asked: set[str] = field(default_factory=set)
    needed: set[Need] = field(default_factory=set)

    def more(self, report: Report) -> TrustStore | None:
        """Return what could be had of what the judgement lacked, or ``None``: then judging again changes nothing."""
        needs = tuple(need for need in dict.fromkeys(_needs(report)) if need not in self.needed)
        issuers = tuple(_unknown_issuers(report))
        if not needs and not issuers:
            return None
        self.needed.update(needs)
        found = self._status(needs).merged(self._issuers(issuers))
        return found if found.crls or found.ocsps or found.intermediates else None

    def _status(self, needs: tuple[Need, ...]) -> TrustStore:
        from transport.http.pki import fetch_status

        if not needs:
            return TrustStore()
        settings = settings_of(self.console)
        found = fetch_status(needs, reach=_reach(settings)).coming_from("online")
        if trusting.node_home(self.console) is not None and (found.crls or found.ocsps):
            _keep(self.console, settings, found, self.at)
        return found

    def _issuers(self, certificates: tuple[bytes, ...]) -> TrustStore:
        from transport.http.issuers import addresses, fetch_issuers

        urls = tuple(url for url in addresses(certificates) if url not in self.asked)
        self.asked.update(urls)
        return fetch_issuers(urls, reach=_reach(settings_of(self.console))) if urls else TrustStore()


def settings_of(console: Console) -> Settings:
    """Return the settings of this call: they may name policy, network, limits and algorithm table (console.md 6)."""
    home = trusting.home_of(console)
    return load(home=home, config=console.config, environ=console.environ, overrides={})


def _reach(settings: Settings) -> Reach:
    from transport.http.addresses import Reach

    return Reach.of(settings.network_private, demo=settings.demo)


def _needs(report: Report) -> Iterator[Need]:
    """Return the status answers that were missing, those of the parts included."""
    yield from report.needs
    for _, part in report.parts:
        yield from _needs(part)


def _unknown_issuers(report: Report) -> Iterator[bytes]:
    """Return the certificates at hand of a file whose paths end nowhere; their issuers may help."""
    subs = [signature.sub_indication for signature in report.signatures]
    subs += [stamp.sub_indication for signature in report.signatures for stamp in signature.timestamps]
    if Code.NO_CERTIFICATE_CHAIN_FOUND in subs:
        yield from (item.data for item in report.evidence if item.kind == "certificate")
    for _, part in report.parts:
        yield from _unknown_issuers(part)


def _keep(console: Console, settings: Settings, found: TrustStore, at: datetime) -> None:
    """Keep what was fetched; a node that cannot be written to is told of, the check goes on."""
    from transport.node.office import keep_status
    from transport.store.store import Store

    try:
        with Store.open(settings) as store:
            store.do(lambda unit: keep_status(unit, found, at))
    except TransportError as error:
        console.warn(fault(error, console.lang).message)
