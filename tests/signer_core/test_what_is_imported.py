"""Libraries stay where they were put, and judging loads no more than it needs (dependencies.md 1, signing.md 11)."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def _importers(package: str) -> set[str]:
    found = set()
    for folder in ("signer", "edoc", "transport"):
        for file in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                if isinstance(node, ast.ImportFrom) and node.module:
                    names.append(node.module)
                if any(name == package or name.startswith(f"{package}.") for name in names):
                    found.add(file.relative_to(ROOT).as_posix())
    return found


def test_no_path_engine_but_ours_is_asked() -> None:
    """Paths are judged by one implementation of RFC 5280, and verdicts depend on no other."""
    assert _importers("pyhanko_certvalidator") == set()


def test_oscrypto_and_its_trust_list_are_asked_by_nobody() -> None:
    """The system's trust is never used."""
    assert _importers("oscrypto") == _importers("certifi") == set()


@pytest.mark.parametrize("module", ["signer.judge", "signer.checks", "signer.credential", "signer.devpki"])
def test_judging_loads_no_network_no_database_and_no_pdf_library(module: str) -> None:
    """Checking a receipt or an evidence package starts fast and could not reach out if it wanted to."""
    code = (
        f"import sys, {module}\n"
        "heavy = {'pyhanko', 'aiohttp', 'sqlmodel', 'sqlalchemy', 'lxml', 'requests', 'oscrypto'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_loading_a_key_does_not_load_the_path_rules() -> None:
    """A key is loaded where only signatures are made."""
    code = "import sys, signer.credential; print('signer.pathrules' in sys.modules, 'asn1crypto' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
