"""What a report is made of: a few kinds of blocks, in plain values. HTML and PDF show the same blocks, each in its way.

Every text passes the one sanitiser when a block is made, so that control and bidi characters of a file are shown, never
obeyed; mark-up is escaped by whoever draws (signing.md 8).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from transport.present.text import sanitise

TONES = ("good", "bad", "open", "plain")


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading; ``level`` 2 for a file, 3 for a part of it, 4 within."""

    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Banner:
    """A verdict: sign and word, and one sentence."""

    tone: str
    word: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Facts:
    """Names and values, one pair a line; ``mono`` values are digests and numbers."""

    rows: tuple[tuple[str, str, bool], ...]


@dataclass(frozen=True, slots=True)
class Answers:
    """The three questions, each with its own answer and tone."""

    rows: tuple[tuple[str, str, str], ...]  # question, tone, answer


@dataclass(frozen=True, slots=True)
class Grid:
    """A table with headings."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Points:
    """A list; each item a code (or nothing) and a text."""

    items: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Node:
    """One certificate of the picture: what it is, whose, further lines; ``tone`` as for a verdict."""

    role: str
    name: str
    lines: tuple[str, ...]
    tone: str


@dataclass(frozen=True, slots=True)
class Picture:
    """The certificate path, root first; ``alt`` says it in words."""

    nodes: tuple[Node, ...]
    alt: str


Block = Heading | Banner | Facts | Answers | Grid | Points | Picture


@dataclass(frozen=True, slots=True)
class Page:
    """A whole report."""

    lang: str
    title: str
    lines: tuple[str, ...]
    blocks: tuple[Block, ...]
    foot: str
    made_at: str  # ISO 8601, for the properties of the file


def capital(text: str) -> str:
    """Return a label with a capital: words stand in lower case in the catalogue, so that they serve in sentences."""
    return text[:1].upper() + text[1:]


def heading(level: int, text: str) -> Heading:
    """Return a heading."""
    return Heading(level, sanitise(text))


def banner(tone: str, word: str, sentence: str) -> Banner:
    """Return a verdict."""
    return Banner(tone, word, sanitise(sentence))


def facts(rows: Iterable[tuple[str, str | None]], *, mono: Iterable[str] = ()) -> Facts:
    """Return names and values; pairs without a value are left out, the names in ``mono`` are digests or numbers."""
    fixed = frozenset(mono)
    return Facts(tuple((capital(name), sanitise(value), name in fixed) for name, value in rows if value))


def answers(rows: Iterable[tuple[str, str, str]]) -> Answers:
    """Return the three questions with their answers."""
    return Answers(tuple((question, tone, sanitise(answer)) for question, tone, answer in rows))


def grid(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Grid:
    """Return a table."""
    return Grid(tuple(capital(cell) for cell in head), tuple(tuple(sanitise(cell) for cell in row) for row in rows))


def points(items: Iterable[tuple[str, str]]) -> Points:
    """Return a list of codes with their texts."""
    return Points(tuple((code, sanitise(text)) for code, text in items))


def node(role: str, name: str, lines: Iterable[str], tone: str) -> Node:
    """Return one certificate of a picture."""
    return Node(role, sanitise(name), tuple(sanitise(line) for line in lines), tone)
