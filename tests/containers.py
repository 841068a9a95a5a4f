"""Containers of an agency for tests that are about containers, not about when an agency may sign."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from signer.algorithms import PolicyName
from signer.asic import build_asice
from signer.credential import Credential
from signer.timestamp import Timestamper
from signer.trust import Context, TrustStore


def agency_container(
    members: Sequence[tuple[str, bytes, str]],
    *,
    credential: Credential,
    at: datetime,
    timestamper: Timestamper | None = None,
) -> bytes:
    """Return a container by any key; the rule of an agency's key (R28) lets everything pass."""
    return build_asice(
        members,
        credential=credential,
        at=at,
        timestamper=timestamper,
        precondition=lambda _: None,
        context=Context(trust=TrustStore(), at=at, policy=PolicyName.INTEGRITY_ONLY),
    )
