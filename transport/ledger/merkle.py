"""The tree of the ledger: RFC 6962 section 2.1, the same as RFC 9162 section 2.1, with SHA-256.

Promises: leaf = H(0x00 || data), node = H(0x01 || left || right), a tree of n leaves is split at the largest power of
two below n, the empty root is H(""). Proofs are made and checked as RFC 9162 sections 2.1.3 and 2.1.4 say, with exact
bounds: an index outside the tree is refused before any arithmetic, a proof has exactly the hashes it needs. This module
knows integers and bytes; which root to believe is decided by whoever holds a signed checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256

from transport.errors import LedgerError

HASH_SIZE = 32
MAX_SIZE = 2**63 - 1
"""Largest tree: sizes and indices fit a signed 64-bit integer."""
MAX_PATH = 63
"""No proof is longer: one hash for each level of the largest tree."""
EMPTY_ROOT = sha256(b"").digest()

NodeReader = Callable[[int, int], bytes]
"""Gives the hash of a complete subtree: its height (0 = leaf hashes) and its number from the left at that height."""


class ProofInvalid(LedgerError):
    """A proof does not lead where it should: wrong hash, wrong number of hashes, or an impossible place."""

    def __init__(self, message: str, **facts: object) -> None:
        super().__init__("EDOC-LED-001", message, detail=message, **facts)


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of a leaf's bytes."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node."""
    return sha256(b"\x01" + left + right).digest()


def split(size: int) -> int:
    """Return the largest power of two smaller than ``size`` (at least 2)."""
    return 1 << ((size - 1).bit_length() - 1)


# --- growing ---------------------------------------------------------------------------------------------------------


class Edge:
    """The right edge of a growing tree: the roots of its complete subtrees, the largest first.

    It is all that is needed to append and to know the root: at most 63 hashes, 2,016 bytes.
    """

    __slots__ = ("hashes", "size")

    def __init__(self, size: int = 0, hashes: Iterable[bytes] = ()) -> None:
        self.size = size
        self.hashes = list(hashes)
        if not 0 <= size <= MAX_SIZE or len(self.hashes) != size.bit_count():
            raise ValueError("the edge of a tree has one hash for each bit of its size")
        if any(len(one) != HASH_SIZE for one in self.hashes):
            raise ValueError("a hash of the edge is not 32 bytes")

    @classmethod
    def from_bytes(cls, size: int, data: bytes) -> Edge:
        """Read what :meth:`to_bytes` made. Raises ``ValueError`` when it does not fit the size."""
        return cls(size, (data[at : at + HASH_SIZE] for at in range(0, len(data), HASH_SIZE)))

    def to_bytes(self) -> bytes:
        """Return the hashes, the largest subtree's first, one after the other."""
        return b"".join(self.hashes)

    def append(self, leaf: bytes) -> None:
        """Add a leaf hash at the right."""
        size, carried = self.size, leaf
        while size & 1:
            carried = node_hash(self.hashes.pop(), carried)
            size >>= 1
        self.hashes.append(carried)
        self.size += 1

    def root(self) -> bytes:
        """Return the root of the tree as it stands."""
        if not self.hashes:
            return EMPTY_ROOT
        result = self.hashes[-1]
        for left in reversed(self.hashes[:-1]):
            result = node_hash(left, result)
        return result


def root_of(hashes: Iterable[bytes]) -> bytes:
    """Return the root of a tree with these leaf hashes."""
    edge = Edge()
    for one in hashes:
        edge.append(one)
    return edge.root()


# --- making proofs ---------------------------------------------------------------------------------------------------


def inclusion_ranges(index: int, size: int) -> tuple[tuple[int, int], ...]:
    """Return the leaf ranges [start, end) whose roots prove ``index`` in a tree of ``size``, the nearest first.

    Raises ``ProofInvalid`` when the index is not in the tree.
    """
    _check_place(index, size)
    low, high = 0, size
    ranges = []
    while high - low > 1:
        middle = low + split(high - low)
        if index < middle:
            ranges.append((middle, high))
            high = middle
        else:
            ranges.append((low, middle))
            low = middle
    return tuple(reversed(ranges))


def consistency_ranges(old: int, new: int) -> tuple[tuple[int, int], ...]:
    """Return the leaf ranges whose roots prove that a tree of ``new`` leaves extends its first ``old`` ones.

    Raises ``ProofInvalid`` when ``old`` is larger. From size 0 and between equal sizes there is nothing to list.
    """
    _check_sizes(old, new)
    if old in (0, new):
        return ()
    low, high, whole = 0, new, True
    ranges = []
    while old != high:
        middle = low + split(high - low)
        if old <= middle:
            ranges.append((middle, high))
            high = middle
        else:
            ranges.append((low, middle))
            low, whole = middle, False
    if not whole:  # the old tree's own root is known to whoever checks; any other part of it must be told
        ranges.append((low, high))
    return tuple(reversed(ranges))


