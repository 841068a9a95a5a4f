"""Help pages: purpose, usage, options, examples, exit codes, in either language (console.md 4).

The texts lie in ``catalogue/help/*.toml``; what a command takes comes from its declaration, so a page cannot name an
option that does not exist.
"""

from __future__ import annotations

import textwrap
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from transport.present.text import pad, width

FILES = ("documents", "exchange", "proof", "office")
TOPICS = ("exit-codes", "env", "config", "json", "verdicts")
_INDENT = 28


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument or option as a command declares it."""

    names: tuple[str, ...]  # ``--trust``, ``-o``; for an argument its metavar
    argument: bool
    metavar: str  # what stands for the value; empty for a flag
    required: bool = False
    many: bool = False


@dataclass(frozen=True, slots=True)
class Sheet:
    """A command in words, from the catalogue."""

    title: Mapping[str, str]
    text: Mapping[str, str]
    params: Mapping[str, Mapping[str, str]]
    examples: tuple[str, ...]
    exits: Mapping[str, Mapping[str, str]]


@cache
def common() -> Mapping[str, Any]:
    """Return the texts every page shares: headings, common options, groups of commands."""
    return _toml("common")


def _toml(name: str) -> dict[str, Any]:
    folder = resources.files("transport.present.catalogue").joinpath("help")
    return tomllib.loads(folder.joinpath(f"{name}.toml").read_text("utf-8"))


@cache
def _sheets(file: str) -> dict[str, Any]:
    return _toml(file)


def sheet(command: str) -> Sheet | None:
    """Return the texts of a command such as ``sign`` or ``ledger head``."""
    for file in FILES:
        if raw := _sheets(file).get(command):
            return Sheet(
                raw["title"], raw["text"], raw.get("params", {}), tuple(raw.get("examples", ())), raw.get("exits", {})
            )
    return None


def heading(key: str, lang: str) -> str:
    """Return a heading or short text of the help pages."""
    return str(common()["headings"][key][lang])


def front(lang: str, *, whole: bool, version: str) -> list[str]:
    """Return the first page. ``whole``: all commands; else the clerk's daily verbs, as ``edoc`` alone prints them."""
    index = common()
    lines = [f"edoc {version} – {index['about'][lang]}", "", f"{heading('usage', lang)}:  edoc COMMAND … [--help]"]
    for group in index["groups"]:
        if not whole and not group.get("daily"):
            continue
        lines += ["", group["title"][lang]]
        lines += _pairs([(name, titles[lang]) for name, titles in group["commands"].items()], 16)
    if whole:
        lines += ["", heading("common", lang), *_pairs(_common_rows(lang))]
    return [*lines, "", heading("more" if whole else "start", lang)]


def _common_rows(lang: str) -> list[tuple[str, str]]:
    return [(name, texts[lang]) for name, texts in common()["options"].items()]


def page(command: str, params: Sequence[Parameter], lang: str) -> list[str]:
    """Return the help page of one command."""
    texts = sheet(command)
    if texts is None:
        raise LookupError(f"no help for {command}")
    arguments = [item for item in params if item.argument]
    options = [item for item in params if not item.argument]
    lines = [f"edoc {command} – {texts.title[lang]}", "", _usage(command, arguments, options, lang), ""]
    lines += _paragraph(texts.text[lang])
    for title, items in (("arguments", arguments), ("options", options)):
        if items:
            lines += ["", heading(title, lang), *_pairs([(_shown(item), _text(texts, item, lang)) for item in items])]
    shared = ", ".join(name.split(" ")[0].rstrip(",") for name in common()["options"])
    lines += ["", heading("common", lang), *_paragraph(f"{shared}: {heading('see_common', lang)}", "  ")]
    if texts.examples:
        lines += ["", heading("examples", lang), *(f"  {example}" for example in texts.examples)]
    return [*lines, "", heading("exits", lang), *_exits(texts, lang)]


def group_page(group: str, commands: Mapping[str, str], lang: str) -> list[str]:
    """Return the page of a noun such as ``ledger``: its commands with their titles."""
    lines = [f"{heading('usage', lang)}:  edoc {group} COMMAND …", "", heading("commands", lang)]
    return [*lines, *_pairs(list(commands.items()), 16), "", heading("more_group", lang).replace("{group}", group)]


def title(command: str, lang: str) -> str:
    """Return the one-line title of a command."""
    texts = sheet(command)
    return texts.title[lang] if texts else command


def _usage(command: str, arguments: Sequence[Parameter], options: Sequence[Parameter], lang: str) -> str:
    words = [f"{heading('usage', lang)}:  edoc {command}"]
    for item in arguments:
        word = item.names[0] + ("..." if item.many else "")
        words.append(word if item.required else f"[{word}]")
    words += [f"{item.names[0]} {item.metavar}" for item in options if item.required]
    if options:
        words.append(f"[{heading('any_options', lang)}]")
    return " ".join(words)


def _shown(item: Parameter) -> str:
    if item.argument:
        return item.names[0] + ("..." if item.many else "")
    names = ", ".join(item.names)
    return f"{names} {item.metavar}".rstrip() + (" …" if item.many else "")


def key_of(item: Parameter) -> str:
    """Return the name under which the catalogue explains an argument or option."""
    return item.names[0]


def _text(texts: Sheet, item: Parameter, lang: str) -> str:
    found = texts.params.get(key_of(item)) or common()["params"].get(key_of(item))
    if not found:
        raise LookupError(f"no help for {key_of(item)}")
    return str(found[lang])


def _exits(texts: Sheet, lang: str) -> list[str]:
    rows = [(code, found[lang]) for code, found in texts.exits.items()]
    return _pairs([*rows, ("0 2 6 70 130", heading("exits_common", lang))], 16)


def _paragraph(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(text, 98, initial_indent=indent, subsequent_indent=indent)


def _pairs(rows: Sequence[tuple[str, str]], indent: int = _INDENT) -> list[str]:
    lines = []
    for name, text in rows:
        wrapped = textwrap.wrap(text, 100 - indent) or [""]
        head = f"  {name}"
        if width(head) >= indent:
            lines += textwrap.wrap(name, 96, initial_indent="  ", subsequent_indent="  ")
        else:
            lines.append(f"{pad(head, indent)}{wrapped.pop(0)}".rstrip())
        lines += [" " * indent + line for line in wrapped]
    return lines


def topic(name: str, lang: str) -> list[str]:
    """Return a help topic that is plain text; ``config`` and ``json`` are made elsewhere from what they describe."""
    raw = _toml("topics")[name]
    return [raw["title"][lang], "", *_pairs([(key, texts[lang]) for key, texts in raw["rows"].items()])]
