"""Paths of the exchange protocol (exchange.md 3): K in the path, percent-encoded, and back.

Promises: :func:`path_of` and :func:`key_of` are exact inverses; a path that :func:`path_of` would not have written is
not a key (so there is one spelling of each resource in signatures and logs).
"""

from __future__ import annotations

import re
import uuid
from urllib.parse import quote, unquote_to_bytes

from transport.names import Key

BASE = "/exchange/v1"
METADATA = "/.well-known/edoc-exchange"
PING = BASE + "/ping"
OPENAPI = BASE + "/openapi.json"
UPLOADS = BASE + "/uploads"

_K = re.compile(re.escape(BASE) + r"/to/([^/]+)/from/([^/]+)/([0-9a-f-]{36})(/receipt|/content)?")
_FEED = re.compile(re.escape(BASE) + r"/to/([^/?]+)/feed(?:\?(.*))?")
_AGENCY = re.compile(r"[!-~]{1,64}")


def path_of(key: Key, suffix: str = "") -> str:
    """Return the path of K below the host, with ``suffix`` ``""`` (E1, E2), ``"/receipt"`` (E3) or ``"/content"``."""
    return f"{BASE}/to/{quote(key.recipient, safe='')}/from/{quote(key.sender, safe='')}/{key.message_id}{suffix}"


def key_of(path: str) -> tuple[Key, str] | None:
    """Return K and the suffix of a path as it stood in the request line, or ``None`` if it names no message."""
    found = _K.fullmatch(path)
    if found is None:
        return None
    recipient, sender, message_id, suffix = found.groups(default="")
    try:
        key = Key(_plain(sender), _plain(recipient), str(uuid.UUID(message_id)))
    except ValueError:
        return None
    return (key, suffix) if path_of(key, suffix) == path else None


def upload_path(key: Key) -> str:
    """Return the path at which an upload for K is made (exchange.md 12)."""
    return UPLOADS + path_of(key).removeprefix(BASE)


def upload_of(path: str) -> Key | None:
    """Return K of the path at which an upload is made, ``None`` for others."""
    if not path.startswith(UPLOADS + "/to/"):
        return None
    named = key_of(BASE + path.removeprefix(UPLOADS))
    return named[0] if named is not None and named[1] == "" else None


def feed_path(recipient: str, query: str = "") -> str:
    """Return the path of a recipient's feed (E4), with its query."""
    path = f"{BASE}/to/{quote(recipient, safe='')}/feed"
    return f"{path}?{query}" if query else path


def feed_of(path: str) -> tuple[str, str] | None:
    """Return the recipient and the query of a feed's path as it stood in the request line, ``None`` for others."""
    found = _FEED.fullmatch(path)
    if found is None:
        return None
    try:
        recipient = _plain(found[1])
    except ValueError:
        return None
    query = found[2] or ""
    return (recipient, query) if quote(recipient, safe="") == found[1] else None


def _plain(part: str) -> str:
    text = unquote_to_bytes(part).decode("ascii")
    if _AGENCY.fullmatch(text) is None:
        raise ValueError("not an agency code")
    return text
