"""One envelope on its way to one office: states, events, transitions, next attempt (exchange.md 6)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """States of a dispatch; the last four are final."""

    QUEUED = "queued"
    CARRYING = "carrying"
    UNKNOWN = "unknown"
    DELIVERED = "delivered"
    REFUSED = "refused"
    EXPIRED = "expired"
    RECALLED = "recalled"


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """K, the key of a dispatch (exchange.md 1): agency codes in the directory's canonical form, message id a UUID."""

    sender: str
    recipient: str
    message_id: str
