"""Content of a signature, hashed piecewise and once per digest (signing.md 6, S1)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from signer.cms import digest_with

PIECE_BYTES = 1 << 20


@dataclass(slots=True)
class Octets:
    """Octets whose digests are remembered; ``name`` is what the caller calls them."""

    data: bytes = field(repr=False)
    name: str = ""
    known: dict[str, bytes] = field(default_factory=dict, repr=False)

    def digest(self, name: str) -> bytes | None:
        """Return the digest by a hash named as in CMS; ``None`` if it cannot be computed."""
        if name not in self.known:
            try:
                digest_with(name, b"")
            except ValueError:
                return None
            self.known[name] = self._hashed(name)
        return self.known[name]

    def _hashed(self, name: str) -> bytes:
        if name.startswith("shake"):
            return digest_with(name, self.data)
        running = hashlib.new(name, usedforsecurity=False)
        with memoryview(self.data) as view:
            for at in range(0, len(view), PIECE_BYTES):
                running.update(view[at : at + PIECE_BYTES])
        return running.digest()
