"""``edoc status`` of the node: counts, what is overdue, ledger, certificates; read with the standard library alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from transport.desk.ledgers import settings_of
from transport.errors import SettingsError
from transport.present.text import json_time, person_time
from transport.store import quick
from transport.store.glance import glance
from transport.store.values import KeyEntry, Row

if TYPE_CHECKING:
    from transport.desk.console import Console

Certificates = list[dict[str, object]]


@dataclass(frozen=True, slots=True)
class Standing:
    """The node at a glance."""

    agency: str
    counts: Mapping[str, int]
    overdue: tuple[Row, ...]
    ledger_size: int


def look(console: Console, *, now: datetime) -> tuple[dict[str, str], Standing, Certificates]:
    """Return the names of agencies, how the node stands, and its certificates.

    Raises:
        CommandError, SettingsError, StoreError: there is no node, or it cannot be read.
    """
    settings = settings_of(console)
    if not settings.agency_code:
        raise SettingsError("EDOC-CFG-021", "the settings name no agency", home=str(settings.home))
    seen, head = glance(settings.home, now=now), quick.head(settings.home)
    names = {agency.code: agency.name for agency in quick.directory(settings.home).agencies}
    names[settings.agency_code] = settings.agency_name or settings.agency_code
    overdue = _overdue(console, now) if seen.overdue else ()
    standing = Standing(settings.agency_code, seen.counts, overdue, head.size if head else 0)
    return names, standing, [_certificate(key, now) for key in quick.keys(settings.home) if key.not_after]


def _overdue(console: Console, now: datetime) -> tuple[Row, ...]:
    """Return the documents past their day; only then is the store itself opened."""
    from transport.desk import nodes
    from transport.node import looking
    from transport.store.values import RowFilter

    with nodes.reading(console) as office:
        return looking.inbox(office, RowFilter(overdue=True, now=now)).rows


def _certificate(key: KeyEntry, now: datetime) -> dict[str, object]:
    assert key.not_after is not None
    return {
        "name": key.name,
        "role": key.role,
        "sha256": key.sha256,
        "not_after": json_time(key.not_after),
        "days_left": (key.not_after - now).days,
        "until": person_time(key.not_after),
    }
