"""Every error and warning of the room has its sentences in both languages, and no entry is left over."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
CATALOGUE = ROOT / "transport" / "present" / "catalogue"


def sources(*rooms: str) -> str:
    """Return the sources of ``edoc``, and of rooms beside it."""
    return "\n".join(
        path.read_text("utf-8") for room in ("edoc", *rooms) for path in sorted((ROOT / room).rglob("*.py"))
    )


def test_every_code_has_an_entry_and_every_entry_a_use() -> None:
    """Codes of area DOC; the desk refuses by the rules of ``edoc`` in its own words."""
    used = set(re.findall(r"EDOC-DOC-\d{3}", sources("transport/desk")))
    assert used == set(tomllib.loads((CATALOGUE / "DOC.toml").read_text("utf-8")))


def test_every_warning_of_the_reader_has_both_texts() -> None:
    """Codes in the sources are those of the catalogue."""
    texts = tomllib.loads((CATALOGUE / "edxml.toml").read_text("utf-8"))
    named = set(re.findall(r'"([a-z0-9]+(?:-[a-z0-9]+)+)"', sources()))
    assert set(texts) <= named
    warned = set(re.findall(r'(?:warn|unread|differ)\(\s*"([a-z-]+)"', sources()))
    assert warned <= set(texts)
    assert all(set(entry) == {"vi", "en"} for entry in texts.values())
