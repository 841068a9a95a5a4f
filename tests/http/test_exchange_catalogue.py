"""Every error code of the exchange over HTTP has its words in both languages."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2] / "transport"


def test_every_code_raised_here_is_explained_and_its_facts_are_given() -> None:
    catalogue = tomllib.loads((ROOT / "present/catalogue/EXC.toml").read_text("utf-8"))
    sources = [*(ROOT / "http").rglob("*.py"), ROOT / "receipts.py", ROOT / "receiptform.py"]
    raised = {code for path in sources for code in re.findall(r"EDOC-EXC-\d{3}", path.read_text("utf-8"))}
    assert raised <= set(catalogue)
    for code, entry in catalogue.items():
        assert entry["exit"] in range(1, 7), code
        for lang in ("vi", "en"):
            assert set(entry[lang]) == {"what", "why", "next"}, code
            assert all(entry[lang].values()), code
        facts = [set(re.findall(r"{(\w+)}", " ".join(entry[lang].values()))) for lang in ("vi", "en")]
        assert facts[0] == facts[1], code
