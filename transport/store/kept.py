"""What a node knows of others, read once and kept: directory, partners, trust and authorities (exchange.md 8).

Every question asks the database first whether anything has changed, whoever changed it: triggers raise the number of
the table ``knowledge`` with each change. So an answer is never older than the question, and reading all agencies for
every request is spared.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from transport.store.statements import Connection, Row

T = TypeVar("T")
_NUMBER = "SELECT number FROM knowledge"


class Reads(Protocol):
    """The store, as far as it is asked here."""

    def ask(self, statement: str) -> Row | None: ...
    def read(self, function: Callable[[Connection], T]) -> T: ...


class Kept:
    """Values derived from what a node knows, each as of the same number; shared by the threads of a process."""

    def __init__(self, store: Reads) -> None:
        self._store = store
        self._held: tuple[int, dict[object, object]] = (0, {})  # replaced as a whole, so that threads need no lock

    def get(self, name: object, load: Callable[[Connection], T]) -> T:
        """Return what ``load`` makes of the database; ``name`` stands for the function and always for the same one.

        Raises:
            StoreError: the database cannot be read.
        """

        def look(connection: Connection) -> T:
            number = int(connection.exec_driver_sql(_NUMBER).scalar_one())
            before, held = self._held
            if number == before and name in held:
                return held[name]  # type: ignore[return-value]  # what the same function made
            value = load(connection)
            if number >= self._held[0]:
                self._held = (number, {**(self._held[1] if number == self._held[0] else {}), name: value})
            return value

        row = self._store.ask(_NUMBER)
        held = self._held
        if row is not None and row[0] == held[0] and name in held[1]:
            return held[1][name]  # type: ignore[return-value]  # what the same function made
        return self._store.read(look)
