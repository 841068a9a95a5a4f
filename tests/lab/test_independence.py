"""The reader of the laboratory knows nothing of the program it checks; its tree hash is that of the standard."""

from __future__ import annotations

import ast
import hashlib
from pathlib import Path

import pytest

from tests.lab import reader

OURS = {"cli", "edoc", "signer", "transport"}


@pytest.mark.parametrize("name", ["reader", "receiptcheck", "invariants", "powerloss", "proxy", "shim"])
def test_what_checks_the_product_imports_nothing_of_it(name: str) -> None:
    tree = ast.parse((Path(__file__).parent / f"{name}.py").read_text("utf-8"))
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
    assert not found & OURS


def test_the_tree_hash_is_that_of_rfc_6962() -> None:
    """The worked tree of seven leaves: split 4 and 3, the left of the right split 2 and 1."""
    leaves = [hashlib.sha256(b"\x00" + bytes([n])).digest() for n in range(7)]

    def node(left: bytes, right: bytes) -> bytes:
        return hashlib.sha256(b"\x01" + left + right).digest()

    left = node(node(leaves[0], leaves[1]), node(leaves[2], leaves[3]))
    right = node(node(leaves[4], leaves[5]), leaves[6])
    assert reader.tree_hash(leaves) == node(left, right)
    assert reader.tree_hash([]).hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
