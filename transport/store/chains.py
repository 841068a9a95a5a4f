"""The newest leaf of each dispatch and side among the leaves committed last (ledger.md 4.1, rule 5).

``prev`` is asked for before every leaf, and the leaves of a dispatch come soon after one another; so whoever wrote them
remembers them, and the database is asked only for what it cannot know: leaves of the transaction that is under way,
leaves of other processes, and older ones. Only leaves whose commit has returned get in here, and only where one
transaction writes at a time (SQLite): there the tickets of a transaction follow those before without a gap.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from transport.ledger.canonical import Json

Chain: TypeAlias = tuple[str, str, str, str]
"""Sender, recipient, message id, side."""

KEPT = 4096
"""Chains of one generation; two generations are kept."""


class Chains:
    """Leaf hashes (hexadecimal) of chains, for all tickets above ``base`` up to ``top``; of others nothing is said."""

    def __init__(self) -> None:
        self.base = 0
        self.top = 0
        self._middle = 0  # the older generation ends here
        self._newer: dict[Chain, str] = {}
        self._older: dict[Chain, str] = {}

    def newest(self, chain: Chain) -> str | None:
        """Return the hash of the newest leaf of a chain, ``None`` when none is remembered."""
        return self._newer.get(chain) or self._older.get(chain)

    def committed(self, leaves: Sequence[tuple[int, str, Mapping[str, Json]]]) -> None:
        """Remember the leaves of a transaction after its commit: ticket, hash, fields, in the order of tickets."""
        if not leaves:
            return
        first, last = leaves[0][0], leaves[-1][0]
        if first != self.top + 1 or last - first + 1 != len(leaves):  # somebody else has written in between
            self._begin_behind(first - 1 if last - first + 1 == len(leaves) else last)
        if last > self.top:
            for _, sha256, fields in leaves:
                if (chain := chain_of(fields)) is not None:
                    self._newer[chain] = sha256
        self.top = last
        if len(self._newer) >= KEPT:
            self.base, self._middle = self._middle, last
            self._older, self._newer = self._newer, {}

    def _begin_behind(self, ticket: int) -> None:
        self.base = self.top = self._middle = ticket
        self._newer, self._older = {}, {}


def chain_of(fields: Mapping[str, Json]) -> Chain | None:
    """Return the chain a leaf with these fields belongs to, ``None`` when it is no dispatch's."""
    sender, recipient, message, side = (fields.get(name) for name in ("from", "to", "msg", "side"))
    if isinstance(sender, str) and isinstance(recipient, str) and isinstance(message, str) and isinstance(side, str):
        return sender, recipient, message, side
    return None
