"""The bytes behind a leaf's ``receipt``: a receipt as stored, or a blob (record, status message, key statement)."""

from __future__ import annotations

from transport.errors import StoreError
from transport.store.store import Store


def bytes_to_check(store: Store, digest: str) -> bytes | None:
    """Return the bytes kept under a digest for a check that hashes them; damaged ones are no bytes, never missing."""
    try:
        return bytes_behind(store, digest) or store.fetch(digest)
    except StoreError as error:
        if error.code == "EDOC-STO-008":
            return None
        if error.code == "EDOC-STO-006":
            return b""
        raise


def bytes_behind(store: Store, digest: str) -> bytes | None:
    """Return the bytes with this SHA-256 (hexadecimal), or ``None`` where they are not kept here."""
    row = store.ask("SELECT data FROM receipt WHERE sha256 = ?", (digest,))
    if row is not None:
        return bytes(row[0])
    try:
        return store.fetch(digest)
    except StoreError:
        return None
