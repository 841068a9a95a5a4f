"""Certificate policies along a path (RFC 5280, 6.1.2 to 6.1.5, as a graph after RFC 9618).

A policy stands once in each level, with all its parents: a path of certificates made to multiply policies costs no more
than their number.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from signer.x509ext import ANY_POLICY


@dataclass(slots=True)
class Node:
    """A policy in one level: what the next level may call it, and the policies of the level above it comes from."""

    expected: set[str]
    parents: set[str]


@dataclass(slots=True)
class Graph:
    """The valid policies, level by level from the anchor; no level left means that there are none."""

    levels: list[dict[str, Node]] = field(default_factory=lambda: [{ANY_POLICY: Node({ANY_POLICY}, set())}])

    @property
    def is_empty(self) -> bool:
        """Whether no policy is left."""
        return not self.levels

    def descend(self, policies: tuple[str, ...], *, any_allowed: bool) -> None:
        """Add the level of a certificate with these policies (6.1.3 d); none at all empties the graph (e)."""
        if self.is_empty or not policies:
            self.levels.clear()
            return
        above, level = self.levels[-1], dict[str, Node]()
        for policy in policies:
            if policy == ANY_POLICY:
                continue
            parents = {name for name, node in above.items() if policy in node.expected}
            if not parents and ANY_POLICY in above:
                parents = {ANY_POLICY}
            if parents:
                level[policy] = Node({policy}, parents)
        if ANY_POLICY in policies and any_allowed:
            for policy in sorted({name for node in above.values() for name in node.expected} - set(level)):
                parents = {name for name, node in above.items() if policy in node.expected}
                level[policy] = Node({policy}, parents)
        self.levels.append(level)
        self._prune()

    def map(self, pairs: tuple[tuple[str, str], ...], *, allowed: bool) -> None:
        """Apply the policy mappings of an authority (6.1.4 b)."""
        if self.is_empty:
            return
        level = self.levels[-1]
        for policy in sorted({issuers for issuers, _ in pairs}):
            subjects = {subject for issuers, subject in pairs if issuers == policy}
            if not allowed:
                level.pop(policy, None)
            elif policy in level:
                level[policy].expected = subjects
            elif ANY_POLICY in level:
                level[policy] = Node(subjects, {ANY_POLICY})
        self._prune()

    def _prune(self) -> None:
        """Drop what leads nowhere, from the lowest level upwards."""
        for depth in range(len(self.levels) - 1, 0, -1):
            used = {parent for node in self.levels[depth].values() for parent in node.parents}
            above = self.levels[depth - 1]
            for name in [name for name in above if name not in used]:
                del above[name]
        if not self.levels[0] or not self.levels[-1]:
            self.levels.clear()

    def within(self, wanted: frozenset[str]) -> frozenset[str]:
        """Return the authorities' policies that are among the wanted ones (6.1.5 g); *any* wants all."""
        if self.is_empty:
            return frozenset()
        everything = self._domains()
        if ANY_POLICY in wanted:
            return everything
        return wanted if ANY_POLICY in self.levels[-1] else everything & wanted

    def _domains(self) -> frozenset[str]:
        """Return the policies, as the first authority that named them calls them, that reach the lowest level."""
        found: set[str] = set()
        for above, level in zip([{}, *self.levels], self.levels, strict=False):
            found |= {
                name
                for name, node in level.items()
                if name != ANY_POLICY and ANY_POLICY in node.parents and ANY_POLICY in above
            }
        return frozenset(found | ({ANY_POLICY} if ANY_POLICY in self.levels[-1] else set()))
