"""Mutants of the store's statements: one condition, state, comparison, assignment or value wrong at a time (F10).

Each statement of claims, outcomes, settlements, take-backs, effects and inbox is caught on its way to the database and
changed there, so that what is tried is the text that really runs. Parameters stay where they are: a condition is made
true (``(X OR 1=1)``) or false (``(X AND 1=0)``), an assignment keeps the old value, a value becomes NULL. The scenarios
(``scenarios.py``) must notice; a mutant that none of them notices has survived.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from sqlalchemy import Engine, event
from sqlalchemy.exc import DBAPIError

from transport.store.statements import Answer, Connection, PostgresConnection, SqliteConnection, Values

MODULES = ("outbox", "claims", "circuit", "takeback", "feed", "inbox", "effects", "statuses", "registers", "unit")
"""Modules of ``transport.store`` whose statements are changed."""
CARRIERS = ("statements", "standing", "store")
"""Modules through which statements pass."""
SHOWN = frozenset({"inbox.by_id", "inbox.by_key"})
"""Questions that only show what is there, with columns of other rooms; nothing is decided by them."""

_TOKEN = re.compile(r"'(?:[^']|'')*'|/\*.*?\*/|[A-Za-z_][\w.]*|:[A-Za-z_]\w*|\d+|<=|>=|<>|<<|>>|\|\||\s+|.", re.DOTALL)
_ENDS = frozenset({"ORDER", "GROUP", "LIMIT", "RETURNING", "THEN", "UNION", "HAVING"})
_TURNED = {"<=": "<", "<": "<=", ">=": ">", ">": ">="}


@dataclass(frozen=True, slots=True)
class Mutant:
    """A statement as it is and as it shall be; ``where`` is the function, ``what`` the change in words."""

    where: str
    what: str
    statement: str
    changed: str

    @property
    def name(self) -> str:
        """What a person reads, and what the list of equivalent mutants names."""
        return f"{self.where}: {self.what}"


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    start: int
    end: int
    depth: int

    @property
    def word(self) -> str:
        return self.text.upper()


def mutants_of(where: str, statement: str) -> list[Mutant]:
    """Return every mutant of a statement, each once."""
    tokens = _tokens(statement)
    changes: dict[str, str] = {}
    for what, start, end, new in _changes(statement, tokens):
        changed = statement[:start] + new + statement[end:]
        if changed != statement and changed not in changes.values():
            label = what if what not in changes else f"{what} (at {start})"
            changes[label] = changed
    return [Mutant(where, what, statement, changed) for what, changed in changes.items()]


def _tokens(statement: str) -> list[_Token]:
    found, depth = [], 0
    for match in _TOKEN.finditer(statement):
        text = match[0]
        depth -= text == ")"
        if not text.isspace():
            found.append(_Token(text, match.start(), match.end(), depth))
        depth += text == "("
    return found


_Change = tuple[str, int, int, str]


def _changes(statement: str, tokens: Sequence[_Token]) -> Iterator[_Change]:
    yield from _conditions(statement, tokens)
    yield from _comparisons(tokens)
    yield from _listed(statement, tokens)
    yield from _assignments(statement, tokens)
    yield from _inserted(statement, tokens)
    yield from _orders(statement, tokens)


def _conditions(statement: str, tokens: Sequence[_Token]) -> Iterator[_Change]:
    """Drop one operand of AND or OR at a time, and the whole of a condition that stands alone."""
    for at, token in enumerate(tokens):
        opens = token.text == "(" and at + 1 < len(tokens) and tokens[at + 1].word != "SELECT"
        if not opens and token.word not in ("WHERE", "WHEN"):
            continue
        depth = token.depth + opens
        region = _region(tokens, at + 1, depth)
        words = {one.word for one in region if one.depth == depth}
        if not region or (opens and not words & {"AND", "OR"}):
            continue
        sign = "OR" if "OR" in words else "AND"
        for part in _split(region, depth, sign):
            text = statement[part[0].start : part[-1].end]
            false = sign == "OR" or token.word == "WHEN"
            new = f"({text} AND 1=0)" if false else f"({text} OR 1=1)"
            yield f"{'never' if false else 'without'} «{_one_line(text)}»", part[0].start, part[-1].end, new
            if sign == "OR" and len(inner := _split(part, depth, "AND")) > 1:
                for one in inner:
                    text = statement[one[0].start : one[-1].end]
                    yield f"without «{_one_line(text)}»", one[0].start, one[-1].end, f"({text} OR 1=1)"


def _region(tokens: Sequence[_Token], start: int, depth: int) -> list[_Token]:
    region = []
    for token in tokens[start:]:
        ends = token.depth == depth and (token.word in _ENDS or token.text.startswith("/*"))
        if token.depth < depth or ends:
            break
        region.append(token)
    return region


def _split(region: Sequence[_Token], depth: int, sign: str) -> list[list[_Token]]:
    parts: list[list[_Token]] = [[]]
    for token in region:
        if token.depth == depth and token.word == sign:
            parts.append([])
        else:
            parts[-1].append(token)
    return [part for part in parts if part]


def _comparisons(tokens: Sequence[_Token]) -> Iterator[_Change]:
    for at, token in enumerate(tokens):
        if (turned := _TURNED.get(token.text)) is not None:
            what = f"{tokens[at - 1].text} {turned} {tokens[at + 1].text}"
            yield f"boundary «{what}»", token.start, token.end, turned


def _listed(statement: str, tokens: Sequence[_Token]) -> Iterator[_Change]:
    """Take one value out of a list of states."""
    for at, token in enumerate(tokens[:-2]):
        if token.word != "IN" or tokens[at + 1].text != "(" or tokens[at + 2].word == "SELECT":
            continue
        depth = token.depth + 1
        for one in _region(tokens, at + 2, depth):
            if one.text == "?":
                yield f"not in list: value at {one.start}", one.start, one.end, "(? || 'x')"
            elif one.text.startswith("'"):
                before = _one_line(statement[: one.start])[-60:]
                yield f"not in list: {one.text} after «{before}»", one.start, one.end, "'none'"


def _assignments(statement: str, tokens: Sequence[_Token]) -> Iterator[_Change]:
    """Let one column keep what it had."""
    at = next((n for n, token in enumerate(tokens) if token.word == "SET" and token.depth == 0), None)
    if at is None:
        return
    region = []
    for token in tokens[at + 1 :]:
        if token.depth == 0 and token.word in ("WHERE", "RETURNING"):
            break
        region.append(token)
    for part in _split(region, 0, ","):
        column, value = part[0].text, statement[part[2].start : part[-1].end]
        kept = f"CASE WHEN 1=1 THEN {column} ELSE {value} END"
        yield f"not set «{column}»", part[2].start, part[-1].end, kept


def _inserted(statement: str, tokens: Sequence[_Token]) -> Iterator[_Change]:
    """Insert NULL for one value, and meet a conflict instead of passing it by."""
    columns = re.search(r"INSERT INTO \w+ \(([^)]*)\)", statement)
    at = next((n for n, token in enumerate(tokens) if token.word == "VALUES"), None)
    if columns is None or at is None:
        return
    names = [name.strip() for name in columns[1].split(",")]
    depth = tokens[at].depth + 1
    for name, part in zip(names, _split(_region(tokens, at + 2, depth), depth, ","), strict=True):
        text = statement[part[0].start : part[-1].end]
        new = f"CASE WHEN 1=1 THEN NULL ELSE {text} END"
        yield f"not inserted «{name}»", part[0].start, part[-1].end, new
    if (found := re.search(r"ON CONFLICT .*? DO NOTHING", statement, re.DOTALL)) is not None:
        yield "a conflict is not passed by", found.start(), found.end(), ""


def _orders(statement: str, tokens: Sequence[_Token]) -> Iterator[_Change]:
    for at, token in enumerate(tokens):
        if token.word != "ORDER":
            continue
        region = []
        for one in tokens[at + 2 :]:
            if one.depth < token.depth or one.word in ("LIMIT", "RETURNING") or one.text.startswith("/*"):
                break
            region.append(one)
        for part in _split(region, token.depth, ","):
            text = statement[part[0].start : part[-1].end]
            new = text[:-5] if text.upper().endswith(" DESC") else f"{text} DESC"
            yield f"order turned «{_one_line(text)}»", part[0].start, part[-1].end, new


def _one_line(text: str) -> str:
    return " ".join(text.split())


# --- trying them -----------------------------------------------------------------------------------------------------


@dataclass
class Seen:
    """Statements a run of the scenarios has made: by the function they came from, and which scenarios make them."""

    functions: dict[str, str] = field(default_factory=dict)
    scenarios: dict[str, list[int]] = field(default_factory=dict)
    reached: set[str] = field(default_factory=set)
    """All functions that made one of them."""


@contextmanager
def watching(seen: Seen, scenario: Callable[[], int]) -> Iterator[None]:
    """Note every statement of the modules under test."""

    def note(
        _connection: object, _cursor: object, statement: str, parameters: object, _context: object, _many: bool
    ) -> tuple[str, object]:
        if (where := _function()) is not None:
            seen.functions.setdefault(statement, where)
            seen.reached.add(where)
            users = seen.scenarios.setdefault(statement, [])
            if scenario() not in users:
                users.append(scenario())
        return statement, parameters

    with _hooked(note):
        yield


@contextmanager
def changed(mutant: Mutant) -> Iterator[list[int]]:
    """Let one mutant run in place of its statement; the list counts how often it ran."""
    runs = [0]

    def change(
        _connection: object, _cursor: object, statement: str, parameters: object, _context: object, _many: bool
    ) -> tuple[str, object]:
        if statement != mutant.statement:
            return statement, parameters
        runs[0] += 1
        return mutant.changed, parameters

    with _hooked(change):
        yield runs


_Hook = Callable[[object, object, str, object, object, bool], tuple[str, object]]


@contextmanager
def _hooked(hook: _Hook) -> Iterator[None]:
    """Let a hook see each statement: those written as text on their way to the driver, composed ones in SQLAlchemy."""
    whole = {kind: kind.exec_driver_sql for kind in (SqliteConnection, PostgresConnection)}

    def caught(kind: type[Connection]) -> Callable[..., Answer]:
        def exec_driver_sql(connection: Connection, statement: str, parameters: Values = ()) -> Answer:
            statement, _ = hook(connection, None, statement, parameters, None, isinstance(parameters, list))
            return whole[kind](connection, statement, parameters)  # type: ignore[index,arg-type]  # each with its own

        return exec_driver_sql

    event.listen(Engine, "before_cursor_execute", hook, retval=True)
    for kind in whole:
        kind.exec_driver_sql = caught(kind)  # type: ignore[method-assign]
    try:
        yield
    finally:
        event.remove(Engine, "before_cursor_execute", hook)
        for kind, method in whole.items():
            kind.exec_driver_sql = method  # type: ignore[method-assign]


def _function() -> str | None:
    """Return which function under test makes the statement that is on its way: ``module.function``."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        of_store = path.parent.name == "store" and path.parent.parent.name == "transport"
        if of_store and path.stem not in CARRIERS:
            name = f"{path.stem}.{frame.f_code.co_qualname.partition('.<locals>')[0].rpartition('.')[2]}"
            return name if path.stem in MODULES and name not in SHOWN else None
        frame = frame.f_back
    return None


def is_no_sql(error: BaseException) -> bool:
    """Tell whether a mutant died because it is no statement at all: that would prove nothing."""
    found: BaseException | None = error
    while found is not None:
        reason = str(found.orig if isinstance(found, DBAPIError) else found)
        if "syntax error" in reason or "no such column" in reason or "incomplete input" in reason:
            return True
        found = found.__cause__
    return False
