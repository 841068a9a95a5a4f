"""A number that grows with every change of what a node knows of others, so that it can be kept in memory."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

TABLES = {
    "account": (),
    "account_role": (),
    "account_certificate": (),
    "agency": (),
    "agency_certificate": (),
    "anchor": (),
    "authority": (),
    "key_right": (),
    "partner": ("agency", "url", "delivery", "auth"),
    "revocation": (),
}
"""Tables of what a node knows of others, with the columns that count: all, or those not written for every letter."""


def _trigger(table: str, act: str, columns: tuple[str, ...]) -> None:
    name = f"{table}_known_{act.lower()}"
    if op.get_bind().dialect.name != "postgresql":
        when = f"UPDATE OF {', '.join(columns)}" if act == "UPDATE" and columns else act
        raised = "UPDATE knowledge SET number = number + 1"
        op.execute(f"CREATE TRIGGER {name} AFTER {when} ON {table} BEGIN {raised}; END")
    elif act == "UPDATE" and columns:  # a trigger that names columns would keep them from being changed in later steps
        op.execute(f"CREATE TRIGGER {name} AFTER {act} ON {table} FOR EACH ROW EXECUTE FUNCTION edoc_knows_{table}()")
    else:
        op.execute(f"CREATE TRIGGER {name} AFTER {act} ON {table} FOR EACH STATEMENT EXECUTE FUNCTION edoc_knows()")


def _functions() -> None:
    """What the triggers call on PostgreSQL."""
    raised = "UPDATE knowledge SET number = number + 1"
    op.execute(
        f"CREATE FUNCTION edoc_knows() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {raised}; RETURN NULL; END $$"
    )
    for table, columns in TABLES.items():
        if columns:
            old, new = (", ".join(f"{row}.{column}" for column in columns) for row in ("OLD", "NEW"))
            op.execute(
                f"CREATE FUNCTION edoc_knows_{table}() RETURNS trigger LANGUAGE plpgsql AS "
                f"$$ BEGIN IF ({old}) IS DISTINCT FROM ({new}) THEN {raised}; END IF; RETURN NULL; END $$"
            )


def upgrade() -> None:
    """Make the table with its one row, then the triggers; nothing of before changes."""
    op.create_table(
        "knowledge",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("id = 1", name="knowledge_one_row"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.execute("INSERT INTO knowledge (id, number) VALUES (1, 1)")
    if op.get_bind().dialect.name == "postgresql":
        _functions()
    for table, columns in TABLES.items():
        for act in ("INSERT", "UPDATE", "DELETE"):
            _trigger(table, act, columns)
    op.execute("INSERT INTO schema_step (revision, oldest) VALUES ('0005', '0004')")
