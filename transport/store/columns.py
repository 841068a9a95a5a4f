"""Kinds of columns that several tables have, and the Core table behind a class."""

from __future__ import annotations

from typing import TypedDict

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, Table, TextClause, text
from sqlmodel import SQLModel

Identity = BigInteger().with_variant(Integer, "sqlite")
"""Row numbers: SQLite numbers rows by itself only in a column called INTEGER."""


class Condition(TypedDict):
    """The condition of a partial index, for both databases."""

    sqlite_where: TextClause
    postgresql_where: TextClause


def partial(condition: str) -> Condition:
    """Return the condition of a partial index: ``Index(…, **partial("state = 'open'"))``."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


def identity() -> Column[int]:
    """Row number given by the database."""
    return Column(Identity, primary_key=True, autoincrement=True)


def ticket(*, nullable: bool = False) -> Column[int]:
    """Column naming the leaf of an act: NOT NULL where the row must not exist without it (ledger.md 5)."""
    return Column(Identity, ForeignKey("ledger_leaf.ticket"), nullable=nullable)


def table_of(model: type[SQLModel]) -> Table:
    """Return the Core table of a class, for statements."""
    return SQLModel.metadata.tables[str(model.__tablename__)]
