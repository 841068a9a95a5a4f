"""Every code of the ledger and the audit has its words in both languages; auditing loads nothing it does not need."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from transport.evidence import STEPS, Result
from transport.present import catalogue

ROOT = Path(__file__).parent.parent.parent
CATALOGUE = ROOT / "transport/present/catalogue"
SOURCES = [
    path.read_text("utf-8")
    for folder in ("transport/ledger", "transport/evidence", "transport/store")
    for path in sorted((ROOT / folder).glob("*.py"))
    if folder != "transport/store" or path.name.startswith("log")
]
SOURCES.append((ROOT / "transport/node/comparing.py").read_text("utf-8"))
WORDS = tomllib.loads((CATALOGUE / "audit.toml").read_text("utf-8"))


def test_every_error_of_the_ledger_has_words_and_every_word_an_error() -> None:
    used = {code for source in SOURCES for code in re.findall(r'"(EDOC-LED-\d{3})"', source)}
    assert used == set(catalogue.area("LED"))


@pytest.mark.parametrize("lang", ["vi", "en"])
def test_every_step_result_and_reason_has_words(lang: str) -> None:
    reasons = {code for source in SOURCES for code in re.findall(r'(?:broken|not_proved)\(\s*"([a-z0-9-]+)"', source)}
    reasons |= {code for source in SOURCES for code in re.findall(r'return "([a-z]+(?:-[a-z]+)+)"', source)}
    reasons |= {code for source in SOURCES for code in re.findall(r'\("(no-trust|zip|not-as-written)",\)', source)}
    assert reasons - set(WORDS["scopes"]) <= set(WORDS["reasons"])
    assert set(STEPS) == set(WORDS["steps"])
    assert {str(result) for result in Result} == set(WORDS["results"])
    for table in WORDS.values():
        assert all(entry[lang] for entry in table.values())


def test_every_problem_of_the_log_s_check_has_words() -> None:
    codes = {code for source in SOURCES for code in re.findall(r'found\.add\("([a-z-]+)"', source)}
    assert codes == set(WORDS["ledger"])


def test_auditing_loads_neither_pdf_nor_database_nor_network() -> None:
    program = (
        "import sys, transport.evidence.auditing, transport.evidence.packing\n"
        "import signer.asic, signer.xml.verify, edoc.seal\n"
        "print([name for name in ('pyhanko', 'sqlmodel', 'sqlalchemy', 'aiohttp') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
