"""The message catalogue: one TOML file per area, read when a text of that area is first asked for.

A text names its facts in braces; a fact that is missing shows as ``-``. Nothing else in braces has a meaning, so values
that came from files can do nothing here.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from importlib import resources

from transport.present.text import VIETNAM, person_date, person_time

AREAS = ("USE", "CFG", "KEY", "TRU", "PKI", "PDF", "XML", "SIG", "DOC", "EXC", "LED", "STO", "WEB", "INT")
UNKNOWN_CODE = "EDOC-INT-002"

_WORDS_OF_OURS = ("part", "where", "detail", "limit", "what")
"""Facts of reasons that may hold a word of the program instead of a name from a file."""

_FACT = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Entry:
    """One error of the catalogue; ``texts`` holds what, why, next by language."""

    code: str
    exit: int
    retryable: bool
    texts: Mapping[str, Mapping[str, str]]


def fill(template: str, facts: Mapping[str, object]) -> str:
    """Return the template with each ``{name}`` replaced by that fact, or ``-``."""
    return _FACT.sub(lambda match: _shown(facts.get(match[1])), template)


def _shown(value: object) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, datetime):
        return person_time(value)
    if isinstance(value, date):
        return person_date(value)
    if isinstance(value, (tuple, list, set, frozenset)):
        return ", ".join(_shown(item) for item in value) or "-"
    return str(value)


def read(name: str) -> dict[str, object]:
    """Return a TOML file of this folder."""
    return tomllib.loads(resources.files(__name__).joinpath(f"{name}.toml").read_text("utf-8"))


@cache
def area(name: str) -> Mapping[str, Entry]:
    """Return the entries of one area by code; an area without a file has none."""
    if name not in AREAS:
        return {}
    try:
        table = read(name)
    except FileNotFoundError:
        return {}
    return {code: _entry(code, value) for code, value in table.items()}


def _entry(code: str, value: object) -> Entry:
    if not isinstance(value, dict):
        raise TypeError(f"catalogue entry {code} is not a table")
    return Entry(code, int(value["exit"]), bool(value.get("retryable", False)), {"vi": value["vi"], "en": value["en"]})


def find(code: str) -> Entry | None:
    """Return the entry of a code ``EDOC-<AREA>-<NNN>``, or ``None``."""
    parts = code.split("-")
    return area(parts[1]).get(code) if len(parts) == 3 else None


@cache
def _reasons() -> dict[str, dict[str, str]]:
    return read("reasons")  # type: ignore[return-value]  # the form is checked by tests/console


@cache
def _words() -> dict[str, dict[str, str]]:
    return read("words")  # type: ignore[return-value]  # the form is checked by tests/console


def reason(code: str, facts: Mapping[str, object], lang: str) -> str:
    """Return the sentence of a reason or warning code (signing.md 8); an unknown code stands for itself."""
    texts = _reasons().get(code)
    ours = (*_WORDS_OF_OURS, "name") if code == "SIGNED_DATA_NOT_FOUND" else _WORDS_OF_OURS
    return fill(texts[lang], _in_words(_with_moments(facts), lang, ours)) if texts else code


def _in_words(facts: dict[str, object], lang: str, ours: tuple[str, ...]) -> dict[str, object]:
    """Put facts that are words of ours into the language: kinds of change, usual places and parts, limits."""
    shown = dict(facts)
    if isinstance(kind := facts.get("change"), str) and has_word(f"change.{kind}"):
        shown["change"] = change(kind, facts, lang)
    for name in ours:
        if isinstance(value := facts.get(name), str) and has_word(f"fact.{value}"):
            shown[name] = word(f"fact.{value}", lang)
    return shown


def change(kind: str, facts: Mapping[str, object], lang: str) -> str:
    """Return a change after a signature in words: page, what, after which signature; a fact not known is left out."""
    template = _words()[f"change.{kind}" if has_word(f"change.{kind}") else "change.other"][lang]
    text = _FACT.sub(lambda match: f"«{_shown(facts[match[1]])}»" if facts.get(match[1]) else "", template)
    text = " ".join(text.split())
    if facts.get("page"):
        text = word("change.on_page", lang, page=facts["page"], text=text)
    after = facts.get("after")
    return word("change.after", lang, text=text, after=after) if after and after != "0" else text


def _with_moments(facts: Mapping[str, object]) -> dict[str, object]:
    """Turn moments that reports carry as ISO 8601 text into moments, to be shown as people write them (R7)."""
    shown = dict(facts)
    for name in ("time", "date"):
        value = shown.get(name)
        if isinstance(value, str):
            with suppress(ValueError, OverflowError):
                moment = datetime.fromisoformat(value)
                shown[name] = moment.astimezone(VIETNAM).date() if name == "date" and moment.tzinfo else moment
    return shown


def word(key: str, lang: str, **facts: object) -> str:
    """Return a word or sentence of the console in the language asked for."""
    return fill(_words()[key][lang], facts)


def has_word(key: str) -> bool:
    """Say whether the console has a text of that name."""
    return key in _words()
