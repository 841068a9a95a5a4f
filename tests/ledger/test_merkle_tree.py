"""The tree and its proofs, checked against RFC 6962 written out in a few lines."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ledger import reference
from transport.ledger import merkle
from transport.ledger.merkle import Edge, ProofInvalid

LEAVES = [merkle.leaf_hash(number.to_bytes(4, "big")) for number in range(70_000)]
FEW = LEAVES[:700]
ROOTS = [reference.mth(FEW[:size]) for size in range(len(FEW) + 1)]

sizes = st.integers(min_value=1, max_value=len(FEW))


def test_an_empty_log_has_the_hash_of_nothing_as_its_root() -> None:
    assert merkle.root_of([]) == sha256(b"").digest() == merkle.EMPTY_ROOT


def test_leaves_and_nodes_are_hashed_apart_as_rfc_6962_says() -> None:
    assert merkle.leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert merkle.node_hash(b"a" * 32, b"b" * 32) == sha256(b"\x01" + b"a" * 32 + b"b" * 32).digest()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 255, 256, 257, 65_536, 70_000])
def test_the_root_of_a_log_is_that_of_rfc_6962(size: int) -> None:
    assert merkle.root_of(LEAVES[:size]) == reference.mth(LEAVES[:size])


@pytest.mark.parametrize("size", range(1, 66))
def test_every_proof_of_a_small_log_is_that_of_rfc_6962_and_verifies(size: int) -> None:
    leaves, root = LEAVES[:size], ROOTS[size]
    for index in range(size):
        path = merkle.inclusion_path(index, leaves)
        assert list(path) == reference.path(index, leaves)
        merkle.verify_inclusion(index, size, leaves[index], path, root)
    for old in range(1, size):
        path = merkle.consistency_path(old, leaves)
        assert list(path) == reference.proof(old, leaves)
        merkle.verify_consistency(old, size, path, old_root=ROOTS[old], new_root=root)


@given(size=sizes, data=st.data())
def test_every_inclusion_proof_verifies_and_every_mutation_is_refused(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    path = list(merkle.inclusion_path(index, FEW[:size]))
    merkle.verify_inclusion(index, size, FEW[index], path, ROOTS[size])
    wrong = data.draw(st.sampled_from(_mutations(path, data)))
    with pytest.raises(ProofInvalid):
        merkle.verify_inclusion(index, size, FEW[index], wrong, ROOTS[size])
    other = data.draw(
        st.integers(0, size - 1).filter(lambda value: FEW[value] != FEW[index]) if size > 1 else st.none()
    )
    if other is not None:
        with pytest.raises(ProofInvalid):
            merkle.verify_inclusion(other, size, FEW[index], path, ROOTS[size])


@given(new=sizes, data=st.data())
def test_every_consistency_proof_verifies_and_every_mutation_is_refused(new: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(1, new))
    path = list(merkle.consistency_path(old, FEW[:new]))
    merkle.verify_consistency(old, new, path, old_root=ROOTS[old], new_root=ROOTS[new])
    wrong = data.draw(st.sampled_from(_mutations(path, data)))
    with pytest.raises(ProofInvalid):
        merkle.verify_consistency(old, new, wrong, old_root=ROOTS[old], new_root=ROOTS[new])
    flipped = _flip(ROOTS[old], data)
    with pytest.raises(ProofInvalid):
        merkle.verify_consistency(old, new, path, old_root=flipped, new_root=ROOTS[new])
    with pytest.raises(ProofInvalid):
        merkle.verify_consistency(old, new, path, old_root=ROOTS[old], new_root=_flip(ROOTS[new], data))


def _mutations(path: list[bytes], data: st.DataObject) -> list[list[bytes]]:
    """A hash more at either end; a hash less, a bit changed, two hashes swapped where there are any."""
    extra = bytes(32)
    found = [[*path, extra], [extra, *path]]
    if path:
        at = data.draw(st.integers(0, len(path) - 1))
        found += [path[:at] + path[at + 1 :], [*path[:at], _flip(path[at], data), *path[at + 1 :]]]
        found.append([*path[:at], path[at][:31], *path[at + 1 :]])
    if len(path) > 1:
        found.append([path[1], path[0], *path[2:]])
    return found


def _flip(value: bytes, data: st.DataObject) -> bytes:
    bit = data.draw(st.integers(0, 255))
    changed = bytearray(value)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@pytest.mark.parametrize(("index", "size"), [(0, 0), (1, 1), (-1, 1), (5, 5), (2**63, 2**63), (0, 2**63)])
def test_an_index_outside_the_tree_is_refused_before_any_arithmetic(index: int, size: int) -> None:
    with pytest.raises(ProofInvalid):
        merkle.root_from_inclusion(index, size, bytes(32), [])
    with pytest.raises(ProofInvalid):
        merkle.inclusion_ranges(index, size)


def test_a_proof_of_the_largest_tree_has_at_most_63_hashes() -> None:
    size = merkle.MAX_SIZE
    assert len(merkle.inclusion_ranges(0, size)) == 63
    with pytest.raises(ProofInvalid, match="too many"):
        merkle.root_from_inclusion(0, size, bytes(32), [bytes(32)] * 70)


def test_a_log_extends_the_empty_log_and_itself_without_hashes() -> None:
    merkle.verify_consistency(0, 5, [], old_root=merkle.EMPTY_ROOT, new_root=ROOTS[5])
    merkle.verify_consistency(5, 5, [], old_root=ROOTS[5], new_root=ROOTS[5])
    with pytest.raises(ProofInvalid, match="different roots"):
        merkle.verify_consistency(5, 5, [], old_root=ROOTS[5], new_root=ROOTS[4])
    with pytest.raises(ProofInvalid, match="different roots"):
        merkle.verify_consistency(0, 5, [], old_root=ROOTS[1], new_root=ROOTS[5])
    with pytest.raises(ProofInvalid, match="larger"):
        merkle.verify_consistency(6, 5, [], old_root=ROOTS[5], new_root=ROOTS[5])


@given(start=st.integers(0, 300), more=st.integers(0, 300))
@settings(max_examples=50)
def test_an_edge_read_back_from_its_bytes_goes_on_growing_the_same_tree(start: int, more: int) -> None:
    edge = Edge()
    for leaf in FEW[:start]:
        edge.append(leaf)
    again = Edge.from_bytes(start, edge.to_bytes())
    assert again.hashes == edge.hashes
    for leaf in FEW[start : start + more]:
        again.append(leaf)
    assert again.root() == ROOTS[start + more]


@pytest.mark.parametrize(
    ("size", "data"), [(1, b""), (0, bytes(32)), (3, bytes(32)), (1, bytes(31)), (2**63, bytes(32))]
)
def test_an_edge_that_does_not_fit_its_size_is_refused(size: int, data: bytes) -> None:
    with pytest.raises(ValueError, match="edge"):
        Edge.from_bytes(size, data)