def range_root(start: int, end: int, node: NodeReader) -> bytes:
    """Return the root of the subtree over leaves [start, end) of a proof range, from complete subtrees."""
    parts = []
    at = start
    while at < end:
        height = min((at & -at).bit_length() - 1 if at else MAX_PATH, (end - at).bit_length() - 1)
        parts.append(node(height, at >> height))
        at += 1 << height
    result = parts[-1]
    for left in reversed(parts[:-1]):
        result = node_hash(left, result)
    return result


def inclusion_path(index: int, hashes: Sequence[bytes]) -> tuple[bytes, ...]:
    """Return the inclusion proof of one leaf among leaf hashes held in memory."""
    return tuple(root_of(hashes[start:end]) for start, end in inclusion_ranges(index, len(hashes)))


def consistency_path(old: int, hashes: Sequence[bytes]) -> tuple[bytes, ...]:
    """Return the proof that the tree over ``hashes`` extends the tree over its first ``old`` ones."""
    return tuple(root_of(hashes[start:end]) for start, end in consistency_ranges(old, len(hashes)))


# --- checking proofs -------------------------------------------------------------------------------------------------


def root_from_inclusion(index: int, size: int, leaf: bytes, path: Sequence[bytes]) -> bytes:
    """Return the root that ``path`` leads to from the leaf hash (RFC 9162 section 2.1.3.2).

    Raises ``ProofInvalid`` when the index is not in the tree or the number of hashes is not exact.
    """
    _check_place(index, size)
    _check_hashes((leaf, *path))
    number, last, result = index, size - 1, leaf
    for other in path:
        if last == 0:
            raise ProofInvalid("the proof has too many hashes")
        if number & 1 or number == last:
            result = node_hash(other, result)
            while not number & 1 and number:
                number >>= 1
                last >>= 1
        else:
            result = node_hash(result, other)
        number >>= 1
        last >>= 1
    if last:
        raise ProofInvalid("the proof has too few hashes")
    return result


def verify_inclusion(index: int, size: int, leaf: bytes, path: Sequence[bytes], root: bytes) -> None:
    """Return when ``path`` leads from the leaf hash at ``index`` to ``root``. Raises ``ProofInvalid`` otherwise."""
    if root_from_inclusion(index, size, leaf, path) != root:
        raise ProofInvalid("the proof leads to another root", index=index, size=size)


def verify_consistency(old: int, new: int, path: Sequence[bytes], *, old_root: bytes, new_root: bytes) -> None:
    """Return when the tree of ``new`` leaves extends the tree of ``old`` leaves (RFC 9162 section 2.1.4.2).

    Size 0 is consistent with everything, so a caller must not count it as a proof. Equal sizes need equal roots and no
    hashes. Raises ``ProofInvalid`` otherwise.
    """
    _check_sizes(old, new)
    _check_hashes((old_root, new_root, *path))
    if old in (0, new):
        if path:
            raise ProofInvalid("the proof has too many hashes")
        if (old == new and old_root != new_root) or (old == 0 and old_root != EMPTY_ROOT):
            raise ProofInvalid("two trees of one size have different roots", size=old)
        return
    known = (old_root, *path) if old & (old - 1) == 0 else tuple(path)
    if not known:
        raise ProofInvalid("the proof has too few hashes")
    if _roots_from_consistency(old, new, known) != (old_root, new_root):
        raise ProofInvalid("the larger tree does not extend the smaller one", old=old, size=new)


def _roots_from_consistency(old: int, new: int, path: Sequence[bytes]) -> tuple[bytes, bytes]:
    number, last = old - 1, new - 1
    while number & 1:
        number >>= 1
        last >>= 1
    first = second = path[0]
    for other in path[1:]:
        if last == 0:
            raise ProofInvalid("the proof has too many hashes")
        if number & 1 or number == last:
            first, second = node_hash(other, first), node_hash(other, second)
            while not number & 1 and number:
                number >>= 1
                last >>= 1
        else:
            second = node_hash(second, other)
        number >>= 1
        last >>= 1
    if last:
        raise ProofInvalid("the proof has too few hashes")
    return first, second


def _check_place(index: int, size: int) -> None:
    if not 0 < size <= MAX_SIZE or not 0 <= index < size:
        raise ProofInvalid("the index is not in the tree", index=index, size=size)


def _check_sizes(old: int, new: int) -> None:
    if not 0 <= old <= new <= MAX_SIZE:
        raise ProofInvalid("the older tree is larger than the newer one", old=old, size=new)


def _check_hashes(hashes: Sequence[bytes]) -> None:
    if len(hashes) > MAX_PATH + 2:
        raise ProofInvalid("the proof has too many hashes")
    if any(len(one) != HASH_SIZE for one in hashes):
        raise ProofInvalid("a hash is not 32 bytes")
