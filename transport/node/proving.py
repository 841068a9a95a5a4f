"""What the node can prove: its metadata, and the evidence package of a message (exchange.md 8, ledger.md 10)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from transport.node.office import Office
from transport.store import directory as directories


@dataclass(frozen=True, slots=True)
class Asked:
    """How a package is wanted: one recipient, no content, what to withhold, proofs of the other side."""

    recipient: str | None = None
    content: bool = True
    withhold: tuple[str, ...] = ()
    peer: bytes | None = None
    person: str = ""


@dataclass(frozen=True, slots=True)
class Package:
    """A built package with its audit."""

    data: bytes
    sha256: str
    events: tuple[str, ...]
    origin: str
    size: int
    audit: object


def metadata(office: Office, now: datetime) -> dict[str, object]:
    """Return the node's metadata: endpoint, agencies, keys, protocol, ledger (exchange.md 8)."""
    head = office.store.read(office.log.head)
    keys = [
        {
            "use": entry.role,
            "agency": office.code if entry.role == "exchange" else None,
            "sha256": entry.sha256,
            "not_before": entry.not_before.isoformat() if entry.not_before else None,
            "not_after": entry.not_after.isoformat() if entry.not_after else None,
            "status": "active",
        }
        for entry in office.store.read(directories.keys)
        if entry.role in {"exchange", "request", "tls"}
    ]
    return {
        "version": 1,
        "node": office.node_name,
        "issued_at": now.isoformat(),
        "expires_at": (now + timedelta(days=7)).isoformat(),
        "agencies": [{"code": office.code, "name": office.name, "delivery": "push"}],
        "keys": keys,
        "protocol": {"versions": [1], "media_types": ["application/vnd.edoc.message+xml; v=1"], "features": []},
        "limits": office.settings.limits,
        "ledger": {"origin": head.origin, "vkey": office.log.signer.vkey if office.log.signer else None},
    }


def evidence(office: Office, ref: str, asked: Asked, *, now: datetime) -> Package:
    """Build and audit the package of a message (filled in once ``transport.evidence`` is there)."""
    raise NotImplementedError


_ = hashlib
