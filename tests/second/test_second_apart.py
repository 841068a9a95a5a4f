"""The second implementation stands apart: it would work if the product did not exist."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

MODULES = sorted(Path(__file__).parent.glob("second_*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_it_imports_nothing_of_the_product(path: Path) -> None:
    """The standard library, cryptography, lxml and its own modules."""
    named: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            named.update(one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            named.add(node.module or "")
    foreign = {name for name in named if name.split(".")[0] not in {*sys.stdlib_module_names, "cryptography", "lxml"}}
    assert all(name.startswith("tests.second") for name in foreign), foreign
    assert not any("conftest" in name for name in foreign)
